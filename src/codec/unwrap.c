// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#include "codec/unwrap.h"

#include <stdlib.h>

_Static_assert(UNWRAP_STEP + DIGEST_DEPTH_MAX * TRANSFER_STEP <= UNWRAP_ROOM,
               "a step fits, whatever the layers have kept");

/* The next message around *p that is encoded. */
static bool find_wrapper(const struct digest_body *b, struct digest_part *p)
{
    while (p->index != 0) {
        *p = digest_part_at(b, p->parent);
        if (p->kind == DIGEST_MESSAGE && p->encoding != DIGEST_7BIT)
            return true;
    }
    return false;
}

static void set_layer(struct unwrap_layer *l, enum digest_encoding how, uint64_t at, uint64_t n)
{
    *l = (struct unwrap_layer){.at = at, .n = n, .skip = at, .left = n};
    transfer_init(&l->t, how);
}

enum err unwrap_open(const struct digest_body *b, const struct digest_part *p, uint64_t *at,
                     uint64_t *n, struct unwrap **out)
{
    struct digest_part w = *p;
    struct unwrap *u;
    uint32_t layers = 0;
    *out = NULL;
    while (find_wrapper(b, &w)) {
        layers++;
        if (w.encoding == DIGEST_UUENCODE)
            return ERR_UNSUPPORTED;
    }
    if (layers == 0)
        return ERR_OK;
    u = calloc(1, sizeof *u + layers * sizeof u->layer[0]);
    if (u == NULL)
        return ERR_NOMEM;
    u->n = layers;
    u->rest = STR("");
    for (w = *p; find_wrapper(b, &w); *at = w.raw_at, *n = w.raw_n)
        set_layer(&u->layer[--layers], w.encoding, *at, *n);
    *out = u;
    return ERR_OK;
}

void unwrap_rewind(struct unwrap *u)
{
    for (uint32_t i = 0; i < u->n; i++)
        set_layer(&u->layer[i], u->layer[i].t.how, u->layer[i].at, u->layer[i].n);
    u->rest = STR("");
    u->ended = false;
}

/* Of the bytes that come next, those that are wanted. */
static struct str window(struct unwrap_layer *l, struct str s)
{
    size_t skip = l->skip < s.n ? (size_t)l->skip : s.n;
    size_t take = l->left < s.n - skip ? (size_t)l->left : s.n - skip;
    l->skip -= skip;
    l->left -= take;
    return str_sub(s, skip, take);
}

/* Through the layers from number i on; `s` lies in room[1 - to], or elsewhere. */
static struct str pass(struct unwrap *u, uint32_t i, unsigned to, struct str s)
{
    for (; i < u->n; i++, to = 1 - to) {
        struct unwrap_layer *l = &u->layer[i];
        size_t n = transfer_feed(&l->t, &s, u->room[to], UNWRAP_ROOM);
        BUG_IF(s.n != 0);
        s = window(l, (struct str){u->room[to], n});
    }
    return s;
}

void unwrap_feed(struct unwrap *u, struct str *in)
{
    size_t n = in->n < UNWRAP_STEP ? in->n : UNWRAP_STEP;
    BUG_IF(u->rest.n != 0);
    u->rest = pass(u, 0, 0, str_sub(*in, 0, n));
    *in = str_sub(*in, n, in->n - n);
}

void unwrap_end(struct unwrap *u)
{
    char last[DIGEST_DEPTH_MAX * TRANSFER_STEP];
    size_t n = 0;
    if (u->ended)
        return;
    BUG_IF(u->rest.n != 0);
    u->ended = true;
    for (uint32_t i = 0; i < u->n; i++) {
        char tail[TRANSFER_STEP];
        struct unwrap_layer *l = &u->layer[i];
        struct str s =
            pass(u, i + 1, 0, window(l, (struct str){tail, transfer_finish(&l->t, tail)}));
        BUG_IF(s.n > sizeof last -
                         n); /* no layer keeps more than three bytes, and none makes more of them */
        memcpy(last + n, s.p, s.n);
        n += s.n;
    }
    memcpy(u->room[0], last, n);
    u->rest = (struct str){u->room[0], n};
}

bool unwrap_through(const struct unwrap *u)
{
    return u->layer[u->n - 1].left == 0;
}
