# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The ximssd authors
"""Replies that break off at any byte and change nothing, or end something: KILL (protocol 1, 4.9), each status of 4.11, and XIMSS
over connections from an HTTP port (4.12)."""
import itertools

import pytest
from cutting import cut_replies, cut_reply, cuts_of, login_on_each, pipelined
from xhttp import Session, WebServer, cram, errors, parameters, request, xml_body
from ximss import Client, wait_for

NOOP = xml_body('<noop id="1"/>')
DONE = b'<XIMSS><response id="1"/></XIMSS>'
DORA = {"userName": "dora", "password": "correct-horse", "errorAsXML": 1}
NOBODYS = {"userName": "dora", "nonce": "7f0c2b91d4e65a38", "authData": cram("7f0c2b91d4e65a38")}
ELSEWHERE = "127.0.0.2"


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """Failures from any address but this one's block it."""
    with WebServer(tmp_path_factory.mktemp("ends"), http="keep_alive = 1h\nconnections_per_address = 0",
                   server="workers = 2\nlog_level = problems\nclient_addresses = 127.0.0.1\n",
                   conf="[login]\ncram = yes\nfail_delay = 0\nfail_account = 0\nfail_address = 3\nmax_sessions_per_account = 1000\n") as s:
        login_on_each(s)
        yield s


def test_kill(server, conn):
    """The session is gone; who asks again for its end is told so, 550, and that is an end as well."""
    methods, sessions = itertools.cycle(("POST", "GET", "DELETE")), []

    def make():
        sessions.append(Session(server, server.login(conn)))
        return request(next(methods), sessions[-1].target("KILL"))
    (whole,) = pipelined(conn, [make()])
    assert whole.status == 200 and whole.body == b""
    sessions.clear()
    for number, (k, _) in enumerate(cut_replies(server, make, cuts_of(whole))):
        gone = sessions[number]
        statuses = [r.status for r in pipelined(conn, [request("POST", gone.target("KILL")), request("POST", gone.target("sync"), NOOP),
                                                        request("GET", gone.target(ackSeq=0, maxWait=20))])]
        assert statuses == [550] * 3, k
        query = parameters({"userName": "dora", "sessionid": gone.url_id, "errorAsXML": 1})
        assert errors(conn.ask("GET", "/XIMSSLogin/?" + query).xml) == [(None, 515)], k
    assert len(sessions) == whole.head_length
    assert server.counters()["ximssHTTPSessionsActive"] == 0


def test_bye(server, conn):
    """Who has lost the reply gets it again for 60 s, and nothing else of the session (4.5, 4.13)."""
    sessions = []

    def make():
        sessions.append(Session(server, server.login(conn)))
        return bye(sessions[-1])

    def bye(session, number=1):
        return request("POST", session.target("sync", reqSeq=number, syncAsync=1), xml_body('<noop id="1"/><bye id="b"/>'))
    (whole,) = pipelined(conn, [make()])
    assert whole.body == b'<XIMSS><response id="1"/><response id="b"/></XIMSS>'
    sessions.clear()
    for number, (k, _) in enumerate(cut_replies(server, make, cuts_of(whole)[::2])):
        gone = sessions[number]
        again, next_one, poll = pipelined(conn, [bye(gone), bye(gone, 2), request("GET", gone.target(ackSeq=0, maxWait=20))])
        assert again.body == whole.body and next_one.status == poll.status == 550, k
    assert server.counters()["ximssHTTPSessionsActive"] == 0


def test_sync_async(server, conn):
    """What was delivered with a reply that is lost is repaired by the repeat, and by nothing else (4.5)."""
    session, number = Session(server, server.login(conn)), 0

    def ask():
        return request("POST", session.target("sync", reqSeq=number, syncAsync=1), xml_body('<noop id="%06d"/>' % number))

    def make():
        nonlocal number
        number += 2
        assert session.async_('<noop id="a"/>', number - 1, conn).status == 200
        return ask()
    (whole,) = pipelined(conn, [make()])
    assert whole.body == b'<XIMSS><response id="a"/><response id="000002"/></XIMSS>'
    for k in cuts_of(whole):
        got = cut_reply(server, make(), k)
        again, poll = pipelined(conn, [ask(), request("GET", session.target(ackSeq=0))])
        assert again.body == whole.body.replace(b"000002", b"%06d" % number) and got[whole.head_length:] == again.body[:max(0, k - whole.head_length)], k
        assert poll.body == b"<XIMSS></XIMSS>", k
    session.kill(conn=conn)


STATUS = {  # of 4.11; those of logins, downloads and uploads are in their own files
    "204": (lambda s: request("OPTIONS", s.target("sync", reqSeq=2)), 204),
    "400 of HTTP": (lambda s: request("POST", s.target("sync", reqSeq=2), NOOP, {"Content-Length": "x"}, length=False), 400),
    "400 of XML": (lambda s: request("POST", s.target("sync", reqSeq=2), "<XIMSS><noop"), 400),
    "400 of a root": (lambda s: request("POST", s.target("sync", reqSeq=2), '<noop id="1"/>'), 400),
    "200 of an empty poll": (lambda s: request("GET", s.target(ackSeq=0)), 200),
    "404": (lambda s: request("GET", "/sys/sessionadmin.wcgp"), 404),
    "404 of a session": (lambda s: request("GET", s.target("fry")), 404),
    "405": (lambda s: request("PUT", s.target("sync", reqSeq=2), NOOP), 405),
    "413": (lambda s: request("POST", s.target("sync", reqSeq=2), None, {"Content-Length": 1 << 30}), 413),
    "500": (lambda s: request("POST", s.target("sync", reqSeq=0), NOOP), 500),
    "500 of a poll": (lambda s: request("GET", s.target(ackSeq=7, maxWait=20)), 500),
    "550": (lambda s: request("POST", "/Session/100001-%s/sync?reqSeq=2" % ("a" * 20), NOOP), 550),
    "501": (lambda s: request("POST", s.target("sync", reqSeq=2), None, {"Transfer-Encoding": "gzip"}), 501),
}


@pytest.mark.parametrize("what", STATUS)
def test_a_status(server, conn, what):
    """Nothing has been run, no number used up, and the session is where it was."""
    session = Session(server, server.login(conn))
    assert session.sync('<mailboxCreate id="1" mailbox="%s"/>' % what, 1, conn).body == DONE
    data, status = STATUS[what][0](session), STATUS[what][1]
    other = server.web()
    (whole,) = pipelined(other, [data])
    other.close()
    assert whole.status == status
    seen = 0
    for k, got in cut_replies(server, lambda: data, cuts_of(whole)):
        seen += len(got) == k
    assert seen == whole.head_length + len(whole.body)
    again, new = pipelined(conn, [request("POST", session.target("sync", reqSeq=1), NOOP),
                                  request("POST", session.target("sync", reqSeq=2), xml_body('<mailboxCreate id="1" mailbox="%s"/>' % what))])
    assert again.body == DONE and errors(new.xml) == [("1", 562)]
    assert session.poll(0, 0, conn).body == b"<XIMSS></XIMSS>"
    assert session.kill(conn=conn).status == 200


def test_503_of_a_blocked_address(server, conn):
    """It is that of nobody else, and nobody is logged in."""
    before = server.counters()["ximssSessionsTotal"]
    other = server.web(source=ELSEWHERE)
    assert {r.status for r in pipelined(other, [request("GET", "/XIMSSLogin/?" + parameters(NOBODYS))] * 3)} == {403}
    data = request("GET", "/XIMSSLogin/?" + parameters(DORA))
    (whole,) = pipelined(other, [data])
    other.close()
    assert whole.status == 503
    assert sum(1 for _ in cut_replies(server, lambda: data, cuts_of(whole), source=ELSEWHERE)) == whole.head_length + len(whole.body)
    assert server.counters()["ximssSessionsTotal"] == before
    assert Session(server, server.login(conn)).kill(conn=conn).status == 200


# --- XIMSS behind a first byte `<`

@pytest.mark.parametrize("requests, replies", [
    (b'<noop id="1"/>\0', 1),
    (b'<login id="L" authData="dora" password="correct-horse"/>\0<noop id="1"/>\0', 3),
], ids=["before login", "login"])
def test_passed_connections(server, conn, requests, replies):
    """Sessions over them go with them (3.8); they are counted where they belong, once."""
    client = Client(("127.0.0.1", server.http_port))
    client.send_bytes(requests + b'<bye id="b"/>\0')
    data = client.rest()
    client.close()
    length = len(data) - len(b'<response id="b"/>\0')
    assert data[:length].count(b"\0") == replies and data.endswith(b'\0<response id="b"/>\0')
    wait_for(lambda: server.counters()["ximssActive"] == 0)
    before = server.counters()
    cuts = cut_replies(server, lambda: requests, range(length))
    assert [len(got) for _, got in cuts] == list(range(length))
    after = wait_for(lambda: (lambda now: now["ximssActive"] == 0 and now)(server.counters()))
    names = ("ximssPassed", "ximssTotal", "ximssSessionsTotal")
    assert [after[n] - before[n] for n in names] == [length, length, length if b"login" in requests else 0]
