# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The ximssd authors
"""What ximss-top shows of a living server (protocol 1, 9.1 and 9.2), and what of it survives whom (design 2, 3)."""
import contextlib
import csv
import io
import json
import os
import re
import signal
import socket
import subprocess
import time

from settled import settle, spread_sessions
from ximss import Closed, Server, wait_for


def port_of(client):
    return (client if isinstance(client, socket.socket) else client.sock).getsockname()[1]


def row(server, client):
    return server.row(port=port_of(client))


def test_idle_rows(server):
    """Before login `authenticating`, after it `reading request`, Running empty in both; a handshake is one."""
    before, after = server.client(), server.session()
    tls = server.session(tls=True)
    shaking = socket.create_connection(("127.0.0.1", server.tls_port), timeout=20)
    settle(server)
    got = {name: row(server, c) for name, c in (("before", before), ("after", after), ("tls", tls), ("shaking", shaking))}
    shown = {name: (r["ip"], r["account"], r["status"], r["running"], r["transport"], r["tls"]) for name, r in got.items()}
    assert shown == {"before": ("127.0.0.1", "", "authenticating", None, "tcp", ""),
                     "after": ("127.0.0.1", "dora@harbor.example", "reading request", None, "tcp", ""),
                     "tls": ("127.0.0.1", "dora@harbor.example", "reading request", None, "tcp", "TLSv1.3"),
                     "shaking": ("127.0.0.1", "", "TLS handshake", None, "tcp", "")}
    assert all(0 <= r["connected"] <= 20 for r in got.values())
    assert len({r["id"] for r in got.values()}) == 4 and all(100001 <= r["id"] <= 999999 for r in got.values())
    shaking.close()
    wait_for(lambda: server.top()["total"] == 3)


def test_one_number_for_connection_and_session(server):
    """9.1: the row's number is that of the urlID, and of `XIMSSI-` and `XIMSS-` in the log; numbers are not used twice."""
    seen = []
    for _ in range(5):
        client = server.client()
        number = wait_for(lambda: row(server, client))["id"]
        assert client.login().get("urlID").split("-")[0] == str(number)
        assert row(server, client)["id"] == number
        seen.append(number)
        client.close()
    wait_for(lambda: server.top()["total"] == 0)
    assert seen == sorted(set(seen))
    for number in seen:
        for line in " 2 XIMSSI-%d([127.0.0.1]) got connection on ", " 2 XIMSS-%d(dora@harbor.example) session opened, ":
            wait_for(lambda line=line % number: line in server.log())


# Requests and what is shown while they run; all others by their names.
BUSY = {
    '<mailboxList id="1" filter="*"/>': "listing mailboxes",
    '<folderOpen id="1" folder="b" mailbox="INBOX"/>': "opening folder",
    '<folderReopen id="1" folder="a"/>': "opening folder",
    '<folderBrowse id="1" folder="a"><index from="0" till="9"/></folderBrowse>': "listing messages",
    '<folderSync id="1" folder="a"/>': "syncing folder",
    '<folderRead id="1" folder="a" UID="1"/>': "reading message",
    '<messageMark id="1" folder="a" flags="Read"><UID>1</UID></messageMark>': "marking messages",
    '<messageRemove id="1" folder="a"><UID>1</UID></messageRemove>': "removing messages",
    '<folderExpunge id="1" folder="a"/>': "removing messages",
    '<folderClose id="1" folder="a"/>': "closing folder",
    '<passwordModify id="1" oldPassword="correct-horse" newPassword="battery-staple"/>': "changing password",
    '<bye id="1"/>': "closing",
    '<readTime id="1"/>': "readTime",
    '<mailboxCreate id="1" mailbox="x"/>': "mailboxCreate",
    '<setSessionOption id="1" name="a" value="b"/>': "setSessionOption",
    '<READTIME id="1"/>': "readTime",
}


def test_busy_rows_of_a_keeper_that_hangs(tmp_path):
    """The oldest unanswered request of each session, and for how long; a hung keeper is visible. Then all is answered."""
    with Server(tmp_path, server="keepers = 1\nchannels_per_client_address = 0\n") as server:
        server.deliver("Subject: x\r\n\r\ny\r\n")
        sessions = {request: server.session() for request in BUSY}
        for session in sessions.values():
            session.call('<folderOpen id="o" folder="a" mailbox="INBOX"/>')
        os.kill(server.children()["keeper 1"], signal.SIGSTOP)
        for request, session in sessions.items():
            session.send_bytes(request.encode() + b'\0<noop id="behind"/>\0')
        shown = wait_for(lambda: (lambda rows: rows if all(r["status"] != "reading request" for r in rows.values()) else None)(
            {r["port"]: r for r in server.top()["sessions"]}))
        assert {q: shown[port_of(s)]["status"] for q, s in sessions.items()} == BUSY
        wait_for(lambda: all(r["running"] >= 1 for r in server.top()["sessions"]))
        os.kill(server.children()["keeper 1"], signal.SIGCONT)
        for request, session in sessions.items():
            session.until_response("1")
            if request.startswith("<bye"):
                assert session.closed()
                session.close()
            else:
                session.until_response("behind")
                assert wait_for(lambda s=session: row(server, s)["status"] == "reading request")
        wait_for(lambda: server.top()["total"] == len(BUSY) - 1)
        assert all(r["running"] is None for r in server.top()["sessions"])


def test_three_forms_say_the_same(server):
    clients = [server.session(), server.session("otto@harbor.example"), server.client()]
    ids = sorted(wait_for(lambda c=c: row(server, c))["id"] for c in clients)

    def top(*args):
        from ximss import BUILD
        return subprocess.run([os.path.join(BUILD, "ximss-top"), "-c", server.conf_path, "--once", *args], capture_output=True,
                              text=True, timeout=20, check=True).stdout
    lines = top().splitlines()
    assert lines[0] == "3 of 3 selected"
    assert lines[1].split() == ["ID", "IP", "Address", "Account", "Connected", "Status", "Running"]
    assert [int(line.split()[0]) for line in lines[2:]] == ids
    assert all(re.search(r" \[127\.0\.0\.1\] .* \d+(sec|min) ", line) for line in lines[2:])
    rows = list(csv.DictReader(io.StringIO(top("--csv"), newline=""), strict=True))
    assert [int(r["id"]) for r in rows] == ids
    by_json = {r["id"]: r for r in server.top()["sessions"]}
    for r in rows:
        same = by_json[int(r["id"])]
        assert (r["ip"], r["account"], r["status"]) == (same["ip"], same["account"], same["status"])


GAUGES = ("ximssActive", "ximssSessionsActive", "ximssHTTPSessionsActive", "httpUserActive")


def test_counters(server):
    """9.2: what is counted, and that gauges come back to 0 when everybody is gone, also after processes have died."""
    start = server.counters()
    sessions = [server.session() for _ in range(6)]
    client = server.client()
    client.fail('<login id="1" authData="dora" password="oops"/>')
    client.call('<noop id="2"/>')
    settle(server)
    now = server.counters()
    more = {k: now[k] - start[k] for k in now}
    assert now["ximssActive"] == more["ximssTotal"] == 7 and more["ximssSessionsTotal"] == 6 and now["ximssSessionsActive"] == 6
    assert more["ximssRequests"] == 8 and more["ximssErrors"] == 1 and more["ximssLoginsFailed"] == 1
    assert more["ximssRejected"] == 0 and more["ximssTrafficIn"] > 8 * 20 and more["ximssTrafficOut"] > 8 * 20
    for victim in ("worker 1", "keeper 1", "worker 2", "auth", "keeper 2"):
        old = server.kill(victim)
        wait_for(lambda victim=victim, old=old: server.children().get(victim) not in (None, old))
        totals = server.counters()
        assert all(totals[k] >= now[k] for k in totals if k not in GAUGES), victim
        assert all(0 <= totals[k] <= 1 + len(sessions) for k in GAUGES)
        now = totals

        def try_it():
            try:
                return server.session()
            except (Closed, ConnectionError, AssertionError):
                return None
        sessions.append(wait_for(try_it))
    for c in [client, *sessions]:
        c.close()
    assert wait_for(lambda: all(server.counters()[k] == 0 for k in GAUGES))


# --- sockets and cores

def listening(port):
    out = subprocess.run(["ss", "-Hltn", "sport = :%d" % port], capture_output=True, text=True, check=True, timeout=20).stdout
    return len(out.splitlines())


def test_one_socket_for_each_worker_kept_by_the_master(tmp_path):
    """What waits in a dead worker's queue is served by its successor: nobody is refused (design 2, 2.5)."""
    with Server(tmp_path, server="workers = 3\n") as server:
        assert listening(server.port) == 3
        pids = [server.children()["worker %d" % n] for n in (1, 2, 3)]
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        clients = [server.client() for _ in range(30)]
        for client in clients:
            client.send('<noop id="n"/>')
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):  # the master may have thought so too
                os.kill(pid, signal.SIGKILL)
        assert listening(server.port) == 3
        for client in clients:
            assert client.raw() == b'<response id="n"/>'
        assert listening(server.port) == 3


def test_no_process_leaves_a_core(server):
    """Design 9.4: passwords, keys and mail are in them."""
    children = server.children()
    for pid in [server.process.pid, *children.values()]:
        with open("/proc/%d/limits" % pid) as f:
            line = next(line for line in f if line.startswith("Max core file size"))
        assert line.split()[4:6] == ["0", "0"], pid


def test_a_stuck_worker_shows_what_it_did_last(server):
    """A segment that nobody writes is still read; its rows go with its process."""
    sessions, pid, begin = spread_sessions(server, 8), server.children()["worker 1"], time.monotonic()
    processes = json.loads(server.ctl("--json", "status").stdout)["processes"]
    (heard,) = [p["heard"] for p in processes if p["process"] == "worker 1"]  # seconds ago, so it was heard of then or later
    os.kill(pid, signal.SIGSTOP)
    wait_for(lambda: "\nState:\tT" in open("/proc/%d/status" % pid).read())  # noqa: SIM115
    shown = len(server.top()["sessions"])
    if server.children().get("worker 1") == pid:  # on a machine that is not so slow that its time was over by then
        assert shown == len(sessions)
    wait_for(lambda: len(server.top()["sessions"]) < len(sessions))
    assert time.monotonic() - begin + heard > 5
    for session in sessions:
        session.close()
