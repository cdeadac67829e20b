// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#include <stdlib.h>

#include "base/clock.h"
#include "tools/ximss-bench/bench.h"

void figures_begin(struct figures *f, pid_t server)
{
    *f = (struct figures){.server = server, .every = 1};
    f->samples = malloc(SAMPLES_MAX * sizeof *f->samples);
    if (f->samples == NULL)
        fail("no memory");
    f->cpu = server != 0 ? server_cpu(server) : 0;
    f->began = clock_mono();
}

/* When the room is full, every second sample goes and only half of what comes is kept. */
static void thin_out(struct figures *f)
{
    uint32_t n = 0;
    for (uint32_t i = 0; i < f->nsamples; i += 2)
        f->samples[n++] = f->samples[i];
    f->nsamples = n;
    f->every *= 2;
}

void figures_sample(struct figures *f, int64_t ns)
{
    if (f->seen++ % f->every != 0)
        return;
    if (f->nsamples == SAMPLES_MAX)
        thin_out(f);
    f->samples[f->nsamples++] = ns;
}

void figures_end(struct figures *f)
{
    f->ended = clock_mono();
    f->cpu = f->server != 0 ? server_cpu(f->server) - f->cpu : 0;
}

static int by_value(const void *a, const void *b)
{
    const int64_t *x = a, *y = b;
    return *x < *y ? -1 : *x > *y;
}

int64_t figures_quantile(struct figures *f, double q)
{
    if (f->nsamples == 0)
        return 0;
    qsort(f->samples, f->nsamples, sizeof *f->samples, by_value);
    return f->samples[(uint32_t)(q * (f->nsamples - 1))];
}

void figures_print(struct figures *f, const struct options *o, const char *extra)
{
    double seconds = (double)(f->ended - f->began) / 1e9;
    double ops = (double)f->ops;
    printf("{\"mode\":\"%s\",\"tls\":%s,\"connections\":%u,\"pipeline\":%u,\"ops\":%llu,"
           "\"seconds\":%.3f,"
           "\"rate\":%.1f,\"p50_us\":%.1f,\"p99_us\":%.1f",
           o->mode, o->tls ? "true" : "false", o->connections, o->pipeline,
           (unsigned long long)f->ops, seconds, seconds > 0 ? ops / seconds : 0,
           (double)figures_quantile(f, 0.5) / 1e3, (double)figures_quantile(f, 0.99) / 1e3);
    if (f->server != 0 && f->ops != 0)
        printf(",\"cpu_us\":%.3f", (double)f->cpu / 1e3 / ops);
    printf("%s}\n", extra);
    fflush(stdout);
    free(f->samples);
    f->samples = NULL;
}
