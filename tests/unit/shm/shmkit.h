// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#pragma once
/* shmkit: a run_dir of its own for each test, a master in it, and its processes' segments. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* after the four above */
#include <cmocka.h>

#include "shm/shm_master.h"
#include "shm/shm_reader.h"

#define SEC INT64_C(1000000000)
#define NOW (INT64_C(5000) * SEC)

struct kit {
    char dir[64];
    int fd;
    struct shm_master *m;
};

struct proc {
    uint32_t slot;
    size_t size;
    struct shm_writer w;
};

/* A run_dir with a fresh index for `segments` segments, started at NOW. */
void kit_init(struct kit *k, uint32_t segments);
void kit_free(struct kit *k);
struct shm_setup kit_setup(uint32_t segments);
/* A new process with an attached segment. */
void kit_proc(struct kit *k, struct proc *p, const char *role, uint32_t number, uint32_t rows);
/* A path inside run_dir/shm; the buffer is static. */
const char *kit_path(const struct kit *k, const char *name);
struct shm_row kit_row(uint32_t session, const char *account);
/* Value of the element of that name. */
uint64_t kit_value(const struct shm_reader *r, const char *name);
