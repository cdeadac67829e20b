// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
/*
 * A worker that does not read what its keeper says: no more is made for it than KEEPER_WORKER_QUEUE and a slice (design 2.2), all
 * others are served; at a hand-over its sessions stay behind. Worker 1 is the slow one. The hand-over is the keeper's end, and
 * therefore the last test.
 */
#include "tests/unit/proc/keeper_world.h"

#include <unistd.h>

#include "base/clock.h"
#include "codec/ctlmsg.h"
#include "net/memfd.h"
#include "ximss/snapfile.h"

static struct keeper_world *w;

static int make_world(void **state)
{
    (void)state;
    w = keeper_world_new();
    for (uint32_t i = 0; i < WORKERS; i++) {
        auth_attaches(w, i, 100010 + i, 1, DORA + i, 0);
        const struct heard *h = only_heard(&w->worker[i]);
        if (h == NULL || h->type != IPC_ATTACHED)
            return 1;
    }
    return 0;
}

static int end_world(void **state)
{
    (void)state;
    keeper_world_free(w);
    return 0;
}

static void asks(uint32_t worker)
{
    worker_says(w, worker, IPC_MSG, 100010 + worker, 0, STR("<noop id=\"n\"/>"));
}

/* Nothing else. */
static void was_told(uint32_t worker, const char *text)
{
    const struct heard *h = only_heard(&w->worker[worker]);
    assert_non_null(h);
    assert_int_equal(h->type, IPC_OUT);
    assert_int_equal(h->id, 100010 + worker);
    assert_int_equal(h->bytes, strlen(text) + 1);
    assert_memory_equal(h->body, text, strlen(text) + 1);
}

static void others_are_served(void)
{
    for (uint32_t i = 0; i < WORKERS; i += 2) {
        asks(i);
        was_told(i, "<response id=\"n\"/>");
    }
}

static void say_all(const char *text)
{
    struct buf b;
    buf_init(&b, IPC_INLINE_MAX);
    ipc_put_str(&b, str_of(text));
    w->c.hooks->ctl(
        &w->c, &(struct ipc_item){
                   .type = IPC_CTL, .id = CTL_SESSION_SAY_ALL, .fd = -1, .body = buf_slice(&b)});
    buf_free(&b);
    keeper_world_round(w);
    w->master.n = 0; /* it has the answer */
}

/* So many bytes wait for it, whatever they are. */
static void waits(size_t bytes)
{
    w->near[1].bus.queued = bytes;
}

static void test_requests(void **state)
{
    (void)state;
    static const size_t full[] = {KEEPER_WORKER_QUEUE, KEEPER_WORKER_QUEUE + 1};
    waits(KEEPER_WORKER_QUEUE - 1);
    asks(1);
    was_told(1, "<response id=\"n\"/>");
    for (size_t i = 0; i < ARRAY_LEN(full); i++) {
        waits(full[i]);
        asks(1);
        keeper_world_round(w);
        assert_null(only_heard(&w->worker[1]));
        others_are_served();
        assert_null(only_heard(&w->worker[1]));
        waits(KEEPER_WORKER_QUEUE - 1);
        keeper_world_round(w); /* nothing new has come; there is room */
        was_told(1, "<response id=\"n\"/>");
    }
}

/* What the server says on its own account waits in the session. */
static void test_events(void **state)
{
    (void)state;
    waits(KEEPER_WORKER_QUEUE);
    say_all("Hear, hear.");
    assert_null(only_heard(&w->worker[1]));
    for (uint32_t i = 0; i < WORKERS; i += 2) {
        const struct heard *h = only_heard(&w->worker[i]);
        assert_non_null(h);
        assert_non_null(strstr(h->body, ">Hear, hear.</alert>"));
    }
    others_are_served();
    assert_null(only_heard(&w->worker[1]));
    waits(KEEPER_WORKER_QUEUE - 1);
    keeper_world_round(w);
    const struct heard *h = only_heard(&w->worker[1]);
    assert_non_null(h);
    assert_non_null(strstr(h->body, ">Hear, hear.</alert>"));
    waits(0);
}

/* Until the kernel takes no more. */
static void fill(uint32_t worker)
{
    static const char bytes[HEARD_IN / 2];
    do
        bus_put(&w->near[worker].bus, IPC_OUT, 1, 0, (struct str){bytes, sizeof bytes});
    while (bus_flush(&w->near[worker].bus) == ERR_OK);
    w->worker[worker].deaf = true;
}

static void reads_again(uint32_t worker)
{
    enum err e;
    do {
        e = bus_flush(&w->near[worker].bus);
        assert_int_equal(bus_read(&w->worker[worker].bus, 10000), ERR_AGAIN);
    } while (e == ERR_AGAIN);
    assert_int_equal(e, ERR_OK);
    w->worker[worker].deaf = false;
    w->worker[worker].n = 0;
}

/* Of the socket to that process; how many times it was handed over. */
static uint32_t handed(enum ipc_role role, uint32_t number)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < w->master.n; i++) {
        const struct heard *h = &w->master.heard[i];
        uint32_t body[3];
        if (h->type != IPC_HANDED_PEER)
            continue;
        assert_int_equal(h->bytes, sizeof body);
        memcpy(body, h->body, sizeof body);
        n += body[0] == role && body[1] == number && body[2] == 1;
    }
    return n;
}

/* Bit i: the session at worker i is in the file. */
static uint32_t sessions_in(int fd)
{
    struct str bytes = memfd_map(fd, SNAPFILE_MAX);
    struct snapfile f;
    struct snapfile_entry entry;
    struct str record;
    uint32_t found = 0;
    assert_non_null(bytes.p);
    assert_int_equal(snapfile_open(bytes, &f), ERR_OK);
    while (snapfile_next(&f, &entry, &record)) {
        assert_int_equal(entry.kind, SNAPFILE_SESSION);
        assert_in_range(entry.id, 100010, 100010 + WORKERS - 1);
        assert_int_equal(entry.worker, entry.id - 100010);
        assert_non_null(record.p);
        found |= 1u << entry.worker;
    }
    memfd_unmap(bytes);
    return found;
}

/*
 * Who reads before the time is over goes along, though his queue was full; who does not is dropped, and what is left of him here
 * with him.
 */
static void test_handover(void **state)
{
    (void)state;
    struct keeper *k = w->k;
    fill(1);
    fill(2);
    w->c.hooks->stop(&w->c, IPC_STOP_HAND, 3600 * CLOCK_SEC);
    for (int i = 0; i < 3; i++)
        keeper_world_round(w);
    assert_int_equal(k->handover, KEEPER_DRAINS);
    reads_again(2);
    keeper_world_round(w);
    assert_int_equal(k->handover, KEEPER_DRAINS);
    assert_int_equal(w->master.n, 0);
    k->hand_until = clock_mono();
    keeper_world_round(w);
    assert_int_equal(k->handover, KEEPER_HAS_HANDED);

    assert_int_equal(w->master.n, 4);
    assert_int_equal(handed(IPC_ROLE_WORKER, 0), 1);
    assert_int_equal(handed(IPC_ROLE_WORKER, 1), 0);
    assert_int_equal(handed(IPC_ROLE_WORKER, 2), 1);
    assert_int_equal(handed(IPC_ROLE_AUTH, 0), 1);
    assert_int_equal(w->master.heard[3].type, IPC_HANDED);
    assert_int_equal(sessions_in(w->master.heard[3].fd), 1 | 4);
    /* It learns of it when it reads again; the others notice nothing. */
    assert_int_equal(bus_read(&w->worker[0].bus, 1), ERR_AGAIN);
    assert_int_equal(bus_read(&w->worker[1].bus, 10000), ERR_EOF);
    assert_int_equal(bus_read(&w->worker[2].bus, 1), ERR_AGAIN);
    for (uint32_t i = 0; i < w->master.n; i++)
        close(w->master.heard[i].fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_requests),
        cmocka_unit_test(test_events),
        cmocka_unit_test(test_handover),
    };
    return cmocka_run_group_tests(tests, make_world, end_world);
}
