// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#include "codec/mime_charset.h"

#include <errno.h>
#include <iconv.h>

#include "base/utf8.h"

enum { NATIVE_UTF8, NATIVE_ASCII, NATIVE_1252, ICONV };

/* Supersets stand for the names that mail programs use loosely (WHATWG does the same). */
struct charset {
    const char *iconv_name;
    unsigned char how;
    const char *aliases; /* letters and digits only, lower case, each followed by a blank */
};

static const struct charset charsets[] = {
    {"UTF-8", NATIVE_UTF8, "utf8 unicode11utf8 cp65001 "},
    {"ANSI_X3.4-1968", NATIVE_ASCII, "usascii ascii ansix341968 iso646us 646 cp367 7bit "},
    {"CP1252", NATIVE_1252,
     "windows1252 cp1252 iso88591 latin1 l1 iso885911987 cp819 ibm819 xcp1252 "},
    {"ISO-8859-2", ICONV, "iso88592 latin2 "},
    {"ISO-8859-3", ICONV, "iso88593 latin3 "},
    {"ISO-8859-4", ICONV, "iso88594 latin4 "},
    {"ISO-8859-5", ICONV, "iso88595 cyrillic "},
    {"ISO-8859-6", ICONV, "iso88596 arabic "},
    {"ISO-8859-7", ICONV, "iso88597 greek "},
    {"ISO-8859-8", ICONV, "iso88598 iso88598i hebrew "},
    {"ISO-8859-9", ICONV, "iso88599 latin5 "},
    {"ISO-8859-10", ICONV, "iso885910 latin6 "},
    {"TIS-620", ICONV, "iso885911 tis620 windows874 cp874 "},
    {"ISO-8859-13", ICONV, "iso885913 latin7 "},
    {"ISO-8859-14", ICONV, "iso885914 latin8 "},
    {"ISO-8859-15", ICONV, "iso885915 latin9 "},
    {"ISO-8859-16", ICONV, "iso885916 latin10 "},
    {"CP1250", ICONV, "windows1250 cp1250 "},
    {"CP1251", ICONV, "windows1251 cp1251 "},
    {"CP1253", ICONV, "windows1253 cp1253 "},
    {"CP1254", ICONV, "windows1254 cp1254 "},
    {"CP1255", ICONV, "windows1255 cp1255 "},
    {"CP1256", ICONV, "windows1256 cp1256 "},
    {"CP1257", ICONV, "windows1257 cp1257 "},
    {"CP1258", ICONV, "windows1258 cp1258 "},
    {"KOI8-R", ICONV, "koi8r koi8 "},
    {"KOI8-U", ICONV, "koi8u "},
    {"CP437", ICONV, "cp437 ibm437 "},
    {"CP850", ICONV, "cp850 ibm850 "},
    {"CP852", ICONV, "cp852 ibm852 "},
    {"CP866", ICONV, "cp866 ibm866 "},
    {"MACINTOSH", ICONV, "macintosh macroman xmacroman mac "},
    {"CP932", ICONV, "shiftjis sjis xsjis mskanji cp932 windows31j "},
    {"EUC-JP-MS", ICONV, "eucjp xeucjp ujis "},
    {"ISO-2022-JP", ICONV, "iso2022jp csiso2022jp "},
    {"UHC", ICONV, "euckr ksc56011987 ksc5601 korean cp949 windows949 ksx1001 "},
    {"ISO-2022-KR", ICONV, "iso2022kr "},
    {"GB18030", ICONV, "gb2312 gbk gb18030 cp936 euccn xgbk "},
    {"BIG5-HKSCS", ICONV, "big5 cp950 big5hkscs xbig5 "},
    {"UTF-16", ICONV, "utf16 unicode "},
    {"UTF-16LE", ICONV, "utf16le "},
    {"UTF-16BE", ICONV, "utf16be "},
    {"UTF-7", ICONV, "utf7 unicode11utf7 "},
};

static iconv_t handles[ARRAY_LEN(charsets)];
static bool opened;
static char fallback[40] = "windows-1252"; /* of 8-bit text without a usable name */

enum err mime_charset_init(void)
{
    if (opened)
        return ERR_OK;
    for (size_t i = 0; i < ARRAY_LEN(charsets); i++) {
        handles[i] = iconv_open("UTF-8", charsets[i].iconv_name);
        if (handles[i] == (iconv_t)-1 && errno == ENOMEM)
            return ERR_NOMEM;
    }
    opened = true;
    return ERR_OK;
}

/* Number on the list, or -1. */
static int find_listed(struct str name)
{
    char want[40];
    size_t n = 0;
    for (size_t i = 0; i < name.n; i++) {
        char c = str_lower(name.p[i]);
        if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9')) {
            if (n == sizeof want - 2)
                return -1;
            want[n++] = c;
        }
    }
    if (n == 0)
        return -1;
    want[n++] = ' ';
    want[n] = '\0';
    for (size_t i = 0; i < ARRAY_LEN(charsets); i++) {
        const char *all = charsets[i].aliases;
        for (const char *hit = strstr(all, want); hit != NULL; hit = strstr(hit + 1, want)) {
            if (hit == all || hit[-1] == ' ')
                return (int)i;
        }
    }
    return -1;
}

/* Number of a charset that can be read, or -1. */
static int find(struct str name)
{
    int i = find_listed(name);
    if (i >= 0 && charsets[i].how == ICONV && (!opened || handles[i] == (iconv_t)-1))
        return -1;
    return i;
}

bool mime_charset_is_listed(struct str name)
{
    return find_listed(name) >= 0;
}

bool mime_charset_fallback(struct str name)
{
    if (find(name) < 0 || name.n >= sizeof fallback)
        return false;
    for (size_t i = 0; i < name.n; i++)
        fallback[i] = str_lower(name.p[i]);
    fallback[name.n] = '\0';
    return true;
}

const char *mime_charset_name(struct str name)
{
    int i = find(name);
    return i >= 0 ? charsets[i].iconv_name : NULL;
}

static const uint16_t upper_1252[32] = {
    0x20ac, 0xfffd, 0x201a, 0x0192, 0x201e, 0x2026, 0x2020, 0x2021, 0x02c6, 0x2030, 0x0160,
    0x2039, 0x0152, 0xfffd, 0x017d, 0xfffd, 0xfffd, 0x2018, 0x2019, 0x201c, 0x201d, 0x2022,
    0x2013, 0x2014, 0x02dc, 0x2122, 0x0161, 0x203a, 0x0153, 0xfffd, 0x017e, 0x0178};

static bool has_8bit(struct str s)
{
    for (size_t i = 0; i < s.n; i++) {
        if ((unsigned char)s.p[i] >= 0x80)
            return true;
    }
    return false;
}

static void from_1252(struct str s, struct buf *out)
{
    for (size_t i = 0; i < s.n;) {
        size_t run = i;
        while (run < s.n && (unsigned char)s.p[run] < 0x80)
            run++;
        buf_add(out, s.p + i, run - i);
        if (run < s.n) {
            unsigned char c = (unsigned char)s.p[run++];
            char utf8[4];
            buf_add(out, utf8, utf8_put(utf8, c < 0xa0 ? upper_1252[c - 0x80] : c));
        }
        i = run;
    }
}

static void from_iconv(iconv_t cd, struct str s, struct buf *out)
{
    iconv(cd, NULL, NULL, NULL, NULL);
    size_t left = s.n;
    char chunk[4096];
    /* glibc declares the input as char ** but does not write through it */
    union {
        const char *in;
        char *iconv_wants;
    } at = {.in = s.p};
    while (left != 0) {
        char *to = chunk;
        size_t room = sizeof chunk;
        size_t rc = iconv(cd, &at.iconv_wants, &left, &to, &room);
        int why = rc == (size_t)-1 ? errno : 0;
        buf_add(out, chunk, (size_t)(to - chunk));
        if (why == EILSEQ || why == EINVAL) {
            buf_lit(out, "\xef\xbf\xbd");
            at.in++;
            left--;
            if (why == EINVAL)
                break;
        } else if (why != 0 && why != E2BIG) {
            break;
        }
    }
    char *to = chunk;
    size_t room = sizeof chunk;
    if (iconv(cd, NULL, NULL, &to, &room) != (size_t)-1)
        buf_add(out, chunk, (size_t)(to - chunk));
}

/* `i`: a charset that can be read. */
static void convert_from(int i, struct str bytes, struct buf *out)
{
    if (charsets[i].how == ICONV)
        from_iconv(handles[i], bytes, out);
    else if (charsets[i].how == NATIVE_1252)
        from_1252(bytes, out);
    else
        buf_str(out, bytes); /* mime_clean() sees to what is wrong in it */
}

void mime_charset_convert(struct str charset, struct str bytes, struct buf *out, struct str *used)
{
    int i = find(charset);
    if (used != NULL)
        *used = STR_NONE;
    if (i >= 0 && charsets[i].how != NATIVE_ASCII) {
        convert_from(i, bytes, out);
        return;
    }
    bool eight = has_8bit(bytes);
    bool utf8 = eight && utf8_valid(bytes);
    if (eight && used != NULL)
        *used = utf8 ? STR("utf-8") : str_of(fallback);
    if (eight && !utf8)
        convert_from(find(str_of(fallback)), bytes, out);
    else
        buf_str(out, bytes);
}

static bool is_plain(char c)
{
    return (c >= 0x20 && c < 0x7f) || c == '\n' || c == '\t';
}

void mime_clean(struct str text, bool lines, struct buf *out)
{
    for (size_t i = 0; i < text.n;) {
        size_t run = i;
        while (run < text.n && is_plain(text.p[run]))
            run++;
        if (run != i) {
            buf_add(out, text.p + i, run - i);
            i = run;
            continue;
        }
        if (lines && text.p[i] == '\r') {
            buf_char(out, '\n');
            i += i + 1 < text.n && text.p[i + 1] == '\n' ? 2 : 1;
            continue;
        }
        uint32_t c = utf8_next(text, &i);
        char utf8[4];
        buf_add(out, utf8, utf8_put(utf8, utf8_xml_char(c) ? c : 0xfffd));
    }
}
