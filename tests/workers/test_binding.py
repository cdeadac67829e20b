# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The ximssd authors
"""The tables of protocol 1, 4.6 and 4.8, row by row, each request at another worker than the one before, clear and TLS."""
import pytest
from boxes import Boxes, outcome
from xhttp import Lost, Session, WebServer, request, xml_body
from ximss import wait_for

EMPTY = b"<XIMSS></XIMSS>"
SEQUENCE = (500, "XIMSS request sequence error")


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with WebServer(tmp_path_factory.mktemp("binding"), tls=True, server="workers = 2\nkeepers = 1\nlog_level = problems\n",
                   conf="[login]\nmax_sessions_per_account = 1000\n") as s:
        yield s


@pytest.fixture
def session(server, turns):
    session = Session(server, server.login(turns), turns.tls)
    yield session
    session.kill(conn=turns)


def is_out_of_order(reply):
    return (reply.status, reply.text) == SEQUENCE


@pytest.mark.parametrize("first", [0, 1, 1001])
def test_the_rows_of_4_6(turns, session, first):
    create = Boxes.make()
    assert [outcome(session.sync(create, first, turns)) for _ in range(3)] == [None] * 3          # first of this session; = last, reply ready
    assert [outcome(session.sync(create, conn=turns)) for _ in range(2)] == [562] * 2             # absent: run; `last` unchanged
    assert [outcome(session.sync(create, first, turns)) for _ in range(2)] == [None] * 2
    assert [outcome(session.sync(create, first + 1, turns)) for _ in range(2)] == [562] * 2       # last + 1
    assert all(is_out_of_order(session.sync(create, n, turns)) for n in (first, first, -1, "x", ""))  # less, or no number
    create = Boxes.make()
    assert [outcome(session.sync(create, first + 1000, turns)) for _ in range(3)] == [None] * 3   # greater than last + 1
    assert all(is_out_of_order(session.sync(create, first + n, turns)) for n in (2, 2, 999))
    other = Boxes.make()
    for number in (first + 1001, first + 2000):                                                   # one number space with async
        assert [session.async_(other, number, turns).body for _ in range(3)] == [b""] * 3
        assert is_out_of_order(session.async_(other, number - 1, turns)) and is_out_of_order(session.sync(other, number - 1, turns))
    assert outcome(session.sync(other, first + 2001, turns)) == 562


def test_the_row_still_running(server, turns, session):
    """Asked for again at the other worker while it runs: run once, and the newest connection has the reply."""
    slow = Boxes.make() + "".join('<noop id="%d"/>' % i for i in range(20000))
    data = request("POST", session.target("sync", reqSeq=1), xml_body(slow))
    conns = [turns.new() for _ in range(4)]
    for conn in conns:
        conn.send(data)
    replies = []
    for conn in conns:
        try:
            replies.append(conn.reply())
        except (Lost, OSError):  # forgotten, over TLS without close_notify
            replies.append(None)
    done = [r for r in replies if r is not None and r.status == 200]
    assert done and all(outcome(r) is None and r.body == done[0].body for r in done)
    assert [session.sync(slow, 1, turns).body == done[0].body for _ in range(2)] == [True] * 2


def poll(turns, session, path="", **query):
    return turns.ask("GET", session.target(path, **query))


def test_the_rows_of_4_8(server, turns, session):
    assert [poll(turns, session, ackSeq=0).body for _ in range(2)] == [EMPTY] * 2                 # queue empty, no maxWait
    seq = 0
    for _ in range(2):  # with either as the first
        session.async_('<noop id="1"/>', conn=turns)
        assert session.sync("<XIMSS/>", conn=turns).body == EMPTY  # so what was in async has run
        batch = b'<XIMSS respSeq="%d"><response id="1"/></XIMSS>' % (seq + 1)
        assert poll(turns, session, ackSeq=seq, maxWait=20).body == batch                         # queue not empty: the whole of it
        assert [poll(turns, session, ackSeq=seq, maxWait=20).body for _ in range(3)] == [batch] * 3   # outSeq - 1: the same, at once
        assert all(is_out_of_order(poll(turns, session, ackSeq=n)) for n in (seq + 2, seq + 2, "x", -1))  # other
        assert poll(turns, session, "get", ackSeq=seq).body == batch
        assert poll(turns, session, ackSeq=seq + 1).body == EMPTY                                 # acknowledged: forgotten
        assert is_out_of_order(poll(turns, session, ackSeq=seq)) and is_out_of_order(poll(turns, session, ackSeq=seq))
        session.async_('<noop id="1"/>', conn=turns)
        assert poll(turns, session, maxWait=20).body == b'<XIMSS respSeq="%d"><response id="1"/></XIMSS>' % (seq + 2)  # no ackSeq: as outSeq
        assert poll(turns, session).body == EMPTY
        assert is_out_of_order(poll(turns, session, ackSeq=seq + 1))
        seq += 2
        assert session.sync('<noop id="odd"/>', conn=turns).status == 200  # so that the next round begins at the other one


def test_a_poll_that_waits_at_the_one_hears_of_the_other(turns, session):
    """And a newer one supersedes it, wherever that is; closing its connection loses nothing."""
    for number in range(4):
        older, newer = session.waiting_poll(number, 20, turns.new()), session.begin_poll(number, 20, turns.new())
        assert older.reply().body == EMPTY
        session.async_('<noop id="%d"/>' % number, conn=turns)
        batch = b'<XIMSS respSeq="%d"><response id="%d"/></XIMSS>' % (number + 1, number)
        assert newer.reply().body == batch and poll(turns, session, ackSeq=number).body == batch
        lost = session.waiting_poll(number + 1, 20, turns.new())  # or the next round takes it for its own
        lost.cut()
        wait_for(lambda: not session.polls())


def test_too_large_at_either(turns, session):
    """413 from the head alone; the number is not used up, and the connections of neither are of use after it."""
    for _ in range(2):
        reply = turns.ask("POST", session.target("sync", reqSeq=1), None, {"Content-Length": 1 << 30})
        assert reply.status == 413 and not reply.stays
    create = Boxes.make()
    assert [outcome(session.sync(create, 1, turns)) for _ in range(2)] == [None] * 2
