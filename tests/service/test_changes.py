# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The ximssd authors
"""Reload, upgrade and drain, as the service manager sees them, with its sockets and the pidfile."""
import fcntl
import os
import shutil
import signal
import subprocess

import pytest
from service import Environments, HandsIn, Manager, tcp, unix
from ximss import Client, free_port, wait_for


@pytest.fixture
def world(tmp_path):
    """A server that was handed both of its sockets, with a pidfile, under a manager that listens."""
    manager = Manager("@ximssd-manager-%d" % os.getpid())
    pidfile = os.path.join(str(tmp_path), "ximssd.pid")
    recorder = Environments(tmp_path)
    settings = "workers = 2\nkeepers = 1\nhashers = 1\nhelpers = 1\nshutdown_grace = 0s\npidfile = %s\n" % pidfile
    with HandsIn(tmp_path, server=settings, start=False) as server:
        server.settings, server.pidfile, server.recorder = settings, pidfile, recorder
        os.makedirs(server.run_dir)
        programs = os.path.join(str(tmp_path), "bin")
        os.mkdir(programs)
        for name in ("ximssd", "ximssctl"):
            shutil.copy(os.path.join(server.bin, name), programs)
        server.bin = programs
        server.add_account("dora", "correct-horse")
        with tcp("127.0.0.1", server.port) as door, unix(os.path.join(server.run_dir, "lmtp")) as post:
            server.hand(door, post, NOTIFY_SOCKET=manager.name, WATCHDOG_USEC="1200000", **recorder.env)
            server.start()
            manager.wait("READY")
            yield server, manager
    manager.sock.close()


def is_locked(path):
    with open(path) as f:
        try:
            fcntl.flock(f, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return False
        except BlockingIOError:
            return True


def states(manager, since):
    """READY and RELOADING, in the order in which they came."""
    return [k for _, fields, _ in manager.read()[since:] for k in fields if k in ("READY", "RELOADING", "STOPPING")]


def test_reload(world):
    """Each reload is told from its begin to its end, also one that changes nothing."""
    server, manager = world
    other = free_port(server.port)
    since = len(manager.read())
    server.rewrite("[listener other]\nprotocol = ximss\naddress = 127.0.0.1:%d\n" % other, server.settings)
    server.ctl("reload")
    wait_for(lambda: states(manager, since) == ["RELOADING", "READY"])
    Client(("127.0.0.1", other)).call('<noop id="a"/>')
    server.session()
    server.deliver("Subject: x\r\n\r\ny\r\n")

    since = len(manager.read())
    server.rewrite("[listener other]\nprotocol = ximss\naddress = nowhere\n", server.settings)
    assert "nothing was changed" in server.reload()
    wait_for(lambda: states(manager, since) == ["RELOADING", "READY"])

    # a section that goes: the file of its socket belongs to who has made it
    path = os.path.join(server.run_dir, "lmtp")
    server.rewrite("[listener lmtp]\nprotocol = lmtp\naddress = 127.0.0.1:%d\n" % free_port(server.port), server.settings)
    server.ctl("reload")
    assert os.path.exists(path)


def test_upgrade(world):
    """The same process goes on: the manager hears no end and no start, and signs of life all the time."""
    server, manager = world
    master, everybody = server.process.pid, len(server.children())
    wait_for(lambda: manager.with_key("STATUS")[-1] == "Serving with %d processes." % everybody)
    since, lock = len(manager.read()), os.stat(server.pidfile).st_ino
    server.ctl("upgrade")
    wait_for(lambda: manager.read() and "upgrade: done" in server.log(), 60)
    assert is_locked(server.pidfile) and os.stat(server.pidfile).st_ino == lock
    assert states(manager, since) == []
    told = [f["STATUS"] for _, f, _ in manager.read()[since:] if "STATUS" in f]
    assert any("an upgrade is under way" in s for s in told)
    wait_for(lambda: manager.with_key("STATUS")[-1] == "Serving with %d processes." % everybody)
    signs = len(manager.with_key("WATCHDOG"))
    manager.wait("WATCHDOG", signs + 2)
    assert {pid for pid, _, _ in manager.messages} == {master}
    for name, pid in server.children().items():
        assert not {"NOTIFY_SOCKET", "WATCHDOG_USEC", "LISTEN_FDS"} & set(server.recorder.of(pid)), name

    # still one socket for all workers, and not ours to remove
    out = subprocess.run(["ss", "-Hltn", "sport = :%d" % server.port], capture_output=True, text=True, check=True).stdout
    assert len(out.splitlines()) == 1
    server.session()
    server.deliver("Subject: x\r\n\r\ny\r\n")
    since = len(manager.read())
    server.process.send_signal(signal.SIGTERM)
    assert server.process.wait(20) == 0
    assert states(manager, since) == ["STOPPING"]
    assert not os.path.exists(server.pidfile)
    assert os.path.exists(os.path.join(server.run_dir, "lmtp"))


def test_upgrade_that_cannot_be_executed(world):
    """The variables are put back for the new program; when there is none after all, no child gets to see them."""
    server, manager = world
    program = os.path.join(server.bin, "ximssd")
    os.rename(program, program + ".good")
    with open(program, "w") as f:  # says the right versions, and is gone
        f.write('#!/bin/sh\nrm -- "%s"\nexec "%s.good" "$@"\n' % (program, program))
    os.chmod(program, 0o755)
    server.ctl("upgrade")
    wait_for(lambda: "upgrade: cannot execute" in server.log())
    before = server.kill("worker 1")
    wait_for(lambda: server.children().get("worker 1") not in (None, before))
    assert "NOTIFY_SOCKET" not in server.recorder.of(server.children()["worker 1"])
    server.session()
    signs = len(manager.with_key("WATCHDOG"))
    manager.wait("WATCHDOG", signs + 2)


def test_drain(world):
    """Nobody new is let in; the manager hears of the end when it begins."""
    server, manager = world
    client = server.session()
    since = len(manager.read())
    server.ctl("drain", "--within", "60s")
    wait_for(lambda: any("Draining" in f.get("STATUS", "") for _, f, _ in manager.read()[since:]))
    assert states(manager, since) == []
    client.call('<bye id="b"/>')
    assert wait_for(lambda: manager.read() and server.process.poll() is not None and [server.process.poll()]) == [0]
    assert states(manager, since) == ["STOPPING"]
