// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#include "base/clock.h"

#include <stddef.h>
#include <time.h>

#ifdef TEST_CLOCK
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

static const volatile int64_t *offset;

void clock_init(void)
{
    const char *path = getenv("XIMSSD_TEST_CLOCK");
    int fd = path != NULL ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    if (fd < 0)
        return;
    void *p = mmap(NULL, sizeof *offset, PROT_READ, MAP_SHARED, fd, 0);
    if (p != MAP_FAILED)
        offset = p;
    close(fd);
}

static int64_t shift(void)
{
    return offset != NULL ? *offset : 0;
}
#else
void clock_init(void)
{
}

static int64_t shift(void)
{
    return 0;
}
#endif

static int64_t read_clock(clockid_t id)
{
    struct timespec ts;
    clock_gettime(id, &ts);
    return (int64_t)ts.tv_sec * CLOCK_SEC + ts.tv_nsec;
}

int64_t clock_mono(void)
{
    return read_clock(CLOCK_MONOTONIC) + shift();
}

int64_t clock_wall(void)
{
    return read_clock(CLOCK_REALTIME) + shift();
}

int64_t clock_cpu(void)
{
    return read_clock(CLOCK_PROCESS_CPUTIME_ID);
}
