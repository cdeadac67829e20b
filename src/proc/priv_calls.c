// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
/*
 * The filter of system calls is written here, an instruction after the other, into memory that is there. libseccomp can make one as
 * well, but where an allocation fails in the middle of it, it leaves out calls without a word, or breaks down (2.5.4): from it
 * come the numbers alone.
 */
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <seccomp.h>
#include <stddef.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
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

static const uint32_t commands_nonblocking[] = {FIONBIO, FIONREAD};
static const uint32_t commands_flags[] = {F_GETFD, F_SETFD,         F_GETFL,     F_SETFL,
                                          F_DUPFD, F_DUPFD_CLOEXEC, F_GET_SEALS, F_ADD_SEALS};
static const uint32_t commands_locks[] = {F_GETLK, F_SETLK};
static const uint32_t options_tcp[] = {TCP_NODELAY, TCP_NOTSENT_LOWAT};

struct program {
    struct sock_filter *code;
    size_t n, max;
};

static void put(struct program *p, unsigned code, uint32_t k, size_t if_true, size_t if_false)
{
    BUG_IF(p->n == p->max || if_true > UINT8_MAX || if_false > UINT8_MAX);
    p->code[p->n++] = (struct sock_filter){(uint16_t)code, (uint8_t)if_true, (uint8_t)if_false, k};
}

static void put_load(struct program *p, size_t offset)
{
    put(p, BPF_LD | BPF_W | BPF_ABS, (uint32_t)offset, 0, 0);
}

static void put_load_number(struct program *p)
{
    put_load(p, offsetof(struct seccomp_data, nr));
}

/* Half of an argument: all have 64 bits. */
static void put_load_arg(struct program *p, unsigned arg, bool high)
{
    bool second = high == (__BYTE_ORDER == __LITTLE_ENDIAN);
    put_load(p, offsetof(struct seccomp_data, args) + 8 * (size_t)arg + (second ? 4 : 0));
}

struct condition {
    unsigned arg; /* from 0 */
    bool none_of; /* none of the bits of `value` is set; else: it is `value` */
    uint32_t value;
};

/* Goes on where it is met, and to `otherwise` where it is not. */
static void put_condition(struct program *p, const struct condition *c, size_t otherwise)
{
    if (c->none_of) {
        put_load_arg(p, c->arg, false);
        put(p, BPF_JMP | BPF_JSET | BPF_K, c->value, otherwise - p->n - 1, 0);
        return;
    }
    put_load_arg(p, c->arg, true);
    put(p, BPF_JMP | BPF_JEQ | BPF_K, 0, 0, otherwise - p->n - 1);
    put_load_arg(p, c->arg, false);
    put(p, BPF_JMP | BPF_JEQ | BPF_K, c->value, 0, otherwise - p->n - 1);
}

/* Allows the call when all conditions are met. The call's number is loaded, before and behind it. */
static void put_rule(struct program *p, uint32_t number, const struct condition *list, size_t n)
{
    size_t length = 1;
    for (size_t i = 0; i < n; i++)
        length += list[i].none_of ? 2 : 4;
    size_t not_met = p->n + 1 + length;
    put(p, BPF_JMP | BPF_JEQ | BPF_K, number, 0, length + (n != 0));
    for (size_t i = 0; i < n; i++)
        put_condition(p, &list[i], not_met);
    put(p, BPF_RET | BPF_K, SECCOMP_RET_ALLOW, 0, 0);
    if (n != 0)
        put_load_number(p);
}

static void put_commands(struct program *p, uint32_t number, const uint32_t *list, size_t n)
{
    for (size_t i = 0; i < n; i++)
        put_rule(p, number, &(struct condition){.arg = 1, .value = list[i]}, 1);
}

static void put_call(struct program *p, const struct call *c, pid_t self)
{
    int known = seccomp_syscall_resolve_name(c->name);
    uint32_t number = (uint32_t)known;
    if (known < 0)
        return; /* not on this architecture */
    switch (c->check) {
    case ANY:
        put_rule(p, number, NULL, 0);
        break;
    case NO_EXEC:
        put_rule(p, number, &(struct condition){.arg = 2, .none_of = true, .value = PROT_EXEC}, 1);
        break;
    case OWN:
        put_rule(p, number, &(struct condition){.arg = 0, .value = (uint32_t)self}, 1);
        break;
    case NONBLOCKING:
        put_commands(p, number, commands_nonblocking, ARRAY_LEN(commands_nonblocking));
        break;
    case FILE_FLAGS:
        put_commands(p, number, commands_flags, ARRAY_LEN(commands_flags));
        break;
    case FILE_LOCKS:
        put_commands(p, number, commands_locks, ARRAY_LEN(commands_locks));
        break;
    case TCP_OPTIONS:
        for (size_t i = 0; i < ARRAY_LEN(options_tcp); i++) {
            struct condition both[] = {{.arg = 1, .value = IPPROTO_TCP},
                                       {.arg = 2, .value = options_tcp[i]}};
            put_rule(p, number, both, ARRAY_LEN(both));
        }
        break;
    }
}

size_t priv_filter(enum ipc_role role, pid_t self, struct sock_filter *to, size_t max)
{
    struct program p = {.code = to, .max = max};
    /* A call of another architecture (32 bit) has the number of another one in this. */
    put_load(&p, offsetof(struct seccomp_data, arch));
    put(&p, BPF_JMP | BPF_JEQ | BPF_K, seccomp_arch_native(), 1, 0);
    put(&p, BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS, 0, 0);
    put_load_number(&p);
    for (size_t i = 0; i < ARRAY_LEN(calls); i++) {
        if (strchr(calls[i].roles, letter_of(role)) != NULL)
            put_call(&p, &calls[i], self);
    }
    put(&p, BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS, 0, 0);
    return p.n;
}

enum err priv_seccomp(enum ipc_role role)
{
    struct sock_filter code[PRIV_FILTER_MAX];
    struct sock_fprog program = {
        .len = (unsigned short)priv_filter(role, getpid(), code, PRIV_FILTER_MAX), .filter = code};
    if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0u, &program) == 0)
        return ERR_OK;
    log_write(LOG_FAILURES, "CHILD", 0, NULL, "cannot limit system calls: %s", strerror(errno));
    return ERR_SYS;
}
