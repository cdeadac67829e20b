// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
/*
 * ximss-bench: load for a XIMSS server, and what it costs the server. One process, one epoll loop.
 */
#include <arpa/inet.h>
#include <getopt.h>
#include <netinet/in.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/un.h>

#include "base/clock.h"
#include "tools/ximss-bench/bench.h"

enum { EXIT_FAILED = 1, EXIT_USAGE = 2 };

static const char help[] =
    "Usage: ximss-bench MODE [OPTION...]\n"
    "Loads a XIMSS server and prints one JSON line of figures.\n"
    "\n"
    "Modes:\n"
    "  noop, readTime   requests over connections that stay open\n"
    "  login            connect, log in, bye, again and again\n"
    "  idle             sessions that do nothing\n"
    "  lmtp             deliveries; connection i delivers to account i\n"
    "  notify           from a delivery to the event in a session that has the INBOX open\n"
    "  sync             over HTTP: batches of one noop, over connections that stay open\n"
    "  get              over HTTP: one file, over connections that stay open; no login\n"
    "  polls            over HTTP: polls that wait; with --lmtp, from an event to its poll\n"
    "  connect          over HTTP: connect, one GET, close, again and again; no login\n"
    "  spawn            start and end of a program: ximss-bench spawn [OPTION...] -- PROGRAM "
    "[ARG...]\n"
    "\n"
    "  -t, --to ADDRESS:PORT    the server's XIMSS or HTTP listener; IPv6 in brackets\n"
    "      --lmtp ADDRESS       its LMTP listener: ADDRESS:PORT or the path of a Unix socket\n"
    "      --tls                TLS from the first byte; full handshakes, nothing is verified\n"
    "      --no-login           a server that has no logins (an echo)\n"
    "      --no-first           login: no login of every account before, so that they come at "
    "once\n"
    "      --mix                sync: each request for the session that has rested longest\n"
    "      --resume             connect: all TLS sessions but the first are resumed\n"
    "      --path PATH          get, connect: of the URL; default /\n"
    "  -c, --connections N      default 1\n"
    "  -p, --pipeline N         requests in flight per connection; default 1\n"
    "  -d, --seconds S          time of measuring; default 2\n"
    "  -w, --warm S             time before it; idle, polls: rest before memory is read; default "
    "0.5\n"
    "  -n, --count N            notify, polls, spawn: how often; default 200\n"
    "      --parallel N         idle, sync, polls: logins at once; default 16\n"
    "  -s, --size BYTES         lmtp, notify, polls: of a message; default 1024\n"
    "      --accounts N         bench0@DOMAIN to benchN-1@DOMAIN, in turn; default 1\n"
    "      --domain DOMAIN      default harbor.example\n"
    "      --password WORD      of all accounts; default correct-horse\n"
    "      --server-pid PID     the server's first process: its CPU and memory are read, with its "
    "children's\n"
    "      --hold               idle: keep the sessions until the standard input ends\n"
    "  -h, --help               this text\n"
    "  -V, --version            the version\n"
    "\n"
    "Exit: 0 fine, 1 something failed, 2 usage.\n";

_Noreturn void fail(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    fputs("ximss-bench: ", stderr);
    vfprintf(stderr, fmt, ap);
    va_end(ap);
    fputc('\n', stderr);
    exit(EXIT_FAILED);
}

static _Noreturn void usage(const char *why)
{
    fprintf(stderr, "ximss-bench: %s\nximss-bench: --help lists the options\n", why);
    exit(EXIT_USAGE);
}

/* --- values */

static uint32_t number(const char *text, uint32_t min, uint32_t max)
{
    uint64_t n;
    if (str_u64(str_of(text), max, &n) != ERR_OK || n < min)
        usage("a number is out of range");
    return (uint32_t)n;
}

static double seconds(const char *text)
{
    char *end;
    double s = strtod(text, &end);
    if (end == text || *end != '\0' || !(s >= 0 && s <= 3600))
        usage("a time is out of range");
    return s;
}

static void unix_address(const char *path, struct address *a)
{
    struct sockaddr_un *un = (struct sockaddr_un *)(void *)&a->sa;
    size_t n = strlen(path);
    if (n >= sizeof un->sun_path)
        usage("a socket's path is too long");
    un->sun_family = AF_UNIX;
    memcpy(un->sun_path, path, n + 1);
    a->n = sizeof *un;
}

static struct address address(const char *text)
{
    struct address a = {.n = 0};
    struct sockaddr_in *v4 = (struct sockaddr_in *)(void *)&a.sa;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)(void *)&a.sa;
    char host[64];
    if (text[0] == '/') {
        unix_address(text, &a);
        return a;
    }
    const char *colon = strrchr(text, ':');
    size_t n = colon != NULL ? (size_t)(colon - text) : 0;
    if (n == 0 || n >= sizeof host)
        usage("an address is written 127.0.0.1:11024 or [::1]:11024");
    bool bracket = text[0] == '[' && text[n - 1] == ']';
    snprintf(host, sizeof host, "%.*s", (int)(bracket ? n - 2 : n), bracket ? text + 1 : text);
    uint16_t port = htons((uint16_t)number(colon + 1, 1, 65535));
    if (inet_pton(AF_INET, host, &v4->sin_addr) == 1) {
        v4->sin_family = AF_INET;
        v4->sin_port = port;
        a.n = sizeof *v4;
    } else if (inet_pton(AF_INET6, host, &v6->sin6_addr) == 1) {
        v6->sin6_family = AF_INET6;
        v6->sin6_port = port;
        a.n = sizeof *v6;
    } else {
        usage("an address is a number: names are not looked up");
    }
    return a;
}

/* --- options */

enum {
    OPT_LMTP = 256,
    OPT_TLS,
    OPT_NO_LOGIN,
    OPT_NO_FIRST,
    OPT_PARALLEL,
    OPT_ACCOUNTS,
    OPT_DOMAIN,
    OPT_PASSWORD,
    OPT_PID,
    OPT_HOLD,
    OPT_MIX,
    OPT_RESUME,
    OPT_PATH
};

/* Those without a value. */
static bool *flag(struct options *o, int c)
{
    switch (c) {
    case OPT_TLS:
        return &o->tls;
    case OPT_NO_LOGIN:
        return &o->no_login;
    case OPT_NO_FIRST:
        return &o->no_first;
    case OPT_HOLD:
        return &o->hold;
    case OPT_MIX:
        return &o->mix;
    case OPT_RESUME:
        return &o->resume;
    default:
        return NULL;
    }
}

static void option_more(struct options *o, int c)
{
    bool *set = flag(o, c);
    if (set != NULL) {
        *set = true;
        return;
    }
    switch (c) {
    case OPT_PATH:
        o->path = optarg;
        break;
    case OPT_PARALLEL:
        o->parallel = number(optarg, 1, 1000);
        break;
    case OPT_ACCOUNTS:
        o->accounts = number(optarg, 1, 100000);
        break;
    case OPT_DOMAIN:
        o->domain = optarg;
        break;
    case OPT_PASSWORD:
        o->password = optarg;
        break;
    case OPT_PID:
        o->server = (pid_t)number(optarg, 1, INT32_MAX);
        break;
    case 'h':
        fputs(help, stdout);
        exit(0);
    case 'V':
        puts("ximss-bench " XIMSSD_VERSION);
        exit(0);
    default:
        usage("unknown option");
    }
}

static void option(struct options *o, int c)
{
    switch (c) {
    case 't':
        o->to = address(optarg);
        o->has_to = true;
        break;
    case OPT_LMTP:
        o->lmtp = address(optarg);
        o->has_lmtp = true;
        break;
    case 'c':
        o->connections = number(optarg, 1, 100000);
        break;
    case 'p':
        o->pipeline = number(optarg, 1, 10000);
        break;
    case 'd':
        o->seconds = seconds(optarg);
        break;
    case 'w':
        o->warm = seconds(optarg);
        break;
    case 'n':
        o->count = number(optarg, 1, 1000000);
        break;
    case 's':
        o->size = number(optarg, 1, 64u << 20);
        break;
    default:
        option_more(o, c);
        break;
    }
}

static void parse(struct options *o, int argc, char **argv)
{
    static const struct option longs[] = {{"to", required_argument, NULL, 't'},
                                          {"lmtp", required_argument, NULL, OPT_LMTP},
                                          {"tls", no_argument, NULL, OPT_TLS},
                                          {"no-login", no_argument, NULL, OPT_NO_LOGIN},
                                          {"no-first", no_argument, NULL, OPT_NO_FIRST},
                                          {"connections", required_argument, NULL, 'c'},
                                          {"pipeline", required_argument, NULL, 'p'},
                                          {"seconds", required_argument, NULL, 'd'},
                                          {"warm", required_argument, NULL, 'w'},
                                          {"count", required_argument, NULL, 'n'},
                                          {"parallel", required_argument, NULL, OPT_PARALLEL},
                                          {"size", required_argument, NULL, 's'},
                                          {"accounts", required_argument, NULL, OPT_ACCOUNTS},
                                          {"domain", required_argument, NULL, OPT_DOMAIN},
                                          {"password", required_argument, NULL, OPT_PASSWORD},
                                          {"server-pid", required_argument, NULL, OPT_PID},
                                          {"hold", no_argument, NULL, OPT_HOLD},
                                          {"mix", no_argument, NULL, OPT_MIX},
                                          {"resume", no_argument, NULL, OPT_RESUME},
                                          {"path", required_argument, NULL, OPT_PATH},
                                          {"help", no_argument, NULL, 'h'},
                                          {"version", no_argument, NULL, 'V'},
                                          {NULL, 0, NULL, 0}};
    for (int c; (c = getopt_long(argc, argv, "t:c:p:d:w:n:s:hV", longs, NULL)) != -1;)
        option(o, c);
    if (optind == argc)
        usage("a mode is missing");
    o->mode = argv[optind++];
    o->argv = argv + optind;
    if (strlen(o->domain) > 253 || strlen(o->password) > 256 || strlen(o->path) > 1000)
        usage("the domain, the password or the path is too long");
}

static void prepare(struct options *o)
{
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &files);
    }
    signal(SIGPIPE, SIG_IGN);
    clock_init();
    if (!o->tls)
        return;
    o->ctx = SSL_CTX_new(TLS_client_method());
    if (o->ctx == NULL)
        fail("TLS: no memory");
    SSL_CTX_set_mode(o->ctx, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                                 SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_session_cache_mode(o->ctx, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_verify(o->ctx, SSL_VERIFY_NONE, NULL);
}

/* --- modes */

static const struct mode {
    const char *name;
    bool to, lmtp, args; /* has to be given */
    void (*run)(const struct options *o);
} modes[] = {
    {"noop", true, false, false, run_requests},  {"readTime", true, false, false, run_requests},
    {"login", true, false, false, run_login},    {"idle", true, false, false, run_idle},
    {"lmtp", false, true, false, run_lmtp},      {"notify", true, true, false, run_notify},
    {"sync", true, false, false, run_http_load}, {"get", true, false, false, run_http_load},
    {"polls", true, false, false, run_polls},    {"connect", true, false, false, run_connect},
    {"spawn", false, false, true, run_spawn}};

static const struct mode *mode_of(const struct options *o)
{
    for (size_t i = 0; i < ARRAY_LEN(modes); i++) {
        if (strcmp(o->mode, modes[i].name) == 0)
            return &modes[i];
    }
    usage("unknown mode");
}

int main(int argc, char **argv)
{
    struct options o = {.connections = 1,
                        .pipeline = 1,
                        .accounts = 1,
                        .count = 200,
                        .parallel = 16,
                        .size = 1024,
                        .seconds = 2,
                        .warm = 0.5,
                        .domain = "harbor.example",
                        .password = "correct-horse",
                        .path = "/"};
    parse(&o, argc, argv);
    const struct mode *mode = mode_of(&o);
    if (mode->args != (o.argv[0] != NULL))
        usage(mode->args ? "spawn what?" : "only spawn takes arguments");
    if ((mode->to && !o.has_to) || (mode->lmtp && !o.has_lmtp))
        usage("this mode needs --to, --lmtp or both");
    if (o.resume && !o.tls)
        usage("only TLS sessions are resumed");
    prepare(&o);
    mode->run(&o);
    SSL_CTX_free(o.ctx);
    return 0;
}
