// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#include "shm/shm_texts.h"

#include <stdlib.h>

/* Copies the rows of a section, each cut to `size` bytes, into fresh memory. NULL: cut file or no
 * memory. */
static void *section_copy(const struct shm_file *f, const struct shm_section *s, size_t size)
{
    size_t bytes = (size_t)s->count * s->stride;
    char *rows = calloc(s->count + 1u, size);
    char *raw = malloc(bytes + 1);
    if (rows != NULL && raw != NULL && shm_file_read(f, s->offset, raw, bytes)) {
        for (uint32_t i = 0; i < s->count; i++)
            memcpy(rows + i * size, raw + (size_t)i * s->stride, size);
    } else {
        free(rows);
        rows = NULL;
    }
    free(raw);
    return rows;
}

static int by_id(const void *a, const void *b)
{
    const struct shm_text *x = a, *y = b;
    return (x->id > y->id) - (x->id < y->id);
}

bool shm_texts_read(const struct shm_file *f, const struct shm_section *s, struct shm_texts *out)
{
    struct shm_name *raw = section_copy(f, s, sizeof(*raw));
    out->row = raw != NULL ? calloc(s->count + 1u, sizeof(*out->row)) : NULL;
    for (uint32_t i = 0; out->row != NULL && i < s->count; i++) {
        out->row[i].id = raw[i].id;
        shm_field_text(raw[i].name, sizeof(raw->name), out->row[i].name);
        shm_field_text(raw[i].monitor, sizeof(raw->monitor), out->row[i].monitor);
    }
    free(raw);
    if (out->row == NULL)
        return false;
    out->n = s->count;
    qsort(out->row, out->n, sizeof(*out->row), by_id);
    return true;
}

bool shm_element_texts_read(const struct shm_file *f, const struct shm_section *s,
                            struct shm_element_text **out)
{
    struct shm_counter_name *raw = section_copy(f, s, sizeof(*raw));
    *out = raw != NULL ? calloc(s->count + 1u, sizeof(**out)) : NULL;
    for (uint32_t i = 0; *out != NULL && i < s->count; i++) {
        struct shm_element_text *e = &(*out)[i];
        e->id = raw[i].id;
        e->kind = raw[i].kind == SHM_INTEGER ? SHM_INTEGER : SHM_COUNTER;
        shm_field_text(raw[i].name, sizeof(raw->name), e->name);
        shm_field_text(raw[i].unit, sizeof(raw->unit), e->unit);
        shm_field_text(raw[i].help, sizeof(raw->help), e->help);
    }
    free(raw);
    return *out != NULL;
}

const struct shm_text *shm_texts_find(const struct shm_texts *names, uint32_t id)
{
    struct shm_text key;
    key.id = id;
    return names->n != 0 ? bsearch(&key, names->row, names->n, sizeof(key), by_id) : NULL;
}
