// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#include "codec/digest.h"

#include "codec/digest_form.h"

static void put_u32(struct buf *b, uint32_t v)
{
    char p[4] = {(char)v, (char)(v >> 8), (char)(v >> 16), (char)(v >> 24)};
    buf_add(b, p, sizeof p);
}

static void put_u64(struct buf *b, uint64_t v)
{
    put_u32(b, (uint32_t)v);
    put_u32(b, (uint32_t)(v >> 32));
}

static void put_bytes(struct buf *b, struct str s)
{
    size_t n = s.n;
    for (; n > 0x7f; n >>= 7)
        buf_char(b, (char)(n | 0x80));
    buf_char(b, (char)n);
    buf_str(b, s);
}

static void set_u32(char *p, uint32_t v)
{
    for (unsigned i = 0; i < 4; i++)
        p[i] = (char)(v >> 8 * i);
}

/* ---- lists ---- */

void digest_fields_init(struct digest_fields_maker *m)
{
    buf_init(&m->entries, (size_t)DIGEST_FIELDS_MAX * ENTRY_SIZE);
    buf_init(&m->data, DIGEST_BLOB_MAX / 2);
    m->count = 0;
}

void digest_fields_free(struct digest_fields_maker *m)
{
    buf_free(&m->entries);
    buf_free(&m->data);
    m->count = 0;
}

/* Opens a record: its value is appended next. */
static bool field_add(struct digest_fields_maker *m, struct str name, enum digest_field_kind kind)
{
    if (m->count == DIGEST_FIELDS_MAX || name.n > UINT16_MAX)
        return false;
    put_u32(&m->entries, name_hash(name));
    put_u32(&m->entries, (uint32_t)m->data.n);
    char tail[4] = {(char)name.n, (char)(name.n >> 8), (char)kind, 0};
    buf_add(&m->entries, tail, sizeof tail);
    buf_str(&m->data, name);
    m->count++;
    return true;
}

bool digest_fields_text(struct digest_fields_maker *m, struct str name, enum digest_field_kind kind,
                        struct str text)
{
    BUG_IF(kind != DIGEST_TEXT && kind != DIGEST_RETURN_PATH);
    if (!field_add(m, name, kind))
        return false;
    buf_str(&m->data, text);
    return true;
}

bool digest_fields_date(struct digest_fields_maker *m, struct str name, int64_t when, int32_t shift,
                        struct str text)
{
    if (!field_add(m, name, DIGEST_DATE))
        return false;
    put_u64(&m->data, (uint64_t)when);
    put_u32(&m->data, (uint32_t)shift);
    buf_str(&m->data, text);
    return true;
}

bool digest_fields_addresses(struct digest_fields_maker *m, struct str name, struct str list,
                             struct str text)
{
    if (!field_add(m, name, DIGEST_ADDRESSES))
        return false;
    put_u32(&m->data, (uint32_t)list.n);
    buf_str(&m->data, list);
    buf_str(&m->data, text);
    return true;
}

void digest_address_add(struct buf *list, const struct digest_address *a)
{
    buf_char(list, (char)a->kind);
    put_bytes(list, a->name);
    put_bytes(list, a->address);
}

void digest_param_add(struct buf *params, struct str name, struct str value)
{
    put_bytes(params, name);
    put_bytes(params, value);
}

/* 1-2 high, 4-5 low, 3 normal; words of RFC 2156 and of Outlook. true: the text says something. */
static bool priority_of(struct str text, enum digest_priority *out)
{
    static const struct {
        const char *word;
        enum digest_priority is;
    } words[] = {{"1", DIGEST_HIGH},       {"2", DIGEST_HIGH},  {"3", DIGEST_NORMAL},
                 {"4", DIGEST_LOW},        {"5", DIGEST_LOW},   {"high", DIGEST_HIGH},
                 {"urgent", DIGEST_HIGH},  {"low", DIGEST_LOW}, {"non-urgent", DIGEST_LOW},
                 {"normal", DIGEST_NORMAL}};
    size_t n = 0;
    text = str_trim(text);
    while (n < text.n && text.p[n] != ' ' && text.p[n] != '(' && text.p[n] != '\t' &&
           text.p[n] != ';')
        n++;
    for (size_t i = 0; i < ARRAY_LEN(words); i++) {
        if (str_ieq(str_sub(text, 0, n), str_of(words[i].word))) {
            *out = words[i].is;
            return true;
        }
    }
    return false;
}

/* protocol 2, 1.7: X-Priority, else Importance, else Priority. */
static enum digest_priority list_priority(const struct digest_fields_maker *m)
{
    static const char *const names[] = {"X-Priority", "Importance", "Priority",
                                        "X-MSMail-Priority"};
    enum digest_priority out = DIGEST_NORMAL;
    for (size_t k = 0; k < ARRAY_LEN(names); k++) {
        struct str name = str_of(names[k]);
        uint32_t hash = name_hash(name);
        for (uint32_t i = 0; i < m->count; i++) {
            const char *entry = m->entries.p + (size_t)i * ENTRY_SIZE;
            if (get_u32(entry) != hash || get_u16(entry + 8) != name.n || entry[10] != DIGEST_TEXT)
                continue;
            size_t at = get_u32(entry + 4);
            size_t end = i + 1 < m->count ? get_u32(entry + ENTRY_SIZE + 4) : m->data.n;
            struct str record = {m->data.p + at, end - at};
            if (str_ieq(str_sub(record, 0, name.n), name) &&
                priority_of(str_sub(record, name.n, record.n), &out))
                return out;
        }
    }
    return out;
}

void digest_fields_finish(struct digest_fields_maker *m, struct buf *out)
{
    uint32_t shift = LIST_FIXED + m->count * ENTRY_SIZE;
    bool failed = m->entries.failed || m->data.failed;
    put_u32(out, shift + (uint32_t)m->data.n);
    char fixed[4] = {(char)m->count, (char)(m->count >> 8), 0, 0};
    if (!failed)
        fixed[2] = (char)list_priority(m);
    buf_add(out, fixed, sizeof fixed);
    for (uint32_t i = 0; i < m->count && !failed; i++) {
        char *entry = m->entries.p + (size_t)i * ENTRY_SIZE;
        set_u32(entry + 4, get_u32(entry + 4) + shift);
    }
    buf_str(out, buf_slice(&m->entries));
    buf_str(out, buf_slice(&m->data));
    if (failed)
        out->failed = true;
    buf_clear(&m->entries);
    buf_clear(&m->data);
    m->count = 0;
}

void digest_head_finish(struct digest_fields_maker *m, struct str type, struct str subtype,
                        uint64_t size, struct buf *out)
{
    size_t start = out->n;
    type = str_sub(type, 0, UINT8_MAX);
    subtype = str_sub(subtype, 0, UINT8_MAX);
    put_u32(out, HEAD_MAGIC);
    put_u32(out, 0);
    put_u64(out, size);
    buf_char(out, (char)type.n);
    buf_char(out, (char)subtype.n);
    buf_str(out, type);
    buf_str(out, subtype);
    digest_fields_finish(m, out);
    if (!out->failed)
        set_u32(out->p + start + 4, (uint32_t)(out->n - start));
}

/* ---- parts ---- */

void digest_body_init(struct digest_body_maker *m)
{
    buf_init(&m->parts, (size_t)DIGEST_PARTS_MAX * PART_SIZE);
    buf_init(&m->data, DIGEST_BLOB_MAX / 2);
    m->count = 0;
}

void digest_body_free(struct digest_body_maker *m)
{
    buf_free(&m->parts);
    buf_free(&m->data);
    m->count = 0;
}

uint32_t digest_part_add(struct digest_body_maker *m, const struct digest_part *p)
{
    BUG_IF(m->count == DIGEST_PARTS_MAX);
    struct digest_part copy = *p;
    size_t at = m->data.n;
    for (unsigned tag = TAG_TYPE; tag < TAG_END; tag++) {
        const struct str *s = part_member(&copy, tag);
        if (s->n != 0) {
            buf_char(&m->data, (char)tag);
            put_bytes(&m->data, *s);
        }
    }
    uint32_t numbers[8] = {p->parent, m->count + 1, p->estimated, p->head_at,
                           p->raw_at, p->raw_n,     (uint32_t)at, (uint32_t)(m->data.n - at)};
    for (size_t i = 0; i < ARRAY_LEN(numbers); i++)
        put_u32(&m->parts, numbers[i]);
    char tail[4] = {(char)p->depth, (char)p->kind, (char)p->encoding, (char)p->has_plain};
    buf_add(&m->parts, tail, sizeof tail);
    return m->count++;
}

void digest_part_close(struct digest_body_maker *m, uint32_t index)
{
    BUG_IF(index >= m->count);
    if (m->parts.failed)
        return;
    char *part = m->parts.p + (size_t)index * PART_SIZE;
    set_u32(part + 4, m->count);
    if (part[33] != DIGEST_MULTIPART)
        return;
    uint32_t sum = 0;
    for (uint32_t i = index + 1; i < m->count;) {
        const char *child = m->parts.p + (size_t)i * PART_SIZE;
        if (__builtin_add_overflow(sum, get_u32(child + 8), &sum))
            sum = UINT32_MAX;
        i = get_u32(child + 4);
    }
    set_u32(part + 8, sum);
}

void digest_part_mark_plain(struct digest_body_maker *m, uint32_t index)
{
    for (uint32_t i = index; i < m->count && !m->parts.failed && !m->data.failed; i++) {
        char *part = m->parts.p + (size_t)i * PART_SIZE;
        const char *data = m->data.p + get_u32(part + 24);
        /* data begins with type and subtype, each with its tag and length */
        static const char html[] = {TAG_TYPE,    4, 't', 'e', 'x', 't',
                                    TAG_SUBTYPE, 4, 'h', 't', 'm', 'l'};
        if (get_u32(part + 28) >= sizeof html && memcmp(data, html, sizeof html) == 0)
            part[35] = 1;
    }
}

void digest_body_finish(struct digest_body_maker *m, struct buf *out)
{
    uint32_t shift = BODY_FIXED + m->count * PART_SIZE;
    bool failed = m->parts.failed || m->data.failed;
    put_u32(out, BODY_MAGIC);
    put_u32(out, shift + (uint32_t)m->data.n);
    put_u32(out, m->count);
    put_u32(out, 0);
    for (uint32_t i = 0; i < m->count && !failed; i++) {
        char *part = m->parts.p + (size_t)i * PART_SIZE;
        set_u32(part + 24, get_u32(part + 24) + shift);
    }
    buf_str(out, buf_slice(&m->parts));
    buf_str(out, buf_slice(&m->data));
    if (failed)
        out->failed = true;
    buf_clear(&m->parts);
    buf_clear(&m->data);
    m->count = 0;
}
