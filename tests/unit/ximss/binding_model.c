// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
/* The model: the tables of protocol 1, 4.6 and 4.8, in so many words. */
#include "binding_driver.h"

void model_append(char *to, const char *text)
{
    size_t n = strlen(to);
    assert_true(n + strlen(text) < TEXT);
    memcpy(to + n, text, strlen(text) + 1);
}

void model_answer(struct ask **who, int how, const char *text)
{
    struct ask *a = *who;

    *who = NULL;
    if (a == NULL)
        return;
    assert_int_equal(a->want, NOT_YET);
    a->want = how;
    model_append(a->want_text, text);
}

static void model_poll_batch(char *to)
{
    struct model *m = &drive->m;

    m->out_seq++;
    snprintf(m->unacked, TEXT, "<XIMSS respSeq=\"%llu\">", (unsigned long long)m->out_seq);
    model_append(m->unacked, m->queue);
    model_append(m->unacked, "</XIMSS>");
    m->has_unacked = true;
    m->queue[0] = '\0';
    model_append(to, m->unacked);
}

static void model_async(void)
{
    struct model *m = &drive->m;
    char text[TEXT] = "";

    if (m->poller == NULL || m->queue[0] == '\0')
        return;
    model_poll_batch(text);
    model_answer(&m->poller, BINDING_OK, text);
}

static void model_begin(void)
{
    struct model *m = &drive->m;

    if (m->count == 0 || !m->line[0].sync_async)
        return;
    model_append(m->line[0].out, m->queue);
    m->queue[0] = '\0';
}

static void model_complete(void)
{
    struct model *m = &drive->m;

    while (m->count != 0 && m->line[0].done == m->line[0].n) {
        struct model_batch *t = &m->line[0];
        if (t->kind == BINDING_SYNC) {
            char text[TEXT] = "<XIMSS>";
            model_append(text, t->out);
            model_append(text, t->sync_async ? m->queue : "");
            model_append(text, "</XIMSS>");
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
void model_run(void)
{
    struct model *m = &drive->m;
    struct model_batch *t = &m->line[0];
    char text[64];

    assert_true(m->count != 0 && t->done < t->n);
    snprintf(text, sizeof text, "<response id=\"r%d\"/>", t->first_id + t->done++);
    model_append(t->kind == BINDING_SYNC ? t->out : m->queue, text);
    model_complete();
    model_async();
}

static void model_repeat(struct ask *a)
{
    struct model *m = &drive->m;

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

void model_batch(struct ask *a, const struct binding_ask *q, int first_id, int n)
{
    struct model *m = &drive->m;

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

void model_poll(struct ask *a, const struct binding_ask *q)
{
    struct model *m = &drive->m;
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
