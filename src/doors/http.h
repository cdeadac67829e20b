// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#pragma once
/*
 * http: the door of XIMSS over HTTP/1.1, clear or TLS (protocol 1, section 4). It lives in a worker and knows no store, no password
 * and no file: a login is put to auth, a request for a session to the keeper that the session's id names; any worker can serve
 * any session.
 *
 *   HEAD -- complete --> BODY -- complete --> WAIT (auth or a keeper works) --> SEND (the reply goes out) --> HEAD
 *     `-- first byte `<': the connection is handed to the door of XIMSS over TCP (4.12)
 *
 * One request of a connection is served at a time, in order; what the client sends meanwhile waits, READ_AHEAD bytes of it.
 * Replies always have a Content-Length and are never chunked; they leave as fast as the client takes them, a window of
 * IPC_HTTP_WINDOW bytes at a time.
 *
 * A connection that waits, in a poll for instance, costs its struct, one for its request and nothing else here.
 */
#include "base/idmap.h"
#include "codec/addrlist.h"
#include "codec/http1out.h"
#include "codec/ipcbody.h"
#include "codec/xmsg.h"
#include "conf/conf.h"
#include "doors/tcp.h"
#include "net/bus.h"
#include "net/conn.h"
#include "net/listen.h"
#include "shm/shm_writer.h"

/* What the worker gives the door. */
struct http_host {
    void *ctx;
    struct bus_peer *(*auth)(void *ctx);                  /* NULL: not there now */
    struct bus_peer *(*keeper)(void *ctx, uint32_t bank); /* of that bank; as above */
    uint32_t (*keeper_number)(void *ctx, uint32_t bank);
    void (*closed)(void *ctx, uint32_t id, uint32_t place); /* leave the gate */
    /* It speaks XIMSS: the limits of XIMSS connections hold from now on. false: there is no room, the place is given up. */
    bool (*pass)(void *ctx, const struct listen_addr *peer, uint32_t *id, uint32_t *place);
    bool (*blocked)(void *ctx, const uint8_t addr[16]); /* for its failed logins */
};

struct http_door {
    struct http_host host;
    struct loop *loop;
    struct conn_net *net;
    const struct conf *conf;
    struct shm_writer *shm;
    struct tls_context *tls; /* NULL: no certificate */
    struct tcp_door *tcp;    /* for connections that speak XIMSS */
    struct addrlist proxies; /* are believed */
    struct xmsg_parser *parser;
    struct arena arena; /* of the request that is looked at now */
    struct buf scratch; /* of the head, or the packet, that is written now */
    struct http1out_date date;
    struct idmap conns; /* id -> struct http_conn */
    size_t input_bytes; /* of bodies that are not complete (limits.input_memory) */
    uint32_t next_attempt;
    bool no_logins; /* the server is about to go */
    bool stopping;
};

/* The fields host, loop, net, conf, shm, tls, tcp are the caller's; the rest is made here. */
enum err http_door_init(struct http_door *d) CHECKED;
/* A connection that the gate let in; takes over fd. */
void http_door_accept(struct http_door *d, int fd, const struct listen_addr *peer, uint32_t id,
                      uint32_t place, const struct conf_listener *l);
/* Packets of auth and keepers; false: they are for none of our connections. */
bool http_door_item(struct http_door *d, struct bus_peer *from, const struct ipc_item *it);
/* A new auth: logins that the old one did not answer are put to it once. */
void http_door_auth_up(struct http_door *d);
/* There is a keeper again: requests that waited for it go out. */
void http_door_keeper_up(struct http_door *d, uint32_t keeper);
/* What it had not answered is answered 550: its sessions are gone. */
void http_door_keeper_gone(struct http_door *d, uint32_t keeper);
void http_door_reload(struct http_door *d, const struct conf *conf);
/* Connections end as soon as they have their answer; those that wait for nothing end at once. */
void http_door_stop(struct http_door *d);
/* All others too; polls with <bye/>, when nobody takes this server's place. */
void http_door_end(struct http_door *d);
