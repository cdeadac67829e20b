// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#include "proc/ctl.h"

#include <stddef.h>

enum err ctl_new(struct ctl **c, struct master *m, int run_dir_fd, const char *run_dir)
{
    (void)m, (void)run_dir_fd, (void)run_dir;
    *c = NULL;
    return ERR_OK;
}
void ctl_free(struct ctl **c) { *c = NULL; }
nfds_t ctl_polls(struct ctl *c, struct pollfd *p) { (void)c, (void)p; return 0; }
void ctl_serve(struct ctl *c, const struct pollfd *p, nfds_t n) { (void)c, (void)p, (void)n; }
void ctl_answer(struct ctl *c, const struct ipc_item *it) { (void)c, (void)it; }
void ctl_child_gone(struct ctl *c, const struct master_child *child) { (void)c, (void)child; }
