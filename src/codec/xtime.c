// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#include "codec/xtime.h"

#include <stdio.h>
#include <time.h>

#include "codec/zone.h"

#define DAY 86400

static int64_t floor_div(int64_t a, int64_t b)
{
    return a / b - (a % b < 0 ? 1 : 0);
}

/* Days since 1970-01-01 in the Gregorian calendar; the year is counted from March, so that leap
 * days come last. */
static int64_t days_of(int64_t year, int month, int day)
{
    int64_t y = month <= 2 ? year - 1 : year;
    int64_t era = floor_div(y, 400);
    int64_t yoe = y - era * 400;
    int64_t doy = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;
    return era * 146097 + yoe * 365 + yoe / 4 - yoe / 100 + doy - 719468;
}

/* The other way round. */
static void date_of(int64_t days, struct xtime *x)
{
    days += 719468;
    int64_t era = floor_div(days, 146097);
    int64_t doe = days - era * 146097;
    int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
    int64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    int64_t m = (5 * doy + 2) / 153;
    x->day = (uint8_t)(doy - (153 * m + 2) / 5 + 1);
    x->month = (uint8_t)(m < 10 ? m + 3 : m - 9);
    x->year = (int16_t)(yoe + era * 400 + (x->month <= 2 ? 1 : 0));
}

static int64_t clamp(int64_t t)
{
    return t < XTIME_MIN ? XTIME_MIN : t > XTIME_MAX ? XTIME_MAX : t;
}

static struct xtime split(int64_t t)
{
    struct xtime x = {0};
    t = clamp(t);
    int64_t days = floor_div(t, DAY);
    int64_t rest = t - days * DAY;
    date_of(days, &x);
    x.hour = (uint8_t)(rest / 3600);
    x.minute = (uint8_t)(rest / 60 % 60);
    x.second = (uint8_t)(rest % 60);
    return x;
}

static char *put2(char *to, unsigned v)
{
    to[0] = (char)('0' + v / 10 % 10);
    to[1] = (char)('0' + v % 10);
    return to + 2;
}

static char *put_date(char *to, const struct xtime *x)
{
    unsigned year = (unsigned)x->year;
    return put2(put2(put2(put2(to, year / 100), year % 100), x->month), x->day);
}

static char *put_clock(char *to, const struct xtime *x)
{
    return put2(put2(put2(to, x->hour), x->minute), x->second);
}

static struct str done(char *from, char *end)
{
    *end = '\0';
    return (struct str){from, (size_t)(end - from)};
}

static struct str put_both(char *to, const struct xtime *x, bool z)
{
    char *w = put_date(to, x);
    *w++ = 'T';
    w = put_clock(w, x);
    if (z)
        *w++ = 'Z';
    return done(to, w);
}

struct str xtime_gmt(char to[XTIME_SIZE], int64_t t)
{
    struct xtime x = split(t);
    return put_both(to, &x, false);
}

struct str xtime_gmt_z(char to[XTIME_SIZE], int64_t t)
{
    struct xtime x = split(t);
    return put_both(to, &x, true);
}

static struct str local_of_server(char to[XTIME_SIZE], int64_t t)
{
    time_t now = (time_t)clamp(t);
    struct tm tm;
    if (localtime_r(&now, &tm) == NULL || tm.tm_year < 1 - 1900 || tm.tm_year > 9999 - 1900)
        return xtime_gmt(to, t);
    struct xtime x = split(days_of(tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday) * DAY +
                           tm.tm_hour * 3600 + tm.tm_min * 60 + tm.tm_sec);
    return put_both(to, &x, false);
}

struct str xtime_local(char to[XTIME_SIZE], int64_t t, const struct zone *zone)
{
    if (zone == NULL)
        return local_of_server(to, t);
    t = clamp(t);
    return xtime_gmt(to, t + zone_offset(zone, t));
}

struct str xtime_date(char to[XTIME_SIZE], int64_t t)
{
    struct xtime x = split(t);
    return done(to, put_date(to, &x));
}

struct str xtime_digits(char to[XTIME_SIZE], int64_t t)
{
    struct xtime x = split(t);
    return done(to, put_clock(put_date(to, &x), &x));
}

/* --- input */

struct cursor {
    const char *p, *end;
};

static bool take(struct cursor *c, char want)
{
    if (c->p == c->end || *c->p != want)
        return false;
    c->p++;
    return true;
}

static bool take_digits(struct cursor *c, int count, int low, int high, int *out)
{
    int v = 0;
    for (int i = 0; i < count; i++) {
        if (c->p == c->end || *c->p < '0' || *c->p > '9')
            return false;
        v = v * 10 + (*c->p++ - '0');
    }
    *out = v;
    return v >= low && v <= high;
}

static int days_in(int year, int month)
{
    static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    return month == 2 && leap ? 29 : days[month - 1];
}

/* *extended: whether the date has hyphens; the time then has colons. */
static bool take_date(struct cursor *c, struct xtime *x, bool *extended)
{
    int year, month, day;
    if (!take_digits(c, 4, 1, 9999, &year))
        return false;
    *extended = take(c, '-');
    if (!take_digits(c, 2, 1, 12, &month) || (*extended && !take(c, '-')) ||
        !take_digits(c, 2, 1, days_in(year, month), &day))
        return false;
    x->year = (int16_t)year;
    x->month = (uint8_t)month;
    x->day = (uint8_t)day;
    return true;
}

static bool take_clock(struct cursor *c, struct xtime *x, bool extended)
{
    int hour, minute, second;
    if (!take_digits(c, 2, 0, 23, &hour) || (extended && !take(c, ':')) ||
        !take_digits(c, 2, 0, 59, &minute) || (extended && !take(c, ':')) ||
        !take_digits(c, 2, 0, 59, &second))
        return false;
    x->hour = (uint8_t)hour;
    x->minute = (uint8_t)minute;
    x->second = (uint8_t)second;
    if (take(c, '.') || take(c, ',')) {
        int any;
        if (!take_digits(c, 1, 0, 9, &any))
            return false;
        while (take_digits(c, 1, 0, 9, &any))
            ;
    }
    x->utc = take(c, 'Z');
    return true;
}

enum err xtime_parse(struct str s, struct xtime *out)
{
    if (s.n == 0)
        return ERR_ATTR_VALUE;
    struct cursor c = {s.p, s.p + s.n};
    struct xtime x = {0};
    bool extended;
    if (!take_date(&c, &x, &extended))
        return ERR_ATTR_VALUE;
    x.date_only = c.p == c.end;
    if (!x.date_only && (!take(&c, 'T') || !take_clock(&c, &x, extended) || c.p != c.end))
        return ERR_ATTR_VALUE;
    *out = x;
    return ERR_OK;
}

int64_t xtime_from_gmt(const struct xtime *x)
{
    return days_of(x->year, x->month, x->day) * DAY + x->hour * 3600 + x->minute * 60 + x->second;
}

int64_t xtime_from_local(const struct xtime *x)
{
    struct tm tm = {.tm_year = x->year - 1900,
                    .tm_mon = x->month - 1,
                    .tm_mday = x->day,
                    .tm_hour = x->hour,
                    .tm_min = x->minute,
                    .tm_sec = x->second,
                    .tm_isdst = -1};
    return (int64_t)mktime(&tm);
}

enum err xtime_read(struct str s, bool local, int64_t *out)
{
    struct xtime x;
    enum err e = xtime_parse(s, &x);
    if (e == ERR_OK)
        *out = local && !x.utc ? xtime_from_local(&x) : xtime_from_gmt(&x);
    return e;
}
