// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#include "ximss/download.h"

#include <stdlib.h>

#include "codec/httpfield.h"
#include "store/message.h"
#include "ximss/folder.h"
#include "ximss/session.h"

#define READ_STEP 65536 /* bytes of the message that are looked at for one piece of the answer */
#define TOKEN_MAX 64    /* of a type, a subtype, a charset */
#define HEAD_MAX  8192

/* --- Content-Type */

/* RFC 9110, 5.6.2. */
static bool is_token(struct str s)
{
    for (size_t i = 0; i < s.n; i++) {
        char c = str_lower(s.p[i]);
        if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
              (c != 0 && strchr("!#$%&'*+-.^_`|~", c) != NULL)))
            return false;
    }
    return s.n != 0 && s.n <= TOKEN_MAX;
}

/* A multipart that is none, or has been cut, is nothing that a browser should take apart. */
static void put_type(struct download *d, const struct digest_part *p)
{
    if (!is_token(p->type) || !is_token(p->subtype) || str_eq(p->type, STR("multipart"))) {
        buf_lit(&d->type, "application/octet-stream");
        return;
    }
    buf_str(&d->type, p->type);
    buf_char(&d->type, '/');
    buf_str(&d->type, p->subtype);
    if (str_eq(p->type, STR("text")) && is_token(p->charset)) {
        buf_lit(&d->type, "; charset=");
        buf_str(&d->type, p->charset);
    }
}

static struct str media_of(const struct download *d)
{
    struct str type = buf_slice(&d->type);
    return str_sub(type, 0, str_find(type, ';'));
}

/* --- Content-Disposition */

static struct str param(struct str params, struct str want)
{
    struct str name, value;
    while (digest_param_next(&params, &name, &value)) {
        if (str_eq(name, want))
            return value;
    }
    return STR_NONE;
}

/* The part's own name, or else the one that the client has put into the URL. */
static struct str name_of(const struct digest_part *p, const struct parturl *ref)
{
    struct str name = param(p->disposition_params, STR("filename"));
    if (name.n == 0)
        name = param(p->type_params, STR("name"));
    return name.n != 0 ? name : ref->name;
}

static void put_name(struct download *d, struct str name)
{
    buf_lit(&d->fields, "Content-Disposition: ");
    httpfield_disposition(&d->fields, httpfield_shown(media_of(d)), name);
    buf_lit(&d->fields, "\r\n");
}

/* --- which bytes */

static enum err find_message(const struct session *s, struct str folder, struct download *d,
                             uint64_t *size)
{
    const struct folder *f = folder_find(s, folder);
    struct message_row row;
    uint32_t index;
    if (f == NULL)
        return ERR_FOLDER_NOT_OPEN;
    if (f->dead)
        return ERR_MAILBOX_REMOVED;
    if (f->view == NULL || !view_find(f->view, d->uid, &index))
        return ERR_MESSAGE_MISSING;
    d->mailbox = f->mailbox;
    enum err e = message_row_get(s->store, s->account, f->mailbox, d->uid, &row);
    if (e == ERR_OK)
        *size = row.size;
    message_row_done(s->store);
    return e;
}

static void whole(struct download *d, uint64_t size)
{
    d->raw_n = size;
    d->size = size;
    d->measured = true;
}

static void put_source_head(struct download *d, struct str part)
{
    struct buf name;
    buf_init(&name, HEAD_MAX);
    buf_u64(&name, d->uid);
    if (part.n != 0)
        buf_char(&name, '-');
    buf_str(&name, part);
    buf_lit(&name, "-P.txt");
    buf_lit(&d->type, "text/plain; charset=utf-8");
    put_name(d, buf_slice(&name));
    buf_free(&name);
}

/* Does it stand inside a message that is encoded as a whole? Then the stored bytes are not its own. */
static bool is_wrapped(const struct digest_body *b, const struct digest_part *part)
{
    struct digest_part p = *part;
    while (p.index != 0) {
        p = digest_part_at(b, p.parent);
        if (p.kind == DIGEST_MESSAGE && p.encoding != DIGEST_7BIT)
            return true;
    }
    return false;
}

static bool find_part(const struct digest_body *b, const struct parturl *ref, struct digest_part *p)
{
    if (ref->part_n != 0)
        return digest_part_find(b, parturl_part(ref), p);
    *p = digest_part_at(b, 0);
    return true;
}

static enum err set_part(struct download *d, const struct digest_body *b, const struct parturl *ref,
                         uint64_t size)
{
    struct digest_part p;
    if (!find_part(b, ref, &p) || is_wrapped(b, &p))
        return ERR_PART_MISSING;
    if (p.raw_at > size || p.raw_n > size - p.raw_at || p.head_at > p.raw_at)
        return ERR_DB;
    if (ref->kind == PARTURL_SOURCE) {
        d->raw_at = p.head_at;
        whole(d, p.raw_at - p.head_at + (uint64_t)p.raw_n);
        put_source_head(d, parturl_part(ref));
        return ERR_OK;
    }
    if (p.kind == DIGEST_MULTIPART)
        return ERR_PART_MISSING;
    d->body = true;
    d->raw_at = p.raw_at;
    d->raw_n = p.raw_n;
    transfer_init(&d->t, p.encoding);
    if (p.encoding == DIGEST_7BIT)
        whole(d, p.raw_n);
    put_type(d, &p);
    put_name(d, name_of(&p, ref));
    return ERR_OK;
}

static enum err find_bytes(const struct session *s, struct download *d, struct str folder,
                           const struct parturl *ref)
{
    struct buf blob;
    struct digest_body b;
    uint64_t size = 0;
    enum err e = find_message(s, folder, d, &size);
    if (e != ERR_OK)
        return e;
    if (ref->kind == PARTURL_PHOTO)
        return ERR_PART_MISSING; /* no message is a contact yet */
    if (ref->kind == PARTURL_SOURCE && ref->part_n == 0) {
        whole(d, size);
        put_source_head(d, STR_NONE);
        return ERR_OK;
    }
    buf_init(&blob, DIGEST_BLOB_MAX);
    e = message_read_body(s->store, s->account, d->mailbox, d->uid, &blob);
    if (e == ERR_OK && digest_body_open(&b, buf_slice(&blob)) != ERR_OK)
        e = ERR_DB;
    if (e == ERR_OK)
        e = set_part(d, &b, ref, size);
    buf_free(&blob);
    return e;
}

/* --- lengths that are known */

static struct download_size *slot_of(const struct download *d)
{
    uint64_t key = (uint64_t)d->account * 31 + (uint64_t)d->mailbox;
    key = (key * 31 + d->uid) * 31 + d->raw_at;
    return &d->sizes->known[key % DOWNLOAD_SIZES];
}

static void recall(struct download *d)
{
    const struct download_size *k = slot_of(d);
    if (d->measured || k->mailbox != d->mailbox || k->account != d->account || k->uid != d->uid ||
        k->at != d->raw_at)
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
                                         .at = (uint32_t)d->raw_at,
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
    buf_init(&d->type, HEAD_MAX);
    buf_init(&d->fields, HEAD_MAX);
    transfer_init(&d->t, DIGEST_7BIT);
    enum err e = find_bytes(s, d, folder, ref);
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
}

static void end_measure(struct download *d)
{
    char rest[TRANSFER_STEP];
    d->size = d->made + transfer_finish(&d->t, rest);
    if (!transfer_was_encoded(&d->t)) {
        d->t.how = DIGEST_7BIT;
        d->size = d->raw_n;
    }
    rewind_bytes(d);
    d->measured = true;
    remember(d);
}

enum err download_measure(struct download *d, struct buf *scratch)
{
    char made[8192];
    if (!d->measured && d->taken < d->raw_n) {
        enum err e = fetch(d, DOWNLOAD_STEP, scratch);
        if (e != ERR_OK)
            return e;
        struct str in = buf_slice(scratch);
        d->taken += in.n;
        while (in.n != 0)
            d->made += transfer_feed(&d->t, &in, made, sizeof made);
    }
    if (!d->measured && d->taken == d->raw_n)
        end_measure(d);
    return d->measured ? ERR_OK : ERR_MORE;
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
    if (d->t.how == DIGEST_7BIT) /* nothing has to be decoded to get there */
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
    size_t was = out->n;
    uint64_t want = most < READ_STEP ? most : READ_STEP;
    if (most < DOWNLOAD_LEAST || d->left == 0)
        return ERR_OK;
    if (d->taken < d->raw_n) {
        enum err e = fetch(d, d->made < d->from ? DOWNLOAD_STEP : want, scratch);
        if (e != ERR_OK)
            return e;
        struct str in = buf_slice(scratch);
        size_t room;
        while (in.n != 0 && d->left != 0 &&
               (room = room_for(d, most, out->n - was)) >= TRANSFER_STEP) {
            size_t before = in.n, n = transfer_feed(&d->t, &in, made, room);
            d->taken += before - in.n;
            use(d, made, n, out);
        }
    } else {
        use(d, made, transfer_finish(&d->t, made), out);
        if (d->left != 0)
            return ERR_DB;
    }
    return buf_err(out);
}
