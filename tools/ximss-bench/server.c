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

/* The sum of the lines that begin with one of the two words; false: the file cannot be read. */
static bool read_kib(pid_t pid, const char *file, const char *word, const char *other,
                     uint64_t *kib)
{
    char path[64], line[256];
    bool any = false;
    snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, file);
    FILE *f = fopen(path, "re");
    *kib = 0;
    while (f != NULL && fgets(line, sizeof line, f) != NULL) {
        if (strncmp(line, word, strlen(word)) != 0 && strncmp(line, other, strlen(other)) != 0)
            continue;
        *kib += strtoull(strchr(line, ':') + 1, NULL, 10);
        any = true;
    }
    if (f != NULL)
        fclose(f);
    return any;
}

/* The server's processes show their shares to root only; what is not file is nearly the same. Ended meanwhile: 0. */
static uint64_t pss_of(pid_t pid)
{
    uint64_t kib;
    if (!read_kib(pid, "smaps_rollup", "Pss:", "Pss:", &kib))
        (void)read_kib(pid, "status", "RssAnon:", "RssShmem:", &kib);
    return kib * 1024;
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
