// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#include "tools/ximssctl/memory.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "tools/ximssctl/request.h"

static bool wants_json;

_Noreturn void memory_end(void)
{
    /* Without stdio, which would want memory; it has nothing of ours yet: answers are printed whole, at the end. */
    const char *text = wants_json ? "{\"error\":\"no memory\"}\n" : "ximssctl: no memory\n";
    ssize_t n = write(wants_json ? STDOUT_FILENO : STDERR_FILENO, text, strlen(text));
    (void)n;
    _exit(EXIT_NO_SERVER);
}

static void no_memory(void)
{
    memory_end();
}

static void *get(size_t n)
{
    void *p = malloc(n);
    if (p == NULL)
        memory_end();
    return p;
}

void memory_or_end(bool json)
{
    wants_json = json;
    buf_on_no_memory(no_memory);
    json_set_alloc_funcs(get, free);
}
