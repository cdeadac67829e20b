// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#include "codec/http1_priv.h"

/* --- one field */

static struct str trim_blanks(struct str s)
{
    while (s.n != 0 && (s.p[0] == ' ' || s.p[0] == '\t'))
        s = str_sub(s, 1, s.n);
    while (s.n != 0 && (s.p[s.n - 1] == ' ' || s.p[s.n - 1] == '\t'))
        s.n--;
    return s;
}

bool http1_field_parse(struct str line, struct str *name, struct str *value,
                       struct http1_refusal *bad)
{
    if (line.n != 0 && (line.p[0] == ' ' || line.p[0] == '\t'))
        return http1_refuse(bad, 400, "folded field");
    size_t colon = str_find(line, ':');
    *name = str_sub(line, 0, colon);
    if (colon == line.n || colon == 0 || !http1_all(*name, HTTP1_C_TOKEN))
        return http1_refuse(bad, 400, "name of a field");
    *value = trim_blanks(str_sub(line, colon + 1, line.n));
    if (!http1_all(*value, HTTP1_C_VALUE))
        return http1_refuse(bad, 400, "control character in a field");
    return true;
}

/* --- what fields say about the request and its body */

/* Of the fields that matter here. */
struct seen {
    bool host, length, coding, expect;
    bool close, keep;
};

static bool note_host(struct http1_request *r, struct seen *s, struct str value,
                      struct http1_refusal *bad)
{
    if (s->host)
        return http1_refuse(bad, 400, "Host twice");
    s->host = true;
    /* Empty where the client's URL names no host (RFC 9112, 3.2). */
    if (value.n != 0 && !http1_host_ok(value))
        return http1_refuse(bad, 400, "Host");
    if (r->host.p != NULL && !str_ieq(r->host, value))
        return http1_refuse(bad, 400, "Host is not that of the target");
    r->host = value;
    return true;
}

static bool note_length(struct http1_request *r, struct seen *s, struct str value,
                        struct http1_refusal *bad)
{
    uint64_t length;
    if (s->length)
        return http1_refuse(bad, 400, "Content-Length twice");
    s->length = true;
    for (size_t i = 0; i < value.n; i++) {
        if (value.p[i] < '0' || value.p[i] > '9')
            return http1_refuse(bad, 400, "Content-Length");
    }
    if (value.n == 0)
        return http1_refuse(bad, 400, "Content-Length");
    if (str_u64(value, INT64_MAX, &length) != ERR_OK)
        return http1_refuse(bad, 413, "Content-Length too large");
    r->length = (int64_t)length;
    return true;
}

static bool note_coding(struct http1_request *r, struct seen *s, struct str value,
                        struct http1_refusal *bad)
{
    if (s->coding)
        return http1_refuse(bad, 400, "Transfer-Encoding twice");
    s->coding = true;
    if (r->minor == 0)
        return http1_refuse(bad, 400, "Transfer-Encoding with HTTP/1.0");
    if (!str_ieq(value, STR("chunked")))
        return http1_refuse(bad, 501, "Transfer-Encoding");
    r->chunked = true;
    return true;
}

static void note_connection(struct seen *s, struct str value)
{
    struct str word;
    while (str_split(&value, ',', &word)) {
        word = trim_blanks(word);
        s->close = s->close || str_ieq(word, STR("close"));
        s->keep = s->keep || str_ieq(word, STR("keep-alive"));
    }
}

static bool note(struct http1_request *r, struct seen *s, struct str name, struct str value,
                 struct http1_refusal *bad)
{
    switch (name.n) {
    case 4:
        return !str_ieq(name, STR("host")) || note_host(r, s, value, bad);
    case 6:
        if (str_ieq(name, STR("expect")))
            s->expect = s->expect || str_ieq(value, STR("100-continue"));
        return true;
    case 10:
        if (str_ieq(name, STR("connection")))
            note_connection(s, value);
        return true;
    case 14:
        return !str_ieq(name, STR("content-length")) || note_length(r, s, value, bad);
    case 17:
        return !str_ieq(name, STR("transfer-encoding")) || note_coding(r, s, value, bad);
    default:
        return true;
    }
}

/* What only all fields together can tell. */
static bool conclude(struct http1_request *r, const struct seen *s, struct http1_refusal *bad)
{
    if (r->minor == 1 && !s->host)
        return http1_refuse(bad, 400, "no Host");
    if (s->length && s->coding)
        return http1_refuse(bad, 400, "Content-Length and Transfer-Encoding");
    if (r->host.p == NULL)
        r->host = STR("");
    r->keep_alive = !s->close && (r->minor == 1 || s->keep);
    r->expect_continue = s->expect && r->minor == 1 && (r->chunked || r->length > 0);
    return true;
}

/* --- the head */

/* Takes a line with its CR LF off; the caller has seen that there is one. */
static struct str take_line(struct str *rest)
{
    size_t lf = str_find(*rest, '\n');
    struct str line = str_sub(*rest, 0, lf - 1);
    *rest = str_sub(*rest, lf + 1, rest->n);
    return line;
}

static bool keep_field(struct http1_request *r, unsigned most, struct str name, struct str value,
                       struct http1_refusal *bad)
{
    if (r->count >= most)
        return http1_refuse(bad, 431, "too many fields");
    r->fields[r->count++] = (struct http1_field){
        .name_at = (uint16_t)(name.p - r->head.p),
        .name_n = (uint16_t)name.n,
        .value_at = (uint16_t)(value.p - r->head.p),
        .value_n = (uint16_t)value.n,
    };
    return true;
}

bool http1_head_parse(struct str head, const struct http1_limits *limits, struct http1_request *r,
                      struct http1_refusal *bad)
{
    struct str rest = head, name, value;
    struct seen seen = {.host = false};
    r->head = head;
    r->length = -1;
    if (!http1_line_parse(take_line(&rest), limits->target, r, bad))
        return false;
    for (;;) {
        struct str line = take_line(&rest);
        if (line.n == 0)
            return conclude(r, &seen, bad);
        if (!http1_field_parse(line, &name, &value, bad) ||
            !keep_field(r, limits->fields, name, value, bad) || !note(r, &seen, name, value, bad))
            return false;
    }
}

/* --- look-up */

struct str http1_field_next(const struct http1_request *r, const char *lower_name, unsigned *at)
{
    struct str want = str_of(lower_name);
    while (*at < r->count) {
        const struct http1_field *f = &r->fields[(*at)++];
        if (f->name_n == want.n && str_ieq(str_sub(r->head, f->name_at, f->name_n), want))
            return str_sub(r->head, f->value_at, f->value_n);
    }
    return STR_NONE;
}

struct str http1_field(const struct http1_request *r, const char *lower_name)
{
    unsigned at = 0;
    return http1_field_next(r, lower_name, &at);
}
