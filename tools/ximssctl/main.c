// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
/*
 * ximssctl: what an administrator says to the server (design 8). While it runs, over run_dir/control; the account verbs
 * also when it does not, through `ximssd offline-auth`.
 */
#include <stdio.h>

#include "base/clock.h"
#include "tools/ximssctl/ask.h"
#include "tools/ximssctl/memory.h"
#include "tools/ximssctl/print.h"
#include "tools/ximssctl/verbs.h"

#define CONF_MEMORY ((size_t)64 << 20)

/* What people want to know even when the verb was done. */
static void say_silent(const json_t *answer)
{
    const json_t *name;
    size_t i;
    json_array_foreach(json_object_get(answer, "silent"), i, name)
        fprintf(stderr, "ximssctl: %s did not answer\n", json_string_value(name));
}

static void show(const struct request *r, int code, const json_t *answer)
{
    const struct verb *v = verb_of(r->verb);
    if (r->option[OPT_JSON] != NULL) {
        print_json(answer);
        return;
    }
    /* When one of several processes refuses, what the others said still counts. */
    if (v->print != NULL && (code == EXIT_FINE || ctl_row(r->verb)->reach != CTL_ONE))
        v->print(answer);
    else if (code == EXIT_FINE)
        puts(v->done != NULL ? v->done : "done");
    if (code == EXIT_FINE)
        say_silent(answer);
    else if (ctl_row(r->verb)->reach != CTL_TOOL)
        print_problem(false, "%s", json_string_value(json_object_get(answer, "error")));
}

/* The verb through the server. */
static int ask_server(const struct request *r, json_t **answer)
{
    const struct verb *v = verb_of(r->verb);
    struct buf body;
    buf_init(&body, CTL_MAX - sizeof(struct ctl_head));
    (void)buf_room(&body, body.max); /* growing would leave copies of a password */
    int code = verb_body(r, &body);
    if (code == EXIT_FINE && buf_err(&body) != ERR_OK)
        code = request_usage(r, "that is too long");
    if (code == EXIT_FINE)
        code = ask(r, &body, answer);
    if (body.p != NULL)
        explicit_bzero(body.p, body.n);
    buf_free(&body);
    if (*answer != NULL && v->complete != NULL)
        v->complete(r, *answer);
    return code;
}

static int run(const struct request *r)
{
    const struct verb *v = verb_of(r->verb);
    json_t *answer = NULL;
    int code;
    if (v->run != NULL) {
        answer = json_object();
        code = v->run(r, answer);
    } else {
        code = ask_server(r, &answer);
    }
    if (answer != NULL && code != EXIT_USAGE && code != EXIT_NO_SERVER)
        show(r, code, answer);
    json_decref(answer);
    return code;
}

int main(int argc, char **argv)
{
    struct request r;
    struct arena a;
    struct conf *c = NULL;
    struct conf_problems problems;
    int code;
    clock_init();
    if (!request_parse(&r, argc, argv, &code))
        return code;
    memory_or_end(r.option[OPT_JSON] != NULL);
    arena_init(&a, CONF_MEMORY);
    enum err e = conf_load(r.option[OPT_CONFIG], &a, &c, &problems);
    if (e == ERR_OK) {
        r.conf = c;
        code = run(&r);
    } else if (e == ERR_NOMEM) {
        memory_end();
    } else {
        conf_problems_print(stderr, &problems);
        code = EXIT_USAGE;
    }
    arena_free(&a);
    if (fflush(stdout) != 0 || ferror(stdout)) {
        perror("ximssctl: standard output");
        return code == EXIT_FINE ? EXIT_REFUSED : code;
    }
    return code;
}
