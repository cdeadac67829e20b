// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#pragma once
/*
 * before: what is the same over TCP and HTTP about operations before login (protocol 1, section 2).
 */
#include "base/buf.h"
#include "codec/optag.h"
#include "codec/xmsg.h"

/* What is wrong before any operation has a say, in the order of protocol/errors.md. *timed: it wants its exeTime. */
enum err before_check(const struct xelem *e, enum op_id op, struct str id, bool *timed) CHECKED;

/* What a request is answered that is switched off: recoverPassword, signup. */
enum err before_disabled(const struct xelem *e, enum op_id op) CHECKED;

/* The message `features`, of auth's FEATURES_ANSWER. ERR_NOMEM: auth had no memory for one. */
enum err before_features(struct str answer, struct str id, bool starttls, struct buf *out) CHECKED;
