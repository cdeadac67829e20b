# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The ximssd authors
"""`async` (protocol 1, 4.7), the worked example of 4.13, and KILL (4.9)."""
import pytest
from shmread import doing
from turns import Turns
from xhttp import Session, WebServer, cram, errors, parameters, request, tags, xml_body
from ximss import wait_for

EMPTY = b"<XIMSS></XIMSS>"


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with WebServer(tmp_path_factory.mktemp("async"), tls=True, server="workers = 2\n",
                   conf="[login]\nmax_sessions_per_account = 1000\ncram = yes\n") as s:
        yield s


@pytest.fixture
def session(server):
    return server.web_session()


def is_taken(reply):
    """200 and empty, without Content-Type, always (4.7)."""
    assert reply.status == 200 and reply.body == b"" and reply.field("content-length") == "0" and reply.field("content-type") is None
    return reply.stays


def test_answers_come_with_the_poll(session):
    assert is_taken(session.async_('<noop id="1"/><readTime id="2"/>', seq=1))
    assert is_taken(session.async_('<fryEggs id="3"/>', seq=2))
    got = []
    while len(got) < 4:
        got += session.drain()
    assert [(e.tag, e.get("id")) for e in got] == [("response", "1"), ("currentTime", "2"), ("response", "2"), ("response", "3")]
    assert got[3].get("errorNum") == "500"


def test_a_poll_that_waits_gets_them(session):
    poll = session.waiting_poll(0)
    assert is_taken(session.async_('<noop id="1"/>', seq=1))
    assert poll.reply().body == b'<XIMSS respSeq="1"><response id="1"/></XIMSS>'


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("word", ["async", "ASYNC", "aSync"])
def test_the_body_decides(server, session, method, word):
    assert is_taken(server.ask(method, session.target(word, reqSeq=1), xml_body('<noop id="1"/>')))
    assert session.poll(0, 20).body == b'<XIMSS respSeq="1"><response id="1"/></XIMSS>'


def test_an_empty_batch(session):
    assert is_taken(session.async_("<XIMSS></XIMSS>", seq=1))
    assert session.poll(0).body == EMPTY


def test_400_does_not_use_up_the_number(session):
    for body in ("<XIMSS>", "<XIMS/>"):
        assert session.post("async", "<XIMSS" if body == "<XIMSS>" else "<XIMSSX/>", reqSeq=1).status == 400
    assert is_taken(session.async_('<noop id="1"/>', seq=1))


def test_repeats_run_once(server, session):
    """Through both workers."""
    conns = server.web_on_each()
    for number in range(1, 12):
        create = '<mailboxCreate id="%d" mailbox="A %d"/>' % (number, number)
        for i in range(3):
            assert is_taken(session.async_(create, number, conns[(number + i) % 2]))
    got = []
    while len(got) < 11:
        got += session.drain()
    assert [(e.get("id"), e.get("errorNum")) for e in got] == [(str(n), None) for n in range(1, 12)]
    assert session.poll(session.ack).body == EMPTY


def test_the_reply_is_cut_at_every_byte(server, session):
    """Each batch is asked for until its empty reply is there; it has run once, and its one response waits for the poll."""
    number, whole = 0, None
    while whole is None or number < whole:
        number += 1
        body = xml_body('<mailboxCreate id="%d" mailbox="Cut %d"/>' % (number, number))
        conn = server.web()
        conn.send(request("POST", session.target("async", reqSeq=number), body))
        got = b""
        while len(got) < number - 1 and (piece := conn.sock.recv(number - 1 - len(got))):
            got += piece
        assert len(got) == number - 1
        conn.cut()
        conn = server.web()
        conn.send(request("POST", session.target("async", reqSeq=number), body, {"Connection": "close"}))
        data = b""
        while piece := conn.sock.recv(65536):
            data += piece
        assert data.startswith(b"HTTP/1.1 200 ") and data.endswith(b"\r\n\r\n")
        whole = len(data)
    got = []
    while len(got) < number:
        got += session.drain()
    assert [(e.get("id"), e.get("errorNum")) for e in got] == [(str(n), None) for n in range(1, number + 1)]
    assert session.poll(session.ack).body == EMPTY


def test_500(session):
    session.async_("<XIMSS/>", seq=5)
    for number in (4, 0, "x", "-5"):
        reply = session.async_('<noop id="1"/>', seq=number)
        assert (reply.status, reply.text) == (500, "XIMSS request sequence error")
    assert session.poll(0).body == EMPTY


def test_order_of_sync_behind_async(session):
    """Batches run in the order of their arrival, so what sync answers is later than what async did."""
    session.async_("".join('<mailboxCreate id="%d" mailbox="Order %d"/>' % (i, i) for i in range(50)), seq=1)
    root = session.sync('<mailboxCreate id="x" mailbox="Order 49"/>', seq=2).xml
    assert errors(root) == [("x", 562)]
    got = []
    while len(got) < 50:
        got += session.drain()
    assert [e.get("id") for e in got] == [str(i) for i in range(50)]


def test_sync_async_means_nothing_here(session):
    assert is_taken(session.async_('<noop id="1"/>', seq=1, syncAsync=1))
    assert session.poll(0, 20).body == b'<XIMSS respSeq="1"><response id="1"/></XIMSS>'


def test_bye(session):
    poll = session.waiting_poll(0)
    assert is_taken(session.async_('<noop id="1"/><bye id="b"/><noop id="2"/>', seq=1))
    body = poll.reply().body
    assert body in (EMPTY, b'<XIMSS respSeq="1"><response id="1"/></XIMSS>', b'<XIMSS respSeq="1"><response id="1"/><response id="b"/></XIMSS>')
    wait_for(lambda: session.poll().status == 550)
    assert session.sync("<XIMSS/>", seq=2).status == 550


def test_answers_that_nobody_fetches(tmp_path):
    """With reply_kept bytes of answers queued no further request of a batch is begun; the poll gets all in the end (4.8)."""
    with WebServer(tmp_path, http="reply_kept = 64k") as server:
        session = server.web_session()
        count = 3000
        session.async_("".join('<mailboxList id="%d" filter="*"/>' % i for i in range(count - 1)) +
                       '<mailboxCreate id="%d" mailbox="Late"/>' % (count - 1), seq=1)
        tcp = server.session()
        assert not [m for m in tcp.call('<mailboxList id="l" filter="Late"/>')[0]]
        seen = []
        most = 0
        while len(seen) < count:
            reply = session.poll(session.ack, 20)
            most = max(most, len(reply.body))
            session.ack += 1
            seen += [e.get("id") for e in reply.xml if e.tag == "response"]
        assert seen == [str(i) for i in range(count)]
        assert most < 65536 + 8192
        assert [m.get("mailbox") for m in tcp.call('<mailboxList id="l" filter="Late"/>')[0]] == ["Late"]


# --- 4.13

WAYS = {"one connection": lambda server: server.web(), "both workers": Turns, "both workers, tls": lambda server: Turns(server, tls=True)}


@pytest.mark.parametrize("way", WAYS)
def test_worked_example(server, way):
    """Line by line; where a reply is lost, the connection is cut before it can be read. A slow machine may answer the poll of
    line 3 before request 2 has run: then what is left is in the batches behind it, and lines 6 to 10 have later numbers. With both
    workers each line is at another one than that before."""
    client = WAYS[way](server)
    other = client.new if isinstance(client, Turns) else server.web  # for what is not answered at once
    root = client.ask("POST", "/XIMSSLogin/?errorAsXML=1", '<XIMSS><listFeatures id="list" /></XIMSS>').xml                            # 1
    nonce = root[0].findtext("nonce")
    reply = client.ask("GET", "/XIMSSLogin/?errorAsXML=1&EnableUseCookie=1&version=6.2&userName=dora%40harbor.example&nonce=" +
                       nonce + "&authData=" + cram(nonce, padding=False))                                                                # 2
    assert not reply.all("set-cookie")
    session = Session(server, reply)
    poll = session.waiting_poll(0, 20, other(), random=1)                                                                               # 3
    reply = session.async_('<readTime id="1"/><noop id="2"/>', 1, client, random=1)                                                     # 4
    assert is_taken(reply)
    cookie = reply.cookie
    lost = poll.reply()                                                                                                                 # 3'
    assert lost.cookie == cookie
    session.fields = {"Cookie": "CGateProWebUser=" + cookie}
    again = session.poll(0, 20, other(), random=2)                                                                                      # 5
    assert again.body == lost.body and lost.xml.get("respSeq") == "1" and not again.all("set-cookie")
    got, seq = list(lost.xml), 1
    while len(got) < 3:
        more = session.poll(seq, 20, other()).xml
        seq += 1
        assert len(more) and more.get("respSeq") == str(seq)
        got += more
    assert [(e.tag, e.get("id")) for e in got] == [("currentTime", "1"), ("response", "1"), ("response", "2")]
    poll = session.waiting_poll(seq, 20, other(), random=3)                                                                             # 6
    conn = other()
    conn.send(request("POST", session.target("async", reqSeq=2, random=2), xml_body('<fryEggs id="3"/>'), session.fields))             # 7
    first = poll.reply()                                                                                                                # 6'
    conn.cut()
    assert is_taken(session.async_('<fryEggs id="3"/>', 2, client, random=3))                                                           # 8
    assert first.body == b'<XIMSS respSeq="%d"><response id="3" errorText="unknown command" errorNum="500"/></XIMSS>' % (seq + 1)
    assert session.poll(seq + 1, conn=other()).body == EMPTY  # exactly one response
    reply = session.sync('<bye id="4"/>', 3, client, syncAsync=1, random=4)                                                             # 9
    assert reply.body == b'<XIMSS><response id="4"/></XIMSS>'
    assert session.poll(seq + 1, 20, other()).status == 550                                                                             # 10
    assert session.sync('<bye id="4"/>', 3, client, syncAsync=1, random=5).body == reply.body                                          # 11
    assert session.sync('<bye id="4"/>', 4, client, syncAsync=1).status == 550


def test_worked_example_without_the_cookie(server):
    """From the request that presents it on it is demanded, in every line of the example."""
    session = Session(server, server.login(EnableUseCookie=1))
    cookie = session.async_('<noop id="1"/>', 1).cookie
    session.fields = {"Cookie": "CGateProWebUser=" + cookie}
    assert session.poll(0, 20).xml.get("respSeq") == "1"
    session.fields = {}
    assert session.poll(0, 20).status == 550 and session.async_('<noop id="1"/>', 1).status == 550
    assert session.sync('<bye id="4"/>', 2).status == 550 and session.kill().status == 550


# --- KILL

@pytest.mark.parametrize("method", ["POST", "GET", "HEAD", "PUT", "DELETE"])
@pytest.mark.parametrize("body", [None, "", "x", '<XIMSS><noop id="1"/></XIMSS>'])
def test_kill(server, session, method, body):
    """Any method, any body, no reqSeq; 200, empty; the second time 550."""
    conn = server.web()
    reply = session.kill(method, body, conn)
    assert reply.status == 200 and reply.body == b"" and reply.field("content-length") == "0" and reply.stays
    assert session.kill(conn=conn).status == 550
    assert session.sync('<noop id="1"/>', 1, conn).status == 550
    assert session.poll(0, conn=conn).status == 550


def test_kill_of_a_preflight_is_none(server, session):
    assert server.ask("OPTIONS", session.target("KILL")).status == 204
    assert session.sync("<XIMSS/>").body == EMPTY


@pytest.mark.parametrize("word", ["KILL", "kill", "Kill", "KILL/"])
def test_kill_is_written_in_many_ways(server, session, word):
    assert server.ask("POST", session.base + word + "?random=1").status == 200
    assert session.sync("<XIMSS/>").status == 550


def test_a_poll_that_waits_is_answered(session):
    """The client ended the session: an empty reply, no <bye/> (4.8)."""
    poll = session.waiting_poll(0)
    assert session.kill().status == 200
    assert poll.reply().body == EMPTY


def test_kill_while_a_batch_runs(server):
    """Its answers are dropped; the request that runs is finished, the rest of the batch is not begun."""
    session = server.web_session()
    session.sync("".join('<mailboxCreate id="%d" mailbox="Long %d"/>' % (i, i) for i in range(60)))
    slow = server.web()
    slow.send(request("POST", session.target("sync", reqSeq=1), xml_body("".join('<mailboxList id="%d" filter="*"/>' % i for i in range(20000)))))
    wait_for(lambda: doing(server, session.url_id) == "listing mailboxes", pause=0.001)
    assert session.kill().status == 200
    assert slow.reply().status == 550
    assert session.kill().status == 550
    wait_for(lambda: server.row(id=int(session.url_id[:6])) is None)


def test_kill_leaves_others_alone(server):
    one, two = server.web_session(), server.web_session()
    assert one.kill().status == 200
    assert two.sync('<noop id="1"/>').status == 200 and server.ask("GET", "/XIMSSLogin/?" + parameters(
        {"userName": "dora", "sessionid": one.url_id, "errorAsXML": 1})).xml[0].get("errorNum") == "515"
    assert tags(two.sync('<readTime id="1"/>').xml) == ["currentTime", "response"]
