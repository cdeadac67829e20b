// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#include "tools/ximss-top/rundir.h"

#include <stdio.h>

#include "conf/conf.h"

const char *rundir_find(const char *path, struct arena *a)
{
    struct conf *conf = NULL;
    struct conf_problems problems;
    enum err e = conf_load(path, a, &conf, &problems);
    if (e == ERR_OK)
        return conf->server.run_dir.p;
    if (e == ERR_NOMEM)
        fputs("ximss-top: no memory for the configuration\n", stderr);
    else
        conf_problems_print(stderr, &problems);
    return NULL;
}
