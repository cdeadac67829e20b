// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#include "harness.h"

void must(enum err e)
{
    if (e != ERR_OK)
        fail_msg("unexpected %s", err_name(e));
}

/* --- the world */

struct world *world_new(void)
{
    struct world *w = calloc(1, sizeof *w);

    setenv("TZ", "TST-3", 1); /* the reader's zone of the paper's examples: three hours east */
    tzset();
    assert_non_null(w);
    snprintf(w->dir, sizeof w->dir, "/tmp/ximss-test-XXXXXX");
    assert_non_null(mkdtemp(w->dir));
    snprintf(w->path, sizeof w->path, "%s/bank", w->dir);
    mime_init();
    must(ximss_init(&w->x));
    must(store_open(w->path, 0, &w->store));
    store_on_change(w->store, hub_on_change, &w->x.hub);
    return w;
}

void world_free(struct world *w)
{
    char command[160];

    for (int i = 0; i < CLIENTS; i++) {
        session_free(&w->c[i].s);
        buf_free(&w->c[i].out);
    }
    db_idle_check(store_db(w->store));
    store_close(&w->store);
    ximss_free(&w->x);
    snprintf(command, sizeof command, "rm -r %s", w->dir);
    assert_int_equal(system(command), 0);
    free(w);
}

void open_spool(struct world *w)
{
    char was[4096];
    assert_non_null(getcwd(was, sizeof was));
    assert_int_equal(chdir(w->dir), 0);
    must(spool_open(&w->x.uploads.spool));
    assert_int_equal(chdir(was), 0);
}

struct client *login_as(struct world *w, int64_t account, const char *name)
{
    int i = 0;
    struct session_info info = {.id = 100042,
                                .account = account,
                                .name = str_of(name),
                                .real_name = STR("Dora \"D\" <Diver>"),
                                .url_id = STR("100042-vN2Txjkggy7gjHRD10jw"),
                                .address = STR("[192.0.2.7]")};

    while (w->c[i].s != NULL || w->c[i].out.p != NULL)
        i++;
    buf_init(&w->c[i].out, SIZE_MAX);
    must(session_new(&w->x, w->store, &info, &w->c[i].s));
    w->c[i].s->user = &w->c[i];
    return &w->c[i];
}

struct client *login(struct world *w)
{
    return login_as(w, DORA, "dora@harbor.example");
}

/* --- rounds */

static void after_slice(struct world *w, struct client *c, struct slice r)
{
    w->slices++;
    c->closed = c->closed || r.close;
    c->ended = c->ended || r.run == RUN_END;
}

static bool run_readers(struct world *w)
{
    bool any = false;

    for (int i = 0; i < CLIENTS; i++) {
        struct client *c = &w->c[i];
        while (c->s != NULL && !c->no_credit && session_has_work(c->s) &&
               dispatch_kind(c->s) == KIND_READ) {
            size_t before = c->out.n;
            struct slice r = dispatch_slice(c->s, &c->out);
            assert_true(c->out.n - before <= SLICE_MAX);
            assert_false(db_in_request(store_db(w->store)));
            db_idle_check(store_db(w->store));
            after_slice(w, c, r);
            any = true;
            if (c->ended)
                session_free(&c->s);
            else if (session_async_due(c->s))
                session_async(c->s, &c->out);
        }
    }
    return any;
}

static bool write_once(struct world *w, struct client *c)
{
    struct db *db = store_db(w->store);

    if (c->s == NULL || c->ended || c->no_credit || !session_has_work(c->s) ||
        dispatch_kind(c->s) != KIND_WRITE)
        return false;
    if (!c->wrote)
        c->mark = c->out.n;
    c->wrote = true;
    if (w->refuse_round)
        return false;
    if (db_request_begin(db) != ERR_OK)
        return false;
    struct slice r = dispatch_slice(c->s, &c->out);
    if (db_request_end(db, !r.rollback) != ERR_OK)
        return false;
    after_slice(w, c, r);
    return true;
}

static bool run_writers(struct world *w)
{
    struct db *db = store_db(w->store);
    bool any = false, again = true;

    db_round_begin(db);
    while (again) {
        again = false;
        for (int i = 0; i < CLIENTS; i++)
            again = write_once(w, &w->c[i]) || again;
        any = any || again;
    }
    bool broken = false;
    for (int i = 0; i < CLIENTS; i++)
        any = any || w->c[i].wrote;
    if (any && (w->break_round || w->refuse_round)) {
        w->break_round = w->refuse_round = false;
        broken = true;
        db_round_cancel(db);
    } else if (db_round_commit(db) != ERR_OK) {
        broken = true;
    }
    w->rounds += any;
    for (int i = 0; i < CLIENTS; i++) {
        struct client *c = &w->c[i];
        if (!c->wrote)
            continue;
        c->wrote = false;
        if (broken)
            dispatch_fail(c->s, c->mark, &c->out);
        else
            dispatch_commit(c->s);
        if (c->ended)
            session_free(&c->s);
    }
    return any;
}

static void run_async(struct world *w)
{
    struct session *s;

    while ((s = hub_next(&w->x.hub)) != NULL) {
        struct client *c = s->user;
        if (!c->no_credit)
            session_async(s, &c->out);
    }
}

/* Until nobody has anything to do. */
void run(struct world *w)
{
    bool more = true;

    while (more) {
        more = run_readers(w);
        more = run_writers(w) || more;
        run_async(w);
    }
}

/* --- clients */

void feed(struct client *c, const char *text)
{
    must(session_feed(c->s, str_of(text)));
}

/* Feeds and runs. */
void say(struct world *w, struct client *c, const char *text)
{
    feed(c, text);
    run(w);
}

/* The next message, as text; NULL: none. It must be a whole document that libxml2 takes. */
const char *take(struct client *c)
{
    size_t n = 0;
    xmlDocPtr doc;

    if (c->at == c->out.n)
        return NULL;
    while (c->at + n < c->out.n && c->out.p[c->at + n] != '\0')
        n++;
    assert_true(c->at + n < c->out.n); /* every message ends with a zero byte */
    doc = xmlReadMemory(c->out.p + c->at, (int)n, NULL, "UTF-8",
                        XML_PARSE_NONET | XML_PARSE_HUGE | XML_PARSE_NOERROR);
    assert_non_null(doc);
    xmlFreeDoc(doc);
    snprintf(c->text, sizeof c->text, "%.*s", (int)n, c->out.p + c->at);
    c->at += n + 1;
    return c->text;
}

uint32_t skip_all(struct client *c)
{
    uint32_t n = 0;

    while (take(c) != NULL)
        n++;
    return n;
}

/* Puts VALIDITY in place of the digits after UIDValidity=", which differ from run to run. */
void mask_validity(char *text)
{
    char *at = strstr(text, "UIDValidity=\""), *end;
    char tail[1 << 16];

    if (at == NULL)
        return;
    at += strlen("UIDValidity=\"");
    end = strchr(at, '"');
    snprintf(tail, sizeof tail, VALIDITY "%s", end);
    memcpy(at, tail, strlen(tail) + 1);
}

void expect_at(struct client *c, const char *want, const char *file, int line)
{
    const char *got = take(c);

    if (got == NULL) {
        print_error("%s:%d: nothing came, expected %s\n", file, line, want);
        fail();
        return;
    }
    mask_validity(c->text);
    if (strcmp(got, want) != 0) {
        print_error("%s:%d:\n got      %s\n expected %s\n", file, line, got, want);
        fail();
    }
}

/* One request, its one response. */

/* --- mail */

void write_begin(struct world *w)
{
    db_round_begin(store_db(w->store));
    must(db_request_begin(store_db(w->store)));
}

void write_end(struct world *w)
{
    must(db_request_end(store_db(w->store), true));
    must(db_round_commit(store_db(w->store)));
}

int64_t box_id(struct world *w, int64_t account, const char *name)
{
    int64_t id = 0;

    must(mailbox_find(w->store, account, str_of(name), &id));
    return id;
}

void make_inbox(struct world *w, int64_t account)
{
    int64_t id;

    write_begin(w);
    must(mailbox_inbox(w->store, account, &id));
    write_end(w);
}

/* Stores a message as a delivery does; the change is announced (see run_async). */
static uint32_t append(struct world *w, int64_t account, const char *box, struct str raw,
                       int64_t when, uint32_t flags)
{
    struct buf head, body;
    uint32_t uid;

    buf_init(&head, SIZE_MAX);
    buf_init(&body, SIZE_MAX);
    must(mime_digest(raw, &mime_limits_default, &head, &body));
    struct message_new m = {.raw = raw,
                            .head = buf_slice(&head),
                            .body = buf_slice(&body),
                            .internaldate = when,
                            .flags = flags};
    must(message_append(w->store, account, box_id(w, account, box), &m, &uid));
    buf_free(&head);
    buf_free(&body);
    return uid;
}

uint32_t deliver_to(struct world *w, int64_t account, const char *box, const char *raw, size_t n,
                    int64_t when, uint32_t flags)
{
    uint32_t uid;

    write_begin(w);
    uid = append(w, account, box, (struct str){raw, n}, when, flags);
    write_end(w);
    return uid;
}

void deliver_many(struct world *w, const char *raw, uint32_t n)
{
    write_begin(w);
    for (uint32_t i = 0; i < n; i++)
        append(w, DORA, "INBOX", str_of(raw), 1779700000 + i, 0);
    write_end(w);
    run_async(w);
}

uint32_t deliver(struct world *w, const char *raw, int64_t when, uint32_t flags)
{
    uint32_t uid = deliver_to(w, DORA, "INBOX", raw, strlen(raw), when, flags);

    run_async(w);
    return uid;
}

int64_t utc(const char *text)
{
    struct tm t = {0};

    assert_non_null(strptime(text, "%Y%m%dT%H%M%SZ", &t));
    return timegm(&t);
}

/* Attribute of the message taken last, as a number; -1: absent. */
long attribute(const struct client *c, const char *name)
{
    char key[64];
    const char *at;

    snprintf(key, sizeof key, " %s=\"", name);
    at = strstr(c->text, key);
    return at != NULL ? strtol(at + strlen(key), NULL, 10) : -1;
}

/* --- folders */

void three_messages(struct world *w)
{
    make_inbox(w, DORA);
    deliver(w, NOREPLY, utc("20260525T040002Z"), FLAG_SEEN | FLAG_ANSWERED);
    deliver(w, ANN, utc("20260525T051440Z"), FLAG_RECENT | FLAG_MEDIA);
    deliver(w, BOB, utc("20260525T061500Z"), FLAG_RECENT);
}

void open_quietly(struct world *w, struct client *c, const char *request)
{
    say(w, c, request);
    if (strstr(take(c), " mode=\"init\" ") == NULL)
        fail_msg("%s: %s", request, c->text);
    assert_non_null(strstr(take(c), "<response id=\"F1\"/>"));
    EXPECT_NOTHING(c);
}

void check_rows(struct world *w, struct client *c, const char *folder, const char *set,
                const char *uids)
{
    char request[512], got[256] = "";

    snprintf(request, sizeof request, "<folderBrowse id=\"B\" folder=\"%s\">%s</folderBrowse>",
             folder, set);
    say(w, c, request);
    while (strncmp(take(c), "<folderReport ", 14) == 0)
        snprintf(got + strlen(got), sizeof got - strlen(got), "%ld ", attribute(c, "UID"));
    assert_string_equal(c->text, OK("B"));
    EXPECT_NOTHING(c);
    if (strcmp(got, uids) != 0)
        fail_msg("%s: got %s, expected %s", set, got, uids);
}
