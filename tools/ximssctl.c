// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
/*
 * ximssctl: what an administrator says to the server (design 8). While it runs, over run_dir/control; the account verbs
 * also when it does not, through `ximssd offline-auth`.
 */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "codec/ctlmsg.h"
#include "conf/conf.h"

enum { EXIT_FINE, EXIT_REFUSED, EXIT_USAGE, EXIT_NO_SERVER };

#define PASSWORD_MAX 1024
#define ANSWER_MAX   ((size_t)64 << 20)

struct options {
    const char *conf_path;
    const char *real_name;
    bool password_stdin, json;
};

static void usage(FILE *to)
{
    fputs("usage: ximssctl [-c FILE] [--json] VERB...\n", to);
    for (int v = 1; v < CTL_VERB_COUNT; v++)
        fprintf(to, "  %-18s %s\n", ctl_verb_words((enum ctl_verb)v),
                ctl_verb_doc((enum ctl_verb)v));
    fputs("  account add NAME [--password-stdin] [--real-name TEXT]\n"
          "  account passwd NAME [--password-stdin]\n"
          "Exit codes: 0 done, 1 refused, 2 wrong usage, 3 no server and none could be asked.\n",
          to);
}

/* --- the password: from standard input's first line, or typed twice at the terminal */

static bool read_line(FILE *from, char *to, size_t size)
{
    if (fgets(to, (int)size, from) == NULL)
        return false;
    to[strcspn(to, "\r\n")] = 0;
    return true;
}

static bool type_password(const char *prompt, char *to, size_t size)
{
    struct termios old, quiet;
    FILE *tty = fopen("/dev/tty", "r+");
    if (tty == NULL || tcgetattr(fileno(tty), &old) != 0)
        return false;
    quiet = old;
    quiet.c_lflag &= ~(tcflag_t)ECHO;
    fputs(prompt, tty);
    fflush(tty);
    tcsetattr(fileno(tty), TCSAFLUSH, &quiet);
    bool ok = read_line(tty, to, size);
    tcsetattr(fileno(tty), TCSAFLUSH, &old);
    fputc('\n', tty);
    fclose(tty);
    return ok;
}

static bool get_password(const struct options *o, char *to, size_t size)
{
    char again[PASSWORD_MAX + 2];
    if (o->password_stdin)
        return read_line(stdin, to, size);
    if (!type_password("New password: ", to, size) ||
        !type_password("Again: ", again, sizeof again)) {
        fputs("ximssctl: no terminal to ask for the password; use --password-stdin\n", stderr);
        return false;
    }
    bool same = strcmp(to, again) == 0;
    explicit_bzero(again, sizeof again);
    if (!same)
        fputs("ximssctl: the two passwords differ\n", stderr);
    return same;
}

/* --- who answers */

static int connect_server(const struct conf *c)
{
    struct sockaddr_un sa = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    snprintf(sa.sun_path, sizeof sa.sun_path, "%s/" CTL_SOCKET, c->server.run_dir.p);
    if (fd >= 0 && connect(fd, (struct sockaddr *)&sa, sizeof sa) == 0)
        return fd;
    int e = errno;
    if (fd >= 0)
        close(fd);
    errno = e;
    return -1;
}

/* ximssd stands beside this program, or in the path. */
_Noreturn static void become_offline(const struct options *o, int fd)
{
    char path[4096];
    ssize_t n = readlink("/proc/self/exe", path, sizeof path - 16);
    char name[] = "ximssd", option[] = "-c", role[] = "offline-auth";
    char *with_file[] = {name, option, o->conf_path != NULL ? strdup(o->conf_path) : NULL, role,
                         NULL};
    char *without[] = {name, role, NULL};
    char **argv = o->conf_path != NULL ? with_file : without;
    if (dup2(fd, 3) < 0)
        _exit(127);
    if (n > 0) {
        path[n] = 0;
        snprintf(strrchr(path, '/'), 16, "/ximssd");
        execv(path, argv);
    }
    execvp("ximssd", argv);
    execv("/usr/sbin/ximssd", argv);
    fputs("ximssctl: no server runs, and the program ximssd was not found\n", stderr);
    _exit(127);
}

static int start_offline(const struct options *o, pid_t *pid)
{
    int fds[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) != 0)
        return -1;
    *pid = fork();
    if (*pid == 0)
        become_offline(o, fds[1]);
    close(fds[1]);
    return *pid > 0 ? fds[0] : -1;
}

/* --- one question */

static bool ask(int fd, enum ctl_verb verb, const struct buf *body, struct buf *answer,
                enum err *verdict)
{
    struct ctl_head head = {CTL_VERSION, (uint32_t)verb, 0};
    struct buf rq;
    char bytes[CTL_MAX + sizeof(struct ctl_reply)];
    buf_init(&rq, CTL_MAX);
    buf_add(&rq, &head, sizeof head);
    buf_str(&rq, buf_slice(body));
    bool ok = buf_err(&rq) == ERR_OK && send(fd, rq.p, rq.n, MSG_NOSIGNAL) == (ssize_t)rq.n;
    explicit_bzero(rq.p, rq.n);
    buf_free(&rq);
    while (ok) {
        struct ctl_reply r;
        struct str text;
        ssize_t n = recv(fd, bytes, sizeof bytes, 0);
        if (n <= 0 || ctl_reply_parse((struct str){bytes, (size_t)n}, &r, &text) != ERR_OK)
            return false;
        buf_str(answer, text);
        *verdict = (enum err)r.err;
        if (r.last != 0)
            return true;
    }
    return false;
}

/* Prints the JSON as it is, or the one thing a person wants of it. */
static void print_answer(const struct options *o, enum ctl_verb verb, enum err e,
                         const struct buf *answer)
{
    static const char *const done[CTL_VERB_COUNT] = {[CTL_ACCOUNT_ADD] = "account added",
                                                     [CTL_ACCOUNT_PASSWD] = "password changed",
                                                     [CTL_ACCOUNT_REMOVE] = "account removed"};
    if (o->json || verb == CTL_ACCOUNT_LIST) {
        FILE *to = e == ERR_OK || o->json ? stdout : stderr;
        fwrite(answer->p, 1, answer->n, to);
        fputc('\n', to);
        return;
    }
    if (e == ERR_OK) {
        puts(done[verb]);
        return;
    }
    /* {"error":"sentence"} */
    struct str s = buf_slice(answer);
    struct str head = STR("{\"error\":\"");
    if (str_starts(s, head) && s.n > head.n + 2)
        s = str_sub(s, head.n, s.n - head.n - 2);
    fprintf(stderr, "ximssctl: %.*s\n", STR_FMT(s.n != 0 ? s : str_of(err_text(e))));
}

static int run(const struct options *o, const struct conf *c, enum ctl_verb verb,
               const struct buf *body)
{
    struct buf answer;
    enum err verdict = ERR_OK;
    pid_t pid = 0;
    int fd = connect_server(c);
    if (fd < 0 && errno != ENOENT && errno != ECONNREFUSED) {
        fprintf(stderr, "ximssctl: %s/" CTL_SOCKET ": %s\n", c->server.run_dir.p, strerror(errno));
        return EXIT_NO_SERVER;
    }
    if (fd < 0)
        fd = start_offline(o, &pid);
    buf_init(&answer, ANSWER_MAX);
    bool answered = fd >= 0 && ask(fd, verb, body, &answer, &verdict);
    if (fd >= 0)
        close(fd);
    if (pid > 0)
        waitpid(pid, NULL, 0);
    if (answered)
        print_answer(o, verb, verdict, &answer);
    else
        fputs("ximssctl: no answer\n", stderr);
    buf_free(&answer);
    return !answered ? EXIT_NO_SERVER : verdict == ERR_OK ? EXIT_FINE : EXIT_REFUSED;
}

/* --- arguments */

static enum ctl_verb find_verb(int argc, char **argv)
{
    char words[128];
    if (argc < 2)
        return CTL_NONE;
    snprintf(words, sizeof words, "%s %s", argv[0], argv[1]);
    for (int v = 1; v < CTL_VERB_COUNT; v++) {
        if (strcmp(words, ctl_verb_words((enum ctl_verb)v)) == 0)
            return (enum ctl_verb)v;
    }
    return CTL_NONE;
}

static bool make_body(const struct options *o, enum ctl_verb verb, int argc, char **argv,
                      struct buf *body)
{
    char password[PASSWORD_MAX + 2] = "";
    bool wants_password = verb == CTL_ACCOUNT_ADD || verb == CTL_ACCOUNT_PASSWD;
    if (argc != (verb == CTL_ACCOUNT_LIST ? 2 : 3)) {
        usage(stderr);
        return false;
    }
    if (verb == CTL_ACCOUNT_LIST)
        return true;
    if (wants_password && !get_password(o, password, sizeof password))
        return false;
    ipc_put_str(body, str_of(argv[2]));
    if (wants_password)
        ipc_put_str(body, str_of(password));
    if (verb == CTL_ACCOUNT_ADD)
        ipc_put_str(body, str_of(o->real_name != NULL ? o->real_name : ""));
    explicit_bzero(password, sizeof password);
    return true;
}

int main(int argc, char **argv)
{
    static const struct option longs[] = {{"json", no_argument, NULL, 'j'},
                                          {"password-stdin", no_argument, NULL, 'p'},
                                          {"real-name", required_argument, NULL, 'r'},
                                          {"help", no_argument, NULL, 'h'},
                                          {"version", no_argument, NULL, 'V'},
                                          {0}};
    struct options o = {0};
    struct arena a;
    struct conf *c = NULL;
    struct conf_problems problems;
    struct buf body;
    int opt;
    while ((opt = getopt_long(argc, argv, "c:hV", longs, NULL)) != -1) {
        switch (opt) {
        case 'c':
            o.conf_path = optarg;
            break;
        case 'j':
            o.json = true;
            break;
        case 'p':
            o.password_stdin = true;
            break;
        case 'r':
            o.real_name = optarg;
            break;
        case 'h':
            usage(stdout);
            return EXIT_FINE;
        case 'V':
            puts("ximssctl " XIMSSD_VERSION);
            return EXIT_FINE;
        default:
            usage(stderr);
            return EXIT_USAGE;
        }
    }
    enum ctl_verb verb = find_verb(argc - optind, argv + optind);
    if (verb == CTL_NONE) {
        usage(stderr);
        return EXIT_USAGE;
    }
    arena_init(&a, (size_t)64 << 20);
    enum err e = conf_load(o.conf_path, &a, &c, &problems);
    if (e != ERR_OK) {
        conf_problems_print(stderr, &problems);
        return EXIT_USAGE;
    }
    buf_init(&body, CTL_MAX - sizeof(struct ctl_head));
    int code = EXIT_USAGE;
    if (make_body(&o, verb, argc - optind, argv + optind, &body))
        code = run(&o, c, verb, &body);
    if (body.p != NULL)
        explicit_bzero(body.p, body.n);
    buf_free(&body);
    arena_free(&a);
    return code;
}
