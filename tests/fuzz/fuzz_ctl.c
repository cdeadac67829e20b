// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
/*
 * The control socket's messages, from both sides: whatever bytes arrive, reading ends and stays inside them; every string
 * becomes JSON that a naive reader takes back; an alert of any bytes is one element with text that libxml2 reads.
 */
#include <stdlib.h>

#include "base/utf8.h"
#include "codec/ctlmsg.h"
#include "codec/xmsg.h"
#include "ximss/alert.h"
#include "ximss/session.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool inside(struct str part, struct str whole)
{
    return part.n == 0 || (part.p >= whole.p && part.p + part.n <= whole.p + whole.n);
}

static void packets(struct str in)
{
    struct ctl_head head;
    struct ctl_reply reply;
    struct str rest;
    char who[CTL_WHO];
    if (ctl_request_parse(in, &head, &rest) == ERR_OK) {
        BUG_IF(!inside(rest, in) || rest.n + sizeof head != in.n);
        BUG_IF(ctl_row((enum ctl_verb)head.verb)->reach == CTL_TOOL);
    }
    if (ctl_reply_parse(in, &reply, &rest) == ERR_OK) {
        BUG_IF(!inside(rest, in) || rest.n + sizeof reply != in.n || reply.err >= ERR_COUNT);
        BUG_IF(strlen(ctl_who(who, (enum ipc_role)reply.role, reply.number)) >= sizeof who);
    }
}

/* The verb that blanks cut the input into, by a look at each row. */
static void verbs(struct str in)
{
    char text[64], *words[64], *at = text;
    int n = 0, used;
    if (in.n >= sizeof text)
        return;
    memcpy(text, in.n != 0 ? in.p : "", in.n);
    text[in.n] = 0;
    for (char *word; n < 63 && (word = strsep(&at, " ")) != NULL;)
        words[n++] = word;
    enum ctl_verb v = ctl_verb_find(words, n, &used);
    BUG_IF(used > n || (v == CTL_NONE) != (used == 0));
}

/* Of what ctl_json_str() makes: each character, escapes undone. */
static uint32_t json_char(struct str json, size_t *at)
{
    uint32_t c = utf8_next(json, at);
    BUG_IF(c < 0x20 || c == '"');
    if (c != '\\')
        return c;
    c = utf8_next(json, at);
    if (c != 'u') {
        BUG_IF(c != '"' && c != '\\');
        return c;
    }
    char hex[5] = {0};
    memcpy(hex, json.p + *at, 4);
    *at += 4;
    char *end;
    c = (uint32_t)strtoul(hex, &end, 16);
    BUG_IF(*end != 0);
    return c;
}

static void json(struct str in)
{
    struct buf b;
    buf_init(&b, 6 * in.n + 2);
    ctl_json_str(&b, in);
    BUG_IF(buf_err(&b) != ERR_OK || b.n < 2 || b.p[0] != '"' || b.p[b.n - 1] != '"');
    struct str inner = str_sub(buf_slice(&b), 1, b.n - 2);
    size_t at = 0, from = 0;
    BUG_IF(!utf8_valid(inner));
    while (at < inner.n)
        BUG_IF(from >= in.n || json_char(inner, &at) != utf8_next(in, &from));
    BUG_IF(from != in.n);
    buf_free(&b);
}

static void alerts(struct str in)
{
    static struct ximss x;
    static struct arena a;
    if (x.parser == NULL && ximss_init(&x) != ERR_OK)
        abort();
    if (a.cap == 0)
        arena_init(&a, (size_t)1 << 20);
    arena_reset(&a);
    struct session s = {.x = &x, .zone_known = true};
    struct alert *alert;
    struct buf out;
    struct xelem *root;
    enum err e = alert_new(in, 1710400500, &alert);
    BUG_IF((e == ERR_OK) != (in.n != 0 && in.n <= ALERT_TEXT_MAX));
    if (e != ERR_OK)
        return;
    buf_init(&out, 65536);
    BUG_IF(alert_give(&s, alert) != ERR_OK || !alerts_due(&s));
    alert_put_back(&alert);
    alerts_write(&s, &out, 65536);
    BUG_IF(alerts_due(&s) || hub_next(&x.hub) != &s);
    BUG_IF(buf_err(&out) != ERR_OK || memchr(out.p, 0, out.n) != out.p + out.n - 1);
    BUG_IF(xmsg_parse(x.parser, str_sub(buf_slice(&out), 0, out.n - 1), &a, &root) != ERR_OK);
    BUG_IF(!xelem_is(root, "alert") || root->nattrs != 2 || root->child != NULL);
    for (size_t at = 0; at < root->text.n;)
        BUG_IF(utf8_next(root->text, &at) < 0x20);
    buf_free(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str in = {(const char *)data, size};
    packets(in);
    verbs(in);
    json(in);
    alerts(in);
    return 0;
}
