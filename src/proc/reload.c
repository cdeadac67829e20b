// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#include "proc/reload.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "codec/ctlmsg.h"
#include "net/memfd.h"
#include "proc/ctl.h"
#include "proc/master.h"
#include "proc/settings.h"

#define PATIENCE   (5 * CLOCK_SEC) /* for each of the two steps */
#define ARENA_MAX  ((size_t)32 << 20)
#define REPORT_MAX ((size_t)48 << 10)

void reload_init(struct reload *r)
{
    *r = (struct reload){.fd = -1, .tls_fd = -1};
    arena_init(&r->arena, ARENA_MAX);
}

static void close_fd(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

/* Sockets that were bound for it, and all else. */
static void drop(struct reload *r)
{
    for (uint32_t i = 0; i < r->nlisteners; i++)
        master_listener_close(&r->listeners[i]);
    free(r->listeners);
    r->listeners = NULL;
    r->nlisteners = 0;
    r->conf = NULL;
    close_fd(&r->fd);
    close_fd(&r->tls_fd);
    arena_free(&r->arena);
}

void reload_free(struct reload *r)
{
    drop(r);
}

bool reload_running(const struct master *m)
{
    return m->reload.state != RELOAD_IDLE;
}

/* --- the end of one */

static void end(struct master *m, enum err e, struct str report)
{
    struct reload *r = &m->reload;
    for (uint32_t i = 0; i < r->now.n; i++) {
        ctl_say(m->ctl, r->now.seq[i], report);
        ctl_done(m->ctl, r->now.seq[i], e);
    }
    drop(r);
    notify_reloaded(&m->notify);
    r->state = RELOAD_IDLE;
    r->now = r->next;
    r->next.n = 0;
}

/* `why`: a sentence, or several lines. */
static void fail(struct master *m, enum err e, struct str why)
{
    struct buf b;
    struct str line, rest = why;
    while (str_split(&rest, '\n', &line)) {
        if (line.n != 0)
            log_write(LOG_FAILURES, "MASTER", 0, NULL, "reload: %.*s", STR_FMT(line));
    }
    log_write(LOG_FAILURES, "MASTER", 0, NULL, "reload: nothing was changed");
    for (uint32_t i = 0; i < m->nchildren; i++) {
        struct master_child *c = &m->children[i];
        if (m->reload.state == RELOAD_PREPARING && c->pid != 0)
            bus_put(&c->bus, IPC_APPLY, 0, 0, STR_NONE);
        c->preparing = false;
    }
    buf_init(&b, REPORT_MAX);
    buf_lit(&b, "{\"error\":");
    ctl_json_str(&b, why);
    buf_lit(&b, "}");
    end(m, e, buf_slice(&b));
    buf_free(&b);
}

/* --- the report */

struct report {
    struct buf *b;
    bool restart; /* the ones that wait for the next start, or the others */
    uint32_t n;
};

static void report_change(void *arg, const struct conf_change *c)
{
    struct report *r = arg;
    char text[CONF_NAME_MAX + 128];
    if ((c->when == CONF_RESTART) != r->restart)
        return;
    conf_change_text(c, text, sizeof text);
    if (r->n++ != 0)
        buf_char(r->b, ',');
    ctl_json_str(r->b, str_of(text));
    log_write(LOG_MAJOR, "MASTER", 0, NULL,
              r->restart ? "reload: %s waits for a restart" : "reload: %s", text);
}

/* What the file says now, against what holds. */
static void make_report(struct master *m, const struct conf *old, struct buf *b)
{
    struct reload *r = &m->reload;
    struct conf_problems problems;
    struct conf *plain = NULL;
    struct report changed = {.b = b}, restart = {.b = b, .restart = true};
    if (conf_load_text(r->label, r->text, &r->arena, &plain, &problems) != ERR_OK)
        plain = r->conf; /* no memory for it: what waits for a restart is not listed */
    buf_lit(b, "{\"changed\":[");
    conf_changes(old, plain, report_change, &changed);
    buf_lit(b, "],\"restart\":[");
    conf_changes(old, plain, report_change, &restart);
    buf_lit(b, "]");
    if (plain->server.channels > m->channels_room) {
        char why[160];
        snprintf(why, sizeof why, "channels: %u until the next start, which will make room for %u",
                 m->channels_room, plain->server.channels);
        log_write(LOG_FAILURES, "MASTER", 0, NULL, "reload: %s", why);
        buf_lit(b, ",\"notes\":[");
        ctl_json_str(b, str_of(why));
        buf_lit(b, "]");
    }
    buf_lit(b, "}");
}

/* --- apply */

/* The new listeners take over the sockets of the old ones at the same addresses; what is left of the old is closed. */
static void take_listeners(struct master *m)
{
    struct reload *r = &m->reload;
    for (uint32_t i = 0; i < r->nlisteners; i++) {
        struct master_listener *l = &r->listeners[i];
        struct master_listener *was =
            settings_listener_on(r->conf, l->conf) ? master_listener_at(m, &l->conf->at) : NULL;
        l->fresh = was == NULL;
        if (was == NULL)
            continue;
        l->fds = was->fds;
        l->count = was->count;
        l->inherited = was->inherited;
        was->fds = NULL;
        was->count = 0;
    }
    for (uint32_t i = 0; i < m->nlisteners; i++)
        master_listener_close(&m->listeners[i]);
    free(m->listeners);
    m->listeners = r->listeners;
    m->nlisteners = r->nlisteners;
    r->listeners = NULL;
    r->nlisteners = 0;
}

static void take_certificate(struct master *m)
{
    struct reload *r = &m->reload;
    if (r->tls_fd < 0)
        return;
    close_fd(&m->tls_fd);
    m->tls_fd = r->tls_fd;
    r->tls_fd = -1;
    m->cert_bytes = r->cert_bytes;
    m->cert_stamp = certificate_stamp(m->conf);
    master_give_certificate(m);
}

static void apply(struct master *m)
{
    struct reload *r = &m->reload;
    struct buf b;
    struct arena was = m->conf_arena;
    buf_init(&b, REPORT_MAX);
    make_report(m, m->conf, &b);
    for (uint32_t i = 0; i < m->nchildren; i++) {
        if (m->children[i].pid != 0 && m->children[i].role != IPC_ROLE_CHECK)
            bus_put(&m->children[i].bus, IPC_APPLY, r->number, 0, STR_NONE);
    }
    take_listeners(m);
    m->conf = r->conf;
    m->conf_arena = r->arena;
    arena_init(&r->arena, ARENA_MAX);
    arena_free(&was);
    close_fd(&m->conf_fd);
    m->conf_fd = r->fd;
    r->fd = -1;
    r->conf = NULL;
    log_set_level((enum log_level)m->conf->server.log_level);
    master_give_listeners(m);
    take_certificate(m);
    log_write(LOG_MAJOR, "MASTER", 0, NULL, "reloaded");
    end(m, ERR_OK, buf_err(&b) == ERR_OK ? buf_slice(&b) : STR("{\"changed\":[],\"restart\":[]}"));
    buf_free(&b);
}

/* --- prepare */

static uint32_t unprepared(const struct master *m)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < m->nchildren; i++)
        n += m->children[i].preparing;
    return n;
}

static enum err make_listeners(struct master *m)
{
    struct reload *r = &m->reload;
    r->listeners = calloc(r->conf->nlisteners + 1, sizeof *r->listeners);
    if (r->listeners == NULL)
        return ERR_NOMEM;
    for (uint32_t i = 0; i < r->conf->nlisteners; i++) {
        struct master_listener *l = &r->listeners[r->nlisteners++];
        l->conf = &r->conf->listeners[i];
        if (!settings_listener_on(r->conf, l->conf) || master_listener_at(m, &l->conf->at) != NULL)
            continue;
        enum err e = master_listener_bind(m, r->conf, l);
        if (e != ERR_OK)
            return e;
    }
    return ERR_OK;
}

static void prepare_children(struct master *m)
{
    struct reload *r = &m->reload;
    struct buf b;
    buf_init(&b, IPC_INLINE_MAX);
    ipc_put_str(&b, r->label);
    for (uint32_t i = 0; i < m->nchildren; i++) {
        struct master_child *c = &m->children[i];
        if (c->pid == 0 || c->role == IPC_ROLE_CHECK)
            continue;
        c->preparing = true;
        bus_send(&c->bus,
                 &(struct ipc_item){
                     .type = IPC_PREPARE, .id = r->number, .fd = r->fd, .body = buf_slice(&b)});
    }
    buf_free(&b);
}

static void prepare(struct master *m)
{
    struct reload *r = &m->reload;
    struct conf_problems problems;
    enum err e = conf_load_again(r->label, r->text, m->conf, &r->arena, &r->conf, &problems);
    r->state = RELOAD_PREPARING;
    r->deadline = clock_mono() + PATIENCE;
    if (e == ERR_SYNTAX) {
        fail(m, e, problems.list[0].text);
        return;
    }
    close_fd(&r->fd);
    if (e == ERR_OK && (e = master_conf_memfd(r->conf, &r->fd)) != ERR_OK) {
        fail(m, e, STR("the configuration is too large"));
        return;
    }
    if (e != ERR_OK || (e = make_listeners(m)) != ERR_OK) {
        fail(m, e, STR("a listener cannot be opened; the log says why"));
        return;
    }
    e = certificate_load(r->conf, &r->tls_fd, &r->cert_bytes);
    if (e != ERR_OK) {
        fail(m, e, STR("the certificate cannot be used; the log says why"));
        return;
    }
    prepare_children(m);
    if (unprepared(m) == 0)
        apply(m);
}

/* --- check */

static struct master_child *checker(struct master *m)
{
    return master_child_find(m, IPC_ROLE_CHECK, 0);
}

static void start(struct master *m)
{
    struct reload *r = &m->reload;
    struct conf_problems problems;
    struct buf b;
    r->again = false;
    r->number = r->number == UINT32_MAX ? 1 : r->number + 1;
    r->state = RELOAD_CHECKING;
    r->deadline = clock_mono() + PATIENCE;
    notify_reloading(&m->notify);
    arena_init(&r->arena, ARENA_MAX);
    enum err e = conf_read(m->conf_path, &r->arena, &r->label, &r->text, &problems);
    if (e != ERR_OK) {
        fail(m, e, problems.count != 0 ? problems.list[0].text : STR("no memory"));
        return;
    }
    r->fd = memfd_make("ximssd-conf", r->text);
    struct master_child *c = checker(m);
    if (r->fd < 0 || master_child_start(c) != ERR_OK) {
        fail(m, ERR_SYS, STR("the file could not be checked; the log says why"));
        return;
    }
    buf_init(&b, IPC_INLINE_MAX);
    ipc_put_str(&b, r->label);
    bus_send(&c->bus, &(struct ipc_item){.type = IPC_CHECK, .fd = r->fd, .body = buf_slice(&b)});
    buf_free(&b);
}

/* The process that checked the one before may not have ended yet. */
static void start_if_due(struct master *m)
{
    if (m->reload.again && !reload_running(m) && !m->stopping && checker(m)->pid == 0)
        start(m);
}

void reload_begin(struct master *m, uint32_t seq)
{
    struct reload *r = &m->reload;
    struct reload_waiters *w = reload_running(m) ? &r->next : &r->now;
    if (seq != 0 && w->n < RELOAD_WAITERS)
        w->seq[w->n++] = seq;
    r->again = true;
    start_if_due(m);
}

/* --- what children say, and when they say nothing */

static void checked(struct master *m, struct master_child *c, const struct ipc_item *it)
{
    if (m->reload.state != RELOAD_CHECKING || c->role != IPC_ROLE_CHECK)
        return;
    if (it->id == ERR_OK)
        prepare(m);
    else
        fail(m, it->id < ERR_COUNT ? (enum err)it->id : ERR_INTERNAL,
             it->body.n != 0 ? it->body : STR("the file cannot be used"));
}

static void prepared(struct master *m, struct master_child *c, const struct ipc_item *it)
{
    char why[64];
    struct reload *r = &m->reload;
    if (r->state != RELOAD_PREPARING || it->id != r->number || !c->preparing)
        return;
    c->preparing = false;
    if (it->seq != ERR_OK) {
        snprintf(why, sizeof why, "%s %u refuses: %s", ipc_role_name(c->role), c->number + 1,
                 it->seq < ERR_COUNT ? err_name((enum err)it->seq) : "?");
        fail(m, ERR_INTERNAL, str_of(why));
    } else if (unprepared(m) == 0) {
        apply(m);
    }
}

void reload_item(struct master *m, struct master_child *c, const struct ipc_item *it)
{
    if (it->type == IPC_CHECKED)
        checked(m, c, it);
    else
        prepared(m, c, it);
}

void reload_child_gone(struct master *m, struct master_child *c)
{
    struct reload *r = &m->reload;
    if (c->role == IPC_ROLE_CHECK && r->state == RELOAD_CHECKING) {
        fail(m, ERR_INTERNAL, STR("the process that checks the file has died"));
        return;
    }
    bool was = c->preparing;
    c->preparing = false;
    /* Who dies now starts with what holds then. */
    if (was && r->state == RELOAD_PREPARING && unprepared(m) == 0)
        apply(m);
}

void reload_tick(struct master *m, int64_t now)
{
    struct reload *r = &m->reload;
    start_if_due(m);
    if (!reload_running(m) || now < r->deadline)
        return;
    if (r->state == RELOAD_CHECKING) {
        if (checker(m)->pid != 0)
            kill(checker(m)->pid, SIGKILL);
        fail(m, ERR_TIMEOUT, STR("the file could not be checked in time"));
        return;
    }
    char why[96] = "";
    for (uint32_t i = 0; i < m->nchildren && why[0] == 0; i++) {
        if (m->children[i].preparing)
            snprintf(why, sizeof why, "%s %u did not answer in time",
                     ipc_role_name(m->children[i].role), m->children[i].number + 1);
    }
    fail(m, ERR_TIMEOUT, str_of(why));
}
