# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The ximssd authors
"""A dead process is replaced, its rows go, and nobody else notices (design 2.5; issue slice 4)."""
import json
import os
import select
import signal

from settled import held, spread_sessions
from ximss import Closed, alive, wait_for


def test_worker_killed(server):
    clients = spread_sessions(server, 12)
    before = server.children()
    server.kill("worker 1")
    wait_for(lambda: server.children().get("worker 1") not in (None, before["worker 1"]))
    living = [c for c in clients if alive(c)]
    assert 0 < len(living) < len(clients)
    wait_for(lambda: [r["status"] for r in server.top()["sessions"]] == ["reading request"] * len(living))
    # all others are the processes that they were
    now = server.children()
    assert {k: v for k, v in before.items() if k != "worker 1"} == {k: v for k, v in now.items() if k != "worker 1"}
    # and the new one serves
    for _ in range(8):
        assert alive(server.session())


def test_gate_gets_back_what_a_dead_worker_held(tmp_path):
    from ximss import Server
    with Server(tmp_path, server="channels = 10\nworkers = 2\n") as server:
        clients = [server.session() for _ in range(10)]
        assert server.client().closed()
        has = held(server)
        server.kill(max(has, key=has.get))
        wait_for(lambda: len([c for c in clients if alive(c)]) < 10)
        living = [c for c in clients if alive(c)]

        def again():
            c = server.client()
            try:
                c.login()
                return c
            except (Closed, ConnectionError):
                c.close()
                return None
        more = [wait_for(again) for _ in range(10 - len(living))]
        assert all(alive(c) for c in living + more)
        assert server.client().closed()


def test_auth_killed(server):
    session = server.session()
    old = server.kill("auth")
    assert alive(session)
    wait_for(lambda: server.children().get("auth") not in (None, old))
    assert alive(server.session())


def test_keeper_killed(server):
    """Its sessions get <bye/> and end; the account can log in again."""
    server.deliver("Subject: kept\r\n\r\nhello\r\n")
    dora, otto = server.session(), server.session("otto@harbor.example")
    rows = {r["account"]: r for r in server.top()["sessions"]}
    assert set(rows) == {"dora@harbor.example", "otto@harbor.example"}
    server.kill("keeper 1")
    ended = wait_for(lambda: select.select([dora.sock, otto.sock], [], [], 0)[0])
    (client, survivor) = (dora, otto) if dora.sock in ended else (otto, dora)
    assert client.raw() == b"<bye/>" and client.closed()
    assert alive(survivor)
    again = wait_for(lambda: session_or_none(server))  # its keeper may take longer to come back than a login waits for it
    reports, _ = again.call('<folderOpen id="o" folder="INBOX"/>')
    assert reports[0].get("messages") == "1"


def session_or_none(server):
    try:
        return server.session()
    except (AssertionError, Closed, ConnectionError):
        return None


def test_a_login_that_its_keeper_took_with_it(server):
    """It comes to the keeper when auth has done with it already; the next one has it put to it once more."""
    bank = json.loads(server.ctl("--json", "account", "list").stdout)["accounts"][0]["bank"]
    name = "keeper %d" % (bank % len([n for n in server.children() if n.startswith("keeper")]) + 1)
    keeper = server.kill(name, signal.SIGSTOP)
    clients = [server.client() for _ in range(4)]
    for client in clients:
        client.send('<login id="L" authData="dora" password="correct-horse"/>')
    wait_for(lambda: [a["ok"] for a in json.loads(server.ctl("why-login", "--json", "dora").stdout)["attempts"]] == [True] * 4)
    os.kill(keeper, signal.SIGKILL)
    for client in clients:
        messages, response = client.until_response("L")
        assert response.get("errorNum") is None and [m.tag for m in messages] == ["session"]
        assert alive(client)
    wait_for(lambda: len(server.top()["sessions"]) == 4)
    wait_for(lambda: server.counters()["ximssSessionsActive"] == 4)


def test_a_stopped_server_is_shown_as_such(server):
    server.session()
    assert server.top()["server"]["running"] is True
    run_dir = server.run_dir
    keep = os.path.join(server.folder, "run")
    # stop() removes run_dir; look while it is still there
    server.process.terminate()
    server.process.wait()
    os.rename(run_dir, keep)
    os.symlink(keep, run_dir)
    top = server.top()
    assert top["server"]["running"] is False and top["sessions"] == []
    os.unlink(run_dir)
    server.process = None
