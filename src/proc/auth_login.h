// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#pragma once
/*
 * auth_login: a login that is on its way, for auth_login.c, which brings it to its verdict, and auth_verdict.c, which carries that out.
 */
#include "proc/auth.h"

struct auth_login {
    struct auth_proc *a;
    struct sasl s;
    uint32_t conn, attempt;
    uint32_t worker, worker_generation;
    uint32_t question;   /* a keeper's answer is awaited, or 0 */
    uint32_t asked_bank; /* of that keeper */
    uint32_t flags;      /* of the LOGIN */
    uint32_t place;      /* of the connection in the gate */
    char *request_id;    /* NULL: it had none */
    size_t request_id_n;
    bool noted;        /* how it ended stands in the memory of attempts */
    int64_t attach_by; /* success, but its keeper is not there: until when to wait; else 0 */
};

/* --- auth_login.c */
void auth_login_free(struct auth_login *l);
/* NULL: it is not there any more. */
struct bus_peer *auth_login_worker(struct auth_login *l);
/* NULL: not there now. */
struct child_peer *auth_login_keeper(struct auth_proc *a, uint32_t bank);

/* --- auth_verdict.c */
/* Remembers how it ended, once: the first word counts. */
void auth_login_note(struct auth_login *l, enum reason why, enum err e);
/* The end for a reason that is not the client's. */
void auth_login_give_up(struct auth_login *l, enum reason why, enum err e);
/* The state machine has come to its end. */
void auth_login_done(struct auth_login *l);
/* false: the keeper is not there now. Else the login is over. */
bool auth_login_attach(struct auth_login *l);
void auth_login_say_failed(struct bus_peer *worker, uint32_t conn, uint32_t attempt, enum err e,
                           int64_t delay);
/* A worker asks once more about what has failed already: when a keeper or auth was replaced, it cannot know. */
bool auth_login_has_failed(struct auth_proc *a, struct bus_peer *worker, const struct ipc_item *it,
                           const struct ipc_login *in);
