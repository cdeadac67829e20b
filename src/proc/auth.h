// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#pragma once
/*
 * auth: the process that owns the account directory (design 2). What is slow goes to hashers; what decides is
 * src/auth, this file carries its questions and answers.
 */
#include "auth/pwchange.h"
#include "auth/sasl.h"
#include "base/idmap.h"
#include "proc/child.h"
#include "proc/gate.h"

#define AUTH_JOBS_MAX         500 /* waiting and running (design 2) */
#define AUTH_JOBS_PER_ADDRESS 4
#define AUTH_JOB_TIME         (5 * CLOCK_SEC)
#define AUTH_ATTACH_TIME      (5 * CLOCK_SEC)
#define AUTH_QUEUE_MAX        ((size_t)64 << 20) /* answers that a worker does not read */

struct auth_proc;

/* One piece of slow work. done() gets the hasher's verdict, or ERR_TIMEOUT, and frees what it hangs on. */
struct auth_job {
    struct auth_job *next;
    struct buf body; /* secret */
    enum verifier_job kind;
    struct ip addr;   /* who asks; zero: one of us, not counted */
    int64_t deadline; /* once it runs */
    void (*done)(struct auth_proc *a, void *arg, enum err e, struct str body);
    void *arg;
};

struct auth_hasher {
    struct auth_job *job; /* runs now, or NULL */
    bool leaving;         /* gets no more, and waits to hear that none is out */
};

struct auth_login;

struct auth_proc {
    struct child *c;
    struct directory *dir;
    struct sasl_env env;
    struct pwcache cache;
    struct nonces nonces;
    struct faillog fails;
    struct addrlist clients;
    struct gate gate;
    struct auth_domains {
        struct str *name; /* of the configuration's; [0]: the main domain */
        uint32_t n;
    } domains;
    struct auth_next {
        struct addrlist clients;
        struct auth_domains domains;
    } next;           /* prepared for a reload */
    uint32_t keepers; /* how many there are */

    struct auth_job *jobs, **jobs_tail; /* waiting */
    uint32_t njobs;                     /* waiting and running */
    struct auth_hasher hashers[CHILD_PEERS];
    struct idmap logins;       /* worker and connection -> struct auth_login */
    struct attempts *attempts; /* how logins ended, for why-login */
    struct idmap clear;        /* accounts whose password came in clear; each is logged once */
    struct idmap questions;    /* seq -> who waits for a keeper's answer */
    uint32_t next_question;
    struct timer tick;
    bool ready;
};

/* --- auth_jobs.c */
/*
 * Takes over the body. ERR_TIMEOUT: the queue is full; ERR_AGAIN: that address has four jobs in it. done() is not called
 * then.
 */
enum err auth_job_add(struct auth_proc *a, enum verifier_job kind, struct buf *body,
                      const struct ip *addr,
                      void (*done)(struct auth_proc *, void *, enum err, struct str),
                      void *arg) CHECKED;
/* What the client hears of a job that done() got no answer of, which is no failed login. */
enum err auth_job_failed(enum err e);
void auth_job_answer(struct auth_proc *a, uint32_t hasher, enum err e, struct str body);
/* It was told to finish. */
void auth_hasher_leaves(struct auth_proc *a, uint32_t hasher);
void auth_hasher_up(struct auth_proc *a, uint32_t hasher);
void auth_hasher_gone(struct auth_proc *a, uint32_t hasher);
/* Jobs whose time is over are reported to the master, who kills the hasher. */
void auth_jobs_tick(struct auth_proc *a, int64_t now);
/* Forgets jobs of an owner that is gone. */
void auth_job_orphan(struct auth_proc *a, const void *arg);

/* --- auth_login.c */
void auth_login_begin(struct auth_proc *a, struct bus_peer *worker, const struct ipc_item *it);
void auth_login_step(struct auth_proc *a, struct bus_peer *worker, const struct ipc_item *it);
void auth_login_drop(struct auth_proc *a, const struct bus_peer *worker, uint32_t conn,
                     uint32_t attempt);
void auth_session_checked(struct auth_proc *a, const struct bus_peer *keeper,
                          const struct ipc_item *it);
void auth_logins_of_worker_gone(struct auth_proc *a, uint32_t worker);
void auth_logins_tick(struct auth_proc *a, int64_t now);
/* A keeper is there (again): attaches that wait for it go out. */
void auth_keeper_up(struct auth_proc *a);
void auth_features(struct auth_proc *a, struct bus_peer *worker, const struct ipc_item *it);

/* --- auth_verdict.c */
/* A keeper did not take a login that auth had let in. */
void auth_attach_refused(struct auth_proc *a, const struct ipc_item *it);

/* --- auth_password.c */
void auth_password(struct auth_proc *a, struct bus_peer *keeper, const struct ipc_item *it);

/* --- auth_why.c: why-login, unban */
void auth_why_login(struct auth_proc *a, const struct ipc_item *it);
void auth_unban(struct auth_proc *a, const struct ipc_item *it);

/* --- auth_ctl.c: hooks->ctl, the verbs of ximssctl that auth answers (codec/ctl.tbl). */
void auth_ctl(struct child *c, const struct ipc_item *it);
