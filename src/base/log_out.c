// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#include "base/log_out.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log_form.h"

#define BATCH 64 /* records of one write */

_Static_assert(LOG_STREAM_LINE <= PIPE_BUF, "a line is written to a pipe whole or not at all");

/* Records that wait: length u32, bytes. */
static struct {
    int fd;
    enum log_out_kind kind;
    bool blocks; /* a stream without O_NONBLOCK */
    bool torn;   /* the last thing in the file is half a record */
    uint64_t lost;
    int why;  /* errno of what failed last, while `lost` counts */
    size_t n; /* bytes of `pending` in use */
    char pending[LOG_PENDING];
} out = {.fd = STDERR_FILENO, .kind = LOG_OUT_STREAM, .blocks = true};

static enum log_out_kind kind_of(int fd)
{
    struct stat st;
    if (fstat(fd, &st) != 0)
        return LOG_OUT_STREAM;
    return S_ISREG(st.st_mode)    ? LOG_OUT_FILE
           : S_ISSOCK(st.st_mode) ? LOG_OUT_SOCKET
                                  : LOG_OUT_STREAM;
}

static uint32_t length_at(size_t at)
{
    uint32_t len;
    memcpy(&len, out.pending + at, sizeof len);
    return len;
}

/* What waits cannot go to the new place: a datagram is no line, and a line no datagram. */
static void give_up_pending(void)
{
    for (size_t at = 0; at < out.n; at += sizeof(uint32_t) + length_at(at))
        out.lost++;
    out.n = 0;
}

void log_out_open(int fd, bool journal)
{
    log_out_flush();
    if (journal != (out.kind == LOG_OUT_JOURNAL))
        give_up_pending();
    out.fd = fd;
    out.kind = journal ? LOG_OUT_JOURNAL : kind_of(fd);
    out.torn = false;
    int flags = fcntl(fd, F_GETFL);
    out.blocks = out.kind == LOG_OUT_STREAM && (flags & O_NONBLOCK) == 0;
}

enum log_out_kind log_out_kind(void)
{
    return out.kind;
}

void log_out_unblock(int fd)
{
    char path[32];
    int flags = fcntl(fd, F_GETFL);
    if (flags < 0 || kind_of(fd) != LOG_OUT_STREAM || (flags & O_NONBLOCK) != 0)
        return;
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    int own = open(path, (flags & O_ACCMODE) | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (own < 0)
        return;
    if (dup2(own, fd) < 0) { /* as before, then */
    }
    close(own);
}

/* --- one write */

static bool is_ready(void)
{
    struct pollfd p = {.fd = out.fd, .events = POLLOUT};
    return poll(&p, 1, 0) == 1 && (p.revents & POLLOUT) != 0;
}

static ssize_t put(struct iovec *v, size_t n)
{
    struct msghdr m = {.msg_iov = v, .msg_iovlen = n};
    if (out.blocks && !is_ready()) {
        errno = EAGAIN;
        return -1;
    }
    ssize_t done;
    do
        done = out.kind == LOG_OUT_SOCKET || out.kind == LOG_OUT_JOURNAL
                   ? sendmsg(out.fd, &m, MSG_DONTWAIT | MSG_NOSIGNAL)
                   : writev(out.fd, v, (int)n);
    while (done < 0 && errno == EINTR);
    return done;
}

/* How many bytes may go in one write, so that it is done wholly or not at all. */
static size_t batch_bytes(void)
{
    return out.kind == LOG_OUT_FILE ? LOG_PENDING : LOG_STREAM_LINE;
}

/* The next records that leave together, from `at`; returns how many pieces, and the bytes in *sum. */
static size_t gather(size_t at, struct iovec *v, size_t *sum)
{
    static char line_break[1] = {'\n'};
    size_t n = 0;
    *sum = 0;
    if (out.torn) {
        v[n++] = (struct iovec){line_break, 1};
        *sum = 1;
    }
    while (at < out.n && n < BATCH) {
        uint32_t len = length_at(at);
        if (*sum != 0 && (*sum + len > batch_bytes() || out.kind == LOG_OUT_JOURNAL))
            break;
        v[n++] = (struct iovec){out.pending + at + sizeof len, len};
        *sum += len;
        at += sizeof len + len;
    }
    return n;
}

/*
 * Takes the first `n` bytes of a record, which was not written to its end, back out of a file. Others write to it too:
 * only if they still are its last ones.
 */
static bool take_back(const char *bytes, size_t n)
{
    char last[LOG_LINE + LOG_CUT_ROOM];
    struct stat st;
    if (out.kind != LOG_OUT_FILE || n > sizeof last || fstat(out.fd, &st) != 0 ||
        st.st_size < (off_t)n)
        return false;
    off_t at = st.st_size - (off_t)n;
    return pread(out.fd, last, n, at) == (ssize_t)n && memcmp(last, bytes, n) == 0 &&
           ftruncate(out.fd, at) == 0;
}

/* Of `done` bytes that went out: steps over whole records. Half a one is taken back, or what is left of it is lost. */
static size_t step(size_t at, size_t done)
{
    if (out.torn && done != 0) {
        out.torn = false;
        done--;
    }
    while (done != 0) {
        uint32_t len = length_at(at);
        if (done < len && take_back(out.pending + at + sizeof len, done))
            return at;
        at += sizeof len + len;
        if (done < len) {
            out.torn = true;
            out.lost++;
            return at;
        }
        done -= len;
    }
    return at;
}

static bool write_pending(void)
{
    struct iovec v[BATCH + 1];
    size_t at = 0, sum;
    bool ok = true;
    while (at < out.n && ok) {
        size_t n = gather(at, v, &sum);
        ssize_t done = put(v, n);
        if (done != (ssize_t)sum)
            out.why = done < 0 ? errno : ENOSPC;
        if (done < 0 && errno == EMSGSIZE) { /* no datagram of this size will ever go out */
            done = (ssize_t)sum;
            out.lost++;
        }
        ok = done == (ssize_t)sum;
        at = step(at, done > 0 ? (size_t)done : 0);
    }
    if (at != 0)
        memmove(out.pending, out.pending + at, out.n - at);
    out.n -= at;
    return ok;
}

static void keep(const char *bytes, size_t n)
{
    uint32_t len = (uint32_t)n;
    memcpy(out.pending + out.n, &len, sizeof len);
    memcpy(out.pending + out.n + sizeof len, bytes, n);
    out.n += sizeof len + n;
}

/* Records go out again: says what is missing. */
static bool tell_lost(void)
{
    char record[512];
    size_t n = log_form_lost(record, sizeof record, out.kind == LOG_OUT_JOURNAL, out.lost, out.why);
    out.lost = 0;
    keep(record, n); /* nothing is pending: there is room */
    return write_pending();
}

bool log_out_flush(void)
{
    if (out.n != 0 && !write_pending())
        return false;
    return out.lost == 0 || tell_lost();
}

void log_out_put(const char *bytes, size_t n)
{
    if (out.n + sizeof(uint32_t) + n > sizeof out.pending)
        log_out_flush();
    if (out.lost != 0 || out.n + sizeof(uint32_t) + n > sizeof out.pending) {
        out.lost++; /* also when a shorter one would fit: what is missing is missing in one piece */
        return;
    }
    keep(bytes, n);
}

void log_out_drain(int ms)
{
    int64_t end = clock_mono() + ms * CLOCK_MS;
    while (!log_out_flush() && clock_mono() < end)
        poll(NULL, 0, 5);
}
