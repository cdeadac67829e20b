// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#include "shm/shm_segment.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

enum { ROW_WORDS = sizeof(struct shm_row) / 8, ID_WORD = offsetof(struct shm_row, session) / 8 };

#define CUT "was cut while it was read"

void shm_copy_close(struct shm_copy *c)
{
    shm_file_close(&c->file);
    free(c->row);
    free(c->count);
    memset(c, 0, sizeof(*c));
}

/* The form that the master gives: letters, '-', digits, '.', digits. Anything else is never opened.
 */
static bool name_ok(const char *name)
{
    size_t n = strnlen(name, SHM_FILE_LEN);
    size_t a = strspn(name, "abcdefghijklmnopqrstuvwxyz");
    if (n == SHM_FILE_LEN || a == 0 || name[a] != '-')
        return false;
    size_t b = strspn(name + a + 1, "0123456789");
    if (b == 0 || name[a + 1 + b] != '.')
        return false;
    size_t c = strspn(name + a + b + 2, "0123456789");
    return c != 0 && a + b + c + 2 == n;
}

/* A newly opened file: its header. */
static const char *begin(struct shm_copy *c, uint64_t start_id, char *text, size_t n)
{
    if (!shm_file_read(&c->file, 0, &c->head, sizeof(c->head)))
        return CUT;
    const char *no = shm_file_refuse(&c->head.head, SHM_SEGMENT_MAGIC, c->file.size, text, n);
    if (no != NULL)
        return no;
    if (c->head.head.start_id != start_id)
        return "belongs to another start of the server";
    if (!shm_file_section(&c->file, &c->head.rows, sizeof(struct shm_row), SHM_MAX_ROWS) ||
        !shm_file_section(&c->file, &c->head.counters, 8, SHM_MAX_NAMES))
        return "is damaged: a section does not lie inside it";
    c->counts = c->head.counters.count;
    c->count = calloc(c->counts + 1u, sizeof(*c->count));
    return c->count != NULL ? NULL : strerror(ENOMEM);
}

#ifndef MADV_POPULATE_READ /* Linux 5.14 */
#define MADV_POPULATE_READ  22
#define MADV_POPULATE_WRITE 23
#endif

/* Pages that are about to be touched one after the other come in one call: it saves a fault each, most of what a look
 * at thousands of rows costs. Where the kernel cannot, or the file was cut, the faults come as ever. */
static void expect(const void *at, size_t n, int how)
{
    uintptr_t page = (uintptr_t)getpagesize();
    uintptr_t from = ((uintptr_t)at + page - 1) & ~(page - 1),
              to = ((uintptr_t)at + n) & ~(page - 1);
    if (to > from)
        (void)madvise((void *)from, to - from, how);
}

/* Room for copies of the rows that were ever used. */
static const char *make_room(struct shm_copy *c)
{
    uint32_t used[2]; /* and the reserved half of the word */
    if (!shm_file_read(&c->file, offsetof(struct shm_segment, rows_used), used, sizeof(used)))
        return CUT;
    c->rows = used[0] < c->head.rows.count ? used[0] : c->head.rows.count;
    if (c->rows <= c->cap)
        return NULL;
    struct shm_row *more = realloc(c->row, c->rows * sizeof(*more));
    if (more == NULL) {
        c->rows = c->cap;
        return strerror(ENOMEM);
    }
    c->row = more;
    expect(&more[c->cap], (c->rows - c->cap) * sizeof(*more), MADV_POPULATE_WRITE);
    expect(shm_file_word(&c->file, c->head.rows.offset), (size_t)c->rows * c->head.rows.stride,
           MADV_POPULATE_READ);
    for (; c->cap < c->rows; c->cap++)
        c->row[c->cap].session = 0;
    return NULL;
}

/* Inside a guard: everything that changes, row by row. */
static void copy_all(void *arg)
{
    struct shm_copy *c = arg;
    const struct shm_section *rows = &c->head.rows, *counts = &c->head.counters;
    for (uint32_t i = 0; i < c->rows; i++) {
        const shm_word *from = shm_file_word(&c->file, rows->offset + (uint64_t)i * rows->stride);
        struct shm_row copy;
        uint32_t session;
        uint64_t ids = shm_load(&from[ID_WORD]);
        memcpy(&session, &ids, sizeof(session));
        if (session == 0)
            c->row[i].session = 0;
        else if (shm_get(from, &copy, ROW_WORDS))
            c->row[i] = copy;
    }
    for (uint32_t i = 0; i < c->counts; i++)
        c->count[i] =
            shm_load(shm_file_word(&c->file, counts->offset + (uint64_t)i * counts->stride));
}

const char *shm_copy_read(struct shm_copy *c, int dir, const char *file, uint64_t start_id,
                          char *text, size_t n)
{
    bool fresh;
    const char *no = NULL;
    int rc = name_ok(file) ? shm_file_open(&c->file, dir, file, &fresh) : EINVAL;
    if (rc != 0) {
        no = rc == ENODATA ? "is not a segment" : strerror(rc);
    } else if (fresh) {
        struct shm_file keep = c->file;
        memset(&c->file, 0, sizeof(c->file));
        shm_copy_close(c);
        c->file = keep;
        no = begin(c, start_id, text, n);
    }
    if (no == NULL)
        no = make_room(c);
    if (no == NULL && !shm_file_guard(copy_all, c))
        no = CUT;
    if (no != NULL)
        shm_copy_close(c);
    c->usable = no == NULL;
    return no;
}
