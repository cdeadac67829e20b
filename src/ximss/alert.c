// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#include "ximss/alert.h"

#include <stdlib.h>

#include "base/utf8.h"
#include "codec/xout.h"
#include "codec/xtime.h"
#include "ximss/locale.h"

#define WRITTEN_MAX      (6 * ALERT_TEXT_MAX + 200) /* `&amp;`, tags and times */
#define ALERT_STORED_MAX (3 * ALERT_TEXT_MAX)       /* each byte a bad one */

struct alert {
    uint32_t holders;
    size_t n;
    int64_t at;
    char text[];
};

struct alerts {
    uint32_t count;
    struct alert *list[ALERTS_MAX]; /* oldest first */
};

/* C0, DEL, C1: whoever shows the text must not obey it. */
static bool is_control(uint32_t c)
{
    return c < 0x20 || (c >= 0x7f && c < 0xa0);
}

static enum err make(struct str text, int64_t at, struct alert **out)
{
    size_t i = 0;
    struct alert *a = malloc(sizeof *a + 3 * text.n); /* a bad byte becomes three */
    if (a == NULL)
        return ERR_NOMEM;
    *a = (struct alert){.holders = 1, .at = at};
    while (i < text.n) {
        uint32_t c = utf8_next(text, &i);
        char utf8[4];
        size_t n = utf8_put(utf8, is_control(c) ? ' ' : utf8_xml_char(c) ? c : 0xfffd);
        memcpy(a->text + a->n, utf8, n);
        a->n += n;
    }
    *out = a;
    return ERR_OK;
}

enum err alert_new(struct str text, int64_t at, struct alert **out)
{
    *out = NULL;
    if (text.n == 0)
        return ERR_ATTR_VALUE;
    if (text.n > ALERT_TEXT_MAX)
        return ERR_TOO_LONG;
    return make(text, at, out);
}

void alert_put_back(struct alert **ap)
{
    struct alert *a = *ap;
    *ap = NULL;
    if (a != NULL && --a->holders == 0)
        free(a);
}

static struct alert *take_first(struct alerts *l)
{
    struct alert *a = l->list[0];
    l->count--;
    memmove(l->list, l->list + 1, l->count * sizeof *l->list);
    return a;
}

enum err alert_give(struct session *s, struct alert *a)
{
    struct alerts *l = s->alerts;
    if (l == NULL)
        l = s->alerts = calloc(1, sizeof *l);
    if (l == NULL)
        return ERR_NOMEM;
    if (l->count == ALERTS_MAX) {
        struct alert *old = take_first(l);
        alert_put_back(&old);
    }
    a->holders++;
    l->list[l->count++] = a;
    hub_announce(&s->x->hub, s);
    return ERR_OK;
}

bool alerts_due(const struct session *s)
{
    return s->alerts != NULL;
}

static void write_one(struct buf *out, const struct alert *a, const struct zone *zone)
{
    char gmt[XTIME_SIZE], local[XTIME_SIZE];
    xout_open(out, "alert");
    xout_attr(out, "gmtTime", xtime_gmt(gmt, a->at));
    xout_attr(out, "localTime", xtime_local(local, a->at, zone));
    xout_body(out);
    xout_text(out, (struct str){a->text, a->n});
    xout_close(out, "alert");
    xout_end(out);
}

void alerts_write(struct session *s, struct buf *out, size_t max)
{
    while (s->alerts != NULL && out->n + WRITTEN_MAX <= max) {
        struct alert *a = take_first(s->alerts);
        write_one(out, a, session_zone(s));
        alert_put_back(&a);
        if (s->alerts->count == 0)
            alerts_free(s);
    }
}

void alerts_free(struct session *s)
{
    while (s->alerts != NULL && s->alerts->count != 0) {
        struct alert *a = take_first(s->alerts);
        alert_put_back(&a);
    }
    free(s->alerts);
    s->alerts = NULL;
}

/* --- for a keeper's successor (snapshot.h) */

bool alert_at(const struct session *s, uint32_t i, struct str *text, int64_t *at)
{
    if (s->alerts == NULL || i >= s->alerts->count)
        return false;
    *text = (struct str){s->alerts->list[i]->text, s->alerts->list[i]->n};
    *at = s->alerts->list[i]->at;
    return true;
}

enum err alert_restore(struct session *s, struct str text, int64_t at)
{
    struct alert *a = NULL;
    if (text.n == 0 || text.n > ALERT_STORED_MAX)
        return ERR_PACKET;
    enum err e = make(text, at, &a);
    if (e == ERR_OK)
        e = alert_give(s, a);
    alert_put_back(&a);
    return e;
}
