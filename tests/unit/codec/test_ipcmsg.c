// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
/* Packets between processes: round trip, caps at n-1, n, n+1, directions, every truncation and every flipped byte. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "codec/ipcbody.h"
#include "codec/ipcmsg.h"

static void add(struct buf *b, enum ipc_type t, uint32_t id, uint32_t seq, struct str body)
{
    assert_true(ipc_packet_add(
        b, &(struct ipc_item){.type = t, .id = id, .seq = seq, .body = body, .fd = -1}));
}

static void test_round_trip(void **state)
{
    (void)state;
    static const struct {
        enum ipc_type t;
        uint32_t id, seq;
        const char *body;
    } want[] = {{IPC_MSG, 100001, 0, "<noop id=\"a\"/>"},
                {IPC_CREDIT, 999999, 65536, ""},
                {IPC_DETACH, 1, 2, "1234567"}};
    struct buf b;
    struct ipc_reader r;
    struct ipc_item it;
    buf_init(&b, IPC_PACKET_MAX);
    ipc_packet_begin(&b);
    for (size_t i = 0; i < ARRAY_LEN(want); i++)
        add(&b, want[i].t, want[i].id, want[i].seq, str_of(want[i].body));
    assert_int_equal(ipc_reader_init(&r, buf_slice(&b), IPC_ROLE_WORKER, IPC_ROLE_KEEPER), ERR_OK);
    for (size_t i = 0; i < ARRAY_LEN(want); i++) {
        assert_int_equal(ipc_reader_next(&r, &it), ERR_OK);
        assert_int_equal(it.type, want[i].t);
        assert_int_equal(it.id, want[i].id);
        assert_int_equal(it.seq, want[i].seq);
        assert_true(str_eq(it.body, str_of(want[i].body)));
    }
    assert_int_equal(ipc_reader_next(&r, &it), ERR_EOF);
    buf_free(&b);
}

static void test_packet_cap(void **state)
{
    (void)state;
    char *bytes = calloc(1, IPC_PACKET_MAX);
    struct buf b;
    buf_init(&b, IPC_PACKET_MAX);
    /* One body that leaves room for exactly one empty item more. */
    size_t fit = IPC_PACKET_MAX - IPC_HEAD - 2 * IPC_ITEM_HEAD;
    for (int over = -8; over <= 8; over += 8) {
        ipc_packet_begin(&b);
        add(&b, IPC_MSG, 1, 0, (struct str){bytes, fit + (size_t)over});
        bool room = ipc_packet_add(&b, &(struct ipc_item){.type = IPC_DETACH, .fd = -1});
        assert_int_equal(room, over <= 0);
        assert_true(b.n <= IPC_PACKET_MAX);
    }
    buf_free(&b);
    free(bytes);
}

static enum err read_all(struct str packet, enum ipc_role from, enum ipc_role to)
{
    struct ipc_reader r;
    struct ipc_item it;
    enum err e = ipc_reader_init(&r, packet, from, to);
    while (e == ERR_OK)
        e = ipc_reader_next(&r, &it);
    return e;
}

static void test_direction(void **state)
{
    (void)state;
    static const struct {
        enum ipc_type t;
        enum ipc_role from, to;
        bool ok;
    } row[] = {
        {IPC_ATTACH, IPC_ROLE_AUTH, IPC_ROLE_KEEPER, true},
        {IPC_ATTACH, IPC_ROLE_WORKER, IPC_ROLE_KEEPER, false},
        {IPC_OUT, IPC_ROLE_KEEPER, IPC_ROLE_WORKER, true},
        {IPC_OUT, IPC_ROLE_WORKER, IPC_ROLE_KEEPER, false},
        {IPC_READY, IPC_ROLE_HELPER, IPC_ROLE_MASTER, true},
        {IPC_START, IPC_ROLE_KEEPER, IPC_ROLE_WORKER, false},
        {IPC_PASSWORD, IPC_ROLE_WORKER, IPC_ROLE_AUTH, false},
    };
    struct buf b;
    buf_init(&b, IPC_PACKET_MAX);
    for (size_t i = 0; i < ARRAY_LEN(row); i++) {
        ipc_packet_begin(&b);
        add(&b, row[i].t, 1, 1, STR("x"));
        assert_int_equal(read_all(buf_slice(&b), row[i].from, row[i].to),
                         row[i].ok ? ERR_EOF : ERR_PACKET);
    }
    buf_free(&b);
}

static void test_every_truncation(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b, IPC_PACKET_MAX);
    ipc_packet_begin(&b);
    add(&b, IPC_MSG, 1, 0, STR("hello"));
    add(&b, IPC_MSG, 2, 0, STR(""));
    assert_int_equal(read_all(buf_slice(&b), IPC_ROLE_WORKER, IPC_ROLE_KEEPER), ERR_EOF);
    for (size_t n = 0; n < b.n; n++)
        assert_int_equal(read_all(str_sub(buf_slice(&b), 0, n), IPC_ROLE_WORKER, IPC_ROLE_KEEPER),
                         ERR_PACKET);
    /* A wrong byte anywhere is refused or changes a value; it never leads out of the packet (sanitizers watch). */
    for (size_t i = 0; i < b.n; i++) {
        for (int v = 1; v < 256; v <<= 1) {
            b.p[i] = (char)(b.p[i] ^ v);
            enum err e = read_all(buf_slice(&b), IPC_ROLE_WORKER, IPC_ROLE_KEEPER);
            assert_true(e == ERR_EOF || e == ERR_PACKET);
            b.p[i] = (char)(b.p[i] ^ v);
        }
    }
    buf_free(&b);
}

static void test_bodies(void **state)
{
    (void)state;
    struct ipc_login in = {.flags = IPC_LOGIN_TLS,
                           .addr = {1, 2, 3},
                           .domain = STR("harbor.example"),
                           .request_id = STR("L\"<"),
                           .auth_data = STR("dora"),
                           .password = STR("a&<\"\0b")};
    struct ipc_login got;
    struct buf b;
    buf_init(&b, 4096);
    ipc_login_put(&b, &in);
    assert_int_equal(ipc_login_get(buf_slice(&b), &got), ERR_OK);
    assert_true(str_eq(got.password, in.password));
    assert_true(str_eq(got.request_id, in.request_id));
    assert_int_equal(got.flags, IPC_LOGIN_TLS);
    assert_null(got.method.p); /* absent is not empty */
    assert_memory_equal(got.addr, in.addr, 16);
    for (size_t n = 0; n < b.n; n++)
        assert_int_equal(ipc_login_get(str_sub(buf_slice(&b), 0, n), &got), ERR_PACKET);
    buf_char(&b, 'x');
    assert_int_equal(ipc_login_get(buf_slice(&b), &got), ERR_PACKET);
    buf_free(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip), cmocka_unit_test(test_packet_cap),
        cmocka_unit_test(test_direction),  cmocka_unit_test(test_every_truncation),
        cmocka_unit_test(test_bodies),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
