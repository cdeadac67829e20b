// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
/* What the server logs, and what it remembers of logins. */
#include <stdio.h>

#include "tools/ximssctl/print.h"
#include "tools/ximssctl/verbs.h"

static void put_option(const struct request *r, enum option_id id, struct buf *b)
{
    ipc_put_str(b, str_of(r->option[id] != NULL ? r->option[id] : ""));
}

/* --- log */

int log_reset(const struct request *r, struct buf *b)
{
    put_option(r, OPT_MODULE, b);
    put_option(r, OPT_SESSION, b);
    put_option(r, OPT_ACCOUNT, b);
    return EXIT_FINE;
}

int log_set(const struct request *r, struct buf *b)
{
    ipc_put_str(b, str_of(r->args[0]));
    log_reset(r, b);
    put_option(r, OPT_FOR, b);
    return EXIT_FINE;
}

static void left(struct buf *b, const json_t *seconds)
{
    if (json_is_number(seconds))
        print_age(b, seconds);
    else
        buf_lit(b, "until reset");
}

void log_print(const json_t *answer)
{
    static const struct print_column columns[] = {{"LEVEL", "level", NULL},
                                                  {"MODULE", "module", NULL},
                                                  {"SESSION", "session", NULL},
                                                  {"ACCOUNT", "account", NULL},
                                                  {"TIME LEFT", "left", left}};
    static const struct print_column modules[] = {{"MODULE", "module", NULL},
                                                  {"RECORDS OF", "what", NULL}};
    struct buf b;
    if (json_object_get(answer, "level") == NULL)
        return; /* refused */
    buf_init(&b, 8192);
    buf_lit(&b, "level ");
    print_value(&b, json_object_get(answer, "level"));
    buf_lit(&b, ", to ");
    print_value(&b, json_object_get(answer, "target"));
    buf_char(&b, '\n');
    print_flush(&b, stdout);
    print_table(json_object_get(answer, "rules"), columns, ARRAY_LEN(columns));
    fputc('\n', stdout);
    print_table(json_object_get(answer, "modules"), modules, ARRAY_LEN(modules));
    buf_free(&b);
}

/* --- why-login, unban */

static void at_time(struct buf *b, const json_t *time)
{
    struct str s = str_of(json_string_value(time));
    buf_str(b, str_sub(s, 0, 10)); /* 2026-11-27T11:30:00.123Z */
    buf_char(b, ' ');
    buf_str(b, str_sub(s, 11, 8));
}

static void verdict(struct buf *b, const json_t *number)
{
    if (json_integer_value(number) == 0)
        buf_lit(b, "ok");
    else
        print_value(b, number);
}

void logins_print_why(const json_t *answer)
{
    static const struct print_column columns[] = {
        {"TIME (GMT)", "time", at_time}, {"ADDRESS", "address", NULL},
        {"LINK", "link", NULL},          {"METHOD", "method", NULL},
        {"ANSWER", "errorNum", verdict}, {"REASON", "reason", NULL}};
    const json_t *attempts = json_object_get(answer, "attempts");
    const json_t *blocked = json_object_get(answer, "blockedFor");
    struct buf b;
    if (json_object_get(answer, "account") == NULL)
        return;
    buf_init(&b, 8192);
    print_value(&b, json_object_get(answer, "account"));
    buf_str(&b, json_is_true(json_object_get(answer, "exists")) ? STR(": ")
                                                                : STR(": no such account; "));
    buf_printf(&b, "%lld failed logins are counted",
               (long long)json_integer_value(json_object_get(answer, "failures")));
    if (json_is_number(blocked)) {
        buf_lit(&b, ", blocked for ");
        print_age(&b, blocked);
    }
    buf_char(&b, '\n');
    if (json_array_size(attempts) == 0)
        buf_lit(&b, "no login is remembered\n");
    print_flush(&b, stdout);
    print_table(attempts, columns, ARRAY_LEN(columns));
    buf_free(&b);
}

int logins_unban(const struct request *r, struct buf *b)
{
    if (r->option[OPT_ACCOUNT] == NULL && r->option[OPT_ADDRESS] == NULL &&
        r->option[OPT_ALL] == NULL)
        return request_usage(r, "whom: --account NAME, --address IP, or --all");
    put_option(r, OPT_ACCOUNT, b);
    put_option(r, OPT_ADDRESS, b);
    ipc_put_str(b, r->option[OPT_ALL] != NULL ? STR("yes") : STR(""));
    return EXIT_FINE;
}

void logins_print_unban(const json_t *answer)
{
    long long n[4];
    static const char *const keys[] = {"accounts", "blockedAccounts", "addresses",
                                       "blockedAddresses"};
    if (json_object_get(answer, keys[0]) == NULL)
        return;
    for (size_t i = 0; i < ARRAY_LEN(keys); i++)
        n[i] = (long long)json_integer_value(json_object_get(answer, keys[i]));
    printf("accounts: %lld cleared, %lld of them were blocked; addresses: %lld cleared, %lld of "
           "them were "
           "blocked\n",
           n[0], n[1], n[2], n[3]);
}
