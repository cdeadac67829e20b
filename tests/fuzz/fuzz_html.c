// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
/*
 * fuzz_html: of whatever HTML, the clean form has only tags and attributes of the table, balanced and well quoted, by a reader that
 * knows nothing else; and it is within its limit.
 */
#include "base/utf8.h"
#include "codec/html_clean.h"

#define DEPTH 20

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const names[] = {
#define HTML_TAG(name, kind) name,
#include "codec/html_clean.tbl"
};

static const char *const attributes[] = {
#define HTML_ATTR(name, tags, check) name,
#include "codec/html_clean.tbl"
    "rel"};

static bool among(struct str s, const char *const *list, size_t n)
{
    while (n-- > 0) {
        if (str_eq(s, str_of(list[n])))
            return true;
    }
    return false;
}

static struct str word(struct str *s)
{
    size_t n = 0;
    while (n < s->n && ((s->p[n] >= 'a' && s->p[n] <= 'z') || (s->p[n] >= '0' && s->p[n] <= '9')))
        n++;
    struct str w = str_sub(*s, 0, n);
    *s = str_sub(*s, n, s->n);
    return w;
}

static void expect(struct str *s, char c)
{
    BUG_IF(s->n == 0 || s->p[0] != c);
    *s = str_sub(*s, 1, s->n);
}

/* Behind the name; up to and with the '>'. */
static void check_attributes(struct str *s)
{
    while (s->n != 0 && s->p[0] == ' ') {
        expect(s, ' ');
        struct str name = word(s);
        BUG_IF(!among(name, attributes, ARRAY_LEN(attributes)));
        expect(s, '=');
        expect(s, '"');
        size_t end = str_find(*s, '"');
        struct str value = str_sub(*s, 0, end);
        BUG_IF(str_find(value, '<') != value.n || str_find(value, '>') != value.n);
        BUG_IF(str_eq(name, STR("src")) && !str_starts(value, STR("/part/")) &&
               !str_istarts(value, STR("data:image/")));
        *s = str_sub(*s, end, s->n);
        expect(s, '"');
    }
    expect(s, '>');
}

static void check(struct str s)
{
    struct str open[DEPTH];
    uint32_t depth = 0;
    static const char *const empty[] = {"br", "hr", "img", "col", "wbr"};
    BUG_IF(!utf8_valid(s));
    while (s.n != 0) {
        size_t at = str_find(s, '<');
        struct str text = str_sub(s, 0, at);
        BUG_IF(str_find(text, '>') != text.n || str_find(text, '"') != text.n ||
               str_find(text, '\0') != text.n);
        s = str_sub(s, at, s.n);
        if (s.n == 0)
            break;
        expect(&s, '<');
        if (s.n != 0 && s.p[0] == '/') {
            expect(&s, '/');
            struct str name = word(&s);
            BUG_IF(depth == 0 || !str_eq(open[--depth], name));
            expect(&s, '>');
            continue;
        }
        struct str name = word(&s);
        BUG_IF(!among(name, names, ARRAY_LEN(names)));
        check_attributes(&s);
        if (among(name, empty, ARRAY_LEN(empty)))
            continue;
        BUG_IF(depth == DEPTH);
        open[depth++] = name;
    }
    BUG_IF(depth != 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct html_part part = {STR("a@b"), STR("/part/1")};
    struct html_limits limits = {.input = 65536, .depth = DEPTH, .output = 100000};
    struct buf out;
    bool cut;
    if (size == 0 || size > limits.input)
        return 0;
    if (data[0] % 4 == 0)
        limits.output = data[0];
    buf_init(&out, (size_t)1 << 20);
    BUG_IF(html_clean((struct str){(const char *)data, size}, &part, 1, &limits, &out, &cut) !=
           ERR_OK);
    BUG_IF(out.n > limits.output);
    check(buf_slice(&out));
    BUG_IF(html_verify(buf_slice(&out), &part, 1, DEPTH) != ERR_OK);
    BUG_IF(html_verify((struct str){(const char *)data, size}, &part, 1, DEPTH) == ERR_NOMEM);
    buf_free(&out);
    return 0;
}
