// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
/*
 * op_folder_read: folderRead (protocol 2, 5.6). One `folderMessage`, written in pieces: a slice may end inside it.
 *
 * Everything is fetched from the store in the first slice, so that nothing but memory can fail once the message has begun.
 */
#include "base/utf8.h"
#include "codec/xout.h"
#include "store/message.h"
#include "ximss/args.h"
#include "ximss/email_xml.h"
#include "ximss/folder.h"
#include "ximss/locale.h"
#include "ximss/ops/handlers.h"

#define SOURCE_PIECE 8192
#define UTF8_REST    4 /* so many bytes more show whether the cut goes through a character */

enum read_mode { READ_FULL, READ_TEXT, READ_SOURCE };

struct reading {
    struct str folder, part_id;
    const struct folder *f;
    uint32_t uid;
    uint64_t limit; /* UINT64_MAX: the server's */
    enum read_mode mode;
    struct buf head, body; /* digest blobs */
    struct buf raw;
    struct digest_head h;
    struct digest_body b;
    struct email_cursor at;
    struct str rest; /* source: not yet written */
    bool latin1, begun;
    bool unreadable; /* the storage gives the header, but no body */
};

static void forget(struct req *r)
{
    struct reading *x = r->state;

    buf_free(&x->head);
    buf_free(&x->body);
    buf_free(&x->raw);
}

/* --- what is asked for */

static enum err read_mode(struct str given, enum read_mode *out)
{
    static const struct {
        const char *word;
        enum err e;
        enum read_mode mode;
    } modes[] = {
        {"", ERR_OK, READ_FULL},
        {"text", ERR_OK, READ_TEXT},
        {"source", ERR_OK, READ_SOURCE},
        {"replyFrom", ERR_UNSUPPORTED, READ_FULL},
        {"replyAll", ERR_UNSUPPORTED, READ_FULL},
        {"forward", ERR_UNSUPPORTED, READ_FULL},
        {"replyFromHTML", ERR_UNSUPPORTED, READ_FULL},
        {"replyAllHTML", ERR_UNSUPPORTED, READ_FULL},
        {"forwardHTML", ERR_UNSUPPORTED, READ_FULL},
    };

    for (size_t i = 0; i < ARRAY_LEN(modes); i++)
        if (str_ieq(str_trim(given), str_of(modes[i].word))) {
            *out = modes[i].mode;
            return modes[i].e;
        }
    return ERR_ATTR_VALUE;
}

static enum err read_request(const struct req *r, struct reading *x)
{
    struct str uid_text;
    uint64_t uid;
    enum err e = arg_need(r, "folder", &x->folder);

    if (e == ERR_OK)
        e = arg_need(r, "UID", &uid_text);
    if (e == ERR_OK)
        e = arg_u64(r, "UID", UINT64_MAX, 0, &uid);
    if (e == ERR_OK)
        e = arg_limit(r, "totalSizeLimit", &x->limit);
    if (e == ERR_OK)
        e = read_mode(arg_str(r, "mode"), &x->mode);
    if (e != ERR_OK)
        return e;
    x->uid = uid <= UINT32_MAX ? (uint32_t)uid : 0; /* 0: no message has it */
    x->part_id = arg_str(r, "partID");
    if (x->part_id.n == 0)
        x->part_id = STR_NONE;
    return x->mode == READ_SOURCE && x->part_id.p != NULL ? ERR_UNSUPPORTED : ERR_OK;
}

/* --- fetching */

static enum err fetch_raw(const struct req *r, struct reading *x, uint64_t n)
{
    return message_read_raw(r->s->store, r->s->account, x->f->mailbox, x->uid, 0, n, &x->raw);
}

static enum err open_digest(struct reading *x)
{
    enum err e = digest_head_open(&x->h, buf_slice(&x->head));

    return e == ERR_OK ? digest_body_open(&x->b, buf_slice(&x->body)) : e;
}

/* The header stands in another row than the body: it is shown with one part that says so (protocol 2, 6.3, readError). */
static enum err without_body(struct reading *x)
{
    struct digest_body_maker m;
    enum err e = digest_head_open(&x->h, buf_slice(&x->head));

    if (e != ERR_OK)
        return ERR_DB;
    bool root = str_eq(x->h.type, STR("multipart")); /* has no partID (6.4) */
    struct digest_part p = {.kind = DIGEST_LEAF,
                            .estimated = x->h.size < UINT32_MAX ? (uint32_t)x->h.size : UINT32_MAX,
                            .type = x->h.type,
                            .subtype = x->h.subtype,
                            .part_id = root ? STR("") : STR("01")};
    x->unreadable = true;
    buf_clear(&x->body);
    digest_body_init(&m);
    digest_part_add(&m, &p);
    digest_body_finish(&m, &x->body);
    digest_body_free(&m);
    e = buf_err(&x->body);
    return e == ERR_OK ? open_digest(x) : e;
}

/* As if nothing could parse the message (design 4). */
static enum err fetch_opaque(const struct req *r, struct reading *x)
{
    enum err e = fetch_raw(r, x, UINT64_MAX);

    if (e == ERR_DB)
        return without_body(x);
    buf_clear(&x->head);
    buf_clear(&x->body);
    if (e == ERR_OK)
        e = digest_opaque(buf_slice(&x->raw), &x->head, &x->body);
    buf_free(&x->raw);
    return e == ERR_OK ? open_digest(x) : e;
}

/* The stored digest, or what is left when it is damaged. */
static enum err fetch_digest(const struct req *r, struct reading *x)
{
    struct message_row m;
    enum err e = message_row_get(r->s->store, r->s->account, x->f->mailbox, x->uid, &m);

    if (e == ERR_OK) {
        buf_str(&x->head, m.head);
        e = buf_err(&x->head);
    }
    message_row_done(r->s->store);
    if (e != ERR_OK)
        return e;
    e = message_read_body(r->s->store, r->s->account, x->f->mailbox, x->uid, &x->body);
    if (e == ERR_OK)
        e = open_digest(x);
    return e == ERR_SYNTAX || e == ERR_DB ? fetch_opaque(r, x) : e;
}

/* UTF-8 if it is valid, else ISO 8859-1; cut at the limit, not through a character. */
static enum err fetch_source(const struct req *r, struct reading *x)
{
    uint64_t most = r->s->x->limits.inline_text;
    uint64_t n = x->limit < most ? x->limit : most;
    enum err e = fetch_raw(r, x, n + UTF8_REST);

    if (e != ERR_OK)
        return e;
    x->rest = utf8_prefix(buf_slice(&x->raw), n);
    x->latin1 = !utf8_valid(x->rest);
    if (x->latin1)
        x->rest = str_sub(buf_slice(&x->raw), 0, n);
    return ERR_OK;
}

static enum err fetch(const struct req *r, struct reading *x)
{
    uint64_t most = r->s->x->limits.inline_text;
    uint64_t limit = x->limit < most ? x->limit : most;
    struct email_options how = {
        .limit = (int64_t)limit, .limit_max = most, .text_only = x->mode == READ_TEXT};
    enum err e;

    if (x->mode == READ_SOURCE)
        return fetch_source(r, x);
    e = fetch_digest(r, x);
    how.unreadable = x->unreadable;
    how.part_id = x->unreadable ? STR_NONE : x->part_id;
    return e == ERR_OK ? email_begin(&x->at, &x->h, &x->b, &how) : e;
}

static enum err begin(const struct req *r, struct reading *x)
{
    struct folder *f;
    uint32_t index;
    enum err e = read_request(r, x);

    if (e == ERR_OK)
        e = folder_get(r, x->folder, "r", &f);
    if (e != ERR_OK)
        return e;
    if (!view_find(f->view, x->uid, &index))
        return ERR_MESSAGE_MISSING;
    x->f = f;
    return fetch(r, x);
}

/* --- writing */

static void write_head(struct req *r, const struct reading *x)
{
    static const char *const words[] = {[READ_TEXT] = "text", [READ_SOURCE] = "source"};

    req_open(r, "folderMessage");
    xout_attr(r->out, "folder", x->folder);
    xout_attr_u64(r->out, "UID", x->uid);
    if (x->mode != READ_FULL)
        xout_attr_lit(r->out, "mode", words[x->mode]);
    xout_attr_opt(r->out, "partID", x->part_id);
    xout_body(r->out);
    if (x->mode == READ_SOURCE) {
        xout_open(r->out, "EMail");
        xout_body(r->out);
    }
}

static void write_latin1(struct buf *out, struct str s)
{
    char utf8[2 * SOURCE_PIECE];
    size_t n = 0;

    for (size_t i = 0; i < s.n; i++)
        n += utf8_put(utf8 + n, (unsigned char)s.p[i]);
    xout_text(out, (struct str){utf8, n});
}

static enum err write_source(struct req *r, struct reading *x)
{
    while (x->rest.n != 0) {
        struct str piece = str_sub(x->rest, 0, SOURCE_PIECE);
        if (req_full(r))
            return ERR_MORE;
        if (x->latin1) {
            write_latin1(r->out, piece);
        } else {
            piece = utf8_prefix(x->rest, SOURCE_PIECE);
            xout_text(r->out, piece);
        }
        x->rest = str_sub(x->rest, piece.n, x->rest.n - piece.n);
    }
    xout_close(r->out, "EMail");
    return ERR_OK;
}

enum err op_folder_read(struct req *r)
{
    struct reading *x = r->state;
    enum err e = ERR_OK;

    if (x == NULL) {
        r->state = x = ARENA_NEW(&r->arena, struct reading);
        if (x == NULL)
            return ERR_NOMEM;
        buf_init(&x->head, DIGEST_BLOB_MAX);
        buf_init(&x->body, DIGEST_BLOB_MAX);
        buf_init(&x->raw, MESSAGE_MAX);
        r->cleanup = forget;
        e = begin(r, x);
        if (e != ERR_OK)
            return e;
        write_head(r, x);
    }
    if (x->mode == READ_SOURCE)
        e = write_source(r, x);
    else
        e = email_write(&x->at, &x->h, &x->b, session_zone(r->s), r->out, SLICE_AIM);
    if (e != ERR_OK)
        return e;
    xout_close(r->out, "folderMessage");
    xout_end(r->out);
    return ERR_OK;
}
