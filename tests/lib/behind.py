# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The ximssd authors
"""The tests that every proxy has to pass: the HTTP binding (protocol 1, section 4) through it, over TLS that ends there, and
who the client is. A module of tests/proxy makes a class of them, with `start` and, if need be, `port`.
"""
import base64
import hashlib
import hmac
import json
import random
import urllib.parse
from email import policy
from email.message import EmailMessage

import pytest
from proxied import LOST, Conn, Relay, batch, make_certificate, xml
from ximss import Server, free_port, wait_for

GONE = (550, "you have been disconnected", b"you have been disconnected")
LOGIN = "/XIMSSLogin/?errorAsXML=1&"
MINE = "userName=dora%40harbor.example&password=correct-horse"
WRONG = "userName=dora%40harbor.example&password=wrong-horse"
FORM = ("Content-Type", "application/x-www-form-urlencoded")
CONF = """[listener web]
protocol = http
address = 127.0.0.1:%d
[listener proxied]
protocol = http
address = 127.0.0.1:%d
proxy_protocol = yes
[http]
trusted_proxies = 127.0.0.1
[domain safe.example]
clear_login = no
[login]
cram = yes
fail_delay = 0
fail_address = 5
hash_cost = 1
"""
MESSAGE = "From: ann@example.org\r\nTo: dora@harbor.example\r\nSubject: %s\r\n\r\nHello.\r\n"


class World:
    """The server, the relays to it, and what stands in front."""

    def __init__(self, folder, start):
        self.web, self.proxied = free_port(), free_port()
        while self.web == self.proxied:
            self.proxied = free_port()
        self.server = Server(folder, CONF % (self.web, self.proxied), server="client_addresses = 10.0.0.0/8\n")
        try:
            self.relays = [Relay(self.web), Relay(self.proxied)]
            mine = folder / "front"
            mine.mkdir()
            self.front = start(str(mine), *[r.port for r in self.relays], make_certificate(str(mine)))
        except BaseException:
            self.server.stop()
            raise
        self.secrets = {"correct-horse", "wrong-horse"}

    def close(self):
        self.front.stop()
        for relay in self.relays:
            relay.close()
        self.server.__exit__(None, None, None)


class Session:
    def __init__(self, world, port, source="127.0.0.2", fields=(), query=MINE):
        self.conn = Conn(port, source)
        self.reply = self.conn.ask("GET", LOGIN + query, fields=fields)
        (self.element,) = xml(self.reply)
        assert self.element.tag == "session", self.reply.body
        self.id = self.element.get("urlID")
        self.base = "/Session/%s/" % self.id
        world.secrets.add(self.id)

    def post(self, what, requests, conn=None, fields=(), **query):
        target = self.base + what + "?" + urllib.parse.urlencode(query)
        return (conn or self.conn).ask("POST", target, batch(requests), fields)

    def sync(self, requests, conn=None, fields=(), **query):
        return [(e.tag, e.get("id"), e.get("errorNum")) for e in xml(self.post("sync", requests, conn, fields, **query))]


def whole(reply):
    return reply.status, reply.reason, reply.body


class Behind:
    @staticmethod
    def start(folder, to, to_proxied, certificate):
        raise NotImplementedError

    def port(self, world):
        return world.front.port

    looks_into = True  # it reads HTTP

    @pytest.fixture(scope="class")
    def world(self, tmp_path_factory, request):
        world = World(tmp_path_factory.mktemp("front"), request.cls.start)
        yield world
        world.close()

    def session(self, world, **more):
        return Session(world, self.port(world), **more)

    def conn(self, world, source="127.0.0.2"):
        return Conn(self.port(world), source)

    # --- logins

    def test_logins(self, world):
        conn = self.conn(world)
        for reply in (conn.ask("GET", LOGIN + MINE), conn.ask("POST", LOGIN, MINE, [FORM]),
                      conn.ask("POST", "/ximsslogin?" + MINE.replace("userName", "username"), ""),
                      conn.ask("GET", "/XIMSSLogin/", fields=[basic("dora@harbor.example", "correct-horse")])):
            assert [e.tag for e in xml(reply)] == ["session"]

    def test_operations_before_login_and_cram(self, world):
        conn = self.conn(world)
        features, response = xml(conn.ask("POST", LOGIN, batch('<listFeatures id="f" />')))
        assert (features.tag, response.get("id"), response.get("errorNum")) == ("features", "f", None)
        nonce = features.find("nonce").text
        digest = hmac.new(b"correct-horse", nonce.encode(), hashlib.md5).hexdigest()
        data = urllib.parse.quote(base64.b64encode(digest.encode()).rstrip(b"="))
        reply = conn.ask("GET", LOGIN + "userName=dora%%40harbor.example&nonce=%s&authData=%s" % (nonce, data))
        assert [e.tag for e in xml(reply)] == ["session"]

    def test_wrong_passwords(self, world):
        conn = self.conn(world, "127.0.0.3")
        assert [(e.tag, e.get("errorNum")) for e in xml(conn.ask("GET", LOGIN + WRONG))] == [("response", "515")]
        assert conn.ask("POST", "/XIMSSLogin/", WRONG, [FORM]).status == 403
        reply = conn.ask("GET", "/XIMSSLogin/")
        assert reply.status == 401 and reply.headers["WWW-Authenticate"].startswith("Basic ")
        assert conn.ask("GET", "/XIMSSLogin/", fields=[basic("dora", "wrong-horse")]).status == 401

    # --- requests

    def test_sync_once_for_each_number(self, world):
        s = self.session(world)
        first = s.post("sync", '<readTime id="1"/><noop id="2"/>', reqSeq=1)
        assert [e.tag for e in xml(first)] == ["currentTime", "response", "response"]
        assert s.post("sync", '<noop id="3"/>', reqSeq=1).body == first.body
        assert s.sync('<fryEggs id="4"/>', reqSeq=2) == [("response", "4", "500")]
        bad = s.post("sync", '<noop id="5"/>', reqSeq=1)
        assert (bad.status, bad.body) == (500, b"XIMSS request sequence error")

    def test_async_and_polls(self, world):
        s = self.session(world)
        s.sync('<folderOpen id="o" folder="in" mailbox="INBOX"><field>Subject</field></folderOpen>')
        poller = self.conn(world)
        poller.begin("GET", s.base + "?ackSeq=0&maxWait=20&random=1")
        wait_for(lambda: polls(world, s))
        reply = s.post("async", '<noop id="a"/>', reqSeq=1)
        assert (reply.status, reply.body, reply.headers["Content-Type"]) == (200, b"", None)
        root = xml(poller.answer())
        assert root.get("respSeq") == "1" and [e.get("id") for e in root] == ["a"]
        # an event
        poller.begin("GET", s.base + "get?ackSeq=1&maxWait=20")
        wait_for(lambda: polls(world, s))
        world.server.deliver(MESSAGE % self.__class__.__name__)
        root = xml(poller.answer())
        assert root.get("respSeq") == "2"
        assert [(e.tag, e.get("mode"), e.get("id")) for e in root] == [("folderReport", "notify", None)]
        # nothing
        empty = poller.ask("GET", s.base + "?ackSeq=2&maxWait=1")
        assert empty.body == b"<XIMSS></XIMSS>"

    def test_a_poll_that_is_given_up_loses_nothing(self, world):
        s = self.session(world)
        poller = self.conn(world)
        poller.begin("GET", s.base + "?ackSeq=0&maxWait=200")
        wait_for(lambda: polls(world, s))
        poller.close()
        wait_for(lambda: not polls(world, s))
        s.post("async", '<noop id="a"/>', reqSeq=1)
        assert [e.get("id") for e in xml(self.conn(world).ask("GET", s.base + "?ackSeq=0&maxWait=20"))] == ["a"]

    def lost(self, s, requests, **query):
        """Asks, and the reply is lost on its way to the proxy."""
        try:
            return s.post("sync", requests, **query).status
        except LOST:
            s.conn.close()
            return None

    def test_a_lost_reply(self, world):
        s = self.session(world)
        for relay in world.relays:
            relay.lose_reply()
        assert self.lost(s, '<mailboxCreate id="1" mailbox="A-%s"/>' % s.id[:6], reqSeq=1) in (None, 502)
        for relay in world.relays:
            relay.losing = False
        create = '<mailboxCreate id="1" mailbox="A-%s"/>' % s.id[:6]
        assert s.sync(create, reqSeq=1) == [("response", "1", None)]  # what the first try has brought
        ((_, _, number),) = s.sync(create, reqSeq=2)
        assert number is not None

    def test_no_proxy_repeats_a_request(self, world):
        s = self.session(world)
        for relay in world.relays:
            relay.lose_reply()
        assert self.lost(s, '<mailboxCreate id="1" mailbox="B-%s"/>' % s.id[:6]) in (None, 502)
        for relay in world.relays:
            relay.losing = False
        s.sync('<noop id="2"/>')
        ((_, _, number),) = s.sync('<mailboxCreate id="3" mailbox="B-%s"/>' % s.id[:6])
        assert number is not None  # it was carried out, and the proxy did not try again and say so

    # --- ends

    def test_bye(self, world):
        s = self.session(world)
        poller = self.conn(world)
        poller.begin("GET", s.base + "?ackSeq=0&maxWait=20")
        wait_for(lambda: polls(world, s))
        first = s.post("sync", '<bye id="b"/>', reqSeq=1, syncAsync=1)
        assert [e.get("id") for e in xml(first)] == ["b"]
        assert poller.answer().body == b"<XIMSS></XIMSS>"
        assert s.post("sync", '<bye id="b"/>', reqSeq=1, syncAsync=1).body == first.body
        gone = s.post("sync", '<noop id="n"/>', reqSeq=2)
        assert whole(gone) == GONE and gone.headers["Content-Type"].startswith("text/plain")

    def test_kill(self, world):
        s = self.session(world)
        assert whole(s.conn.ask("POST", s.base + "KILL", "")) == (200, "OK", b"")
        assert whole(s.conn.ask("POST", s.base + "KILL", "")) == GONE
        assert whole(s.conn.ask("GET", s.base + "?ackSeq=0&maxWait=20")) == GONE

    # --- HTTP

    def test_cookie(self, world):
        s = self.session(world, query=MINE + "&EnableUseCookie=1")
        reply = s.post("sync", "")
        (given,) = reply.headers.get_all("Set-Cookie")
        assert given.startswith("CGateProWebUser=") and "Path=/Session/" in given and "HttpOnly" in given
        assert given.count("; Secure") == 1  # the proxy has said that the link is TLS
        mine = [("Cookie", given.split(";")[0])]
        assert s.sync('<noop id="1"/>', fields=mine) == [("response", "1", None)]
        assert whole(s.post("sync", '<noop id="2"/>')) == GONE

    def test_cors(self, world):
        s = self.session(world)
        origin = [("Origin", "https://pages.example.net")]
        assert s.reply.headers["Access-Control-Allow-Origin"] == "*"
        reply = s.conn.ask("OPTIONS", s.base + "sync", fields=origin + [("Access-Control-Request-Method", "POST")])
        assert reply.status == 204
        for name, value in (("Origin", "*"), ("Methods", "GET, POST, HEAD, OPTIONS"), ("Headers", "Content-Type, Authorization")):
            assert reply.headers["Access-Control-Allow-" + name] == value
        assert s.post("sync", "", fields=origin).headers["Access-Control-Allow-Origin"] == "*"

    def test_expect(self, world):
        s = self.session(world)
        body = batch('<noop id="1"/>').encode()
        s.conn.putrequest("POST", s.base + "sync", skip_accept_encoding=True)
        s.conn.putheader("Expect", "100-continue")
        s.conn.putheader("Content-Length", str(len(body)))
        s.conn.endheaders()
        told = b""
        while not told.endswith(b"\r\n\r\n"):
            got = s.conn.sock.recv(1)
            assert got
            told += got
        assert told.startswith(b"HTTP/1.1 100 ")
        s.conn.send(body)
        assert [e.get("id") for e in xml(s.conn.answer())] == ["1"]

    def test_large_bodies(self, world):
        s = self.session(world)
        requests = ['<noop id="%06d"/>' % i for i in range(20000)]
        reply = s.post("sync", "".join(requests), reqSeq=1)
        assert [e.get("id") for e in xml(reply)] == ["%06d" % i for i in range(20000)]
        # in chunks, and with a method that has no body elsewhere
        body = batch("".join(requests[1:])).encode()
        s.conn.request("GET", s.base + "sync?reqSeq=2", iter([body[:70000], body[70000:]]), encode_chunked=True,
                       headers={"Transfer-Encoding": "chunked"})
        assert len(xml(s.conn.answer())) == 19999
        s.conn.putrequest("POST", s.base + "sync?reqSeq=3")
        s.conn.putheader("Content-Length", str((64 << 20) + 1))
        s.conn.endheaders()
        assert s.conn.answer().status == 413

    def test_head_and_other_urls(self, world):
        s = self.session(world)
        reply = s.conn.ask("HEAD", s.base + "sync")
        assert (reply.status, reply.body) == (405, b"")
        assert s.sync('<noop id="1"/>') == [("response", "1", None)]
        for target in ("/", "/sys/sessionadmin.wcgp", "/XIMSSLoginer/", "/%s/" % s.id):
            assert s.conn.ask("GET", target).status == 404
        assert s.conn.ask("GET", "/session/%s/SYNC?x=1" % s.id, batch('<noop id="2"/>')).status == 200

    # --- files

    def test_downloads(self, world):
        """Names go through as they are written; pieces, HEAD, and more bytes than any buffer has."""
        data = random.Random(4).randbytes(3000000)
        message = EmailMessage()
        message["Subject"] = "a file"
        message.add_attachment(data, maintype="application", subtype="octet-stream", filename="a.bin")
        world.server.deliver(message.as_bytes(policy=policy.SMTP))
        s = self.session(world)
        (report, _) = xml(s.post("sync", '<folderOpen id="o" folder="in box/1" mailbox="INBOX"><field>Subject</field></folderOpen>'))
        target = s.base + "MIME/in%%20box%%2F1/%d-01-B/a%%20b.bin" % (int(report.get("UIDNext")) - 1)
        reply = s.conn.ask("GET", target)
        assert (reply.status, reply.body) == (200, data)
        reply = s.conn.ask("GET", target, fields=[("Range", "bytes=1000-70999")])
        assert (reply.status, reply.headers["Content-Range"], reply.body) == (206, "bytes 1000-70999/3000000", data[1000:71000])
        reply = s.conn.ask("HEAD", target)
        assert (reply.status, reply.headers["Content-Length"], reply.body) == (200, "3000000", b"")
        assert s.sync('<noop id="1"/>') == [("response", "1", None)]

    def test_uploads(self, world):
        s = self.session(world)
        data = random.Random(5).randbytes(3000000)
        reply = s.conn.ask("POST", s.base + "UPLOAD/7f3a", data, [("Content-Type", "application/x-raw")])
        assert (reply.status, reply.body) == (200, b"")
        remove = '<uploadRemove id="u" uploadID="7f3a"/>'
        assert s.sync(remove) == [("response", "u", None)]
        assert s.sync(remove) == [("response", "u", "578")]

    # --- who the client is

    def test_the_clients_address_is_kept(self, world):
        s = self.session(world, source="127.0.0.5")
        assert listed(world, s)["ip"] == "127.0.0.5"
        assert s.sync('<noop id="1"/>') == [("response", "1", None)]
        # IP watch
        other = self.conn(world, "127.0.0.6")
        assert whole(s.post("sync", '<noop id="2"/>', conn=other)) == GONE
        assert s.sync('<noop id="3"/>') == [("response", "3", None)]
        wait_for(lambda: "session opened, from [127.0.0.5], HTTP" in world.server.log())

    @pytest.mark.parametrize("fields", [
        [("X-Forwarded-For", "127.0.0.5")], [("Forwarded", "for=127.0.0.5")],
        [("X-Forwarded-For", "127.0.0.5"), ("X-Forwarded-For", "127.0.0.5, 127.0.0.1")],
        [("Forwarded", "for=127.0.0.5"), ("X-Forwarded-For", "127.0.0.5")], [("x-forwarded-for", "unknown")],
    ])
    def test_a_client_does_not_choose_his_address(self, world, fields):
        s = self.session(world, source="127.0.0.5")
        thief = self.conn(world, "127.0.0.7")
        assert whole(s.post("sync", '<noop id="1"/>', conn=thief, fields=fields)) == GONE
        mine = self.session(world, source="127.0.0.7", fields=fields)
        assert listed(world, mine)["ip"] == "127.0.0.7"

    def test_who_is_no_proxy_is_not_believed(self, world):
        conn = Conn(world.web, "127.0.0.9", tls=False)
        lies = [("X-Forwarded-For", "127.0.0.5"), ("Forwarded", "for=127.0.0.5")]
        (element,) = xml(conn.ask("GET", LOGIN + MINE, fields=lies))
        (row,) = [r for r in rows(world) if r["id"] == int(element.get("urlID").split("-")[0])]
        assert row["ip"] == "127.0.0.9"
        with pytest.raises(LOST):
            conn = Conn(world.proxied, "127.0.0.9", tls=False)
            conn.connect()
            conn.send(b"PROXY TCP4 127.0.0.5 127.0.0.1 4711 8101\r\n")
            conn.ask("GET", LOGIN + MINE)

    def test_failed_logins_are_the_clients(self, world):
        conn = self.conn(world, "127.0.0.66")
        for i in range(5):
            reply = conn.ask("GET", LOGIN + WRONG.replace("dora", "nobody%d" % i))
            assert [e.get("errorNum") for e in xml(reply)] == ["515"]
        try:
            assert self.conn(world, "127.0.0.66").ask("GET", LOGIN + MINE).status == 503
        except LOST:
            assert not self.looks_into
        assert self.session(world, source="127.0.0.67").sync("") == []

    def test_zz_nothing_secret_is_in_the_proxys_logs(self, world):
        """Last of all: what the others have done is in them."""
        wait_for(lambda: "127.0.0.66" in world.front.logs())
        log = world.front.logs()
        assert len(world.secrets) > 2
        assert not [word for word in world.secrets if word in log]


def basic(name, password):
    return "Authorization", "Basic " + base64.b64encode(("%s:%s" % (name, password)).encode()).decode()


def rows(world):
    return world.server.top()["sessions"]


def row(world, s):
    (found,) = [r for r in rows(world) if r["id"] == int(s.id.split("-")[0])]
    return found


def polls(world, s):
    return row(world, s)["status"] == "polling"


def listed(world, s):
    found = json.loads(world.server.ctl("session", "list", "--json").stdout)
    (mine,) = [r for r in found["sessions"] if r["id"] == int(s.id.split("-")[0])]
    return mine
