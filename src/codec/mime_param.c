// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
/*
 * mime_params(): GMime cuts a field's value into names and values; what these mean is found out here. By itself GMime would
 * hand any charset that a message names to iconv: of encoded words (RFC 2047), of which it also loses some (what stands
 * behind one with base64 padding when the next one follows, 3.2.13), and of encoded and continued values (RFC 2231). So
 * "=?" and "*", by which it knows them, are hidden from it.
 */
#include <gmime/gmime.h>

#include "codec/digest.h"
#include "codec/mime_charset.h"
#include "codec/mime_value.h"

#define VALUE_MAX    ((size_t)4 << 20)
#define SECTIONS_MAX 10000
#define WHOLE_VALUE  -1

/* '^' may stand in names and values alike. "^1" is '^', "^2" is '*', "^3" nothing. */
static void hide(struct str s, struct buf *out)
{
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        if (c == '^' || c == '*')
            buf_str(out, c == '^' ? STR("^1") : STR("^2"));
        else
            buf_char(out, c);
        if (c == '=' && i + 1 < s.n && s.p[i + 1] == '?')
            buf_str(out, STR("^3"));
    }
    buf_char(out, '\0');
}

static void show(struct str s, struct buf *out)
{
    for (size_t i = 0; i < s.n; i++) {
        char next = i + 1 < s.n ? s.p[i + 1] : '\0';
        if (s.p[i] != '^' || next < '1' || next > '3') {
            buf_char(out, s.p[i]);
            continue;
        }
        if (next != '3')
            buf_char(out, next == '1' ? '^' : '*');
        i++;
    }
}

/* One name of the list: base, base*, base*SECTION or base*SECTION* (RFC 2231, 3 and 4). */
struct param {
    struct str base; /* in lower case */
    struct str value;
    int section; /* or WHOLE_VALUE */
    bool encoded;
    bool done;
};

static void read_name(struct str name, struct param *p)
{
    uint64_t section;
    p->section = WHOLE_VALUE;
    p->encoded = name.n > 1 && name.p[name.n - 1] == '*';
    if (p->encoded)
        name.n--;
    size_t star = str_find(name, '*');
    if (star != 0 && star + 1 < name.n &&
        str_u64(str_sub(name, star + 1, name.n), SECTIONS_MAX, &section) == ERR_OK) {
        p->section = (int)section;
        name.n = star;
    }
    p->base = name;
}

static void add_percent(struct str s, struct buf *out)
{
    for (size_t i = 0; i < s.n; i++) {
        int high = s.p[i] == '%' && i + 2 < s.n ? str_hex(s.p[i + 1]) : -1;
        int low = high >= 0 ? str_hex(s.p[i + 2]) : -1;
        if (low >= 0) {
            buf_char(out, (char)(high * 16 + low));
            i += 2;
        } else {
            buf_char(out, s.p[i]);
        }
    }
}

/* charset'language'text; without both marks all is text. */
static struct str take_charset(struct str *value)
{
    size_t first = str_find(*value, '\'');
    struct str rest = str_sub(*value, first + 1, value->n);
    size_t second = str_find(rest, '\'');
    if (first == value->n || second == rest.n)
        return STR_NONE;
    struct str charset = str_sub(*value, 0, first);
    *value = str_sub(rest, second + 1, rest.n);
    return charset;
}

/* The first part of that name with the lowest section above `last`, or NULL. */
static const struct param *next_part(const struct param *list, size_t n, struct str base, int last)
{
    const struct param *found = NULL;
    for (size_t i = 0; i < n; i++) {
        if (list[i].section > last && (found == NULL || list[i].section < found->section) &&
            str_eq(list[i].base, base))
            found = &list[i];
    }
    return found;
}

/* The bytes of a value, of all its parts. false: nothing of it was encoded, and there is no charset. */
static bool collect(const struct param *list, size_t n, struct str base, struct buf *bytes,
                    struct str *charset)
{
    bool encoded = false;
    const struct param *first = next_part(list, n, base, WHOLE_VALUE - 1), *p = first;
    while (p != NULL) {
        struct str value = p->value;
        if (p->encoded && p == first)
            *charset = take_charset(&value);
        if (p->encoded)
            add_percent(value, bytes);
        else
            buf_str(bytes, value);
        encoded = encoded || p->encoded;
        p = p->section != WHOLE_VALUE ? next_part(list, n, base, p->section) : NULL;
    }
    return encoded;
}

struct target {
    struct buf *params, *charset, *boundary;
};

static void give_value(const struct target *t, struct str base, struct str value, bool encoded)
{
    struct buf clean, text;
    buf_init(&clean, VALUE_MAX);
    buf_init(&text, VALUE_MAX);
    mime_clean(value, false, &clean);
    if (t->charset != NULL && str_eq(base, STR("charset"))) {
        for (size_t i = 0; i < clean.n; i++)
            buf_char(t->charset, str_lower(clean.p[i]));
    } else if (t->boundary != NULL && str_eq(base, STR("boundary"))) {
        buf_str(t->boundary, value);
    } else {
        if (!encoded)
            mime_decode(buf_slice(&clean), &text);
        digest_param_add(t->params, base, buf_slice(encoded ? &clean : &text));
    }
    buf_free(&clean);
    buf_free(&text);
}

static void take_value(struct param *list, size_t n, struct str base, const struct target *t)
{
    struct str charset = STR_NONE;
    struct buf bytes, utf8;
    buf_init(&bytes, VALUE_MAX);
    buf_init(&utf8, VALUE_MAX);
    bool encoded = collect(list, n, base, &bytes, &charset);
    if (encoded)
        mime_charset_convert(charset, buf_slice(&bytes), &utf8, NULL);
    give_value(t, base, buf_slice(encoded ? &utf8 : &bytes), encoded);
    for (size_t i = 0; i < n; i++)
        list[i].done = list[i].done || str_eq(list[i].base, base);
    buf_free(&bytes);
    buf_free(&utf8);
}

/* Names and values of GMime's list, as they were, one behind the other in `texts`: where each ends, then what it is. */
static void read_texts(GMimeParamList *from, struct param *list, size_t n, struct buf *texts)
{
    for (size_t i = 0; i < n; i++) {
        GMimeParam *p = g_mime_param_list_get_parameter_at(from, (int)i);
        show(str_of(g_mime_param_get_name(p)), texts);
        list[i].base.n = texts->n;
        show(str_of(g_mime_param_get_value(p)), texts);
        list[i].value.n = texts->n;
    }
    struct str all = buf_slice(texts);
    size_t at = 0;
    for (size_t i = 0; i < n; i++) {
        size_t middle = list[i].base.n, end = list[i].value.n;
        for (size_t k = at; k < middle; k++)
            texts->p[k] = str_lower(texts->p[k]);
        list[i].value = str_sub(all, middle, end - middle);
        read_name(str_sub(all, at, middle - at), &list[i]);
        at = end;
    }
}

static void take_params(GMimeParamList *from, uint32_t max, const struct target *t)
{
    int length = from != NULL ? g_mime_param_list_length(from) : 0;
    size_t n = length < 0 ? 0 : (size_t)length < max ? (size_t)length : max;
    struct param *list = g_new0(struct param, n + 1); /* or the end: parameters are not lost */
    struct buf texts;
    buf_init(&texts, VALUE_MAX);
    read_texts(from, list, n, &texts);
    for (size_t i = 0; i < n && !texts.failed; i++) {
        if (!list[i].done)
            take_value(list, n, list[i].base, t);
    }
    buf_free(&texts);
    g_free(list);
}

/* Cuts off what stands behind the n-th ';' outside of quotes. */
static struct str few_params(struct str s, uint32_t max)
{
    bool quoted = false;
    uint32_t seen = 0;
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        if (c == '\\' && quoted)
            i++;
        else if (c == '"')
            quoted = !quoted;
        else if (c == ';' && !quoted && ++seen > max)
            return str_sub(s, 0, i);
    }
    return s;
}

void mime_params(struct str unfolded, uint32_t max, struct buf *word, struct buf *params,
                 struct buf *charset, struct buf *boundary)
{
    struct target t = {params, charset, boundary};
    struct str s = few_params(unfolded, max);
    size_t semicolon = str_find(s, ';');
    struct str first = str_trim(str_sub(s, 0, semicolon));
    size_t n = 0;
    while (n < first.n && first.p[n] != ' ' && first.p[n] != '\t' && first.p[n] != '(' &&
           first.p[n] != '"')
        buf_char(word, str_lower(first.p[n++]));
    if (semicolon == s.n)
        return;
    struct buf hidden;
    buf_init(&hidden, VALUE_MAX);
    buf_str(&hidden, STR("x")); /* GMime wants a word there */
    hide(str_sub(s, semicolon, s.n), &hidden);
    GMimeContentDisposition *d =
        hidden.failed ? NULL : g_mime_content_disposition_parse(NULL, hidden.p);
    if (d != NULL) {
        take_params(g_mime_content_disposition_get_parameters(d), max, &t);
        g_object_unref(d);
    }
    buf_free(&hidden);
}
