// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#pragma once
/*
 * clock: the only door to the system's clocks (design §9.8; a lint refuses other callers).
 *
 * A build with -DTEST_CLOCK adds the offset (signed 64-bit nanoseconds) that stands in the file named by the
 * environment variable XIMSSD_TEST_CLOCK; the shipped binary has no such door.
 */
#include <stdint.h>

#define CLOCK_US  INT64_C(1000)
#define CLOCK_MS  INT64_C(1000000)
#define CLOCK_SEC INT64_C(1000000000)

/* Maps the test build's offset file; call once at start, before files go out of reach. A no-op otherwise. */
void clock_init(void);

/* Nanoseconds that never go back; the same for all processes since boot. */
int64_t clock_mono(void);
/* Nanoseconds since 1970-01-01 UTC. */
int64_t clock_wall(void);
/* User and system time of this process, nanoseconds. */
int64_t clock_cpu(void);
