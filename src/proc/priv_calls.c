// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <seccomp.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/log.h"
#include "proc/priv.h"

enum check {
    ANY,
    NO_EXEC,     /* third argument: no PROT_EXEC */
    OWN,         /* first argument: this process */
    NONBLOCKING, /* second argument: FIONBIO or FIONREAD */
    FILE_FLAGS,  /* second argument: flags, copies and seals, but not who gets signals */
    FILE_LOCKS,  /* second argument: locks of POSIX */
    TCP_OPTIONS, /* second and third argument: what net/listen.c sets for TCP */
};

#define EVERY "WAHKPC"

static const struct call {
    const char *name;
    const char *roles;
    enum check check;
} calls[] = {
#define CALL(name, roles, check) {#name, roles, check},
#include "proc/priv.tbl"
};

static char letter_of(enum ipc_role role)
{
    static const char letters[IPC_ROLE_COUNT] = {
        [IPC_ROLE_WORKER] = 'W', [IPC_ROLE_AUTH] = 'A',   [IPC_ROLE_HASHER] = 'H',
        [IPC_ROLE_KEEPER] = 'K', [IPC_ROLE_HELPER] = 'P', [IPC_ROLE_CHECK] = 'C',
    };
    BUG_IF(letters[role] == 0);
    return letters[role];
}

size_t priv_calls(enum ipc_role role, const char **names, size_t max)
{
    size_t n = 0;
    for (size_t i = 0; i < ARRAY_LEN(calls); i++) {
        if (strchr(calls[i].roles, letter_of(role)) != NULL && n++ < max)
            names[n - 1] = calls[i].name;
    }
    return n;
}

static const int commands_nonblocking[] = {FIONBIO, FIONREAD};
static const int commands_flags[] = {F_GETFD, F_SETFD,         F_GETFL,     F_SETFL,
                                     F_DUPFD, F_DUPFD_CLOEXEC, F_GET_SEALS, F_ADD_SEALS};
static const int commands_locks[] = {F_GETLK, F_SETLK};
static const int options_tcp[] = {TCP_NODELAY, TCP_NOTSENT_LOWAT};

static int add_one(scmp_filter_ctx ctx, int number, struct scmp_arg_cmp arg)
{
    return seccomp_rule_add_array(ctx, SCMP_ACT_ALLOW, number, 1, &arg);
}

static int add_commands(scmp_filter_ctx ctx, int number, const int *list, size_t n)
{
    int rc = 0;
    for (size_t i = 0; i < n && rc == 0; i++)
        rc = add_one(ctx, number, SCMP_A1_64(SCMP_CMP_EQ, (scmp_datum_t)list[i], 0));
    return rc;
}

static int add(scmp_filter_ctx ctx, const struct call *c)
{
    int number = seccomp_syscall_resolve_name(c->name);
    int rc = 0;
    if (number < 0)
        return 0; /* not on this architecture */
    switch (c->check) {
    case ANY:
        rc = seccomp_rule_add_array(ctx, SCMP_ACT_ALLOW, number, 0, NULL);
        break;
    case NO_EXEC:
        rc = add_one(ctx, number, SCMP_A2_64(SCMP_CMP_MASKED_EQ, PROT_EXEC, 0));
        break;
    case OWN:
        rc = add_one(ctx, number, SCMP_A0_64(SCMP_CMP_EQ, (scmp_datum_t)getpid(), 0));
        break;
    case NONBLOCKING:
        rc = add_commands(ctx, number, commands_nonblocking, ARRAY_LEN(commands_nonblocking));
        break;
    case FILE_FLAGS:
        rc = add_commands(ctx, number, commands_flags, ARRAY_LEN(commands_flags));
        break;
    case FILE_LOCKS:
        rc = add_commands(ctx, number, commands_locks, ARRAY_LEN(commands_locks));
        break;
    case TCP_OPTIONS:
        for (size_t i = 0; i < ARRAY_LEN(options_tcp) && rc == 0; i++)
            rc = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, number, 2,
                                  SCMP_A1_64(SCMP_CMP_EQ, IPPROTO_TCP, 0),
                                  SCMP_A2_64(SCMP_CMP_EQ, (scmp_datum_t)options_tcp[i], 0));
        break;
    }
    return rc;
}

enum err priv_seccomp(enum ipc_role role)
{
    /* Calls of another architecture (32 bit) end the process as well: libseccomp's way with those it was not given. */
    scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_KILL_PROCESS);
    int rc = ctx != NULL ? 0 : -ENOMEM;
    if (rc == 0)
        rc = seccomp_attr_set(ctx, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
    for (size_t i = 0; i < ARRAY_LEN(calls) && rc == 0; i++) {
        if (strchr(calls[i].roles, letter_of(role)) != NULL)
            rc = add(ctx, &calls[i]);
    }
    if (rc == 0)
        rc = seccomp_load(ctx);
    if (ctx != NULL)
        seccomp_release(ctx);
    if (rc == 0)
        return ERR_OK;
    log_write(LOG_FAILURES, "CHILD", 0, NULL, "cannot limit system calls: %s", strerror(-rc));
    return ERR_SYS;
}
