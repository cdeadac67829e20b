// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#include "net/memfd.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"

#define SEALS (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_SEAL)

bool memfd_seal(int fd)
{
    return fcntl(fd, F_ADD_SEALS, SEALS) == 0;
}

bool memfd_add(int fd, struct str bytes)
{
    while (bytes.n != 0) {
        ssize_t n = write(fd, bytes.p, bytes.n);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return false;
        bytes = str_sub(bytes, (size_t)n, bytes.n);
    }
    return true;
}

int memfd_make_joined(const char *name, struct str head, struct str tail)
{
    int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd >= 0 && memfd_add(fd, head) && memfd_add(fd, tail) && memfd_seal(fd))
        return fd;
    log_write(LOG_FAILURES, "BUS", 0, NULL, "memfd: %s", strerror(errno));
    if (fd >= 0)
        close(fd);
    return -1;
}

int memfd_make(const char *name, struct str bytes)
{
    return memfd_make_joined(name, bytes, STR_NONE);
}

struct str memfd_map(int fd, uint64_t max)
{
    struct stat st;
    int seals = fcntl(fd, F_GET_SEALS);
    if (seals < 0 || (seals & (F_SEAL_SHRINK | F_SEAL_WRITE)) != (F_SEAL_SHRINK | F_SEAL_WRITE))
        return STR_NONE;
    if (fstat(fd, &st) != 0 || st.st_size < 0 || (uint64_t)st.st_size > max)
        return STR_NONE;
    if (st.st_size == 0)
        return STR("");
    void *p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    return p != MAP_FAILED ? (struct str){p, (size_t)st.st_size} : STR_NONE;
}

void memfd_unmap(struct str bytes)
{
    void *p;
    if (bytes.n == 0)
        return;
    memcpy(&p, &bytes.p, sizeof p);
    munmap(p, bytes.n);
}
