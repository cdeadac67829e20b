// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#include "tools/ximss-top/view.h"

/* A field of RFC 4180, 2: quoted when it has to be. */
static void field(struct buf *b, const char *text)
{
    if (strpbrk(text, ",\"\r\n") == NULL) {
        buf_str(b, str_of(text));
        return;
    }
    buf_char(b, '"');
    for (; *text != 0; text++) {
        if (*text == '"')
            buf_char(b, '"');
        buf_char(b, *text);
    }
    buf_char(b, '"');
}

static void text(struct buf *b, const char *t)
{
    field(b, t);
    buf_char(b, ',');
}

static void number(struct buf *b, uint64_t n)
{
    buf_u64(b, n);
    buf_char(b, ',');
}

static void session(struct buf *b, const struct item *it)
{
    number(b, it->id);
    text(b, it->ip);
    text(b, it->account);
    number(b, (uint64_t)it->connected);
    text(b, it->status);
    if (it->running)
        buf_u64(b, (uint64_t)it->since);
    buf_char(b, ',');
    text(b, it->transport);
    text(b, it->tls);
    number(b, it->port);
    number(b, it->bytes_in);
    number(b, it->bytes_out);
    buf_u64(b, it->requests);
    buf_lit(b, "\r\n");
}

static void counters(struct view *v)
{
    struct shm_value val;
    buf_lit(v->out, "name,kind,unit,value,help\r\n");
    for (size_t i = 0; shm_reader_value(v->reader, i, &val); i++) {
        text(v->out, val.name);
        text(v->out, view_kind(val.kind));
        text(v->out, val.unit);
        number(v->out, val.value);
        field(v->out, val.help);
        buf_lit(v->out, "\r\n");
        view_flush(v, false);
    }
}

void view_csv(struct view *v)
{
    struct item it;
    if (v->counters) {
        counters(v);
    } else {
        buf_lit(v->out, "id,ip,account,connected,status,running,transport,tls,port,bytesIn,"
                        "bytesOut,requests\r\n");
        for (size_t i = 0; i < v->selected; i++) {
            view_item(v, v->row[i], &it);
            session(v->out, &it);
            view_flush(v, false);
        }
    }
    view_flush(v, true);
}
