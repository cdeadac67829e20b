// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit/shm/shmkit.h"

static void rights_whatever_the_umask(void **state)
{
    (void)state;
    struct kit k;
    struct proc p;
    struct stat st;
    for (int i = 0; i < 2; i++) {
        mode_t old = umask(i == 0 ? 0 : 077);
        kit_init(&k, 1);
        kit_proc(&k, &p, "worker", 1, 1);
        umask(old);
        assert_int_equal(stat(kit_path(&k, ""), &st), 0);
        assert_int_equal(st.st_mode & 07777, 0750);
        assert_int_equal(stat(kit_path(&k, "index"), &st), 0);
        assert_int_equal(st.st_mode & 07777, 0640);
        assert_int_equal(stat(kit_path(&k, "worker-1.1"), &st), 0);
        assert_int_equal(st.st_mode & 07777, 0640);
        assert_int_equal(st.st_size, p.size);
        shm_detach(&p.w);
        kit_free(&k);
    }
}

/* A new start removes what a killed one left, and its index is another file. */
static void fresh_start(void **state)
{
    (void)state;
    struct kit k;
    struct proc p;
    struct stat a, b;
    struct shm_setup s = kit_setup(2);
    kit_init(&k, 2);
    kit_proc(&k, &p, "worker", 1, 1);
    shm_detach(&p.w);
    shm_master_free(&k.m, false);
    int fd = open(kit_path(&k, "index.new"), O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    close(fd);
    assert_int_equal(stat(kit_path(&k, "index"), &a), 0);
    assert_int_equal(shm_master_new(&k.m, k.fd, &s), 0);
    assert_int_equal(stat(kit_path(&k, "index"), &b), 0);
    assert_true(a.st_ino != b.st_ino);
    assert_int_equal(access(kit_path(&k, "worker-1.1"), F_OK), -1);
    assert_int_equal(access(kit_path(&k, "index.new"), F_OK), -1);
    kit_proc(&k, &p, "worker", 1, 1);
    shm_detach(&p.w);
    kit_free(&k);
}

/* n - 1, n, n + 1 segments; a retired one makes room. */
static void segment_cap(void **state)
{
    (void)state;
    struct kit k;
    struct proc p[3], more;
    int fd;
    kit_init(&k, 3);
    for (uint32_t i = 0; i < 3; i++)
        kit_proc(&k, &p[i], "worker", i, 1);
    assert_int_equal(shm_master_segment(k.m, "worker", 3, 1, 1, &more.slot, &fd, &more.size),
                     ENOSPC);
    shm_master_retire(k.m, p[1].slot);
    assert_int_equal(access(kit_path(&k, "worker-1.1"), F_OK), -1);
    kit_proc(&k, &more, "keeper", 3, 1);
    assert_int_equal(more.slot, p[1].slot);
    for (uint32_t i = 0; i < 3; i++)
        shm_detach(&p[i].w);
    shm_detach(&more.w);
    kit_free(&k);
}

static void setup_caps(void **state)
{
    (void)state;
    struct kit k;
    struct shm_master *m;
    kit_init(&k, 1);
    static const uint32_t bad[] = {0, SHM_MAX_SEGMENTS + 1},
                          good[] = {1, SHM_MAX_SEGMENTS - 1, SHM_MAX_SEGMENTS};
    for (size_t i = 0; i < 2; i++) {
        struct shm_setup s = kit_setup(bad[i]);
        assert_int_equal(shm_master_new(&m, k.fd, &s), EINVAL);
        assert_null(m);
    }
    for (size_t i = 0; i < 3; i++) {
        struct shm_setup s = kit_setup(good[i]);
        assert_int_equal(shm_master_new(&m, k.fd, &s), 0);
        shm_master_free(&m, false);
    }
    kit_free(&k);
}

static void roles(void **state)
{
    (void)state;
    static const char *const bad[] = {"", "..", "a/b", "Worker", "worker1", "aaaaaaaaaaaaaaaa"};
    struct kit k;
    struct proc p;
    int fd;
    kit_init(&k, 4);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_int_equal(shm_master_segment(k.m, bad[i], 1, 1, 1, &p.slot, &fd, &p.size), EINVAL);
    assert_int_equal(
        shm_master_segment(k.m, "worker", 1, 1, SHM_MAX_ROWS + 1, &p.slot, &fd, &p.size), EINVAL);
    kit_proc(&k, &p, "aaaaaaaaaaaaaaa", UINT32_MAX, 1);
    shm_detach(&p.w);
    assert_int_equal(
        shm_master_segment(k.m, "aaaaaaaaaaaaaaa", UINT32_MAX, 1, 1, &p.slot, &fd, &p.size),
        EEXIST);
    kit_free(&k);
}

/* COUNTERs live on when a process dies, gauges do not; a liar's values are clamped; nothing ever goes back. */
static void retired_sums(void **state)
{
    (void)state;
    struct kit k;
    struct proc a, b;
    kit_init(&k, 2);
    struct shm_reader *r = shm_reader_new(k.dir);
    kit_proc(&k, &a, "worker", 1, 1);
    kit_proc(&k, &b, "worker", 2, 1);
    shm_count_add(&a.w, SHM_XIMSS_TOTAL, 10);
    shm_count_add(&a.w, SHM_XIMSS_ACTIVE, 4);
    shm_count_add(&b.w, SHM_XIMSS_TOTAL, 5);
    shm_count_add(&b.w, SHM_XIMSS_ACTIVE, 1);
    assert_int_equal(shm_reader_refresh(r, NOW), SHM_OK);
    assert_int_equal(kit_value(r, "ximssTotal"), 15);
    assert_int_equal(kit_value(r, "ximssActive"), 5);
    shm_master_retire(k.m, a.slot);
    assert_int_equal(shm_reader_refresh(r, NOW), SHM_OK);
    assert_int_equal(kit_value(r, "ximssTotal"), 15);
    assert_int_equal(kit_value(r, "ximssActive"), 1);
    shm_count_add(&b.w, SHM_XIMSS_TOTAL, UINT64_MAX - 20);
    assert_int_equal(shm_reader_refresh(r, NOW), SHM_OK);
    assert_int_equal(kit_value(r, "ximssTotal"), SHM_MAX_COUNT);
    shm_master_retire(k.m, b.slot);
    assert_int_equal(shm_reader_refresh(r, NOW), SHM_OK);
    assert_int_equal(kit_value(r, "ximssTotal"), SHM_MAX_COUNT);
    assert_int_equal(kit_value(r, "ximssActive"), 0);
    shm_detach(&a.w);
    shm_detach(&b.w);
    shm_reader_free(&r);
    kit_free(&k);
}

/* Processes come and die at full speed while somebody reads: the sum only grows, and nothing is counted twice. */
static void counters_never_go_back(void **state)
{
    (void)state;
    enum { LIVES = 1500, EACH = 10 };
    struct kit k;
    uint64_t last = 0, steps = 0;
    int st;
    kit_init(&k, 2);
    pid_t pid = fork();
    if (pid == 0) {
        alarm(600);
        for (uint32_t i = 0; i < LIVES; i++) {
            struct proc p;
            kit_proc(&k, &p, "worker", i, 1);
            for (int n = 0; n < EACH; n++)
                shm_count_add(&p.w, SHM_XIMSS_TOTAL, 1);
            usleep(300);
            shm_master_retire(k.m, p.slot);
            shm_detach(&p.w);
        }
        _exit(0);
    }
    struct shm_reader *r = shm_reader_new(k.dir);
    while (waitpid(pid, &st, WNOHANG) == 0) {
        assert_int_equal(shm_reader_refresh(r, NOW), SHM_OK);
        uint64_t now = kit_value(r, "ximssTotal");
        assert_true(now >= last && now <= LIVES * EACH);
        steps += now > last;
        last = now;
    }
    assert_true(WIFEXITED(st) && WEXITSTATUS(st) == 0);
    assert_int_equal(shm_reader_refresh(r, NOW), SHM_OK);
    assert_int_equal(kit_value(r, "ximssTotal"), LIVES * EACH);
    assert_true(steps > 10);
    shm_reader_free(&r);
    kit_free(&k);
}

/* A dead owner's file may have any size: the master reads, it does not map. */
static void retire_of_a_cut_segment(void **state)
{
    (void)state;
    struct kit k;
    struct proc p;
    kit_init(&k, 1);
    kit_proc(&k, &p, "worker", 1, 100);
    assert_int_equal(truncate(kit_path(&k, "worker-1.1"), 100), 0);
    shm_master_retire(k.m, p.slot);
    shm_detach(&p.w);
    kit_free(&k);
}

static void orderly_stop(void **state)
{
    (void)state;
    struct kit k;
    struct proc p;
    kit_init(&k, 1);
    kit_proc(&k, &p, "worker", 1, 1);
    shm_count_add(&p.w, SHM_XIMSS_TOTAL, 3);
    shm_detach(&p.w);
    shm_master_free(&k.m, true);
    assert_int_equal(access(kit_path(&k, "worker-1.1"), F_OK), -1);
    struct shm_reader *r = shm_reader_new(k.dir);
    assert_int_equal(shm_reader_refresh(r, NOW), SHM_OK);
    assert_false(shm_reader_server(r)->running);
    assert_int_equal(shm_reader_server(r)->silence, -1);
    assert_int_equal(kit_value(r, "ximssTotal"), 3);
    shm_reader_free(&r);
    kit_free(&k);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(rights_whatever_the_umask),
                                       cmocka_unit_test(fresh_start),
                                       cmocka_unit_test(segment_cap),
                                       cmocka_unit_test(setup_caps),
                                       cmocka_unit_test(roles),
                                       cmocka_unit_test(retired_sums),
                                       cmocka_unit_test(counters_never_go_back),
                                       cmocka_unit_test(retire_of_a_cut_segment),
                                       cmocka_unit_test(orderly_stop)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
