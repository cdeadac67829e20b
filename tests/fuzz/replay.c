// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
/*
 * replay: runs a fuzz target over files, without a fuzzer: fuzz_x FILE-OR-FOLDER...
 *
 * Besides each file itself it feeds the empty input, every cut of a file up to CUTS bytes, and the file with each of
 * its first FLIPS bytes changed, so that a small corpus reaches error paths too. TAP: one test a file and one for the
 * empty input. A target that finds something wrong does not return.
 */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/bug.h"

#define FILE_MAX (16U << 20)
#define CUTS     512
#define FLIPS    256

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static int tests;

/* Exactly n bytes from the heap, so that a sanitizer sees one byte too far. */
static void feed(const uint8_t *data, size_t n)
{
    uint8_t *copy = malloc(n != 0 ? n : 1);
    BUG_IF(copy == NULL);
    if (n != 0)
        memcpy(copy, data, n);
    LLVMFuzzerTestOneInput(copy, n);
    free(copy);
}

static void feed_variants(uint8_t *data, size_t n)
{
    static const uint8_t marks[] = {0x00, 0xff, '<', '"', '\n'};
    feed(data, n);
    for (size_t cut = 0; cut < n && cut < CUTS; cut++)
        feed(data, cut);
    for (size_t i = 0; i < n && i < FLIPS; i++) {
        uint8_t was = data[i];
        data[i] = (uint8_t)(was ^ (1U << (i % 8)));
        feed(data, n);
        data[i] = marks[i % sizeof marks];
        feed(data, n);
        data[i] = was;
    }
}

static int replay_file(const char *path)
{
    FILE *f = fopen(path, "rb");
    uint8_t *data = malloc(FILE_MAX);
    size_t n = f != NULL && data != NULL ? fread(data, 1, FILE_MAX, f) : 0;
    if (f == NULL || data == NULL) {
        fprintf(stderr, "replay: cannot read %s\n", path);
        free(data);
        return 1;
    }
    fclose(f);
    feed_variants(data, n);
    free(data);
    printf("ok %d - %s\n", ++tests, path);
    fflush(stdout);
    return 0;
}

static int is_visible(const struct dirent *e)
{
    return e->d_name[0] != '.';
}

static int replay_path(const char *path)
{
    struct stat st;
    struct dirent **names = NULL;
    int bad = 0;
    if (stat(path, &st) == 0 && !S_ISDIR(st.st_mode))
        return replay_file(path);
    int n = scandir(path, &names, is_visible, alphasort);
    if (n < 0) {
        fprintf(stderr, "replay: no folder %s\n", path);
        return 1;
    }
    for (int i = 0; i < n; i++) {
        char file[4096];
        snprintf(file, sizeof file, "%s/%s", path, names[i]->d_name);
        bad |= replay_file(file);
        free(names[i]);
    }
    free(names);
    return bad;
}

int main(int argc, char **argv)
{
    int bad = 0;
    feed(NULL, 0);
    printf("ok %d - empty input\n", ++tests);
    for (int i = 1; i < argc; i++)
        bad |= replay_path(argv[i]);
    printf("1..%d\n", tests);
    return bad;
}
