// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#include "codec/proxyline.h"

/* --- version 1 */

/* Decimal, 0 to 65535, no leading zero. */
static bool read_port(struct str s, uint16_t *port)
{
    uint64_t v;
    if ((s.n > 1 && s.p[0] == '0') || str_u64(s, UINT16_MAX, &v) != ERR_OK)
        return false;
    *port = (uint16_t)v;
    return true;
}

static bool read_ip(struct str s, bool v6, struct ip *ip)
{
    return (str_find(s, ':') != s.n) == v6 && ip_parse(s, ip) == ERR_OK;
}

/* "192.0.2.7 192.0.2.1 4711 143" */
static enum err read_addresses(struct str rest, bool v6, struct proxyline *out)
{
    struct str word[4];
    struct ip there;
    uint16_t port;
    for (size_t i = 0; i < ARRAY_LEN(word); i++) {
        if (!str_split(&rest, ' ', &word[i]))
            return ERR_SYNTAX;
    }
    if (rest.p != NULL || !read_ip(word[0], v6, &out->ip) || !read_ip(word[1], v6, &there) ||
        !read_port(word[2], &out->port) || !read_port(word[3], &port))
        return ERR_SYNTAX;
    out->given = true;
    return ERR_OK;
}

static enum err read_line(struct str line, struct proxyline *out)
{
    static const char *const words[] = {"PROXY TCP4 ", "PROXY TCP6 "};
    for (size_t i = 0; i < ARRAY_LEN(words); i++) {
        struct str word = str_of(words[i]);
        if (str_starts(line, word))
            return read_addresses(str_sub(line, word.n, line.n), i == 1, out);
    }
    bool unknown = str_eq(line, STR("PROXY UNKNOWN")) || str_starts(line, STR("PROXY UNKNOWN "));
    return unknown ? ERR_OK : ERR_SYNTAX;
}

static enum err read_v1(struct str in, size_t *used, struct proxyline *out)
{
    size_t most = in.n < PROXYLINE_V1_MAX ? in.n : PROXYLINE_V1_MAX;
    struct str seen = str_sub(in, 0, most);
    size_t cr = str_find(seen, '\r');
    if (str_find(str_sub(seen, 0, cr), '\n') != cr)
        return ERR_SYNTAX;
    if (cr + 1 >= most)
        return most == PROXYLINE_V1_MAX ? ERR_TOO_LONG : ERR_AGAIN;
    if (in.p[cr + 1] != '\n')
        return ERR_SYNTAX;
    *used = cr + 2;
    return read_line(str_sub(in, 0, cr), out);
}

/* --- version 2 */

#define V2_HEAD 16
enum { COMMAND = 12, FAMILY = 13, LENGTH = 14 };
enum { V2_LOCAL = 0x20, V2_PROXY = 0x21 };
enum { UNSPEC = 0x00, TCP4 = 0x11, TCP6 = 0x21 };

/* An addition: a byte of type, two of length, value (2.2). */
#define TLV_HEAD 3
#define TLV_TLS  0x20 /* PP2_TYPE_SSL */
#define TLV_TLS_HEAD \
    5 /* what the client did, a byte; how his certificate was, four; then additions of its own */
#define CLIENT_TLS 1 /* PP2_CLIENT_SSL */

static const char signature[] = "\r\n\r\n\0\r\nQUIT\n";
#define SIGNATURE (sizeof signature - 1)

/* The 14th byte: family 0 to 3, protocol 0 to 2. */
static enum err check_family(uint8_t family, size_t length)
{
    if (family >> 4 > 3 || (family & 15) > 2)
        return ERR_SYNTAX;
    if (family == TCP4)
        return length >= 12 ? ERR_OK : ERR_SYNTAX;
    if (family == TCP6)
        return length >= 36 ? ERR_OK : ERR_SYNTAX;
    return family >> 4 == 0 || (family & 15) == 0 ? ERR_OK : ERR_UNSUPPORTED;
}

static enum err check_head(const uint8_t *p, size_t n)
{
    if (n > COMMAND && p[COMMAND] != V2_LOCAL && p[COMMAND] != V2_PROXY)
        return ERR_SYNTAX;
    if (n < V2_HEAD)
        return ERR_AGAIN;
    size_t length = (size_t)p[LENGTH] << 8 | p[LENGTH + 1];
    if (length > PROXYLINE_V2_MAX - V2_HEAD)
        return ERR_TOO_LONG;
    enum err e = p[COMMAND] == V2_PROXY ? check_family(p[FAMILY], length) : ERR_OK;
    return e != ERR_OK ? e : n < V2_HEAD + length ? ERR_AGAIN : ERR_OK;
}

/* The additions: n bytes at p. Said twice, the last one counts. */
static enum err read_tlvs(const uint8_t *p, size_t n, struct proxyline *out)
{
    while (n != 0) {
        if (n < TLV_HEAD)
            return ERR_SYNTAX;
        size_t length = (size_t)p[1] << 8 | p[2];
        if (length > n - TLV_HEAD || (p[0] == TLV_TLS && length < TLV_TLS_HEAD))
            return ERR_SYNTAX;
        if (p[0] == TLV_TLS)
            out->tls = (p[TLV_HEAD] & CLIENT_TLS) != 0;
        p += TLV_HEAD + length;
        n -= TLV_HEAD + length;
    }
    return ERR_OK;
}

static enum err read_v2(struct str in, size_t *used, struct proxyline *out)
{
    const uint8_t *p = (const uint8_t *)in.p;
    enum err e = check_head(p, in.n);
    if (e != ERR_OK)
        return e;
    *used = V2_HEAD + ((size_t)p[LENGTH] << 8 | p[LENGTH + 1]);
    if (p[COMMAND] == V2_LOCAL || (p[FAMILY] != TCP4 && p[FAMILY] != TCP6))
        return ERR_OK;
    bool v6 = p[FAMILY] == TCP6;
    const uint8_t *from = p + V2_HEAD, *port = from + (v6 ? 32 : 8);
    size_t addresses = v6 ? 36 : 12;
    out->given = true;
    out->ip = v6 ? ip_from_v6(from) : ip_from_v4(from);
    out->port = (uint16_t)(port[0] << 8 | port[1]);
    return read_tlvs(from + addresses, *used - V2_HEAD - addresses, out);
}

/* The shorter one of the two begins like the longer one. */
static bool agrees(struct str in, struct str mark)
{
    return str_starts(in, str_sub(mark, 0, in.n));
}

enum err proxyline_read(struct str in, size_t *used, struct proxyline *out)
{
    struct str v1 = STR("PROXY "), v2 = {signature, SIGNATURE};
    struct proxyline line = {.given = false};
    enum err e = ERR_SYNTAX;
    size_t n = 0;
    if (in.n == 0)
        return ERR_AGAIN;
    if (agrees(in, v1))
        e = in.n < v1.n ? ERR_AGAIN : read_v1(in, &n, &line);
    else if (agrees(in, v2))
        e = in.n < v2.n ? ERR_AGAIN : read_v2(in, &n, &line);
    if (e == ERR_OK) {
        *used = n;
        *out = line;
    }
    return e;
}
