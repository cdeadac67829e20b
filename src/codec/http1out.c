// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#include "codec/http1out.h"

#include <time.h>

#include "base/clock.h"

const char *http1out_reason(int status)
{
    switch (status) {
#define STATUS(code, phrase) \
    case code:               \
        return phrase;
#include "codec/http_status.tbl"
#undef STATUS
    default:
        return "";
    }
}

void http1out_status(struct buf *out, int status)
{
    const char *reason = http1out_reason(status);
    BUG_IF(reason[0] == 0);
    buf_lit(out, "HTTP/1.1 ");
    buf_u64(out, (uint64_t)status);
    buf_char(out, ' ');
    buf_str(out, str_of(reason));
    buf_lit(out, "\r\n");
}

static bool value_ok(struct str v)
{
    for (size_t i = 0; i < v.n; i++) {
        if ((unsigned char)v.p[i] < 0x20 || v.p[i] == 0x7f)
            return false;
    }
    return v.n == 0 || (v.p[0] != ' ' && v.p[v.n - 1] != ' ');
}

enum err http1out_field(struct buf *out, const char *name, struct str value)
{
    if (!value_ok(value))
        return ERR_SYNTAX;
    buf_str(out, str_of(name));
    buf_lit(out, ": ");
    buf_str(out, value);
    buf_lit(out, "\r\n");
    return ERR_OK;
}

void http1out_end(struct buf *out, int status, uint64_t length, bool keep_alive)
{
    if (status != 204) {
        buf_lit(out, "Content-Length: ");
        buf_u64(out, length);
        buf_lit(out, "\r\n");
    }
    if (keep_alive)
        buf_lit(out, "Connection: keep-alive\r\n\r\n");
    else
        buf_lit(out, "Connection: close\r\n\r\n");
}

void http1out_continue(struct buf *out)
{
    http1out_status(out, 100);
    buf_lit(out, "\r\n");
}

static void put_digits(char *at, int width, int v)
{
    for (int i = width - 1; i >= 0; i--, v /= 10)
        at[i] = (char)('0' + v % 10);
}

struct str http1out_date(struct http1out_date *d, int64_t now)
{
    static const char form[] = "Sun, 06 Nov 1994 08:49:37 GMT";
    static const char days[] = "SunMonTueWedThuFriSat";
    static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    struct tm tm;
    time_t second = now / CLOCK_SEC;
    if (second != d->second || d->text[0] == 0) {
        BUG_IF(now < 0 || gmtime_r(&second, &tm) == NULL);
        memcpy(d->text, form, sizeof form);
        memcpy(d->text, days + 3 * tm.tm_wday, 3);
        put_digits(d->text + 5, 2, tm.tm_mday);
        memcpy(d->text + 8, months + 3 * tm.tm_mon, 3);
        put_digits(d->text + 12, 4, tm.tm_year + 1900);
        put_digits(d->text + 17, 2, tm.tm_hour);
        put_digits(d->text + 20, 2, tm.tm_min);
        put_digits(d->text + 23, 2, tm.tm_sec);
        d->second = second;
    }
    return (struct str){d->text, HTTP1OUT_DATE_LEN};
}
