# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The ximssd authors
"""Start, stop, titles, the end of the master (design 2, 2.5)."""
import json
import os
import signal
import time

from ximss import PATIENCE, Server, wait_for


def test_titles_in_ps(tmp_path):
    conf = "workers = 3\nkeepers = 2\nhashers = 1\nhelpers = 2\n"
    with Server(tmp_path, server=conf) as server:
        assert set(server.children()) == {"worker 1", "worker 2", "worker 3", "keeper 1", "keeper 2", "auth", "hasher 1",
                                          "helper 1", "helper 2"}
        for title, pid in server.children().items():
            with open("/proc/%d/comm" % pid, encoding="ascii") as f:
                assert f.read() == "ximssd-%s\n" % title.split()[0]


def test_stop_says_bye(server):
    """SIGTERM: every session gets <bye/>, the exit code is 0, nothing is left behind."""
    clients = [server.session(), server.session(tls=True), server.client()]
    children = list(server.children().values())
    run_dir = server.run_dir
    server.process.send_signal(signal.SIGTERM)
    for client in clients:
        assert client.raw() == b"<bye/>"
        assert client.rest() == b""
    assert server.process.wait(PATIENCE) == 0
    server.process = None
    assert not os.path.exists(os.path.join(run_dir, "control"))
    assert not os.path.exists(os.path.join(run_dir, "lmtp"))
    for pid in children:
        assert not os.path.exists("/proc/%d" % pid)


def test_nobody_is_killed_at_a_stop(tmp_path):
    """All end of their own accord, in whatever order they come to it."""
    with Server(tmp_path) as server:
        for _ in range(4):
            server.session().close()
            assert server.stop() == 0
            assert "ended by signal" not in server.log()
            server.start()


def test_stop_in_the_middle_of_requests(server):
    """What was asked before the end is answered or not, but never falsely, and the server ends in time."""
    clients = [server.session() for _ in range(6)]
    for client in clients:
        client.send_bytes(b'<readTime id="t"/>\0' * 30)
    server.process.send_signal(signal.SIGTERM)
    for client in clients:
        messages = [m for m in client.rest().split(b"\0") if m]
        assert messages[-1] == b"<bye/>"
        assert all(m.startswith((b"<currentTime id=\"t\"", b"<response id=\"t\"/>", b"<bye/>")) for m in messages)
    assert server.process.wait(PATIENCE) == 0
    server.process = None


def test_nothing_outlives_the_master(server):
    """kill -9 of the master: nobody is left who would serve without anybody looking after him."""
    session = server.session()
    children = list(server.children().values())
    server.process.kill()
    server.process.wait()
    wait_for(lambda: not any(os.path.exists("/proc/%d" % pid) for pid in children))
    assert session.rest() in (b"", b"<bye/>\0")
    # the next start clears up what was left
    server.start()
    again = server.session()
    assert server.top()["total"] == 1
    again.close()


def test_a_stopped_worker_is_replaced(server):
    """SIGSTOP: five seconds of silence, then it is killed and another one serves."""
    before, begin = server.children()["worker 1"], time.monotonic()
    processes = json.loads(server.ctl("--json", "status").stdout)["processes"]
    (heard,) = [p["heard"] for p in processes if p["process"] == "worker 1"]  # seconds ago, so it was heard of then or later
    os.kill(before, signal.SIGSTOP)
    wait_for(lambda: server.children().get("worker 1") not in (None, before))
    assert time.monotonic() - begin + heard > 5
    for _ in range(6):
        server.session()


def test_a_master_that_was_stopped(server):
    """What its children said while it was away counts: nobody is killed for a silence that was the master's own."""
    before, session = server.children(), server.session()
    server.process.send_signal(signal.SIGSTOP)
    time.sleep(7)
    server.process.send_signal(signal.SIGCONT)
    time.sleep(2)
    assert server.children() == before
    assert "is silent" not in server.log()
    session.call('<readTime id="t"/>')


def test_helpers_and_hashers_are_replaced(server):
    before = server.children()
    for name in ("helper 1", "helper 2", "hasher 1"):
        server.kill(name)
    wait_for(lambda: all(server.children().get(n) not in (None, before[n]) for n in ("helper 1", "helper 2", "hasher 1")))
    server.deliver("Subject: x\r\n\r\ny\r\n")
    server.session()


def test_a_child_that_dies_at_once_does_not_spin(tmp_path):
    """Respawn back-off: a keeper whose bank is rubbish is started again ever more slowly, and the others live."""
    with Server(tmp_path, accounts={}, start=False) as server:
        server.add_account("dora", "correct-horse")
        server.start()
        path = os.path.join(server.state_dir, "bank-00.db")
        server.stop()
        os.makedirs(server.run_dir, exist_ok=True)
        for name in os.listdir(server.state_dir):
            if name.startswith("bank-00.db"):
                os.unlink(os.path.join(server.state_dir, name))
        with open(path, "wb") as f:
            f.write(b"this is no database" * 1000)
        owner = os.stat(server.state_dir)
        os.chown(path, owner.st_uid, owner.st_gid)
        try:
            import ximss
            old, ximss.wait_for = ximss.wait_for, lambda what, seconds=0, pause=0: time.sleep(6)
            server.start()
        finally:
            ximss.wait_for = old
        assert server.log().count("keeper 1 (pid") <= 8, server.log()
        wait_for(lambda: server.log().count("keeper 1 (pid") >= 2)
