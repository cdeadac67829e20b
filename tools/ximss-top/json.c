// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#include "tools/ximss-top/view.h"

#include <stdio.h>
#include <time.h>

/*
 * Rows are written with a bare pointer into room that was made for the longest one: with 5,000 of them this is what
 * most of the time goes into (goal S1).
 */
#define ESCAPED(n) (6 * (n) + 2)
#define ROW_MAX                                                                           \
    (ESCAPED(sizeof(((struct item *)0)->account)) + ESCAPED(SHM_TEXT_MAX(SHM_NAME_LEN)) + \
     ESCAPED(INET6_ADDRSTRLEN) + 1024)

#define LIT(p, lit) ((p) = (char *)memcpy((p), "" lit, sizeof(lit) - 1) + sizeof(lit) - 1)

/* A string of RFC 8259, 7. The text is well-formed UTF-8. */
static char *put_string(char *p, const char *text)
{
    *p++ = '"';
    for (;; text++) {
        unsigned char c = (unsigned char)*text;
        if (c >= 0x20 && c != '"' && c != '\\') {
            *p++ = (char)c;
        } else if (c == 0) {
            break;
        } else if (c >= 0x20) {
            *p++ = '\\';
            *p++ = (char)c;
        } else {
            LIT(p, "\\u00");
            *p++ = "0123456789abcdef"[c >> 4];
            *p++ = "0123456789abcdef"[c & 15];
        }
    }
    *p++ = '"';
    return p;
}

static char *put_number(char *p, uint64_t v)
{
    char digits[20];
    size_t n = 0;
    do
        digits[n++] = (char)('0' + v % 10);
    while ((v /= 10) != 0);
    while (n != 0)
        *p++ = digits[--n];
    return p;
}

static void quoted(struct buf *b, const char *text)
{
    char *p = buf_room(b, ESCAPED(strlen(text)));
    if (p != NULL)
        buf_grow(b, (size_t)(put_string(p, text) - p));
}

#define TEXT(b, name, value) (buf_lit(b, ",\"" name "\":"), quoted(b, value))
#define NUM(b, name, value)  (buf_lit(b, ",\"" name "\":"), buf_u64(b, value))

/* RFC 3339 in UTC. */
static void moment(char *out, size_t n, int64_t wall)
{
    time_t t = wall / CLOCK_SEC;
    struct tm tm;
    if (gmtime_r(&t, &tm) == NULL || strftime(out, n, "%Y-%m-%dT%H:%M:%SZ", &tm) == 0)
        out[0] = 0;
}

static void server(struct view *v)
{
    struct buf *b = v->out;
    char started[64];
    moment(started, sizeof(started), v->server->start_wall);
    buf_lit(b, "{\"server\":{\"version\":");
    quoted(b, v->server->version);
    buf_printf(b, ",\"pid\":%lld", (long long)v->server->pid);
    TEXT(b, "started", started);
    if (v->server->running)
        NUM(b, "uptime", (uint64_t)(v->server->uptime / CLOCK_SEC));
    else
        buf_lit(b, ",\"uptime\":null");
    buf_printf(b, ",\"running\":%s", v->server->running ? "true" : "false");
    NUM(b, "channels", v->server->channels);
    NUM(b, "workers", v->server->workers);
    NUM(b, "keepers", v->server->keepers);
    NUM(b, "unusable", v->server->unusable);
    buf_char(b, '}');
}

static char *put_session(char *p, const struct item *it)
{
    LIT(p, "{\"id\":");
    p = put_number(p, it->id);
    LIT(p, ",\"ip\":");
    p = put_string(p, it->ip);
    LIT(p, ",\"account\":");
    p = put_string(p, it->account);
    LIT(p, ",\"connected\":");
    p = put_number(p, (uint64_t)it->connected);
    LIT(p, ",\"status\":");
    p = put_string(p, it->status);
    LIT(p, ",\"running\":");
    if (it->running)
        p = put_number(p, (uint64_t)it->since);
    else
        LIT(p, "null");
    LIT(p, ",\"transport\":");
    p = put_string(p, it->transport);
    LIT(p, ",\"tls\":");
    p = put_string(p, it->tls);
    LIT(p, ",\"port\":");
    p = put_number(p, it->port);
    LIT(p, ",\"bytesIn\":");
    p = put_number(p, it->bytes_in);
    LIT(p, ",\"bytesOut\":");
    p = put_number(p, it->bytes_out);
    LIT(p, ",\"requests\":");
    p = put_number(p, it->requests);
    LIT(p, "}");
    return p;
}

static void session(struct view *v, const struct shm_row *row)
{
    struct item it;
    view_item(v, row, &it);
    char *p = buf_room(v->out, ROW_MAX);
    if (p != NULL)
        buf_grow(v->out, (size_t)(put_session(p, &it) - p));
}

static void counters(struct view *v)
{
    struct shm_value val;
    buf_lit(v->out, ",\n\"counters\":[");
    for (size_t i = 0; shm_reader_value(v->reader, i, &val); i++) {
        buf_add(v->out, ",\n", i != 0 ? 2 : 0);
        buf_lit(v->out, "{\"name\":");
        quoted(v->out, val.name);
        TEXT(v->out, "kind", view_kind(val.kind));
        TEXT(v->out, "unit", val.unit);
        NUM(v->out, "value", val.value);
        TEXT(v->out, "help", val.help);
        buf_char(v->out, '}');
        view_flush(v, false);
    }
    buf_char(v->out, ']');
}

void view_json(struct view *v)
{
    server(v);
    NUM(v->out, "selected", v->selected);
    NUM(v->out, "total", v->total);
    buf_lit(v->out, ",\"sessions\":[");
    for (size_t i = 0; i < v->selected; i++) {
        buf_add(v->out, ",\n", i != 0 ? 2 : 0);
        session(v, v->row[i]);
        view_flush(v, false);
    }
    buf_char(v->out, ']');
    if (v->counters)
        counters(v);
    buf_lit(v->out, "}\n");
    view_flush(v, true);
}
