// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
/*
 * server.c: what the server's processes use, from /proc.
 *
 * Processor time is the scheduler's own sum (first number of schedstat, nanoseconds), not utime + stime: those are
 * counted in ticks. Children that have ended (a helper does after its jobs) stand in the master's own sum, in ticks.
 */
#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tools/ximss-bench/bench.h"

#define PROCESSES_MAX 512

/* What stands behind the name in /proc/PID/stat; the name stands in brackets and may hold anything. */
static bool stat_of(pid_t pid, pid_t *parent, int64_t *ended)
{
    char path[64], line[1024];
    int ppid;
    unsigned long user, system;
    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    FILE *f = fopen(path, "re");
    if (f == NULL)
        return false;
    size_t n = fread(line, 1, sizeof line - 1, f);
    fclose(f);
    line[n] = '\0';
    const char *end = strrchr(line, ')');
    if (end == NULL ||
        sscanf(end + 1, " %*c %d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %lu %lu", &ppid, &user,
               &system) != 3)
        return false;
    *parent = ppid;
    *ended = (int64_t)(user + system) * (1000000000 / sysconf(_SC_CLK_TCK));
    return true;
}

/* The master and its children. */
static size_t processes(pid_t master, pid_t *list)
{
    size_t n = 0;
    DIR *d = opendir("/proc");
    if (d == NULL)
        fail("/proc cannot be read");
    list[n++] = master;
    for (const struct dirent *e; (e = readdir(d)) != NULL && n < PROCESSES_MAX;) {
        pid_t pid = (pid_t)strtol(e->d_name, NULL, 10), parent;
        int64_t unused;
        if (pid > 0 && stat_of(pid, &parent, &unused) && parent == master)
            list[n++] = pid;
    }
    closedir(d);
    return n;
}

/* 0: it is gone; its time is in its parent's sum then. */
static int64_t cpu_of(pid_t pid)
{
    char path[64];
    long long ns = 0;
    snprintf(path, sizeof path, "/proc/%d/schedstat", (int)pid);
    FILE *f = fopen(path, "re");
    if (f == NULL)
        return 0;
    if (fscanf(f, "%lld", &ns) != 1)
        ns = 0;
    fclose(f);
    return ns;
}

int64_t server_cpu(pid_t master)
{
    pid_t list[PROCESSES_MAX], unused;
    int64_t sum = 0, ended = 0;
    size_t n = processes(master, list);
    for (size_t i = 0; i < n; i++)
        sum += cpu_of(list[i]);
    if (!stat_of(master, &unused, &ended))
        fail("process %d of the server is gone", (int)master);
    return sum + ended;
}

static uint64_t pss_of(pid_t pid)
{
    char path[64], line[256];
    unsigned long long kib = 0;
    snprintf(path, sizeof path, "/proc/%d/smaps_rollup", (int)pid);
    FILE *f = fopen(path, "re");
    if (f == NULL)
        return 0; /* ended meanwhile */
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
