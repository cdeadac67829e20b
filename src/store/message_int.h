// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#pragma once
/*
 * message_int: what message*.c share.
 */
#include "store/message.h"
#include "store/store_int.h"

/* What a request does to a mailbox's counters; applied once, at its end. */
struct message_delta {
    int64_t messages, unseen, media, unseen_media, size;
    int64_t changes;  /* how far box_seq goes on */
    int64_t gone_min; /* oldest INTERNALDATE that was destroyed */
    unsigned what;    /* enum store_change_what */
};

/* Flags of one message appear (sign 1) or go (sign -1). */
void message_delta_flags(struct message_delta *d, uint32_t flags, int sign);
/* Writes the counters and announces the change; nothing when nothing changed. */
enum err message_delta_apply(struct store *store, int64_t account, int64_t mailbox,
                             const struct message_delta *d) CHECKED;

/* A list of flags, resolved for one mailbox: new = (old & ~clear) | set. */
struct message_marks {
    uint32_t set, clear;
    uint64_t kw_set, kw_clear;
};
/* W: keywords that the mailbox does not know get a slot. ERR_FLAG_UNKNOWN. */
enum err message_marks_resolve(struct store *store, int64_t account, int64_t mailbox,
                               const struct flag_list *list, struct message_marks *out) CHECKED;

/* What the mailbox row gives to a message that comes in; counters are changed. */
struct message_slot {
    int64_t uid, seq;
};
enum err message_slot_take(struct store *store, int64_t account, int64_t mailbox, uint32_t flags,
                           int64_t internaldate, uint64_t size, struct message_slot *out) CHECKED;

/* Would so many bytes more be over the account's quota? ERR_QUOTA. */
enum err message_check_quota(struct store *store, int64_t account, uint64_t more) CHECKED;
