# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The ximssd authors
"""Polls: protocol 1, 4.8 row by row."""
import time

import pytest
from test_sync import NOTIFY, deliver, open_inbox
from xhttp import WebServer, request, xml_body
from ximss import wait_for

EMPTY = b"<XIMSS></XIMSS>"
SLACK = 30  # seconds: more than a moved clock gains by itself before the test looks
FIRST = b'<XIMSS respSeq="1">' + NOTIFY + b"</XIMSS>"


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with WebServer(tmp_path_factory.mktemp("poll"), tls=True, server="workers = 2\n", conf="[login]\nmax_sessions_per_account = 1000\n") as s:
        yield s


@pytest.fixture
def session(server):
    session = server.web_session()
    open_inbox(session)
    return session


def event(server, session):
    """Something for the poll."""
    session.sync('<folderSync id="s" folder="INBOX-MM-1"/>')
    deliver(server)


def is_out_of_order(reply):
    assert (reply.status, reply.text) == (500, "XIMSS request sequence error")
    return True


# --- the example, and the rows

def test_example(server, session):
    event(server, session)
    reply = session.poll(0, 20, random=1)
    assert reply.body == FIRST and reply.field("content-type") == "text/xml; charset=utf-8" and reply.stays
    assert session.poll(1, 1, random=2).body == EMPTY
    poll = session.waiting_poll(1, 20, random=3)
    event(server, session)
    assert poll.reply().body == FIRST.replace(b'"1">', b'"2">', 1)


def test_row_acknowledged_and_queue_not_empty(server, session):
    """The whole queue becomes the next batch; respSeq grows by one."""
    for number in range(1, 6):
        session.async_('<noop id="%d"/>' % number, seq=2 * number)
        session.sync("<XIMSS/>", seq=2 * number + 1)  # what was in async has run
        event(server, session)
        body = session.poll(number - 1).body
        assert body == b'<XIMSS respSeq="%d"><response id="%d"/>' % (number, number) + NOTIFY + b"</XIMSS>"
    assert session.poll(5).body == EMPTY


@pytest.mark.parametrize("wait", [1, 2])
def test_row_queue_empty(session, wait):
    """Waits for that time and not for long."""
    conn = session.server.web()
    since = time.monotonic()
    assert session.poll(0, wait, conn).body == EMPTY
    assert wait - 0.25 < time.monotonic() - since  # later than PATIENCE would be no reply


def test_row_lost_reply(server, session):
    """The same batch, the same respSeq, at once, however often; what came meanwhile is in the next."""
    event(server, session)
    for _ in range(3):
        assert session.poll(0, 20).body == FIRST
        event(server, session)
    assert session.poll(1, 20).body == FIRST.replace(b'"1">', b'"2">', 1)
    assert session.poll(1, 20).body == FIRST.replace(b'"1">', b'"2">', 1)
    assert session.poll(2).body == EMPTY


def test_row_lost_reply_that_has_been_acknowledged(server, session):
    event(server, session)
    session.poll(0)
    assert session.poll(1).body == EMPTY
    assert is_out_of_order(session.poll(0))


@pytest.mark.parametrize("ack", ["2", "7", "-1", "x", "", "1e0", "18446744073709551615", "9223372036854775807"])
def test_row_other(server, session, ack):
    """500, and nothing is lost by it."""
    event(server, session)
    assert is_out_of_order(session.poll(ack))
    assert session.poll(0).body == FIRST
    assert is_out_of_order(session.poll(ack))
    assert session.poll(0).body == FIRST and session.poll(1).body == EMPTY


def test_row_no_ack_seq(server, session):
    """As outSeq: what was sent last is forgotten."""
    event(server, session)
    assert session.poll().body == FIRST
    assert session.poll().body == EMPTY
    assert is_out_of_order(session.poll(0))
    event(server, session)
    assert session.poll(None, 20).body == FIRST.replace(b'"1">', b'"2">', 1)


@pytest.mark.parametrize("wait", [None, 0, "", "x", "-5", "1.5x"])
def test_row_no_max_wait(session, wait):
    assert session.poll(0, wait).body == EMPTY


def test_limit_of_max_wait(tmp_path):
    """[http] max_wait, whatever the client asks for."""
    with WebServer(tmp_path, http="max_wait = 100s", clock=True) as server:
        session = server.web_session()
        for wait in ("100", "101", "300", "86400", "9223372036854775807"):
            poll = session.waiting_poll(0, wait)
            server.advance(100 - SLACK)
            assert poll.quiet(0.2), wait
            server.advance(SLACK)
            assert poll.reply().body == EMPTY
        poll = session.waiting_poll(0, 60)
        server.advance(60 - SLACK)
        assert poll.quiet(0.2)
        server.advance(SLACK)
        assert poll.reply().body == EMPTY


@pytest.mark.parametrize("path", ["", "get", "GET", "Get"])
def test_both_urls(server, session, path):
    event(server, session)
    assert server.ask("GET", session.target(path, ackSeq=0, maxWait=20, random=1)).body == FIRST


def test_without_the_final_slash(server, session):
    event(server, session)
    assert server.ask("GET", session.base[:-1] + "?ackSeq=0").body == FIRST


def test_parameter_names_without_regard_to_case(server, session):
    event(server, session)
    assert server.ask("GET", session.base + "?ACKSEQ=0&maxwait=20").body == FIRST
    assert is_out_of_order(server.ask("GET", session.base + "?ackseq=5"))


def test_post_is_a_poll_too(server, session):
    """The body is nothing to a poll."""
    event(server, session)
    assert server.ask("POST", session.target(ackSeq=0, maxWait=20), "").body == FIRST
    assert server.ask("POST", session.target(ackSeq=0, maxWait=20), xml_body('<noop id="1"/>')).body == FIRST


def test_notifies_that_nobody_fetches(server, session):
    """They are one for each folder, however many (part 2, 12.5, 5)."""
    open_inbox(session, "INBOX-MM-2")
    for _ in range(12):
        deliver(server)
    both = {NOTIFY, NOTIFY.replace(b"MM-1", b"MM-2")}
    body = session.poll(0).body
    assert body.startswith(b'<XIMSS respSeq="1">') and body.count(b"<folderReport") == 2 and all(n in body for n in both)
    assert session.poll(1).body == EMPTY


# --- one poll a session

def test_a_new_poll_supersedes(server, session):
    """The older one is answered at once, empty; through the other worker too."""
    first, second = server.web_on_each()
    polls = [session.waiting_poll(0, 20, first)]
    for conn in (second, server.web(), server.web()):
        polls.append(session.begin_poll(0, 20, conn))
        assert polls[-2].reply().body == EMPTY
    event(server, session)
    assert polls[-1].reply().body == FIRST


def test_a_poll_that_does_not_wait_supersedes(session):
    older = session.waiting_poll(0)
    assert session.poll(0).body == EMPTY
    assert older.reply().body == EMPTY


def test_one_that_is_out_of_order_does_not(server, session):
    older = session.waiting_poll(0)
    assert is_out_of_order(session.poll(3))
    event(server, session)
    assert older.reply().body == FIRST


@pytest.mark.parametrize("how", ["close", "cut"])
def test_closing_the_connection_cancels_and_loses_nothing(server, session, how):
    getattr(session.waiting_poll(0), how)()
    wait_for(lambda: not session.polls())
    event(server, session)
    assert session.poll(0).body == FIRST


def test_an_event_into_a_connection_that_dies(server, session):
    """Cut at the moment of the event, a hundred times: the batch is never lost."""
    for number in range(40):
        conn = session.begin_poll(number, 20, server.web())
        session.async_('<noop id="%d"/>' % number)
        conn.cut()
        got = session.poll(number, 20)
        if got.body == EMPTY:  # the one that was cut has come behind it
            got = session.poll(number, 20)
        assert got.body == b'<XIMSS respSeq="%d"><response id="%d"/></XIMSS>' % (number + 1, number)
        assert session.poll(number, 20).body == got.body


def test_a_batch_that_is_cut_at_every_byte(server, session):
    """Asked for again it is the same; acknowledged it is gone."""
    event(server, session)
    conn = server.web()
    conn.send(session.poll_request(0, 20))
    conn.reply()
    whole = None
    k = 0
    while whole is None or k < whole:
        conn = server.web()
        conn.send(session.poll_request(0, 20))
        got = b""
        while len(got) < k and (piece := conn.sock.recv(k - len(got))):
            got += piece
        assert len(got) == k
        conn.cut()
        if whole is None:
            conn = server.web()
            conn.send(request("GET", session.target(ackSeq=0), fields={"Connection": "close"}))
            data = b""
            while piece := conn.sock.recv(65536):
                data += piece
            whole = len(data)
        k += 1
    assert session.poll(0).body == FIRST and session.poll(1).body == EMPTY


def test_through_both_workers(server, session):
    conns = server.web_on_each()
    for number in range(20):
        poll = session.begin_poll(number, 20, conns[number % 2])
        session.async_('<noop id="%d"/>' % number, conn=conns[(number + 1) % 2])
        expected = b'<XIMSS respSeq="%d"><response id="%d"/></XIMSS>' % (number + 1, number)
        assert poll.reply().body == expected
        assert session.poll(number, 20, conns[(number + 1) % 2]).body == expected


@pytest.mark.parametrize("tls", [False, True], ids=["clear", "tls"])
def test_events_while_a_sync_runs(server, tls):
    """Both connections of an ordinary client (4.11)."""
    session = server.web_session()
    session.tls = tls
    open_inbox(session)
    poll = session.waiting_poll(0)
    for i in range(10):
        assert session.sync('<noop id="%d"/>' % i, seq=i).body == b'<XIMSS><response id="%d"/></XIMSS>' % i
    event(server, session)
    assert poll.reply().body == FIRST


# --- the end

def test_the_server_ends_the_session(server, session):
    poll = session.waiting_poll(0)
    server.ctl("session", "kick", session.url_id[:6])
    assert poll.reply().body == b'<XIMSS respSeq="1"><bye/></XIMSS>'
    assert session.poll(1, 20).status == 550


def test_idle_session(tmp_path):
    """session_idle without a request; a poll that waits is activity; setSessionOption changes it (3.8)."""
    with WebServer(tmp_path, http="session_idle = 600s", clock=True) as server:
        session = server.web_session()
        server.advance(600 - SLACK)
        assert session.sync("<XIMSS/>").status == 200
        server.advance(600 - SLACK)
        poll = session.waiting_poll(0, 250)
        server.advance(250 - SLACK)
        assert poll.quiet(0.2)
        server.advance(SLACK)
        assert poll.reply().body == EMPTY
        server.advance(600 - SLACK)
        assert session.sync('<setSessionOption id="1" name="idleTimeout" value="60"/>').body == b'<XIMSS><response id="1"/></XIMSS>'
        server.advance(60 - SLACK)
        poll = session.waiting_poll(0, 250)
        server.advance(250 - SLACK)
        assert poll.quiet(0.2)
        server.advance(SLACK)
        assert poll.reply().body == EMPTY
        server.advance(61)
        wait_for(lambda: " session closed: " in server.log())
        assert session.poll(0).status == 550


def test_life_of_a_session(tmp_path):
    with WebServer(tmp_path, http="session_life = 3h", clock=True) as server:
        session = server.web_session()
        for _ in range(20):
            server.advance(535)
            assert session.sync("<XIMSS/>").status == 200
        poll = session.waiting_poll(0, 300)
        server.advance(101)
        assert poll.reply().body == b'<XIMSS respSeq="1"><bye/></XIMSS>'
        assert session.poll(1).status == 550


def test_stop(tmp_path):
    """The server ends the session while a poll waits (4.8): <bye/>; and no connection is kept."""
    with WebServer(tmp_path) as server:
        session = server.web_session()
        poll = session.waiting_poll(0)
        idle = server.web()
        assert server.stop() == 0
        reply = poll.reply()
        assert reply.body == b'<XIMSS respSeq="1"><bye/></XIMSS>' and not reply.stays
        assert idle.closed()


def test_alert_before_the_stop(tmp_path):
    """1.6: who is served by a poll is asked to go, then told."""
    with WebServer(tmp_path, server="shutdown_grace = 1s\n") as server:
        session = server.web_session()
        poll = session.waiting_poll(0)
        server.process.terminate()
        root = poll.reply().xml
        assert root[0].tag == "alert" and root[0].text and root.get("respSeq") == "1"
