// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#include "base/utf8.h"

static bool is_cont(unsigned char c)
{
    return (c & 0xc0) == 0x80;
}

uint32_t utf8_next(struct str s, size_t *at)
{
    const unsigned char *p = (const unsigned char *)s.p + *at;
    size_t left = s.n - *at;
    uint32_t c = p[0];
    size_t len = c < 0x80 ? 1 : c < 0xc2 ? 0 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : c < 0xf5 ? 4 : 0;
    if (len == 1) {
        *at += 1;
        return c;
    }
    if (len == 0 || left < len)
        goto bad;
    c &= 0xffU >> (len + 1);
    for (size_t i = 1; i < len; i++) {
        if (!is_cont(p[i]))
            goto bad;
        c = c << 6 | (p[i] & 0x3f);
    }
    if ((len == 3 && c < 0x800) || (len == 4 && c < 0x10000) || c > 0x10ffff ||
        (c >= 0xd800 && c <= 0xdfff))
        goto bad;
    *at += len;
    return c;
bad:
    *at += 1;
    return 0xfffd;
}

bool utf8_valid(struct str s)
{
    size_t at = 0;
    while (at < s.n) {
        if ((unsigned char)s.p[at] < 0x80) {
            at++;
            continue;
        }
        size_t before = at;
        if (utf8_next(s, &at) == 0xfffd && at - before != 3)
            return false;
    }
    return true;
}

size_t utf8_put(char to[4], uint32_t cp)
{
    if (cp > 0x10ffff || (cp >= 0xd800 && cp <= 0xdfff))
        cp = 0xfffd;
    if (cp < 0x80) {
        to[0] = (char)cp;
        return 1;
    }
    if (cp < 0x800) {
        to[0] = (char)(0xc0 | cp >> 6);
        to[1] = (char)(0x80 | (cp & 0x3f));
        return 2;
    }
    if (cp < 0x10000) {
        to[0] = (char)(0xe0 | cp >> 12);
        to[1] = (char)(0x80 | (cp >> 6 & 0x3f));
        to[2] = (char)(0x80 | (cp & 0x3f));
        return 3;
    }
    to[0] = (char)(0xf0 | cp >> 18);
    to[1] = (char)(0x80 | (cp >> 12 & 0x3f));
    to[2] = (char)(0x80 | (cp >> 6 & 0x3f));
    to[3] = (char)(0x80 | (cp & 0x3f));
    return 4;
}

bool utf8_xml_char(uint32_t cp)
{
    return cp == 9 || cp == 10 || cp == 13 || (cp >= 0x20 && cp <= 0xd7ff) ||
           (cp >= 0xe000 && cp <= 0xfffd) || (cp >= 0x10000 && cp <= 0x10ffff);
}

bool utf8_is_control(uint32_t cp)
{
    return cp < 0x20 || (cp >= 0x7f && cp <= 0x9f) || cp == 0x061c || cp == 0x200e ||
           cp == 0x200f || (cp >= 0x2028 && cp <= 0x202e) || (cp >= 0x2066 && cp <= 0x2069) ||
           cp == 0xfeff;
}

struct str utf8_prefix(struct str s, size_t n)
{
    if (s.n <= n)
        return s;
    while (n > 0 && is_cont((unsigned char)s.p[n]))
        n--;
    return str_sub(s, 0, n);
}
