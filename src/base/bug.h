// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#pragma once
/*
 * bug: what to do when the program itself is wrong.
 *
 * A client's input never reaches BUG_IF; a broken invariant always does (design §9.1). The process logs its
 * last words and aborts; the master replaces it.
 */
#include <stddef.h>

#define BUG_IF(cond)                              \
    do {                                          \
        if (__builtin_expect(!!(cond), 0))        \
            bug_abort(__FILE__, __LINE__, #cond); \
    } while (0)

/* The result of a function marked CHECKED must be looked at. */
#define CHECKED           __attribute__((warn_unused_result))
#define PRINTF_LIKE(f, a) __attribute__((format(printf, f, a)))

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

/* The struct whose member `memb` is at `ptr`. */
#define CONTAINER_OF(ptr, type, memb) ((type *)(void *)((char *)(ptr)-offsetof(type, memb)))

_Noreturn void bug_abort(const char *file, int line, const char *what);
