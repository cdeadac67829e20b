// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#include "codec/xout.h"

#include "base/utf8.h"

#define IN_ATTR 1 /* needs care in attributes */
#define IN_TEXT 2
#define BOTH    (IN_ATTR | IN_TEXT)

static const uint8_t care[256] = {
    [0 ... 8] = BOTH, ['\t'] = IN_ATTR, ['\n'] = IN_ATTR, [11 ... 31] = BOTH,     ['"'] = IN_ATTR,
    ['&'] = BOTH,     ['<'] = BOTH,     ['>'] = BOTH,     [0x80 ... 0xff] = BOTH,
};

static struct str replacement(char c)
{
    switch (c) {
    case '&':
        return STR("&amp;");
    case '<':
        return STR("&lt;");
    case '>':
        return STR("&gt;");
    case '"':
        return STR("&quot;");
    case '\t':
        return STR("&#9;");
    case '\n':
        return STR("&#10;");
    case '\r':
        return STR("&#13;");
    default:
        return STR("\xef\xbf\xbd");
    }
}

static void escape(struct buf *b, struct str s, uint8_t where)
{
    size_t from = 0; /* what stands before `at` and is not written yet */
    size_t at = 0;
    while (at < s.n) {
        unsigned char c = (unsigned char)s.p[at];
        if ((care[c] & where) == 0) {
            at++;
            continue;
        }
        size_t here = at;
        if (c < 0x80)
            at++;
        else {
            uint32_t cp = utf8_next(s, &at);
            if (utf8_xml_char(cp) && !(cp == 0xfffd && at - here == 1))
                continue;
        }
        buf_add(b, s.p + from, here - from);
        buf_str(b, replacement((char)c));
        from = at;
    }
    if (at != from)
        buf_add(b, s.p + from, at - from);
}

void xout_open_str(struct buf *b, struct str tag)
{
    buf_char(b, '<');
    buf_str(b, tag);
}

void xout_open(struct buf *b, const char *tag)
{
    xout_open_str(b, str_of(tag));
}

static void attr_start(struct buf *b, const char *name)
{
    buf_char(b, ' ');
    buf_str(b, str_of(name));
    buf_lit(b, "=\"");
}

void xout_attr(struct buf *b, const char *name, struct str value)
{
    attr_start(b, name);
    escape(b, value, IN_ATTR);
    buf_char(b, '"');
}

void xout_attr_opt(struct buf *b, const char *name, struct str value)
{
    if (value.p != NULL)
        xout_attr(b, name, value);
}

void xout_attr_lit(struct buf *b, const char *name, const char *value)
{
    xout_attr(b, name, str_of(value));
}

void xout_attr_u64(struct buf *b, const char *name, uint64_t v)
{
    attr_start(b, name);
    buf_u64(b, v);
    buf_char(b, '"');
}

void xout_attr_i64(struct buf *b, const char *name, int64_t v)
{
    attr_start(b, name);
    if (v < 0)
        buf_char(b, '-');
    buf_u64(b, v < 0 ? 0 - (uint64_t)v : (uint64_t)v);
    buf_char(b, '"');
}

void xout_attr_yes(struct buf *b, const char *name, bool v)
{
    if (v)
        xout_attr(b, name, STR("yes"));
}

void xout_empty(struct buf *b)
{
    buf_lit(b, "/>");
}

void xout_body(struct buf *b)
{
    buf_char(b, '>');
}

void xout_text(struct buf *b, struct str text)
{
    escape(b, text, IN_TEXT);
}

void xout_close_str(struct buf *b, struct str tag)
{
    buf_lit(b, "</");
    buf_str(b, tag);
    buf_char(b, '>');
}

void xout_close(struct buf *b, const char *tag)
{
    xout_close_str(b, str_of(tag));
}

void xout_elem(struct buf *b, const char *tag, struct str text)
{
    xout_open(b, tag);
    if (text.n == 0) {
        xout_empty(b);
        return;
    }
    xout_body(b);
    xout_text(b, text);
    xout_close(b, tag);
}

void xout_end(struct buf *b)
{
    buf_char(b, '\0');
}

void xout_response_elem(struct buf *b, struct str id, enum err e, uint64_t exe_ms)
{
    buf_lit(b, "<response");
    if (id.p != NULL) {
        buf_lit(b, " id=\"");
        escape(b, id, IN_ATTR);
        buf_char(b, '"');
    }
    if (err_num(e) != 0) {
        xout_attr_lit(b, "errorText", err_text(e));
        xout_attr_u64(b, "errorNum", (uint64_t)err_num(e));
    }
    if (exe_ms != XOUT_NO_TIME)
        xout_attr_u64(b, "exeTime", exe_ms);
    xout_empty(b);
}

void xout_response_timed(struct buf *b, struct str id, enum err e, uint64_t exe_ms)
{
    xout_response_elem(b, id, e, exe_ms);
    xout_end(b);
}

void xout_response(struct buf *b, struct str id, enum err e)
{
    xout_response_timed(b, id, e, XOUT_NO_TIME);
}
