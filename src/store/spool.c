// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#include "store/spool.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define BLOCKS_MAX (UINT32_C(1) << 26)
#define WORD       64

/* Not every file system has O_TMPFILE. */
static int open_named(void)
{
    char name[] = "spool-XXXXXX";
    int fd = mkostemp(name, O_CLOEXEC);
    if (fd >= 0)
        unlink(name);
    return fd;
}

enum err spool_open(struct spool *s)
{
    *s = (struct spool){.max = UINT64_MAX};
    s->fd = open(".", O_TMPFILE | O_RDWR | O_CLOEXEC | O_EXCL, S_IRUSR | S_IWUSR);
    if (s->fd < 0)
        s->fd = open_named();
    return s->fd >= 0 ? ERR_OK : ERR_DB;
}

void spool_close(struct spool *s)
{
    if (s->fd >= 0)
        close(s->fd);
    free(s->taken);
    *s = (struct spool){.fd = -1};
}

/* --- blocks */

static bool is_taken(const struct spool *s, uint32_t block)
{
    return (s->taken[block / WORD] >> block % WORD & 1) != 0;
}

static void mark(struct spool *s, uint32_t block, bool taken)
{
    uint64_t bit = UINT64_C(1) << block % WORD;
    if (taken)
        s->taken[block / WORD] |= bit;
    else
        s->taken[block / WORD] &= ~bit;
}

CHECKED static enum err lengthen(struct spool *s)
{
    if (s->blocks == BLOCKS_MAX)
        return ERR_QUOTA;
    if (s->blocks == s->words * WORD) {
        uint32_t words = s->words != 0 ? s->words * 2 : 8;
        uint64_t *taken = realloc(s->taken, words * sizeof *taken);
        if (taken == NULL)
            return ERR_NOMEM;
        memset(taken + s->words, 0, (words - s->words) * sizeof *taken);
        s->taken = taken;
        s->words = words;
    }
    s->blocks++;
    return ERR_OK;
}

/* The one behind `after` if it is free, so that runs are long; else the next free one from where the last search ended. */
CHECKED static enum err take_block(struct spool *s, uint32_t after, uint32_t *block)
{
    if (s->used + SPOOL_BLOCK > s->max)
        return ERR_QUOTA;
    if (s->used == (uint64_t)s->blocks * SPOOL_BLOCK) {
        enum err e = lengthen(s);
        if (e != ERR_OK)
            return e;
        s->next = s->blocks - 1;
    }
    if (after < s->blocks && !is_taken(s, after))
        s->next = after;
    while (s->next >= s->blocks || is_taken(s, s->next))
        s->next = s->next + 1 < s->blocks ? s->next + 1 : 0;
    *block = s->next;
    mark(s, *block, true);
    s->used += SPOOL_BLOCK;
    return ERR_OK;
}

/* A file system that cannot punch holes keeps the room for the next piece. */
static void punch(const struct spool *s, struct spool_run run)
{
    if (s->fd >= 0)
        (void)!fallocate(s->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
                         (off_t)run.first * (off_t)SPOOL_BLOCK, (off_t)run.n * (off_t)SPOOL_BLOCK);
}

static void give_back(struct spool *s, struct spool_run run)
{
    punch(s, run);
    for (uint32_t i = 0; i < run.n; i++)
        mark(s, run.first + i, false);
    s->used -= (uint64_t)run.n * SPOOL_BLOCK;
}

/* --- pieces */

static uint64_t room_of(const struct spool_piece *p)
{
    uint64_t blocks = 0;
    for (uint32_t i = 0; i < p->run_n; i++)
        blocks += p->runs[i].n;
    return blocks * SPOOL_BLOCK;
}

CHECKED static enum err need_run(struct spool_piece *p)
{
    if (p->run_n < p->run_room)
        return ERR_OK;
    uint32_t room = p->run_room != 0 ? p->run_room * 2 : 2;
    struct spool_run *runs = realloc(p->runs, room * sizeof *runs);
    if (runs == NULL)
        return ERR_NOMEM;
    p->runs = runs;
    p->run_room = room;
    return ERR_OK;
}

CHECKED static enum err grow(struct spool *s, struct spool_piece *p)
{
    struct spool_run *last = p->run_n != 0 ? &p->runs[p->run_n - 1] : NULL;
    uint32_t after = last != NULL ? last->first + last->n : UINT32_MAX, block;
    enum err e = need_run(p);
    if (e == ERR_OK)
        e = take_block(s, after, &block);
    if (e != ERR_OK)
        return e;
    if (block == after)
        p->runs[p->run_n - 1].n++;
    else
        p->runs[p->run_n++] = (struct spool_run){block, 1};
    return ERR_OK;
}

/* Gives back what was taken beyond `room` bytes. */
static void shrink(struct spool *s, struct spool_piece *p, uint64_t room)
{
    while (room_of(p) > room) {
        struct spool_run *last = &p->runs[p->run_n - 1];
        give_back(s, (struct spool_run){last->first + last->n - 1, 1});
        if (--last->n == 0)
            p->run_n--;
    }
}

/* Where byte `at` of the piece stands in the file, and how many follow it there. */
static off_t place_of(const struct spool_piece *p, uint64_t at, uint64_t *n)
{
    uint32_t i = 0;
    while (at >= (uint64_t)p->runs[i].n * SPOOL_BLOCK)
        at -= (uint64_t)p->runs[i++].n * SPOOL_BLOCK;
    *n = (uint64_t)p->runs[i].n * SPOOL_BLOCK - at;
    return (off_t)((uint64_t)p->runs[i].first * SPOOL_BLOCK + at);
}

CHECKED static enum err put(const struct spool *s, const struct spool_piece *p, struct str bytes)
{
    uint64_t at = p->size;
    while (bytes.n != 0) {
        uint64_t room;
        off_t place = place_of(p, at, &room);
        ssize_t n = pwrite(s->fd, bytes.p, bytes.n < room ? bytes.n : (size_t)room, place);
        if (n == 0 || (n < 0 && errno != EINTR))
            return ERR_DB;
        if (n > 0) {
            bytes = str_sub(bytes, (size_t)n, bytes.n);
            at += (uint64_t)n;
        }
    }
    return ERR_OK;
}

enum err spool_add(struct spool *s, struct spool_piece *p, struct str bytes)
{
    uint64_t was = room_of(p), room = was;
    enum err e = s->fd >= 0 ? ERR_OK : ERR_DB;
    for (; e == ERR_OK && room < p->size + bytes.n; room += SPOOL_BLOCK)
        e = grow(s, p);
    if (e == ERR_OK)
        e = put(s, p, bytes);
    if (e == ERR_OK)
        p->size += bytes.n;
    else
        shrink(s, p, was);
    return e;
}

enum err spool_read(const struct spool *s, const struct spool_piece *p, uint64_t from, size_t n,
                    struct buf *out)
{
    from = from < p->size ? from : p->size;
    n = n < p->size - from ? n : (size_t)(p->size - from);
    while (n != 0) {
        uint64_t there;
        off_t place = place_of(p, from, &there);
        size_t take = n < there ? n : (size_t)there;
        char *to = buf_room(out, take);
        if (to == NULL)
            return ERR_NOMEM;
        ssize_t got = pread(s->fd, to, take, place);
        if (got == 0 || (got < 0 && errno != EINTR))
            return ERR_DB;
        if (got > 0) {
            buf_grow(out, (size_t)got);
            from += (uint64_t)got;
            n -= (size_t)got;
        }
    }
    return ERR_OK;
}

void spool_free(struct spool *s, struct spool_piece *p)
{
    for (uint32_t i = 0; i < p->run_n; i++)
        give_back(s, p->runs[i]);
    free(p->runs);
    *p = (struct spool_piece){0};
}

/* --- from one process to the next */

void spool_leave(struct spool *s)
{
    if (s->fd >= 0)
        close(s->fd);
    s->fd = -1;
}

/* A file without a name, and not a part of one that others have open to append. */
static bool is_spool(int fd, struct stat *st)
{
    int flags = fcntl(fd, F_GETFL);
    return flags >= 0 && (flags & O_ACCMODE) == O_RDWR && (flags & O_APPEND) == 0 &&
           fstat(fd, st) == 0 && S_ISREG(st->st_mode) && st->st_nlink == 0 && st->st_size >= 0 &&
           (uint64_t)st->st_size <= (uint64_t)BLOCKS_MAX * SPOOL_BLOCK;
}

enum err spool_adopt(struct spool *s, int fd)
{
    struct stat st;
    *s = (struct spool){.fd = -1, .max = UINT64_MAX};
    if (!is_spool(fd, &st))
        return ERR_PACKET;
    s->end = (uint64_t)st.st_size;
    s->blocks = (uint32_t)((s->end + SPOOL_BLOCK - 1) / SPOOL_BLOCK);
    s->words = s->blocks / WORD + 1;
    s->taken = calloc(s->words, sizeof *s->taken);
    if (s->taken == NULL)
        return ERR_NOMEM;
    s->fd = fd;
    return ERR_OK;
}

static bool is_free(const struct spool *s, struct spool_run run)
{
    if (run.n == 0 || run.first >= s->blocks || run.n > s->blocks - run.first)
        return false;
    for (uint32_t i = 0; i < run.n; i++)
        if (is_taken(s, run.first + i))
            return false;
    return true;
}

enum err spool_claim(struct spool *s, struct spool_piece *p, struct spool_run run)
{
    enum err e = is_free(s, run) ? need_run(p) : ERR_PACKET;
    if (e != ERR_OK)
        return e;
    p->runs[p->run_n++] = run;
    for (uint32_t i = 0; i < run.n; i++)
        mark(s, run.first + i, true);
    s->used += (uint64_t)run.n * SPOOL_BLOCK;
    return ERR_OK;
}

enum err spool_claim_end(struct spool *s, struct spool_piece *p, uint64_t size)
{
    uint64_t room = room_of(p);
    if (room < size || room - size >= SPOOL_BLOCK)
        return ERR_PACKET;
    for (uint32_t i = 0; i < p->run_n; i++) {
        uint64_t end = ((uint64_t)p->runs[i].first + p->runs[i].n) * SPOOL_BLOCK;
        if (end - (i + 1 == p->run_n ? room - size : 0) > s->end)
            return ERR_PACKET;
    }
    p->size = size;
    return ERR_OK;
}

void spool_sweep(struct spool *s)
{
    for (uint32_t at = 0, n; at < s->blocks; at += n + 1) {
        for (n = 0; at + n < s->blocks && !is_taken(s, at + n);)
            n++;
        if (n != 0)
            punch(s, (struct spool_run){at, n});
    }
}
