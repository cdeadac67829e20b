// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#include "codec/urlpath.h"

#include "base/utf8.h"

static bool needs_decoding(struct str text, bool plus)
{
    return str_find(text, '%') != text.n || (plus && str_find(text, '+') != text.n);
}

/* Returns the length of what was written, or SIZE_MAX. Never longer than the text. */
static size_t decode_to(char *to, struct str text, bool plus)
{
    size_t n = 0;
    for (size_t i = 0; i < text.n; i++) {
        char c = text.p[i];
        if (c == '%') {
            int high = i + 2 < text.n ? str_hex(text.p[i + 1]) : -1;
            int low = high >= 0 ? str_hex(text.p[i + 2]) : -1;
            if (low < 0)
                return SIZE_MAX;
            c = (char)(high << 4 | low);
            i += 2;
        } else if (plus && c == '+') {
            c = ' ';
        }
        to[n++] = c;
    }
    return n;
}

enum err url_decode(struct arena *a, struct str text, bool plus, struct str *out)
{
    struct str s = text;
    if (needs_decoding(text, plus)) {
        char *to = arena_alloc(a, text.n);
        if (to == NULL)
            return ERR_NOMEM;
        s = (struct str){to, decode_to(to, text, plus)};
    }
    if (s.n == SIZE_MAX || str_find(s, '\0') != s.n || !utf8_valid(s))
        return ERR_SYNTAX;
    *out = s;
    return ERR_OK;
}

static bool is_unreserved(char c)
{
    char l = str_lower(c);
    return (l >= 'a' && l <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_' ||
           c == '~';
}

void url_encode(struct buf *to, struct str text)
{
    static const char digits[] = "0123456789ABCDEF";
    for (size_t i = 0; i < text.n; i++) {
        unsigned char c = (unsigned char)text.p[i];
        if (is_unreserved(text.p[i])) {
            buf_char(to, text.p[i]);
        } else {
            const char code[3] = {'%', digits[c >> 4], digits[c & 15]};
            buf_add(to, code, sizeof code);
        }
    }
}

static bool is_legal(struct str path)
{
    for (size_t i = 0; i < path.n; i++) {
        unsigned char c = (unsigned char)path.p[i];
        if (c <= 0x20 || c == 0x7f || c == '#' || c == '?')
            return false;
    }
    return path.n != 0 && path.p[0] == '/';
}

static enum err read_segment(struct arena *a, struct str raw, struct urlseg *seg)
{
    enum err e = url_decode(a, raw, false, &seg->text);
    if (e != ERR_OK)
        return e;
    seg->slash =
        str_find(seg->text, '/') != seg->text.n || str_find(seg->text, '\\') != seg->text.n;
    seg->dots = str_eq(seg->text, STR(".")) || str_eq(seg->text, STR(".."));
    return ERR_OK;
}

enum err urlpath_parse(struct arena *a, struct str path, struct urlpath *out)
{
    struct str rest = str_sub(path, 1, path.n), raw;
    if (!is_legal(path))
        return ERR_SYNTAX;
    out->n = 0;
    while (str_split(&rest, '/', &raw)) {
        if (out->n == URLPATH_SEGMENTS)
            return ERR_TOO_LONG;
        enum err e = read_segment(a, raw, &out->seg[out->n]);
        if (e != ERR_OK)
            return e;
        out->n++;
    }
    return ERR_OK;
}
