// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#include "codec/smtpline.h"

#include "base/utf8.h"

/* --- lines */

enum err smtpline_next(struct str *in, struct str *line)
{
    size_t most = in->n < SMTPLINE_MAX ? in->n : SMTPLINE_MAX;
    bool bare = false;
    for (size_t i = 0; i < most; i++) {
        bool end = in->p[i] == '\n' && i != 0 && in->p[i - 1] == '\r';
        if (end) {
            *line = str_sub(*in, 0, i - 1);
            *in = str_sub(*in, i + 1, in->n);
            return bare ? ERR_SYNTAX : ERR_OK;
        }
        bare = bare || in->p[i] == '\n' || in->p[i] == 0 || (i != 0 && in->p[i - 1] == '\r');
    }
    return in->n >= SMTPLINE_MAX ? ERR_TOO_LONG : ERR_AGAIN;
}

static const char *const words[SMTP_VERB_COUNT] = {
#define VERB(name, word) [SMTP_##name] = word,
#include "codec/smtpline.tbl"
#undef VERB
};

enum smtp_verb smtpline_verb(struct str line, struct str *rest)
{
    size_t at = str_find(line, ' ');
    struct str word = str_sub(line, 0, at);
    *rest = str_trim(str_sub(line, at, line.n));
    for (int v = 1; v < SMTP_VERB_COUNT; v++) {
        if (str_ieq(word, str_of(words[v])))
            return (enum smtp_verb)v;
    }
    return SMTP_UNKNOWN;
}

/* --- paths */

/* Where the path's '>' stands, past quoted strings; s.n: nowhere, or a '<' is in the way. */
static size_t path_end(struct str s)
{
    bool quoted = false;
    for (size_t i = 0; i < s.n; i++) {
        if (quoted && s.p[i] == '\\')
            i++;
        else if (s.p[i] == '"')
            quoted = !quoted;
        else if (!quoted && (s.p[i] == '>' || s.p[i] == '<'))
            return s.p[i] == '>' ? i : s.n;
    }
    return s.n;
}

static bool legal_address(struct str a)
{
    for (size_t i = 0; i < a.n; i++) {
        if ((unsigned char)a.p[i] < 0x20 || a.p[i] == 0x7f)
            return false;
    }
    return utf8_valid(a);
}

/* The source route of RFC 5321, appendix C, is ignored: @a,@b:user@c */
static struct str without_route(struct str a)
{
    size_t colon = a.n != 0 && a.p[0] == '@' ? str_find(a, ':') : a.n;
    return colon < a.n ? str_sub(a, colon + 1, a.n) : a;
}

static enum err take_param(struct str p, struct smtp_path *out)
{
    struct str value = p, name;
    if (!str_split(&value, '=', &name))
        return ERR_SYNTAX;
    if (str_ieq(name, STR("SIZE"))) {
        out->has_size = true;
        enum err e = str_u64(value.p != NULL ? value : STR(""), UINT64_MAX, &out->size);
        if (e == ERR_RANGE)
            out->size = UINT64_MAX;
        return e == ERR_SYNTAX ? e : ERR_OK;
    }
    if (str_ieq(name, STR("BODY"))) {
        out->eightbit = str_ieq(value, STR("8BITMIME"));
        return out->eightbit || str_ieq(value, STR("7BIT")) ? ERR_OK : ERR_UNSUPPORTED;
    }
    if (str_ieq(name, STR("SMTPUTF8")) && value.p == NULL) {
        out->utf8 = true;
        return ERR_OK;
    }
    return ERR_UNSUPPORTED;
}

enum err smtp_path_parse(struct str rest, bool mail, struct smtp_path *out)
{
    struct str key = mail ? STR("FROM:") : STR("TO:"), param;
    *out = (struct smtp_path){.size = 0};
    if (!str_istarts(rest, key))
        return ERR_SYNTAX;
    rest = str_trim(str_sub(rest, key.n, rest.n));
    if (rest.n == 0 || rest.p[0] != '<')
        return ERR_SYNTAX;
    rest = str_sub(rest, 1, rest.n);
    size_t end = path_end(rest);
    if (end == rest.n)
        return ERR_SYNTAX;
    out->address = without_route(str_sub(rest, 0, end));
    rest = str_trim(str_sub(rest, end + 1, rest.n));
    if (out->address.n > SMTPPATH_MAX)
        return ERR_TOO_LONG;
    if ((out->address.n == 0 && !mail) || !legal_address(out->address))
        return ERR_SYNTAX;
    while (rest.n != 0 && str_split(&rest, ' ', &param)) {
        if (param.n == 0)
            continue;
        enum err e = mail ? take_param(param, out) : ERR_UNSUPPORTED;
        if (e != ERR_OK)
            return e;
    }
    return ERR_OK;
}

/* --- data */

enum { LINE_START, IN_LINE, CR, DOT, DOT_CR };

void smtp_data_init(struct smtp_data *d)
{
    d->state = LINE_START;
}

bool smtp_data_feed(struct smtp_data *d, struct str *in, struct buf *out)
{
    size_t i = 0, copied = 0; /* bytes [copied, i) belong to the message and are not yet in `out` */
    for (; i < in->n; i++) {
        char c = in->p[i];
        switch (d->state) {
        case IN_LINE: {
            const char *cr = memchr(in->p + i, '\r', in->n - i);
            if (cr == NULL) {
                i = in->n - 1;
            } else {
                i = (size_t)(cr - in->p);
                d->state = CR;
            }
            break;
        }
        case LINE_START:
            if (c == '.') {
                buf_add(out, in->p + copied, i - copied);
                copied = i + 1; /* the dot is stuffing, or the end */
                d->state = DOT;
                break;
            }
            d->state = c == '\r' ? CR : IN_LINE;
            break;
        case CR:
            d->state = c == '\n' ? LINE_START : c == '\r' ? CR : IN_LINE;
            break;
        case DOT:
            if (c == '\r') {
                buf_add(out, in->p + copied, i - copied);
                copied = i + 1; /* perhaps the end's CR; given back if not */
                d->state = DOT_CR;
                break;
            }
            d->state = IN_LINE;
            break;
        case DOT_CR:
            if (c == '\n') {
                *in = str_sub(*in, i + 1, in->n);
                return true;
            }
            buf_char(out, '\r');
            d->state = c == '\r' ? CR : IN_LINE;
            break;
        default:
            BUG_IF(true);
        }
    }
    if (copied < in->n)
        buf_add(out, in->p + copied, in->n - copied);
    *in = STR_NONE;
    return false;
}
