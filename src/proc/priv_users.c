// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
/*
 * The users of the configuration, and the folders that belong to them.
 *
 * state_dir belongs to `user`, so nothing in it is believed: the master, which may do everything, gives away what is in
 * it only while the folder is root's own, and follows no link there. Nor is any folder given away that holds more than
 * what a server makes: somebody may have named /var/lib.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "proc/priv.h"
#include "proc/settings.h"

static enum err find(const char *setting, struct str name, struct priv_id *out,
                     char problem[PRIV_PROBLEM])
{
    errno = 0;
    const struct passwd *pw = getpwnam(name.p);
    if (pw != NULL && pw->pw_uid != 0) {
        *out = (struct priv_id){pw->pw_uid, pw->pw_gid};
        return ERR_OK;
    }
    if (pw != NULL)
        snprintf(problem, PRIV_PROBLEM,
                 "[server] %s = %s: this user has all rights; name one that has none", setting,
                 name.p);
    else
        snprintf(
            problem, PRIV_PROBLEM,
            "[server] %s = %s: there is no such user%s%s. Started by root, the server needs "
            "it: 'systemd-sysusers ximssd.conf' (in the source conf/ximssd.sysusers) makes both "
            "users, or name others",
            setting, name.p, errno != 0 ? ": " : "", errno != 0 ? strerror(errno) : "");
    return ERR_NOT_FOUND;
}

enum err priv_users_find(const struct conf *c, struct priv_users *out, char problem[PRIV_PROBLEM])
{
    *out = (struct priv_users){{PRIV_STAY, PRIV_STAY}, {PRIV_STAY, PRIV_STAY}};
    if (geteuid() != 0 || PRIV_SANITIZED)
        return ERR_OK;
    enum err e = find("user", c->server.user, &out->data, problem);
    return e == ERR_OK ? find("worker_user", c->server.worker_user, &out->io, problem) : e;
}

/* --- folders */

static enum err wrong(const struct conf *c, const char *name, uid_t owner)
{
    const char *dir = c->server.state_dir.p, *user = c->server.user.p;
    char fix[2400];
    if (name[0] != 0)
        snprintf(fix, sizeof fix, "'chown %s: %s/*.db*' gives the databases to him", user, dir);
    else
        snprintf(fix, sizeof fix, "'chown %s:root %s; chmod 770 %s' gives it to him", user, dir,
                 dir);
    log_write(LOG_FAILURES, "MASTER", 0, NULL,
              "%s%s%s belongs to user %u and not to [server] user = %s; %s", dir,
              name[0] != 0 ? "/" : "", name, (unsigned)owner, user, fix);
    return ERR_SYS;
}

/* Gives one database file to `user`, or looks whether it is his. It is not opened: it need not let us. */
static enum err take_file(int dir, const char *name, const struct conf *c, struct priv_id id,
                          bool give)
{
    struct stat st;
    enum err e = ERR_OK;
    int fd = openat(dir, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) != 0) {
        log_write(LOG_FAILURES, "MASTER", 0, NULL, "%s/%s: %s", c->server.state_dir.p, name,
                  strerror(errno));
        e = ERR_SYS;
    } else if (st.st_uid != id.uid) {
        bool ours = give && st.st_uid == 0 && S_ISREG(st.st_mode) && st.st_nlink == 1;
        e = ours && fchownat(fd, "", id.uid, id.gid, AT_EMPTY_PATH) == 0
                ? ERR_OK
                : wrong(c, name, st.st_uid);
    }
    if (fd >= 0)
        close(fd);
    return e;
}

/* What else there may be in state_dir; lost+found when it is a file system of its own. */
static bool is_known(struct str name)
{
    return str_eq(name, STR(".")) || str_eq(name, STR("..")) || str_starts(name, STR("banks")) ||
           str_eq(name, STR("lost+found")) || str_starts(name, STR("tls-"));
}

static enum err take_files(DIR *d, const struct conf *c, struct priv_id id, bool give)
{
    const struct dirent *entry;
    enum err e = ERR_OK;
    while (e == ERR_OK && (entry = readdir(d)) != NULL) {
        struct str name = str_of(entry->d_name);
        if (str_starts(name, STR("accounts.db")) || str_starts(name, STR("bank-"))) {
            e = take_file(dirfd(d), name.p, c, id, give);
        } else if (give && !is_known(name)) {
            log_write(LOG_FAILURES, "MASTER", 0, NULL,
                      "state_dir %s belongs to root and holds '%s', which is not ours: name a "
                      "folder of its own, or 'chown %s: %s'",
                      c->server.state_dir.p, name.p, c->server.user.p, c->server.state_dir.p);
            e = ERR_EXISTS;
        }
    }
    return e;
}

static enum err take_state_dir(const struct conf *c, struct priv_id id)
{
    struct stat st;
    DIR *d = opendir(c->server.state_dir.p);
    if (d == NULL || fstat(dirfd(d), &st) != 0) {
        log_write(LOG_FAILURES, "MASTER", 0, NULL, "cannot open state_dir %s: %s",
                  c->server.state_dir.p, strerror(errno));
        if (d != NULL)
            closedir(d);
        return ERR_SYS;
    }
    bool give = st.st_uid == 0;
    enum err e = give || st.st_uid == id.uid ? ERR_OK : wrong(c, "", st.st_uid);
    if (e == ERR_OK)
        e = take_files(d, c, id, give);
    /* The last step: as long as it is not taken, the next start begins again. */
    if (e == ERR_OK && give && (fchmod(dirfd(d), 0770) != 0 || fchown(dirfd(d), id.uid, 0) != 0))
        e = wrong(c, "", st.st_uid);
    closedir(d);
    return e;
}

enum err priv_make_dirs(const struct conf *c, const struct priv_users *u)
{
    char empty[128];
    bool root = u->data.uid != PRIV_STAY;
    snprintf(empty, sizeof empty, "%s/empty", c->server.run_dir.p);
    enum err e = settings_make_dir(c->server.run_dir.p, 0755);
    if (e == ERR_OK && root)
        e = settings_make_dir(empty, 0555);
    if (e == ERR_OK)
        e = settings_make_dir(c->server.state_dir.p, 0700);
    return e == ERR_OK && root ? take_state_dir(c, u->data) : e;
}
