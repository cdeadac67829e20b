// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#include "proc/auth.h"
void auth_ctl(struct auth_proc *a, const struct ipc_item *it)
{
    (void)a, (void)it;
}
