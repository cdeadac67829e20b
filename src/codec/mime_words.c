// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#include "codec/mime_charset.h"
#include "codec/mime_value.h"

#define WORDS_MAX ((size_t)4 << 20)

struct word {
    struct str charset; /* without language */
    bool base64;
    struct str text;
    size_t n; /* bytes of the whole word */
};

/* An encoded word at the start of s (RFC 2047, 2; language: RFC 2231, 5). Blanks in the text are forgiven. */
static bool read_word(struct str s, struct word *w)
{
    if (!str_starts(s, STR("=?")))
        return false;
    size_t at = 2;
    while (at < s.n && s.p[at] > ' ' && s.p[at] != '?')
        at++;
    if (at + 2 >= s.n || s.p[at] != '?' || s.p[at + 2] != '?')
        return false;
    w->charset = str_sub(s, 2, at - 2);
    w->charset.n = str_find(w->charset, '*');
    char how = str_lower(s.p[at + 1]);
    w->base64 = how == 'b';
    if ((how != 'b' && how != 'q') || w->charset.n == 0)
        return false;
    struct str rest = str_sub(s, at + 3, s.n);
    const char *end = rest.n != 0 ? memmem(rest.p, rest.n, "?=", 2) : NULL;
    if (end == NULL)
        return false;
    w->text = str_sub(rest, 0, (size_t)(end - rest.p));
    w->n = at + 3 + w->text.n + 2;
    return true;
}

static int base64_digit(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

static void decode_base64(struct str s, struct buf *out)
{
    uint32_t bits = 0;
    unsigned have = 0;
    for (size_t i = 0; i < s.n; i++) {
        int digit = base64_digit(s.p[i]);
        if (digit < 0)
            continue;
        bits = bits << 6 | (uint32_t)digit;
        have += 6;
        if (have >= 8) {
            have -= 8;
            buf_char(out, (char)(bits >> have));
        }
    }
}

static void decode_q(struct str s, struct buf *out)
{
    for (size_t i = 0; i < s.n; i++) {
        int high = s.p[i] == '=' && i + 2 < s.n ? str_hex(s.p[i + 1]) : -1;
        int low = high >= 0 ? str_hex(s.p[i + 2]) : -1;
        if (low >= 0) {
            buf_char(out, (char)(high << 4 | low));
            i += 2;
        } else {
            buf_char(out, s.p[i] == '_' ? ' ' : s.p[i]);
        }
    }
}

/* The decoded bytes of neighbours with one charset together: some programs cut characters in two. Line ends become blanks. */
static void flush(struct str charset, struct buf *bytes, struct buf *utf8, struct buf *out)
{
    buf_clear(utf8);
    mime_charset_convert(charset, buf_slice(bytes), utf8, NULL);
    for (size_t i = 0; i < utf8->n; i++) {
        if (utf8->p[i] == '\r' || utf8->p[i] == '\n')
            utf8->p[i] = ' ';
    }
    mime_clean(buf_slice(utf8), false, out);
    buf_clear(bytes);
}

void mime_decode(struct str s, struct buf *out)
{
    struct buf bytes, utf8;
    if (s.n < 8 || memmem(s.p, s.n, "=?", 2) == NULL) {
        buf_str(out, s);
        return;
    }
    buf_init(&bytes, WORDS_MAX);
    buf_init(&utf8, WORDS_MAX);
    struct str charset = STR_NONE;
    size_t last_end =
        s.n; /* behind it no word can end: unfinished ones must not each look for theirs */
    while (last_end > 1 && (s.p[last_end - 2] != '?' || s.p[last_end - 1] != '='))
        last_end--;
    for (size_t i = 0; i < s.n;) {
        const char *hit = i + 2 < last_end ? memmem(s.p + i, last_end - i, "=?", 2) : NULL;
        size_t at = hit != NULL ? (size_t)(hit - s.p) : s.n;
        struct str between = str_sub(s, i, at - i);
        struct word w = {.n = 0};
        bool word = at < s.n && read_word(str_sub(s, at, s.n), &w);
        bool joined = charset.p != NULL && word && str_trim(between).n == 0;
        if (charset.p != NULL && (!joined || !str_ieq(charset, w.charset))) {
            flush(charset, &bytes, &utf8, out);
            charset = STR_NONE;
        }
        if (!joined)
            buf_str(out, between);
        if (!word) {
            if (at < s.n)
                buf_lit(out, "=?");
            i = at < s.n ? at + 2 : s.n;
            continue;
        }
        charset = w.charset;
        if (w.base64)
            decode_base64(w.text, &bytes);
        else
            decode_q(w.text, &bytes);
        i = at + w.n;
    }
    if (charset.p != NULL)
        flush(charset, &bytes, &utf8, out);
    buf_free(&bytes);
    buf_free(&utf8);
}
