// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
/* The verbs of ximssctl that keepers answer. */
#include <stdio.h>

#include "base/clock.h"
#include "codec/ctlmsg.h"
#include "proc/child_ctl.h"
#include "proc/keeper.h"
#include "proc/rows_ctl.h"
#include "ximss/alert.h"

static bool say_to(struct kept *s, struct alert *a)
{
    return s != NULL && !s->s->closing && alert_give(s->s, a) == ERR_OK;
}

static uint32_t say_to_all(struct keeper *k, struct alert *a)
{
    uint32_t at = 0, told = 0;
    struct kept *s;
    while ((s = idmap_next(&k->sessions, &at)) != NULL)
        told += say_to(s, a);
    return told;
}

static void refuse_text(struct child *c, uint32_t seq, enum err e)
{
    char sentence[80];
    snprintf(sentence, sizeof sentence, "the text has 1 to %d bytes", ALERT_TEXT_MAX);
    if (e == ERR_NOMEM)
        child_ctl_done(c, seq, e);
    else
        child_ctl_refuse(c, seq, e, sentence);
}

/* CTL_SESSION_SAY with the number of one session, CTL_SESSION_SAY_ALL without. */
static void say(struct child *c, const struct ipc_item *it)
{
    struct keeper *k = c->data;
    struct ipc_in in = {it->body, false};
    bool all = it->id == CTL_SESSION_SAY_ALL;
    uint32_t id = all ? 0 : ipc_get_u32(&in);
    struct str text = ipc_get_str(&in);
    struct alert *a = NULL;
    enum err e =
        ipc_in_end(&in) == ERR_OK ? alert_new(text, clock_wall() / CLOCK_SEC, &a) : ERR_ATTR_VALUE;
    if (e != ERR_OK) {
        refuse_text(c, it->seq, e);
        return;
    }
    uint32_t told = all ? say_to_all(k, a) : id != 0 && say_to(idmap_get(&k->sessions, id), a);
    alert_put_back(&a);
    if (told != 0 || all) {
        struct buf b;
        buf_init(&b, 40);
        buf_printf(&b, "{\"told\":%u}", told);
        child_ctl_mention(c, it->seq, &b);
        buf_free(&b);
        child_ctl_done(c, it->seq, ERR_OK);
    } else {
        child_ctl_refuse(c, it->seq, ERR_NOT_FOUND, "there is no session of that number");
    }
}

static void kick(struct child *c, const struct ipc_item *it)
{
    struct ipc_in in = {it->body, false};
    uint32_t id = ipc_get_u32(&in);
    if (ipc_in_end(&in) != ERR_OK)
        child_ctl_done(c, it->seq, ERR_ATTR_VALUE);
    else if (keeper_http_kick(c->data, id))
        child_ctl_done(c, it->seq, ERR_OK);
    else
        child_ctl_refuse(c, it->seq, ERR_NOT_FOUND,
                         "there is no connection or session of that number");
}

void keeper_ctl(struct child *c, const struct ipc_item *it)
{
    const struct keeper *k = c->data;
    if (k->stopped)
        return; /* the master sees that there will be no answer */
    switch (it->id) {
    case CTL_SESSION_SAY:
    case CTL_SESSION_SAY_ALL:
        say(c, it);
        break;
    case CTL_SESSION_LIST:
        rows_ctl_list(c, ROWS_CTL_KEEPER, it);
        break;
    case CTL_SESSION_KICK:
        kick(c, it);
        break;
    default:
        child_ctl_done(c, it->seq, ERR_UNSUPPORTED);
        break;
    }
}
