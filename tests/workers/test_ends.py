# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The ximssd authors
"""Ends of sessions, and logins for which there is no room (protocol 1, 3.8, 4.3, 4.8), where the one worker hears of what happens in the
other, or both of what happens in neither; clear and TLS."""
import pytest
from turns import Turns
from xhttp import Session, WebServer, errors, parameters, xml_body
from ximss import wait_for

BYE = b'<XIMSS respSeq="1"><bye/></XIMSS>'
EMPTY = b"<XIMSS></XIMSS>"
DORA = {"userName": "dora", "password": "correct-horse"}
MOST = 4


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with WebServer(tmp_path_factory.mktemp("ends"), tls=True, server="workers = 2\nlog_level = problems\n",
                   conf="[login]\nmax_sessions_per_account = %d\n" % MOST) as s:
        yield s


def login(turns, **more):
    return turns.ask("GET", "/XIMSSLogin/?" + parameters({**DORA, **more}))


def batch(turns):
    return turns.ask("POST", "/XIMSSLogin/", xml_body('<login id="L" authData="dora" password="correct-horse"/>'))


def test_kicked_while_a_poll_waits(server, turns):
    """At either; then nothing of it is left at both."""
    for _ in range(2):
        session = Session(server, login(turns), turns.tls)
        poll = session.waiting_poll(0, 20, turns.new())
        server.ctl("session", "kick", session.url_id[:6])
        assert poll.reply().body == BYE
        assert [session.poll(ack, 20, turns.new()).status for ack in (0, 1, 0, 1)] == [550] * 4
        assert [session.sync("", conn=turns).status for _ in range(2)] == [550] * 2
        poll.close()
        assert turns.ask("GET", "/XIMSSLogin/").status == 401  # so that the next round begins at the other one


def test_bye_in_the_one_while_a_poll_waits_in_the_other(server, turns):
    for _ in range(2):
        session = Session(server, login(turns), turns.tls)
        poll = session.waiting_poll(0, 20, turns.new())
        assert session.sync('<bye id="b"/>', 1, turns).body == b'<XIMSS><response id="b"/></XIMSS>'
        assert poll.reply().body == EMPTY
        assert [session.poll(0, 20, turns.new()).status for _ in range(2)] == [550] * 2
        assert [session.sync('<bye id="b"/>', 1, turns).body for _ in range(2)] == [b'<XIMSS><response id="b"/></XIMSS>'] * 2
        poll.close()


def test_no_room_at_either(server, turns):
    """Both count all sessions; where one ends, in whichever, there is room for one, in whichever."""
    sessions = [Session(server, login(turns), turns.tls) for _ in range(MOST)]
    for _ in range(3):
        assert [errors(login(turns, errorAsXML=1).xml) for _ in range(2)] == [[(None, 520)]] * 2
        for reply in [login(turns) for _ in range(2)]:
            assert (reply.status, reply.text, reply.field("retry-after")) == (503, "too many sessions", "1")
        assert [errors(batch(turns).xml) for _ in range(2)] == [[("L", 520)]] * 2
        assert sessions.pop(0).kill(conn=turns).status == 200
        sessions.append(Session(server, login(turns), turns.tls))
    assert server.counters()["ximssHTTPSessionsActive"] == MOST
    assert {s.sync("", conn=turns).body for s in sessions * 2} == {EMPTY}
    assert {s.kill(conn=turns).status for s in sessions} == {200}


@pytest.mark.parametrize("tls", [False, True], ids=["clear", "tls"])
def test_stop_while_polls_wait(tmp_path, tls):
    """At both, also where a session has one that was superseded at the other."""
    with WebServer(tmp_path, tls=True, server="workers = 2\n") as server:
        turns = Turns(server, tls)
        sessions = [Session(server, login(turns), tls) for _ in range(4)]
        older = [s.waiting_poll(0, 20, turns.new()) for s in sessions]
        newer = [s.begin_poll(0, 20, turns.new()) for s in sessions[:2]]
        assert [p.reply().body for p in older[:2]] == [EMPTY] * 2
        for session in sessions:
            wait_for(session.polls)
        server.process.terminate()
        replies = [p.reply() for p in newer + older[2:]]
        assert [(r.body, r.stays) for r in replies] == [(BYE, False)] * 4
        assert server.stop() == 0
