// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#pragma once
/*
 * shm_file: a file of the table, opened and mapped for reading; part of shm_reader.
 */
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "shm/shm_layout.h"
#include "shm/shm_word.h"

struct shm_file {
    const char *map; /* NULL: not open */
    size_t size;
    dev_t dev;
    ino_t ino;
};

#define SHM_MAX_FILE (UINT64_C(1) << 32)

/*
 * Opens a regular file of at least 256 bytes in `dir`; no links are followed, nothing blocks. 0 or
 * an errno value; ENODATA: not a regular file, too short or longer than SHM_MAX_FILE. An open file
 * that is still the one of this name stays as it is, another takes its place and *fresh is set.
 */
int shm_file_open(struct shm_file *f, int dir, const char *name, bool *fresh);
void shm_file_close(struct shm_file *f);

/* Runs fn(arg) and says whether it ended without touching a page that the file no longer has. */
bool shm_file_guard(void (*fn)(void *arg), void *arg);

/* The section lies in the file, aligned, in rows of at least `min` bytes, at most `max` of them. */
bool shm_file_section(const struct shm_file *f, const struct shm_section *s, size_t min,
                      uint32_t max);

/*
 * Copies `n` bytes word by word (n and offset multiples of 8, inside the mapping). false: the file
 * was cut.
 */
bool shm_file_read(const struct shm_file *f, uint64_t offset, void *to, size_t n);

/* A word of the mapping; to be loaded only inside a guard. */
static inline const shm_word *shm_file_word(const struct shm_file *f, uint64_t offset)
{
    return (const void *)(f->map + offset);
}

/*
 * NULL when the header is one that this program reads, else what is wrong with it as the end of a
 * sentence whose subject is the file ("has format 2.0, this program reads 1.x").
 */
const char *shm_file_refuse(const struct shm_head *h, const char *magic, size_t size, char *text,
                            size_t n);
