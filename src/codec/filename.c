// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#include "codec/filename.h"

#include "base/utf8.h"

#define EXTENSION_MAX 16

static struct str last_part(struct str name)
{
    size_t from = name.n;
    while (from != 0 && name.p[from - 1] != '/' && name.p[from - 1] != '\\')
        from--;
    return str_sub(name, from, name.n);
}

static bool is_forbidden(uint32_t cp)
{
    return cp == 0xfffd || (cp < 0x80 && memchr("\"*:<>?|", (int)cp, 7) != NULL);
}

static bool is_edge(uint32_t cp)
{
    return cp == ' ' || cp == '.';
}

/* Cuts the middle out of what stands behind `start`. */
static void shorten(struct buf *to, size_t start)
{
    char extension[EXTENSION_MAX];
    struct str all = str_sub(buf_slice(to), start, to->n);
    size_t dot = all.n;
    while (dot > all.n - EXTENSION_MAX && all.p[dot - 1] != '.')
        dot--;
    dot = all.p[dot - 1] == '.' ? dot - 1 : all.n;
    size_t n = all.n - dot;
    if (n > EXTENSION_MAX)
        n = 0;
    memcpy(extension, all.p + all.n - n, n);
    size_t stem = utf8_prefix(all, FILENAME_MAX_BYTES - n).n;
    while (is_edge((unsigned char)all.p[stem - 1]))
        stem--;
    buf_cut(to, start + stem);
    buf_add(to, extension, n);
}

void filename_clean(struct buf *to, struct str name)
{
    size_t start = to->n, at = 0;
    struct str s = last_part(name);
    while (at < s.n) {
        char bytes[4];
        uint32_t cp = utf8_next(s, &at);
        if (utf8_is_control(cp) || (to->n == start && is_edge(cp)))
            continue;
        buf_add(to, bytes, utf8_put(bytes, is_forbidden(cp) ? '_' : cp));
    }
    if (to->failed)
        return;
    while (to->n != start && is_edge((unsigned char)to->p[to->n - 1]))
        buf_cut(to, to->n - 1);
    if (to->n - start > FILENAME_MAX_BYTES)
        shorten(to, start);
    if (to->n == start)
        buf_lit(to, "file");
}
