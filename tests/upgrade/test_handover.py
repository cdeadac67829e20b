# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The ximssd authors
"""An upgrade exchanges the keepers, and their sessions do not notice (design 2.5, src/proc/handover.h)."""
import glob
import os
import random
import re
import selectors
import signal
import socket
import threading
import time
import xml.etree.ElementTree as ET

import pytest

from mailview import Copy, browse, content, open_folder
from upgradable import Upgradable, multiply
from ximss import Closed, wait_for

MESSAGE = "From: Ann <ann@example.org>\r\nSubject: %s\r\nDate: Mon, 25 May 2026 07:14:00 +0200\r\n\r\nx\r\n"
EXCHANGED = "old workers are drained"


def keepers(server):
    return {name: pid for name, pid in server.children().items() if name.startswith("keeper")}


def exchange(server, count=1):
    """An upgrade, as far as all keepers are new ones."""
    before = keepers(server)
    server.upgrade()
    server.said(EXCHANGED, count)
    assert not set(keepers(server).values()) & set(before.values())


def shown(client, folder, more):
    """What a folder that is opened now shows, opened and closed under another name."""
    open_folder(client, folder, "INBOX", more=more)
    rows = [content(r) for r in browse(client, folder)]
    client.call('<folderClose id="c" folder="%s"/>' % folder)
    return rows


def without_recent(rows):
    """Which is taken away by whoever closes a folder."""
    return [(uid, tuple(re.sub(rb"<FLAGS></FLAGS>", b"<FLAGS />", re.sub(rb",?Recent", b"", f)) for f in fields))
            for uid, fields in rows]


VIEWS = {"all": "", "late": 'sortField="INTERNALDATE" sortOrder="desc"', "subjects": 'sortField="Subject"',
         "unseen": 'filterField="FLAGS" filter="Unseen"', "words": 'filterField="Subject" filter="odd"',
         "some": 'UIDMin="4" UIDValidity="%s"'}


@pytest.mark.parametrize("tls", (False, True), ids=("clear", "tls"))
def test_folders_are_what_they_were(tmp_path, tls):
    """Order, indexes, flags, what is dirty: folderSync says exactly what has changed, before or behind the exchange."""
    with Upgradable(tmp_path, tls=True) as server:
        for n in range(9):
            server.deliver(MESSAGE % ("odd %d" if n % 2 else "even %d") % n)
        other, c = server.session(tls=not tls), server.session(tls=tls)
        validity = open_folder(other, "o", "INBOX").get("UIDValidity")
        copies = {name: Copy(c, name, more=more % validity if "%" in more else more) for name, more in VIEWS.items()}
        quiet = Copy(c, "quiet", more=VIEWS["late"])
        c.call('<setClientName id="n" name="handed over"/>')
        other.call('<messageMark id="m" folder="o" flags="Seen"><UID>2</UID></messageMark>')
        other.call('<messageRemove id="r" folder="o" mode="Immediately"><UID>5</UID></messageRemove>')
        copies["subjects"].sync()
        exchange(server)
        # as the client knew them; of a message that is gone there is no row (protocol 2, 4.5)
        for name, copy in copies.items():
            assert [(r.get("UID"), int(r.get("index"))) for r in browse(c, name)] == [
                (uid, n) for n, (uid, _) in enumerate(copy.rows) if uid != "5"], name
        other.call('<messageMark id="m" folder="o" flags="Flagged"><UID>7</UID></messageMark>')
        other.call('<messageRemove id="r" folder="o" mode="Immediately"><UID>1</UID></messageRemove>')
        server.deliver(MESSAGE % "odd and new")
        assert [(r.get("mode"), r.get("UID")) for r in sorted(quiet.sync(), key=lambda r: int(r.get("UID")))] == [
            ("removed", "1"), ("updated", "2"), ("removed", "5"), ("updated", "7"), ("added", "10")]
        for copy in copies.values():
            copy.sync()
            assert not copy.sync()
        for name, copy in copies.items():
            more = VIEWS[name] % validity if "%" in VIEWS[name] else VIEWS[name]
            assert without_recent(copy.rows) == without_recent(shown(other, "again", more)), name


def test_recent_belongs_to_the_session(tmp_path):
    """Who has shown a message as Recent takes the flag away when he closes, though another keeper showed it (protocol 2, 12.2)."""
    with Upgradable(tmp_path) as server:
        server.deliver(MESSAGE % "new")
        c = server.session()
        assert b"Recent" in Copy(c, "f").rows[0][1][0]
        exchange(server)
        c.call('<folderClose id="c" folder="f"/>')
        assert b"Recent" not in Copy(c, "f").rows[0][1][0]


class Asker:
    """Keeps requests on the way, and sees that each is answered once, in order, with its own answer."""

    SHAPES = ('<readTime id="%d"/>', '<noop id="%d"/>', '<folderBrowse id="%d" folder="f"><index from="0" till="3"/></folderBrowse>',
              '<listKnownValues id="%d"/>', '<folderSync id="%d" folder="f"/>', '<nonsense id="%d"/>',
              '<messageMark id="%d" folder="f" flags="Seen"><UID>1</UID></messageMark>',
              '<folderOpen id="%d" folder="g" mailbox="INBOX"/>', '<folderClose id="%d" folder="g"/>')

    def __init__(self, client, depth, seed):
        self.client, self.depth, self.random = client, depth, random.Random(seed)
        self.sent = self.answered = 0
        self.wrong = None
        self.rows = 0
        self.shape = {}
        open_folder(client, "f", "INBOX", fields=("Subject",))
        self.fill()

    def fill(self):
        data = b""
        while self.sent - self.answered < self.depth:
            self.shape[self.sent] = self.random.choice(self.SHAPES)
            data += (self.shape[self.sent] % self.sent).encode() + b"\0"
            self.sent += 1
        if data:
            self.client.send_bytes(data)

    def take(self, message):
        e = ET.fromstring(message)
        ident = e.get("id")
        if ident is None:  # a notify
            assert e.tag == "folderReport" and e.get("mode") == "notify", message
            return
        assert int(ident) == self.answered, (ident, self.answered, message)
        shape = self.shape[self.answered]
        if e.tag != "response":
            self.rows += 1
            return
        assert ("nonsense" in shape) == (e.get("errorNum") == "500"), message
        if "folderBrowse" in shape:
            assert self.rows == 4, (self.rows, message)
        self.rows = 0
        del self.shape[self.answered]
        self.answered += 1

    def read(self):
        got = self.client.sock.recv(65536)
        if not got:
            raise Closed()
        *messages, self.client.buffer = (self.client.buffer + got).split(b"\0")
        for m in messages:
            self.take(m)


def serve(selector, until):
    """All askers ask, until then."""
    end = time.monotonic() + 60
    while not until():
        assert time.monotonic() < end, "waited in vain"
        for key, _ in selector.select(0.05):
            key.data.read()
            key.data.fill()


def test_fifty_sessions_ask_all_the_time(tmp_path):
    """Nothing is lost, nothing doubled, nothing out of order, whether they sit in old workers or in new ones."""
    with Upgradable(tmp_path, server="workers = 2\nkeepers = 2\n", tls=True,
                    accounts={"dora": "correct-horse", "otto": "swordfish", "mia": "four-words"}) as server:
        names = list(server.accounts)
        for name in names:
            for n in range(4):
                server.deliver(MESSAGE % n, [name + "@harbor.example"])
        selector, askers = selectors.DefaultSelector(), []

        def come(count):
            for _ in range(count):
                n = len(askers)
                client = server.session(names[n % 3] + "@harbor.example", tls=n % 5 == 0)
                client.sock.settimeout(20)
                askers.append(Asker(client, 1 + n % 16, n))
                selector.register(client.sock, selectors.EVENT_READ, askers[-1])

        come(40)
        before = keepers(server)
        server.upgrade()
        serve(selector, lambda: "upgrade: the new workers serve" in server.log())
        come(10)
        serve(selector, lambda: "upgrade: " + EXCHANGED in server.log())
        assert not set(keepers(server).values()) & set(before.values())
        counts = [a.answered for a in askers]
        serve(selector, lambda: all(a.answered > n + 20 for a, n in zip(askers, counts)))
        for a in askers:
            a.depth = 0
        serve(selector, lambda: all(a.answered == a.sent for a in askers))
        for a in askers:
            a.client.call('<noop id="last"/>')
        assert "not come to an end" not in server.log() and " lost" not in server.log().replace(" 0 lost", "")
        assert server.counters()["ximssSessionsActive"] == 50


def test_twice_in_a_row(tmp_path):
    with Upgradable(tmp_path) as server:
        old = server.session()
        server.upgrade()
        server.said("the new workers serve")
        c, other = server.session(), server.session()
        old.call('<bye id="b"/>')
        server.said("done")
        copy = Copy(c, "f")
        exchange(server, 2)
        server.deliver(MESSAGE % "one")
        note = c.recv()
        assert (note.tag, note.get("folder"), note.get("mode")) == ("folderReport", "f", "notify")
        assert [r.get("mode") for r in copy.sync()] == ["added"]
        # both sit in the worker that drains now
        other.call('<readTime id="t"/>')
        for each in (c, other):
            each.call('<bye id="b"/>')
        server.said("done", 2)
        assert len(shown(server.session(), "f", "")) == 1


def test_events(tmp_path):
    """Sessions of one account hear of each other; a notify that was sent is not sent again; alerts come."""
    with Upgradable(tmp_path) as server:
        server.deliver(MESSAGE % "one")
        a, b = server.session(), server.session()
        told, silent = Copy(a, "told"), Copy(b, "silent")
        server.deliver(MESSAGE % "two")
        for client, folder in ((a, "told"), (b, "silent")):
            note = client.recv()
            assert note.get("folder") == folder and note.get("mode") == "notify"
        told.sync()
        exchange(server)
        a.call('<messageMark id="m" folder="told" flags="Seen"><UID>1</UID></messageMark>')
        # a's own folder hears of it, b's was told before and has not been synchronised since
        messages, _ = b.call('<readTime id="t"/>')
        assert [m.tag for m in messages] == ["currentTime"]
        assert [(r.get("mode"), r.get("UID")) for r in silent.sync()] == [("updated", "1"), ("added", "2")]
        b.call('<messageMark id="m" folder="silent" flags="Flagged"><UID>2</UID></messageMark>')
        told.sync()
        server.ctl("session", "say", "all", "Good morning.")
        for client in (a, b):
            while (e := client.recv()).tag != "alert":
                assert e.get("mode") == "notify"
            assert e.text == "Good morning."


def test_a_long_answer_that_is_being_read(tmp_path):
    """An answer in the middle, requests behind it, an alert that waits: all of it comes, in that order."""
    with Upgradable(tmp_path) as server:
        text = "".join("%07d and so on and so forth until the line ends here\r\n" % n for n in range(20000))
        server.deliver(MESSAGE.replace("x\r\n", "") % "long" + text)
        c, other = server.session(), server.session()
        open_folder(c, "f", "INBOX")
        c.send('<folderRead id="r" folder="f" UID="1" totalSizeLimit="99999999"/>')
        c.send('<readTime id="t"/>')
        assert c.sock.recv(1000, socket.MSG_PEEK).startswith(b"<folderMessage")
        server.ctl("session", "say", "all", "Hear, hear.")
        assert other.recv().tag == "alert"
        exchange(server)
        other.call('<readTime id="t"/>')
        message = c.recv()
        assert message.tag == "folderMessage"
        assert message.find("EMail/MIME").text == text.replace("\r\n", "\n")
        assert c.raw() == b'<response id="r"/>'
        rest = [c.recv() for _ in range(3)]
        assert sorted(e.tag for e in rest) == ["alert", "currentTime", "response"]
        assert [e.get("id") for e in rest if e.tag != "alert"] == ["t", "t"]
        c.call('<noop id="n"/>')


def test_ten_thousand_messages(tmp_path):
    with Upgradable(tmp_path) as server:
        server.deliver(MESSAGE % "many")
        server.stop()
        multiply(server, 10000)
        server.start()
        c, other = server.session(), server.session()
        init = open_folder(c, "f", "INBOX", more='sortField="INTERNALDATE" sortOrder="desc"')
        assert init.get("messages") == "10000"
        before = [r.get("UID") for r in browse(c, "f")]
        assert sorted(map(int, before)) == list(range(1, 10001)) and before != sorted(before, key=int)
        open_folder(other, "o", "INBOX")
        other.call('<messageRemove id="r" folder="o" mode="Immediately"><UID>5000</UID></messageRemove>')
        exchange(server)
        assert [(r.get("UID"), int(r.get("index"))) for r in browse(c, "f")] == [
            (uid, n) for n, uid in enumerate(before) if uid != "5000"]
        other.call('<messageMark id="m" folder="o" flags="Seen"><UID>77</UID></messageMark>')
        reports, _ = c.call('<folderSync id="s" folder="f"/>')
        assert [(r.get("mode"), r.get("UID")) for r in reports if r.get("id")] == [("removed", "5000"), ("updated", "77")]
        assert next(r for r in reports if r.get("mode") == "removed").get("index") == str(before.index("5000"))


def test_passwords(tmp_path):
    """The password is what the last answer said, whoever gave it; auth is exchanged too."""
    with Upgradable(tmp_path) as server:
        c, words, n = server.session(), ["correct-horse", "battery-staple"], 0
        server.upgrade()
        while "upgrade: " + EXCHANGED not in server.log():
            c.send('<passwordModify id="%d" oldPassword="%s" newPassword="%s"/>' % (n, words[n % 2], words[(n + 1) % 2]))
            _, response = c.until_response(str(n))
            assert response.get("errorNum") in (None, "583"), ET.tostring(response)  # auth itself is exchanged
            if response.get("errorNum") is None:
                n += 1
        for _ in range(2):
            c.call('<passwordModify id="%d" oldPassword="%s" newPassword="%s"/>' % (n, words[n % 2], words[(n + 1) % 2]))
            n += 1
        server.session(password=words[n % 2])
        assert server.client().fail('<login id="L" authData="dora@harbor.example" password="%s"/>' % words[(n + 1) % 2])


def test_rows_that_nobody_reads(tmp_path):
    """Their client finds all of them, each once, when he reads at last; nobody has to wait for him."""
    with Upgradable(tmp_path) as server:
        server.deliver(MESSAGE % ("much " * 40))
        server.stop()
        multiply(server, 3000)
        server.start()
        slow, c = server.session(), server.session()
        open_folder(slow, "f", "INBOX", fields=("FLAGS", "E-From", "Subject", "Date", "Size"))
        slow.send('<folderBrowse id="b" folder="f"><index from="0" till="2999"/></folderBrowse>')
        slow.send('<messageRemove id="m" folder="f" mode="Immediately"><UID>3</UID></messageRemove>')
        slow.send('<folderSync id="s" folder="f"/>')
        assert slow.sock.recv(20, socket.MSG_PEEK).startswith(b"<folderReport")
        exchange(server)
        c.call('<readTime id="t"/>')
        rows, _ = slow.until_response("b")
        assert sorted(int(r.get("UID")) for r in rows) == list(range(1, 3001))
        assert [int(r.get("index")) for r in rows] == list(range(3000))
        slow.until_response("m")
        reports, _ = slow.until_response("s")
        assert [r.get("UID") for r in reports if r.get("mode") == "removed"] == ["3"]
        assert "not come to an end" not in server.log()


# --- when it does not go well

def log_in(server):
    """Sessions by the keeper that has them."""
    sessions, server.second = {1: [], 2: []}, []
    for name in server.accounts:
        c, d = server.client(), server.client()
        for each in (c, d):
            bank = int(each.login(name + "@harbor.example", server.accounts[name]).get("urlID").split("-")[1][:2])
        sessions[bank % 2 + 1] += [c, d]
        server.second += [name] * (bank % 2)
    assert all(sessions.values())
    return sessions


def two_keepers(server):
    """Sessions of the first keeper, and those of the second, which stands still when its turn comes."""
    for n in range(1, 6):
        sessions, pid = log_in(server), keepers(server)["keeper 2"]
        server.upgrade()
        wait_for(lambda n=n: server.log().count("upgrade: keeper 1 hands over") == n, 60, pause=0.001)
        try:
            os.kill(pid, signal.SIGSTOP)
        except ProcessLookupError:
            pass
        server.said("keeper 2 hands over", n)
        if keepers(server).get("keeper 2") == pid:
            return sessions, pid
        for c in sessions[1] + sessions[2]:  # we came too late, and they have not noticed
            c.call('<bye id="b"/>')
        server.said("done", n)
    raise AssertionError("this machine is too slow to catch a keeper")


PAIR = {"dora": "correct-horse", "otto": "correct-horse"}  # accounts go to the banks in turn


def everybody_ends(server, sessions):
    """Those of the second keeper with <bye/>, and the next login finds everything; those of the first go on."""
    for c in sessions[2]:
        assert c.rest() == b"<bye/>\0"
    wait_for(lambda: server.log().count("upgrade: " + EXCHANGED) == server.log().count("upgrade: keepers are exchanged"), 60)
    for c in sessions[1]:
        c.call('<readTime id="t"/>')
    for name in server.accounts:
        server.session(name + "@harbor.example").call('<mailboxList id="m"/>')


@pytest.fixture
def pair(tmp_path):
    with Upgradable(tmp_path, clock=True, server="keepers = 2\nhelpers = 2\nworkers = 1\n", accounts=PAIR) as server:
        if len(keepers(server)) < 2:
            pytest.skip("a machine of one core has one bank and one keeper")
        yield server


def test_the_old_keeper_dies_meanwhile(pair):
    """As if it had died at any other time."""
    sessions, pid = two_keepers(pair)
    os.kill(pid, signal.SIGKILL)
    everybody_ends(pair, sessions)
    assert "keeper 2 ended without handing over: its sessions end" in pair.log()


def test_the_old_keeper_hangs(pair):
    """It has twenty seconds, then it is killed."""
    sessions, _ = two_keepers(pair)
    pair.advance(21)
    everybody_ends(pair, sessions)
    assert "keeper 2 takes too long to hand over: killed" in pair.log()


def test_the_new_keeper_does_not_start(pair):
    """It cannot open its banks: the sessions of the old one end; as soon as it can, it serves."""
    sessions, pid = two_keepers(pair)
    banks = [p for p in glob.glob(os.path.join(pair.state_dir, "bank-*.db")) if int(p[-5:-3]) % 2 == 1]
    assert banks
    for path in banks:
        os.rename(path, path + ".away")
        os.mkdir(path)
    os.kill(pid, signal.SIGCONT)
    wait_for(lambda: "cannot start" in pair.log())
    for path in banks:
        os.rmdir(path)
        os.rename(path + ".away", path)
    everybody_ends(pair, sessions)


def test_mail_that_is_on_its_way(pair):
    """A message whose digest is being made is stored once, and its sender is told so, by the new keeper."""
    answers = []
    sessions, pid = two_keepers(pair)
    helper = pair.kill("helper 2", signal.SIGSTOP)
    to = pair.second[0] + "@harbor.example"
    post = threading.Thread(target=lambda: answers.extend(pair.deliver(MESSAGE % "on its way", [to])))
    begin = time.monotonic()
    post.start()
    try:
        os.kill(pid, signal.SIGCONT)
        wait_for(lambda: keepers(pair).get("keeper 2") not in (None, pid), 60)
        assert not answers or time.monotonic() - begin > 2  # a helper's time, and then it comes as one text
    finally:
        os.kill(helper, signal.SIGCONT)
        post.join()
    assert [code for code, _ in answers] == [250]
    for c in sessions[1] + sessions[2]:
        c.call('<readTime id="t"/>')
    c = pair.session(to)
    open_folder(c, "f", "INBOX", fields=("Subject",))
    assert [r.findtext("Subject") for r in browse(c, "f")] == ["on its way"]
