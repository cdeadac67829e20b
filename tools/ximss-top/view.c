// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#include "tools/ximss-top/view.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* With the longest row less than 64 KiB: memory that is touched anew costs more than a write. */
#define FLUSH_AT (60 * 1024)

static bool contains(const char *text, const char *part)
{
    struct str p = str_of(part);
    char first = str_lower(part[0]);
    for (struct str t = str_of(text);; t.p++, t.n--) {
        if (str_lower(*t.p) == first && str_istarts(t, p))
            return true;
        if (t.n == 0)
            return p.n == 0;
    }
}

static void ip_text(const struct shm_row *row, char *out)
{
    if (row->family == SHM_FAMILY_IP4) {
        /* Nearly every row: inet_ntop() would take a printf for it. */
        for (int i = 0; i < 4; i++) {
            unsigned n = row->address[i];
            if (n >= 100)
                *out++ = (char)('0' + n / 100);
            if (n >= 10)
                *out++ = (char)('0' + n / 10 % 10);
            *out++ = (char)('0' + n % 10);
            *out++ = i < 3 ? '.' : 0;
        }
        return;
    }
    out[0] = 0;
    if (row->family == SHM_FAMILY_IP6)
        inet_ntop(AF_INET6, row->address, out, INET6_ADDRSTRLEN);
}

const char *view_status(const struct view *v, const struct shm_row *row, char number[VIEW_NUMBER])
{
    const char *text = row->op != 0 ? shm_reader_op_monitor(v->reader, row->op)
                                    : shm_reader_state(v->reader, row->state);
    if (text != NULL && text[0] == 0 && row->op != 0)
        text = shm_reader_op(v->reader, row->op);
    if (text != NULL)
        return text;
    if (row->op != 0)
        snprintf(number, VIEW_NUMBER, "operation %u", row->op);
    else
        snprintf(number, VIEW_NUMBER, "state %u", row->state);
    return number;
}

static bool matches(const struct view *v, const struct shm_row *row)
{
    char account[SHM_TEXT_MAX(SHM_ACCOUNT_LEN)], ip[INET6_ADDRSTRLEN], number[VIEW_NUMBER];
    if (v->account != NULL || v->any != NULL)
        shm_field_text(row->account, sizeof(row->account), account);
    if (v->account != NULL && !contains(account, v->account))
        return false;
    if (v->ip != NULL || v->any != NULL)
        ip_text(row, ip);
    if (v->ip != NULL && !contains(ip, v->ip))
        return false;
    return v->any == NULL || contains(account, v->any) || contains(ip, v->any) ||
           contains(view_status(v, row, number), v->any);
}

/* By id: a radix sort, byte by byte; bytes that are the same everywhere cost one look. ERR_NOMEM. */
static CHECKED enum err sort(const struct shm_row **row, size_t n)
{
    const struct shm_row **from = row, **to = malloc((n + 1) * sizeof(*to)), **spare = to;
    if (to == NULL)
        return ERR_NOMEM;
    for (unsigned shift = 0; shift < 32; shift += 8) {
        size_t at[256] = {0}, sum = 0;
        for (size_t i = 0; i < n; i++)
            at[from[i]->session >> shift & 255]++;
        if (at[from[0]->session >> shift & 255] == n)
            continue;
        for (size_t b = 0; b < 256; b++) {
            size_t count = at[b];
            at[b] = sum;
            sum += count;
        }
        for (size_t i = 0; i < n; i++)
            to[at[from[i]->session >> shift & 255]++] = from[i];
        const struct shm_row **swap = from;
        from = to;
        to = swap;
    }
    if (from != row)
        memcpy(row, from, n * sizeof(*row));
    free(spare);
    return ERR_OK;
}

enum err view_select(struct view *v)
{
    struct shm_place at = {0};
    uint32_t last = 0;
    bool sorted = true;
    v->row = malloc((shm_reader_rows(v->reader) + 1) * sizeof(struct shm_row *));
    if (v->row == NULL)
        return ERR_NOMEM;
    for (const struct shm_row *row; (row = shm_reader_next(v->reader, &at)) != NULL;) {
        v->total++;
        if (!matches(v, row))
            continue;
        sorted = sorted && row->session >= last;
        last = row->session;
        v->row[v->selected++] = row;
    }
    return sorted ? ERR_OK : sort(v->row, v->selected);
}

void view_free(struct view *v)
{
    free(v->row);
    v->row = NULL;
    v->selected = v->total = 0;
}

int64_t view_age(const struct view *v, int64_t then)
{
    int64_t d;
    return __builtin_sub_overflow(v->now, then, &d) || d < 0 ? 0 : d;
}

static int64_t seconds(const struct view *v, int64_t then)
{
    return view_age(v, then) / CLOCK_SEC;
}

static uint64_t clamp(uint64_t n)
{
    return n < SHM_MAX_COUNT ? n : SHM_MAX_COUNT;
}

void view_item(const struct view *v, const struct shm_row *row, struct item *it)
{
    it->id = row->session;
    it->port = row->port;
    ip_text(row, it->ip);
    shm_field_text(row->account, sizeof(row->account), it->account);
    it->status = view_status(v, row, it->number);
    it->transport = row->transport == SHM_TRANSPORT_TCP    ? "tcp"
                    : row->transport == SHM_TRANSPORT_HTTP ? "http"
                                                           : "";
    it->tls = row->tls == 0        ? ""
              : row->tls == 0x0303 ? "TLSv1.2"
              : row->tls == 0x0304 ? "TLSv1.3"
                                   : "unknown";
    it->connected = seconds(v, row->connected);
    it->running = row->op != 0 || row->started != 0;
    it->since = it->running && row->started != 0 ? seconds(v, row->started) : 0;
    it->bytes_in = clamp(row->bytes_in);
    it->bytes_out = clamp(row->bytes_out);
    it->requests = clamp(row->requests);
}

void view_flush(struct view *v, bool all)
{
    if (buf_err(v->out) != ERR_OK) {
        fputs("ximss-top: no memory for the output\n", stderr);
        exit(VIEW_EXIT_OUTPUT);
    }
    if (!all && v->out->n < FLUSH_AT)
        return;
    for (struct str s = buf_slice(v->out); s.n != 0;) {
        ssize_t n = write(STDOUT_FILENO, s.p, s.n);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0) {
            fprintf(stderr, "ximss-top: cannot write: %s\n", strerror(errno));
            exit(VIEW_EXIT_OUTPUT);
        }
        s.p += n;
        s.n -= (size_t)n;
    }
    buf_clear(v->out);
}
