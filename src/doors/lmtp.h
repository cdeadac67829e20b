// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#pragma once
/*
 * lmtp: the door through which mail comes in (RFC 2033; design 4 "LMTP"). It lives in a worker. A recipient is looked up
 * by auth at RCPT; after the final dot one `deliver` packet goes to the keeper of each bank, and each recipient gets his
 * answer, in RCPT order, when the keepers have committed. The door can append and nothing else (design 2.3).
 */
#include "base/idmap.h"
#include "codec/addrlist.h"
#include "conf/conf.h"
#include "net/bus.h"
#include "net/conn.h"
#include "net/listen.h"

struct lmtp_conn;

struct lmtp_door {
    /* set by the worker */
    void *ctx;
    struct bus_peer *(*auth)(void *ctx);                    /* NULL: not there now */
    struct bus_peer *(*keeper)(void *ctx, uint32_t number); /* as above */
    struct loop *loop;
    struct conn_net *net;
    const struct conf *conf;
    struct tls_context *tls; /* NULL: no certificate */
    uint32_t keepers;        /* how many there are: which one keeps a bank */
    /* the door's own */
    struct lmtp_conn *first;
    uint32_t count;
    uint32_t next_seq;
    uint32_t next_id;   /* of a connection, in the log */
    struct idmap waits; /* seq of a question -> struct lmtp_conn */
    struct addrlist allow;
    size_t bytes; /* of message bodies that are being received or delivered (lmtp.memory) */
    bool stopping;
};

enum err lmtp_door_init(struct lmtp_door *d) CHECKED;
/* Takes over fd. */
void lmtp_door_accept(struct lmtp_door *d, int fd, const struct listen_addr *peer,
                      const struct conf_listener *l);
/* RCPT_ANSWER, DELIVERED. */
void lmtp_door_item(struct lmtp_door *d, struct bus_peer *from, const struct ipc_item *it);
/* What a keeper has not answered gets a temporary failure (451): the client tries again. */
void lmtp_door_peer_gone(struct lmtp_door *d, enum ipc_role role, uint32_t number);
/* A new auth: what the one before did not answer is put to it. */
void lmtp_door_auth_up(struct lmtp_door *d);
/* 421 to everybody who is not in the middle of a delivery. */
void lmtp_door_stop(struct lmtp_door *d);
uint32_t lmtp_door_count(const struct lmtp_door *d);
