// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#pragma once
/*
 * before: what is the same over TCP and HTTP about operations before login (protocol 1, section 2).
 */
#include "base/buf.h"
#include "codec/ipcbody.h"
#include "codec/optag.h"
#include "codec/xmsg.h"
#include "net/conn.h"

/* What is wrong before any operation has a say, in the order of protocol/errors.md. *timed: it wants its exeTime. */
enum err before_check(const struct xelem *e, enum op_id op, struct str id, bool *timed) CHECKED;

/* What a request is answered that is switched off: recoverPassword, signup. */
enum err before_disabled(const struct xelem *e, enum op_id op) CHECKED;

/* The message `features`, of auth's FEATURES_ANSWER. ERR_NOMEM: auth had no memory for one. */
enum err before_features(struct str answer, struct str id, bool starttls, struct buf *out) CHECKED;

/* IPC_LOGIN_TLS and IPC_LOGIN_TLS13, as the connection is; else IPC_LOGIN_PROXY_TLS, if the client speaks TLS with a proxy. */
uint32_t before_link_flags(const struct conn *c, bool proxy_tls);

/*
 * The attributes of <login> (protocol 1, 3.1); slices of e. Flags are added to those that stand there; the other fields are the
 * caller's. ERR_ATTR_VALUE: a boolean that is none.
 */
enum err before_login(const struct xelem *e, struct ipc_login *l) CHECKED;

/* What LOGIN_FAILED or ATTACH_FAILED says, never ERR_OK; *delay_ms: the answer waits for so long. */
enum err before_refused(const struct ipc_item *it, uint32_t *delay_ms) CHECKED;
