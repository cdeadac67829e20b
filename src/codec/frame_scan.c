// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
/*
 * The bytes of a message: one automaton, one byte after the other. Offsets count from the head of the input, where the
 * message begins, so no counter is touched per byte. It is stricter than it would have to be for
 * counting: whatever could make it see other tags than libxml2 does (a < in a value, a value
 * without quotes) ends the message as illegal.
 */
#include "codec/frame_priv.h"

#define C_SPACE 1
#define C_START 2 /* may begin a name; what lies above ASCII is libxml2's business */
#define C_NAME  4

static const uint8_t classes[256] = {
    ['\t'] = C_SPACE,
    ['\n'] = C_SPACE,
    ['\r'] = C_SPACE,
    [' '] = C_SPACE,
    ['-'] = C_NAME,
    ['.'] = C_NAME,
    ['0' ... '9'] = C_NAME,
    [':'] = C_NAME | C_START,
    ['A' ... 'Z'] = C_NAME | C_START,
    ['_'] = C_NAME | C_START,
    ['a' ... 'z'] = C_NAME | C_START,
    [0x80 ... 0xff] = C_NAME | C_START,
};

static const char cdata_open[] = "[CDATA[";

static inline uint8_t class_of(char c)
{
    return classes[(unsigned char)c];
}

/* --- the declaration: '<?xml' S 'version' Eq … (S 'encoding' Eq …)? (S 'standalone' Eq …)? S? '?>'
 */

static bool take(struct str *s, struct str word)
{
    if (!str_starts(*s, word))
        return false;
    *s = str_sub(*s, word.n, s->n);
    return true;
}

static bool take_space(struct str *s)
{
    size_t before = s->n;
    while (s->n != 0 && class_of(s->p[0]) == C_SPACE)
        *s = str_sub(*s, 1, s->n);
    return s->n != before;
}

/* S name Eq quoted; *s is untouched if it is not there. */
static bool take_pseudo(struct str *s, struct str name, struct str *value)
{
    struct str t = *s;
    if (!take_space(&t) || !take(&t, name))
        return false;
    take_space(&t);
    if (!take(&t, STR("=")))
        return false;
    take_space(&t);
    if (t.n == 0 || (t.p[0] != '"' && t.p[0] != '\''))
        return false;
    size_t end = str_find(str_sub(t, 1, t.n), t.p[0]) + 1;
    if (end >= t.n)
        return false;
    *value = str_sub(t, 1, end - 1);
    *s = str_sub(t, end + 1, t.n);
    return true;
}

static bool is_version(struct str v)
{
    if (!take(&v, STR("1.")) || v.n == 0)
        return false;
    for (size_t i = 0; i < v.n; i++) {
        if (v.p[i] < '0' || v.p[i] > '9')
            return false;
    }
    return true;
}

/* d: from <? to ?> */
static bool decl_ok(struct str d)
{
    struct str v;
    if (!take(&d, STR("<?xml")) || !take_pseudo(&d, STR("version"), &v) || !is_version(v))
        return false;
    if (take_pseudo(&d, STR("encoding"), &v) && !str_ieq(v, STR("UTF-8")) &&
        !str_ieq(v, STR("US-ASCII")))
        return false;
    if (take_pseudo(&d, STR("standalone"), &v) && !str_eq(v, STR("yes")) && !str_eq(v, STR("no")))
        return false;
    take_space(&d);
    return str_eq(d, STR("?>"));
}

/* --- the automaton. Each step gets [p, end) with p < end and returns where it stopped. */

static inline const char *skip_class(const char *p, const char *end, uint8_t class)
{
    while (p < end && (class_of(*p) & class) != 0)
        p++;
    return p;
}

static inline const char *step_lt(struct frame *f, const char *base, const char *p)
{
    char c = *p;
    f->name_at = (uint32_t)(p - base);
    if ((class_of(c) & C_START) != 0)
        f->state = FRAME_S_NAME;
    else if (c == '/' && f->depth != 0)
        f->state = FRAME_S_END;
    else if (c == '!' && f->depth != 0)
        f->state = FRAME_S_CDATA_OPEN;
    else if (c == '?' && f->tag_at == 0 && f->depth == 0 && !f->decl)
        f->state = FRAME_S_DECL;
    else
        f->state = FRAME_S_BAD;
    f->attrs = 0;
    f->match = 0;
    return f->state == FRAME_S_NAME ? p : p + 1;
}

/* At a > or /> that ends a start tag; p stands on the >. */
static inline void tag_done(struct frame *f, const struct frame_limits *lim, const char *base,
                            const char *p, bool empty)
{
    if ((size_t)(p - base) - f->tag_at >= lim->tag || f->depth >= lim->depth)
        f->state = FRAME_S_BAD;
    else if (!empty) {
        f->depth++;
        f->state = FRAME_S_TEXT;
    } else
        f->state = f->depth == 0 ? FRAME_S_AFTER : FRAME_S_TEXT;
}

static inline void end_tag_done(struct frame *f, const struct frame_limits *lim, const char *base,
                                const char *p)
{
    if ((size_t)(p - base) - f->tag_at >= lim->tag)
        f->state = FRAME_S_BAD;
    else
        f->state = --f->depth == 0 ? FRAME_S_AFTER : FRAME_S_TEXT;
}

static inline bool name_too_long(const struct frame *f, const char *base, const char *p)
{
    return (size_t)(p - base) - f->name_at > FRAME_MAX_NAME;
}

/* Behind a tag's name, a value or a gap: what may stand there. */
static inline const char *step_in_tag(struct frame *f, const struct frame_limits *lim,
                                      const char *base, const char *p, bool gap)
{
    char c = *p;
    if (c == '>')
        tag_done(f, lim, base, p, false);
    else if (c == '/')
        f->state = FRAME_S_SLASH;
    else if (class_of(c) == C_SPACE)
        f->state = FRAME_S_GAP;
    else if (gap && (class_of(c) & C_START) != 0 && f->attrs < lim->attrs) {
        f->attrs++;
        f->name_at = (uint32_t)(p - base);
        f->state = FRAME_S_ATTR;
    } else
        f->state = FRAME_S_BAD;
    return p + 1;
}

static inline const char *step_name(struct frame *f, const struct frame_limits *lim,
                                    const char *base, const char *p, const char *end)
{
    p = skip_class(p, end, C_NAME);
    if (p == end)
        return p;
    if (name_too_long(f, base, p)) {
        f->state = FRAME_S_BAD;
        return p;
    }
    if (f->state == FRAME_S_NAME)
        return step_in_tag(f, lim, base, p, false);
    if (f->state == FRAME_S_ATTR)
        f->state = *p == '='                 ? FRAME_S_EQ
                   : class_of(*p) == C_SPACE ? FRAME_S_ATTR_GAP
                                             : FRAME_S_BAD;
    else if (*p == '>')
        end_tag_done(f, lim, base, p);
    else
        f->state = class_of(*p) == C_SPACE ? FRAME_S_END_GAP : FRAME_S_BAD;
    return p + 1;
}

static inline const char *step_value(struct frame *f, const char *p, const char *end)
{
    char quote = f->quote;
    while (p < end && *p != quote && *p != '<')
        p++;
    if (p == end)
        return p;
    f->state = *p == '<' ? FRAME_S_BAD : FRAME_S_VALUE_END;
    return p + 1;
}

/* The places in a tag where white space may stand: before =, before a value, before the > of an end
 * tag. */
static const char *step_gap(struct frame *f, const struct frame_limits *lim, const char *base,
                            const char *p, const char *end)
{
    p = skip_class(p, end, C_SPACE);
    if (p == end)
        return p;
    if (f->state == FRAME_S_GAP)
        return step_in_tag(f, lim, base, p, true);
    if (f->state == FRAME_S_ATTR_GAP)
        f->state = *p == '=' ? FRAME_S_EQ : FRAME_S_BAD;
    else if (f->state == FRAME_S_END_GAP) {
        if (*p == '>')
            end_tag_done(f, lim, base, p);
        else
            f->state = FRAME_S_BAD;
    } else {
        f->quote = *p;
        f->state = *p == '"' || *p == '\'' ? FRAME_S_VALUE : FRAME_S_BAD;
    }
    return p + 1;
}

static const char *step_text(struct frame *f, const char *base, const char *p, const char *end)
{
    p = memchr(p, '<', (size_t)(end - p));
    if (p == NULL)
        return end;
    f->tag_at = (uint32_t)(p - base);
    f->state = FRAME_S_LT;
    return p + 1;
}

static const char *step_cdata(struct frame *f, const char *p, const char *end)
{
    if (f->state == FRAME_S_CDATA) {
        p = memchr(p, ']', (size_t)(end - p));
        if (p == NULL)
            return end;
        f->state = FRAME_S_CDATA_1;
    } else if (f->state == FRAME_S_CDATA_1)
        f->state = *p == ']' ? FRAME_S_CDATA_2 : FRAME_S_CDATA;
    else if (*p != ']')
        f->state = *p == '>' ? FRAME_S_TEXT : FRAME_S_CDATA;
    return p + 1;
}

/* Steps that are rare, or take one byte. */
static const char *step_other(struct frame *f, const char *base, const char *p, const char *end)
{
    switch ((enum frame_state)f->state) {
    case FRAME_S_DECL:
        p = memchr(p, '>', (size_t)(end - p));
        if ((size_t)((p != NULL ? p : end) - base) >= FRAME_MAX_DECL)
            f->state = FRAME_S_BAD;
        if (p == NULL || f->state == FRAME_S_BAD)
            return end;
        f->decl = true;
        f->state = decl_ok((struct str){base, (size_t)(p + 1 - base)}) ? FRAME_S_LEAD : FRAME_S_BAD;
        return p + 1;
    case FRAME_S_END:
        f->name_at = (uint32_t)(p - base);
        f->state = (class_of(*p) & C_START) != 0 ? FRAME_S_END_NAME : FRAME_S_BAD;
        return p;
    case FRAME_S_CDATA_OPEN:
        f->state = *p == cdata_open[f->match++] ? FRAME_S_CDATA_OPEN : FRAME_S_BAD;
        if (f->match == sizeof cdata_open - 1 && f->state != FRAME_S_BAD)
            f->state = FRAME_S_CDATA;
        return p + 1;
    case FRAME_S_AFTER:
        p = skip_class(p, end, C_SPACE);
        if (p != end)
            f->state = FRAME_S_BAD;
        return p;
    default:
        return step_cdata(f, p, end);
    }
}

size_t frame_scan(struct frame *f, const struct frame_limits *lim, const char *base, size_t from,
                  size_t to)
{
    const char *p = base + from;
    const char *end = base + to;
    while (p < end) {
        switch ((enum frame_state)f->state) {
        case FRAME_S_LT:
            p = step_lt(f, base, p);
            break;
        case FRAME_S_NAME:
        case FRAME_S_ATTR:
        case FRAME_S_END_NAME:
            p = step_name(f, lim, base, p, end);
            break;
        case FRAME_S_GAP:
        case FRAME_S_ATTR_GAP:
        case FRAME_S_EQ:
        case FRAME_S_END_GAP:
            p = step_gap(f, lim, base, p, end);
            break;
        case FRAME_S_VALUE:
            p = step_value(f, p, end);
            break;
        case FRAME_S_VALUE_END:
            p = step_in_tag(f, lim, base, p, false);
            break;
        case FRAME_S_SLASH:
            if (*p == '>')
                tag_done(f, lim, base, p, true);
            else
                f->state = FRAME_S_BAD;
            p++;
            break;
        case FRAME_S_TEXT:
            p = step_text(f, base, p, end);
            break;
        case FRAME_S_LEAD:
        case FRAME_S_BOM:
        case FRAME_S_BAD:
        case FRAME_S_DEAD:
            return (size_t)(p - base);
        default:
            p = step_other(f, base, p, end);
        }
    }
    return to;
}
