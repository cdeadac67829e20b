// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#pragma once
/*
 * ipcbody: the bodies of packets that have more than two or three fields, once for both ends (design 2.2, 2.3).
 *
 * Strings point into the body that was read. A `put` appends to a buffer; a `get` is ERR_PACKET when a field is
 * missing, too long or left over.
 */
#include "codec/ipcmsg.h"

/* LOGIN: the attributes of <login>, worker to auth. An absent one has .p == NULL, and still has it after the way. */
enum {
    IPC_LOGIN_TLS = 1,
    IPC_LOGIN_KILL_OLD = 2,
    IPC_LOGIN_CAN_UPDATE = 4,
    IPC_LOGIN_TLS13 = 8,
    IPC_LOGIN_HTTP = 16,   /* a session over HTTP is wanted, */
    IPC_LOGIN_ANY_IP = 32, /* that may be used from any address, */
    IPC_LOGIN_COOKIE = 64, /* that belongs to a cookie */
    IPC_LOGIN_PROXY_TLS =
        128, /* a proxy that is believed has ended the client's TLS: as good as ours, for what may be said */
};

struct ipc_login {
    uint32_t flags;
    uint32_t failures; /* failed logins on this connection so far */
    uint32_t place;    /* of the connection in the gate */
    uint8_t addr[16];
    struct str domain; /* target domain */
    struct str
        request_id;       /* the login's XML id, echoed by the keeper; absent: it had none (HTTP) */
    struct str method;    /* SASL name */
    struct str auth_data; /* as sent: name, initial response or digest */
    struct str user_name;
    struct str password;
    struct str nonce;
    struct str session_id;
};

void ipc_login_put(struct buf *b, const struct ipc_login *l);
enum err ipc_login_get(struct str body, struct ipc_login *l) CHECKED;

/* DETACH: why a connection ended, for the log (protocol 1, section 8). */
enum ipc_why {
#define WHY(name, text) IPC_WHY_##name,
#include "codec/ipc_why.tbl"
#undef WHY
    IPC_WHY_COUNT
};

/* "idle"; of a number that is none: "closed". */
const char *ipc_why_text(uint32_t why);

/* ATTACH: who this is, auth to keeper. The only packet that names the account of a session. */
enum {
    IPC_ATTACH_TLS = 1,
    IPC_ATTACH_MUST_CHANGE = 2, /* the password has expired */
    IPC_ATTACH_TLS13 = 4,
    IPC_ATTACH_HTTP = 8, /* its number is the keeper's to choose */
    IPC_ATTACH_ANY_IP = 16,
    IPC_ATTACH_COOKIE = 32,
};

struct ipc_attach {
    uint64_t account;
    uint32_t bank;
    uint32_t worker; /* number */
    uint32_t worker_generation;
    uint32_t flags;
    uint8_t addr[16];
    struct str request_id; /* may be absent */
    struct str name;       /* canonical */
    struct str real_name;
    struct str old_session; /* urlID to kill, or "" */
};

void ipc_attach_put(struct buf *b, const struct ipc_attach *a);
enum err ipc_attach_get(struct str body, struct ipc_attach *a) CHECKED;

/* HTTP: a request for a session, worker to keeper (protocol 1, 4.5-4.9). */
enum ipc_http_kind {
    IPC_HTTP_SYNC,
    IPC_HTTP_ASYNC,
    IPC_HTTP_POLL,
    IPC_HTTP_KILL,
    IPC_HTTP_MIME,   /* protocol 2, 9.1 */
    IPC_HTTP_FORMAT, /* 9.3 */
    IPC_HTTP_UPLOAD, /* 9.2; `folder` is the uploadID, files follow */
    IPC_HTTP_KINDS
};

enum {
    IPC_HTTP_SEQ = 1,     /* there is a reqSeq (a poll: ackSeq), */
    IPC_HTTP_BAD_SEQ = 2, /* that is no number */
    IPC_HTTP_SYNC_ASYNC = 4,
    IPC_HTTP_HEAD = 8, /* nobody wants the body */
};

struct ipc_http {
    uint32_t kind;
    uint32_t flags;
    uint32_t max_wait; /* of a poll, ms */
    uint64_t seq;
    uint8_t addr[16]; /* of the client */
    struct str url_id;
    struct str cookie; /* may be absent */
    /* of MIME, FORMAT and UPLOAD only */
    struct str folder;
    uint32_t ref, uid; /* enum parturl_kind */
    struct str part, name;
    struct str range; /* may be absent */
    struct str body;
};

void ipc_http_put(struct buf *b, const struct ipc_http *h);
enum err ipc_http_get(struct str body, struct ipc_http *h) CHECKED;

/*
 * HTTP_REPLY: the head of an answer, and the first bytes of its body; the others follow as HTTP_BODY, as far as a window of
 * IPC_HTTP_WINDOW bytes goes, which HTTP_CREDIT renews.
 */
#define IPC_HTTP_WINDOW 131072
/* Of an upload the worker reads no more from its client while the keeper has so much to take. */
#define IPC_UPLOAD_WINDOW 131072

struct ipc_http_reply {
    uint32_t status;
    uint64_t length;   /* of the whole body */
    struct str type;   /* Content-Type, or "" */
    struct str cookie; /* to be set, or "" */
    struct str fields; /* more of the head: "Name: value", each ended by CR LF */
    struct str body;   /* begins with this */
};

void ipc_http_reply_put(struct buf *b, const struct ipc_http_reply *r);
enum err ipc_http_reply_get(struct str body, struct ipc_http_reply *r) CHECKED;
