// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
/*
 * A table of zones is made of TZif files (RFC 8536): of their second, 64-bit block and of the footer.
 */
#include <stdlib.h>

#include "codec/xtime.h"
#include "codec/zone_form.h"

#define HEADER      44
#define CHANGES_MAX 2000
#define TYPES_MAX   256
#define OFFSET_MAX  (26 * 3600) /* RFC 8536, 3.2: of sane files */
#define TZ_HOURS    167         /* of the time of a change: RFC 8536, 3.3.1 */

/* --- the footer: a TZ of POSIX, "CET-1CEST,M3.5.0,M10.5.0/3" */

static bool take(struct str *s, char c)
{
    if (s->n == 0 || s->p[0] != c)
        return false;
    *s = str_sub(*s, 1, s->n);
    return true;
}

static bool take_number(struct str *s, uint32_t max, uint32_t *out)
{
    size_t n = 0;
    uint32_t v = 0;
    while (n < s->n && n < 4 && s->p[n] >= '0' && s->p[n] <= '9')
        v = v * 10 + (uint32_t)(s->p[n++] - '0');
    *s = str_sub(*s, n, s->n);
    *out = v;
    return n != 0 && v <= max;
}

static bool take_abbreviation(struct str *s)
{
    bool quoted = take(s, '<');
    size_t n = 0;
    while (n < s->n) {
        char c = str_lower(s->p[n]);
        if (quoted ? c == '>' : c < 'a' || c > 'z')
            break;
        n++;
    }
    *s = str_sub(*s, n, s->n);
    return n != 0 && (!quoted || take(s, '>'));
}

/* [+-]hh[:mm[:ss]] */
static bool take_time(struct str *s, uint32_t hours, int32_t *out)
{
    uint32_t h, m = 0, sec = 0;
    bool minus = take(s, '-');
    if (!minus)
        take(s, '+');
    if (!take_number(s, hours, &h) ||
        (take(s, ':') && (!take_number(s, 59, &m) || (take(s, ':') && !take_number(s, 59, &sec)))))
        return false;
    int32_t v = (int32_t)(h * 3600 + m * 60 + sec);
    *out = minus ? -v : v;
    return true;
}

static bool take_edge(struct str *s, struct zone_edge *e)
{
    uint32_t month = 1, week = 1, day;
    bool fine;
    e->form = take(s, 'M') ? ZONE_MONTH_WEEK : take(s, 'J') ? ZONE_JULIAN : ZONE_DAY_OF_YEAR;
    if (e->form == ZONE_MONTH_WEEK)
        fine = take_number(s, 12, &month) && month != 0 && take(s, '.') &&
               take_number(s, 5, &week) && week != 0 && take(s, '.') && take_number(s, 6, &day);
    else
        fine = take_number(s, 365, &day) && (e->form != ZONE_JULIAN || day != 0);
    if (!fine)
        return false;
    e->month = (uint8_t)month;
    e->week = (uint8_t)week;
    e->day = (uint16_t)day;
    e->seconds = 7200;
    return !take(s, '/') || take_time(s, TZ_HOURS, &e->seconds);
}

static bool read_rule(struct str s, struct zone *z)
{
    int32_t west;
    z->has_rule = s.n != 0;
    if (s.n == 0)
        return true;
    if (!take_abbreviation(&s) || !take_time(&s, 24, &west))
        return false;
    z->standard = -west;
    z->has_summer = s.n != 0;
    if (s.n == 0)
        return true;
    if (!take_abbreviation(&s))
        return false;
    west -= 3600;
    if (s.n != 0 && s.p[0] != ',' && !take_time(&s, 24, &west))
        return false;
    z->summer = -west;
    return take(&s, ',') && take_edge(&s, &z->begin) && take(&s, ',') && take_edge(&s, &z->end) &&
           s.n == 0;
}

/* --- the block */

struct block {
    uint32_t isut, isstd, leaps, times, types, chars; /* how many */
    struct str data;                                  /* behind the header */
    size_t bytes;                                     /* of this block's data */
};

static uint32_t big32(const char *p)
{
    uint32_t v = 0;
    for (int i = 0; i < 4; i++)
        v = v << 8 | (unsigned char)p[i];
    return v;
}

static int64_t big64(const char *p)
{
    return (int64_t)((uint64_t)big32(p) << 32 | big32(p + 4));
}

static bool read_block(struct str file, size_t width, struct block *b)
{
    if (file.n < HEADER || memcmp(file.p, "TZif", 4) != 0 || file.p[4] < '2')
        return false;
    uint32_t *const counts[] = {&b->isut, &b->isstd, &b->leaps, &b->times, &b->types, &b->chars};
    for (size_t i = 0; i < ARRAY_LEN(counts); i++) {
        *counts[i] = big32(file.p + 20 + 4 * i);
        if (*counts[i] > ZONE_FILE_MAX)
            return false;
    }
    b->data = str_sub(file, HEADER, file.n);
    b->bytes = b->times * (width + 1) + b->types * (size_t)6 + b->chars + b->leaps * (width + 4) +
               b->isstd + b->isut;
    return b->bytes <= b->data.n && b->times <= CHANGES_MAX && b->types >= 1 &&
           b->types <= TYPES_MAX;
}

struct change {
    int64_t at;
    int32_t offset;
};

static bool offset_of_type(const struct block *b, uint32_t type, int32_t *out)
{
    if (type >= b->types)
        return false;
    *out = (int32_t)big32(b->data.p + b->times * (size_t)9 + type * (size_t)6);
    return *out > -OFFSET_MAX && *out < OFFSET_MAX;
}

/* Those that change the offset, not only its name; and the last one, behind which the rule holds. */
static bool read_changes(const struct block *b, struct change *to, uint32_t *count, int32_t *before)
{
    uint32_t n = 0;
    int64_t last = 0;
    if (!offset_of_type(b, 0, before))
        return false;
    for (uint32_t i = 0; i < b->times; i++) {
        struct change c = {.at = big64(b->data.p + i * (size_t)8)};
        unsigned char type = (unsigned char)b->data.p[b->times * (size_t)8 + i];
        if (!offset_of_type(b, type, &c.offset) || (i != 0 && c.at <= last))
            return false;
        last = c.at;
        if (i + 1 == b->times || c.offset != (n != 0 ? to[n - 1].offset : *before))
            to[n++] = c;
    }
    *count = n;
    return true;
}

/* Does the rule say `offset`, all the time from a up to b? */
static bool rule_says(const struct zone *z, int64_t a, int64_t b, int32_t offset)
{
    int64_t edge[2];
    if (a < XTIME_MIN || b > XTIME_MAX || zone_rule_offset(z, a) != offset)
        return false;
    for (int64_t year = zone_year(a); z->has_summer && year <= zone_year(b); year++) {
        zone_edges(z, year, &edge[0], &edge[1]);
        if ((edge[0] > a && edge[0] < b) || (edge[1] > a && edge[1] < b))
            return false;
    }
    return true;
}

/* Files of the "fat" kind name each change up to 2037, which the rule knows too. */
static uint32_t without_known(const struct zone *z, const struct change *c, uint32_t n)
{
    while (z->has_rule && n > 1 && rule_says(z, c[n - 2].at, c[n - 1].at, c[n - 2].offset))
        n--;
    return n;
}

/* --- the table */

void zones_maker_init(struct zones_maker *m)
{
    buf_init(&m->entries, ZONES_MAX * sizeof(struct zones_entry));
    buf_init(&m->names, (size_t)ZONES_MAX * ZONE_NAME_MAX);
    buf_init(&m->data, ZONES_TABLE_MAX);
    m->count = 0;
}

/* Many names have the same zone: the one that is there already, or the new one at the end of the data. */
static uint32_t share(struct zones_maker *m, uint32_t at)
{
    struct str added = {m->data.p + at, m->data.n - at};
    for (uint32_t i = 0; i < m->count; i++) {
        const struct zones_entry *e = (const struct zones_entry *)(const void *)m->entries.p + i;
        struct str old = str_sub((struct str){m->data.p, at}, e->zone_at, added.n);
        if (str_eq(old, added)) {
            buf_cut(&m->data, at);
            return e->zone_at;
        }
    }
    return at;
}

static void put_zone(struct buf *to, const struct zone *z, const struct change *c)
{
    buf_add(to, z, sizeof *z);
    for (uint32_t i = 0; i < z->count; i++)
        buf_add(to, &c[i].at, sizeof c[i].at);
    for (uint32_t i = 0; i < z->count; i++)
        buf_add(to, &c[i].offset, sizeof c[i].offset);
    while (to->n % 8 != 0)
        buf_char(to, '\0');
}

static enum err read_file(struct str tzif, struct zone *z, struct change changes[CHANGES_MAX])
{
    struct block first, second;
    if (tzif.n > ZONE_FILE_MAX)
        return ERR_TOO_LONG;
    if (!read_block(tzif, 4, &first))
        return ERR_SYNTAX;
    tzif = str_sub(first.data, first.bytes, first.data.n);
    if (!read_block(tzif, 8, &second) || !read_changes(&second, changes, &z->count, &z->before))
        return ERR_SYNTAX;
    struct str rule = str_sub(second.data, second.bytes, second.data.n);
    if (!take(&rule, '\n') || rule.n == 0 || rule.p[rule.n - 1] != '\n' ||
        !read_rule(str_sub(rule, 0, rule.n - 1), z))
        return ERR_SYNTAX;
    z->count = without_known(z, changes, z->count);
    return ERR_OK;
}

enum err zones_add(struct zones_maker *m, struct str name, struct str tzif, bool listed)
{
    struct change *changes = calloc(CHANGES_MAX, sizeof *changes);
    struct zone z = {0};
    size_t before = m->data.n;
    if (changes == NULL)
        return ERR_NOMEM;
    enum err e = name.n == 0 || name.n > ZONE_NAME_MAX || m->count == ZONES_MAX
                     ? ERR_TOO_LONG
                     : read_file(tzif, &z, changes);
    if (e == ERR_OK)
        put_zone(&m->data, &z, changes);
    free(changes);
    if (e == ERR_OK && buf_err(&m->data) != ERR_OK) {
        buf_cut(&m->data, before);
        e = ERR_TOO_LONG;
    }
    if (e != ERR_OK)
        return e;
    struct zones_entry entry = {.name_at = (uint32_t)m->names.n,
                                .name_n = (uint16_t)name.n,
                                .listed = listed,
                                .zone_at = share(m, (uint32_t)before)};
    buf_str(&m->names, name);
    buf_add(&m->entries, &entry, sizeof entry);
    m->count++;
    return ERR_OK;
}

static int by_name(const void *a, const void *b, void *names)
{
    const struct zones_entry *x = a, *y = b;
    const char *p = names;
    return str_icmp((struct str){p + x->name_at, x->name_n},
                    (struct str){p + y->name_at, y->name_n});
}

static enum err write_table(struct zones_maker *m, struct buf *table)
{
    struct zones_head head = {ZONES_MAGIC, m->count};
    uint32_t names = (uint32_t)(sizeof head + m->entries.n);
    uint32_t data = (uint32_t)((names + m->names.n + 7) / 8 * 8);
    struct zones_entry *e = (struct zones_entry *)(void *)m->entries.p;
    if (m->count != 0)
        qsort_r(e, m->count, sizeof *e, by_name, m->names.p);
    for (uint32_t i = 0; i < m->count; i++) {
        if (i != 0 && by_name(&e[i - 1], &e[i], m->names.p) == 0)
            return ERR_EXISTS;
    }
    for (uint32_t i = 0; i < m->count; i++) {
        e[i].name_at += names;
        e[i].zone_at += data;
    }
    buf_add(table, &head, sizeof head);
    buf_str(table, buf_slice(&m->entries));
    buf_str(table, buf_slice(&m->names));
    while (table->n % 8 != 0)
        buf_char(table, '\0');
    buf_str(table, buf_slice(&m->data));
    return buf_err(table);
}

enum err zones_finish(struct zones_maker *m, struct buf *table)
{
    enum err e = buf_err(&m->entries);
    if (e == ERR_OK)
        e = buf_err(&m->names);
    if (e == ERR_OK)
        e = write_table(m, table);
    buf_free(&m->entries);
    buf_free(&m->names);
    buf_free(&m->data);
    m->count = 0;
    return e;
}
