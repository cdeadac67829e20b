// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
/*
 * format_message [-p] FILE…: the page that FORMAT makes of each message, for tests/html, behind a line with its length; UID 7 of a
 * folder "A&B/<c>", in slices of 1000 bytes. With -p: as if no helper could be had.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "codec/html_job.h"
#include "codec/mime.h"
#include "ximss/format_html.h"

static void read_file(const char *path, struct buf *to)
{
    FILE *f = fopen(path, "rb");
    char piece[4096];
    size_t n;
    if (f == NULL)
        exit(2);
    while ((n = fread(piece, 1, sizeof piece, f)) != 0)
        buf_add(to, piece, n);
    fclose(f);
}

static void clean(struct format *f, bool plain)
{
    static struct html_job job;
    struct buf packet, html;
    bool cut;
    buf_init(&packet, (size_t)8 << 20);
    buf_init(&html, (size_t)8 << 20);
    format_job(f, &packet);
    if (html_job_read(buf_slice(&packet), &job) != ERR_OK ||
        html_clean(job.html, job.parts, job.nparts, &html_limits_default, &html, &cut) != ERR_OK ||
        html_verify(buf_slice(&html), job.parts, job.nparts, html_limits_default.depth) != ERR_OK)
        exit(3);
    format_cleaned(f, plain ? ERR_TIMEOUT : ERR_OK, buf_slice(&html));
    buf_free(&packet);
    buf_free(&html);
}

static void format(const char *path, bool plain)
{
    static const struct format_options o = {.url_id = STR("100042-vN2Txjkggy7gjHRD10jw"),
                                            .folder = STR("A&B/<c>"),
                                            .uid = 7,
                                            .text_max = 100000};
    struct buf raw, head, body, out;
    struct format *f;
    size_t before = 0;
    enum err e;
    buf_init(&raw, (size_t)64 << 20);
    buf_init(&head, DIGEST_BLOB_MAX);
    buf_init(&body, DIGEST_BLOB_MAX);
    buf_init(&out, (size_t)64 << 20);
    read_file(path, &raw);
    if (mime_digest(buf_slice(&raw), &mime_limits_default, &head, &body) != ERR_OK ||
        format_new(&head, &body, &o, &f) != ERR_OK)
        exit(4);
    if (format_wants_clean(f))
        clean(f, plain);
    while ((e = format_write(f, &out, 1000)) == ERR_MORE) {
        if (out.n - before < 1000)
            exit(5);
        before = out.n;
    }
    if (e != ERR_OK)
        exit(6);
    printf("%zu\n", out.n);
    fwrite(out.p, 1, out.n, stdout);
    format_free(&f);
    buf_free(&raw);
    buf_free(&out);
}

int main(int argc, char **argv)
{
    bool plain = argc > 1 && strcmp(argv[1], "-p") == 0;
    setenv("TZ", "UTC0", 1);
    tzset();
    mime_init();
    for (int i = plain ? 2 : 1; i < argc; i++)
        format(argv[i], plain);
    return 0;
}
