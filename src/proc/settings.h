// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#pragma once
/*
 * settings: from the checked configuration to what other rooms take as options; once, for all roles.
 */
#include <sys/types.h>

#include "auth/faillog.h"
#include "auth/verifier.h"
#include "codec/frame.h"
#include "conf/conf.h"
#include "proc/gate.h"

struct faillog_options settings_faillog(const struct conf *c);
struct verifier_options settings_verifier(const struct conf *c);
struct gate_limits settings_gate(const struct conf *c);
struct gate_limits settings_gate_http(const struct conf *c);
struct frame_limits settings_frame(const struct conf *c);

/* How many keepers serve so many banks. Only the master asks: all must agree, and the number of cores may change. */
uint32_t settings_keepers(const struct conf *c, uint32_t banks);

/* Does this listener have a socket? Not with port 0, nor one for XIMSS when `channels` is 0. */
bool settings_listener_on(const struct conf *c, const struct conf_listener *l);
bool settings_same_address(const struct conf_address *a, const struct conf_address *b);
/* The place of the open listener at that address, or c->nlisteners. */
size_t settings_listener_find(const struct conf *c, const struct conf_address *at);

/*
 * Binds one socket of a listener. spread: one of several on its address (SO_REUSEPORT). Failures are logged with the
 * listener's name.
 */
enum err settings_bind(const struct conf *c, const struct conf_listener *l, bool spread,
                       int *fd) CHECKED;

/* The folder and the missing ones above it (those with mode 0755). The log says why when it cannot be made. */
enum err settings_make_dir(const char *path, mode_t mode) CHECKED;
