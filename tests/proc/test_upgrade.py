# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The ximssd authors
"""`ximssctl upgrade`: another program in the place of the running one; nobody is refused or dropped (design 2.5)."""
import contextlib
import os
import signal
import smtplib
import subprocess
import threading
import time

import pytest

import ximss
from upgradable import Upgradable
from settled import family, settle
from ximss import PATIENCE, Client, Closed, wait_for


class Busy(threading.Thread):
    """Asks all the time over one session."""

    def __init__(self, server):
        super().__init__()
        self.client, self.going, self.count, self.problem = server.session(), True, 0, None
        self.start()

    def run(self):
        try:
            while self.going:
                self.client.call('<readTime id="t"/>')
                self.count += 1
                time.sleep(0.002)
            self.client.call('<bye id="b"/>')
        except (AssertionError, Closed, OSError) as e:
            self.problem = e


class Comers(threading.Thread):
    """New connections one after the other, and mail."""

    def __init__(self, server):
        super().__init__()
        self.server, self.going, self.logins, self.mails, self.problem = server, True, 0, 0, None
        self.start()

    def run(self):
        try:
            while self.going:
                c = self.server.session()
                c.call('<bye id="b"/>')
                self.logins += 1
                try:
                    self.mail(self.server.lmtp())
                except smtplib.SMTPServerDisconnected:
                    pass  # a worker that leaves says 421 between two commands; who sends mail tries again
                except smtplib.SMTPResponseException as e:
                    assert e.smtp_code == 421, e
                time.sleep(0.01)
        except (AssertionError, Closed, OSError) as e:
            self.problem = e

    def mail(self, lmtp):
        for command in ("MAIL FROM:<ann@example.org>", "RCPT TO:<dora@harbor.example>", "DATA"):
            code, text = lmtp.docmd(command)
            if code == 421:
                return
            assert code == (354 if command == "DATA" else 250), text
        lmtp.send("Subject: %d\r\n\r\nx\r\n.\r\n" % self.mails)
        code, text = lmtp.getreply()
        assert code == 250, text
        self.mails += 1
        lmtp.quit()

    def end(self):
        self.going = False
        self.join()
        assert self.problem is None, self.problem


def subjects(client):
    client.call('<folderOpen id="o" folder="f" mailbox="INBOX" sortField="UID"><field>Subject</field></folderOpen>')
    rows, _ = client.call('<folderBrowse id="r" folder="f"><index from="0" till="9999"/></folderBrowse>')
    return [r.findtext("Subject") for r in rows]


def test_nobody_is_refused_or_dropped(tmp_path):
    with Upgradable(tmp_path, server="workers = 2\n") as server:
        pid, before, old_file = server.process.pid, server.children(), server.file_of(server.process.pid)
        busy, comers = [Busy(server) for _ in range(3)], Comers(server)
        uptime = server.top()["server"]["uptime"]
        server.upgrade()
        server.said("old workers are drained")
        comers.end()
        # the old sessions went on over their old workers
        counts = [b.count for b in busy]
        wait_for(lambda: all(b.problem or b.count > n for b, n in zip(busy, counts)))
        assert [b.problem for b in busy] == [None] * 3
        now = server.children()
        assert server.process.poll() is None and server.process.pid == pid
        assert server.file_of(pid) != old_file
        if os.geteuid() == 0:  # who may look into the others
            assert server.file_of(now["worker 3"]) == server.file_of(now["auth"]) == server.file_of(pid)
            assert server.file_of(now["keeper 1"]) == server.file_of(pid)
        assert server.top()["server"]["uptime"] >= uptime
        assert server.top()["total"] >= 3
        newer = server.session()
        for b in busy:
            b.going = False
            b.join()
        assert [b.problem for b in busy] == [None] * 3
        server.said("done")
        newer.call('<readTime id="t"/>')
        now = server.children()
        assert set(now) == {"worker 3", "worker 4"} | {n for n in before if not n.startswith("worker")}
        assert not set(now.values()) & set(before.values())
        if os.geteuid() == 0:
            assert {server.file_of(p) for p in now.values()} == {server.file_of(pid)}
        assert subjects(newer) == subjects(server.session()) == [str(n) for n in range(comers.mails)]


def try_session(server):
    try:
        return server.session()
    except (AssertionError, Closed, OSError):
        return None


def test_again_and_again(tmp_path):
    """The worker numbers alternate; what a reload has changed is still so."""
    with Upgradable(tmp_path, server="workers = 1\nhelpers = 1\nhashers = 1\nkeepers = 1\n") as server:
        port = ximss.free_port()
        server.rewrite("[listener two]\nprotocol = ximss\naddress = 127.0.0.1:%d\n" % port,
                       server="workers = 1\nhelpers = 1\nhashers = 1\nkeepers = 1\nchannels = 2\n")
        assert server.reload() == ""
        for n in range(1, 4):
            server.upgrade()
            server.said("done", n)
            assert ("worker 1" in server.children()) == (n % 2 == 0)
            with_two = [Client(("127.0.0.1", port)), server.client()]
            for c in with_two:
                c.call('<noop id="n"/>')
            assert server.client().closed()
            for c in with_two:
                c.call('<bye id="b"/>')
                c.close()
            wait_for(lambda: server.top()["total"] == 0)
        assert server.reload() == ""
        server.rewrite(server="workers = 1\nhelpers = 1\nhashers = 1\nkeepers = 1\n")
        assert server.reload() == ""
        assert server.session().call('<noop id="n"/>')


def test_children_that_die_meanwhile(tmp_path):
    with Upgradable(tmp_path, server="workers = 2\n") as server:
        c = server.session()
        server.upgrade()
        server.said("old workers are drained")
        server.kill("auth")
        server.kill("worker 3")
        wait_for(lambda: "worker 3" in server.children() and "auth" in server.children())
        for name, process in server.children().items():
            if name in ("worker 1", "worker 2"):
                with contextlib.suppress(ProcessLookupError):  # one of them may have gone by itself
                    os.kill(process, signal.SIGKILL)
        server.said("done")
        assert c.rest() == b""
        assert wait_for(lambda: try_session(server)).call('<noop id="n"/>')


REFUSED = {
    "another version": ("#!/bin/sh\necho state 0\n", "a restart is needed"),
    "no versions": ("#!/bin/sh\nexit 1\n", "cannot be executed, or does not say its versions"),
    "too much to say": ("#!/bin/sh\nyes\n", "cannot be executed, or does not say its versions"),
    "silent": ("#!/bin/sh\nexec sleep 600\n", "does not say its versions within ten seconds"),
    "lives on in silence": ("#!/bin/sh\nexec >&- 2>&-\nexec sleep 600\n", "cannot be executed, or does not say its versions"),
    "no program": ("not a program\n", "cannot be executed, or does not say its versions"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_refused(tmp_path, what):
    with Upgradable(tmp_path) as server:
        c = server.session()
        before = server.children()
        text, why = REFUSED[what]
        server.replace(text)
        begin = time.monotonic()
        done = server.ctl("upgrade", check=False)
        assert done.returncode == 1 and done.stderr.startswith("ximssctl: ") and why in done.stderr, done
        assert time.monotonic() - begin < PATIENCE
        c.call('<readTime id="t"/>')
        assert server.children() == before
        assert "upgrade: executing" not in server.log()


def test_file_is_missing(tmp_path):
    with Upgradable(tmp_path) as server:
        os.unlink(os.path.join(server.programs, "ximssd"))
        assert server.ctl("upgrade", check=False).returncode == 1
        assert server.session().call('<noop id="n"/>')


def test_not_twice_at_once(tmp_path):
    """As long as somebody is on an old worker; after ten minutes he gets <bye/>."""
    with Upgradable(tmp_path, clock=True) as server:
        c = server.session()
        server.upgrade()
        server.said("old workers are drained")
        assert server.ctl("upgrade", check=False).returncode == 1
        for _ in range(4):  # in steps, so that nobody seems to be silent for minutes
            c.call('<noop id="n"/>')
            settle(server)
            server.advance(140)
            time.sleep(1.2)
        c.call('<noop id="n"/>')
        server.advance(45)
        assert c.raw() == b"<bye/>"
        server.said("done")
        server.upgrade()
        server.said("done", 2)


def test_an_old_worker_dies_together_with_auth(tmp_path):
    """Nobody takes its place: what it held is given back all the same."""
    with Upgradable(tmp_path, server="workers = 1\nchannels = 2\n") as server:
        old, sessions = server.children()["worker 1"], [server.session(), server.session()]
        server.upgrade()
        server.said("old workers are drained")
        auth = server.children()["auth"]
        server.process.send_signal(signal.SIGSTOP)
        os.kill(auth, signal.SIGKILL)
        os.kill(old, signal.SIGKILL)
        assert all(c.closed() for c in sessions)
        server.process.send_signal(signal.SIGCONT)
        wait_for(lambda: server.children().get("auth") not in (None, auth))

        def enter():
            try:
                return server.session()
            except (AssertionError, Closed, OSError):
                return None
        sessions = [wait_for(enter) for _ in range(2)]
        assert server.client().closed()


def starts(server, before):
    """A worker that was not there before, as soon as it is one by its arguments, which is before it has a title."""
    for pid in family(server) - before:
        with contextlib.suppress(FileNotFoundError, ProcessLookupError), open("/proc/%d/cmdline" % pid, "rb") as f:
            words = f.read().split(b"\0")
            if b"worker" in words or words[0].startswith(b"ximssd: worker"):
                return pid
    return None


def test_new_workers_do_not_start(tmp_path):
    """Then the old ones go on as if nothing had been."""
    with Upgradable(tmp_path, clock=True, server="workers = 1\n") as server:
        c, name, old = server.session(), "worker 2", "worker 1"
        for n in range(1, 6):
            before = family(server)
            server.replace()
            with subprocess.Popen([os.path.join(server.bin, "ximssctl"), "-c", server.conf_path, "upgrade"], env=server.env,
                                  stdout=subprocess.DEVNULL) as command:
                pid = wait_for(lambda before=before: starts(server, before), pause=0)
                os.kill(pid, signal.SIGSTOP)
                assert command.wait(PATIENCE) == 0
            settle(server, [pid])
            if server.log().count("the new workers serve") < n:
                break
            os.kill(pid, signal.SIGCONT)  # it was ready before it could be stopped
            server.said("old workers are drained", n)
            c.call('<bye id="b"/>')
            server.said("done", n)
            c, name, old = server.session(), old, name
        else:
            raise AssertionError("this machine is too slow to stop a worker that starts")
        server.advance(31)
        server.said("the new workers did not start")
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        c.call('<readTime id="t"/>')
        assert server.session().call('<noop id="n"/>')
        wait_for(lambda: name not in server.children())
        assert old in server.children()
