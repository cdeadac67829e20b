// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#include "tests/unit/shm/shmkit.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static const struct shm_op_name ops[] = {
    {1, "noop", "noop"}, {2, "folderBrowse", "listing messages"}, {7, "login", "authenticating"}};

struct shm_setup kit_setup(uint32_t segments)
{
    return (struct shm_setup){.version = "0.1.0",
                              .wall = INT64_C(1178094793) * SEC,
                              .mono = NOW,
                              .pid = getpid(),
                              .group = (gid_t)-1,
                              .channels = 1000,
                              .workers = 2,
                              .keepers = 1,
                              .max_segments = segments,
                              .ops = ops,
                              .nops = 3};
}

void kit_init(struct kit *k, uint32_t segments)
{
    struct shm_setup s = kit_setup(segments);
    snprintf(k->dir, sizeof(k->dir), "%s/shmkit-XXXXXX",
             access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    assert_non_null(mkdtemp(k->dir));
    k->fd = open(k->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_true(k->fd >= 0);
    assert_int_equal(shm_master_new(&k->m, k->fd, &s), 0);
}

void kit_free(struct kit *k)
{
    shm_master_free(&k->m, true);
    unlink(kit_path(k, SHM_INDEX));
    unlinkat(k->fd, SHM_DIR, AT_REMOVEDIR);
    close(k->fd);
    assert_int_equal(rmdir(k->dir), 0);
}

void kit_proc(struct kit *k, struct proc *p, const char *role, uint32_t number, uint32_t rows)
{
    int fd;
    assert_int_equal(shm_master_segment(k->m, role, number, 1, rows, &p->slot, &fd, &p->size), 0);
    assert_int_equal(shm_attach(&p->w, fd, p->size), 0);
    close(fd);
    shm_master_pid(k->m, p->slot, getpid(), NOW);
}

const char *kit_path(const struct kit *k, const char *name)
{
    static char path[192];
    snprintf(path, sizeof(path), "%s/%s/%s", k->dir, SHM_DIR, name);
    return path;
}

struct shm_row kit_row(uint32_t session, const char *account)
{
    struct shm_row row = {.session = session,
                          .state = SHM_STATE_READING_REQUEST,
                          .connected = NOW - 34 * SEC,
                          .bytes_in = 1,
                          .bytes_out = 2,
                          .requests = 3,
                          .address = {192, 0, 2, 7},
                          .port = 50000,
                          .family = SHM_FAMILY_IP4,
                          .transport = SHM_TRANSPORT_TCP,
                          .tls = 0x0304};
    shm_row_set_account(&row, account, strlen(account));
    return row;
}

uint64_t kit_value(const struct shm_reader *r, const char *name)
{
    struct shm_value v;
    for (size_t i = 0; shm_reader_value(r, i, &v); i++)
        if (strcmp(v.name, name) == 0)
            return v.value;
    fail_msg("no element %s", name);
    return 0;
}
