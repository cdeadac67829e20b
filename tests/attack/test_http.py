# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The ximssd authors
"""Attacks on XIMSS over HTTP (security 2.2): stolen and forged ids, hosts, first bytes, floods. A clear status, bounded memory, and
nobody else notices."""
import random
import re
import select
import string

import pytest
from xhttp import Conn, Lost, Session, WebServer, parameters, request, xml_body
from ximss import PATIENCE, Client, Closed, wait_for

NOOP = xml_body('<noop id="1"/>')
DONE = b'<XIMSS><response id="1"/></XIMSS>'
LETTERS = string.ascii_letters + string.digits


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with WebServer(tmp_path_factory.mktemp("http"), tls=True, http="connections_per_address = 0",
                   server="workers = 2\nkeepers = 1\nchannels_per_address = 0\nchannels_per_client_address = 0\n",
                   conf="[domain second.example]\n[login]\nfail_delay = 0\nfail_account = 0\nmax_sessions_per_account = 1000\n") as s:
        yield s


@pytest.fixture
def other(server):
    """Somebody else, whose session has to go on as if nothing happened."""
    session = server.web_session()
    conn = server.web()
    before = server.children()
    yield session
    assert conn.ask("POST", session.target("sync"), NOOP).body == DONE
    assert server.children() == before


# --- ids

def test_stolen_ids(server, other):
    """From another address, or without the cookie: 550 for everything, and the owner does not notice."""
    bound = Session(server, server.login(EnableUseCookie=1))
    bound.fields = {"Cookie": "CGateProWebUser=" + bound.sync("<XIMSS/>").cookie}
    assert bound.sync("<XIMSS/>").status == 200
    for session, source, fields in ((other, "127.0.0.2", {}), (bound, None, {}), (bound, "127.0.0.2", bound.fields),
                                    (bound, None, {"Cookie": "CGateProWebUser=" + "A" * 20})):
        for method, what in (("POST", "sync"), ("POST", "async"), ("GET", ""), ("GET", "get"), ("POST", "KILL"), ("GET", "MIME/INBOX/1-P.txt")):
            reply = server.ask(method, session.target(what), NOOP if what.endswith("sync") else None, fields, source=source)
            assert reply.status == 550 and not reply.all("set-cookie"), (what, reply)
    assert bound.sync("<XIMSS/>").status == 200


def test_forged_banks(server, other):
    """The characters behind the hyphen say which bank: none of 1,500 other values finds anything, whatever bank it names."""
    number, secret = other.url_id.split("-")
    rng = random.Random(5)
    ids = ["%s-%s%s" % (number, a + b, secret[2:]) for a, b in (rng.choices(LETTERS, k=2) for _ in range(1000)) if a + b != secret[:2]]
    ids += ["%s-%s" % (number, "".join(rng.choices(LETTERS, k=20))) for _ in range(300)]
    ids += ["%d-%s" % (rng.randrange(100001, 1000000), secret) for _ in range(200)]
    conn = server.web()
    for ident in ids:
        if ident != other.url_id:
            assert conn.ask("POST", "/Session/%s/sync" % ident, NOOP).status == 550
            assert conn.ask("GET", "/Session/%s/?maxWait=20" % ident).status == 550


# --- hosts

GOOD = {"harbor.example": "harbor.example", "second.example": "second.example", "SECOND.EXAMPLE:80": "second.example", "": "harbor.example",
        "localhost": "harbor.example", "127.0.0.1:8100": "harbor.example", "[::1]": "harbor.example", "x" * 255: "harbor.example",
        "second.example.": None, "harbor.example.evil.example": "harbor.example", "xn--hrbor-gra.example": "harbor.example"}
BAD = ["second.example, harbor.example", "harbor.example second.example", "second.example/", "user@second.example", "second.example?x",
       "second.example#x", "\"second.example\"", "second.example:x", "second.example:99999999999", "[::1", "::1]", "h\x01st", "h\x7f", "%zz",
       "a\tb", "<second.example>", "second.example\\", "h\"ost"]


def realm(reply):
    return re.match(r'Basic realm="([^"]*)", charset="UTF-8"\Z', reply.field("www-authenticate")).group(1)


@pytest.mark.parametrize("host", GOOD)
def test_hosts(server, host):
    """The realm is one of our domains, never what the client says."""
    conn = server.web()
    conn.send(request("GET", "/XIMSSLogin/", host="Host: %s\r\n" % host))
    reply = conn.reply()
    assert reply.status == 401 and realm(reply) == (GOOD[host] or realm(reply)) and realm(reply) in ("harbor.example", "second.example")


@pytest.mark.parametrize("host", BAD)
def test_host_tricks(server, host):
    conn = server.web()
    conn.send(request("GET", "/XIMSSLogin/", host="Host: %s\r\n" % host))
    reply = conn.reply()
    assert reply.status == 400 or (reply.status == 401 and realm(reply) == "harbor.example"), reply
    assert host not in reply.body.decode()


@pytest.mark.parametrize("lines", ["Host: second.example\r\nHost: harbor.example\r\n", "Host: second.example\r\nhost: second.example\r\n",
                                   "Host : second.example\r\n", " Host: second.example\r\n", "Host: second.example\r\n x\r\n", ""])
def test_hosts_that_are_not_one(server, lines):
    conn = server.web()
    conn.send(request("GET", "/XIMSSLogin/", host=lines))
    reply = conn.reply()
    assert reply.status == 400 and conn.closed()


def test_absolute_target_and_another_host(server):
    conn = server.web()
    conn.send(request("GET", "http://second.example/XIMSSLogin/", host="Host: harbor.example\r\n"))
    assert conn.reply().status == 400


# --- first bytes

def everything_from(sock):
    """Up to the end, or the reset. A server that neither answers nor closes is an error."""
    data = b""
    try:
        while piece := sock.recv(65536):
            data += piece
    except TimeoutError:
        raise AssertionError("no end comes, behind %r" % data[:200]) from None
    except OSError:
        pass
    return data


@pytest.mark.parametrize("tls", [False, True], ids=["clear", "tls"])
def test_first_bytes_at_an_http_listener(server, other, tls):
    """`<` is XIMSS; of all others not one is, whatever follows it; none of them is left unanswered and open."""
    for byte in range(256):
        conn = server.web(tls=tls)
        conn.send(bytes([byte]) + b'noop id="1"/>\0\r\n\r\n')
        if byte == ord("<"):
            data = b""
            while b"\0" not in data and (piece := conn.sock.recv(100)):
                data += piece
            assert data == b'<response id="1"/>\0'
        else:
            data = everything_from(conn.sock)
            assert data == b"" or re.match(rb"HTTP/1\.1 (400|501|505|414) ", data), byte
            assert b"<response" not in data
        conn.close()


@pytest.mark.parametrize("tls", [False, True], ids=["clear", "tls"])
def test_first_bytes_at_an_ximss_listener(server, other, tls):
    """Nothing but `<` and white space begins a message there; never is there HTTP."""
    for byte in range(256):
        client = server.client(tls=tls)
        client.send_bytes(bytes([byte]) + (b"" if byte == ord("<") else b"<") + b'noop id="1"/>\0')
        if byte in b"< \t\r\n":
            assert client.raw() == b'<response id="1"/>', byte
        elif byte not in (0, 0xef):  # an empty message; a byte order mark begins with it
            try:
                client.raw()
                raise AssertionError(byte)
            except (Closed, ConnectionError):
                pass
        client.close()
    client = server.client(tls=tls)
    try:
        client.send_bytes(request("GET", "/XIMSSLogin/"))
        assert client.rest() == b""
    except ConnectionError:
        pass


def test_tls_at_a_clear_listener_and_the_other_way_round(server, other):
    conn = server.web()
    conn.send(b"\x16\x03\x01\x00\x05\x01\x00\x00\x01\x00\r\n\r\n")
    assert re.match(rb"HTTP/1\.1 400 |\Z", everything_from(conn.sock))
    conn = Conn(server.https_port)
    try:
        conn.send(request("GET", "/XIMSSLogin/"))
    except ConnectionError:
        pass
    assert b"HTTP" not in everything_from(conn.sock)
    conn = Conn(server.https_port)
    try:
        conn.send(b'<noop id="1"/>\0')
    except ConnectionError:
        pass
    assert b"response" not in everything_from(conn.sock)


# --- what is behind the first byte

@pytest.mark.parametrize("tail", [b"GET /XIMSSLogin/ HTTP/1.1\r\nHost: a\r\n\r\n", b'<noop id="1"/>\0', b"\0", b"<"])
def test_only_the_first_byte_counts(server, tail):
    """Once it is HTTP it stays HTTP; once XIMSS, XIMSS."""
    conn = server.web()
    assert conn.ask("GET", "/XIMSSLogin/").status == 401
    conn.send(tail + b"\r\n\r\n")
    data = everything_from(conn.sock) if not tail.startswith(b"GET") else b"%d" % conn.reply().status
    assert data == b"401" or re.match(rb"HTTP/1\.1 400 ", data)
    client = Client(("127.0.0.1", server.http_port))
    client.call('<noop id="1"/>')
    client.send_bytes(request("GET", "/XIMSSLogin/") + b"\0")
    assert client.recv().get("errorNum") == "501"


# --- floods

def memory(server):
    """Resident KiB of the workers together."""
    total = 0
    for name, pid in server.children().items():
        if name.startswith("worker"):
            with open("/proc/%d/status" % pid) as f:
                total += int(re.search(r"VmRSS:\s+(\d+)", f.read()).group(1))
    return total


def answers(server, session):
    conn = server.web()
    ok = conn.ask("POST", session.target("sync"), NOOP).body == DONE
    conn.close()
    return ok


def test_header_floods(server, other):
    """A head of any size and number of fields: 431, and no more memory than a head may have."""
    before = memory(server)
    for fields in ("X: y\r\n" * 100000, "".join("X%d: y\r\n" % i for i in range(65)), "X: %s\r\n" % ("y" * (1 << 20)), "X" * (1 << 20),
                   "Cookie: " + "a=b; " * 100000 + "\r\n"):
        for _ in range(10):
            conn = server.web()
            try:
                conn.send(request("GET", "/XIMSSLogin/", fields=fields))
            except ConnectionError:
                pass
            data = everything_from(conn.sock)
            assert data == b"" or data.startswith(b"HTTP/1.1 431 "), data[:100]
    assert answers(server, other)
    assert memory(server) - before < 8192


def test_slow_heads(server, other):
    """400 connections with a part of a head each: others are served, and it costs a head's memory each."""
    before = memory(server)
    conns = [server.web() for _ in range(400)]
    for conn in conns:
        conn.send(b"GET /XIMSSLogin/ HTTP/1.1\r\nHost: a\r\nX: " + b"y" * 8000)
    for conn in conns[::50]:
        assert conn.quiet(0.01)
    assert answers(server, other)
    used = memory(server) - before
    assert used < 400 * 16 + 8192, used  # KiB; [http] head is 16 KiB
    for conn in conns:
        conn.cut()
    wait_for(lambda: server.counters()["httpUserActive"] < 50)


def test_slow_bodies(tmp_path):
    """Bodies that do not end fill [limits] input_memory; more are 503, and who needs little is served."""
    with WebServer(tmp_path, http="connections_per_address = 0", server="workers = 1\n", conf="[limits]\nmessage = 1M\ninput_memory = 4M\n") as server:
        session = server.web_session()
        before = memory(server)
        conns, refused = [], 0
        for _ in range(80):
            conn = server.web()
            conns.append(conn)
            try:
                conn.send(request("POST", session.target("sync"), None, {"Content-Length": 1 << 20}) + b"x" * 100000)
            except ConnectionError:
                pass
        waiting = list(conns)

        def refuse():
            """Counts who has been told something by now."""
            nonlocal refused
            for conn in [c for c in waiting if select.select([c.sock], [], [], 0)[0]]:
                waiting.remove(conn)
                refused += 1
                try:
                    assert conn.reply().status == 503
                except (Lost, ConnectionError):
                    pass
            return refused
        wait_for(lambda: refuse() >= 80 - (4 << 20) // 100000)
        assert refused < 80
        assert memory(server) - before < 3 * 4096 + 4096
        assert wait_for(lambda: server.ask("GET", "/XIMSSLogin/").status == 401)
        for conn in conns:
            conn.cut()
        wait_for(lambda: server.ask("POST", session.target("sync"), NOOP).body == DONE)


def test_slow_readers(server, other):
    """Replies that nobody reads stay in the keeper once; connections cost a window each."""
    session = server.web_session()
    session.sync("".join('<mailboxCreate id="%d" mailbox="S%d"/>' % (i, i) for i in range(20)))
    big = xml_body("".join('<mailboxList id="%d" filter="*"/>' % i for i in range(1000)))
    assert session.sync(big, seq=1).status == 200
    before = memory(server)
    conns = [server.web() for _ in range(30)]
    for conn in conns:
        conn.send(request("POST", session.target("sync", reqSeq=1), big))
    assert answers(server, other) and answers(server, session)
    assert memory(server) - before < 30 * 768 + 8192
    assert all(conn.reply().status == 200 for conn in conns[:2])
    for conn in conns:
        conn.cut()


def test_endless_pipeline_without_reading(server, other):
    """The server stops reading who does not read."""
    conn = server.web()
    conn.sock.settimeout(2)
    data = request("GET", "/XIMSSLogin/") * 200
    sent = 0
    try:
        while sent < 64 << 20:
            sent += conn.sock.send(data)
    except (TimeoutError, ConnectionError):
        pass
    assert sent < 64 << 20
    assert answers(server, other)
    conn.cut()


def test_markup_in_names(server):
    """What a client says comes back escaped or not at all."""
    for text in ('<script>alert(1)</script>', '"><x y="', "\r\nSet-Cookie: a=b", "]]>", "&#0;"):
        query = parameters({"userName": text, "password": text})
        for target in ("/XIMSSLogin/?" + query, "/XIMSSLogin/?errorAsXML=1&" + query, "/Session/%s/sync" % parameters({"": text})[1:],
                       "/" + parameters({"": text})[1:]):
            reply = server.ask("GET", target)
            assert reply.status in (200, 400, 403, 404, 550) and not reply.all("set-cookie")
            assert text.strip() not in reply.body.decode()
