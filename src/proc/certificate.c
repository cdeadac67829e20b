// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#include "proc/certificate.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/log.h"
#include "net/bus.h"
#include "net/memfd.h"
#include "net/tls.h"

/* own: in state_dir, whose owner must not lead the master anywhere. */
static enum err read_file(const char *path, bool own, struct buf *to)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | (own ? O_NOFOLLOW : 0));
    ssize_t n = fd >= 0 ? 1 : -1;
    while (n > 0) {
        char *room = buf_room(to, 4096);
        n = room != NULL ? read(fd, room, 4096) : -1;
        if (n > 0)
            buf_grow(to, (size_t)n);
    }
    if (fd >= 0)
        close(fd);
    if (n < 0)
        log_write(LOG_FAILURES, "MASTER", 0, NULL, "cannot read %s: %s", path, strerror(errno));
    return n < 0 ? ERR_SYS : ERR_OK;
}

static enum err write_file(const char *path, struct str bytes)
{
    (void)unlink(path); /* never into a file that is there: it may be another one's, by a link */
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    bool ok = fd >= 0 && write(fd, bytes.p, bytes.n) == (ssize_t)bytes.n && fsync(fd) == 0;
    if (!ok)
        log_write(LOG_FAILURES, "MASTER", 0, NULL, "cannot write %s: %s", path, strerror(errno));
    if (fd >= 0)
        close(fd);
    return ok ? ERR_OK : ERR_SYS;
}

/* Runs fn in a process of its own. */
static enum err apart(enum err (*fn)(const struct conf *, const char *, const char *),
                      const struct conf *c, const char *cert, const char *key)
{
    int status = 0;
    log_flush();
    pid_t pid = fork();
    if (pid == 0) {
        enum err e = fn(c, cert, key);
        log_flush();
        _exit(e == ERR_OK ? 0 : 1);
    }
    if (pid < 0 || waitpid(pid, &status, 0) != pid)
        return ERR_SYS;
    return status == 0 ? ERR_OK : ERR_SYNTAX;
}

static enum err make_pair(const struct conf *c, const char *cert, const char *key)
{
    struct buf cb, kb;
    buf_init(&cb, TLS_PEM_MAX);
    buf_init(&kb, TLS_PEM_MAX);
    enum err e = tls_make_selfsigned(c->domains[0].name, &cb, &kb);
    if (e == ERR_OK)
        e = write_file(key, buf_slice(&kb));
    if (e == ERR_OK)
        e = write_file(cert, buf_slice(&cb));
    buf_free(&cb);
    buf_free(&kb);
    return e;
}

static enum err check_pair(const struct conf *c, const char *cert, const char *key)
{
    char problem[TLS_PROBLEM] = "";
    struct tls_context *ctx = NULL;
    struct buf cb, kb;
    buf_init(&cb, TLS_PEM_MAX);
    buf_init(&kb, TLS_PEM_MAX);
    bool own = c->tls.certificate.n == 0;
    enum err e = read_file(cert, own, &cb);
    if (e == ERR_OK)
        e = read_file(key, own, &kb);
    if (e != ERR_OK)
        return e;
    struct tls_options opt = {.cert_pem = buf_slice(&cb), .key_pem = buf_slice(&kb)};
    e = tls_context_new(&opt, &ctx, problem);
    if (e != ERR_OK)
        log_write(LOG_FAILURES, "MASTER", 0, NULL, "certificate %s with key %s: %s", cert, key,
                  problem);
    else if (tls_context_warn(ctx, c->domains[0].name, problem))
        log_write(LOG_FAILURES, "MASTER", 0, NULL, "certificate %s: %s", cert, problem);
    return e;
}

static bool wants_tls(const struct conf *c)
{
    for (size_t i = 0; i < c->nlisteners; i++) {
        if (c->listeners[i].tls != CONF_TLS_NO)
            return true;
    }
    return false;
}

struct paths {
    char cert[1100], key[1100];
};

static void find_paths(const struct conf *c, struct paths *p)
{
    bool own = c->tls.certificate.n == 0;
    snprintf(p->cert, sizeof p->cert, "%s%s", own ? c->server.state_dir.p : c->tls.certificate.p,
             own ? "/tls-cert.pem" : "");
    snprintf(p->key, sizeof p->key, "%s%s", own ? c->server.state_dir.p : c->tls.key.p,
             own ? "/tls-key.pem" : "");
}

struct certificate_stamp certificate_stamp(const struct conf *c)
{
    struct certificate_stamp s = {{0}, {0}};
    struct paths p;
    struct stat st;
    find_paths(c, &p);
    for (int i = 0; i < 2; i++) {
        if (stat(i == 0 ? p.cert : p.key, &st) == 0) {
            s.inode[i] = st.st_ino;
            s.mtime[i] = (int64_t)st.st_mtim.tv_sec * CLOCK_SEC + st.st_mtim.tv_nsec;
        }
    }
    return s;
}

bool certificate_same(const struct certificate_stamp *a, const struct certificate_stamp *b)
{
    return memcmp(a, b, sizeof *a) == 0;
}

enum err certificate_load(const struct conf *c, int *fd, uint64_t *cert_bytes)
{
    struct paths p;
    struct buf b;
    enum err e = ERR_OK;
    *fd = -1;
    if (!wants_tls(c))
        return ERR_OK;
    find_paths(c, &p);
    if (c->tls.certificate.n == 0) {
        if (access(p.cert, R_OK) != 0 || access(p.key, R_OK) != 0)
            e = apart(make_pair, c, p.cert, p.key);
        log_write(LOG_FAILURES, "MASTER", 0, NULL, "no [tls] certificate: using the self-signed %s",
                  p.cert);
    }
    if (e == ERR_OK)
        e = apart(check_pair, c, p.cert, p.key);
    buf_init(&b, 2 * TLS_PEM_MAX);
    if (e == ERR_OK)
        e = read_file(p.cert, c->tls.certificate.n == 0, &b);
    *cert_bytes = b.n;
    if (e == ERR_OK)
        e = read_file(p.key, c->tls.certificate.n == 0, &b);
    if (e == ERR_OK && (*fd = memfd_make("ximssd-tls", buf_slice(&b))) < 0)
        e = ERR_SYS;
    if (b.p != NULL)
        explicit_bzero(b.p, b.n);
    buf_free(&b);
    return e;
}
