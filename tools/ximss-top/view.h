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

struct view {
    const struct shm_reader *reader;
    const struct shm_server *server;
    const char *account; /* filters: part of the text, any ASCII case; NULL: all */
    const char *ip;
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
    char number[32]; /* room for a status without a name */
    const char *status;
    const char *transport;
    const char *tls;
    bool running;      /* an operation or a poll */
    int64_t connected; /* seconds, >= 0 */
    int64_t since;     /* seconds, when running */
    uint64_t bytes_in, bytes_out, requests;
};

/* Picks the rows that the filters let through and sorts them. ERR_NOMEM. */
enum err view_select(struct view *v) CHECKED;
void view_free(struct view *v);
void view_item(const struct view *v, const struct shm_row *row, struct item *it);

/* Writes what gathered, when it is much; `all`: in any case. An error of the output ends the
 * program (exit 4). */
void view_flush(struct view *v, bool all);
#define VIEW_EXIT_OUTPUT 4

void view_table(struct view *v);
void view_json(struct view *v);
void view_csv(struct view *v);
