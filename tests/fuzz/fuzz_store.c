// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
/*
 * The texts that clients send to the store: mailbox names, list filters, flag lists, subjects. What comes out is canonical:
 * doing it again changes nothing.
 */
#include "store/flags.h"
#include "store/mailbox.h"
#include "store/sortkey.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void names(struct str s)
{
    const struct str own[] = {STR("dora")};
    struct mailbox_owner self = {own, 1};
    struct arena a;
    struct str out, again;

    arena_init(&a, 1 << 16);
    if (mailbox_resolve(&self, s, true, &a, &out) == ERR_OK) {
        BUG_IF(mailbox_name_check(out, true) != ERR_OK);
        BUG_IF(mailbox_resolve(&self, out, true, &a, &again) != ERR_OK || !str_eq(out, again));
        if (memchr(out.p, '*', out.n) == NULL && memchr(out.p, '%', out.n) == NULL)
            BUG_IF(!mailbox_match(out, out, 0));
    }
    arena_free(&a);
}

static void flags(struct str s)
{
    struct flag_list l, m;
    struct buf b;
    uint32_t bits = 0;

    if (flags_parse(s, &l) != ERR_OK)
        return;
    for (uint32_t i = 0; i < l.count; i++)
        bits |= l.items[i].bit;
    buf_init(&b, 1 << 16);
    flags_print(&b, bits, 0, NULL);
    BUG_IF(flags_parse(buf_slice(&b), &m) != ERR_OK);
    for (uint32_t i = 0; i < m.count; i++)
        bits &= ~m.items[i].bit;
    BUG_IF(bits != 0);
    buf_free(&b);
}

static void subjects(struct str s)
{
    struct str base = sortkey_base_subject(s);
    struct buf fold, scratch;
    bool hit = false;

    BUG_IF(!str_eq(sortkey_base_subject(base), base));
    buf_init(&fold, 1 << 22);
    buf_init(&scratch, 1 << 22);
    if (sortkey_fold(base, &fold) == ERR_OK && fold.n != 0) {
        BUG_IF(sortkey_contains(base, buf_slice(&fold), &scratch, &hit) != ERR_OK || !hit);
    }
    buf_free(&fold);
    buf_free(&scratch);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str s = {(const char *)data, size}, pattern;

    if (size == 0)
        return 0;
    names(s);
    flags(s);
    subjects(s);
    if (str_split(&s, '\n', &pattern) && s.p != NULL)
        (void)mailbox_match(pattern, s, s.n < 5 ? 0 : 5);
    return 0;
}
