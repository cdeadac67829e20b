// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
/*
 * HTML on its way to a helper and back (proc/keeper_clean.h). A helper has one job at a time, this or a digest
 * (keeper_mail.c); who waits here is a user, so these come first, but only KEEPER_CLEAN_MAX of them are there at any time.
 */
#include "proc/keeper_clean.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "codec/html_job.h"
#include "proc/keeper.h"

struct clean_job {
    struct clean_job *next;
    struct keeper *k;
    keeper_clean_done *done; /* NULL: forgotten */
    void *arg;
    uint32_t seq;
    int64_t queued;
    struct buf job; /* kept while the helper works: the answer is judged by it */
    struct buf out;
};

static void finish(struct clean_job *j, enum err e)
{
    j->k->clean_count--;
    if (j->done != NULL)
        j->done(j->arg, e, e == ERR_OK ? buf_slice(&j->out) : STR_NONE);
    buf_free(&j->job);
    buf_free(&j->out);
    free(j);
}

struct clean_job *keeper_clean(struct keeper *k, struct buf *job, keeper_clean_done *done,
                               void *arg)
{
    struct clean_job *j =
        k->clean_count < KEEPER_CLEAN_MAX && buf_err(job) == ERR_OK ? calloc(1, sizeof *j) : NULL;
    if (j == NULL) {
        buf_free(job);
        return NULL;
    }
    *j = (struct clean_job){.k = k,
                            .done = done,
                            .arg = arg,
                            .seq = ++k->clean_seq,
                            .queued = clock_mono(),
                            .job = *job};
    buf_init(job, job->max);
    buf_init(&j->out, html_limits_default.output);
    struct clean_job **at = &k->cleaning;
    while (*at != NULL)
        at = &(*at)->next;
    *at = j;
    k->clean_count++;
    keeper_jobs_give(k);
    return j;
}

void keeper_clean_forget(struct clean_job *j)
{
    j->done = NULL;
}

bool keeper_clean_give(struct keeper *k, uint32_t helper, int64_t now)
{
    struct child_peer *p = child_peer(k->c, IPC_ROLE_HELPER, helper);
    struct clean_job *j = k->cleaning;
    while (j != NULL && j->done == NULL) { /* nobody wants it any more */
        k->cleaning = j->next;
        finish(j, ERR_TIMEOUT);
        j = k->cleaning;
    }
    if (j == NULL || p == NULL)
        return false;
    k->cleaning = j->next;
    j->next = NULL;
    k->helpers[helper].clean = j;
    k->helpers[helper].deadline = now + KEEPER_JOB_TIME;
    bus_put(&p->bus, IPC_CLEAN, 0, j->seq, buf_slice(&j->job));
    return true;
}

void keeper_clean_piece(struct keeper *k, uint32_t helper, const struct ipc_item *it)
{
    struct clean_job *j = k->helpers[helper].clean;
    if (j != NULL && j->seq == it->seq)
        buf_str(&j->out, it->body);
}

/* What a helper says is not taken on trust: it has seen hostile bytes. */
static enum err judge(const struct clean_job *j)
{
    struct html_job *job = malloc(sizeof *job);
    enum err e = job == NULL ? ERR_NOMEM : buf_err(&j->out);
    if (e == ERR_OK)
        e = html_job_read(buf_slice(&j->job), job);
    if (e == ERR_OK)
        e = html_verify(buf_slice(&j->out), job->parts, job->nparts, html_limits_default.depth);
    free(job);
    return e;
}

void keeper_clean_result(struct keeper *k, uint32_t helper, const struct ipc_item *it)
{
    struct clean_job *j = k->helpers[helper].clean;
    enum err e = it->id < ERR_COUNT ? (enum err)it->id : ERR_PACKET;
    k->helpers[helper].clean = NULL;
    if (e == ERR_OK)
        e = judge(j);
    if (e != ERR_OK)
        log_write(LOG_PROBLEMS, "KEEPER", 0, NULL, "HTML of %zu bytes is not shown: %s", j->job.n,
                  err_name(e));
    finish(j, e);
}

void keeper_clean_lost(struct keeper *k, uint32_t helper)
{
    struct clean_job *j = k->helpers[helper].clean;
    k->helpers[helper].clean = NULL;
    if (j == NULL)
        return;
    log_write(LOG_PROBLEMS, "KEEPER", 0, NULL, "HTML of %zu bytes is not shown: %s", j->job.n,
              k->helpers[helper].deadline == INT64_MAX ? "its helper was over its time"
                                                       : "its helper died over it");
    finish(j, ERR_TIMEOUT);
}

void keeper_clean_tick(struct keeper *k, int64_t now)
{
    struct clean_job *j;
    while ((j = k->cleaning) != NULL && now - j->queued > KEEPER_CLEAN_WAIT) {
        k->cleaning = j->next;
        finish(j, ERR_TIMEOUT);
    }
}
