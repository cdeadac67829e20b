# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The ximssd authors
"""Has a server done all that it has to do? And who of its workers has whom? Asked of the kernel and of the shared table, so that
no test has to guess how long that takes.

    server.client().send(...)
    settle(server)          # read by everybody whom it concerns: their timers run
    server.advance(60)
"""
from shmread import counted
from ximss import wait_for


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
    return {"worker %d" % (int(name[len("worker-"):].partition(".")[0]) + 1): n
            for name, n in counted(server, counter, "worker-").items()}


def spread_sessions(server, count):
    """So many clients that are logged in, and more until each worker has one of them: the kernel decides who gets whom."""
    clients = [server.session() for _ in range(count)]
    while not all(held(server).values()):
        clients.append(server.session())
    return clients
