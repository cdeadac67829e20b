// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#include "tools/ximss/match.h"

#define LOWER "abcdefghijklmnopqrstuvwxyz"
#define UPPER "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define DIGIT "0123456789"

/* Either a shape (9 digit, A letter or digit, h hex digit, anything else itself) or a run of characters. */
struct kind {
    const char *name;
    const char *shape;
    const char *set; /* with `but`: those that may not be there */
    bool but;
    size_t least;   /* of the run */
    size_t padding; /* so many '=' may follow it */
};

static const struct kind kinds[] = {
    {.name = "any", .set = "\"<>", .but = true},
    {.name = "num", .set = DIGIT, .least = 1},
    {.name = "time", .shape = "99999999T999999"},
    {.name = "timez", .shape = "99999999T999999Z"},
    {.name = "urlid", .shape = "999999-AAAAAAAAAAAAAAAAAAAA"},
    {.name = "hex8", .shape = "hhhhhhhh"},
    {.name = "b64", .set = LOWER UPPER DIGIT "+/", .padding = 2},
    {.name = "nonce", .set = LOWER UPPER DIGIT ".-", .least = 1},
};

static bool one_of(char c, const char *set)
{
    return c != 0 && strchr(set, c) != NULL;
}

static const struct kind *find_kind(struct str name)
{
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        if (str_eq(name, str_of(kinds[i].name)))
            return &kinds[i];
    }
    return NULL;
}

/* A placeholder at the head of s: its name, its kind (.p == NULL without '='), its length; 0: there is none. */
static size_t hole_at(struct str s, struct str *name, struct str *kind)
{
    size_t at = 1, eq = 0;
    if (s.n == 0 || s.p[0] != '{')
        return 0;
    for (; at < s.n && (one_of(s.p[at], LOWER DIGIT) || (s.p[at] == '=' && eq == 0)); at++) {
        if (s.p[at] == '=')
            eq = at;
    }
    if (at == s.n || s.p[at] != '}' || at == 1 || eq == 1 || eq == at - 1)
        return 0;
    *name = str_sub(s, 1, (eq != 0 ? eq : at) - 1);
    *kind = eq != 0 ? str_sub(s, eq + 1, at - eq - 1) : STR_NONE;
    return at + 1;
}

static bool find_name(const struct match_names *names, struct str name, struct str *value)
{
    for (size_t i = names->n; i-- > 0;) {
        if (str_eq(names->v[i].name, name)) {
            *value = names->v[i].value;
            return true;
        }
    }
    return false;
}

bool match_remember(struct match_names *names, struct str name, struct str value)
{
    if (names->n == MATCH_NAMES_MAX)
        return false;
    names->v[names->n].name = name;
    names->v[names->n++].value = value;
    return true;
}

bool match_check(struct str pattern, bool sent, struct match_names *names, struct str *why)
{
    struct str name, kind, value;
    for (size_t at = 0; at < pattern.n; at++) {
        size_t n = hole_at(str_sub(pattern, at, pattern.n - at), &name, &kind);
        if (n == 0)
            continue;
        *why = str_sub(pattern, at, n);
        bool known = find_name(names, name, &value);
        if (sent ? !known || kind.p != NULL
                 : !known && find_kind(kind.p != NULL ? kind : name) == NULL)
            return false;
        if (kind.p != NULL && !match_remember(names, name, STR("")))
            return false;
        at += n - 1;
    }
    return true;
}

void match_fill(struct str pattern, const struct match_names *names, struct buf *out)
{
    struct str name, kind, value;
    for (size_t at = 0; at < pattern.n;) {
        size_t n = hole_at(str_sub(pattern, at, pattern.n - at), &name, &kind);
        if (n != 0 && find_name(names, name, &value)) {
            buf_str(out, value);
            at += n;
        } else {
            buf_char(out, pattern.p[at++]);
        }
    }
}

static bool shape_fits(char want, char c)
{
    switch (want) {
    case '9':
        return one_of(c, DIGIT);
    case 'A':
        return one_of(c, LOWER UPPER DIGIT);
    case 'h':
        return one_of(c, DIGIT "abcdef");
    default:
        return c == want;
    }
}

/* The longest piece at the head of s that the kind allows. False: none at all. */
static bool longest(const struct kind *k, struct str s, size_t *n)
{
    size_t at = 0, pad = 0;
    if (k->shape != NULL) {
        for (; k->shape[at] != 0; at++) {
            if (at == s.n || !shape_fits(k->shape[at], s.p[at]))
                return false;
        }
        *n = at;
        return true;
    }
    while (at < s.n && one_of(s.p[at], k->set) != k->but)
        at++;
    while (at + pad < s.n && pad < k->padding && s.p[at + pad] == '=')
        pad++;
    *n = at + pad;
    return at >= k->least;
}

static bool match_hole(const struct kind *k, struct str name, struct str rest, struct str got,
                       struct match_names *names)
{
    size_t n, least = k->least, count = names->n;
    if (!longest(k, got, &n))
        return false;
    if (k->shape != NULL)
        least = n;
    /* Everything that is shorter than the longest piece is allowed too, down to the least. */
    for (;; n--) {
        names->n = count;
        if ((name.p == NULL || match_remember(names, name, str_sub(got, 0, n))) &&
            match_text(rest, str_sub(got, n, got.n - n), names))
            return true;
        if (n <= least)
            break;
    }
    names->n = count;
    return false;
}

bool match_text(struct str pattern, struct str got, struct match_names *names)
{
    struct str name, kind, value;
    for (;;) {
        size_t n = hole_at(pattern, &name, &kind);
        if (n == 0) {
            if (pattern.n == 0 || got.n == 0)
                return pattern.n == got.n;
            if (pattern.p[0] != got.p[0])
                return false;
            n = 1;
            value = str_sub(got, 0, 1);
        } else if (kind.p == NULL && find_name(names, name, &value)) {
            if (!str_starts(got, value))
                return false;
        } else {
            const struct kind *k = find_kind(kind.p != NULL ? kind : name);
            struct str rest = str_sub(pattern, n, pattern.n - n);
            return k != NULL && match_hole(k, kind.p != NULL ? name : STR_NONE, rest, got, names);
        }
        pattern = str_sub(pattern, n, pattern.n - n);
        got = str_sub(got, value.n, got.n - value.n);
    }
}
