// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#include "store/store_int.h"

struct flag_name {
    const char *text;
    uint32_t bit;
    bool set;
};

static const struct flag_name names[] = {
#define FLAG(name, on, off, right)   {on, FLAG_##name, true}, {off, FLAG_##name, false},
#define FLAG_SYNONYM(text, name, on) {text, FLAG_##name, on},
#include "store/flags.tbl"
#undef FLAG
#undef FLAG_SYNONYM
};

struct flag_row {
    const char *name;
    char right;
};

static const struct flag_row rows[FLAG_COUNT] = {
#define FLAG(name, on, off, right) [FLAG_N_##name] = {on, right},
#define FLAG_SYNONYM(text, name, on)
#include "store/flags.tbl"
#undef FLAG
#undef FLAG_SYNONYM
};

bool flags_find(struct str name, uint32_t *bit, bool *set)
{
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (str_ieq(name, str_of(names[i].text))) {
            *bit = names[i].bit;
            *set = names[i].set;
            return true;
        }
    return false;
}

bool flags_keyword_ok(struct str name)
{
    if (name.n == 0 || name.n > FLAG_KEYWORD_MAX)
        return false;
    for (size_t i = 0; i < name.n; i++) {
        char c = name.p[i];
        bool first = (str_lower(c) >= 'a' && str_lower(c) <= 'z') || c == '$' || c == '_';

        if (!first && (i == 0 || !((c >= '0' && c <= '9') || c == '.' || c == '-')))
            return false;
    }
    return true;
}

enum err flags_parse(struct str text, struct flag_list *out)
{
    struct str item;

    out->count = 0;
    while (str_split(&text, ',', &item)) {
        struct flag_item f = {.set = true};

        item = str_trim(item);
        if (item.n == 0)
            continue;
        if (!flags_find(item, &f.bit, &f.set)) {
            if (!flags_keyword_ok(item))
                return ERR_FLAG_UNKNOWN;
            f.keyword = item;
        }
        if (out->count == FLAG_LIST_MAX)
            return ERR_FLAG_UNKNOWN;
        out->items[out->count++] = f;
    }
    return ERR_OK;
}

static void add_name(struct buf *b, bool *first, struct str name)
{
    if (!*first)
        buf_char(b, ',');
    *first = false;
    buf_str(b, name);
}

void flags_print(struct buf *b, uint32_t flags, uint64_t keywords, const struct flag_keywords *kw)
{
    bool first = true;

    for (uint32_t i = 0; i < FLAG_COUNT; i++)
        if ((flags & (UINT32_C(1) << i)) != 0)
            add_name(b, &first, str_of(rows[i].name));
    for (uint32_t i = 0; kw != NULL && keywords != 0 && i < FLAG_KEYWORDS_MAX; i++)
        if ((keywords & (UINT64_C(1) << i)) != 0 && kw->names[i].n != 0)
            add_name(b, &first, kw->names[i]);
}

void flags_rights(const struct flag_list *list, char to[8])
{
    size_t n = 0;

    for (uint32_t i = 0; i < list->count; i++) {
        char c = 'w';

        if (list->items[i].bit != 0)
            c = rows[__builtin_ctz(list->items[i].bit)].right;
        if (c != 0 && memchr(to, c, n) == NULL)
            to[n++] = c;
    }
    to[n] = 0;
}

int flag_keyword_bit(const struct flag_keywords *kw, struct str name)
{
    for (int i = 0; i < FLAG_KEYWORDS_MAX; i++)
        if (kw->names[i].n != 0 && str_ieq(kw->names[i], name))
            return i;
    return -1;
}
