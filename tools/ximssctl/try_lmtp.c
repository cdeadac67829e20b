// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#include <stdio.h>

#include "base/clock.h"
#include "tools/ximssctl/try.h"

#define LINES 100 /* of one reply */

/* A reply (RFC 5321, 4.2): its code, and the text of its last line in `text`. */
static enum link_state read_reply(struct link *l, char code[4], char text[TRY_DETAIL])
{
    for (int i = 0; i < LINES; i++) {
        struct str line;
        enum link_state st = link_line(l, &line);
        if (st != LINK_OK)
            return st;
        line = str_trim(line);
        snprintf(code, 4, "%.*s", STR_FMT(str_sub(line, 0, 3)));
        snprintf(text, TRY_DETAIL, "%.*s", STR_FMT(line));
        if (line.n < 4 || line.p[3] != '-')
            return LINK_OK;
    }
    snprintf(l->problem, sizeof l->problem, "a reply without end");
    return LINK_FAILED;
}

/* Says a line (NULL: nothing) and judges the reply by its first digit. */
static bool say(struct trial *t, const char *step, const char *line)
{
    char code[4], text[TRY_DETAIL];
    enum link_state st = line != NULL ? link_send(&t->link, str_of(line)) : LINK_OK;
    if (st == LINK_OK)
        st = read_reply(&t->link, code, text);
    if (st != LINK_OK)
        return try_link_failed(t, step, st);
    return try_step(t, step, code[0] == '2', "%s", text);
}

void try_lmtp(struct trial *t, const char *address, bool tls)
{
    char rcpt[1024], host[CONF_NAME_MAX + 1];
    bool has_domain = strchr(t->name, '@') != NULL;
    snprintf(host, sizeof host, "%.*s", STR_FMT(t->domain));
    struct link_options opt = {
        .insecure = true, .timeout = TRY_PATIENCE, .name = host, .no_alpn = true};
    int n = snprintf(rcpt, sizeof rcpt, "RCPT TO:<%s%s%s>\r\n", t->name, has_domain ? "" : "@",
                     has_domain ? "" : host);
    if ((size_t)n >= sizeof rcpt || strpbrk(t->name, "\r\n<>") != NULL) {
        t->began = clock_mono();
        try_step(t, "recipient", false, "that is no address");
        return;
    }
    if (!try_connect(t, address, &opt) || (tls && !try_handshake(t)) || !say(t, "greeting", NULL) ||
        !say(t, "LHLO", "LHLO localhost\r\n") || !say(t, "sender", "MAIL FROM:<>\r\n") ||
        !say(t, "recipient", rcpt))
        return;
    say(t, "bye", "QUIT\r\n");
}
