// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#include "proc/offline.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "conf/conf.h"
#include "proc/auth_accounts.h"
#include "proc/banks.h"
#include "proc/priv.h"
#include "proc/settings.h"
#include "store/store.h"

#define REQUEST_FD 3

static void reply(enum err e, bool last, struct str text)
{
    struct ctl_reply head = {CTL_VERSION, (uint32_t)e, last, IPC_ROLE_AUTH, 0};
    struct iovec io[2] = {{&head, sizeof head}, {.iov_len = text.n}};
    struct msghdr m = {.msg_iov = io, .msg_iovlen = 2};
    memcpy(&io[1].iov_base, &text.p, sizeof text.p);
    if (sendmsg(REQUEST_FD, &m, MSG_NOSIGNAL) < 0)
        log_write(LOG_PROBLEMS, "CTL", 0, NULL, "nobody takes the answer: %s", strerror(errno));
}

/* A list that lacks something is none: the asker stops at the first last answer. Of what was done the text may be lost. */
static void out(void *ctx, const struct buf *text)
{
    const struct accounts_request *rq = ctx;
    if (buf_err(text) == ERR_OK)
        reply(ERR_OK, false, buf_slice(text));
    else if (rq->verb == CTL_ACCOUNT_LIST)
        reply(ERR_NOMEM, true, STR_NONE);
}

struct removal {
    struct store *store;
    int64_t account;
};

static enum err remove_data(struct db *db, void *arg)
{
    struct removal *r = arg;
    (void)db;
    return store_account_remove(r->store, r->account);
}

static enum err remove_from_bank(const struct account *a)
{
    char path[1200];
    struct removal r = {.account = (int64_t)a->id};
    enum err e = banks_path(path, sizeof path, ".", a->bank);
    if (e == ERR_OK)
        e = store_open(path, 0, &r.store);
    if (e == ERR_OK)
        e = db_once(store_db(r.store), remove_data, &r);
    store_close(&r.store);
    return e;
}

static enum err open_directory(const struct conf *c, uint32_t banks, struct arena *a,
                               struct directory **d)
{
    struct str *domains = arena_array(a, c->ndomains, sizeof *domains);
    if (domains == NULL)
        return ERR_NOMEM;
    for (size_t i = 0; i < c->ndomains; i++)
        domains[i] = c->domains[i].name;
    struct directory_options opt = {
        .banks = banks, .domains = domains, .ndomains = (uint32_t)c->ndomains};
    return directory_open(d, "accounts.db", &opt);
}

static enum err serve(const struct conf *c, struct directory *d, struct str packet)
{
    struct verifier_options opt = settings_verifier(c);
    struct accounts_request rq;
    struct ctl_head head;
    struct verifiers v;
    struct str body;
    enum err e = ctl_request_parse(packet, &head, &body);
    if (e != ERR_OK)
        return e;
    if ((ctl_row((enum ctl_verb)head.verb)->flags & CTLF_OFFLINE) == 0)
        return ERR_UNSUPPORTED;
    if (accounts_begin(&rq, d, &opt, c->domains[0].name, (enum ctl_verb)head.verb, body, out,
                       &rq) == ACCOUNTS_MAKE) {
        e = verifier_make(buf_slice(&rq.password), &opt, &v);
        accounts_finish(&rq, d, e, &v, clock_wall() / CLOCK_SEC, out, &rq);
        verifier_wipe(&v);
    }
    e = rq.err;
    if (e == ERR_OK && rq.verb == CTL_ACCOUNT_REMOVE)
        e = remove_from_bank(&rq.account);
    accounts_end(&rq);
    return e;
}

/* The folders are made as the server makes them, so that accounts can be added before its first start. */
static enum err take_lock(const struct conf *c, const struct priv_users *u)
{
    enum err e = priv_make_dirs(c, u);
    if (e != ERR_OK)
        return e;
    int dir = open(c->server.run_dir.p, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir < 0 || flock(dir, LOCK_EX | LOCK_NB) != 0) {
        log_write(LOG_FAILURES, "CTL", 0, NULL, "%s: %s", c->server.run_dir.p, strerror(errno));
        return ERR_SYS;
    }
    return ERR_OK; /* the lock lives as long as this process */
}

/* What it does is auth's, and so are its rights; but for priv_lock(): who speaks to it is who started it. */
static enum err become_auth(const struct conf *c, uint32_t *banks)
{
    char problem[PRIV_PROBLEM];
    struct priv_users users;
    enum err e = priv_users_find(c, &users, problem);
    if (e != ERR_OK)
        log_write(LOG_FAILURES, "CTL", 0, NULL, "%s", problem);
    if (e == ERR_OK)
        e = take_lock(c, &users);
    if (e == ERR_OK)
        e = banks_count(c->server.state_dir.p, (uint32_t)sysconf(_SC_NPROCESSORS_ONLN), banks);
    db_prepare();
    return e == ERR_OK ? priv_enter(IPC_ROLE_AUTH, c, priv_id_of(&users, IPC_ROLE_AUTH)) : e;
}

int offline_auth(const char *conf_path)
{
    char bytes[CTL_MAX];
    struct arena a;
    struct conf *c = NULL;
    struct conf_problems problems;
    struct directory *d = NULL;
    uint32_t banks;
    arena_init(&a, (size_t)64 << 20);
    enum err e = conf_load(conf_path, &a, &c, &problems);
    if (e != ERR_OK)
        conf_problems_print(stderr, &problems);
    if (e == ERR_OK)
        e = become_auth(c, &banks);
    if (e == ERR_OK)
        e = open_directory(c, banks, &a, &d);
    if (e != ERR_OK)
        reply(e, true, STR_NONE);
    ssize_t n = 0;
    while (e == ERR_OK && (n = recv(REQUEST_FD, bytes, sizeof bytes, 0)) > 0) {
        enum err verdict = serve(c, d, (struct str){bytes, (size_t)n});
        explicit_bzero(bytes, (size_t)n);
        reply(verdict, true, STR_NONE);
    }
    directory_close(&d);
    arena_free(&a);
    log_flush();
    return e == ERR_OK ? 0 : 1;
}
