// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#include "proc/auth_accounts.h"

#define PAGE_ROWS 64 /* accounts of one answer ... */
#define PAGE_BYTES \
    49152 /* ... or less, when names are long: one has 2,000 bytes at most, with its escapes */

static void put_account(struct buf *b, const struct account *a)
{
    buf_printf(b, "{\"id\":%llu,\"account\":", (unsigned long long)a->id);
    ctl_json_str(b, name_str(&a->name));
    buf_lit(b, ",\"realName\":");
    ctl_json_str(b, str_of(a->real_name));
    buf_printf(b, ",\"bank\":%u,\"enabled\":%s}", a->bank,
               (a->flags & ACCOUNT_DISABLED) != 0 ? "false" : "true");
}

static void say_account(const struct account *a, accounts_out_fn *out, void *ctx)
{
    struct buf b;
    buf_init(&b, IPC_BODY_MAX);
    put_account(&b, a);
    out(ctx, &b);
    buf_free(&b);
}

static void say_problem(const struct accounts_request *rq, accounts_out_fn *out, void *ctx)
{
    struct buf b;
    buf_init(&b, IPC_BODY_MAX);
    buf_lit(&b, "{\"error\":");
    ctl_json_str(&b, str_of(rq->problem != NULL ? rq->problem : err_text(rq->err)));
    buf_char(&b, '}');
    out(ctx, &b);
    buf_free(&b);
}

/* One page, behind the name that the body says; the next one begins behind its last name. */
static enum err list(struct directory *d, struct str body, accounts_out_fn *out, void *ctx)
{
    static struct account rows[PAGE_ROWS];
    struct ipc_in in = {body, false};
    struct str after = ipc_get_str(&in);
    struct buf b;
    uint32_t n = 0, i = 0;
    if (ipc_in_end(&in) != ERR_OK)
        return ERR_ATTR_VALUE;
    enum err e = directory_list(d, after, rows, PAGE_ROWS, &n);
    if (e != ERR_OK)
        return e;
    buf_init(&b, IPC_BODY_MAX);
    buf_lit(&b, "{\"accounts\":[");
    for (; i < n && b.n < PAGE_BYTES; i++) {
        if (i != 0)
            buf_char(&b, ',');
        put_account(&b, &rows[i]);
    }
    buf_char(&b, ']');
    if (i < n || n == PAGE_ROWS) {
        buf_lit(&b, ",\"next\":");
        ctl_json_str(&b, name_str(&rows[i - 1].name));
    }
    buf_char(&b, '}');
    out(ctx, &b);
    e = buf_err(&b);
    buf_free(&b);
    return e;
}

static enum err fail(struct accounts_request *rq, enum err e, const char *problem)
{
    rq->problem = problem;
    return e;
}

static enum err find(struct accounts_request *rq, struct directory *d)
{
    struct name name = rq->account.name;
    enum err e = directory_find(d, name_str(&name), &rq->account);
    return e == ERR_NOT_FOUND ? fail(rq, ERR_UNKNOWN_USER, NULL) : e;
}

static enum err check_new(struct accounts_request *rq, struct directory *d)
{
    struct account other;
    if (!directory_has_domain(d, name_domain(&rq->account.name)))
        return fail(
            rq, ERR_NOT_FOUND,
            "that domain is not one of the server's: see [server] domain and [domain NAME]");
    enum err e = directory_find(d, name_str(&rq->account.name), &other);
    account_wipe(&other);
    return e == ERR_OK ? ERR_ACCOUNT_EXISTS : e == ERR_NOT_FOUND ? ERR_OK : e;
}

static enum err take_body(struct accounts_request *rq, struct directory *d,
                          const struct verifier_options *opt, struct str domain, struct str body)
{
    struct ipc_in in = {body, false};
    struct str name = ipc_get_str(&in), password = STR_NONE, real = STR_NONE;
    if (rq->verb == CTL_ACCOUNT_ADD || rq->verb == CTL_ACCOUNT_PASSWD)
        password = ipc_get_str(&in);
    if (rq->verb == CTL_ACCOUNT_ADD)
        real = ipc_get_str(&in);
    if (ipc_in_end(&in) != ERR_OK || real.n > ACCOUNT_REAL_NAME_MAX)
        return ERR_ATTR_VALUE;
    if (name_canon(name, domain, &rq->account.name) != ERR_OK)
        return fail(rq, ERR_ATTR_VALUE,
                    "that is not an account name: name@domain, letters, digits and . - _ + =");
    enum err e = rq->verb == CTL_ACCOUNT_ADD ? check_new(rq, d) : find(rq, d);
    if (e == ERR_OK && password.p != NULL)
        e = verifier_policy(password, opt);
    buf_str(&rq->password, password);
    if (real.n != 0)
        memcpy(rq->account.real_name, real.p, real.n);
    return e;
}

enum accounts_next accounts_begin(struct accounts_request *rq, struct directory *d,
                                  const struct verifier_options *opt, struct str target_domain,
                                  enum ctl_verb verb, struct str body, accounts_out_fn *out,
                                  void *ctx)
{
    *rq = (struct accounts_request){.verb = verb};
    buf_init(&rq->password, VERIFIER_PASSWORD_MAX + 1);
    if (verb == CTL_ACCOUNT_LIST) {
        rq->err = list(d, body, out, ctx);
        return ACCOUNTS_DONE;
    }
    rq->err = take_body(rq, d, opt, target_domain, body);
    if (rq->err == ERR_OK && verb == CTL_ACCOUNT_REMOVE)
        rq->err = directory_remove(d, rq->account.id);
    else if (rq->err == ERR_OK)
        return ACCOUNTS_MAKE;
    if (rq->err == ERR_OK)
        say_account(&rq->account, out, ctx);
    else
        say_problem(rq, out, ctx);
    return ACCOUNTS_DONE;
}

void accounts_finish(struct accounts_request *rq, struct directory *d, enum err e,
                     const struct verifiers *v, int64_t unix_now, accounts_out_fn *out, void *ctx)
{
    if (e == ERR_OK && rq->verb == CTL_ACCOUNT_ADD) {
        rq->account.verifiers = *v;
        e = directory_add(d, &rq->account, unix_now);
        if (e == ERR_EXISTS)
            e = ERR_ACCOUNT_EXISTS;
    } else if (e == ERR_OK) {
        e = directory_set_password(d, rq->account.id, v);
    }
    rq->err = e;
    if (e == ERR_OK)
        say_account(&rq->account, out, ctx);
    else
        say_problem(rq, out, ctx);
}

void accounts_end(struct accounts_request *rq)
{
    if (rq->password.p != NULL)
        explicit_bzero(rq->password.p, rq->password.n);
    buf_free(&rq->password);
    account_wipe(&rq->account);
}
