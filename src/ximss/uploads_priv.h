// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#pragma once
/* What uploads.c shares with uploads_saved.c. */
#include "ximss/uploads.h"

struct upload_set {
    struct upload_set *next; /* the one used longest ago is the first */
    struct upload_file *files, **tail;
    uint32_t count;
    uint64_t bytes;
    bool used; /* by an operation */
    int64_t last;
    size_t id_n;
    char id[UPLOAD_ID_MAX];
};

struct uploads {
    struct uploads *next, **at;
    struct upload_host *host;
    struct session *s;
    struct upload_set *sets;
    uint32_t coming; /* uploads that are not complete */
    /* of sets and of what comes in */
    uint32_t files;
    uint64_t bytes;
};

struct upload {
    struct uploads *all;
    struct upload_file *files, **tail, *now;
    uint32_t count;
    uint64_t bytes;
    size_t id_n;
    char id[UPLOAD_ID_MAX];
};

/* The place of the set of that name; of the end, where there is none. */
struct upload_set **upload_find(struct uploads *all, struct str id);
/* As upload_file(), whatever the limits are; the texts are as long as they may be. */
enum err upload_add_file(struct upload *u, struct str name, struct str type) CHECKED;
