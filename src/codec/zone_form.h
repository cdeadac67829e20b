// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#pragma once
/*
 * zone_form: the bytes of a table of zones; for zone.c and zone_make.c.
 *
 * struct zones_head, count × struct zones_entry in the order of the lower-case names, the names, then at addresses that 8
 * divides the zones: struct zone, `count` times i64, as many times i32.
 */
#include "codec/zone.h"

#define ZONES_MAGIC 0x5a4e4f58u

struct zones_head {
    uint32_t magic, count;
};

struct zones_entry {
    uint32_t name_at;
    uint16_t name_n;
    uint16_t listed;
    uint32_t zone_at;
};

enum zone_day { ZONE_MONTH_WEEK, ZONE_JULIAN, ZONE_DAY_OF_YEAR }; /* Mm.w.d, Jn, n */

/* The day and the time of a change, as POSIX has it in TZ. */
struct zone_edge {
    int32_t seconds; /* of local time, since that day's midnight; may be another day's */
    uint16_t day;    /* d, n */
    uint8_t form;    /* enum zone_day */
    uint8_t month, week;
    uint8_t unused[3];
};

struct zone {
    uint32_t count;     /* changes: i64 times, ascending, then i32 offsets from then on */
    int32_t before;     /* the offset before the first of them */
    uint8_t has_rule;   /* it holds from the last one on; else the last offset does */
    uint8_t has_summer; /* `summer` from `begin` to `end`, every year */
    uint8_t unused[2];
    int32_t standard, summer; /* of the rule */
    struct zone_edge begin, end;
    uint32_t filler;
};
_Static_assert(sizeof(struct zone) % 8 == 0, "i64 follow");

/* The instants, in UTC, at which the rule's summer begins and ends in that year. */
void zone_edges(const struct zone *z, int64_t year, int64_t *begin, int64_t *end);
/* What the rule says. */
int32_t zone_rule_offset(const struct zone *z, int64_t t);
/* The Gregorian year of that time. */
int64_t zone_year(int64_t t);
