// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
/*
 * acts: becomes a role by the server's own code, and then tries what that role must not do.
 *
 *   acts --list                       names of the acts, and who can do them: FREE, ROOT, UNTRIED
 *   acts --landlock                   its version, 0 when the kernel has none
 *   acts --calls ROLE                 names of the system calls that are left to it
 *   acts --filter PID                 the seccomp filter of a process, its own pid as 0 (root)
 *   acts LAYERS ROLE STATE_DIR RUN_DIR UID GID [ACT]...
 *       tries the acts, or all of them, each in a process of its own, and prints for each "NAME killed", "NAME done" or "NAME ERRNO"
 *       LAYERS  none, enter (user, root folder), landlock (and that), all; UID 4294967295: nobody else
 *   acts LAYERS ROLE STATE_DIR RUN_DIR UID GID wait
 *       becomes the role, says "ready", and waits for the end of its input
 * STATE_DIR is filled with files to be harmed. Exit code 2: something went wrong.
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/log.h"
#include "proc/priv.h"

/* --- what the acts use */

static pid_t target;
static int folder, program, space, tcp, bound, pair[2];
static struct sockaddr_in listening, anywhere;
static char *page;
static struct iovec piece;
static uint64_t how[3], clone_args[8] = {[4] = SIGCHLD};
static struct sock_filter pass[] = {{BPF_RET | BPF_K, 0, 0, 0xffff}};

#define call(...) (int)syscall(__VA_ARGS__)

static int mapped(void *p)
{
    return p != MAP_FAILED ? 0 : -1;
}

static int execveat_true(int fd)
{
    char *argv[] = {(char[]){"true"}, NULL};
    return call(SYS_execveat, fd, "", argv, NULL, AT_EMPTY_PATH);
}

static int capset_all(void)
{
    struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct caps[2] = {{1u << CAP_SYS_CHROOT, 1u << CAP_SYS_CHROOT, 0}};
    return call(SYS_capset, &head, caps);
}

static int tcp_socket(struct sockaddr_in *at, bool do_listen)
{
    socklen_t n = sizeof *at;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    *at = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    if (fd < 0 || bind(fd, (struct sockaddr *)at, sizeof *at) != 0 ||
        getsockname(fd, (struct sockaddr *)at, &n) != 0 || (do_listen && listen(fd, 4) != 0)) {
        perror("acts: socket");
        exit(2);
    }
    return fd;
}

static void prepare(const char *dir)
{
    struct sockaddr_in unused;
    folder = open(dir, O_RDONLY | O_DIRECTORY);
    program = open("/bin/true", O_RDONLY);
    space = open("/proc/self/ns/uts", O_RDONLY);
    tcp = socket(AF_INET, SOCK_STREAM, 0);
    tcp_socket(&listening, true);
    bound = tcp_socket(&unused, false);
    anywhere =
        (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    piece = (struct iovec){page, 16};
    if (folder < 0 || program < 0 || space < 0 || tcp < 0 || page == MAP_FAILED ||
        socketpair(AF_UNIX, SOCK_STREAM, 0, pair) != 0) {
        perror("acts: prepare");
        exit(2);
    }
    pid_t self = getpid();
    target = fork();
    if (target != 0)
        return;
    /* A parent of another user cannot make the kernel end it. */
    for (int fd = 0; fd < 3; fd++)
        close(fd);
    while (getppid() == self)
        usleep(20000);
    _exit(0);
}

/* --- the acts */

enum control { FREE, ROOT, UNTRIED };

#define ACT(name, control, try) \
    static int act_##name(void) \
    {                           \
        return (int)(try);      \
    }
#include "tests/rights/acts.tbl"

static const struct act {
    const char *name;
    int (*fn)(void);
    enum control control;
} acts[] = {
#define ACT(name, control, try) {#name, act_##name, control},
#include "tests/rights/acts.tbl"
};

static void say(const char *text)
{
    if (write(STDOUT_FILENO, text, strlen(text)) < 0)
        exit(2);
}

/* --- the role */

static enum ipc_role role_of(const char *name)
{
    for (int r = IPC_ROLE_WORKER; r < IPC_ROLE_COUNT; r++) {
        if (strcmp(ipc_role_name((enum ipc_role)r), name) == 0)
            return (enum ipc_role)r;
    }
    fprintf(stderr, "acts: no role %s\n", name);
    exit(2);
}

static enum err become(const char *layers, enum ipc_role role, char **arg)
{
    struct arena a;
    struct conf *c;
    struct conf_problems problems;
    char text[4096];
    if (strcmp(layers, "none") == 0)
        return chdir(arg[0]) == 0 ? ERR_OK : ERR_SYS;
    snprintf(text, sizeof text, "[server]\nstate_dir = %s\nrun_dir = %s\n", arg[0], arg[1]);
    arena_init(&a, (size_t)16 << 20);
    enum err e = conf_load_text(STR("acts"), str_of(text), &a, &c, &problems);
    struct priv_id id = {(uint32_t)strtoul(arg[2], NULL, 10), (uint32_t)strtoul(arg[3], NULL, 10)};
    if (e == ERR_OK)
        e = priv_enter(role, c, id);
    if (e == ERR_OK && strcmp(layers, "landlock") == 0)
        e = prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 ? priv_landlock() : ERR_SYS;
    if (e == ERR_OK && strcmp(layers, "all") == 0)
        e = priv_lock(role);
    return e;
}

static int wait_for_end(void)
{
    char byte;
    say("ready\n");
    while (read(STDIN_FILENO, &byte, 1) > 0)
        ;
    return 0;
}

/* --- one after the other */

static void write_file(const char *dir, const char *name, char **arg)
{
    char path[4096];
    uid_t uid = (uid_t)strtoul(arg[2], NULL, 10);
    snprintf(path, sizeof path, "%s/%s", dir, name);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    if (fd < 0 || write(fd, "x", 1) != 1 ||
        (uid != PRIV_STAY && fchown(fd, uid, (gid_t)strtoul(arg[3], NULL, 10)) != 0)) {
        perror(path);
        exit(2);
    }
    close(fd);
}

static void remove_file(const char *dir, const char *name)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    (void)!remove(path);
}

static void tidy(char **arg)
{
    static const char *const made[] = {"act-new",    "act-dir",  "act-fifo",   "act-device",
                                       "act-victim", "act-link", "act-symlink"};
    for (size_t i = 0; i < ARRAY_LEN(made); i++)
        remove_file(arg[0], made[i]);
    write_file(arg[0], "other.db", arg);
    write_file(arg[0], "victim", arg);
}

_Noreturn static void try_one(const struct act *a, const char *layers, enum ipc_role role,
                              char **arg)
{
    prepare(arg[0]);
    if (become(layers, role, arg) != ERR_OK)
        _exit(2);
    if (a->fn() >= 0)
        _exit(0);
    say(strerrorname_np(errno));
    _exit(1);
}

static bool is_wanted(const char *name, char **names)
{
    bool wanted = *names == NULL;
    for (; *names != NULL; names++)
        wanted = wanted || strcmp(name, *names) == 0;
    return wanted;
}

static int try_all(const char *layers, enum ipc_role role, char **arg)
{
    for (size_t i = 0; i < ARRAY_LEN(acts); i++) {
        int status;
        if (!is_wanted(acts[i].name, arg + 4))
            continue;
        tidy(arg);
        say(acts[i].name);
        say(" ");
        pid_t pid = fork();
        if (pid == 0)
            try_one(&acts[i], layers, role, arg);
        if (pid < 0 || waitpid(pid, &status, 0) != pid)
            return 2;
        if (WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS)
            say("killed");
        else if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
            say("done");
        else if (!WIFEXITED(status) || WEXITSTATUS(status) != 1)
            return 2;
        say("\n");
    }
    return 0;
}

/* --- what there is to see of it */

static int list(void)
{
    static const char *const words[] = {"FREE", "ROOT", "UNTRIED"};
    for (size_t i = 0; i < ARRAY_LEN(acts); i++)
        printf("%s %s\n", acts[i].name, words[acts[i].control]);
    return 0;
}

static int calls(enum ipc_role role)
{
    const char *names[256];
    size_t n = priv_calls(role, names, ARRAY_LEN(names));
    for (size_t i = 0; i < n && i < ARRAY_LEN(names); i++)
        puts(names[i]);
    return 0;
}

static int filter(pid_t pid)
{
    static struct sock_filter code[4096];
    int status;
    if (ptrace(PTRACE_SEIZE, pid, NULL, NULL) != 0 ||
        ptrace(PTRACE_INTERRUPT, pid, NULL, NULL) != 0 || waitpid(pid, &status, __WALL) != pid) {
        perror("acts: attach");
        return 2;
    }
    long n = ptrace(PTRACE_SECCOMP_GET_FILTER, pid, (void *)0, code);
    if (n < 0)
        perror("acts: filter");
    ptrace(PTRACE_DETACH, pid, NULL, NULL);
    for (long i = 0; i < n; i++)
        printf("%04x %u %u %x\n", code[i].code, code[i].jt, code[i].jf,
               code[i].k == (uint32_t)pid ? 0 : code[i].k);
    return n > 0 ? 0 : 2;
}

int main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "--list") == 0)
        return list();
    if (argc == 2 && strcmp(argv[1], "--landlock") == 0)
        return printf("%d\n", priv_landlock_abi()) > 0 ? 0 : 2;
    if (argc == 3 && strcmp(argv[1], "--calls") == 0)
        return calls(role_of(argv[2]));
    if (argc == 3 && strcmp(argv[1], "--filter") == 0)
        return filter((pid_t)strtol(argv[2], NULL, 10));
    if (argc < 7) {
        fprintf(stderr, "acts: wrong arguments\n");
        return 2;
    }
    enum ipc_role role = role_of(argv[2]);
    if (argc != 8 || strcmp(argv[7], "wait") != 0)
        return try_all(argv[1], role, argv + 3);
    return become(argv[1], role, argv + 3) == ERR_OK ? wait_for_end() : 2;
}
