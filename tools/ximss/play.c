// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#include "tools/ximss/play.h"

#include <poll.h>
#include <unistd.h>

#include "base/clock.h"
#include "tools/ximss/mail.h"
#include "tools/ximss/match.h"

#define LINKS    10
#define SAID_MAX ((size_t)256 << 20) /* what one connection says in one write */

struct player {
    const struct script *script;
    const struct play_options *opt;
    struct arena *arena;
    struct link link[LINKS];
    struct buf said[LINKS]; /* what waits to be sent */
    struct match_names names;
};

/* --- printing */

void play_show(char letter, unsigned who, struct str text)
{
    bool tty = isatty(STDOUT_FILENO) == 1;
    if (letter != 0)
        printf(who == 1 ? "%c: " : "%c%u: ", letter, who);
    for (size_t i = 0; i < text.n; i++) {
        bool control = (unsigned char)text.p[i] < 0x20 || text.p[i] == 0x7f;
        fputs(tty && control ? "\xef\xbf\xbd" : "", stdout);
        if (!tty || !control)
            putchar(text.p[i]);
    }
    putchar('\n');
    fflush(stdout);
}

static void show(const struct player *p, char letter, unsigned who, struct str text)
{
    if (!p->opt->quiet)
        play_show(letter, who, text);
}

static int mismatch(const struct player *p, const struct step *st, struct str want, const char *got,
                    struct str text)
{
    printf("%s:%u:\nwant %.*s\ngot  %s%.*s\n", p->script->path, st->line, STR_FMT(want), got,
           STR_FMT(text));
    return EXIT_MISMATCH;
}

/* What came instead of a message. */
static int no_message(const struct player *p, const struct step *st, struct str want,
                      enum link_state state)
{
    const struct link *l = &p->link[st->who];
    struct str why =
        state == LINK_CLOSED ? STR("the server closed the connection") : str_of(l->problem);
    return mismatch(p, st, want, "", why);
}

/* --- connections */

bool play_connect(struct link *l, const struct play_options *opt, bool tls)
{
    const char *address = tls && !opt->tls ? opt->tls_address : opt->address;
    enum link_state st = link_open(l, address, &opt->link);
    if (st == LINK_OK && tls)
        st = link_start_tls(l);
    if (st != LINK_OK)
        fprintf(stderr, "ximss: %s: %s\n", address, l->problem);
    return st == LINK_OK;
}

static bool open_if_closed(struct player *p, unsigned who)
{
    return p->link[who].fd >= 0 || play_connect(&p->link[who], p->opt, p->opt->tls);
}

/* What one client says in a row leaves in one write: pipelining is the normal case. */
static int flush(struct player *p)
{
    for (unsigned who = 0; who < LINKS; who++) {
        struct buf *said = &p->said[who];
        if (said->n == 0)
            continue;
        if (!open_if_closed(p, who))
            return EXIT_NO_SERVER;
        if (link_send(&p->link[who], buf_slice(said)) != LINK_OK) {
            printf("%s: connection %u: %s\n", p->script->path, who, p->link[who].problem);
            return EXIT_MISMATCH;
        }
        buf_clear(said);
    }
    return EXIT_FINE;
}

/* --- steps */

static int send_later(struct player *p, const struct step *st)
{
    struct buf *said = &p->said[st->who];
    size_t from = said->n;
    match_fill(st->text, &p->names, said);
    buf_char(said, 0);
    if (buf_err(said) != ERR_OK) {
        fprintf(stderr, "%s:%u: too much in one write\n", p->script->path, st->line);
        return EXIT_SCRIPT;
    }
    show(p, 'C', st->who, str_sub(buf_slice(said), from, said->n - from - 1));
    return EXIT_FINE;
}

static int expect(struct player *p, const struct step *st)
{
    struct str got;
    enum link_state state = link_next(&p->link[st->who], true, &got);
    if (state != LINK_OK)
        return no_message(p, st, st->text, state);
    show(p, 'S', st->who, got);
    /* The names that are remembered point into it. */
    struct str kept = str_find(st->text, '=') < st->text.n ? arena_str(p->arena, got) : got;
    if (kept.p == NULL || !match_text(st->text, kept, &p->names))
        return mismatch(p, st, st->text, "", got);
    return EXIT_FINE;
}

static int expect_closed(struct player *p, const struct step *st)
{
    struct str got;
    enum link_state state = link_next(&p->link[st->who], true, &got);
    if (state == LINK_OK)
        return mismatch(p, st, STR("the end of the connection"), "", got);
    if (state != LINK_CLOSED)
        return no_message(p, st, STR("the end of the connection"), state);
    show(p, 'X', st->who, STR(""));
    link_close(&p->link[st->who]);
    return EXIT_FINE;
}

static int connect_step(struct player *p, const struct step *st)
{
    bool tls = st->tls || p->opt->tls;
    if (tls && !p->opt->tls && p->opt->tls_address == NULL) {
        fprintf(stderr, "%s:%u: this needs --tls-address\n", p->script->path, st->line);
        return EXIT_SCRIPT;
    }
    link_close(&p->link[st->who]);
    return play_connect(&p->link[st->who], p->opt, tls) ? EXIT_FINE : EXIT_NO_SERVER;
}

static int starttls_step(struct player *p, const struct step *st)
{
    struct link *l = &p->link[st->who];
    if (link_start_tls(l) == LINK_OK)
        return EXIT_FINE;
    fprintf(stderr, "%s:%u: %s\n", p->script->path, st->line, l->problem);
    return EXIT_NO_SERVER;
}

static int left_out(const struct player *p, const struct step *st)
{
    fprintf(stderr, "%s:%u: left out: %.*s\n", p->script->path, st->line, STR_FMT(st->text));
    return EXIT_FINE;
}

static int mail_step(struct player *p, const struct step *st)
{
    struct str word, to, rest = st->text;
    bool whole = str_split(&rest, ' ', &word) && str_split(&rest, ' ', &to) && rest.n != 0;
    struct str path = whole ? arena_str(p->arena, rest) : STR_NONE;
    if (p->opt->lmtp == NULL)
        return left_out(p, st);
    if (path.p == NULL) {
        fprintf(stderr, "%s:%u: mail needs an address and a file\n", p->script->path, st->line);
        return EXIT_SCRIPT;
    }
    return mail_deliver(p->opt->lmtp, &p->opt->link, to, path.p);
}

static int on_open_link(struct player *p, const struct step *st)
{
    if (st->kind != STEP_CONNECT && !open_if_closed(p, st->who))
        return EXIT_NO_SERVER;
    switch (st->kind) {
    case STEP_EXPECT:
        return expect(p, st);
    case STEP_CLOSED:
        return expect_closed(p, st);
    case STEP_CONNECT:
        return connect_step(p, st);
    case STEP_STARTTLS:
        return starttls_step(p, st);
    default:
        link_half_close(&p->link[st->who]);
        return EXIT_FINE;
    }
}

static int run_step(struct player *p, const struct step *st)
{
    if (st->kind == STEP_SEND)
        return send_later(p, st);
    int code = flush(p);
    if (code != EXIT_FINE)
        return code;
    switch (st->kind) {
    case STEP_RUNNER:
    case STEP_RUNNER_NOW:
        return left_out(p, st);
    case STEP_MAIL:
        return mail_step(p, st);
    case STEP_WAIT:
        (void)poll(NULL, 0, (int)(st->wait / CLOCK_MS));
        return EXIT_FINE;
    default:
        return on_open_link(p, st);
    }
}

/* Nothing may have been said that the script does not expect. */
static int check_rest(const struct player *p)
{
    for (unsigned who = 0; who < LINKS; who++) {
        struct str rest = link_rest(&p->link[who]);
        if (rest.n != 0) {
            printf("%s: at the end:\nwant nothing\ngot  %.*s\n", p->script->path, STR_FMT(rest));
            return EXIT_MISMATCH;
        }
    }
    return EXIT_FINE;
}

static bool can_play(const struct script *s, const struct play_options *opt)
{
    for (size_t i = 0; opt->strict && i < s->n; i++) {
        bool mail = s->steps[i].kind == STEP_MAIL && opt->lmtp == NULL;
        if (mail || s->steps[i].kind == STEP_RUNNER_NOW) {
            fprintf(stderr, "%s:%u: %s: %.*s\n", s->path, s->steps[i].line,
                    mail ? "this needs --lmtp" : "only the test runner can do this",
                    STR_FMT(s->steps[i].text));
            return false;
        }
    }
    return true;
}

int play(const struct script *s, const struct play_options *opt, struct arena *a)
{
    struct player p = {.script = s, .opt = opt, .arena = a};
    int code = EXIT_FINE;
    if (!can_play(s, opt))
        return EXIT_SCRIPT;
    for (unsigned who = 0; who < LINKS; who++) {
        link_init(&p.link[who]);
        buf_init(&p.said[who], SAID_MAX);
    }
    for (size_t i = 0; i < s->n && code == EXIT_FINE; i++)
        code = run_step(&p, &s->steps[i]);
    if (code == EXIT_FINE)
        code = flush(&p);
    if (code == EXIT_FINE)
        code = check_rest(&p);
    for (unsigned who = 0; who < LINKS; who++) {
        link_close(&p.link[who]);
        buf_free(&p.said[who]);
    }
    return code;
}
