// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#include "codec/zone.h"

#include "codec/xtime.h"
#include "codec/zone_form.h"

#define DAY 86400

/* --- the rule */

static bool is_leap(int64_t year)
{
    return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

/* From 1970-01-01 to that year's first day; for the years of xtime, and one more at each end. */
static int64_t days_before_year(int64_t year)
{
    int64_t y = year - 1;
    return y * 365 + y / 4 - y / 100 + y / 400 - (y < 0 ? 1 : 0) - 719162;
}

static const uint16_t month_days[2][13] = {
    {0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334, 365},
    {0, 31, 60, 91, 121, 152, 182, 213, 244, 274, 305, 335, 366}};

/* Day of the year (from 0). Week 5 is the last one; day 0 is Sunday. */
static int64_t day_of_week(const struct zone_edge *e, int64_t first, bool leap)
{
    int64_t month = month_days[leap][e->month - 1];
    int64_t length = month_days[leap][e->month] - month;
    int64_t weekday = ((first + month + 4) % 7 + 7) % 7; /* 1970-01-01 was a Thursday */
    int64_t day = (e->day - weekday + 7) % 7 + (e->week - 1) * 7;
    return month + (day >= length ? day - 7 : day);
}

static int64_t edge_local(const struct zone_edge *e, int64_t year)
{
    int64_t first = days_before_year(year), day = e->day;
    bool leap = is_leap(year);
    if (e->form == ZONE_MONTH_WEEK)
        day = day_of_week(e, first, leap);
    else if (e->form == ZONE_JULIAN) /* 1 … 365; February 29 has no number */
        day = e->day - 1 + (leap && e->day >= 60 ? 1 : 0);
    return (first + day) * DAY + e->seconds;
}

void zone_edges(const struct zone *z, int64_t year, int64_t *begin, int64_t *end)
{
    *begin = edge_local(&z->begin, year) - z->standard;
    *end = edge_local(&z->end, year) - z->summer;
}

int64_t zone_year(int64_t t)
{
    int64_t year = 1970 + t / INT64_C(31556952); /* 365.2425 days */
    while (days_before_year(year) * DAY > t)
        year--;
    while (days_before_year(year + 1) * DAY <= t)
        year++;
    return year;
}

int32_t zone_rule_offset(const struct zone *z, int64_t t)
{
    int64_t begin, end;
    if (!z->has_summer)
        return z->standard;
    zone_edges(z, zone_year(t + z->standard), &begin, &end);
    bool summer = begin < end ? t >= begin && t < end : t >= begin || t < end;
    return summer ? z->summer : z->standard;
}

/* --- a zone */

static const int64_t *times_of(const struct zone *z)
{
    return (const int64_t *)(const void *)(z + 1);
}

static const int32_t *offsets_of(const struct zone *z)
{
    return (const int32_t *)(const void *)(times_of(z) + z->count);
}

int32_t zone_offset(const struct zone *zone, int64_t t)
{
    const int64_t *times = times_of(zone);
    uint32_t low = 0,
             high =
                 zone->count; /* changes before `low` are past, from `high` on they are to come */
    t = t < XTIME_MIN ? XTIME_MIN : t > XTIME_MAX ? XTIME_MAX : t;
    while (low < high) {
        uint32_t mid = low + (high - low) / 2;
        if (times[mid] <= t)
            low = mid + 1;
        else
            high = mid;
    }
    if (low == zone->count && zone->has_rule)
        return zone_rule_offset(zone, t);
    return low == 0 ? zone->before : offsets_of(zone)[low - 1];
}

/* --- the table */

static const struct zones_entry *entry_at(const struct zones *z, uint32_t i)
{
    return (const struct zones_entry *)(const void *)(z->bytes.p + sizeof(struct zones_head)) + i;
}

static struct str entry_name(const struct zones *z, const struct zones_entry *e)
{
    return (struct str){z->bytes.p + e->name_at, e->name_n};
}

static const struct zone *entry_zone(const struct zones *z, const struct zones_entry *e)
{
    return (const struct zone *)(const void *)(z->bytes.p + e->zone_at);
}

static bool inside(const struct zones *z, uint64_t at, uint64_t n)
{
    return at <= z->bytes.n && n <= z->bytes.n - at;
}

static bool edge_fine(const struct zone_edge *e)
{
    if (e->form == ZONE_MONTH_WEEK)
        return e->month >= 1 && e->month <= 12 && e->week >= 1 && e->week <= 5 && e->day <= 6;
    return (e->form == ZONE_JULIAN && e->day >= 1 && e->day <= 365) ||
           (e->form == ZONE_DAY_OF_YEAR && e->day <= 365);
}

static bool zone_fine(const struct zones *z, const struct zones_entry *e)
{
    if (e->zone_at % 8 != 0 || !inside(z, e->zone_at, sizeof(struct zone)))
        return false;
    const struct zone *zone = entry_zone(z, e);
    uint64_t changes = zone->count * (uint64_t)(sizeof(int64_t) + sizeof(int32_t));
    return inside(z, e->zone_at + sizeof(struct zone), changes) &&
           (!zone->has_summer || (edge_fine(&zone->begin) && edge_fine(&zone->end)));
}

enum err zones_open(struct zones *z, struct str table)
{
    struct zones_head head;
    struct zones t = {.bytes = table};
    *z = (struct zones){0};
    if (table.n < sizeof head || (uintptr_t)table.p % 8 != 0)
        return ERR_SYNTAX;
    memcpy(&head, table.p, sizeof head);
    if (head.magic != ZONES_MAGIC || head.count > ZONES_MAX ||
        !inside(&t, sizeof head, head.count * (uint64_t)sizeof(struct zones_entry)))
        return ERR_SYNTAX;
    t.count = head.count;
    for (uint32_t i = 0; i < t.count; i++) {
        const struct zones_entry *e = entry_at(&t, i);
        if (!inside(&t, e->name_at, e->name_n) || !zone_fine(&t, e) ||
            (i != 0 && str_icmp(entry_name(&t, e - 1), entry_name(&t, e)) >= 0))
            return ERR_SYNTAX;
    }
    *z = t;
    return ERR_OK;
}

const struct zone *zones_find(const struct zones *z, struct str name)
{
    uint32_t low = 0, high = z->count;
    while (low < high) {
        uint32_t mid = low + (high - low) / 2;
        const struct zones_entry *e = entry_at(z, mid);
        int c = str_icmp(entry_name(z, e), name);
        if (c == 0)
            return entry_zone(z, e);
        if (c < 0)
            low = mid + 1;
        else
            high = mid;
    }
    return NULL;
}

struct str zones_name(const struct zones *z, uint32_t i, bool *listed)
{
    const struct zones_entry *e = entry_at(z, i);
    *listed = e->listed != 0;
    return entry_name(z, e);
}
