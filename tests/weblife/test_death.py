# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The ximssd authors
"""Real deaths and changes of settings under sessions over HTTP (design 2.5): they belong to a keeper, not to a worker."""
import pytest
from settled import settle
from shmread import doing
from xhttp import Lost, WebServer, errors, request, xml_body
from ximss import wait_for

EMPTY = b"<XIMSS></XIMSS>"
ACCOUNTS = {"dora": "correct-horse", "otto": "swordfish"}


@pytest.fixture
def server(tmp_path):
    with WebServer(tmp_path, server="workers = 2\n", accounts=ACCOUNTS) as s:
        yield s


def kill_worker(server, segment):
    """The one with that segment of the shared table; waits until there is another."""
    name = "worker %d" % (int(segment[len("worker-"):].partition(".")[0]) + 1)
    old = server.kill(name)
    wait_for(lambda: server.children().get(name) not in (None, old))


def create(ident, name):
    return '<mailboxCreate id="%s" mailbox="%s"/>' % (ident, name)


def lost(conn):
    try:
        conn.reply()
        return False
    except (Lost, ConnectionError):
        return True


def test_sessions_outlive_workers(server):
    """Both workers die, one after another; sessions, their numbers and what waits for polls are where they were."""
    session = server.web_session()
    assert errors(session.sync(create("1", "A"), seq=1).xml) == [("1", None)]
    session.async_('<noop id="2"/>', seq=2)
    first = session.poll(0, 20).body
    assert first == b'<XIMSS respSeq="1"><response id="2"/></XIMSS>'
    for segment in sorted(server.taken_by()):
        kill_worker(server, segment)
        assert session.poll(0).body == first
        assert session.async_('<noop id="2"/>', seq=2).status == 200
        assert session.sync(create("1", "A"), seq=1).status == 500
    assert errors(session.sync(create("3", "A"), seq=3).xml) == [("3", 562)]
    assert session.poll(1).body == EMPTY
    assert server.counters()["ximssHTTPSessionsActive"] == 1


def test_a_sync_without_answer(server):
    """Its worker dies while it runs; asked again, through whom ever, it is answered from the store, and has run once."""
    session = server.web_session()
    session.sync("".join(create(i, "M%d" % i) for i in range(30)))
    slow = create("first", "Once") + "".join('<mailboxList id="%d" filter="*"/>' % i for i in range(3000))
    conn, worker = server.web_on()
    conn.send(request("POST", session.target("sync", reqSeq=1), xml_body(slow)))
    wait_for(lambda: doing(server, session.url_id) == "listing mailboxes", pause=0.001)
    kill_worker(server, worker)
    assert lost(conn)
    reply = session.sync(slow, seq=1)
    assert reply.body.startswith(b'<XIMSS><response id="first"/>') and reply.body.endswith(b'<response id="2999"/></XIMSS>')
    assert session.sync(slow, seq=1).body == reply.body
    assert errors(session.sync(create("2", "Once"), seq=2).xml) == [("2", 562)]


def test_a_sync_whose_answer_is_on_its_way(server):
    """The worker dies with a part of the reply out."""
    session = server.web_session()
    session.sync("".join(create(i, "M%d" % i) for i in range(30)))
    slow = create("first", "Once") + "".join('<mailboxList id="%d" filter="*"/>' % i for i in range(800))
    conn, worker = server.web_on()
    conn.send(request("POST", session.target("sync", reqSeq=1), xml_body(slow)))
    got = b""
    while len(got) < 1000:
        got += conn.sock.recv(1000)
    kill_worker(server, worker)
    conn.close()
    reply = session.sync(slow, seq=1)
    assert reply.status == 200 and got.partition(b"\r\n\r\n")[2] and reply.body.startswith(got.partition(b"\r\n\r\n")[2])


def test_a_poll_that_waits(server):
    """Its worker dies: nothing is lost, and the session is not taken for one that is polled."""
    session = server.web_session()
    conn, worker = server.web_on()
    session.waiting_poll(0, 60, conn)
    kill_worker(server, worker)
    assert lost(conn)
    wait_for(lambda: not session.polls())
    session.async_('<noop id="1"/>', seq=1)
    assert session.poll(0, 20).body == b'<XIMSS respSeq="1"><response id="1"/></XIMSS>'


def test_a_login_without_answer(server):
    """A dead worker's connections end; the gate has their places back, and none of its sessions is left over twice."""
    conns = [server.web_on()[0] for _ in range(4)]
    for conn in conns:
        conn.send(b"GET /XIMSS")
    for segment in sorted(server.taken_by()):
        kill_worker(server, segment)
    assert all(lost(conn) for conn in conns)
    wait_for(lambda: server.counters()["httpUserActive"] == 0)
    assert server.web_session().sync("<XIMSS/>").body == EMPTY


def keeper_of(server):
    return sorted(name for name in server.children() if name.startswith("keeper"))


def test_keeper_killed(server):
    """Its sessions are gone: 550 for who waits and for who comes, and nothing is answered that was not done."""
    session = server.web_session()
    poll = session.waiting_poll(0, 60)
    conn = server.web()
    server.children()
    for name in keeper_of(server):
        server.kill(name)
    assert poll.reply().status == 550
    for _ in range(2):
        assert session.sync(create("1", "A"), seq=1, conn=conn).status == 550
    assert session.poll(0).status == 550 and session.kill().status == 550
    again = wait_for(lambda: logged_in(server))
    assert errors(again.sync(create("1", "A"), seq=1).xml) == [("1", None)]
    wait_for(lambda: server.counters()["ximssHTTPSessionsActive"] == 1)


def logged_in(server):
    reply = server.login()
    return server_session(server, reply) if reply.status == 200 and reply.xml[0].tag == "session" else None


def server_session(server, reply):
    from xhttp import Session
    return Session(server, reply)


def test_keeper_killed_while_a_batch_runs(server):
    session = server.web_session()
    session.sync("".join(create(i, "M%d" % i) for i in range(30)))
    conn = server.web()
    conn.send(request("POST", session.target("sync", reqSeq=1), xml_body(
        "".join('<mailboxList id="%d" filter="*"/>' % i for i in range(3000)))))
    wait_for(lambda: doing(server, session.url_id) == "listing mailboxes", pause=0.001)
    for name in keeper_of(server):
        server.kill(name)
    try:
        assert conn.reply().status == 550
    except (Lost, ConnectionError):
        pass  # when a part of the reply was out
    assert session.sync("<XIMSS/>", seq=1).status == 550


def test_auth_killed(server):
    """Sessions do not need it; logins come to an answer."""
    session = server.web_session()
    server.kill("auth")
    assert session.sync("<XIMSS/>", seq=1).body == EMPTY
    assert wait_for(lambda: logged_in(server)).sync("<XIMSS/>").body == EMPTY


# --- reload

def test_reload_while_polls_wait(server):
    """Nobody is touched; events find their polls afterwards."""
    sessions = [server.web_session() for _ in range(4)]
    polls = [s.waiting_poll(0, 60) for s in sessions]
    idle = server.web()
    for _ in range(3):
        assert server.reload() == ""
    assert all(poll.quiet(0.02) for poll in polls)
    for session, poll in zip(sessions, polls):
        session.async_('<noop id="1"/>', seq=1)
        assert poll.reply().body == b'<XIMSS respSeq="1"><response id="1"/></XIMSS>'
    assert idle.ask("GET", "/XIMSSLogin/").status == 401


def test_reload_lowers_limits(server):
    """Who is in stays in; what comes then is held to them."""
    session = server.web_session()
    conns = [server.web() for _ in range(6)]
    assert all(c.ask("GET", "/XIMSSLogin/").status == 401 for c in conns)
    big = session.sync("".join('<noop id="%0200d"/>' % i for i in range(400)), seq=1)
    poll = session.waiting_poll(0, 60)
    server.rewrite(http="connections_per_address = 3\nreply_kept = 64k\nhead = 1k\nmax_wait = 1s")
    assert server.reload() == ""
    assert poll.quiet(0.1)
    assert all(c.ask("GET", "/XIMSSLogin/").status == 401 for c in conns)
    with pytest.raises((Lost, ConnectionError)):
        server.web().ask("GET", "/XIMSSLogin/")
    conn = conns.pop()
    assert conn.ask("GET", "/XIMSSLogin/", fields={"X": "y" * 1000}).status == 431
    # a reply that was kept under the old limit is there
    again = session.sync("".join('<noop id="%0200d"/>' % i for i in range(400)), seq=1, conn=conns[0])
    assert again.status == 200 and again.body == big.body
    # the next one of that size is not
    assert session.sync("".join('<noop id="%0200d"/>' % i for i in range(400)), seq=2, conn=conns[0]).body == big.body
    assert session.sync("".join('<noop id="%0200d"/>' % i for i in range(400)), seq=2, conn=conns[0]).status == 550
    assert poll.reply().body == b'<XIMSS respSeq="1"><bye/></XIMSS>'


def test_reload_takes_a_domain_away(tmp_path):
    """Requests that wait while the domain that they are about goes: the main domain takes its place."""
    with WebServer(tmp_path, conf="[domain second.example]\n[login]\nfail_delay = 1m\nfail_delay_max = 1m\n", accounts=ACCOUNTS,
                   clock=True) as server:
        conns = []
        for _ in range(4):
            conn = server.web()
            conn.send(request("POST", "/XIMSSLogin/", xml_body('<login id="1" authData="nobody" password="x"/><listFeatures id="2"/>'),
                              host="Host: second.example\r\n"))
            conns.append(conn)
        settle(server)
        assert all(c.quiet(0.1) for c in conns)
        server.rewrite(conf="[login]\nfail_delay = 1m\nfail_delay_max = 1m\n")
        assert server.reload() == ""
        settle(server)
        server.advance(61)
        for conn in conns:
            root = conn.reply().xml
            assert errors(root) == [("1", 515), ("2", None)] and root[1].get("domain") == "harbor.example"
