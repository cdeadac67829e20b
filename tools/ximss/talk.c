// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
/*
 * talk: the interactive form. A line is a message; the word starttls, once the server has agreed to it, begins the
 * handshake. At the end of input the connection is half-closed: the server answers what it has and closes.
 */
#include <errno.h>
#include <poll.h>
#include <unistd.h>

#include "tools/ximss/play.h"

#define LINE_MAX_BYTES ((size_t)256 << 20)

struct talk {
    struct link link;
    struct buf typed; /* what has been read of standard input and makes no line yet */
    bool ended;       /* no more will be typed */
};

/* Every whole message that has come. */
static enum link_state show_all(struct talk *t, bool wait)
{
    struct str msg;
    enum link_state st;
    while ((st = link_next(&t->link, wait, &msg)) == LINK_OK)
        play_show(0, 1, msg);
    return st;
}

/* `line` has room for one byte behind it. */
static enum link_state say(struct talk *t, char *line, size_t n)
{
    struct str s = str_trim((struct str){line, n});
    if (s.n == 0)
        return LINK_OK;
    if (str_eq(s, STR("starttls"))) {
        enum link_state st = show_all(t, false);
        return st == LINK_TIMEOUT ? link_start_tls(&t->link) : st;
    }
    line[n] = 0;
    return link_send(&t->link, (struct str){line, n + 1});
}

/* One read of standard input, and all lines that are whole now. */
static enum link_state read_lines(struct talk *t)
{
    size_t begin = 0, looked = t->typed.n;
    char *room = buf_room(&t->typed, 65536);
    ssize_t n = room != NULL ? read(STDIN_FILENO, room, 65535) : 0;
    if (n < 0 && errno == EINTR)
        return LINK_OK;
    if (n > 0)
        buf_grow(&t->typed, (size_t)n);
    else
        t->ended = true;
    for (size_t i = looked; i < t->typed.n; i++) {
        if (t->typed.p[i] != '\n')
            continue;
        enum link_state st = say(t, t->typed.p + begin, i - begin);
        if (st != LINK_OK)
            return st;
        begin = i + 1;
    }
    buf_consume(&t->typed, begin);
    if (!t->ended)
        return LINK_OK;
    enum link_state st = t->typed.n != 0 ? say(t, t->typed.p, t->typed.n) : LINK_OK;
    link_half_close(&t->link);
    return st;
}

static enum link_state round_of(struct talk *t)
{
    struct pollfd p[2] = {{.fd = t->link.fd, .events = POLLIN},
                          {.fd = STDIN_FILENO, .events = POLLIN}};
    enum link_state st = show_all(t, false);
    if (st != LINK_TIMEOUT)
        return st;
    if (poll(p, 2, -1) < 0 && errno != EINTR)
        return LINK_FAILED;
    return p[1].revents != 0 ? read_lines(t) : LINK_OK;
}

int talk(const struct play_options *opt)
{
    struct talk t = {.ended = false};
    enum link_state st = LINK_OK;
    link_init(&t.link);
    buf_init(&t.typed, LINE_MAX_BYTES);
    if (!play_connect(&t.link, opt, opt->tls)) {
        link_close(&t.link);
        return EXIT_NO_SERVER;
    }
    while (st == LINK_OK && !t.ended)
        st = round_of(&t);
    if (st == LINK_OK)
        st = show_all(&t, true);
    if (st != LINK_CLOSED)
        fprintf(stderr, "ximss: %s\n", t.link.problem);
    link_close(&t.link);
    buf_free(&t.typed);
    return st == LINK_CLOSED ? EXIT_FINE : EXIT_MISMATCH;
}
