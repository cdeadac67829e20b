// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#include "ximss/snapfile.h"

struct head {
    char magic[8];
    uint32_t version, count;
    uint64_t bytes;
};

static const char magic[8] = "ximssnap";

size_t snapfile_head_size(uint32_t count)
{
    return sizeof(struct head) + count * sizeof(struct snapfile_entry);
}

void snapfile_put_head(struct buf *b, const struct snapfile_entry *entries, uint32_t count)
{
    struct head h = {
        .version = SNAPSHOT_VERSION, .count = count, .bytes = snapfile_head_size(count)};
    memcpy(h.magic, magic, sizeof h.magic);
    for (uint32_t i = 0; i < count; i++)
        h.bytes += entries[i].bytes;
    buf_add(b, &h, sizeof h);
    if (count != 0)
        buf_add(b, entries, count * sizeof *entries);
}

enum err snapfile_open(struct str bytes, struct snapfile *f)
{
    struct head h;
    if (bytes.n < sizeof h)
        return ERR_PACKET;
    memcpy(&h, bytes.p, sizeof h);
    if (memcmp(h.magic, magic, sizeof h.magic) != 0 || h.version != SNAPSHOT_VERSION ||
        h.count > (bytes.n - sizeof h) / sizeof(struct snapfile_entry))
        return ERR_PACKET;
    *f = (struct snapfile){bytes, h.count, 0, snapfile_head_size(h.count)};
    return ERR_OK;
}

bool snapfile_next(struct snapfile *f, struct snapfile_entry *e, struct str *record)
{
    if (f->at == f->count)
        return false;
    memcpy(e, f->bytes.p + snapfile_head_size(f->at++), sizeof *e);
    uint64_t left = f->bytes.n - f->offset;
    *record = STR_NONE;
    if (e->bytes <= left && e->bytes != 0)
        *record = (struct str){f->bytes.p + f->offset, (size_t)e->bytes};
    /* Behind one that is too long nothing stands where it should. */
    f->offset += e->bytes <= left ? e->bytes : left;
    return true;
}
