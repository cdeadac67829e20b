// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#include "tools/ximssctl/request.h"

#include <getopt.h>
#include <stdio.h>

#define COLUMN 29 /* where explanations begin */

enum where { WHERE_ALL, WHERE_SOME };

static const struct {
    char letter;
    const char *word, *arg, *doc;
    enum where where;
} options[OPT_COUNT] = {
#define OPTION(name, letter, word, arg, where, doc) {letter, word, arg, doc, WHERE_##where},
#include "tools/ximssctl/options.tbl"
#undef OPTION
};

/* --- help */

static void line(FILE *to, const char *left, const char *doc)
{
    if (strlen(left) < COLUMN)
        fprintf(to, "%-*s %s\n", COLUMN, left, doc);
    else
        fprintf(to, "%s\n%*s %s\n", left, COLUMN, "", doc);
}

static void help(FILE *to)
{
    char left[160];
    fputs("usage: ximssctl [-c FILE] [--json] VERB [ARGUMENT...] [OPTION...]\n\n", to);
    for (int v = 1; v < CTL_VERB_COUNT; v++) {
        const struct ctl_row *row = ctl_row((enum ctl_verb)v);
        snprintf(left, sizeof left, "  %s%s%s", row->words, row->args[0] != 0 ? " " : "",
                 row->args);
        line(to, left, row->doc);
    }
    fputs("\nOptions:\n", to);
    for (int i = 0; i < OPT_COUNT; i++) {
        char letter[8] = "    ";
        if (options[i].letter != 0)
            snprintf(letter, sizeof letter, "-%c, ", options[i].letter);
        snprintf(left, sizeof left, "  %s--%s%s%s", letter, options[i].word,
                 options[i].arg[0] != 0 ? " " : "", options[i].arg);
        line(to, left, options[i].doc);
    }
    fputs("\nExit codes: 0 done, 1 refused, 2 wrong usage, 3 no server, or no answer from it.\n",
          to);
}

int request_usage(const struct request *r, const char *why)
{
    const struct ctl_row *row = ctl_row(r->verb);
    fprintf(stderr, "ximssctl: %s\n", why);
    if (r->verb != CTL_NONE)
        fprintf(stderr, "usage: ximssctl %s %s\n", row->words, row->args);
    else
        fputs("ximssctl --help lists verbs and options\n", stderr);
    return EXIT_USAGE;
}

/* --- what the verb takes */

/* Is this word part of the row's `args`, in brackets or not? */
static bool takes_option(const struct ctl_row *row, const char *word)
{
    struct str args = str_of(row->args), token;
    while (str_split(&args, ' ', &token)) {
        while (token.n != 0 && token.p[0] == '[')
            token = str_sub(token, 1, token.n);
        while (token.n != 0 && token.p[token.n - 1] == ']')
            token.n--;
        if (str_starts(token, STR("--")) && str_eq(str_sub(token, 2, token.n), str_of(word)))
            return true;
    }
    return false;
}

struct arity {
    int least, most;
};

/* "NAME [OTHER] [--option VALUE]": 1 to 2. "ID TEXT...": 2 or more. */
static struct arity arity_of(const struct ctl_row *row)
{
    struct arity a = {0, 0};
    struct str args = str_of(row->args), token;
    bool value = false; /* of an option: no argument of the verb */
    while (str_split(&args, ' ', &token)) {
        bool optional = token.n != 0 && token.p[0] == '[';
        bool is_option = str_starts(token, STR("--")) || str_starts(token, STR("[--"));
        if (token.n == 0 || value) {
            value = false;
        } else if (is_option) {
            value = token.p[token.n - 1] != ']';
        } else {
            a.least += !optional;
            a.most = str_find(token, '.') < token.n ? 1000 : a.most + 1;
        }
    }
    return a;
}

static bool check(const struct request *r, int *code)
{
    const struct ctl_row *row = ctl_row(r->verb);
    struct arity a = arity_of(row);
    char why[100];
    if (r->nargs < a.least || r->nargs > a.most) {
        *code =
            request_usage(r, r->nargs < a.least ? "something is missing" : "too many arguments");
        return false;
    }
    for (int i = 0; i < OPT_COUNT; i++) {
        if (r->option[i] == NULL || options[i].where == WHERE_ALL ||
            takes_option(row, options[i].word))
            continue;
        snprintf(why, sizeof why, "--%s does not belong to this verb", options[i].word);
        *code = request_usage(r, why);
        return false;
    }
    return true;
}

/* --- getopt */

#define FIRST 256 /* above all letters */

static void fill_longs(struct option longs[OPT_COUNT + 1], char letters[2 * OPT_COUNT + 2])
{
    size_t n = 0;
    for (int i = 0; i < OPT_COUNT; i++) {
        int arg = options[i].arg[0] != 0 ? required_argument : no_argument;
        longs[i] = (struct option){options[i].word, arg, NULL, FIRST + i};
        if (options[i].letter == 0)
            continue;
        letters[n++] = options[i].letter;
        if (arg == required_argument)
            letters[n++] = ':';
    }
    letters[n] = 0;
    longs[OPT_COUNT] = (struct option){0};
}

static int option_of(int c)
{
    if (c >= FIRST)
        return c - FIRST;
    for (int i = 0; i < OPT_COUNT; i++) {
        if (options[i].letter == c)
            return i;
    }
    return -1;
}

bool request_parse(struct request *r, int argc, char **argv, int *code)
{
    struct option longs[OPT_COUNT + 1];
    char letters[2 * OPT_COUNT + 2];
    int c, used;
    *r = (struct request){.verb = CTL_NONE};
    *code = EXIT_USAGE;
    fill_longs(longs, letters);
    while ((c = getopt_long(argc, argv, letters, longs, NULL)) != -1) {
        int id = option_of(c);
        if (id < 0) { /* getopt has said why */
            fputs("ximssctl --help lists verbs and options\n", stderr);
            return false;
        }
        r->option[id] = optarg != NULL ? optarg : "";
    }
    if (r->option[OPT_HELP] != NULL || r->option[OPT_VERSION] != NULL) {
        if (r->option[OPT_HELP] != NULL)
            help(stdout);
        else
            puts("ximssctl " XIMSSD_VERSION);
        *code = EXIT_FINE;
        return false;
    }
    r->verb = ctl_verb_find(argv + optind, argc - optind, &used);
    r->args = argv + optind + used;
    r->nargs = argc - optind - used;
    if (r->verb == CTL_NONE) {
        *code = request_usage(r, optind == argc ? "no verb" : "unknown verb");
        return false;
    }
    return check(r, code);
}
