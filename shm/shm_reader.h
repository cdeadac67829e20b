// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#pragma once
/*
 * shm_reader: the table as monitors see it (ximss-top, ximssctl, exporters).
 *
 * Files are opened and mapped read-only. Whatever stands in them is taken for hostile: offsets,
 * strides and counts are held against the file's size, texts are cleaned (shm_names.h), ids that
 * have no name stay numbers, a row that changes under the reader's hands 64 times keeps its last
 * good copy. Nothing is commanded through the table.
 *
 * Why a mapping and not read(): the copy of a row must be made with loads in a known order
 * (shm_word.h), and a system call promises none. The price is SIGBUS when a file is cut while it is
 * read: around each copy the reader catches that signal and calls the file unusable. The former
 * handler is put back afterwards, so one process may have one thread at a time in
 * shm_reader_refresh().
 *
 * All results belong to the reader and hold until the next refresh.
 */
#include <stdbool.h>
#include <stddef.h>

#include "shm/shm_layout.h"

struct shm_reader;

enum shm_status {
    SHM_OK = 0,
    SHM_NO_SERVER, /* there is no index: nothing ever ran in this run_dir */
    SHM_UNUSABLE   /* another version or no index at all: shm_reader_why() is the sentence */
};

struct shm_server {
    char version[SHM_VERSION_LEN * 3 + 1]; /* clean text */
    int64_t pid;
    int64_t start_wall; /* ns since 1970 */
    int64_t uptime;     /* ns, >= 0 */
    int64_t
        silence; /* ns since the last heartbeat, >= 0; -1: orderly stop, or it was before the boot */
    bool running;      /* the heartbeat is fresh */
    uint32_t channels; /* configured */
    uint32_t workers;
    uint32_t keepers;
    uint32_t segments; /* that could be read */
    uint32_t
        unusable; /* that are listed as live and could not: shm_reader_why() names the last one */
};

/* Value of one statistic element, over the whole server. */
struct shm_value {
    const char *name; /* clean texts */
    const char *unit;
    const char *help;
    enum shm_kind kind;
    uint64_t value; /* at most SHM_MAX_COUNT */
};

/* Where an iteration stands; zero it to begin. */
struct shm_place {
    size_t segment;
    uint32_t row;
};

/* NULL: no memory. */
struct shm_reader *shm_reader_new(const char *run_dir);
void shm_reader_free(struct shm_reader **r);

/*
 * Takes a new picture. `now`: monotonic ns (clock_mono()). A restarted server is noticed by its new
 * index. When the server does not run there are no rows, and counters show what was retired.
 */
enum shm_status shm_reader_refresh(struct shm_reader *r, int64_t now);
/* One sentence without a full stop, clean text; "" when all is well. */
const char *shm_reader_why(const struct shm_reader *r);

const struct shm_server *shm_reader_server(const struct shm_reader *r);
/* The next row in use, or NULL at the end. Numbers in it are as found: any value; texts must be
 * cleaned. */
const struct shm_row *shm_reader_next(const struct shm_reader *r, struct shm_place *at);
/* Upper bound of the rows that shm_reader_next() will give. */
size_t shm_reader_rows(const struct shm_reader *r);

/* Names from the index, clean; NULL where it has none. */
const char *shm_reader_op(const struct shm_reader *r, uint32_t id);
const char *shm_reader_op_monitor(const struct shm_reader *r, uint32_t id);
const char *shm_reader_state(const struct shm_reader *r, uint32_t id);

/* The i-th element; false at the end. */
bool shm_reader_value(const struct shm_reader *r, size_t i, struct shm_value *out);
