// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#pragma once
/*
 * urlid: the session id that clients see (protocol 1, 3.7; design 2.3).
 *
 * Six digits (the session's number), one hyphen, 20 letters or digits: 2 for the bank, 18 random
 * (107 bits). A secret: in a log only the number may stand.
 */
#include "base/str.h"

#define URLID_LEN      27
#define URLID_BANK_MAX 3843 /* 62 * 62 - 1 */

/* session 100001...999999, bank 0...URLID_BANK_MAX; `to` is zero-terminated. */
void urlid_make(char to[URLID_LEN + 1], uint32_t session, uint32_t bank);
/* ERR_SYNTAX when the form is not exactly the above. Either result pointer may be NULL. */
enum err urlid_parse(struct str text, uint32_t *session, uint32_t *bank) CHECKED;
/* Whole ids, in a time that does not depend on what they hold. false unless both have the form's
 * length. */
bool urlid_eq(struct str a, struct str b);
