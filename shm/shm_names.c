// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#include "shm/shm_names.h"

#include <stdbool.h>
#include <string.h>

const struct shm_element shm_elements[SHM_COUNTERS] = {
#define COUNTER(id, element, kind, unit, line, paragraph) \
    {element, SHM_##kind, unit, line, paragraph},
#include "shm/counters.tbl"
#undef COUNTER
};

#define COUNTER(id_, name_, kind_, unit_, line_, paragraph_)                              \
    _Static_assert(sizeof(name_) <= sizeof(((struct shm_counter_name *)0)->name), name_); \
    _Static_assert(sizeof(unit_) <= sizeof(((struct shm_counter_name *)0)->unit), name_); \
    _Static_assert(sizeof(line_) <= sizeof(((struct shm_counter_name *)0)->help), name_);
#include "shm/counters.tbl"
#undef COUNTER

const char *shm_state_text(enum shm_state state)
{
    static const char *const texts[] = {
        "",
#define STATE(name, text) text,
#include "shm/states.tbl"
#undef STATE
    };
    return (unsigned)state < SHM_STATE_END ? texts[state] : "";
}

void shm_field_set(char *field, size_t n, const char *text)
{
    size_t len = strnlen(text, n);
    memcpy(field, text, len);
    memset(field + len, 0, n - len);
}

/*
 * Length of the well-formed character at p (RFC 3629, 4), with its code point; 0: malformed; n + 1:
 * the bytes that are there are a good beginning of a longer one.
 */
static size_t utf8_at(const unsigned char *p, size_t n, uint32_t *cp)
{
    if (p[0] < 0x80) {
        *cp = p[0];
        return 1;
    }
    size_t len = p[0] >= 0xc2 && p[0] <= 0xdf   ? 2
                 : (p[0] & 0xf0) == 0xe0        ? 3
                 : p[0] >= 0xf0 && p[0] <= 0xf4 ? 4
                                                : 0;
    if (len == 0)
        return 0;
    *cp = p[0] & (0x7fu >> len);
    for (size_t i = 1; i < len; i++) {
        if (i == n)
            return n + 1;
        unsigned low = 0x80, high = 0xbf;
        if (i == 1 && p[0] == 0xe0)
            low = 0xa0; /* overlong */
        else if (i == 1 && p[0] == 0xed)
            high = 0x9f; /* surrogates */
        else if (i == 1 && p[0] == 0xf0)
            low = 0x90;
        else if (i == 1 && p[0] == 0xf4)
            high = 0x8f; /* above U+10FFFF */
        if (p[i] < low || p[i] > high)
            return 0;
        *cp = *cp << 6 | (p[i] & 0x3f);
    }
    return len;
}

static bool may_be_shown(uint32_t cp)
{
    return cp >= 0x20 && !(cp >= 0x7f && cp <= 0x9f) && cp != 0x061c &&
           !(cp >= 0x200e && cp <= 0x200f) && !(cp >= 0x2028 && cp <= 0x202e) &&
           !(cp >= 0x2066 && cp <= 0x2069) && cp != 0xfeff;
}

size_t shm_field_text(const char *field, size_t n, char *out)
{
    const unsigned char *p = (const unsigned char *)field;
    size_t len = strnlen(field, n), o = 0;
    for (size_t i = 0; i < len;) {
        if (p[i] >= 0x20 && p[i] < 0x7f) { /* nearly every byte */
            out[o++] = (char)p[i++];
            continue;
        }
        uint32_t cp = 0;
        size_t k = utf8_at(p + i, len - i, &cp);
        if (k > len - i) {
            if (len == n)
                break; /* cut by the field's end */
            k = 0;
        }
        if (k == 0 || !may_be_shown(cp)) {
            memcpy(out + o, "\xef\xbf\xbd", 3);
            o += 3;
            i += k != 0 ? k : 1;
            continue;
        }
        memcpy(out + o, p + i, k);
        o += k;
        i += k;
    }
    out[o] = 0;
    return o;
}
