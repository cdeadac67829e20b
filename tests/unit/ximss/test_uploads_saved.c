// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
/*
 * Uploads in a session's record and in a spool that goes from one process to the next (ximss/uploads.h): what operations see of them is the
 * same afterwards, byte by byte; whatever record and file hold instead, sets may be lost, sessions not.
 */
#include "harness.h"

#include <sys/stat.h>

#include "base/clock.h"
#include "base/log.h"
#include "codec/ipcmsg.h"
#include "ximss/snapshot.h"
#include "ximss/uploads.h"

#define LARGE 150000

static int setup(void **state)
{
    struct world *w = world_new();
    log_set_level(LOG_CRASH); /* sets that are lost */
    open_spool(w);
    w->x.uploads.limits = (struct upload_limits){1 << 20, 2 << 20, 16, INT64_C(3600) * CLOCK_SEC};
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    world_free(*state);
    return 0;
}

/* Byte i of the file of that seed. */
static char byte_of(uint32_t seed, size_t i)
{
    return (char)((i * 2654435761u + seed * 40503u) >> 13);
}

static void add(struct upload *u, uint32_t seed, size_t from, size_t till)
{
    char bytes[3001];
    while (from < till) {
        size_t n = till - from < sizeof bytes ? till - from : sizeof bytes;
        for (size_t i = 0; i < n; i++)
            bytes[i] = byte_of(seed, from + i);
        must(upload_data(u, (struct str){bytes, n}));
        from += n;
    }
}

static void send_file(struct upload *u, const char *name, const char *type, uint32_t seed, size_t n)
{
    must(upload_file(u, str_of(name), str_of(type)));
    add(u, seed, 0, n);
}

static void send_one(struct session *s, const char *id, const char *name, uint32_t seed, size_t n,
                     int64_t now)
{
    struct upload *u = NULL;
    must(upload_begin(s, str_of(id), &u));
    send_file(u, name, "a/b", seed, n);
    must(upload_commit(&u, now));
}

static void is(struct session *s, const char *id, const char *name, const char *type, uint32_t seed,
               size_t n, int64_t now)
{
    struct upload_file *f = NULL;
    struct buf out;
    must(upload_use(s, str_of(id), str_of(name), now, &f));
    assert_true(str_eq(f->name, str_of(name)) && str_eq(f->type, str_of(type)));
    assert_int_equal(f->bytes.size, n);
    buf_init(&out, 1 << 20);
    must(upload_read(f, 0, n + 1, &out));
    assert_int_equal(out.n, n);
    for (size_t i = 0; i < n; i++)
        assert_int_equal(out.p[i], byte_of(seed, i));
    buf_free(&out);
    upload_release(&f);
}

static bool there(struct session *s, const char *id)
{
    struct upload_file *f = NULL;
    bool found = upload_use(s, str_of(id), STR_NONE, 0, &f) == ERR_OK;
    upload_release(&f);
    return found;
}

/* --- the next process */

static struct store *store_of(void *ctx, uint32_t bank)
{
    struct world *w = ctx;
    return bank == 0 ? w->store : NULL;
}

static void save(struct client *c, struct buf *b)
{
    buf_clear(b);
    assert_true(snapshot_ready(c->s));
    must(snapshot_put(c->s, NULL, 0, b));
}

static struct session *load(struct world *w, struct client *c, struct str record)
{
    struct snapshot_from from = {.x = &w->x, .store = store_of, .ctx = w, .user = c};
    struct session *s = NULL;
    must(snapshot_get(&from, record, &s));
    return s;
}

/* This process is over: what it had stands in the file, which the caller gets. */
static int leave(struct world *w)
{
    int fd = dup(w->x.uploads.spool.fd);
    spool_leave(&w->x.uploads.spool);
    return fd;
}

static void adopt(struct world *w, int fd)
{
    spool_close(&w->x.uploads.spool);
    must(spool_adopt(&w->x.uploads.spool, fd));
}

/* Whatever was claimed is free again, though nothing of the file has gone. */
static void forget(struct world *w, struct client *c)
{
    int fd = leave(w);
    session_free(&c->s);
    assert_int_equal(w->x.uploads.spool.used, 0);
    assert_null(w->x.uploads.all);
    adopt(w, fd);
}

static void hand_over(struct world *w, struct client *c)
{
    struct buf first, second;
    buf_init(&first, SIZE_MAX);
    buf_init(&second, SIZE_MAX);
    save(c, &first);
    forget(w, c);
    c->s = load(w, c, buf_slice(&first));
    save(c, &second);
    assert_true(str_eq(buf_slice(&first), buf_slice(&second)));
    buf_free(&first);
    buf_free(&second);
}

static uint64_t on_disk(struct world *w)
{
    struct stat st;
    assert_int_equal(fstat(w->x.uploads.spool.fd, &st), 0);
    return (uint64_t)st.st_blocks * 512;
}

/* --- what goes over */

/* Three sets, of them one in pieces that stand between those of others. */
static struct client *three_sets(struct world *w)
{
    struct client *c = login(w);
    struct upload *u = NULL, *other = NULL;
    must(upload_begin(c->s, STR("up-7f3a"), &u));
    must(upload_begin(c->s, STR("B"), &other));
    must(upload_file(u, STR("beach.jpg"), STR("image/jpeg")));
    must(upload_file(other, STR("pictures/map.png"), STR("")));
    for (size_t at = 0; at < LARGE; at += 50000) {
        add(u, 1, at, at + 50000);
        add(other, 2, at, at + 50000);
    }
    send_file(u, "empty", "text/plain; charset=utf-8", 3, 0);
    send_file(u, "J\xc3\xb6rg.txt", "text/plain", 4, 77);
    must(upload_commit(&u, 500));
    must(upload_commit(&other, 400));
    send_one(c->s, "up-7f3a", "late", 5, 65536, 600);
    send_one(c->s, "third", "", 6, 1, 700);
    return c;
}

static void are_three_sets(struct session *s)
{
    is(s, "up-7f3a", "beach.jpg", "image/jpeg", 1, LARGE, 800);
    is(s, "up-7f3a", "empty", "text/plain; charset=utf-8", 3, 0, 800);
    is(s, "up-7f3a", "J\xc3\xb6rg.txt", "text/plain", 4, 77, 800);
    is(s, "up-7f3a", "late", "a/b", 5, 65536, 800);
    is(s, "B", "pictures/map.png", "", 2, LARGE, 800);
    is(s, "third", "", "a/b", 6, 1, 800);
    assert_false(there(s, "b"));
}

static void all_of_it(void **state)
{
    struct world *w = *state;
    struct client *c = three_sets(w), *other = login(w);
    uint64_t used = w->x.uploads.spool.used, disk = on_disk(w);
    for (int i = 0; i < 3; i++) {
        hand_over(w, c);
        assert_int_equal(w->x.uploads.spool.used, used);
        spool_sweep(&w->x.uploads.spool);
        assert_int_equal(on_disk(w), disk);
    }
    are_three_sets(c->s);
    assert_null(other->s->uploads);
    /* They are sets as any other. */
    send_one(c->s, "B", "more", 7, 70000, 900);
    hand_over(w, c);
    is(c->s, "B", "more", "a/b", 7, 70000, 800);
    is(c->s, "B", "pictures/map.png", "", 2, LARGE, 800);
    say(w, c, "<uploadRemove id=\"r\" uploadID=\"B\"/>");
    EXPECT(c, OK("r"));
    assert_false(there(c->s, "B"));
    must(upload_remove(c->s, STR("up-7f3a")));
    must(upload_remove(c->s, STR("third")));
    assert_int_equal(w->x.uploads.spool.used, 0);
    assert_int_equal(on_disk(w), 0);
}

/* Which goes first, for want of room and after a time; and that what has no room any more is not cut. */
static void order_and_times(void **state)
{
    struct world *w = *state;
    struct client *c = login(w);
    const int64_t life = w->x.uploads.limits.life;
    for (uint32_t i = 0; i < 4; i++)
        send_one(c->s, (const char *const[]){"a", "b", "c", "d"}[i], "", i, 1000, 10 + i);
    is(c->s, "c", "", "a/b", 2, 1000, 20);
    is(c->s, "a", "", "a/b", 0, 1000, 21);
    hand_over(w, c);
    w->x.uploads.limits.files = 1;
    w->x.uploads.limits.session = 100;
    w->x.uploads.spool.max = SPOOL_BLOCK;
    hand_over(w, c);
    w->x.uploads.limits.files = 4;
    w->x.uploads.limits.session = 1 << 20;
    send_one(c->s, "e", "", 9, 1000, 22); /* c goes */
    hand_over(w, c);
    struct upload *u = NULL;
    must(upload_begin(c->s, STR("f"), &u));
    must(upload_file(u, STR(""), STR(""))); /* a goes */
    assert_int_equal(upload_file(u, STR(""), STR("")),
                     ERR_TOO_LONG); /* nobody has used the others */
    upload_abort(&u);
    hand_over(w, c);
    assert_int_equal(w->x.uploads.spool.used, 3 * SPOOL_BLOCK);
    uploads_tick(&w->x.uploads, life + 10);
    assert_int_equal(w->x.uploads.spool.used, 3 * SPOOL_BLOCK);
    uploads_tick(&w->x.uploads, life + 11);
    assert_int_equal(w->x.uploads.spool.used, 2 * SPOOL_BLOCK);
    uploads_tick(&w->x.uploads, life + 13);
    assert_int_equal(w->x.uploads.spool.used, SPOOL_BLOCK);
    is(c->s, "e", "", "a/b", 9, 1000, 30);
}

/* The session goes over, and what is coming in as well. */
static void hand_over_coming(struct world *w, struct client *c, struct upload **u)
{
    struct buf record, coming, again;
    buf_init(&record, SIZE_MAX);
    buf_init(&coming, SIZE_MAX);
    buf_init(&again, SIZE_MAX);
    save(c, &record);
    upload_put(*u, &coming);
    int fd = leave(w);
    upload_abort(u);
    session_free(&c->s);
    adopt(w, fd);
    c->s = load(w, c, buf_slice(&record));
    must(upload_get(c->s, buf_slice(&coming), u));
    upload_put(*u, &again);
    assert_true(str_eq(buf_slice(&coming), buf_slice(&again)));
    spool_sweep(&w->x.uploads.spool);
    buf_free(&record);
    buf_free(&coming);
    buf_free(&again);
}

/* One that is coming in, cut anywhere, comes in; and it is no set before. */
static void coming_in(void **state)
{
    static const size_t cuts[] = {0, 1, 65535, 65536, 65537, LARGE};
    struct world *w = *state;
    struct client *c = three_sets(w);
    uint64_t used = w->x.uploads.spool.used;
    for (size_t i = 0; i < ARRAY_LEN(cuts); i++) {
        struct upload *u = NULL;
        must(upload_begin(c->s, STR("coming"), &u));
        hand_over_coming(w, c, &u); /* no file has begun */
        send_file(u, "whole", "x/y", 8, 10000);
        must(upload_file(u, STR("cut"), STR("t")));
        add(u, 9, 0, cuts[i]);
        hand_over_coming(w, c, &u);
        assert_false(there(c->s, "coming"));
        add(u, 9, cuts[i], LARGE);
        hand_over_coming(w, c, &u);
        send_file(u, "last", "", 10, 5);
        must(upload_commit(&u, 750));
        hand_over(w, c);
        is(c->s, "coming", "whole", "x/y", 8, 10000, 750);
        is(c->s, "coming", "cut", "t", 9, LARGE, 750);
        is(c->s, "coming", "last", "", 10, 5, 750);
        are_three_sets(c->s);
        must(upload_remove(c->s, STR("coming")));
        assert_int_equal(w->x.uploads.spool.used, used);
    }
    /* It is given up in the next process, and leaves nothing. */
    struct upload *u = NULL;
    must(upload_begin(c->s, STR("coming"), &u));
    send_file(u, "whole", "x/y", 8, LARGE);
    hand_over_coming(w, c, &u);
    upload_abort(&u);
    assert_int_equal(w->x.uploads.spool.used, used);
    are_three_sets(c->s);
}

/* It is the only one that its session has, which had none before. */
static void first_one_coming_in(void **state)
{
    struct world *w = *state;
    struct client *c = login(w);
    struct upload *u = NULL;
    must(upload_begin(c->s, STR("a"), &u));
    send_file(u, "", "", 1, 100);
    hand_over_coming(w, c, &u);
    upload_abort(&u);
    assert_null(c->s->uploads);
    assert_int_equal(w->x.uploads.spool.used, 0);
}

/* --- what cannot be taken over */

/* A set with one file, field by field. */
struct saved {
    const char *id;
    int64_t last;
    uint32_t count;
    size_t name, type; /* bytes */
    uint64_t size;
    uint32_t runs;
    struct spool_run run;
    enum err want;
};

static void put_saved(const struct saved *v, struct buf *b)
{
    static const char text[UPLOAD_NAME_MAX + 1] = "name";
    buf_clear(b);
    ipc_put_str(b, str_of(v->id));
    ipc_put_u64(b, (uint64_t)v->last);
    ipc_put_u32(b, 0);
    ipc_put_u32(b, v->count);
    ipc_put_str(b, (struct str){text, v->name});
    ipc_put_str(b, (struct str){text, v->type});
    ipc_put_u64(b, v->size);
    ipc_put_u32(b, v->runs);
    ipc_put_u32(b, v->run.first);
    ipc_put_u32(b, v->run.n);
}

static void one_field_wrong(void **state)
{
    static const struct saved cases[] = {
        {"a", 5, 1, 4, 4, 10, 1, {0, 1}, ERR_OK},
        {"a", 5, 1, UPLOAD_NAME_MAX, UPLOAD_TYPE_MAX, 10, 1, {0, 1}, ERR_OK},
        {"a", 5, 1, UPLOAD_NAME_MAX + 1, 4, 10, 1, {0, 1}, ERR_PACKET},
        {"a", 5, 1, 4, UPLOAD_TYPE_MAX + 1, 10, 1, {0, 1}, ERR_PACKET},
        {"", 5, 1, 4, 4, 10, 1, {0, 1}, ERR_PACKET},
        {"a b", 5, 1, 4, 4, 10, 1, {0, 1}, ERR_PACKET},
        {"a", -1, 1, 4, 4, 10, 1, {0, 1}, ERR_PACKET},
        {"a", INT64_MIN, 1, 4, 4, 10, 1, {0, 1}, ERR_PACKET},
        {"a", 5, 0, 4, 4, 10, 1, {0, 1}, ERR_PACKET},
        {"a", 5, 2, 4, 4, 10, 1, {0, 1}, ERR_PACKET},
        {"a", 5, UINT32_MAX, 4, 4, 10, 1, {0, 1}, ERR_PACKET},
        {"a", 5, 1, 4, 4, 10, 0, {0, 1}, ERR_PACKET},
        {"a", 5, 1, 4, 4, 10, 2, {0, 1}, ERR_PACKET},
        {"a", 5, 1, 4, 4, 10, UINT32_MAX, {0, 1}, ERR_PACKET},
        {"a", 5, 1, 4, 4, 10, 1, {1, 1}, ERR_PACKET}, /* another file's */
        {"a", 5, 1, 4, 4, 10, 1, {9, 1}, ERR_PACKET}, /* nothing is there */
        {"a", 5, 1, 4, 4, 10, 1, {0, 0}, ERR_PACKET},
        {"a", 5, 1, 4, 4, 10, 1, {0, UINT32_MAX}, ERR_PACKET},
        {"a", 5, 1, 4, 4, SPOOL_BLOCK + 1, 1, {0, 1}, ERR_PACKET},
        {"a", 5, 1, 4, 4, 0, 1, {0, 1}, ERR_PACKET},
        {"a", 5, 1, 4, 4, UINT64_MAX, 1, {0, 1}, ERR_PACKET},
    };
    struct world *w = *state;
    struct client *c = login(w);
    struct buf b;
    buf_init(&b, 1 << 20);
    send_one(c->s, "free", "", 1, 10, 1);
    send_one(c->s, "other", "", 2, 10, 1);
    hand_over(w, c);
    must(upload_remove(c->s, STR("free"))); /* the first block */
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        put_saved(&cases[i], &b);
        assert_int_equal(uploads_get(c->s, buf_slice(&b)), cases[i].want);
        assert_int_equal(there(c->s, "a"), cases[i].want == ERR_OK);
        if (cases[i].want != ERR_OK)
            continue;
        assert_int_equal(uploads_get(c->s, buf_slice(&b)), ERR_PACKET); /* it is there */
        must(upload_remove(c->s, STR("a")));
    }
    is(c->s, "other", "", "a/b", 2, 10, 2);
    assert_int_equal(w->x.uploads.spool.used, SPOOL_BLOCK);
    buf_free(&b);
}

/* Does what is there hold together? */
static void holds_together(struct world *w, struct session *s)
{
    struct buf b;
    buf_init(&b, SIZE_MAX);
    for (const char *const *id = (const char *const[]){"up-7f3a", "B", "third", NULL}; *id; id++) {
        struct upload_file *f = NULL;
        if (upload_use(s, str_of(*id), STR_NONE, 1, &f) == ERR_OK)
            must(upload_read(f, 0, SIZE_MAX, &b));
        upload_release(&f);
    }
    uploads_tick(&w->x.uploads, 1000);
    buf_free(&b);
}

/* Whatever the record is: a session, with sets or without, or none; and when it goes nothing is left. */
static void cut_or_changed(void **state)
{
    static const unsigned char with[] = {0xff, 0x80, 1, 0x20};
    struct world *w = *state;
    struct client *c = three_sets(w);
    struct buf b;
    uint32_t good = 0, sets = 0;
    buf_init(&b, SIZE_MAX);
    save(c, &b);
    forget(w, c);
    for (size_t i = 0; i < b.n * 5; i++) {
        bool cut = i % 5 == 4;
        size_t n = cut ? i / 5 : b.n;
        char *exact = malloc(n + 1);
        memcpy(exact, b.p, n);
        if (!cut)
            exact[i / 5] = (char)(exact[i / 5] ^ with[i % 5]);
        struct snapshot_from from = {.x = &w->x, .store = store_of, .ctx = w, .user = c};
        enum err e = snapshot_get(&from, (struct str){exact, n}, &c->s);
        free(exact);
        if (c->s != NULL) {
            good++;
            sets += there(c->s, "up-7f3a") && there(c->s, "B") && there(c->s, "third");
            holds_together(w, c->s);
        }
        assert_true((e == ERR_OK) == (c->s != NULL));
        forget(w, c);
    }
    assert_true(good > b.n && sets > b.n && sets < good);
    buf_free(&b);
}

/* The file is shorter than it was, or not there at all: what is gone is gone, the rest is there, and the session lives. */
static void the_file_is_another(void **state)
{
    struct world *w = *state;
    struct client *c = login(w);
    struct buf b;
    buf_init(&b, SIZE_MAX);
    send_one(c->s, "first", "", 1, SPOOL_BLOCK, 10);
    send_one(c->s, "second", "", 2, 1000, 10);
    save(c, &b);
    forget(w, c);
    assert_int_equal(ftruncate(w->x.uploads.spool.fd, SPOOL_BLOCK + 999), 0);
    adopt(w, leave(w));
    c->s = load(w, c, buf_slice(&b));
    is(c->s, "first", "", "a/b", 1, SPOOL_BLOCK, 20);
    assert_false(there(c->s, "second"));
    say(w, c, "<noop id=\"n\"/>");
    EXPECT(c, OK("n"));
    session_free(&c->s);
    spool_close(&w->x.uploads.spool);
    c->s = load(w, c, buf_slice(&b));
    assert_null(c->s->uploads);
    session_free(&c->s);
    open_spool(w);
    c->s = load(w, c, buf_slice(&b)); /* a file of its own */
    assert_null(c->s->uploads);
    send_one(c->s, "second", "", 3, 1000, 30);
    is(c->s, "second", "", "a/b", 3, 1000, 30);
    buf_free(&b);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(all_of_it),       T(order_and_times), T(coming_in),           T(first_one_coming_in),
        T(one_field_wrong), T(cut_or_changed),  T(the_file_is_another),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
