# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The ximssd authors
"""XIMSS over HTTP for tests: a server with a listener for it, and a client on plain sockets that believes nothing.

    with WebServer(tmp_path) as server:
        session = server.web_session()
        root = session.sync('<noop id="a"/>').xml

Every reply is held against the rules for all replies (protocol 1, 0.2 and 4.11) as it is read; Python's XML parser reads
the bodies.
"""
import base64
import hashlib
import hmac
import os
import re
import socket
import struct
import urllib.parse
import xml.etree.ElementTree as ET

from ximss import PATIENCE, ROOT, Server, free_port, wait_for

ERRORS = {500: "XIMSS request sequence error", 550: "you have been disconnected"}
TOKEN = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+\Z")
LOOK_AT = 1 << 18  # bytes of a body that are looked at one by one
AGENT = "Host: harbor.example\r\n"


class Lost(Exception):
    """The connection ended where a reply should have been."""


class Reply:
    """A whole reply that keeps the rules."""

    def __init__(self, status, reason, fields, body):
        self.status, self.reason, self.fields, self.body = status, reason, fields, body

    def all(self, name):
        return [v for n, v in self.fields if n == name.lower()]

    def field(self, name):
        values = self.all(name)
        assert len(values) <= 1, (name, values)
        return values[0] if values else None

    @property
    def stays(self):
        return self.field("connection") == "keep-alive"

    @property
    def xml(self):
        assert self.status == 200 and self.is_xml, (self.status, self.fields, self.body)
        return ET.fromstring(self.body)

    @property
    def is_xml(self):
        return (self.field("content-type") or "").startswith("text/xml")

    @property
    def text(self):
        assert (self.field("content-type") or "").startswith("text/plain"), self.fields
        return self.body.decode()

    @property
    def cookie(self):
        """The value of the session's cookie, if it is set here."""
        values = self.all("set-cookie")
        assert len(values) <= 1
        return values[0].split(";")[0].partition("=")[2] if values else None

    def __repr__(self):
        return "<%d %s %r %r>" % (self.status, self.reason, self.fields, self.body[:200])


def read_head(head):
    """Status, reason, [(name, value)]: nothing but what RFC 9112 has a server send."""
    lines = head.split(b"\r\n")
    assert b"\n" not in b"".join(lines) and b"\r" not in b"".join(lines), head
    found = re.match(rb"HTTP/1\.1 ([1-5][0-9][0-9]) ([ -~]*)\Z", lines[0])
    assert found, lines[0]
    fields = []
    for line in lines[1:]:
        name, colon, value = line.partition(b":")
        assert colon and TOKEN.match(name) and value == b" " + value.strip(), line
        fields.append((name.decode().lower(), value.strip().decode()))
    names = [n for n, _ in fields if n != "set-cookie"]
    assert len(names) == len(set(names)), fields
    return int(found.group(1)), found.group(2).decode(), fields


def length_of(status, fields, is_head=False):
    """The length of the body that follows; Content-Length is there and alone says it (0.2, 9)."""
    got = dict(fields)
    assert "transfer-encoding" not in got and "content-encoding" not in got, fields
    if status in (100, 204):
        assert "content-length" not in got or (status == 204 and got["content-length"] == "0"), fields
        return 0
    assert re.match(r"(0|[1-9][0-9]*)\Z", got.get("content-length", "")), fields
    return 0 if is_head else int(got["content-length"])


def check_reply(reply, is_head=False):
    got = dict(reply.fields)
    assert got["connection"] in ("keep-alive", "close"), reply
    assert got["referrer-policy"] == "no-referrer", reply
    assert got["x-content-type-options"] == "nosniff", reply
    assert "no-store" in got["cache-control"], reply
    if reply.body or (is_head and got["content-length"] != "0"):
        assert reply.is_xml or got.get("content-type", "").startswith("text/plain"), reply
    else:
        assert "content-type" not in got, reply
    if reply.is_xml and not is_head:
        check_xml(reply.body)
    elif reply.body:
        assert not reply.body.startswith(b"<"), reply
    if reply.status == 550:
        assert reply.reason == ERRORS[550] and reply.body.decode() == ERRORS[550], reply
    if reply.status == 503:
        assert re.match(r"[0-9]+\Z", got.get("retry-after", "")), reply


def check_xml(body):
    """Rules 2, 3 and 4 of protocol 1, 0.2, and C24 of protocol 2, 16."""
    assert body.startswith((b"<XIMSS>", b'<XIMSS respSeq="')) and body.endswith(b"</XIMSS>"), body[:100]
    assert b"<?" not in body and b"<!" not in body and b" />" not in body and b"\0" not in body, body
    if len(body) > LOOK_AT:  # there are enough shorter ones
        return
    root = ET.fromstring(body)
    assert root.tag == "XIMSS" and not root.text, body
    for message in root:
        assert not message.tail, body
        for e in message.iter():
            between = [e.text] + [child.tail for child in e] if len(e) else []
            assert not any(t and t.isspace() for t in between), body
    for message in re.findall(rb"<([a-zA-Z0-9]+) ([^>]*)>", body):
        names = re.findall(rb'([A-Za-z0-9-]+)="', message[1])
        assert b"id" not in names or names[0] == b"id", body


def parameters(query):
    """A query string; a list of pairs allows names twice, str is taken as it is."""
    if isinstance(query, str):
        return query
    pairs = query.items() if isinstance(query, dict) else query
    return urllib.parse.urlencode([(k, str(v)) for k, v in pairs], quote_via=urllib.parse.quote)


def request(method, target, body=None, fields=None, version="1.1", host=AGENT, length=True):
    """The bytes of a request. fields: a dictionary, or lines of text."""
    body = body.encode() if isinstance(body, str) else body
    lines = fields if isinstance(fields, str) else "".join("%s: %s\r\n" % f for f in (fields or {}).items())
    if body is not None and length:
        lines += "Content-Length: %d\r\n" % len(body)
    return ("%s %s HTTP/%s\r\n%s%s\r\n" % (method, target, version, host, lines)).encode() + (body or b"")


class Conn:
    """One connection."""

    def __init__(self, port, tls=None, source=None, timeout=PATIENCE):
        self.sock = socket.create_connection(("127.0.0.1", port), timeout=timeout, source_address=source and (source, 0))
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.local = self.sock.getsockname()
        if tls is not None:
            self.sock = tls.wrap_socket(self.sock, server_hostname="harbor.example", suppress_ragged_eofs=False)
        self.buffer = b""

    def send(self, data):
        self.sock.sendall(data.encode() if isinstance(data, str) else data)

    def _more(self):
        got = self.sock.recv(65536)
        if not got:
            raise Lost(self.buffer)
        self.buffer += got

    def head(self):
        """The next head, of an interim reply too: (status, reason, fields)."""
        while b"\r\n\r\n" not in self.buffer:
            self._more()
        head, self.buffer = self.buffer.split(b"\r\n\r\n", 1)
        return read_head(head)

    def reply(self, is_head=False):
        status, reason, fields = self.head()
        length = length_of(status, fields, is_head)
        pieces, missing = [self.buffer], length - len(self.buffer)
        while missing > 0:
            self.buffer = b""
            self._more()
            pieces.append(self.buffer)
            missing -= len(self.buffer)
        self.buffer = b"".join(pieces)
        body, self.buffer = self.buffer[:length], self.buffer[length:]
        reply = Reply(status, reason, fields, body)
        check_reply(reply, is_head)
        return reply

    def ask(self, method, target, body=None, fields=None, **more):
        self.send(request(method, target, body, fields, **more))
        return self.reply(is_head=method == "HEAD")

    def quiet(self, seconds):
        """True when nothing comes for so long: for showing that something waits, never that it is through."""
        if self.buffer:
            return False
        self.sock.settimeout(seconds)
        try:
            self.buffer += self.sock.recv(65536)
            return False
        except TimeoutError:
            return True
        finally:
            self.sock.settimeout(PATIENCE)

    def closed(self):
        """True when the server closes now, without another byte."""
        if self.buffer:
            return False
        try:
            return self.sock.recv(1) == b""
        except ConnectionResetError:
            return True

    def cut(self):
        """As a network does that breaks: a reset."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()

    def close(self):
        self.sock.close()


def xml_body(requests):
    return "<XIMSS>%s</XIMSS>" % requests


def cram(nonce, password="correct-horse", padding=True):
    """authData of protocol 1, 3.4."""
    digest = hmac.new(password.encode(), nonce.encode(), hashlib.md5).hexdigest()
    text = base64.b64encode(digest.encode()).decode()
    return text if padding else text.rstrip("=")


def basic(name, password):
    return {"Authorization": "Basic " + base64.b64encode(("%s:%s" % (name, password)).encode()).decode()}


class WebServer(Server):
    """A server with listeners for XIMSS over HTTP. http: lines of [http]. Reloads of rewrite() keep the listeners."""

    def __init__(self, folder, http="", conf="", tls=False, **more):
        self.http_port = free_port()
        self.https_port = free_port(self.http_port) if tls else None
        self.http_settings = http
        super().__init__(folder, conf, tls=tls, **more)

    def _write_conf(self, conf, server):
        text = "[listener web]\nprotocol = http\naddress = 127.0.0.1:%d\n" % self.http_port
        if self.https_port:
            text += "[listener webs]\nprotocol = http\ntls = yes\naddress = 127.0.0.1:%d\n" % self.https_port
        super()._write_conf("%s[http]\n%s\n%s" % (text, self.http_settings, conf), server)

    def rewrite(self, conf="", server="", http=None):
        if http is not None:
            self.http_settings = http
        super().rewrite(conf, server)

    def web(self, tls=False, **more):
        """A connection."""
        return Conn(self.https_port if tls else self.http_port, tls=self.tls_context() if tls else None, **more)

    def ask(self, method, target, body=None, fields=None, **more):
        """One request on a connection of its own."""
        conn = self.web(**more)
        reply = conn.ask(method, target, body, fields)
        conn.close()
        return reply

    def login(self, conn=None, query=None, name="dora@harbor.example", password=None, **more):
        """The reply to a login by parameters in the query, with errorAsXML."""
        query = {"errorAsXML": 1, "userName": name, "password": password or self.accounts[name.split("@")[0]],
                 **(query or {}), **more}
        target = "/XIMSSLogin/?" + parameters(query)
        return conn.ask("GET", target) if conn else self.ask("GET", target)

    def web_session(self, **more):
        return Session(self, self.login(**more))

    # --- which worker has a connection? The number of connections that each has taken stands in its segment of the shared table.

    def taken_by(self):
        """{worker: connections it has accepted on HTTP listeners}, of those that live."""
        found = {}
        folder = os.path.join(self.run_dir, "shm")
        for name in os.listdir(folder):
            if name.startswith("worker-"):
                with open(os.path.join(folder, name), "rb") as f:
                    found[name] = counter_of(f.read(), "httpUserTotal")
        return found

    def web_on(self, worker=None, tls=False, tries=200):
        """(connection, worker): a new one that this worker has, or any."""
        for _ in range(tries):
            before = self.taken_by()
            conn = self.web(tls=tls)
            after = wait_for(lambda b=before: (lambda now: now != b and now)(self.taken_by()), pause=0.002)
            (mine,) = [w for w in after if after[w] != before.get(w, 0)]
            if worker in (None, mine):
                return conn, mine
            conn.close()
        raise AssertionError("no connection gets to " + worker)

    def web_on_each(self, tls=False):
        """A connection for each of two workers."""
        first, mine = self.web_on(tls=tls)
        (other,) = [w for w in self.taken_by() if w != mine]
        return first, self.web_on(other, tls=tls)[0]


def counter_of(segment, name):
    """A counter of a segment of the shared table, by shm/LAYOUT and the order of counters.tbl."""
    with open(os.path.join(ROOT, "shm", "counters.tbl"), encoding="ascii") as f:
        names = re.findall(r'^COUNTER\(\w+, "(\w+)"', f.read(), re.M)
    with open(os.path.join(ROOT, "shm", "LAYOUT"), encoding="ascii") as f:
        layout = re.search(r"^shm_segment .*?^  counters (\d+) ", f.read(), re.S | re.M)
    offset, stride = struct.unpack_from("QI", segment, int(layout.group(1)))
    return struct.unpack_from("Q", segment, offset + stride * names.index(name))[0]


class Session:
    """A session over HTTP as a client sees it. Each call may name its connection; without one it has its own."""

    def __init__(self, server, reply, tls=False):
        (self.element,) = reply.xml
        assert self.element.tag == "session", reply
        self.server, self.tls = server, tls
        self.url_id = self.element.get("urlID")
        self.base = "/Session/%s/" % self.url_id
        self.ack = 0
        self.fields = {}

    def target(self, what="", **query):
        return self.base + what + ("?" + parameters(query) if query else "")

    def post(self, what, requests, conn=None, fields=None, **query):
        body = requests if requests is None or requests.startswith("<XIMSS") else xml_body(requests)
        fields = {**self.fields, **(fields or {})}
        if conn is None:
            return self.server.ask("POST", self.target(what, **query), body, fields, tls=self.tls)
        return conn.ask("POST", self.target(what, **query), body, fields)

    def sync(self, requests, seq=None, conn=None, **query):
        """The reply, whatever it is."""
        if seq is not None:
            query = {"reqSeq": seq, **query}
        return self.post("sync", requests, conn, **query)

    def async_(self, requests, seq=None, conn=None, **query):
        if seq is not None:
            query = {"reqSeq": seq, **query}
        return self.post("async", requests, conn, **query)

    def poll_request(self, ack=None, wait=None, **query):
        if ack is not None:
            query["ackSeq"] = ack
        if wait is not None:
            query["maxWait"] = wait
        return request("GET", self.target(**query), fields=self.fields)

    def begin_poll(self, ack=None, wait=20, conn=None, **query):
        """Sends it; the connection on which the reply will be."""
        conn = conn or self.server.web(tls=self.tls)
        conn.send(self.poll_request(ack, wait, **query))
        return conn

    def waiting_poll(self, ack=None, wait=20, conn=None, **query):
        """The same, and waits until the server has it waiting."""
        conn = self.begin_poll(ack, wait, conn, **query)
        wait_for(self.polls)
        return conn

    def polls(self):
        row = self.server.row(id=int(self.url_id.split("-")[0]))
        return row is not None and row["status"] == "polling"

    def poll(self, ack=None, wait=None, conn=None, **query):
        return self.begin_poll(ack, wait, conn, **query).reply()

    def drain(self, wait=20):
        """The messages of the next batch, acknowledged by the next call."""
        root = self.poll(self.ack, wait).xml
        if len(root) == 0:
            assert "respSeq" not in root.attrib
            return []
        assert int(root.get("respSeq")) == self.ack + 1
        self.ack += 1
        return list(root)

    def kill(self, method="POST", body=None, conn=None):
        if conn is None:
            return self.server.ask(method, self.target("KILL"), body, self.fields, tls=self.tls)
        return conn.ask(method, self.target("KILL"), body, self.fields)


def tags(root):
    return [e.tag for e in root]


def errors(root):
    """[(id, number or None)] of the responses."""
    return [(e.get("id"), e.get("errorNum") and int(e.get("errorNum"))) for e in root if e.tag == "response"]
