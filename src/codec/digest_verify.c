// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#include "base/utf8.h"
#include "codec/digest.h"

/* Well-formed UTF-8 of characters that XML allows. */
static bool clean(struct str s)
{
    for (size_t i = 0; i < s.n;) {
        if (s.p[i] >= 0x20) { /* ASCII: char is signed or not, 0x7f is allowed */
            if ((unsigned char)s.p[i] < 0x80) {
                i++;
                continue;
            }
        }
        size_t before = i;
        uint32_t c = utf8_next(s, &i);
        if (!utf8_xml_char(c) || (c == 0xfffd && i - before != 3))
            return false;
    }
    return true;
}

static bool list_fine(const struct digest_fields *f)
{
    for (uint32_t i = 0; i < f->count; i++) {
        struct digest_field field = digest_fields_at(f, i);
        struct digest_address a;
        if (!clean(field.name) || !clean(field.text))
            return false;
        while (digest_address_next(&field.list, &a)) {
            if (!clean(a.name) || !clean(a.address))
                return false;
        }
        if (field.list.p == NULL && field.kind == DIGEST_ADDRESSES)
            return false; /* ended in the middle */
    }
    return true;
}

static bool params_fine(struct str params)
{
    struct str name, value;
    while (digest_param_next(&params, &name, &value)) {
        if (!clean(name) || !clean(value))
            return false;
    }
    return true;
}

static bool part_id_fine(struct str id)
{
    for (size_t i = 0; i < id.n; i++) {
        if ((id.p[i] < '0' || id.p[i] > '9') && id.p[i] != '-')
            return false;
    }
    return id.n < 256;
}

static bool part_fine(const struct digest_part *p, uint64_t size)
{
    const struct str all[] = {p->type,        p->subtype,     p->charset,  p->content_id,
                              p->disposition, p->description, p->location, p->klass,
                              p->parse_error, p->text,        p->plain};
    if (p->raw_at > size || p->raw_n > size - p->raw_at || p->head_at > p->raw_at ||
        !part_id_fine(p->part_id))
        return false;
    for (size_t i = 0; i < ARRAY_LEN(all); i++) {
        if (!clean(all[i]))
            return false;
    }
    struct str lists = p->lists;
    struct digest_fields f;
    while (digest_lists_next(&lists, &f)) {
        if (!list_fine(&f))
            return false;
    }
    return params_fine(p->type_params) && params_fine(p->disposition_params);
}

enum err digest_verify(struct str head, struct str body, uint64_t size)
{
    struct digest_head h;
    struct digest_body b;
    enum err e = digest_head_open(&h, head);
    if (e == ERR_OK)
        e = digest_body_open(&b, body);
    if (e != ERR_OK)
        return e;
    if (h.size != size || !clean(h.type) || !clean(h.subtype) || !list_fine(&h.fields))
        return ERR_SYNTAX;
    for (uint32_t i = 0; i < b.count; i++) {
        struct digest_part p = digest_part_at(&b, i);
        if (!part_fine(&p, size))
            return ERR_SYNTAX;
    }
    return ERR_OK;
}
