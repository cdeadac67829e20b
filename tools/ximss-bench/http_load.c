// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
/*
 * http_load.c: mode sync: batches of one noop, each connection with one under way; and mode get: the same with one file.
 *
 * Each connection has a session of its own, or (--mix) each request is for the session that has rested longest, so that the worker
 * that accepted and the keeper that answers are others all the time.
 */
#include <stdlib.h>

#include "base/clock.h"
#include "tools/ximss-bench/http.h"

struct load {
    const struct options *o;
    struct figures f;
    struct web *web; /* NULL: mode get */
    uint32_t *resting, first;
    bool counts;
};

static void ask(struct http *h)
{
    struct load *load = h->owner;
    char target[100];
    h->sent = clock_mono();
    if (load->web == NULL) {
        http_get(h, load->o->path);
        return;
    }
    if (load->o->mix) {
        /* A ring: this one gets the place of the one that has rested longest. */
        uint32_t next = load->resting[load->first];
        load->resting[load->first] = h->number;
        load->first = (load->first + 1) % load->o->connections;
        h->number = next;
    }
    snprintf(target, sizeof target, "/Session/%s/sync", load->web[h->number].id);
    http_post(h, target, "<noop id=\"1\"/>");
}

static void answered(struct http *h, int status, struct str body)
{
    struct load *load = h->owner;
    if (status != 200 ||
        (load->web != NULL && !str_eq(body, STR("<XIMSS><response id=\"1\"/></XIMSS>"))))
        fail("%d %.*s", status, STR_FMT(body));
    if (load->counts) {
        load->f.ops++;
        figures_sample(&load->f, clock_mono() - h->sent);
    }
    ask(h);
}

static struct http *connect_all(struct load *load)
{
    const struct options *o = load->o;
    struct http *h = calloc(o->connections, sizeof *h);
    load->resting = calloc(o->connections, sizeof *load->resting);
    if (h == NULL || load->resting == NULL)
        fail("no memory");
    for (uint32_t i = 0; i < o->connections; i++) {
        h[i] = (struct http){.up = http_is_up, .answer = answered, .owner = load, .number = i};
        load->resting[i] = o->connections + i;
    }
    http_open_all(h, o->connections, o);
    return h;
}

void run_http_load(const struct options *o)
{
    struct load load = {.o = o};
    const bool never = false;
    if (strcmp(o->mode, "sync") == 0)
        load.web = web_sessions(2 * o->connections, o);
    struct http *h = connect_all(&load);
    for (uint32_t i = 0; i < o->connections; i++) {
        ask(&h[i]);
        link_flush(&h[i].l);
    }
    link_run(clock_mono() + (int64_t)(o->warm * 1e9), &never);
    figures_begin(&load.f, o->server);
    load.counts = true;
    link_run(clock_mono() + (int64_t)(o->seconds * 1e9), &never);
    figures_end(&load.f);
    load.counts = false;
    for (uint32_t i = 0; i < o->connections; i++)
        http_close(&h[i]);
    free(h);
    free(load.resting);
    free(load.web);
    figures_print(&load.f, o, "");
}
