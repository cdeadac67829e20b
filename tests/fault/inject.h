// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#pragma once
/*
 * inject: faults on demand, for tests of the whole server (LD_PRELOAD=inject.so; tests/fault/faults.py writes what is
 * here, field by field).
 *
 * XIMSSD_FAULT names a file of one struct fault_control that the test and all processes of the server map. A rule in it
 * says: in such a process, the nth of such calls fails, is done by half, or is the last thing that the process does. The
 * library counts, in the file too, so that a test learns how many calls there were and whether its fault has come.
 * XIMSSD_FAULT_STATE is the folder that FAULT_BELOW means. With XIMSSD_FAULT_TRACE the log shows who made a call that failed.
 *
 * The role of a process is the word behind --role, "master" for a daemon without one, "newborn" between fork and exec, and
 * the program's name for all others (ximssctl, ximss-top).
 */
#include <stdint.h>

#define FAULT_RULES 4
#define FAULT_ROLE  24
/* Whose calls are counted apart. */
#define FAULT_ROLES \
    "master", "newborn", "worker", "keeper", "auth", "hasher", "helper", "check", "ximssctl"
#define FAULT_ROLES_COUNT 9

enum fault_call {
#define CALL(name, errors, functions) FAULT_CALL_##name,
#include "calls.tbl"
#undef CALL
    FAULT_CALL_COUNT
};

enum fault_action {
    FAULT_COUNT,      /* nothing: the calls are counted */
    FAULT_FAIL,       /* -1 and errno */
    FAULT_SHORT,      /* half of the bytes */
    FAULT_KILL,       /* kill -9 before the call */
    FAULT_KILL_AFTER, /* ... when it is done */
    FAULT_TORN        /* ... when half of it is done */
};

enum fault_place {
    FAULT_ANYWHERE,
    FAULT_BELOW /* calls about files in XIMSSD_FAULT_STATE */
};

struct fault_rule {
    uint32_t armed; /* written last by the test */
    uint32_t action;
    uint32_t err;
    uint32_t nth;    /* 1: the first one */
    uint32_t times;  /* this many in a row; 0: all from then on */
    uint32_t number; /* of the role's process; UINT32_MAX: any */
    uint32_t place;
    uint32_t seen, fired; /* written by the library */
    uint32_t last_pid, last_call;
    uint32_t spare;
    uint64_t calls;        /* bits of enum fault_call */
    char role[FAULT_ROLE]; /* "": any */
};

struct fault_control {
    uint32_t any_armed;
    uint32_t counting;  /* every call, in `counts` */
    int64_t wall_shift; /* seconds that the wall clock is said to be ahead */
    struct fault_rule rules[FAULT_RULES];
    uint32_t counts[FAULT_ROLES_COUNT][FAULT_CALL_COUNT];
};
