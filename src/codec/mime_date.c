// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#include "codec/mime_value.h"

struct date {
    int day, month, year; /* -1: not seen yet */
    int hour, minute, second;
    int32_t shift;
    bool zone;
};

/* Copies without comments, and blanks before ':' or behind it; commas become blanks. false: too long for a date. */
static bool normalize(struct str s, char out[128], size_t *n)
{
    unsigned comment = 0;
    *n = 0;
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        if (c == '\\' && comment != 0) {
            i++;
            continue;
        }
        if (c == '(' || (c == ')' && comment != 0)) {
            comment += c == '(' ? 1U : -1U;
            c = ' ';
        }
        if (comment != 0)
            continue;
        if (c == '\t' || c == ',' || c == '"')
            c = ' ';
        if (c == ' ' && (*n == 0 || out[*n - 1] == ' ' || out[*n - 1] == ':'))
            continue;
        if (c == ':' && *n != 0 && out[*n - 1] == ' ')
            --*n;
        if (*n == 127)
            return false;
        out[(*n)++] = c;
    }
    return true;
}

static bool all_digits(struct str s)
{
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] < '0' || s.p[i] > '9')
            return false;
    }
    return s.n != 0;
}

static int number(struct str s)
{
    uint64_t v = 0;
    return s.n != 0 && str_u64(s, 99999, &v) == ERR_OK ? (int)v : -1;
}

static int month_of(struct str s)
{
    static const char names[12][4] = {"jan", "feb", "mar", "apr", "may", "jun",
                                      "jul", "aug", "sep", "oct", "nov", "dec"};
    for (size_t i = 0; i < 12 && s.n >= 3; i++) {
        if (str_ieq(str_sub(s, 0, 3), str_of(names[i])))
            return (int)i + 1;
    }
    return -1;
}

/* hh:mm or hh:mm:ss, fractions are dropped. */
static bool read_time(struct date *d, struct str s)
{
    struct str part[3] = {STR_NONE, STR_NONE, STR("0")};
    for (size_t i = 0; i < 3 && str_split(&s, ':', &part[i]); i++)
        ;
    part[2] = str_sub(part[2], 0, str_find(part[2], '.'));
    d->hour = number(part[0]);
    d->minute = number(part[1]);
    d->second = number(part[2]);
    return s.p == NULL && d->hour >= 0 && d->hour < 24 && d->minute >= 0 && d->minute < 60 &&
           d->second >= 0 && d->second <= 60;
}

/* +hhmm, -hh:mm, +hh. Nonsense counts as no shift. */
static void read_shift(struct date *d, struct str s)
{
    bool west = s.p[0] == '-';
    struct str hours = str_sub(s, 1, 2);
    struct str minutes = str_sub(s, s.n > 3 && s.p[3] == ':' ? 4 : 3, 2);
    int h = number(hours), m = minutes.n == 0 ? 0 : number(minutes);
    d->zone = true;
    if (h < 0 || h > 23 || m < 0 || m > 59 || !all_digits(hours))
        return;
    d->shift = (west ? -1 : 1) * (h * 3600 + m * 60);
}

static void read_zone_name(struct date *d, struct str s)
{
    static const struct {
        char name[4];
        int hours;
    } zones[] = {{"EST", -5}, {"EDT", -4}, {"CST", -6}, {"CDT", -5}, {"MST", -7},
                 {"MDT", -6}, {"PST", -8}, {"PDT", -7}, {"CET", 1},  {"MET", 1},
                 {"BST", 1},  {"EET", 2},  {"MSK", 3},  {"JST", 9},  {"KST", 9}};
    size_t sign = 0;
    while (sign < s.n && s.p[sign] != '+' && s.p[sign] != '-')
        sign++;
    if (sign < s.n) { /* GMT+0200 */
        read_shift(d, str_sub(s, sign, s.n));
        return;
    }
    d->zone = true;
    for (size_t i = 0; i < ARRAY_LEN(zones); i++) {
        if (str_ieq(s, str_of(zones[i].name)))
            d->shift = zones[i].hours * 3600;
    }
    if (str_ieq(s, STR("CEST")) || str_ieq(s, STR("MEST")))
        d->shift = 2 * 3600;
}

static bool read_year(struct date *d, struct str s)
{
    int y = number(s);
    if (y >= 0 && s.n <= 2)
        y += y < 50 ? 2000 : 1900;
    else if (y >= 0 && s.n == 3)
        y += 1900;
    d->year = y;
    return y >= 1900 && y <= 9999;
}

/* 25-May-2026 or 2026-05-25. */
static bool read_dashed(struct date *d, struct str s)
{
    struct str part[3] = {STR_NONE, STR_NONE, STR_NONE};
    for (size_t i = 0; i < 3 && str_split(&s, '-', &part[i]); i++)
        ;
    bool iso = part[0].n == 4 && all_digits(part[1]);
    d->month = iso ? number(part[1]) : month_of(part[1]);
    d->day = number(part[iso ? 2 : 0]);
    return s.p == NULL && read_year(d, part[iso ? 0 : 2]);
}

static bool read_token(struct date *d, struct str s)
{
    char c = s.p[0];
    bool timed = d->hour >= 0;
    if (timed && !d->zone && (c == '+' || c == '-')) {
        read_shift(d, s);
        return true;
    }
    size_t t = str_find(s, 'T');
    if (t < s.n && t >= 8 && all_digits(str_sub(s, 0, 4))) {
        struct str time = str_sub(s, t + 1, s.n);
        size_t zone = 0;
        while (zone < time.n && time.p[zone] != 'Z' && time.p[zone] != '+' && time.p[zone] != '-')
            zone++;
        if (zone < time.n && time.p[zone] != 'Z')
            read_shift(d, str_sub(time, zone, time.n));
        return read_dashed(d, str_sub(s, 0, t)) && read_time(d, str_sub(time, 0, zone));
    }
    if (str_find(s, ':') < s.n)
        return timed || read_time(d, s);
    if (all_digits(s)) {
        if (d->day < 0 && s.n <= 2)
            d->day = number(s);
        else if (d->year < 0)
            return read_year(d, s);
        return true;
    }
    if (c >= '0' && c <= '9' && str_find(s, '-') < s.n)
        return d->day < 0 && read_dashed(d, s);
    if (d->month < 0 && month_of(s) > 0)
        d->month = month_of(s);
    else if (timed && !d->zone && (d->year >= 0 || !all_digits(s)))
        read_zone_name(d, s);
    return true;
}

/* Days since 1970-01-01 of the proleptic Gregorian calendar. */
static int64_t days_of(int year, int month, int day)
{
    int64_t y = month <= 2 ? year - 1 : year;
    int64_t era = y / 400, yoe = y - era * 400;
    int64_t doy = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    return era * 146097 + yoe * 365 + yoe / 4 - yoe / 100 + doy - 719468;
}

bool mime_date(struct str unfolded, int64_t *when, int32_t *shift)
{
    static const signed char lengths[12] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    char text[128];
    size_t n;
    struct date d = {-1, -1, -1, -1, -1, -1, 0, false};
    if (!normalize(unfolded, text, &n))
        return false;
    struct str rest = {text, n}, token;
    while (str_split(&rest, ' ', &token)) {
        if (token.n != 0 && !read_token(&d, token))
            return false;
    }
    if (d.day < 1 || d.month < 1 || d.month > 12 || d.year < 0 || d.hour < 0)
        return false;
    bool leap = d.year % 4 == 0 && (d.year % 100 != 0 || d.year % 400 == 0);
    if (d.day > lengths[d.month - 1] + (d.month == 2 && leap))
        return false;
    *when = days_of(d.year, d.month, d.day) * 86400 + d.hour * 3600 + d.minute * 60 + d.second -
            d.shift;
    *shift = d.shift;
    return true;
}
