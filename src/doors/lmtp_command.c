// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
/* The commands of RFC 2033 and 5321; RCPT is answered from auth's directory (design 4). */
#include <stdio.h>
#include <stdlib.h>

#include "doors/lmtp_priv.h"

static void op_lhlo(struct lmtp_conn *c, struct str rest)
{
    char line[sizeof "250-" + CONF_NAME_MAX];
    if (rest.n == 0) {
        lmtp_say(c, "501 5.5.4 LHLO needs a name");
        return;
    }
    lmtp_message_forget(c);
    c->state = LMTP_IDLE;
    snprintf(line, sizeof line, "250-%.*s", STR_FMT(c->d->conf->domains[0].name));
    lmtp_say(c, line);
    lmtp_say(c, "250-PIPELINING");
    lmtp_say(c, "250-ENHANCEDSTATUSCODES");
    lmtp_say(c, "250-8BITMIME");
    lmtp_say(c, "250-SMTPUTF8");
    snprintf(line, sizeof line, "250 SIZE %zu", c->d->conf->lmtp.max_message);
    lmtp_say(c, line);
}

static const char *path_error(enum err e)
{
    return e == ERR_UNSUPPORTED ? "555 5.5.4 parameter is not known"
           : e == ERR_TOO_LONG  ? "501 5.1.3 address is too long"
                                : "501 5.5.4 syntax error in parameters";
}

static void op_mail(struct lmtp_conn *c, struct str rest)
{
    struct smtp_path p;
    if (c->state != LMTP_IDLE) {
        lmtp_say(c, c->state == LMTP_START ? "503 5.5.1 LHLO first" : "503 5.5.1 nested MAIL");
        return;
    }
    enum err e = smtp_path_parse(rest, true, &p);
    if (e != ERR_OK) {
        lmtp_say(c, path_error(e));
        return;
    }
    if (p.has_size && p.size > c->d->conf->lmtp.max_message) {
        lmtp_say(c, "552 5.3.4 message is too large");
        return;
    }
    lmtp_message_begin(c, p.address);
    c->state = LMTP_MAIL;
    lmtp_say(c, "250 2.1.0 sender ok");
}

void lmtp_rcpt_ask(struct lmtp_conn *c)
{
    struct bus_peer *auth = c->d->auth(c->d->ctx);
    if (auth !=
        NULL) /* else the next one is asked: it is being replaced, or everything is by an upgrade */
        bus_put(auth, IPC_RCPT, 0, c->rcpt_seq, buf_slice(&c->rcpt_to));
}

static void op_rcpt(struct lmtp_conn *c, struct str rest)
{
    struct lmtp_door *d = c->d;
    struct smtp_path p;
    if (c->state != LMTP_MAIL) {
        lmtp_say(c, "503 5.5.1 MAIL first");
        return;
    }
    enum err e = smtp_path_parse(rest, false, &p);
    if (e != ERR_OK) {
        lmtp_say(c, path_error(e));
        return;
    }
    if (c->nrcpt >= d->conf->lmtp.recipients) {
        lmtp_say(c, "452 4.5.3 too many recipients");
        return;
    }
    uint32_t seq = lmtp_seq(d);
    buf_clear(&c->rcpt_to);
    buf_str(&c->rcpt_to, p.address);
    if (buf_err(&c->rcpt_to) != ERR_OK || idmap_put(&d->waits, seq, c) != ERR_OK) {
        lmtp_say(c, "451 4.3.0 try again later");
        return;
    }
    c->rcpt_seq = seq;
    c->state = LMTP_WAIT;
    lmtp_restart_idle(c);
    lmtp_rcpt_ask(c);
}

static void op_data(struct lmtp_conn *c)
{
    if (c->state != LMTP_MAIL || c->nrcpt == 0) {
        lmtp_say(c,
                 c->state == LMTP_MAIL ? "503 5.5.1 no valid recipients" : "503 5.5.1 MAIL first");
        return;
    }
    smtp_data_init(&c->data);
    c->state = LMTP_DATA;
    lmtp_say(c, "354 go ahead, end with a dot on its own line");
}

static void op_rset(struct lmtp_conn *c)
{
    lmtp_message_forget(c);
    if (c->state != LMTP_START)
        c->state = LMTP_IDLE;
    lmtp_say(c, "250 2.0.0 ok");
}

void lmtp_command(struct lmtp_conn *c, struct str line)
{
    struct str rest;
    switch (smtpline_verb(line, &rest)) {
    case SMTP_LHLO:
        op_lhlo(c, rest);
        break;
    case SMTP_MAIL:
        op_mail(c, rest);
        break;
    case SMTP_RCPT:
        op_rcpt(c, rest);
        break;
    case SMTP_DATA:
        op_data(c);
        break;
    case SMTP_RSET:
        op_rset(c);
        break;
    case SMTP_NOOP:
        lmtp_say(c, "250 2.0.0 ok");
        break;
    case SMTP_QUIT:
        lmtp_finish(c, "221 2.0.0 bye");
        break;
    case SMTP_VRFY:
        lmtp_say(c, "252 2.5.0 try and see");
        break;
    case SMTP_HELO:
    case SMTP_EHLO:
        lmtp_say(c, "500 5.5.1 this is LMTP: LHLO");
        break;
    default:
        lmtp_say(c, "500 5.5.2 command not recognised");
        break;
    }
}

/* --- answers of auth */

void lmtp_rcpt_answer(struct lmtp_conn *c, const struct ipc_item *it)
{
    struct ipc_in in = {it->body, false};
    uint64_t account = ipc_get_u64(&in);
    uint32_t bank = ipc_get_u32(&in);
    (void)ipc_get_str(&in);
    c->rcpt_seq = 0;
    c->state = LMTP_MAIL;
    lmtp_restart_idle(c);
    if (it->id == ERR_OK && ipc_in_end(&in) == ERR_OK && c->nrcpt == c->room) {
        uint32_t room = c->room != 0 ? c->room * 2 : 4;
        struct lmtp_rcpt *r = realloc(c->rcpt, room * sizeof *r);
        if (r != NULL) {
            c->rcpt = r;
            c->room = room;
        }
    }
    if (it->id == ERR_UNKNOWN_USER) {
        lmtp_say(c, "550 5.1.1 unknown user account");
    } else if (it->id != ERR_OK || in.bad || c->nrcpt == c->room) {
        lmtp_say(c, "451 4.3.0 try again later");
    } else {
        c->rcpt[c->nrcpt++] = (struct lmtp_rcpt){.account = account, .bank = bank};
        lmtp_say(c, "250 2.1.5 recipient ok");
    }
    lmtp_go_on(c);
}

void lmtp_rcpt_late(struct lmtp_conn *c)
{
    idmap_remove(&c->d->waits, c->rcpt_seq);
    c->rcpt_seq = 0;
    c->state = LMTP_MAIL;
    lmtp_restart_idle(c);
    lmtp_say(c, "451 4.3.0 try again later");
    lmtp_go_on(c);
}
