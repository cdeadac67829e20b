// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#pragma once
/*
 * digest_form: the bytes of the two blobs, for digest.c (reads) and digest_make.c (writes) only. All numbers little-endian; `v` is a
 * length in 7-bit groups, low group first.
 *
 *   HEAD   u32 magic, u32 length, u64 message size, u8 a, u8 b, a bytes type, b bytes subtype, LIST to the end
 *   LIST   u32 length, u16 count, u8 priority, u8 0, count entries, records in the order of the entries
 *   entry  u32 hash of the name in lower case, u32 offset of the record in the list, u16 length of the name, u8 kind, u8 0
 *   record name, value up to the next record: TEXT, RETURN_PATH: text. DATE: i64 seconds, i32 shift, text.
 *          ADDRESSES: u32 n, n bytes of addresses, text. address: u8 kind, v name, v address
 *   BODY   u32 magic, u32 length, u32 count, u32 0, count parts, data
 *   part   u32 parent, next, estimated, head_at, raw_at, raw_n, data_at, data_n; u8 depth, kind, encoding, has_plain
 *   data   of a part: (u8 tag, v bytes)*
 */
#include "codec/digest.h"

#define HEAD_MAGIC 0x31444858U /* XHD1 */
#define BODY_MAGIC 0x31444258U /* XBD1 */
#define HEAD_FIXED 18U
#define LIST_FIXED 8U
#define ENTRY_SIZE 12U
#define BODY_FIXED 16U
#define PART_SIZE  36U

enum data_tag {
    TAG_TYPE = 1,
    TAG_SUBTYPE,
    TAG_CHARSET,
    TAG_CONTENT_ID,
    TAG_DISPOSITION,
    TAG_DESCRIPTION,
    TAG_LOCATION,
    TAG_CLASS,
    TAG_PART_ID,
    TAG_PARSE_ERROR,
    TAG_TYPE_PARAMS,
    TAG_DISPOSITION_PARAMS,
    TAG_TEXT,
    TAG_PLAIN,
    TAG_LISTS,
    TAG_END
};

static inline uint32_t get_u16(const char *p)
{
    const unsigned char *u = (const unsigned char *)p;
    return (uint32_t)(u[0] | u[1] << 8);
}

static inline uint32_t get_u32(const char *p)
{
    return get_u16(p) | get_u16(p + 2) << 16;
}

static inline uint64_t get_u64(const char *p)
{
    return get_u32(p) | (uint64_t)get_u32(p + 4) << 32;
}

/* FNV-1a over the name in lower case. */
static inline uint32_t name_hash(struct str name)
{
    uint32_t h = 2166136261U;
    for (size_t i = 0; i < name.n; i++)
        h = (h ^ (unsigned char)str_lower(name.p[i])) * 16777619U;
    return h;
}

/* The member of a part that a tag stands for; NULL for a tag that does not exist. */
static inline struct str *part_member(struct digest_part *p, unsigned tag)
{
    switch (tag) {
    case TAG_TYPE:
        return &p->type;
    case TAG_SUBTYPE:
        return &p->subtype;
    case TAG_CHARSET:
        return &p->charset;
    case TAG_CONTENT_ID:
        return &p->content_id;
    case TAG_DISPOSITION:
        return &p->disposition;
    case TAG_DESCRIPTION:
        return &p->description;
    case TAG_LOCATION:
        return &p->location;
    case TAG_CLASS:
        return &p->klass;
    case TAG_PART_ID:
        return &p->part_id;
    case TAG_PARSE_ERROR:
        return &p->parse_error;
    case TAG_TYPE_PARAMS:
        return &p->type_params;
    case TAG_DISPOSITION_PARAMS:
        return &p->disposition_params;
    case TAG_TEXT:
        return &p->text;
    case TAG_PLAIN:
        return &p->plain;
    case TAG_LISTS:
        return &p->lists;
    default:
        return NULL;
    }
}
