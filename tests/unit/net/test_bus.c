// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
/* Packets over a real socket pair: batching, order under back-pressure, descriptors, large bodies, hostile bytes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "net/bus.h"
#include "net/memfd.h"

struct seen {
    uint32_t items;
    uint32_t next; /* expected seq */
    size_t bytes;
    int fd;
};

static void on_item(struct bus_peer *p, const struct ipc_item *it)
{
    struct seen *s = p->arg;
    s->items++;
    s->bytes += it->body.n;
    assert_int_equal(it->seq, s->next);
    s->next++;
    if (it->fd >= 0)
        s->fd = it->fd;
    for (size_t i = 0; i < it->body.n; i += 4096)
        assert_int_equal((unsigned char)it->body.p[i], (unsigned char)(it->seq & 0xff));
}

struct joined {
    char *bytes;
    size_t n, items;
};

static void on_joined(struct bus_peer *p, const struct ipc_item *it)
{
    struct joined *want = p->arg;
    want->items++;
    assert_int_equal(it->type, IPC_MSG);
    assert_int_equal(it->seq, 2);
    assert_int_equal(it->body.n, want->n);
    assert_true(want->n == 0 || memcmp(it->body.p, want->bytes, want->n) == 0);
}

struct pair {
    struct bus_peer worker, keeper; /* worker's view of the keeper, and the other way round */
    struct seen at_keeper, at_worker;
};

static void pair_init(struct pair *t, enum ipc_role a, enum ipc_role b)
{
    int fds[2];
    memset(t, 0, sizeof *t);
    t->at_keeper.fd = t->at_worker.fd = -1;
    assert_int_equal(bus_pair(fds), ERR_OK);
    bus_init(&t->worker, fds[0], a, b, on_item, &t->at_worker);
    bus_init(&t->keeper, fds[1], b, a, on_item, &t->at_keeper);
}

static void pair_free(struct pair *t)
{
    bus_free(&t->worker);
    bus_free(&t->keeper);
}

static void send_msg(struct bus_peer *p, enum ipc_type type, uint32_t seq, size_t n)
{
    char *bytes = malloc(n + 1);
    memset(bytes, (int)(seq & 0xff), n + 1);
    bus_put(p, type, 100001, seq, (struct str){bytes, n});
    free(bytes);
}

static void test_batch(void **state)
{
    (void)state;
    struct pair t;
    pair_init(&t, IPC_ROLE_WORKER, IPC_ROLE_KEEPER);
    for (uint32_t i = 0; i < 32; i++)
        send_msg(&t.worker, IPC_MSG, i, 20);
    assert_int_equal(bus_flush(&t.worker), ERR_OK);
    assert_int_equal(bus_read(&t.keeper, 1), ERR_OK); /* all in one packet */
    assert_int_equal(t.at_keeper.items, 32);
    assert_int_equal(bus_read(&t.keeper, 1), ERR_AGAIN);
    pair_free(&t);
}

/* Both write far more than the sockets hold; whoever reads while he waits gets everything, in order. */
static void test_no_deadlock(void **state)
{
    (void)state;
    struct pair t;
    pair_init(&t, IPC_ROLE_WORKER, IPC_ROLE_KEEPER);
    for (uint32_t i = 0; i < 500; i++) {
        send_msg(&t.worker, IPC_MSG, i, 16000);
        send_msg(&t.keeper, IPC_OUT, i, 16000);
    }
    assert_int_equal(bus_flush(&t.worker), ERR_AGAIN);
    assert_int_equal(bus_flush(&t.keeper), ERR_AGAIN);
    assert_true(bus_unsent(&t.worker) > 4u << 20);
    for (int round = 0; round < 10000 && t.at_keeper.items + t.at_worker.items < 1000; round++) {
        (void)!bus_read(&t.worker, 2);
        (void)!bus_read(&t.keeper, 2);
        (void)!bus_flush(&t.worker);
        (void)!bus_flush(&t.keeper);
    }
    assert_int_equal(t.at_keeper.items, 500);
    assert_int_equal(t.at_worker.items, 500);
    assert_int_equal(bus_unsent(&t.worker), 0);
    pair_free(&t);
}

static void test_large_bodies(void **state)
{
    (void)state;
    static const size_t sizes[] = {IPC_INLINE_MAX - 1, IPC_INLINE_MAX, IPC_INLINE_MAX + 1,
                                   5u << 20};
    struct pair t;
    size_t total = 0;
    pair_init(&t, IPC_ROLE_WORKER, IPC_ROLE_KEEPER);
    for (uint32_t i = 0; i < 20; i++) {
        send_msg(&t.worker, IPC_MSG, i, sizes[i % 4]);
        total += sizes[i % 4];
    }
    for (int round = 0; round < 1000 && t.at_keeper.items < 20; round++) {
        (void)!bus_flush(&t.worker);
        (void)!bus_read(&t.keeper, 64);
    }
    assert_int_equal(t.at_keeper.items, 20);
    assert_int_equal(t.at_keeper.bytes, total);
    pair_free(&t);
}

/* One in two parts is what it would be in one, on either side of what goes into a memfd; also an empty part. */
static void test_joined(void **state)
{
    (void)state;
    static const size_t heads[] = {0, 12, IPC_INLINE_MAX + 7};
    struct pair t;
    struct joined want = {.bytes = malloc(2 * IPC_INLINE_MAX + 20)};
    for (size_t i = 0; i < 2 * IPC_INLINE_MAX + 20; i++)
        want.bytes[i] = (char)(i * 7 + (i >> 8));
    pair_init(&t, IPC_ROLE_WORKER, IPC_ROLE_KEEPER);
    t.keeper.on_item = on_joined;
    t.keeper.arg = &want;
    for (size_t at = 0; at < 3; at++) {
        for (want.n = IPC_INLINE_MAX - 1; want.n <= IPC_INLINE_MAX + 1; want.n++) {
            size_t head = heads[at] < want.n ? heads[at] : want.n;
            bus_put_joined(&t.worker, IPC_MSG, 1, 2, (struct str){want.bytes, head},
                           (struct str){want.bytes + head, want.n - head});
            assert_int_equal(bus_flush(&t.worker), ERR_OK);
            assert_int_equal(bus_read(&t.keeper, 1), ERR_OK);
        }
    }
    assert_int_equal(want.items, 9);
    bus_put_joined(&t.worker, IPC_MSG, 1, 2, STR_NONE, STR_NONE);
    want.n = 0;
    assert_int_equal(bus_flush(&t.worker), ERR_OK);
    assert_int_equal(bus_read(&t.keeper, 1), ERR_OK);
    assert_int_equal(want.items, 10);
    free(want.bytes);
    pair_free(&t);
}

/* What the bound allows may wait, a byte more may not, and nothing is added then. */
static void test_queue_bound(void **state)
{
    (void)state;
    size_t all = 0;
    for (int over = -1; over <= 1; over++) { /* first without a bound */
        struct pair t;
        pair_init(&t, IPC_ROLE_AUTH, IPC_ROLE_WORKER);
        t.worker.queue_max = over < 0 ? 0 : all - (size_t)over;
        for (int i = 0; i < 8; i++) {
            assert_false(t.worker.broken);
            send_msg(&t.worker, IPC_RCPT_ANSWER, 0, 16000);
        }
        all = over < 0 ? bus_unsent(&t.worker) : all;
        assert_true(all > 8u * 16000);
        assert_int_equal(t.worker.broken, over == 1);
        for (int i = 0; i < 100; i++)
            send_msg(&t.worker, IPC_RCPT_ANSWER, 0, 16000);
        assert_int_equal(t.worker.broken, over >= 0);
        assert_true(over < 0 || bus_unsent(&t.worker) < all + 17000);
        assert_int_equal(bus_flush(&t.worker), over < 0 ? ERR_AGAIN : ERR_NET);
        pair_free(&t);
    }
}

static void test_descriptor(void **state)
{
    (void)state;
    struct pair t;
    char byte = 0;
    int pipes[2];
    assert_int_equal(pipe(pipes), 0);
    pair_init(&t, IPC_ROLE_MASTER, IPC_ROLE_WORKER);
    bus_send(&t.worker, &(struct ipc_item){.type = IPC_LISTENER, .fd = pipes[1]});
    assert_int_equal(bus_flush(&t.worker), ERR_OK);
    assert_int_equal(bus_read(&t.keeper, 1), ERR_OK);
    assert_true(t.at_keeper.fd >= 0 && t.at_keeper.fd != pipes[1]);
    assert_int_equal(write(t.at_keeper.fd, "x", 1), 1);
    assert_int_equal(read(pipes[0], &byte, 1), 1);
    assert_int_equal(byte, 'x');
    close(t.at_keeper.fd);
    close(pipes[0]);
    close(pipes[1]);
    pair_free(&t);
}

static void test_hostile(void **state)
{
    (void)state;
    struct pair t;
    struct buf b;
    buf_init(&b, IPC_PACKET_MAX);
    /* 0: no packet at all; 1: a worker that plays auth; 2: an item that promises a descriptor and brings none */
    for (int kind = 0; kind < 3; kind++) {
        pair_init(&t, IPC_ROLE_WORKER, IPC_ROLE_KEEPER);
        ipc_packet_begin(&b);
        struct ipc_item it = {.type = kind == 1 ? IPC_ATTACH : IPC_MSG, .fd = -1};
        it.flags = kind == 2 ? IPC_FLAG_MEMFD : 0;
        assert_true(ipc_packet_add(&b, &it));
        if (kind == 0)
            b.p[0] = 99;
        assert_int_equal(send(t.worker.fd, b.p, b.n, 0), b.n);
        assert_int_equal(bus_read(&t.keeper, 1), ERR_PACKET);
        assert_true(t.keeper.broken);
        assert_int_equal(t.at_keeper.items, 0);
        pair_free(&t);
    }
    buf_free(&b);
}

/* A memfd that could still be cut short under the reader's mapping is refused. */
static void test_unsealed(void **state)
{
    (void)state;
    int fd = memfd_make("t", STR("hello"));
    struct str s = memfd_map(fd, 5);
    assert_true(str_eq(s, STR("hello")));
    memfd_unmap(s);
    assert_null(memfd_map(fd, 4).p);
    close(fd);
    int pipes[2];
    assert_int_equal(pipe(pipes), 0);
    assert_null(memfd_map(pipes[0], 100).p);
    close(pipes[0]);
    close(pipes[1]);
}

static void test_peer_gone(void **state)
{
    (void)state;
    struct pair t;
    pair_init(&t, IPC_ROLE_WORKER, IPC_ROLE_KEEPER);
    bus_free(&t.keeper);
    send_msg(&t.worker, IPC_MSG, 0, 10);
    assert_int_equal(bus_flush(&t.worker), ERR_NET);
    assert_int_equal(bus_read(&t.worker, 1), ERR_EOF);
    pair_free(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_batch),        cmocka_unit_test(test_no_deadlock),
        cmocka_unit_test(test_large_bodies), cmocka_unit_test(test_descriptor),
        cmocka_unit_test(test_hostile),      cmocka_unit_test(test_unsealed),
        cmocka_unit_test(test_peer_gone),    cmocka_unit_test(test_joined),
        cmocka_unit_test(test_queue_bound),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
