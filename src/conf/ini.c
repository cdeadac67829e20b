// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#include "conf/ini.h"

#include "base/utf8.h"

void ini_init(struct ini *r, struct str text, struct arena *a)
{
    *r = (struct ini){.rest = text, .arena = a};
    if (str_starts(text, STR("\xef\xbb\xbf")))
        r->rest = str_sub(text, 3, text.n);
}

static bool take_line(struct ini *r, struct str *line)
{
    if (r->rest.n == 0 || !str_split(&r->rest, '\n', line))
        return false;
    if (line->n != 0 && line->p[line->n - 1] == '\r')
        line->n--;
    r->line++;
    return true;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

static bool is_mark(char c)
{
    return c == '#' || c == ';';
}

/* Without the comment, which starts the text or follows a blank; trimmed. */
static struct str bare(struct str s)
{
    for (size_t i = 0; i < s.n; i++) {
        if (is_mark(s.p[i]) && (i == 0 || is_blank(s.p[i - 1])))
            return str_trim(str_sub(s, 0, i));
    }
    return str_trim(s);
}

static const char *bad_bytes(struct str line)
{
    if (!utf8_valid(line))
        return "the line is not UTF-8";
    for (size_t i = 0; i < line.n; i++) {
        unsigned char c = (unsigned char)line.p[i];
        if ((c < 0x20 && c != '\t') || c == 0x7f)
            return "the line has a control character in it";
    }
    return NULL;
}

static void set_bad(struct ini_item *out, const char *what)
{
    out->kind = INI_BAD;
    out->what = what;
}

static void read_section(struct str line, struct ini_item *out)
{
    size_t end = str_find(line, ']');
    if (end == line.n) {
        set_bad(out, "the ']' of the section is missing");
        return;
    }
    if (bare(str_sub(line, end + 1, line.n)).n != 0) {
        set_bad(out, "nothing but a comment may follow a section's ']'");
        return;
    }
    struct str inside = str_trim(str_sub(line, 1, end - 1));
    size_t word = 0;
    while (word < inside.n && !is_blank(inside.p[word]))
        word++;
    out->kind = INI_SECTION;
    out->word = str_sub(inside, 0, word);
    out->name = str_trim(str_sub(inside, word, inside.n));
}

/* A value in quotes keeps blanks and comment signs. */
static void read_quoted(struct str text, struct ini_item *out)
{
    struct str inside = str_sub(text, 1, text.n);
    size_t end = str_find(inside, '"');
    if (end == inside.n)
        set_bad(out, "the closing '\"' of the value is missing");
    else if (bare(str_sub(inside, end + 1, inside.n)).n != 0)
        set_bad(out, "nothing but a comment may follow the closing '\"'");
    else
        out->value = str_sub(inside, 0, end);
}

/* True if the line goes on with the value above; blank and comment lines in between do not end it. */
static bool is_more(struct str line)
{
    struct str text = bare(line);
    return text.n != 0 && is_blank(line.p[0]) && text.p[0] != '[' && str_find(text, '=') == text.n;
}

/* Looks ahead for lines that go on with the value, and puts them all together. */
static enum err join_more(struct ini *r, struct ini_item *out)
{
    struct ini ahead = *r, after = *r;
    struct str line;
    size_t n = 0;
    while (take_line(&ahead, &line)) {
        if (is_more(line) && bad_bytes(line) == NULL) {
            after = ahead;
            n = (size_t)(line.p + line.n - r->rest.p);
        } else if (bare(line).n != 0 || bad_bytes(line) != NULL) {
            break;
        }
    }
    if (n == 0)
        return ERR_OK;
    char *all = arena_alloc(r->arena, out->value.n + n + 2);
    if (all == NULL)
        return ERR_NOMEM;
    size_t at = 0;
    memcpy(all, out->value.p, out->value.n);
    at += out->value.n;
    while (r->line < after.line && take_line(r, &line)) {
        struct str text = bare(line);
        all[at++] = '\n';
        memcpy(all + at, text.p, text.n);
        at += text.n;
    }
    out->value = (struct str){all, at};
    return ERR_OK;
}

static enum err read_setting(struct ini *r, struct str line, struct ini_item *out)
{
    size_t eq = str_find(line, '=');
    out->word = str_trim(str_sub(line, 0, eq));
    if (out->word.n == 0) {
        set_bad(out, "the name in front of '=' is missing");
        return ERR_OK;
    }
    struct str text = str_trim(str_sub(line, eq + 1, line.n));
    out->kind = INI_SETTING;
    if (str_starts(text, STR("\""))) {
        read_quoted(text, out);
        return ERR_OK;
    }
    out->value = bare(text);
    return join_more(r, out);
}

static enum err read_line(struct ini *r, struct str line, struct ini_item *out)
{
    const char *bad = bad_bytes(line);
    struct str text = str_trim(line);
    *out = (struct ini_item){.line = r->line, .name = STR(""), .value = STR("")};
    if (bad != NULL)
        set_bad(out, bad);
    else if (text.p[0] == '[')
        read_section(text, out);
    else if (str_find(bare(text), '=') != bare(text).n)
        return read_setting(r, text, out);
    else
        set_bad(out, "this is neither '[section]' nor 'name = value'");
    return ERR_OK;
}

enum err ini_next(struct ini *r, struct ini_item *out)
{
    struct str line;
    while (take_line(r, &line)) {
        if (bad_bytes(line) != NULL || bare(line).n != 0)
            return read_line(r, line, out);
    }
    *out = (struct ini_item){.kind = INI_END, .line = r->line};
    return ERR_OK;
}
