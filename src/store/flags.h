// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#pragma once
/*
 * flags: message flags and keywords as text (protocol 2, 1.6). Pure; keyword slots belong to a
 * mailbox and are looked up by message.h.
 */
#include "base/buf.h"
#include "base/str.h"

enum flag_number {
#define FLAG(name, set, clear, right) FLAG_N_##name,
#define FLAG_SYNONYM(text, name, on)
#include "store/flags.tbl"
#undef FLAG
#undef FLAG_SYNONYM
    FLAG_COUNT
};

enum flag_bit {
#define FLAG(name, set, clear, right) FLAG_##name = 1 << FLAG_N_##name,
#define FLAG_SYNONYM(text, name, on)
#include "store/flags.tbl"
#undef FLAG
#undef FLAG_SYNONYM
    FLAG_ALL = (1 << FLAG_COUNT) - 1
};

#define FLAG_KEYWORDS_MAX 64  /* per mailbox; the next one: ERR_FLAG_UNKNOWN */
#define FLAG_KEYWORD_MAX  64  /* bytes of a keyword */
#define FLAG_LIST_MAX     256 /* items of one list; more: ERR_FLAG_UNKNOWN */

/* The keywords of a mailbox: names[i] is bit i of struct message_row.keywords; .n == 0: free. */
struct flag_keywords {
    struct str names[FLAG_KEYWORDS_MAX];
};

struct flag_item {
    bool set;     /* or clear */
    uint32_t bit; /* one flag; 0: keyword */
    struct str
        keyword; /* as sent: "meetingCreated", or "NotmeetingCreated", which the mailbox decides */
};

struct flag_list {
    struct flag_item items[FLAG_LIST_MAX];
    uint32_t count;
};

/*
 * A comma list of set and clear names, in order; blanks around commas and empty items are skipped;
 * names without regard to case. What is no flag but a legal keyword becomes one. ERR_FLAG_UNKNOWN.
 * Slices point into `text`.
 */
enum err flags_parse(struct str text, struct flag_list *out) CHECKED;

/* One name: is it a flag (not a keyword)? */
bool flags_find(struct str name, uint32_t *bit, bool *set);
bool flags_keyword_ok(struct str name);

/* The flags in their fixed order, then the keywords by slot, joined by commas; nothing for none. kw
 * may be NULL. */
void flags_print(struct buf *b, uint32_t flags, uint64_t keywords, const struct flag_keywords *kw);

/* The rights of 1.4 that such a change needs, each letter once, as a zero-terminated string in
 * `to`. */
void flags_rights(const struct flag_list *list, char to[8]);
