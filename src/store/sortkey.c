// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#include "store/sortkey.h"

#include <stdlib.h>
#include <unicase.h>

#include "base/utf8.h"

#define TAG_MAX 32 /* characters of a [tag] with its brackets (appendix B) */

static bool is_ascii(struct str s)
{
    unsigned char any = 0;

    for (size_t i = 0; i < s.n; i++)
        any |= (unsigned char)s.p[i];
    return any < 0x80;
}

static enum err fold_ascii(struct str text, struct buf *out)
{
    char *to;

    if (text.n == 0)
        return ERR_OK;
    to = buf_room(out, text.n);
    if (to == NULL)
        return ERR_NOMEM;
    for (size_t i = 0; i < text.n; i++)
        to[i] = str_lower(text.p[i]);
    buf_grow(out, text.n);
    return ERR_OK;
}

enum err sortkey_fold(struct str text, struct buf *out)
{
    size_t n = 0;
    uint8_t *folded;

    if (is_ascii(text) || !utf8_valid(text))
        return fold_ascii(text, out);
    folded = u8_casefold((const uint8_t *)text.p, text.n, NULL, NULL, NULL, &n);
    if (folded == NULL)
        return ERR_NOMEM;
    buf_add(out, folded, n);
    free(folded);
    return buf_err(out);
}

enum err sortkey_contains(struct str text, struct str needle, struct buf *scratch, bool *hit)
{
    enum err e;

    *hit = needle.n == 0;
    if (*hit || text.n == 0)
        return ERR_OK;
    buf_clear(scratch);
    e = sortkey_fold(text, scratch);
    if (e == ERR_OK && scratch->n != 0)
        *hit = memmem(scratch->p, scratch->n, needle.p, needle.n) != NULL;
    return e;
}

/* Length of a leading [tag], 0 if there is none. */
static size_t tag_length(struct str s)
{
    size_t at = 0;

    if (s.n == 0 || s.p[0] != '[')
        return 0;
    for (int chars = 1; at < s.n && chars <= TAG_MAX; chars++)
        if (utf8_next(s, &at) == ']')
            return at;
    return 0;
}

/* Length of `[12]` or `(12)`. */
static size_t count_length(struct str s)
{
    size_t i = 1;

    if (s.n < 3 || (s.p[0] != '[' && s.p[0] != '('))
        return 0;
    while (i < s.n && s.p[i] >= '0' && s.p[i] <= '9')
        i++;
    return i > 1 && i < s.n && s.p[i] == (s.p[0] == '[' ? ']' : ')') ? i + 1 : 0;
}

/* Length of a leading `Re[2]:`. */
static size_t prefix_length(struct str s)
{
    static const char *const words[] = {"re", "fwd", "fw", "aw", "sv", "vs", "antw"};

    for (size_t i = 0; i < ARRAY_LEN(words); i++) {
        struct str w = str_of(words[i]);
        size_t n = w.n;

        if (!str_istarts(s, w))
            continue;
        n += count_length(str_sub(s, n, s.n));
        if (n < s.n && s.p[n] == ':')
            return n + 1;
    }
    return 0;
}

struct str sortkey_base_subject(struct str s)
{
    for (;;) {
        size_t n = 0;

        s = str_trim(s);
        n = tag_length(s);
        if (n != 0 && str_trim(str_sub(s, n, s.n)).n != 0) {
            s = str_sub(s, n, s.n);
            continue;
        }
        n = prefix_length(s);
        if (n == 0)
            return s;
        s = str_sub(s, n, s.n);
    }
}

static struct str sortable(const struct digest_field *f)
{
    struct digest_address a;
    struct str list = f->list;

    if (f->kind == DIGEST_ADDRESSES && digest_address_next(&list, &a))
        return a.name.n != 0 ? a.name : a.address;
    if (str_ieq(f->name, STR("Subject")))
        return sortkey_base_subject(f->text);
    return f->text;
}

enum err sortkey_field(const struct digest_head *h, struct str field, size_t max, struct buf *key,
                       bool *there)
{
    struct digest_field f;
    enum err e;

    buf_clear(key);
    *there = digest_fields_first(&h->fields, field, &f);
    if (!*there)
        return ERR_OK;
    e = sortkey_fold(sortable(&f), key);
    if (e == ERR_OK && key->n > max)
        buf_cut(key, utf8_prefix(buf_slice(key), max).n);
    return e;
}

bool sortkey_date(const struct digest_head *h, int64_t *when)
{
    struct digest_field f;

    if (!digest_fields_first(&h->fields, STR("Date"), &f) || f.kind != DIGEST_DATE)
        return false;
    *when = f.when;
    return true;
}
