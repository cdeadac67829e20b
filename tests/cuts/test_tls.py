# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The ximssd authors
"""Replies over TLS that break off: a login, a download, an upload and KILL leave what they leave over a clear link."""
import random

import pytest
from cutting import LONG, cut_replies, cuts_of, nothing_left, pipelined
from uploading import spool_of
from xhttp import Session, WebServer, errors, parameters, request, xml_body

DORA = {"userName": "dora", "password": "correct-horse"}
TEXT = random.Random(1).randbytes(4000).hex().encode() + b"\r\n"


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with WebServer(tmp_path_factory.mktemp("tls"), http="keep_alive = 1h\nconnections_per_address = 0\nsession_idle = 10m", tls=True, clock=True,
                   server="workers = 2\nkeepers = 1\nlog_level = problems\n", conf="[login]\nmax_sessions_per_account = 5000\n") as s:
        s.deliver(b"Subject: long\r\n\r\n" + TEXT)
        for conn in s.web_on_each(tls=True):
            session = Session(s, s.login(conn))
            assert conn.ask("POST", session.target("UPLOAD/a"), b"x").status == 200
            session.kill(conn=conn)
            conn.close()
        yield s


@pytest.fixture
def conn(server):
    with nothing_left(server):
        c = server.web(tls=True)
        yield c
        c.close()


def some(reply):
    """Every place costs a handshake; what is read is at least the first byte."""
    cuts = cuts_of(reply)[1:]
    return cuts if LONG else cuts[::9]


def test_a_login(server, conn):
    data = request("GET", "/XIMSSLogin/?" + parameters(DORA))
    (whole,) = pipelined(conn, [data])
    assert Session(server, whole).kill(conn=conn).status == 200
    cuts = some(whole)
    assert [len(got) for _, got in cut_replies(server, lambda: data, cuts, tls=True)] == list(cuts)
    assert server.counters()["ximssHTTPSessionsActive"] == len(cuts)
    server.advance(601)  # they are idle


def test_a_download(server, conn):
    session = Session(server, server.login(conn))
    session.sync('<folderOpen id="o" folder="F" mailbox="INBOX"><field>FLAGS</field></folderOpen>', conn=conn)
    data = request("GET", session.target("MIME/F/1-B/x"))
    (whole,) = pipelined(conn, [data])
    assert whole.body == TEXT
    for k, got in cut_replies(server, lambda: data, some(whole), tls=True):
        have = got[whole.head_length:]
        (rest,) = pipelined(conn, [request("GET", session.target("MIME/F/1-B/x"), fields={"Range": "bytes=%d-" % len(have)})])
        assert rest.status == 206 and have + rest.body == TEXT, k
    session.kill(conn=conn)


def test_an_upload(server, conn):
    session = Session(server, server.login(conn))
    data = request("POST", session.target("UPLOAD/set"), TEXT[:300])
    (whole,) = pipelined(conn, [data])
    cuts = some(whole)
    for n, _ in enumerate(cut_replies(server, lambda: data, cuts, tls=True)):
        if n % 8 == 7 or n == len(cuts) - 1:  # there are limits to a set
            root = session.sync('<uploadRemove id="1" uploadID="set"/><uploadRemove id="2" uploadID="set"/>', conn=conn).xml
            assert errors(root)[1] == ("2", 578)
    assert spool_of(server)[1] == 0
    session.kill(conn=conn)


def test_kill(server, conn):
    sessions = []

    def make():
        sessions.append(Session(server, server.login(conn)))
        return request("POST", sessions[-1].target("KILL"))
    (whole,) = pipelined(conn, [make()])
    assert whole.status == 200
    for k, _ in cut_replies(server, make, some(whole), tls=True):
        assert k > 0
    gone = pipelined(conn, [request("POST", s.target("sync"), xml_body("")) for s in sessions])
    assert {r.status for r in gone} == {550}
