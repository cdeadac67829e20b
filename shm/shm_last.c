// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#include "shm/shm_last.h"

#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#define AT_ONCE 64 /* rows of one read: 16 KiB of stack */

/* Ids that connections and sessions have (protocol 1, 9.1). */
#define SESSION_MIN 100001
#define SESSION_MAX 999999

static bool read_at(int fd, void *to, size_t n, uint64_t offset)
{
    return pread(fd, to, n, (off_t)offset) == (ssize_t)n;
}

static void read_head(const struct shm_segment *s, struct shm_last *out)
{
    out->state = s->state < SHM_STATE_END ? (enum shm_state)s->state : SHM_STATE_NONE;
    out->session = s->session >= SESSION_MIN && s->session <= SESSION_MAX ? s->session : 0;
    out->op = s->op;
    out->since = s->since;
}

/* Keeps the oldest ones in order. */
static void take(struct shm_last *out, const struct shm_row *r)
{
    uint32_t at = out->n;
    out->running++;
    while (at > 0 && out->ops[at - 1].started > r->started)
        at--;
    if (at == SHM_LAST_OPS)
        return;
    if (out->n < SHM_LAST_OPS)
        out->n++;
    memmove(&out->ops[at + 1], &out->ops[at], (out->n - at - 1) * sizeof(out->ops[0]));
    struct shm_last_op *o = &out->ops[at];
    *o = (struct shm_last_op){.session = r->session, .op = r->op, .started = r->started};
    if ((r->seq & 1) == 0)
        shm_field_text(r->account, sizeof(r->account), o->account);
}

void shm_last_read(int fd, uint64_t rows, struct shm_last *out)
{
    struct shm_segment head;
    struct shm_row row[AT_ONCE];
    memset(out, 0, sizeof(*out));
    if (!read_at(fd, &head, sizeof(head), 0))
        return;
    read_head(&head, out);
    if (head.rows_used < rows)
        rows = head.rows_used;
    for (uint64_t i = 0, n; i < rows; i += n) {
        n = rows - i < AT_ONCE ? rows - i : AT_ONCE;
        if (!read_at(fd, row, n * sizeof(row[0]), sizeof(head) + i * sizeof(row[0])))
            return;
        for (uint64_t k = 0; k < n; k++)
            if (row[k].op != 0 && row[k].session >= SESSION_MIN && row[k].session <= SESSION_MAX)
                take(out, &row[k]);
    }
}
