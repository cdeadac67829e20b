// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#pragma once
/*
 * keeper_clean: asks a helper for the clean form of HTML (codec/html_clean.h), within its wall budget of two seconds, and looks at
 * the answer (html_verify()) before anybody sees it.
 *
 * For the page that FORMAT makes (ximss/format_html.h):
 *
 *     struct format *f;                       // kept by whoever answers the request
 *     e = format_open(s, folder, uid, &f);    // ERR_…: 404, nothing to free
 *     if (format_wants_clean(f)) {
 *         format_job(f, &job);
 *         c = keeper_clean(k, &job, cleaned, arg);   // NULL: go on at once, with the plain text
 *     }
 *     …  cleaned(arg, e, html): format_cleaned(f, e, html); then write
 *     while ((e = format_write(f, out, 65536)) == ERR_MORE) … send out, others have their turn …
 *     format_free(&f);                        // before `cleaned` came: keeper_clean_forget(c) first
 */
#include "base/buf.h"

struct keeper;
struct ipc_item;
struct clean_job;

#define KEEPER_CLEAN_MAX  64              /* jobs that wait or run */
#define KEEPER_CLEAN_WAIT (5 * CLOCK_SEC) /* for a free helper */

/*
 * ERR_OK: html is clean, and lives as long as the call. Else there is none: the helper was lost or too slow, none was free, or
 * what it said is not clean.
 */
typedef void keeper_clean_done(void *arg, enum err e, struct str html);

/*
 * job: of html_job_write(); taken over, whatever comes of it. `done` is called once, later. NULL: too many wait, or no memory; it
 * is not called.
 */
struct clean_job *keeper_clean(struct keeper *k, struct buf *job, keeper_clean_done *done,
                               void *arg);
/* `done` will not be called. Not behind it. */
void keeper_clean_forget(struct clean_job *j);

/* --- for keeper_mail.c, which knows which helpers are free */
/* Gives this one the next job. false: there is none. */
bool keeper_clean_give(struct keeper *k, uint32_t helper, int64_t now);
void keeper_clean_piece(struct keeper *k, uint32_t helper, const struct ipc_item *it);
void keeper_clean_result(struct keeper *k, uint32_t helper, const struct ipc_item *it);
void keeper_clean_lost(struct keeper *k, uint32_t helper);
void keeper_clean_tick(struct keeper *k, int64_t now);
