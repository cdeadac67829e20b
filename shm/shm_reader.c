// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#include "shm/shm_reader.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "shm/shm_segment.h"
#include "shm/shm_texts.h"

/*
 * How often a picture is taken anew when a process was retired meanwhile: more often for the first one, as later
 * ones can fall back on the sums of the last whole picture. A number that stays odd was left by a dead master.
 */
#define PICTURES       8
#define FIRST_PICTURES 64
#define CUT            "was cut while it was read"

enum { LINE_WORDS = sizeof(struct shm_line) / 8 };

struct place {
    struct shm_line line; /* last good copy */
    struct shm_copy copy;
};

struct shm_reader {
    char *run_dir;
    char why[256];
    struct shm_file file; /* the index */
    struct shm_index head;
    struct shm_server server;
    struct shm_texts ops, states;
    struct shm_element_text *element;
    uint64_t *retired;
    uint64_t *value;     /* of the elements, as shown */
    bool whole;          /* they come from a whole picture, or fell back on one */
    struct place *place; /* NULL: no index was read */
    uint32_t nelements, nplaces;
};

/* Sentences may hold names from files: what is not plain becomes '?'. */
static void __attribute__((format(printf, 2, 3)))
because(struct shm_reader *r, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(r->why, sizeof(r->why), fmt, ap);
    va_end(ap);
    for (char *c = r->why; *c != 0; c++)
        if (*c < ' ' || *c > '~')
            *c = '?';
}

/* Forgets all that came from an index. */
static void forget(struct shm_reader *r)
{
    for (uint32_t i = 0; i < r->nplaces; i++)
        shm_copy_close(&r->place[i].copy);
    free(r->place);
    free(r->ops.row);
    free(r->states.row);
    free(r->element);
    free(r->retired);
    free(r->value);
    r->place = NULL;
    r->ops = r->states = (struct shm_texts){NULL, 0};
    r->element = NULL;
    r->retired = r->value = NULL;
    r->whole = false;
    r->nplaces = r->nelements = 0;
    memset(&r->server, 0, sizeof(r->server));
}

struct shm_reader *shm_reader_new(const char *run_dir)
{
    struct shm_reader *r = calloc(1, sizeof(*r));
    if (r != NULL && (r->run_dir = strdup(run_dir)) == NULL) {
        free(r);
        return NULL;
    }
    return r;
}

void shm_reader_free(struct shm_reader **pr)
{
    struct shm_reader *r = *pr;
    if (r == NULL)
        return;
    forget(r);
    shm_file_close(&r->file);
    free(r->run_dir);
    free(r);
    *pr = NULL;
}

/* --- what stays as it is while a server runs */

static bool sections_ok(const struct shm_file *f, const struct shm_index *x)
{
    return shm_file_section(f, &x->ops, sizeof(struct shm_name), SHM_MAX_NAMES) &&
           shm_file_section(f, &x->states, sizeof(struct shm_name), SHM_MAX_NAMES) &&
           shm_file_section(f, &x->counters, sizeof(struct shm_counter_name), SHM_MAX_NAMES) &&
           shm_file_section(f, &x->segments, sizeof(struct shm_line), SHM_MAX_SEGMENTS) &&
           shm_file_section(f, &x->retired, 8, SHM_MAX_NAMES);
}

/* NULL, or what is wrong with the index. */
static const char *index_read(struct shm_reader *r, char *text, size_t n)
{
    if (!shm_file_read(&r->file, 0, &r->head, sizeof(r->head)))
        return CUT;
    const char *no = shm_file_refuse(&r->head.head, SHM_INDEX_MAGIC, r->file.size, text, n);
    if (no != NULL)
        return no;
    if (!sections_ok(&r->file, &r->head))
        return "is damaged: a section does not lie inside it";
    r->retired = calloc(r->head.retired.count + 1u, sizeof(*r->retired));
    r->place = calloc(r->head.segments.count + 1u, sizeof(*r->place));
    r->value = calloc(r->head.counters.count + 1u, sizeof(*r->value));
    if (r->retired == NULL || r->place == NULL || r->value == NULL ||
        !shm_texts_read(&r->file, &r->head.ops, &r->ops) ||
        !shm_texts_read(&r->file, &r->head.states, &r->states) ||
        !shm_element_texts_read(&r->file, &r->head.counters, &r->element))
        return "was cut while it was read, or there is no memory for it";
    r->nplaces = r->head.segments.count;
    r->nelements = r->head.counters.count;
    shm_field_text(r->head.version, sizeof(r->head.version), r->server.version);
    r->server.pid = r->head.master_pid;
    r->server.start_wall = r->head.start_wall;
    r->server.channels = r->head.channels;
    r->server.workers = r->head.workers;
    r->server.keepers = r->head.keepers;
    return NULL;
}

/* --- what changes */

struct lines {
    struct shm_reader *r;
    uint64_t retire_seq;
    int64_t heartbeat;
};

static uint64_t index_word(const struct shm_reader *r, uint64_t offset)
{
    return shm_load(shm_file_word(&r->file, offset));
}

/* Inside a guard. */
static void lines_copy(void *arg)
{
    struct lines *l = arg;
    struct shm_reader *r = l->r;
    const struct shm_section *lines = &r->head.segments, *retired = &r->head.retired;
    l->retire_seq = index_word(r, offsetof(struct shm_index, retire_seq));
    l->heartbeat = (int64_t)index_word(r, offsetof(struct shm_index, heartbeat));
    for (uint32_t i = 0; i < retired->count; i++)
        r->retired[i] = index_word(r, retired->offset + (uint64_t)i * retired->stride);
    for (uint32_t i = 0; i < lines->count; i++) {
        struct shm_line copy;
        if (shm_get(shm_file_word(&r->file, lines->offset + (uint64_t)i * lines->stride), &copy,
                    LINE_WORDS))
            r->place[i].line = copy;
    }
}

/* Inside a guard. The number alone: sums copied now would not belong to the segments that were read before. */
static void seq_copy(void *arg)
{
    struct lines *l = arg;
    l->retire_seq = index_word(l->r, offsetof(struct shm_index, retire_seq));
}

static int64_t since(int64_t now, int64_t then)
{
    int64_t d;
    return __builtin_sub_overflow(now, then, &d) || d < 0 ? 0 : d;
}

static void judge(struct shm_server *s, int64_t beat, int64_t now)
{
    /* A beat from the future was written before the last boot. */
    bool sane = beat > 0 && (beat <= now || beat - now < SHM_STALE_NS);
    s->silence = sane ? since(now, beat) : -1;
    s->running = sane && s->silence <= SHM_STALE_NS;
}

/*
 * One picture of everything. *again: a process was retired meanwhile; its counters may be missing
 * or there twice. false: the index was cut.
 */
static bool picture(struct shm_reader *r, int dir, int64_t now, bool *again, bool *odd)
{
    char text[160];
    struct lines before = {.r = r}, after = {.r = r};
    r->why[0] = 0;
    r->server.segments = r->server.unusable = 0;
    if (!shm_file_guard(lines_copy, &before))
        return false;
    judge(&r->server, before.heartbeat, now);
    for (uint32_t i = 0; i < r->nplaces; i++) {
        struct place *p = &r->place[i];
        if (!r->server.running || p->line.live == 0) {
            shm_copy_close(&p->copy);
            continue;
        }
        const char *no =
            shm_copy_read(&p->copy, dir, p->line.file, r->head.head.start_id, text, sizeof(text));
        if (no != NULL)
            because(r, "%s/shm/%.*s %s", r->run_dir, SHM_FILE_LEN, p->line.file, no);
        r->server.segments += no == NULL;
        r->server.unusable += no != NULL;
    }
    if (!shm_file_guard(seq_copy, &after))
        return false;
    *odd = (before.retire_seq & 1) != 0;
    *again = *odd || before.retire_seq != after.retire_seq;
    return true;
}

static uint64_t add(uint64_t a, uint64_t b)
{
    b = b < SHM_MAX_COUNT ? b : SHM_MAX_COUNT;
    return a + b < SHM_MAX_COUNT ? a + b : SHM_MAX_COUNT;
}

/* Sums; a picture that is not whole changes no COUNTER that was known before. */
static void values_make(struct shm_reader *r, bool whole)
{
    for (uint32_t i = 0; i < r->nelements; i++) {
        const struct shm_element_text *e = &r->element[i];
        uint64_t v = 0;
        if (!whole && r->whole && e->kind == SHM_COUNTER)
            continue;
        if (e->kind == SHM_COUNTER && e->id < r->head.retired.count)
            v = add(v, r->retired[e->id]);
        for (uint32_t k = 0; k < r->nplaces; k++)
            if (e->id < r->place[k].copy.counts)
                v = add(v, r->place[k].copy.count[e->id]);
        r->value[i] = v;
    }
    r->whole = r->whole || whole;
}

static enum shm_status refuse(struct shm_reader *r, const char *no)
{
    forget(r);
    shm_file_close(&r->file);
    because(r, "%s/" SHM_DIR "/" SHM_INDEX " %s", r->run_dir, no);
    return SHM_UNUSABLE;
}

static enum shm_status refuse_errno(struct shm_reader *r, int rc)
{
    char text[160];
    snprintf(text, sizeof(text), "cannot be opened: %s", strerror(rc));
    refuse(r, text);
    return rc == ENOENT ? SHM_NO_SERVER : SHM_UNUSABLE;
}

static enum shm_status refresh(struct shm_reader *r, int dir, int64_t now)
{
    char text[160];
    bool fresh, again = true, odd = false;
    int rc = shm_file_open(&r->file, dir, SHM_INDEX, &fresh);
    if (rc != 0)
        return rc == ENODATA ? refuse(r, "is not a table of ximssd") : refuse_errno(r, rc);
    if (fresh) {
        forget(r);
        const char *no = index_read(r, text, sizeof(text));
        if (no != NULL)
            return refuse(r, no);
    }
    for (int i = 0; again && i < (r->whole || odd ? PICTURES : FIRST_PICTURES); i++) {
        if (i > 0)
            sched_yield();
        if (!picture(r, dir, now, &again, &odd))
            return refuse(r, CUT);
    }
    values_make(r, !again);
    r->server.uptime = since(now, r->head.start_mono);
    return SHM_OK;
}

enum shm_status shm_reader_refresh(struct shm_reader *r, int64_t now)
{
    int run = open(r->run_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int dir = run < 0 ? -1 : openat(run, SHM_DIR, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    int rc = errno;
    if (run >= 0)
        close(run);
    if (dir < 0)
        return refuse_errno(r, rc);
    enum shm_status st = refresh(r, dir, now);
    close(dir);
    return st;
}

/* --- what was found */

const char *shm_reader_why(const struct shm_reader *r)
{
    return r->why;
}

const struct shm_server *shm_reader_server(const struct shm_reader *r)
{
    return &r->server;
}

size_t shm_reader_rows(const struct shm_reader *r)
{
    size_t n = 0;
    for (uint32_t i = 0; i < r->nplaces; i++)
        n += r->place[i].copy.rows;
    return n;
}

const struct shm_row *shm_reader_next(const struct shm_reader *r, struct shm_place *at)
{
    for (; at->segment < r->nplaces; at->segment++, at->row = 0) {
        const struct shm_copy *c = &r->place[at->segment].copy;
        while (at->row < c->rows) {
            const struct shm_row *row = &c->row[at->row++];
            if (row->session != 0)
                return row;
        }
    }
    return NULL;
}

const char *shm_reader_op(const struct shm_reader *r, uint32_t id)
{
    const struct shm_text *n = shm_texts_find(&r->ops, id);
    return n != NULL ? n->name : NULL;
}

const char *shm_reader_op_monitor(const struct shm_reader *r, uint32_t id)
{
    const struct shm_text *n = shm_texts_find(&r->ops, id);
    return n != NULL ? n->monitor : NULL;
}

const char *shm_reader_state(const struct shm_reader *r, uint32_t id)
{
    const struct shm_text *n = shm_texts_find(&r->states, id);
    return n != NULL ? n->monitor : NULL;
}

bool shm_reader_value(const struct shm_reader *r, size_t i, struct shm_value *out)
{
    if (i >= r->nelements)
        return false;
    const struct shm_element_text *e = &r->element[i];
    *out = (struct shm_value){e->name, e->unit, e->help, e->kind, r->value[i]};
    return true;
}
