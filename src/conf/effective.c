// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
/*
 * effective: ximssd -T.
 */
#include <stdlib.h>

#include "conf/conf.h"
#include "conf/rows.h"
#include "conf/value.h"

#define VALUE_COLUMN 28

static void print_label(FILE *to, struct str label)
{
    for (size_t i = 0; i < label.n; i++)
        fputc((unsigned char)label.p[i] < 0x20 || label.p[i] == 0x7f ? '?' : label.p[i], to);
}

static void print_section(FILE *to, const struct conf *c, const struct row_section *s,
                          const void *base, const uint32_t *lines)
{
    for (uint32_t i = s->first; i < s->end; i++) {
        fprintf(to, "%-*s = ", VALUE_COLUMN, rows[i].name);
        value_print(to, &rows[i], row_value(&rows[i], base));
        if (lines[i - s->first] == 0) {
            fputs(" ; default\n", to);
            continue;
        }
        fputs(" ; ", to);
        print_label(to, c->label);
        fprintf(to, ":%u\n", lines[i - s->first]);
    }
}

void conf_print_effective(FILE *to, const struct conf *c)
{
    for (size_t k = 0; k < ROW_SECTIONS; k++) {
        const struct row_section *s = &row_sections[k];
        if (s->scope == ROW_FIXED) {
            fprintf(to, "%s[%s]\n", k != 0 ? "\n" : "", s->name);
            print_section(to, c, s, c, c->lines->fixed + s->first);
            continue;
        }
        size_t n = s->scope == ROW_LISTENER ? c->nlisteners : c->ndomains;
        for (size_t i = 0; i < n; i++) {
            bool listener = s->scope == ROW_LISTENER;
            struct str name = listener ? c->listeners[i].name : c->domains[i].name;
            fprintf(to, "\n[%s %.*s]\n", s->name, STR_FMT(name));
            if (listener)
                print_section(to, c, s, &c->listeners[i], c->lines->listener[i]);
            else
                print_section(to, c, s, &c->domains[i], c->lines->domain[i]);
        }
    }
}

enum err conf_effective(const struct conf *c, struct buf *out)
{
    char *text = NULL;
    size_t n = 0;
    FILE *to = open_memstream(&text, &n);
    if (to == NULL)
        return ERR_NOMEM;
    conf_print_effective(to, c);
    bool whole = ferror(to) == 0;
    /* Without memory for its last step fclose() succeeds, and there is no text: not an empty configuration, which is one. */
    whole = fclose(to) == 0 && whole && text != NULL;
    if (whole)
        buf_add(out, text, n);
    free(text);
    if (!whole || buf_err(out) != ERR_OK)
        return ERR_NOMEM;
    return n > CONF_FILE_MAX ? ERR_TOO_LONG : ERR_OK;
}
