// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
/*
 * fuzz_frame: the messages of a stream do not depend on how it was cut into pieces, nor on pauses
 * between messages. The first byte chooses the cap and the limits, the second seeds the cuts.
 */
#include <stdlib.h>

#include "codec/frame.h"

#define MAX_RESULTS 4096

struct result {
    enum err e;
    struct str msg; /* bytes copied into the pool */
};

static const struct frame_limits *limits;

struct run {
    struct result list[MAX_RESULTS];
    size_t n;
    struct buf pool;
    bool dead;
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint32_t rnd(uint32_t *s)
{
    *s = *s * 1664525U + 1013904223U;
    return *s >> 8;
}

static void note(struct run *r, enum err e, struct str msg)
{
    if (r->n == MAX_RESULTS)
        return;
    r->list[r->n++] = (struct result){e, {NULL, msg.n}};
    buf_str(&r->pool, msg);
}

/* true: the stream is dead */
static bool take_all(struct frame *f, struct str *in, struct run *r, uint32_t *pause)
{
    struct str msg;
    for (;;) {
        if (pause != NULL && rnd(pause) % 4 == 0)
            return false;
        enum err e = frame_next(f, limits, in, &msg);
        if (e == ERR_AGAIN)
            return false;
        note(r, e, msg);
        if (e == ERR_TOO_LONG)
            return true;
        BUG_IF(e != ERR_OK && e != ERR_ILLEGAL_XML);
        BUG_IF(e == ERR_OK && (msg.p[0] != '<' || msg.p[msg.n - 1] != '>'));
    }
}

static void run_whole(struct str in, size_t max, struct run *r)
{
    struct frame f;
    frame_init(&f, max);
    r->dead = take_all(&f, &in, r, NULL);
}

static void run_cut(struct str bytes, size_t max, uint32_t seed, struct run *r)
{
    struct frame f;
    struct buf held;
    bool dead = false;
    frame_init(&f, max);
    buf_init(&held, 1 << 20);
    while (!dead) {
        bool last = bytes.n == 0;
        size_t n = rnd(&seed) % (rnd(&seed) % 3 == 0 ? 64 : 4);
        n = n > bytes.n ? bytes.n : n;
        /* a copy of its own, so that a read behind the piece is seen */
        char *piece = malloc(n + 1);
        if (piece == NULL)
            abort();
        if (n != 0)
            memcpy(piece, bytes.p, n);
        struct str in;
        BUG_IF(frame_join(&held, (struct str){piece, n}, &in) != ERR_OK);
        dead = take_all(&f, &in, r, last ? NULL : &seed);
        BUG_IF(!dead && frame_stash(&held, in) != ERR_OK);
        free(piece);
        bytes = str_sub(bytes, n, bytes.n);
        if (last)
            break;
    }
    r->dead = dead;
    buf_free(&held);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const size_t caps[] = {20, 300, 17000, 70000};
    static const struct frame_limits sets[] = {{1024, 16, 8}, {65536, 1024, 256}, {100, 3, 1}};
    static struct run a, b;
    if (size < 2)
        return 0;
    size_t max = caps[data[0] % ARRAY_LEN(caps)];
    size_t set = data[0] / ARRAY_LEN(caps) % (ARRAY_LEN(sets) + 1);
    limits = set == 0 ? NULL : &sets[set - 1];
    struct str bytes = {(const char *)data + 2, size - 2};
    a.n = b.n = 0;
    buf_init(&a.pool, SIZE_MAX);
    buf_init(&b.pool, SIZE_MAX);
    run_whole(bytes, max, &a);
    run_cut(bytes, max, data[1], &b);
    BUG_IF(a.n != b.n || a.dead != b.dead);
    for (size_t i = 0; i < a.n; i++)
        BUG_IF(a.list[i].e != b.list[i].e || a.list[i].msg.n != b.list[i].msg.n);
    BUG_IF(!str_eq(buf_slice(&a.pool), buf_slice(&b.pool)));
    buf_free(&a.pool);
    buf_free(&b.pool);
    return 0;
}
