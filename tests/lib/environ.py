# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The ximssd authors
"""What environment the processes of a server were started with.

/proc/PID/environ does not tell: that memory holds the title in ps. A small library, loaded into every process that is
started, writes it to a file before main() runs.
"""
import os
import subprocess

from ximss import wait_for

SOURCE = r"""
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
extern char **environ;
__attribute__((constructor)) static void record(void)
{
    char path[4096], done[4096];
    const char *folder = getenv("RECORD_ENVIRON");
    if (folder == NULL)
        return;
    snprintf(path, sizeof path, "%s/%d.new", folder, (int)getpid());
    snprintf(done, sizeof done, "%s/%d", folder, (int)getpid());
    FILE *f = fopen(path, "w");
    if (f == NULL)
        return;
    for (char **e = environ; *e != NULL; e++)
        fwrite(*e, 1, __builtin_strlen(*e) + 1, f);
    fclose(f);
    rename(path, done);
}
"""


class Environments:
    """`env` goes to the server; of(PID) is the environment that PID was started with."""

    def __init__(self, folder):
        self.folder = os.path.join(str(folder), "environments")
        os.mkdir(self.folder)
        os.chmod(self.folder, 0o777)
        library = os.path.join(self.folder, "record.so")
        subprocess.run(["gcc", "-shared", "-fPIC", "-x", "c", "-o", library, "-"], input=SOURCE, text=True, check=True)
        self.env = {"LD_PRELOAD": library, "RECORD_ENVIRON": self.folder}

    def of(self, pid):
        path = os.path.join(self.folder, str(pid))
        wait_for(lambda: os.path.exists(path))
        with open(path, "rb") as f:
            return dict(e.split("=", 1) for e in f.read().decode().split("\0") if "=" in e)
