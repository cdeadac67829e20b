// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#include "auth/name.h"

#include <stdlib.h>
#include <unicase.h>
#include <unictype.h>

#include "base/utf8.h"

#define LABEL_MAX 63

static bool is_ascii(struct str s)
{
    for (size_t i = 0; i < s.n; i++) {
        if ((unsigned char)s.p[i] >= 0x80)
            return false;
    }
    return true;
}

static bool is_alnum(uint32_t c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

/* NFKC and case folding, once; malloc()ed. .p == NULL: no memory. */
static struct str fold_once(struct str s)
{
    size_t n = 0;
    uint8_t *p = u8_casefold((const uint8_t *)s.p, s.n, NULL, UNINORM_NFKC, NULL, &n);
    return (struct str){(const char *)p, n};
}

static void give_back(struct str s)
{
    union {
        const char *in;
        void *out;
    } u = {s.p};
    free(u.out);
}

/* Folded into `to` (NAME_INPUT_MAX bytes); ERR_SYNTAX also when a second pass would change it. */
static enum err fold(struct str in, char *to, struct str *out)
{
    if (in.n > NAME_INPUT_MAX)
        return ERR_TOO_LONG;
    if (is_ascii(in)) {
        for (size_t i = 0; i < in.n; i++)
            to[i] = str_lower(in.p[i]);
        *out = (struct str){to, in.n};
        return ERR_OK;
    }
    if (!utf8_valid(in))
        return ERR_SYNTAX;
    struct str once = fold_once(in);
    struct str twice = once.p != NULL ? fold_once(once) : STR_NONE;
    enum err e = ERR_OK;
    if (once.p == NULL || twice.p == NULL)
        e = ERR_NOMEM;
    else if (!str_eq(once, twice))
        e = ERR_SYNTAX;
    else if (once.n > NAME_INPUT_MAX)
        e = ERR_TOO_LONG;
    if (e == ERR_OK) {
        memcpy(to, once.p, once.n);
        *out = (struct str){to, once.n};
    }
    give_back(once);
    give_back(twice);
    return e;
}

/* --- the Bidi rule, RFC 5893, section 2 */

struct bidi {
    bool rtl;     /* R, AL or AN occurs: the rule applies */
    bool foreign; /* a class that a right-to-left label may not hold */
    bool en, an;
    int first, last; /* last: not counting NSM */
};

static void bidi_see(struct bidi *b, uint32_t c)
{
    int class = uc_bidi_class(c);
    if (b->first < 0)
        b->first = class;
    if (class != UC_BIDI_NSM)
        b->last = class;
    switch (class) {
    case UC_BIDI_R:
    case UC_BIDI_AL:
        b->rtl = true;
        break;
    case UC_BIDI_AN:
        b->rtl = b->an = true;
        break;
    case UC_BIDI_EN:
        b->en = true;
        break;
    case UC_BIDI_ES:
    case UC_BIDI_CS:
    case UC_BIDI_ET:
    case UC_BIDI_ON:
    case UC_BIDI_BN:
    case UC_BIDI_NSM:
        break;
    default:
        b->foreign = true;
    }
}

static bool bidi_ok(const struct bidi *b)
{
    if (!b->rtl)
        return true;
    return (b->first == UC_BIDI_R || b->first == UC_BIDI_AL) && !b->foreign && !(b->en && b->an) &&
           (b->last == UC_BIDI_R || b->last == UC_BIDI_AL || b->last == UC_BIDI_EN ||
            b->last == UC_BIDI_AN);
}

/* --- the parts */

/* A letter, mark or digit beyond ASCII that a folded name may hold; marks not in front. */
static bool is_foreign_letter(uint32_t c, bool first)
{
    uint32_t mask = UC_CATEGORY_MASK_L | UC_CATEGORY_MASK_Nd;
    if (!first)
        mask |= UC_CATEGORY_MASK_Mn | UC_CATEGORY_MASK_Mc;
    return c >= 0x80 && uc_is_general_category_withtable(c, mask);
}

static bool is_local_sign(uint32_t c)
{
    return c < 0x80 && c != 0 && strchr(".-_+=&'#$!", (int)c) != NULL;
}

static enum err check_local(struct str s)
{
    struct bidi bidi = {.first = -1, .last = -1};
    uint32_t before = '.';
    if (s.n > NAME_LOCAL_MAX)
        return ERR_TOO_LONG;
    for (size_t at = 0; at < s.n;) {
        uint32_t c = utf8_next(s, &at);
        if (!is_alnum(c) && !is_local_sign(c) && !is_foreign_letter(c, bidi.first < 0))
            return ERR_SYNTAX;
        if (c == '.' && before == '.')
            return ERR_SYNTAX;
        before = c;
        bidi_see(&bidi, c);
    }
    return before != '.' && bidi_ok(&bidi) ? ERR_OK : ERR_SYNTAX;
}

static enum err check_label(struct str s)
{
    struct bidi bidi = {.first = -1, .last = -1};
    if (s.n > LABEL_MAX)
        return ERR_TOO_LONG;
    if (s.n == 0 || s.p[0] == '-' || s.p[s.n - 1] == '-')
        return ERR_SYNTAX;
    for (size_t at = 0; at < s.n;) {
        uint32_t c = utf8_next(s, &at);
        if (!is_alnum(c) && c != '-' && !is_foreign_letter(c, bidi.first < 0))
            return ERR_SYNTAX;
        bidi_see(&bidi, c);
    }
    return bidi_ok(&bidi) ? ERR_OK : ERR_SYNTAX;
}

static enum err check_domain(struct str s)
{
    struct str label;
    if (s.n > NAME_DOMAIN_MAX)
        return ERR_TOO_LONG;
    if (s.n == 0 || s.p[s.n - 1] == '.')
        return ERR_SYNTAX;
    while (str_split(&s, '.', &label)) {
        enum err e = check_label(label);
        if (e != ERR_OK)
            return e;
    }
    return ERR_OK;
}

/* "%" stands for "@" in programs that cannot send one: the last of them, and only without an "@". */
static void split(struct str s, struct str target, struct str *local, struct str *domain)
{
    size_t at = str_find(s, '@');
    if (at == s.n) {
        size_t i = s.n;
        while (i != 0 && s.p[i - 1] != '%')
            i--;
        if (i != 0)
            at = i - 1;
    }
    *local = str_sub(s, 0, at);
    *domain = at != s.n ? str_sub(s, at + 1, s.n) : target;
}

enum err name_canon(struct str in, struct str target, struct name *out)
{
    char folded[NAME_INPUT_MAX];
    struct str s, local, domain;
    enum err e = fold(in, folded, &s);
    if (e != ERR_OK)
        return e;
    split(s, target, &local, &domain);
    e = check_local(local);
    if (e == ERR_OK)
        e = check_domain(domain);
    if (e != ERR_OK)
        return e;
    memcpy(out->text, local.p, local.n);
    out->text[local.n] = '@';
    memcpy(out->text + local.n + 1, domain.p, domain.n);
    out->local_n = (uint16_t)local.n;
    out->n = (uint16_t)(local.n + 1 + domain.n);
    out->text[out->n] = '\0';
    return ERR_OK;
}

enum err name_canon_domain(struct str in, char to[NAME_DOMAIN_MAX + 1])
{
    char folded[NAME_INPUT_MAX];
    struct str s;
    enum err e = fold(in, folded, &s);
    if (e == ERR_OK)
        e = check_domain(s);
    if (e != ERR_OK)
        return e;
    memcpy(to, s.p, s.n);
    to[s.n] = '\0';
    return ERR_OK;
}
