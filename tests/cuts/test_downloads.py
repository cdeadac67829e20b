# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The ximssd authors
"""Downloads (protocol 2, 9.1 and 9.3) that break off at any byte: asked for again they are the same bytes, and a part goes on where
it broke off (Range). What they are to be is for tests/http to say; here it is what was delivered, or what comes when nothing is cut."""
import base64
import random

import pytest
from cutting import Standing, cut_replies, cut_reply, cuts_of, nothing_left, pipelined
from xhttp import WebServer, request
from ximss import wait_for

BINARY = random.Random(1).randbytes(3000)
LARGE = random.Random(2).randbytes(3 << 20)  # more than the buffers on its way hold
OPEN = '<folderOpen id="o" folder="in box/1" mailbox="INBOX" sortField="UID"><field>FLAGS</field></folderOpen>'
MIME, PAGE = "MIME/in%20box%2F1/", "FORMAT/Samoware/in%20box%2F1/"


def b64(data):
    text = base64.b64encode(data)
    return b"".join(text[i:i + 76] + b"\r\n" for i in range(0, len(text), 76))


MESSAGE = b"\r\n".join([
    b"From: Ann <ann@example.org>", b"To: dora@harbor.example", b"Subject: <b>Tea</b> & cake", b"MIME-Version: 1.0",
    b"Content-Type: multipart/related; boundary=cut", b"", b"--cut", b"Content-Type: text/html; charset=utf-8", b"",
    b"<p>Come at <b>four</b>" + b" or five" * 80 + b"<img src='cid:pic@a'></p>", b"--cut", b"Content-Type: image/png", b"Content-ID: <pic@a>",
    b"Content-Disposition: inline; filename=pic.png", b"Content-Transfer-Encoding: base64", b"", b64(BINARY) + b"--cut--", b""])
PLAIN = b"Subject: plain\r\n\r\n" + b"".join(b"One < two & three, %d\r\n" % i for i in range(40))


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with WebServer(tmp_path_factory.mktemp("downloads"), http="keep_alive = 1h\nconnections_per_address = 0",
                   server="workers = 2\nlog_level = problems\n") as s:
        for mail in (MESSAGE, PLAIN, b"Subject: large\r\nContent-Type: x/y\r\nContent-Transfer-Encoding: base64\r\n\r\n" + b64(LARGE)):
            s.deliver(mail)
        yield s


@pytest.fixture(scope="module")
def session(server):
    """One that has seen everything once, so that what is opened but once is open."""
    session = server.web_session()
    assert session.call(OPEN)[0].get("messages") == "3"
    for what in (MIME + "1-P.txt", MIME + "3-B/x", PAGE + "1"):
        for conn in server.web_on_each():
            assert conn.ask("GET", session.target(what)).status == 200
            conn.close()
    wait_for(lambda: server.counters()["httpUserActive"] == 0)
    return session


@pytest.fixture(scope="module")
def standing(server, session):
    return Standing(server)


WHAT = {  # what, fields, status, and the body where it is what was delivered
    "source": (MIME + "1-P.txt", {}, 200, b"Return-Path: <ann@example.org>\r\n" + MESSAGE),
    "part": (MIME + "1-02-B/pic.png", {}, 200, BINARY),
    "body": (MIME + "2-B/x", {}, 200, PLAIN.partition(b"\r\n\r\n")[2]),
    "range": (MIME + "1-02-B/pic.png", {"Range": "bytes=100-2100"}, 206, BINARY[100:2101]),
    "source of a part": (MIME + "1-02-P.txt", {}, 200, None),
    "page": (PAGE + "1", {}, 200, None),
    "no message": (MIME + "9-P.txt", {}, 404, None),
    "no photo": (MIME + "1-V/PHOTO", {}, 404, None),
    "no page": (PAGE + "9", {}, 404, None),
    "no range": (MIME + "1-02-B/x", {"Range": "bytes=3000-"}, 416, None),
}


def seen(reply):
    """Status and fields, but for the time."""
    return reply.status, [f for f in reply.fields if f[0] != "date"]


@pytest.mark.parametrize("name", WHAT)
def test_get(server, session, standing, name):
    """Each k: what came is the beginning of what comes when it is asked for again; a part is completed from there."""
    what, fields, status, body = WHAT[name]
    first, last = (100, 2100) if status == 206 else (0, len(body or "") - 1)
    with nothing_left(server, standing):
        conn, data = server.web(), request("GET", session.target(what), fields=fields)
        (whole,) = pipelined(conn, [data])
        assert whole.status == status and (whole.body == body if body else whole.body)
        resumed = 0
        for k, got in cut_replies(server, lambda: data, cuts_of(whole)):
            (again,) = pipelined(conn, [data])
            assert seen(again) == seen(whole) and again.body == whole.body, k
            part = got[whole.head_length:]
            assert whole.body.startswith(part), k
            if "-B/" in what and body and part:
                missing = {"Range": "bytes=%d-%d" % (first + len(part), last)}
                (rest,) = pipelined(conn, [request("GET", session.target(what), fields=missing)])
                assert rest.status == 206 and part + rest.body == body, k
                resumed += 1
        assert resumed >= 64 or not body or "-B/" not in what
        conn.close()


@pytest.mark.parametrize("name", ["part", "range", "page", "no message"])
def test_head(server, session, standing, name):
    """The head of GET, whole again; and what follows on a connection is not taken for its body."""
    what = session.target(WHAT[name][0])
    with nothing_left(server, standing):
        conn, data = server.web(), request("HEAD", what, fields=WHAT[name][1])
        (whole,) = pipelined(conn, [data], heads=True)
        assert whole.body == b""
        for k, got in cut_replies(server, lambda: data, cuts_of(whole)):
            (again,) = pipelined(conn, [data], heads=True)
            assert seen(again) == seen(whole) and len(got) == k
        (get,) = pipelined(conn, [request("GET", what)])
        assert seen(get) == seen(whole) and get.body
        conn.close()


def test_a_large_one(server, session, standing):
    """Most of it is still to be sent when it breaks off; it goes on from there, over another break, until it is whole."""
    what, rng = session.target(MIME + "3-B/x"), random.Random(3)
    with nothing_left(server, standing):
        conn = server.web()
        (head,) = pipelined(conn, [request("HEAD", what)], heads=True)
        assert head.field("content-length") == str(len(LARGE))
        cuts = [head.head_length + rng.choice((1, rng.randrange(1000), rng.randrange(len(LARGE)))) for _ in range(12)]
        for k, got in cut_replies(server, lambda: request("GET", what), cuts):
            have = got[head.head_length:]
            data = request("GET", what, fields={"Range": "bytes=%d-" % len(have)})
            have += cut_reply(server, data, rng.randrange(2000, 100000)).partition(b"\r\n\r\n")[2]
            (rest,) = pipelined(conn, [request("GET", what, fields={"Range": "bytes=%d-" % len(have)})])
            assert rest.status == 206 and have + rest.body == LARGE, k
        conn.close()


def test_nothing_is_seen_by_that(server, session):
    """The session serves, its folder is open, and none of its messages is marked."""
    rows = session.call('<folderBrowse id="b" folder="in box/1"><index from="0" till="9"/></folderBrowse>')
    assert [e.get("UID") for e in rows if e.tag == "folderReport"] == ["1", "2", "3"]
    assert all("Seen" not in (e.findtext("FLAGS") or "") for e in rows)
