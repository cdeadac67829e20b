// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#include "codec/http1_priv.h"

/* Takes tchars off; false: there are none. */
static bool take_token(struct str *s)
{
    size_t n = 0;
    while (n < s->n && (http1_class[(unsigned char)s->p[n]] & HTTP1_C_TOKEN) != 0)
        n++;
    *s = str_sub(*s, n, s->n);
    return n != 0;
}

/* quoted-string (RFC 9110, 5.6.4), from its first quote on. */
static bool take_quoted(struct str *s)
{
    for (size_t i = 1; i < s->n; i++) {
        unsigned char c = (unsigned char)s->p[i];
        if (c == '"') {
            *s = str_sub(*s, i + 1, s->n);
            return true;
        }
        if (c == '\\' && ++i < s->n)
            c = (unsigned char)s->p[i];
        if ((http1_class[c] & HTTP1_C_VALUE) == 0)
            return false;
    }
    return false;
}

/* *( ";" name [ "=" value ] ), without the blanks that RFC 9112, 7.1.1 calls bad. */
static bool extensions_ok(struct str s)
{
    while (s.n != 0) {
        if (s.p[0] != ';')
            return false;
        s = str_sub(s, 1, s.n);
        if (!take_token(&s))
            return false;
        if (s.n == 0 || s.p[0] != '=')
            continue;
        s = str_sub(s, 1, s.n);
        if (!(s.n != 0 && s.p[0] == '"' ? take_quoted(&s) : take_token(&s)))
            return false;
    }
    return true;
}

bool http1_chunk_parse(struct str line, struct str *digits, struct http1_refusal *bad)
{
    size_t n = 0;
    while (n < line.n && (http1_class[(unsigned char)line.p[n]] & HTTP1_C_HEX) != 0)
        n++;
    if (n == 0 || n > HTTP1_MAX_CHUNK_SIZE)
        return http1_refuse(bad, 400, "size of a chunk");
    *digits = str_sub(line, 0, n);
    if (!extensions_ok(str_sub(line, n, line.n)))
        return http1_refuse(bad, 400, "chunk extension");
    return true;
}
