# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The ximssd authors
"""A process that dies by a signal, or is killed because it hangs: the master's log says what it was at.

What the line must say comes from what the test itself had made the process do.
"""
import contextlib
import os
import random
import re
import signal
import time

from settled import settle
from shmread import FORMS, LAYOUT, segment, segments, take
from ximss import ROOT, Server, wait_for

ONE = "workers = 1\nkeepers = 1\n"
# A sanitizer would make an exit code of the signal.
NO_HANDLER = {name: ":".join(filter(None, [os.environ.get(name), "handle_segv=0"]))
              for name in ("ASAN_OPTIONS", "UBSAN_OPTIONS")}


def end_of(server, name, pid):
    """What follows "worker 1 (pid 77) ended by " in the log."""
    found = re.compile(r"%s \(pid %d\) ended by (.*)" % (name, pid))
    return wait_for(lambda: found.search(server.log()))[1]


@contextlib.contextmanager
def stopped(pid):
    """The process stands still."""
    os.kill(pid, signal.SIGSTOP)
    try:
        wait_for(lambda: open("/proc/%d/stat" % pid).read().rsplit(")", 1)[1].split()[0] == "T")  # noqa: SIM115
        yield pid
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)


def number(client_session):
    return int(client_session.get("urlID").split("-")[0])


def sessions(server, count):
    """(client, number) of so many sessions."""
    clients = [server.client() for _ in range(count)]
    return [(c, number(c.login())) for c in clients]


def entries(text):
    """[(number, account, operation, seconds)] of "running ..."."""
    form = r"(\d{6}) (?:\(([^)]*)\) )?(\S+) (\d+\.\d{3})s"
    assert re.fullmatch(r"running %s(, %s)*(, and \d+ more)?" % (form, form), text), text
    return [(int(i), account, op, float(s)) for i, account, op, s in re.findall(form, text)]


def test_a_worker_and_its_running_operations(tmp_path):
    with Server(tmp_path, server=ONE, env=NO_HANDLER) as server:
        every = sessions(server, 8)
        worker, began = server.children()["worker 1"], {}
        with stopped(server.children()["keeper 1"]):
            for client, ident in every[:7]:
                began[ident] = time.monotonic()
                client.send('<folderOpen id="o" folder="in" mailbox="INBOX"/>')
                wait_for(lambda ident=ident: server.row(id=ident)["status"] == "opening folder")
            os.kill(worker, signal.SIGSEGV)
            text = end_of(server, "worker 1", worker)
            now = time.monotonic()
        assert text.startswith("signal 11: "), text
        got = entries(text[len("signal 11: "):])
        # of seven that run the five oldest; the eighth waits for its client
        assert [e[:3] for e in got] == [(i, "dora@harbor.example", "folderOpen") for _, i in every[:5]]
        assert text.endswith(", and 2 more")
        for (_, ident), (_, _, _, seconds) in zip(every, got):
            assert 0 <= seconds <= now - began[ident] + 0.002
        assert got[0][3] > got[4][3]


def test_a_login_that_waits(tmp_path):
    """Before login there is no account, and the name that was tried is not shown."""
    with Server(tmp_path, server=ONE) as server:
        client = server.client()
        worker = server.children()["worker 1"]
        with stopped(server.children()["auth"]):
            with stopped(server.process.pid):  # or it takes auth for one that hangs, however soon we are done
                client.send('<login id="L" authData="otto" password="swordfish"/>')
                (row,) = wait_for(lambda: [r for r in server.top()["sessions"] if r["running"] is not None])
                os.kill(worker, signal.SIGKILL)
            text = end_of(server, "worker 1", worker)
        (entry,) = entries(text[len("signal 9: "):])
        assert entry[:3] == (row["id"], "", "login")
        assert "otto" not in text and "swordfish" not in server.log()


def test_nothing_ran(tmp_path):
    with Server(tmp_path, server=ONE, env=NO_HANDLER) as server:
        sessions(server, 1)
        settle(server)
        worker, keeper = server.children()["worker 1"], server.children()["keeper 1"]
        os.kill(worker, signal.SIGSEGV)
        assert end_of(server, "worker 1", worker) == "signal 11: no operation was running"
        os.kill(keeper, signal.SIGSEGV)
        assert end_of(server, "keeper 1", keeper) == "signal 11: waiting"


def heartbeat(server):
    return take(segment(server, "index"), 0, "shm_index", "heartbeat")


def test_a_worker_that_hangs(tmp_path):
    with Server(tmp_path, server=ONE, clock=True) as server:
        (client, ident), = sessions(server, 1)
        worker = server.children()["worker 1"]
        with stopped(server.children()["keeper 1"]):
            began = time.monotonic()
            client.send('<folderOpen id="o" folder="in" mailbox="INBOX"/>')
            wait_for(lambda: server.row(id=ident)["status"] == "opening folder")
            with stopped(worker):
                lived = time.monotonic() - began
                def step():
                    beat = heartbeat(server)
                    server.advance(1)
                    time.sleep(0.3)  # a beat of the others
                    wait_for(lambda: heartbeat(server) != beat)  # and a turn of the master
                    return "worker 1 (pid %d) ended" % worker in server.log()
                wait_for(step)
                text = end_of(server, "worker 1", worker)
        found = re.fullmatch(r"signal 9 after (\d+)s of silence: (.*)", text)
        assert found and 5 <= int(found[1]) < 20, text
        (entry,) = entries(found[2])
        assert entry[:3] == (ident, "dora@harbor.example", "folderOpen")
        assert 3 < entry[3] <= int(found[1]) + 1 + lived


# --- keepers: where one is, a test can only meet by chance; it looks before it kills

def header(server):
    """The numbers at the beginning of the keeper's segment."""
    (data,) = [data for _, data in segments(server, "keeper-")]
    return {field: take(data, 0, "shm_segment", field) for field, (_, n) in LAYOUT["shm_segment"][1].items() if n in FORMS}


def states():
    text = open(os.path.join(ROOT, "shm", "states.tbl")).read()  # noqa: SIM115
    return ["", *re.findall(r'^STATE\(\w+, "([^"]*)"\)', text, re.M)]


MESSAGES = 400
MARKS = 20


def opened(server):
    """A session with its INBOX open: (client, its number)."""
    (client, ident), = sessions(server, 1)
    client.call('<folderOpen id="o" folder="in" mailbox="INBOX"/>')
    return client, ident


def marking(server):
    """As opened(), with enough messages to keep a keeper busy."""
    lmtp = server.lmtp()
    for i in range(MESSAGES):
        lmtp.deliver("ann@example.org", ["dora@harbor.example"], b"Subject: %d\r\n\r\nx\r\n" % i)
    lmtp.quit()
    return opened(server)


def mark_all(client):
    text = '<messageMark id="%d" folder="in" flags="%s"><index from="0" till="%d"/></messageMark>'
    client.send_bytes(b"".join((text % (i, "Flagged" if i % 2 else "Unflagged", MESSAGES - 1)).encode() + b"\0"
                               for i in range(MARKS)))


def caught(server, client, wanted):
    """Makes work and stops the keeper in the middle of it, again and again until its header says what is wanted; then
    kills it. What the log says, and the seconds that it stood."""
    names, pid, rnd, end = states(), server.children()["keeper 1"], random.Random(7), time.monotonic() + 60
    took = 0.1
    while time.monotonic() < end:
        begin = time.monotonic()
        mark_all(client)
        time.sleep(rnd.uniform(0, took))
        with stopped(pid):
            since, head = time.monotonic(), header(server)
            if wanted(names[head["state"]], head["op"]):
                time.sleep(0.05)
                stood = time.monotonic() - since
                os.kill(pid, signal.SIGKILL)
                return end_of(server, "keeper 1", pid), stood
        client.until_response(str(MARKS - 1))
        took = time.monotonic() - begin
    raise AssertionError("never met")


def test_a_keeper_in_an_operation_and_in_a_commit(tmp_path):
    with Server(tmp_path, server=ONE) as server:
        client, ident = marking(server)
        text, stood = caught(server, client, lambda state, op: op != 0)
        found = re.fullmatch(r"signal 9: reading requests for (\d+\.\d{3})s, of (\d{6}): (\w+)", text)
        assert found and stood <= float(found[1]) + 0.001 < stood + 20, text
        assert found.group(2, 3) == (str(ident), "messageMark")
        client, _ = opened(server)
        text, stood = caught(server, client, lambda state, op: state == "committing")
        found = re.fullmatch(r"signal 9: committing for (\d+\.\d{3})s", text)
        assert found and stood <= float(found[1]) + 0.001 < stood + 20, text
