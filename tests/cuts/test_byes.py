# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The ximssd authors
"""Polls that wait (protocol 1, 4.8) and whose reply breaks off at any byte: the `<bye/>` of a server that ends the session, and the
empty reply to one whose time is over, which a newer one supersedes, or whose client has ended the session."""
import pytest
from cutting import LONG, WAYS, cut_off, first_bytes, login_on_each, pipelined
from xhttp import Session, WebServer, errors, parameters, request, xml_body
from ximss import wait_for

BYE = b'<XIMSS respSeq="1"><bye/></XIMSS>'
EMPTY = b"<XIMSS></XIMSS>"
LIFE = 1800
COUNT = 400 if LONG else 48
CONF = {"http": "keep_alive = 1h\nconnections_per_address = 0\nmax_wait = 1h\nsession_idle = 1h\nsession_life = %ds" % LIFE,
        "conf": "[login]\nmax_sessions_per_account = 2000\n", "server": "workers = 2\nlog_level = problems\n", "tls": True}


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """Where a poll may wait for longer than a session lives."""
    with WebServer(tmp_path_factory.mktemp("byes"), clock=True, **CONF) as s:
        login_on_each(s)
        for conn in s.web_on_each(tls=True):
            conn.close()
        yield s


def login(**more):
    return request("GET", "/XIMSSLogin/?" + parameters({"userName": "dora", "password": "correct-horse", **more}))


class Polls:
    """Sessions with a poll each that waits, some of them over TLS."""

    def __init__(self, server, wait=3000):
        self.server = server
        self.sessions = [Session(server, r) for r in self.asked([login()] * COUNT)]
        self.conns = [s.begin_poll(0, wait, server.web(tls=n % 24 == 7)) for n, s in enumerate(self.sessions)]
        wait_for(lambda: sum(r["status"] == "polling" for r in server.top()["sessions"]) == COUNT)

    def asked(self, requests):
        """The replies to them, over one connection, some at a time."""
        conn, found = self.server.web(), []
        for at in range(0, len(requests), 32):
            found += pipelined(conn, requests[at:at + 32])
        conn.close()
        return found

    def of_each(self, make):
        return self.asked([make(s) for s in self.sessions])

    def cut(self, body):
        """The first is read whole; of the others one ends at each byte of the body, the rest are spread over the head."""
        whole = self.conns[0].reply()
        assert whole.body == body
        rest = len(self.conns) - 1 - len(body)
        cuts = [*(n * whole.head_length // rest for n in range(rest)), *range(whole.head_length, whole.head_length + len(body))]
        for n, (conn, k) in enumerate(zip(self.conns[1:], cuts, strict=True)):
            got = first_bytes(conn, k)
            assert body.startswith(got.partition(b"\r\n\r\n")[2])
            cut_off(conn, WAYS[n % 2])
        for conn in self.conns:
            conn.close()

    def are_gone(self):
        """For a client who does not know it yet, too: he sends the same poll again, and then a request; 550 is as good as <bye/>."""
        for make in (lambda s: s.poll_request(0, 20), lambda s: request("POST", s.target("sync", reqSeq=1), xml_body("")), kill):
            assert {r.status for r in self.of_each(make)} == {550}
        assert errors(self.asked([login(sessionid=self.sessions[-1].url_id, errorAsXML=1)])[0].xml) == [(None, 515)]

    def live(self):
        """The same poll waits again, or gets what has come meanwhile; nothing was used up."""
        batch = '<noop id="a"/>'
        assert {r.body for r in self.of_each(lambda s: request("POST", s.target("async", reqSeq=1), xml_body(batch)))} == {b""}
        for ack in (0, 0):
            assert {r.body for r in self.of_each(lambda s, ack=ack: s.poll_request(ack, 20))} == {b'<XIMSS respSeq="1"><response id="a"/></XIMSS>'}
        assert {r.status for r in self.of_each(kill)} == {200}


def kill(session):
    return request("POST", session.target("KILL"))


def kicked(polls):
    for session in polls.sessions:
        polls.server.ctl("session", "kick", session.url_id[:6])


def kill_old(polls):
    new = polls.of_each(lambda s: login(sessionid=s.url_id, killOld=1))
    assert {r.status for r in polls.asked([kill(Session(polls.server, r)) for r in new])} == {200}


ENDS = {"kicked": kicked, "killOld": kill_old, "life": lambda polls: polls.server.advance(LIFE + 1)}


@pytest.mark.parametrize("how", ENDS)
def test_bye(server, conn, how):
    polls = Polls(server)
    ENDS[how](polls)
    polls.cut(BYE)
    polls.are_gone()


def test_stop(tmp_path):
    """A server that ends does so whatever becomes of its last words; the next one knows nobody of before, and takes everybody."""
    with WebServer(tmp_path, **CONF) as server:
        polls = Polls(server)
        server.process.terminate()
        polls.cut(BYE)
        wait_for(lambda: server.process.poll() is not None)
        assert server.stop() == 0
        server.start()
        polls.are_gone()
        assert Session(server, server.login()).kill().status == 200


# --- the empty replies

def superseded(polls):
    """By one that does not wait."""
    assert {r.body for r in polls.of_each(lambda s: s.poll_request(0))} == {EMPTY}


@pytest.mark.parametrize("end", [lambda polls: polls.server.advance(301), superseded], ids=["time", "superseded"])
def test_an_empty_one(server, conn, end):
    polls = Polls(server, 300)
    end(polls)
    polls.cut(EMPTY)
    polls.live()


def said_bye(polls):
    body = b'<XIMSS><response id="b"/></XIMSS>'
    assert {r.body for r in polls.of_each(lambda s: request("POST", s.target("sync", reqSeq=1), xml_body('<bye id="b"/>')))} == {body}


@pytest.mark.parametrize("end", [lambda polls: polls.of_each(kill), said_bye], ids=["KILL", "bye"])
def test_one_whose_client_ends_the_session(server, conn, end):
    polls = Polls(server)
    end(polls)
    polls.cut(EMPTY)
    assert {r.status for r in polls.of_each(lambda s: s.poll_request(0, 20))} == {550}
