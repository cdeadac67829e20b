// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#pragma once
/* is_right: what a hasher says to a password; for tests that include cmocka. */
#include "auth/verifier.h"

static inline bool is_right(struct str hash, struct str password)
{
    bool right;
    assert_int_equal(verifier_check(hash, password, &right), ERR_OK);
    return right;
}
