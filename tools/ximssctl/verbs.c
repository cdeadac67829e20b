// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#include "tools/ximssctl/verbs.h"

#include "tools/ximssctl/password.h"
#include "tools/ximssctl/print.h"

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
    [CTL_STATUS] = {.complete = status_complete, .print = status_print},
};

const struct verb *verb_of(enum ctl_verb v)
{
    return &verbs[v];
}

/* The verb's last argument takes the rest of the words. */
static bool joins(const struct request *r)
{
    const char *args = ctl_row(r->verb)->args;
    return strstr(args, "...") != NULL;
}

static int count_arguments(const char *args)
{
    struct str s = str_of(args), token;
    int n = 0;
    while (str_split(&s, ' ', &token) && str_find(token, '.') == token.n)
        n++;
    return n;
}

int verb_body(const struct request *r, struct buf *b)
{
    if (verbs[r->verb].body != NULL)
        return verbs[r->verb].body(r, b);
    int single = joins(r) ? count_arguments(ctl_row(r->verb)->args) : r->nargs;
    for (int i = 0; i < single; i++)
        ipc_put_str(b, str_of(r->args[i]));
    if (single == r->nargs)
        return EXIT_FINE;
    struct buf rest;
    buf_init(&rest, CTL_MAX);
    for (int i = single; i < r->nargs; i++) {
        if (i != single)
            buf_char(&rest, ' ');
        buf_str(&rest, str_of(r->args[i]));
    }
    ipc_put_str(b, buf_slice(&rest));
    buf_free(&rest);
    return EXIT_FINE;
}
