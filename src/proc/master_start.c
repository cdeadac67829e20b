// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
/*
 * What the master makes before the first child: configuration, folders, listening sockets, the memory that children
 * share, the certificate. Everything that can go wrong says so in a sentence on standard error, through the log.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "auth/faillog.h"
#include "base/clock.h"
#include "base/log.h"
#include "codec/optag.h"
#include "net/listen.h"
#include "net/memfd.h"
#include "proc/banks.h"
#include "proc/certificate.h"
#include "proc/ctl.h"
#include "proc/gate.h"
#include "proc/logs.h"
#include "proc/master.h"
#include "proc/settings.h"
#include "shm/shm_master.h"

static enum err say(const char *what, const char *path)
{
    log_write(LOG_FAILURES, "MASTER", 0, NULL, "%s %s: %s", what, path, strerror(errno));
    return ERR_SYS;
}

/* --- configuration */

enum err master_conf_memfd(const struct conf *c, int *fd)
{
    struct buf b;
    buf_init(&b, 2 * CONF_FILE_MAX);
    enum err e = conf_effective(c, &b);
    *fd = e == ERR_OK ? memfd_make("ximssd-conf", buf_slice(&b)) : -1;
    buf_free(&b);
    return e == ERR_OK && *fd < 0 ? ERR_SYS : e;
}

static enum err read_conf(struct master *m)
{
    struct conf_problems problems;
    enum err e = conf_load(m->conf_path, &m->conf_arena, &m->conf, &problems);
    if (e != ERR_OK) {
        conf_problems_print(stderr, &problems);
        return e;
    }
    if (m->conf->server.time_zone.n != 0) {
        setenv("TZ", m->conf->server.time_zone.p, 1);
        tzset();
    }
    e = master_conf_memfd(m->conf, &m->conf_fd);
    return e == ERR_OK ? logs_new(&m->logs, m->conf) : e;
}

static void log_warnings(const struct master *m)
{
    const char *list[8];
    size_t n = conf_warnings(m->conf, geteuid() == 0, list, 4);
    n += priv_warnings(list + n, ARRAY_LEN(list) - n);
    for (size_t i = 0; i < n && i < ARRAY_LEN(list); i++)
        log_write(LOG_FAILURES, "MASTER", 0, NULL, "warning: %s", list[i]);
}

static enum err find_users(struct master *m)
{
    char problem[PRIV_PROBLEM];
    enum err e = priv_users_find(m->conf, &m->users, problem);
    if (e != ERR_OK)
        log_write(LOG_FAILURES, "MASTER", 0, NULL, "%s", problem);
    return e;
}

/* --- folders */

/* One server per run_dir: the lock lives as long as the process. */
static enum err lock_run_dir(struct master *m, int *dir)
{
    *dir = open(m->conf->server.run_dir.p, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (*dir < 0)
        return say("cannot open run_dir", m->conf->server.run_dir.p);
    if (flock(*dir, LOCK_EX | LOCK_NB) != 0) {
        log_write(LOG_FAILURES, "MASTER", 0, NULL, "another server runs in %s",
                  m->conf->server.run_dir.p);
        return ERR_EXISTS;
    }
    return ERR_OK;
}

/* --- memory that children share */

static enum err make_shared(const char *name, size_t bytes, int *fd, void **mem)
{
    *fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (*fd < 0 || ftruncate(*fd, (off_t)bytes) != 0 ||
        fcntl(*fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW) != 0)
        return say("cannot make shared memory", name);
    if (mem == NULL)
        return ERR_OK;
    *mem = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, *fd, 0);
    return *mem != MAP_FAILED ? ERR_OK : say("cannot map shared memory", name);
}

static enum err make_memory(struct master *m)
{
    struct faillog_options fo = settings_faillog(m->conf);
    void *mem;
    uint32_t places = m->channels_room + m->conf->http.connections + m->conf->http.sessions;
    m->gate_bytes = gate_size(places);
    enum err e = make_shared("ximssd-gate", m->gate_bytes, &m->gate_fd, &mem);
    if (e != ERR_OK)
        return e;
    gate_init(mem, places);
    munmap(mem, m->gate_bytes); /* the master reads nothing of it */
    m->faillog_bytes = faillog_size(&fo);
    arc4random_buf(m->ticket_keys, sizeof m->ticket_keys);
    return make_shared("ximssd-faillog", m->faillog_bytes, &m->faillog_fd, NULL);
}

/* --- the shared table */

enum err master_table(struct master *m, const struct shm_saved *saved)
{
    struct shm_op_name ops[OP_COUNT];
    uint32_t n = 0;
    for (int id = 1; id < OP_COUNT; id++)
        ops[n++] = (struct shm_op_name){(uint16_t)id, optag_name((enum op_id)id),
                                        optag_monitor((enum op_id)id)};
    struct shm_setup s = {.version = XIMSSD_VERSION,
                          .wall = clock_wall(),
                          .mono = clock_mono(),
                          .pid = getpid(),
                          .group = (gid_t)-1,
                          .channels = m->conf->server.channels,
                          .workers = m->workers,
                          .keepers = m->keepers,
                          .max_segments = 2 * (2 * m->workers + m->keepers + 1),
                          .ops = ops,
                          .nops = n,
                          .saved = saved};
    int rc = shm_master_new(&m->shm, m->run_dir_fd, &s);
    if (rc == 0)
        return ERR_OK;
    errno = rc;
    return say("cannot make the shared table in", m->conf->server.run_dir.p);
}

/* --- listeners */

enum err master_listener_bind(struct master *m, const struct conf *c, struct master_listener *l)
{
    uint32_t count = l->conf->at.kind == CONF_UNIX ? 1 : m->workers;
    l->fds = calloc(count, sizeof *l->fds);
    if (l->fds == NULL)
        return ERR_NOMEM;
    l->fds[0] = inherit_match(&m->inherit, l->conf);
    if (l->fds[0] >= 0) {
        l->inherited = true;
        l->count = 1;
        return ERR_OK;
    }
    for (; l->count < count; l->count++) {
        enum err e = settings_bind(c, l->conf, l->conf->at.kind == CONF_TCP, &l->fds[l->count]);
        if (e != ERR_OK)
            return e;
    }
    return ERR_OK;
}

void master_listener_close(struct master_listener *l)
{
    for (uint32_t k = 0; k < l->count; k++)
        close(l->fds[k]);
    if (l->count != 0 && l->conf->at.kind == CONF_UNIX && !l->inherited)
        unlink(l->conf->at.path.p);
    free(l->fds);
    l->fds = NULL;
    l->count = 0;
}

struct master_listener *master_listener_at(const struct master *m, const struct conf_address *at)
{
    for (uint32_t i = 0; i < m->nlisteners; i++) {
        if (m->listeners[i].count != 0 && settings_same_address(&m->listeners[i].conf->at, at))
            return &m->listeners[i];
    }
    return NULL;
}

static enum err bind_listeners(struct master *m)
{
    m->nlisteners = (uint32_t)m->conf->nlisteners;
    m->listeners = calloc(m->nlisteners + 1, sizeof *m->listeners);
    if (m->listeners == NULL)
        return ERR_NOMEM;
    enum err e = inherit_check(&m->inherit);
    for (uint32_t i = 0; i < m->nlisteners && e == ERR_OK; i++) {
        m->listeners[i].conf = &m->conf->listeners[i];
        if (settings_listener_on(m->conf, m->listeners[i].conf))
            e = master_listener_bind(m, m->conf, &m->listeners[i]);
    }
    return e == ERR_OK ? inherit_finish(&m->inherit) : e;
}

/* Connections that one worker may have to hold. */
static uint32_t most_connections(const struct conf *c)
{
    bool http = false;
    for (size_t i = 0; i < c->nlisteners; i++)
        http = http || c->listeners[i].protocol == CONF_HTTP;
    return c->server.channels + (http ? c->http.connections : 0);
}

/*
 * Each worker may hold every connection; each needs a descriptor, and so do its sockets to the others. Messages over 32 KiB
 * travel as descriptors and wait as such when a keeper is slow, so as many as are to be had without asking are taken.
 */
#define FILES_WISH 65536u
static enum err raise_file_limit(struct master *m)
{
    struct rlimit r;
    rlim_t need = most_connections(m->conf) + 1024u;
    rlim_t wish = need > FILES_WISH ? need : FILES_WISH;
    if (getrlimit(RLIMIT_NOFILE, &r) != 0)
        return ERR_SYS;
    if (r.rlim_cur >= wish)
        return ERR_OK;
    r.rlim_cur = r.rlim_max >= wish ? wish : r.rlim_max > need ? r.rlim_max : need;
    if (r.rlim_max < need)
        r.rlim_max = need;
    if (setrlimit(RLIMIT_NOFILE, &r) == 0)
        return ERR_OK;
    log_write(LOG_FAILURES, "MASTER", 0, NULL,
              "%u connections (channels, and those of [http]) need %llu open files, but the limit "
              "is %llu: lower channels "
              "or raise the limit",
              most_connections(m->conf), (unsigned long long)need, (unsigned long long)r.rlim_max);
    return ERR_RANGE;
}

/* How far `channels` can be raised without a restart: as far as there are descriptors, within reason. */
static void find_room(struct master *m)
{
    struct rlimit r;
    uint32_t room = RELOAD_ROOM;
    if (getrlimit(RLIMIT_NOFILE, &r) != 0 || r.rlim_cur < room + 1024u)
        room = 0;
    m->channels_room = m->conf->server.channels > room ? m->conf->server.channels : room;
}

static enum err count_processes(struct master *m)
{
    uint32_t cores = (uint32_t)sysconf(_SC_NPROCESSORS_ONLN);
    enum err e = banks_count(m->conf->server.state_dir.p, cores, &m->banks);
    m->workers = conf_auto(m->conf->server.workers, cores, 64);
    m->keepers = settings_keepers(m->conf, m->banks);
    m->hashers = conf_auto(m->conf->server.hashers, cores, 64);
    m->helpers = conf_auto(m->conf->server.helpers, m->keepers * 2, 64);
    if (m->helpers < m->keepers)
        m->helpers = m->keepers;
    return e;
}

enum err master_prepare(struct master *m)
{
    m->started = clock_mono();
    enum err e = read_conf(m);
    if (e == ERR_OK)
        log_warnings(m);
    if (e == ERR_OK)
        e = find_users(m);
    if (e == ERR_OK)
        e = priv_make_dirs(m->conf, &m->users);
    if (e == ERR_OK)
        e = lock_run_dir(m, &m->run_dir_fd);
    if (e == ERR_OK)
        e = pidfile_open(&m->pidfile, m->conf->server.pidfile);
    if (e == ERR_OK)
        e = count_processes(m);
    if (e == ERR_OK)
        e = raise_file_limit(m);
    if (e == ERR_OK)
        find_room(m);
    if (e == ERR_OK)
        e = bind_listeners(m);
    if (e == ERR_OK)
        e = make_memory(m);
    if (e == ERR_OK)
        e = certificate_load(m->conf, &m->tls_fd, &m->cert_bytes);
    if (e == ERR_OK)
        m->cert_stamp = certificate_stamp(m->conf);
    if (e == ERR_OK)
        e = master_table(m, NULL);
    if (e == ERR_OK)
        e = ctl_new(&m->ctl, m, m->conf->server.run_dir.p);
    if (e == ERR_OK)
        e = priv_limit_master();
    return e;
}

static void close_fd(int fd)
{
    if (fd >= 0)
        close(fd);
}

void master_unprepare(struct master *m)
{
    if (m->ctl != NULL)
        ctl_free(&m->ctl);
    if (m->shm != NULL)
        shm_master_free(&m->shm, true);
    for (uint32_t i = 0; m->listeners != NULL && i < m->nlisteners; i++)
        master_listener_close(&m->listeners[i]);
    free(m->listeners);
    free(m->children);
    inherit_close(&m->inherit);
    close_fd(m->conf_fd);
    close_fd(m->gate_fd);
    close_fd(m->faillog_fd);
    close_fd(m->tls_fd);
    close_fd(m->zones_fd);
    close_fd(m->signal_fd);
    logs_free(&m->logs);
    close_fd(m->run_dir_fd);
    explicit_bzero(m->ticket_keys, sizeof m->ticket_keys);
    reload_free(&m->reload);
    arena_free(&m->conf_arena);
}
