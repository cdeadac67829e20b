// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
/*
 * manual: the sample file and the manual page, printed from settings.tbl.
 */
#include "conf/conf.h"
#include "conf/rows.h"
#include "conf/value.h"

#define SAMPLE_WIDTH 96
#define MAN_WIDTH    72
#define ARENA_BYTES  262144

static const char *const when_texts[] = {
    [CONF_LIVE] = "at reload",
    [CONF_RELOAD] = "at reload, for what begins after it",
    [CONF_RESTART] = "at the next start",
};

/* Words of a text, in lines that begin with "# ". */
static void wrap_comment(FILE *to, struct str text)
{
    struct str word;
    size_t column = 0;
    while (str_split(&text, ' ', &word)) {
        if (column != 0 && column + 1 + word.n > SAMPLE_WIDTH) {
            fputc('\n', to);
            column = 0;
        }
        fputs(column == 0 ? "# " : " ", to);
        column += word.n + (column == 0 ? 2 : 1);
        for (size_t i = 0; i < word.n; i++)
            fputc(word.p[i] == '`' ? '\'' : word.p[i], to);
    }
    fputc('\n', to);
}

static void sample_row(FILE *to, const struct row *r, struct arena *a)
{
    struct str allowed = value_allowed(r, a);
    struct str all =
        arena_printf(a, "%s.%s%s Allowed: %.*s. Takes effect %s.", r->line,
                     r->para[0] != 0 ? " " : "", r->para, STR_FMT(allowed), when_texts[r->when]);
    fputc('\n', to);
    wrap_comment(to, all);
    const char *shown = r->type == ROW_ADDRESS ? "*:11024" : r->def;
    fprintf(to, "#%s =%s%s\n", r->name, shown[0] != 0 ? " " : "", shown);
}

static void sample_head(FILE *to, const struct row_section *s)
{
    static const char *const examples[] = {[ROW_LISTENER] = "ximss", [ROW_DOMAIN] = "example.org"};
    fprintf(to, "\n# --- %s\n", s->title);
    if (s->para[0] != 0)
        wrap_comment(to, str_of(s->para));
    if (s->scope == ROW_FIXED)
        fprintf(to, "[%s]\n", s->name);
    else
        fprintf(to, "#[%s %s]\n", s->name, examples[s->scope]);
}

void conf_print_sample(FILE *to)
{
    struct arena a;
    arena_init(&a, ARENA_BYTES);
    fputs("# SPDX-License-Identifier: MIT\n"
          "# SPDX-FileCopyrightText: The ximssd authors\n"
          "#\n"
          "# ximssd.conf: every setting with its default. An empty file is a working server: take "
          "the sign off\n"
          "# only where you want another value. `ximssd -t` checks a file, `ximssd -T` shows what "
          "it comes to.\n"
          "# This version reads the file at its start; at a reload (SIGHUP) it takes a renewed "
          "certificate into\n"
          "# use, and nothing else.\n",
          to);
    for (size_t k = 0; k < ROW_SECTIONS; k++) {
        sample_head(to, &row_sections[k]);
        for (uint32_t i = row_sections[k].first; i < row_sections[k].end; i++)
            sample_row(to, &rows[i], &a);
        arena_reset(&a);
    }
    arena_free(&a);
}

static void man_word(FILE *to, struct str word, bool *bold)
{
    for (size_t i = 0; i < word.n; i++) {
        if (word.p[i] == '`') {
            *bold = !*bold;
            fputs(*bold ? "\\fB" : "\\fR", to);
        } else if (word.p[i] == '\\') {
            fputs("\\e", to);
        } else {
            fputc(word.p[i], to);
        }
    }
}

/* Running text for mdoc(7): each sentence begins a line, `x` in bold. */
static void man_text(FILE *to, struct str text)
{
    struct str word;
    bool bold = false;
    size_t column = 0;
    while (str_split(&text, ' ', &word)) {
        if (column != 0 && column + 1 + word.n > MAN_WIDTH) {
            fputc('\n', to);
            column = 0;
        }
        if (column != 0)
            fputc(' ', to);
        else if (word.n != 0 && (word.p[0] == '.' || word.p[0] == '\''))
            fputs("\\&", to);
        man_word(to, word, &bold);
        column += word.n + 1;
        if (word.n > 1 && word.p[word.n - 1] == '.' && text.p != NULL) {
            fputc('\n', to);
            column = 0;
        }
    }
    fputc('\n', to);
}

static void man_row(FILE *to, const struct row *r, struct arena *a)
{
    struct str allowed = value_allowed(r, a);
    fprintf(to, ".It Ic %s\n", r->name);
    man_text(to, arena_printf(a, "%s.%s%s", r->line, r->para[0] != 0 ? " " : "", r->para));
    man_text(to, arena_printf(a, "Allowed: %.*s.", STR_FMT(allowed)));
    man_text(to, arena_printf(a, "Default: %s.",
                              r->def[0] != 0           ? r->def
                              : r->type == ROW_ADDRESS ? "none"
                                                       : "empty"));
    man_text(to, arena_printf(a, "Takes effect %s.", when_texts[r->when]));
}

static const char man_head[] =
    ".\\\" SPDX-License-Identifier: MIT\n"
    ".\\\" SPDX-FileCopyrightText: The ximssd authors\n"
    ".Dd November 24, 2026\n"
    ".Dt XIMSSD.CONF 5\n"
    ".Os\n"
    ".Sh NAME\n"
    ".Nm ximssd.conf\n"
    ".Nd configuration of the XIMSS server\n"
    ".Sh DESCRIPTION\n"
    "The file consists of sections and settings:\n"
    ".Bd -literal -offset indent\n"
    "[section]\n"
    "name = value    ; a comment\n"
    ".Ed\n"
    ".Pp\n"
    "A comment begins with\n"
    ".Ql #\n"
    "or\n"
    ".Ql \\&;\n"
    "at the start of a line or behind a blank.\n"
    "A value that needs such a sign, or blanks at its ends, stands in double quotes.\n"
    "Indented lines without\n"
    ".Ql =\n"
    "go on with the list above them.\n"
    "Sizes take the units k, M and G (of 1024), times ms, s, m, h and d.\n"
    "Yes, true, on and 1 are the same, as are no, false, off and 0.\n"
    "The file is UTF-8, of at most 1 MiB.\n"
    ".Pp\n"
    "An empty file is a working server.\n"
    ".Dl ximssd -t -c FILE\n"
    "reports every problem of a file in one run, and\n"
    ".Dl ximssd -T -c FILE\n"
    "prints the effective configuration with the place that each value comes from.\n"
    ".Pp\n"
    "This version reads the file at its start.\n"
    "At a reload (the signal\n"
    ".Dv SIGHUP )\n"
    "it takes a renewed certificate into use, and nothing else.\n";

static const char man_foot[] =
    ".Sh FILES\n"
    ".Bl -tag -width Ds\n"
    ".It Pa " CONF_DEFAULT_PATH "\n"
    "read unless\n"
    ".Nm ximssd\n"
    "is told otherwise with\n"
    ".Fl c .\n"
    ".El\n"
    ".Sh EXAMPLES\n"
    "A second listener that speaks TLS from the first byte, and another certificate:\n"
    ".Bd -literal -offset indent\n"
    "[server]\n"
    "domain = example.org\n"
    "\n"
    "[tls]\n"
    "certificate = /etc/ximssd/tls/cert.pem\n"
    "key         = /etc/ximssd/tls/key.pem\n"
    "\n"
    "[listener ximss]\n"
    "address = *:11024\n"
    "\n"
    "[listener ximss-tls]\n"
    "address = *:11025\n"
    "tls     = yes\n"
    ".Ed\n"
    ".Sh SEE ALSO\n"
    ".Xr ximssd 8\n";

void conf_print_man(FILE *to)
{
    struct arena a;
    arena_init(&a, ARENA_BYTES);
    fputs(man_head, to);
    fputs(".Sh SETTINGS\n", to);
    for (size_t k = 0; k < ROW_SECTIONS; k++) {
        const struct row_section *s = &row_sections[k];
        fprintf(to, ".Ss Section %s%s: %s\n", s->name, s->scope == ROW_FIXED ? "" : " NAME",
                s->title);
        if (s->para[0] != 0)
            man_text(to, str_of(s->para));
        fputs(".Bl -tag -width Ds\n", to);
        for (uint32_t i = s->first; i < s->end; i++)
            man_row(to, &rows[i], &a);
        fputs(".El\n", to);
        arena_reset(&a);
    }
    fputs(man_foot, to);
    arena_free(&a);
}
