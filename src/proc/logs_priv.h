// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#pragma once
/* logs_priv: what logs.c (targets) and logs_ctl.c (levels) share. */
#include <sys/stat.h>
#include <time.h>

#include "base/log_rules.h"
#include "proc/logs.h"

struct logs {
    struct log_rule rule[LOG_RULES_MAX];
    size_t n;
    bool journal;
    char path[CONF_STRING_MAX + 1]; /* of the file or socket; "": standard error */
    int fd;                         /* what children are given; -1: what they have inherited */
    dev_t dev;                      /* of what was opened */
    ino_t ino;
    struct timespec ctim; /* of a socket: numbers of inodes come again */
    bool complained;      /* that it cannot be opened */
};

/* All children get the rules. */
void logs_give_rules(struct logs *l, struct master *m);
/* Takes out what is over. */
void logs_expire(struct logs *l, int64_t now);
