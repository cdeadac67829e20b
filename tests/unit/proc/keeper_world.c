// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#include "tests/unit/proc/keeper_world.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/clock.h"
#include "codec/mime.h"
#include "shm/shm_master.h"

#define PLACES 20

static char folder[64];
static struct shm_master *shm;

static void far_item(struct bus_peer *b, const struct ipc_item *it)
{
    struct far_end *far = b->arg;
    if (far->n++ >= HEARD) {
        if (it->fd >= 0)
            close(it->fd);
        return;
    }
    struct heard *h = &far->heard[far->n - 1];
    *h = (struct heard){
        .type = it->type, .id = it->id, .seq = it->seq, .bytes = it->body.n, .fd = it->fd};
    assert_true(it->body.n < sizeof h->body);
    if (it->body.n != 0)
        memcpy(h->body, it->body.p, it->body.n);
}

static void near_item(struct bus_peer *b, const struct ipc_item *it)
{
    struct keeper_world *w = b->arg;
    w->c.hooks->item(&w->c, b, it);
}

static void connect_peer(struct keeper_world *w, struct child_peer *near, struct far_end *far,
                         enum ipc_role role, uint32_t number, uint32_t generation)
{
    int fds[2];
    assert_int_equal(bus_pair(fds), ERR_OK);
    near->c = &w->c;
    bus_init(&near->bus, fds[0], IPC_ROLE_KEEPER, role, near_item, w);
    near->bus.number = number;
    near->bus.generation = generation;
    bus_init(&far->bus, fds[1], role, IPC_ROLE_KEEPER, far_item, far);
    w->c.peers[role][number] = near;
    if (w->c.npeers[role] <= number)
        w->c.npeers[role] = number + 1;
    w->c.hooks->peer_up(&w->c, near);
}

static void make_segment(struct keeper_world *w)
{
    struct shm_setup setup = {
        .version = "0", .group = (gid_t)-1, .channels = PLACES, .max_segments = 1};
    uint32_t slot;
    size_t size;
    int fd, dir = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_int_equal(shm_master_new(&shm, dir, &setup), 0);
    close(dir);
    assert_int_equal(shm_master_segment(shm, "keeper", 0, 1, PLACES, &slot, &fd, &size), 0);
    assert_int_equal(shm_attach(&w->c.shm, fd, size), 0);
    close(fd);
}

static void make_gate(struct keeper_world *w)
{
    w->c.gate_bytes = gate_size(PLACES);
    w->c.gate_mem =
        mmap(NULL, w->c.gate_bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_ptr_not_equal(w->c.gate_mem, MAP_FAILED);
    gate_init(w->c.gate_mem, PLACES);
}

struct keeper_world *keeper_world_new(void)
{
    struct keeper_world *w = calloc(1, sizeof *w);
    struct conf_problems problems;
    assert_non_null(w);
    clock_init();
    mime_init();
    snprintf(folder, sizeof folder, "/tmp/ximss-test-XXXXXX");
    assert_non_null(mkdtemp(folder));
    assert_int_equal(chdir(folder), 0);
    w->c.role = IPC_ROLE_KEEPER;
    w->c.generation = 1;
    w->c.banks = w->c.keepers = 1;
    arena_init(&w->c.arena, (size_t)16 << 20);
    assert_int_equal(conf_load_text(STR("test"), STR("[server]\ndomain = harbor.example\n"),
                                    &w->c.arena, &w->c.conf, &problems),
                     ERR_OK);
    assert_int_equal(loop_new(&w->c.loop), ERR_OK);
    make_segment(w);
    make_gate(w);
    keeper_setup(&w->c);
    w->k = w->c.data;
    assert_int_equal(w->c.hooks->start(&w->c), ERR_OK);
    w->c.started = true;
    for (uint32_t i = 0; i < WORKERS; i++)
        connect_peer(w, &w->near[i], &w->worker[i], IPC_ROLE_WORKER, i, 1);
    connect_peer(w, &w->near_auth, &w->auth, IPC_ROLE_AUTH, 0, 1);
    int fds[2];
    assert_int_equal(bus_pair(fds), ERR_OK);
    bus_init(&w->c.master, fds[0], IPC_ROLE_KEEPER, IPC_ROLE_MASTER, near_item, w);
    bus_init(&w->master.bus, fds[1], IPC_ROLE_MASTER, IPC_ROLE_KEEPER, far_item, &w->master);
    return w;
}

void keeper_world_free(struct keeper_world *w)
{
    char command[128];
    if (!w->k->stopped)
        keeper_close(w->k);
    for (uint32_t i = 0; i < WORKERS; i++) {
        bus_free(&w->near[i].bus);
        bus_free(&w->worker[i].bus);
    }
    bus_free(&w->near_auth.bus);
    bus_free(&w->c.master);
    bus_free(&w->master.bus);
    bus_free(&w->auth.bus);
    shm_detach(&w->c.shm);
    shm_master_free(&shm, true);
    munmap(w->c.gate_mem, w->c.gate_bytes);
    arena_free(&w->c.arena);
    snprintf(command, sizeof command, "rm -r %s", folder);
    assert_int_equal(chdir("/"), 0);
    assert_int_equal(system(command), 0);
    free(w);
}

/* Of those who are still there. */
static void hear(struct bus_peer *from, struct bus_peer *to)
{
    if (from->fd < 0 || to->fd < 0)
        return;
    enum err e = bus_flush(from);
    assert_true(e == ERR_OK || e == ERR_AGAIN);
    e = bus_read(to, 64);
    assert_true(e == ERR_OK || e == ERR_AGAIN);
}

void keeper_world_round(struct keeper_world *w)
{
    for (uint32_t i = 0; i < WORKERS; i++)
        hear(&w->worker[i].bus, &w->near[i].bus);
    hear(&w->auth.bus, &w->near_auth.bus);
    w->c.hooks->round(&w->c);
    for (uint32_t i = 0; i < WORKERS; i++) {
        if (!w->worker[i].deaf)
            hear(&w->near[i].bus, &w->worker[i].bus);
    }
    hear(&w->near_auth.bus, &w->auth.bus);
    hear(&w->c.master, &w->master.bus);
}

void keeper_world_replace(struct keeper_world *w, uint32_t worker)
{
    struct child_peer *near = &w->near[worker];
    uint32_t generation = near->bus.generation;
    w->c.peers[IPC_ROLE_WORKER][worker] = NULL;
    w->c.hooks->peer_gone(&w->c, near);
    bus_free(&near->bus);
    bus_free(&w->worker[worker].bus);
    connect_peer(w, near, &w->worker[worker], IPC_ROLE_WORKER, worker, generation + 1);
}

void worker_says(struct keeper_world *w, uint32_t worker, enum ipc_type t, uint32_t id,
                 uint32_t seq, struct str body)
{
    bus_put(&w->worker[worker].bus, t, id, seq, body);
    keeper_world_round(w);
}

void auth_attaches(struct keeper_world *w, uint32_t worker, uint32_t id, uint32_t seq,
                   uint64_t account, uint32_t flags)
{
    struct ipc_attach at = {
        .account = account,
        .worker = worker,
        .worker_generation = w->near[worker].bus.generation,
        .flags = flags,
        .addr = {[10] = 0xff, [11] = 0xff, [12] = 192, [13] = 0, [14] = 2, [15] = 7},
        .request_id = STR("L"),
        .name = account == DORA ? STR("dora@harbor.example") : STR("otto@harbor.example"),
        .real_name = STR(""),
        .old_session = STR("")};
    struct buf b;
    buf_init(&b, IPC_BODY_MAX);
    ipc_attach_put(&b, &at);
    assert_int_equal(buf_err(&b), ERR_OK);
    bus_put(&w->auth.bus, IPC_ATTACH, id, seq, buf_slice(&b));
    buf_free(&b);
    keeper_world_round(w);
}

const struct heard *only_heard(struct far_end *far)
{
    uint32_t n = far->n;
    far->n = 0;
    assert_in_range(n, 0, 1);
    return n != 0 ? &far->heard[0] : NULL;
}

const struct kept *kept_of(const struct keeper_world *w, uint32_t id)
{
    return idmap_get(&w->k->sessions, id);
}
