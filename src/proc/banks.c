// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#include "proc/banks.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "base/str.h"

static enum err cannot_write(const char *path)
{
    log_write(LOG_FAILURES, "MASTER", 0, NULL, "cannot write %s: %s", path, strerror(errno));
    return ERR_SYS;
}

/* Whole or not at all, whenever the machine stops: an empty file would be a server that never starts again. */
static enum err write_new(const char *state_dir, const char *path, uint32_t count)
{
    char text[16], draft[1100];
    int n = snprintf(text, sizeof text, "%u\n", count);
    if ((size_t)snprintf(draft, sizeof draft, "%s/banks.new", state_dir) >= sizeof draft)
        return ERR_TOO_LONG;
    (void)unlink(draft); /* never into a file that is there: it may be another one's, by a link */
    int fd = open(draft, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    /* Readable for root's group too: somebody may give all of state_dir to `user` (proc/priv_users.c). */
    bool fine =
        fd >= 0 && fchmod(fd, 0640) == 0 && write(fd, text, (size_t)n) == n && fsync(fd) == 0;
    if (fd >= 0)
        close(fd);
    int dir = open(state_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    fine = fine && dir >= 0 && rename(draft, path) == 0 && fsync(dir) == 0;
    enum err e = fine ? ERR_OK : cannot_write(path);
    if (dir >= 0)
        close(dir);
    return e;
}

enum err banks_count(const char *state_dir, uint32_t cores, uint32_t *count)
{
    char path[1100], text[16];
    uint64_t v = 0;
    if ((size_t)snprintf(path, sizeof path, "%s/banks", state_dir) >= sizeof path)
        return ERR_TOO_LONG;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0 && errno == ENOENT) {
        *count = 1;
        while (*count < cores && *count < BANKS_MAX)
            *count *= 2;
        return write_new(state_dir, path, *count);
    }
    ssize_t n = fd >= 0 ? read(fd, text, sizeof text) : -1;
    if (fd >= 0)
        close(fd);
    if (n <= 0 || str_u64(str_trim((struct str){text, (size_t)n}), BANKS_MAX, &v) != ERR_OK ||
        v == 0) {
        log_write(LOG_FAILURES, "MASTER", 0, NULL, "%s does not hold the number of banks (1 to %d)",
                  path, BANKS_MAX);
        return ERR_SYNTAX;
    }
    *count = (uint32_t)v;
    return ERR_OK;
}

enum err banks_path(char *to, size_t size, const char *state_dir, uint32_t bank)
{
    int n = snprintf(to, size, "%s/bank-%02u.db", state_dir, bank);
    return (size_t)n < size ? ERR_OK : ERR_TOO_LONG;
}
