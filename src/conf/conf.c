// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#include "conf/conf.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "conf/load.h"
#include "conf/value.h"

/* What takes effect at the next start keeps the value that holds now. ERR_NOMEM. */
static enum err keep_values(struct conf *c, const struct conf *now, struct arena *a)
{
    for (size_t s = 0; s < ROW_SECTIONS; s++) {
        for (uint32_t i = row_sections[s].first;
             row_sections[s].scope == ROW_FIXED && i < row_sections[s].end; i++) {
            if (rows[i].when == CONF_RESTART &&
                value_copy(&rows[i], row_value(&rows[i], now), a, row_field(&rows[i], c)) != ERR_OK)
                return ERR_NOMEM;
        }
    }
    return ERR_OK;
}

static enum err load_text(struct str label, struct str text, const struct conf *now,
                          struct arena *a, struct conf **out, struct conf_problems *problems)
{
    struct problem_sink bad;
    struct load l = {.arena = a, .bad = &bad};
    *out = NULL;
    enum err e = problem_sink_init(&bad, problems, label, a);
    if (e != ERR_OK)
        return e;
    if (text.n > CONF_FILE_MAX) {
        problem_add(&bad, 0, "a configuration can have %d bytes, this one has more", CONF_FILE_MAX);
        return bad.nomem ? ERR_NOMEM : ERR_TOO_LONG;
    }
    e = load_begin(&l);
    if (e != ERR_OK)
        return e;
    l.c->label = problems->label;
    l.c->text = arena_str(a, text.n != 0 ? text : STR(""));
    if (l.c->text.p == NULL)
        return ERR_NOMEM;
    e = load_items(&l, l.c->text);
    if (e == ERR_OK && now != NULL)
        e = keep_values(l.c, now, a);
    if (e == ERR_OK)
        e = check_whole(&l);
    if (e != ERR_OK || bad.nomem)
        return ERR_NOMEM;
    if (problems->count != 0)
        return ERR_SYNTAX;
    *out = l.c;
    return ERR_OK;
}

enum err conf_load_text(struct str label, struct str text, struct arena *a, struct conf **out,
                        struct conf_problems *problems)
{
    return load_text(label, text, NULL, a, out, problems);
}

enum err conf_load_again(struct str label, struct str text, const struct conf *now, struct arena *a,
                         struct conf **out, struct conf_problems *problems)
{
    return load_text(label, text, now, a, out, problems);
}

#define READ_AT_ONCE 8192

/* At most CONF_FILE_MAX + 1 bytes, so that a longer file is noticed. */
static enum err read_file(const char *path, struct buf *to)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return errno == ENOENT ? ERR_NOT_FOUND : ERR_SYS;
    ssize_t got = 1;
    while (got > 0 && to->n < CONF_FILE_MAX + 1) {
        size_t left = CONF_FILE_MAX + 1 - to->n;
        size_t want = left < READ_AT_ONCE ? left : READ_AT_ONCE;
        char *room = buf_room(to, want);
        got = room != NULL ? read(fd, room, want) : -1;
        if (got > 0)
            buf_grow(to, (size_t)got);
    }
    int error = errno;
    close(fd);
    errno = error;
    if (buf_err(to) != ERR_OK)
        return buf_err(to);
    return got < 0 ? ERR_SYS : ERR_OK;
}

enum err conf_read(const char *path, struct arena *a, struct str *label, struct str *text,
                   struct conf_problems *problems)
{
    struct problem_sink bad;
    struct buf b;
    if (path == NULL && access(CONF_DEFAULT_PATH, F_OK) != 0 && errno == ENOENT) {
        *label = STR("(built in)");
        *text = STR("");
        return problem_sink_init(&bad, problems, *label, a);
    }
    *label = str_of(path != NULL ? path : CONF_DEFAULT_PATH);
    enum err e = problem_sink_init(&bad, problems, *label, a);
    if (e != ERR_OK)
        return e;
    buf_init(&b, CONF_FILE_MAX + 1);
    e = read_file(label->p, &b);
    int error = errno;
    *text = arena_str(a, buf_slice(&b));
    buf_free(&b);
    if (text->p == NULL)
        return ERR_NOMEM;
    if (e == ERR_OK || e == ERR_NOMEM)
        return e;
    problem_add(&bad, 0, "cannot be read: %s", strerror(error));
    return bad.nomem ? ERR_NOMEM : e;
}

enum err conf_load(const char *path, struct arena *a, struct conf **out,
                   struct conf_problems *problems)
{
    struct str label, text;
    *out = NULL;
    enum err e = conf_read(path, a, &label, &text, problems);
    return e == ERR_OK ? conf_load_text(label, text, a, out, problems) : e;
}

size_t conf_warnings(const struct conf *c, bool root, const char **list, size_t max)
{
    const char *w = NULL;
    if (!root)
        w = "not started by root: all processes have the same user, 'user' and 'worker_user' are "
            "not used, and Landlock stands in for the empty root folder";
    else if (str_eq(c->server.user, c->server.worker_user))
        w = "'user' and 'worker_user' are the same: who takes over a worker has the rights of "
            "those who own the mail";
    if (w != NULL && max != 0)
        list[0] = w;
    return w != NULL ? 1 : 0;
}

const struct conf_domain *conf_domain_find(const struct conf *c, struct str name)
{
    for (size_t i = 0; i < c->ndomains; i++) {
        if (str_ieq(c->domains[i].name, name))
            return &c->domains[i];
    }
    return NULL;
}
