// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#include "store/view_int.h"

#include "codec/xtime.h"
#include "store/message.h"
#include "store/sortkey.h"

#define BYTES_PER_ROW 4096 /* so much text costs as much time as one row */

bool view_field_name_ok(struct str name)
{
    for (size_t i = 0; i < name.n; i++) {
        char c = name.p[i];
        bool letter = (str_lower(c) >= 'a' && str_lower(c) <= 'z') || c == '_';

        if (!letter && (i == 0 || !((c >= '0' && c <= '9') || c == '.' || c == '-')))
            return false;
    }
    return name.n != 0;
}

/* A flag name, or a keyword of this mailbox, or Not with one. */
static bool flag_token(struct view_filter *f, const struct flag_keywords *kw, struct str name)
{
    uint32_t bit = 0;
    bool set = false;
    int slot;

    if (flags_find(name, &bit, &set)) {
        f->set |= set ? bit : 0;
        f->clear |= set ? 0 : bit;
        return true;
    }
    slot = flag_keyword_bit(kw, name);
    if (slot >= 0) {
        f->kw_set |= UINT64_C(1) << slot;
        return true;
    }
    slot = str_istarts(name, STR("Not")) ? flag_keyword_bit(kw, str_sub(name, 3, name.n)) : -1;
    if (slot >= 0)
        f->kw_clear |= UINT64_C(1) << slot;
    return slot >= 0;
}

/* ERR_FLAG_UNKNOWN when a token is no flag. */
static enum err parse_flags(struct view *v, struct view_filter *f)
{
    struct flag_keywords kw;
    struct arena a;
    struct str rest = v->spec.filter, token;
    enum err e;

    arena_init(&a, 64 << 10);
    e = message_keywords(v->store, v->account, v->mailbox, &a, &kw);
    while (e == ERR_OK && str_split(&rest, ',', &token)) {
        token = str_trim(token);
        if (token.n != 0 && !flag_token(f, &kw, token))
            e = ERR_FLAG_UNKNOWN;
    }
    arena_free(&a);
    return e;
}

static enum view_filter_kind kind_of(struct str field)
{
    static const struct {
        const char *name;
        enum view_filter_kind kind;
    } table[] = {
        {"FLAGS", VIEW_FILTER_FLAGS}, {"BODY", VIEW_FILTER_BODY}, {"TEXT", VIEW_FILTER_TEXT},
        {"UID", VIEW_FILTER_ROW},     {"Size", VIEW_FILTER_ROW},  {"INTERNALDATE", VIEW_FILTER_ROW},
    };

    for (size_t i = 0; i < ARRAY_LEN(table); i++)
        if (str_ieq(field, str_of(table[i].name)))
            return table[i].kind;
    return VIEW_FILTER_FIELD;
}

static enum err parse_text(struct view *v, struct view_filter *f, struct str field)
{
    struct buf folded;
    enum err e;

    f->kind = kind_of(field);
    f->field = str_istarts(field, STR("E-")) ? str_sub(field, 2, field.n) : field;
    buf_init(&folded, VIEW_FILTER_MAX * 4);
    e = sortkey_fold(v->spec.filter, &folded);
    if (e == ERR_OK)
        f->needle = arena_str(&v->arena, buf_slice(&folded));
    buf_free(&folded);
    return e == ERR_OK && f->needle.p == NULL ? ERR_NOMEM : e;
}

enum err view_filter_parse_text(struct view *v)
{
    struct str field = v->spec.filter_field;

    v->filter = (struct view_filter){0};
    if (v->spec.filter.n == 0)
        return ERR_OK;
    return parse_text(v, &v->filter, field.n != 0 ? field : STR("Subject"));
}

enum err view_filter_parse(struct view *v)
{
    struct str field = v->spec.filter_field;
    struct view_filter flags = {.kind = VIEW_FILTER_FLAGS};
    enum err e;

    v->filter = (struct view_filter){0};
    if (v->spec.filter.n == 0)
        return ERR_OK;
    if (field.n != 0 && kind_of(field) != VIEW_FILTER_FLAGS)
        return view_filter_parse_text(v);
    e = parse_flags(v, &flags);
    if (e == ERR_OK)
        v->filter = flags;
    else if (e == ERR_FLAG_UNKNOWN && field.n == 0)
        e = view_filter_parse_text(v);
    return e;
}

/* --- passing */
static enum err look(struct view *v, struct str text, bool *hit, uint32_t *cost)
{
    *cost += (uint32_t)(text.n / BYTES_PER_ROW);
    return sortkey_contains(text, v->filter.needle, &v->build.scratch[1], hit);
}

static enum err look_field(struct view *v, const struct digest_field *f, bool *hit, uint32_t *cost)
{
    struct digest_address a;
    struct str list = f->list;
    enum err e = look(v, f->text, hit, cost);

    while (e == ERR_OK && !*hit && f->kind == DIGEST_ADDRESSES && digest_address_next(&list, &a)) {
        e = look(v, a.name, hit, cost);
        if (e == ERR_OK && !*hit)
            e = look(v, a.address, hit, cost);
    }
    return e;
}

/* The forms in which `<field>` shows what is not a header (1.7). */
static struct str shown(const struct view *v, const struct view_candidate *c, char to[XTIME_SIZE])
{
    struct buf b;

    if (str_ieq(v->filter.field, STR("INTERNALDATE")))
        return xtime_gmt_z(to, c->internaldate);
    buf_init(&b, XTIME_SIZE);
    buf_u64(&b, str_ieq(v->filter.field, STR("UID")) ? c->row.uid : (uint64_t)c->size);
    memcpy(to, b.p, b.n);
    to[b.n] = 0;
    buf_free(&b);
    return str_of(to);
}

static enum err pass_field(struct view *v, const struct digest_head *h, bool *hit, uint32_t *cost)
{
    static const char *const priority[] = {
        [DIGEST_NORMAL] = "", [DIGEST_HIGH] = "High", [DIGEST_LOW] = "Low"};
    struct digest_field f;
    uint32_t from = 0;
    enum err e = ERR_OK;

    if (str_ieq(v->filter.field, STR("Pty")))
        return look(v, str_of(priority[h->fields.priority]), hit, cost);
    if (str_ieq(v->filter.field, STR("Content-Type"))) {
        struct buf *b = &v->build.scratch[0];

        buf_clear(b);
        buf_str(b, h->type);
        buf_char(b, '/');
        buf_str(b, h->subtype);
        return buf_err(b) != ERR_OK ? ERR_NOMEM : look(v, buf_slice(b), hit, cost);
    }
    while (e == ERR_OK && !*hit && digest_fields_next(&h->fields, v->filter.field, &from, &f))
        e = look_field(v, &f, hit, cost);
    return e;
}

static enum err pass_any_field(struct view *v, const struct digest_head *h, bool *hit,
                               uint32_t *cost)
{
    enum err e = ERR_OK;

    for (uint32_t i = 0; i < h->fields.count && e == ERR_OK && !*hit; i++) {
        struct digest_field f = digest_fields_at(&h->fields, i);

        e = look_field(v, &f, hit, cost);
    }
    return e;
}

static enum err pass_body(struct view *v, int64_t content, bool *hit, uint32_t *cost)
{
    struct buf *blob = &v->build.scratch[0];
    struct digest_body b;
    enum err e;

    buf_clear(blob);
    *cost += 1;
    e = content_read(v->store, v->account, content, CONTENT_BODY, 0, UINT64_MAX, blob);
    if (e != ERR_OK || digest_body_open(&b, buf_slice(blob)) != ERR_OK)
        return e == ERR_NOT_FOUND ? ERR_OK : e;
    for (uint32_t i = 0; i < b.count && e == ERR_OK && !*hit; i++) {
        struct digest_part p = digest_part_at(&b, i);

        if (p.kind == DIGEST_TEXT_PART)
            e = look(v, p.text, hit, cost);
    }
    return e;
}

enum err view_filter_pass(struct view *v, const struct view_candidate *c, bool *pass,
                          uint32_t *cost)
{
    const struct view_filter *f = &v->filter;
    struct digest_head h;
    char text[XTIME_SIZE];
    enum err e = ERR_OK;

    *pass = f->kind == VIEW_FILTER_NONE;
    if (f->kind == VIEW_FILTER_FLAGS)
        *pass = (c->row.flags & f->set) == f->set && (c->row.flags & f->clear) == 0 &&
                (c->row.keywords & f->kw_set) == f->kw_set && (c->row.keywords & f->kw_clear) == 0;
    if (f->kind == VIEW_FILTER_ROW)
        return look(v, shown(v, c, text), pass, cost);
    if (f->kind < VIEW_FILTER_FIELD)
        return ERR_OK;
    if (digest_head_open(&h, c->head) == ERR_OK) {
        if (f->kind == VIEW_FILTER_FIELD)
            e = pass_field(v, &h, pass, cost);
        else if (f->kind == VIEW_FILTER_TEXT)
            e = pass_any_field(v, &h, pass, cost);
    }
    if (e == ERR_OK && !*pass && f->kind != VIEW_FILTER_FIELD)
        e = pass_body(v, c->content, pass, cost);
    return e;
}
