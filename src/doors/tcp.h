// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#pragma once
/*
 * tcp: the door of XIMSS over TCP, clear or TLS (protocol 1, sections 1-3, 5). It lives in a worker and knows no store, no
 * password and no file: messages before login are answered here or put to auth, later ones go to the session's keeper as they are.
 *
 *   PRE -- login, listFeatures --> WAIT (auth works) --> PRE (failed) or SESSION
 *                                   |  ^
 *                                   v  | auth
 *                                  STEP (a challenge is out)
 *
 * While the state is WAIT, input stays unread: what was pipelined behind a login waits within the cap of messages before
 * login. In SESSION input is read while fewer than `limits.requests` requests and `limits.request_bytes` are unanswered.
 * Nobody is read who does not read what he was sent (protocol 1, 1.5).
 *
 * An idle session costs sizeof(struct tcp_conn) and nothing else here (design 9.9): input, flight and login exist
 * while there is something in them.
 */
#include "base/idmap.h"
#include "codec/addrlist.h"
#include "codec/frame.h"
#include "codec/ipcbody.h"
#include "codec/optag.h"
#include "codec/xmsg.h"
#include "conf/conf.h"
#include "net/bus.h"
#include "net/conn.h"
#include "net/listen.h"
#include "shm/shm_writer.h"

struct tcp_door;

enum tcp_state {
    TCP_PRE,     /* before login */
    TCP_WAIT,    /* auth has been asked, or an answer is delayed */
    TCP_STEP,    /* a challenge is out */
    TCP_SESSION, /* logged in */
    TCP_CLOSING, /* nothing more is read */
};

/* Bytes of a message that is not complete, or that must wait. */
struct tcp_input {
    struct frame frame;
    struct buf held;
};

/* Requests that are with the keeper. */
struct tcp_flight {
    uint32_t first, count, room;
    size_t bytes;
    struct {
        uint32_t bytes;
        uint16_t op;
    } request[];
};

/* What a connection needs before login only. */
struct tcp_login {
    struct tcp_conn *owner;
    struct listen_addr peer;
    const struct conf_domain *domain; /* target domain (protocol 1, 2.1) */
    bool named;                       /* by the client; the name in a handshake says no more then */
    uint32_t attempt;                 /* number of the LOGIN that is out */
    int64_t asked_at;                 /* loop_now() of its first message */
    int64_t since; /* clock_mono() of a request that asked for its exeTime, or 0 */
    uint32_t failures;
    uint32_t errors;  /* protocol errors */
    enum op_id asked; /* what is out: OP_LOGIN, OP_LIST_FEATURES; OP_NONE: nothing */
    struct str id;    /* of that request; points into `texts` */
    struct buf texts;
    struct buf body; /* the LOGIN item until it is answered, for a new auth (design 2.3); secret */
    bool resent, stepped;
    enum err verdict;   /* waits for the delay to pass */
    struct timer timer; /* that delay, or the time limit of an answer */
};

struct tcp_conn {
    struct conn conn;
    struct timer idle;
    struct tcp_door *door;
    struct tcp_input *input;
    struct tcp_flight *flight;
    struct tcp_login *login; /* NULL in a session */
    uint32_t id;             /* of connection and session (protocol 1, 9.1) */
    uint32_t place;          /* the gate's entry */
    uint32_t row;            /* in the shared table */
    uint32_t sent;           /* passed to the kernel, keeper not told yet */
    uint32_t attempt;        /* of the login that made the session */
    uint32_t answered; /* requests of the session that were answered here, keeper not told yet */
    uint64_t in, out;  /* bytes */
    char *account;     /* after login, for the log; NULL: no memory for it */
    uint16_t keeper;   /* number */
    uint8_t state;     /* enum tcp_state */
    uint8_t tls_mode;  /* enum conf_tls of the listener */
    bool eof;          /* the client sends no more */
    bool proxy_tls;    /* he speaks TLS with a proxy that is believed */
    bool mid_message;  /* the last bytes written do not end a message */
    bool paused;
    bool over;   /* the keeper has ended the session: it need not be told */
    uint8_t why; /* enum ipc_why */
};
_Static_assert(sizeof(struct tcp_conn) <= 448,
               "an idle connection has 448 bytes in its worker (design 9.9)");

/* What the worker gives the door. */
struct tcp_host {
    void *ctx;
    struct bus_peer *(*auth)(void *ctx);                    /* NULL: not there now */
    struct bus_peer *(*keeper)(void *ctx, uint32_t number); /* as above */
    void (*closed)(void *ctx, uint32_t id, uint32_t place); /* leave the gate */
    /* A login came to nothing, which auth may have taken for a session (proc/gate.h). */
    void (*no_session)(void *ctx, uint32_t id, uint32_t place);
};

struct tcp_door {
    struct tcp_host host;
    struct loop *loop;
    struct conn_net *net;
    const struct conf *conf;
    struct shm_writer *shm;
    struct tls_context *tls; /* NULL: no certificate */
    struct frame_limits xml; /* what messages may hold */
    struct xmsg_parser *parser;
    struct arena arena;  /* of the message before login that is looked at now */
    struct buf scratch;  /* of the answer that is written now */
    struct buf illegal;  /* of the message that is refused now */
    struct idmap conns;  /* id -> struct tcp_conn */
    size_t input_bytes;  /* of all incomplete messages together (limits.input_memory) */
    size_t input_before; /* of those before login */
    uint32_t next_attempt;
    bool no_logins; /* the server is about to go (530) */
    bool stopping;
};

/* The fields host, loop, net, conf, shm, tls, xml are the caller's; the rest is made here. */
enum err tcp_door_init(struct tcp_door *d) CHECKED;

/* A connection that the gate let in; takes over fd. */
void tcp_door_accept(struct tcp_door *d, int fd, const struct listen_addr *peer, uint32_t id,
                     uint32_t place, const struct conf_listener *l);

/*
 * A connection that came to a listener for http and began with `<` (protocol 1, 4.12): *c is its memory, of which only c->conn is
 * filled and open; what else was in it is gone. fresh: what it has said. eof: and will say. proxy_tls: a PROXY line says that
 * the client speaks TLS.
 */
void tcp_door_adopt(struct tcp_door *d, struct tcp_conn *c, const struct listen_addr *peer,
                    uint32_t id, uint32_t place, struct str fresh, bool eof, bool proxy_tls);

/* Packets of auth and keepers for connections of this door. */
void tcp_door_item(struct tcp_door *d, struct bus_peer *from, const struct ipc_item *it);
/* A new auth: logins that the old one did not answer are put to it once. */
void tcp_door_auth_up(struct tcp_door *d);
/* A new keeper: a login that the old one took with it is put to auth again; it knows those that it has in work. */
void tcp_door_keeper_up(struct tcp_door *d);
/* Its sessions end, with <bye/>, spread over two seconds (design 2.5). */
void tcp_door_keeper_gone(struct tcp_door *d, uint32_t keeper);
/* A reload: `conf` takes the place of the one before, to which nothing points any more; d->xml was set before. */
void tcp_door_reload(struct tcp_door *d, const struct conf *conf);
/*
 * An administrator ends it: <bye/>, or just the end where none may stand; who does not take what he was sent is cut off
 * after some seconds, or when he is kicked once more. false: no connection of this door has that number.
 */
bool tcp_door_kick(struct tcp_door *d, uint32_t id);
/* <bye/> to everybody. */
void tcp_door_stop(struct tcp_door *d);

/* --- between the files of this door */
/* tcp.c. Output, and the end. */
void tcp_write(struct tcp_conn *c, struct str bytes);
/* What stands in the door's scratch. When there was no memory for all of it, the connection ends: no client could go on. */
void tcp_write_scratch(struct tcp_conn *c);
void tcp_respond(struct tcp_conn *c, struct str id, enum err e);
/* In the door's scratch; tcp_write_scratch() sends it. */
void tcp_make_response(struct tcp_conn *c, struct str id, enum err e);
/* <bye/> (not inside a message) and the end. */
void tcp_bye(struct tcp_conn *c, enum ipc_why why);
/* Input again, beginning with what was kept. */
void tcp_go_on(struct tcp_conn *c);
void tcp_log(const struct tcp_conn *c, int level, const char *text);
/* The address before login, the account afterwards. */
const char *tcp_who(const struct tcp_conn *c, char to[LISTEN_TEXT]);
/* The orderly end, without a word. */
void tcp_end(struct tcp_conn *c);
/* Half-close: once what was received is finished and answered (protocol 1, 1.1). */
void tcp_end_if_done(struct tcp_conn *c);
void tcp_pause(struct tcp_conn *c);
void tcp_restart_idle(struct tcp_conn *c);
/* tcp_input.c: the connection's on_data. */
void tcp_input(struct conn *conn, struct str fresh);
void tcp_input_drop(struct tcp_conn *c);
/* Before its login goes: what is held for it is no longer of the share before login. */
void tcp_input_logged_in(struct tcp_conn *c);
bool tcp_flight_full(const struct tcp_conn *c);
/* So many of the oldest requests are answered. */
void tcp_flight_answered(struct tcp_conn *c, uint32_t responses);
/* Input stays where it is until something is answered or read. */
bool tcp_must_wait(const struct tcp_conn *c);
/* tcp_before.c. A message before login; `behind`: what has come behind it. false: that stays where it is (state WAIT,
 * a handshake, or closing). */
bool tcp_before_message(struct tcp_conn *c, struct str msg, bool legal, struct str behind);
void tcp_target_domain(struct tcp_conn *c, const struct xelem *e);
bool tcp_can_starttls(const struct tcp_conn *c);
/* tcp_login.c. Requests that auth answers: <login>, <auth> to the login's challenge, <listFeatures>. */
void tcp_login_begin(struct tcp_conn *c, const struct xelem *e, struct str id);
void tcp_login_answer(struct tcp_conn *c, const struct xelem *e);
void tcp_login_features(struct tcp_conn *c, const struct xelem *e, struct str id);
/* Another request came where an <auth> was due (protocol 1, 3.2): the login is answered. */
void tcp_login_cancel(struct tcp_conn *c);
void tcp_login_item(struct tcp_conn *c, const struct ipc_item *it);
void tcp_login_auth_up(struct tcp_conn *c);
void tcp_login_keeper_up(struct tcp_conn *c);
struct tcp_login *tcp_login_new(struct tcp_conn *c, const struct listen_addr *peer);
void tcp_login_free(struct tcp_login **l);
