// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
/*
 * dump_web: what the codecs of the HTTP door make of their input, for the Python tests here. Each line of standard input is a
 * word and arguments in hexadecimal ("-" is nothing at all); each is answered by one line of JSON, texts in hexadecimal.
 */
#include <stdio.h>
#include <stdlib.h>

#include "codec/filename.h"
#include "codec/forwarded.h"
#include "codec/httpfield.h"
#include "codec/multipart.h"
#include "codec/parturl.h"
#include "codec/proxyline.h"
#include "codec/urlform.h"
#include "codec/urlpath.h"

#define ARGS_MAX  80
#define ARENA_CAP ((size_t)8 << 20)

struct ask {
    struct arena *arena;
    uint32_t n;
    struct str arg[ARGS_MAX]; /* .p == NULL for those that are not there */
};

static void hex(struct str s)
{
    if (s.p == NULL) {
        fputs("null", stdout);
        return;
    }
    putchar('"');
    for (size_t i = 0; i < s.n; i++)
        printf("%02x", (unsigned char)s.p[i]);
    putchar('"');
}

static void member(const char *name, struct str s)
{
    printf(",\"%s\":", name);
    hex(s);
}

static void error(enum err e)
{
    printf("\"err\":\"%s\"", err_name(e));
}

static void dump_decode(struct ask *a)
{
    struct str out;
    enum err e = url_decode(a->arena, a->arg[0], a->arg[1].p != NULL, &out);
    error(e);
    if (e == ERR_OK)
        member("text", out);
}

static void dump_encode(struct ask *a)
{
    struct buf b;
    buf_init(&b, ARENA_CAP);
    url_encode(&b, a->arg[0]);
    error(buf_err(&b));
    member("text", b.n != 0 ? buf_slice(&b) : STR(""));
    buf_free(&b);
}

static void dump_path(struct ask *a)
{
    struct urlpath p;
    enum err e = urlpath_parse(a->arena, a->arg[0], &p);
    error(e);
    if (e != ERR_OK)
        return;
    printf(",\"segments\":[");
    for (uint32_t i = 0; i < p.n; i++) {
        printf("%s[", i != 0 ? "," : "");
        hex(p.seg[i].text);
        printf(",%d,%d]", p.seg[i].slash, p.seg[i].dots);
    }
    putchar(']');
}

/* Arguments: body, query, names to look for. */
static void dump_form(struct ask *a)
{
    struct urlform body, query;
    enum err e = urlform_parse(a->arena, a->arg[0], &body);
    if (e == ERR_OK)
        e = urlform_parse(a->arena, a->arg[1], &query);
    error(e);
    if (e != ERR_OK)
        return;
    printf(",\"pairs\":[");
    for (uint32_t i = 0; i < body.n; i++) {
        printf("%s[", i != 0 ? "," : "");
        hex(body.param[i].name);
        putchar(',');
        hex(body.param[i].value);
        putchar(']');
    }
    printf("],\"found\":[");
    for (uint32_t i = 2; i < a->n; i++) {
        if (i != 2)
            putchar(',');
        hex(urlform_get(&body, &query, a->arg[i]));
    }
    putchar(']');
}

static void dump_filename(struct ask *a)
{
    struct buf b;
    buf_init(&b, ARENA_CAP);
    filename_clean(&b, a->arg[0]);
    error(buf_err(&b));
    member("text", buf_slice(&b));
    buf_free(&b);
}

/* A whole path; what refers to the part begins at its fifth segment. */
static void dump_part(struct ask *a)
{
    struct urlpath p;
    struct parturl u;
    enum err e = urlpath_parse(a->arena, a->arg[0], &p);
    if (e == ERR_OK)
        e = p.n >= 4 ? parturl_parse(p.seg + 4, p.n - 4, &u) : ERR_SYNTAX;
    error(e);
    if (e != ERR_OK)
        return;
    printf(",\"kind\":\"%c\",\"uid\":%u", "PBV"[u.kind], u.uid);
    member("folder", p.seg[3].text);
    member("part", parturl_part(&u));
    member("name", u.name);
}

/* Arguments: session, folder, UID in decimal, part, name. */
static void dump_parturl(struct ask *a)
{
    struct buf b;
    uint64_t uid;
    BUG_IF(str_u64(a->arg[2], UINT32_MAX, &uid) != ERR_OK);
    buf_init(&b, ARENA_CAP);
    parturl_make(&b, a->arg[0], a->arg[1], (uint32_t)uid, a->arg[3], a->arg[4]);
    error(buf_err(&b));
    member("text", buf_slice(&b));
    buf_free(&b);
}

static void dump_ip(const struct ip *ip)
{
    char text[IP_TEXT_MAX];
    ip_print(ip, text);
    printf(",\"ip\":\"%s\"", text);
}

static void dump_proxy(struct ask *a)
{
    struct proxyline p;
    size_t used;
    enum err e = proxyline_read(a->arg[0], &used, &p);
    error(e);
    if (e != ERR_OK)
        return;
    printf(",\"used\":%zu,\"given\":%d", used, p.given);
    if (p.given) {
        dump_ip(&p.ip);
        printf(",\"port\":%u,\"tls\":%d", p.port, p.tls);
    }
}

/* Arguments: trusted networks, peer, then lines with 'F' (Forwarded) or 'X' in front. */
static void dump_forwarded(struct ask *a)
{
    struct addrlist trusted;
    struct forwarded f;
    struct ip ip;
    addrlist_init(&trusted);
    BUG_IF(addrlist_parse(&trusted, a->arg[0], NULL) != ERR_OK);
    BUG_IF(ip_parse(a->arg[1], &ip) != ERR_OK);
    forwarded_init(&f, &trusted, &ip);
    for (uint32_t i = 2; i < a->n; i++) {
        struct str value = str_sub(a->arg[i], 1, a->arg[i].n);
        if (a->arg[i].p[0] == 'F')
            forwarded_add(&f, value);
        else
            forwarded_add_x(&f, value);
    }
    bool known = forwarded_client(&f, &ip);
    error(ERR_OK);
    if (known)
        dump_ip(&ip);
    addrlist_free(&trusted);
}

/* Arguments: Content-Type, body, size of the pieces in decimal. */
static void dump_multipart(struct ask *a)
{
    struct str body = a->arg[1], piece;
    struct multipart m;
    struct buf data;
    uint64_t size;
    bool first = true, open = false, end = false;
    enum err e = multipart_init(&m, a->arg[0]);
    if (e != ERR_OK) {
        error(e);
        return;
    }
    BUG_IF(str_u64(a->arg[2], UINT32_MAX, &size) != ERR_OK);
    buf_init(&data, ARENA_CAP);
    printf("\"parts\":[");
    for (size_t at = 0; at < body.n;) {
        struct str in = str_sub(body, at, size);
        at += in.n;
        enum multipart_event ev;
        while ((ev = multipart_feed(&m, &in, &piece)) != MULTIPART_MORE && ev != MULTIPART_BAD) {
            if (ev == MULTIPART_PART) {
                printf("%s{\"n\":%u", first ? "" : ",", m.parts);
                member("name", m.name);
                member("filename", m.filename);
                member("type", m.type);
                buf_clear(&data);
                first = false;
                open = true;
            } else if (ev == MULTIPART_DATA) {
                BUG_IF(piece.n == 0);
                buf_str(&data, piece);
            } else if (ev == MULTIPART_PART_END) {
                member("data", data.n != 0 ? buf_slice(&data) : STR(""));
                putchar('}');
                open = false;
            }
            BUG_IF(end);
            end = ev == MULTIPART_END;
        }
    }
    printf(open ? "}]," : "],");
    error(multipart_finish(&m));
    buf_free(&data);
    multipart_free(&m);
}

/* Arguments: value, size in decimal. */
static void dump_range(struct ask *a)
{
    static const char *const kinds[] = {"none", "one", "beyond"};
    uint64_t size, from = 0, n = 0;
    BUG_IF(str_u64(a->arg[1], UINT64_MAX, &size) != ERR_OK);
    enum http_range kind = httpfield_range(a->arg[0], size, &from, &n);
    printf("\"kind\":\"%s\"", kinds[kind]);
    if (kind == HTTP_RANGE_ONE)
        printf(",\"from\":%ju,\"n\":%ju", (uintmax_t)from, (uintmax_t)n);
}

static void dump_cookie(struct ask *a)
{
    error(ERR_OK);
    member("value", httpfield_cookie(a->arg[0], a->arg[1]));
}

static void dump_basic(struct ask *a)
{
    struct str user, password;
    struct buf b;
    buf_init(&b, 4096);
    b.secret = true;
    enum err e = httpfield_basic(a->arg[0], &b, &user, &password);
    error(e);
    if (e == ERR_OK) {
        member("user", user);
        member("password", password);
    } else {
        BUG_IF(b.n != 0);
    }
    buf_free(&b);
}

static void dump_media(struct ask *a)
{
    struct str media = httpfield_media(a->arg[0]);
    printf("\"shown\":%d", httpfield_shown(media));
    member("media", media);
}

static void dump_disposition(struct ask *a)
{
    struct buf b;
    buf_init(&b, ARENA_CAP);
    httpfield_disposition(&b, a->arg[1].p != NULL, a->arg[0]);
    error(buf_err(&b));
    member("text", buf_slice(&b));
    buf_free(&b);
}

static void dump_origin(struct ask *a)
{
    printf("\"in\":%d", httpfield_origin(a->arg[0], a->arg[1]));
}

static const struct {
    const char *word;
    void (*dump)(struct ask *a);
} rows[] = {
    {"decode", dump_decode},       {"encode", dump_encode},     {"path", dump_path},
    {"form", dump_form},           {"filename", dump_filename}, {"part", dump_part},
    {"parturl", dump_parturl},     {"proxy", dump_proxy},       {"forwarded", dump_forwarded},
    {"multipart", dump_multipart}, {"range", dump_range},       {"cookie", dump_cookie},
    {"basic", dump_basic},         {"media", dump_media},       {"disposition", dump_disposition},
    {"origin", dump_origin},
};

static struct str unhex(struct arena *a, struct str s)
{
    if (str_eq(s, STR("-")))
        return STR_NONE;
    char *to = arena_alloc(a, s.n / 2);
    BUG_IF(to == NULL || s.n % 2 != 0);
    for (size_t i = 0; i < s.n / 2; i++)
        to[i] = (char)(str_hex(s.p[2 * i]) << 4 | str_hex(s.p[2 * i + 1]));
    return (struct str){to, s.n / 2};
}

static void answer(struct arena *arena, struct str line)
{
    struct ask a = {.arena = arena};
    struct str word, arg;
    bool known = false;
    BUG_IF(!str_split(&line, ' ', &word));
    while (str_split(&line, ' ', &arg)) {
        BUG_IF(a.n == ARGS_MAX);
        a.arg[a.n++] = unhex(arena, arg);
    }
    putchar('{');
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        if (str_eq(word, str_of(rows[i].word))) {
            rows[i].dump(&a);
            known = true;
        }
    }
    BUG_IF(!known);
    printf("}\n");
}

int main(void)
{
    char *line = NULL;
    size_t cap = 0;
    ssize_t n;
    while ((n = getline(&line, &cap, stdin)) > 0) {
        struct arena arena;
        arena_init(&arena, ARENA_CAP);
        answer(&arena, str_trim((struct str){line, (size_t)n}));
        arena_free(&arena);
    }
    free(line);
    return 0;
}
