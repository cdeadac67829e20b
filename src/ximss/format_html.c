// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
/* What a page is made of: the message's digest from the store, which part is shown as what, and the clean form. */
#include <stdlib.h>

#include "base/utf8.h"
#include "codec/html_job.h"
#include "codec/parturl.h"
#include "store/message.h"
#include "ximss/folder.h"
#include "ximss/format_priv.h"
#include "ximss/locale.h"

#define MEMORY ((size_t)4 << 20)

/* --- which part is what */

static bool is(const struct digest_part *p, const char *type, const char *subtype)
{
    return str_eq(p->type, str_of(type)) && str_eq(p->subtype, str_of(subtype));
}

static bool is_html(const struct digest_part *p)
{
    return p->kind == DIGEST_TEXT_PART && is(p, "text", "html") &&
           !str_ieq(p->disposition, STR("attachment"));
}

/* The next part that is not inside of a message. */
static uint32_t step(const struct digest_part *p)
{
    return p->kind == DIGEST_MESSAGE ? p->next : p->index + 1;
}

static uint32_t find_html(const struct format *f)
{
    struct digest_part p;
    for (uint32_t i = 0; i < f->b.count; i = step(&p)) {
        p = digest_part_at(&f->b, i);
        if (is_html(&p))
            return i;
    }
    return FORMAT_NO_PART;
}

/* Is there a multipart of that subtype around both, in which they stand in different branches? */
static bool are_apart(const struct format *f, const struct digest_part *p, uint32_t other,
                      const char *subtype)
{
    struct digest_part branch = *p, above;
    while (branch.index != 0) {
        above = digest_part_at(&f->b, branch.parent);
        bool around = other > above.index && other < above.next;
        if (around && is(&above, "multipart", subtype) &&
            (other < branch.index || other >= branch.next))
            return true;
        branch = above;
    }
    return false;
}

static enum format_role role_of(const struct format *f, const struct digest_part *p)
{
    if (p->kind == DIGEST_MULTIPART)
        return FORMAT_ROLE_HIDDEN;
    if (p->index == f->html)
        return FORMAT_ROLE_HTML;
    if (f->html != FORMAT_NO_PART && are_apart(f, p, f->html, "alternative"))
        return FORMAT_ROLE_HIDDEN;
    if (f->html != FORMAT_NO_PART && p->content_id.n != 0 && str_eq(p->type, STR("image")) &&
        are_apart(f, p, f->html, "related"))
        return FORMAT_ROLE_HIDDEN;
    if (p->kind != DIGEST_TEXT_PART || str_ieq(p->disposition, STR("attachment")))
        return FORMAT_ROLE_ATTACHED;
    if (is_html(p) && p->has_plain)
        return f->html == FORMAT_NO_PART ? FORMAT_ROLE_HIDDEN : FORMAT_ROLE_ATTACHED;
    if (is_html(p))
        return f->html == FORMAT_NO_PART ? FORMAT_ROLE_TEXT : FORMAT_ROLE_ATTACHED;
    return p->index == 0 || is(p, "text", "plain") ? FORMAT_ROLE_TEXT : FORMAT_ROLE_ATTACHED;
}

static void give_roles(struct format *f)
{
    struct digest_part p;
    memset(f->roles, FORMAT_ROLE_HIDDEN, f->b.count);
    for (uint32_t i = 0; i < f->b.count; i = step(&p)) {
        p = digest_part_at(&f->b, i);
        f->roles[i] = (uint8_t)role_of(f, &p);
    }
}

struct str format_part_name(const struct digest_part *p)
{
    struct str lists[] = {p->disposition_params, p->type_params}, name, value;
    static const char *const wanted[] = {"filename", "name"};
    for (size_t i = 0; i < ARRAY_LEN(lists); i++) {
        while (digest_param_next(&lists[i], &name, &value)) {
            if (str_eq(name, str_of(wanted[i])) && value.n != 0)
                return value;
        }
    }
    return p->description;
}

void format_part_url(const struct format *f, const struct digest_part *p, struct buf *to)
{
    parturl_make(to, f->o.url_id, f->o.folder, f->o.uid, p->part_id, format_part_name(p));
}

/* Parts that the HTML may show. */
static enum err list_parts(struct format *f)
{
    struct digest_part p;
    struct buf url;
    f->parts = arena_array(&f->a, HTML_PARTS_MAX, sizeof *f->parts);
    if (f->parts == NULL)
        return ERR_NOMEM;
    buf_init(&url, 65536);
    for (uint32_t i = 0; i < f->b.count && f->nparts < HTML_PARTS_MAX; i = step(&p)) {
        p = digest_part_at(&f->b, i);
        if (p.content_id.n == 0 || p.content_id.n > FORMAT_VALUE_MAX || p.kind == DIGEST_MULTIPART)
            continue;
        buf_clear(&url);
        format_part_url(f, &p, &url);
        struct str copy = arena_str(&f->a, buf_slice(&url));
        if (copy.p != NULL && !url.failed)
            f->parts[f->nparts++] = (struct html_part){p.content_id, copy};
    }
    buf_free(&url);
    return ERR_OK;
}

/* --- making */

static enum err prepare(struct format *f, const struct format_options *o)
{
    enum err e = digest_head_open(&f->h, buf_slice(&f->head));
    if (e == ERR_OK)
        e = digest_body_open(&f->b, buf_slice(&f->body));
    if (e != ERR_OK)
        return e;
    f->o = *o;
    f->left = o->text_max;
    f->o.url_id = arena_str(&f->a, o->url_id);
    f->o.folder = arena_str(&f->a, o->folder);
    f->roles = arena_alloc(&f->a, f->b.count);
    if (f->o.url_id.p == NULL || f->o.folder.p == NULL || f->roles == NULL)
        return ERR_NOMEM;
    f->html = find_html(f);
    give_roles(f);
    return f->html != FORMAT_NO_PART ? list_parts(f) : ERR_OK;
}

enum err format_new(struct buf *head, struct buf *body, const struct format_options *o,
                    struct format **out)
{
    struct format *f = calloc(1, sizeof *f);
    *out = NULL;
    if (f == NULL) {
        buf_free(head);
        buf_free(body);
        return ERR_NOMEM;
    }
    arena_init(&f->a, MEMORY);
    f->head = *head;
    f->body = *body;
    buf_init(head, head->max);
    buf_init(body, body->max);
    buf_init(&f->clean, html_limits_default.output);
    enum err e = prepare(f, o);
    if (e != ERR_OK)
        format_free(&f);
    *out = f;
    return e;
}

void format_free(struct format **fp)
{
    struct format *f = *fp;
    *fp = NULL;
    if (f == NULL)
        return;
    buf_free(&f->head);
    buf_free(&f->body);
    buf_free(&f->clean);
    arena_free(&f->a);
    free(f);
}

/* --- from the store */

static enum err read_digest(const struct session *s, int64_t mailbox, uint32_t uid,
                            struct buf *head, struct buf *body)
{
    struct message_row m;
    enum err e = message_row_get(s->store, s->account, mailbox, uid, &m);

    if (e == ERR_OK) {
        buf_str(head, m.head);
        e = buf_err(head);
    }
    message_row_done(s->store);
    return e == ERR_OK ? message_read_body(s->store, s->account, mailbox, uid, body) : e;
}

/* As if nothing could parse the message (design 4). */
static enum err read_opaque(const struct session *s, int64_t mailbox, uint32_t uid,
                            struct buf *head, struct buf *body)
{
    struct buf raw;
    enum err e;

    buf_clear(head);
    buf_clear(body);
    buf_init(&raw, MESSAGE_MAX);
    e = message_read_raw(s->store, s->account, mailbox, uid, 0, UINT64_MAX, &raw);
    if (e == ERR_OK)
        e = digest_opaque(buf_slice(&raw), head, body);
    buf_free(&raw);
    return e;
}

enum err format_open(struct session *s, struct str folder, uint32_t uid, struct format **out)
{
    const struct folder *f = folder_find(s, folder);
    struct format_options o = {.url_id = s->url_id,
                               .folder = folder,
                               .uid = uid,
                               .zone = session_zone(s),
                               .text_max = s->x->limits.inline_text};
    struct buf head, body;
    uint32_t index;

    *out = NULL;
    if (f == NULL)
        return ERR_FOLDER_NOT_OPEN;
    if (f->dead)
        return ERR_MAILBOX_REMOVED;
    if (!view_find(f->view, uid, &index))
        return ERR_MESSAGE_MISSING;
    buf_init(&head, DIGEST_BLOB_MAX);
    buf_init(&body, DIGEST_BLOB_MAX);
    enum err e = read_digest(s, f->mailbox, uid, &head, &body);
    if (e == ERR_OK)
        e = format_new(&head, &body, &o, out);
    if (e == ERR_SYNTAX || e == ERR_DB) {
        e = read_opaque(s, f->mailbox, uid, &head, &body);
        if (e == ERR_OK)
            e = format_new(&head, &body, &o, out);
    }
    buf_free(&head);
    buf_free(&body);
    return e;
}

/* --- the clean form */

bool format_wants_clean(const struct format *f)
{
    return f->html != FORMAT_NO_PART && f->stage == FORMAT_STAGE_HEAD && f->clean.n == 0;
}

void format_job(struct format *f, struct buf *job)
{
    struct digest_part p = digest_part_at(&f->b, f->html);
    html_job_write(job, f->parts, f->nparts, utf8_prefix(p.text, html_limits_default.input));
}

void format_cleaned(struct format *f, enum err e, struct str html)
{
    if (e == ERR_OK)
        buf_str(&f->clean, html);
    if (e == ERR_OK && buf_err(&f->clean) == ERR_OK)
        return;
    f->html = FORMAT_NO_PART;
    give_roles(f);
}
