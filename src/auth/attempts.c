// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#include "auth/attempts.h"

#include <stdlib.h>

#include "auth/mac.h"

#define KEY_LEN 16

/* A name. Stands in a chain of its bucket, and in the list of its kind, the one that tried last at the head. */
struct entry {
    struct entry *chain;
    struct entry *newer, *older;
    uint8_t key[KEY_LEN];
    bool exists;
    uint8_t n, next; /* of `kept` in use; where the next one goes */
    struct attempt kept[ATTEMPTS_KEPT];
};

struct list {
    struct entry *head, *tail;
    uint32_t n;
};

struct attempts {
    uint8_t secret[MAC_LEN];
    uint32_t names;
    uint32_t buckets; /* power of two */
    struct list known, unknown;
    struct entry *bucket[];
};

const char *reason_text(enum reason r)
{
    static const char *const texts[REASON_COUNT] = {
#define REASON(name, text) [REASON_##name] = text,
#include "auth/reasons.tbl"
#undef REASON
    };
    return r != REASON_NONE && r < REASON_COUNT ? texts[r] : "";
}

enum err attempts_new(struct attempts **out, uint32_t names)
{
    uint32_t buckets = 4;
    BUG_IF(names < 4);
    while (buckets < names)
        buckets *= 2;
    struct attempts *a = calloc(1, sizeof *a + buckets * sizeof a->bucket[0]);
    if (a == NULL)
        return ERR_NOMEM;
    arc4random_buf(a->secret, sizeof a->secret);
    a->names = names;
    a->buckets = buckets;
    *out = a;
    return ERR_OK;
}

static void free_list(struct list *l)
{
    while (l->head != NULL) {
        struct entry *e = l->head;
        l->head = e->older;
        free(e);
    }
}

void attempts_free(struct attempts **ap)
{
    struct attempts *a = *ap;
    if (a == NULL)
        return;
    free_list(&a->known);
    free_list(&a->unknown);
    explicit_bzero(a->secret, sizeof a->secret);
    free(a);
    *ap = NULL;
}

/* --- lists and chains */

static struct list *list_of(struct attempts *a, const struct entry *e)
{
    return e->exists ? &a->known : &a->unknown;
}

static void unlist(struct list *l, struct entry *e)
{
    *(e->newer != NULL ? &e->newer->older : &l->head) = e->older;
    *(e->older != NULL ? &e->older->newer : &l->tail) = e->newer;
    l->n--;
}

static void put_first(struct list *l, struct entry *e)
{
    e->newer = NULL;
    e->older = l->head;
    *(l->head != NULL ? &l->head->newer : &l->tail) = e;
    l->head = e;
    l->n++;
}

static void key_of(const struct attempts *a, struct str name, uint8_t key[KEY_LEN])
{
    uint8_t mac[MAC_LEN];
    mac_hmac(mac_str(a->secret, sizeof a->secret), name, mac);
    memcpy(key, mac, KEY_LEN);
}

static uint32_t bucket_of(const struct attempts *a, const uint8_t key[KEY_LEN])
{
    uint32_t h;
    memcpy(&h, key, sizeof h);
    return h & (a->buckets - 1);
}

static struct entry *find(const struct attempts *a, const uint8_t key[KEY_LEN])
{
    struct entry *e = a->bucket[bucket_of(a, key)];
    while (e != NULL && memcmp(e->key, key, KEY_LEN) != 0)
        e = e->chain;
    return e;
}

static void forget(struct attempts *a, struct entry *e)
{
    struct entry **at = &a->bucket[bucket_of(a, e->key)];
    while (*at != e)
        at = &(*at)->chain;
    *at = e->chain;
    unlist(list_of(a, e), e);
}

/* Who has to go for a newcomer of that kind, or NULL. Who has an account goes only for one who has, too. */
static struct entry *victim(struct attempts *a, bool exists)
{
    if (!exists && a->unknown.n >= a->names / 4)
        return a->unknown.tail;
    if (a->known.n + a->unknown.n < a->names)
        return NULL;
    if (a->unknown.n != 0)
        return a->unknown.tail;
    return a->known.tail;
}

static struct entry *make(struct attempts *a, const uint8_t key[KEY_LEN], bool exists)
{
    struct entry *e = victim(a, exists);
    if (e != NULL)
        forget(a, e);
    else if ((e = malloc(sizeof *e)) == NULL)
        return NULL;
    *e = (struct entry){.exists = exists};
    memcpy(e->key, key, KEY_LEN);
    uint32_t at = bucket_of(a, key);
    e->chain = a->bucket[at];
    a->bucket[at] = e;
    put_first(list_of(a, e), e);
    return e;
}

/* --- what others call */

void attempts_add(struct attempts *a, struct str name, bool exists, const struct attempt *what)
{
    uint8_t key[KEY_LEN];
    key_of(a, name, key);
    struct entry *e = find(a, key);
    if (e == NULL) {
        e = make(a, key, exists);
        if (e == NULL)
            return;
    } else {
        unlist(list_of(a, e), e);
        e->exists = exists; /* accounts come and go */
        put_first(list_of(a, e), e);
    }
    e->kept[e->next] = *what;
    e->next = (uint8_t)((e->next + 1) % ATTEMPTS_KEPT);
    if (e->n < ATTEMPTS_KEPT)
        e->n++;
}

static struct attempt *newest(struct entry *e, size_t i)
{
    return &e->kept[((size_t)e->next + ATTEMPTS_KEPT - 1 - i) % ATTEMPTS_KEPT];
}

void attempts_correct(struct attempts *a, struct str name, uint32_t conn, uint32_t number,
                      enum reason reason, enum err err)
{
    uint8_t key[KEY_LEN];
    key_of(a, name, key);
    struct entry *e = find(a, key);
    for (size_t i = 0; e != NULL && i < e->n; i++) {
        struct attempt *at = newest(e, i);
        if (at->conn != conn || at->number != number)
            continue;
        at->reason = (uint8_t)reason;
        at->err = (uint16_t)err;
        return;
    }
}

size_t attempts_of(const struct attempts *a, struct str name, struct attempt out[ATTEMPTS_KEPT])
{
    uint8_t key[KEY_LEN];
    key_of(a, name, key);
    struct entry *e = find(a, key);
    for (size_t i = 0; e != NULL && i < e->n; i++)
        out[i] = *newest(e, i);
    return e != NULL ? e->n : 0;
}

uint32_t attempts_names(const struct attempts *a)
{
    return a->known.n + a->unknown.n;
}
