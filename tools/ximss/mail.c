// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#include "tools/ximss/mail.h"

#include <errno.h>
#include <stdio.h>

#include "tools/ximss/play.h"

#define MAIL_MAX ((size_t)256 << 20)
#define SENDER   "ann@example.org"

struct mail {
    struct link link;
    const char *server;
    struct buf data; /* as it goes over the line, final dot included */
};

static int fail(const struct mail *m, const char *what, struct str said, int code)
{
    fprintf(stderr, "ximss: %s: %s%.*s\n", m->server, what, STR_FMT(said));
    return code;
}

/* Says it and takes one answer, all its lines; it has to have that code. */
static int exchange(struct mail *m, struct str said, const char *code)
{
    struct str line = STR_NONE;
    enum link_state st = link_send(&m->link, said);
    do {
        if (st == LINK_OK)
            st = link_line(&m->link, &line);
        if (st != LINK_OK)
            return fail(m, st == LINK_CLOSED ? "the connection was closed" : m->link.problem,
                        STR_NONE, EXIT_NO_SERVER);
    } while (line.n > 3 && line.p[3] == '-');
    if (!str_starts(line, str_of(code)))
        return fail(m, "the mail was not taken: ", str_trim(line), EXIT_MISMATCH);
    return EXIT_FINE;
}

/* CR LF at the end of every line, dots doubled at their beginning (RFC 5321 4.5.2). */
static void add_lines(struct buf *to, struct str text)
{
    struct str line;
    while (text.n != 0 && str_split(&text, '\n', &line)) {
        if (line.n != 0 && line.p[line.n - 1] == '\r')
            line.n--;
        if (line.n != 0 && line.p[0] == '.')
            buf_char(to, '.');
        buf_str(to, line);
        buf_str(to, STR("\r\n"));
    }
}

static bool load(struct mail *m, const char *path)
{
    char piece[16384];
    struct buf text;
    size_t n;
    FILE *f = fopen(path, "r");
    if (f == NULL) {
        fprintf(stderr, "ximss: %s: %s\n", path, strerror(errno));
        return false;
    }
    buf_init(&text, MAIL_MAX);
    while ((n = fread(piece, 1, sizeof piece, f)) > 0)
        buf_add(&text, piece, n);
    bool fine = ferror(f) == 0 && buf_err(&text) == ERR_OK;
    fclose(f);
    if (fine) {
        add_lines(&m->data, buf_slice(&text));
        buf_str(&m->data, STR(".\r\n"));
        fine = buf_err(&m->data) == ERR_OK;
    }
    buf_free(&text);
    if (!fine)
        fprintf(stderr, "ximss: %s: cannot be read\n", path);
    return fine;
}

static int talk_lmtp(struct mail *m, struct str to)
{
    struct buf rcpt;
    int code = exchange(m, STR(""), "220");
    buf_init(&rcpt, 4096);
    buf_printf(&rcpt, "RCPT TO:<%.*s>\r\n", STR_FMT(to));
    if (code == EXIT_FINE)
        code = exchange(m, STR("LHLO ximss\r\n"), "250");
    if (code == EXIT_FINE)
        code = exchange(m, STR("MAIL FROM:<" SENDER ">\r\n"), "250");
    if (code == EXIT_FINE)
        code = exchange(m, buf_slice(&rcpt), "250");
    if (code == EXIT_FINE)
        code = exchange(m, STR("DATA\r\n"), "354");
    if (code == EXIT_FINE)
        code = exchange(m, buf_slice(&m->data), "250");
    if (code == EXIT_FINE)
        code = exchange(m, STR("QUIT\r\n"), "221");
    buf_free(&rcpt);
    return code;
}

int mail_deliver(const char *server, const struct link_options *opt, struct str to,
                 const char *path)
{
    struct mail m = {.server = server};
    int code = EXIT_SCRIPT;
    link_init(&m.link);
    buf_init(&m.data, MAIL_MAX * 2);
    if (load(&m, path)) {
        if (link_open(&m.link, server, opt) == LINK_OK)
            code = talk_lmtp(&m, to);
        else
            code = fail(&m, m.link.problem, STR_NONE, EXIT_NO_SERVER);
    }
    link_close(&m.link);
    buf_free(&m.data);
    return code;
}
