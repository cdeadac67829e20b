// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "net/listen.h"
#include "tests/unit/net/net_test.h"

static uint16_t port_of(int fd)
{
    struct listen_addr a;
    OK(listen_addr_local(fd, &a));
    return a.port;
}

static int dial(const char *host, uint16_t port)
{
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(port)};
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
    bool v6 = strchr(host, ':') != NULL;
    int fd = socket(v6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int rc;
    assert_int_equal(inet_pton(v6 ? AF_INET6 : AF_INET, host,
                               v6 ? (void *)&in6.sin6_addr : (void *)&in.sin_addr),
                     1);
    rc = v6 ? connect(fd, (struct sockaddr *)&in6, sizeof in6)
            : connect(fd, (struct sockaddr *)&in, sizeof in);
    if (rc == 0)
        return fd;
    close(fd);
    return -1;
}

static void addr_is(const uint8_t ip[16], uint16_t port, const char *text, const char *port_text)
{
    struct listen_addr a = {.port = port, .family = LISTEN_IP};
    char to[LISTEN_TEXT];
    memcpy(a.ip, ip, 16);
    assert_string_equal(listen_addr_text(&a, to), text);
    assert_string_equal(listen_addr_port_text(&a, to), port_text);
}

/* The forms of protocol 1, 1.9. */
static void address_texts(void **state)
{
    (void)state;
    static const uint8_t v4[16] = {
        [10] = 0xff, [11] = 0xff, [12] = 192, [13] = 0, [14] = 2, [15] = 7};
    static const uint8_t v6[16] = {0x20, 0x01, 0x0d, 0xb8, [15] = 7};
    static const uint8_t full[16] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
                                     0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
    struct listen_addr local = {.family = LISTEN_LOCAL};
    char to[LISTEN_TEXT];
    addr_is(v4, 5060, "[192.0.2.7]", "[192.0.2.7]:5060");
    addr_is(v6, 5060, "[2001:db8::7]", "[2001:db8::7]:5060");
    addr_is(full, 65535, "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]",
            "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535");
    assert_string_equal(listen_addr_port_text(&local, to), "[local]");
    assert_true(listen_addr_is_loopback(&local));
}

static void hosts(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",          "localhost", "1.2.3",
        "1.2.3.4.5", "[::1]",     "::1%lo",
        "**",        "256.1.1.1", "1111:2222:3333:4444:5555:6666:7777:8888:9999:aaaa:bbbb"};
    int fd;
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_int_equal(listen_bind(str_of(bad[i]), 0, 5, false, &fd), ERR_SYNTAX);
    OK(listen_bind(STR("127.0.0.1"), 0, 5, false, &fd));
    assert_true(fcntl(fd, F_GETFL) & O_NONBLOCK);
    assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
    uint16_t port = port_of(fd);
    assert_true(listen_is_bound(fd, STR("127.0.0.1"), port));
    assert_false(listen_is_bound(fd, STR("127.0.0.1"), (uint16_t)(port + 1)));
    assert_false(listen_is_bound(fd, STR("127.0.0.2"), port));
    assert_false(listen_is_bound(fd, STR("*"), port));
    int second;
    assert_int_equal(listen_bind(STR("127.0.0.1"), port, 5, false, &second), ERR_EXISTS);
    assert_int_equal(errno, EADDRINUSE);
    close(fd);
    /* 192.0.2.0/24 is documentation: nobody has it. */
    assert_int_equal(listen_bind(STR("192.0.2.7"), 0, 5, false, &fd), ERR_SYS);
}

static void star_takes_both_families(void **state)
{
    (void)state;
    int fd, more;
    OK(listen_bind(STR("*"), 0, 5, true, &fd));
    uint16_t port = port_of(fd);
    assert_true(listen_is_bound(fd, STR("*"), port));
    OK(listen_bind(STR("*"), port, 5, true, &more)); /* a second worker */
    close(more);
    int v4 = dial("127.0.0.1", port);
    assert_true(v4 >= 0);
    int probe = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (probe >= 0) {
        close(probe);
        int v6 = dial("::1", port);
        assert_true(v6 >= 0 || errno == EADDRNOTAVAIL);
        if (v6 >= 0)
            close(v6);
    }
    /* IPv4 is shown as IPv4 although it came through an IPv6 socket. */
    char text[LISTEN_TEXT];
    struct listen_addr a;
    int got = accept(fd, NULL, NULL);
    assert_true(got >= 0);
    OK(listen_addr_peer(got, &a));
    assert_string_equal(listen_addr_text(&a, text), "[127.0.0.1]");
    assert_true(listen_addr_is_loopback(&a));
    close(got);
    close(v4);
    close(fd);
}

static void unix_sockets(void **state)
{
    (void)state;
    char dir[] = "/tmp/ximss-net-XXXXXX", path[64], file[64], target[150];
    struct stat st;
    int fd, again;
    assert_non_null(mkdtemp(dir));
    snprintf(path, sizeof path, "%s/lmtp", dir);
    snprintf(file, sizeof file, "%s/file", dir);
    OK(listen_bind_unix(str_of(path), 0660, 5, &fd));
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0660);
    assert_true(listen_is_bound_unix(fd, str_of(path)));
    assert_false(listen_is_bound_unix(fd, str_of(file)));
    assert_int_equal(listen_bind_unix(str_of(path), 0660, 5, &again), ERR_EXISTS);
    close(fd); /* the file stays: stale */
    OK(listen_bind_unix(str_of(path), 0600, 5, &fd));
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    close(fd);
    /* Somebody's file is never removed. */
    int f = open(file, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    close(f);
    assert_int_equal(listen_bind_unix(str_of(file), 0660, 5, &fd), ERR_EXISTS);
    assert_int_equal(stat(file, &st), 0);
    /* 107 bytes fit, 108 do not. */
    size_t at = (size_t)snprintf(target, sizeof target, "%s/", dir);
    memset(target + at, 'x', sizeof target - at);
    OK(listen_bind_unix((struct str){target, 107}, 0660, 5, &fd));
    close(fd);
    assert_int_equal(listen_bind_unix((struct str){target, 108}, 0660, 5, &fd), ERR_TOO_LONG);
    target[107] = '\0';
    unlink(target);
    unlink(path);
    unlink(file);
    assert_int_equal(rmdir(dir), 0);
}

/* --- accepting */

struct desk {
    struct listener l;
    int fds[64];
    int count, closed, close_at;
};

static struct world w;

static void on_closed(void *arg)
{
    ((struct desk *)arg)->closed = 1;
}

static void on_accept(void *arg, int fd, const struct listen_addr *peer)
{
    struct desk *d = arg;
    assert_int_equal(peer->family, LISTEN_IP);
    assert_true(fcntl(fd, F_GETFL) & O_NONBLOCK);
    d->fds[d->count++] = fd;
    if (d->count == d->close_at)
        listen_close(&d->l, on_closed);
}

static void open_desk(struct desk *d)
{
    int fd;
    *d = (struct desk){0};
    world_open(&w, &CONN_OPTIONS_DEFAULT);
    OK(listen_bind(STR("127.0.0.1"), 0, 64, false, &fd));
    OK(listen_open(&d->l, w.loop, fd, on_accept, d));
}

static void close_desk(struct desk *d)
{
    listen_close(&d->l, on_closed);
    while (!d->closed)
        spin(&w, 1);
    for (int i = 0; i < d->count; i++)
        close(d->fds[i]);
    world_close(&w);
}

static void accepts_in_batches(void **state)
{
    (void)state;
    struct desk d;
    int peers[40], nodelay = 0;
    socklen_t len = sizeof nodelay;
    open_desk(&d);
    uint16_t port = port_of(d.l.fd);
    for (int i = 0; i < 40; i++)
        assert_true((peers[i] = dial("127.0.0.1", port)) >= 0);
    for (int before = 0, rounds = 0; d.count < 40; before = d.count) {
        assert_true(rounds++ < 45); /* one at least each round */
        spin(&w, 1);                /* two looks at the descriptors */
        assert_true(d.count - before <= 2 * LISTEN_BATCH);
    }
    assert_int_equal(getsockopt(d.fds[7], IPPROTO_TCP, TCP_NODELAY, &nodelay, &len), 0);
    assert_true(nodelay);
    listen_accept(&d.l, false);
    int waiting = dial("127.0.0.1", port);
    spin(&w, 5);
    assert_int_equal(d.count, 40);
    listen_accept(&d.l, true);
    spin(&w, 3);
    assert_int_equal(d.count, 41);
    close(waiting);
    for (int i = 0; i < 40; i++)
        close(peers[i]);
    close_desk(&d);
}

static void closing_inside_of_a_batch(void **state)
{
    (void)state;
    struct desk d;
    int peers[10];
    open_desk(&d);
    d.close_at = 3;
    uint16_t port = port_of(d.l.fd);
    for (int i = 0; i < 10; i++)
        assert_true((peers[i] = dial("127.0.0.1", port)) >= 0);
    spin(&w, 5);
    assert_int_equal(d.count, 3);
    assert_int_equal(d.closed, 1);
    for (int i = 0; i < 10; i++)
        close(peers[i]);
    close_desk(&d);
}

/* Out of descriptors: who comes is told at once, nothing spins, and afterwards all is as before. */
static void no_descriptors_left(void **state)
{
    (void)state;
    struct desk d;
    struct rlimit old, low;
    int peers[3], hog[256], n = 0;
    char byte;
    open_desk(&d);
    uint16_t port = port_of(d.l.fd);
    spin(&w, 1);
    for (int i = 0; i < 3; i++)
        assert_true((peers[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) >= 0);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
    low = old;
    low.rlim_cur = 64;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
    while (n < 256 && (hog[n] = dup(0)) >= 0)
        n++;
    for (int i = 0; i < 3; i++) {
        struct sockaddr_in in = {.sin_family = AF_INET,
                                 .sin_port = htons(port),
                                 .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        assert_int_equal(connect(peers[i], (struct sockaddr *)&in, sizeof in), 0);
    }
    spin(&w, 5);
    assert_int_equal(d.count, 0);
    assert_int_equal(d.l.dropped, 3);
    for (int i = 0; i < 3; i++)
        assert_true(recv(peers[i], &byte, 1, 0) <= 0);
    while (n > 0)
        close(hog[--n]);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
    int late = dial("127.0.0.1", port);
    spin(&w, 3);
    assert_int_equal(d.count, 1);
    close(late);
    for (int i = 0; i < 3; i++)
        close(peers[i]);
    close_desk(&d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(address_texts),
                                       cmocka_unit_test(hosts),
                                       cmocka_unit_test(star_takes_both_families),
                                       cmocka_unit_test(unix_sockets),
                                       cmocka_unit_test(accepts_in_batches),
                                       cmocka_unit_test(closing_inside_of_a_batch),
                                       cmocka_unit_test(no_descriptors_left)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
