// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#pragma once
/*
 * logs: the master's charge of the log (protocol 1, section 8; design 7): where records go, and levels that hold for some
 * of them for a time.
 *
 * Targets (`[server] log`)
 *   stderr        as the server was started
 *   file:/path    opened here; once more on SIGUSR1, and within a second after another file stands at that path, or none
 *                 (logrotate). Every process is given the new one
 *   journal[:/p]  a datagram socket, connected here to systemd's journal (or to /p); once more when another socket stands
 *                 there. While there is none, records go to standard error, and one of them says so
 *
 * Levels: at most LOG_RULES_MAX rules, kept here, given to every process at its start and when they change; each process
 * ends them by its own clock (proc/child_log.h). Records of level 2 say what begins and what ends.
 */
#include "codec/ctlmsg.h"
#include "conf/conf.h"

struct logs;
struct master;
struct master_child;

/* Opens what the configuration names; standard error does not block from now on. */
enum err logs_new(struct logs **l, const struct conf *c) CHECKED;
void logs_free(struct logs **l);

/* Over an upgrade: the descriptor that has to stay open (-1: none), and everything as bytes. ERR_NOMEM: b is of no use. */
int logs_fd(const struct logs *l);
enum err logs_save(const struct logs *l, struct buf *b) CHECKED;
enum err logs_resume(struct logs **l, const struct conf *c, struct ipc_in *in) CHECKED;

/* What a child needs: the first thing after its configuration. */
void logs_give(struct logs *l, struct master_child *c);
/* Once a second or more often: what is over, and whether another file stands there now. */
void logs_tick(struct logs *l, struct master *m, int64_t now);
/* SIGUSR1. */
void logs_reopen(struct logs *l, struct master *m);

/* The verbs, for proc/ctl_master.c. */
enum err logs_ctl_show(struct master *m, uint32_t seq, struct str body) CHECKED;
enum err logs_ctl_set(struct master *m, uint32_t seq, struct str body) CHECKED;
enum err logs_ctl_reset(struct master *m, uint32_t seq, struct str body) CHECKED;
