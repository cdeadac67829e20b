// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#include "codec/b64.h"

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void b64_encode(struct buf *to, struct str bytes)
{
    const unsigned char *p = (const unsigned char *)bytes.p;
    size_t size = b64_size(bytes.n);
    if (size == 0)
        return;
    char *w = buf_room(to, size);
    if (w == NULL)
        return;
    size_t left = bytes.n;
    for (; left >= 3; left -= 3, p += 3) {
        *w++ = alphabet[p[0] >> 2];
        *w++ = alphabet[(p[0] & 3) << 4 | p[1] >> 4];
        *w++ = alphabet[(p[1] & 15) << 2 | p[2] >> 6];
        *w++ = alphabet[p[2] & 63];
    }
    if (left != 0) {
        unsigned second = left == 2 ? p[1] : 0U;
        *w++ = alphabet[p[0] >> 2];
        *w++ = alphabet[(p[0] & 3U) << 4 | second >> 4];
        *w++ = left == 2 ? alphabet[(second & 15) << 2] : '=';
        *w++ = '=';
    }
    buf_grow(to, size);
}

/* 0 to 63, SPACE, PAD or WRONG. */
enum { SPACE = 64, PAD, WRONG };

static unsigned digit(char c)
{
    if (c >= 'A' && c <= 'Z')
        return (unsigned)(c - 'A');
    if (c >= 'a' && c <= 'z')
        return (unsigned)(c - 'a' + 26);
    if (c >= '0' && c <= '9')
        return (unsigned)(c - '0' + 52);
    switch (c) {
    case '+':
        return 62;
    case '/':
        return 63;
    case '=':
        return PAD;
    case ' ':
    case '\t':
    case '\r':
    case '\n':
        return SPACE;
    default:
        return WRONG;
    }
}

enum err b64_decode(struct buf *to, struct str text)
{
    if (buf_err(to) != ERR_OK || text.n == 0)
        return buf_err(to);
    char *from = buf_room(to, text.n / 4 * 3 + 3);
    if (from == NULL) {
        buf_cut(to, to->n);
        return ERR_NOMEM;
    }
    char *w = from;
    unsigned bits = 0;
    unsigned have = 0; /* digits in this group of four */
    unsigned pads = 0;
    for (size_t i = 0; i < text.n; i++) {
        unsigned d = digit(text.p[i]);
        if (d == SPACE)
            continue;
        if (d == PAD)
            pads++;
        else if (d == WRONG || pads != 0)
            return ERR_SYNTAX;
        else {
            bits = (bits << 6 | d) & 0xffffff;
            have = (have + 1) % 4;
            if (have == 0) {
                *w++ = (char)(bits >> 16);
                *w++ = (char)(bits >> 8 & 0xff);
                *w++ = (char)(bits & 0xff);
            }
        }
    }
    if (have == 1 || pads > (have == 0 ? 0 : 4 - have))
        return ERR_SYNTAX;
    if (have == 2)
        *w++ = (char)(bits >> 4 & 0xff);
    if (have == 3) {
        *w++ = (char)(bits >> 10 & 0xff);
        *w++ = (char)(bits >> 2 & 0xff);
    }
    buf_grow(to, (size_t)(w - from));
    return ERR_OK;
}
