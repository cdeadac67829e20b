// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
/* Uploaded files as operations will use them (protocol 2, 9.2): which file of a set, use, room, time, and the last reader. */
#include "harness.h"

#include "base/clock.h"
#include "ximss/uploads.h"

#define KIB 1024u

static int setup(void **state)
{
    struct world *w = world_new();
    open_spool(w);
    w->x.uploads.limits =
        (struct upload_limits){100 * KIB, 200 * KIB, 4, INT64_C(3600) * CLOCK_SEC};
    w->x.uploads.spool.max = 10 * SPOOL_BLOCK;
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    world_free(*state);
    return 0;
}

/* A file of n bytes, all of them `fill`. */
static enum err send_file(struct upload *u, const char *name, char fill, size_t n)
{
    char bytes[4096];
    enum err e = upload_file(u, str_of(name), STR("application/x-test"));
    memset(bytes, fill, sizeof bytes);
    for (; e == ERR_OK && n != 0; n -= n < sizeof bytes ? n : sizeof bytes)
        e = upload_data(u, (struct str){bytes, n < sizeof bytes ? n : sizeof bytes});
    return e;
}

static enum err send_one(struct session *s, const char *id, const char *name, char fill, size_t n,
                         int64_t now)
{
    struct upload *u = NULL;
    must(upload_begin(s, str_of(id), &u));
    enum err e = send_file(u, name, fill, n);
    if (e == ERR_OK)
        return upload_commit(&u, now);
    upload_abort(&u);
    return e;
}

/* Reads it a piece at a time. */
static void is_filled(const struct upload_file *f, char fill, size_t n)
{
    struct buf out;
    buf_init(&out, 1 << 20);
    while (out.n < f->bytes.size) {
        size_t was = out.n;
        must(upload_read(f, out.n, 5000, &out));
        assert_true(out.n > was);
    }
    must(upload_read(f, f->bytes.size, 5000, &out));
    assert_int_equal(out.n, n);
    for (size_t i = 0; i < n; i++)
        assert_int_equal(out.p[i], fill);
    buf_free(&out);
}

static void use(struct session *s, const char *id, struct str name, char fill, size_t n,
                int64_t now)
{
    struct upload_file *f = NULL;
    must(upload_use(s, str_of(id), name, now, &f));
    is_filled(f, fill, n);
    upload_release(&f);
}

static bool there(struct session *s, const char *id)
{
    struct upload_file *f = NULL;
    bool is = upload_use(s, str_of(id), STR_NONE, 0, &f) == ERR_OK;
    upload_release(&f);
    return is;
}

/* The first one, or the one of that name if there is such a one; use does not consume it. */
static void which_file(void **state)
{
    struct world *w = *state;
    struct client *c = login(w);
    struct upload *u = NULL;
    struct upload_file *f = NULL;
    must(upload_begin(c->s, STR("up-7f3a"), &u));
    must(send_file(u, "beach.jpg", 'a', 70 * KIB));
    must(send_file(u, "map.png", 'b', 3));
    assert_int_equal(upload_use(c->s, STR("up-7f3a"), STR_NONE, 1, &f), ERR_UPLOAD_MISSING);
    must(upload_commit(&u, 1));
    must(send_one(c->s, "up-7f3a", "late", 'c', 0, 2));
    for (int i = 0; i < 2; i++) {
        use(c->s, "up-7f3a", STR_NONE, 'a', 70 * KIB, 3);
        use(c->s, "up-7f3a", STR("map.png"), 'b', 3, 3);
        use(c->s, "up-7f3a", STR("late"), 'c', 0, 3);
        use(c->s, "up-7f3a", STR("MAP.PNG"), 'a', 70 * KIB, 3);
    }
    assert_int_equal(upload_use(c->s, STR("UP-7F3A"), STR_NONE, 3, &f), ERR_UPLOAD_MISSING);
    struct client *other = login(w);
    assert_int_equal(upload_use(other->s, STR("up-7f3a"), STR_NONE, 3, &f), ERR_UPLOAD_MISSING);
    must(upload_use(c->s, STR("up-7f3a"), STR_NONE, 3, &f));
    assert_true(str_eq(f->name, STR("beach.jpg")) && str_eq(f->type, STR("application/x-test")));
    must(upload_remove(c->s, STR("up-7f3a")));
    is_filled(f, 'a', 70 * KIB); /* whoever reads it reads on */
    assert_int_equal(w->x.uploads.spool.used, 2 * SPOOL_BLOCK);
    upload_release(&f);
    assert_int_equal(w->x.uploads.spool.used, 0);
    assert_null(c->s->uploads);
}

/* Used ones go first, the one used longest ago first; those that nobody has used stay, and the new one is refused. */
static void room(void **state)
{
    struct world *w = *state;
    struct client *c = login(w);
    must(send_one(c->s, "a", "", 'a', 50 * KIB, 1));
    must(send_one(c->s, "b", "", 'b', 50 * KIB, 2));
    must(send_one(c->s, "c", "", 'c', 50 * KIB, 3));
    use(c->s, "c", STR_NONE, 'c', 50 * KIB, 4);
    use(c->s, "a", STR_NONE, 'a', 50 * KIB, 5);
    must(send_one(c->s, "d", "", 'd', 51 * KIB, 6)); /* c goes */
    struct upload_file *f = NULL;
    assert_int_equal(upload_use(c->s, STR("c"), STR_NONE, 7, &f), ERR_UPLOAD_MISSING);
    must(send_one(c->s, "e", "", 'e', 99 * KIB, 8)); /* a goes */
    assert_int_equal(upload_use(c->s, STR("a"), STR_NONE, 9, &f), ERR_UPLOAD_MISSING);
    assert_int_equal(send_one(c->s, "f", "", 'f', 1, 10), ERR_TOO_LONG); /* b, d, e fill it */
    use(c->s, "b", STR_NONE, 'b', 50 * KIB, 11);
    must(send_one(c->s, "f", "", 'f', 1, 12));
    assert_false(there(c->s, "b"));
    assert_true(there(c->s, "d") && there(c->s, "e") && there(c->s, "f"));
}

static void limits(void **state)
{
    struct world *w = *state;
    struct client *c = login(w), *o = login(w);
    assert_int_equal(send_one(c->s, "a", "", 'a', 100 * KIB + 1, 1), ERR_TOO_LONG);
    assert_null(c->s->uploads);
    for (int i = 0; i < 4; i++)
        must(send_one(c->s, "a", "", 'a', 1, 1));
    assert_int_equal(send_one(c->s, "b", "", 'b', 0, 1), ERR_TOO_LONG);
    must(upload_remove(c->s, STR("a")));
    /* The spool: ten blocks, whoever has them. */
    must(send_one(c->s, "a", "", 'a', 100 * KIB, 1));
    must(send_one(c->s, "b", "", 'b', 100 * KIB, 1));
    must(send_one(o->s, "a", "", 'a', 100 * KIB, 1));
    must(send_one(o->s, "b", "", 'b', 96 * KIB, 1));
    struct client *late = login(w);
    must(send_one(late->s, "a", "", 'a', 64 * KIB, 1));
    must(send_one(late->s, "b", "", 'b', 64 * KIB, 1));
    assert_int_equal(send_one(late->s, "c", "", 'c', 1, 1), ERR_QUOTA);
    use(late->s, "a", STR_NONE, 'a', 64 * KIB, 2);
    must(send_one(late->s, "c", "", 'c', 1, 3)); /* its own used one makes room */
    assert_false(there(late->s, "a"));
    use(o->s, "b", STR_NONE, 'b', 96 * KIB, 4);
}

static void time_passes(void **state)
{
    struct world *w = *state;
    struct client *c = login(w);
    const int64_t hour = w->x.uploads.limits.life;
    must(send_one(c->s, "a", "", 'a', 1, 10));
    must(send_one(c->s, "b", "", 'b', 1, 10));
    use(c->s, "a", STR_NONE, 'a', 1, 20);
    uploads_tick(&w->x.uploads, hour + 9);
    assert_int_equal(w->x.uploads.spool.used, 2 * SPOOL_BLOCK);
    uploads_tick(&w->x.uploads, hour + 10);
    assert_int_equal(w->x.uploads.spool.used, SPOOL_BLOCK);
    uploads_tick(&w->x.uploads, hour + 20);
    assert_int_equal(w->x.uploads.spool.used, 0);
    assert_null(w->x.uploads.all);
}

static void operation(void **state)
{
    struct world *w = *state;
    struct client *c = login(w);
    must(send_one(c->s, "a.1", "", 'a', 1, 10));
    say(w, c, "<uploadRemove id=\"1\" uploadID=\"a.2\"/>");
    expect_at(c, "<response id=\"1\" errorText=\"uploaded data not found\" errorNum=\"578\"/>",
              __FILE__, __LINE__);
    say(w, c, "<uploadRemove id=\"2\" uploadID=\"a.1\"/>");
    expect_at(c, "<response id=\"2\"/>", __FILE__, __LINE__);
    assert_false(there(c->s, "a.1"));
}

/* A worker says what comes; it may be wrong about it. */
static void bytes_of_no_file(void **state)
{
    struct world *w = *state;
    struct upload *u = NULL;
    struct client *c = login(w);
    must(upload_begin(c->s, STR("u"), &u));
    assert_int_equal(upload_data(u, STR("x")), ERR_PACKET);
    upload_abort(&u);
    assert_int_equal(upload_remove(c->s, STR("u")), ERR_UPLOAD_MISSING);
}

/* The session's end takes all of it. */
static void session_ends(void **state)
{
    struct world *w = *state;
    struct client *c = login(w);
    must(send_one(c->s, "a", "", 'a', 100 * KIB, 10));
    say(w, c, "<bye id=\"1\"/>");
    session_free(&c->s);
    assert_int_equal(w->x.uploads.spool.used, 0);
    assert_null(w->x.uploads.all);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(which_file, setup, teardown),
        cmocka_unit_test_setup_teardown(room, setup, teardown),
        cmocka_unit_test_setup_teardown(limits, setup, teardown),
        cmocka_unit_test_setup_teardown(time_passes, setup, teardown),
        cmocka_unit_test_setup_teardown(operation, setup, teardown),
        cmocka_unit_test_setup_teardown(bytes_of_no_file, setup, teardown),
        cmocka_unit_test_setup_teardown(session_ends, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
