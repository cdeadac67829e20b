// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
/*
 * What a keeper reads that takes over from another (ximss/snapfile.h, snapshot.h): whatever it is, reading ends and stays
 * inside. A session that comes out of it can be written, and read again to the same. First byte: a file of records, or one record.
 */
#include "ximss/dispatch.h"
#include "ximss/folder.h"
#include "ximss/snapfile.h"
#include "ximss/snapshot.h"

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

static void one(struct ximss *x, struct str record)
{
    struct session *s = NULL, *again = NULL;
    struct buf b, c;
    if (get(x, record, &s) != ERR_OK) {
        BUG_IF(s != NULL);
        return;
    }
    buf_init(&b, SIZE_MAX);
    buf_init(&c, SIZE_MAX);
    if (snapshot_ready(s)) {
        BUG_IF(snapshot_put(s, NULL, 0, &b) != ERR_OK);
        BUG_IF(get(x, buf_slice(&b), &again) != ERR_OK);
        BUG_IF(snapshot_put(again, NULL, 0, &c) != ERR_OK);
        BUG_IF(!str_eq(buf_slice(&b), buf_slice(&c)));
        session_free(&again);
    }
    look_at(s);
    session_free(&s);
    buf_free(&b);
    buf_free(&c);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct ximss x;
    struct snapfile f;
    struct snapfile_entry e;
    struct str record;
    if (size == 0 || (x.parser == NULL && ximss_init(&x) != ERR_OK))
        return 0;
    struct str input = {(const char *)data + 1, size - 1};
    if ((data[0] & 1) == 0) {
        one(&x, input);
    } else if (snapfile_open(input, &f) == ERR_OK) {
        while (snapfile_next(&f, &e, &record)) {
            BUG_IF(record.p != NULL &&
                   (record.p < input.p || record.p + record.n > input.p + input.n));
            if (record.p != NULL)
                one(&x, record);
        }
    }
    return 0;
}
