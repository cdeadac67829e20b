// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#include "codec/ipcmsg.h"

struct type_row {
    const char *name, *doc;
    enum ipc_role from, to;
    enum ipc_fd fd;
};

static const struct type_row types[IPC_TYPE_COUNT] = {
#define NOFD                    IPC_NOFD
#define FD                      IPC_FD
#define MEMFD                   IPC_MEMFD
#define IPC(name, f, t, d, doc) [IPC_##name] = {#name, doc, IPC_ROLE_##f, IPC_ROLE_##t, d},
#include "codec/ipc.tbl"
#undef IPC
#undef NOFD
#undef FD
#undef MEMFD
};

static const char *const roles[IPC_ROLE_COUNT] = {"any",    "master", "worker", "auth",
                                                  "hasher", "keeper", "helper", "check"};

const char *ipc_role_name(enum ipc_role r)
{
    BUG_IF((unsigned)r >= IPC_ROLE_COUNT);
    return roles[r];
}

const char *ipc_type_name(enum ipc_type t)
{
    BUG_IF((unsigned)t >= IPC_TYPE_COUNT);
    return types[t].name != NULL ? types[t].name : "none";
}

enum ipc_fd ipc_type_fd(enum ipc_type t)
{
    BUG_IF((unsigned)t >= IPC_TYPE_COUNT);
    return types[t].fd;
}

/* FNV-1a */
static uint64_t mix(uint64_t h, const char *text)
{
    for (; *text != 0; text++)
        h = (h ^ (unsigned char)*text) * UINT64_C(0x100000001b3);
    return (h ^ 0xff) * UINT64_C(0x100000001b3);
}

uint64_t ipc_fingerprint(void)
{
    uint64_t h = UINT64_C(0xcbf29ce484222325) ^ IPC_VERSION;
    for (int t = 1; t < IPC_TYPE_COUNT; t++) {
        h = mix(mix(h, types[t].name), types[t].doc);
        h = mix(mix(h, roles[types[t].from]), roles[types[t].to]);
    }
    return h;
}

bool ipc_item_secret(const struct ipc_item *it)
{
    switch (it->type) {
    case IPC_LOGIN:
    case IPC_LOGIN_STEP:
    case IPC_PASSWORD:
    case IPC_HASH:
    case IPC_HASHED:
    case IPC_CTL:
    case IPC_TLS:
        return true;
    default:
        return (it->flags & IPC_FLAG_SECRET) != 0;
    }
}

struct packet_head {
    uint16_t version;
    uint16_t count;
    uint32_t length;
};

struct item_head {
    uint16_t type;
    uint16_t flags;
    uint32_t length;
    uint32_t id;
    uint32_t seq;
};

_Static_assert(sizeof(struct packet_head) == IPC_HEAD, "packet head");
_Static_assert(sizeof(struct item_head) == IPC_ITEM_HEAD, "item head");

static size_t padded(size_t n)
{
    return (n + 7) & ~(size_t)7;
}

void ipc_packet_begin(struct buf *b)
{
    struct packet_head h = {IPC_VERSION, 0, IPC_HEAD};
    buf_clear(b);
    buf_add(b, &h, sizeof h);
}

bool ipc_packet_add(struct buf *b, const struct ipc_item *it)
{
    static const char zeroes[8];
    struct packet_head h;
    BUG_IF(it->body.n > IPC_BODY_MAX || b->n < IPC_HEAD);
    size_t need = IPC_ITEM_HEAD + padded(it->body.n);
    memcpy(&h, b->p, sizeof h);
    if (b->n + need > IPC_PACKET_MAX || h.count == UINT16_MAX || buf_room(b, need) == NULL)
        return false;
    struct item_head ih = {(uint16_t)it->type, it->flags, (uint32_t)it->body.n, it->id, it->seq};
    buf_add(b, &ih, sizeof ih);
    buf_str(b, it->body);
    buf_add(b, zeroes, padded(it->body.n) - it->body.n);
    h.count++;
    h.length = (uint32_t)b->n;
    memcpy(b->p, &h, sizeof h);
    return true;
}

enum err ipc_reader_init(struct ipc_reader *r, struct str packet, enum ipc_role from,
                         enum ipc_role to)
{
    struct packet_head h;
    if (packet.n < sizeof h || packet.n > IPC_PACKET_MAX)
        return ERR_PACKET;
    memcpy(&h, packet.p, sizeof h);
    if (h.version != IPC_VERSION || h.length != packet.n)
        return ERR_PACKET;
    *r = (struct ipc_reader){str_sub(packet, sizeof h, packet.n), h.count, from, to};
    return ERR_OK;
}

static bool role_fits(enum ipc_role allowed, enum ipc_role is)
{
    return allowed == is || allowed == IPC_ROLE_ANY;
}

enum err ipc_reader_next(struct ipc_reader *r, struct ipc_item *it)
{
    struct item_head h;
    if (r->left == 0)
        return r->rest.n == 0 ? ERR_EOF : ERR_PACKET;
    if (r->rest.n < sizeof h)
        return ERR_PACKET;
    memcpy(&h, r->rest.p, sizeof h);
    size_t whole = padded(h.length);
    if (h.length > IPC_BODY_MAX || whole > r->rest.n - sizeof h)
        return ERR_PACKET;
    if (h.type == IPC_NONE || h.type >= IPC_TYPE_COUNT ||
        (h.flags & ~(IPC_FLAG_MEMFD | IPC_FLAG_SECRET)) != 0)
        return ERR_PACKET;
    const struct type_row *row = &types[h.type];
    if (!role_fits(row->from, r->from) || !role_fits(row->to, r->to))
        return ERR_PACKET;
    if ((h.flags & IPC_FLAG_MEMFD) != 0 && row->fd != IPC_MEMFD)
        return ERR_PACKET;
    *it = (struct ipc_item){.type = (enum ipc_type)h.type,
                            .flags = h.flags,
                            .id = h.id,
                            .seq = h.seq,
                            .body = str_sub(r->rest, sizeof h, h.length),
                            .fd = -1};
    r->rest = str_sub(r->rest, sizeof h + whole, r->rest.n);
    r->left--;
    return ERR_OK;
}

void ipc_put_u32(struct buf *b, uint32_t v)
{
    buf_add(b, &v, sizeof v);
}

void ipc_put_u64(struct buf *b, uint64_t v)
{
    buf_add(b, &v, sizeof v);
}

void ipc_put_str(struct buf *b, struct str s)
{
    BUG_IF(s.n > UINT32_MAX);
    ipc_put_u32(b, (uint32_t)s.n);
    buf_str(b, s);
}

void ipc_put_opt(struct buf *b, struct str s)
{
    ipc_put_u32(b, s.p != NULL);
    ipc_put_str(b, s);
}

static bool take(struct ipc_in *in, void *to, size_t n)
{
    if (in->bad || in->rest.n < n) {
        in->bad = true;
        return false;
    }
    memcpy(to, in->rest.p, n);
    in->rest = str_sub(in->rest, n, in->rest.n);
    return true;
}

uint32_t ipc_get_u32(struct ipc_in *in)
{
    uint32_t v = 0;
    return take(in, &v, sizeof v) ? v : 0;
}

uint64_t ipc_get_u64(struct ipc_in *in)
{
    uint64_t v = 0;
    return take(in, &v, sizeof v) ? v : 0;
}

struct str ipc_get_str(struct ipc_in *in)
{
    uint32_t n = ipc_get_u32(in);
    if (in->bad || n > in->rest.n) {
        in->bad = true;
        return STR_NONE;
    }
    struct str s = {n != 0 ? in->rest.p : "", n};
    in->rest = str_sub(in->rest, n, in->rest.n);
    return s;
}

struct str ipc_get_opt(struct ipc_in *in)
{
    bool there = ipc_get_u32(in) != 0;
    struct str s = ipc_get_str(in);
    return there ? s : STR_NONE;
}

struct str ipc_get_rest(struct ipc_in *in)
{
    struct str s = in->bad ? STR_NONE : in->rest;
    in->rest = str_sub(in->rest, in->rest.n, 0);
    return s;
}

enum err ipc_in_end(const struct ipc_in *in)
{
    return in->bad || in->rest.n != 0 ? ERR_PACKET : ERR_OK;
}
