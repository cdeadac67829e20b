# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The ximssd authors
"""For tests of logins that wait for a hasher: one that does not run, and as many logins as may wait for it."""
import contextlib
import os
import signal

from shmread import counted
from ximss import wait_for

MOST = 500  # that may wait (design 2)
TRIES = 20


def over_all(server, name):
    """The sum of a counter over the processes that live."""
    return sum(counted(server, name).values())


def is_stopped(pid):
    try:
        with open("/proc/%d/stat" % pid, encoding="utf-8") as f:
            return f.read().rsplit(")", 1)[1].split()[0] == "T"
    except (FileNotFoundError, ProcessLookupError):
        return False


def at_a_full_queue(server, login, more):
    """(the clients whose logins wait, more(client) of one that comes when no more may). A hasher is killed after five seconds,
    and its successor makes room: who takes longer than that to bring them all begins once more."""
    for _ in range(TRIES):
        clients = [server.client() for _ in range(MOST + 1)]
        pid, before = server.children()["hasher 1"], over_all(server, "ximssRequests")
        os.kill(pid, signal.SIGSTOP)
        for client in clients[:MOST]:
            client.send(login)
        wait_for(lambda b=before: over_all(server, "ximssRequests") == b + MOST, pause=0.001)
        said = more(clients[MOST])
        in_time = is_stopped(pid)
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)
        if in_time:
            return clients[:MOST], said
        for client in clients:
            client.close()
        wait_for(lambda: server.top()["total"] == 0)
        wait_for(lambda p=pid: server.children().get("hasher 1") not in (None, p))
    raise AssertionError("this machine does not bring %d logins in five seconds" % MOST)
