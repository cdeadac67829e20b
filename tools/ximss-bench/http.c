// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#include "tools/ximss-bench/http.h"

#include <stdlib.h>

#include "tools/ximss-bench/session.h"

#define HELD_MAX ((size_t)64 << 20)

/* --- replies */

/* Of the head's fields this one alone matters, and it has to be there. */
static size_t length_of(struct str head)
{
    static const struct str name = {"content-length:", 15};
    struct str line;
    while (str_split(&head, '\n', &line)) {
        uint64_t n;
        if (str_istarts(line, name) &&
            str_u64(str_trim(str_sub(line, name.n, SIZE_MAX)), HELD_MAX, &n) == ERR_OK)
            return (size_t)n;
    }
    fail("a reply has no Content-Length");
}

/* Bytes of the head with its empty line; 0: it is not complete. */
static size_t head_size(struct str s)
{
    const char *end = s.n != 0 ? memmem(s.p, s.n, "\r\n\r\n", 4) : NULL;
    return end != NULL ? (size_t)(end - s.p) + 4 : 0;
}

static void take_replies(struct http *h)
{
    size_t head;
    while (h->l.fd != -1 && (head = head_size(buf_slice(&h->held))) != 0) {
        struct str all = buf_slice(&h->held);
        size_t body = length_of(str_sub(all, 0, head));
        uint64_t status;
        if (all.n < head + body)
            return;
        if (!str_starts(all, STR("HTTP/1.1 ")) ||
            str_u64(str_sub(all, 9, 3), 999, &status) != ERR_OK)
            fail("no reply: %.*s", STR_FMT(str_sub(all, 0, head)));
        /* The reply is taken off first: its function may close the connection. */
        struct buf reply = h->held;
        buf_init(&h->held, HELD_MAX);
        if (all.n > head + body)
            fail("the server says more than was asked for");
        h->answer(h, (int)status, str_sub(all, head, body));
        if (h->l.fd != -1 && h->held.p == NULL) {
            h->held = reply; /* its memory */
            buf_clear(&h->held);
        } else {
            buf_free(&reply);
        }
    }
}

static void on_link(struct link *l, enum link_event what, struct str data)
{
    struct http *h = CONTAINER_OF(l, struct http, l);
    switch (what) {
    case LINK_UP:
        h->up(h);
        break;
    case LINK_DATA:
        buf_str(&h->held, data);
        if (buf_err(&h->held) != ERR_OK)
            fail("a reply is too long");
        take_replies(h);
        break;
    case LINK_DOWN:
        fail("the server closed a connection");
    }
}

void http_open(struct http *h, const struct options *o)
{
    buf_init(&h->held, HELD_MAX);
    link_open(&h->l, &o->to, o->ctx, on_link);
}

void http_close(struct http *h)
{
    link_close(&h->l);
    buf_free(&h->held);
}

/* --- requests */

static void send_request(struct http *h, const char *method, const char *target, const char *more)
{
    char head[1400];
    int n = snprintf(head, sizeof head, "%s %s HTTP/1.1\r\nHost: bench.example\r\n%s\r\n", method,
                     target, more);
    if (n < 0 || (size_t)n >= sizeof head)
        fail("a request is too long");
    link_send(&h->l, (struct str){head, (size_t)n});
}

void http_get(struct http *h, const char *target)
{
    send_request(h, "GET", target, "");
}

void http_post(struct http *h, const char *target, const char *requests)
{
    char length[60];
    snprintf(length, sizeof length, "Content-Length: %zu\r\n", strlen(requests) + 15);
    send_request(h, "POST", target, length);
    link_send(&h->l, STR("<XIMSS>"));
    link_send(&h->l, str_of(requests));
    link_send(&h->l, STR("</XIMSS>"));
}

/* --- many */

struct opening {
    const struct options *o;
    struct http *h;
    uint32_t n, begun, done;
    bool all;
};

static struct opening *opening_of_all(void)
{
    static struct opening one;
    return &one;
}

static void open_next(struct opening *all)
{
    http_open(&all->h[all->begun++], all->o);
}

void http_is_up(struct http *h)
{
    struct opening *all = opening_of_all();
    (void)h;
    if (++all->done == all->n)
        all->all = true;
    else if (all->begun < all->n)
        open_next(all);
}

void http_open_all(struct http *h, uint32_t n, const struct options *o)
{
    struct opening *all = opening_of_all();
    *all = (struct opening){.o = o, .h = h, .n = n};
    while (all->begun < o->parallel && all->begun < n)
        open_next(all);
    link_wait(&all->all, "opening connections");
}

/* --- sessions */

struct logins {
    const struct options *o;
    struct web *web;
    uint32_t n, begun, done;
    bool all;
};

static void put_escaped(struct buf *b, const char *text)
{
    for (; *text != '\0'; text++)
        buf_printf(b, "%%%02X", (unsigned char)*text);
}

static void next_login(struct http *h)
{
    struct logins *all = h->owner;
    char name[300];
    struct buf target;
    if (all->begun == all->n)
        return;
    h->number = all->begun++;
    account_name(all->o, h->number % all->o->accounts, name, sizeof name);
    buf_init(&target, 4096);
    buf_lit(&target, "/XIMSSLogin/?userName=");
    put_escaped(&target, name);
    buf_lit(&target, "&password=");
    put_escaped(&target, all->o->password);
    buf_char(&target, '\0');
    if (buf_err(&target) != ERR_OK)
        fail("no memory");
    http_get(h, target.p);
    buf_free(&target);
}

static void logged_in(struct http *h, int status, struct str body)
{
    static const struct str before = {" urlID=\"", 8};
    struct logins *all = h->owner;
    const char *at = body.n != 0 ? memmem(body.p, body.n, before.p, before.n) : NULL;
    if (status != 200 || at == NULL)
        fail("login: %d %.*s", status, STR_FMT(body));
    struct str id = str_sub(body, (size_t)(at - body.p) + before.n, SIZE_MAX);
    id = str_sub(id, 0, str_find(id, '"'));
    if (id.n > URLID_LEN)
        fail("login: a long urlID");
    memcpy(all->web[h->number].id, id.p, id.n);
    if (++all->done == all->n)
        all->all = true;
    next_login(h);
}

struct web *web_sessions(uint32_t n, const struct options *o)
{
    uint32_t links = n < o->parallel ? n : o->parallel;
    struct logins all = {.o = o, .web = calloc(n, sizeof *all.web), .n = n};
    struct http *h = calloc(links, sizeof *h);
    if (all.web == NULL || h == NULL)
        fail("no memory");
    for (uint32_t i = 0; i < links; i++) {
        h[i] = (struct http){.up = next_login, .answer = logged_in, .owner = &all};
        http_open(&h[i], o);
    }
    link_wait(&all.all, "logins");
    for (uint32_t i = 0; i < links; i++)
        http_close(&h[i]);
    free(h);
    return all.web;
}
