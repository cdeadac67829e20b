// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#pragma once
/*
 * bench: what the parts of ximss-bench share: options, figures, the server's own use of the machine.
 *
 * A load generator ends at the first thing that goes wrong: fail() prints why and exits with 1, so nothing here
 * returns errors.
 */
#include <openssl/types.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/types.h>

#include "base/buf.h"

struct address {
    struct sockaddr_storage sa;
    socklen_t n;
};

struct options {
    const char *mode;
    struct address to, lmtp;
    bool tls, no_login, hold, has_to, has_lmtp;
    bool no_first; /* sessions_first_logins() does nothing */
    bool mix, resume;
    uint32_t connections;
    uint32_t pipeline;    /* requests in flight per connection */
    uint32_t accounts;    /* bench0@domain ... */
    uint32_t count;       /* operations, for modes that count instead of taking time */
    uint32_t parallel;    /* connections that are being opened at once */
    uint32_t size;        /* bytes of a delivered message */
    double seconds, warm; /* measured time, and time before it */
    const char *domain, *password, *path;
    pid_t server; /* the master, or 0 */
    char **argv;  /* of mode spawn */
    SSL_CTX *ctx; /* when tls */
};

_Noreturn void fail(const char *fmt, ...) PRINTF_LIKE(1, 2);

/* --- figures: one JSON line in the end */

struct figures {
    int64_t began, ended;     /* clock_mono() */
    int64_t cpu;              /* of all processes of the server, nanoseconds */
    uint64_t ops;             /* between the two */
    int64_t *samples;         /* nanoseconds; at most SAMPLES_MAX, the rest is thinned out */
    uint32_t nsamples, every; /* each `every`th is kept */
    uint64_t seen;
    pid_t server;
};

#define SAMPLES_MAX (1u << 20)

void figures_begin(struct figures *f, pid_t server);
void figures_sample(struct figures *f, int64_t ns);
/* Takes the time and the CPU; further ops and samples do not belong to it. */
void figures_end(struct figures *f);
/* q of 0...1; 0 when there are none. Sorts. */
int64_t figures_quantile(struct figures *f, double q);
/* {"mode":…,"ops":…,"seconds":…,"rate":…,"p50_us":…,"p99_us":…,"cpu_us":… EXTRA}; extra: ',"name":value…' or "". */
void figures_print(struct figures *f, const struct options *o, const char *extra);

/* --- the server */

/* Time on a processor of the process and all its children, also those that have ended, ns. */
int64_t server_cpu(pid_t master);
/* Proportional set size of the same, bytes. */
uint64_t server_pss(pid_t master);

/* --- modes */

void run_requests(const struct options *o);
void run_login(const struct options *o);
void run_idle(const struct options *o);
void run_lmtp(const struct options *o);
void run_notify(const struct options *o);
void run_http_load(const struct options *o);
void run_polls(const struct options *o);
void run_connect(const struct options *o);
void run_spawn(const struct options *o);
