// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#include "tools/ximssctl/ask.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tools/lib/ctlask.h"
#include "tools/ximssctl/print.h"

#define ANSWER_MAX  ((size_t)64 << 20) /* of one process and page */
#define SOURCES_MAX 512

/* --- ximssd offline-auth */

/* ximssd stands beside this program, or in the path. */
_Noreturn static void become_offline(const struct request *r, int fd)
{
    char path[4096];
    ssize_t n = readlink("/proc/self/exe", path, sizeof path - 16);
    char name[] = "ximssd", option[] = "-c", role[] = "offline-auth";
    const char *conf = r->option[OPT_CONFIG];
    char *with_file[] = {name, option, conf != NULL ? strdup(conf) : NULL, role, NULL};
    char *without[] = {name, role, NULL};
    char **argv = conf != NULL ? with_file : without;
    if (dup2(fd, 3) < 0)
        _exit(127);
    if (n > 0) {
        path[n] = 0;
        snprintf(strrchr(path, '/'), 16, "/ximssd");
        execv(path, argv);
    }
    execvp("ximssd", argv);
    execv("/usr/sbin/ximssd", argv);
    fputs("ximssctl: no server runs, and the program ximssd was not found\n", stderr);
    _exit(127);
}

static int start_offline(const struct request *r, pid_t *pid)
{
    int fds[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) != 0)
        return -1;
    *pid = fork();
    if (*pid == 0)
        become_offline(r, fds[1]);
    close(fds[1]);
    return *pid > 0 ? fds[0] : -1;
}

static bool is_absent(int e)
{
    return e == ENOENT || e == ECONNREFUSED;
}

bool ask_server_runs(const struct conf *c)
{
    int fd = ctlask_connect(c->server.run_dir.p);
    if (fd < 0)
        return !is_absent(errno);
    close(fd);
    return true;
}

/* -1: a sentence was printed. */
static int find_somebody(const struct request *r, pid_t *pid)
{
    const char *run_dir = r->conf->server.run_dir.p;
    bool json = r->option[OPT_JSON] != NULL;
    int fd = ctlask_connect(run_dir);
    if (fd < 0 && is_absent(errno) && (ctl_row(r->verb)->flags & CTLF_OFFLINE) != 0) {
        fd = start_offline(r, pid);
        if (fd < 0)
            print_problem(json, "ximssd cannot be started: %s", strerror(errno));
    } else if (fd < 0 && is_absent(errno)) {
        print_problem(json, "no server runs (nobody listens at %s/" CTL_SOCKET ")", run_dir);
    } else if (fd < 0) {
        print_problem(json, "%s/" CTL_SOCKET ": %s", run_dir, strerror(errno));
    }
    return fd;
}

/* --- the objects of an answer */

struct source {
    uint32_t role, number;
    struct buf text;
};

struct collection {
    struct source list[SOURCES_MAX];
    size_t n;
    bool overflow;
};

static void collect(void *ctx, const struct ctl_reply *from, struct str text)
{
    struct collection *c = ctx;
    size_t i = 0;
    while (i < c->n && (c->list[i].role != from->role || c->list[i].number != from->number))
        i++;
    if (i == SOURCES_MAX) {
        c->overflow = true;
        return;
    }
    if (i == c->n) {
        c->list[i] = (struct source){from->role, from->number, {0}};
        buf_init(&c->list[i].text, ANSWER_MAX);
        c->n++;
    }
    buf_str(&c->list[i].text, text);
}

static bool merge(json_t *into, json_t *from)
{
    const char *key;
    json_t *value;
    json_object_foreach(from, key, value)
    {
        json_t *have = json_object_get(into, key);
        int bad = 0;
        if (have == NULL)
            bad = json_object_set(into, key, value);
        else if (json_is_array(have) && json_is_array(value))
            bad = json_array_extend(have, value);
        else if (json_is_integer(have) && json_is_integer(value))
            bad = json_integer_set(have, json_integer_value(have) + json_integer_value(value));
        else if (json_is_object(have) && json_is_object(value))
            bad = !merge(have, value);
        if (bad != 0)
            return false;
    }
    return true;
}

/* A process's object into the answer; what it says of a next page is taken out. */
static enum err take_object(const struct source *s, json_t *answer, char **next)
{
    json_error_t why;
    json_t *object = json_loadb(s->text.p, s->text.n, JSON_ALLOW_NUL, &why);
    const char *place = json_string_value(json_object_get(object, "next"));
    enum err e = buf_err(&s->text) == ERR_OK && json_is_object(object) ? ERR_OK : ERR_PACKET;
    *next = NULL;
    if (e == ERR_OK && place != NULL) {
        *next = strdup(place);
        e = *next != NULL ? ERR_OK : ERR_NOMEM;
    }
    json_object_del(object, "next");
    if (e == ERR_OK && !merge(answer, object))
        e = ERR_NOMEM;
    json_decref(object);
    return e;
}

/* --- questions */

/* Where to go on, and with whom. */
struct places {
    struct {
        uint32_t number;
        char *next;
    } list[SOURCES_MAX];
    size_t n;
};

/* One question, one object of each who answers. */
static enum err put(int fd, const struct ctlask *q, json_t *answer, struct places *more,
                    enum err *verdict)
{
    struct collection *c = calloc(1, sizeof *c);
    struct ctlask mine = *q;
    if (c == NULL)
        return ERR_NOMEM;
    mine.on_piece = collect;
    mine.ctx = c;
    enum err e = ctlask(fd, &mine, verdict);
    if (e == ERR_OK && c->overflow)
        e = ERR_PACKET;
    for (size_t i = 0; i < c->n && e == ERR_OK; i++) {
        char *next;
        e = take_object(&c->list[i], answer, &next);
        if (next != NULL && more->n < SOURCES_MAX) {
            more->list[more->n].number = c->list[i].number;
            more->list[more->n++].next = next;
        }
    }
    for (size_t i = 0; i < c->n; i++)
        buf_free(&c->list[i].text);
    free(c);
    return e;
}

static enum err put_all_pages(int fd, struct ctlask *q, json_t *answer, enum err *verdict)
{
    struct places *more = calloc(1, sizeof *more);
    struct buf body;
    if (more == NULL)
        return ERR_NOMEM;
    enum err e = put(fd, q, answer, more, verdict);
    buf_init(&body, CTL_MAX);
    while (more->n != 0) {
        more->n--;
        buf_clear(&body);
        ipc_put_str(&body, str_of(more->list[more->n].next));
        free(more->list[more->n].next);
        q->target = more->list[more->n].number;
        q->body = buf_slice(&body);
        if (e == ERR_OK && *verdict == ERR_OK)
            e = put(fd, q, answer, more, verdict);
    }
    buf_free(&body);
    free(more);
    return e;
}

/* --- what it means */

static const char *sentence_for(enum err verdict)
{
    return verdict == ERR_NOT_FOUND    ? "there is no such thing"
           : verdict == ERR_NOMEM      ? "the server has no memory for it"
           : verdict == ERR_SYS        ? "the server could not do it; its log says why"
           : verdict == ERR_PACKET     ? "the server is of another version"
           : err_text(verdict)[0] == 0 ? err_name(verdict)
                                       : err_text(verdict);
}

/* Exactly the refusals have an "error". */
static bool explain(json_t *answer, enum err verdict)
{
    if (verdict == ERR_OK) {
        json_object_del(answer, "error");
        return true;
    }
    if (json_is_string(json_object_get(answer, "error")))
        return true;
    const char *who = json_string_value(json_array_get(json_object_get(answer, "silent"), 0));
    json_t *text =
        who != NULL ? json_sprintf("%s did not answer", who) : json_string(sentence_for(verdict));
    return json_object_set_new(answer, "error", text) == 0;
}

static const char *failure(enum err e)
{
    return e == ERR_PACKET     ? "the server is of another version"
           : e == ERR_TOO_LONG ? "that is too long"
           : e == ERR_NOMEM    ? "no memory"
                               : "no answer";
}

int ask(const struct request *r, const struct buf *body, json_t **answer)
{
    const struct ctl_row *row = ctl_row(r->verb);
    bool many = row->reach == CTL_ALL || row->reach == CTL_FIND;
    struct ctlask q = {
        .verb = r->verb, .target = many ? CTL_TARGET_ALL : 0, .body = buf_slice(body)};
    enum err verdict = ERR_OK;
    pid_t pid = 0;
    *answer = json_object();
    int fd = find_somebody(r, &pid);
    enum err e = *answer == NULL ? ERR_NOMEM
                 : fd < 0        ? ERR_NET
                                 : put_all_pages(fd, &q, *answer, &verdict);
    if (fd >= 0)
        close(fd);
    if (pid > 0)
        waitpid(pid, NULL, 0);
    if (e == ERR_OK && !explain(*answer, verdict))
        e = ERR_NOMEM;
    if (e == ERR_OK)
        return verdict == ERR_OK ? EXIT_FINE : EXIT_REFUSED;
    if (fd >= 0)
        print_problem(r->option[OPT_JSON] != NULL, "%s", failure(e));
    json_decref(*answer);
    *answer = NULL;
    return e == ERR_TOO_LONG ? EXIT_USAGE : EXIT_NO_SERVER;
}
