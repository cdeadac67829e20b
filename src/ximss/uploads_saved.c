// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
/*
 * Uploads as bytes, and back (ximss/snapshot.h): whoever reads them believes nothing. Of what is in the files there is nothing here but where it
 * stands in the spool, which goes to the successor as it is.
 *
 *   set     name, last use i64, used u32, files
 *   coming  name, files
 *   files   count u32; of each: name, type, bytes u64, runs u32, of each: first block u32, blocks u32
 */
#include "codec/ipcmsg.h"
#include "ximss/session.h"
#include "ximss/uploads_priv.h"

/* A field that came or went: is it in the form above? (64 bit; others follow.) */
_Static_assert(sizeof(void *) != 8 || sizeof(struct upload_set) == 128, "uploads_saved.c is told");
_Static_assert(sizeof(void *) != 8 || sizeof(struct upload_file) == 80, "uploads_saved.c is told");

/* --- out */

static void put_files(const struct upload_file *f, uint32_t count, struct buf *b)
{
    ipc_put_u32(b, count);
    for (; f != NULL; f = f->next) {
        ipc_put_str(b, f->name);
        ipc_put_str(b, f->type);
        ipc_put_u64(b, f->bytes.size);
        ipc_put_u32(b, f->bytes.run_n);
        for (uint32_t i = 0; i < f->bytes.run_n; i++) {
            ipc_put_u32(b, f->bytes.runs[i].first);
            ipc_put_u32(b, f->bytes.runs[i].n);
        }
    }
}

bool uploads_put(const struct session *s, uint32_t i, struct buf *b)
{
    const struct upload_set *set = s->uploads != NULL ? s->uploads->sets : NULL;
    while (set != NULL && i-- != 0)
        set = set->next;
    if (set == NULL)
        return false;
    ipc_put_str(b, (struct str){set->id, set->id_n});
    ipc_put_u64(b, (uint64_t)set->last);
    ipc_put_u32(b, set->used);
    put_files(set->files, set->count, b);
    return true;
}

void upload_put(const struct upload *u, struct buf *b)
{
    ipc_put_str(b, (struct str){u->id, u->id_n});
    put_files(u->files, u->count, b);
}

/* --- in */

CHECKED static enum err get_bytes(struct ipc_in *in, struct upload *u)
{
    struct spool *spool = &u->all->host->spool;
    struct spool_piece *p = &u->now->bytes;
    uint64_t size = ipc_get_u64(in);
    uint32_t runs = ipc_get_u32(in);
    enum err e = ERR_OK;
    while (runs-- != 0 && e == ERR_OK && !in->bad) {
        uint32_t first = ipc_get_u32(in);
        e = spool_claim(spool, p, (struct spool_run){first, ipc_get_u32(in)});
    }
    if (e == ERR_OK)
        e = in->bad ? ERR_PACKET : spool_claim_end(spool, p, size);
    u->bytes += p->size;
    u->all->bytes += p->size;
    return e;
}

CHECKED static enum err get_files(struct ipc_in *in, struct upload *u)
{
    uint32_t count = ipc_get_u32(in);
    enum err e = ERR_OK;
    while (count-- != 0 && e == ERR_OK) {
        struct str name = ipc_get_str(in), type = ipc_get_str(in);
        if (in->bad || name.n > UPLOAD_NAME_MAX || type.n > UPLOAD_TYPE_MAX)
            return ERR_PACKET;
        e = upload_add_file(u, name, type);
        if (e == ERR_OK)
            e = get_bytes(in, u);
    }
    return e == ERR_OK ? ipc_in_end(in) : e;
}

/* An upload that has what follows in `in`. */
CHECKED static enum err get(struct session *s, struct str id, struct ipc_in *in,
                            struct upload **out)
{
    if (in->bad || !upload_id_ok(id))
        return ERR_PACKET;
    enum err e = upload_begin(s, id, out);
    if (e == ERR_OK && (e = get_files(in, *out)) != ERR_OK)
        upload_abort(out);
    return e;
}

enum err uploads_get(struct session *s, struct str body)
{
    struct ipc_in in = {body, false};
    struct upload *u = NULL;
    struct str id = ipc_get_str(&in);
    int64_t last = (int64_t)ipc_get_u64(&in);
    bool used = ipc_get_u32(&in) != 0;
    bool there = s->uploads != NULL && *upload_find(s->uploads, id) != NULL;
    enum err e = there || last < 0 ? ERR_PACKET : get(s, id, &in, &u);
    if (e != ERR_OK)
        return e;
    if (u->count == 0) {
        upload_abort(&u);
        return ERR_PACKET;
    }
    e = upload_commit(&u, last);
    if (e == ERR_OK)
        (*upload_find(s->uploads, id))->used = used;
    return e;
}

enum err upload_get(struct session *s, struct str body, struct upload **out)
{
    struct ipc_in in = {body, false};
    struct str id = ipc_get_str(&in);
    *out = NULL;
    return get(s, id, &in, out);
}
