// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#include "codec/xscan.h"

#include "base/utf8.h"

#define K_NAME  1 /* in a name */
#define K_START 2 /* first of a name */
#define K_PLAIN \
    4 /* printable ASCII but & and < (quotes and > are no matter inside the other quotes) */
#define K_SPACE 8
#define K_COLON 16 /* in a name, but not in a simple one */
#define K_HIGH  32

static const uint8_t kinds[256] = {
    ['\t'] = K_SPACE,
    ['\n'] = K_SPACE,
    ['\r'] = K_SPACE,
    [' '] = K_SPACE | K_PLAIN,
    ['!' ... '%'] = K_PLAIN,
    ['\'' ... ','] = K_PLAIN,
    ['-' ... '.'] = K_PLAIN | K_NAME,
    ['/'] = K_PLAIN,
    ['0' ... '9'] = K_PLAIN | K_NAME,
    [':'] = K_PLAIN | K_NAME | K_START | K_COLON,
    [';'] = K_PLAIN,
    ['=' ... '@'] = K_PLAIN,
    ['A' ... 'Z'] = K_PLAIN | K_NAME | K_START,
    ['[' ... '^'] = K_PLAIN,
    ['_'] = K_PLAIN | K_NAME | K_START,
    ['`'] = K_PLAIN,
    ['a' ... 'z'] = K_PLAIN | K_NAME | K_START,
    ['{' ... '~'] = K_PLAIN,
    [0x80 ... 0xff] = K_NAME | K_START | K_HIGH,
};

struct cursor {
    const char *p, *end;
};

static inline uint8_t kind(char c)
{
    return kinds[(unsigned char)c];
}

static inline bool skip_space(struct cursor *c)
{
    const char *from = c->p;
    while (c->p < c->end && (kind(*c->p) & K_SPACE) != 0)
        c->p++;
    return c->p != from;
}

/* A name; *odd gets the kinds that a simple name does not have. */
static inline bool take_name(struct cursor *c, struct str *name, unsigned *odd)
{
    const char *from = c->p;
    if (from == c->end || (kind(*from) & K_START) == 0)
        return false;
    unsigned all = 0;
    while (c->p < c->end && (kind(*c->p) & K_NAME) != 0)
        all |= kind(*c->p++);
    *odd |= all & (K_COLON | K_HIGH);
    *name = (struct str){from, (size_t)(c->p - from)};
    return true;
}

static inline bool take_value(struct cursor *c, struct str *value, bool *plain)
{
    if (c->p == c->end || (*c->p != '"' && *c->p != '\''))
        return false;
    char quote = *c->p++;
    const char *from = c->p;
    unsigned all = K_PLAIN;
    while (c->p < c->end && *c->p != quote) {
        if (*c->p == '<')
            return false;
        all &= kind(*c->p++);
    }
    if (c->p == c->end)
        return false;
    *value = (struct str){from, (size_t)(c->p++ - from)};
    *plain = all != 0;
    return true;
}

static inline bool is_id(struct str name)
{
    return name.n == 2 && str_lower(name.p[0]) == 'i' && str_lower(name.p[1]) == 'd';
}

/* xmlns is no attribute to libxml2; two attributes of one name are an error to it. */
static bool name_repeats(const struct str *names, uint32_t n, struct str name)
{
    for (uint32_t i = 0; i < n; i++) {
        if (str_eq(names[i], name))
            return true;
    }
    return str_eq(name, STR("xmlns"));
}

void xscan_start(struct str msg, struct xscan *out)
{
    struct str names[XSCAN_SIMPLE_ATTRS];
    struct cursor c = {msg.p, msg.p + msg.n};
    unsigned odd = 0;
    *out = (struct xscan){.simple = false};
    if (msg.n == 0 || *c.p++ != '<' || !take_name(&c, &out->name, &odd))
        return;
    bool simple = true;
    bool gap = skip_space(&c);
    while (c.p < c.end && *c.p != '>' && *c.p != '/') {
        struct str name, value;
        bool plain;
        if (!gap || !take_name(&c, &name, &odd))
            return;
        skip_space(&c);
        if (c.p == c.end || *c.p++ != '=')
            return;
        skip_space(&c);
        if (!take_value(&c, &value, &plain))
            return;
        if (out->id.p == NULL && is_id(name)) {
            out->id = value;
            out->id_plain = plain;
        }
        simple = simple && plain && out->nattrs < XSCAN_SIMPLE_ATTRS &&
                 !name_repeats(names, out->nattrs, name);
        if (simple)
            names[out->nattrs] = name;
        out->nattrs++;
        gap = skip_space(&c);
    }
    out->simple = simple && odd == 0 && c.end - c.p == 2 && c.p[0] == '/' && c.p[1] == '>';
}

/* --- decoding */

static bool take_number(struct str ref, uint32_t *cp)
{
    bool hex = ref.n != 0 && ref.p[0] == 'x';
    uint32_t v = 0;
    if (hex)
        ref = str_sub(ref, 1, ref.n);
    for (size_t i = 0; i < ref.n; i++) {
        char c = ref.p[i];
        uint32_t d = c >= '0' && c <= '9'   ? (uint32_t)(c - '0')
                     : c >= 'a' && c <= 'f' ? (uint32_t)(c - 'a' + 10)
                     : c >= 'A' && c <= 'F' ? (uint32_t)(c - 'A' + 10)
                                            : 16;
        if (d >= (hex ? 16U : 10U))
            return false;
        v = v * (hex ? 16U : 10U) + d;
        if (v > 0x10ffff)
            return false;
    }
    *cp = v;
    return ref.n != 0 && utf8_xml_char(v);
}

/* ref: what stands between & and ; */
static bool decode_ref(struct str ref, uint32_t *cp)
{
    static const struct {
        const char *name;
        uint32_t cp;
    } known[] = {{"amp", '&'}, {"lt", '<'}, {"gt", '>'}, {"quot", '"'}, {"apos", '\''}};
    if (ref.n != 0 && ref.p[0] == '#')
        return take_number(str_sub(ref, 1, ref.n), cp);
    for (size_t i = 0; i < ARRAY_LEN(known); i++) {
        if (str_eq(ref, str_of(known[i].name))) {
            *cp = known[i].cp;
            return true;
        }
    }
    return false;
}

/* The character at raw.p[*at], decoded. */
static enum err decode_one(struct str raw, size_t *at, uint32_t *cp)
{
    char c = raw.p[*at];
    if (c == '<')
        return ERR_SYNTAX;
    if (c == '&') {
        struct str ref = str_sub(raw, *at + 1, raw.n);
        ref.n = str_find(ref, ';');
        if (*at + 1 + ref.n == raw.n || !decode_ref(ref, cp))
            return ERR_SYNTAX;
        *at += ref.n + 2;
        return ERR_OK;
    }
    if ((kind(c) & K_SPACE) != 0) {
        /* XML 1.0, 2.11 and 3.3.3: CR LF is one line end, and becomes one blank */
        *at += c == '\r' && *at + 1 < raw.n && raw.p[*at + 1] == '\n' ? 2 : 1;
        *cp = ' ';
        return ERR_OK;
    }
    size_t before = *at;
    *cp = utf8_next(raw, at);
    return !utf8_xml_char(*cp) || (*cp == 0xfffd && *at - before != 3) ? ERR_SYNTAX : ERR_OK;
}

enum err xscan_decode(struct str raw, char *to, size_t *n)
{
    size_t at = 0;
    uint32_t cp;
    *n = 0;
    while (at < raw.n) {
        if (decode_one(raw, &at, &cp) != ERR_OK)
            return ERR_SYNTAX;
        *n += utf8_put(to + *n, cp);
    }
    return ERR_OK;
}

/* --- the guess */

static bool skip_until(struct cursor *c, struct str mark)
{
    const char *hit = memmem(c->p, (size_t)(c->end - c->p), mark.p, mark.n);
    if (hit == NULL)
        return false;
    c->p = hit + mark.n;
    return true;
}

/* A DOCTYPE with its quotes and brackets. */
static bool skip_doctype(struct cursor *c)
{
    int depth = 0;
    char quote = 0;
    for (; c->p < c->end; c->p++) {
        char b = *c->p;
        if (quote != 0)
            quote = b == quote ? 0 : quote;
        else if (b == '"' || b == '\'')
            quote = b;
        else if (b == '[')
            depth++;
        else if (b == ']')
            depth--;
        else if (b == '>' && depth <= 0) {
            c->p++;
            return true;
        }
    }
    return false;
}

/* Up to the < of the root. */
static bool skip_prolog(struct cursor *c)
{
    for (;;) {
        skip_space(c);
        struct str rest = {c->p, (size_t)(c->end - c->p)};
        bool more = str_starts(rest, STR("\xef\xbb\xbf")) ? (c->p += 3, true)
                    : str_starts(rest, STR("<?"))         ? skip_until(c, STR("?>"))
                    : str_starts(rest, STR("<!--"))       ? skip_until(c, STR("-->"))
                    : str_starts(rest, STR("<!"))         ? skip_doctype(c)
                                                          : false;
        if (!more)
            return c->p < c->end && *c->p == '<';
    }
}

/* A value in quotes, whatever it holds, or a bare word. */
static bool guess_value(struct cursor *c, struct str *value)
{
    const char *from = c->p;
    if (from < c->end && (*from == '"' || *from == '\'')) {
        const char *close = memchr(from + 1, *from, (size_t)(c->end - from - 1));
        if (close == NULL)
            return false;
        *value = (struct str){from + 1, (size_t)(close - from - 1)};
        c->p = close + 1;
        return true;
    }
    while (c->p < c->end && (kind(*c->p) & K_NAME) != 0)
        c->p++;
    *value = (struct str){from, (size_t)(c->p - from)};
    return value->n != 0;
}

static bool decodes(struct str raw)
{
    size_t at = 0;
    uint32_t cp;
    while (at < raw.n) {
        if (decode_one(raw, &at, &cp) != ERR_OK)
            return false;
    }
    return true;
}

void xscan_rescue(struct str bytes, struct xscan *out)
{
    struct cursor c = {bytes.p, bytes.p + bytes.n};
    unsigned odd = 0;
    *out = (struct xscan){.simple = false};
    if (bytes.n == 0 || !skip_prolog(&c))
        return;
    c.p++;
    if (!take_name(&c, &out->name, &odd))
        return;
    while (c.p < c.end && *c.p != '>' && *c.p != '<') {
        struct str name, value;
        if (!take_name(&c, &name, &odd)) {
            c.p++; /* a blank, or what does not belong here: go on behind it */
            continue;
        }
        skip_space(&c);
        if (c.p == c.end || *c.p != '=')
            continue;
        c.p++;
        skip_space(&c);
        if (guess_value(&c, &value) && is_id(name)) {
            if (decodes(value))
                out->id = value;
            return;
        }
    }
}
