// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#pragma once
/*
 * mailbox: mailboxes and pure folders of an account: names, tree, counters (protocol 2, 1.1-1.5 and
 * section 3).
 *
 * Everywhere else a mailbox is its id: a number that belongs to one storage object of one account,
 * survives a rename and is never used again. Names here are canonical (see mailbox_resolve) unless
 * said otherwise.
 */
#include "base/arena.h"
#include "base/buf.h"
#include "store/store.h"

#define MAILBOX_COMPONENT_MAX  255
#define MAILBOX_NAME_MAX       1023
#define MAILBOX_COMPONENTS_MAX 32
#define MAILBOX_CLASS_MAX      255 /* our cap; the paper has none */

/* Who asks: every name under which `~name/Box` is the own mailbox `Box` ("dora",
 * "dora@harbor.example", aliases). */
struct mailbox_owner {
    const struct str *names;
    size_t count;
};

struct mailbox_info {
    int64_t id;
    struct str name;
    struct str klass; /* "" when it has none */
    bool selectable;  /* has storage; false: pure folder, and all numbers below are 0 */
    bool folder;      /* has a directory entity (isFolder) */
    uint32_t uid_validity;
    uint32_t uid_next;
    uint32_t messages, unseen, media, unseen_media;
    uint64_t size;
    uint64_t box_seq;
    int64_t oldest; /* Unix seconds; meaningful when messages > 0 */
};

/* Is it a legal path (one's own name without prefix)? ERR_MAILBOX_NAME. slash: one trailing '/' is
 * allowed. */
enum err mailbox_name_check(struct str name, bool slash) CHECKED;

/*
 * A name as a client gave it -> the canonical path in the own account: `~self/` taken off, INBOX in
 * capitals, a trailing slash only if `slash`. *out lives in the arena. ERR_MAILBOX_NAME;
 * ERR_MAILBOX_DENIED for another account's mailbox (foreign mailboxes are not built yet; 560 for
 * known and unknown accounts alike).
 */
enum err mailbox_resolve(const struct mailbox_owner *self, struct str given, bool slash,
                         struct arena *a, struct str *out) CHECKED;

/* Appendix B of protocol 2. fold: so many bytes at the front of the name compare without regard to
 * case (INBOX). */
bool mailbox_match(struct str pattern, struct str name, size_t fold);

/* W: INBOX of the account, made when it is missing. What every login and delivery calls first. */
enum err mailbox_inbox(struct store *store, int64_t account, int64_t *id) CHECKED;
/* Does INBOX exist? ERR_OK or ERR_MAILBOX_MISSING; lets a login find out whether it must write at
 * all. */
enum err mailbox_has_inbox(struct store *store, int64_t account, int64_t *id) CHECKED;

/* The storage of that name. ERR_MAILBOX_MISSING; ERR_MAILBOX_NOT_SELECTABLE for a pure folder. A
 * name that breaks the grammar is just missing. */
enum err mailbox_find(struct store *store, int64_t account, struct str name, int64_t *id) CHECKED;
/* Everything about it; strings in the arena. ERR_MAILBOX_REMOVED when there is no such id (any
 * more). */
enum err mailbox_get(struct store *store, int64_t account, int64_t id, struct arena *a,
                     struct mailbox_info *out) CHECKED;

struct mailbox_query {
    struct str filter; /* .p == NULL: "*". As the client sent it; `~self/` is understood, another
                          account's gives no rows */
    struct str klass;  /* "": all */
    bool pure;         /* pure folders too */
};

/* Rows in the order of protocol 2, 3.1, in the arena. At most store_limits.mailboxes of them. */
enum err mailbox_list(struct store *store, int64_t account, const struct mailbox_owner *self,
                      const struct mailbox_query *q, struct arena *a, struct mailbox_info **rows,
                      uint32_t *count) CHECKED;

/*
 * W: creates it, missing ancestors as pure folders. name: canonical, a trailing slash makes a pure
 * folder. On a pure folder the storage is added, on storage `name/` adds the directory. klass "":
 * none. *id may be NULL. ERR_MAILBOX_EXISTS (also when a name differs only in case),
 * ERR_MAILBOX_NAME, ERR_QUOTA.
 */
enum err mailbox_create(struct store *store, int64_t account, struct str name, struct str klass,
                        int64_t *id) CHECKED;
/*
 * W: mailbox_find(), and mailbox_create() with the class when it is missing and klass.p != NULL
 * (mailboxClass of folderOpen, messageCopy …). ERR_MAILBOX_NOT_SELECTABLE for a pure folder.
 */
enum err mailbox_open(struct store *store, int64_t account, struct str name, struct str klass,
                      int64_t *id) CHECKED;

/*
 * W: removes the storage (messages are destroyed); with `children` everything below too. While
 * sub-mailboxes remain the name lives on as a pure folder (with a new id). ERR_MAILBOX_MISSING,
 * ERR_MAILBOX_INBOX, ERR_MAILBOX_HAS_CHILDREN.
 */
enum err mailbox_remove(struct store *store, int64_t account, struct str name,
                        bool children) CHECKED;
