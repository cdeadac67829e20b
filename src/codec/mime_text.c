// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#include "codec/mime_text.h"

#include <gmime/gmime.h>

#include "codec/transfer.h"

enum digest_encoding mime_encoding(struct str unfolded)
{
    static const struct {
        const char *name;
        enum digest_encoding how;
    } names[] = {{"base64", DIGEST_BASE64},       {"quoted-printable", DIGEST_QP},
                 {"x-uuencode", DIGEST_UUENCODE}, {"uuencode", DIGEST_UUENCODE},
                 {"x-uue", DIGEST_UUENCODE},      {"uue", DIGEST_UUENCODE}};
    struct str word = str_trim(str_sub(unfolded, 0, str_find(unfolded, ';')));
    char squeezed[20]; /* "quoted- printable" is seen in real mail */
    size_t n = 0;
    for (size_t i = 0; i < word.n && n < sizeof squeezed; i++) {
        if (word.p[i] != ' ' && word.p[i] != '\t' && word.p[i] != '"')
            squeezed[n++] = word.p[i];
    }
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        if (str_ieq((struct str){squeezed, n}, str_of(names[i].name)))
            return names[i].how;
    }
    return DIGEST_7BIT;
}

uint32_t mime_estimate(enum digest_encoding how, struct str raw)
{
    if (how != DIGEST_BASE64)
        return (uint32_t)raw.n;
    uint64_t n = 0;
    for (size_t i = 0; i < raw.n; i++)
        n += raw.p[i] != '\n' && raw.p[i] != '\r';
    return (uint32_t)(n * 3 / 4);
}

static bool is_hex(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'F') || (c >= 'a' && c <= 'f');
}

/* Is each '=' followed by two hex digits or the line's end (RFC 2045, 6.7)? */
static bool qp_fine(struct str s)
{
    for (size_t i = str_find(s, '='); i < s.n; i++) {
        if (s.p[i] != '=')
            continue;
        struct str rest = str_sub(s, i + 1, s.n - i - 1);
        size_t blanks = 0;
        while (blanks < rest.n &&
               (rest.p[blanks] == ' ' || rest.p[blanks] == '\t' || rest.p[blanks] == '\r'))
            blanks++;
        bool soft = blanks == rest.n || rest.p[blanks] == '\n';
        if (!soft && (rest.n < 2 || !is_hex(rest.p[0]) || !is_hex(rest.p[1])))
            return false;
    }
    return true;
}

static bool base64_fine(struct str s)
{
    size_t digits = 0, padding = 0;
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        if (c == '=') {
            padding++;
        } else if ((c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
                   c == '+' || c == '/') {
            if (padding != 0)
                return false;
            digits++;
        } else if (c != ' ' && c != '\t' && c != '\r' && c != '\n') {
            return false;
        }
    }
    return digits % 4 != 1;
}

static unsigned uu_digit(char c)
{
    return ((unsigned char)c - 0x20U) & 0x3f;
}

/* A line: its length, then groups of four characters for three bytes; blanks at its end may have been lost. */
static void uu_line(struct str line, struct buf *out)
{
    size_t left = uu_digit(line.p[0]);
    for (size_t i = 1; left != 0; i += 4) {
        uint32_t bits = 0;
        for (size_t k = i; k < i + 4; k++)
            bits = bits << 6 | (k < line.n ? uu_digit(line.p[k]) : 0);
        char bytes[3] = {(char)(bits >> 16), (char)(bits >> 8), (char)bits};
        size_t n = left < 3 ? left : 3;
        buf_add(out, bytes, n);
        left -= n;
    }
}

/* The data between "begin" and "end" (GMime's decoder, 3.2.13, gives other bytes). false: there is no "begin". */
static bool uu_decode(struct str raw, struct buf *out)
{
    struct str line;
    bool begun = false;
    while (str_split(&raw, '\n', &line)) {
        if (line.n != 0 && line.p[line.n - 1] == '\r')
            line.n--;
        if (!begun) {
            begun = str_starts(line, STR("begin "));
            continue;
        }
        if (line.n == 0 || str_eq(line, STR("end")))
            break;
        uu_line(line, out);
    }
    return begun;
}

static const char *what_is_wrong(enum digest_encoding how, struct str raw)
{
    if (how == DIGEST_BASE64 && !base64_fine(raw))
        return "bad base64";
    return how == DIGEST_QP && !qp_fine(raw) ? "bad quoted-printable" : "";
}

const char *mime_transfer_decode(enum digest_encoding how, struct str raw, struct buf *out)
{
    static const GMimeContentEncoding encodings[] = {
        [DIGEST_BASE64] = GMIME_CONTENT_ENCODING_BASE64,
        [DIGEST_QP] = GMIME_CONTENT_ENCODING_QUOTEDPRINTABLE,
    };
    if (how == DIGEST_UUENCODE && uu_decode(raw, out))
        return "";
    if (how == DIGEST_UUENCODE || how == DIGEST_7BIT || raw.n == 0) {
        buf_str(out, raw);
        return how == DIGEST_UUENCODE ? "bad uuencode" : "";
    }
    GMimeEncoding e;
    g_mime_encoding_init_decode(&e, encodings[how]);
    char *to = buf_room(out, g_mime_encoding_outlen(&e, raw.n));
    if (to != NULL)
        buf_grow(out, g_mime_encoding_flush(&e, raw.p, raw.n, to));
    return what_is_wrong(how, raw);
}

const char *mime_message_decode(enum digest_encoding how, struct str raw, struct buf *out)
{
    struct transfer t;
    struct str in = raw;
    char made[4096];
    if (how != DIGEST_BASE64 && how != DIGEST_QP)
        return mime_transfer_decode(how, raw, out);
    transfer_init(&t, how);
    while (in.n != 0) {
        size_t n = transfer_feed(&t, &in, made, sizeof made);
        buf_add(out, made, n);
    }
    buf_add(out, made, transfer_finish(&t, made));
    return what_is_wrong(how, raw);
}
