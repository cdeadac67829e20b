// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#pragma once
/*
 * failvfs: a VFS shim over the engine's default one that makes writes fail: the n-th write or sync from now on, once or from then
 * on for ever. For tests; call failvfs_install() before the first db_open().
 */
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>

struct failvfs_file {
    sqlite3_file base;
    sqlite3_file *real;
};

static struct {
    sqlite3_vfs vfs;
    sqlite3_vfs *under;
    sqlite3_io_methods methods;
    long countdown; /* 0: off; 1: the next write fails */
    int error;      /* what it fails with */
    int sticky;     /* all later ones too */
    long writes;    /* seen so far */
    long failed;
} failvfs;

static sqlite3_file *failvfs_real(sqlite3_file *f)
{
    return ((struct failvfs_file *)(void *)f)->real;
}

/* Shall this write fail? */
static int failvfs_hit(void)
{
    failvfs.writes++;
    if (failvfs.countdown == 0)
        return 0;
    if (failvfs.countdown > 1) {
        failvfs.countdown--;
        return 0;
    }
    if (!failvfs.sticky)
        failvfs.countdown = 0;
    failvfs.failed++;
    return failvfs.error;
}

static int failvfs_close(sqlite3_file *f)
{
    sqlite3_file *real = failvfs_real(f);
    int rc = real->pMethods->xClose(real);

    free(real);
    return rc;
}

static int failvfs_read(sqlite3_file *f, void *p, int n, sqlite3_int64 at)
{
    return failvfs_real(f)->pMethods->xRead(failvfs_real(f), p, n, at);
}

static int failvfs_write(sqlite3_file *f, const void *p, int n, sqlite3_int64 at)
{
    int rc = failvfs_hit();

    if (rc == 0)
        return failvfs_real(f)->pMethods->xWrite(failvfs_real(f), p, n, at);
    /* like a disk that fills up: half of it is there */
    (void)failvfs_real(f)->pMethods->xWrite(failvfs_real(f), p, n / 2, at);
    return rc;
}

static int failvfs_truncate(sqlite3_file *f, sqlite3_int64 n)
{
    return failvfs_real(f)->pMethods->xTruncate(failvfs_real(f), n);
}

static int failvfs_sync(sqlite3_file *f, int flags)
{
    int rc = failvfs_hit();

    return rc != 0 ? SQLITE_IOERR_FSYNC : failvfs_real(f)->pMethods->xSync(failvfs_real(f), flags);
}

static int failvfs_size(sqlite3_file *f, sqlite3_int64 *n)
{
    return failvfs_real(f)->pMethods->xFileSize(failvfs_real(f), n);
}

static int failvfs_lock(sqlite3_file *f, int l)
{
    return failvfs_real(f)->pMethods->xLock(failvfs_real(f), l);
}

static int failvfs_unlock(sqlite3_file *f, int l)
{
    return failvfs_real(f)->pMethods->xUnlock(failvfs_real(f), l);
}

static int failvfs_reserved(sqlite3_file *f, int *out)
{
    return failvfs_real(f)->pMethods->xCheckReservedLock(failvfs_real(f), out);
}

static int failvfs_control(sqlite3_file *f, int op, void *arg)
{
    return failvfs_real(f)->pMethods->xFileControl(failvfs_real(f), op, arg);
}

static int failvfs_sector(sqlite3_file *f)
{
    return failvfs_real(f)->pMethods->xSectorSize(failvfs_real(f));
}

static int failvfs_device(sqlite3_file *f)
{
    return failvfs_real(f)->pMethods->xDeviceCharacteristics(failvfs_real(f));
}

static int failvfs_shm_map(sqlite3_file *f, int page, int size, int extend, void volatile **p)
{
    return failvfs_real(f)->pMethods->xShmMap(failvfs_real(f), page, size, extend, p);
}

static int failvfs_shm_lock(sqlite3_file *f, int at, int n, int flags)
{
    return failvfs_real(f)->pMethods->xShmLock(failvfs_real(f), at, n, flags);
}

static void failvfs_shm_barrier(sqlite3_file *f)
{
    failvfs_real(f)->pMethods->xShmBarrier(failvfs_real(f));
}

static int failvfs_shm_unmap(sqlite3_file *f, int del)
{
    return failvfs_real(f)->pMethods->xShmUnmap(failvfs_real(f), del);
}

static int failvfs_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *f, int flags, int *out)
{
    struct failvfs_file *file = (struct failvfs_file *)(void *)f;
    int rc;

    (void)vfs;
    file->base.pMethods = NULL;
    file->real = calloc(1, (size_t)failvfs.under->szOsFile);
    if (file->real == NULL)
        return SQLITE_NOMEM;
    rc = failvfs.under->xOpen(failvfs.under, name, file->real, flags, out);
    if (rc != SQLITE_OK) {
        free(file->real);
        return rc;
    }
    file->base.pMethods = &failvfs.methods;
    return SQLITE_OK;
}

static void failvfs_install(void)
{
    failvfs.under = sqlite3_vfs_find(NULL);
    failvfs.vfs = *failvfs.under;
    failvfs.vfs.zName = "failvfs";
    failvfs.vfs.pNext = NULL;
    failvfs.vfs.szOsFile = (int)sizeof(struct failvfs_file);
    failvfs.vfs.xOpen = failvfs_open;
    failvfs.methods = (sqlite3_io_methods){
        .iVersion = 2,
        .xClose = failvfs_close,
        .xRead = failvfs_read,
        .xWrite = failvfs_write,
        .xTruncate = failvfs_truncate,
        .xSync = failvfs_sync,
        .xFileSize = failvfs_size,
        .xLock = failvfs_lock,
        .xUnlock = failvfs_unlock,
        .xCheckReservedLock = failvfs_reserved,
        .xFileControl = failvfs_control,
        .xSectorSize = failvfs_sector,
        .xDeviceCharacteristics = failvfs_device,
        .xShmMap = failvfs_shm_map,
        .xShmLock = failvfs_shm_lock,
        .xShmBarrier = failvfs_shm_barrier,
        .xShmUnmap = failvfs_shm_unmap,
    };
    sqlite3_vfs_register(&failvfs.vfs, 1);
}

/* The n-th write or sync from now fails with `error`. n == 0: all is well again. */
static inline void failvfs_arm(long n, int error, int sticky)
{
    failvfs.countdown = n;
    failvfs.error = error;
    failvfs.sticky = sticky;
    failvfs.failed = 0;
}
