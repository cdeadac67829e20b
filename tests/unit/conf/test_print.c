// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
/* What conf prints: -T, the sample file, the manual page. The committed ones are read from the folder conf/. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <cmocka.h>

#include "base/buf.h"
#include "conf/rows.h"
#include "conf/value.h"

static struct arena arena;

static int set_up(void **state)
{
    (void)state;
    arena_init(&arena, 16 << 20);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    arena_free(&arena);
    return 0;
}

static const struct conf *load(struct str text)
{
    struct conf *c;
    struct conf_problems p;
    enum err e = conf_load_text(STR("a.conf"), text, &arena, &c, &p);
    if (e != ERR_OK)
        conf_problems_print(stderr, &p);
    assert_int_equal(e, ERR_OK);
    return c;
}

static struct str printed(const struct conf *c)
{
    char *out;
    size_t n;
    FILE *f = open_memstream(&out, &n);
    assert_non_null(f);
    conf_print_effective(f, c);
    fclose(f);
    struct str s = arena_str(&arena, (struct str){out, n});
    free(out);
    return s;
}

static void assert_same(const struct conf *x, const struct conf *y)
{
    for (size_t k = 0; k < ROW_SECTIONS; k++) {
        for (uint32_t i = row_sections[k].first; i < row_sections[k].end; i++) {
            if (row_sections[k].scope == ROW_FIXED)
                assert_true(value_same(&rows[i], row_value(&rows[i], x), row_value(&rows[i], y)));
            for (size_t j = 0; row_sections[k].scope == ROW_LISTENER && j < x->nlisteners; j++)
                assert_true(value_same(&rows[i], row_value(&rows[i], &x->listeners[j]),
                                       row_value(&rows[i], &y->listeners[j])));
            for (size_t j = 0; row_sections[k].scope == ROW_DOMAIN && j < x->ndomains; j++)
                assert_true(value_same(&rows[i], row_value(&rows[i], &x->domains[j]),
                                       row_value(&rows[i], &y->domains[j])));
        }
    }
    assert_int_equal(x->nlisteners, y->nlisteners);
    assert_int_equal(x->ndomains, y->ndomains);
}

static bool has(struct str text, const char *part)
{
    return memmem(text.p, text.n, part, strlen(part)) != NULL;
}

static void effective_round_trip(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "",
        "[server]\nlog = \"file:/a ; b\"\nchannels = 7\nworkers = 3\nclient_addresses =\n  "
        "10.0.0.0/8\n  ::1 ; c\n"
        "[limits]\nidle = 1500ms\nmessage = 1025k\n[domain b.example]\nclear_login = no\n"
        "[listener x]\naddress = [::1]:5\ntls = no\n[listener y]\nprotocol = lmtp\naddress = "
        "unix:{run_dir}/z\n",
    };
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        const struct conf *c = load(str_of(texts[i]));
        const struct conf *again = load(printed(c));
        assert_same(c, again);
    }
}

static void effective_sources(void **state)
{
    (void)state;
    struct str text = printed(
        load(STR("[server]\nchannels = 7\n[listener x]\n\naddress = *:5\n[domain b.example]\n"
                 "language = german\n")));
    assert_true(has(text, "channels                     = 7 ; a.conf:2\n"));
    assert_true(has(text, "backlog                      = 511 ; default\n"));
    assert_true(has(text, "\n[listener x]\n"));
    assert_true(has(text, "address                      = *:5 ; a.conf:5\n"));
    assert_true(has(text, "tls                          = starttls ; default\n"));
    assert_true(has(text, "\n[domain b.example]\n"));
    assert_true(has(text, "language                     = german ; a.conf:7\n"));
    assert_true(has(text, "address                      = unix:{run_dir}/lmtp ; default\n"));
}

/* The sample with every sign taken off is the built-in configuration, written out. */
static void sample_is_the_defaults(void **state)
{
    (void)state;
    char *out;
    size_t n;
    FILE *f = open_memstream(&out, &n);
    struct buf b;
    struct str text, line;
    assert_non_null(f);
    conf_print_sample(f);
    fclose(f);
    buf_init(&b, 1 << 20);
    text = (struct str){out, n};
    assert_same(load(STR("")), load(text));
    while (str_split(&text, '\n', &line)) {
        bool setting = line.n > 1 && line.p[0] == '#' && line.p[1] != ' ' && line.p[1] != '\n';
        buf_str(&b, setting ? str_sub(line, 1, line.n) : line);
        buf_char(&b, '\n');
    }
    const struct conf *c = load(buf_slice(&b));
    const struct conf *def = load(STR(""));
    assert_true(str_eq(c->server.client_addresses, def->server.client_addresses));
    for (size_t i = 0; i < ROWS_COUNT; i++) {
        if (strcmp(rows[i].section, "listener") != 0 && strcmp(rows[i].section, "domain") != 0)
            assert_true(value_same(&rows[i], row_value(&rows[i], c), row_value(&rows[i], def)) &&
                        c->lines->fixed[i] != 0);
    }
    buf_free(&b);
    free(out);
}

static void assert_committed(const char *path, void (*print)(FILE *))
{
    char *out;
    size_t n;
    FILE *f = open_memstream(&out, &n);
    assert_non_null(f);
    print(f);
    fclose(f);
    FILE *in = fopen(path, "rb");
    char *have = calloc(1, n + 2);
    assert_non_null(have);
    size_t got = in != NULL ? fread(have, 1, n + 1, in) : 0;
    if (in != NULL)
        fclose(in);
    if (got != n || memcmp(have, out, n) != 0)
        fail_msg("%s is not what settings.tbl says; run: make conf", path);
    free(have);
    free(out);
}

static void committed_sample(void **state)
{
    (void)state;
    assert_committed("conf/ximssd.conf", conf_print_sample);
}

static void committed_manual(void **state)
{
    (void)state;
    assert_committed("conf/ximssd.conf.5", conf_print_man);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(effective_round_trip),   cmocka_unit_test(effective_sources),
        cmocka_unit_test(sample_is_the_defaults), cmocka_unit_test(committed_sample),
        cmocka_unit_test(committed_manual),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
