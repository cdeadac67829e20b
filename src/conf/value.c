// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#include "conf/value.h"

#include "base/buf.h"
#include "base/utf8.h"
#include "codec/addrlist.h"

struct unit {
    const char *name;
    uint64_t factor;
};

static const struct unit size_units[] = {
    {"k", UINT64_C(1) << 10}, {"M", UINT64_C(1) << 20}, {"G", UINT64_C(1) << 30}, {"", 1}};
static const struct unit time_units[] = {{"ms", UINT64_C(1000000)},
                                         {"s", UINT64_C(1000000000)},
                                         {"m", UINT64_C(60000000000)},
                                         {"h", UINT64_C(3600000000000)},
                                         {"d", UINT64_C(86400000000000)}};

/* Digits and one of the units. */
static enum err parse_scaled(struct str text, const struct unit *units, size_t n, uint64_t *out)
{
    size_t digits = 0;
    uint64_t v;
    while (digits < text.n && text.p[digits] >= '0' && text.p[digits] <= '9')
        digits++;
    struct str unit = str_sub(text, digits, text.n);
    enum err e = str_u64(str_sub(text, 0, digits), INT64_MAX, &v);
    if (e != ERR_OK)
        return e;
    for (size_t i = 0; i < n; i++) {
        if (!str_ieq(unit, str_of(units[i].name)))
            continue;
        if (__builtin_mul_overflow(v, units[i].factor, out) || *out > INT64_MAX)
            return ERR_RANGE;
        return ERR_OK;
    }
    return ERR_SYNTAX;
}

void value_size_text(uint64_t bytes, char to[VALUE_TEXT_MAX])
{
    static const char units[] = {0, 'k', 'M', 'G'};
    size_t unit = 0;
    while (unit < 3 && bytes != 0 && bytes % 1024 == 0) {
        bytes /= 1024;
        unit++;
    }
    snprintf(to, VALUE_TEXT_MAX, "%llu%.1s", (unsigned long long)bytes,
             unit != 0 ? &units[unit] : "");
}

void value_time_text(int64_t ns, char to[VALUE_TEXT_MAX])
{
    uint64_t v = (uint64_t)ns;
    size_t i = ARRAY_LEN(time_units) - 1;
    while (i > 0 && (v == 0 || v % time_units[i].factor != 0))
        i--;
    if (v == 0)
        snprintf(to, VALUE_TEXT_MAX, "0");
    else
        snprintf(to, VALUE_TEXT_MAX, "%llu%s", (unsigned long long)(v / time_units[i].factor),
                 time_units[i].name);
}

static struct str allowed_words(const struct row *r, struct arena *a)
{
    struct buf b;
    buf_init(&b, 1024);
    buf_lit(&b, "one of");
    for (int i = 0; row_word(r, i).p != NULL; i++) {
        buf_str(&b, i != 0 ? STR(", ") : STR(" "));
        buf_str(&b, row_word(r, i));
    }
    struct str s = buf_err(&b) == ERR_OK ? arena_str(a, buf_slice(&b)) : STR_NONE;
    buf_free(&b);
    return s;
}

static struct str allowed_range(const struct row *r, struct arena *a)
{
    char low[VALUE_TEXT_MAX], high[VALUE_TEXT_MAX];
    if (r->type == ROW_SIZE) {
        value_size_text((uint64_t)r->min, low);
        value_size_text((uint64_t)r->max, high);
        return arena_printf(a, "a size from %s to %s (units: k, M, G)", low, high);
    }
    if (r->type == ROW_TIME) {
        value_time_text(r->min, low);
        value_time_text(r->max, high);
        return arena_printf(a, "a time from %s to %s (units: ms, s, m, h, d)", low, high);
    }
    return arena_printf(a, "%sa number from %lld to %lld", r->type == ROW_AUTO ? "auto, or " : "",
                        (long long)r->min, (long long)r->max);
}

struct str value_allowed(const struct row *r, struct arena *a)
{
    switch (r->type) {
    case ROW_BOOL:
        return STR("yes or no");
    case ROW_ENUM:
        return allowed_words(r, a);
    case ROW_LIST:
        return STR("a list of addresses");
    case ROW_ADDRESS:
        return STR("host:port, [IPv6]:port, *:port or unix:/path");
    case ROW_PATH:
        return arena_printf(a, "%san absolute path of at most %lld bytes",
                            r->min == 0 ? "empty, or " : "", (long long)r->max);
    case ROW_STRING:
        return arena_printf(a, "text of %lld to %lld bytes", (long long)r->min, (long long)r->max);
    default:
        return allowed_range(r, a);
    }
}

static enum err set_word(const struct row *r, struct str text, void *field)
{
    struct str word;
    for (int i = 0; (word = row_word(r, i)).p != NULL; i++) {
        if (str_ieq(text, word)) {
            *(int *)field = i;
            return ERR_OK;
        }
    }
    return ERR_SYNTAX;
}

enum err conf_time(struct str text, int64_t *ns)
{
    uint64_t v = 0;
    enum err e =
        str_eq(text, STR("0")) ? ERR_OK : parse_scaled(text, time_units, ARRAY_LEN(time_units), &v);
    if (e != ERR_OK || v > INT64_MAX)
        return ERR_SYNTAX;
    *ns = (int64_t)v;
    return ERR_OK;
}

static enum err set_number(const struct row *r, struct str text, void *field)
{
    uint64_t v = 0;
    int64_t ns = 0;
    enum err e;
    if (r->type == ROW_AUTO && str_ieq(text, STR("auto"))) {
        *(uint32_t *)field = 0;
        return ERR_OK;
    }
    if (r->type == ROW_SIZE)
        e = parse_scaled(text, size_units, ARRAY_LEN(size_units), &v);
    else if (r->type == ROW_TIME)
        e = conf_time(text, &ns);
    else
        e = str_u64(text, UINT32_MAX, &v);
    if (r->type == ROW_TIME)
        v = (uint64_t)ns;
    if (e != ERR_OK || v < (uint64_t)r->min || v > (uint64_t)r->max)
        return ERR_SYNTAX;
    if (r->type == ROW_SIZE)
        *(size_t *)field = (size_t)v;
    else if (r->type == ROW_TIME)
        *(int64_t *)field = ns;
    else
        *(uint32_t *)field = (uint32_t)v;
    return ERR_OK;
}

static enum err check_list(struct str text, struct arena *a, struct str *why, uint32_t *at)
{
    struct addrlist list;
    struct addrlist_error bad = {.what = ""};
    addrlist_init(&list);
    enum err e = addrlist_parse(&list, text, &bad);
    addrlist_free(&list);
    if (e == ERR_SYNTAX) {
        *at = bad.line > 0 ? bad.line - 1 : 0;
        struct str entry = utf8_prefix(bad.entry, 60);
        *why = arena_printf(a, "'%.*s': %s; allowed are addresses, ranges a-b and address/bits",
                            STR_FMT(entry), bad.what);
    } else if (e == ERR_TOO_LONG) {
        *why = arena_printf(a, "at most %d entries are allowed", ADDRLIST_ENTRIES);
        e = ERR_SYNTAX;
    }
    return e;
}

/* A list on one line, whatever lines it was written on: "a, b, c". */
static struct str join_list(struct str text, struct arena *a)
{
    struct buf b;
    struct str line, entry;
    buf_init(&b, CONF_FILE_MAX * 2);
    while (str_split(&text, '\n', &line)) {
        while (str_split(&line, ',', &entry)) {
            entry = str_trim(entry);
            if (entry.n != 0 && b.n != 0)
                buf_lit(&b, ", ");
            buf_str(&b, entry);
        }
    }
    struct str s =
        buf_err(&b) == ERR_OK ? arena_str(a, b.n != 0 ? buf_slice(&b) : STR("")) : STR_NONE;
    buf_free(&b);
    return s;
}

static enum err set_text(const struct row *r, struct str text, struct arena *a, void *field)
{
    if (text.n < (size_t)r->min || text.n > (size_t)r->max)
        return ERR_SYNTAX;
    if (r->type == ROW_PATH && text.n != 0 && text.p[0] != '/')
        return ERR_SYNTAX;
    if (r->type != ROW_LIST && str_find(text, '\n') != text.n)
        return ERR_SYNTAX;
    struct str copy = r->type == ROW_LIST ? join_list(text, a) : arena_str(a, text);
    if (copy.p == NULL)
        return ERR_NOMEM;
    *(struct str *)field = copy;
    return ERR_OK;
}

static enum err set_any(const struct row *r, struct str text, struct arena *a, void *field)
{
    switch (r->type) {
    case ROW_BOOL:
        return text.n != 0 ? str_bool(text, field) : ERR_SYNTAX;
    case ROW_ENUM:
        return set_word(r, text, field);
    case ROW_NUMBER:
    case ROW_AUTO:
    case ROW_SIZE:
    case ROW_TIME:
        return set_number(r, text, field);
    default:
        return set_text(r, text, a, field);
    }
}

enum err value_set(const struct row *r, struct str text, struct arena *a, void *field,
                   struct str *why, uint32_t *at)
{
    *why = STR("");
    *at = 0;
    enum err e = ERR_OK;
    if (r->type == ROW_LIST)
        e = check_list(text, a, why, at);
    if (e == ERR_OK)
        e = set_any(r, text, a, field);
    if (e == ERR_SYNTAX && why->n == 0) {
        struct str allowed = value_allowed(r, a);
        *why = arena_printf(a, "allowed is %.*s", STR_FMT(allowed));
    }
    return e == ERR_OK || e == ERR_SYNTAX ? e : ERR_NOMEM;
}

/* Quoted where the reader would otherwise take something off. */
static void print_text(FILE *to, struct str s)
{
    bool quote = s.n != 0 && (str_trim(s).n != s.n || s.p[0] == '"');
    quote = quote || str_find(s, '#') != s.n || str_find(s, ';') != s.n;
    fprintf(to, quote ? "\"%.*s\"" : "%.*s", STR_FMT(s));
}

void value_print(FILE *to, const struct row *r, const void *field)
{
    char text[VALUE_TEXT_MAX];
    struct str word;
    switch (r->type) {
    case ROW_BOOL:
        fputs(*(const bool *)field ? "yes" : "no", to);
        break;
    case ROW_ENUM:
        word = row_word(r, *(const int *)field);
        fprintf(to, "%.*s", STR_FMT(word));
        break;
    case ROW_AUTO:
    case ROW_NUMBER:
        if (r->type == ROW_AUTO && *(const uint32_t *)field == 0)
            fputs("auto", to);
        else
            fprintf(to, "%u", *(const uint32_t *)field);
        break;
    case ROW_SIZE:
        value_size_text(*(const size_t *)field, text);
        fputs(text, to);
        break;
    case ROW_TIME:
        value_time_text(*(const int64_t *)field, text);
        fputs(text, to);
        break;
    default:
        print_text(to, *(const struct str *)field);
    }
}

uint64_t value_number(const struct row *r, const void *field)
{
    if (r->type == ROW_SIZE)
        return *(const size_t *)field;
    if (r->type == ROW_TIME)
        return (uint64_t) * (const int64_t *)field;
    return *(const uint32_t *)field;
}

bool value_same(const struct row *r, const void *x, const void *y)
{
    switch (r->type) {
    case ROW_BOOL:
        return *(const bool *)x == *(const bool *)y;
    case ROW_ENUM:
        return *(const int *)x == *(const int *)y;
    case ROW_NUMBER:
    case ROW_AUTO:
    case ROW_SIZE:
    case ROW_TIME:
        return value_number(r, x) == value_number(r, y);
    default:
        return str_eq(*(const struct str *)x, *(const struct str *)y);
    }
}

enum err value_copy(const struct row *r, const void *from, struct arena *a, void *to)
{
    switch (r->type) {
    case ROW_BOOL:
        memcpy(to, from, sizeof(bool));
        break;
    case ROW_ENUM:
        memcpy(to, from, sizeof(int));
        break;
    case ROW_NUMBER:
    case ROW_AUTO:
        memcpy(to, from, sizeof(uint32_t));
        break;
    case ROW_SIZE:
        memcpy(to, from, sizeof(size_t));
        break;
    case ROW_TIME:
        memcpy(to, from, sizeof(int64_t));
        break;
    default: {
        struct str copy = arena_str(a, *(const struct str *)from);
        if (copy.p == NULL)
            return ERR_NOMEM;
        *(struct str *)to = copy;
    }
    }
    return ERR_OK;
}
