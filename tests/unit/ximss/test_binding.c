// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
/*
 * The HTTP binding of a session (protocol 1, 4.5-4.8) against a plain model of its tables: what comes of every question,
 * over thousands of steps drawn at random. Requests have ids of their own, so that a second run of one would show.
 */
#include "harness.h"
#include "ximss/binding.h"

#define EMPTY    "<XIMSS></XIMSS>"
#define TEXT     8192
#define ASKS     1600
#define BATCHES  5 /* that may wait */
#define REQUESTS 4 /* of a batch at most */

enum { NOT_YET = -1 };

/* A question, and what came of it. */
struct ask {
    int how; /* enum binding_how, or NOT_YET */
    char text[TEXT];
    bool forgotten;
    /* the model's opinion */
    int want;
    char want_text[TEXT];
};

struct model_batch {
    enum binding_kind kind;
    struct ask *who;
    bool numbered, sync_async;
    uint64_t seq;
    int first_id, n, done;
    char out[TEXT];
};

struct model {
    bool has_last;
    uint64_t last;
    enum binding_kind last_kind;
    char last_reply[TEXT]; /* "": it still runs */
    struct model_batch line[BATCHES];
    int count;
    uint64_t out_seq;
    bool has_unacked;
    char unacked[TEXT];
    char queue[TEXT];
    struct ask *poller;
};

static struct driver {
    struct world *w;
    struct session *s;
    struct binding *b;
    struct model m;
    struct ask asks[ASKS];
    int nasks, next_id;
    unsigned random;
} * d;

static unsigned draw(unsigned below)
{
    d->random = d->random * 1103515245u + 12345u;
    return (d->random >> 16) % below;
}

static void append(char *to, const char *text)
{
    size_t n = strlen(to);
    assert_true(n + strlen(text) < TEXT);
    memcpy(to + n, text, strlen(text) + 1);
}

static const char *text_of(const struct reply *r)
{
    static char text[TEXT];

    assert_true(r->body.n < TEXT);
    memcpy(text, buf_slice(&r->body).p, r->body.n);
    text[r->body.n] = '\0';
    return text;
}

/* --- binding_host */

static void answered(void *who, enum binding_how how, struct reply *reply)
{
    struct ask *a = who;

    assert_int_equal(a->how, NOT_YET); /* once */
    assert_false(a->forgotten);
    a->how = (int)how;
    if (reply != NULL)
        append(a->text, text_of(reply));
}

static void runnable(struct session *s)
{
    assert_ptr_equal(s, d->s);
}

static const struct binding_host host = {.answer = answered, .runnable = runnable};

/* --- the model: the tables of 4.6 and 4.8 */

static void model_answer(struct ask **who, int how, const char *text)
{
    struct ask *a = *who;

    *who = NULL;
    if (a == NULL)
        return;
    assert_int_equal(a->want, NOT_YET);
    a->want = how;
    append(a->want_text, text);
}

static void model_poll_batch(char *to)
{
    struct model *m = &d->m;

    m->out_seq++;
    snprintf(m->unacked, TEXT, "<XIMSS respSeq=\"%llu\">", (unsigned long long)m->out_seq);
    append(m->unacked, m->queue);
    append(m->unacked, "</XIMSS>");
    m->has_unacked = true;
    m->queue[0] = '\0';
    append(to, m->unacked);
}

static void model_async(void)
{
    struct model *m = &d->m;
    char text[TEXT] = "";

    if (m->poller == NULL || m->queue[0] == '\0')
        return;
    model_poll_batch(text);
    model_answer(&m->poller, BINDING_OK, text);
}

static void model_begin(void)
{
    struct model *m = &d->m;

    if (m->count == 0 || !m->line[0].sync_async)
        return;
    append(m->line[0].out, m->queue);
    m->queue[0] = '\0';
}

static void model_complete(void)
{
    struct model *m = &d->m;

    while (m->count != 0 && m->line[0].done == m->line[0].n) {
        struct model_batch *t = &m->line[0];
        if (t->kind == BINDING_SYNC) {
            char text[TEXT] = "<XIMSS>";
            append(text, t->out);
            append(text, t->sync_async ? m->queue : "");
            append(text, "</XIMSS>");
            if (t->sync_async)
                m->queue[0] = '\0';
            if (t->numbered && t->seq == m->last)
                memcpy(m->last_reply, text, TEXT);
            model_answer(&t->who, BINDING_OK, text);
        }
        memmove(&m->line[0], &m->line[1], sizeof m->line - sizeof m->line[0]);
        m->count--;
        model_begin();
    }
}

/* One request more is through. */
static void model_run(void)
{
    struct model *m = &d->m;
    struct model_batch *t = &m->line[0];
    char text[64];

    assert_true(m->count != 0 && t->done < t->n);
    snprintf(text, sizeof text, "<response id=\"r%d\"/>", t->first_id + t->done++);
    append(t->kind == BINDING_SYNC ? t->out : m->queue, text);
    model_complete();
    model_async();
}

static void model_repeat(struct ask *a)
{
    struct model *m = &d->m;

    if (m->last_kind == BINDING_ASYNC) {
        model_answer(&a, BINDING_OK, "");
        return;
    }
    for (int i = 0; i < m->count; i++) {
        if (m->line[i].numbered && m->line[i].seq == m->last) {
            model_answer(&m->line[i].who, BINDING_SUPERSEDED, "");
            m->line[i].who = a;
            return;
        }
    }
    model_answer(&a, BINDING_OK, m->last_reply);
}

static void model_batch(struct ask *a, const struct binding_ask *q, int first_id, int n)
{
    struct model *m = &d->m;

    if (q->has_seq && m->has_last && q->seq == m->last) {
        model_repeat(a);
    } else if (q->has_seq && m->has_last && q->seq < m->last) {
        model_answer(&a, BINDING_BAD_SEQ, "");
    } else if (m->count == BATCHES) {
        model_answer(&a, BINDING_BUSY, "");
    } else {
        struct model_batch *t = &m->line[m->count++];
        memset(t, 0, sizeof *t);
        t->kind = q->kind;
        t->numbered = q->has_seq;
        t->seq = q->seq;
        t->sync_async = q->sync_async && q->kind == BINDING_SYNC;
        t->first_id = first_id;
        t->n = n;
        t->who = a;
        if (q->kind == BINDING_ASYNC)
            model_answer(&t->who, BINDING_OK, "");
        if (q->has_seq) {
            m->has_last = true;
            m->last = q->seq;
            m->last_kind = q->kind;
            m->last_reply[0] = '\0';
        }
        if (m->count == 1)
            model_begin();
        model_complete();
    }
}

static void model_poll(struct ask *a, const struct binding_ask *q)
{
    struct model *m = &d->m;
    uint64_t ack = q->has_seq ? q->seq : m->out_seq;
    char text[TEXT] = "";

    if (ack + 1 == m->out_seq && m->has_unacked) {
        model_answer(&a, BINDING_OK, m->unacked);
    } else if (ack != m->out_seq) {
        model_answer(&a, BINDING_BAD_SEQ, "");
    } else {
        m->has_unacked = false;
        model_answer(&m->poller, BINDING_OK, EMPTY);
        if (m->queue[0] != '\0') {
            model_poll_batch(text);
            model_answer(&a, BINDING_OK, text);
        } else if (!q->waits) {
            model_answer(&a, BINDING_OK, EMPTY);
        } else {
            m->poller = a;
        }
    }
}

/* --- steps */

static void compare(void)
{
    for (int i = 0; i < d->nasks; i++) {
        struct ask *a = &d->asks[i];
        if (a->how == a->want && strcmp(a->text, a->want_text) == 0)
            continue;
        fail_msg("question %d: %d \"%s\", wanted %d \"%s\"", i, a->how, a->text, a->want,
                 a->want_text);
    }
}

static struct ask *new_ask(void)
{
    struct ask *a = &d->asks[d->nasks++];

    assert_true(d->nasks < ASKS);
    a->how = a->want = NOT_YET;
    return a;
}

static void put(struct binding_ask *q, struct ask *a)
{
    struct reply *reply = NULL;

    q->who = a;
    enum binding_how how = binding_take(d->b, q, &reply);
    if (how == BINDING_WAIT) {
        assert_null(reply);
        return;
    }
    answered(a, how, reply);
    reply_unref(&reply);
}

static void put_batch(enum binding_kind kind, bool numbered, uint64_t seq, bool sync_async, int n)
{
    char body[TEXT] = "<XIMSS>", one[32];
    struct ask *a = new_ask();

    for (int i = 0; i < n; i++) {
        snprintf(one, sizeof one, "<noop id=\"r%d\"/>", d->next_id + i);
        append(body, one);
    }
    append(body, "</XIMSS>");
    struct binding_ask q = {.kind = kind,
                            .has_seq = numbered,
                            .seq = seq,
                            .sync_async = sync_async,
                            .body = str_of(body)};
    model_batch(a, &q, d->next_id, n);
    d->next_id += n;
    put(&q, a);
    compare();
}

static void put_poll(bool has_ack, uint64_t ack, bool waits)
{
    struct ask *a = new_ask();
    struct binding_ask q = {.kind = BINDING_POLL, .has_seq = has_ack, .seq = ack, .waits = waits};

    model_poll(a, &q);
    put(&q, a);
    compare();
}

static struct slice one_slice(void)
{
    struct buf out;

    buf_init(&out, SIZE_MAX);
    struct slice r = dispatch_slice(d->s, &out);
    must(binding_output(d->b, buf_slice(&out)));
    buf_free(&out);
    return r;
}

static void put_run(void)
{
    assert_int_equal(session_has_work(d->s), d->m.count != 0);
    if (d->m.count == 0)
        return;
    model_run();
    (void)one_slice();
    compare();
}

/* A connection is gone: one that waits is drawn. */
static void put_forget(void)
{
    int from = (int)draw((unsigned)d->nasks + 1);

    for (int i = from; i < d->nasks; i++) {
        struct ask *a = &d->asks[i];
        if (a->how != NOT_YET || a->forgotten)
            continue;
        binding_forget(d->b, a);
        a->forgotten = true;
        if (d->m.poller == a)
            d->m.poller = NULL;
        for (int k = 0; k < d->m.count; k++) {
            if (d->m.line[k].who == a)
                d->m.line[k].who = NULL;
        }
        return;
    }
}

static void step(void)
{
    struct model *m = &d->m;
    /* around the number that is next, more often the right one */
    static const int around[] = {1, 1, 1, 1, 0, 0, 2, 1000, -1, -2};
    int off = around[draw(10)];
    uint64_t seq = (off < 0 && m->last < 2) ? 0 : m->last + (uint64_t)(int64_t)off;
    uint64_t ack = m->out_seq;

    switch (draw(8)) {
    case 0:
    case 1:
        put_batch(draw(3) == 0 ? BINDING_ASYNC : BINDING_SYNC, draw(4) != 0, seq, draw(3) == 0,
                  (int)draw(REQUESTS + 1));
        break;
    case 2:
        put_batch(BINDING_ASYNC, draw(4) != 0, seq, draw(2) == 0, (int)draw(REQUESTS + 1));
        break;
    case 3:
        ack -= draw(3) == 0 && ack != 0 ? 1 : 0;
        ack += draw(6) == 0 ? 1 : 0;
        put_poll(draw(6) != 0, ack, draw(3) != 0);
        break;
    case 4:
        if (draw(3) == 0)
            put_forget();
        else if (draw(4) == 0) {
            binding_poll_over(d->b);
            model_answer(&m->poller, BINDING_OK, EMPTY);
            compare();
        }
        break;
    default:
        put_run();
        break;
    }
}

/* --- around it */

static void begin(unsigned seed)
{
    static const uint8_t addr[16] = {1};
    struct world *w = world_new();

    d = calloc(1, sizeof *d);
    assert_non_null(d);
    d->random = seed;
    d->w = w;
    w->x.limits.queue_requests = BATCHES;
    struct client *c = login(w);
    d->s = c->s;
    must(binding_new(d->s, &host, addr, false, false, &d->b));
}

static void end(void)
{
    struct world *w = d->w;

    d->s->binding = NULL;
    binding_free(&d->b);
    world_free(w);
    free(d);
    d = NULL;
}

static void run_all(void)
{
    while (d->m.count != 0)
        put_run();
    assert_false(session_has_work(d->s));
}

static void at_random(void **state)
{
    unsigned seeds = getenv("XIMSSD_LONG") != NULL ? 400 : 25;

    (void)state;
    for (unsigned seed = 1; seed <= seeds; seed++) {
        begin(seed);
        for (int i = 0; i < 1500; i++)
            step();
        run_all();
        end();
    }
}

/* --- the end of a session */

/* What a question gets, now or when it was answered. */
static void expect_last(enum binding_how how, const char *text)
{
    const struct ask *a = &d->asks[d->nasks - 1];

    assert_int_equal(a->how, (int)how);
    assert_string_equal(a->text, text);
}

static void say_once(enum binding_kind kind, bool numbered, uint64_t seq, const char *body)
{
    struct binding_ask q = {.kind = kind, .has_seq = numbered, .seq = seq, .body = str_of(body)};

    put(&q, new_ask());
}

static void run_to_bye(void)
{
    while (!one_slice().close)
        ;
}

/* The reply to `bye` can be asked for again, and nothing else (4.5). */
static void bye(void **state)
{
    static const char text[] = "<XIMSS><noop id=\"1\"/><bye id=\"2\"/><noop id=\"3\"/></XIMSS>";
    static const char answer[] = "<XIMSS><response id=\"1\"/><response id=\"2\"/></XIMSS>";

    (void)state;
    begin(1);
    struct binding_ask poll = {.kind = BINDING_POLL, .has_seq = true, .waits = true};
    put(&poll, new_ask());
    say_once(BINDING_SYNC, true, 7, text);
    say_once(BINDING_SYNC, true, 8, "<XIMSS><noop id=\"4\"/></XIMSS>");
    run_to_bye();
    assert_false(binding_close(d->b, BINDING_BYE));
    assert_string_equal(d->asks[0].text, EMPTY);
    assert_int_equal(d->asks[1].how, BINDING_OK);
    assert_string_equal(d->asks[1].text, answer);
    expect_last(BINDING_GONE, ""); /* what waited behind it */
    end();

    begin(1);
    say_once(BINDING_SYNC, true, 7, text);
    run_to_bye();
    assert_true(binding_close(d->b, BINDING_BYE));
    for (int i = 0; i < 2; i++) {
        say_once(BINDING_SYNC, true, 7, text);
        expect_last(BINDING_OK, answer);
    }
    say_once(BINDING_SYNC, true, 6, text);
    expect_last(BINDING_GONE, "");
    say_once(BINDING_SYNC, true, 8, text);
    expect_last(BINDING_GONE, "");
    say_once(BINDING_SYNC, false, 0, text);
    expect_last(BINDING_GONE, "");
    put(&poll, new_ask());
    expect_last(BINDING_GONE, "");
    poll.bad_seq = true;
    put(&poll, new_ask());
    expect_last(BINDING_GONE, "");
    end();
}

static void bye_in_async(void **state)
{
    static const char text[] = "<XIMSS><bye id=\"2\"/></XIMSS>";

    (void)state;
    begin(1);
    say_once(BINDING_ASYNC, true, 1, text);
    expect_last(BINDING_OK, "");
    run_to_bye();
    assert_true(binding_close(d->b, BINDING_BYE));
    say_once(BINDING_ASYNC, true, 1, text);
    expect_last(BINDING_OK, "");
    say_once(BINDING_ASYNC, true, 2, text);
    expect_last(BINDING_GONE, "");
    end();
}

/* Without a number nothing is kept. */
static void bye_without_number(void **state)
{
    (void)state;
    begin(1);
    say_once(BINDING_SYNC, false, 0, "<XIMSS><bye id=\"2\"/></XIMSS>");
    run_to_bye();
    assert_false(binding_close(d->b, BINDING_BYE));
    expect_last(BINDING_OK, "<XIMSS><response id=\"2\"/></XIMSS>");
    end();
}

/* Who waits when the client, or the server, ends it (4.8, 4.9). */
static void other_ends(void **state)
{
    static const struct {
        enum binding_end how;
        const char *text;
    } ends[] = {{BINDING_KILL, EMPTY}, {BINDING_SERVER, "<XIMSS respSeq=\"1\"><bye/></XIMSS>"}};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(ends); i++) {
        begin(1);
        struct binding_ask poll = {.kind = BINDING_POLL, .has_seq = true, .waits = true};
        put(&poll, new_ask());
        say_once(BINDING_SYNC, true, 1, "<XIMSS><noop id=\"1\"/></XIMSS>");
        assert_false(binding_close(d->b, ends[i].how));
        assert_int_equal(d->asks[0].how, BINDING_OK);
        assert_string_equal(d->asks[0].text, ends[i].text);
        expect_last(BINDING_GONE, "");
        end();
    }
}

/* What has begun goes on to its end, with all that it was asked (the batch is secret: its memory is wiped when it is freed). */
static void end_while_it_runs(void **state)
{
    static const enum binding_end ends[] = {BINDING_KILL, BINDING_SERVER};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(ends); i++) {
        struct buf out;
        begin(1);
        say_once(BINDING_SYNC, true, 1, "<XIMSS><noop id=\"first\"/><fryEggs id=\"2\"/></XIMSS>");
        say_once(BINDING_SYNC, true, 2, "<XIMSS><noop id=\"3\"/></XIMSS>");
        assert_int_equal(dispatch_kind(d->s), KIND_READ);
        assert_false(binding_close(d->b, ends[i]));
        assert_int_equal(d->asks[0].how, BINDING_GONE);
        assert_int_equal(d->asks[1].how, BINDING_GONE);
        buf_init(&out, SIZE_MAX);
        assert_int_equal(dispatch_slice(d->s, &out).run, RUN_DONE);
        assert_true(str_eq(buf_slice(&out), STR("<response id=\"first\"/>\0")));
        assert_int_equal(dispatch_kind(d->s), KIND_NONE);
        buf_free(&out);
        end();
    }
}

/* --- sizes */

/* A reply may be kept up to `reply_kept`; a longer one is delivered once. */
static void kept(void **state)
{
    static const char text[] = "<XIMSS><noop id=\"0123456789\"/></XIMSS>";
    static const char answer[] = "<XIMSS><response id=\"0123456789\"/></XIMSS>";

    (void)state;
    for (int more = -1; more <= 1; more++) {
        begin(1);
        d->w->x.limits.reply_kept = sizeof answer - 1 - (size_t)(int64_t)more;
        say_once(BINDING_SYNC, true, 1, text);
        (void)one_slice();
        expect_last(BINDING_OK, answer);
        say_once(BINDING_SYNC, true, 1, text);
        if (more <= 0)
            expect_last(BINDING_OK, answer);
        else
            expect_last(BINDING_TOO_LARGE, "");
        end();
    }
}

/* Requests of an async batch wait for room in the queue, others do not. */
static void room_for_answers(void **state)
{
    (void)state;
    begin(1);
    d->w->x.limits.reply_kept = 2 * strlen("<response id=\"1\"/>");
    say_once(BINDING_ASYNC, true, 1,
             "<XIMSS><noop id=\"1\"/><noop id=\"2\"/><noop id=\"3\"/></XIMSS>");
    (void)one_slice();
    assert_true(session_has_work(d->s));
    (void)one_slice();
    assert_false(session_has_work(d->s));
    struct binding_ask poll = {.kind = BINDING_POLL, .has_seq = true};
    put(&poll, new_ask());
    expect_last(BINDING_OK,
                "<XIMSS respSeq=\"1\"><response id=\"1\"/><response id=\"2\"/></XIMSS>");
    assert_true(session_has_work(d->s));
    (void)one_slice();
    poll.seq = 1;
    put(&poll, new_ask());
    expect_last(BINDING_OK, "<XIMSS respSeq=\"2\"><response id=\"3\"/></XIMSS>");
    end();
}

/* --- who may use it (4.10) */

static void who_may(void **state)
{
    static const uint8_t home[16] = {1}, away[16] = {2};
    const struct str id = STR("100042-vN2Txjkggy7gjHRD10jw");
    char cookie[BINDING_COOKIE + 1];

    (void)state;
    for (int watch = 0; watch < 2; watch++) {
        begin(1);
        struct binding *b;
        must(binding_new(d->s, &host, home, watch == 1, true, &b));
        memcpy(cookie, b->cookie, sizeof cookie);
        assert_int_equal(strlen(cookie), BINDING_COOKIE);
        assert_true(binding_may(b, id, home, STR_NONE));
        assert_int_equal(binding_may(b, id, away, STR_NONE), watch == 0);
        assert_false(binding_may(b, STR("100042-vN2Txjkggy7gjHRD10jx"), home, STR_NONE));
        assert_false(binding_may(b, STR("100042-vN2Txjkggy7gjHRD10j"), home, STR_NONE));
        assert_true(binding_may(b, id, home, STR("AAAAAAAAAAAAAAAAAAAA"))); /* not bound yet */
        /* nobody else binds it */
        assert_int_equal(binding_may(b, id, away, str_of(cookie)), watch == 0);
        assert_int_equal(b->cookie_state, watch == 0 ? COOKIE_BOUND : COOKIE_OFFERED);
        assert_true(binding_may(b, id, home, str_of(cookie)));
        assert_int_equal(b->cookie_state, COOKIE_BOUND);
        assert_false(binding_may(b, id, home, STR_NONE));
        assert_false(binding_may(b, id, home, STR("AAAAAAAAAAAAAAAAAAAA")));
        assert_false(binding_may(b, id, home, STR("")));
        assert_true(binding_may(b, id, home, str_of(cookie)));
        binding_free(&b);
        d->s->binding = d->b;
        end();
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(at_random),    cmocka_unit_test(bye),
        cmocka_unit_test(bye_in_async), cmocka_unit_test(bye_without_number),
        cmocka_unit_test(other_ends),   cmocka_unit_test(end_while_it_runs),
        cmocka_unit_test(kept),         cmocka_unit_test(room_for_answers),
        cmocka_unit_test(who_may),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
