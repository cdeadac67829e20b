# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The ximssd authors
"""The control socket under bad manners: the master and its children live, and nobody else waits (design 8)."""
import contextlib
import json
import os
import random
import signal
import socket
import stat
import struct
import subprocess
import time

import pytest
from control import ALL, HEAD, VERSION, answer, closed, connect, request, string, verbs
from settled import settle
from ximss import PATIENCE, Server, wait_for

LIST = request("session list", string(""), ALL)


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """One for all tests of this file: none of them may hurt it."""
    with Server(tmp_path_factory.mktemp("server"), server="workers = 2\n") as s:
        yield s


def pids(server):
    return {server.process.pid, *server.children().values()}


def works(server, seconds=PATIENCE):
    """An admin's question is answered soon."""
    begin = time.monotonic()
    with connect(server, seconds) as s:
        s.send(LIST)
        assert answer(s)[0] == 0
    assert time.monotonic() - begin < seconds
    return True


def test_private(server):
    assert stat.S_IMODE(os.stat(os.path.join(server.run_dir, "control")).st_mode) == 0o600


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to be somebody else")
def test_others_may_not_command(server):
    """Even if somebody opens the socket to all, who is neither root nor the server's user gets nothing."""
    path = os.path.join(server.run_dir, "control")
    os.chmod(path, 0o777)
    code = ("import os, socket, sys\nos.setgid(65534); os.setuid(65534)\n"
            "s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)\ns.connect(sys.argv[1])\n"
            "try:\n    s.send(bytes.fromhex(sys.argv[2])); got = s.recv(1000)\n"
            "except (BrokenPipeError, ConnectionResetError):\n    got = b''\nsys.exit(0 if got == b'' else 1)\n")
    for who in (LIST, request("status")):
        assert subprocess.run(["/usr/bin/python3", "-c", code, path, who.hex()], timeout=PATIENCE, check=False).returncode == 0
    assert works(server)


def test_rubbish(server):
    before = pids(server)
    for rubbish in (b"x", HEAD.pack(99, 1, 0), HEAD.pack(VERSION, 0, 0), HEAD.pack(VERSION, 9999, 0),
                    HEAD.pack(VERSION, 1, 0), HEAD.pack(VERSION, 1, 77), HEAD.pack(VERSION, 1, ALL),
                    HEAD.pack(VERSION, 1, 0) + b"\xff" * 60000, HEAD.pack(VERSION, 1, 0) + b"\xff" * 70000,
                    HEAD.pack(VERSION, verbs()["try"]["number"], 0) if "try" in verbs() else b"y"):
        with connect(server) as s:
            s.send(rubbish)
            err, texts = answer(s)
            assert err != 0, rubbish[:12]
            assert all("error" in json.loads(t) or "silent" in json.loads(t) for t in texts.values())
    with connect(server) as s:
        s.send(b"")  # to SEQPACKET that is an end
        assert closed(s)
    assert works(server) and pids(server) == before


def test_hostile_bodies(server):
    """Every verb, with bodies that no ximssctl would send."""
    rng = random.Random(7)
    before = pids(server)
    session = server.session()
    bodies = [b"", b"\0", b"\xff" * 3, struct.pack("I", 2**32 - 1), struct.pack("I", 2**31) + b"a", string("x" * 60000),
              string("\0"), string(b"\xff\xfe"), string("a") + string("b") + string("c") + string("d"),
              struct.pack("I", 0), struct.pack("I", 999999), struct.pack("I", 999999) + string(""),
              string("99999999999999999999"), string("4294967295"), string("-1"),
              *(rng.randbytes(rng.randrange(400)) for _ in range(8))]
    for words, row in verbs().items():
        if row["reach"] == "TOOL" or words in ("drain", "upgrade"):
            continue
        usual = ALL if row["reach"] in ("ALL", "FIND") else 0
        for target in (0, 1, 63, ALL):
            for body in bodies if target == usual and row["role"] != "MASTER" else bodies[:3]:
                with connect(server) as s:
                    s.send(request(words, body, target))
                    _, texts = answer(s)
                    for text in texts.values():
                        json.loads(text)
    assert works(server) and pids(server) == before
    session.call('<readTime id="q"/>')


def test_idle_clients_lock_nobody_out(server):
    idle = [connect(server) for _ in range(40)]
    assert works(server)
    for s in idle:
        s.close()


def test_a_client_asks_again_without_reading(server):
    """The next question is read when the answer to the one before was taken; nothing piles up, and all are answered."""
    before = pids(server)
    with connect(server) as s:
        s.settimeout(0.2)
        sent = 0
        try:
            while sent < 100000:
                s.send(LIST)
                sent += 1
        except TimeoutError:
            pass
        assert 0 < sent < 100000
        assert works(server)
        s.settimeout(PATIENCE)
        for _ in range(sent):
            assert answer(s)[0] == 0
        s.send(LIST)
        assert answer(s)[0] == 0
    assert pids(server) == before


def test_half_closed(server):
    """Who sends no more is answered, then closed."""
    with connect(server) as s:
        s.send(LIST)
        s.shutdown(socket.SHUT_WR)
        assert answer(s)[0] == 0
        assert closed(s)
    with connect(server) as s:
        s.shutdown(socket.SHUT_WR)
        assert closed(s)
    with connect(server) as s:
        s.send(LIST)
        s.shutdown(socket.SHUT_RD)
    assert works(server)


def test_gone_before_the_answer(server):
    for _ in range(100):
        s = connect(server)
        s.send(LIST)
        s.close()
    assert works(server)


def test_a_silent_process_is_named(server):
    """The others' answer with the name of who said nothing; meanwhile everybody else is served."""
    # the other worker, and the keepers, which have sessions over HTTP
    others = len([name for name in server.children() if name.startswith(("worker", "keeper"))]) - 1
    pid = server.kill("worker 2", signal.SIGSTOP)
    try:
        with connect(server) as s:
            s.send(LIST)
            with connect(server) as other:
                other.send(request("status"))
                assert answer(other)[0] == 0
            err, texts = answer(s)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)
    assert err != 0
    said = [json.loads(t) for t in texts.values()]
    assert {"silent": ["worker 2"]} in said and sum("sessions" in t for t in said) == others, said


def test_a_process_dies_over_a_question(server):
    wait_for(lambda: server.ctl("session", "list", check=False).returncode == 0)
    server.kill("worker 2", signal.SIGSTOP)
    with connect(server) as s:
        s.send(LIST)
        with connect(server) as other:  # when this one is answered, the master has asked
            other.send(request("status"))
            assert answer(other)[0] == 0
        server.kill("worker 2", signal.SIGKILL)
        err, texts = answer(s)
    assert err != 0
    assert {"silent": ["worker 2"]} in [json.loads(t) for t in texts.values()]
    assert wait_for(lambda: server.ctl("session", "list", check=False).returncode == 0)


def test_unread_answers_are_bounded(tmp_path):
    """Clients take nothing: their answers wait in the kernel and in the master, a few MiB at most; others take their places."""
    conf = "workers = 1\nchannels_per_client_address = 1000\n"
    with Server(tmp_path, server=conf) as server:
        clients = [server.client() for _ in range(200)]
        wait_for(lambda: len(server.top()["sessions"]) == 200)

        def memory():
            with open("/proc/%d/statm" % server.process.pid) as f:
                return int(f.read().split()[1]) * os.sysconf("SC_PAGESIZE")

        before = memory()
        lazy = [connect(server) for _ in range(15)]
        for s in lazy:
            s.settimeout(0.05)
            try:
                for _ in range(100000):
                    s.send(LIST)
            except TimeoutError:
                pass
        settle(server)  # all that will be answered is
        assert works(server)
        assert memory() - before < 15 * 2**20
        others = [connect(server) for _ in range(16)]
        others[-1].send(LIST)
        assert answer(others[-1])[0] == 0
        for s in lazy:  # what the kernel had, then the end
            s.settimeout(PATIENCE)
            while not closed(s):
                pass
            s.close()
        for s in others + clients:
            s.close()
