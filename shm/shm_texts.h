// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#pragma once
/*
 * shm_texts: the index's tables of names, copied and cleaned (shm_names.h); part of shm_reader.
 */
#include "shm/shm_file.h"
#include "shm/shm_names.h"

struct shm_text {
    uint32_t id;
    char name[SHM_TEXT_MAX(SHM_NAME_LEN)];
    char monitor[SHM_TEXT_MAX(SHM_NAME_LEN)];
};

struct shm_texts {
    struct shm_text *row; /* by id */
    uint32_t n;
};

struct shm_element_text {
    uint32_t id;
    enum shm_kind kind;
    char name[SHM_TEXT_MAX(sizeof(((struct shm_counter_name *)0)->name))];
    char unit[SHM_TEXT_MAX(sizeof(((struct shm_counter_name *)0)->unit))];
    char help[SHM_TEXT_MAX(sizeof(((struct shm_counter_name *)0)->help))];
};

/*
 * Copy a table into fresh memory, for the caller to free (.row, *out), also after a failure. false: the file was cut, or there is
 * no memory. The section must be one that shm_file_section() found good.
 */
bool shm_texts_read(const struct shm_file *f, const struct shm_section *s, struct shm_texts *out);
bool shm_element_texts_read(const struct shm_file *f, const struct shm_section *s,
                            struct shm_element_text **out);

/* NULL: no such id. */
const struct shm_text *shm_texts_find(const struct shm_texts *names, uint32_t id);
