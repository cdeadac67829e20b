// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#pragma once
/*
 * failmem: the engine's memory, whose n-th allocation from now on fails, once. For tests; call failmem_install() before
 * the first db_open().
 */
#include <sqlite3.h>

static struct {
    sqlite3_mem_methods under;
    long countdown; /* 0: off; 1: the next one fails */
    long failed;
} failmem;

static int failmem_hit(void)
{
    if (failmem.countdown == 0 || --failmem.countdown != 0)
        return 0;
    failmem.failed++;
    return 1;
}

static void *failmem_malloc(int n)
{
    return failmem_hit() ? NULL : failmem.under.xMalloc(n);
}

static void *failmem_realloc(void *p, int n)
{
    return failmem_hit() ? NULL : failmem.under.xRealloc(p, n);
}

static void failmem_install(void)
{
    sqlite3_mem_methods m;

    (void)sqlite3_config(SQLITE_CONFIG_GETMALLOC, &failmem.under);
    m = failmem.under;
    m.xMalloc = failmem_malloc;
    m.xRealloc = failmem_realloc;
    (void)sqlite3_config(SQLITE_CONFIG_MALLOC, &m);
}

static void failmem_arm(long n)
{
    failmem.countdown = n;
    failmem.failed = 0;
}
