// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#pragma once
/*
 * address: where a listener listens, and what a domain's name looks like.
 */
#include "conf/conf.h"

#define ADDRESS_PATH_MAX 107 /* bytes of a Unix socket's name, unix(7) */

/*
 * "*:11024", "192.0.2.7:11024", "[2001:db8::7]:11024", "unix:/path", "unix:{run_dir}/name"; port 0 gives CONF_OFF.
 * ERR_SYNTAX: *why says what is wrong. ERR_NOMEM.
 */
enum err address_parse(struct str text, struct str run_dir, struct arena *a,
                       struct conf_address *out, struct str *why) CHECKED;

/* Two listeners cannot have both: the same socket name, or the same port at the same or all hosts. */
bool address_clash(const struct conf_address *x, const struct conf_address *y);

/* Labels of 1-63 letters, digits, inner hyphens or non-ASCII bytes, separated by single dots; CONF_NAME_MAX bytes. */
bool address_is_domain(struct str s);
