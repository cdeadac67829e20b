// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#include "codec/fieldparam.h"

static bool is_token_char(char c)
{
    char l = str_lower(c);
    return (l >= 'a' && l <= 'z') || (c >= '0' && c <= '9') ||
           (c != '\0' && memchr("!#$%&'*+-.^_`|~", c, 15) != NULL);
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

bool fieldparam_is_token(struct str s)
{
    for (size_t i = 0; i < s.n; i++) {
        if (!is_token_char(s.p[i]))
            return false;
    }
    return s.n != 0;
}

static void skip_blanks(struct str *s)
{
    while (s->n != 0 && is_blank(s->p[0]))
        *s = str_sub(*s, 1, s->n);
}

struct str fieldparam_trim(struct str s)
{
    skip_blanks(&s);
    while (s.n != 0 && is_blank(s.p[s.n - 1]))
        s.n--;
    return s;
}

struct str fieldparam_media(struct str *s)
{
    size_t end = str_find(*s, ';');
    struct str media = fieldparam_trim(str_sub(*s, 0, end));
    size_t slash = str_find(media, '/');
    if (!fieldparam_is_token(str_sub(media, 0, slash)) ||
        !fieldparam_is_token(str_sub(media, slash + 1, media.n)))
        return STR_NONE;
    *s = str_sub(*s, end, s->n);
    return media;
}

/* *s begins with the quote. */
static enum err take_quoted(struct str *s, struct str *value)
{
    size_t i = 1;
    for (; i < s->n && s->p[i] != '"'; i++) {
        if (s->p[i] == '\\' && ++i == s->n)
            return ERR_SYNTAX;
        unsigned char c = (unsigned char)s->p[i];
        if ((c < 0x20 && c != '\t') || c == 0x7f)
            return ERR_SYNTAX;
    }
    if (i >= s->n)
        return ERR_SYNTAX;
    *value = str_sub(*s, 1, i - 1);
    *s = str_sub(*s, i + 1, s->n);
    return ERR_OK;
}

static enum err take_bare(struct str *s, struct str *value)
{
    size_t i = 0;
    while (i < s->n && s->p[i] > 0x20 && s->p[i] < 0x7f && memchr("\",;\\", s->p[i], 4) == NULL)
        i++;
    *value = str_sub(*s, 0, i);
    *s = str_sub(*s, i, s->n);
    return i != 0 ? ERR_OK : ERR_SYNTAX;
}

enum err fieldparam_take(struct str *s, struct fieldparam *p)
{
    size_t equals = str_find(*s, '=');
    p->name = str_sub(*s, 0, equals);
    if (equals == s->n || !fieldparam_is_token(p->name))
        return ERR_SYNTAX;
    *s = str_sub(*s, equals + 1, s->n);
    p->quoted = s->n != 0 && s->p[0] == '"';
    enum err e = p->quoted ? take_quoted(s, &p->value) : take_bare(s, &p->value);
    if (e == ERR_OK)
        skip_blanks(s);
    return e;
}

enum err fieldparam_next(struct str *s, struct fieldparam *p)
{
    skip_blanks(s);
    if (s->n != 0 && s->p[0] != ';')
        return ERR_SYNTAX;
    while (s->n != 0 && (s->p[0] == ';' || is_blank(s->p[0])))
        *s = str_sub(*s, 1, s->n);
    return s->n != 0 ? fieldparam_take(s, p) : ERR_EOF;
}

void fieldparam_value(const struct fieldparam *p, struct buf *to)
{
    for (size_t i = 0; i < p->value.n; i++) {
        if (p->quoted && p->value.p[i] == '\\')
            i++;
        buf_char(to, p->value.p[i]);
    }
}
