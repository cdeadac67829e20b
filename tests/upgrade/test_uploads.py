# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The ximssd authors
"""What clients have uploaded, and what they are uploading, goes over to the new keeper at an upgrade (protocol 2, 9.2; design 2.5)."""
import os
import random
import signal
import subprocess
import threading

import pytest
from test_handover import exchange
from upgradable import WebUpgradable
from uploading import BLOCK, form, holds, spool_of
from xhttp import Lost, errors, request
from settled import settle
from ximss import wait_for

LONG = 12 << 20  # more than all buffers on the way hold
SERVER = "keepers = 1\nworkers = 1\nhelpers = 1\n"


def noise(n, seed):
    return random.Random(seed).randbytes(n)


def post(session, name, body, fields=None):
    return session.server.ask("POST", session.target("UPLOAD/" + name), body, fields or {"Content-Type": "a/b"}).status


def remove(session, name):
    ((_, error),) = errors(session.sync('<uploadRemove id="u" uploadID="%s"/>' % name).xml)
    return error


def begin(session, name, length, data):
    """An upload of `length` bytes, of which `data` has come to the keeper."""
    conn = session.server.web()
    conn.send(request("POST", session.target("UPLOAD/" + name), fields={"Content-Length": length}))
    conn.send(data)
    if data:
        wait_for(lambda: holds(session.server, data) == [True])
    return conn


def test_sets(tmp_path):
    """Twice in a row: every byte is there, belongs to whom it belonged, counts for the limits, and goes with its set."""
    limits = "upload_session = %d\nupload_file = %d\nupload_files = 6\n" % (10 * BLOCK, 8 * BLOCK)
    with WebUpgradable(tmp_path, http=limits, server=SERVER) as server:
        a, b = server.web_session(), server.web_session()
        files = [noise(n, n) for n in (3 * BLOCK + 17, 5, BLOCK)]
        assert post(a, "set", *form(*[("f", "f%d" % n, data) for n, data in enumerate(files)])) == 200
        raw, late, others = noise(2 * BLOCK - 1, 7), noise(100, 8), noise(2 * BLOCK, 9)
        assert post(a, "raw", raw) == 200
        assert post(b, "set", others) == 200
        assert post(a, "set", late) == 200
        disk = spool_of(server)[1]
        for count in (1, 2):
            exchange(server, count)
            assert all(holds(server, *files, raw, late, others))
            assert spool_of(server)[1] == disk
            assert remove(b, "raw") == 578
            # five files of a's are there, and of its ten blocks 6, 17 + 5 + 100 bytes, and one byte less than the seventh and eighth
            assert post(a, "more", *form(("f", "1", b""), ("f", "2", b""))) == 413
            assert post(a, "more", noise(10 * BLOCK - sum(map(len, files)) - len(raw) - len(late) + 1, 1)) == 413
            assert post(a, "more", b"one more") == 200
            assert remove(a, "more") is None
        assert post(b, "set", late) == 200
        assert b.kill().status == 200
        wait_for(lambda: holds(server, others) == [False])
        assert all(holds(server, *files, raw, late))
        assert remove(a, "set") is None and remove(a, "set") == 578
        assert holds(server, files[0], files[1], raw) == [False, False, True]
        assert remove(a, "raw") is None
        assert spool_of(server)[1] == 0
        assert "is lost" not in server.log()


def test_life_of_a_set(tmp_path):
    """An hour after its last use, not after an upgrade."""
    with WebUpgradable(tmp_path, http="upload_life = 600s\n", server=SERVER, clock=True) as server:
        s = server.web_session()
        assert post(s, "old", b"old") == 200
        settle(server)
        server.advance(300)
        assert post(s, "new", b"new") == 200
        exchange(server)
        server.advance(301)
        wait_for(lambda: remove(s, "old") == 578)
        assert remove(s, "new") is None


class Uploader(threading.Thread):
    """Uploads one file after another, in pieces, without waiting for anybody."""

    def __init__(self, server, number):
        super().__init__()
        self.session, self.number, self.sent, self.over, self.problem = server.web_session(), number, [], False, None

    def run(self):
        try:
            while not self.over or len(self.sent) < 2:
                data = noise(200000 + len(self.sent), self.number * 1000 + len(self.sent))
                conn = self.session.server.web()
                conn.send(request("POST", self.session.target("UPLOAD/s%d" % len(self.sent)), fields={"Content-Length": len(data)}))
                for at in range(0, len(data), 10000):
                    conn.send(data[at:at + 10000])
                status = conn.reply().status
                assert status == 200, status
                conn.close()
                self.sent.append(data)
                if len(self.sent) > 20:  # room for the next
                    assert remove(self.session, "s%d" % (len(self.sent) - 21)) is None
        except (AssertionError, Lost, OSError) as e:
            self.problem = repr(e)


def test_uploads_at_any_moment(tmp_path):
    """Uploads all the time, and two upgrades: none is refused, each is whole in the end."""
    with WebUpgradable(tmp_path, http="upload_files = 1000\n", server=SERVER) as server:
        threads = [Uploader(server, n) for n in range(3)]
        for t in threads:
            t.start()
        for count in (1, 2):
            exchange(server, count)
        for t in threads:
            t.over = True
        for t in threads:
            t.join()
        assert [t.problem for t in threads] == [None] * 3
        for t in threads:
            assert all(holds(server, *t.sent[-20:]))
            for n in range(max(0, len(t.sent) - 20), len(t.sent)):
                assert remove(t.session, "s%d" % n) is None
        assert spool_of(server)[1] == 0


def test_one_that_is_slow(tmp_path):
    """It has begun before the upgrade and ends long after; no upgrade waits for it."""
    with WebUpgradable(tmp_path, server=SERVER) as server:
        s = server.web_session()
        data, other = noise(300000, 1), noise(70000, 2)
        coming = begin(s, "slow", len(data), data[:100000])
        body, fields = form(("f", "first", other), ("f", "second", data))
        half = len(body) // 2
        parts = server.web()
        parts.send(request("POST", s.target("UPLOAD/form"), fields={**fields, "Transfer-Encoding": "chunked"}))
        parts.send(b"%x\r\n%s\r\n" % (half, body[:half]))
        wait_for(lambda: holds(server, other, data[:1000]) == [True, True])
        asked = begin(s, "asked", 5, b"")
        exchange(server)
        assert "not come to an end" not in server.log()
        assert remove(s, "slow") == remove(s, "form") == 578  # they are no sets before they are whole
        for conn, rest in ((coming, data[100000:]), (parts, b"%x\r\n%s\r\n0\r\n\r\n" % (len(body) - half, body[half:])), (asked, b"bytes")):
            conn.send(rest)
            reply = conn.reply()
            assert (reply.status, reply.body) == (200, b"")
        assert all(holds(server, data, other))
        for name in ("slow", "form", "asked"):
            assert remove(s, name) is None
        assert spool_of(server)[1] == 0


# --- when it does not go well

def hand_over_while(server, what, frozen):
    """what() happens while the old keeper waits for somebody who does not read; frozen: and while it hears nothing at all."""
    text = noise(450, 0).hex().encode() + b"\r\n"
    server.deliver(b"Subject: long\r\n\r\n" + text * (LONG // len(text)))
    s, slow = server.web_session(), server.web()
    assert errors(s.sync('<folderOpen id="o" folder="in" mailbox="INBOX"><field>Subject</field></folderOpen>').xml) == [("o", None)]
    slow.send(request("GET", s.target("MIME/in/1-P.txt")))
    assert slow.head()[0] == 200
    pid = server.children()["keeper 1"]
    server.upgrade()
    server.said("keeper 1 hands over")
    if frozen:
        os.kill(pid, signal.SIGSTOP)
    try:
        what()
    finally:
        os.kill(pid, signal.SIGCONT)
    slow.close()
    server.said("old workers are drained")
    assert server.children()["keeper 1"] != pid


@pytest.mark.parametrize("frozen", (False, True))
def test_ends_meanwhile(tmp_path, frozen):
    """The client goes, kills its session, says bye, is kicked, while its upload and a set of it are handed over: nothing stays behind."""
    with WebUpgradable(tmp_path, server=SERVER) as server:
        gone, killed, bye, kicked, stays = sessions = [server.web_session() for _ in range(5)]
        data = noise(200000, 50)
        for n, s in enumerate(sessions):
            assert post(s, "set", noise(BLOCK, 100 + n)) == 200
        coming = [begin(s, "coming", len(data), noise(90000, n) if s is not stays else data[:90000]) for n, s in enumerate(sessions)]
        kick, asked = [], []

        def all_at_once():
            coming[0].close()
            kick.append(subprocess.Popen([os.path.join(server.bin, "ximssctl"), "-c", server.conf_path, "session", "kick", kicked.url_id[:6]],
                                         stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
            for what, body in ((killed.target("KILL"), b""), (bye.target("sync", reqSeq=1), b'<XIMSS><bye id="b"/></XIMSS>')):
                asked.append(server.web())
                asked[-1].send(request("POST", what, body))
            coming[4].send(data[90000:])

        hand_over_while(server, all_at_once, frozen)
        assert asked[0].reply().status == 200
        assert errors(asked[1].reply().xml) == [("b", None)]
        if kick[0].wait() != 0:  # the old keeper had left already
            server.ctl("session", "kick", kicked.url_id[:6])
        for conn in coming[1:4]:
            assert conn.reply().status == 550
        assert coming[4].reply().status == 200
        assert [s.sync("<noop id='n'/>").status for s in (killed, bye, kicked)] == [550] * 3
        wait_for(lambda: holds(server, *[noise(90000, n) for n in range(4)], data) == [False] * 4 + [True])
        assert holds(server, *[noise(BLOCK, 100 + n) for n in range(5)]) == [True] + [False] * 3 + [True]
        assert remove(gone, "coming") == 578
        assert [remove(gone, "set"), remove(stays, "set"), remove(stays, "coming")] == [None] * 3
        assert spool_of(server)[1] == 0


def test_the_worker_dies_meanwhile(tmp_path):
    """What it was bringing is nowhere; the sets and the session are there."""
    with WebUpgradable(tmp_path, server=SERVER) as server:
        s = server.web_session()
        data = noise(2 * BLOCK, 1)
        assert post(s, "set", data) == 200
        coming = begin(s, "set", 200000, noise(90000, 2))
        worker = server.children()["worker 1"]
        hand_over_while(server, lambda: os.kill(worker, signal.SIGKILL), frozen=True)
        try:
            assert not coming.reply()
        except (Lost, ConnectionError):
            pass
        wait_for(lambda: holds(server, data, noise(90000, 2)) == [True, False])
        assert post(s, "set", b"more") == 200
        assert remove(s, "set") is None
        assert spool_of(server)[1] == 0


def test_a_file_that_is_cut(tmp_path):
    """Somebody shortens the file: what is missing in it is gone, and said to be; what is there is there, and the sessions live."""
    with WebUpgradable(tmp_path, server=SERVER) as server:
        s, other = server.web_session(), server.web_session()
        whole, cut = noise(3 * BLOCK, 1), noise(2 * BLOCK, 2)
        assert post(s, "whole", whole) == 200
        assert post(s, "cut", cut) == 200
        assert post(other, "whole", b"at the end") == 200
        coming = begin(s, "coming", 100000, noise(70000, 3))
        path, _ = spool_of(server)
        os.truncate(path, 4 * BLOCK + 1000)
        exchange(server)
        assert coming.reply().status == 503
        assert all(holds(server, whole))
        assert remove(s, "cut") == remove(s, "coming") == remove(other, "whole") == 578
        assert server.log().count("a set of uploads is lost at an upgrade") == 2
        assert server.log().count("an upload is lost at an upgrade") == 1
        assert spool_of(server)[1] == 3 * BLOCK
        assert post(other, "whole", cut) == 200 and remove(other, "whole") is None
        assert remove(s, "whole") is None
        assert spool_of(server)[1] == 0
