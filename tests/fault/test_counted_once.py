# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The ximssd authors
"""
A failed login counts once, whoever dies at the wrong moment. Its worker puts it to auth again when a keeper or auth itself was
replaced, as it cannot know how far it had come; its verdict may be on its way then, or lost.
"""
import contextlib
import json
import os
import signal

import pytest
from faults import FaultServer
from hashing import is_stopped
from ximss import Closed, wait_for

SERVER = "workers = 1\nkeepers = 1\nhelpers = 1\nhashers = 1\n"
LOGIN = "[login]\nfail_account = 10\nverify_cache = 0\nfail_delay = %s\n"
WRONG = '<login id="L" authData="dora@harbor.example" password="wrong"/>'


@pytest.fixture(params=["0", "200ms"], ids=["told at once", "told later"])
def server(request, tmp_path):
    with FaultServer(tmp_path, {"dora": "correct-horse"}, server=SERVER, conf=LOGIN % request.param) as s:
        yield s


TRIES = 8  # a hasher that does not run is killed after five seconds, and so is a worker; some machines need longer for the rest


@contextlib.contextmanager
def stopped(pid):
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)


def failures(server):
    """(Those that count against the name, logins that are remembered with this end)."""
    said = json.loads(server.ctl("--json", "why-login", "dora").stdout)
    return said["failures"], [a["errorNum"] for a in said["attempts"]].count(515)


def replaced(server, name, old):
    """Its successor serves, and the others have been sent the way to it."""
    now = {p["process"]: p for p in json.loads(server.ctl("--json", "status").stdout)["processes"]}
    return name in now and now[name]["pid"] != old and now[name]["ready"]


def log_in_wrongly(server, before):
    """A login that the hasher, which does not run, has got by now."""
    client = server.talk()
    client.send(WRONG)
    assert server.talk().ask('<noop id="n"/>').ok  # the worker has had its turn
    assert failures(server) == before  # and auth
    return client


def is_told(client):
    m = client.recv()
    return m.tag == "response" and m.get("errorNum") == "515"


def begin_again(server, client, pids):
    """Somebody was killed who was to stand still: waits for the end of that."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pids["worker 1"], signal.SIGCONT)
    with contextlib.suppress(Closed, OSError):
        client.recv()
    client.close()
    wait_for(lambda: {"worker 1", "keeper 1", "auth", "hasher 1"} <= set(server.pids()))
    server.when_it_serves("dora", "correct-horse").close()


def test_keeper_dies(server):
    """The worker hears of the next keeper before it hears the verdict."""
    for _ in range(TRIES):
        pids, before = server.pids(), failures(server)
        with stopped(pids["hasher 1"]):
            client = log_in_wrongly(server, before)
            os.kill(pids["worker 1"], signal.SIGSTOP)
            os.kill(pids["keeper 1"], signal.SIGKILL)
            wait_for(lambda p=pids: replaced(server, "keeper 1", p["keeper 1"]))
            in_time = is_stopped(pids["hasher 1"])
        counted = (before[0] + 1, before[1] + 1)
        if in_time:
            wait_for(lambda n=counted: failures(server) == n)
        if in_time and is_stopped(pids["worker 1"]):
            break
        begin_again(server, client, pids)
    os.kill(pids["worker 1"], signal.SIGCONT)
    assert is_told(client)
    assert server.talk().ask('<login id="M" authData="nobody" password="wrong"/>').error == 515  # comes behind all of it
    assert failures(server) == counted


def test_auth_dies(server):
    """It has counted, and the verdict goes with it."""
    for _ in range(TRIES):
        pids, before = server.pids(), failures(server)
        with stopped(pids["hasher 1"]):
            client = log_in_wrongly(server, before)
            if in_time := is_stopped(pids["hasher 1"]):
                server.faults.arm("sendmsg", "KILL", role="auth")
        if in_time:
            break
        begin_again(server, client, pids)
    assert is_told(client)
    assert server.faults.disarm().fired
    wait_for(lambda: replaced(server, "auth", pids["auth"]))
    assert server.talk().ask('<login id="M" authData="nobody" password="wrong"/>').error == 515
    assert failures(server)[0] == before[0] + 1
