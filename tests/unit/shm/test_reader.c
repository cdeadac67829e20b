// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "shm/shm_file.h"
#include "shm/shm_names.h"
#include "tests/unit/shm/shmkit.h"

static size_t rows_of(const struct shm_reader *r)
{
    struct shm_place at = {0};
    size_t n = 0;
    while (shm_reader_next(r, &at) != NULL)
        n++;
    return n;
}

static void poke(const struct kit *k, const char *file, size_t offset, const void *bytes, size_t n)
{
    int fd = open(kit_path(k, file), O_WRONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, bytes, n, (off_t)offset), n);
    close(fd);
}

static void what_was_written_is_read(void **state)
{
    (void)state;
    struct kit k;
    struct proc a, b;
    kit_init(&k, 4);
    kit_proc(&k, &a, "worker", 1, 10);
    kit_proc(&k, &b, "keeper", 1, 10);
    struct shm_row one = kit_row(100001, "dora@harbor.example"), two = kit_row(100002, "");
    shm_row_publish(&a.w, shm_row_alloc(&a.w), &one);
    shm_row_publish(&b.w, shm_row_alloc(&b.w), &two);
    struct shm_reader *r = shm_reader_new(k.dir);
    assert_int_equal(shm_reader_refresh(r, NOW + 9 * SEC), SHM_OK);
    const struct shm_server *s = shm_reader_server(r);
    assert_true(s->running);
    assert_string_equal(s->version, "0.1.0");
    assert_int_equal(s->pid, getpid());
    assert_int_equal(s->uptime, 9 * SEC);
    assert_int_equal(s->silence, 9 * SEC);
    assert_int_equal(s->segments, 2);
    assert_int_equal(s->unusable, 0);
    assert_int_equal(s->channels, 1000);
    struct shm_place at = {0};
    const struct shm_row *row = shm_reader_next(r, &at);
    one.seq = row->seq;
    assert_memory_equal(row, &one, sizeof(one));
    row = shm_reader_next(r, &at);
    assert_int_equal(row->session, 100002);
    assert_null(shm_reader_next(r, &at));
    assert_string_equal(shm_reader_op(r, 2), "folderBrowse");
    assert_string_equal(shm_reader_op_monitor(r, 2), "listing messages");
    assert_null(shm_reader_op(r, 3));
    assert_string_equal(shm_reader_state(r, SHM_STATE_TLS_HANDSHAKE), "TLS handshake");
    assert_null(shm_reader_state(r, 0));
    assert_null(shm_reader_state(r, 0xffff));
    shm_master_retire(k.m, a.slot);
    assert_int_equal(shm_reader_refresh(r, NOW), SHM_OK);
    assert_int_equal(rows_of(r), 1);
    shm_reader_free(&r);
    shm_detach(&a.w);
    shm_detach(&b.w);
    kit_free(&k);
}

static void alive_is_a_fresh_heartbeat(void **state)
{
    (void)state;
    struct kit k;
    struct proc p;
    struct shm_row row = kit_row(100001, "");
    kit_init(&k, 1);
    kit_proc(&k, &p, "worker", 1, 1);
    shm_row_publish(&p.w, shm_row_alloc(&p.w), &row);
    struct shm_reader *r = shm_reader_new(k.dir);
    static const struct {
        int64_t at;
        bool alive;
    } t[] = {{SHM_STALE_NS - 1, true},  {SHM_STALE_NS, true},       {SHM_STALE_NS + 1, false},
             {-SHM_STALE_NS + 1, true}, {-SHM_STALE_NS - 1, false}, {0, true}};
    for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
        assert_int_equal(shm_reader_refresh(r, NOW + t[i].at), SHM_OK);
        assert_int_equal(shm_reader_server(r)->running, t[i].alive);
        assert_int_equal(rows_of(r), t[i].alive ? 1 : 0);
    }
    assert_int_equal(shm_reader_refresh(r, NOW + 60 * SEC), SHM_OK);
    assert_false(shm_reader_server(r)->running);
    shm_master_own_beat(k.m, NOW + 60 * SEC);
    assert_int_equal(shm_reader_refresh(r, NOW + 60 * SEC), SHM_OK);
    assert_true(shm_reader_server(r)->running);
    shm_reader_free(&r);
    shm_detach(&p.w);
    kit_free(&k);
}

static void restart_is_noticed(void **state)
{
    (void)state;
    struct kit k;
    struct proc p;
    struct shm_row row = kit_row(100001, "");
    kit_init(&k, 2);
    kit_proc(&k, &p, "worker", 1, 1);
    shm_row_publish(&p.w, shm_row_alloc(&p.w), &row);
    struct shm_reader *r = shm_reader_new(k.dir);
    assert_int_equal(shm_reader_refresh(r, NOW), SHM_OK);
    assert_int_equal(rows_of(r), 1);
    shm_detach(&p.w);
    shm_master_free(&k.m, false);
    struct shm_setup s = kit_setup(2);
    s.version = "0.2.0";
    assert_int_equal(shm_master_new(&k.m, k.fd, &s), 0);
    assert_int_equal(shm_reader_refresh(r, NOW), SHM_OK);
    assert_string_equal(shm_reader_server(r)->version, "0.2.0");
    assert_int_equal(rows_of(r), 0);
    kit_proc(&k, &p, "worker", 1, 1);
    row.session = 100002;
    shm_row_publish(&p.w, shm_row_alloc(&p.w), &row);
    assert_int_equal(shm_reader_refresh(r, NOW), SHM_OK);
    struct shm_place at = {0};
    assert_int_equal(shm_reader_next(r, &at)->session, 100002);
    shm_detach(&p.w);
    shm_reader_free(&r);
    kit_free(&k);
}

/* A row left odd by a dead writer: the last good copy; never seen before: not shown. */
static void a_row_that_stays_odd(void **state)
{
    (void)state;
    struct kit k;
    struct proc p;
    struct shm_row row = kit_row(100001, "dora@harbor.example");
    kit_init(&k, 1);
    kit_proc(&k, &p, "worker", 1, 1);
    uint32_t at = shm_row_alloc(&p.w);
    shm_row_publish(&p.w, at, &row);
    struct shm_reader *seen = shm_reader_new(k.dir), *late = shm_reader_new(k.dir);
    assert_int_equal(shm_reader_refresh(seen, NOW), SHM_OK);
    (void)shm_begin(p.w.row);
    shm_store(&p.w.row[offsetof(struct shm_row, requests) / 8], 77);
    assert_int_equal(shm_reader_refresh(seen, NOW), SHM_OK);
    assert_int_equal(shm_reader_refresh(late, NOW), SHM_OK);
    assert_int_equal(rows_of(late), 0);
    struct shm_place place = {0};
    assert_int_equal(shm_reader_next(seen, &place)->requests, 3);
    row.session = 100002;
    shm_row_publish(&p.w, at, &row); /* steps over the odd number */
    assert_int_equal(shm_reader_refresh(late, NOW), SHM_OK);
    assert_int_equal(rows_of(late), 1);
    shm_reader_free(&seen);
    shm_reader_free(&late);
    shm_detach(&p.w);
    kit_free(&k);
}

static void another_version(void **state)
{
    (void)state;
    struct kit k;
    char want[256];
    kit_init(&k, 1);
    struct shm_reader *r = shm_reader_new(k.dir);
    uint16_t v = 2;
    poke(&k, "index", offsetof(struct shm_head, major), &v, 2);
    assert_int_equal(shm_reader_refresh(r, NOW), SHM_UNUSABLE);
    snprintf(want, sizeof(want),
             "%s/shm/index has format 2.%d, this program reads 1.x: use the program that came with "
             "that server",
             k.dir, SHM_MINOR);
    assert_string_equal(shm_reader_why(r), want);
    v = SHM_MAJOR;
    poke(&k, "index", offsetof(struct shm_head, major), &v, 2);
    v = 9;
    poke(&k, "index", offsetof(struct shm_head, minor), &v, 2);
    assert_int_equal(shm_reader_refresh(r, NOW), SHM_OK); /* a newer minor is fine */
    uint32_t mark = 0x04030201;
    poke(&k, "index", offsetof(struct shm_head, byte_order), &mark, 4);
    struct shm_reader *other = shm_reader_new(k.dir);
    assert_int_equal(shm_reader_refresh(other, NOW), SHM_UNUSABLE);
    assert_non_null(strstr(shm_reader_why(other), "byte order"));
    shm_reader_free(&other);
    shm_reader_free(&r);
    kit_free(&k);
}

/* One bad segment costs only itself. */
static void a_bad_segment(void **state)
{
    (void)state;
    struct kit k;
    struct proc a, b;
    struct shm_row row = kit_row(100001, "");
    kit_init(&k, 2);
    kit_proc(&k, &a, "worker", 1, 100);
    kit_proc(&k, &b, "worker", 2, 100);
    for (int i = 0; i < 100; i++) {
        shm_row_publish(&a.w, shm_row_alloc(&a.w), &row);
        shm_row_publish(&b.w, shm_row_alloc(&b.w), &row);
    }
    struct shm_reader *r = shm_reader_new(k.dir);
    assert_int_equal(shm_reader_refresh(r, NOW), SHM_OK);
    assert_int_equal(rows_of(r), 200);
    /* Cut while mapped (SIGBUS inside), shorter than its header, gone, and a link in its place. */
    static const off_t cuts[] = {8192, 4096, 256, 255, 0};
    for (size_t i = 0; i < sizeof(cuts) / sizeof(cuts[0]); i++) {
        assert_int_equal(truncate(kit_path(&k, "worker-2.1"), cuts[i]), 0);
        assert_int_equal(shm_reader_refresh(r, NOW), SHM_OK);
        assert_int_equal(rows_of(r), 100);
        assert_int_equal(shm_reader_server(r)->unusable, 1);
        assert_non_null(strstr(shm_reader_why(r), "worker-2.1 "));
    }
    assert_int_equal(unlink(kit_path(&k, "worker-2.1")), 0);
    assert_int_equal(shm_reader_refresh(r, NOW), SHM_OK);
    assert_int_equal(rows_of(r), 100);
    assert_int_equal(symlink("worker-1.1", kit_path(&k, "worker-2.1")), 0);
    assert_int_equal(shm_reader_refresh(r, NOW), SHM_OK);
    assert_int_equal(rows_of(r), 100);
    assert_int_equal(unlink(kit_path(&k, "worker-2.1")), 0);
    assert_int_equal(mkfifo(kit_path(&k, "worker-2.1"), 0600), 0);
    assert_int_equal(shm_reader_refresh(r, NOW), SHM_OK); /* and does not hang */
    assert_int_equal(rows_of(r), 100);
    shm_reader_free(&r);
    shm_detach(&a.w);
    shm_detach(&b.w);
    kit_free(&k);
}

static void cut_index(void **state)
{
    (void)state;
    struct kit k;
    kit_init(&k, SHM_MAX_SEGMENTS);
    struct shm_reader *r = shm_reader_new(k.dir);
    assert_int_equal(shm_reader_refresh(r, NOW), SHM_OK);
    assert_int_equal(truncate(kit_path(&k, "index"), 4096), 0);
    assert_int_equal(shm_reader_refresh(r, NOW), SHM_UNUSABLE);
    assert_int_equal(truncate(kit_path(&k, "index"), 10), 0);
    assert_int_equal(shm_reader_refresh(r, NOW), SHM_UNUSABLE);
    assert_non_null(strstr(shm_reader_why(r), "is not a table of ximssd"));
    shm_reader_free(&r);
    kit_free(&k);
}

/* The mapping outlives the cut: pages that are gone raise SIGBUS, which the guard catches; then all is as before. */
static void cut_between_open_and_copy(void **state)
{
    (void)state;
    struct kit k;
    struct shm_file f = {0};
    struct sigaction before, after;
    char to[16384];
    bool fresh;
    kit_init(&k, SHM_MAX_SEGMENTS);
    int dir = open(kit_path(&k, ""), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_int_equal(sigaction(SIGBUS, NULL, &before), 0);
    assert_int_equal(shm_file_open(&f, dir, "index", &fresh), 0);
    assert_true(fresh);
    for (int i = 0; i < 3; i++) {
        assert_true(shm_file_read(&f, 0, to, sizeof(to)));
        assert_int_equal(truncate(kit_path(&k, "index"), 8192), 0);
        assert_false(shm_file_read(&f, 0, to, sizeof(to)));
        assert_true(shm_file_read(&f, 0, to, 8192));
        assert_int_equal(truncate(kit_path(&k, "index"), (off_t)f.size), 0);
    }
    assert_int_equal(shm_file_open(&f, dir, "index", &fresh), 0);
    assert_false(fresh);
    assert_int_equal(sigaction(SIGBUS, NULL, &after), 0);
    assert_true(before.sa_handler == after.sa_handler);
    shm_file_close(&f);
    close(dir);
    kit_free(&k);
}

static void no_server(void **state)
{
    (void)state;
    struct shm_reader *r = shm_reader_new("/nowhere/at/all");
    assert_int_equal(shm_reader_refresh(r, NOW), SHM_NO_SERVER);
    assert_true(strlen(shm_reader_why(r)) > 0);
    assert_null(shm_reader_next(r, &(struct shm_place){0}));
    shm_reader_free(&r);
}

/* Sections at and one over each edge: offset, stride, count against the file's size. */
static void section_edges(void **state)
{
    (void)state;
    struct kit k;
    struct proc p;
    struct shm_row row = kit_row(100001, "");
    kit_init(&k, 1);
    kit_proc(&k, &p, "worker", 1, 4);
    shm_row_publish(&p.w, shm_row_alloc(&p.w), &row);
    uint64_t size = p.size;
    const struct {
        struct shm_section s;
        bool good;
    } t[] = {{{256, 256, 4}, true},
             {{size - 256, 256, 1}, true},
             {{size - 248, 256, 1}, false},
             {{256, 256, SHM_MAX_ROWS}, false},
             {{256, 256, UINT32_MAX}, false},
             {{256, 248, 4}, false},
             {{256, 264, 4}, true},
             {{256, 0, 4}, false},
             {{256, 257, 4}, false},
             {{260, 256, 4}, false},
             {{size, 256, 0}, true},
             {{size + 8, 256, 0}, false},
             {{UINT64_MAX - 7, 256, 1}, false},
             {{256, SHM_MAX_STRIDE, 0}, true},
             {{256, SHM_MAX_STRIDE + 8, 0}, false}};
    for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
        poke(&k, "worker-1.1", offsetof(struct shm_segment, rows), &t[i].s, sizeof(t[i].s));
        struct shm_reader *r = shm_reader_new(k.dir);
        assert_int_equal(shm_reader_refresh(r, NOW), SHM_OK);
        if (shm_reader_server(r)->unusable != (t[i].good ? 0u : 1u))
            fail_msg("case %zu: %s", i, shm_reader_why(r));
        shm_reader_free(&r);
    }
    shm_detach(&p.w);
    kit_free(&k);
}

static void texts(void **state)
{
    (void)state;
#define BAD "\xef\xbf\xbd"
    static const struct {
        const char *in, *out;
    } t[] = {{"", ""},
             {"dora@harbor.example", "dora@harbor.example"},
             {"d\xc3\xb6ra", "d\xc3\xb6ra"},
             {"\xf0\x9f\x90\xa7", "\xf0\x9f\x90\xa7"},
             {"a\033[31mb", "a" BAD "[31mb"},
             {"a\nb\r\tc\177", "a" BAD "b" BAD BAD "c" BAD},
             {"\xc2\x9b"
              "31m",
              BAD "31m"}, /* C1: CSI */
             {"\xe2\x80\xae"
              "x\xe2\x81\xa6",
              BAD "x" BAD},         /* turned writing */
             {"\xe2\x80\xa8", BAD}, /* line separator */
             {"\xff"
              "a\xfe",
              BAD "a" BAD},
             {"\xc0\xaf", BAD BAD},         /* overlong */
             {"\xe0\x80\xaf", BAD BAD BAD}, /* overlong */
             {"\xed\xa0\x80", BAD BAD BAD}, /* surrogate */
             {"\xf4\x90\x80\x80", BAD BAD BAD BAD},
             {"a\xc3", "a" BAD}, /* ends inside a character, but not at the field's end */
             {"\xe2\x82", BAD BAD}};
    char field[32], out[SHM_TEXT_MAX(sizeof(field))];
    for (size_t i = 0; i < sizeof(t) / sizeof(t[0]); i++) {
        shm_field_set(field, sizeof(field), t[i].in);
        assert_int_equal(shm_field_text(field, sizeof(field), out), strlen(t[i].out));
        assert_string_equal(out, t[i].out);
    }
    /* Cut by the field's end: back to the character. */
    static const char full[] = "abcdefg\xf0\x9f\x90\xa7";
    for (size_t n = 8; n <= 11; n++) {
        assert_int_equal(shm_field_text(full, n, out), n == 11 ? 11 : 7);
    }
    /* The longest output: every byte malformed. */
    memset(field, 0xff, sizeof(field));
    assert_int_equal(shm_field_text(field, sizeof(field), out), 3 * sizeof(field));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(what_was_written_is_read),
                                       cmocka_unit_test(alive_is_a_fresh_heartbeat),
                                       cmocka_unit_test(restart_is_noticed),
                                       cmocka_unit_test(a_row_that_stays_odd),
                                       cmocka_unit_test(another_version),
                                       cmocka_unit_test(a_bad_segment),
                                       cmocka_unit_test(cut_index),
                                       cmocka_unit_test(cut_between_open_and_copy),
                                       cmocka_unit_test(no_server),
                                       cmocka_unit_test(section_edges),
                                       cmocka_unit_test(texts)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
