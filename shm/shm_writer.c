// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#include "shm/shm_writer.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/mman.h>

enum {
    WORD_IDS = offsetof(struct shm_row, session) / 8, /* session, state, op */
    WORD_STARTED = offsetof(struct shm_row, started) / 8,
    WORD_IN = offsetof(struct shm_row, bytes_in) / 8,
    WORD_OUT = offsetof(struct shm_row, bytes_out) / 8,
    WORD_REQUESTS = offsetof(struct shm_row, requests) / 8,
    WORD_TLS = offsetof(struct shm_row, tls) / 8,
    WORD_ACCOUNT = offsetof(struct shm_row, account) / 8,
    ACCOUNT_WORDS = SHM_ACCOUNT_LEN / 8
};

/* One word of a row, as its fields. */
union ids {
    uint64_t word;
    struct {
        uint32_t session;
        uint16_t state;
        uint16_t op;
    } f;
};

union link {
    uint64_t word;
    struct {
        uint16_t port;
        uint8_t family;
        uint8_t transport;
        uint16_t tls;
        uint16_t reserved;
    } f;
};

static shm_word *row_at(struct shm_writer *w, uint32_t row)
{
    if (row >= w->rows)
        abort();
    return w->row + (size_t)row * SHM_ROW_WORDS;
}

/* The owner reads back what it alone writes. */
static uint64_t own(const shm_word *word)
{
    return atomic_load_explicit(word, memory_order_relaxed);
}

static int fits(const struct shm_segment *s, size_t size)
{
    return memcmp(s->head.magic, SHM_SEGMENT_MAGIC, 8) == 0 && s->head.major == SHM_MAJOR &&
           s->head.byte_order == SHM_BYTE_ORDER && s->head.file_size == size &&
           s->rows.offset == sizeof(*s) && s->rows.stride == sizeof(struct shm_row) &&
           s->rows.count <= SHM_MAX_ROWS && s->counters.stride == 8 &&
           s->counters.count == SHM_COUNTERS &&
           s->counters.offset == sizeof(*s) + (uint64_t)s->rows.count * sizeof(struct shm_row) &&
           s->counters.offset + 8 * (uint64_t)SHM_COUNTERS <= size;
}

int shm_attach(struct shm_writer *w, int fd, size_t size)
{
    memset(w, 0, sizeof(*w));
    if (size < sizeof(struct shm_segment))
        return EPROTO;
    void *map = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (map == MAP_FAILED)
        return errno;
    struct shm_segment head;
    memcpy(&head, map, sizeof(head));
    if (!fits(&head, size)) {
        munmap(map, size);
        return EPROTO;
    }
    if (head.rows.count != 0) {
        w->free = calloc(head.rows.count, sizeof(*w->free));
        if (w->free == NULL) {
            munmap(map, size);
            return ENOMEM;
        }
    }
    w->map = map;
    w->size = size;
    w->rows = head.rows.count;
    w->row = (void *)(w->map + head.rows.offset);
    w->count = (void *)(w->map + head.counters.offset);
    w->used = (void *)(w->map + offsetof(struct shm_segment, rows_used));
    w->doing = (void *)(w->map + offsetof(struct shm_segment, session));
    for (uint32_t i = 0; i < w->rows; i++)
        w->free[i] = w->rows - 1 - i;
    w->nfree = w->rows;
    return 0;
}

void shm_detach(struct shm_writer *w)
{
    if (w->map != NULL)
        munmap(w->map, w->size);
    free(w->free);
    memset(w, 0, sizeof(*w));
}

uint32_t shm_row_alloc(struct shm_writer *w)
{
    if (w->nfree == 0)
        return SHM_NO_ROW;
    uint32_t row = w->free[--w->nfree];
    if (row >= w->high) {
        w->high = row + 1;
        atomic_store_explicit(w->used, w->high, memory_order_release);
    }
    return row;
}

void shm_row_free(struct shm_writer *w, uint32_t row)
{
    static const struct shm_row zero;
    shm_put(row_at(w, row), &zero, SHM_ROW_WORDS);
    if (w->nfree >= w->rows)
        abort();
    w->free[w->nfree++] = row;
}

void shm_row_publish(struct shm_writer *w, uint32_t row, const struct shm_row *local)
{
    shm_put(row_at(w, row), local, SHM_ROW_WORDS);
}

void shm_row_set_peer(struct shm_row *local, const struct sockaddr *peer)
{
    memset(local->address, 0, sizeof(local->address));
    local->port = 0;
    local->family = SHM_FAMILY_NONE;
    if (peer->sa_family == AF_UNIX) {
        local->family = SHM_FAMILY_UNIX;
    } else if (peer->sa_family == AF_INET) {
        struct sockaddr_in in;
        memcpy(&in, peer, sizeof(in));
        memcpy(local->address, &in.sin_addr, 4);
        local->port = ntohs(in.sin_port);
        local->family = SHM_FAMILY_IP4;
    } else if (peer->sa_family == AF_INET6) {
        struct sockaddr_in6 in6;
        memcpy(&in6, peer, sizeof(in6));
        bool mapped = IN6_IS_ADDR_V4MAPPED(&in6.sin6_addr);
        memcpy(local->address, in6.sin6_addr.s6_addr + (mapped ? 12 : 0), mapped ? 4 : 16);
        local->port = ntohs(in6.sin6_port);
        local->family = mapped ? SHM_FAMILY_IP4 : SHM_FAMILY_IP6;
    }
}

void shm_row_set_account(struct shm_row *local, const char *name, size_t n)
{
    memset(local->account, 0, sizeof(local->account));
    if (n > sizeof(local->account))
        n = sizeof(local->account);
    if (n != 0)
        memcpy(local->account, name, n);
}

void shm_row_copy(struct shm_writer *w, uint32_t row, struct shm_row *local)
{
    const shm_word *r = row_at(w, row);
    uint64_t words[SHM_ROW_WORDS];
    for (size_t i = 0; i < SHM_ROW_WORDS; i++)
        words[i] = own(&r[i]);
    memcpy(local, words, sizeof words);
}

uint32_t shm_row_end(const struct shm_writer *w)
{
    return w->high;
}

void shm_row_op_begin(struct shm_writer *w, uint32_t row, uint16_t op, int64_t now)
{
    shm_word *r = row_at(w, row);
    union ids ids = {.word = own(&r[WORD_IDS])};
    ids.f.op = op;
    uint64_t even = shm_begin(r);
    shm_store(&r[WORD_IDS], ids.word);
    shm_store(&r[WORD_STARTED], (uint64_t)now);
    shm_end(r, even);
}

void shm_row_op_end(struct shm_writer *w, uint32_t row)
{
    shm_row_op_begin(w, row, 0, 0);
}

void shm_row_state(struct shm_writer *w, uint32_t row, enum shm_state state, int64_t started)
{
    shm_word *r = row_at(w, row);
    union ids ids = {.word = own(&r[WORD_IDS])};
    ids.f.op = 0;
    ids.f.state = (uint16_t)state;
    uint64_t even = shm_begin(r);
    shm_store(&r[WORD_IDS], ids.word);
    shm_store(&r[WORD_STARTED], (uint64_t)started);
    shm_end(r, even);
}

void shm_row_add(struct shm_writer *w, uint32_t row, uint64_t in, uint64_t out, uint64_t requests)
{
    shm_word *r = row_at(w, row);
    uint64_t even = shm_begin(r);
    shm_store(&r[WORD_IN], own(&r[WORD_IN]) + in);
    shm_store(&r[WORD_OUT], own(&r[WORD_OUT]) + out);
    shm_store(&r[WORD_REQUESTS], own(&r[WORD_REQUESTS]) + requests);
    shm_end(r, even);
}

void shm_row_login(struct shm_writer *w, uint32_t row, const char *name, size_t n,
                   enum shm_state state)
{
    shm_word *r = row_at(w, row);
    uint64_t account[ACCOUNT_WORDS] = {0};
    union ids ids = {.word = own(&r[WORD_IDS])};
    ids.f.state = (uint16_t)state;
    if (n != 0)
        memcpy(account, name, n < sizeof(account) ? n : sizeof(account));
    uint64_t even = shm_begin(r);
    shm_store(&r[WORD_IDS], ids.word);
    for (size_t i = 0; i < ACCOUNT_WORDS; i++)
        shm_store(&r[WORD_ACCOUNT + i], account[i]);
    shm_end(r, even);
}

void shm_row_tls(struct shm_writer *w, uint32_t row, uint16_t version)
{
    shm_word *r = row_at(w, row);
    union link l = {.word = own(&r[WORD_TLS])};
    l.f.tls = version;
    uint64_t even = shm_begin(r);
    shm_store(&r[WORD_TLS], l.word);
    shm_end(r, even);
}

void shm_doing(struct shm_writer *w, enum shm_state state, uint32_t session, uint16_t op,
               int64_t since)
{
    union ids ids = {.f = {session, (uint16_t)state, op}};
    atomic_store_explicit(&w->doing[1], (uint64_t)since, memory_order_relaxed);
    atomic_store_explicit(&w->doing[0], ids.word, memory_order_relaxed);
}

static shm_word *count_at(struct shm_writer *w, enum shm_count c)
{
    if ((unsigned)c >= SHM_COUNTERS)
        abort();
    return &w->count[c];
}

void shm_count_add(struct shm_writer *w, enum shm_count c, uint64_t n)
{
    shm_word *word = count_at(w, c);
    atomic_store_explicit(word, own(word) + n, memory_order_relaxed);
}

void shm_count_sub(struct shm_writer *w, enum shm_count c, uint64_t n)
{
    shm_word *word = count_at(w, c);
    uint64_t v = own(word);
    atomic_store_explicit(word, v > n ? v - n : 0, memory_order_relaxed);
}
