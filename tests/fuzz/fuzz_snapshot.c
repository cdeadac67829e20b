// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
/*
 * What a keeper reads that takes over from another (ximss/snapfile.h, snapshot.h, uploads.h): whatever it is, reading ends and stays
 * inside. What comes out of it can be written, and read again to the same, and gives back what it had of the spool. First byte: a
 * record (0), a file of records (1, 3), an upload that comes in (2).
 */
#include <sys/mman.h>
#include <unistd.h>

#include "base/log.h"
#include "ximss/dispatch.h"
#include "ximss/folder.h"
#include "ximss/snapfile.h"
#include "ximss/snapshot.h"
#include "ximss/uploads.h"

#define SPOOL (5 * SPOOL_BLOCK + 100) /* bytes of the file that the process before had */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* No record makes the reader ask the store; one that did would end here. */
static struct store *store_of(void *ctx, uint32_t bank)
{
    return bank == 0 ? ctx : NULL;
}

static enum err get(struct ximss *x, struct str record, struct session **s)
{
    static char nothing;
    struct snapshot_from from = {.x = x, .store = store_of, .ctx = &nothing};
    return snapshot_get(&from, record, s);
}

static void look_at(struct session *s)
{
    struct buf out;
    uint32_t index;
    buf_init(&out, SIZE_MAX);
    s->zone_known = true; /* there is no store to ask for his */
    session_async(s, &out);
    while (session_async_due(s) && out.n < (1 << 20))
        session_async(s, &out);
    for (uint32_t i = 0; i < s->folder_count; i++) {
        struct view *v = s->folders[i]->view;
        BUG_IF(folder_find(s, s->folders[i]->name) != s->folders[i]);
        (void)folder_has_recent(s->folders[i]);
        for (uint32_t k = 0; k < view_count(v) && k < 8; k++)
            BUG_IF(!view_find(v, view_uid(v, k), &index) || index != k);
    }
    BUG_IF(s->queue_count < (s->req != NULL));
    buf_free(&out);
}

static void read_uploads(struct session *s)
{
    struct upload_file *f = NULL;
    struct buf out;
    buf_init(&out, SIZE_MAX);
    for (char name[2] = "A"; name[0] <= 'z'; name[0]++) {
        if (upload_use(s, str_of(name), STR("f"), 1, &f) != ERR_OK)
            continue;
        BUG_IF(upload_read(f, 0, SIZE_MAX, &out) != ERR_OK || out.n > SPOOL);
        buf_clear(&out);
        upload_release(&f);
    }
    buf_free(&out);
}

static void one(struct ximss *x, struct str record)
{
    struct session *s = NULL;
    struct buf b, c;
    if (get(x, record, &s) != ERR_OK) {
        BUG_IF(s != NULL);
        return;
    }
    buf_init(&b, SIZE_MAX);
    buf_init(&c, SIZE_MAX);
    if (snapshot_ready(s)) {
        BUG_IF(snapshot_put(s, NULL, 0, &b) != ERR_OK);
        session_free(&s); /* a block of the spool belongs to one at a time */
        BUG_IF(get(x, buf_slice(&b), &s) != ERR_OK);
        BUG_IF(snapshot_put(s, NULL, 0, &c) != ERR_OK);
        BUG_IF(!str_eq(buf_slice(&b), buf_slice(&c)));
    }
    look_at(s);
    read_uploads(s);
    session_free(&s);
    buf_free(&b);
    buf_free(&c);
}

static void coming(struct ximss *x, struct str record)
{
    static char nothing;
    struct session_info info = {.id = 100042,
                                .account = 7,
                                .name = STR("dora@harbor.example"),
                                .real_name = STR(""),
                                .url_id = STR("100042-vN2Txjkggy7gjHRD10jw"),
                                .address = STR("[192.0.2.7]")};
    struct session *s = NULL;
    struct upload *u = NULL;
    struct buf b, c;
    buf_init(&b, SIZE_MAX);
    buf_init(&c, SIZE_MAX);
    BUG_IF(session_new(x, (struct store *)&nothing, &info, &s) != ERR_OK);
    if (upload_get(s, record, &u) == ERR_OK) {
        upload_put(u, &b);
        upload_abort(&u);
        BUG_IF(upload_get(s, buf_slice(&b), &u) != ERR_OK);
        upload_put(u, &c);
        BUG_IF(!str_eq(buf_slice(&b), buf_slice(&c)));
        BUG_IF(upload_commit(&u, 1) != ERR_OK);
        read_uploads(s);
    }
    BUG_IF(u != NULL);
    session_free(&s);
    buf_free(&b);
    buf_free(&c);
}

static bool begin(struct ximss *x)
{
    if (x->parser != NULL)
        return true;
    log_set_level(LOG_CRASH); /* sets that are lost */
    int fd = memfd_create("spool", 0);
    return ximss_init(x) == ERR_OK && fd >= 0 && ftruncate(fd, SPOOL) == 0 &&
           spool_adopt(&x->uploads.spool, fd) == ERR_OK;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct ximss x;
    struct snapfile f;
    struct snapfile_entry e;
    struct str record;
    if (size == 0 || !begin(&x))
        return 0;
    struct str input = {(const char *)data + 1, size - 1};
    if ((data[0] & 3) == 2) {
        coming(&x, input);
    } else if ((data[0] & 1) == 0) {
        one(&x, input);
    } else if (snapfile_open(input, &f) == ERR_OK) {
        while (snapfile_next(&f, &e, &record)) {
            BUG_IF(record.p != NULL &&
                   (record.p < input.p || record.p + record.n > input.p + input.n));
            if (record.p != NULL)
                one(&x, record);
        }
    }
    BUG_IF(x.uploads.spool.used != 0 || x.uploads.all != NULL);
    return 0;
}
