// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#include "codec/transfer.h"

void transfer_init(struct transfer *t, enum digest_encoding how)
{
    *t = (struct transfer){.how = how};
}

/* --- base64 */

#define NONE 64 /* no digit */

static const uint8_t digits[128] = {
    64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64,
    64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 64, 62,
    64, 64, 64, 63, 52, 53, 54, 55, 56, 57, 58, 59, 60, 61, 64, 64, 64, 64, 64, 64, 64, 0,
    1,  2,  3,  4,  5,  6,  7,  8,  9,  10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22,
    23, 24, 25, 64, 64, 64, 64, 64, 64, 26, 27, 28, 29, 30, 31, 32, 33, 34, 35, 36, 37, 38,
    39, 40, 41, 42, 43, 44, 45, 46, 47, 48, 49, 50, 51, 64, 64, 64, 64, 64,
};

static unsigned base64_digit(char c)
{
    unsigned char u = (unsigned char)c;
    return u < sizeof digits ? digits[u] : NONE;
}

/* Ends a group of `state` digits: two of them are a byte, three are two. */
static size_t base64_rest(struct transfer *t, char *out)
{
    size_t n = t->state > 1 ? t->state - 1u : 0;
    uint32_t bits = t->bits << 6 * (4 - t->state);
    for (size_t i = 0; i < n; i++)
        out[i] = (char)(bits >> (16 - 8 * i));
    t->state = 0;
    t->bits = 0;
    return n;
}

static size_t base64(struct transfer *t, char c, char *out)
{
    unsigned digit = base64_digit(c);
    if (c == '=')
        return base64_rest(t, out);
    if (digit == NONE)
        return 0;
    t->bits = t->bits << 6 | digit;
    return ++t->state == 4 ? base64_rest(t, out) : 0;
}

/* Whole groups, as almost all of them are. */
static size_t base64_groups(struct str *in, char *out, size_t room)
{
    size_t made = 0, i = 0;
    for (; in->n - i >= 4 && room - made >= TRANSFER_STEP; i += 4, made += 3) {
        unsigned a = base64_digit(in->p[i]), b = base64_digit(in->p[i + 1]);
        unsigned c = base64_digit(in->p[i + 2]), d = base64_digit(in->p[i + 3]);
        if (((a | b | c | d) & NONE) != 0)
            break;
        uint32_t bits = a << 18 | b << 12 | c << 6 | d;
        out[made] = (char)(bits >> 16);
        out[made + 1] = (char)(bits >> 8);
        out[made + 2] = (char)bits;
    }
    *in = str_sub(*in, i, in->n - i);
    return made;
}

/* --- quoted-printable */

enum { QP_PLAIN, QP_EQUALS, QP_HEX, QP_CR };

/* What stood behind "=" was none: it stays as it is. */
static size_t qp_literal(struct transfer *t, char *out)
{
    size_t n = 0;
    if (t->state == QP_EQUALS || t->state == QP_HEX)
        out[n++] = '=';
    if (t->state == QP_HEX)
        out[n++] = (char)t->bits;
    t->state = QP_PLAIN;
    return n;
}

static size_t qp(struct transfer *t, char c, char *out)
{
    size_t n = 0;
    if (t->state == QP_EQUALS && (c == '\r' || c == '\n')) {
        t->state = c == '\r' ? QP_CR : QP_PLAIN;
        return 0;
    }
    if (t->state == QP_CR && c == '\n') {
        t->state = QP_PLAIN;
        return 0;
    }
    if (t->state == QP_EQUALS && str_hex(c) >= 0) {
        t->state = QP_HEX;
        t->bits = (unsigned char)c;
        return 0;
    }
    if (t->state == QP_HEX && str_hex(c) >= 0) {
        out[0] = (char)(str_hex((char)t->bits) * 16 + str_hex(c));
        t->state = QP_PLAIN;
        return 1;
    }
    n = qp_literal(t, out);
    if (c == '=')
        t->state = QP_EQUALS;
    else
        out[n++] = c;
    return n;
}

/* --- uuencode */

static unsigned uu_digit(char c)
{
    return ((unsigned char)c - 0x20U) & 0x3f;
}

/* A line: its length, then groups of four characters for three bytes; blanks at its end may have been lost. */
static size_t uu_data(const struct transfer *t, char *out)
{
    size_t left = uu_digit(t->line[0]), made = 0;
    for (size_t i = 1; left != 0; i += 4) {
        uint32_t bits = 0;
        size_t n = left < 3 ? left : 3;
        for (size_t k = i; k < i + 4; k++)
            bits = bits << 6 | (k < t->n ? uu_digit(t->line[k]) : 0);
        for (size_t k = 0; k < n; k++)
            out[made++] = (char)(bits >> (16 - 8 * k));
        left -= n;
    }
    return made;
}

static size_t uu_line(struct transfer *t, char *out)
{
    size_t made = 0;
    struct str line = {t->line, t->n};
    if (line.n != 0 && line.p[line.n - 1] == '\r')
        line.n = --t->n;
    if (!t->begun)
        t->begun = str_starts(line, STR("begin "));
    else if (line.n == 0 || str_eq(line, STR("end")))
        t->ended = true;
    else if (!t->ended)
        made = uu_data(t, out);
    t->n = 0;
    return made;
}

static size_t uu(struct transfer *t, char c, char *out)
{
    if (c == '\n')
        return uu_line(t, out);
    if (t->n < sizeof t->line)
        t->line[t->n++] = c;
    return 0;
}

/* --- all of them */

static size_t plain(struct str *in, char *out, size_t room)
{
    size_t n = in->n < room ? in->n : room;
    if (n != 0)
        memcpy(out, in->p, n);
    *in = str_sub(*in, n, in->n - n);
    return n;
}

static size_t feed_base64(struct transfer *t, struct str *in, char *out, size_t room)
{
    size_t made = 0;
    while (in->n != 0 && room - made >= TRANSFER_STEP) {
        if (t->state == 0)
            made += base64_groups(in, out + made, room - made);
        if (in->n == 0 || room - made < TRANSFER_STEP)
            break;
        made += base64(t, in->p[0], out + made);
        *in = str_sub(*in, 1, in->n - 1);
    }
    return made;
}

size_t transfer_feed(struct transfer *t, struct str *in, char *out, size_t room)
{
    size_t made = 0, i = 0;
    if (t->how == DIGEST_7BIT)
        return plain(in, out, room);
    if (t->how == DIGEST_BASE64)
        return feed_base64(t, in, out, room);
    for (; i < in->n && room - made >= TRANSFER_STEP; i++)
        made += (t->how == DIGEST_QP ? qp : uu)(t, in->p[i], out + made);
    *in = str_sub(*in, i, in->n - i);
    return made;
}

size_t transfer_finish(struct transfer *t, char *out)
{
    switch (t->how) {
    case DIGEST_BASE64:
        return base64_rest(t, out);
    case DIGEST_QP:
        return qp_literal(t, out);
    case DIGEST_UUENCODE:
        return t->n != 0 ? uu_line(t, out) : 0;
    case DIGEST_7BIT:
        break;
    }
    return 0;
}

bool transfer_was_encoded(const struct transfer *t)
{
    return t->how != DIGEST_UUENCODE || t->begun;
}
