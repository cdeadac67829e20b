// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
/*
 * server.c: what the server's processes use, from /proc.
 *
 * Processor time is the scheduler's own sum (first number of schedstat, nanoseconds), not utime + stime: those are
 * counted in ticks.
 */
#include <dirent.h>
#include <stdlib.h>
#include <string.h>

#include "tools/ximss-bench/bench.h"

#define PROCESSES_MAX 512

/* Field 4 of /proc/PID/stat; the name before it stands in brackets and may hold anything. */
static pid_t parent_of(pid_t pid)
{
    char path[64], line[512];
    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    FILE *f = fopen(path, "re");
    if (f == NULL)
        return 0;
    size_t n = fread(line, 1, sizeof line - 1, f);
    fclose(f);
    line[n] = '\0';
    const char *end = strrchr(line, ')');
    return end != NULL && strlen(end) > 4 ? (pid_t)strtol(end + 4, NULL, 10) : 0;
}

/* The master and its children. The list is made once: in a measured time no process comes or goes. */
static size_t processes(pid_t master, pid_t *list)
{
    size_t n = 0;
    DIR *d = opendir("/proc");
    if (d == NULL)
        fail("/proc cannot be read");
    list[n++] = master;
    for (const struct dirent *e; (e = readdir(d)) != NULL && n < PROCESSES_MAX;) {
        pid_t pid = (pid_t)strtol(e->d_name, NULL, 10);
        if (pid > 0 && parent_of(pid) == master)
            list[n++] = pid;
    }
    closedir(d);
    return n;
}

int64_t server_cpu(pid_t master)
{
    static pid_t list[PROCESSES_MAX];
    static size_t n;
    int64_t sum = 0;
    if (n == 0)
        n = processes(master, list);
    for (size_t i = 0; i < n; i++) {
        char path[64];
        long long ns = 0;
        snprintf(path, sizeof path, "/proc/%d/schedstat", (int)list[i]);
        FILE *f = fopen(path, "re");
        if (f == NULL || fscanf(f, "%lld", &ns) != 1)
            fail("%s cannot be read: a process of the server is gone", path);
        fclose(f);
        sum += ns;
    }
    return sum;
}

static uint64_t pss_of(pid_t pid)
{
    char path[64], line[256];
    unsigned long long kib = 0;
    snprintf(path, sizeof path, "/proc/%d/smaps_rollup", (int)pid);
    FILE *f = fopen(path, "re");
    if (f == NULL)
        fail("%s cannot be read", path);
    while (fgets(line, sizeof line, f) != NULL && sscanf(line, "Pss: %llu", &kib) != 1)
        ;
    fclose(f);
    return (uint64_t)kib * 1024;
}

uint64_t server_pss(pid_t master)
{
    pid_t list[PROCESSES_MAX];
    uint64_t sum = 0;
    size_t n = processes(master, list);
    for (size_t i = 0; i < n; i++)
        sum += pss_of(list[i]);
    return sum;
}
