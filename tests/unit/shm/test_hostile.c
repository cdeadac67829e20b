// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
/*
 * Forged tables through the reader library: random images, and files that change and are cut while they are read.
 * No crash, nothing over a second, texts always clean. XIMSSD_HOSTILE=1000000 for the long form; XIMSSD_SEED repeats.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/utf8.h"
#include "shm/shm_names.h"
#include "tests/unit/shm/shmkit.h"

enum { IMAGES = 20000, IMAGE_MAX = 16384 };

static uint64_t rng;

static uint64_t rnd(void)
{
    rng ^= rng << 13;
    rng ^= rng >> 7;
    rng ^= rng << 17;
    return rng;
}

/* Numbers that make trouble. */
static uint64_t nasty(void)
{
    static const uint64_t edge[] = {
        0,          1,         7,         8,          255,  256,    257,      65535,
        UINT32_MAX, INT32_MAX, INT64_MAX, UINT64_MAX, 4096, 0x8000, 1u << 20, UINT64_MAX - 7};
    uint64_t r = rnd();
    return (r & 1) != 0 ? r >> (r & 63)
                        : edge[(r >> 8) % (sizeof(edge) / sizeof(edge[0]))] + ((r >> 20) & 3) - 1;
}

struct image {
    char bytes[IMAGE_MAX];
    size_t n;
};

static void load(struct image *im, const char *path)
{
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    im->n = fread(im->bytes, 1, sizeof(im->bytes), f);
    assert_true(im->n < sizeof(im->bytes));
    fclose(f);
}

static void save(const struct image *im, const char *path)
{
    int fd = open(path, O_WRONLY | O_TRUNC | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, im->bytes, im->n), im->n);
    close(fd);
}

/* Changes of the kinds that matter: header words, any words, bytes, cuts, whole garbage. */
static void spoil(struct image *im)
{
    uint64_t kind = rnd() % 16;
    if (kind == 0)
        for (size_t i = rnd() % 2 * 40; i < im->n; i++)
            im->bytes[i] = (char)rnd();
    for (uint64_t i = rnd() % 12; i > 0; i--) {
        uint64_t v = nasty();
        size_t width = (size_t)1 << rnd() % 4;
        size_t range = (rnd() & 1) != 0 ? 256 : im->n;
        size_t at = rnd() % (range / width) * width;
        if (at >= 16 || kind > 13) /* mostly, the magic stays */
            memcpy(im->bytes + at, &v, width);
    }
    if (kind == 1)
        im->n = rnd() % im->n;
}

/* Looks at everything, as a monitor would. */
static void look(struct shm_reader *r)
{
    struct shm_place at = {0};
    char text[SHM_TEXT_MAX(SHM_ACCOUNT_LEN)];
    struct shm_value v;
    size_t n = 0;
    for (const struct shm_row *row; (row = shm_reader_next(r, &at)) != NULL; n++) {
        size_t len = shm_field_text(row->account, SHM_ACCOUNT_LEN, text);
        assert_true(utf8_valid((struct str){text, len}));
        for (size_t i = 0; i < len; i++)
            assert_true((unsigned char)text[i] >= 0x20 && text[i] != 0x7f);
        const char *name = shm_reader_op_monitor(r, row->op);
        assert_true(name == NULL || utf8_valid(str_of(name)));
        name = shm_reader_state(r, row->state);
        assert_true(name == NULL || utf8_valid(str_of(name)));
    }
    assert_true(n <= shm_reader_rows(r));
    for (size_t i = 0; shm_reader_value(r, i, &v); i++) {
        assert_true(v.value <= SHM_MAX_COUNT);
        assert_true(utf8_valid(str_of(v.name)) && utf8_valid(str_of(v.unit)) &&
                    utf8_valid(str_of(v.help)));
    }
    for (const char *c = shm_reader_why(r); *c != 0; c++)
        assert_true(*c >= ' ' && *c <= '~');
}

static void fill(struct proc *p)
{
    for (uint32_t i = 0; i < p->w.rows; i++) {
        struct shm_row row = kit_row(100001 + i, i % 2 != 0 ? "dora@harbor.example" : "");
        row.op = (uint16_t)(i % 9);
        shm_row_publish(&p->w, shm_row_alloc(&p->w), &row);
    }
}

static void random_images(void **state)
{
    (void)state;
    struct kit k;
    struct proc p;
    struct image index, segment, im;
    const char *env = getenv("XIMSSD_HOSTILE"), *seed = getenv("XIMSSD_SEED");
    long images = env != NULL ? strtol(env, NULL, 10) : IMAGES;
    unsigned long ok = 0, rows = 0;
    rng = seed != NULL ? strtoull(seed, NULL, 10) | 1 : (uint64_t)clock_wall() | 1;
    print_message("XIMSSD_SEED=%llu\n", (unsigned long long)rng);
    kit_init(&k, 2);
    kit_proc(&k, &p, "worker", 1, 9);
    fill(&p);
    load(&index, kit_path(&k, "index"));
    load(&segment, kit_path(&k, "worker-1.1"));
    struct shm_reader *kept = shm_reader_new(k.dir); /* meets all of them in turn */
    for (long i = 0; i < images; i++) {
        bool of_index = rnd() % 4 == 0;
        im = of_index ? index : segment;
        spoil(&im);
        save(&im, kit_path(&k, of_index ? "index" : "worker-1.1"));
        struct shm_reader *r = (i & 1) != 0 ? kept : shm_reader_new(k.dir);
        int64_t t = clock_cpu();
        ok += shm_reader_refresh(r, NOW) == SHM_OK;
        look(r);
        rows += shm_reader_rows(r);
        assert_true(clock_cpu() - t < CLOCK_SEC);
        if (r != kept)
            shm_reader_free(&r);
        save(of_index ? &index : &segment, kit_path(&k, of_index ? "index" : "worker-1.1"));
    }
    print_message("%ld images, %lu accepted, %lu rows\n", images, ok, rows);
    assert_true(ok > (unsigned long)images / 4 && rows > 0);
    shm_reader_free(&kept);
    shm_detach(&p.w);
    kit_free(&k);
}

/* Writes anywhere in both files, cuts them and lets them grow again. */
static void scribble(const struct kit *k, const struct image *index, const struct image *segment)
{
    char path[2][192];
    snprintf(path[0], sizeof(path[0]), "%s", kit_path(k, "index"));
    snprintf(path[1], sizeof(path[1]), "%s", kit_path(k, "worker-1.1"));
    for (;;) {
        size_t i = rnd() % 8 == 0 ? 0 : 1;
        const struct image *im = i == 0 ? index : segment;
        int fd = open(path[i], O_RDWR | O_CLOEXEC);
        if (fd < 0)
            continue;
        uint64_t what = rnd() % 64, v = nasty();
        if (what == 0 && ftruncate(fd, (off_t)(rnd() % im->n)) != 0)
            _exit(1);
        if (what <= 8 && pwrite(fd, im->bytes, im->n, 0) != (ssize_t)im->n)
            _exit(1);
        if (what > 8 && pwrite(fd, &v, 8, (off_t)(rnd() % im->n)) != 8)
            _exit(1);
        close(fd);
    }
}

static void live_mutation(void **state)
{
    (void)state;
    struct kit k;
    struct proc p;
    struct image index, segment;
    unsigned long n = 0, ok = 0;
    kit_init(&k, 60); /* an index of more than one page, so that a cut hurts */
    kit_proc(&k, &p, "worker", 1, 40);
    fill(&p);
    shm_detach(&p.w);
    load(&index, kit_path(&k, "index"));
    load(&segment, kit_path(&k, "worker-1.1"));
    pid_t pid = fork();
    if (pid == 0) {
        alarm(600);
        scribble(&k, &index, &segment);
    }
    struct shm_reader *r = shm_reader_new(k.dir);
    for (int64_t end = clock_mono() + CLOCK_SEC * 3 / 2; clock_mono() < end || n <= 50; n++) {
        int64_t t = clock_cpu();
        ok += shm_reader_refresh(r, NOW) == SHM_OK;
        look(r);
        assert_true(clock_cpu() - t < CLOCK_SEC);
        if (n % 16 == 15) {
            shm_reader_free(&r);
            r = shm_reader_new(k.dir);
        }
    }
    assert_int_equal(waitpid(pid, NULL, WNOHANG), 0); /* it was at work all the time */
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    print_message("%lu pictures, %lu of them usable\n", n, ok);
    assert_true(n > 50);
    shm_reader_free(&r);
    kit_free(&k);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(random_images),
                                       cmocka_unit_test(live_mutation)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
