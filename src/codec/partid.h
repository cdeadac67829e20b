// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#pragma once
/*
 * partid: the numbers of a message's parts as clients write them (protocol 2, 6.4). Pure.
 */
#include "base/str.h"

#define PARTID_MAX 255

/*
 * "2.1" to "02-01": each number gets two digits at least, '.' becomes '-'. false: no partID (numbers have 1-5 digits), or one
 * that would be longer than PARTID_MAX.
 */
bool partid_normal(struct str in, char out[PARTID_MAX], size_t *n) CHECKED;
