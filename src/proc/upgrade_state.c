// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
/*
 * What a master knows, as bytes, for the program that takes its place. Both ends are in this file; the order of the fields is
 * the format, and STATE_VERSION (upgrade.c) changes with it.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "net/memfd.h"
#include "proc/logs.h"
#include "proc/master.h"
#include "proc/upgrade.h"
#include "shm/shm_master.h"

#define STATE_MAX ((size_t)4 << 20)

/* --- descriptors that stay open over exec() */

static void keep_open(int fd, bool on)
{
    if (fd >= 0)
        (void)fcntl(fd, F_SETFD, on ? 0 : FD_CLOEXEC);
}

static void keep_all(struct master *m, const struct shm_saved *table, bool on)
{
    const int fds[] = {m->conf_fd,       m->gate_fd,    m->faillog_fd, m->tls_fd,
                       logs_fd(m->logs), m->run_dir_fd, m->pidfile.fd};
    for (size_t i = 0; i < ARRAY_LEN(fds); i++)
        keep_open(fds[i], on);
    for (uint32_t i = 0; i < m->nlisteners; i++) {
        for (uint32_t k = 0; k < m->listeners[i].count; k++)
            keep_open(m->listeners[i].fds[k], on);
    }
    for (uint32_t i = 0; i < m->nchildren; i++) {
        if (m->children[i].pid != 0)
            keep_open(m->children[i].bus.fd, on);
    }
    for (uint32_t i = 0; table != NULL && i < table->nsegments; i++)
        keep_open(table->segment[i].fd, on);
}

/* --- out */

static void put_fd(struct buf *b, int fd)
{
    ipc_put_u32(b, (uint32_t)fd);
}

static void put_bytes(struct buf *b, const void *p, size_t n)
{
    ipc_put_str(b, (struct str){p, n});
}

static void put_time(struct buf *b, int64_t t)
{
    ipc_put_u64(b, (uint64_t)t);
}

static void put_listeners(struct buf *b, const struct master *m)
{
    ipc_put_u32(b, m->nlisteners);
    for (uint32_t i = 0; i < m->nlisteners; i++) {
        ipc_put_u32(b, m->listeners[i].inherited);
        ipc_put_u32(b, m->listeners[i].count);
        for (uint32_t k = 0; k < m->listeners[i].count; k++)
            put_fd(b, m->listeners[i].fds[k]);
    }
}

static void put_child(struct buf *b, const struct master_child *c)
{
    ipc_put_u32(b, c->role);
    ipc_put_u32(b, c->number);
    ipc_put_u32(b, c->generation);
    ipc_put_u32(b, (uint32_t)c->pid);
    ipc_put_u32(b, c->shm_slot);
    ipc_put_u32(b, c->has_shm);
    put_fd(b, c->pid != 0 ? c->bus.fd : -1);
    put_time(b, c->started);
}

static enum err put_all(struct buf *b, struct master *m, const struct shm_saved *table)
{
    const uint32_t numbers[] = {m->workers,       m->keepers,        m->helpers,
                                m->hashers,       m->banks,          m->channels_room,
                                m->reload.number, m->upgrade.bank,   m->users.io.uid,
                                m->users.io.gid,  m->users.data.uid, m->users.data.gid};
    ipc_put_opt(b, m->conf_path != NULL ? str_of(m->conf_path) : STR_NONE);
    ipc_put_str(b, str_of(m->upgrade.program));
    put_bytes(b, numbers, sizeof numbers);
    put_bytes(b, &m->old_mask, sizeof m->old_mask);
    put_time(b, m->started);
    put_fd(b, m->conf_fd);
    put_fd(b, m->gate_fd);
    ipc_put_u64(b, m->gate_bytes);
    put_fd(b, m->faillog_fd);
    ipc_put_u64(b, m->faillog_bytes);
    put_fd(b, m->tls_fd);
    ipc_put_u64(b, m->cert_bytes);
    put_bytes(b, m->ticket_keys, sizeof m->ticket_keys);
    put_bytes(b, &m->cert_stamp, sizeof m->cert_stamp);
    put_fd(b, m->run_dir_fd);
    put_fd(b, m->pidfile.fd);
    enum err e = logs_save(m->logs, b);
    put_listeners(b, m);
    ipc_put_u32(b, m->nchildren);
    for (uint32_t i = 0; i < m->nchildren; i++)
        put_child(b, &m->children[i]);
    put_bytes(b, table, table->size);
    return e == ERR_OK ? buf_err(b) : e;
}

int upgrade_save(struct master *m)
{
    struct shm_saved *table = shm_master_save(m->shm);
    struct buf b;
    int fd = -1;
    buf_init(&b, STATE_MAX);
    (void)buf_room(&b, STATE_MAX / 16); /* growing would leave copies of the ticket keys behind */
    if (table != NULL && put_all(&b, m, table) == ERR_OK)
        fd = memfd_make("ximssd-state", buf_slice(&b));
    if (fd >= 0) {
        keep_open(fd, true);
        keep_all(m, table, true);
    }
    explicit_bzero(b.p, b.n);
    buf_free(&b);
    free(table);
    return fd;
}

void upgrade_unsave(struct master *m)
{
    struct shm_saved *table = shm_master_save(m->shm);
    keep_all(m, table, false);
    free(table);
}

/* --- in */

static int get_fd(struct ipc_in *in)
{
    int fd = (int)ipc_get_u32(in);
    keep_open(fd, false);
    return fd;
}

static void get_bytes(struct ipc_in *in, void *to, size_t n)
{
    struct str s = ipc_get_str(in);
    in->bad = in->bad || s.n != n;
    if (!in->bad)
        memcpy(to, s.p, n);
}

static void get_listeners(struct master *m, struct ipc_in *in)
{
    uint32_t n = ipc_get_u32(in);
    in->bad = in->bad || n != m->conf->nlisteners;
    m->listeners = in->bad ? NULL : calloc(n + 1, sizeof *m->listeners);
    if (m->listeners == NULL) {
        in->bad = true;
        return;
    }
    for (; m->nlisteners < n; m->nlisteners++) {
        struct master_listener *l = &m->listeners[m->nlisteners];
        l->inherited = ipc_get_u32(in) != 0;
        uint32_t count = ipc_get_u32(in);
        l->conf = &m->conf->listeners[m->nlisteners];
        if (count == 0)
            continue;
        l->fds = count <= m->workers ? calloc(count, sizeof *l->fds) : NULL;
        in->bad = in->bad || l->fds == NULL;
        for (; l->fds != NULL && l->count < count; l->count++)
            l->fds[l->count] = get_fd(in);
    }
}

static void get_child(struct master *m, struct ipc_in *in)
{
    enum ipc_role role = (enum ipc_role)ipc_get_u32(in);
    struct master_child *c = master_child_find(m, role, ipc_get_u32(in));
    uint32_t generation = ipc_get_u32(in);
    pid_t pid = (pid_t)ipc_get_u32(in);
    uint32_t slot = ipc_get_u32(in);
    bool has_shm = ipc_get_u32(in) != 0;
    int fd = get_fd(in);
    int64_t started = (int64_t)ipc_get_u64(in);
    in->bad = in->bad || c == NULL || (pid != 0 && fd < 0);
    if (in->bad)
        return;
    c->generation = generation;
    if (pid == 0)
        return;
    c->pid = pid;
    c->shm_slot = slot;
    c->has_shm = has_shm;
    c->started = started;
    c->beat = clock_mono();
    c->ready = true; /* nothing else is handed over */
    c->old = true;
    master_child_adopt(c, fd);
}

static enum err get_conf(struct master *m)
{
    struct conf_problems problems;
    struct str text = memfd_map(m->conf_fd, CONF_FILE_MAX);
    if (text.p == NULL)
        return ERR_SYS;
    enum err e = conf_load_text(STR("(running)"), text, &m->conf_arena, &m->conf, &problems);
    memfd_unmap(text);
    return e;
}

static void get_numbers(struct master *m, struct ipc_in *in)
{
    uint32_t n[12] = {0};
    get_bytes(in, n, sizeof n);
    m->workers = n[0];
    m->keepers = n[1];
    m->helpers = n[2];
    m->hashers = n[3];
    m->banks = n[4];
    m->channels_room = n[5];
    m->reload.number = n[6];
    m->upgrade.bank = n[7];
    m->users = (struct priv_users){.io = {n[8], n[9]}, .data = {n[10], n[11]}};
}

static void get_head(struct master *m, struct ipc_in *in)
{
    struct str path = ipc_get_opt(in);
    if (path.p != NULL && path.n < sizeof m->path_text) {
        memcpy(m->path_text, path.p, path.n);
        m->conf_path = m->path_text;
    }
    struct str program = ipc_get_str(in);
    if (program.n < sizeof m->upgrade.program && program.p != NULL) {
        memcpy(m->upgrade.program, program.p, program.n);
        m->upgrade.program[program.n] = 0;
    }
    get_numbers(m, in);
    get_bytes(in, &m->old_mask, sizeof m->old_mask);
    m->started = (int64_t)ipc_get_u64(in);
    m->conf_fd = get_fd(in);
    m->gate_fd = get_fd(in);
    m->gate_bytes = (size_t)ipc_get_u64(in);
    m->faillog_fd = get_fd(in);
    m->faillog_bytes = (size_t)ipc_get_u64(in);
    m->tls_fd = get_fd(in);
    m->cert_bytes = ipc_get_u64(in);
    get_bytes(in, m->ticket_keys, sizeof m->ticket_keys);
    get_bytes(in, &m->cert_stamp, sizeof m->cert_stamp);
    m->run_dir_fd = get_fd(in);
    m->pidfile.fd = get_fd(in);
}

static enum err get_table(struct master *m, struct ipc_in *in)
{
    struct str s = ipc_get_str(in);
    struct shm_saved *table = s.n >= sizeof *table ? malloc(s.n) : NULL;
    if (table == NULL)
        return ERR_NOMEM;
    memcpy(table, s.p, s.n);
    for (uint32_t i = 0; i < table->nsegments; i++)
        keep_open(table->segment[i].fd, false);
    enum err e = table->size == s.n ? master_table(m, table) : ERR_PACKET;
    free(table);
    return e;
}

enum err upgrade_load(struct master *m, struct str state)
{
    struct ipc_in in = {state, false};
    get_head(m, &in);
    enum err e = in.bad ? ERR_PACKET : get_conf(m);
    if (e != ERR_OK)
        return e;
    e = logs_resume(&m->logs, m->conf, &in);
    if (e != ERR_OK)
        return e;
    pidfile_adopt(&m->pidfile, m->conf->server.pidfile, m->pidfile.fd);
    get_listeners(m, &in);
    e = in.bad ? ERR_PACKET : master_children(m);
    if (e != ERR_OK)
        return e;
    uint32_t n = ipc_get_u32(&in);
    for (uint32_t i = 0; i < n && !in.bad; i++)
        get_child(m, &in);
    e = in.bad ? ERR_PACKET : get_table(m, &in);
    return e == ERR_OK ? ipc_in_end(&in) : e;
}
