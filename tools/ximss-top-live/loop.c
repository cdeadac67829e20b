// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
/*
 * ximss-top-live: the full screen of ximss-top, which becomes this program on a terminal. It takes the same options and
 * speaks under the same name. Where there can be no full screen it says so and prints as `ximss-top --plain` does.
 *
 * All signals that end, stop or resize come through a descriptor, in step with everything else: the terminal is always
 * given back in one piece.
 */
#include <locale.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "tools/ximss-top-live/live.h"
#include "tools/ximss-top/rundir.h"
#include "tools/ximss-top/show.h"

enum { KEYS, SIGNALS, CONTROL, POLLED };

static int signals_take(sigset_t *mine)
{
    static const int list[] = {SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGTSTP, SIGCONT, SIGWINCH};
    sigemptyset(mine);
    for (size_t i = 0; i < ARRAY_LEN(list); i++)
        sigaddset(mine, list[i]);
    int fd = signalfd(-1, mine, SFD_CLOEXEC | SFD_NONBLOCK);
    if (fd >= 0 && sigprocmask(SIG_BLOCK, mine, NULL) != 0) {
        close(fd);
        fd = -1;
    }
    return fd;
}

/* Returns a signal that ends the program, or 0. */
static int signals_read(int fd, struct live *l)
{
    struct signalfd_siginfo s;
    while (read(fd, &s, sizeof s) == sizeof s) {
        l->dirty = true;
        switch (s.ssi_signo) {
        case SIGWINCH:
            screen_resize();
            break;
        case SIGTSTP:
            screen_stop();
            l->next = 0;
            break;
        case SIGCONT:
            screen_again();
            l->next = 0;
            break;
        default:
            return (int)s.ssi_signo;
        }
    }
    return 0;
}

static int wait_ms(int64_t due)
{
    int64_t ns = due - clock_mono();
    return ns <= 0 ? 0 : ns >= 3600 * CLOCK_SEC ? 3600 * 1000 : (int)(ns / CLOCK_MS) + 1;
}

/* Returns the signal that ended it, or 0. */
static int run(struct live *l, int signals)
{
    while (!l->quit) {
        struct pollfd p[POLLED] = {[KEYS] = {.fd = STDIN_FILENO, .events = POLLIN},
                                   [SIGNALS] = {.fd = signals, .events = POLLIN},
                                   [CONTROL] = {.fd = l->asking.fd, .events = POLLIN}};
        if (l->dirty && screen_writable())
            live_draw(l);
        if (poll(p, POLLED, wait_ms(live_due(l))) < 0)
            continue;
        int ended = p[SIGNALS].revents != 0 ? signals_read(signals, l) : 0;
        if (ended != 0)
            return ended;
        if ((p[KEYS].revents & ~POLLIN) != 0)
            return SIGHUP; /* the terminal is gone */
        for (int32_t code; p[KEYS].revents != 0 && !l->quit && (code = screen_key()) != 0;)
            live_key(l, code, clock_mono());
        live_tick(l, clock_mono());
    }
    return 0;
}

static int full_screen(const struct options *o, struct shm_reader *r, int64_t now)
{
    static struct live l; /* large */
    sigset_t mine;
    char why[200];
    int signals = signals_take(&mine);
    if (signals < 0) {
        perror("ximss-top");
        return VIEW_EXIT_OUTPUT;
    }
    if (!screen_open(why, sizeof why)) {
        sigprocmask(SIG_UNBLOCK, &mine, NULL);
        fprintf(stderr, "ximss-top: %s: the table comes every %g seconds instead\n", why,
                (double)o->delay / CLOCK_SEC);
        show_forever(r, o);
    }
    l.run_dir = o->run_dir;
    l.delay = o->delay;
    l.page = o->counters ? PAGE_COUNTERS : PAGE_SESSIONS;
    l.sessions.view.account = o->account;
    l.sessions.view.ip = o->ip;
    live_init(&l, r, now);
    int ended = run(&l, signals);
    live_free(&l);
    screen_close();
    if (ended != 0) { /* whoever waits for this process is to see what it ended by */
        signal(ended, SIG_DFL);
        raise(ended);
        sigprocmask(SIG_UNBLOCK, &mine, NULL);
    }
    return 0;
}

static int watch(struct options *o, struct arena *a)
{
    if (o->run_dir == NULL && (o->run_dir = rundir_find(o->config, a)) == NULL)
        return EXIT_USAGE;
    struct shm_reader *r = shm_reader_new(o->run_dir);
    if (r == NULL)
        return VIEW_EXIT_OUTPUT;
    int64_t now = clock_mono();
    enum shm_status st = shm_reader_refresh(r, now);
    int rc = st == SHM_OK ? full_screen(o, r, now) : show_problem(r, st);
    shm_reader_free(&r);
    return rc;
}

int main(int argc, char **argv)
{
    struct options o;
    struct arena a;
    options_parse(&o, argc, argv);
    setlocale(LC_CTYPE, "");
    clock_init();
    arena_init(&a, RUNDIR_MEMORY);
    int rc = watch(&o, &a);
    arena_free(&a);
    return rc;
}
