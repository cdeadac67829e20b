// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/buf.h"
#include "base/log.h"
#include "conf/rows.h"

static struct arena arena;

static int set_up(void **state)
{
    (void)state;
    arena_init(&arena, 8 << 20);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    arena_free(&arena);
    return 0;
}

static const struct conf *load(const char *text)
{
    struct conf *c;
    struct conf_problems p;
    enum err e = conf_load_text(STR("a.conf"), str_of(text), &arena, &c, &p);
    if (e != ERR_OK)
        conf_problems_print(stderr, &p);
    assert_int_equal(e, ERR_OK);
    assert_int_equal(p.count, 0);
    return c;
}

/* What -t prints. */
static char *problems_of(struct str text)
{
    static char *out;
    static size_t n;
    struct conf *c;
    struct conf_problems p;
    free(out);
    FILE *f = open_memstream(&out, &n);
    enum err e = conf_load_text(STR("a.conf"), text, &arena, &c, &p);
    assert_true(e == ERR_SYNTAX || e == ERR_TOO_LONG);
    assert_null(c);
    conf_problems_print(f, &p);
    fclose(f);
    return out;
}

#define assert_problems(text, expected) assert_string_equal(problems_of(str_of(text)), expected)

static void empty_file(void **state)
{
    (void)state;
    char host[256] = "";
    const struct conf *c = load("");
    assert_int_equal(c->nlisteners, 2);
    assert_true(str_eq(c->listeners[0].name, STR("ximss")));
    assert_int_equal(c->listeners[0].protocol, CONF_XIMSS);
    assert_int_equal(c->listeners[0].tls, CONF_TLS_STARTTLS);
    assert_int_equal(c->listeners[0].at.kind, CONF_TCP);
    assert_int_equal(c->listeners[0].at.port, 11024);
    assert_true(str_eq(c->listeners[0].at.host, STR("*")));
    assert_int_equal(c->listeners[1].protocol, CONF_LMTP);
    assert_int_equal(c->listeners[1].tls, CONF_TLS_NO);
    assert_int_equal(c->listeners[1].at.kind, CONF_UNIX);
    assert_true(str_eq(c->listeners[1].at.path, STR("/run/ximssd/lmtp")));
    gethostname(host, sizeof host - 1);
    assert_true(str_ieq(c->server.domain, str_of(host)) ||
                str_eq(c->server.domain, STR("localhost")));
    assert_int_equal(c->ndomains, 1);
    assert_true(str_eq(c->domains[0].name, c->server.domain));
    assert_int_equal(c->domains[0].clear_login, CONF_CLEAR_YES);
}

/* The figures of protocol 1 (1.2, 1.6, 1.7, 3.2, 3.8, 3.9, 7.3), protocol 2 (14) and the design (2.2, 7). */
static void documented_defaults(void **state)
{
    (void)state;
    const struct conf *c = load("");
    assert_int_equal(c->server.channels, 1000);
    assert_int_equal(c->server.channels_per_address, 50);
    assert_int_equal(c->server.channels_per_client_address, 200);
    assert_int_equal(c->server.reserve_for_clients, 0);
    assert_int_equal(c->server.backlog, 511);
    assert_int_equal(c->server.log_level, LOG_MAJOR);
    assert_int_equal(c->server.flash_policy, CONF_FLASH_ALL);
    assert_true(str_eq(c->server.version_text, STR("6.3.0")));
    assert_true(c->server.shutdown_grace == INT64_C(5000000000));
    assert_int_equal(c->server.workers, 0);
    assert_true(c->tls.handshake_timeout == INT64_C(10000000000));
    assert_true(c->login.fail_delay == INT64_C(1000000000));
    assert_true(c->login.fail_delay_max == INT64_C(5000000000));
    assert_int_equal(c->login.fail_connection, 5);
    assert_int_equal(c->login.fail_account, 10);
    assert_int_equal(c->login.fail_address, 20);
    assert_true(c->login.fail_window == INT64_C(300000000000));
    assert_true(c->login.exchange_timeout == INT64_C(60000000000));
    assert_false(c->login.cram);
    assert_int_equal(c->login.max_sessions_per_account, 64);
    assert_int_equal(c->limits.message_before_login, 64 << 10);
    assert_int_equal(c->limits.message, 16 << 20);
    assert_int_equal(c->limits.tag, 16 << 10);
    assert_int_equal(c->limits.attributes, 256);
    assert_int_equal(c->limits.depth, 64);
    assert_true(c->limits.idle == INT64_C(600000000000));
    assert_int_equal(c->limits.credit, 192 << 10);
    assert_int_equal(c->limits.requests, 32);
    assert_int_equal(c->limits.request_bytes, 1 << 20);
    assert_int_equal(c->limits.protocol_errors_before_login, 3);
    assert_int_equal(c->limits.protocol_errors, 10);
    assert_int_equal(c->limits.open_folders, 100);
    assert_int_equal(c->limits.mailboxes, 2000);
    assert_int_equal(c->limits.folder_fields, 64);
    assert_int_equal(c->limits.set_elements, 20000);
    assert_int_equal(c->limits.view_messages, 1000000);
    assert_int_equal(c->limits.inline_text, 10 << 20);
    assert_int_equal(c->lmtp.max_message, 64 << 20);
}

/* The example of design §7, listeners and domains in it. */
static void the_designs_example(void **state)
{
    (void)state;
    const struct conf *c =
        load("[server]\n"
             "domain    = example.org        ; main domain\n"
             "state_dir = /var/lib/ximssd    ; accounts.db, banks\n"
             "run_dir   = /run/ximssd        ; shared table, control socket\n"
             "user        = ximss            ; keeper, auth, postman\n"
             "worker_user = ximss-io         ; worker, helper, hasher: owns nothing\n"
             "workers   = auto\n"
             "keepers   = auto\n"
             "channels  = 1000               ; limit of XIMSS connections\n"
             "channels_per_address = 50\n"
             "log_level = major              ; crashes failures major problems low all\n"
             "log       = stderr             ; stderr journal file:/path\n"
             "\n"
             "[tls]\n"
             "certificate = /etc/ximssd/tls/cert.pem     ; none: a self-signed one\n"
             "key         = /etc/ximssd/tls/key.pem\n"
             "\n"
             "[listener ximss]\n"
             "protocol = ximss               ; ximss http admin lmtp\n"
             "address  = *:11024             ; host:port, [v6]:port or unix:/path\n"
             "\n"
             "[listener ximss-tls]\n"
             "protocol = ximss\n"
             "address  = *:11025\n"
             "tls      = yes\n"
             "\n"
             "[domain example.org]\n"
             "clear_login = loopback\n"
             "\n"
             "[domain Harbor.Example]\n"
             "clear_login = no\n"
             "[postman]\n"
             "relay = smtp://127.0.0.1:25    ; smtp:// smtps:// or sendmail:\n");
    assert_int_equal(c->nlisteners, 3);
    assert_int_equal(c->listeners[0].tls, CONF_TLS_STARTTLS);
    assert_int_equal(c->listeners[1].tls, CONF_TLS_YES);
    assert_int_equal(c->listeners[2].protocol, CONF_LMTP);
    assert_string_equal(c->tls.key.p, "/etc/ximssd/tls/key.pem");
    assert_int_equal(c->ndomains, 2);
    assert_true(str_eq(c->domains[0].name, STR("example.org")));
    assert_int_equal(c->domains[0].clear_login, CONF_CLEAR_LOOPBACK);
    assert_int_equal(conf_domain_find(c, STR("HARBOR.example"))->clear_login, CONF_CLEAR_NO);
    assert_null(conf_domain_find(c, STR("harbor")));
}

static void listeners(void **state)
{
    (void)state;
    const struct conf *c =
        load("[server]\nrun_dir = /tmp/r\n[listener a]\naddress = 127.0.0.1:1\nallow = 10.0.0.0/8\n"
             "[listener b]\nprotocol = lmtp\naddress = *:0\n"
             "[listener c]\nprotocol = lmtp\ntls = yes\naddress = unix:{run_dir}/m\n");
    assert_int_equal(c->nlisteners, 3);
    assert_int_equal(c->listeners[1].at.kind, CONF_OFF);
    assert_int_equal(c->listeners[1].tls, CONF_TLS_NO);
    assert_int_equal(c->listeners[2].tls, CONF_TLS_YES);
    assert_string_equal(c->listeners[2].at.path.p, "/tmp/r/m");
    assert_string_equal(c->listeners[0].allow.p, "10.0.0.0/8");
}

static void every_problem_in_one_run(void **state)
{
    (void)state;
    assert_problems(
        "loose = 1\n"
        "[sever]\n"
        "ignored = 1\n"
        "[server]\n"
        "chanels = 5\n"
        "channels = 100001\n"
        "idle = 5m\n"
        "zzzzzzzzz = 1\n"
        "log_level = mayor\n"
        "shutdown_grace = 5\n"
        "workers = 0\n"
        "workers = 2\n"
        "state_dir = var\n"
        "garbage\n"
        "client_addresses = 10.0.0.0/8\n"
        "    300.1.1.1\n"
        "[tls\n"
        "[tls]\n"
        "key = /k\n"
        "[listener]\n"
        "[listener a]\n"
        "address = *:99999\n"
        "[listener b]\n"
        "[server]\n"
        "[login x]\n"
        "cram = perhaps\n",
        "a.conf:1: 'loose' stands outside of a section; a [section] has to come first\n"
        "a.conf:2: unknown section [sever]; did you mean [server]?\n"
        "a.conf:5: unknown setting 'chanels' in [server]; did you mean 'channels'?\n"
        "a.conf:6: bad value '100001' for 'channels': allowed is a number from 0 to 100000\n"
        "a.conf:7: 'idle' is no setting of [server]; it belongs to [limits]\n"
        "a.conf:8: unknown setting 'zzzzzzzzz' in [server]; see ximssd.conf(5)\n"
        "a.conf:9: bad value 'mayor' for 'log_level': allowed is one of crashes, failures, major, "
        "problems, low, all; did you mean 'major'?\n"
        "a.conf:10: bad value '5' for 'shutdown_grace': allowed is a time from 0 to 10m (units: "
        "ms, s, m, "
        "h, d)\n"
        "a.conf:11: bad value '0' for 'workers': allowed is auto, or a number from 1 to 64\n"
        "a.conf:12: 'workers' is set already, in line 11\n"
        "a.conf:13: bad value 'var' for 'state_dir': allowed is an absolute path of at most 1024 "
        "bytes\n"
        "a.conf:14: this is neither '[section]' nor 'name = value'\n"
        "a.conf:16: bad value for 'client_addresses': '300.1.1.1': not an IP address; allowed are "
        "addresses, ranges a-b and address/bits\n"
        "a.conf:17: the ']' of the section is missing\n"
        "a.conf:19: 'certificate' and 'key' have to be set together; 'certificate' is missing\n"
        "a.conf:20: section [listener] needs a name: [listener NAME]\n"
        "a.conf:22: bad value '*:99999' for 'address': the port has to be a number from 0 to "
        "65535\n"
        "a.conf:23: listener 'b' has no address; allowed is host:port, [IPv6]:port, *:port or "
        "unix:/path\n"
        "a.conf:24: section [server] is there already, in line 4\n"
        "a.conf:25: section [login] has no name; allowed is [login] without 'x'\n"
        "a.conf:26: bad value 'perhaps' for 'cram': allowed is yes or no\n");
}

static void single_problems(void **state)
{
    (void)state;
    assert_problems(
        "[listener a]\nprotocol = admin\naddress = *:1\n",
        "a.conf:2: protocol 'admin' is not in this version; allowed is ximss, http or lmtp\n");
    assert_problems("[listener a]\nprotocol = http\naddress = *:1\ntls = starttls\n",
                    "a.conf:4: a listener for http has no starttls; allowed is no or yes\n");
    assert_problems("[listener a]\naddress = *:1\nproxy_protocol = yes\n",
                    "a.conf:3: only a listener for http has 'proxy_protocol'\n");
    assert_problems(
        "[listener a]\nprotocol = http\naddress = *:1\ntls = yes\nproxy_protocol = yes\n",
        "a.conf:5: a listener has either 'tls' or 'proxy_protocol', not both\n");
    assert_problems("[listener a]\nprotocol = lmtp\naddress = *:1\ntls = starttls\n",
                    "a.conf:4: a listener for lmtp has no starttls; allowed is no or yes\n");
    assert_problems("[listener a]\naddress = *:1\nallow = ::1\ndeny = ::1\n",
                    "a.conf:4: a listener has either 'allow' or 'deny', not both\n");
    assert_problems("[listener a]\naddress = *:1\n[listener b]\naddress = 127.0.0.1:1\n",
                    "a.conf:4: address '127.0.0.1:1' is taken by listener 'a'\n");
    assert_problems("[listener a]\naddress = *:1\n[listener a]\naddress = *:2\n",
                    "a.conf:3: listener 'a' is there already, in line 1\n");
    assert_problems("[domain a_b]\n", "a.conf:1: 'a_b' is not the name of a domain\n");
    assert_problems("[domain ab]\n[domain AB]\n",
                    "a.conf:2: domain 'AB' is there already, in line 1\n");
    assert_problems("[server]\ndomain = a..b\n",
                    "a.conf:2: bad value 'a..b' for 'domain': not the name of a domain\n");
    assert_problems("[nothing]\nx = 1\n", "a.conf:1: unknown section [nothing]; there are server, "
                                          "tls, login, limits, lmtp, http, postman, "
                                          "listener NAME and domain NAME\n");
    assert_problems(
        "[server]\nlog = syslog\n",
        "a.conf:2: bad value for 'log': allowed is stderr, journal, journal:/path or file:/path\n");
    assert_problems(
        "[server]\ncharset = klingon\n",
        "a.conf:2: bad value 'klingon' for 'charset': allowed is a name such as windows-1252, "
        "iso-8859-15 or koi8-r\n");
    assert_problems(
        "[server]\ntime_zone = /etc/x\n",
        "a.conf:2: bad value for 'time_zone': allowed is a name such as Europe/Berlin\n");
    assert_problems("[postman]\nrelay = localhost\n",
                    "a.conf:2: bad value 'localhost' for 'relay': allowed is smtp://host:port, "
                    "smtps://host:port or "
                    "sendmail:\n");
    assert_problems("[server]\nusr = \xff\n", "a.conf:2: the line is not UTF-8\n");
    assert_problems("[listener a]\naddress =\n", "a.conf:2: bad value '' for 'address': allowed is "
                                                 "host:port, [IPv6]:port, *:port or unix:/path\n");
}

static void orders(void **state)
{
    (void)state;
    assert_problems("[limits]\nmessage = 64k\nmessage_before_login = 65k\n",
                    "a.conf:3: 'message_before_login' of [limits] is more than 'message' of "
                    "[limits]; allowed is at "
                    "most as much\n");
    load("[limits]\nmessage = 64k\nmessage_before_login = 64k\n");
    load("[limits]\nmessage = 64k\nmessage_before_login = 63k\n");
    assert_problems("[login]\nfail_delay = 5001ms\n",
                    "a.conf:2: 'fail_delay' of [login] is more than 'fail_delay_max' of [login]; "
                    "allowed is at most as "
                    "much\n");
    load("[login]\nfail_delay = 5s\n");
    assert_problems("[server]\nchannels = 10\nreserve_for_clients = 11\n",
                    "a.conf:3: 'reserve_for_clients' of [server] is more than 'channels' of "
                    "[server]; allowed is at "
                    "most as much\n");
    load("[server]\nchannels = 10\nreserve_for_clients = 10\n");
    load("[server]\nchannels = 0\n");
}

/* Every row's bounds, through the whole loader. */
static void bounds_of_every_row(void **state)
{
    (void)state;
    for (size_t i = 0; i < ROWS_COUNT; i++) {
        const struct row *r = &rows[i];
        if (r->type != ROW_NUMBER && r->type != ROW_AUTO && r->type != ROW_SIZE &&
            r->type != ROW_TIME)
            continue;
        const char *unit = r->type == ROW_TIME ? "ms" : "";
        int64_t scale = r->type == ROW_TIME ? 1000000 : 1;
        const struct {
            int64_t v;
            bool good;
        } tries[] = {{r->min / scale - 1, false}, {r->min / scale, true},
                     {r->min / scale + 1, true},  {r->max / scale - 1, true},
                     {r->max / scale, true},      {r->max / scale + 1, false}};
        for (size_t k = 0; k < ARRAY_LEN(tries); k++) {
            struct conf *c;
            struct conf_problems p;
            arena_reset(&arena);
            struct str text = arena_printf(&arena, "[%s]\n%s = %lld%s\n", r->section, r->name,
                                           (long long)tries[k].v, unit);
            enum err e = conf_load_text(STR("x"), text, &arena, &c, &p);
            /* An order with another setting may be hurt; the value itself may not. */
            bool refused = e == ERR_SYNTAX && str_istarts(p.list[0].text, STR("bad value"));
            assert_true(e == ERR_OK || e == ERR_SYNTAX);
            assert_int_equal(!refused, tries[k].good);
        }
    }
}

static void table_is_sound(void **state)
{
    (void)state;
    for (size_t i = 0; i < ROWS_COUNT; i++) {
        assert_true(rows[i].line[0] != 0 && strlen(rows[i].line) < 100);
        assert_true(rows[i].line[strlen(rows[i].line) - 1] != '.');
        assert_true(rows[i].para[0] == 0 || rows[i].para[strlen(rows[i].para) - 1] == '.');
        assert_true(rows[i].type == ROW_ENUM || rows[i].type == ROW_BOOL ||
                    rows[i].min < rows[i].max);
        assert_true((rows[i].type == ROW_ENUM) == (rows[i].words[0] != 0));
    }
    size_t n = 0;
    for (size_t k = 0; k < ROW_SECTIONS; k++) {
        assert_int_equal(row_sections[k].first, n);
        n = row_sections[k].end;
        for (uint32_t i = row_sections[k].first; i < row_sections[k].end; i++)
            assert_string_equal(rows[i].section, row_sections[k].name);
    }
    assert_int_equal(n, ROWS_COUNT);
}

static void caps(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b, 4 << 20);
    for (int n = CONF_LISTENERS_MAX; n <= CONF_LISTENERS_MAX + 1; n++) {
        buf_clear(&b);
        for (int i = 0; i < n; i++)
            buf_printf(&b, "[listener l%d]\naddress = *:%d\n", i, 1000 + i);
        buf_char(&b, 0);
        if (n <= CONF_LISTENERS_MAX)
            assert_int_equal(load(b.p)->nlisteners,
                             CONF_LISTENERS_MAX + 1); /* and the one for LMTP */
        else
            assert_problems(b.p, "a.conf:129: at most 64 listeners are allowed\n");
    }
    for (int n = CONF_DOMAINS_MAX; n <= CONF_DOMAINS_MAX + 1; n++) {
        arena_reset(&arena);
        buf_clear(&b);
        for (int i = 0; i < n; i++)
            buf_printf(&b, "[domain d%d]\n", i);
        buf_char(&b, 0);
        if (n <= CONF_DOMAINS_MAX)
            assert_int_equal(load(b.p)->ndomains, CONF_DOMAINS_MAX + 1);
        else
            assert_problems(b.p, "a.conf:1001: at most 1000 domains are allowed\n");
    }
    buf_free(&b);
}

static void problems_are_capped(void **state)
{
    (void)state;
    struct buf b;
    struct conf *c;
    struct conf_problems p;
    buf_init(&b, 1 << 20);
    buf_lit(&b, "[server]\n");
    for (int i = 0; i < CONF_PROBLEMS_MAX + 7; i++)
        buf_lit(&b, "garbage\n");
    assert_int_equal(conf_load_text(STR("x"), buf_slice(&b), &arena, &c, &p), ERR_SYNTAX);
    assert_int_equal(p.count, CONF_PROBLEMS_MAX);
    assert_int_equal(p.dropped, 7);
    buf_free(&b);
}

static void size_of_file(void **state)
{
    (void)state;
    struct conf *c;
    struct conf_problems p;
    char *text = malloc(CONF_FILE_MAX + 1);
    assert_non_null(text);
    memset(text, '#', CONF_FILE_MAX + 1);
    assert_int_equal(
        conf_load_text(STR("x"), (struct str){text, CONF_FILE_MAX - 1}, &arena, &c, &p), ERR_OK);
    assert_int_equal(conf_load_text(STR("x"), (struct str){text, CONF_FILE_MAX}, &arena, &c, &p),
                     ERR_OK);
    assert_int_equal(
        conf_load_text(STR("x"), (struct str){text, CONF_FILE_MAX + 1}, &arena, &c, &p),
        ERR_TOO_LONG);
    assert_int_equal(p.count, 1);
    free(text);
}

/* Every arena up to a sufficient one: no crash, ERR_NOMEM or the right answer. */
static void small_arenas(void **state)
{
    (void)state;
    bool enough = false;
    for (size_t cap = 0; cap < (4U << 20) && !enough; cap += 1021) {
        struct arena a;
        struct conf *c;
        struct conf_problems p;
        arena_init(&a, cap);
        enum err e = conf_load_text(
            STR("x"), STR("[listener a]\naddress = *:1\nallow = ::1\n  ::2\n"), &a, &c, &p);
        enough = e == ERR_OK;
        assert_true(enough || (e == ERR_NOMEM && c == NULL));
        arena_free(&a);
    }
    assert_true(enough);
}

static void files(void **state)
{
    (void)state;
    struct conf *c;
    struct conf_problems p;
    char name[] = "/tmp/ximssd-conf-XXXXXX";
    int fd = mkstemp(name);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, "[server]\nchannels = 7\n", 22), 22);
    close(fd);
    assert_int_equal(conf_load(name, &arena, &c, &p), ERR_OK);
    assert_int_equal(c->server.channels, 7);
    assert_string_equal(c->label.p, name);
    assert_true(str_eq(c->text, STR("[server]\nchannels = 7\n")));
    unlink(name);
    assert_int_equal(conf_load(name, &arena, &c, &p), ERR_NOT_FOUND);
    assert_int_equal(p.count, 1);
    assert_string_equal(p.list[0].text.p, "cannot be read: No such file or directory");
    assert_int_equal(conf_load("/", &arena, &c, &p), ERR_SYS);
    assert_null(c);
}

struct seen {
    char text[512];
    uint32_t restart;
};

static void note(void *arg, const struct conf_change *c)
{
    struct seen *s = arg;
    char line[128];
    conf_change_text(c, line, sizeof line);
    strncat(s->text, line, sizeof s->text - strlen(s->text) - 1);
    strncat(s->text, ";", sizeof s->text - strlen(s->text) - 1);
    s->restart += c->when == CONF_RESTART;
}

static struct seen changes(const char *old, const char *new)
{
    struct seen s = {.restart = 0};
    conf_changes(load(old), load(new), note, &s);
    return s;
}

static void differences(void **state)
{
    (void)state;
    const char *one = "[server]\nworkers = 2\nchannels = 5\n[listener a]\naddress = *:5\n";
    struct seen s = changes(one, one);
    assert_string_equal(s.text, "");
    s = changes(one, "[server]\nworkers = 3\nchannels = 6\n[listener a]\naddress = *:6\n"
                     "[listener b]\nprotocol = lmtp\naddress = *:7\n[domain example.net]\n");
    assert_string_equal(
        s.text, "server.workers;server.channels;[listener a] address;[listener lmtp] removed;"
                "[listener b] added;[domain example.net] added;");
    assert_int_equal(s.restart, 1);
    s = changes("", "[server]\nuser = u\nstate_dir = /x\nlog_level = all\n");
    assert_string_equal(s.text, "server.state_dir;server.user;server.log_level;");
    assert_int_equal(s.restart, 2);
}

static void loads_again(void **state)
{
    (void)state;
    struct conf *c;
    struct conf_problems p;
    struct arena other;
    arena_init(&other, (size_t)8 << 20);
    const struct conf *now = load("[server]\nrun_dir = /run/one\nworkers = 2\nchannels = 5\n"
                                  "domain = one.example\n");
    struct str text = STR("[server]\nrun_dir = /run/two\nworkers = 3\nchannels = 6\n"
                          "domain = two.example\n[domain two.example]\nlanguage = french\n");
    assert_int_equal(conf_load_again(STR("x"), text, now, &other, &c, &p), ERR_OK);
    assert_int_equal(c->server.workers, 2);
    assert_int_equal(c->server.channels, 6);
    assert_string_equal(c->server.run_dir.p, "/run/one");
    assert_ptr_not_equal(c->server.run_dir.p, now->server.run_dir.p);
    /* What is made of such settings is made of the kept ones. */
    assert_true(str_eq(c->domains[0].name, STR("one.example")));
    assert_int_equal(c->ndomains, 2);
    assert_true(str_eq(c->domains[1].language, STR("french")));
    assert_string_equal(c->listeners[c->nlisteners - 1].at.path.p, "/run/one/lmtp");
    assert_int_equal(
        conf_load_again(STR("x"), STR("[server]\nchannels = x\n"), now, &other, &c, &p),
        ERR_SYNTAX);
    assert_int_equal(p.count, 1);
    arena_free(&other);
}

static void warnings(void **state)
{
    (void)state;
    const char *list[1] = {NULL};
    const struct conf *c = load("");
    assert_int_equal(conf_warnings(c, true, list, 1), 0);
    assert_int_equal(conf_warnings(c, false, list, 0), 1);
    assert_null(list[0]);
    assert_int_equal(conf_warnings(c, false, list, 1), 1);
    assert_non_null(strstr(list[0], "not started by root"));
    c = load("[server]\nuser = a\nworker_user = a\n");
    assert_int_equal(conf_warnings(c, true, list, 1), 1);
    assert_non_null(strstr(list[0], "are the same"));
    c = load("[server]\nuser = a\nworker_user = b\n");
    assert_int_equal(conf_warnings(c, true, list, 1), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(empty_file),
        cmocka_unit_test(documented_defaults),
        cmocka_unit_test(the_designs_example),
        cmocka_unit_test(listeners),
        cmocka_unit_test(every_problem_in_one_run),
        cmocka_unit_test(single_problems),
        cmocka_unit_test(orders),
        cmocka_unit_test(bounds_of_every_row),
        cmocka_unit_test(table_is_sound),
        cmocka_unit_test(caps),
        cmocka_unit_test(problems_are_capped),
        cmocka_unit_test(size_of_file),
        cmocka_unit_test(small_arenas),
        cmocka_unit_test(files),
        cmocka_unit_test(differences),
        cmocka_unit_test(loads_again),
        cmocka_unit_test(warnings),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
