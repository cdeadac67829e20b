# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The ximssd authors
"""HTTP itself: protocol 1, 4.11, and the URLs of 4.1."""
import http.client
import socket

import pytest
from settled import settle
from xhttp import Lost, WebServer, parameters, request, xml_body
from ximss import wait_for

NOOP = xml_body('<noop id="1"/>')
DONE = b'<XIMSS><response id="1"/></XIMSS>'
EMPTY = b"<XIMSS></XIMSS>"
LIST = xml_body('<listFeatures id="f"/>')


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with WebServer(tmp_path_factory.mktemp("details"), tls=True, server="workers = 2\n", conf="[login]\nmax_sessions_per_account = 1000\n") as s:
        yield s


@pytest.fixture(scope="module")
def session(server):
    return server.web_session()


# --- URLs and methods

@pytest.mark.parametrize("path", ["/", "/x", "/sys/sessionadmin.wcgp", "/XIMSSLogin/x", "/XIMSSLogin//", "/XIMSSLoginx", "/Session", "/Session/",
                                  "/Session//sync", "//XIMSSLogin/", "/index.html", "/~dora/", "/favicon.ico", "/robots.txt", "/WebMail/"])
def test_404(server, path):
    conn = server.web()
    for method in ("GET", "HEAD"):
        reply = conn.ask(method, path)
        assert reply.status == 404 and reply.stays
    reply = conn.ask("POST", path, "x=y")
    assert reply.status == 404


def test_404_of_a_session(server, session):
    for word in ("", "?x=y"):
        for path in ("fry", "syn", "syncx", "sync/x", "ws/x", "KILLx", "MIME", "x/y/z"):
            assert server.ask("GET", session.base + path + word).status == 404, path
    assert session.sync("<XIMSS/>").body == EMPTY


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "PROPFIND", "TRACE", "LOCK", "REPORT"])
def test_405(server, session, method):
    conn = server.web()
    for target in ("/XIMSSLogin/", session.target("sync"), session.target("async"), session.target()):
        reply = conn.ask(method, target)
        assert reply.status == 405 and reply.stays
        assert {"GET", "POST"} <= set(reply.field("allow").replace(" ", "").split(","))


@pytest.mark.parametrize("method", ["FRY", "get", "Post", "CONNECT", "G"])
def test_unknown_methods(server, method):
    conn = server.web()
    conn.send(request(method, "/XIMSSLogin/"))
    assert conn.reply().status in (400, 405, 501)


def test_head(server, session):
    """A head without a body; nothing is done for it."""
    conn = server.web()
    sessions = server.counters()["ximssSessionsTotal"]
    assert conn.ask("HEAD", "/XIMSSLogin/?userName=dora&password=correct-horse").status == 405
    assert conn.ask("HEAD", session.target("sync")).status == 405
    assert conn.ask("HEAD", "/nowhere").status == 404
    assert conn.ask("HEAD", "/XIMSSLogin/").field("content-length") == str(len("Method Not Allowed"))
    assert conn.ask("POST", session.target("sync"), NOOP).body == DONE
    assert server.counters()["ximssSessionsTotal"] == sessions


def test_absolute_targets(server, session):
    """RFC 9112, 3.2.2."""
    assert server.ask("POST", "http://harbor.example" + session.target("sync"), NOOP).body == DONE


@pytest.mark.parametrize("path", ["%53ession", "Sess%69on"])
def test_escapes_in_paths(server, session, path):
    assert server.ask("POST", session.target("sync").replace("Session", path), NOOP).body == DONE


# --- CORS

def test_preflight(server, session):
    """4.11, to the byte; no session is needed, nor harmed."""
    conn = server.web()
    for target in ("/XIMSSLogin/", "/Session/x/sync?reqSeq=1", session.target("sync", reqSeq=1), session.target("KILL"), "*"):
        reply = conn.ask("OPTIONS", target, fields={"Origin": "https://mail.example.org", "Access-Control-Request-Method": "POST",
                                                    "Access-Control-Request-Headers": "content-type"})
        assert reply.status == 204 and reply.body == b"" and reply.stays
        assert reply.field("access-control-allow-origin") == "*"
        assert reply.field("access-control-allow-methods") == "GET, POST, HEAD, OPTIONS"
        assert reply.field("access-control-allow-headers") == "Content-Type, Authorization"
        assert reply.field("access-control-max-age") == "86400"
        assert reply.field("access-control-allow-credentials") is None
    assert session.sync('<noop id="1"/>').body == DONE


def test_any_origin(server, session):
    for target, body in (("/XIMSSLogin/", LIST), (session.target("sync"), NOOP), (session.target("async"), NOOP),
                         ("/Session/100001-aaaaaaaaaaaaaaaaaaaa/sync", NOOP), (session.target("sync"), "<X"), ("/XIMSSLogin/?userName=x", None)):
        for fields in ({}, {"Origin": "https://mail.example.org"}, {"Origin": "null"}):
            assert server.ask("POST", target, body, fields).field("access-control-allow-origin") == "*"


def test_listed_origins(tmp_path):
    origins = "https://mail.example.org http://localhost:8080"
    with WebServer(tmp_path, http="origins = " + origins) as server:
        session = server.web_session()
        conn = server.web()
        for origin in origins.split():
            for method in ("OPTIONS", "POST"):
                reply = conn.ask(method, session.target("sync"), NOOP, {"Origin": origin})
                assert reply.field("access-control-allow-origin") == origin and "Origin" in reply.field("vary")
        for origin in ("https://mail.example.org.evil.example", "http://mail.example.org", "https://mail.example.or", "null", "*",
                       "https://mail.example.org:443x", "https://MAIL", "https://mail.example.org http://localhost:8080", ""):
            for method in ("OPTIONS", "POST"):
                reply = conn.ask(method, session.target("sync"), NOOP, {"Origin": origin})
                assert reply.field("access-control-allow-origin") is None, origin
                assert reply.status == (204 if method == "OPTIONS" else 200)
        assert conn.ask("POST", session.target("sync"), NOOP).field("access-control-allow-origin") is None
        server.rewrite(http="origins =")
        assert server.reload() == ""
        reply = server.ask("POST", session.target("sync"), NOOP, {"Origin": "https://mail.example.org"})
        assert reply.body == DONE and reply.field("access-control-allow-origin") is None


# --- bodies

@pytest.mark.parametrize("kind", ["text/xml", "text/xml; charset=utf-8", "application/xml", "application/json", "", "x", "multipart/form-data"])
def test_rule_11_content_types(session, kind):
    assert session.post("sync", '<noop id="1"/>', fields={"Content-Type": kind}).body == DONE


def chunked(body, sizes):
    out, at = b"", 0
    for n in sizes:
        piece = body[at:at + n]
        at += n
        if piece:
            out += b"%x\r\n%s\r\n" % (len(piece), piece)
    piece = body[at:]
    return out + (b"%x\r\n%s\r\n" % (len(piece), piece) if piece else b"") + b"0\r\n\r\n"


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("sizes", [[], [1], [1] * 100, [5, 7, 100]])
def test_chunked_requests(server, session, method, sizes):
    conn = server.web()
    head = request(method, session.target("sync"), None, {"Transfer-Encoding": "chunked"})
    for _ in range(2):
        conn.send(head + chunked(NOOP.encode(), sizes))
        assert conn.reply().body == DONE


@pytest.mark.parametrize("step", [1, 3, 64])
def test_requests_in_pieces(server, session, step):
    conn = server.web()
    data = request("POST", session.target("sync"), NOOP) + request("POST", session.target("sync"), None, {"Transfer-Encoding": "chunked"}) + \
        chunked(NOOP.encode(), [9, 9])
    for at in range(0, len(data), step):
        conn.send(data[at:at + step])
    assert [conn.reply().body for _ in range(2)] == [DONE] * 2


@pytest.mark.parametrize("tls", [False, True], ids=["clear", "tls"])
def test_expect(server, session, tls):
    """100 before the body, then the reply; without waiting for it too; not where the head is enough to refuse."""
    conn = server.web(tls=tls)
    for _ in range(2):
        conn.send(request("POST", session.target("sync"), None, {"Expect": "100-continue", "Content-Length": len(NOOP)}))
        assert conn.head()[0] == 100
        conn.send(NOOP)
        assert conn.reply().body == DONE
    conn.send(request("POST", session.target("sync"), NOOP, {"Expect": "100-Continue"}))
    head = conn.head()[0]
    assert head == 100 and conn.reply().body == DONE
    for target, status in (("/nowhere", 404), (session.target("sync"), 413)):
        other = server.web(tls=tls)
        other.send(request("POST", target, None, {"Expect": "100-continue", "Content-Length": 99999999}))
        reply = other.reply()
        assert reply.status == status and not reply.stays and other.closed()


def test_413(server, session):
    """For what is announced and for what comes: 16 MiB in a session, 64 KiB before login."""
    for target, n in ((session.target("sync"), (16 << 20) + 1), ("/XIMSSLogin/", 65537)):
        conn = server.web()
        conn.send(request("POST", target, None, {"Content-Length": n}))
        reply = conn.reply()
        assert reply.status == 413 and not reply.stays
    conn = server.web()
    conn.send(request("POST", "/XIMSSLogin/", None, {"Transfer-Encoding": "chunked"}))
    try:
        conn.send(b"10000\r\n" + b" " * 65536 + b"\r\n1\r\n \r\n0\r\n\r\n")
    except ConnectionError:
        pass
    reply = conn.reply()
    assert reply.status == 413 and not reply.stays


@pytest.mark.parametrize("size, status", [(65535, 200), (65536, 200), (65537, 413)])
def test_before_login(server, size, status):
    body = "<XIMSS>" + " " * (size - len(LIST)) + LIST[len("<XIMSS>"):]
    assert len(body) == size
    conn = server.web()
    try:
        conn.send(request("POST", "/XIMSSLogin/", body))
    except ConnectionError:
        pass
    assert conn.reply().status == status


# --- heads

def test_head_limits(tmp_path):
    """[http] head and fields: at n - 1, n, n + 1."""
    with WebServer(tmp_path, http="head = 4k\nfields = 20") as server:
        for size, status in ((4095, 401), (4096, 401), (4097, 431)):
            data = request("GET", "/XIMSSLogin/", fields={"X": ""})
            data = data.replace(b"X: ", b"X: " + b"y" * (size - len(data)))
            conn = server.web()
            conn.send(data)
            reply = conn.reply()
            assert len(data) == size and reply.status == status and reply.stays == (status == 401)
        for count, status in ((19, 401), (20, 401), (21, 431)):
            conn = server.web()
            conn.send(request("GET", "/XIMSSLogin/", fields="".join("X%d: y\r\n" % i for i in range(count - 1))))
            assert conn.reply().status == status


@pytest.mark.parametrize("data, status", [
    (b"GET /XIMSSLogin/ HTTP/1.1\r\n\r\n", 400), (b"GET  /XIMSSLogin/ HTTP/1.1\r\nHost: a\r\n\r\n", 400), (b"\0\r\n\r\n", 400),
    (b"GET /XIMSSLogin/ HTTP/2.0\r\nHost: a\r\n\r\n", 505), (b"GET /XIMSSLogin/ HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400),
    (b"GET /XIMSSLogin/ HTTP/1.1\nHost: a\n\n", 400), (b"POST /XIMSSLogin/ HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n", 400),
    (b"POST /XIMSSLogin/ HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
    (b"GET /XIMSSLogin/ HTTP/1.1\r\nHost: a/b\r\n\r\n", 400), (b"GET XIMSSLogin/ HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    (b"GET /%zz HTTP/1.1\r\nHost: a\r\n\r\n", 400), (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n", 501)])
def test_bad_requests(server, data, status):
    """Answered, closed."""
    conn = server.web()
    conn.send(data)
    reply = conn.reply()
    assert reply.status == status and reply.text
    if status != 400 or b"%zz" not in data:
        assert not reply.stays and conn.closed()


# --- connections

def test_keep_alive(server, session):
    conn = server.web()
    for i in range(100):
        body = '<noop id="%d"/>' % i
        reply = conn.ask("POST", session.target("sync", reqSeq=1000 + i), xml_body(body))
        assert reply.stays and reply.body == b'<XIMSS><response id="%d"/></XIMSS>' % i


@pytest.mark.parametrize("version, fields, stays", [("1.1", {}, True), ("1.1", {"Connection": "close"}, False), ("1.1", {"Connection": "x, Close"}, False),
                                                    ("1.1", {"Connection": "Keep-Alive"}, True), ("1.0", {}, False),
                                                    ("1.0", {"Connection": "keep-alive"}, True), ("1.0", {"Connection": "close"}, False)])
def test_who_ends_it(server, session, version, fields, stays):
    conn = server.web()
    for target, body in ((session.target("sync"), NOOP), ("/XIMSSLogin/", LIST)):
        reply = conn.ask("POST", target, body, fields, version=version)
        assert reply.status == 200 and reply.stays == stays
        if not stays:
            assert conn.closed()
            conn = server.web()


def test_http_1_0_without_host(server, session):
    conn = server.web()
    assert conn.ask("POST", session.target("sync"), NOOP, version="1.0", host="").body == DONE


def test_pipelining_in_order(server, session):
    """Whatever they are about, and whoever has to be asked for them; one that waits holds back the later ones of its connection."""
    one = server.web_session()
    conn = server.web()
    conn.send(request("POST", one.target("sync", reqSeq=1), NOOP) + request("GET", "/nowhere") +
              request("POST", "/XIMSSLogin/", LIST) + request("GET", one.target(ackSeq=0)) + request("OPTIONS", "/XIMSSLogin/") +
              request("GET", "/XIMSSLogin/?errorAsXML=1&" + parameters({"userName": "dora", "password": "correct-horse"})) +
              request("POST", one.target("async", reqSeq=2), NOOP) + request("GET", one.target(ackSeq=0, maxWait=20)) +
              request("POST", one.target("KILL")) + request("POST", one.target("sync"), NOOP))
    replies = [conn.reply() for _ in range(10)]
    assert [r.status for r in replies] == [200, 404, 200, 200, 204, 200, 200, 200, 200, 550]
    assert replies[0].body == DONE and replies[2].xml[0].tag == "features" and replies[3].body == EMPTY
    assert replies[5].xml[0].tag == "session" and replies[6].body == b"" and replies[7].body == b'<XIMSS respSeq="1"><response id="1"/></XIMSS>'


def test_a_long_pipeline(server, session):
    conn = server.web()
    count = 1000
    conn.sock.setblocking(True)
    data = b"".join(request("POST", session.target("sync"), '<XIMSS><noop id="%d"/></XIMSS>' % i) for i in range(count))
    sent = 0
    for i in range(count):
        if sent < len(data):
            sent += conn.sock.send(data[sent:sent + 4096])
        assert conn.reply().body == b'<XIMSS><response id="%d"/></XIMSS>' % i


def test_half_close(server, session):
    """What was received is answered, then the end."""
    conn = server.web()
    conn.send(request("POST", session.target("sync"), NOOP) * 3)
    conn.sock.shutdown(socket.SHUT_WR)
    assert [conn.reply().body for _ in range(3)] == [DONE] * 3
    assert conn.closed()


def test_cr_lf_before_a_request(server, session):
    conn = server.web()
    assert conn.ask("POST", session.target("sync"), NOOP).body == DONE
    conn.send(b"\r\n" + request("POST", session.target("sync"), NOOP))
    assert conn.reply().body == DONE


def test_upgrade_is_ignored(server, session):
    """WebSocket comes later (4.11)."""
    reply = session.post("sync", '<noop id="1"/>', fields={"Connection": "Upgrade, keep-alive", "Upgrade": "websocket"})
    assert reply.body == DONE
    assert session.post("sync", '<noop id="1"/>', fields={"Connection": "Upgrade, HTTP2-Settings", "Upgrade": "h2c"}).body == DONE


@pytest.mark.parametrize("accept", ["gzip", "deflate, br", "*", "identity;q=0"])
def test_never_compressed_unasked_nor_asked(session, accept):
    reply = session.post("sync", '<noop id="1"/>', fields={"Accept-Encoding": accept, "Accept": "application/json", "TE": "trailers, deflate"})
    assert reply.body == DONE


def test_another_client_agrees(server, session):
    """Python's http.client, with pieces, and with a body of unknown length."""
    client = http.client.HTTPConnection("127.0.0.1", server.http_port, timeout=60)
    for body, more in ((NOOP, {}), (iter([b"<XIMSS>", b'<noop id="1"/>', b"</XIMSS>"]), {"encode_chunked": True})):
        client.request("POST", session.target("sync"), body, {"Transfer-Encoding": "chunked"} if more else {}, **more)
        reply = client.getresponse()
        assert reply.status == 200 and reply.read() == DONE and not reply.will_close
    client.request("POST", "/Session/100001-aaaaaaaaaaaaaaaaaaaa/sync", NOOP)
    reply = client.getresponse()
    assert reply.status == 550 and reply.reason == "you have been disconnected" and reply.read() == b"you have been disconnected"


# --- times

@pytest.fixture(scope="module")
def timed(tmp_path_factory):
    with WebServer(tmp_path_factory.mktemp("times"), http="session_idle = 1h", tls=True, clock=True) as s:
        yield s


SLACK = 20  # seconds: more than a moved clock gains by itself before the test looks


@pytest.mark.parametrize("part", [1, 20, 70])
def test_time_for_a_head(timed, part):
    """30 s from its first byte; 408."""
    conn = timed.web()
    timed.send_and_see(conn, request("GET", "/XIMSSLogin/?a=b&c=d&e=f&g=h&i=j", fields={"X": "y" * 50})[:part])
    timed.advance(30 - SLACK)
    assert conn.quiet(0.1)
    timed.advance(SLACK)
    reply = conn.reply()
    assert reply.status == 408 and not reply.stays and conn.closed()


def test_time_for_a_body(timed):
    session = timed.web_session()
    conn = timed.web()
    timed.send_and_see(conn, request("POST", session.target("sync"), None, {"Content-Length": 200}) + b"<XIMSS>")
    timed.advance(30 - SLACK)
    timed.send_and_see(conn, b"     ")
    assert conn.quiet(0.1)
    timed.advance(SLACK)
    reply = conn.reply()
    assert reply.status == 408 and not reply.stays and conn.closed()


def test_a_body_that_comes_in_time(timed):
    """The time is for 64 KiB each."""
    session = timed.web_session()
    conn = timed.web()
    timed.send_and_see(conn, request("POST", session.target("sync"), None, {"Content-Length": 5 * 65536}))
    body = '<XIMSS><noop id="1"/>'.encode()
    body += b" " * (5 * 65536 - len(body) - len("</XIMSS>")) + b"</XIMSS>"
    for at in range(0, len(body), 65536):
        timed.advance(30 - SLACK)
        assert conn.quiet(0.1)
        timed.send_and_see(conn, body[at:at + 65536])
    assert conn.reply().body == DONE


def test_idle_connections(timed):
    """120 s, new ones and used ones; no answer to nothing."""
    session = timed.web_session()
    wait_for(lambda: timed.counters()["httpUserActive"] == 0)
    used, new, first = timed.web(), timed.web(), timed.web(tls=True)
    assert used.ask("POST", session.target("sync"), NOOP).body == DONE
    wait_for(lambda: timed.counters()["httpUserActive"] == 3)
    settle(timed)  # the handshake is over for the server, too
    timed.advance(120 - SLACK)
    assert used.quiet(0.1) and new.quiet(0.1) and first.quiet(0.1)
    timed.advance(SLACK)
    assert used.closed() and new.closed() and first.closed()


def test_a_poll_is_not_idle(timed):
    session = timed.web_session()
    conn = session.waiting_poll(0, 280)
    timed.advance(200)
    assert conn.quiet(0.1)
    timed.advance(81)
    assert conn.reply().body == EMPTY
    assert conn.ask("POST", session.target("sync"), NOOP).body == DONE


def test_times_in_real_time(tmp_path):
    """The twin that no clock is moved for."""
    with WebServer(tmp_path, http="head_timeout = 1s\nbody_timeout = 1s\nkeep_alive = 1h\nmax_wait = 1s") as server:
        session = server.web_session()
        head, body, poll = (server.web() for _ in range(3))
        head.send(b"GET /XIMSS")
        body.send(request("POST", session.target("sync"), None, {"Content-Length": 5}) + b"<")
        poll.send(session.poll_request(0, 20))
        assert head.reply().status == 408 and body.reply().status == 408
        assert poll.reply().body == EMPTY
        server.rewrite(http="keep_alive = 1s")
        assert server.reload() == ""
        assert server.web().closed()


def test_connections_from_one_address(tmp_path):
    """[http] connections_per_address, at n and n + 1: closed at once, without a byte."""
    with WebServer(tmp_path, http="connections_per_address = 3") as server:
        conns = [server.web() for _ in range(3)]
        assert [c.ask("GET", "/XIMSSLogin/").status for c in conns] == [401] * 3
        with pytest.raises((Lost, ConnectionError)):
            server.web().ask("GET", "/XIMSSLogin/")
        assert server.web(source="127.0.0.2").ask("GET", "/XIMSSLogin/").status == 401
        conns[0].close()
        wait_for(lambda: served(server))


def served(server):
    try:
        return server.ask("GET", "/XIMSSLogin/").status == 401
    except (Lost, ConnectionError):
        return False


def test_connections_of_the_server(tmp_path):
    with WebServer(tmp_path, http="connections = 3") as server:
        conns = [server.web(source="127.0.0.%d" % (i + 2)) for i in range(3)]
        assert [c.ask("GET", "/XIMSSLogin/").status for c in conns] == [401] * 3
        assert not served(server)
        for conn in conns:
            conn.cut()
        wait_for(lambda: served(server))
        wait_for(lambda: server.counters()["httpUserActive"] == 0)


def test_counters(server, session):
    """9.2: gauges go back to where they were, traffic is counted to the byte."""
    wait_for(lambda: server.nobody_waits() and server.counters()["httpUserActive"] == 0)
    before = server.counters()
    data = request("POST", session.target("sync"), NOOP, {"Connection": "close"})
    conn = server.web()
    conn.send(data)
    got = b""
    while piece := conn.sock.recv(65536):
        got += piece
    wait_for(lambda: server.counters()["httpUserActive"] == 0)
    after = server.counters()
    assert after["httpUserTotal"] - before["httpUserTotal"] == 1
    assert after["httpUserTrafficIn"] - before["httpUserTrafficIn"] == len(data)
    assert after["httpUserTrafficOut"] - before["httpUserTrafficOut"] == len(got)
    assert after["ximssRequests"] - before["ximssRequests"] == 1
