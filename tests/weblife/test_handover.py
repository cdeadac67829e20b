# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The ximssd authors
"""A connection to an HTTP port that begins with `<` (protocol 1, 4.12): passed to XIMSS, with its limits, counters and log lines."""
import re

import pytest
from xhttp import WebServer
from ximss import Client, alive, wait_for

POLICY = b'<cross-domain-policy><allow-access-from domain="*" to-ports="*"/></cross-domain-policy>\0'


class AllThroughHttp(WebServer):
    """The XIMSS listener is off (4.12)."""

    def _write_conf(self, conf, server):
        port, self.port = self.port, 0
        super()._write_conf(conf, server)
        self.port = port


@pytest.fixture
def server(tmp_path):
    with WebServer(tmp_path, tls=True, server="workers = 2\nlog_level = low\n") as s:
        yield s


def over_http(server, tls=False, **more):
    if tls:
        return Client(("127.0.0.1", server.https_port), tls=server.tls_context(), **more)
    return Client(("127.0.0.1", server.http_port), **more)


def counted(server, *names):
    counters = server.counters()
    return [counters[n] for n in names]


@pytest.mark.parametrize("tls", [False, True], ids=["clear", "tls"])
def test_an_ordinary_connection(server, tls):
    client = over_http(server, tls)
    assert client.login().get("userName") == "dora@harbor.example"
    client.call('<mailboxCreate id="1" mailbox="A"/>')
    server.deliver("From: ann@example.org\r\nSubject: x\r\n\r\ny\r\n")
    client.call('<folderOpen id="2" mailbox="INBOX" folder="F"><field>Subject</field></folderOpen>')
    server.deliver("From: ann@example.org\r\nSubject: x\r\n\r\ny\r\n")
    assert client.raw() == b'<folderReport folder="F" mode="notify"/>'
    client.send('<bye id="3"/>')
    assert client.raw() == b'<response id="3"/>' and client.closed()


@pytest.mark.parametrize("tls", [False, True], ids=["clear", "tls"])
def test_counters(server, tls):
    """It leaves those of HTTP and enters those of XIMSS."""
    names = ("ximssActive", "ximssTotal", "ximssPassed", "httpUserActive", "httpUserTotal")
    before = counted(server, *names)
    client = over_http(server, tls)
    assert alive(client)
    assert [b - a for a, b in zip(before, counted(server, *names))] == [1, 1, 1, 0, 1]
    client.close()
    wait_for(lambda: counted(server, "ximssActive") == [0])
    assert counted(server, "ximssPassed", "httpUserActive") == [1, 0]


def test_log_lines(server):
    """One on each side; the new job has an XIMSS id and tag."""
    client = over_http(server)
    assert alive(client)
    log = wait_for(lambda: (lambda text: " passed to " in text and text)(server.log()))
    (passed,) = re.findall(r" 2 HTTPU-(\d{6})\(\[127\.0\.0\.1\]\) connection passed to XIMSSI-(\d{6})", log)
    assert passed[0] != passed[1]
    assert re.search(r" 2 XIMSSI-%s\(\[127\.0\.0\.1\]\) " % passed[1], log)
    row = server.row(id=int(passed[1]))
    assert row["status"] == "authenticating"
    session = client.login()
    assert session.get("urlID").startswith(passed[1] + "-")


@pytest.mark.parametrize("tls", [False, True], ids=["clear", "tls"])
@pytest.mark.parametrize("cuts", [[1], [1, 2, 3], []])
def test_pieces(server, tls, cuts):
    """The first byte stays in the buffer, however the message is cut; what is pipelined behind it too."""
    client = over_http(server, tls)
    data = b'<noop id="1"/>\0<login id="2" authData="dora" password="correct-horse"/>\0<noop id="3"/>\0<bye id="4"/>\0'
    at = 0
    for cut in [*cuts, len(data)]:
        client.send_bytes(data[at:cut])
        at = cut
    assert client.raw() == b'<response id="1"/>'
    messages, _ = client.until_response("2")
    assert [m.tag for m in messages] == ["session"]
    assert client.raw() == b'<response id="3"/>' and client.raw() == b'<response id="4"/>' and client.closed()


def test_policy_file_request(server):
    client = over_http(server)
    client.send("<policy-file-request/>")
    assert client.rest() == POLICY


def test_no_starttls_there(server):
    """An HTTP port is clear or TLS; what cannot be done is not offered."""
    for tls, why in ((False, "TLS is not available"), (True, "TLS is already active")):
        client = over_http(server, tls)
        messages, _ = client.call('<listFeatures id="f"/>')
        assert messages[0].find("starttls") is None
        assert client.fail('<starttls id="t"/>') == (501, why)
        client.login()


def test_limit_of_channels(tmp_path):
    """Those of XIMSS hold from then on, for both ways in together; over it: closed, without a byte."""
    with WebServer(tmp_path, server="channels = 3\nworkers = 2\n") as server:
        clients = [over_http(server), server.client(), over_http(server)]
        assert all(alive(c) for c in clients)
        rejected = counted(server, "ximssRejected")[0]
        for way in (over_http, WebServer.client):
            assert not alive(way(server))
        assert server.ask("GET", "/XIMSSLogin/").status == 401  # HTTP has limits of its own
        assert counted(server, "ximssRejected")[0] == rejected + 2
        clients.pop(0).close()
        clients.append(wait_for(lambda: (lambda c: alive(c) and c)(over_http(server))))
        assert not alive(server.client())
        assert all(alive(c) for c in clients)


def test_limit_of_one_address(tmp_path):
    with WebServer(tmp_path, server="channels_per_address = 2\nclient_addresses = 10.0.0.0/8\nworkers = 2\n") as server:
        clients = [over_http(server), server.client()]
        assert all(alive(c) for c in clients)
        assert not alive(over_http(server)) and not alive(server.client())
        assert alive(over_http(server, source="127.0.0.2"))
        assert all(alive(c) for c in clients)


def test_limit_of_http_does_not_hold_for_what_was_passed(tmp_path):
    """It has left the HTTP counters."""
    with WebServer(tmp_path, http="connections_per_address = 2", server="workers = 2\n") as server:
        clients = []
        for _ in range(6):
            clients.append(over_http(server))
            assert alive(clients[-1])
        assert server.ask("GET", "/XIMSSLogin/").status == 401


def test_a_dead_worker_gives_places_back(tmp_path):
    with WebServer(tmp_path, server="channels = 4\nworkers = 1\n") as server:
        clients = [over_http(server) for _ in range(4)]
        assert all(alive(c) for c in clients) and not alive(over_http(server))
        old = server.kill("worker 1")
        wait_for(lambda: server.children().get("worker 1") not in (None, old))
        for _ in range(4):
            clients.append(wait_for(lambda: (lambda c: alive(c) and c)(over_http(server))))
        assert not alive(over_http(server))


# --- everybody connects this way

@pytest.mark.parametrize("tls", [False, True], ids=["clear", "tls"])
def test_the_ximss_listener_is_off(tmp_path, tls):
    """All ports of it are 0; mail, sessions over both bindings, a reload and an upgrade of the number of channels."""
    with AllThroughHttp(tmp_path, tls=True, server="workers = 2\nchannels = 5\n") as server:
        clients = [over_http(server, tls) for _ in range(5)]
        for client in clients:
            client.login()
        assert not alive(over_http(server, tls))
        web = server.web_session()
        assert web.sync('<noop id="1"/>').body == b'<XIMSS><response id="1"/></XIMSS>'
        clients[0].call('<folderOpen id="2" mailbox="INBOX" folder="F"><field>Subject</field></folderOpen>')
        server.deliver("From: ann@example.org\r\nSubject: x\r\n\r\ny\r\n")
        assert clients[0].raw() == b'<folderReport folder="F" mode="notify"/>'
        assert server.reload() == ""
        assert all(alive(c) for c in clients)
        clients[1].send('<bye id="b"/>')
        assert clients[1].raw() == b'<response id="b"/>'
        assert wait_for(lambda: (lambda c: alive(c) and c)(over_http(server, tls)))
