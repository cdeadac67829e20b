# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The ximssd authors
"""ximssctl status: held against ps, the open sockets and ximss-top."""
import contextlib
import json
import os
import signal
import time

from ximss import Server, wait_for


def status(server):
    return json.loads(server.ctl("--json", "status").stdout)


def processes(server):
    return {p["process"]: p for p in status(server)["processes"]}


def test_status(tmp_path):
    conf = "[listener off]\nprotocol = ximss\naddress = 127.0.0.1:0\n"
    with Server(tmp_path, server="workers = 2\nkeepers = 2\nchannels = 77\n", conf=conf, tls=True) as server:
        begin = time.monotonic()
        users = [server.session(), server.session(tls=True)]
        nobody = server.client()
        assert nobody.fail('<login id="1" authData="dora" password="wrong-horse"/>')[0] == 515
        wait_for(lambda: len(server.top()["sessions"]) == 3)
        wait_for(lambda: all(p["ready"] for p in processes(server).values()))
        before, said = server.top()["server"], status(server)
        assert said["pid"] == server.process.pid and said["version"] == before["version"]
        assert said["stopping"] is False and said["channels"] == 77
        assert before["uptime"] - 1 <= said["uptime"]
        wait_for(lambda: said["uptime"] <= server.top()["server"]["uptime"] + 1)  # as of the master's last heartbeat
        counters = wait_for(lambda: (lambda c: c if c == status(server)["counters"] else None)(server.counters()))
        assert (counters["ximssActive"], counters["ximssSessionsActive"], counters["ximssLoginsFailed"]) == (3, 2, 1)
        assert {name: p["pid"] for name, p in processes(server).items()} == server.children()
        for name, p in processes(server).items():
            assert p["ready"] and p["restarts"] == 0 and p["generation"] == 1, p
            assert name == (p["role"] if p["role"] == "auth" else "%s %d" % (p["role"], p["number"]))
            assert 0 <= p["heard"] < 10 and p["heard"] <= p["uptime"] <= said["uptime"] + (time.monotonic() - begin) + 1
        listeners = {x["listener"]: x for x in said["listeners"]}
        assert listeners["ximss"] == {"listener": "ximss", "protocol": "ximss", "address": "127.0.0.1:%d" % server.port,
                                      "tls": "starttls", "open": True}
        assert listeners["ximss-tls"]["tls"] == "yes" and listeners["off"]["open"] is False
        # one dies: another generation, counted
        before = server.kill("keeper 1")
        after = wait_for(lambda: (lambda p: p if p["ready"] and p["pid"] != before else None)(processes(server)["keeper 1"]))
        assert after["restarts"] == 1 and after["generation"] == 2 and after["pid"] == server.children()["keeper 1"]
        assert {p["restarts"] for name, p in processes(server).items() if name != "keeper 1"} == {0}
        shown = server.ctl("status").stdout
        assert "ximssd %s, pid %d, up " % (said["version"], said["pid"]) in shown and " of 77, " in shown
        for c in [*users, nobody]:
            c.close()


def test_a_process_that_is_away(tmp_path):
    """Killed as soon as it starts, it is started later and later; until then it has no pid."""
    with Server(tmp_path, server="workers = 1\nkeepers = 1\n") as server:
        def away():
            p = processes(server)["helper 1"]
            if p["pid"] is None:
                assert p["ready"] is False and 0 <= p["startsIn"] <= 60
                return p
            with contextlib.suppress(ProcessLookupError):
                os.kill(p["pid"], signal.SIGKILL)
            return None

        for _ in range(4):
            server.kill("helper 1")
        assert wait_for(away)
        assert "not ready" in server.ctl("status").stdout
