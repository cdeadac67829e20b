// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#include "proc/keeper.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "net/memfd.h"
#include "proc/keeper_clean.h"
#include "proc/settings.h"

#define TICK (100 * CLOCK_MS)

/* --- start */

static void take_limits(struct keeper *k)
{
    const struct conf *c = k->c->conf;
    struct ximss_limits *l = &k->x.limits;
    l->queue_requests = c->limits.requests;
    l->queue_bytes = c->limits.request_bytes;
    l->message = c->limits.message;
    l->request_memory = c->limits.request_memory;
    l->protocol_errors = c->limits.protocol_errors;
    l->folders = c->limits.open_folders;
    l->fields = c->limits.folder_fields;
    l->set_elements = c->limits.set_elements;
    l->view_messages = c->limits.view_messages;
    l->inline_text = (uint32_t)c->limits.inline_text;
    l->reply = c->http.reply;
    l->reply_kept = c->http.reply_kept;
    k->x.uploads.limits = (struct upload_limits){.file = c->http.upload_file,
                                                 .session = c->http.upload_session,
                                                 .files = c->http.upload_files,
                                                 .life = c->http.upload_life};
    k->x.uploads.spool.max = c->http.upload_space;
    k->x.source_as_message = c->http.source_as_message;
    k->x.legacy_mailbox = c->server.legacy_mailbox_attributes;
    k->x.version = c->server.version_text.p;
    struct frame_limits xml = settings_frame(c);
    xmsg_parser_limits(k->x.parser, &xml);
}

static void take_bank_limits(struct keeper *k, uint32_t bank)
{
    struct store_limits *l = store_limits(k->stores[bank]);
    l->mailboxes = k->c->conf->limits.mailboxes;
    l->view_messages = k->c->conf->limits.view_messages;
    l->prefs = k->c->conf->limits.preferences;
    l->pref_bytes = k->c->conf->limits.preference_bytes;
    l->prefs_bytes = k->c->conf->limits.preferences_bytes;
}

static struct str language_of(void *arg, struct str domain)
{
    const struct keeper *k = arg;
    const struct conf_domain *d = conf_domain_find(k->c->conf, domain);
    return d != NULL ? d->language : k->c->conf->domains[0].language;
}

/* Before the start. Without them every time is the server's; the master has said why. */
static void take_zones(struct keeper *k, const struct ipc_item *it)
{
    struct str table = memfd_map(it->fd, ZONES_TABLE_MAX);
    close(it->fd);
    if (table.p == NULL || zones_open(&k->zones, table) != ERR_OK)
        log_write(LOG_FAILURES, "KEEPER", 0, NULL, "the table of time zones cannot be used");
}

static enum err open_bank(struct keeper *k, uint32_t bank)
{
    char path[1200];
    enum err e = banks_path(path, sizeof path, ".", bank);
    if (e == ERR_OK)
        e = store_open(path, 0, &k->stores[bank]);
    if (e != ERR_OK)
        return e;
    take_bank_limits(k, bank);
    store_on_change(k->stores[bank], hub_on_change, &k->x.hub);
    return ERR_OK;
}

/* That of the keeper before, or a new one: later none can be opened any more. */
static void open_spool(struct keeper *k)
{
    struct spool *s = &k->x.uploads.spool;
    enum err e = ERR_PACKET;
    if (k->handed_spool >= 0 && (e = spool_adopt(s, k->handed_spool)) != ERR_OK) {
        log_write(LOG_FAILURES, "KEEPER", 0, NULL,
                  "the file with uploads of the keeper before cannot be used: %s", err_name(e));
        close(k->handed_spool);
    }
    if (e != ERR_OK && spool_open(s) != ERR_OK)
        log_write(LOG_FAILURES, "KEEPER", 0, NULL, "no file for uploads: %s", strerror(errno));
}

static enum err start(struct child *c)
{
    struct keeper *k = c->data;
    k->c = c;
    k->ready_tail = &k->ready;
    k->parsing_tail = &k->parsing;
    k->storing_tail = &k->storing;
    idmap_init(&k->sessions);
    k->keepers = c->keepers;
    enum err e = ximss_init(&k->x);
    if (e != ERR_OK)
        return e;
    k->x.zones = &k->zones;
    k->x.language = language_of;
    k->x.language_arg = k;
    open_spool(k);
    take_limits(k);
    keeper_http_init(k);
    for (uint32_t bank = 0; bank < c->banks && e == ERR_OK; bank++) {
        if (banks_keeper(bank, k->keepers) == c->number)
            e = open_bank(k, bank);
    }
    if (e == ERR_OK)
        loop_timer_set(c->loop, &k->tick, TICK);
    return e;
}

/* --- packets */

static void of_worker(struct keeper *k, struct bus_peer *from, const struct ipc_item *it)
{
    switch (it->type) {
    case IPC_MSG:
        keeper_message(k, from, it);
        break;
    case IPC_CREDIT:
        keeper_credit(k, from, it);
        break;
    case IPC_DETACH:
        keeper_detach(k, from, it);
        break;
    case IPC_DELIVER:
        keeper_deliver(k, from, it);
        break;
    case IPC_HTTP:
        keeper_http_take(k, from, it);
        break;
    case IPC_HTTP_CREDIT:
        keeper_http_credit(k, from, it);
        break;
    case IPC_UPLOAD_FILE:
    case IPC_UPLOAD_DATA:
    case IPC_UPLOAD_END:
        keeper_upload_item(k, from, it);
        break;
    case IPC_HTTP_DROP:
        keeper_http_drop(k, from, it);
        break;
    default:
        break;
    }
}

static void item(struct child *c, struct bus_peer *from, const struct ipc_item *it)
{
    struct keeper *k = c->data;
    switch (it->type) {
    case IPC_ZONES:
        take_zones(k, it);
        break;
    case IPC_ATTACH:
        keeper_attach(k, it);
        break;
    case IPC_SESSION_CHECK:
        keeper_session_check(k, from, it);
        break;
    case IPC_PASSWORD_ANSWER:
        keeper_password_answer(k, it);
        break;
    case IPC_ACCOUNT_GONE:
        keeper_account_gone(k, it);
        break;
    case IPC_SESSIONS:
        k->handed_fd = it->fd;
        break;
    case IPC_SPOOL:
        k->handed_spool = it->fd;
        break;
    case IPC_DIGEST_PIECE:
        keeper_digest_piece(k, from->number, it);
        break;
    case IPC_HELPER_LEAVES:
        keeper_helper_leaves(k, from->number);
        break;
    case IPC_CLEAN_PIECE:
        keeper_clean_piece(k, from->number, it);
        break;
    case IPC_CLEANED:
        keeper_cleaned(k, from->number, it);
        break;
    case IPC_DIGEST_DONE:
        keeper_digest_done(k, from->number, it);
        break;
    default:
        of_worker(k, from, it);
        break;
    }
}

static void peer_up(struct child *c, struct child_peer *p)
{
    if (p->bus.role == IPC_ROLE_HELPER)
        keeper_helper_up(c->data, p->bus.number);
}

static void peer_gone(struct child *c, struct child_peer *p)
{
    struct keeper *k = c->data;
    if (p->bus.role == IPC_ROLE_WORKER)
        keeper_worker_gone(k, p->bus.number);
    else if (p->bus.role == IPC_ROLE_HELPER)
        keeper_helper_gone(k, p->bus.number);
    else if (p->bus.role == IPC_ROLE_AUTH)
        keeper_questions_late(k, 0, true);
}

void keeper_upkeep(struct keeper *k, bool idle, int64_t now)
{
    shm_doing(&k->c->shm, SHM_STATE_CHECKPOINT, 0, OP_NONE, now);
    for (uint32_t bank = 0; bank < BANKS_MAX; bank++) {
        if (k->stores[bank] != NULL)
            db_upkeep(store_db(k->stores[bank]), idle);
    }
    shm_doing(&k->c->shm, SHM_STATE_NONE, 0, OP_NONE, now);
}

static void tick(struct timer *t)
{
    struct keeper *k = CONTAINER_OF(t, struct keeper, tick);
    int64_t now = clock_mono();
    keeper_jobs_tick(k, now);
    keeper_questions_late(k, now, false);
    uploads_tick(&k->x.uploads, now);
    if (now - k->wrote > KEEPER_IDLE)
        keeper_upkeep(k, true, now);
    loop_timer_set(k->c->loop, t, TICK);
}

static void round_end(struct child *c)
{
    struct keeper *k = c->data;
    if (k->handover != KEEPER_KEEPS)
        keeper_hand_round(k);
    else if (!k->stopped)
        keeper_round(k);
}

/* Nothing of it can fail: limits are numbers, and sessions look at them when they need them. */
static void apply(struct child *c, const struct conf *old)
{
    struct keeper *k = c->data;
    (void)old;
    take_limits(k);
    for (uint32_t bank = 0; bank < BANKS_MAX; bank++) {
        if (k->stores[bank] != NULL)
            take_bank_limits(k, bank);
    }
}

/* Sessions that are left get their closing slice, mail that is half stored is stored; then the banks are closed in order. */
void keeper_close(struct keeper *k)
{
    struct kept *s;
    uint32_t at = 0;
    while ((s = idmap_next(&k->sessions, &at)) != NULL) {
        s->attached = false;
        s->why = IPC_WHY_SHUTDOWN;
        session_end(s->s);
        keeper_make_ready(s);
    }
    for (uint32_t i = 0; i < 1000 && (k->sessions.count != 0 || k->storing != NULL); i++)
        keeper_round(k);
    k->stopped = true;
    for (uint32_t bank = 0; bank < BANKS_MAX; bank++)
        store_close(&k->stores[bank]);
}

static void stop(struct child *c, enum ipc_stop how, int64_t within)
{
    struct keeper *k = c->data;
    if (how == IPC_STOP_HAND) {
        keeper_hand_begin(k, within);
    } else if (k->handover != KEEPER_HAS_HANDED) {
        keeper_close(k);
        child_leave(c, 0);
    }
}

static const struct child_hooks hooks = {.load = db_prepare,
                                         .start = start,
                                         .begin = keeper_take_over,
                                         .item = item,
                                         .peer_up = peer_up,
                                         .peer_gone = peer_gone,
                                         .ctl = keeper_ctl,
                                         .stop = stop,
                                         .round = round_end,
                                         .apply = apply,
                                         .queue_max = KEEPER_QUEUE_MAX};

void keeper_setup(struct child *c)
{
    static struct keeper k;
    timer_init(&k.tick, tick);
    k.handed_fd = k.handed_spool = -1;
    c->hooks = &hooks;
    c->data = &k;
}
