# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The ximssd authors
"""What a service manager does for a server: it listens to sd_notify(3), hands in sockets (sd_listen_fds(3)), and sets variables
that are not for everybody."""
import fcntl
import os
import socket
import struct
import subprocess

from ximss import BUILD, Server, wait_for


SO_TIMESTAMPNS = 35


class Manager:
    """Every message as a dictionary, with the pid that the kernel says it comes from, and when the kernel says it was sent."""

    def __init__(self, name):
        self.name = name
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        self.sock.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        self.sock.bind("\0" + name[1:] if name.startswith("@") else name)
        self.messages = []

    def read(self):
        while True:
            try:
                data, more, _, _ = self.sock.recvmsg(65536, 256, socket.MSG_DONTWAIT)
            except BlockingIOError:
                return self.messages
            (pid,) = [struct.unpack("iII", d)[0] for level, kind, d in more if kind == socket.SCM_CREDENTIALS]
            ((seconds, ns),) = [struct.unpack("ll", d) for level, kind, d in more if kind == SO_TIMESTAMPNS]
            fields = dict(line.split("=", 1) for line in data.decode().splitlines())
            self.messages.append((pid, fields, seconds + ns / 1e9))

    def with_key(self, key):
        return [fields[key] for _, fields, _ in self.read() if key in fields]

    def wait(self, key, number=1):
        return wait_for(lambda: len(self.with_key(key)) >= number and self.with_key(key)[-1])

    def index(self, key):
        return [i for i, (_, fields, _) in enumerate(self.read()) if key in fields]


# --- sockets

# Puts the descriptors named behind "--" where the protocol wants them, and becomes the server.
HANDER = r"""
import os, sys
at = sys.argv.index("--")
for i, fd in enumerate(sys.argv[1:at]):
    os.dup2(int(fd), 3 + i)
os.environ.setdefault("LISTEN_PID", str(os.getpid()))
os.environ.setdefault("LISTEN_FDS", str(at - 1))
os.execv(sys.argv[at + 1], sys.argv[at + 1:])
"""


def tcp(host, port, family=socket.AF_INET, listening=True, **options):
    s = socket.socket(family)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if options.get("reuseport"):
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    if "v6only" in options:
        s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, options["v6only"])
    s.bind((host, port))
    if listening:
        s.listen(16)
    return s


def unix(path, kind=socket.SOCK_STREAM):
    s = socket.socket(socket.AF_UNIX, kind)
    s.bind(path)
    if kind != socket.SOCK_DGRAM:
        s.listen(16)
    return s


class HandsIn(Server):
    """A server that is started with sockets."""

    def hand(self, *sockets, **env):
        self.pass_fds = tuple(fcntl.fcntl(s.fileno(), fcntl.F_DUPFD, 200) for s in sockets)  # out of the way of 3, 4, ...
        self.xargs = ["/usr/bin/python3", "-c", HANDER, *map(str, self.pass_fds), "--"]
        self.env.update(env)

    def refused(self):
        """Starts, and must end by itself, with code 1; what it says."""
        done = subprocess.run([*self.xargs, os.path.join(BUILD, "ximssd"), "-f", "-c", self.conf_path], timeout=60, env=self.env,
                              pass_fds=self.pass_fds, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
        assert done.returncode == 1, done.stderr
        assert "serving" not in done.stderr
        return done.stderr

    def __exit__(self, *exc):
        super().__exit__(*exc)
        for fd in self.pass_fds:
            os.close(fd)


# --- the environment that processes are started with
#
# /proc/PID/environ does not tell: that memory holds the title in ps. A small library, loaded into every process that is
# started, writes it to a file before main() runs.

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
