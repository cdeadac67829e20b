// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#include "shm/shm_master.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "shm/shm_names.h"

#define INDEX_NEW "index.new"

enum { LINE_WORDS = sizeof(struct shm_line) / 8 };

struct slot {
    int fd; /* -1: free */
    uint64_t counters;
    struct shm_line line;
};

struct shm_master {
    char *map;
    size_t size;
    struct shm_index head; /* as written; heartbeat and retire_seq are kept in the map */
    int dir;
    gid_t group;
    uint32_t nslots;
    struct slot *slot;
};

static shm_word *word_at(struct shm_master *m, uint64_t offset)
{
    return (void *)(m->map + offset);
}

static struct slot *slot_at(const struct shm_master *m, uint32_t slot)
{
    if (slot >= m->nslots || m->slot[slot].fd < 0)
        abort();
    return &m->slot[slot];
}

static void line_put(struct shm_master *m, uint32_t slot)
{
    uint64_t at = m->head.segments.offset + (uint64_t)slot * sizeof(struct shm_line);
    shm_put(word_at(m, at), &m->slot[slot].line, LINE_WORDS);
}

/* A new file of `size` zero bytes whose space is there, rights and group set. */
static int file_make(int dir, const char *name, gid_t group, size_t size, int *out)
{
    int fd = openat(dir, name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0640);
    if (fd < 0)
        return errno;
    int rc = posix_fallocate(fd, 0, (off_t)size);
    if (rc == 0 && group != (gid_t)-1 && fchown(fd, (uid_t)-1, group) != 0)
        rc = errno;
    if (rc == 0 && fchmod(fd, 0640) != 0)
        rc = errno;
    if (rc != 0) {
        close(fd);
        unlinkat(dir, name, 0);
        return rc;
    }
    *out = fd;
    return 0;
}

static int dir_open(int run_dir, gid_t group, int *out)
{
    if (mkdirat(run_dir, SHM_DIR, 0750) != 0 && errno != EEXIST)
        return errno;
    int fd = openat(run_dir, SHM_DIR, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return errno;
    if ((group != (gid_t)-1 && fchown(fd, (uid_t)-1, group) != 0) || fchmod(fd, 0750) != 0) {
        int rc = errno;
        close(fd);
        return rc;
    }
    *out = fd;
    return 0;
}

/* Removes what a former start left behind. What cannot be removed harms nobody: the index does not
 * list it. */
static void dir_clean(int dir)
{
    int fd = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *d = fd < 0 ? NULL : fdopendir(fd);
    if (d == NULL) {
        if (fd >= 0)
            close(fd);
        return;
    }
    for (struct dirent *e; (e = readdir(d)) != NULL;)
        if (e->d_name[0] != '.' && strcmp(e->d_name, SHM_INDEX) != 0)
            unlinkat(dir, e->d_name, 0);
    closedir(d);
}

static struct shm_section section(uint64_t *at, size_t stride, uint32_t count)
{
    struct shm_section s = {*at, (uint32_t)stride, count};
    *at += stride * count;
    return s;
}

static void head_fill(struct shm_head *h, const char *magic, uint64_t size, uint64_t start_id)
{
    memcpy(h->magic, magic, sizeof(h->magic));
    h->major = SHM_MAJOR;
    h->minor = SHM_MINOR;
    h->byte_order = SHM_BYTE_ORDER;
    h->header_size = sizeof(struct shm_index);
    h->file_size = size;
    h->start_id = start_id;
}

static void index_plan(struct shm_index *x, const struct shm_setup *s)
{
    uint64_t at = sizeof(*x);
    memset(x, 0, sizeof(*x));
    x->start_wall = s->wall;
    x->start_mono = s->mono;
    x->heartbeat = s->mono;
    x->master_pid = s->pid;
    x->channels = s->channels;
    x->workers = s->workers;
    x->keepers = s->keepers;
    x->ops = section(&at, sizeof(struct shm_name), s->nops);
    x->states = section(&at, sizeof(struct shm_name), SHM_STATE_END - 1);
    x->counters = section(&at, sizeof(struct shm_counter_name), SHM_COUNTERS);
    x->segments = section(&at, sizeof(struct shm_line), s->max_segments);
    x->retired = section(&at, 8, SHM_COUNTERS);
    shm_field_set(x->version, sizeof(x->version), s->version);
    uint64_t start_id;
    arc4random_buf(&start_id, sizeof(start_id));
    if (s->saved != NULL) {
        x->start_wall = s->saved->start_wall;
        x->start_mono = s->saved->start_mono;
        start_id = s->saved->start_id;
    }
    head_fill(&x->head, SHM_INDEX_MAGIC, at, start_id);
}

/* Segments and sums of the program before; into an index that nobody sees yet. */
static void saved_write(struct shm_master *m, const struct shm_saved *s)
{
    for (uint32_t i = 0; i < s->nretired && i < SHM_COUNTERS; i++)
        shm_store(word_at(m, m->head.retired.offset + 8 * (uint64_t)i), s->retired[i]);
    for (uint32_t i = 0; i < s->nsegments; i++) {
        const struct shm_saved_segment *g = &s->segment[i];
        if (g->slot >= m->nslots)
            abort();
        m->slot[g->slot] = (struct slot){.fd = g->fd, .counters = g->counters, .line = g->line};
        line_put(m, g->slot);
    }
}

struct shm_saved *shm_master_save(struct shm_master *m)
{
    size_t size = sizeof(struct shm_saved) + m->nslots * sizeof(struct shm_saved_segment);
    struct shm_saved *s = calloc(1, size);
    if (s == NULL)
        return NULL;
    s->start_id = m->head.head.start_id;
    s->start_wall = m->head.start_wall;
    s->start_mono = m->head.start_mono;
    s->nretired = SHM_COUNTERS;
    for (uint32_t i = 0; i < SHM_COUNTERS; i++)
        s->retired[i] = shm_load(word_at(m, m->head.retired.offset + 8 * (uint64_t)i));
    for (uint32_t i = 0; i < m->nslots; i++) {
        if (m->slot[i].fd >= 0)
            s->segment[s->nsegments++] =
                (struct shm_saved_segment){i, m->slot[i].fd, m->slot[i].counters, m->slot[i].line};
    }
    s->size = sizeof(struct shm_saved) + s->nsegments * sizeof(struct shm_saved_segment);
    return s;
}
_Static_assert(SHM_COUNTERS <= 64, "room in struct shm_saved");

static void names_write(struct shm_master *m, const struct shm_setup *s)
{
    struct shm_name *op = (void *)(m->map + m->head.ops.offset);
    for (uint32_t i = 0; i < s->nops; i++) {
        op[i].id = s->ops[i].id;
        shm_field_set(op[i].name, sizeof(op[i].name), s->ops[i].name);
        shm_field_set(op[i].monitor, sizeof(op[i].monitor), s->ops[i].monitor);
    }
    struct shm_name *state = (void *)(m->map + m->head.states.offset);
    for (uint32_t i = 1; i < SHM_STATE_END; i++) {
        state[i - 1].id = i;
        shm_field_set(state[i - 1].monitor, sizeof(state->monitor),
                      shm_state_text((enum shm_state)i));
    }
    struct shm_counter_name *count = (void *)(m->map + m->head.counters.offset);
    for (uint32_t i = 0; i < SHM_COUNTERS; i++) {
        const struct shm_element *e = &shm_elements[i];
        count[i].id = i;
        count[i].kind = (uint32_t)e->kind;
        shm_field_set(count[i].name, sizeof(count->name), e->name);
        shm_field_set(count[i].unit, sizeof(count->unit), e->unit);
        shm_field_set(count[i].help, sizeof(count->help), e->line);
    }
}

/* Makes, fills and renames the index. */
static int index_make(struct shm_master *m, const struct shm_setup *s)
{
    int fd;
    index_plan(&m->head, s);
    m->size = m->head.head.file_size;
    if (unlinkat(m->dir, INDEX_NEW, 0) != 0 && errno != ENOENT)
        return errno;
    int rc = file_make(m->dir, INDEX_NEW, m->group, m->size, &fd);
    if (rc != 0)
        return rc;
    void *map = mmap(NULL, m->size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    rc = map == MAP_FAILED ? errno : 0;
    close(fd);
    if (rc == 0) {
        m->map = map;
        memcpy(m->map, &m->head, sizeof(m->head));
        names_write(m, s);
        if (s->saved != NULL)
            saved_write(m, s->saved);
        if (renameat(m->dir, INDEX_NEW, m->dir, SHM_INDEX) != 0)
            rc = errno;
    }
    if (rc != 0)
        unlinkat(m->dir, INDEX_NEW, 0);
    return rc;
}

int shm_master_new(struct shm_master **out, int run_dir, const struct shm_setup *s)
{
    *out = NULL;
    if (s->max_segments == 0 || s->max_segments > SHM_MAX_SEGMENTS || s->nops > SHM_MAX_NAMES)
        return EINVAL;
    struct shm_master *m = calloc(1, sizeof(*m));
    if (m == NULL)
        return ENOMEM;
    m->dir = -1;
    m->group = s->group;
    m->slot = calloc(s->max_segments, sizeof(*m->slot));
    int rc = m->slot == NULL ? ENOMEM : dir_open(run_dir, s->group, &m->dir);
    if (m->slot != NULL)
        for (m->nslots = 0; m->nslots < s->max_segments; m->nslots++)
            m->slot[m->nslots].fd = -1;
    if (rc == 0)
        rc = index_make(m, s);
    if (rc != 0) {
        shm_master_free(&m, false); /* descriptors of s->saved go with it */
        return rc;
    }
    if (s->saved == NULL)
        dir_clean(m->dir);
    *out = m;
    return 0;
}

void shm_master_free(struct shm_master **pm, bool stop)
{
    struct shm_master *m = *pm;
    if (m == NULL)
        return;
    for (uint32_t i = 0; i < m->nslots; i++) {
        if (m->slot[i].fd < 0)
            continue;
        if (stop)
            shm_master_retire(m, i);
        else
            close(m->slot[i].fd);
    }
    if (stop && m->map != NULL)
        shm_store(word_at(m, offsetof(struct shm_index, heartbeat)), 0);
    if (m->map != NULL)
        munmap(m->map, m->size);
    if (m->dir >= 0)
        close(m->dir);
    free(m->slot);
    free(m);
    *pm = NULL;
}

static bool role_ok(const char *role)
{
    size_t n = strspn(role, "abcdefghijklmnopqrstuvwxyz");
    return n >= 1 && n < SHM_ROLE_LEN && role[n] == 0;
}

/* Header of a new segment; the rest of the file is zero already. */
static int segment_write(const struct shm_master *m, struct slot *slot, uint32_t rows, size_t size)
{
    struct shm_segment s = {.number = slot->line.number, .generation = slot->line.generation};
    uint64_t at = sizeof(s);
    memcpy(s.role, slot->line.role, sizeof(s.role));
    s.rows = section(&at, sizeof(struct shm_row), rows);
    s.counters = section(&at, 8, SHM_COUNTERS);
    slot->counters = s.counters.offset;
    head_fill(&s.head, SHM_SEGMENT_MAGIC, size, m->head.head.start_id);
    ssize_t n = pwrite(slot->fd, &s, sizeof(s), 0);
    return n == (ssize_t)sizeof(s) ? 0 : n < 0 ? errno : EIO;
}

int shm_master_segment(struct shm_master *m, const char *role, uint32_t number, uint32_t generation,
                       uint32_t rows, uint32_t *slot, int *fd, size_t *size)
{
    uint32_t i = 0;
    if (!role_ok(role) || rows > SHM_MAX_ROWS)
        return EINVAL;
    while (i < m->nslots && m->slot[i].fd >= 0)
        i++;
    if (i == m->nslots)
        return ENOSPC;
    struct slot *s = &m->slot[i];
    size_t n =
        sizeof(struct shm_segment) + rows * sizeof(struct shm_row) + 8 * (size_t)SHM_COUNTERS;
    memset(&s->line, 0, sizeof(s->line));
    s->line.live = 1;
    s->line.number = number;
    s->line.generation = generation;
    shm_field_set(s->line.role, sizeof(s->line.role), role);
    snprintf(s->line.file, sizeof(s->line.file), "%s-%u.%u", role, number, generation);
    int rc = file_make(m->dir, s->line.file, m->group, n, &s->fd);
    if (rc != 0) {
        s->fd = -1;
        return rc;
    }
    int child = -1;
    rc = segment_write(m, s, rows, n);
    if (rc == 0 && (child = fcntl(s->fd, F_DUPFD_CLOEXEC, 3)) < 0)
        rc = errno;
    if (rc != 0) {
        unlinkat(m->dir, s->line.file, 0);
        close(s->fd);
        s->fd = -1;
        return rc;
    }
    line_put(m, i);
    *slot = i;
    *fd = child;
    *size = n;
    return 0;
}

void shm_master_pid(struct shm_master *m, uint32_t slot, pid_t pid, int64_t now)
{
    struct slot *s = slot_at(m, slot);
    s->line.pid = pid;
    s->line.heartbeat = now;
    line_put(m, slot);
}

void shm_master_beat(struct shm_master *m, uint32_t slot, int64_t now)
{
    struct slot *s = slot_at(m, slot);
    s->line.heartbeat = now;
    line_put(m, slot);
}

void shm_master_own_beat(struct shm_master *m, int64_t now)
{
    shm_store(word_at(m, offsetof(struct shm_index, heartbeat)), (uint64_t)now);
}

static uint64_t sum(uint64_t a, uint64_t b)
{
    a = a < SHM_MAX_COUNT ? a : SHM_MAX_COUNT;
    b = b < SHM_MAX_COUNT ? b : SHM_MAX_COUNT;
    return a + b < SHM_MAX_COUNT ? a + b : SHM_MAX_COUNT;
}

void shm_master_last(const struct shm_master *m, uint32_t slot, struct shm_last *out)
{
    const struct slot *s = slot_at(m, slot);
    shm_last_read(s->fd, (s->counters - sizeof(struct shm_segment)) / sizeof(struct shm_row), out);
}

void shm_master_retire(struct shm_master *m, uint32_t slot)
{
    struct slot *s = slot_at(m, slot);
    uint64_t last[SHM_COUNTERS] = {0};
    /* Read, not mapped: whatever became of the file, there is no SIGBUS here; a short read counts
     * as zeros. */
    if (pread(s->fd, last, sizeof(last), (off_t)s->counters) < 0)
        memset(last, 0, sizeof(last));
    shm_word *seq = word_at(m, offsetof(struct shm_index, retire_seq));
    uint64_t even = shm_begin(seq);
    s->line.live = 0;
    line_put(m, slot);
    for (uint32_t i = 0; i < SHM_COUNTERS; i++) {
        shm_word *w = word_at(m, m->head.retired.offset + 8 * (uint64_t)i);
        if (shm_elements[i].kind == SHM_COUNTER)
            shm_store(w, sum(shm_load(w), last[i]));
    }
    shm_end(seq, even);
    unlinkat(m->dir, s->line.file, 0);
    close(s->fd);
    s->fd = -1;
}
