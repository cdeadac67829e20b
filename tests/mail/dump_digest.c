// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
/*
 * dump_digest FILE…: the digest of each message as one line of JSON, for tests/mail. With -t N FILE…: the mean time of a
 * digest over N rounds, and the memory that is held before and after. With -b FILE: the blobs as tests/fuzz/fuzz_digest.c wants them.
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "base/buf.h"
#include "codec/digest.h"
#include "codec/mime.h"

static void json_str(struct str s)
{
    putchar('"');
    for (size_t i = 0; i < s.n; i++) {
        unsigned char c = (unsigned char)s.p[i];
        if (c == '"' || c == '\\')
            printf("\\%c", c);
        else if (c < 0x20)
            printf("\\u%04x", c);
        else
            putchar(c);
    }
    putchar('"');
}

static void json_member(const char *name, struct str s)
{
    printf(",\"%s\":", name);
    json_str(s);
}

static void dump_fields(const struct digest_fields *list)
{
    static const char *const kinds[] = {"text", "addresses", "date", "return-path"};
    putchar('[');
    for (uint32_t i = 0; i < list->count; i++) {
        struct digest_field f = digest_fields_at(list, i);
        printf("%s{\"kind\":\"%s\"", i != 0 ? "," : "", kinds[f.kind]);
        json_member("name", f.name);
        json_member("text", f.text);
        if (f.kind == DIGEST_DATE)
            printf(",\"when\":%lld,\"shift\":%d", (long long)f.when, f.shift);
        if (f.kind == DIGEST_ADDRESSES) {
            struct digest_address a;
            printf(",\"addresses\":[");
            for (bool first = true; digest_address_next(&f.list, &a); first = false) {
                printf("%s{\"kind\":%d", first ? "" : ",", (int)a.kind);
                json_member("name", a.name);
                json_member("address", a.address);
                putchar('}');
            }
            putchar(']');
        }
        putchar('}');
    }
    putchar(']');
}

static void dump_params(const char *name, struct str params)
{
    struct str key, value;
    printf(",\"%s\":{", name);
    for (bool first = true; digest_param_next(&params, &key, &value); first = false) {
        printf("%s", first ? "" : ",");
        json_str(key);
        putchar(':');
        json_str(value);
    }
    putchar('}');
}

static void dump_part(const struct digest_part *p)
{
    static const char *const kinds[] = {"leaf",    "text",    "multipart",
                                        "message", "headers", "report"};
    printf("%s{\"parent\":%u,\"depth\":%u,\"kind\":\"%s\",\"encoding\":%d,\"estimated\":%u,\"head_"
           "at\":%u,"
           "\"raw_at\":%u,\"raw_n\":%u",
           p->index != 0 ? "," : "", p->parent, p->depth, kinds[p->kind], (int)p->encoding,
           p->estimated, p->head_at, p->raw_at, p->raw_n);
    json_member("type", p->type);
    json_member("subtype", p->subtype);
    json_member("charset", p->charset);
    json_member("disposition", p->disposition);
    json_member("id", p->content_id);
    json_member("description", p->description);
    json_member("partID", p->part_id);
    json_member("error", p->parse_error);
    json_member("text", p->text);
    json_member("plain", p->plain);
    dump_params("params", p->type_params);
    dump_params("dparams", p->disposition_params);
    printf(",\"lists\":[");
    struct str lists = p->lists;
    struct digest_fields list;
    for (bool first = true; digest_lists_next(&lists, &list); first = false) {
        printf("%s", first ? "" : ",");
        dump_fields(&list);
    }
    printf("]}");
}

static int dump(const char *file, struct str raw)
{
    struct buf head, body;
    struct digest_head h;
    struct digest_body b;
    buf_init(&head, DIGEST_BLOB_MAX);
    buf_init(&body, DIGEST_BLOB_MAX);
    if (mime_digest(raw, &mime_limits_default, &head, &body) != ERR_OK ||
        digest_verify(buf_slice(&head), buf_slice(&body), raw.n) != ERR_OK ||
        digest_head_open(&h, buf_slice(&head)) != ERR_OK ||
        digest_body_open(&b, buf_slice(&body)) != ERR_OK) {
        fprintf(stderr, "%s: no digest\n", file);
        return 1;
    }
    printf("{\"size\":%llu,\"head_bytes\":%zu,\"body_bytes\":%zu", (unsigned long long)h.size,
           head.n, body.n);
    json_member("type", h.type);
    json_member("subtype", h.subtype);
    printf(",\"fields\":");
    dump_fields(&h.fields);
    printf(",\"parts\":[");
    for (uint32_t i = 0; i < b.count; i++) {
        struct digest_part p = digest_part_at(&b, i);
        dump_part(&p);
    }
    printf("]}\n");
    buf_free(&head);
    buf_free(&body);
    return 0;
}

static bool read_file(const char *file, struct buf *out)
{
    FILE *f = fopen(file, "rb");
    char chunk[65536];
    if (f == NULL) {
        perror(file);
        return false;
    }
    for (size_t n; (n = fread(chunk, 1, sizeof chunk, f)) != 0;)
        buf_add(out, chunk, n);
    fclose(f);
    return true;
}

static long resident_kib(void)
{
    long pages = 0, total;
    FILE *f = fopen("/proc/self/statm", "r");
    if (f != NULL) {
        if (fscanf(f, "%ld %ld", &total, &pages) != 2)
            pages = 0;
        fclose(f);
    }
    return pages * (sysconf(_SC_PAGESIZE) / 1024);
}

static int measure(long rounds, int count, char **files)
{
    struct buf *raw = calloc((size_t)count, sizeof *raw);
    struct buf head, body;
    struct timespec from, to;
    buf_init(&head, DIGEST_BLOB_MAX);
    buf_init(&body, DIGEST_BLOB_MAX);
    for (int i = 0; i < count; i++) {
        buf_init(&raw[i], DIGEST_BLOB_MAX);
        if (!read_file(files[i], &raw[i]))
            return 1;
    }
    long before = 0;
    clock_gettime(CLOCK_MONOTONIC, &from);
    for (long r = 0; r < rounds; r++) {
        for (int i = 0; i < count; i++) {
            buf_clear(&head);
            buf_clear(&body);
            if (mime_digest(buf_slice(&raw[i]), &mime_limits_default, &head, &body) != ERR_OK)
                return 1;
        }
        if (r == 0)
            before = resident_kib();
    }
    clock_gettime(CLOCK_MONOTONIC, &to);
    double us = (double)(to.tv_sec - from.tv_sec) * 1e6 + (double)(to.tv_nsec - from.tv_nsec) / 1e3;
    printf(
        "%ld digests, %.1f us each, resident %ld KiB after the first round, %ld KiB at the end\n",
        rounds * count, us / ((double)rounds * count), before, resident_kib());
    for (int i = 0; i < count; i++)
        buf_free(&raw[i]);
    free(raw);
    buf_free(&head);
    buf_free(&body);
    return 0;
}

static int write_blobs(const char *file)
{
    struct buf raw, head, body;
    buf_init(&raw, DIGEST_BLOB_MAX);
    buf_init(&head, UINT16_MAX);
    buf_init(&body, DIGEST_BLOB_MAX);
    if (!read_file(file, &raw) ||
        mime_digest(buf_slice(&raw), &mime_limits_default, &head, &body) != ERR_OK)
        return 1;
    putchar((int)(head.n & 0xff));
    putchar((int)(head.n >> 8));
    fwrite(head.p, 1, head.n, stdout);
    fwrite(body.p, 1, body.n, stdout);
    buf_free(&raw);
    buf_free(&head);
    buf_free(&body);
    return 0;
}

int main(int argc, char **argv)
{
    int bad = 0;
    mime_init();
    if (argc > 3 && strcmp(argv[1], "-t") == 0)
        return measure(strtol(argv[2], NULL, 10), argc - 3, argv + 3);
    if (argc == 3 && strcmp(argv[1], "-b") == 0)
        return write_blobs(argv[2]);
    for (int i = 1; i < argc; i++) {
        struct buf raw;
        buf_init(&raw, DIGEST_BLOB_MAX);
        if (!read_file(argv[i], &raw))
            return 1;
        bad |= dump(argv[i], buf_slice(&raw));
        buf_free(&raw);
    }
    return bad;
}
