// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#include "conf/conf.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "conf/load.h"
#include "conf/value.h"

enum err conf_load_text(struct str label, struct str text, struct arena *a, struct conf **out,
                        struct conf_problems *problems)
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
    if (e == ERR_OK)
        e = check_whole(&l);
    if (e != ERR_OK || bad.nomem)
        return ERR_NOMEM;
    if (problems->count != 0)
        return ERR_SYNTAX;
    *out = l.c;
    return ERR_OK;
}

/* At most CONF_FILE_MAX + 1 bytes, so that a longer file is noticed. */
static enum err read_file(const char *path, char *to, size_t *n)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return errno == ENOENT ? ERR_NOT_FOUND : ERR_SYS;
    ssize_t got = 1;
    *n = 0;
    while (got > 0 && *n < CONF_FILE_MAX + 1) {
        got = read(fd, to + *n, CONF_FILE_MAX + 1 - *n);
        if (got > 0)
            *n += (size_t)got;
    }
    int error = errno;
    close(fd);
    errno = error;
    return got < 0 ? ERR_SYS : ERR_OK;
}

enum err conf_load(const char *path, struct arena *a, struct conf **out,
                   struct conf_problems *problems)
{
    struct problem_sink bad;
    size_t n = 0;
    *out = NULL;
    if (path == NULL && access(CONF_DEFAULT_PATH, F_OK) != 0 && errno == ENOENT)
        return conf_load_text(STR("(built in)"), STR(""), a, out, problems);
    if (path == NULL)
        path = CONF_DEFAULT_PATH;
    char *text = malloc(CONF_FILE_MAX + 1);
    if (text == NULL)
        return ERR_NOMEM;
    enum err e = read_file(path, text, &n);
    int error = errno;
    if (e == ERR_OK) {
        e = conf_load_text(str_of(path), (struct str){text, n}, a, out, problems);
    } else if (problem_sink_init(&bad, problems, str_of(path), a) != ERR_OK) {
        e = ERR_NOMEM;
    } else {
        problem_add(&bad, 0, "cannot be read: %s", strerror(error));
        e = bad.nomem ? ERR_NOMEM : e;
    }
    free(text);
    return e;
}

static const char *const full_names[ROWS_COUNT] = {
#define SETTING(sec, name, type, def, min, max, words, when, line, para) \
    [ROW_AT_##sec##_##name] = #sec "." #name,
#include "conf/settings.tbl"
};

size_t conf_restart_needed(const struct conf *old, const struct conf *new, const char **names,
                           size_t max)
{
    size_t n = 0;
    for (size_t i = 0; i < ROWS_COUNT; i++) {
        const struct row *r = &rows[i];
        if (full_names[i] == NULL || r->when != CONF_RESTART ||
            value_same(r, row_value(r, old), row_value(r, new)))
            continue;
        if (n < max)
            names[n] = full_names[i];
        n++;
    }
    return n;
}

size_t conf_warnings(const struct conf *c, bool root, const char **list, size_t max)
{
    (void)c; /* so far nothing depends on a value */
    if (root && max != 0)
        list[0] = "started by root, all processes keep its rights: 'user' and 'worker_user' are "
                  "not used by this version; start the server as a user of its own";
    return root ? 1 : 0;
}

const struct conf_domain *conf_domain_find(const struct conf *c, struct str name)
{
    for (size_t i = 0; i < c->ndomains; i++) {
        if (str_ieq(c->domains[i].name, name))
            return &c->domains[i];
    }
    return NULL;
}
