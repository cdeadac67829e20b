// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#include "tools/ximssctl/verbs.h"

#include <stdio.h>
#include <stdlib.h>

#include "tools/ximssctl/password.h"
#include "tools/ximssctl/print.h"
#include "tools/ximssctl/try.h"

/* The words from that one on, as one string. */
static void put_rest(const struct request *r, int from, struct buf *b)
{
    struct buf rest;
    buf_init(&rest, CTL_MAX);
    for (int i = from; i < r->nargs; i++) {
        if (i != from)
            buf_char(&rest, ' ');
        buf_str(&rest, str_of(r->args[i]));
    }
    ipc_put_str(b, buf_slice(&rest));
    if (buf_err(&rest) != ERR_OK)
        b->failed = true;
    buf_free(&rest);
}

/* --- accounts */

static int put_password(const struct request *r, struct buf *b)
{
    char password[PASSWORD_MAX + 2];
    bool got = password_get(r->option[OPT_PASSWORD_STDIN] != NULL, true, password);
    if (got)
        ipc_put_str(b, str_of(password));
    explicit_bzero(password, sizeof password);
    return got ? EXIT_FINE : EXIT_USAGE;
}

static int account_passwd(const struct request *r, struct buf *b)
{
    ipc_put_str(b, str_of(r->args[0]));
    return put_password(r, b);
}

static int account_add(const struct request *r, struct buf *b)
{
    const char *real_name = r->option[OPT_REAL_NAME];
    int code = account_passwd(r, b);
    ipc_put_str(b, str_of(real_name != NULL ? real_name : ""));
    return code;
}

static int first_page(const struct request *r, struct buf *b)
{
    (void)r;
    ipc_put_str(b, STR(""));
    return EXIT_FINE;
}

/* --- sessions */

/* Numbers of connections and sessions, protocol 1, 9.1. */
#define ID_FIRST 100001
#define ID_LAST  999999

static int put_id(const struct request *r, struct buf *b)
{
    uint64_t id;
    if (str_u64(str_of(r->args[0]), ID_LAST, &id) != ERR_OK || id < ID_FIRST)
        return request_usage(r, "ID is a number of six digits, as `session list` shows it");
    ipc_put_u32(b, (uint32_t)id);
    return EXIT_FINE;
}

static int session_kick(const struct request *r, struct buf *b)
{
    return put_id(r, b);
}

static int session_say(const struct request *r, struct buf *b)
{
    int code = put_id(r, b);
    if (code == EXIT_FINE)
        put_rest(r, 1, b);
    return code;
}

static int by_id(const void *a, const void *b)
{
    const json_t *const *x = a, *const *y = b;
    json_int_t p = json_integer_value(json_object_get(*x, "id"));
    json_int_t q = json_integer_value(json_object_get(*y, "id"));
    return (p > q) - (p < q);
}

/* Workers' lists one behind the other become one list by number. */
static void sort_sessions(const struct request *r, json_t *answer)
{
    json_t *list = json_object_get(answer, "sessions");
    size_t n = json_array_size(list);
    json_t **rows = calloc(n + 1, sizeof(json_t *));
    (void)r;
    if (rows == NULL)
        return;
    for (size_t i = 0; i < n; i++)
        rows[i] = json_incref(json_array_get(list, i));
    qsort(rows, n, sizeof(json_t *), by_id);
    for (size_t i = 0; i < n; i++)
        json_array_set_new(list, i, rows[i]);
    free(rows);
}

static void print_address(struct buf *b, const json_t *value)
{
    const char *ip = json_string_value(value);
    if (ip != NULL && ip[0] != 0)
        buf_printf(b, "[%s]", ip);
}

static void print_sessions(const json_t *answer)
{
    static const struct print_column columns[] = {
        {"ID", "id", NULL},           {"IP ADDRESS", "ip", print_address},
        {"ACCOUNT", "account", NULL}, {"TRANSPORT", "transport", NULL},
        {"TLS", "tls", NULL},         {"CONNECTED", "connected", print_span},
        {"STATUS", "status", NULL},   {"RUNNING", "running", print_span}};
    print_table(json_object_get(answer, "sessions"), columns, ARRAY_LEN(columns));
}

static void print_told(const json_t *answer)
{
    json_int_t n = json_integer_value(json_object_get(answer, "told"));
    if (json_object_get(answer, "told") != NULL)
        printf("told %lld %s\n", (long long)n, n == 1 ? "session" : "sessions");
}

/* --- answers about accounts */

static void print_accounts(const json_t *answer)
{
    static const struct print_column columns[] = {{"ACCOUNT", "account", NULL},
                                                  {"BANK", "bank", NULL},
                                                  {"ENABLED", "enabled", NULL},
                                                  {"REAL NAME", "realName", NULL}};
    print_table(json_object_get(answer, "accounts"), columns, ARRAY_LEN(columns));
}

/* --- drain, reload */

static int put_within(const struct request *r, struct buf *b)
{
    const char *within = r->option[OPT_WITHIN];
    ipc_put_str(b, str_of(within != NULL ? within : ""));
    return EXIT_FINE;
}

static void print_names(const char *head, const json_t *names)
{
    struct buf b;
    const json_t *name;
    size_t i;
    buf_init(&b, (size_t)1 << 20);
    json_array_foreach(names, i, name)
    {
        buf_lit(&b, "  ");
        print_value(&b, name);
        buf_char(&b, '\n');
    }
    if (b.n != 0)
        puts(head);
    print_flush(&b, stdout);
    buf_free(&b);
}

static void print_reload(const json_t *answer)
{
    const json_t *changed = json_object_get(answer, "changed");
    puts(json_array_size(changed) != 0 ? "reloaded" : "reloaded; nothing has changed");
    print_names("changed:", changed);
    print_names("waits for a restart:", json_object_get(answer, "restart"));
    print_names("note:", json_object_get(answer, "notes"));
}

/* --- the table */

static const struct verb verbs[CTL_VERB_COUNT] = {
    [CTL_ACCOUNT_ADD] = {.body = account_add, .done = "account added"},
    [CTL_ACCOUNT_LIST] = {.body = first_page, .print = print_accounts},
    [CTL_ACCOUNT_PASSWD] = {.body = account_passwd, .done = "password changed"},
    [CTL_ACCOUNT_REMOVE] = {.done = "account removed"},
    [CTL_DRAIN] = {.body = put_within,
                   .done = "draining: the server stops when the last connection has gone"},
    [CTL_RELOAD] = {.print = print_reload},
    [CTL_SESSION_LIST] = {.body = first_page, .complete = sort_sessions, .print = print_sessions},
    [CTL_SESSION_KICK] = {.body = session_kick, .done = "kicked"},
    [CTL_SESSION_SAY] = {.body = session_say, .print = print_told},
    [CTL_SESSION_SAY_ALL] = {.print = print_told},
    [CTL_TRY] = {.run = try_run, .print = try_print},
    [CTL_WHY_LOGIN] = {.print = logins_print_why},
    [CTL_UNBAN] = {.body = logins_unban, .print = logins_print_unban},
    [CTL_LOG] = {.print = log_print},
    [CTL_LOG_SET] = {.body = log_set, .done = "level set"},
    [CTL_LOG_RESET] = {.body = log_reset, .done = "level reset"},
    [CTL_UPGRADE] =
        {.done = "the program is executed anew; the log and `ximssctl status` show how far it is"},
    [CTL_STATUS] = {.complete = status_complete, .print = status_print},
};

const struct verb *verb_of(enum ctl_verb v)
{
    return &verbs[v];
}

/* How many arguments stand before the one that takes the rest of the words. */
static int single_arguments(const struct request *r)
{
    struct str args = str_of(ctl_row(r->verb)->args), token;
    int n = 0;
    while (str_split(&args, ' ', &token)) {
        if (str_find(token, '.') < token.n)
            return n;
        n++;
    }
    return r->nargs;
}

int verb_body(const struct request *r, struct buf *b)
{
    if (verbs[r->verb].body != NULL)
        return verbs[r->verb].body(r, b);
    int single = single_arguments(r);
    for (int i = 0; i < single; i++)
        ipc_put_str(b, str_of(r->args[i]));
    if (single < r->nargs)
        put_rest(r, single, b);
    return EXIT_FINE;
}
