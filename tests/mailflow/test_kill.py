# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The ximssd authors
"""Processes die while mail comes in: what was acknowledged is there once (issue, slices 7 and 8; security 2.2)."""
import contextlib
import os
import random
import select
import signal
import smtplib
import threading
import time

import pytest
from mailview import browse, open_folder, read
from settled import settle
from ximss import PATIENCE, Closed, Server, wait_for

BOTH = {"dora": "correct-horse", "otto": "swordfish"}
ADDRESSES = {name: name + "@harbor.example" for name in BOTH}


MULTIPART = ('Subject: two parts\r\nContent-Type: multipart/mixed; boundary="b"\r\n\r\n--b\r\n\r\none\r\n--b\r\n\r\n'
             'two\r\n--b--\r\n')


def unparsed(client):
    """For each MULTIPART of INBOX whether it is stored unparsed: one opaque text part (design 4)."""
    found = []
    for row in browse(client):
        whole = read(client, row.get("UID"))
        (part,) = whole.findall("EMail/MIME")
        found.append(part.get("type") == "text")
        assert len(list(whole.iter("MIME"))) == (1 if found[-1] else 3)
        assert "two\n" in (part.text or "") or not found[-1]
    return found


class Sender(threading.Thread):
    """Delivers messages with Message-IDs of their own, over a new connection when the old one has trouble.

    So many, and more until `going` says no.
    """

    def __init__(self, server, number, count, going=lambda: False):
        super().__init__()
        self.going = going
        self.server, self.number, self.count = server, number, count
        self.acknowledged = {name: set() for name in BOTH}
        self.refused = 0
        self.problem = None
        self.rng = random.Random(number)

    def one(self, lmtp, i):
        to = self.rng.choice([["dora"], ["otto"], ["dora", "otto"], ["otto", "dora"]])
        ident = "<%d.%d@example.org>" % (self.number, i)
        message = "Message-ID: %s\r\nSubject: s\r\n\r\n%s\r\n" % (ident, "x" * self.rng.choice([10, 1000, 50000]))
        lmtp.mail("ann@example.org")
        taken = [name for name in to if lmtp.rcpt(ADDRESSES[name])[0] == 250]
        if not taken:
            lmtp.rset()
            return
        assert lmtp.docmd("DATA")[0] == 354
        lmtp.send(message.encode() + b".\r\n")
        for name in taken:
            code, _ = lmtp.getreply()
            if code == 250:
                self.acknowledged[name].add(ident)
            else:
                assert code == 451, code
                self.refused += 1

    def run(self):
        try:
            lmtp, i = None, 0
            while i < self.count or self.going():
                try:
                    lmtp = lmtp or self.server.lmtp()
                    i += 1
                    self.one(lmtp, i)
                except (smtplib.SMTPServerDisconnected, ConnectionError):
                    lmtp = None
            if lmtp is not None:
                lmtp.quit()
        except Exception as e:  # told by the test
            self.problem = e


def session_or_none(server, name):
    """Its keeper may take longer to come back than a login waits for it."""
    try:
        return server.session(ADDRESSES[name])
    except (Closed, AssertionError, ConnectionError):
        return None


def check_box(server, name, senders):
    client = wait_for(lambda: session_or_none(server, name))
    open_folder(client, fields=["Message-ID", "SIZE"], more='sortField="UID"')
    rows = browse(client)
    uids = [int(r.get("UID")) for r in rows]
    assert uids == sorted(set(uids))
    found = [r.findtext("Message-ID") for r in rows]
    assert None not in found
    acknowledged = set().union(*(s.acknowledged[name] for s in senders))
    lost = acknowledged - set(found)
    assert not lost, "acknowledged and lost: %s" % lost
    twice = [m for m in set(found) if found.count(m) > 1]
    assert not twice, "stored twice: %s" % twice
    return uids


def kill_keepers(server, kills):
    """At random moments, while senders send. Between two kills of one and the same it may come back."""
    for _ in range(kills):
        time.sleep(random.uniform(0.1, 0.4))
        keepers = wait_for(lambda: [p for name, p in server.children().items() if name.startswith("keeper")])
        with contextlib.suppress(ProcessLookupError):
            os.kill(random.choice(keepers), signal.SIGKILL)
    time.sleep(0.2)


def test_keepers_killed_during_deliveries(tmp_path):
    with Server(tmp_path, accounts=BOTH) as server:
        watchers = {name: server.session(ADDRESSES[name]) for name in BOTH}
        for w in watchers.values():
            open_folder(w)
        killing = threading.Event()
        killing.set()
        senders = [Sender(server, i, 250, killing.is_set) for i in range(4)]
        for s in senders:
            s.start()
        kill_keepers(server, 6)
        for name in [n for n in server.children() if n.startswith("keeper")]:  # whoever was spared
            server.kill(name)
        killing.clear()
        for s in senders:
            s.join()
            assert s.problem is None, repr(s.problem)
        total = sum(len(s.acknowledged[name]) for s in senders for name in BOTH)
        assert total > 50, (total, sum(s.refused for s in senders))
        notify = b'<folderReport folder="INBOX" mode="notify"/>\0'
        for w in watchers.values():
            # all that it may have heard: one notification, and the end
            assert w.rest() in (b"<bye/>\0", notify + b"<bye/>\0")
        before = {name: check_box(server, name, senders) for name in BOTH}
        assert server.stop() == 0
        server.check_banks()
        os.rename(server.log_path, server.log_path + ".old")
        server.start()
        for name in BOTH:
            assert check_box(server, name, senders) == before[name]
            server.deliver("Subject: later\r\n\r\n", [ADDRESSES[name]])
            assert check_box_next(server, name) > max(before[name])


def check_box_next(server, name):
    client = wait_for(lambda: session_or_none(server, name))
    open_folder(client, fields=["Subject"], more='sortField="UID"')
    return max(int(r.get("UID")) for r in browse(client))


# --- hostile messages


def nested(depth):
    """multipart in multipart in multipart."""
    head = "Subject: nested\r\n"
    for i in range(depth):
        head += 'Content-Type: multipart/mixed; boundary="b%d"\r\n\r\n--b%d\r\n' % (i, i)
    return head + "\r\nbottom\r\n" + "".join("--b%d--\r\n" % i for i in reversed(range(depth)))


def parts(count):
    return ('Subject: parts\r\nContent-Type: multipart/mixed; boundary="b"\r\n\r\n' + "--b\r\n\r\nx\r\n" * count + "--b--\r\n")


def rfc822(depth):
    return "Subject: in\r\n" + "Content-Type: message/rfc822\r\n\r\nSubject: deeper\r\n" * depth + "\r\nx\r\n"


def same_boundary(depth):
    return "Subject: same\r\n" + 'Content-Type: multipart/mixed; boundary="b"\r\n\r\n--b\r\n' * depth


BOMBS = {
    "20,000 nested multiparts": lambda: nested(20000),
    "100,000 parts": lambda: parts(100000),
    "20,000 nested messages": lambda: rfc822(20000),
    "the same boundary at every depth": lambda: same_boundary(20000),
    "one header of 8 MiB": lambda: "Subject: " + "x" * (8 << 20) + "\r\n\r\nbody\r\n",
    "500,000 header lines": lambda: "".join("X-%d: y\r\n" % i for i in range(500000)) + "\r\nbody\r\n",
    "100,000 To lines": lambda: "To: a@b.example\r\n" * 100000 + "\r\nbody\r\n",
    "one To with 300,000 addresses": lambda: "To: " + ",\r\n ".join(["a@b.example"] * 300000) + "\r\n\r\nbody\r\n",
    "200,000 comments in an address": lambda: "From: " + "(" * 200000 + "a@b.example\r\n\r\nbody\r\n",
    "200,000 encoded words": lambda: "Subject: " + "=?utf-8?q?a?=\r\n " * 200000 + "\r\n\r\nbody\r\n",
    "100,000 parameters": lambda: "Content-Type: text/plain" + ";\r\n a=b" * 100000 + "\r\n\r\nbody\r\n",
    "100,000 continued parameters": lambda: "Content-Type: text/plain" +
    "".join(";\r\n n*%d=x" % i for i in range(100000)) + "\r\n\r\nbody\r\n",
    "an endless boundary": lambda: 'Content-Type: multipart/mixed; boundary="' + "b" * 1000000 + '"\r\n\r\n--b\r\n',
    "16 MiB of base64 that is none": lambda: "Content-Type: text/plain\r\nContent-Transfer-Encoding: base64\r\n\r\n" +
    "=\r\n" * (5 << 20),
    "16 MiB of HTML tags": lambda: "Content-Type: text/html\r\n\r\n" + "<b\r\n" * (4 << 20),
    "8 MiB of dashes": lambda: 'Content-Type: multipart/mixed; boundary="-"\r\n\r\n' + "---\r\n" * (8 << 18),
    "4 MiB of broken ISO-2022-JP": lambda: "Content-Type: text/plain; charset=iso-2022-jp\r\n\r\n" + "\x1b$B\r\n" * (4 << 18),
}


LONG = 6 * PATIENCE  # who takes longer for so much hangs, on whatever machine
HELPER_BUDGET = 2.0  # seconds (design 2): who waits for a helper waits about so long


class Noops(threading.Thread):
    """How long another session waits for an answer, all the time."""

    def __init__(self, server, name):
        super().__init__()
        self.client, self.going, self.times = server.session(ADDRESSES[name]), True, []
        self.start()

    def run(self):
        while self.going:
            begin = time.monotonic()
            self.client.call('<readTime id="t"/>')  # answered by the keeper
            self.times.append(time.monotonic() - begin)
            time.sleep(0.002)

    def p99(self):
        wait_for(lambda: len(self.times) >= 100)
        self.going = False
        self.join()
        return sorted(self.times)[int(len(self.times) * 0.99)]


@pytest.fixture(scope="module")
def bombed(tmp_path_factory):
    with Server(tmp_path_factory.mktemp("bombs"), accounts=BOTH, server="log_level = problems\n") as s:
        yield s


@pytest.mark.parametrize("name", BOMBS)
def test_bomb(bombed, name):
    """Accepted once within its budget, listed and read; nobody else waits for it."""
    server = bombed
    bomb = BOMBS[name]().encode()
    client = server.session()
    before = int(open_folder(client).get("messages"))
    sender = Sender(server, 1000 + list(BOMBS).index(name), 20)
    sender.start()
    for number in (1, 2, 3):  # a loaded machine gets three tries
        others = Noops(server, "dora")
        begin = time.monotonic()
        server.deliver(bomb)
        took = time.monotonic() - begin
        assert took < LONG, "%.1f s" % took
        p99 = others.p99()
        # Everything takes longer on a loaded machine: the bomb too.
        if p99 < max(HELPER_BUDGET, took) / 2:
            break
    else:
        raise AssertionError("readTime p99 %.3f s: others waited for the bomb" % p99)
    sender.join()
    assert sender.problem is None and sender.refused == 0
    client.call('<folderReopen id="r" folder="INBOX" sortField="UID"/>')
    rows = browse(client)
    assert len(rows) == before + number + len(sender.acknowledged["dora"])
    size = str(len(bomb) + len("Return-Path: <ann@example.org>\r\n"))
    found = [r for r in rows[before:] if r.findtext("SIZE") == size]
    assert len(found) == number
    row = found[0]
    begin = time.monotonic()
    read(client, row.get("UID"))
    read(client, row.get("UID"), more='mode="text"')
    assert time.monotonic() - begin < LONG
    client.close()
    assert "broken invariant" not in server.log()


def helpers(server):
    return {name: pid for name, pid in server.children().items() if name.startswith("helper")}


def answer_while(server, action, recipients=("dora@harbor.example",), helpers_wanted=4):
    """Stops all helpers, begins a delivery, calls action(), and gives (answers, seconds)."""
    wait_for(lambda: len(helpers(server)) == helpers_wanted)
    stopped = helpers(server)
    for pid in stopped.values():
        os.kill(pid, signal.SIGSTOP)
    lmtp = server.lmtp()
    lmtp.mail("ann@example.org")
    for r in recipients:
        assert lmtp.rcpt(r)[0] == 250
    lmtp.docmd("DATA")
    begin = time.monotonic()
    lmtp.send(MULTIPART.encode() + b".\r\n")
    settle(server, stopped.values())
    action(stopped)
    answers = [lmtp.getreply()[0] for _ in recipients]
    took = time.monotonic() - begin
    lmtp.quit()
    return answers, took, stopped


def resume(stopped):
    for pid in stopped.values():
        try:
            os.kill(pid, signal.SIGCONT)
        except ProcessLookupError:
            pass


def test_helper_killed_in_mid_job(tmp_path):
    """The next one parses what it had; the sender notices nothing but the time."""
    with Server(tmp_path, accounts=BOTH, server="keepers = 2\nhelpers = 4\nlog_level = problems\n") as server:
        def kill_all(stopped):
            for pid in stopped.values():
                os.kill(pid, signal.SIGKILL)
        for number in range(1, 6):
            since = len(server.log())
            answers, took, _ = answer_while(server, kill_all, list(ADDRESSES.values()))
            assert answers == [250, 250] and took < PATIENCE
            log = server.log()[since:]
            if "is over its time" not in log:  # or the keepers were sooner than we
                break
        assert log.count("is parsed once more: its helper died over it") == 2 and "unparsed" not in log
        wait_for(lambda: len(helpers(server)) == 4)
        server.deliver(MULTIPART, list(ADDRESSES.values()))
        for name in ADDRESSES.values():
            client = server.session(name)
            open_folder(client, more='sortField="UID"')
            assert unparsed(client)[number - 1:] == [False, False]


def test_stopped_helper_is_replaced(tmp_path):
    """It has two seconds; then it is killed, the message is stored as it is, and a new one parses the next."""
    with Server(tmp_path, accounts=BOTH, server="keepers = 2\nhelpers = 4\nlog_level = problems\n") as server:
        client = server.session()
        open_folder(client)
        answers, took, stopped = answer_while(server, lambda _: None)
        assert answers == [250] and took > 1.9
        wait_for(lambda: "is over its time: killed" in server.log())
        resume(stopped)
        wait_for(lambda: len(helpers(server)) == 4 and set(helpers(server).values()) != set(stopped.values()))
        server.deliver(MULTIPART)
        assert client.raw() == b'<folderReport folder="INBOX" mode="notify"/>'
        client.call('<folderReopen id="r" folder="INBOX"/>')
        assert unparsed(client) == [True, False]


def test_other_deliveries_go_on_while_a_helper_is_stuck(tmp_path):
    with Server(tmp_path, accounts=BOTH, server="keepers = 1\nhelpers = 2\nlog_level = problems\n") as server:
        for number in range(1, 6):  # a machine on which not one of them is done within the helper's time gets more tries
            helper = wait_for(lambda: helpers(server).get("helper 1"))
            settle(server)
            os.kill(helper, signal.SIGSTOP)
            lmtp = server.lmtp()
            lmtp.mail("ann@example.org")
            lmtp.rcpt("dora@harbor.example")
            lmtp.docmd("DATA")
            begin = time.monotonic()
            lmtp.send(MULTIPART.encode() + b".\r\n")
            settle(server, [helper])
            sooner = 0
            for _ in range(10):
                server.deliver(MULTIPART)
                sooner += not select.select([lmtp.sock], [], [], 0)[0]
            assert lmtp.getreply()[0] == 250 and time.monotonic() - begin > 1.5
            lmtp.quit()
            wait_for(lambda: helpers(server).get("helper 1") not in (None, helper))
            if sooner:
                break
        assert sooner
        client = server.session()
        open_folder(client)
        assert sum(unparsed(client)) == number


def test_helpers_are_recycled_without_loss(tmp_path):
    """A helper ends after 1,000 jobs; no message is stored unparsed for that."""
    with Server(tmp_path, accounts=BOTH, server="keepers = 1\nhelpers = 1\nlog_level = problems\n") as server:
        old = helpers(server)
        senders = [Sender(server, i, 400) for i in range(6)]
        for s in senders:
            s.start()
        for s in senders:
            s.join()
            assert s.problem is None and s.refused == 0
        assert helpers(server) != old
        assert "unparsed" not in server.log()
        assert sum(len(check_box(server, name, senders)) for name in BOTH) >= 2400


def test_worker_killed_during_deliveries(tmp_path):
    """Nobody is told 250 by the dead; what was acknowledged is there once."""
    with Server(tmp_path, accounts=BOTH) as server:
        senders = [Sender(server, i, 100) for i in range(4)]
        for s in senders:
            s.start()
        for _ in range(3):
            time.sleep(0.15)
            server.kill(random.choice(wait_for(lambda: [n for n in server.children() if n.startswith("worker")])))
        for s in senders:
            s.join()
            assert s.problem is None, repr(s.problem)
        for name in BOTH:
            check_box(server, name, senders)


def test_session_ends_with_bye(tmp_path):
    with Server(tmp_path, accounts=BOTH) as server:
        clients = [server.session() for _ in range(4)]
        for c in clients:
            open_folder(c)
        keeper = {name: pid for name, pid in server.children().items() if name.startswith("keeper")}
        for pid in keeper.values():
            os.kill(pid, signal.SIGKILL)
        for c in clients:
            assert c.rest() == b"<bye/>\0"

        def again():
            try:
                c = server.client()
                c.login()
                return c
            except (Closed, AssertionError, ConnectionError):
                return None
        assert open_folder(wait_for(again)).get("messages") == "0"
