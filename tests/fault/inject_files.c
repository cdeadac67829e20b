// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
/* inject.so: files and their bytes. */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "inject_int.h"

/* --- bytes */

ssize_t read(int fd, void *to, size_t n)
{
    FAULT(read, fault_fd_below(fd));
    DONE(syscall(SYS_read, fd, to, fault_size(act, n)));
}

ssize_t __read_chk(int fd, void *to, size_t n, size_t room);
ssize_t __read_chk(int fd, void *to, size_t n, size_t room)
{
    return read(fd, to, n < room ? n : room);
}

ssize_t readv(int fd, const struct iovec *v, int n)
{
    FAULT(read, fault_fd_below(fd));
    DONE(syscall(SYS_readv, fd, v, n));
}

ssize_t pread(int fd, void *to, size_t n, off_t at)
{
    FAULT(pread, fault_fd_below(fd));
    DONE(syscall(SYS_pread64, fd, to, fault_size(act, n), at));
}

ssize_t pread64(int fd, void *to, size_t n, off_t at)
{
    return pread(fd, to, n, at);
}

ssize_t write(int fd, const void *from, size_t n)
{
    if (fd == STDERR_FILENO)
        return syscall(SYS_write, fd, from, n);
    FAULT(write, fault_fd_below(fd));
    DONE(syscall(SYS_write, fd, from, fault_size(act, n)));
}

ssize_t writev(int fd, const struct iovec *v, int n)
{
    FAULT(write, fault_fd_below(fd));
    DONE(syscall(SYS_writev, fd, v, n));
}

ssize_t pwrite(int fd, const void *from, size_t n, off_t at)
{
    FAULT(pwrite, fault_fd_below(fd));
    DONE(syscall(SYS_pwrite64, fd, from, fault_size(act, n), at));
}

ssize_t pwrite64(int fd, const void *from, size_t n, off_t at)
{
    return pwrite(fd, from, n, at);
}

/* --- files */

static int open_it(int dir, const char *path, int flags, mode_t mode)
{
    FAULT(open, fault_path_below(path));
    int fd = (int)syscall(SYS_openat, dir, path, flags, mode);
    if (fd >= 0 && fd < FAULT_FILES)
        fault_below[fd] = fault_path_below(path);
    fault_after(act);
    return fd;
}

static mode_t mode_of(int flags, va_list ap)
{
    return (flags & O_CREAT) != 0 || (flags & O_TMPFILE) == O_TMPFILE ? va_arg(ap, mode_t) : 0;
}

#define OPEN(name)                                   \
    int name(const char *path, int flags, ...)       \
    {                                                \
        va_list ap;                                  \
        va_start(ap, flags);                         \
        mode_t mode = mode_of(flags, ap);            \
        va_end(ap);                                  \
        return open_it(AT_FDCWD, path, flags, mode); \
    }
OPEN(open)
OPEN(open64)
#define OPENAT(name)                                    \
    int name(int dir, const char *path, int flags, ...) \
    {                                                   \
        va_list ap;                                     \
        va_start(ap, flags);                            \
        mode_t mode = mode_of(flags, ap);               \
        va_end(ap);                                     \
        return open_it(dir, path, flags, mode);         \
    }
OPENAT(openat)
OPENAT(openat64)

int close(int fd)
{
    if (fd >= 0 && fd < FAULT_FILES)
        fault_below[fd] = false;
    return (int)syscall(SYS_close, fd);
}

int fsync(int fd)
{
    FAULT(fsync, fault_fd_below(fd));
    DONE((int)syscall(SYS_fsync, fd));
}

int fdatasync(int fd)
{
    FAULT(fsync, fault_fd_below(fd));
    DONE((int)syscall(SYS_fdatasync, fd));
}

int ftruncate(int fd, off_t n)
{
    FAULT(truncate, fault_fd_below(fd));
    DONE((int)syscall(SYS_ftruncate, fd, n));
}

int ftruncate64(int fd, off_t n)
{
    return ftruncate(fd, n);
}

int posix_fallocate(int fd, off_t at, off_t n)
{
    enum fault_action act = fault_judge(FAULT_CALL_truncate, fault_fd_below(fd));
    if (act == FAULT_FAIL)
        return errno;
    int rc = syscall(SYS_fallocate, fd, 0, at, n) == 0 ? 0 : errno;
    fault_after(act);
    return rc;
}

int chroot(const char *path)
{
    fault_new_root(); /* which is where the program already is */
    return (int)syscall(SYS_chroot, path);
}

int rename(const char *from, const char *to)
{
    FAULT(rename, fault_path_below(to));
    DONE((int)syscall(SYS_rename, from, to));
}

int renameat(int from_dir, const char *from, int to_dir, const char *to)
{
    FAULT(rename, fault_path_below(to));
    DONE((int)syscall(SYS_renameat, from_dir, from, to_dir, to));
}

int unlink(const char *path)
{
    FAULT(unlink, fault_path_below(path));
    DONE((int)syscall(SYS_unlink, path));
}

int unlinkat(int dir, const char *path, int flags)
{
    FAULT(unlink, fault_path_below(path));
    DONE((int)syscall(SYS_unlinkat, dir, path, flags));
}

int mkdir(const char *path, mode_t mode)
{
    FAULT(mkdir, fault_path_below(path));
    DONE((int)syscall(SYS_mkdir, path, mode));
}

int mkdirat(int dir, const char *path, mode_t mode)
{
    FAULT(mkdir, fault_path_below(path));
    DONE((int)syscall(SYS_mkdirat, dir, path, mode));
}

/* glibc has the kernel's struct stat here. */
#define STAT(name, type, ...)                                                \
    int name(const char *path, struct type *st)                              \
    {                                                                        \
        FAULT(stat, fault_path_below(path));                                 \
        DONE((int)syscall(SYS_newfstatat, AT_FDCWD, path, st, __VA_ARGS__)); \
    }
STAT(stat, stat, 0)
STAT(stat64, stat64, 0)
STAT(lstat, stat, AT_SYMLINK_NOFOLLOW)
STAT(lstat64, stat64, AT_SYMLINK_NOFOLLOW)

int fstat(int fd, struct stat *st)
{
    FAULT(stat, fault_fd_below(fd));
    DONE((int)syscall(SYS_fstat, fd, st));
}

int fstat64(int fd, struct stat64 *st)
{
    FAULT(stat, fault_fd_below(fd));
    DONE((int)syscall(SYS_fstat, fd, st));
}

int flock(int fd, int how)
{
    FAULT(lock, fault_fd_below(fd));
    DONE((int)syscall(SYS_flock, fd, how));
}

static int fcntl_it(int fd, int cmd, void *arg)
{
    bool lock = cmd == F_SETLK || cmd == F_SETLKW;
    /* On a local file system it does not fail to give a lock back. */
    if (lock && ((const struct flock *)arg)->l_type == F_UNLCK)
        return (int)syscall(SYS_fcntl, fd, cmd, arg);
    if (lock) {
        FAULT(lock, fault_fd_below(fd));
        DONE((int)syscall(SYS_fcntl, fd, cmd, arg));
    }
    FAULT(fcntl, fault_fd_below(fd));
    DONE((int)syscall(SYS_fcntl, fd, cmd, arg));
}

#define FCNTL(name)                     \
    int name(int fd, int cmd, ...)      \
    {                                   \
        va_list ap;                     \
        va_start(ap, cmd);              \
        void *arg = va_arg(ap, void *); \
        va_end(ap);                     \
        return fcntl_it(fd, cmd, arg);  \
    }
FCNTL(fcntl)
FCNTL(fcntl64)
