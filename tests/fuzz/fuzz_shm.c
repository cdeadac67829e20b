// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
/*
 * fuzz_shm: the table's reader on an arbitrary index and segment.
 *
 * Input: two bytes with the index's length (little-endian), the index, the rest is the file worker-1.1. The time is
 * fixed: FUZZ_NOW in the seeds is a fresh heartbeat.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/bug.h"
#include "base/utf8.h"
#include "shm/shm_names.h"
#include "shm/shm_reader.h"

#define FUZZ_NOW INT64_C(5000000000000)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static char dir[64], sub[80], file[2][112];

static void clean_up(void)
{
    unlink(file[0]);
    unlink(file[1]);
    rmdir(sub);
    rmdir(dir);
}

static void set_up(void)
{
    snprintf(dir, sizeof(dir), "%s/fuzz-shm-XXXXXX",
             access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    BUG_IF(mkdtemp(dir) == NULL);
    snprintf(sub, sizeof(sub), "%s/" SHM_DIR, dir);
    BUG_IF(mkdir(sub, 0700) != 0);
    snprintf(file[0], sizeof(file[0]), "%s/" SHM_INDEX, sub);
    snprintf(file[1], sizeof(file[1]), "%s/worker-1.1", sub);
    atexit(clean_up);
}

static void save(const char *path, const uint8_t *p, size_t n)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    BUG_IF(fd < 0 || write(fd, p, n) != (ssize_t)n);
    close(fd);
}

static void check(const char *text)
{
    BUG_IF(text != NULL && !utf8_valid(str_of(text)));
    for (; text != NULL && *text != 0; text++)
        BUG_IF((unsigned char)*text < 0x20 || *text == 0x7f);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    char text[SHM_TEXT_MAX(SHM_ACCOUNT_LEN)];
    struct shm_place at = {0};
    struct shm_value v;
    if (n < 2)
        return 0;
    if (dir[0] == 0)
        set_up();
    size_t index = (size_t)data[0] | (size_t)data[1] << 8;
    if (index > n - 2)
        index = n - 2;
    save(file[0], data + 2, index);
    save(file[1], data + 2 + index, n - 2 - index);
    struct shm_reader *r = shm_reader_new(dir);
    BUG_IF(r == NULL);
    for (int i = 0; i < 2; i++)
        (void)shm_reader_refresh(r, FUZZ_NOW);
    for (const struct shm_row *row; (row = shm_reader_next(r, &at)) != NULL;) {
        shm_field_text(row->account, sizeof(row->account), text);
        check(text);
        check(shm_reader_op(r, row->op));
        check(shm_reader_op_monitor(r, row->op));
        check(shm_reader_state(r, row->state));
    }
    for (size_t i = 0; shm_reader_value(r, i, &v); i++) {
        check(v.name);
        check(v.unit);
        check(v.help);
        BUG_IF(v.value > SHM_MAX_COUNT);
    }
    check(shm_reader_server(r)->version);
    check(shm_reader_why(r));
    shm_reader_free(&r);
    return 0;
}
