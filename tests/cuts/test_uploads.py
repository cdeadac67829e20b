# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The ximssd authors
"""Uploads (protocol 2, 9.2) whose reply breaks off at any byte: the file is there once; sent again it is in the same set; and the
set goes as one, with its room on the disk."""
import random

import pytest
from cutting import cut_replies, cut_reply, cuts_of, nothing_left, pipelined
from uploading import form, spool_of
from xhttp import WebServer, errors, request, xml_body
from ximss import wait_for

SIZE = 1500
FILE, LIMIT = 64 << 10, 128 << 10  # of a file and of a session, so that room that did not come back would be missed


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with WebServer(tmp_path_factory.mktemp("uploads"), http="keep_alive = 1h\nconnections_per_address = 0\nupload_file = %d\nupload_session = %d" % (FILE, LIMIT),
                   server="workers = 2\nkeepers = 1\nlog_level = problems\n") as s:
        yield s


@pytest.fixture
def session(server):
    """One that has uploaded before, so that what is opened but once is open."""
    session = server.web_session()
    for conn in server.web_on_each():
        assert conn.ask("POST", session.target("UPLOAD/first"), b"x").status == 200
        conn.close()
    assert removed(session, "first") == [None]
    with nothing_left(server):
        yield session
        assert spool_of(server)[1] == 0
        for number in range(LIMIT // FILE):
            assert server.ask("POST", session.target("UPLOAD/all"), bytes(FILE)).status == 200, number
        assert removed(session, "all") == [None]
    session.kill()


def removed(session, *names):
    """Error numbers, or None."""
    root = session.sync("".join('<uploadRemove id="u" uploadID="%s"/>' % name for name in names)).xml
    return [number for _, number in errors(root)]


def copies(spool, data):
    with open(spool, "rb") as f:
        return f.read().count(data)


HOW = {
    "raw": lambda data: (data, {"Content-Type": "image/png"}),
    "form": lambda data: form(("note", None, b"beach"), ("fileData", "beach.jpg", data)),
    "chunked": lambda data: (b"%x\r\n%s\r\n%x\r\n%s\r\n0\r\n\r\n" % (700, data[:700], len(data) - 700, data[700:]), {"Transfer-Encoding": "chunked"}),
}


@pytest.mark.parametrize("how", HOW)
def test_an_upload(server, session, how):
    """Each of its own bytes, in a set of its own. Who did not see the reply sends it again: what an operation takes, the first file of
    the set, is the same either way."""
    rng, conn, spool, sent = random.Random(4), server.web(), spool_of(server)[0], []

    def make(name=None, data=None):
        if data is None:
            name, data = "set.%d" % len(sent), rng.randbytes(SIZE)
            sent.append(data)
        body, fields = HOW[how](data)
        return request("POST", session.target("UPLOAD/" + name), body, fields, length=how != "chunked")

    (whole,) = pipelined(conn, [make("probe", b"y" * SIZE)])
    assert whole.status == 200 and whole.body == b"" and removed(session, "probe") == [None]
    for number, (k, _) in enumerate(cut_replies(server, make, cuts_of(whole))):
        assert copies(spool, sent[number]) == 1, k
        (again,) = pipelined(conn, [make("set.%d" % number, sent[number])])
        assert again.status == 200 and copies(spool, sent[number]) == 2, k
        assert removed(session, "set.%d" % number, "set.%d" % number) == [None, 578], k
        assert copies(spool, sent[number][:100]) == 0, k
    assert len(sent) == whole.head_length > 150
    conn.close()


REFUSED = {
    "413": (FILE + 1, {}, "UPLOAD/a", 413), "413 unsent": (None, {"Content-Length": 1 << 30}, "UPLOAD/a", 413),
    "400": (10, {"Content-Type": "multipart/form-data; boundary=x"}, "UPLOAD/a", 400), "404": (10, {}, "UPLOAD/a%20b", 404),
    "550": (10, {}, "../100001-%s/UPLOAD/a" % ("a" * 20), 550),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_is_refused(server, session, what):
    """Nothing of it is kept."""
    size, fields, path, status = REFUSED[what]
    target = session.target(path) if status != 550 else "/Session/" + path[3:]
    data = request("POST", target, None if size is None else bytes(size), fields)
    conn = server.web()
    (whole,) = pipelined(conn, [data])
    conn.close()
    assert whole.status == status
    shortest = whole.head_length + len(whole.body) - len("keep-alive") + len("close")  # which of them depends on what came of the body
    for k, _ in cut_replies(server, lambda: data, [k for k in cuts_of(whole) if k < shortest]):
        assert k % 16 or removed(session, "a") == [578]
    wait_for(lambda: spool_of(server)[1] == 0)


def test_the_reply_to_its_removal(server, session):
    """The batch has run once, and its stored answer says so (1, 4.6)."""
    conn, number = server.web(), 0

    def make():
        nonlocal number
        number += 1
        return request("POST", session.target("sync", reqSeq=number), xml_body('<uploadRemove id="u" uploadID="kept.%d"/>' % number))

    def fill(names):
        assert {r.status for r in pipelined(conn, [request("POST", session.target("UPLOAD/kept.%d" % n), b"abc") for n in names])} == {200}

    fill([1])
    (whole,) = pipelined(conn, [make()])
    assert errors(whole.xml) == [("u", None)]
    for k in cuts_of(whole):
        fill([number + 1])
        got = cut_reply(server, make(), k)
        (again,) = pipelined(conn, [request("POST", session.target("sync", reqSeq=number), "<XIMSS/>")])
        assert errors(again.xml) == [("u", None)] and len(got) == k
        assert removed(session, "kept.%d" % number) == [578]
    conn.close()
