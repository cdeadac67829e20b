// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
/*
 * dump_http1 [-s N] [-l]: what streams of HTTP requests are read as, for tests/attack/test_smuggling.py.
 *
 * Standard input: a stream a line, in hexadecimal digits. Standard output: a line of JSON for each, {"requests": [...], "end": "idle",
 * "more" or "bad", "complete": how many of them are, "used": bytes of those, "status": 400, "why": "..."}. All bytes in hexadecimal digits. -s: fed in pieces
 * of N bytes. -l: llhttp alone, as http1 compiles it, without our checks; it has no "used", and says no host.
 */
#include <llhttp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "codec/http1.h"

#define LINE_MAX_BYTES ((size_t)1 << 20)

static void json_hex(const char *before, struct str s)
{
    printf("%s\"", before);
    for (size_t i = 0; i < s.n; i++)
        printf("%02x", (unsigned char)s.p[i]);
    putchar('"');
}

static void json_head(const struct http1_request *r, bool first)
{
    printf("%s{\"minor\":%u,\"length\":%lld,\"chunked\":%d,\"keep\":%d,\"expect\":%d",
           first ? "" : ",", r->minor, (long long)r->length, r->chunked, r->keep_alive,
           r->expect_continue);
    json_hex(",\"method\":", r->method_name);
    json_hex(",\"target\":", r->target);
    json_hex(",\"path\":", r->path);
    if (r->query.p != NULL)
        json_hex(",\"query\":", r->query);
    json_hex(",\"host\":", r->host);
    printf(",\"fields\":[");
    for (unsigned i = 0; i < r->count; i++) {
        const struct http1_field *f = &r->fields[i];
        json_hex(i != 0 ? ",{\"name\":" : "{\"name\":", str_sub(r->head, f->name_at, f->name_n));
        json_hex(",\"value\":", str_sub(r->head, f->value_at, f->value_n));
        putchar('}');
    }
    putchar(']');
}

/* --- our parser */

struct run {
    struct buf body;
    size_t requests, complete, used;
    bool open; /* a request's object is not closed yet */
};

static void close_request(struct run *run)
{
    if (run->open) {
        json_hex(",\"body\":", buf_slice(&run->body));
        putchar('}');
    }
    buf_clear(&run->body);
    run->open = false;
}

/* One piece; false: refused. */
static bool feed(struct http1 *h, struct str all, struct str piece, struct run *run)
{
    for (;;) {
        struct str body;
        switch (http1_feed(h, &piece, &body)) {
        case HTTP1_MORE:
            return true;
        case HTTP1_HEAD:
            json_head(http1_request(h), run->requests++ == 0);
            run->open = true;
            break;
        case HTTP1_BODY:
            buf_str(&run->body, body);
            break;
        case HTTP1_DONE:
            close_request(run);
            run->complete++;
            run->used = (size_t)(piece.p - all.p);
            http1_next(h);
            if (piece.n == 0)
                return true;
            break;
        case HTTP1_BAD:
            return false;
        }
    }
}

static void dump(struct str all, size_t step)
{
    struct http1 *h = http1_new(&http1_limits_default);
    struct run run = {.used = 0};
    bool good = true;
    if (h == NULL)
        exit(1);
    buf_init(&run.body, LINE_MAX_BYTES);
    printf("{\"requests\":[");
    for (size_t at = 0; good && at < all.n; at += step)
        good = feed(h, all, str_sub(all, at, step), &run);
    const char *end = !good ? "bad" : run.open || http1_begun(h) ? "more" : "idle";
    close_request(&run);
    printf("],\"end\":\"%s\",\"complete\":%zu,\"used\":%zu,\"status\":%d,\"why\":\"%s\"}\n", end,
           run.complete, run.used, http1_status(h), good ? "" : http1_why(h));
    buf_free(&run.body);
    http1_free(&h);
}

/* --- llhttp */

struct bare {
    size_t requests;
    struct str target;
    struct buf body;
};

static int bare_begin(llhttp_t *ll)
{
    struct bare *b = ll->data;
    b->target = STR("");
    buf_clear(&b->body);
    return 0;
}

static int bare_target(llhttp_t *ll, const char *p, size_t n)
{
    struct bare *b = ll->data;
    b->target = (struct str){p, n};
    return 0;
}

static int bare_body(llhttp_t *ll, const char *p, size_t n)
{
    struct bare *b = ll->data;
    buf_add(&b->body, p, n);
    return 0;
}

static int bare_end(llhttp_t *ll)
{
    struct bare *b = ll->data;
    struct str method = str_of(llhttp_method_name((llhttp_method_t)ll->method));
    printf("%s{\"minor\":%u", b->requests++ != 0 ? "," : "", ll->http_minor);
    json_hex(",\"method\":", method);
    json_hex(",\"target\":", b->target);
    json_hex(",\"body\":", buf_slice(&b->body));
    putchar('}');
    return 0;
}

static void dump_bare(struct str all)
{
    static const llhttp_settings_t callbacks = {
        .on_message_begin = bare_begin,
        .on_url = bare_target,
        .on_body = bare_body,
        .on_message_complete = bare_end,
    };
    struct bare b = {.requests = 0};
    llhttp_t ll;
    buf_init(&b.body, LINE_MAX_BYTES);
    llhttp_init(&ll, HTTP_REQUEST, &callbacks);
    ll.data = &b;
    printf("{\"requests\":[");
    llhttp_errno_t e = llhttp_execute(&ll, all.p, all.n);
    bool idle = e == HPE_OK && llhttp_finish(&ll) == HPE_OK;
    printf("],\"end\":\"%s\",\"why\":\"%s\"}\n",
           idle          ? "idle"
           : e == HPE_OK ? "more"
                         : "bad",
           llhttp_errno_name(e));
    buf_free(&b.body);
}

/* --- */

/* The bytes of a line, exactly as many as there are on the heap, so that a sanitizer sees one too far. */
static struct str unhex(const char *line)
{
    size_t n = strcspn(line, "\n") / 2;
    char *p = malloc(n != 0 ? n : 1);
    if (p == NULL)
        exit(1);
    for (size_t i = 0; i < n; i++) {
        int high = str_hex(line[2 * i]), low = str_hex(line[2 * i + 1]);
        if (high < 0 || low < 0)
            exit(2);
        p[i] = (char)(high * 16 + low);
    }
    return (struct str){p, n};
}

int main(int argc, char **argv)
{
    size_t step = SIZE_MAX;
    bool bare = argc == 2 && strcmp(argv[1], "-l") == 0;
    if (argc == 3 && strcmp(argv[1], "-s") == 0)
        step = strtoul(argv[2], NULL, 10);
    else if (argc != 1 && !bare)
        return 2;
    char *line = malloc(2 * LINE_MAX_BYTES);
    while (line != NULL && fgets(line, 2 * (int)LINE_MAX_BYTES, stdin) != NULL) {
        struct str all = unhex(line);
        if (bare)
            dump_bare(all);
        else
            dump(all, step < all.n ? step : all.n);
        free((void *)(uintptr_t)all.p);
    }
    free(line);
    return 0;
}
