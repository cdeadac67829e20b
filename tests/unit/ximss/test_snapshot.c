// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
/*
 * A session as bytes and back (ximss/snapshot.h, snapfile.h). What shows that nothing is lost is a twin: two sessions hear and
 * ask the same, one of them is written, freed and read again all the time, and both clients get the same bytes.
 */
#include "harness.h"

#include "ximss/alert.h"
#include "ximss/folder.h"
#include "ximss/snapfile.h"
#include "ximss/snapshot.h"

#define AT INT64_C(1710400500)

static int setup(void **state)
{
    *state = world_new();
    three_messages(*state);
    return 0;
}

static int teardown(void **state)
{
    world_free(*state);
    return 0;
}

/* --- writing and reading */

static struct store *store_of(void *ctx, uint32_t bank)
{
    struct world *w = ctx;
    return bank == 0 ? w->store : NULL;
}

/* A part as a keeper has one: it comes last, so a record that was cut is without it. */
static bool put_mark(const struct session *s, uint32_t i, struct buf *b)
{
    (void)s;
    if (i == 0)
        buf_lit(b, "mark");
    return i == 0;
}

static enum err get_mark(struct session *s, struct str body)
{
    (void)s;
    return str_eq(body, STR("mark")) ? ERR_OK : ERR_PACKET;
}

static const struct snapshot_part mark[] = {{"mark", true, put_mark, get_mark}};

static enum err get(struct world *w, struct str record, void *user, struct session **out)
{
    struct snapshot_from from = {
        .x = &w->x, .store = store_of, .ctx = w, .user = user, .more = mark, .nmore = 1};
    return snapshot_get(&from, record, out);
}

static void put(const struct session *s, struct buf *b)
{
    buf_clear(b);
    assert_true(snapshot_ready(s));
    must(snapshot_put(s, mark, 1, b));
}

/* As a keeper comes to the end of what runs. */
static void get_ready(struct world *w, struct client *c)
{
    w->x.pausing = true;
    while (!snapshot_ready(c->s)) {
        if (dispatch_kind(c->s) == KIND_READ && dispatch_may_go_ahead(c->s)) {
            size_t before = c->out.n;
            (void)dispatch_ahead(c->s, &c->out);
            assert_true(c->out.n - before < 4096); /* next to nothing without credit */
            db_idle_check(store_db(w->store));
        } else {
            bool credit = c->no_credit;
            c->no_credit = false;
            run(w);
            c->no_credit = credit;
        }
    }
    w->x.pausing = false;
}

static void hand_over(struct world *w, struct client *c)
{
    struct buf first, second;
    buf_init(&first, SIZE_MAX);
    buf_init(&second, SIZE_MAX);
    get_ready(w, c);
    put(c->s, &first);
    session_free(&c->s);
    must(get(w, buf_slice(&first), c, &c->s));
    assert_ptr_equal(c->s->user, c);
    put(c->s, &second);
    assert_int_equal(first.n, second.n);
    assert_memory_equal(first.p, second.p, first.n);
    buf_free(&first);
    buf_free(&second);
}

/* --- twins */

struct twins {
    struct world *w;
    struct client *c[2]; /* the second one is handed over */
    struct client *other;
    uint32_t seed, last;
};

static uint32_t dice(struct twins *t, uint32_t sides)
{
    t->seed = t->seed * 1664525u + 1013904223u;
    return (t->seed >> 8) % sides;
}

static void both(struct twins *t, const char *text)
{
    for (int i = 0; i < 2; i++)
        if (t->c[i]->s->queue_count < 30)
            feed(t->c[i], text);
}

static const char *const views[] = {
    "",
    "sortField=\"INTERNALDATE\" sortOrder=\"desc\"",
    "sortField=\"Subject\"",
    "filterField=\"FLAGS\" filter=\"Unseen\"",
    "filterField=\"FLAGS\" filter=\"blue\"", /* a keyword, if there is one by then */
    "filterField=\"Subject\" filter=\"lunch\"",
    "filter=\"noon\"",
    "sortField=\"FLAGS\" sortOrder=\"desc\" filterField=\"BODY\" filter=\"noon\"",
};

static void ask(struct twins *t)
{
    char text[400];
    uint32_t f = dice(t, 3);
    const char *view = views[dice(t, ARRAY_LEN(views))];
    switch (dice(t, 9)) {
    case 0:
        snprintf(text, sizeof text,
                 "<folderOpen id=\"o\" folder=\"f%u\" mailbox=\"INBOX\" %s><field>FLAGS</field>"
                 "<field>Subject</field></folderOpen>",
                 f, view);
        break;
    case 1:
        snprintf(text, sizeof text, "<folderReopen id=\"r\" folder=\"f%u\" %s/>", f, view);
        break;
    case 2:
    case 3:
        snprintf(text, sizeof text, "<folderSync id=\"s\" folder=\"f%u\" limit=\"%u\"/>", f,
                 1 + dice(t, 5));
        break;
    case 4:
        snprintf(text, sizeof text, "<setClientName id=\"n\" name=\"client %u\"/>", f);
        break;
    case 5:
        snprintf(text, sizeof text, "<nonsense id=\"%u\"/>", f);
        break;
    case 6:
        snprintf(text, sizeof text, "<mailboxList id=\"m\"/>");
        break;
    default:
        snprintf(
            text, sizeof text,
            "<folderBrowse id=\"b\" folder=\"f%u\"><index from=\"0\" till=\"999\"/></folderBrowse>",
            f);
        break;
    }
    both(t, text);
}

/* Somebody else does something to the mailbox, or the administrator speaks. */
static void change(struct twins *t)
{
    char text[200];
    struct alert *a;
    switch (dice(t, 5)) {
    case 0:
        deliver(t->w, dice(t, 2) != 0 ? ANN : BOB, 1779700000 + dice(t, 1000), FLAG_RECENT);
        t->last++;
        return;
    case 1:
        must(alert_new(STR("J\xc3\xb6rg \xff <says> hello"), AT + dice(t, 100), &a));
        for (int i = 0; i < 2; i++)
            must(alert_give(t->c[i]->s, a));
        alert_put_back(&a);
        return;
    case 2:
        snprintf(text, sizeof text,
                 "<messageRemove id=\"x\" folder=\"g\" "
                 "mode=\"Immediately\"><UID>%u</UID></messageRemove>",
                 1 + dice(t, t->last));
        break;
    default:
        snprintf(text, sizeof text,
                 "<messageMark id=\"k\" folder=\"g\" flags=\"%s\"><UID>%u</UID></messageMark>",
                 (const char *const[]){"Seen", "Unseen", "Flagged", "blue"}[dice(t, 4)],
                 1 + dice(t, t->last));
        break;
    }
    feed(t->other, text);
    feed(t->other, "<folderSync id=\"s\" folder=\"g\"/>");
}

static void credit(struct twins *t, bool there)
{
    for (int i = 0; i < 2; i++)
        t->c[i]->no_credit = !there;
}

static void compare(struct twins *t)
{
    struct str a, b;
    credit(t, true);
    run(t->w);
    for (int i = 0; i < 2; i++) /* what waited for credit; a keeper looks when it comes */
        session_async(t->c[i]->s, &t->c[i]->out);
    a = buf_slice(&t->c[0]->out);
    b = buf_slice(&t->c[1]->out);
    if (!str_eq(a, b)) {
        size_t at = 0;
        while (at < a.n && at < b.n && a.p[at] == b.p[at])
            at++;
        fail_msg("seed %u: they differ at %zu of %zu, %zu:\n%.200s\n%.200s", t->seed, at, a.n, b.n,
                 a.p + at, b.p + at);
    }
    for (int i = 0; i < 2; i++) {
        skip_all(t->c[i]);
        buf_clear(&t->c[i]->out);
        t->c[i]->at = 0;
    }
    skip_all(t->other);
}

/* Part of an answer has gone out, and that is all for now. */
static void one_slice(struct twins *t)
{
    for (int i = 0; i < 2; i++)
        if (dispatch_kind(t->c[i]->s) == KIND_READ)
            (void)dispatch_slice(t->c[i]->s, &t->c[i]->out);
    db_idle_check(store_db(t->w->store));
}

static void twins(void **state)
{
    struct twins t = {.w = *state, .last = 3};
    for (int i = 0; i < 2; i++)
        t.c[i] = login(t.w);
    t.other = login(t.w);
    say(t.w, t.other, "<folderOpen id=\"O\" folder=\"g\" mailbox=\"INBOX\"/>");
    t.w->x.limits.slice_time = INT64_MAX / 4; /* slices end where output says, alike for both */
    for (uint32_t round = 0; round < 1500; round++) {
        t.seed = round;
        if (dice(&t, 3) == 0)
            credit(&t, false);
        for (uint32_t n = dice(&t, 4); n != 0; n--)
            ask(&t);
        if (dice(&t, 3) == 0)
            change(&t);
        run(t.w);
        hand_over(t.w, t.c[1]);
        if (dice(&t, 2) == 0)
            compare(&t);
    }
    compare(&t);
    assert_true(t.c[1]->s->folder_count == 3 && t.c[1]->s->request_count > 500);
    assert_int_equal(t.c[0]->s->request_count, t.c[1]->s->request_count);
    assert_string_equal(t.c[0]->s->client_name, t.c[1]->s->client_name);
}

/* The same in the middle of an answer of many slices, with requests and events behind it. */
static void in_the_middle(void **state)
{
    struct twins t = {.w = *state, .last = 3};
    deliver_many(t.w, ANN, 3000);
    for (int i = 0; i < 2; i++)
        t.c[i] = login(t.w);
    t.other = login(t.w);
    say(t.w, t.other, "<folderOpen id=\"O\" folder=\"g\" mailbox=\"INBOX\"/>");
    both(&t, "<folderOpen id=\"O\" folder=\"f0\" mailbox=\"INBOX\"><field>FLAGS</field>"
             "<field>Subject</field><field>E-From</field></folderOpen>");
    compare(&t);
    uint32_t running = 0;
    for (uint32_t slices = 0; slices < 8; slices++) {
        both(&t, "<folderBrowse id=\"b\" folder=\"f0\"><index from=\"0\" "
                 "till=\"9999\"/></folderBrowse>");
        both(&t, "<folderSync id=\"s\" folder=\"f0\"/>");
        ask(&t);
        for (uint32_t i = 0; i <= slices; i++)
            one_slice(&t);
        running += t.c[1]->s->req != NULL && !t.c[1]->s->req->decided;
        credit(&t, false);
        hand_over(t.w, t.c[1]);
        hand_over(t.w, t.c[1]); /* and once more, before anything of it is read */
        one_slice(&t);
        hand_over(t.w, t.c[1]);
        compare(&t);
    }
    assert_true(running > 3);
}

/* One message that is longer than a slice: nothing may come in between, also not behind the hand-over. */
static void inside_a_message(void **state)
{
    struct twins t = {.w = *state, .last = 4};
    struct alert *a;
    struct buf text;
    buf_init(&text, SIZE_MAX);
    buf_lit(&text, ANN);
    for (int i = 0; i < 40000; i++)
        buf_printf(&text, "line %d\r\n", i);
    buf_char(&text, 0);
    deliver(t.w, text.p, AT, 0);
    for (int i = 0; i < 2; i++)
        t.c[i] = login(t.w);
    t.other = login(t.w);
    both(&t, "<folderOpen id=\"O\" folder=\"f\" mailbox=\"INBOX\"/>");
    compare(&t);
    for (uint32_t slices = 1; slices < 5; slices++) {
        both(&t, "<folderRead id=\"r\" folder=\"f\" UID=\"4\" totalSizeLimit=\"-1\"/>");
        for (uint32_t i = 0; i < slices; i++)
            one_slice(&t);
        assert_true(t.c[0]->s->mid_message && t.c[1]->s->mid_message);
        must(alert_new(STR("not now"), AT, &a));
        for (int i = 0; i < 2; i++)
            must(alert_give(t.c[i]->s, a));
        alert_put_back(&a);
        hand_over(t.w, t.c[1]);
        assert_true(t.c[1]->s->mid_message && !session_async_due(t.c[1]->s));
        compare(&t);
    }
    buf_free(&text);
}

/* A mailbox that is gone, a view that has to be told anew. */
static void dead_folders(void **state)
{
    struct world *w = *state;
    struct client *c = login(w);
    CHECK(w, c, "<mailboxCreate id=\"m\" mailbox=\"box\"/>", OK("m"));
    open_quietly(w, c, "<folderOpen id=\"F1\" folder=\"f\" mailbox=\"box\"/>");
    skip_all(c);
    int64_t box = box_id(w, DORA, "box");
    hub_on_change(&w->x.hub, &(struct store_change){
                                 .account = DORA, .mailbox = box, .what = STORE_MAILBOX_REMOVED});
    hand_over(w, c);
    run(w);
    EXPECT(c, NOTIFY("f"));
    CHECK(w, c, "<folderSync id=\"s\" folder=\"f\"/>",
          ERROR("s", "mailbox has been removed", "567"));
    CHECK(w, c, "<folderClose id=\"c\" folder=\"f\"/>", OK("c"));
}

static void who_it_is(void **state)
{
    struct world *w = *state;
    struct client *c = login(w);
    struct session before = *c->s;
    c->s->idle_timeout = 77;
    c->s->error_count = 3;
    c->s->must_change = c->s->report_changes = true;
    c->s->conn = 5;
    c->s->worker = 6;
    struct str name = STR("dora@harbor.example"), real = STR("Dora \"D\" <Diver>");
    hand_over(w, c);
    assert_true(str_eq(c->s->name, name) && str_eq(c->s->real_name, real));
    assert_true(str_eq(c->s->url_id, STR("100042-vN2Txjkggy7gjHRD10jw")));
    assert_true(str_eq(c->s->address, STR("[192.0.2.7]")));
    assert_true(c->s->account == before.account && c->s->id == before.id && c->s->conn == 5 &&
                c->s->worker == 6 && c->s->bank == before.bank);
    assert_true(c->s->idle_timeout == 77 && c->s->error_count == 3 && c->s->must_change &&
                c->s->report_changes && c->s->client_name == NULL);
    assert_ptr_equal(hub_first(&w->x.hub, DORA), c->s);
}

/* An answer that is made ahead has the size that answers have. */
static void too_far_ahead(void **state)
{
    struct world *w = *state;
    struct client *c = login(w);
    deliver_many(w, ANN, 2000);
    w->x.limits.answer = 100000;
    open_quietly(
        w, c,
        "<folderOpen id=\"F1\" folder=\"f\" mailbox=\"INBOX\"><field>Subject</field></folderOpen>");
    feed(c, "<folderBrowse id=\"b\" folder=\"f\"><index from=\"0\" till=\"9999\"/></folderBrowse>");
    assert_int_equal(dispatch_kind(c->s), KIND_READ);
    w->x.pausing = true;
    struct slice r;
    size_t before = c->out.n;
    do {
        assert_int_equal(dispatch_kind(c->s), KIND_READ);
        assert_true(dispatch_may_go_ahead(c->s));
        r = dispatch_ahead(c->s, &c->out);
        db_idle_check(store_db(w->store));
    } while (!r.close);
    assert_true(c->s->closing && !snapshot_ready(c->s));
    assert_int_equal(c->out.n, before);
    w->x.pausing = false;
}

/* --- bytes that are not what they should be */

/* A session with a part of each kind. */
static struct client *full_session(struct world *w, struct buf *record)
{
    struct client *c = login(w);
    struct alert *a;
    open_quietly(w, c, OPEN_MM);
    open_quietly(w, c,
                 "<folderOpen id=\"F1\" folder=\"g\" mailbox=\"INBOX\" filterField=\"Subject\" "
                 "filter=\"lunch\"/>");
    skip_all(c);
    must(alert_new(STR("hello"), AT, &a));
    must(alert_give(c->s, a));
    alert_put_back(&a);
    feed(c, "<folderBrowse id=\"b\" folder=\"g\"><index from=\"0\" till=\"9\"/></folderBrowse>");
    feed(c, "<noop id=\"1\"/>");
    feed(c, "<noop id=\"2\"/>");
    assert_int_equal(dispatch_kind(c->s), KIND_READ);
    (void)dispatch_ahead(c->s, &c->out);
    put(c->s, record);
    db_idle_check(store_db(w->store));
    return c;
}

static void cut(void **state)
{
    struct world *w = *state;
    struct buf b;
    buf_init(&b, SIZE_MAX);
    struct client *c = full_session(w, &b);
    session_free(&c->s);
    for (size_t n = 0; n < b.n; n++) {
        struct session *s = (struct session *)w;
        char *exact = malloc(n + 1); /* so that a sanitizer sees every byte too many */
        memcpy(exact, b.p, n);
        assert_int_equal(get(w, (struct str){exact, n}, c, &s), ERR_PACKET);
        assert_null(s);
        assert_null(hub_first(&w->x.hub, DORA));
        free(exact);
    }
    must(get(w, buf_slice(&b), c, &c->s));
    run(w);
    buf_free(&b);
}

static void changed(void **state)
{
    struct world *w = *state;
    struct buf b;
    uint32_t good = 0;
    buf_init(&b, SIZE_MAX);
    struct client *c = full_session(w, &b);
    session_free(&c->s);
    for (size_t i = 0; i < b.n * 4; i++) {
        static const unsigned char with[] = {0xff, 0x80, 1, 0x20};
        b.p[i / 4] = (char)(b.p[i / 4] ^ with[i % 4]);
        struct session *s = NULL;
        enum err e = get(w, buf_slice(&b), c, &s);
        assert_true(e == ERR_PACKET || (e == ERR_OK) == (s != NULL));
        good += e == ERR_OK;
        session_free(&s);
        b.p[i / 4] = (char)(b.p[i / 4] ^ with[i % 4]);
    }
    assert_true(good > b.n / 2); /* most bytes are texts and rows, which may be anything */
    buf_free(&b);
}

/* Parts that nobody knows, or that come in a row that makes no sense. */
static void wrong_parts(void **state)
{
    struct world *w = *state;
    struct buf b, x;
    struct session *s;
    buf_init(&b, SIZE_MAX);
    buf_init(&x, SIZE_MAX);
    struct client *c = full_session(w, &b);
    session_free(&c->s);
    static const char unknown[] = "strange\0\4\0\0\0abcd";
    buf_str(&x, buf_slice(&b));
    buf_add(&x, unknown, sizeof unknown - 1);
    assert_int_equal(get(w, buf_slice(&x), c, &s), ERR_PACKET);
    buf_clear(&x); /* twice the same folders, queue and rest */
    buf_str(&x, buf_slice(&b));
    uint32_t core;
    memcpy(&core, b.p + SNAPSHOT_NAME, sizeof core);
    size_t behind = SNAPSHOT_NAME + sizeof core + core;
    buf_str(&x, str_sub(buf_slice(&b), behind, b.n));
    assert_int_equal(get(w, buf_slice(&x), c, &s), ERR_PACKET);
    buf_clear(&x); /* nobody's */
    buf_str(&x, str_sub(buf_slice(&b), behind, b.n));
    assert_int_equal(get(w, buf_slice(&x), c, &s), ERR_PACKET);
    assert_int_equal(get(w, STR(""), c, &s), ERR_PACKET);
    buf_free(&b);
    buf_free(&x);
}

/* --- files */

static void make_file(struct buf *b, const char *const *records, uint32_t n)
{
    struct snapfile_entry e[8] = {{0}};
    for (uint32_t i = 0; i < n; i++)
        e[i] = (struct snapfile_entry){
            .kind = SNAPFILE_SESSION, .id = 100 + i, .worker = i, .bytes = strlen(records[i])};
    snapfile_put_head(b, e, n);
    assert_int_equal(b->n, snapfile_head_size(n));
    for (uint32_t i = 0; i < n; i++)
        buf_str(b, str_of(records[i]));
}

static void files(void **state)
{
    static const char *const records[] = {"one", "", "three", "4"};
    struct snapfile_entry e;
    struct snapfile f;
    struct str record;
    struct buf b;
    (void)state;
    buf_init(&b, SIZE_MAX);
    make_file(&b, records, 4);
    for (size_t n = 0; n <= b.n; n++) {
        char *exact = malloc(n + 1);
        memcpy(exact, b.p, n);
        enum err err = snapfile_open((struct str){exact, n}, &f);
        assert_int_equal(err, n < snapfile_head_size(4) ? ERR_PACKET : ERR_OK);
        size_t at = snapfile_head_size(4);
        for (uint32_t i = 0; err == ERR_OK && i < 4; i++) {
            assert_true(snapfile_next(&f, &e, &record));
            assert_int_equal(e.id, 100 + i); /* also of those that are cut */
            size_t length = strlen(records[i]);
            at += length;
            if (length == 0 || at > n)
                assert_null(record.p);
            else
                assert_true(str_eq(record, str_of(records[i])));
        }
        assert_true(err != ERR_OK || !snapfile_next(&f, &e, &record));
        free(exact);
    }
    b.p[8] = (char)(b.p[8] + 1); /* another version */
    assert_int_equal(snapfile_open(buf_slice(&b), &f), ERR_PACKET);
    buf_free(&b);
    buf_init(&b, SIZE_MAX);
    snapfile_put_head(&b, NULL, 0);
    must(snapfile_open(buf_slice(&b), &f));
    assert_false(snapfile_next(&f, &e, &record));
    buf_free(&b);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(twins),         T(in_the_middle), T(inside_a_message), T(dead_folders), T(who_it_is),
        T(too_far_ahead), T(cut),           T(changed),          T(wrong_parts),  T(files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
