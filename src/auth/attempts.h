// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#pragma once
/*
 * attempts: the last logins of each name and how they ended, for `ximssctl why-login`. In memory alone: nothing survives the
 * process. Pure: no clock, no process.
 *
 * ATTEMPTS_KEPT of each name, `names` names at most (800 bytes each); when there are more, who has not tried for the longest
 * time is forgotten. Names without an account have a quarter of the places: whoever invents names drives out invented
 * names. A name is kept as a keyed digest: people type passwords where names are due.
 */
#include "codec/addrlist.h"

#define ATTEMPTS_KEPT  20
#define ATTEMPTS_NAMES 10000

enum reason {
    REASON_NONE = 0,
#define REASON(name, text) REASON_##name,
#include "auth/reasons.tbl"
#undef REASON
    REASON_COUNT
};

enum attempt_link { ATTEMPT_CLEAR, ATTEMPT_TLS12, ATTEMPT_TLS13 };

struct attempt {
    int64_t wall; /* clock_wall() */
    struct ip address;
    uint32_t conn;   /* number of the connection ... */
    uint32_t number; /* ... and of its login */
    uint16_t err;    /* enum err: what the client was told; 0: logged in */
    uint8_t reason;  /* enum reason */
    uint8_t method;  /* enum sasl_mech_id */
    uint8_t link;    /* enum attempt_link */
};

struct attempts;

/* names: 4 at least. */
enum err attempts_new(struct attempts **out, uint32_t names) CHECKED;
void attempts_free(struct attempts **a);

/* name: canonical. exists: there is such an account now. No memory: it is not remembered. */
void attempts_add(struct attempts *a, struct str name, bool exists, const struct attempt *what);
/* The attempt with these numbers ended otherwise (a keeper refused what auth had let in). */
void attempts_correct(struct attempts *a, struct str name, uint32_t conn, uint32_t number,
                      enum reason reason, enum err err);
/* Those of the name, the newest first; returns how many. */
size_t attempts_of(const struct attempts *a, struct str name, struct attempt out[ATTEMPTS_KEPT]);
/* Names that are remembered. */
uint32_t attempts_names(const struct attempts *a);

const char *reason_text(enum reason r);
