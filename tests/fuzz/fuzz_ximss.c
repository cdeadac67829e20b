// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
/*
 * fuzz_ximss: a session is fed any bytes as messages (cut at zero bytes). Every message that is not blank gets exactly one
 * response, in order, until the session ends; everything that comes out is well-formed, says libxml2's document parser; nothing is left
 * open in the database. The bank has two mailboxes and is made new for each input. Every other input breaks its second round.
 */
#include <libxml/parser.h>
#include <libxml/tree.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "codec/digest.h"
#include "store/mailbox.h"
#include "store/message.h"
#include "ximss/dispatch.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define ACCOUNT 7
#define RAW                                                                                \
    "From: Ann Lee <ann@example.org>\r\nTo: bob@example.net\r\nSubject: Lunch?\r\n\r\nAt " \
    "noon?\r\n"

static struct ximss x;
static struct store *store;
static struct buf head, body;

static void must(enum err e)
{
    BUG_IF(e != ERR_OK);
}

static char dir[64];

static void remove_bank(void)
{
    char command[96];

    store_close(&store);
    ximss_free(&x);
    buf_free(&head);
    buf_free(&body);
    snprintf(command, sizeof command, "rm -r %s", dir);
    BUG_IF(system(command) != 0);
}

/* Once; in memory if there is such a place. */
static void begin(void)
{
    char path[96];

    snprintf(dir, sizeof dir, "/dev/shm/fuzz-ximss-XXXXXX");
    if (mkdtemp(dir) == NULL) {
        snprintf(dir, sizeof dir, "/tmp/fuzz-ximss-XXXXXX");
        BUG_IF(mkdtemp(dir) == NULL);
    }
    atexit(remove_bank);
    snprintf(path, sizeof path, "%s/bank", dir);
    must(store_open(path, 0, &store));
    must(ximss_init(&x));
    store_on_change(store, hub_on_change, &x.hub);
    buf_init(&head, SIZE_MAX);
    buf_init(&body, SIZE_MAX);
    must(digest_opaque(STR(RAW), &head, &body));
}

static void new_bank(void)
{
    struct message_new m = {.raw = STR(RAW), .head = buf_slice(&head), .body = buf_slice(&body)};
    struct db *db = store_db(store);
    int64_t inbox;
    uint32_t uid;

    db_round_begin(db);
    must(db_request_begin(db));
    must(store_account_remove(store, ACCOUNT));
    must(mailbox_inbox(store, ACCOUNT, &inbox));
    must(mailbox_create(store, ACCOUNT, STR("Box"), STR(""), NULL));
    for (uint32_t i = 0; i < 3; i++) {
        m.internaldate = i;
        m.flags = i == 1 ? FLAG_SEEN : FLAG_RECENT;
        must(message_append(store, ACCOUNT, inbox, &m, &uid));
    }
    must(db_request_end(db, true));
    must(db_round_commit(db));
}

/* Runs one round of writes; false: nothing to write. */
static bool write_round(struct session *s, struct buf *out, bool breaks, bool *ended)
{
    struct db *db = store_db(store);
    size_t mark = out->n;

    if (!session_has_work(s) || dispatch_kind(s) != KIND_WRITE)
        return false;
    db_round_begin(db);
    while (!*ended && session_has_work(s) && dispatch_kind(s) == KIND_WRITE) {
        must(db_request_begin(db));
        struct slice r = dispatch_slice(s, out);
        *ended = r.run == RUN_END;
        must(db_request_end(db, !r.rollback));
    }
    if (breaks) {
        db_round_cancel(db);
        dispatch_fail(s, mark, out);
    } else {
        must(db_round_commit(db));
        dispatch_commit(s);
    }
    return true;
}

static void run(struct session *s, struct buf *out, bool breaks, bool *ended)
{
    uint32_t rounds = 0;

    do {
        while (!*ended && session_has_work(s) && dispatch_kind(s) == KIND_READ) {
            struct slice r = dispatch_slice(s, out);
            *ended = r.run == RUN_END;
            db_idle_check(store_db(store));
        }
        if (!*ended && dispatch_question(s) != NULL)
            dispatch_answer(s, ERR_AUTH_FAILED, STR(""));
    } while (!*ended && (write_round(s, out, breaks && ++rounds == 2, ended) ||
                         (session_has_work(s) && dispatch_kind(s) == KIND_READ)));
    while (hub_next(&x.hub) != NULL)
        session_async(s, out);
}

/* Returns the number of responses. */
static uint32_t check_output(const struct buf *out)
{
    uint32_t responses = 0;
    size_t at = 0;

    while (at < out->n) {
        const char *end = memchr(out->p + at, 0, out->n - at);
        BUG_IF(end == NULL);
        xmlDocPtr doc = xmlReadMemory(out->p + at, (int)(end - out->p - (ptrdiff_t)at), NULL,
                                      "UTF-8", XML_PARSE_NONET | XML_PARSE_NOERROR);
        BUG_IF(doc == NULL);
        responses += xmlStrEqual(xmlDocGetRootElement(doc)->name, (const xmlChar *)"response") != 0;
        xmlFreeDoc(doc);
        at = (size_t)(end - out->p) + 1;
    }
    return responses;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct session_info info = {
        .id = 100001, .account = ACCOUNT, .name = STR("dora@harbor.example")};
    struct str rest = {(const char *)data, size}, message;
    struct session *s;
    struct buf out;
    bool ended = false, breaks = size % 2 != 0;
    uint32_t fed = 0, answered;

    if (store == NULL)
        begin();
    new_bank();
    must(session_new(&x, store, &info, &s));
    buf_init(&out, SIZE_MAX);
    while (!ended && str_split(&rest, '\0', &message)) {
        fed += !s->closing && str_trim(message).n != 0;
        must(session_feed(s, message));
        run(s, &out, breaks, &ended);
    }
    answered = check_output(&out);
    BUG_IF(answered != fed);
    if (!ended) {
        session_end(s);
        run(s, &out, breaks, &ended);
        BUG_IF(!ended);
    }
    session_free(&s);
    buf_free(&out);
    return 0;
}
