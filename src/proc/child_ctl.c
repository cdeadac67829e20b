// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#include "proc/child_ctl.h"

#include "codec/ctlmsg.h"

static void put_verdict(struct child *c, uint32_t seq, enum err e)
{
    uint32_t head = (uint32_t)e;
    bus_put(&c->master, IPC_CTL_ANSWER, true, seq, (struct str){(const char *)&head, sizeof head});
}

/* false: no memory for it. */
static bool put_text(struct child *c, uint32_t seq, bool last, enum err e, const struct buf *text)
{
    struct buf b;
    buf_init(&b, IPC_BODY_MAX);
    ipc_put_u32(&b, (uint32_t)e);
    buf_str(&b, buf_slice(text));
    bool fine = buf_err(text) == ERR_OK && buf_err(&b) == ERR_OK;
    if (fine)
        bus_put(&c->master, IPC_CTL_ANSWER, last, seq, buf_slice(&b));
    buf_free(&b);
    return fine;
}

void child_ctl_say(struct child *c, uint32_t seq, const struct buf *text)
{
    if (!put_text(c, seq, false, ERR_OK, text))
        put_verdict(c, seq, ERR_NOMEM);
}

void child_ctl_mention(struct child *c, uint32_t seq, const struct buf *text)
{
    (void)put_text(c, seq, false, ERR_OK, text);
}

void child_ctl_done(struct child *c, uint32_t seq, enum err e)
{
    put_verdict(c, seq, e);
}

void child_ctl_refuse(struct child *c, uint32_t seq, enum err e, const char *sentence)
{
    struct buf b;
    buf_init(&b, CTL_MAX);
    buf_lit(&b, "{\"error\":");
    ctl_json_str(&b, str_of(sentence));
    buf_char(&b, '}');
    if (!put_text(c, seq, true, e, &b))
        put_verdict(c, seq, e);
    buf_free(&b);
}

void child_ctl(struct child *c, const struct ipc_item *it)
{
    if (c->started && c->hooks->ctl != NULL)
        c->hooks->ctl(c, it);
    else
        child_ctl_done(c, it->seq, ERR_UNSUPPORTED);
}
