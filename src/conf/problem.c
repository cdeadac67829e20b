// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#include "conf/problem.h"

#include <stdarg.h>

#include "base/utf8.h"

#define TEXT_MAX  1024
#define QUOTE_MAX 60

enum err problem_sink_init(struct problem_sink *s, struct conf_problems *list, struct str label,
                           struct arena *a)
{
    *s = (struct problem_sink){.list = list, .arena = a};
    *list = (struct conf_problems){.label = arena_str(a, label)};
    list->list = arena_array(a, CONF_PROBLEMS_MAX, sizeof *list->list);
    return list->label.p != NULL && list->list != NULL ? ERR_OK : ERR_NOMEM;
}

struct str problem_quote(struct str text)
{
    return utf8_prefix(text, QUOTE_MAX);
}

void problem_add(struct problem_sink *s, uint32_t line, const char *fmt, ...)
{
    char text[TEXT_MAX];
    struct conf_problems *p = s->list;
    if (p->count == CONF_PROBLEMS_MAX) {
        p->dropped++;
        return;
    }
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    struct str kept = arena_str(s->arena, str_of(text));
    if (kept.p == NULL) {
        s->nomem = true;
        return;
    }
    size_t at = p->count++;
    while (at > 0 && p->list[at - 1].line > line) {
        p->list[at] = p->list[at - 1];
        at--;
    }
    p->list[at] = (struct conf_problem){line, kept};
}

void conf_problems_print(FILE *to, const struct conf_problems *p)
{
    for (size_t i = 0; i < p->count; i++) {
        fprintf(to, "%.*s:", STR_FMT(p->label));
        if (p->list[i].line != 0)
            fprintf(to, "%u:", p->list[i].line);
        fprintf(to, " %.*s\n", STR_FMT(p->list[i].text));
    }
    if (p->dropped != 0)
        fprintf(to, "%.*s: and %zu more problems\n", STR_FMT(p->label), p->dropped);
}
