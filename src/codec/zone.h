// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#pragma once
/*
 * zone: time zones as one table of bytes, for processes that can open no file (proc/priv.h).
 *
 * Whoever can read the system's zone files (tzdata; TZif, RFC 8536) gives them to a maker, one after the other; the table
 * that comes of it is position-independent, holds each zone once however many names it has, and can be mapped by many.
 * Of a file is kept what local times need: when the offset from UTC changes, and the rule that holds for ever after.
 *
 *     zones_maker_init(&m); zones_add(&m, STR("Europe/Berlin"), file, true); … zones_finish(&m, &table);
 *     struct zones z;  if (zones_open(&z, table) == ERR_OK) …
 *     struct zone *berlin = zones_find(&z, STR("Europe/Berlin"));  … zone_offset(berlin, t)
 *
 * A table is native to the machine. zones_open() checks all of it, so that nothing below leaves it. Zones point into it
 * and live as long as it.
 */
#include "base/buf.h"
#include "base/str.h"

#define ZONE_NAME_MAX   64              /* bytes of a name */
#define ZONES_MAX       2000            /* names; tzdata has some 600 */
#define ZONE_FILE_MAX   ((size_t)65536) /* bytes of one file; the largest of tzdata has 4000 */
#define ZONES_TABLE_MAX ((size_t)4 << 20)

struct zone;

struct zones {
    struct str bytes; /* .p == NULL: there are none */
    uint32_t count;   /* names */
};

/* ERR_SYNTAX: not a table, or a damaged one. The bytes must stand at an address that 8 divides. */
enum err zones_open(struct zones *z, struct str table) CHECKED;
/* By name, without regard to ASCII case (protocol/README rule 2); NULL: no such zone. */
const struct zone *zones_find(const struct zones *z, struct str name);
/* Name number i (0 … count-1), in the order of their lower-case bytes; *listed: as zones_add() was told. */
struct str zones_name(const struct zones *z, uint32_t i, bool *listed);

/* Seconds east of UTC, at Unix time t. */
int32_t zone_offset(const struct zone *zone, int64_t t);

/* ---- making ---- */

struct zones_maker {
    struct buf entries, names, data;
    uint32_t count;
};

void zones_maker_init(struct zones_maker *m);
/*
 * Adds a zone. listed: people should be offered it (zone.tab of tzdata). ERR_SYNTAX: the bytes are no TZif file of version 2
 * or later, or its rule is none; ERR_TOO_LONG: over a limit of this header. Nothing was added then.
 */
enum err zones_add(struct zones_maker *m, struct str name, struct str tzif, bool listed) CHECKED;
/* Appends the table to an empty buffer and empties the maker. ERR_NOMEM, ERR_EXISTS: a name came twice. */
enum err zones_finish(struct zones_maker *m, struct buf *table) CHECKED;
