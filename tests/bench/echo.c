// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
/*
 * echo-bench: the floor that the figures of ximss-bench are compared with.
 *
 *   echo-bench echo PORT [CERTIFICATE KEY]   sends back what comes, on 127.0.0.1; one process, epoll; TLS with a
 *                                            certificate. It does what no server could leave out, and nothing else.
 *   echo-bench append FILE SIZE SECONDS      appends SIZE bytes and calls fdatasync, again and again: prints the rate
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define BATCH 256
#define ROOM  65536

struct peer {
    SSL *ssl;
    int fd;
    int shaken;
};

static _Noreturn void die(const char *what)
{
    perror(what);
    exit(1);
}

/* --- echo */

static int open_listener(uint16_t port)
{
    struct sockaddr_in sa = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int one = 1;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(fd, (const struct sockaddr *)&sa, sizeof sa) != 0 || listen(fd, 511) != 0)
        die("listen");
    return fd;
}

static SSL_CTX *open_tls(const char *certificate, const char *key)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
    if (ctx == NULL || SSL_CTX_use_certificate_chain_file(ctx, certificate) != 1 ||
        SSL_CTX_use_PrivateKey_file(ctx, key, SSL_FILETYPE_PEM) != 1) {
        ERR_print_errors_fp(stderr);
        exit(1);
    }
    SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_num_tickets(ctx, 0);
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
    return ctx;
}

static void drop(struct peer *p)
{
    SSL_free(p->ssl);
    close(p->fd);
    free(p);
}

static void take_new(int poll, int listener, SSL_CTX *ctx)
{
    int fd, one = 1;
    while ((fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
        struct peer *p = calloc(1, sizeof *p);
        struct epoll_event e = {.events = EPOLLIN, .data.ptr = p};
        if (p == NULL)
            die("calloc");
        p->fd = fd;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        if (ctx != NULL) {
            p->ssl = SSL_new(ctx);
            SSL_set_fd(p->ssl, fd);
            SSL_set_accept_state(p->ssl);
        }
        if (epoll_ctl(poll, EPOLL_CTL_ADD, fd, &e) != 0)
            die("epoll_ctl");
    }
}

/* The peer reads all that it asks for: a short write ends its connection. */
static void serve_tls(struct peer *p)
{
    static char in[ROOM];
    size_t have = 0, n;
    ERR_clear_error();
    if (!p->shaken) {
        int rc = SSL_do_handshake(p->ssl);
        p->shaken = rc == 1;
        if (rc != 1) {
            if (SSL_get_error(p->ssl, rc) != SSL_ERROR_WANT_READ)
                drop(p);
            return;
        }
    }
    int rc;
    while ((rc = SSL_read_ex(p->ssl, in + have, sizeof in - have, &n)) == 1 && have + n < sizeof in)
        have += n;
    if (have != 0 && SSL_write_ex(p->ssl, in, have, &n) != 1)
        drop(p);
    else if (rc != 1 && SSL_get_error(p->ssl, rc) != SSL_ERROR_WANT_READ)
        drop(p);
}

static void serve_clear(struct peer *p)
{
    static char in[ROOM];
    ssize_t n = recv(p->fd, in, sizeof in, 0);
    if (n > 0)
        n = send(p->fd, in, (size_t)n, MSG_NOSIGNAL) == n ? n : 0;
    if (n == 0 || (n < 0 && errno != EAGAIN))
        drop(p);
}

static _Noreturn void run_echo(int argc, char **argv)
{
    struct rlimit files;
    SSL_CTX *ctx = argc == 5 ? open_tls(argv[3], argv[4]) : NULL;
    int listener = open_listener((uint16_t)strtoul(argv[2], NULL, 10)), poll = epoll_create1(0);
    struct epoll_event e[BATCH] = {{.events = EPOLLIN}};
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    epoll_ctl(poll, EPOLL_CTL_ADD, listener, &e[0]);
    puts("serving");
    fflush(stdout);
    for (;;) {
        int n = epoll_wait(poll, e, BATCH, -1);
        for (int i = 0; i < n; i++) {
            struct peer *p = e[i].data.ptr;
            if (p == NULL)
                take_new(poll, listener, ctx);
            else if (p->ssl != NULL)
                serve_tls(p);
            else
                serve_clear(p);
        }
    }
}

/* --- append */

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static int run_append(char **argv)
{
    size_t size = strtoul(argv[3], NULL, 10);
    double seconds = strtod(argv[4], NULL), began, took;
    unsigned long n = 0;
    char *bytes = calloc(1, size + 1);
    int fd = open(argv[2], O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (bytes == NULL || fd < 0)
        die(argv[2]);
    began = now();
    do {
        if (write(fd, bytes, size) != (ssize_t)size || fdatasync(fd) != 0)
            die("append");
        n++;
        took = now() - began;
    } while (took < seconds);
    unlink(argv[2]);
    free(bytes);
    printf("{\"mode\":\"append\",\"ops\":%lu,\"seconds\":%.3f,\"rate\":%.1f}\n", n, took,
           (double)n / took);
    return 0;
}

int main(int argc, char **argv)
{
    if ((argc == 3 || argc == 5) && strcmp(argv[1], "echo") == 0)
        run_echo(argc, argv);
    if (argc == 5 && strcmp(argv[1], "append") == 0)
        return run_append(argv);
    fputs("usage: echo-bench echo PORT [CERTIFICATE KEY] | echo-bench append FILE SIZE SECONDS\n",
          stderr);
    return 2;
}
