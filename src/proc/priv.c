// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#include "proc/priv.h"

#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/log.h"

static enum err failed(const char *what)
{
    log_write(LOG_FAILURES, "CHILD", 0, NULL, "cannot %s: %s", what, strerror(errno));
    return ERR_SYS;
}

/* --- capabilities */

#define CAP(name) (UINT64_C(1) << CAP_##name)

/*
 * What the master keeps. SETUID, SETGID, SETPCAP, SYS_CHROOT: its children change their user and root with them; KILL:
 * it ends those of other users; NET_BIND_SERVICE: a reload may open a listener below port 1024; CHOWN, DAC_OVERRIDE:
 * folders and certificates that belong to others.
 */
static const uint64_t master_caps = CAP(SETUID) | CAP(SETGID) | CAP(SETPCAP) | CAP(SYS_CHROOT) |
                                    CAP(KILL) | CAP(NET_BIND_SERVICE) | CAP(CHOWN) |
                                    CAP(DAC_OVERRIDE);

/*
 * For programs that are executed later. Without CAP_SETPCAP the set stays as it is: only a program with file
 * capabilities could make use of it, and no_new_privs forbids that.
 */
static enum err bound_caps(uint64_t keep)
{
    for (unsigned cap = 0; prctl(PR_CAPBSET_READ, cap, 0, 0, 0) >= 0; cap++) {
        if ((keep >> cap & 1) == 0 && prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) != 0 && errno != EPERM)
            return failed("limit the capabilities");
    }
    return ERR_OK;
}

static enum err keep_caps(uint64_t keep)
{
    struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct caps[2];
    if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) != 0)
        return failed("clear the ambient capabilities");
    if (syscall(SYS_capget, &head, caps) != 0)
        return failed("read the capabilities");
    for (unsigned i = 0; i < 2; i++) {
        uint32_t mask = (uint32_t)(keep >> (32 * i));
        caps[i].permitted &= mask;
        caps[i].effective = caps[i].permitted;
        caps[i].inheritable = 0;
    }
    return syscall(SYS_capset, &head, caps) == 0 ? ERR_OK : failed("drop capabilities");
}

enum err priv_limit_master(void)
{
    enum err e = bound_caps(master_caps);
    return e == ERR_OK ? keep_caps(master_caps) : e;
}

/* --- priv_enter() */

static bool has_data(enum ipc_role role)
{
    return role == IPC_ROLE_KEEPER || role == IPC_ROLE_AUTH;
}

struct priv_id priv_id_of(const struct priv_users *u, enum ipc_role role)
{
    return has_data(role) ? u->data : u->io;
}

/* The root folder of a role is its working directory too, so that a name without a folder is one in it. */
static enum err enter_dir(enum ipc_role role, const struct conf *c, bool root)
{
    char empty[128];
    snprintf(empty, sizeof empty, "%s/empty", c->server.run_dir.p);
    const char *dir = has_data(role) ? c->server.state_dir.p : root ? empty : "/";
    if (chdir(dir) == 0 && (!root || (chroot(".") == 0 && chdir("/") == 0)))
        return ERR_OK;
    log_write(LOG_FAILURES, "CHILD", 0, NULL, "cannot make %s the folder of this process: %s", dir,
              strerror(errno));
    return ERR_SYS;
}

static enum err become(struct priv_id id)
{
    if (setgroups(0, NULL) != 0 || setresgid(id.gid, id.gid, id.gid) != 0 ||
        setresuid(id.uid, id.uid, id.uid) != 0) {
        log_write(LOG_FAILURES, "CHILD", 0, NULL, "cannot become user %u, group %u: %s", id.uid,
                  id.gid, strerror(errno));
        return ERR_SYS;
    }
    BUG_IF(setuid(0) == 0 || setgid(0) == 0);
    return ERR_OK;
}

enum err priv_enter(enum ipc_role role, const struct conf *c, struct priv_id id)
{
    bool root = id.uid != PRIV_STAY;
    enum err e = enter_dir(role, c, root);
    if (PRIV_SANITIZED)
        return e;
    if (e == ERR_OK)
        e = bound_caps(0);
    if (e == ERR_OK && root)
        e = become(id);
    if (e == ERR_OK)
        e = keep_caps(0);
    /* For processes of the same user no way in by ptrace() or /proc: passwords, keys, mail (design 9.4). */
    if (e == ERR_OK && prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) != 0)
        e = failed("forbid dumps");
    /* The change of the user has taken it back. */
    if (e == ERR_OK && prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) != 0)
        e = failed("end with the master");
    return e;
}

/* --- priv_lock() */

/* The kernel's interface, with what later versions of it added (Landlock ABI 4 and 6); old headers lack these. */
struct landlock_ruleset {
    uint64_t fs, net, scoped;
};
#define LANDLOCK_VERSION 1u /* flag of landlock_create_ruleset(): only says which */

int priv_landlock_abi(void)
{
    int abi = (int)syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_VERSION);
    return abi > 0 ? abi : 0;
}

/* Everything that this kernel's Landlock knows is handled, and no rule allows any of it. */
enum err priv_landlock(void)
{
    static const uint8_t fs_bits[] = {0, 13, 14, 15, 15, 16}; /* rights on files, by ABI */
    int abi = priv_landlock_abi();
    if (abi < 1)
        return ERR_OK; /* the master has said so */
    size_t at = (size_t)abi < sizeof fs_bits ? (size_t)abi : sizeof fs_bits - 1;
    struct landlock_ruleset r = {.fs = (UINT64_C(1) << fs_bits[at]) - 1,
                                 .net = abi >= 4 ? 3 : 0,     /* bind, connect */
                                 .scoped = abi >= 6 ? 3 : 0}; /* abstract sockets, signals */
    size_t size = abi >= 6 ? sizeof r : abi >= 4 ? 16 : 8;
    int fd = (int)syscall(SYS_landlock_create_ruleset, &r, size, 0u);
    if (fd < 0)
        return failed("make a Landlock ruleset");
    enum err e =
        syscall(SYS_landlock_restrict_self, fd, 0u) == 0 ? ERR_OK : failed("enter Landlock");
    close(fd);
    return e;
}

bool priv_has_seccomp(void)
{
    uint32_t action = SECCOMP_RET_KILL_PROCESS;
    return syscall(SYS_seccomp, SECCOMP_GET_ACTION_AVAIL, 0u, &action) == 0;
}

enum err priv_lock(enum ipc_role role)
{
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
        return failed("set no_new_privs");
    if (PRIV_SANITIZED)
        return ERR_OK;
    enum err e = priv_landlock();
    log_flush();
    return e == ERR_OK && priv_has_seccomp() ? priv_seccomp(role) : e;
}

static void warn(const char *text, const char **list, size_t max, size_t *n)
{
    if ((*n)++ < max)
        list[*n - 1] = text;
}

size_t priv_warnings(const char **list, size_t max)
{
    size_t n = 0;
    if (PRIV_SANITIZED) {
        warn("built with a sanitizer, for tests: no process gives up any right", list, max, &n);
        return n;
    }
    if (priv_landlock_abi() < 1)
        warn("this kernel has no Landlock, or it is switched off: what processes may do with files "
             "is limited by their users and system calls alone",
             list, max, &n);
    if (!priv_has_seccomp())
        warn("this kernel cannot limit system calls (seccomp): what processes may do is limited by "
             "their users and Landlock alone",
             list, max, &n);
    return n;
}
