# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The ximssd authors
"""A worker that has lost its keeper waits for the master's word (src/proc/child_lost.c; the unit test of that name counts)."""
import contextlib
import os
import signal

from xhttp import WebServer
from ximss import Server, alive, wait_for

ONE = "keepers = 1\nworkers = 1\n"


@contextlib.contextmanager
def silent_master(server):
    os.kill(server.process.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(server.process.pid, signal.SIGCONT)


def test_a_leap_is_no_silence(tmp_path):
    """The clock of a machine that was away goes on at once by as long as that was: no patience is used up by it."""
    with WebServer(tmp_path, clock=True, server=ONE) as server:
        web, other = server.web_session(), server.client()
        poll, worker = web.waiting_poll(0), server.children()["worker 1"]
        with silent_master(server):
            server.kill("keeper 1")
            assert poll.reply().status == 550  # the worker knows
            server.advance(600)
            for _ in range(2):
                other.call('<listFeatures id="f"/>')  # it has had a round since
        assert server.session().call('<readTime id="t"/>')
        assert server.children()["worker 1"] == worker and alive(other)
        assert "no way to speak" not in server.log()


def test_no_news(tmp_path):
    """It ends when none come; the next one serves."""
    with Server(tmp_path, server=ONE) as server:
        other, worker = server.client(), server.children()["worker 1"]
        with silent_master(server):
            server.kill("keeper 1")
            assert other.closed()
        assert "worker 1: no way to speak to keeper 1: ending" in server.log()
        wait_for(lambda: server.children().get("worker 1") not in (None, worker))
        wait_for(lambda: " worker 1 (pid %d) ended with code 1" % worker in server.log())
        assert server.session().call('<readTime id="t"/>')
