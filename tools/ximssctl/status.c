// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
/* status: the master's word on its processes, and the statistic elements of the shared table. */
#include <stdio.h>

#include "base/clock.h"
#include "shm/shm_reader.h"
#include "tools/ximssctl/print.h"
#include "tools/ximssctl/verbs.h"

void status_complete(const struct request *r, json_t *answer)
{
    struct shm_reader *reader = shm_reader_new(r->conf->server.run_dir.p);
    json_t *counters = json_object();
    struct shm_value v;
    if (reader != NULL && shm_reader_refresh(reader, clock_mono()) == SHM_OK) {
        json_object_set_new(answer, "channels", json_integer(shm_reader_server(reader)->channels));
        for (size_t i = 0; shm_reader_value(reader, i, &v); i++)
            json_object_set_new(counters, v.name, json_integer((json_int_t)v.value));
        json_object_set(answer, "counters", counters);
    }
    json_decref(counters);
    if (reader != NULL)
        shm_reader_free(&reader);
}

static long long counter(const json_t *answer, const char *name)
{
    return json_integer_value(json_object_get(json_object_get(answer, "counters"), name));
}

static void state(struct buf *b, const json_t *ready)
{
    buf_str(b, json_is_true(ready) ? STR("ready") : STR("not ready"));
}

void status_print(const json_t *answer)
{
    static const struct print_column processes[] = {
        {"PROCESS", "process", NULL},  {"PID", "pid", NULL},
        {"STATE", "ready", state},     {"UP", "uptime", print_age},
        {"HEARD", "heard", print_age}, {"RESTARTS", "restarts", NULL}};
    static const struct print_column listeners[] = {{"LISTENER", "listener", NULL},
                                                    {"PROTOCOL", "protocol", NULL},
                                                    {"ADDRESS", "address", NULL},
                                                    {"TLS", "tls", NULL},
                                                    {"OPEN", "open", NULL}};
    struct buf b;
    buf_init(&b, 4096);
    buf_lit(&b, "ximssd ");
    print_value(&b, json_object_get(answer, "version"));
    buf_lit(&b, ", pid ");
    print_value(&b, json_object_get(answer, "pid"));
    buf_lit(&b, ", up ");
    print_age(&b, json_object_get(answer, "uptime"));
    if (json_is_true(json_object_get(answer, "stopping")))
        buf_lit(&b, ", stopping");
    buf_char(&b, '\n');
    if (json_object_get(answer, "counters") != NULL)
        buf_printf(
            &b,
            "connections %lld of %lld, sessions %lld; since the start %lld connections, %lld "
            "refused, %lld sessions, %lld failed logins\n",
            counter(answer, "ximssActive"),
            (long long)json_integer_value(json_object_get(answer, "channels")),
            counter(answer, "ximssSessionsActive"), counter(answer, "ximssTotal"),
            counter(answer, "ximssRejected"), counter(answer, "ximssSessionsTotal"),
            counter(answer, "ximssLoginsFailed"));
    buf_char(&b, '\n');
    print_flush(&b, stdout);
    print_table(json_object_get(answer, "processes"), processes, ARRAY_LEN(processes));
    fputc('\n', stdout);
    print_table(json_object_get(answer, "listeners"), listeners, ARRAY_LEN(listeners));
    buf_free(&b);
}
