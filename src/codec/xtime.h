// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#pragma once
/*
 * xtime: the forms of time in the protocol (protocol 1, 1.9). Unix seconds in and out.
 *
 * Writers return a slice of `to` (with a zero byte behind it). Times outside the years 1 to 9999
 * are written as the nearest one inside. Local is a zone of codec/zone, or without one the server's
 * (localtime_r; TZ is read before the process is locked in).
 */
#include "base/str.h"

struct zone;

#define XTIME_SIZE 24
#define XTIME_MIN  INT64_C(-62135596800) /* 00010101T000000Z */
#define XTIME_MAX  INT64_C(253402300799) /* 99991231T235959Z */

struct str xtime_gmt(char to[XTIME_SIZE], int64_t t);   /* 20070502T083313, for attributes */
struct str xtime_gmt_z(char to[XTIME_SIZE], int64_t t); /* 20070502T083313Z, for element text */
struct str xtime_local(char to[XTIME_SIZE], int64_t t,
                       const struct zone *zone); /* 20070502T003313; NULL: the server's zone */
struct str xtime_date(char to[XTIME_SIZE], int64_t t); /* 20070502, GMT */
struct str xtime_digits(char to[XTIME_SIZE],
                        int64_t t); /* 20070502083313, GMT: only `Oldest` of mailbox */

struct xtime {
    int16_t year; /* 1 ... 9999 */
    uint8_t month, day, hour, minute, second;
    bool utc;       /* a Z was there */
    bool date_only; /* the time is 0 then */
};

/*
 * 20070502T083313, 2007-05-02T08:33:13, each with or without a fraction (dropped) and Z; 20070502,
 * 2007-05-02. The whole slice, no white space. Everything else, and dates and times that do not
 * exist (leap seconds too): ERR_ATTR_VALUE.
 */
enum err xtime_parse(struct str s, struct xtime *out) CHECKED;

/* The fields taken as GMT, or as local time of the server's zone (in a gap or overlap: what mktime
 * says). */
int64_t xtime_from_gmt(const struct xtime *x);
int64_t xtime_from_local(const struct xtime *x);

/* Parses to seconds; without Z the operation says which it is. */
enum err xtime_read(struct str s, bool local, int64_t *out) CHECKED;
