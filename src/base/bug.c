// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#include "base/bug.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/log.h"

_Noreturn void bug_abort(const char *file, int line, const char *what)
{
    log_write(LOG_CRASH, "BUG", 0, NULL, "%s:%d: broken invariant: %s", file, line, what);
    log_last_flush();
    abort();
}
