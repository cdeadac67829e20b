// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#include "codec/digest.h"

#include "codec/digest_form.h"
#include "codec/partid.h"

/* Takes a length and so many bytes off *in; false: they are not all there. */
static bool take(struct str *in, struct str *out)
{
    uint32_t n = 0;
    size_t i = 0;
    for (unsigned shift = 0;; shift += 7) {
        if (i == in->n || shift > 28)
            return false;
        unsigned char c = (unsigned char)in->p[i++];
        if (shift == 28 && c > 0x0f)
            return false;
        n |= (uint32_t)(c & 0x7f) << shift;
        if ((c & 0x80) == 0)
            break;
    }
    if (n > in->n - i)
        return false;
    *out = (struct str){in->p + i, n};
    *in = (struct str){in->p + i + n, in->n - i - n};
    return true;
}

/* ---- lists ---- */

static struct str record_of(const struct digest_fields *f, uint32_t i)
{
    const char *entry = f->blob.p + LIST_FIXED + (size_t)i * ENTRY_SIZE;
    uint32_t at = get_u32(entry + 4);
    uint32_t end = i + 1 < f->count ? get_u32(entry + ENTRY_SIZE + 4) : (uint32_t)f->blob.n;
    return (struct str){f->blob.p + at, end - at};
}

static bool value_ok(unsigned kind, struct str value)
{
    switch (kind) {
    case DIGEST_TEXT:
    case DIGEST_RETURN_PATH:
        return true;
    case DIGEST_DATE:
        return value.n >= 12;
    case DIGEST_ADDRESSES:
        return value.n >= 4 && get_u32(value.p) <= value.n - 4;
    default:
        return false;
    }
}

static enum err list_open(struct digest_fields *f, struct str blob)
{
    *f = (struct digest_fields){.blob = blob};
    if (blob.n < LIST_FIXED || get_u32(blob.p) != blob.n)
        return ERR_SYNTAX;
    uint32_t count = get_u16(blob.p + 4);
    unsigned char priority = (unsigned char)blob.p[6];
    size_t at = LIST_FIXED + (size_t)count * ENTRY_SIZE;
    if (count > DIGEST_FIELDS_MAX || priority > DIGEST_LOW || blob.p[7] != 0 || at > blob.n)
        return ERR_SYNTAX;
    for (uint32_t i = 0; i < count; i++) {
        const char *entry = blob.p + LIST_FIXED + (size_t)i * ENTRY_SIZE;
        if (get_u32(entry + 4) != at)
            return ERR_SYNTAX;
        size_t end = i + 1 < count ? get_u32(entry + ENTRY_SIZE + 4) : blob.n;
        size_t name_n = get_u16(entry + 8);
        if (end > blob.n || end < at || name_n > end - at)
            return ERR_SYNTAX;
        if (!value_ok((unsigned char)entry[10],
                      (struct str){blob.p + at + name_n, end - at - name_n}))
            return ERR_SYNTAX;
        at = end;
    }
    if (at != blob.n)
        return ERR_SYNTAX;
    f->count = count;
    f->priority = (enum digest_priority)priority;
    return ERR_OK;
}

enum err digest_head_open(struct digest_head *h, struct str blob)
{
    *h = (struct digest_head){.size = 0};
    if (blob.n < HEAD_FIXED || blob.n > DIGEST_BLOB_MAX || get_u32(blob.p) != HEAD_MAGIC ||
        get_u32(blob.p + 4) != blob.n)
        return ERR_SYNTAX;
    size_t type_n = (unsigned char)blob.p[16];
    size_t subtype_n = (unsigned char)blob.p[17];
    if (type_n + subtype_n > blob.n - HEAD_FIXED)
        return ERR_SYNTAX;
    struct digest_fields f;
    enum err e = list_open(&f, str_sub(blob, HEAD_FIXED + type_n + subtype_n, blob.n));
    if (e != ERR_OK)
        return e;
    h->fields = f;
    h->size = get_u64(blob.p + 8);
    h->type = str_sub(blob, HEAD_FIXED, type_n);
    h->subtype = str_sub(blob, HEAD_FIXED + type_n, subtype_n);
    return ERR_OK;
}

struct digest_field digest_fields_at(const struct digest_fields *f, uint32_t i)
{
    BUG_IF(i >= f->count);
    const char *entry = f->blob.p + LIST_FIXED + (size_t)i * ENTRY_SIZE;
    struct str record = record_of(f, i);
    size_t name_n = get_u16(entry + 8);
    struct str value = str_sub(record, name_n, record.n);
    struct digest_field out = {.name = str_sub(record, 0, name_n),
                               .kind = (enum digest_field_kind)(unsigned char)entry[10]};
    if (out.kind == DIGEST_DATE) {
        out.when = (int64_t)get_u64(value.p);
        out.shift = (int32_t)get_u32(value.p + 8);
        out.text = str_sub(value, 12, value.n);
    } else if (out.kind == DIGEST_ADDRESSES) {
        size_t n = get_u32(value.p);
        out.list = str_sub(value, 4, n);
        out.text = str_sub(value, 4 + n, value.n);
    } else {
        out.text = value;
    }
    return out;
}

bool digest_fields_next(const struct digest_fields *f, struct str name, uint32_t *from,
                        struct digest_field *out)
{
    uint32_t hash = name_hash(name);
    for (uint32_t i = *from; i < f->count; i++) {
        const char *entry = f->blob.p + LIST_FIXED + (size_t)i * ENTRY_SIZE;
        if (get_u32(entry) != hash || get_u16(entry + 8) != name.n)
            continue;
        if (str_ieq(str_sub(record_of(f, i), 0, name.n), name)) {
            *out = digest_fields_at(f, i);
            *from = i + 1;
            return true;
        }
    }
    *from = f->count;
    return false;
}

bool digest_fields_first(const struct digest_fields *f, struct str name, struct digest_field *out)
{
    uint32_t from = 0;
    return digest_fields_next(f, name, &from, out);
}

bool digest_address_next(struct str *list, struct digest_address *out)
{
    if (list->n == 0)
        return false;
    struct str in = str_sub(*list, 1, list->n);
    unsigned char kind = (unsigned char)list->p[0];
    if (kind > DIGEST_RAW_ADDRESS || !take(&in, &out->name) || !take(&in, &out->address)) {
        *list = STR_NONE;
        return false;
    }
    out->kind = (enum digest_address_kind)kind;
    *list = in;
    return true;
}

void digest_display(const struct digest_field *f, struct buf *out)
{
    if (f->kind != DIGEST_ADDRESSES) {
        if (f->kind != DIGEST_DATE)
            buf_str(out, f->text);
        return;
    }
    struct str list = f->list;
    struct digest_address a;
    for (bool first = true; digest_address_next(&list, &a); first = false) {
        if (!first)
            buf_lit(out, ", ");
        buf_str(out, a.name.n != 0 ? a.name : a.address);
    }
}

/* ---- parts ---- */

/* Reads part i; false when its data is not well-formed. */
static bool part_read(struct str blob, uint32_t i, struct digest_part *p)
{
    const char *r = blob.p + BODY_FIXED + (size_t)i * PART_SIZE;
    *p = (struct digest_part){
        .index = i,
        .parent = get_u32(r),
        .next = get_u32(r + 4),
        .estimated = get_u32(r + 8),
        .head_at = get_u32(r + 12),
        .raw_at = get_u32(r + 16),
        .raw_n = get_u32(r + 20),
        .depth = (unsigned char)r[32],
        .kind = (enum digest_part_kind)(unsigned char)r[33],
        .encoding = (enum digest_encoding)(unsigned char)r[34],
        .has_plain = r[35] != 0,
    };
    size_t at = get_u32(r + 24), n = get_u32(r + 28);
    if (at > blob.n || n > blob.n - at)
        return false;
    struct str data = {blob.p + at, n};
    unsigned last = 0;
    while (data.n != 0) {
        unsigned tag = (unsigned char)data.p[0];
        struct str *to = part_member(p, tag);
        data = str_sub(data, 1, data.n);
        if (to == NULL || tag <= last || !take(&data, to))
            return false;
        last = tag;
    }
    return true;
}

static bool lists_ok(struct str lists, uint32_t least, uint32_t most)
{
    uint32_t count = 0;
    while (lists.n != 0) {
        if (lists.n < 4)
            return false;
        size_t n = get_u32(lists.p);
        struct digest_fields f;
        if (n > lists.n || list_open(&f, str_sub(lists, 0, n)) != ERR_OK)
            return false;
        lists = str_sub(lists, n, lists.n);
        count++;
    }
    return count >= least && count <= most;
}

/* Has each kind of part what belongs to it? */
static bool part_ok(const struct digest_part *p)
{
    switch (p->kind) {
    case DIGEST_LEAF:
    case DIGEST_TEXT_PART:
        return p->next == p->index + 1 && p->lists.n == 0;
    case DIGEST_MULTIPART:
        return p->lists.n == 0;
    case DIGEST_MESSAGE:
        return p->next > p->index + 1 && lists_ok(p->lists, 1, 1);
    case DIGEST_HEADERS:
        return p->next == p->index + 1 && lists_ok(p->lists, 1, 1);
    case DIGEST_REPORT:
        return p->next == p->index + 1 && lists_ok(p->lists, 0, UINT32_MAX);
    default:
        return false;
    }
}

/* The nesting: depth-first order, children inside their parent, one child in a message. */
static bool tree_ok(struct str blob, const struct digest_part *p, uint32_t count)
{
    if (p->next <= p->index || p->next > count || p->encoding > DIGEST_UUENCODE ||
        p->depth > DIGEST_DEPTH_MAX)
        return false;
    if (p->index == 0)
        return p->parent == 0 && p->depth == 0 && p->next == count;
    if (p->parent >= p->index)
        return false;
    const char *r = blob.p + BODY_FIXED + (size_t)p->parent * PART_SIZE;
    uint32_t parent_next = get_u32(r + 4);
    unsigned kind = (unsigned char)r[33];
    if ((unsigned char)r[32] + 1U != p->depth || p->next > parent_next)
        return false;
    /* Depth-first: the part before this one is its parent, or lies in the parent's subtree and ends here. */
    const char *before = blob.p + BODY_FIXED + (size_t)(p->index - 1) * PART_SIZE;
    if (p->parent != p->index - 1 &&
        (get_u32(before + 4) != p->index || p->depth > (unsigned char)before[32]))
        return false;
    if (kind == DIGEST_MESSAGE)
        return p->index == p->parent + 1 && p->next == parent_next;
    return kind == DIGEST_MULTIPART;
}

enum err digest_body_open(struct digest_body *b, struct str blob)
{
    *b = (struct digest_body){.count = 0};
    if (blob.n < BODY_FIXED || blob.n > DIGEST_BLOB_MAX || get_u32(blob.p) != BODY_MAGIC ||
        get_u32(blob.p + 4) != blob.n || get_u32(blob.p + 12) != 0)
        return ERR_SYNTAX;
    uint32_t count = get_u32(blob.p + 8);
    if (count == 0 || count > DIGEST_PARTS_MAX || count > (blob.n - BODY_FIXED) / PART_SIZE)
        return ERR_SYNTAX;
    /* The chain of open subtrees: children must fill their parent without gaps. */
    for (uint32_t i = 0; i < count; i++) {
        struct digest_part p;
        if (!part_read(blob, i, &p) || !tree_ok(blob, &p, count) || !part_ok(&p))
            return ERR_SYNTAX;
    }
    *b = (struct digest_body){blob, count};
    return ERR_OK;
}

struct digest_part digest_part_at(const struct digest_body *b, uint32_t i)
{
    struct digest_part p;
    BUG_IF(i >= b->count);
    bool ok = part_read(b->blob, i, &p);
    BUG_IF(!ok);
    return p;
}

bool digest_part_find(const struct digest_body *b, struct str part_id, struct digest_part *out)
{
    char want[PARTID_MAX];
    size_t n;
    if (!partid_normal(part_id, want, &n))
        return false;
    for (uint32_t i = 0; i < b->count; i++) {
        *out = digest_part_at(b, i);
        if (str_eq(out->part_id, (struct str){want, n}))
            return true;
    }
    return false;
}

bool digest_param_next(struct str *params, struct str *name, struct str *value)
{
    if (params->n == 0 || !take(params, name) || !take(params, value)) {
        *params = STR_NONE;
        return false;
    }
    return true;
}

bool digest_lists_next(struct str *lists, struct digest_fields *out)
{
    size_t n = lists->n >= 4 ? get_u32(lists->p) : 0;
    if (n == 0 || n > lists->n || list_open(out, str_sub(*lists, 0, n)) != ERR_OK) {
        *lists = STR_NONE;
        return false;
    }
    *lists = str_sub(*lists, n, lists->n);
    return true;
}
