// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#include "proc/pidfile.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"

#define PID_TEXT 16 /* a number and a line feed */

static void say(const struct pidfile *p, const char *what)
{
    log_write(LOG_FAILURES, "MASTER", 0, NULL, "pidfile %s: %s", p->path, what);
}

static enum err failed(const struct pidfile *p)
{
    say(p, strerror(errno));
    return ERR_SYS;
}

/* Nothing, or one number: what any server would have written. */
static bool looks_like_one(int fd)
{
    char text[PID_TEXT + 1];
    struct stat st;
    uint64_t pid;
    if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode))
        return false;
    ssize_t n = pread(fd, text, sizeof text, 0);
    if (n < 0 || n > PID_TEXT)
        return false;
    struct str number = str_trim((struct str){text, (size_t)n});
    return number.n == 0 || str_u64(number, INT32_MAX, &pid) == ERR_OK;
}

static enum err remove_stale(struct pidfile *p, int fd)
{
    if (!looks_like_one(fd)) {
        say(p, "there is a file that is no pidfile; name another one, or remove it");
        return ERR_EXISTS;
    }
    if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        say(p, "a server that lives has it");
        return ERR_EXISTS;
    }
    return unlink(p->path) == 0 || errno == ENOENT ? ERR_OK : failed(p);
}

void pidfile_adopt(struct pidfile *p, struct str path, int fd)
{
    BUG_IF(path.n >= sizeof p->path);
    *p = (struct pidfile){.fd = fd};
    if (path.n != 0)
        memcpy(p->path, path.p, path.n);
}

enum err pidfile_open(struct pidfile *p, struct str path)
{
    pidfile_adopt(p, path, -1);
    if (path.n == 0)
        return ERR_OK;
    int fd = open(p->path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (fd < 0 && errno == ELOOP) {
        say(p, "there is a link; name the file itself");
        return ERR_EXISTS;
    }
    if (fd < 0)
        return errno == ENOENT ? ERR_OK : failed(p);
    enum err e = remove_stale(p, fd);
    close(fd);
    return e;
}

/* Written beside its place and linked to it, so that nobody ever reads half of it and nobody else's is replaced. */
void pidfile_write(struct pidfile *p)
{
    char beside[1100], text[PID_TEXT];
    if (p->path[0] == 0 || p->fd >= 0)
        return;
    size_t n = (size_t)snprintf(text, sizeof text, "%d\n", (int)getpid());
    snprintf(beside, sizeof beside, "%s.%d", p->path, (int)getpid());
    unlink(beside);
    int fd = open(beside, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
    if (fd < 0) {
        (void)failed(p);
        return;
    }
    bool ok = fchmod(fd, 0644) == 0 && flock(fd, LOCK_EX | LOCK_NB) == 0 &&
              write(fd, text, n) == (ssize_t)n && link(beside, p->path) == 0;
    if (!ok)
        (void)failed(p);
    unlink(beside);
    if (ok)
        p->fd = fd;
    else
        close(fd);
}

void pidfile_close(struct pidfile *p)
{
    struct stat mine, there;
    if (p->fd < 0)
        return;
    if (fstat(p->fd, &mine) == 0 && lstat(p->path, &there) == 0 && mine.st_ino == there.st_ino &&
        mine.st_dev == there.st_dev)
        unlink(p->path);
    close(p->fd);
    p->fd = -1;
}
