// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
/* inject.so: memory. */
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "inject_int.h"

static void *mmap_it(void *at, size_t n, int prot, int flags, int fd, off_t from)
{
    enum fault_action act = fault_judge(FAULT_CALL_mmap, fault_fd_below(fd));
    if (act == FAULT_FAIL)
        return MAP_FAILED;
    void *p = (void *)syscall(SYS_mmap, at, n, prot, flags, fd, from);
    fault_after(act);
    return p;
}

void *mmap(void *at, size_t n, int prot, int flags, int fd, off_t from)
{
    return mmap_it(at, n, prot, flags, fd, from);
}

void *mmap64(void *at, size_t n, int prot, int flags, int fd, off_t from)
{
    return mmap_it(at, n, prot, flags, fd, from);
}

void *mremap(void *old, size_t old_n, size_t n, int flags, ...)
{
    if (fault_judge(FAULT_CALL_mmap, false) == FAULT_FAIL)
        return MAP_FAILED;
    va_list ap;
    va_start(ap, flags);
    void *to = (flags & MREMAP_FIXED) != 0 ? va_arg(ap, void *) : NULL;
    va_end(ap);
    return (void *)syscall(SYS_mremap, old, old_n, n, flags, to);
}

/* What glibc's own are called beside their public names. A sanitizer's come before ours, and nothing of this is used. */
void *__libc_malloc(size_t n);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *p, size_t n);
void *__libc_memalign(size_t align, size_t n);

void *malloc(size_t n)
{
    return fault_judge(FAULT_CALL_malloc, false) != FAULT_FAIL ? __libc_malloc(n) : NULL;
}

void *calloc(size_t n, size_t size)
{
    return fault_judge(FAULT_CALL_malloc, false) != FAULT_FAIL ? __libc_calloc(n, size) : NULL;
}

void *realloc(void *p, size_t n)
{
    return fault_judge(FAULT_CALL_malloc, false) != FAULT_FAIL ? __libc_realloc(p, n) : NULL;
}

int posix_memalign(void **p, size_t align, size_t n)
{
    if (fault_judge(FAULT_CALL_malloc, false) == FAULT_FAIL)
        return ENOMEM;
    *p = __libc_memalign(align, n);
    return *p != NULL ? 0 : ENOMEM;
}
