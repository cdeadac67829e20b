// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
/* What a keeper leaves to its successor, in one file (proc/keeper_handover.h, ximss/snapfile.h). */
#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "proc/keeper_handover.h"
#include "net/memfd.h"
#include "ximss/snapfile.h"

/* --- what the keeper knows of a session */

static bool put_kept(const struct session *x, uint32_t i, struct buf *b)
{
    const struct kept *s = x->user;
    if (i != 0)
        return false;
    ipc_put_u32(b, s->worker);
    ipc_put_u32(b, s->worker_generation);
    ipc_put_u32(b, s->attempt);
    ipc_put_u32(b, s->asks);
    ipc_put_u64(b, (uint64_t)s->opened);
    ipc_put_u64(b, (uint64_t)s->credit);
    buf_add(b, s->addr, sizeof s->addr);
    return true;
}

static enum err get_kept(struct session *x, struct str body)
{
    struct kept *s = x->user;
    struct ipc_in in = {body, false};
    s->worker = ipc_get_u32(&in);
    s->worker_generation = ipc_get_u32(&in);
    s->attempt = ipc_get_u32(&in);
    s->asks = ipc_get_u32(&in);
    s->opened = (int64_t)ipc_get_u64(&in);
    int64_t credit = (int64_t)ipc_get_u64(&in);
    struct str addr = ipc_get_rest(&in);
    bool http = s->worker == UINT32_MAX;
    if (in.bad || addr.n != sizeof s->addr || (!http && s->worker != x->worker))
        return ERR_PACKET;
    if (http)
        keeper_session_of_no_worker(s);
    memcpy(s->addr, addr.p, sizeof s->addr);
    if (credit < s->credit) /* the most there is, until now */
        s->credit = credit;
    return ERR_OK;
}

const struct snapshot_part keeper_parts[] = {{"kept", true, put_kept, get_kept},
                                             {"http", false, keeper_http_put, keeper_http_get}};
_Static_assert(ARRAY_LEN(keeper_parts) == KEEPER_PARTS, "keeper_handover.h is told");

/* --- records */

struct out {
    int fd;
    struct buf b; /* a record */
    struct snapfile_entry *entries;
    uint32_t n, sessions;
};

/* The record stands in o->b. */
static enum err add_record(struct out *o, struct snapfile_entry entry)
{
    enum err e = buf_err(&o->b);
    entry.bytes = o->b.n;
    o->entries[o->n++] = entry;
    if (e == ERR_OK)
        e = memfd_add(o->fd, buf_slice(&o->b)) ? ERR_OK : ERR_SYS;
    if (o->b.p != NULL)
        explicit_bzero(o->b.p, o->b.n);
    buf_clear(&o->b);
    return e;
}

static bool is_handed(const struct kept *s)
{
    return s->attached;
}

static enum err add_session(struct out *o, const struct kept *s)
{
    struct snapfile_entry entry = {.kind = SNAPFILE_SESSION,
                                   .id = s->s->id,
                                   .worker = s->worker,
                                   .worker_generation = s->worker_generation,
                                   .flags = s->s->mid_message ? SNAPFILE_MID_MESSAGE : 0};
    enum err e = ERR_OK;
    if (s->http != NULL)
        entry.seq = s->http->place.entry;
    o->sessions++;
    if (snapshot_ready(s->s)) /* else it did not even end: whoever reads this tells the client */
        e = snapshot_put(s->s, keeper_parts, KEEPER_PARTS, &o->b);
    return e == ERR_OK ? add_record(o, entry) : e;
}

/* What comes in; all others are answered by now. */
static enum err add_uploads(struct keeper *k, struct out *o)
{
    uint32_t at = 0;
    const struct exchange *x;
    enum err e = ERR_OK;
    while (e == ERR_OK && (x = idmap_next(&k->exchanges, &at)) != NULL) {
        keeper_upload_put(x, &o->b);
        e = add_record(o, (struct snapfile_entry){.kind = SNAPFILE_UPLOAD,
                                                  .id = x->conn,
                                                  .worker = x->worker,
                                                  .worker_generation = x->worker_generation,
                                                  .seq = x->seq});
    }
    return e;
}

static enum err add_http(struct keeper *k, struct out *o)
{
    uint32_t at = 0;
    const struct kept_http *h;
    enum err e = ERR_OK;
    while (e == ERR_OK && (h = idmap_next(&k->http, &at)) != NULL) {
        if (h->kept != NULL)
            continue;
        binding_put(h->b, &o->b);
        e = add_record(o, (struct snapfile_entry){.kind = SNAPFILE_LAST, .id = h->place.id});
    }
    for (const struct deferred *d = k->deferred; e == ERR_OK && d != NULL; d = d->next) {
        buf_str(&o->b, buf_slice(&d->body));
        e = add_record(o, (struct snapfile_entry){.kind = SNAPFILE_HTTP,
                                                  .id = d->conn,
                                                  .worker = d->worker,
                                                  .worker_generation = d->worker_generation,
                                                  .seq = d->seq});
    }
    return e;
}

static enum err add_all(struct keeper *k, struct out *o)
{
    uint32_t at = 0, unparsed = keeper_unparsed(k);
    const struct kept *s;
    enum err e = ERR_OK;
    while (e == ERR_OK && (s = idmap_next(&k->sessions, &at)) != NULL) {
        if (is_handed(s))
            e = add_session(o, s);
    }
    if (e == ERR_OK)
        e = add_uploads(k, o);
    for (uint32_t i = 0; i < unparsed && e == ERR_OK; i++) {
        const struct delivery *d = keeper_put_unparsed(k, i, &o->b);
        e = add_record(o, (struct snapfile_entry){.kind = SNAPFILE_DELIVERY,
                                                  .worker = d->worker,
                                                  .worker_generation = d->worker_generation,
                                                  .seq = d->seq});
    }
    return e == ERR_OK ? add_http(k, o) : e;
}

/* Of sessions, over or not, of what comes in, and of requests over HTTP that wait. */
static uint32_t count_records(const struct keeper *k)
{
    uint32_t at = 0, n = k->exchanges.count;
    const struct kept *s;
    const struct kept_http *h;
    while ((s = idmap_next(&k->sessions, &at)) != NULL)
        n += is_handed(s);
    for (at = 0; (h = idmap_next(&k->http, &at)) != NULL;)
        n += h->kept == NULL;
    for (const struct deferred *d = k->deferred; d != NULL; d = d->next)
        n++;
    return n;
}

/* The place of the head and its entries, first empty, in the end with what is known then. */
static enum err write_head(struct out *o, uint32_t count, bool whole)
{
    size_t size = snapfile_head_size(count);
    buf_clear(&o->b);
    if (whole) {
        snapfile_put_head(&o->b, o->entries, count);
    } else if (buf_room(&o->b, size) != NULL) {
        memset(o->b.p, 0, size);
        buf_grow(&o->b, size);
    }
    enum err e = buf_err(&o->b);
    if (e == ERR_OK && whole)
        e = pwrite(o->fd, o->b.p, size, 0) == (ssize_t)size ? ERR_OK : ERR_SYS;
    else if (e == ERR_OK)
        e = memfd_add(o->fd, buf_slice(&o->b)) ? ERR_OK : ERR_SYS;
    buf_clear(&o->b);
    return e;
}

int keeper_hand_file(struct keeper *k, uint32_t *sessions)
{
    uint32_t count = count_records(k) + keeper_unparsed(k);
    struct out o = {.fd = memfd_create("ximssd-sessions", MFD_CLOEXEC | MFD_ALLOW_SEALING)};
    o.entries = calloc(count + 1, sizeof *o.entries);
    buf_init(&o.b, SNAPFILE_MAX);
    o.b.secret = true;
    enum err e = o.fd >= 0 && o.entries != NULL ? write_head(&o, count, false) : ERR_NOMEM;
    if (e == ERR_OK)
        e = add_all(k, &o);
    if (e == ERR_OK)
        e = write_head(&o, count, true);
    if (e == ERR_OK && !memfd_seal(o.fd))
        e = ERR_SYS;
    buf_free(&o.b);
    free(o.entries);
    *sessions = o.sessions;
    if (e != ERR_OK && o.fd >= 0)
        close(o.fd);
    return e == ERR_OK ? o.fd : -1;
}
