# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The ximssd authors
"""What is left of the tables and examples of protocol 1, section 4: rows of 4.6 and 4.8 in which nothing, or another one, is kept of a
reply that breaks off; `100 Continue` and pipelines (4.11), of which a part has run; the example of 4.13 with each of its replies lost."""
import pytest
from boxes import Boxes, outcome
from cutting import LONG, WAYS, cut_off, cut_replies, cut_reply, cuts_of, first_bytes, login_on_each, pipelined
from turns import Turns
from uploading import form, spool_of
from xhttp import Session, WebServer, cram, errors, parameters, request, xml_body
from ximss import wait_for

DONE = b'<XIMSS><response id="1"/></XIMSS>'
EMPTY = b"<XIMSS></XIMSS>"
SHORTEST = 280  # bytes of any reply here that has a body
OUT_OF_ORDER = (500, "XIMSS request sequence error")


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with WebServer(tmp_path_factory.mktemp("rows"), tls=True, server="workers = 2\nkeepers = 1\nlog_level = problems\n",
                   http="keep_alive = 1h\nconnections_per_address = 0\nreply_kept = 64k\nupload_file = 64k\nupload_session = 64k\nupload_files = 3",
                   conf="[login]\ncram = yes\nmax_sessions_per_account = 1000\n") as s:
        login_on_each(s)
        session = s.web_session()
        for conn in s.web_on_each():  # what is opened but once
            assert conn.ask("POST", session.target("UPLOAD/a"), b"x").status == 200
            conn.close()
        session.kill()
        yield s


@pytest.fixture
def session(server, conn):
    session = Session(server, server.login(conn))
    yield session
    session.kill(conn=conn)


def some(whole):
    """Its head is that of many."""
    cuts = cuts_of(whole)
    return cuts if LONG else [*cuts[:whole.head_length:17], *cuts[whole.head_length::3]]


# --- 4.6

def sync(session, requests, **query):
    return request("POST", session.target("sync", **query), xml_body(requests))


def test_a_batch_without_a_number(server, conn, session):
    """It has run, and nothing is kept: who asks again has it run again."""
    creates = []

    def make():
        creates.append(Boxes.make("1"))
        return sync(session, creates[-1])
    (whole,) = pipelined(conn, [make()])
    assert whole.body == DONE
    creates.clear()
    for number, (k, _) in enumerate(cut_replies(server, make, some(whole))):
        assert outcome(pipelined(conn, [sync(session, creates[number])])[0]) == 562, k


@pytest.mark.parametrize("first, step", [(0, 1), (7, 1000)], ids=["next", "gap"])
def test_the_stored_reply(server, conn, session, first, step):
    """It may be lost as often as it likes; every number above is taken after that, none below."""
    number, create = first - step, None

    def ask():
        return sync(session, create, reqSeq=number)
    for k in [None, *range(0, SHORTEST, 1 if LONG else 25)]:
        number += step
        create = Boxes.make("1")
        if k is None:
            (whole,) = pipelined(conn, [ask()])
            assert whole.body == DONE
            continue
        for at in (k, k // 2, k * 3 // 4):
            assert cut_reply(server, ask(), at)[whole.head_length:] == DONE[:max(0, at - whole.head_length)]
        again, late, anew = pipelined(conn, [ask(), sync(session, create, reqSeq=number - 1), sync(session, create)])
        assert again.body == DONE and (late.status, late.text) == OUT_OF_ORDER and outcome(anew) == 562, k


def test_an_empty_batch(server, conn, session):
    data = request("POST", session.target("sync", reqSeq=1), "<XIMSS></XIMSS>")
    (whole,) = pipelined(conn, [data])
    assert whole.body == EMPTY
    assert [len(got) for _, got in cut_replies(server, lambda: data, some(whole))] == list(some(whole))
    again, new = pipelined(conn, [data, sync(session, '<noop id="1"/>', reqSeq=2)])
    assert again.body == EMPTY and new.body == DONE


def test_a_reply_that_is_too_long_to_be_kept(server, conn):
    """Who has lost it loses the session with it (550), and only then: what has run has."""
    long = "".join('<noop id="%0100d"/>' % n for n in range(600))
    for k in (0, 1, 200, 5000, 65000):
        session, create = Session(server, server.login(conn)), Boxes.make("1")
        data = sync(session, create + long, reqSeq=1)
        assert len(cut_reply(server, data, k)) == k
        lives, again, gone = pipelined(conn, [request("GET", session.target(ackSeq=0)), data, sync(session, create, reqSeq=2)])
        assert (lives.body, again.status, gone.status) == (EMPTY, 550, 550), k
        other = Session(server, server.login(conn))
        assert outcome(other.sync(create, conn=conn)) == 562
        other.kill(conn=conn)


# --- 4.8

@pytest.mark.parametrize("path", ["", "get"])
def test_a_poll_without_ack_seq(server, conn, session, path):
    """It acknowledges what was sent last, whether that has come or not; the newest batch is still there for who knows its number."""
    for seq, k in enumerate(range(0, SHORTEST, 1 if LONG else 23)):
        body = b'<XIMSS respSeq="%d"><response id="n%d"/></XIMSS>' % (seq + 1, seq)
        assert session.async_('<noop id="n%d"/>' % seq, conn=conn).status == 200
        assert session.sync("<XIMSS/>", conn=conn).body == EMPTY  # it has run
        got = cut_reply(server, request("GET", session.target(path)), k)
        assert body.startswith(got.partition(b"\r\n\r\n")[2])
        again, after, before = pipelined(conn, [request("GET", session.target(path, ackSeq=seq)), request("GET", session.target(path)),
                                                request("GET", session.target(path, ackSeq=seq))])
        assert (again.body, after.body) == (body, EMPTY) and (before.status, before.text) == OUT_OF_ORDER, k


# --- 4.11: 100 Continue, and pipelines

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
BEGUN = {
    "sync": lambda s: ("POST", s.target("sync", reqSeq=1), '<XIMSS><mailboxCreate id="1" mailbox="Not sync"/></XIMSS>', {}),
    "async": lambda s: ("POST", s.target("async", reqSeq=1), '<XIMSS><mailboxCreate id="1" mailbox="Not async"/></XIMSS>', {}),
    "login": lambda s: ("POST", "/XIMSSLogin/", parameters({"userName": "dora", "password": "correct-horse"}), FORM),
    "file": lambda s: ("POST", s.target("UPLOAD/a"), bytes(30), {}),
    "form": lambda s: ("POST", s.target("UPLOAD/a"), *form(("f", "a", b"abc"))),
}


@pytest.mark.parametrize("what", BEGUN)
def test_continue(server, conn, session, what):
    """Nothing has run, and nothing is kept, of a request whose client is gone before he sends its body."""
    method, target, body, fields = BEGUN[what](session)
    head = request(method, target, None, {**fields, "Content-Length": len(body), "Expect": "100-continue"})
    before = server.counters()["ximssSessionsTotal"]
    assert [CONTINUE.startswith(got) for _, got in cut_replies(server, lambda: head, range(len(CONTINUE)))] == [True] * len(CONTINUE)
    for k in (len(body) // 2, len(body) - 1):  # or in the middle of it
        other = server.web()
        other.send(head)
        assert first_bytes(other, len(CONTINUE)) == CONTINUE
        other.send(body[:k])
        cut_off(other, WAYS[k % 2])
        other.close()
    assert session.sync('<noop id="1"/>', 1, conn).body == DONE
    wait_for(lambda: spool_of(server)[1] == 0)
    found = session.sync('<mailboxCreate id="1" mailbox="Not %s"/><uploadRemove id="2" uploadID="a"/>' % what, 2, conn).xml
    assert errors(found) == [("1", None), ("2", 578)] and server.counters()["ximssSessionsTotal"] == before


def test_a_pipeline(server, conn, session):
    """The first of two batches has run, the second may have: asked for again it has, once. Where the lost connection's comes to the
    keeper last, who asks again is the one that is forgotten (4.6), and comes again after a 503 as clients do."""
    for number, k in enumerate(range(0, SHORTEST, 1 if LONG else 13)):
        first, second = Boxes.make("1"), Boxes.make("1")
        cut_reply(server, sync(session, first, reqSeq=2 * number) + sync(session, second, reqSeq=2 * number + 1), k)
        for _ in range(2):
            again, one, two = pipelined(conn, [sync(session, second, reqSeq=2 * number + 1), sync(session, first), sync(session, second)])
            if again.status != 503:
                break
        assert (again.body, outcome(one), outcome(two)) == (DONE, 562, 562), k


# --- uploads when there is no more room (protocol 2, 9.2), and methods that nothing has (4.1)

def test_an_upload_that_does_not_fit(server, conn, session):
    """413 by the size of all of them, or by their number: those that are there stay, and when one goes there is room for one."""
    for size in (30000, 10):
        while (reply := conn.ask("POST", session.target("UPLOAD/kept"), bytes(size))).status == 200:
            pass
        assert reply.status == 413 and reply.stays
        data, held = request("POST", session.target("UPLOAD/other"), bytes(size)), spool_of(server)[1]
        assert held > 0
        for k, got in cut_replies(server, lambda d=data: d, some(reply)):
            assert len(got) == k
        assert spool_of(server)[1] == held
        gone = '<uploadRemove id="1" uploadID="kept"/><uploadRemove id="2" uploadID="other"/>'
        assert errors(session.sync(gone, conn=conn).xml) == [("1", None), ("2", 578)] and spool_of(server)[1] == 0
        assert pipelined(conn, [data])[0].status == 200
        assert errors(session.sync(gone, conn=conn).xml) == [("1", 578), ("2", None)]


@pytest.mark.parametrize("method, path", [("GET", "UPLOAD/a"), ("POST", "MIME/F/1-P.txt"), ("DELETE", "FORMAT/x/F/1"), ("PUT", "")])
def test_no_such_method(server, conn, session, method, path):
    data = request(method, session.target(path))
    (whole,) = pipelined(conn, [data])
    assert whole.status == 405
    for k, got in cut_replies(server, lambda: data, some(whole)[::1 if LONG else 4]):
        assert len(got) == k
    assert session.sync('<noop id="1"/>', 1, conn).body == DONE


# --- 4.13

@pytest.mark.parametrize("tls", [False, True], ids=["clear", "tls"])
def test_the_example_with_each_reply_lost(server, tls):
    """After k bytes, each of those after the login; its request comes again at the other worker. 4.13 line by line (tests/binding has
    it without these losses); what async has answered may come in more than one batch."""
    client = Turns(server, tls)

    def lose(k, data, conn=None):
        conn = conn or client.new()
        if data:
            conn.send(data)
        got = first_bytes(conn, k)
        cut_off(conn, WAYS[k % 2])
        conn.close()
        return got.partition(b"\r\n\r\n")[2]

    for k in range(int(tls), 220, 1 if LONG else 79 if tls else 31):  # over TLS the first byte is there when it is read
        root = client.ask("POST", "/XIMSSLogin/?errorAsXML=1", '<XIMSS><listFeatures id="list" /></XIMSS>').xml                 # 1
        nonce = root[0].findtext("nonce")
        session = Session(server, client.ask("GET", "/XIMSSLogin/?" + parameters(
            {"errorAsXML": 1, "EnableUseCookie": 1, "version": "6.2", "userName": "dora@harbor.example", "nonce": nonce,
             "authData": cram(nonce, padding=False)})))                                                                          # 2
        poll = session.waiting_poll(0, 20, client.new(), random=1)                                                               # 3
        lose(k, request("POST", session.target("async", reqSeq=1, random=1), xml_body('<readTime id="1"/><noop id="2"/>')))      # 4
        reply = session.async_('<readTime id="1"/><noop id="2"/>', 1, client, random=1)
        assert reply.status == 200 and reply.body == b""
        lost = lose(k, None, poll)                                                                                               # 3'
        session.fields = {"Cookie": "CGateProWebUser=" + reply.cookie}
        again = session.poll(0, 20, client.new(), random=2)                                                                      # 5
        assert again.body.startswith(lost) and again.xml.get("respSeq") == "1"
        got, seq = list(again.xml), 1
        while len(got) < 3:
            more = session.poll(seq, 20, client.new()).xml
            seq += 1
            got += more
        assert [(e.tag, e.get("id")) for e in got] == [("currentTime", "1"), ("response", "1"), ("response", "2")], k
        poll = session.waiting_poll(seq, 20, client.new(), random=3)                                                             # 6
        lose(k, request("POST", session.target("async", reqSeq=2, random=2), xml_body('<fryEggs id="3"/>'), session.fields))  # 7
        assert session.async_('<fryEggs id="3"/>', 2, client, random=3).body == b""                                              # 8
        lost = lose(k, None, poll)                                                                                               # 6'
        one = b'<XIMSS respSeq="%d"><response id="3" errorText="unknown command" errorNum="500"/></XIMSS>' % (seq + 1)
        again = session.poll(seq, 20, client.new())
        assert again.body == one and one.startswith(lost) and session.poll(seq + 1, conn=client.new()).body == EMPTY, k
        lose(k, request("POST", session.target("sync", reqSeq=3, syncAsync=1, random=4), xml_body('<bye id="4"/>'), session.fields))  # 9
        assert session.poll(seq + 1, 20, client.new()).status == 550                                                             # 10
        last = session.sync('<bye id="4"/>', 3, client, syncAsync=1, random=5)                                                   # 11
        assert last.body == b'<XIMSS><response id="4"/></XIMSS>' and session.sync('<bye id="4"/>', 4, client, syncAsync=1).status == 550, k
    client.close()
