// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#pragma once
/*
 * http_priv: what the files of the HTTP door share.
 *
 *   http.c          connections: requests one after another, times, the hand-over to XIMSS
 *   http_input.c    bytes in: the PROXY line, the parser, what has to wait
 *   http_door.c     all of them together: packets, reload, the end
 *   http_request.c  a request's head and body: which URL is it, may it have that body, to whom does it go
 *   http_reply.c    replies
 *   http_login.c    /XIMSSLogin/: logins (4.3)
 *   http_upload.c   /Session/ID/UPLOAD/: files (protocol 2, 9.2)
 *   http_before.c   /XIMSSLogin/: operations before login (4.4)
 */
#include "base/log.h"
#include "codec/http1.h"
#include "codec/urlform.h"
#include "codec/urlid.h"
#include "codec/urlpath.h"
#include "doors/http.h"

#define HTTP_COOKIE     "CGateProWebUser" /* clients look for the name (protocol 1, 4.10) */
#define HTTP_READ_AHEAD 65536 /* bytes that a client may send while his request is served */

enum http_state {
    HTTP_HEAD, /* between requests, or inside a head */
    HTTP_BODY,
    HTTP_WAIT, /* somebody else works */
    HTTP_SEND, /* the head of the reply is out, its body not all of it */
    HTTP_END,  /* nothing more is read */
};

/* What a URL is about. */
enum http_what {
    HTTP_NOWHERE,
    HTTP_LOGIN,
    HTTP_SYNC,
    HTTP_ASYNC,
    HTTP_POLL,
    HTTP_KILL,
    HTTP_MIME,   /* protocol 2, 9.1 */
    HTTP_FORMAT, /* 9.3 */
    HTTP_UPLOAD, /* 9.2 */
};

struct http_before;
struct http_upload;

/* A request that is served; made when its head is complete. */
struct http_req {
    enum http_what what;
    char url_id[URLID_LEN + 1];       /* secret */
    struct str path, query;           /* in `head` */
    struct buf head;                  /* copies of what is needed beyond the head; secret */
    struct buf body;                  /* secret */
    struct ip client;                 /* who it comes from, through proxies that are believed */
    const struct conf_domain *domain; /* target domain */
    uint32_t bank;
    uint64_t ack; /* of a poll: its ackSeq */
    int refused;  /* the status, once the request is complete; 0 */
    bool is_head, is_options, keep_alive, waits;
    bool proxy_tls;             /* the client speaks TLS with a proxy that is believed */
    bool cors;                  /* any origin */
    struct str origin;          /* the one that is allowed; in `head` */
    struct str cookie, basic;   /* as sent; in `head`; .p == NULL: none */
    struct str range;           /* the same; of GET only */
    struct http_upload *upload; /* it comes in */
    /* a login (http_login.c) */
    uint32_t attempt;
    bool as_xml, was_basic, resent;
    struct buf login;           /* the LOGIN item until it is answered, for a new auth; secret */
    struct http_before *before; /* operations before login */
    enum err verdict;           /* waits for its delay to pass */
    uint64_t left;              /* bytes of the reply's body that the keeper has yet to send */
    bool asked;                 /* the keeper has it */
};

struct http_conn {
    struct conn conn;   /* first: the memory may become a struct tcp_conn (http_pass()) */
    struct timer timer; /* of the phase */
    struct http_door *door;
    struct http1 *parser; /* NULL: between requests, or one is served */
    struct http_req *req; /* NULL: no head is complete */
    struct buf *held;     /* input that waits; NULL: none */
    struct listen_addr peer;
    uint32_t id, place;
    uint32_t seq;    /* of the request, for packets */
    uint32_t unsaid; /* bytes passed to the kernel, keeper not told yet */
    uint64_t in, out;
    const struct conf_domain *domain; /* that the handshake named, or the main one */
    uint8_t state;                    /* enum http_state */
    bool paused, eof;
    bool first;     /* no byte has come yet */
    bool proxied;   /* a PROXY line has to come first */
    bool proxy_tls; /* it says that the client speaks TLS */
};

/* HTTPU records (protocol 1, section 8): 1 failures, 2 connections, 3 bad requests, 4 requests and replies, 5 bytes. */
#define http_log(c, level, ...)                                                              \
    do {                                                                                     \
        char http_log_peer_[LISTEN_TEXT];                                                    \
        if (log_enabled(level))                                                              \
            log_write(level, "HTTPU", (c)->id, listen_addr_text(&(c)->peer, http_log_peer_), \
                      __VA_ARGS__);                                                          \
    } while (0)

/* Bodies as they may be shown (doors/tcp_log.h), "inp" or "out", at level 4. */
void http_log_body_now(const struct http_conn *c, const char *what, struct str body);
static inline void http_log_body(const struct http_conn *c, const char *what, struct str body)
{
    if (__builtin_expect(log_enabled(LOG_LOW), 0))
        http_log_body_now(c, what, body);
}

/* --- http.c */
/* The request is served: on with the next one, or the end. */
void http_done(struct http_conn *c);
void http_end(struct http_conn *c);
/* Nothing of the request is read any more; somebody else works. */
void http_wait(struct http_conn *c);
void http_set_timer(struct http_conn *c, int64_t delay);
void http_req_free(struct http_req **r);
/* What is counted as its input becomes so much. */
void http_count_input(struct http_conn *c, size_t was, size_t is);
/* It speaks XIMSS: the connection becomes the other door's, with the bytes that have come. */
void http_pass(struct http_conn *c, struct str fresh);

/* --- http_input.c */
void http_data(struct conn *conn, struct str fresh);
/* Does it take bytes now? */
bool http_reads(const struct http_conn *c);
void http_drop_held(struct http_conn *c);

/* A part or a page of a message: it is read only, and what comes out of mail is nobody's page of ours. */
static inline bool http_is_of_mail(enum http_what what)
{
    return what == HTTP_MIME || what == HTTP_FORMAT;
}

/* --- http_request.c */
/* The head is complete. false: it has been answered. */
bool http_head(struct http_conn *c);
/* A piece of the body. false: it has been answered. */
bool http_body(struct http_conn *c, struct str piece);
/* The request is complete. */
void http_request(struct http_conn *c);
/* Puts a session's request to its keeper. */
void http_ask_keeper(struct http_conn *c);

/* --- http_reply.c */
/* A whole reply. type "": the text of the status as text/plain, or no body for 200 and 204. */
void http_reply(struct http_conn *c, int status, struct str type, struct str body);
/* Before a request could be read: the connection ends with it. */
void http_refuse(struct http_conn *c, int status, const char *why);
/* Of a login's failure, as protocol 1, 4.3 wants it. */
void http_reply_login_failed(struct http_conn *c, enum err e);
void http_reply_begin(struct http_conn *c, const struct ipc_http_reply *r);
void http_reply_more(struct http_conn *c, struct str piece);

/* --- http_upload.c */
/* The head of one is complete. The status of a refusal, or 0. */
int http_upload_begin(struct http_conn *c, const struct http1_request *q,
                      const struct urlpath *path);
/* A piece of the body. false: it has been answered. */
bool http_upload_piece(struct http_conn *c, struct str piece);
/* All of it. */
void http_upload_end(struct http_conn *c);
/* The keeper has taken some. */
void http_upload_more(struct http_conn *c, struct str body);
uint64_t http_upload_cap(const struct http_conn *c);
void http_upload_free(struct http_upload **u);

/* --- http_login.c */
void http_login(struct http_conn *c);
void http_login_item(struct http_conn *c, const struct ipc_item *it);
void http_login_again(struct http_conn *c);
/* The keeper before may have taken the login with it; auth knows those that it has in work. */
void http_login_keeper_up(struct http_conn *c);
/* The time for the answer, or the delay of it, is over. */
void http_login_timer(struct http_conn *c);
/* The client is gone. */
void http_login_drop(struct http_conn *c);
/* Sends the LOGIN or FEATURES that stands in req->login. */
void http_ask_auth(struct http_conn *c, enum ipc_type type);
/* Fills in what is the same for all logins, and sends it. */
void http_send_login(struct http_conn *c, struct ipc_login *out);
uint32_t http_link_flags(const struct http_conn *c);

/* --- http_before.c */
void http_before(struct http_conn *c);
void http_before_item(struct http_conn *c, const struct ipc_item *it);
void http_before_failed(struct http_conn *c, enum err e);
/* The target domain that its requests have named last. */
struct str http_before_domain(const struct http_before *b);
void http_before_reload(struct http_before *b, const struct conf *conf);
bool http_before_asks_features(const struct http_before *b);
void http_before_free(struct http_before **b);
