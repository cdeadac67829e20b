# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The ximssd authors
"""Has a server done all that it has to do? And who of its workers has whom? Asked of the kernel and of the shared table, so that
no test has to guess how long that takes.

    server.client().send(...)
    settle(server)          # read by everybody whom it concerns: their timers run
    server.advance(60)
"""
import functools
import os
import re
import struct

from xhttp import counter_of
from ximss import ROOT, wait_for


def look(pid):
    """What the process is doing, and how often it has stopped doing something."""
    with open("/proc/%d/status" % pid) as f:
        fields = dict(line.rstrip("\n").split(":\t", 1) for line in f if ":\t" in line)
    return fields["State"].split()[0], fields["voluntary_ctxt_switches"], fields["nonvoluntary_ctxt_switches"]


def family(server):
    """The pids of all its processes."""
    master = server.process.pid
    with open("/proc/%d/task/%d/children" % (master, master)) as f:
        return {master, *map(int, f.read().split())}


def settle(server, standing=()):
    """Waits until all processes slept at the same moment: nothing was on its way between them, and nothing of a client's was
    unread. standing: pids that the test has stopped."""
    def asleep():
        try:
            pids = family(server)
            first = {pid: look(pid) for pid in pids if pid not in standing}
            return all(state == "S" for state, _, _ in first.values()) and family(server) == pids \
                and {pid: look(pid) for pid in first} == first
        except (FileNotFoundError, ProcessLookupError):
            return False
    wait_for(asleep, pause=0.002)


def held(server, counter="ximssActive"):
    """{"worker 1": connections that it has}."""
    found, folder = {}, os.path.join(server.run_dir, "shm")
    for name in os.listdir(folder):
        if name.startswith("worker-"):
            with open(os.path.join(folder, name), "rb") as f:
                found["worker %d" % (int(name[len("worker-"):].partition(".")[0]) + 1)] = counter_of(f.read(), counter)
    return found


def spread_sessions(server, count):
    """So many clients that are logged in, and more until each worker has one of them: the kernel decides who gets whom."""
    clients = [server.session() for _ in range(count)]
    while not all(held(server).values()):
        clients.append(server.session())
    return clients


@functools.lru_cache
def places(name):
    """{field: (offset, format)} of a struct of the shared table, by shm/LAYOUT."""
    with open(os.path.join(ROOT, "shm", "LAYOUT"), encoding="ascii") as f:
        part = re.search(r"^%s \d+\n((?: .*\n)+)" % name, f.read(), re.M)[1]
    return {field: (int(at), {2: "H", 4: "I", 8: "Q", 16: "QII"}.get(int(n))) for field, at, n in re.findall(r"  (\w+) (\d+) (\d+)\n", part)}


def take(data, base, name, field):
    at, form = places(name)[field]
    found = struct.unpack_from(form, data, base + at)
    return found if len(found) > 1 else found[0]


def text_of(data, at, n):
    return data[at:at + n].split(b"\0")[0].decode()


def segment(server, name):
    with open(os.path.join(server.run_dir, "shm", name), "rb") as f:
        return f.read()


def doing(server, url_id):
    """What a session over HTTP is at, as ximss-top would show it, or None; read here, which is sooner than by a program that has
    to be started for it."""
    index = segment(server, "index")
    offset, stride, count = take(index, 0, "shm_index", "ops")
    names = {take(index, at, "shm_name", "id"): text_of(index, at + places("shm_name")["monitor"][0], 60)
             for at in range(offset, offset + stride * count, stride)}
    for name in os.listdir(os.path.join(server.run_dir, "shm")):
        if name.startswith("keeper-"):
            data = segment(server, name)
            offset, stride, count = take(data, 0, "shm_segment", "rows")
            for at in range(offset, offset + stride * count, stride):
                if take(data, at, "shm_row", "session") == int(url_id[:6]):
                    return names.get(take(data, at, "shm_row", "op"))
    return None
