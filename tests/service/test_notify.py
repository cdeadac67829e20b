# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The ximssd authors
"""The service manager's side of sd_notify(3): a datagram socket that knows who has written to it."""
import os
import signal
import subprocess
import time

import pytest
from service import Environments, Manager
from ximss import BUILD, PATIENCE, Server, wait_for



@pytest.fixture
def manager():
    m = Manager("@ximssd-manager-%d" % os.getpid())
    yield m
    m.sock.close()


def test_a_life(tmp_path):
    """Start, a reload, a process that dies, the end: the messages, in order, all of them from the master."""
    manager = Manager("/tmp/ximssd-manager-%d" % os.getpid())  # a path has to be short
    env = {"NOTIFY_SOCKET": manager.name, "WATCHDOG_USEC": "2000000"}
    with Server(tmp_path, server="workers = 2\nkeepers = 2\nhashers = 1\nhelpers = 2\n", env=env) as server:
        master = server.process.pid
        assert manager.wait("READY") == "1"
        assert manager.with_key("MAINPID") == [str(master)]
        everybody = len(server.children())
        starting = [s for s in manager.with_key("STATUS") if s.startswith("Starting")]
        assert starting and all(" of %d processes" % everybody in s for s in starting)
        wait_for(lambda: manager.with_key("STATUS")[-1] == "Serving with %d processes." % everybody)

        before = time.monotonic_ns() // 1000
        server.process.send_signal(signal.SIGHUP)
        reload_began = int(manager.wait("MONOTONIC_USEC"))
        assert before <= reload_began <= time.monotonic_ns() // 1000
        manager.wait("READY", 2)
        (reloading,), ready = manager.index("RELOADING"), manager.index("READY")
        assert ready[0] < reloading < ready[1]
        # both have to be in one message
        assert set(manager.messages[reloading][1]) == {"RELOADING", "MONOTONIC_USEC"}

        seen = len(manager.read())
        server.kill("helper 1")
        wait_for(lambda: any("are being replaced" in f.get("STATUS", "") for _, f, _ in manager.read()[seen:]))
        wait_for(lambda: manager.with_key("STATUS")[-1] == "Serving with %d processes." % everybody)

        server.session()
        server.process.send_signal(signal.SIGTERM)
        manager.wait("STOPPING")
        assert server.process.wait(PATIENCE) == 0
        server.process = None
    stop = manager.index("STOPPING")
    assert len(stop) == 1 and "READY" not in {k for _, f, _ in manager.messages[stop[0]:] for k in f}
    # the server's own patience, shutdown_grace and what follows it, is within what was asked for
    grants = [int(f["EXTEND_TIMEOUT_USEC"]) for _, f, _ in manager.messages[stop[0]:] if "EXTEND_TIMEOUT_USEC" in f]
    assert grants and 10_000_000 <= max(grants) <= 60_000_000
    assert any(f["STATUS"].startswith("Stopping") for _, f, _ in manager.messages[stop[0]:] if "STATUS" in f)
    assert {pid for pid, _, _ in manager.messages} == {master}
    manager.sock.close()
    os.unlink(manager.name)


def test_signs_of_life(manager, tmp_path):
    """At half of WATCHDOG_USEC, as long as the master's loop goes round."""
    with Server(tmp_path, env={"NOTIFY_SOCKET": manager.name, "WATCHDOG_USEC": "1200000"}) as server:
        manager.wait("WATCHDOG", 3)
        times = [at for _, fields, at in manager.messages if "WATCHDOG" in fields]
        # one may be late, and the next one all the sooner; the clock of this loop is no better than 0.2 s
        assert (times[-1] - times[0]) / (len(times) - 1) > 0.3, times
        os.kill(server.process.pid, signal.SIGSTOP)
        try:
            wait_for(lambda: "\nState:\tT" in open("/proc/%d/status" % server.process.pid).read())
            seen = len(manager.with_key("WATCHDOG"))
            time.sleep(1.5)
            assert len(manager.with_key("WATCHDOG")) == seen
        finally:
            os.kill(server.process.pid, signal.SIGCONT)
        manager.wait("WATCHDOG", seen + 1)


def test_nobody_asked(manager, tmp_path):
    """Without WATCHDOG_USEC, and with one that is meant for somebody else, there are no signs of life."""
    with Server(tmp_path, env={"NOTIFY_SOCKET": manager.name, "WATCHDOG_USEC": "200000", "WATCHDOG_PID": "1"}):
        manager.wait("READY")
        time.sleep(1)
        assert manager.with_key("WATCHDOG") == []


def test_a_start_that_fails_says_nothing(manager, tmp_path):
    conf = tmp_path / "x.conf"
    conf.write_text("[server]\nno_such_setting = 1\n")
    done = subprocess.run([os.path.join(BUILD, "ximssd"), "-f", "-c", str(conf)], env={"NOTIFY_SOCKET": manager.name},
                          timeout=20, capture_output=True, check=False)
    assert done.returncode == 1
    assert manager.with_key("READY") == []


def test_background(manager, tmp_path):
    """Without -f the manager learns which process is the server; all this before the command is done."""
    with Server(tmp_path, start=False) as server:
        done = subprocess.Popen([os.path.join(BUILD, "ximssd"), "-c", server.conf_path], stdin=subprocess.DEVNULL,
                                stderr=subprocess.DEVNULL, env={**server.env, "NOTIFY_SOCKET": manager.name})
        wait_for(lambda: manager.read() and done.poll() is not None, 60)
        assert done.returncode == 0
        assert manager.with_key("READY") == ["1"]
        (pid,) = map(int, manager.with_key("MAINPID"))
        try:
            server.client().close()
            assert open("/proc/%d/cmdline" % pid, "rb").read().split(b"\0")[0].endswith(b"ximssd")
        finally:
            os.kill(pid, signal.SIGTERM)
        wait_for(lambda: not os.path.exists("/proc/%d" % pid))


def test_children_do_not_inherit_the_socket(manager, tmp_path):
    env = {"NOTIFY_SOCKET": manager.name, "WATCHDOG_USEC": "60000000", "WATCHDOG_PID": "", "KEPT": "yes"}
    recorder = Environments(tmp_path)
    with Server(tmp_path, env={**env, **recorder.env}) as server:
        children = server.children()
        for name, pid in children.items():
            assert recorder.of(pid)["KEPT"] == "yes", name
            assert not {"NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID"} & set(recorder.of(pid)), name
        assert recorder.of(server.process.pid)["NOTIFY_SOCKET"] == manager.name
