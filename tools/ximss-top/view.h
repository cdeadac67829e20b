// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#pragma once
/*
 * view: what ximss-top shows, before it is text of one form (protocol 1, 9.1).
 */
#include <netinet/in.h>

#include "base/buf.h"
#include "base/clock.h"
#include "shm/shm_names.h"
#include "shm/shm_reader.h"

#define VIEW_NUMBER 32 /* room for a status without a name */

struct view {
    const struct shm_reader *reader;
    const struct shm_server *server;
    const char *account; /* filters: part of the text, any ASCII case; NULL: all */
    const char *ip;
    const char *any; /* in account, address or status */
    bool counters;
    int64_t now;                /* monotonic ns */
    const struct shm_row **row; /* those that match, by id */
    size_t selected;
    size_t total;
    struct buf *out;
};

/* One row, as texts (clean) and numbers. */
struct item {
    uint32_t id;
    uint16_t port;
    char ip[INET6_ADDRSTRLEN]; /* "" for a Unix socket */
    char account[SHM_TEXT_MAX(SHM_ACCOUNT_LEN)];
    char number[VIEW_NUMBER];
    const char *status;
    const char *transport;
    const char *tls;
    bool running;      /* an operation or a poll */
    int64_t connected; /* seconds, >= 0 */
    int64_t since;     /* seconds, when running */
    uint64_t bytes_in, bytes_out, requests;
};

/* The columns of protocol 1, 9.1. */
enum view_column {
    VIEW_ID,
    VIEW_IP,
    VIEW_ACCOUNT,
    VIEW_CONNECTED,
    VIEW_STATUS,
    VIEW_RUNNING,
    VIEW_COLUMNS,
};
extern const char *const view_heads[VIEW_COLUMNS];

/* One row, as the table shows it. */
struct view_cells {
    struct item it;
    char id[16], ip[INET6_ADDRSTRLEN + 2], connected[32], running[32];
    const char *text[VIEW_COLUMNS];
};

/* Picks the rows that the filters let through and sorts them. ERR_NOMEM. */
enum err view_select(struct view *v) CHECKED;
void view_free(struct view *v);
void view_item(const struct view *v, const struct shm_row *row, struct item *it);
void view_cells(const struct view *v, const struct shm_row *row, struct view_cells *c);

/* The text of Status. */
const char *view_status(const struct view *v, const struct shm_row *row, char number[VIEW_NUMBER]);
/* ns from `then` to v->now; whatever a row says, not negative. */
int64_t view_age(const struct view *v, int64_t then);

/* Seconds as a number and a unit without blank (protocol 1, 9.1). */
void view_span(char *out, size_t n, int64_t s);
/* The protocol's word for it (9.2). */
static inline const char *view_kind(enum shm_kind k)
{
    return k == SHM_COUNTER ? "COUNTER" : "INTEGER";
}
/* "" while the server runs, else "server is not running" and for how long. */
void view_state(const struct shm_server *s, char *out, size_t n);

/* Writes what gathered, when it is much; `all`: in any case. An error of the output ends the
 * program (exit 4). */
void view_flush(struct view *v, bool all);
#define VIEW_EXIT_OUTPUT 4

void view_table(struct view *v);
void view_json(struct view *v);
void view_csv(struct view *v);
