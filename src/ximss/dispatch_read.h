// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#pragma once
/*
 * dispatch_read: the dispatcher's source of requests, for dispatch.c: messages over TCP, elements of a batch over HTTP.
 */
#include "ximss/req.h"

/* Takes the next message into a request of its own, s->req. false: there is none, or no memory for one now. */
bool dispatch_read_next(struct session *s);

/* It is answered with that, and no handler called any more. */
static inline void dispatch_decide(struct req *r, enum err e)
{
    r->decided = true;
    r->result = e;
}
