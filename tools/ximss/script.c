// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#include "tools/ximss/script.h"

#include <errno.h>

#include "base/clock.h"
#include "tools/ximss/match.h"

#define WAIT_MAX 3600 /* seconds */

static bool load_file(const char *path, struct arena *a, struct str *text, FILE *problems)
{
    char piece[16384];
    struct buf b;
    size_t n;
    FILE *f = strcmp(path, "-") == 0 ? stdin : fopen(path, "r");
    if (f == NULL) {
        fprintf(problems, "ximss: %s: %s\n", path, strerror(errno));
        return false;
    }
    buf_init(&b, SCRIPT_MAX);
    while ((n = fread(piece, 1, sizeof piece, f)) > 0)
        buf_add(&b, piece, n);
    bool ok = ferror(f) == 0 && buf_err(&b) == ERR_OK;
    *text = ok ? arena_str(a, buf_slice(&b)) : STR_NONE;
    buf_free(&b);
    if (f != stdin)
        fclose(f);
    if (text->p == NULL)
        fprintf(problems, "ximss: %s: cannot be read\n", path);
    return text->p != NULL;
}

/* "0.5": digits with a dot among them. */
static bool parse_seconds(struct str s, int64_t *ns)
{
    struct str whole;
    uint64_t v = 0;
    if (!str_split(&s, '.', &whole) ||
        str_u64(whole.n != 0 ? whole : STR("0"), WAIT_MAX, &v) != ERR_OK)
        return false;
    *ns = (int64_t)v * CLOCK_SEC;
    int64_t unit = CLOCK_SEC / 10;
    for (size_t i = 0; s.p != NULL && i < s.n; i++, unit /= 10) {
        if (s.p[i] < '0' || s.p[i] > '9')
            return false;
        *ns += unit * (s.p[i] - '0');
    }
    return true;
}

/* "", "2", "2 tls" */
static bool parse_who(struct str rest, bool may_tls, struct step *st)
{
    struct str word = STR_NONE;
    if (str_split(&rest, ' ', &word) && word.n == 1 && word.p[0] >= '1' && word.p[0] <= '9')
        st->who = (unsigned)(word.p[0] - '0');
    else if (word.n != 0)
        return false;
    st->tls = may_tls && str_eq(rest, STR("tls"));
    return st->tls || rest.n == 0;
}

/* "C: text", "S2: text", "X:" */
static bool parse_dialogue(struct str line, struct step *st)
{
    static const char letters[] = "CSX";
    const char *letter = line.n != 0 ? memchr(letters, line.p[0], 3) : NULL;
    size_t at = 1;
    if (letter == NULL)
        return false;
    if (line.n > 1 && line.p[1] >= '0' && line.p[1] <= '9')
        st->who = (unsigned)(line.p[at++] - '0');
    if (at >= line.n || line.p[at] != ':' || (line.n > at + 1 && line.p[at + 1] != ' '))
        return false;
    st->kind = (enum step_kind)(STEP_SEND + (letter - letters));
    st->text = str_sub(line, at + 2, line.n);
    return true;
}

static bool parse_directive(struct str line, struct step *st)
{
    static const struct {
        const char *word;
        enum step_kind kind;
    } words[] = {
        {"connect", STEP_CONNECT}, {"starttls", STEP_STARTTLS},  {"half-close", STEP_HALF_CLOSE},
        {"wait", STEP_WAIT},       {"account", STEP_RUNNER},     {"conf", STEP_RUNNER},
        {"server", STEP_RUNNER},   {"advance", STEP_RUNNER_NOW}, {"mail", STEP_MAIL},
        {"log", STEP_RUNNER},      {"cram", STEP_RUNNER_NOW},    {"say", STEP_RUNNER_NOW},
    };
    struct str word, rest = line;
    st->text = line;
    if (!str_split(&rest, ' ', &word))
        return false;
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (!str_eq(word, str_of(words[i].word)))
            continue;
        st->kind = words[i].kind;
        if (st->kind == STEP_WAIT)
            return parse_seconds(rest, &st->wait);
        return st->kind == STEP_RUNNER || st->kind == STEP_RUNNER_NOW || st->kind == STEP_MAIL ||
               parse_who(rest, st->kind == STEP_CONNECT, st);
    }
    return false;
}

static bool is_step(struct str line)
{
    return str_trim(line).n != 0 && line.p[0] != '#';
}

/* Every placeholder has a known kind, or a name that an earlier line remembers. */
static bool check_names(const struct script *s, FILE *problems)
{
    struct match_names names = {.n = 0};
    struct str why;
    for (size_t i = 0; i < s->n; i++) {
        const struct step *st = &s->steps[i];
        if (st->kind != STEP_SEND && st->kind != STEP_EXPECT)
            continue;
        if (!match_check(st->text, st->kind == STEP_SEND, &names, &why)) {
            fprintf(problems, "%s:%u: nothing is known of %.*s\n", s->path, st->line, STR_FMT(why));
            return false;
        }
    }
    return true;
}

bool script_load(struct script *s, const char *path, struct arena *a, FILE *problems)
{
    struct str text, line, rest;
    size_t lines = 0;
    unsigned number = 0;
    *s = (struct script){.path = path};
    if (!load_file(path, a, &text, problems))
        return false;
    for (rest = text; str_split(&rest, '\n', &line);)
        lines++;
    s->steps = arena_array(a, lines + 1, sizeof *s->steps);
    if (s->steps == NULL) {
        fprintf(problems, "ximss: %s: too long\n", path);
        return false;
    }
    for (rest = text; str_split(&rest, '\n', &line);) {
        struct step *st = &s->steps[s->n];
        *st = (struct step){.line = ++number, .who = 1};
        if (!is_step(line))
            continue;
        if (!parse_dialogue(line, st) && !parse_directive(line, st)) {
            fprintf(problems, "%s:%u: what is this? %.*s\n", path, number, STR_FMT(line));
            return false;
        }
        s->n++;
    }
    return check_names(s, problems);
}
