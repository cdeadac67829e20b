// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#include "shm/shm_file.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* A signal handler has no argument of ours: the one variable of this room, set only inside
 * shm_file_guard(). */
static _Thread_local sigjmp_buf *trap;

static void on_sigbus(int sig)
{
    if (trap != NULL)
        siglongjmp(*trap, 1);
    signal(sig, SIG_DFL); /* not ours: the access is repeated and ends the process */
}

bool shm_file_guard(void (*fn)(void *arg), void *arg)
{
    struct sigaction old, new = {.sa_handler = on_sigbus};
    sigjmp_buf here;
    sigemptyset(&new.sa_mask);
    if (sigaction(SIGBUS, &new, &old) != 0)
        return false;
    volatile bool whole = false;
    if (sigsetjmp(here, 1) == 0) {
        trap = &here;
        fn(arg);
        whole = true;
    }
    trap = NULL;
    sigaction(SIGBUS, &old, NULL);
    return whole;
}

void shm_file_close(struct shm_file *f)
{
    if (f->map != NULL)
        munmap((void *)(uintptr_t)f->map, f->size);
    memset(f, 0, sizeof(*f));
}

int shm_file_open(struct shm_file *f, int dir, const char *name, bool *fresh)
{
    struct stat st;
    *fresh = false;
    int fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0 || fstat(fd, &st) != 0) {
        int rc = errno;
        if (fd >= 0)
            close(fd);
        shm_file_close(f);
        return rc;
    }
    uint64_t size = (uint64_t)st.st_size;
    if (!S_ISREG(st.st_mode) || size < sizeof(struct shm_segment) || size > SHM_MAX_FILE) {
        close(fd);
        shm_file_close(f);
        return ENODATA;
    }
    if (f->map != NULL && f->dev == st.st_dev && f->ino == st.st_ino && f->size == size) {
        close(fd);
        return 0;
    }
    shm_file_close(f);
    void *map = mmap(NULL, size, PROT_READ, MAP_SHARED, fd, 0);
    int rc = map == MAP_FAILED ? errno : 0;
    close(fd);
    if (rc != 0)
        return rc;
    *f = (struct shm_file){map, size, st.st_dev, st.st_ino};
    *fresh = true;
    return 0;
}

bool shm_file_section(const struct shm_file *f, const struct shm_section *s, size_t min,
                      uint32_t max)
{
    return s->offset % 8 == 0 && s->stride % 8 == 0 && s->stride >= min &&
           s->stride <= SHM_MAX_STRIDE && s->count <= max && s->offset <= f->size &&
           s->count <= (f->size - s->offset) / s->stride;
}

struct copy {
    const shm_word *from;
    char *to;
    size_t words;
};

static void copy_words(void *arg)
{
    struct copy *c = arg;
    for (size_t i = 0; i < c->words; i++) {
        uint64_t v = shm_load(&c->from[i]);
        memcpy(c->to + 8 * i, &v, 8);
    }
}

bool shm_file_read(const struct shm_file *f, uint64_t offset, void *to, size_t n)
{
    struct copy c = {shm_file_word(f, offset), to, n / 8};
    return shm_file_guard(copy_words, &c);
}

const char *shm_file_refuse(const struct shm_head *h, const char *magic, size_t size, char *text,
                            size_t n)
{
    if (memcmp(h->magic, magic, sizeof(h->magic)) != 0)
        return "is not a table of ximssd";
    if (h->byte_order != SHM_BYTE_ORDER)
        return "was written on a machine with another byte order";
    if (h->major != SHM_MAJOR) {
        snprintf(
            text, n,
            "has format %u.%u, this program reads %u.x: use the program that came with that server",
            h->major, h->minor, SHM_MAJOR);
        return text;
    }
    if (h->file_size > size || h->header_size < sizeof(struct shm_index) || h->header_size > size)
        return "is damaged: its header does not fit its size";
    return NULL;
}
