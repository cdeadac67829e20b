// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#include "proc/child_ctl.h"

#include "codec/ctlmsg.h"

static void answer(struct child *c, uint32_t seq, bool last, enum err e, struct str text)
{
    struct buf b;
    buf_init(&b, IPC_BODY_MAX);
    ipc_put_u32(&b, (uint32_t)e);
    buf_str(&b, text);
    bus_put(&c->master, IPC_CTL_ANSWER, last, seq, buf_slice(&b));
    buf_free(&b);
}

void child_ctl_say(struct child *c, uint32_t seq, struct str text)
{
    if (text.n != 0)
        answer(c, seq, false, ERR_OK, text);
}

void child_ctl_done(struct child *c, uint32_t seq, enum err e)
{
    answer(c, seq, true, e, STR_NONE);
}

void child_ctl_refuse(struct child *c, uint32_t seq, enum err e, const char *sentence)
{
    struct buf b;
    buf_init(&b, CTL_MAX);
    buf_lit(&b, "{\"error\":");
    ctl_json_str(&b, str_of(sentence));
    buf_char(&b, '}');
    answer(c, seq, true, e, buf_slice(&b));
    buf_free(&b);
}

void child_ctl(struct child *c, const struct ipc_item *it)
{
    if (c->started && c->hooks->ctl != NULL)
        c->hooks->ctl(c, it);
    else
        child_ctl_done(c, it->seq, ERR_UNSUPPORTED);
}
