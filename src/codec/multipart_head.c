// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#include "base/utf8.h"
#include "codec/fieldparam.h"
#include "codec/multipart_priv.h"
#include "codec/urlpath.h"

/* A line of folded text becomes one line (RFC 5322, 2.2.3). CR and LF stand nowhere but at line ends, no other controls but TAB. */
static bool unfold(struct buf *head)
{
    for (size_t i = 0; i < head->n; i++) {
        unsigned char c = (unsigned char)head->p[i];
        if (c == '\r' && i + 1 < head->n && head->p[i + 1] == '\n') {
            if (i + 2 < head->n && (head->p[i + 2] == ' ' || head->p[i + 2] == '\t'))
                head->p[i] = head->p[i + 1] = ' ';
            i++;
        } else if ((c < 0x20 && c != '\t') || c == 0x7f) {
            return false;
        }
    }
    return true;
}

/* What stands between the quotes, as browsers and others write it. */
static enum err read_text(struct multipart *m, const struct fieldparam *p, struct str *out)
{
    static const struct {
        const char *code;
        char is;
    } codes[] = {{"%22", '"'}, {"%0D", '\r'}, {"%0A", '\n'}, {"\\\"", '"'}, {"\\\\", '\\'}};
    char *to = arena_alloc(&m->text, p->value.n);
    size_t n = 0;
    if (to == NULL)
        return ERR_NOMEM;
    for (size_t i = 0; i < p->value.n;) {
        size_t k = 0;
        struct str rest = str_sub(p->value, i, p->value.n);
        while (k < ARRAY_LEN(codes) && !str_istarts(rest, str_of(codes[k].code)))
            k++;
        to[n++] = k < ARRAY_LEN(codes) ? codes[k].is : rest.p[0];
        i += k < ARRAY_LEN(codes) ? strlen(codes[k].code) : 1;
    }
    *out = (struct str){to, n};
    return utf8_valid(*out) ? ERR_OK : ERR_SYNTAX;
}

/* UTF-8'language'text; .p == NULL when it is not. */
static enum err read_extended(struct multipart *m, struct str value, struct str *out)
{
    struct str charset, language, text = value;
    *out = STR_NONE;
    if (!str_split(&text, '\'', &charset) || !str_split(&text, '\'', &language) || text.p == NULL ||
        !str_ieq(charset, STR("UTF-8")))
        return ERR_OK;
    enum err e = url_decode(&m->text, text, false, out);
    return e == ERR_NOMEM ? e : ERR_OK;
}

static enum err read_disposition(struct multipart *m, struct str value)
{
    struct str extended = STR_NONE;
    struct fieldparam p;
    enum err e = ERR_OK;
    size_t end = str_find(value, ';');
    if (m->name.p != NULL || !str_ieq(fieldparam_trim(str_sub(value, 0, end)), STR("form-data")))
        return ERR_SYNTAX;
    value = str_sub(value, end, value.n);
    while (e == ERR_OK && (e = fieldparam_next(&value, &p)) == ERR_OK) {
        struct str *to = str_ieq(p.name, STR("name"))        ? &m->name
                         : str_ieq(p.name, STR("filename"))  ? &m->filename
                         : str_ieq(p.name, STR("filename*")) ? &extended
                                                             : NULL;
        if (to == NULL)
            continue;
        if (to->p != NULL)
            return ERR_SYNTAX;
        e = to == &extended ? read_extended(m, p.value, to) : read_text(m, &p, to);
    }
    if (extended.p != NULL)
        m->filename = extended;
    return e != ERR_EOF ? e : m->name.p != NULL ? ERR_OK : ERR_SYNTAX;
}

static struct str checked_type(struct str value)
{
    struct str rest = value;
    struct fieldparam p;
    enum err e = ERR_OK;
    if (fieldparam_media(&rest).p == NULL)
        return STR_NONE;
    while (e == ERR_OK)
        e = fieldparam_next(&rest, &p);
    return e == ERR_EOF && utf8_valid(value) ? value : STR_NONE;
}

static enum err read_field(struct multipart *m, struct str line)
{
    size_t colon = str_find(line, ':');
    struct str name = str_sub(line, 0, colon);
    struct str value = fieldparam_trim(str_sub(line, colon + 1, line.n));
    if (colon == line.n || !fieldparam_is_token(name))
        return ERR_SYNTAX;
    if (str_ieq(name, STR("Content-Disposition")))
        return read_disposition(m, value);
    if (str_ieq(name, STR("Content-Type"))) {
        m->type = checked_type(value);
    } else if (str_ieq(name, STR("Content-Transfer-Encoding"))) {
        bool plain = str_ieq(value, STR("binary")) || str_ieq(value, STR("8bit")) ||
                     str_ieq(value, STR("7bit"));
        return plain ? ERR_OK : ERR_UNSUPPORTED;
    }
    return ERR_OK;
}

enum err multipart_head_read(struct multipart *m)
{
    if (!unfold(&m->head))
        return ERR_SYNTAX;
    struct str rest = str_sub(buf_slice(&m->head), 0, m->head.n - 2), line;
    while (rest.n != 0 && str_split(&rest, '\n', &line)) {
        enum err e = read_field(m, str_sub(line, 0, line.n - 1));
        if (e != ERR_OK)
            return e;
    }
    return m->name.p != NULL ? ERR_OK : ERR_SYNTAX;
}
