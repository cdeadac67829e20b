# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The ximssd authors
"""What storms have found, each alone: one thing ends while another uses it. Some of it only a sanitizer sees."""
import pytest
from shmread import doing
from upgradable import Upgradable
from xhttp import Conn, WebServer, errors, request, xml_body
from ximss import wait_for

BOXES, MEGA = 100, 1 << 20


@pytest.fixture
def server(tmp_path):
    with WebServer(tmp_path, server="workers = 1\nkeepers = 1\n") as s:
        yield s


def filled(server):
    """A session of somebody who has many mailboxes."""
    session = server.web_session()
    session.sync("".join('<mailboxCreate id="%d" mailbox="%s %d"/>' % (i, "long name " * 5, i) for i in range(BOXES)))
    return session


LISTS = "".join('<mailboxList id="%d" filter="*"/>' % i for i in range(3000))


@pytest.mark.parametrize("polls", [False, True], ids=["alone", "polled"])
def test_sigterm_while_a_batch_runs(server, polls):
    """The session goes first, then what waits for it."""
    session = filled(server)
    if polls:
        session.waiting_poll(0, 60)
    for seq in (1, 2):
        conn = server.web()
        conn.send(request("POST", session.target("async" if seq == 1 else "sync", reqSeq=seq), xml_body(LISTS)))
        if seq == 1:
            assert conn.reply().status == 200
    wait_for(lambda: doing(server, session.url_id) == "listing mailboxes", pause=0.001)
    assert server.stop() == 0


def test_a_writer_whose_queue_runs_over(server):
    """The answers that wait for a poll become too many just before a request that writes: the session ends, and that alone."""
    server.rewrite(server="workers = 1\nkeepers = 1\n", http="reply = %d\n" % MEGA)
    assert server.reload() == ""
    for n in range(3):
        session = filled(server) if n == 0 else server.web_session()
        one = len(session.sync('<mailboxList id="l" filter="*"/>').body) + 20
        lists = "".join('<mailboxList id="l" filter="*"/>' for _ in range((MEGA - 30000) // one))
        # whose answer is far longer than that of a write
        pairs = "".join('<noop id="%0200d"/><mailboxCreate id="c" mailbox="more %d"/>' % (i, i) for i in range(600))
        assert session.async_(lists + pairs, seq=1).status == 200
        wait_for(lambda s=session: s.sync("<XIMSS/>").status == 550)
    assert errors(server.web_session().sync('<noop id="n"/>').xml) == [("n", None)]
    assert "ended by signal" not in server.log()


class WebUpgradable(Upgradable, WebServer):
    pass


def test_connections_that_have_not_asked_yet(tmp_path):
    """An upgrade takes their worker: each is answered once all the same; then it ends, as any that is idle."""
    slow = "[tls]\nhandshake_timeout = 2m\n"  # the silent ones have to wait for the upgrade
    with WebUpgradable(tmp_path, tls=True, server="workers = 2\n", conf=slow) as server:
        fresh = [server.web() for _ in range(4)] + [server.web(tls=True) for _ in range(4)]
        silent = [Conn(server.https_port) for _ in range(4)]  # not even a ClientHello
        idle = server.web()
        assert idle.ask("GET", "/XIMSSLogin/").stays
        server.upgrade()
        server.said("the new workers serve")
        assert idle.closed()
        for conn in silent:
            conn.sock = server.tls_context().wrap_socket(conn.sock, suppress_ragged_eofs=False)
        for conn in fresh + silent:
            reply = conn.ask("GET", "/XIMSSLogin/")
            assert reply.status == 401 and not reply.stays and conn.closed()
