// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#include "tools/ximssctl/try.h"

#include <langinfo.h>
#include <locale.h>
#include <openssl/ssl.h>
#include <openssl/x509_vfy.h>
#include <signal.h>
#include <stdio.h>
#include <time.h>

#include "base/clock.h"
#include "tools/ximssctl/ask.h"
#include "tools/ximssctl/password.h"
#include "tools/ximssctl/print.h"

#define ADDRESS_MAX 320

/* --- steps */

bool try_step(struct trial *t, const char *step, bool ok, const char *detail, ...)
{
    char text[TRY_DETAIL] = "";
    int64_t now = clock_mono();
    if (detail != NULL) {
        va_list args;
        va_start(args, detail);
        vsnprintf(text, sizeof text, detail, args);
        va_end(args);
    }
    struct buf clean;
    buf_init(&clean, 4 * (size_t)TRY_DETAIL);
    print_text(&clean, text);
    double ms = (double)((now - t->began) / CLOCK_US) / 1000;
    json_array_append_new(t->steps,
                          json_pack("{s:s, s:b, s:f, s:s%}", "step", step, "ok", (int)ok, "ms", ms,
                                    "detail", clean.n != 0 ? clean.p : "", clean.n));
    buf_free(&clean);
    t->began = now;
    t->ok = t->ok && ok;
    return ok;
}

bool try_link_failed(struct trial *t, const char *step, enum link_state st)
{
    return try_step(t, step, false, "%s",
                    st == LINK_CLOSED ? "the server closed the connection" : t->link.problem);
}

bool try_connect(struct trial *t, const char *address, const struct link_options *opt)
{
    t->began = clock_mono();
    enum link_state st = link_open(&t->link, address, opt);
    return st == LINK_OK ? try_step(t, "connect", true, NULL) : try_link_failed(t, "connect", st);
}

/* Clients would refuse a certificate out of its dates; who issued it is for the admin to know. */
static bool judge_certificate(struct trial *t, const X509 *cert)
{
    struct tm until;
    char day[16] = "?";
    time_t now = (time_t)(clock_wall() / CLOCK_SEC);
    long verdict = SSL_get_verify_result(t->link.ssl);
    const char *version = SSL_get_version(t->link.ssl);
    if (ASN1_TIME_to_tm(X509_get0_notAfter(cert), &until) == 1)
        strftime(day, sizeof day, "%Y-%m-%d", &until);
    if (X509_cmp_time(X509_get0_notAfter(cert), &now) <= 0)
        return try_step(t, "TLS handshake", false, "%s; the certificate has expired on %s", version,
                        day);
    if (X509_cmp_time(X509_get0_notBefore(cert), &now) > 0)
        return try_step(t, "TLS handshake", false, "%s; the certificate is not valid yet", version);
    return try_step(t, "TLS handshake", true, "%s, certificate until %s%s%s", version, day,
                    verdict != X509_V_OK ? ", " : "",
                    verdict != X509_V_OK ? X509_verify_cert_error_string(verdict) : "");
}

bool try_handshake(struct trial *t)
{
    enum link_state st = link_start_tls(&t->link);
    if (st != LINK_OK)
        return try_link_failed(t, "TLS handshake", st);
    const X509 *cert = SSL_get0_peer_certificate(t->link.ssl);
    return cert != NULL ? judge_certificate(t, cert)
                        : try_step(t, "TLS handshake", false, "no certificate");
}

/* --- listeners */

/* Where a client on this machine finds it. */
static void address_of(const struct conf_listener *l, char to[ADDRESS_MAX])
{
    const struct conf_address *a = &l->at;
    bool any = str_eq(a->host, STR("*")) || str_eq(a->host, STR("0.0.0.0"));
    if (a->kind == CONF_UNIX)
        snprintf(to, ADDRESS_MAX, "unix:%.*s", STR_FMT(a->path));
    else if (any)
        snprintf(to, ADDRESS_MAX, "127.0.0.1:%u", a->port);
    else if (str_eq(a->host, STR("::")))
        snprintf(to, ADDRESS_MAX, "[::1]:%u", a->port);
    else if (str_find(a->host, ':') < a->host.n)
        snprintf(to, ADDRESS_MAX, "[%.*s]:%u", STR_FMT(a->host), a->port);
    else
        snprintf(to, ADDRESS_MAX, "%.*s:%u", STR_FMT(a->host), a->port);
}

static void one_way(struct trial *t, json_t *tries, const struct conf_listener *l,
                    enum try_link how)
{
    static const char *const words[] = {
        [TRY_CLEAR] = "clear", [TRY_STARTTLS] = "starttls", [TRY_TLS] = "tls"};
    char address[ADDRESS_MAX];
    bool before = t->ok;
    address_of(l, address);
    link_init(&t->link);
    t->steps = json_array();
    t->ok = true;
    if (l->protocol == CONF_LMTP)
        try_lmtp(t, address, how == TRY_TLS);
    else if (l->protocol == CONF_HTTP)
        try_http(t, address, how, l->proxy_protocol);
    else
        try_ximss(t, address, how);
    link_close(&t->link);
    json_array_append_new(tries, json_pack("{s:s%, s:s, s:s, s:s, s:b, s:o}", "listener", l->name.p,
                                           l->name.n, "protocol",
                                           l->protocol == CONF_LMTP   ? "lmtp"
                                           : l->protocol == CONF_HTTP ? "http"
                                                                      : "ximss",
                                           "address", address, "link", words[how], "ok", (int)t->ok,
                                           "steps", t->steps));
    t->ok = t->ok && before;
}

static void all_ways(struct trial *t, const struct conf *c, json_t *tries)
{
    for (size_t i = 0; i < c->nlisteners; i++) {
        const struct conf_listener *l = &c->listeners[i];
        bool known = l->protocol != CONF_ADMIN;
        if (!known || l->at.kind == CONF_OFF ||
            (l->protocol == CONF_XIMSS && c->server.channels == 0))
            continue;
        one_way(t, tries, l, l->tls == CONF_TLS_YES ? TRY_TLS : TRY_CLEAR);
        if (l->protocol == CONF_XIMSS && l->tls == CONF_TLS_STARTTLS)
            one_way(t, tries, l, TRY_STARTTLS);
    }
}

/* The name's domain decides whether passwords may travel in clear. */
static void find_domain(struct trial *t, const struct conf *c)
{
    struct str name = str_of(t->name);
    size_t at = str_find(name, '@');
    const struct conf_domain *d =
        at < name.n ? conf_domain_find(c, str_sub(name, at + 1, name.n)) : NULL;
    if (d == NULL)
        d = &c->domains[0];
    t->domain = d->name;
    t->rule = (enum conf_clear)d->clear_login;
}

int try_run(const struct request *r, json_t *answer)
{
    char password[PASSWORD_MAX + 2];
    struct trial t = {.ok = true, .name = r->args[0], .password = password};
    json_t *tries = json_array();
    if (!ask_server_runs(r->conf)) {
        print_problem(r->option[OPT_JSON] != NULL, "no server runs");
        json_decref(tries);
        return EXIT_NO_SERVER;
    }
    if (!password_get(r->option[OPT_PASSWORD_STDIN] != NULL, false, password)) {
        json_decref(tries);
        return EXIT_USAGE;
    }
    signal(SIGPIPE, SIG_IGN);
    find_domain(&t, r->conf);
    all_ways(&t, r->conf, tries);
    explicit_bzero(password, sizeof password);
    json_object_set_new(answer, "account", json_string(t.name));
    json_object_set_new(answer, "ok", json_boolean(t.ok));
    json_object_set_new(answer, "tries", tries);
    return t.ok ? EXIT_FINE : EXIT_REFUSED;
}

/* --- for people */

static const char *text(const json_t *o, const char *key)
{
    const char *s = json_string_value(json_object_get(o, key));
    return s != NULL ? s : "";
}

static void print_step(struct buf *b, const json_t *step, bool utf8)
{
    bool ok = json_is_true(json_object_get(step, "ok"));
    const char *detail = text(step, "detail");
    const char *mark = utf8 ? (ok ? "✓" : "✗") : ok ? "ok" : "FAILED";
    buf_printf(b, "  %s %-13s %8.1f ms%s", mark, text(step, "step"),
               json_number_value(json_object_get(step, "ms")), detail[0] != 0 ? "  " : "");
    print_text(b, detail);
    buf_char(b, '\n');
}

void try_print(const json_t *answer)
{
    const json_t *one, *step;
    const char *failed_at = NULL, *failed_step = "";
    size_t i, k;
    struct buf b;
    setlocale(LC_CTYPE, "");
    bool utf8 = strcmp(nl_langinfo(CODESET), "UTF-8") == 0;
    buf_init(&b, (size_t)1 << 20);
    json_array_foreach(json_object_get(answer, "tries"), i, one)
    {
        buf_printf(&b, "%s, %s, %s, %s\n", text(one, "listener"), text(one, "protocol"),
                   text(one, "address"), text(one, "link"));
        json_array_foreach(json_object_get(one, "steps"), k, step) print_step(&b, step, utf8);
        if (failed_at == NULL && !json_is_true(json_object_get(one, "ok"))) {
            failed_at = text(one, "listener");
            failed_step = text(json_array_get(json_object_get(one, "steps"), k - 1), "step");
        }
    }
    if (i == 0)
        buf_lit(&b, "there is no listener to try\n");
    print_flush(&b, stdout);
    buf_free(&b);
    if (failed_at != NULL)
        print_problem(false, "listener %s: %s failed", failed_at, failed_step);
}
