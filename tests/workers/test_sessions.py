# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The ximssd authors
"""What a session has over HTTP, asked for at another worker with every request, clear and TLS: each URL of protocol 1, 4.1; downloads,
pages and uploads (protocol 2, 9) in one while something happens in the other; and connections that are passed to XIMSS (1, 4.12)."""
import base64
import random

import pytest
from shmread import doing
from uploading import form, spool_of
from xhttp import Lost, Session, WebServer, errors, request, xml_body
from ximss import wait_for

NOOP = '<noop id="1"/>'
DONE = b'<XIMSS><response id="1"/></XIMSS>'
EMPTY = b"<XIMSS></XIMSS>"
BINARY = random.Random(1).randbytes(90000)  # more than a stored piece
LARGE = random.Random(2).randbytes(6 << 20)  # more than the buffers on its way hold
OPEN = '<folderOpen id="o" folder="in box/1" mailbox="INBOX" sortField="UID"><field>FLAGS</field></folderOpen>'
MIME, PAGE = "MIME/in%20box%2F1/", "FORMAT/Samoware/in%20box%2F1/"


def mail(subject, data):
    text = base64.b64encode(data)
    lines = b"".join(text[i:i + 76] + b"\r\n" for i in range(0, len(text), 76))
    return b"Subject: %s\r\nContent-Type: image/png\r\nContent-Transfer-Encoding: base64\r\n\r\n" % subject + lines


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with WebServer(tmp_path_factory.mktemp("sessions"), tls=True, server="workers = 2\nkeepers = 1\nlog_level = problems\n",
                   conf="[login]\nmax_sessions_per_account = 1000\n") as s:
        for message in (mail(b"binary", BINARY), mail(b"large", LARGE), b"Subject: <b>text</b>\r\n\r\nOne < two & three\r\n"):
            s.deliver(message)
        yield s


@pytest.fixture
def session(server, turns):
    """Logged in and with an open folder, in turns."""
    session = Session(server, server.login(turns), turns.tls)
    assert errors(session.sync(OPEN, conn=turns).xml) == [("o", None)]
    yield session
    session.kill(conn=turns)


def get(turns, session, what, method="GET", **fields):
    return turns.ask(method, session.target(what), None, fields)


def removed(turns, session, name):
    """The error, or None."""
    return errors(session.sync('<uploadRemove id="u" uploadID="%s"/>' % name, conn=turns).xml)[0][1]


# --- the binding

def test_every_url_of_4_1(turns, session):
    """Twice each, so at both; then KILL at one, and all of them are 550 at both."""
    rows = (("POST", "sync?random=1", xml_body(NOOP), 200), ("GET", "sync", xml_body(NOOP), 200), ("POST", "async?random=1", xml_body(NOOP), 200),
            ("GET", "async", xml_body(NOOP), 200), ("GET", "?ackSeq=0&random=1", None, 200), ("GET", "get?ackSeq=0", None, 200),
            ("POST", "UPLOAD/4711", b"x", 200), ("GET", MIME + "3-P.txt", None, 200), ("HEAD", MIME + "3-B/x", None, 200), ("GET", PAGE + "3", None, 200),
            ("GET", "fry", None, 404), ("PUT", "sync", None, 405), ("OPTIONS", "sync", None, 204))
    for method, what, body, status in rows:
        assert [turns.ask(method, session.base + what, body).status for _ in range(2)] == [status] * 2, (method, what)
    assert [turns.ask("GET", "/sys/sessionadmin.wcgp").status for _ in range(2)] == [404] * 2
    assert turns.ask("POST", session.target("KILL"), "beacon").status == 200
    for method, what, body, status in (*rows, ("POST", "KILL", None, 0), ("GET", "KILL", None, 0)):
        if status not in (204, 404, 405):
            assert [turns.ask(method, session.base + what, body).status for _ in range(2)] == [550] * 2, (method, what)


def test_the_example_of_4_5(turns, session):
    batch = '<prefsRead id="1"><name>Language</name></prefsRead><noop id="2"/>'
    for number in (1, 2):
        for _ in range(2):  # run, and from the store
            reply = session.sync(batch, number, turns, random=1)
            assert reply.body == b'<XIMSS><prefs id="1"><Language>english</Language></prefs><response id="1"/><response id="2"/></XIMSS>'


def test_sync_async_in_the_one_what_async_in_the_other_left(turns, session):
    for number in range(1, 9, 2):
        assert session.async_('<noop id="a"/>', number, turns).status == 200
        reply = session.sync('<noop id="b"/>', number + 1, turns, syncAsync=1)
        assert reply.body == b'<XIMSS><response id="a"/><response id="b"/></XIMSS>'
        assert session.sync('<noop id="b"/>', number + 1, turns, syncAsync=1).body == reply.body
    bye = session.sync('<bye id="b"/>', 9, turns, syncAsync=1)
    assert bye.body == b'<XIMSS><response id="b"/></XIMSS>'
    assert [session.sync('<bye id="b"/>', 9, turns, syncAsync=1).body for _ in range(2)] == [bye.body] * 2
    assert [session.sync(NOOP, 10, turns).status for _ in range(2)] == [550] * 2


def test_kill_in_the_one_while_a_batch_runs_in_the_other(server, turns, session):
    session.sync("".join('<mailboxCreate id="%d" mailbox="Box %d"/>' % (i, i) for i in range(30)), conn=turns)
    slow = turns.new()
    slow.send(request("POST", session.target("sync", reqSeq=1), xml_body("".join('<mailboxList id="%d" filter="*"/>' % i for i in range(8000)))))
    wait_for(lambda: doing(server, session.url_id) == "listing mailboxes", pause=0.001)
    assert session.kill(conn=turns).status == 200
    assert [session.sync(NOOP, 2, turns).status for _ in range(2)] == [550] * 2
    assert slow.reply().status == 550
    wait_for(lambda: server.row(id=int(session.url_id[:6])) is None)


def test_kill_in_the_one_while_a_poll_waits_in_the_other(turns, session):
    poll = session.waiting_poll(0, 20, turns.new())
    assert session.kill("GET", conn=turns).status == 200
    assert poll.reply().body == EMPTY
    assert [session.poll(0, 20, turns.new()).status for _ in range(2)] == [550] * 2


# --- downloads and pages

def test_halves_of_a_download(turns, session):
    """One from each worker; so with every other cut, the head, and the whole."""
    rng, n = random.Random(3), len(BINARY)
    for a in [n // 2, 1, n - 1, *rng.sample(range(n), 10)]:
        one, other = get(turns, session, MIME + "1-B/x", Range="bytes=0-%d" % (a - 1)), get(turns, session, MIME + "1-B/x", Range="bytes=%d-" % a)
        assert (one.status, other.status, one.body + other.body == BINARY) == (206, 206, True), a
    for what in (MIME + "1-B/x", MIME + "1-P.txt", MIME + "3-P.txt", PAGE + "3", MIME + "9-B/x", PAGE + "9"):
        replies = [get(turns, session, what, method) for method in ("GET", "GET", "HEAD", "HEAD")]
        assert len({str([f for f in r.fields if f[0] != "date"]) for r in replies}) == 1 == len({r.status for r in replies})
        assert replies[0].body == replies[1].body and replies[0].body


def test_a_folder_that_is_closed_in_the_other(turns, session):
    for _ in range(3):
        assert [get(turns, session, what).status for what in (MIME + "3-P.txt", PAGE + "3")] == [200, 200]
        assert errors(session.sync('<folderClose id="c" folder="in box/1"/>', conn=turns).xml) == [("c", None)]
        assert [get(turns, session, what).status for what in (MIME + "3-P.txt", PAGE + "3")] == [404, 404]
        assert errors(session.sync(OPEN, conn=turns).xml) == [("o", None)]


def begin(turns, session, what=MIME + "2-B/x"):
    """A download of the large one of which only the head is taken so far."""
    conn = turns.new()
    conn.send(request("GET", session.target(what)))
    status, _, fields = conn.head()
    assert status == 200 and dict(fields)["content-length"] == str(len(LARGE))
    return conn


def rest(conn, most):
    """What comes of a body until it is all there or the connection ends."""
    pieces, n = [conn.buffer], len(conn.buffer)
    try:
        while n < most and (piece := conn.sock.recv(1 << 18)):
            pieces.append(piece)
            n += len(piece)
    except OSError:  # an end without close_notify too
        pass
    return b"".join(pieces)


def test_a_download_in_the_one_while_the_other_uploads(server, turns, session):
    """Both come to their end, and so do requests meanwhile, at both."""
    conn = begin(turns, session)
    data = random.Random(4).randbytes(200000)
    for n in range(2):
        assert turns.ask("POST", session.target("UPLOAD/set"), *form(("f", "n%d" % n, data))).status == 200
        assert session.sync(NOOP, conn=turns).body == DONE
    assert rest(conn, len(LARGE)) == LARGE
    assert get(turns, session, MIME + "1-B/x").body == BINARY
    assert removed(turns, session, "set") is None and removed(turns, session, "set") == 578
    assert spool_of(server)[1] == 0
    conn.close()


@pytest.mark.parametrize("how", ["killed", "removed"])
def test_a_download_in_the_one_that_ends_in_the_other(server, turns, session, how):
    """It breaks off, and is never passed off as whole; then it is 550, or 404, at both."""
    server.deliver(mail(b"short lived", LARGE))
    (uid,) = [e.get("UID") for e in session.sync('<folderSync id="s" folder="in box/1" limit="9"/>', conn=turns).xml
              if e.tag == "folderReport" and e.get("mode") == "added"]
    what = MIME + uid + "-B/x"
    conn = begin(turns, session, what)
    if how == "killed":
        assert session.kill(conn=turns).status == 200
        status = 550
    else:
        gone = '<messageRemove id="r" folder="in box/1" mode="Immediately"><UID>%s</UID></messageRemove>' % uid
        assert errors(session.sync(gone, conn=turns).xml) == [("r", None)]
        status = 404
    assert len(rest(conn, len(LARGE) + 1)) < len(LARGE)
    conn.close()
    assert [get(turns, session, w).status for w in (what, what, PAGE + uid, PAGE + uid)] == [status] * 4


# --- uploads

def test_a_set_that_both_fill(server, turns, session):
    """9.2: one set, whoever brought its files; it goes as one."""
    spool, rng = spool_of_after(server, turns, session), random.Random(5)
    files = [rng.randbytes(2000) for _ in range(6)]
    for n, data in enumerate(files):
        sent = form(("f", "n", data)) if n % 3 else (data, {"Content-Type": "application/x-raw"})
        assert turns.ask("POST", session.target("UPLOAD/both"), *sent).status == 200
    with open(spool, "rb") as f:
        kept = f.read()
    assert [kept.count(data) for data in files] == [1] * 6
    assert [removed(turns, session, "both") for _ in range(3)] == [None, 578, 578]
    assert spool_of(server)[1] == 0


def spool_of_after(server, turns, session):
    """It is there from the first upload on."""
    assert turns.ask("POST", session.target("UPLOAD/first"), b"x").status == 200
    assert removed(turns, session, "first") is None
    return spool_of(server)[0]


def test_an_upload_in_the_one_that_the_other_kills(server, turns, session):
    """550 for who uploads, and nothing of it is left."""
    spool_of_after(server, turns, session)
    conn = turns.new()
    conn.send(request("POST", session.target("UPLOAD/cut"), bytes(100000), {"Content-Length": 200000}, length=False))
    wait_for(lambda: spool_of(server)[1] > 0)
    assert session.kill(conn=turns).status == 200
    assert conn.reply().status == 550
    wait_for(lambda: spool_of(server)[1] == 0)
    assert [turns.ask("POST", session.target("UPLOAD/a"), b"x").status for _ in range(2)] == [550] * 2


# --- XIMSS behind a first byte `<`

def test_connections_that_either_passes_on(server, turns):
    """4.12: a mailbox that one makes the other has; a session over HTTP of the account is none of theirs."""
    passed = [turns.new() for _ in range(2)]
    for n, conn in enumerate(passed):
        conn.send(b'<login id="L" authData="dora" password="correct-horse"/>\0<mailboxCreate id="1" mailbox="P %s %d"/>\0<noop id="2"/>\0'
                  % (b"tls" if turns.tls else b"clear", n))
        assert until(conn, b'<response id="2"/>\0').count(b"errorNum") == 0
    web = Session(server, server.login(turns), turns.tls)
    for n, conn in enumerate(passed):
        root = web.sync('<mailboxCreate id="1" mailbox="P %s %d"/>' % ("tls" if turns.tls else "clear", n), conn=turns).xml
        assert errors(root) == [("1", 562)]
        conn.send(b'<bye id="3"/>\0')
        assert until(conn, b'<response id="3"/>\0') == b'<response id="3"/>\0' and conn.closed()
    assert web.kill(conn=turns).status == 200


def until(conn, end):
    data = b""
    while not data.endswith(end):
        piece = conn.sock.recv(65536)
        if not piece:
            raise Lost(data)
        data += piece
    return data
