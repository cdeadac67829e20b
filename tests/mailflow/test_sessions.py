# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The ximssd authors
"""Two sessions and LMTP on one mailbox, across workers (protocol 2, 4.1, 4.6, 12, 16; issue, slice 9)."""
import contextlib
import os
import random
import time
import xml.etree.ElementTree as ET

import pytest
from mailview import Copy, browse, content, open_folder, read
from ximss import Server

NOTIFY = b'<folderReport folder="%s" mode="notify"/>'


def worker_of(server, client):
    """The worker that holds this connection, from /proc: the socket's inode, and who has it."""
    local, remote = ["0100007F:%04X" % p for p in (server.port, client.sock.getsockname()[1])]
    with open("/proc/net/tcp") as f:
        (inode,) = [w[9] for w in map(str.split, f) if w[1] == local and w[2] == remote]
    for name, pid in server.children().items():
        if name.startswith("worker"):
            for fd in os.listdir("/proc/%d/fd" % pid):
                with contextlib.suppress(FileNotFoundError):  # another one's, who has just gone
                    if os.readlink("/proc/%d/fd/%s" % (pid, fd)) == "socket:[%s]" % inode:
                        return name
    raise AssertionError("nobody has it")


def across(server):
    """Two sessions of dora in two workers."""
    if os.geteuid() != 0:
        pytest.skip("needs root to see the files of the server's processes")
    first = server.session()
    for _ in range(64):
        second = server.session()
        if worker_of(server, first) != worker_of(server, second):
            return first, second
        second.send('<bye id="b"/>')
    raise AssertionError("always the same worker")


@pytest.fixture
def two(tmp_path):
    with Server(tmp_path, server="workers = 2\n", accounts={"dora": "correct-horse"}) as server:
        yield (server, *across(server))


def message(number, subject=None):
    return "From: Sender %d <s%d@example.org>\r\nSubject: %s\r\n\r\nbody %d\r\n" % (
        number, number % 5, subject or "message %d" % number, number)


def quiet(client):
    """Nothing is on its way to this client: the next thing that it hears is an answer."""
    time.sleep(0.15)
    client.send('<readTime id="q"/>')
    first, second = client.recv(), client.recv()
    assert [first.tag, second.tag] == ["currentTime", "response"], ET.tostring(first)


def hears(client, folder):
    """The notification, byte for byte."""
    got = client.raw()
    assert got == NOTIFY % folder.encode(), got


def test_the_dialogue_of_12_1(two):
    server, one, other = two
    for i in range(3):
        server.deliver(message(i))
    mine, theirs = Copy(one, "INBOX"), Copy(other, "in")
    # a mark: its response, then the notification, at both
    one.send('<messageMark id="1" folder="INBOX" flags="Seen"><UID>2</UID></messageMark>')
    assert one.raw() == b'<response id="1"/>'
    hears(one, "INBOX")
    hears(other, "in")
    # more changes: nobody is told again before he syncs
    one.call('<messageMark id="2" folder="INBOX" flags="Flagged"><UID>3</UID></messageMark>')
    other.call('<messageMark id="3" folder="in" flags="Answered"><UID>3</UID></messageMark>')
    server.deliver(message(3))
    quiet(one)
    quiet(other)
    (seen, marked, added) = theirs.sync()
    assert (seen.get("mode"), seen.get("index"), seen.get("UID"), seen.findtext("FLAGS")) == ("updated", "1", "2", "Seen,Recent")
    assert (marked.get("UID"), marked.findtext("FLAGS")) == ("3", "Answered,Flagged,Recent")
    assert (added.get("mode"), added.get("index"), added.get("messages"), added.get("unseen")) == ("added", "3", "4", "3")
    assert theirs.sync() == []
    quiet(one)  # his own view is dirty all the same
    assert len(mine.sync()) == 3
    assert mine.rows == theirs.rows
    # after a sync the next change is told again, once to each
    other.call('<messageMark id="4" folder="in" flags="Unseen"><UID>2</UID></messageMark>')
    hears(other, "in")
    hears(one, "INBOX")
    assert [len(mine.sync()), len(theirs.sync())] == [1, 1]
    assert mine.rows == theirs.rows


def test_removal_and_expunge(two):
    server, one, other = two
    for i in range(6):
        server.deliver(message(i))
    mine, theirs = Copy(one, "a"), Copy(other, "b")
    one.call('<messageRemove id="r" folder="a" mode="Immediately"><UID>2</UID><UID from="4" till="5"/></messageRemove>')
    hears(one, "a")
    hears(other, "b")
    # the old view: what is gone is skipped, indexes stay
    assert [r.get("UID") for r in browse(other, "b")] == ["1", "3", "6"]
    assert [r.get("index") for r in browse(other, "b")] == ["0", "2", "5"]
    assert other.fail('<folderRead id="x" folder="b" UID="4"/>')[0] == 570
    reports = theirs.sync()
    assert [(r.get("mode"), r.get("index"), r.get("UID"), r.get("messages")) for r in reports] == [
        ("removed", "4", "5", "5"), ("removed", "3", "4", "4"), ("removed", "1", "2", "3")]
    mine.sync()
    other.call('<messageMark id="m" folder="b" flags="Deleted"><index>0</index><UID>6</UID></messageMark>')
    hears(other, "b")
    hears(one, "a")
    one.call('<folderExpunge id="e" folder="a"/>')
    quiet(one)
    quiet(other)
    assert [r.get("mode") for r in mine.sync()] == ["removed", "removed"]
    assert [r.get("mode") for r in theirs.sync()] == ["removed", "removed"]
    assert [uid for uid, _ in mine.rows] == [uid for uid, _ in theirs.rows] == ["3"]
    # both remove the same one: both succeed
    one.send('<messageRemove id="x" folder="a" mode="Immediately"><UID>3</UID></messageRemove>')
    other.send('<messageRemove id="x" folder="b" mode="Immediately"><UID>3</UID></messageRemove>')
    for client in (one, other):
        _, response = client.until_response("x")
        assert response.get("errorNum") is None


def test_trash_is_seen_by_others(two):
    server, one, other = two
    server.deliver(message(0))
    server.deliver(message(1))
    mine = Copy(one, "in")
    one.call('<messageMark id="m" folder="in" flags="Seen,Flagged"><UID>1</UID></messageMark>')
    one.call('<messageRemove id="r" folder="in"><UID>1</UID></messageRemove>')
    mine.sync()
    trash = Copy(other, "bin", "Trash")
    ((_, fields),) = trash.rows
    assert b"Seen,Flagged" in fields[0] and b"message 0" in fields[2]
    one.call('<messageRemove id="s" folder="in"><UID>2</UID></messageRemove>')
    hears(other, "bin")
    (report,) = trash.sync()
    assert report.get("mode") == "added" and report.findtext("Subject") == "message 1"
    # in the Trash itself it is for good
    other.call('<messageRemove id="t" folder="bin"><index from="0"/></messageRemove>')
    hears(other, "bin")
    assert len(trash.sync()) == 2 and trash.rows == []


def test_a_burst_is_one_notification(two):
    server, one, other = two
    mine, theirs = Copy(one, "a"), Copy(other, "b")
    second = Copy(other, "c")  # two folders of one session: one each
    for i in range(40):
        server.deliver(message(i))
    hears(one, "a")
    got = {other.raw(), other.raw()}
    assert got == {NOTIFY % b"b", NOTIFY % b"c"}
    quiet(one)
    quiet(other)
    assert len(theirs.sync()) == 40
    server.deliver(message(40))
    hears(other, "b")  # c has not been synced yet
    quiet(other)
    assert len(second.sync(limit=30)) == 30
    hears(other, "c")  # something is left
    assert len(second.sync(limit=30)) == 11
    quiet(other)
    theirs.sync()
    mine.sync()
    assert mine.rows == theirs.rows == second.rows


def test_every_delivery_is_heard(two):
    """At sessions in both workers (4.1); how soon is the bench's to say."""
    server, one, other = two
    copies = Copy(one, "a"), Copy(other, "b")
    lmtp = server.lmtp()
    for i in range(100):
        lmtp.deliver("ann@example.org", ["dora@harbor.example"], message(i).encode())
        for copy in copies:
            hears(copy.client, copy.folder)
        for copy in copies:
            assert len(copy.sync()) == 1


VIEWS = [
    "",
    'sortField="Subject" sortOrder="desc"',
    'sortField="FLAGS"',
    'filterField="FLAGS" filter="Unseen"',
    'sortField="UID" sortOrder="desc" filterField="FLAGS" filter="Flagged"',
    'sortField="E-From" filterField="Subject" filter="1"',
]
FLAGS = ["Seen", "Unseen", "Flagged", "Unflagged", "Answered", "Deleted", "Undeleted", "Label1", "Seen,Flagged", "NotLabel1"]


class Chaos:
    """Random changes by two sessions and LMTP, random syncs of views of all kinds."""

    def __init__(self, server, one, other, seed):
        self.server, self.rng, self.lmtp = server, random.Random(seed), server.lmtp()
        self.delivered = 0
        for _ in range(10):
            self.deliver()
        self.copies = [Copy((one, other)[i % 2], "v%d" % i, more=more) for i, more in enumerate(VIEWS)]
        self.actors = [Copy(one, "all"), Copy(other, "all")]

    def deliver(self):
        self.delivered += 1
        subject = "%s %d" % (self.rng.choice(["alpha", "Re: beta", "gamma", "=?utf-8?q?d=C3=A9lta?="]), self.delivered % 13)
        answers = self.lmtp.deliver("ann@example.org", ["dora@harbor.example"], message(self.delivered, subject).encode())
        assert answers[0][0] == 250

    def change(self):
        actor = self.rng.choice(self.actors)
        last = self.delivered
        uids = "".join("<UID>%d</UID>" % self.rng.randint(max(1, last - 25), last) for _ in range(self.rng.randint(1, 4)))
        what = self.rng.random()
        if what < 0.35:
            self.deliver()
        elif what < 0.8:
            actor.client.call('<messageMark id="m" folder="all" flags="%s">%s</messageMark>' % (self.rng.choice(FLAGS), uids))
        elif what < 0.95:
            actor.client.call('<messageRemove id="r" folder="all" mode="Immediately">%s</messageRemove>' % uids)
        else:
            actor.client.call('<folderExpunge id="e" folder="all"/>')
        for copy in self.actors:
            copy.sync()  # actors know of everything

    def fresh(self, copy, more):
        open_folder(copy.client, "fresh", "INBOX", more=more)
        rows = [content(r) for r in browse(copy.client, "fresh")]
        copy.client.call('<folderClose id="c" folder="fresh"/>')
        return rows


@pytest.mark.parametrize("seed", range(3))
def test_random_changes(two, seed):
    chaos = Chaos(*two, seed)
    for _ in range(200):
        chaos.change()
        for copy in chaos.copies:
            if chaos.rng.random() < 0.3:
                copy.sync(limit=chaos.rng.choice([None, 1, 2, 5]))
    for copy, more in zip(chaos.copies, VIEWS):
        copy.sync()
        assert copy.rows == chaos.fresh(copy, more), more
    # a look at the others' folders has cleared Recent; then nobody has anything left to say
    for copy in chaos.copies + chaos.actors:
        copy.sync()
    for copy in chaos.copies + chaos.actors:
        assert copy.sync() == []
    for copy in chaos.copies[:2]:
        copy.client.call('<noop id="n"/>')  # takes what was on its way
        quiet(copy.client)


def test_a_closed_view_hears_nothing(two):
    server, one, other = two
    Copy(one, "a")
    Copy(other, "b")
    one.call('<folderClose id="c" folder="a"/>')
    server.deliver(message(0))
    hears(other, "b")
    quiet(one)


def test_recent(two):
    """12.2: set by delivery, gone for all when a session that has shown it leaves the folder."""
    server, one, other = two
    server.deliver(message(0))
    Copy(one, "a")
    theirs = Copy(other, "b")
    assert b"Recent" in theirs.rows[0][1][0]
    one.call('<folderClose id="c" folder="a"/>')
    hears(other, "b")
    (report,) = theirs.sync()
    assert report.get("mode") == "updated" and report.find("FLAGS").text is None
    server.deliver(message(1))
    hears(other, "b")
    (report,) = theirs.sync()
    assert report.findtext("FLAGS") == "Recent"
    third = server.session()
    assert [r.findtext("FLAGS") for r in (open_folder(third), browse(third))[1]] in ([None, "Recent"], ["", "Recent"])


def test_session_ends_in_the_middle_of_a_notification(two):
    """A client that goes away without a word does not keep the others from hearing."""
    server, one, other = two
    theirs = Copy(other, "b")
    Copy(one, "a")
    one.sock.close()
    for i in range(5):
        server.deliver(message(i))
    hears(other, "b")
    assert len(theirs.sync()) == 5


# --- section 16, as far as it concerns TCP


@pytest.fixture(scope="module")
def box(tmp_path_factory):
    """A session with three messages in INBOX; the folder is not open yet."""
    with Server(tmp_path_factory.mktemp("c"), accounts={"dora": "correct-horse"}) as server:
        for i in range(3):
            server.deliver(message(i))
        yield server


@pytest.fixture
def client(box):
    return box.session()


OPEN = ('<folderOpen id="o" folder="INBOX-MM-1" mailbox="INBOX" sortField="INTERNALDATE" sortOrder="desc"><field>FLAGS</field>'
        '<field>E-From</field><field>Subject</field><field>INTERNALDATE</field><field>SIZE</field></folderOpen>')


def test_c1_c2_notify_and_added(box, client):
    client.call(OPEN)
    box.deliver(message(9))
    assert client.raw() == b'<folderReport folder="INBOX-MM-1" mode="notify"/>'
    (report,), _ = client.call('<folderSync id="s" folder="INBOX-MM-1" limit="300"/>')
    assert report.get("mode") == "added" and int(report.get("UID")) > 0
    assert report.find("FLAGS") is not None and report.find("INTERNALDATE").get("localTime")
    assert len(report.findall("E-From")) == 1


def test_c3_c4_c5_c6_rows(client):
    client.call(OPEN)
    client.call('<messageMark id="m" folder="INBOX-MM-1" flags="Seen"><UID>1</UID></messageMark>')
    rows, _ = client.call('<folderBrowse id="b" folder="INBOX-MM-1"><index from="0" till="100000"/></folderBrowse>')
    rows = [r for r in rows if r.get("id")]
    assert len(rows) >= 3 and all(list(r)[0].tag == "FLAGS" and "mode" not in r.attrib for r in rows)
    assert list(read(client, 1, "INBOX-MM-1"))[0].tag == "EMail"


def test_c7_uid_ranges(client):
    (init,), _ = client.call('<folderOpen id="o" folder="u" mailbox="INBOX" sortField="UID"><field>UID</field></folderOpen>')
    assert int(init.get("UIDNext")) > 3 and int(init.get("UIDValidity")) > 0
    rows, _ = client.call('<folderBrowse id="b" folder="u"><UID from="2" till="3"/></folderBrowse>')
    assert [r.get("UID") for r in rows] == [r.findtext("UID") for r in rows] == ["2", "3"]


def test_c8_c9_spelling(client):
    client.call('<folderopen id="o" Folder="x" MAILBOX="inbox"><field> FROM </field><field>SIZE</field><field>flags</field></folderopen>')
    rows, _ = client.call('<folderBrowse id="b" folder="x"><uid>1</uid></folderBrowse>')
    assert [e.tag for e in rows[0]] == ["FROM", "SIZE", "flags"]
    assert int(rows[0].findtext("SIZE")) > 50 and rows[0].findtext("FROM") == "Sender 0"
    client.call('<folderRead id="r" folder="x" uid="1"/>')
    boxes, _ = client.call('<mailBoxList id="l" filter="%"/>')
    assert "INBOX" in [b.get("mailbox") for b in boxes]


def test_c10_c16_error_texts(client):
    client.call(OPEN)
    assert client.fail(OPEN) == (568, "folder has already been opened")
    assert len(browse(client, "INBOX-MM-1")) >= 3  # the old one stays usable
    assert client.fail('<folderBrowse id="b" folder="gone"/>') == (569, "folder has not been opened")


def test_c11_c12_tolerance(client):
    client.call('<folderOpen id="o" folder="i" mailbox="INBOX" sortOrder="asc"><field>FLAGS</field></folderOpen>')
    (whole,), _ = client.call('<folderRead id="r" folder="i" UID="1" totalSizeLimit="-1"/>')
    assert whole.find("EMail/MIME").text == "body 0\n"


def test_c13_c14_attachments(box, client):
    box.deliver('From: "Ann Lee" <ann@example.org>\r\nSubject: c13\r\nContent-Type: multipart/mixed; boundary="x"\r\n\r\n--x\r\n'
                'Content-Type: text/plain\r\n\r\nhi\r\n--x\r\nContent-Type: image/png; name="a b.png"\r\nContent-Disposition: '
                'attachment; filename="a b.png"\r\nContent-Transfer-Encoding: base64\r\n\r\nAAAA\r\n--x--\r\n')
    init = open_folder(client, "c13", "INBOX", more='filterField="Subject" filter="c13"')
    assert init.get("messages") == "1"
    (row,) = browse(client, "c13")
    mail = read(client, row.get("UID"), "c13").find("EMail")
    sender = mail.find("From")
    assert (sender.get("realName"), sender.text) == ("Ann Lee", "ann@example.org")
    part = mail.findall("MIME/MIME")[1]
    assert (part.get("disposition"), part.get("Disposition-filename"), part.get("Type-name")) == ("attachment", "a b.png", "a b.png")
    assert [p.get("type") + "/" + p.get("subtype") for p in mail.iter("MIME")] == ["multipart/mixed", "text/plain", "image/png"]


def test_c17_c18_remove_and_mark_expunge_close(box, client):
    for subject in ("c17", "c18"):
        box.deliver(message(0, subject))
    open_folder(client, "c", "INBOX", more='sortField="UID"')
    rows = {r.findtext("Subject"): r.get("UID") for r in browse(client, "c")}
    client.send_bytes(('<messageRemove id="1" folder="c"><UID>%s</UID></messageRemove>\0<messageMark id="2" folder="c" flags="Deleted">'
                       '<UID>%s</UID></messageMark>\0<folderExpunge id="3" folder="c"/>\0<folderClose id="4" folder="c"/>\0'
                       % (rows["c17"], rows["c18"])).encode())
    heard = []
    while not heard or heard[-1] != b'<response id="4"/>':
        heard.append(client.raw())
    assert [h for h in heard if b"response" in h] == [b'<response id="%d"/>' % i for i in range(1, 5)]
    assert set(heard) - {NOTIFY % b"c"} == {b'<response id="%d"/>' % i for i in range(1, 5)}
    open_folder(client, "c", "INBOX")
    assert not {"c17", "c18"} & {r.findtext("Subject") for r in browse(client, "c")}


def test_c19_keywords(client):
    open_folder(client, "k", "INBOX")
    client.call('<messageMark id="m" folder="k" flags="meetingCreated,taskCreated"><UID>2</UID></messageMark>')
    (row,) = browse(client, "k", "<UID>2</UID>")
    assert {"meetingCreated", "taskCreated"} <= set(row.findtext("FLAGS").split(","))
    client.call('<messageMark id="m" folder="k" flags="NotmeetingCreated"><UID>2</UID></messageMark>')
    (row,) = browse(client, "k", "<UID>2</UID>")
    assert "meetingCreated" not in row.findtext("FLAGS") and "taskCreated" in row.findtext("FLAGS")


def test_c20_missing_mailbox_is_created(client):
    assert client.fail('<folderOpen id="o" folder="x" mailbox="Nobody"/>')[0] == 561
    open_folder(client, "contacts", "MainContacts", more='mailboxClass="IPF.Contact"')
    boxes, _ = client.call('<mailboxList id="l" mailboxClass="ipf.contact"/>')
    assert [(b.get("mailbox"), b.get("Class")) for b in boxes] == [("MainContacts", "IPF.Contact")]


def test_c21_init_is_first(client):
    client.send('<folderOpen id="o" folder="i" mailbox="INBOX"><field>FLAGS</field></folderOpen>')
    first = client.recv()
    assert first.tag == "folderReport" and first.get("mode") == "init"
    assert list(first.attrib) == ["id", "folder", "mode", "messages", "unseen", "UIDNext", "UIDValidity", "rights"]
    assert client.raw() == b'<response id="o"/>'
