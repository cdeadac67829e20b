// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#include "proc/lastwords.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/clock.h"
#include "codec/optag.h"

struct text {
    char *p;
    size_t n;
};

static void PRINTF_LIKE(2, 3) put(struct text *t, const char *fmt, ...)
{
    va_list list;
    va_start(list, fmt);
    int n = vsnprintf(t->p + t->n, LASTWORDS_MAX - t->n, fmt, list);
    va_end(list);
    if (n > 0)
        t->n += (size_t)n < LASTWORDS_MAX - t->n ? (size_t)n : LASTWORDS_MAX - t->n - 1;
}

/* Numbers are as a process that may have been taken over wrote them. */
static void put_op(struct text *t, uint16_t op)
{
    if (op < OP_COUNT)
        put(t, "%s", optag_name((enum op_id)op));
    else
        put(t, "operation %u", op);
}

static void put_time(struct text *t, int64_t since, int64_t now)
{
    int64_t ms = since > 0 && since < now ? (now - since) / CLOCK_MS : 0;
    put(t, "%lld.%03llds", (long long)(ms / 1000), (long long)(ms % 1000));
}

static void put_sessions(struct text *t, const struct shm_last *l, int64_t now)
{
    for (uint32_t i = 0; i < l->n; i++) {
        const struct shm_last_op *o = &l->ops[i];
        put(t, "%s %u ", i == 0 ? "running" : ",", o->session);
        if (o->account[0] != 0)
            put(t, "(%s) ", o->account);
        put_op(t, o->op);
        put(t, " ");
        put_time(t, o->started, now);
    }
    if (l->running > l->n)
        put(t, ", and %u more", l->running - l->n);
}

const char *lastwords_text(char *to, enum ipc_role role, const struct shm_last *l, int64_t now)
{
    struct text t = {to, 0};
    to[0] = 0;
    if (l->n != 0) {
        put_sessions(&t, l, now);
    } else if (l->state == SHM_STATE_NONE) {
        put(&t, role == IPC_ROLE_KEEPER ? "waiting" : "no operation was running");
    } else {
        put(&t, "%s for ", shm_state_text(l->state));
        put_time(&t, l->since, now);
        if (l->session != 0)
            put(&t, l->op != OP_NONE ? ", of %u: " : ", of %u", l->session);
        if (l->op != OP_NONE)
            put_op(&t, l->op);
    }
    return to;
}
