// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#include <unistd.h>

#include "codec/mime_charset.h"
#include "conf/address.h"
#include "conf/load.h"
#include "conf/value.h"

static uint32_t line_of(const struct load *l, int place)
{
    return l->c->lines->fixed[place];
}

/* Settings whose values have an order: the first may not be more than the second. */
static const struct {
    enum row_place less, more;
} ordered[] = {
    {ROW_AT_server_reserve_for_clients, ROW_AT_server_channels},
    {ROW_AT_login_fail_delay, ROW_AT_login_fail_delay_max},
    {ROW_AT_limits_message_before_login, ROW_AT_limits_message},
    {ROW_AT_limits_message, ROW_AT_limits_input_memory},
    {ROW_AT_limits_message, ROW_AT_limits_request_memory},
    {ROW_AT_limits_credit, ROW_AT_limits_out_limit},
    {ROW_AT_lmtp_max_message, ROW_AT_lmtp_memory},
};

static void check_order(struct load *l)
{
    for (size_t i = 0; i < ARRAY_LEN(ordered); i++) {
        const struct row *x = &rows[ordered[i].less], *y = &rows[ordered[i].more];
        uint64_t less = value_number(x, row_value(x, l->c)),
                 more = value_number(y, row_value(y, l->c));
        uint32_t xl = line_of(l, (int)ordered[i].less), yl = line_of(l, (int)ordered[i].more);
        if (less > more && (xl != 0 || yl != 0))
            problem_add(l->bad, xl > yl ? xl : yl,
                        "'%s' of [%s] is more than '%s' of [%s]; allowed is at most as much",
                        x->name, x->section, y->name, y->section);
    }
}

static bool is_zone(struct str s)
{
    for (size_t i = 0; i < s.n; i++) {
        char c = str_lower(s.p[i]);
        if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || strchr("_+-/:,.<>", c) != NULL))
            return false;
    }
    return s.n == 0 || s.p[0] != '/';
}

static bool is_relay(struct str s)
{
    struct str host = STR_NONE;
    if (str_eq(s, STR("sendmail:")))
        return true;
    if (str_istarts(s, STR("smtp://")))
        host = str_sub(s, 7, s.n);
    else if (str_istarts(s, STR("smtps://")))
        host = str_sub(s, 8, s.n);
    return host.n != 0 && str_find(host, '/') == host.n && str_find(host, ' ') == host.n &&
           str_find(host, '@') == host.n;
}

static void check_texts(struct load *l)
{
    const struct conf *c = l->c;
    struct str log = c->server.log, relay = problem_quote(c->postman.relay),
               charset = problem_quote(c->server.charset);
    if (!str_eq(log, STR("stderr")) && !str_eq(log, STR("journal")) &&
        !str_starts(log, STR("journal:/")) && !str_starts(log, STR("file:/")))
        problem_add(l->bad, line_of(l, ROW_AT_server_log),
                    "bad value for 'log': allowed is stderr, journal, journal:/path or file:/path");
    if (!is_zone(c->server.time_zone))
        problem_add(l->bad, line_of(l, ROW_AT_server_time_zone),
                    "bad value for 'time_zone': allowed is a name such as Europe/Berlin");
    if (!mime_charset_is_listed(c->server.charset))
        problem_add(l->bad, line_of(l, ROW_AT_server_charset),
                    "bad value '%.*s' for 'charset': allowed is a name such as windows-1252, "
                    "iso-8859-15 or koi8-r",
                    STR_FMT(charset));
    if (!is_relay(c->postman.relay))
        problem_add(l->bad, line_of(l, ROW_AT_postman_relay),
                    "bad value '%.*s' for 'relay': allowed is smtp://host:port, smtps://host:port "
                    "or sendmail:",
                    STR_FMT(relay));
    if ((c->tls.certificate.n == 0) != (c->tls.key.n == 0))
        problem_add(l->bad, line_of(l, ROW_AT_tls_certificate) + line_of(l, ROW_AT_tls_key),
                    "'certificate' and 'key' have to be set together; '%s' is missing",
                    c->tls.key.n == 0 ? "key" : "certificate");
}

/* The name of this host, or "localhost" when it has none that can be a domain. */
static struct str host_name(struct arena *a)
{
    char name[CONF_NAME_MAX + 2] = "";
    if (gethostname(name, sizeof name - 1) != 0 || !address_is_domain(str_of(name)))
        return STR("localhost");
    for (char *p = name; *p != 0; p++)
        *p = str_lower(*p);
    return arena_str(a, str_of(name));
}

static enum err main_domain(struct load *l)
{
    struct conf *c = l->c;
    struct str *name = &c->server.domain;
    struct str shown = problem_quote(*name);
    if (name->n != 0 && !address_is_domain(*name))
        problem_add(l->bad, line_of(l, ROW_AT_server_domain),
                    "bad value '%.*s' for 'domain': not the name of a domain", STR_FMT(shown));
    char *lower = arena_alloc(l->arena, name->n + 1);
    if (lower == NULL)
        return ERR_NOMEM;
    for (size_t i = 0; i < name->n; i++)
        lower[i] = str_lower(name->p[i]);
    *name = name->n != 0 ? (struct str){lower, name->n} : host_name(l->arena);
    if (name->p == NULL)
        return ERR_NOMEM;
    if (c->ndomains == 0)
        c->ndomains = 1;
    for (size_t i = 1; i < c->ndomains; i++) {
        if (!str_eq(c->domains[i].name, *name))
            continue;
        /* Its section takes place 0, the last one the hole. */
        size_t last = --c->ndomains;
        c->domains[0] = c->domains[i];
        c->domains[i] = c->domains[last];
        memcpy(c->lines->domain[0], c->lines->domain[i], sizeof c->lines->domain[0]);
        memcpy(c->lines->domain[i], c->lines->domain[last], sizeof c->lines->domain[0]);
        return ERR_OK;
    }
    c->domains[0] = (struct conf_domain){.name = *name};
    return load_defaults(l, row_section_find(STR("domain")), &c->domains[0]);
}

static uint32_t listener_line(const struct load *l, size_t i, enum row_place place)
{
    return l->c->lines->listener[i][place - ROWS_BEGIN_listener];
}

static void check_protocol(struct load *l, size_t i)
{
    struct conf_listener *x = &l->c->listeners[i];
    uint32_t tls_line = listener_line(l, i, ROW_AT_listener_tls);
    if (x->proxy_protocol && x->tls == CONF_TLS_YES)
        problem_add(l->bad, listener_line(l, i, ROW_AT_listener_proxy_protocol),
                    "a listener has either 'tls' or 'proxy_protocol', not both");
    bool starttls = x->protocol == CONF_XIMSS || x->protocol == CONF_ADMIN;
    if (x->protocol == CONF_ADMIN)
        problem_add(l->bad, listener_line(l, i, ROW_AT_listener_protocol),
                    "protocol 'admin' is not in this version; allowed is ximss, http or lmtp");
    if (x->proxy_protocol && x->protocol != CONF_HTTP)
        problem_add(l->bad, listener_line(l, i, ROW_AT_listener_proxy_protocol),
                    "only a listener for http has 'proxy_protocol'");
    if (!starttls && x->tls == CONF_TLS_STARTTLS) {
        if (tls_line != 0)
            problem_add(l->bad, tls_line, "a listener for %s has no starttls; allowed is no or yes",
                        x->protocol == CONF_HTTP ? "http" : "lmtp");
        x->tls = CONF_TLS_NO;
    }
    if (x->allow.n != 0 && x->deny.n != 0)
        problem_add(l->bad, listener_line(l, i, ROW_AT_listener_deny),
                    "a listener has either 'allow' or 'deny', not both");
}

static enum err check_listener(struct load *l, size_t i)
{
    struct conf_listener *x = &l->c->listeners[i];
    struct str why, name = problem_quote(x->name), written = problem_quote(x->address);
    uint32_t line = listener_line(l, i, ROW_AT_listener_address);
    check_protocol(l, i);
    if (x->address.n == 0) {
        /* A bad value has been reported already. */
        if (line == 0)
            problem_add(l->bad, x->line,
                        "listener '%.*s' has no address; allowed is host:port, [IPv6]:port, *:port "
                        "or unix:/path",
                        STR_FMT(name));
        return ERR_OK;
    }
    enum err e = address_parse(x->address, l->c->server.run_dir, l->arena, &x->at, &why);
    if (e == ERR_SYNTAX) {
        problem_add(l->bad, line, "bad value '%.*s' for 'address': %.*s", STR_FMT(written),
                    STR_FMT(why));
        return ERR_OK;
    }
    for (size_t k = 0; k < i && e == ERR_OK; k++) {
        struct str other = problem_quote(l->c->listeners[k].name);
        if (address_clash(&l->c->listeners[k].at, &x->at))
            problem_add(l->bad, line, "address '%.*s' is taken by listener '%.*s'",
                        STR_FMT(written), STR_FMT(other));
    }
    return e;
}

static bool has_protocol(const struct conf *c, enum conf_protocol p)
{
    for (size_t i = 0; i < c->nlisteners; i++) {
        if (c->listeners[i].protocol == (int)p)
            return true;
    }
    return false;
}

static enum err add_listener(struct load *l, enum conf_protocol p, struct str name,
                             struct str address)
{
    if (has_protocol(l->c, p))
        return ERR_OK;
    struct conf_listener *new = &l->c->listeners[l->c->nlisteners++];
    *new = (struct conf_listener){.name = name};
    enum err e = load_defaults(l, row_section_find(STR("listener")), new);
    new->protocol = (int)p;
    new->address = address;
    return e;
}

enum err check_whole(struct load *l)
{
    check_order(l);
    check_texts(l);
    enum err e = main_domain(l);
    if (e == ERR_OK)
        e = add_listener(l, CONF_XIMSS, STR("ximss"), STR("*:11024"));
    if (e == ERR_OK)
        e = add_listener(l, CONF_LMTP, STR("lmtp"), STR("unix:{run_dir}/lmtp"));
    for (size_t i = 0; i < l->c->nlisteners && e == ERR_OK; i++)
        e = check_listener(l, i);
    return e;
}
