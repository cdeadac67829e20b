// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#pragma once
/*
 * script: a dialogue in the notation of tests/scenario/README.md, one step per line.
 */
#include <stdio.h>

#include "base/arena.h"
#include "base/str.h"

#define SCRIPT_MAX ((size_t)64 << 20) /* bytes of a file */

enum step_kind {
    STEP_SEND,    /* C: */
    STEP_EXPECT,  /* S: */
    STEP_CLOSED,  /* X: */
    STEP_CONNECT, /* tls: over TLS */
    STEP_STARTTLS,
    STEP_HALF_CLOSE,
    STEP_WAIT, /* text: seconds */
    STEP_RUNNER, /* prepares the server, or looks at it: not for a client (account, conf, server, log) */
    STEP_RUNNER_NOW, /* the dialogue cannot go on rightly without it (advance, cram, say) */
    STEP_MAIL,       /* delivers a file over LMTP, where it is known where */
};

struct step {
    enum step_kind kind;
    unsigned line;
    unsigned who; /* connection, 0 to 9; 1 where the line names none */
    bool tls;
    int64_t wait;    /* ns */
    struct str text; /* of C: and S:; the whole line of the others */
};

struct script {
    const char *path;
    struct step *steps;
    size_t n;
};

/* Everything lives in the arena. False: a sentence with file and line has been printed to `problems`. */
bool script_load(struct script *s, const char *path, struct arena *a, FILE *problems);
