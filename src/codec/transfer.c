// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#include "codec/transfer.h"

void transfer_init(struct transfer *t, enum digest_encoding how)
{
    *t = (struct transfer){.how = how};
}

/* --- base64 */

/* 64: no digit. */
static unsigned base64_digit(char c)
{
    if (c >= 'A' && c <= 'Z')
        return (unsigned)(c - 'A');
    if (c >= 'a' && c <= 'z')
        return (unsigned)(c - 'a') + 26;
    if (c >= '0' && c <= '9')
        return (unsigned)(c - '0') + 52;
    return c == '+' ? 62 : c == '/' ? 63 : 64;
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
    if (digit == 64)
        return 0;
    t->bits = t->bits << 6 | digit;
    return ++t->state == 4 ? base64_rest(t, out) : 0;
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

size_t transfer_feed(struct transfer *t, struct str *in, char *out, size_t room)
{
    size_t made = 0, i = 0;
    if (t->how == DIGEST_7BIT)
        return plain(in, out, room);
    size_t (*step)(struct transfer *, char, char *) = t->how == DIGEST_BASE64 ? base64
                                                      : t->how == DIGEST_QP   ? qp
                                                                              : uu;
    for (; i < in->n && room - made >= TRANSFER_STEP; i++)
        made += step(t, in->p[i], out + made);
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
