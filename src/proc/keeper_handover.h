// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#pragma once
/*
 * keeper_handover: at an upgrade a keeper leaves everything to its successor (design 2.5; the master's side is proc/handover.h).
 *
 *   keeper_handover.c     the old keeper comes to its end, and gives
 *   keeper_hand_file.c    what it gives: a memfd with its sessions (ximss/snapfile.h)
 *   keeper_take_over.c    the new keeper takes it
 *   keeper_http_saved.c   sessions over HTTP, on both sides
 *
 * The old one begins no further request. What runs comes to its end in ordinary rounds, while workers are still heard:
 * from them comes the credit, and what else comes waits in the sessions' queues. An answer whose client does not read is made
 * ahead and goes along as bytes. Once nothing runs of which more than output is left, and all that was said is with the kernel,
 * it writes the sessions into a memfd, closes its banks, and gives the master that memfd, its file with uploads, and its ends of the
 * sockets to workers and auth. What they send meanwhile waits in these sockets: they notice nothing, and nothing can be lost, doubled
 * or out of order. An upload that is coming in goes on in the successor, which has a record of what has come.
 *
 * Who is not ready in time ends: a request that still waits for auth is answered as if auth were gone; a session whose
 * request has more to do gets <bye/>; the sessions of a worker who does not read go with it. Mail that has no digest yet
 * goes along and is parsed anew; of other mail what was begun is stored and answered.
 *
 * When the memfd cannot be made, the sessions end as they do when a keeper dies. When the file with uploads is not what the records say,
 * or does not come, sets are lost, and the log says so; uploads that come in are answered 503; the sessions live.
 */
#include "proc/keeper.h"
#include "ximss/snapshot.h"

/* What a session's record has beside ximss/snapshot.h's own parts. */
#define KEEPER_PARTS 2
extern const struct snapshot_part keeper_parts[KEEPER_PARTS];

/* The memfd, sealed, with everything that is to go over; -1: it cannot be made. Nothing is changed by it. */
int keeper_hand_file(struct keeper *k, uint32_t *sessions);
