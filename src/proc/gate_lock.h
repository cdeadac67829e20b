// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#pragma once
/*
 * gate_lock: a robust lock between processes that do not trust each other, in memory that all of them may write.
 *
 * Not a pthread mutex: a robust one keeps links of its list inside the mutex, and unlocking writes through them; who can
 * write the shared memory could make another process write wherever he likes. Here the shared part is one word (a
 * thread id and the kernel's two flags, futex(2)), and nothing in it is followed. When the holder dies the kernel
 * marks the word; it finds it by `list_op_pending` of the thread's own list head (get_robust_list(2)).
 *
 * One thread per process; the lock must be held for microseconds, and never two of them at once.
 */
#include <stdbool.h>
#include <stdint.h>

/* The shared part; zero: free. The kernel looks for the word at a fixed distance from its middle. */
struct gate_word {
    uint64_t bytes[16];
};

struct gate_lock {
    struct gate_word *word;
    uint32_t thread; /* who takes it: asked once, so attach again after a fork */
    void *head; /* of this thread's robust list; NULL: the kernel has none, a death is not seen */
};

enum gate_locked { GATE_LOCKED, GATE_LOCKED_DIRTY, GATE_NOT_LOCKED };

void gate_lock_attach(struct gate_lock *l, struct gate_word *word);
/* DIRTY: the holder before died inside. NOT_LOCKED: somebody holds it for longer than honest work takes. */
enum gate_locked gate_lock_take(struct gate_lock *l);
void gate_lock_give(struct gate_lock *l);
