// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#include "codec/html_table.h"

#include "base/utf8.h"

#define WORD_MAX 128
#define TEXT_MAX 1024

#define KEEP  HTML_KEEP
#define VOID  HTML_VOID
#define DROP  HTML_DROP
#define TEXT  HTML_TEXT
#define WORD  HTML_WORD
#define LINK  HTML_LINK
#define IMAGE HTML_IMAGE
#define STYLE HTML_STYLES

static const struct html_tag tags[] = {
#define HTML_TAG(name, kind) {name, kind, __COUNTER__},
#include "codec/html_clean.tbl"
};
_Static_assert(ARRAY_LEN(tags) <= 200, "as the header says");

enum { FIRST_ATTR = __COUNTER__ + 1 };
static const struct html_attr attrs[] = {
#define HTML_ATTR(name, tags, check) {name, tags, check, __COUNTER__ - FIRST_ATTR},
#include "codec/html_clean.tbl"
};
_Static_assert(ARRAY_LEN(attrs) <= 64, "as the header says");

const struct html_tag *html_tag_at(uint8_t number)
{
    return &tags[number];
}

const struct html_tag *html_tag_find(struct str name)
{
    size_t low = 0, high = ARRAY_LEN(tags);
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        int c = str_cmp(str_of(tags[mid].name), name);
        if (c == 0)
            return &tags[mid];
        if (c < 0)
            low = mid + 1;
        else
            high = mid;
    }
    return NULL;
}

static bool is_for(const struct html_attr *a, const struct html_tag *t)
{
    struct str list = str_of(a->tags), one;
    while (list.p != NULL && str_split(&list, ' ', &one)) {
        if (str_eq(one, str_of(t->name)))
            return true;
    }
    return a->tags == NULL;
}

const struct html_attr *html_attr_find(const struct html_tag *t, struct str name)
{
    for (size_t i = 0; i < ARRAY_LEN(attrs); i++) {
        if (str_eq(str_of(attrs[i].name), name))
            return is_for(&attrs[i], t) ? &attrs[i] : NULL;
    }
    return NULL;
}

static bool is_word(struct str v)
{
    for (size_t i = 0; i < v.n; i++) {
        char c = str_lower(v.p[i]);
        if ((c < 'a' || c > 'z') && (c < '0' || c > '9') &&
            (c == '\0' || strchr(" #%.,+-_'", c) == NULL))
            return false;
    }
    return v.n <= WORD_MAX;
}

bool html_attr_check(const struct html_attr *a, struct str value, const struct html_part *parts,
                     uint32_t nparts, struct buf *to)
{
    buf_clear(to);
    switch (a->check) {
    case HTML_TEXT:
        buf_str(to, utf8_prefix(value, TEXT_MAX));
        return true;
    case HTML_WORD:
        if (is_word(value))
            buf_str(to, value);
        return is_word(value);
    case HTML_LINK:
        html_link(to, value);
        break;
    case HTML_IMAGE:
        html_image(to, value, parts, nparts);
        break;
    case HTML_STYLES:
        html_style(to, value);
        break;
    }
    return to->n != 0;
}
