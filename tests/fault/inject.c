// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
/* inject.so: who this process is, and the verdict about each call (inject.h). */
#include <errno.h>
#include <execinfo.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "inject_int.h"

static struct fault_control *control;
static char below[PATH_MAX]; /* a copy: setproctitle() writes over the environment */
static size_t below_n;
static char role[FAULT_ROLE] = "?";
static uint32_t role_number;
static int role_at = -1; /* in control->counts */
static bool tracing;
static bool in_state; /* the folder is our root folder */
bool fault_below[FAULT_FILES];

/* --- who we are */

void fault_role(const char *word)
{
    static const char *const roles[] = {FAULT_ROLES};
    const char *slash = strrchr(word, '/');
    strncpy(role, slash != NULL ? slash + 1 : word, sizeof role - 1);
    role_at = -1;
    for (int i = 0; i < FAULT_ROLES_COUNT; i++) {
        if (strcmp(role, roles[i]) == 0)
            role_at = i;
    }
}

__attribute__((constructor)) static void start(int argc, char **argv, char **envp)
{
    const char *path = getenv("XIMSSD_FAULT");
    (void)envp;
    if (getenv("XIMSSD_FAULT_STATE") != NULL)
        strncpy(below, getenv("XIMSSD_FAULT_STATE"), sizeof below - 1);
    below_n = strlen(below);
    if (argc == 5 && strcmp(argv[1], "--role") == 0) {
        fault_role(argv[2]);
        role_number = (uint32_t)strtoul(argv[3], NULL, 10);
    } else if (argc > 0) {
        fault_role(argv[0]);
        if (strcmp(role, "ximssd") == 0)
            fault_role(strcmp(argv[argc - 1], "offline-auth") == 0 ? "offline-auth" : "master");
    }
    int fd = path != NULL ? (int)syscall(SYS_openat, AT_FDCWD, path, O_RDWR | O_CLOEXEC, 0) : -1;
    void *frame;
    tracing = getenv("XIMSSD_FAULT_TRACE") != NULL && backtrace(&frame, 1) == 1;
    if (fd < 0)
        return;
    void *p = (void *)syscall(SYS_mmap, NULL, sizeof *control, PROT_READ | PROT_WRITE, MAP_SHARED,
                              fd, 0L);
    if (p != MAP_FAILED)
        control = p;
    syscall(SYS_close, fd);
}

/* --- the verdict about a call */

_Noreturn static void die(void)
{
    /* the one form of kill() that the server's processes are left */
    syscall(SYS_tgkill, syscall(SYS_getpid), syscall(SYS_gettid), SIGKILL);
    for (;;)
        syscall(SYS_exit_group, 137);
}

/* Who made the call; addr2line finds the lines. */
static void trace(void)
{
    void *frames[24];
    int n = backtrace(frames, 24);
    backtrace_symbols_fd(frames, n, STDERR_FILENO);
}

static bool fits(const struct fault_rule *r, enum fault_call call, bool here)
{
    return __atomic_load_n(&r->armed, __ATOMIC_ACQUIRE) != 0 && (r->calls >> call & 1) != 0 &&
           (r->role[0] == 0 || strncmp(r->role, role, sizeof role) == 0) &&
           (r->number == UINT32_MAX || r->number == role_number) &&
           (r->place == FAULT_ANYWHERE || here);
}

static enum fault_action judge_rule(struct fault_rule *r, enum fault_call call)
{
    uint32_t n = __atomic_add_fetch(&r->seen, 1, __ATOMIC_SEQ_CST);
    if (r->action == FAULT_COUNT || n < r->nth || (r->times != 0 && n - r->nth >= r->times))
        return FAULT_COUNT;
    r->last_pid = (uint32_t)syscall(SYS_getpid);
    r->last_call = call;
    __atomic_add_fetch(&r->fired, 1, __ATOMIC_SEQ_CST);
    if (tracing)
        trace();
    if (r->action == FAULT_KILL)
        die();
    if (r->action == FAULT_FAIL)
        errno = (int)r->err;
    return (enum fault_action)r->action;
}

enum fault_action fault_judge(enum fault_call call, bool here)
{
    enum fault_action got = FAULT_COUNT;
    if (control == NULL)
        return got;
    if (role_at >= 0 && __atomic_load_n(&control->counting, __ATOMIC_ACQUIRE) != 0)
        __atomic_add_fetch(&control->counts[role_at][call], 1, __ATOMIC_SEQ_CST);
    if (__atomic_load_n(&control->any_armed, __ATOMIC_ACQUIRE) == 0)
        return got;
    for (int i = 0; i < FAULT_RULES && got == FAULT_COUNT; i++) {
        if (fits(&control->rules[i], call, here))
            got = judge_rule(&control->rules[i], call);
    }
    return got;
}

void fault_after(enum fault_action a)
{
    if (a == FAULT_KILL_AFTER || a == FAULT_TORN)
        die();
}

size_t fault_size(enum fault_action a, size_t n)
{
    return (a == FAULT_SHORT || a == FAULT_TORN) && n > 1 ? n / 2 : n;
}

bool fault_fd_below(int fd)
{
    return fd >= 0 && fd < FAULT_FILES && fault_below[fd];
}

bool fault_path_below(const char *path)
{
    return in_state || (below_n != 0 && strncmp(path, below, below_n) == 0);
}

void fault_new_root(void)
{
    char cwd[sizeof below];
    size_t n = getcwd(cwd, sizeof cwd - 1) != NULL ? strlen(cwd) : 0;
    cwd[n] = '/';
    in_state = below_n != 0 && n + 1 == below_n && strncmp(cwd, below, below_n) == 0;
}

int64_t fault_wall_shift(void)
{
    return control != NULL ? __atomic_load_n(&control->wall_shift, __ATOMIC_RELAXED) : 0;
}
