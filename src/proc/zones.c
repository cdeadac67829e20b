// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#include "proc/zones.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "base/log.h"
#include "codec/zone.h"
#include "net/bus.h"
#include "net/memfd.h"

#define FOLDER    "/usr/share/zoneinfo"
#define DEPTH_MAX 3 /* America/Argentina/Ushuaia */
#define LIST_MAX  ((size_t)65536)

struct loading {
    struct zones_maker m;
    struct buf file;
    struct buf list; /* zone.tab: the names that people are offered */
};

/* The whole of a file that has no more than `max` bytes. A short read is the end of it; a folder cannot be read. */
static bool read_file(int dir, const char *name, size_t max, struct buf *to)
{
    int fd = openat(dir, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return false;
    buf_clear(to);
    char *room = buf_room(to, max + 1);
    ssize_t got = room != NULL ? read(fd, room, max + 1) : -1;
    close(fd);
    if (got < 0 || (size_t)got > max)
        return false;
    buf_grow(to, (size_t)got);
    return true;
}

/* zone.tab has a zone's name in the third column of its lines, behind coordinates. */
static bool is_listed(struct str list, struct str name)
{
    const char *end = list.p + list.n, *hit = list.p;
    if (str_eq(name, STR("UTC")))
        return true;
    while (list.n != 0 && (hit = memmem(hit, (size_t)(end - hit), name.p, name.n)) != NULL) {
        const char *behind = hit + name.n;
        if (hit - list.p >= 2 && hit[-1] == '\t' && hit[-2] >= '0' && hit[-2] <= '9' &&
            behind < end && (*behind == '\n' || *behind == '\t'))
            return true;
        hit = behind;
    }
    return false;
}

/* true: it was a file. */
static bool add(struct loading *l, int dir, const char *file, struct str name)
{
    if (!read_file(dir, file, ZONE_FILE_MAX, &l->file))
        return false;
    if (l->file.n > 4 && memcmp(l->file.p, "TZif", 4) == 0 &&
        zones_add(&l->m, name, buf_slice(&l->file), is_listed(buf_slice(&l->list), name)) != ERR_OK)
        log_write(LOG_LOW, "MASTER", 0, NULL, "%s/%.*s is passed over", FOLDER, STR_FMT(name));
    return true;
}

/* Files of other kinds, and what is not the zones themselves: the same with leap seconds, or under names of the builder's. */
static bool is_other(const char *name)
{
    static const char *const others[] = {"right", "posix", "posixrules", "localtime", "Factory"};
    for (size_t i = 0; i < ARRAY_LEN(others); i++) {
        if (strcmp(name, others[i]) == 0)
            return true;
    }
    return name[0] == '.' || strchr(name, '.') != NULL;
}

/* Takes `fd`. */
static void walk(struct loading *l, int fd, const char *prefix, int depth)
{
    DIR *d = fd >= 0 ? fdopendir(fd) : NULL;
    const struct dirent *at;
    if (d == NULL) {
        if (fd >= 0)
            close(fd);
        return;
    }
    while ((at = readdir(d)) != NULL) {
        char name[ZONE_NAME_MAX + 2];
        int n = snprintf(name, sizeof name, "%s%s", prefix, at->d_name);
        if (is_other(at->d_name) || n < 0 || n > ZONE_NAME_MAX)
            continue;
        if (at->d_type != DT_DIR && add(l, dirfd(d), at->d_name, (struct str){name, (size_t)n}))
            continue;
        if (at->d_type != DT_REG && depth < DEPTH_MAX) {
            name[n] = '/';
            name[n + 1] = '\0';
            walk(l, openat(dirfd(d), at->d_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC), name,
                 depth + 1);
        }
    }
    closedir(d);
}

static enum err load(struct buf *table)
{
    struct loading l;
    int dir = open(FOLDER, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir < 0)
        return ERR_NOT_FOUND;
    zones_maker_init(&l.m);
    buf_init(&l.file, ZONE_FILE_MAX + 1);
    buf_init(&l.list, LIST_MAX + 1);
    if (!read_file(dir, "zone.tab", LIST_MAX, &l.list))
        buf_clear(&l.list);
    walk(&l, dir, "", 1);
    enum err e = zones_finish(&l.m, table);
    buf_free(&l.file);
    buf_free(&l.list);
    return e;
}

bool zones_load(int *fd)
{
    struct buf table;
    if (*fd >= 0)
        return true;
    buf_init(&table, ZONES_TABLE_MAX);
    enum err e = load(&table);
    if (e == ERR_OK)
        *fd = memfd_make("ximssd-zones", buf_slice(&table));
    buf_free(&table);
    if (*fd < 0)
        log_write(LOG_FAILURES, "MASTER", 0, NULL,
                  "no time zones in " FOLDER ": all local times are the server's (%s)",
                  err_name(e));
    return *fd >= 0;
}
