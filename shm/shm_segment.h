// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#pragma once
/*
 * shm_segment: one segment as a reader sees it; part of shm_reader.
 */
#include "shm/shm_file.h"

/* Zero it to begin. */
struct shm_copy {
    struct shm_file file;
    struct shm_segment head;
    struct shm_row *row; /* last good copies; session 0: none */
    uint32_t rows;       /* of them that were ever used */
    uint32_t cap;        /* of them that there is memory for */
    uint32_t counts;
    uint64_t *count;
    bool usable;
};

/*
 * Opens `file` in `dir` (if it is not yet open, or another file has the name now) and copies what
 * is in use. NULL, or what is wrong with it as the end of a sentence, and then it is closed. `text`
 * is room for that.
 */
const char *shm_copy_read(struct shm_copy *c, int dir, const char *file, uint64_t start_id,
                          char *text, size_t n);
void shm_copy_close(struct shm_copy *c);
