// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
/*
 * zone_time: the table of time zones as keepers see it, for tests/time. Reads lines "ZONE SECONDS" and answers each with the
 * local time, or "-" for a zone that is not there. With -l: the names, those with a '+' before them that users are offered. With -s:
 * the table's size in bytes, and the microseconds that the master takes to make it.
 */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "codec/xtime.h"
#include "codec/zone.h"
#include "net/bus.h"
#include "net/memfd.h"
#include "proc/zones.h"

static void answer(const struct zones *z, char *line)
{
    char to[XTIME_SIZE], *blank = strchr(line, ' ');
    if (blank == NULL)
        exit(2);
    *blank = '\0';
    const struct zone *zone = zones_find(z, str_of(line));
    puts(zone != NULL ? xtime_local(to, strtoll(blank + 1, NULL, 10), zone).p : "-");
}

int main(int argc, char **argv)
{
    struct zones z;
    char line[256];
    int fd = -1;
    clock_init();
    log_open(STDERR_FILENO, LOG_ALL);
    int64_t began = clock_mono();
    if (!zones_load(&fd))
        return 1;
    int64_t took = clock_mono() - began;
    if (zones_open(&z, memfd_map(fd, ZONES_TABLE_MAX)) != ERR_OK)
        return 1;
    if (argc > 1 && strcmp(argv[1], "-s") == 0) {
        printf("%zu %lld\n", z.bytes.n, (long long)(took / CLOCK_US));
        return 0;
    }
    for (uint32_t i = 0; argc > 1 && i < z.count; i++) {
        bool listed;
        struct str name = zones_name(&z, i, &listed);
        printf("%s%.*s\n", listed ? "+" : "", STR_FMT(name));
    }
    while (argc == 1 && fgets(line, sizeof line, stdin) != NULL)
        answer(&z, line);
    return 0;
}
