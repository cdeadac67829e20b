// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
/* Steps: each is put to the binding and to the model, and the two are compared. */
#include "binding_driver.h"

struct binding_driver *drive;

static unsigned draw(unsigned below)
{
    drive->random = drive->random * 1103515245u + 12345u;
    return (drive->random >> 16) % below;
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
        model_append(a->text, text_of(reply));
    if (drive->hold)
        a->held = reply_ref(reply);
}

static void runnable(struct session *s)
{
    assert_ptr_equal(s, drive->s);
}

const struct binding_host drive_host = {.answer = answered, .runnable = runnable};

/* --- steps */

static void compare(void)
{
    for (int i = 0; i < drive->nasks; i++) {
        struct ask *a = &drive->asks[i];
        if (a->how == a->want && strcmp(a->text, a->want_text) == 0)
            continue;
        fail_msg("question %d: %d \"%s\", wanted %d \"%s\"", i, a->how, a->text, a->want,
                 a->want_text);
    }
}

struct ask *drive_ask(void)
{
    struct ask *a = &drive->asks[drive->nasks++];

    assert_true(drive->nasks < ASKS);
    a->how = a->want = NOT_YET;
    return a;
}

void drive_put(struct binding_ask *q, struct ask *a)
{
    struct reply *reply = NULL;

    q->who = a;
    enum binding_how how = binding_take(drive->b, q, &reply);
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
    struct ask *a = drive_ask();

    for (int i = 0; i < n; i++) {
        snprintf(one, sizeof one, "<noop id=\"r%d\"/>", drive->next_id + i);
        model_append(body, one);
    }
    model_append(body, "</XIMSS>");
    struct binding_ask q = {.kind = kind,
                            .has_seq = numbered,
                            .seq = seq,
                            .sync_async = sync_async,
                            .body = str_of(body)};
    model_batch(a, &q, drive->next_id, n);
    drive->next_id += n;
    drive_put(&q, a);
    compare();
}

static void put_poll(bool has_ack, uint64_t ack, bool waits)
{
    struct ask *a = drive_ask();
    struct binding_ask q = {.kind = BINDING_POLL, .has_seq = has_ack, .seq = ack, .waits = waits};

    model_poll(a, &q);
    drive_put(&q, a);
    compare();
}

struct slice drive_slice(void)
{
    struct buf out;

    buf_init(&out, SIZE_MAX);
    struct slice r = dispatch_slice(drive->s, &out);
    must(binding_output(drive->b, buf_slice(&out)));
    buf_free(&out);
    return r;
}

static void put_run(void)
{
    assert_int_equal(session_has_work(drive->s), drive->m.count != 0);
    if (drive->m.count == 0)
        return;
    model_run();
    (void)drive_slice();
    compare();
}

/* A connection is gone: one that waits is drawn. */
static void put_forget(void)
{
    int from = (int)draw((unsigned)drive->nasks + 1);

    for (int i = from; i < drive->nasks; i++) {
        struct ask *a = &drive->asks[i];
        if (a->how != NOT_YET || a->forgotten)
            continue;
        binding_forget(drive->b, a);
        a->forgotten = true;
        if (drive->m.poller == a)
            drive->m.poller = NULL;
        for (int k = 0; k < drive->m.count; k++) {
            if (drive->m.line[k].who == a)
                drive->m.line[k].who = NULL;
        }
        return;
    }
}

void drive_step(void)
{
    struct model *m = &drive->m;
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
            binding_poll_over(drive->b);
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

void drive_begin(unsigned seed)
{
    static const uint8_t addr[16] = {1};
    struct world *w = world_new();

    drive = calloc(1, sizeof *drive);
    assert_non_null(drive);
    drive->random = seed;
    drive->w = w;
    w->x.limits.queue_requests = BATCHES;
    struct client *c = login(w);
    drive->s = c->s;
    must(binding_new(drive->s, &drive_host, addr, false, false, &drive->b));
}

void drive_end(void)
{
    struct world *w = drive->w;

    drive->s->binding = NULL;
    binding_free(&drive->b);
    world_free(w);
    free(drive);
    drive = NULL;
}

void drive_all(void)
{
    while (drive->m.count != 0)
        put_run();
    assert_false(session_has_work(drive->s));
}
