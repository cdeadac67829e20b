// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
/* The bytes, step by step: the length, then what is wanted of them. */
#include "ximss/download_priv.h"

#include <stdlib.h>

#include "codec/httpfield.h"
#include "store/message.h"
#include "ximss/session.h"

#define READ_STEP 65536 /* bytes of the message that are looked at for one piece of the answer */

/* --- lengths that are known */

static struct download_size *slot_of(const struct download *d)
{
    uint64_t key = (uint64_t)d->account * 31 + (uint64_t)d->mailbox;
    key = (key * 31 + d->uid) * 31 + d->part;
    return &d->sizes->known[key % DOWNLOAD_SIZES];
}

static void recall(struct download *d)
{
    const struct download_size *k = slot_of(d);
    if (d->measured || k->mailbox != d->mailbox || k->account != d->account || k->uid != d->uid ||
        k->part != d->part)
        return;
    if (k->plain)
        d->t.how = DIGEST_7BIT;
    d->size = k->size;
    d->measured = true;
}

static void remember(const struct download *d)
{
    *slot_of(d) = (struct download_size){.account = d->account,
                                         .mailbox = d->mailbox,
                                         .uid = d->uid,
                                         .part = d->part,
                                         .plain = d->t.how == DIGEST_7BIT,
                                         .size = d->size};
}

/* --- life */

enum err download_open(const struct session *s, struct download_sizes *sizes, struct str folder,
                       const struct parturl *ref, struct download **out)
{
    struct download *d = calloc(1, sizeof *d);
    if (d == NULL)
        return ERR_NOMEM;
    d->store = s->store;
    d->sizes = sizes;
    d->account = s->account;
    d->uid = ref->uid;
    buf_init(&d->type, DOWNLOAD_HEAD_MAX);
    buf_init(&d->fields, DOWNLOAD_HEAD_MAX);
    transfer_init(&d->t, DIGEST_7BIT);
    enum err e = download_find(d, s, folder, ref);
    if (e != ERR_OK) {
        download_free(&d);
        return e;
    }
    recall(d);
    *out = d;
    return ERR_OK;
}

void download_free(struct download **dp)
{
    struct download *d = *dp;
    *dp = NULL;
    if (d == NULL)
        return;
    buf_free(&d->type);
    buf_free(&d->fields);
    free(d->unwrap);
    free(d);
}

/* --- bytes */

/* The next ones of the message, at most `n`, no more than up to the end of a stored piece. */
static enum err fetch(const struct download *d, uint64_t n, struct buf *scratch)
{
    uint64_t at = d->raw_at + d->taken, rest = d->raw_n - d->taken;
    uint64_t piece = MESSAGE_PIECE - at % MESSAGE_PIECE;
    n = n < piece ? n : piece;
    n = n < rest ? n : rest;
    buf_clear(scratch);
    enum err e = message_read_raw(d->store, d->account, d->mailbox, d->uid, at, n, scratch);
    return e != ERR_OK ? e : scratch->n == n ? ERR_OK : ERR_DB;
}

static void rewind_bytes(struct download *d)
{
    d->taken = d->made = 0;
    transfer_init(&d->t, d->t.how);
    if (d->unwrap != NULL)
        unwrap_rewind(d->unwrap);
}

/* Have bytes been unwrapped that nobody has taken? */
static bool has_rest(const struct download *d)
{
    return d->unwrap != NULL && d->unwrap->rest.n != 0;
}

/* Nothing more has to be fetched: all that it can still give is there. */
static bool all_there(struct download *d)
{
    if (d->taken != d->raw_n && (d->unwrap == NULL || !unwrap_through(d->unwrap)))
        return false;
    if (d->unwrap != NULL && d->unwrap->rest.n == 0)
        unwrap_end(d->unwrap);
    return true;
}

/* As transfer_feed(); *in are bytes of the stored message. */
static size_t feed(struct download *d, struct str *in, char *out, size_t room)
{
    if (d->unwrap == NULL)
        return transfer_feed(&d->t, in, out, room);
    if (d->unwrap->rest.n == 0)
        unwrap_feed(d->unwrap, in);
    return transfer_feed(&d->t, &d->unwrap->rest, out, room);
}

/* What one step may take of the message: each byte of it goes through all layers. */
static uint64_t step_of(const struct download *d)
{
    return DOWNLOAD_STEP / (1 + (d->unwrap != NULL ? d->unwrap->n : 0));
}

static void end_measure(struct download *d)
{
    char rest[TRANSFER_STEP];
    d->size = d->made + transfer_finish(&d->t, rest);
    if (!transfer_was_encoded(&d->t)) {
        d->t.how = DIGEST_7BIT;
        d->size = d->encoded;
    }
    rewind_bytes(d);
    d->measured = true;
    remember(d);
}

enum err download_measure(struct download *d, struct buf *scratch)
{
    char made[8192];
    struct str in = STR("");
    if (d->measured)
        return ERR_OK;
    if (!all_there(d)) {
        enum err e = fetch(d, step_of(d), scratch);
        if (e != ERR_OK)
            return e;
        in = buf_slice(scratch);
        d->taken += in.n;
    }
    do {
        while (in.n != 0 || has_rest(d))
            d->made += feed(d, &in, made, sizeof made);
    } while (all_there(d) && has_rest(d));
    if (!all_there(d))
        return ERR_MORE;
    end_measure(d);
    return ERR_OK;
}

static void put_range(struct download *d, struct str range)
{
    uint64_t n = 0;
    buf_lit(&d->fields, "Accept-Ranges: bytes\r\n");
    switch (httpfield_range(range, d->size, &d->from, &n)) {
    case HTTP_RANGE_NONE:
        break;
    case HTTP_RANGE_ONE:
        d->status = 206;
        d->left = n;
        buf_printf(&d->fields, "Content-Range: bytes %llu-%llu/%llu\r\n",
                   (unsigned long long)d->from, (unsigned long long)(d->from + n - 1),
                   (unsigned long long)d->size);
        break;
    case HTTP_RANGE_BEYOND:
        d->status = 416;
        d->left = 0;
        buf_clear(&d->fields);
        buf_printf(&d->fields, "Content-Range: bytes */%llu\r\n", (unsigned long long)d->size);
        break;
    }
}

enum err download_head(struct download *d, struct str range)
{
    d->status = 200;
    d->from = 0;
    d->left = d->size;
    if (d->body)
        put_range(d, range);
    if (d->t.how == DIGEST_7BIT && d->unwrap == NULL) /* nothing has to be decoded to get there */
        d->taken = d->made = d->from;
    enum err e = buf_err(&d->type);
    return e != ERR_OK ? e : buf_err(&d->fields);
}

/* Of n bytes that have been made, those that are wanted. */
static void use(struct download *d, const char *bytes, size_t n, struct buf *out)
{
    uint64_t at = d->made;
    d->made += n;
    size_t skip = at < d->from ? (size_t)(d->from - at < n ? d->from - at : n) : 0;
    size_t take = n - skip < d->left ? n - skip : (size_t)d->left;
    buf_add(out, bytes + skip, take);
    d->left -= take;
}

/* Room for the next step: up to the first byte that is wanted nothing is kept. */
static size_t room_for(const struct download *d, size_t most, size_t done)
{
    uint64_t before = d->made < d->from ? d->from - d->made : 0;
    uint64_t room = before + (most - done);
    return room < 8192 ? (size_t)room : 8192;
}

enum err download_read(struct download *d, size_t most, struct buf *scratch, struct buf *out)
{
    char made[8192];
    size_t was = out->n, room;
    struct str in = STR("");
    if (most < DOWNLOAD_LEAST || d->left == 0)
        return ERR_OK;
    bool last = all_there(d);
    if (!last && !has_rest(d)) {
        uint64_t want = most < READ_STEP ? most : READ_STEP, step = step_of(d);
        enum err e = fetch(d, d->made < d->from || step < want ? step : want, scratch);
        if (e != ERR_OK)
            return e;
        in = buf_slice(scratch);
    }
    while ((in.n != 0 || has_rest(d)) && d->left != 0 &&
           (room = room_for(d, most, out->n - was)) >= TRANSFER_STEP) {
        size_t before = in.n, n = feed(d, &in, made, room);
        d->taken += before - in.n;
        use(d, made, n, out);
    }
    if (last && d->left != 0 && most - (out->n - was) >= TRANSFER_STEP && all_there(d) &&
        !has_rest(d)) {
        use(d, made, transfer_finish(&d->t, made), out);
        if (d->left != 0)
            return ERR_DB;
    }
    return buf_err(out);
}
