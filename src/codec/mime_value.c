// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#include "codec/mime_value.h"

#include <gmime/gmime.h>

#include "codec/digest.h"
#include "codec/mime_charset.h"

#define VALUE_MAX ((size_t)4 << 20)
#define HIDE      '\x7f'

void mime_value_init(void)
{
    g_mime_init();
    mime_charset_init();
}

void mime_unfold(struct str raw, struct buf *out)
{
    struct buf joined, utf8;
    raw = str_trim(raw);
    buf_init(&joined, VALUE_MAX);
    buf_init(&utf8, VALUE_MAX);
    struct str text = raw;
    if (str_find(raw, '\n') < raw.n || str_find(raw, '\r') < raw.n) {
        for (size_t i = 0; i < raw.n;) {
            size_t run = i;
            while (run < raw.n && raw.p[run] != '\n' && raw.p[run] != '\r')
                run++;
            buf_add(&joined, raw.p + i, run - i);
            i = run + 1;
        }
        text = buf_slice(&joined);
    }
    mime_charset_convert(STR(""), text, &utf8, NULL);
    mime_clean(buf_slice(&utf8), false, out);
    buf_free(&joined);
    buf_free(&utf8);
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

static void add_lower(struct buf *out, struct str s)
{
    for (size_t i = 0; i < s.n; i++)
        buf_char(out, str_lower(s.p[i]));
}

/*
 * GMime would decode encoded words in values, but loses what stands behind one with base64 padding when the next one follows
 * (3.2.13), and opens any converter. So "=?" is hidden from it, and mime_decode() reads the words afterwards.
 */
static void hide_words(struct str s, struct buf *out)
{
    for (size_t i = 0; i < s.n; i++) {
        buf_char(out, s.p[i]);
        if (s.p[i] == '=' && i + 1 < s.n && s.p[i + 1] == '?')
            buf_char(out, HIDE);
    }
    buf_char(out, '\0');
}

static void show_words(struct str s, struct buf *out)
{
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] != HIDE)
            buf_char(out, s.p[i]);
    }
}

static bool is_repeated(const struct buf *params, struct str key)
{
    struct str rest = buf_slice(params), name, value;
    while (digest_param_next(&rest, &name, &value)) {
        if (str_eq(name, key))
            return true;
    }
    return false;
}

static void take_params(GMimeParamList *list, uint32_t max, struct buf *params, struct buf *charset,
                        struct buf *boundary)
{
    struct buf name, value, words, clean;
    buf_init(&clean, VALUE_MAX);
    buf_init(&name, VALUE_MAX);
    buf_init(&value, VALUE_MAX);
    buf_init(&words, VALUE_MAX);
    int n = list != NULL ? g_mime_param_list_length(list) : 0;
    for (int i = 0; i < n && (uint32_t)i < max; i++) {
        GMimeParam *p = g_mime_param_list_get_parameter_at(list, i);
        struct str raw = str_of(g_mime_param_get_value(p));
        buf_clear(&name);
        buf_clear(&value);
        buf_clear(&words);
        buf_clear(&clean);
        add_lower(&name, str_of(g_mime_param_get_name(p)));
        struct str key = buf_slice(&name);
        if (charset != NULL && str_eq(key, STR("charset"))) {
            mime_clean(raw, false, &clean);
            if (charset->n == 0)
                add_lower(charset, buf_slice(&clean));
        } else if (boundary != NULL && str_eq(key, STR("boundary"))) {
            if (boundary->n == 0)
                buf_str(boundary, raw);
        } else if (!is_repeated(params, key)) {
            mime_clean(raw, false, &clean);
            show_words(buf_slice(&clean), &words);
            mime_decode(buf_slice(&words), &value);
            digest_param_add(params, key, buf_slice(&value));
        }
    }
    buf_free(&name);
    buf_free(&value);
    buf_free(&words);
    buf_free(&clean);
}

void mime_params(struct str unfolded, uint32_t max, struct buf *word, struct buf *params,
                 struct buf *charset, struct buf *boundary)
{
    struct str s = few_params(unfolded, max);
    size_t semicolon = str_find(s, ';');
    struct str first = str_trim(str_sub(s, 0, semicolon));
    size_t n = 0;
    while (n < first.n && first.p[n] != ' ' && first.p[n] != '\t' && first.p[n] != '(' &&
           first.p[n] != '"')
        n++;
    add_lower(word, str_sub(first, 0, n));
    if (semicolon == s.n)
        return;
    struct buf named;
    buf_init(&named, VALUE_MAX);
    buf_lit(&named, "x"); /* GMime wants a word there */
    hide_words(str_sub(s, semicolon, s.n), &named);
    GMimeContentDisposition *d =
        named.failed ? NULL : g_mime_content_disposition_parse(NULL, named.p);
    if (d != NULL) {
        take_params(g_mime_content_disposition_get_parameters(d), max, params, charset, boundary);
        g_object_unref(d);
    }
    buf_free(&named);
}
