# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The ximssd authors
"""The tests of this folder take a server that neither answers nor ends for what it is: no end, no error, but a Hang."""
import contextlib
import os
import signal

import pytest
from client_scenarios import ends_are_heard, shake_hands
from faults import FaultServer, Hang, Post
from ledger import Ledger
from world import World

ACCOUNTS = {"dora": "correct-horse", "otto": "battery-staple"}
PATIENCE = 0.6  # seconds: longer than a busy machine takes for an answer, shorter than until a stuck process is replaced


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    with FaultServer(tmp_path_factory.mktemp("hangs"), ACCOUNTS, tls=True) as server:
        yield server, World(server, Ledger(ACCOUNTS))


@contextlib.contextmanager
def stopped(server, role):
    """The processes of that role do not run; a master that would end them neither."""
    pids = [server.process.pid] + [pid for name, pid in server.pids().items() if name.split()[0] == role]
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in reversed(pids):
            os.kill(pid, signal.SIGCONT)


def ask(world, talk, post):
    world.ask(talk, '<noop id="n"/>')


def log_in_by_steps(world, talk, post):
    with ends_are_heard(world, "closed"):
        talk.send('<login id="L" method="PLAIN"/>')
        talk.recv()


def say_more_than_fits(world, talk, post):
    for n in range(1000):
        talk.send('<noop id="%s"/>' % ("n" * 60000))


def shake(world, talk, post):
    shake_hands(world, talk)


def connect_with_tls(world, talk, post):
    world.talk(patience=PATIENCE, tls=True)


def speak_lmtp(world, talk, post):
    post.docmd("NOOP")


def send_more_than_fits(world, talk, post):
    for n in range(1000):
        post.send(b"NOOP " + b"x" * 60000 + b"\r\n")


@pytest.mark.parametrize("what", [ask, log_in_by_steps, say_more_than_fits, shake, connect_with_tls, speak_lmtp,
                                  send_more_than_fits])
def test_nobody_answers(served, what):
    server, world = served
    talk, post = server.talk(), Post(server)
    if what is shake:
        assert talk.ask('<starttls id="s"/>').ok
    talk.patience = post.patience = PATIENCE
    with stopped(server, "worker"), pytest.raises(Hang):
        what(world, talk, post)
    talk.close()
    post.close()


def test_an_end_is_none(served):
    """A process that dies ends what hung on it."""
    server, world = served
    talk, post = server.talk(), Post(server)
    for name, pid in server.pids().items():
        if name.startswith("worker"):
            os.kill(pid, signal.SIGKILL)
    assert talk.ask('<noop id="n"/>').error == 0
    with ends_are_heard(world, "error"):
        talk.recv()
    assert world.said == "closed"
    assert world.deliver("gone", 200, ["dora"]) in ([250], [451], [None])
    world.fresh().close()
