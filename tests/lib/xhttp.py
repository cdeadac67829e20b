# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The ximssd authors
"""XIMSS over HTTP for tests: a server with a listener for it, and a client on plain sockets that believes nothing.

    with WebServer(tmp_path) as server:
        session = server.web_session()
        root = session.sync('<noop id="a"/>').xml

Every reply is held against the rules for all replies as it is read (httpreply.py), and read by Python's http.client as well;
Python's XML parser reads the bodies.
"""
import base64
import hashlib
import hmac
import socket
import struct
import urllib.parse

from httpreply import Reply, check_reply, check_second_reading, length_of, read_head
from shmread import counted
from ximss import PATIENCE, Server, free_port, wait_for

AGENT = "Host: harbor.example\r\n"


class Lost(Exception):
    """The connection ended where a reply should have been."""


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

    def _head_bytes(self):
        while b"\r\n\r\n" not in self.buffer:
            self._more()
        length = self.buffer.index(b"\r\n\r\n") + 4
        head, self.buffer = self.buffer[:length], self.buffer[length:]
        return head

    def head(self):
        """The next head, of an interim reply too: (status, reason, fields)."""
        return read_head(self._head_bytes())

    def reply(self, is_head=False):
        head = self._head_bytes()
        start = read_head(head)
        length = length_of(start[0], start[2], is_head)
        pieces, missing = [self.buffer], length - len(self.buffer)
        while missing > 0:
            self.buffer = b""
            self._more()
            pieces.append(self.buffer)
            missing -= len(self.buffer)
        self.buffer = b"".join(pieces)
        body, self.buffer = self.buffer[:length], self.buffer[length:]
        reply = Reply(head, body, start)
        check_reply(reply, is_head)
        check_second_reading(head, reply, is_head)
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

    def send_and_see(self, conn, data):
        """Sends it and waits until the server has read it; nobody else may send anything meanwhile."""
        before = self.counters()["httpUserTrafficIn"]
        conn.send(data)
        wait_for(lambda: self.counters()["httpUserTrafficIn"] == before + len(data))

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
        return counted(self, "httpUserTotal", "worker-")

    def nobody_waits(self):
        """No connection is left that no worker has accepted yet, not even one whose client is gone."""
        return not any(waiting_at(port) for port in (self.http_port, self.https_port) if port)

    def web_on(self, worker=None, tls=False, tries=200, **more):
        """(connection, worker): a new one that this worker has, or any. Nobody else may connect meanwhile."""
        for _ in range(tries):
            wait_for(self.nobody_waits, pause=0.002)
            before = self.taken_by()
            conn = self.web(tls=tls, **more)
            wait_for(self.nobody_waits, pause=0.002)
            after = wait_for(lambda b=before: (lambda now: now != b and now)(self.taken_by()), pause=0.002)
            mine = [w for w in after for _ in range(after[w] - before.get(w, 0))]
            if len(mine) == 1 and worker in (None, mine[0]):  # two: one of before has been counted now
                return conn, mine[0]
            conn.close()
        raise AssertionError("no connection gets to %s" % worker)

    def web_on_each(self, tls=False):
        """A connection for each of two workers."""
        first, mine = self.web_on(tls=tls)
        (other,) = [w for w in self.taken_by() if w != mine]
        return first, self.web_on(other, tls=tls)[0]


def waiting_at(port):
    """How many connections to a port have been made and not been accepted, by what the kernel says of its listening sockets."""
    with open("/proc/net/tcp", encoding="ascii") as f:
        ends = [line.split() for line in f if " 0A " in line]
    return sum(int(e[4].partition(":")[2], 16) for e in ends if e[3] == "0A" and int(e[1].partition(":")[2], 16) == port)


def standing_at(ports):
    """How many clients have a connection to one of these ports."""
    with open("/proc/net/tcp", encoding="ascii") as f:
        ends = [line.split() for line in f if " 01 " in line]
    return sum(e[3] == "01" and int(e[2].partition(":")[2], 16) in ports for e in ends)


class Session:
    """A session over HTTP as a client sees it. Each call may name its connection; without one it has its own."""

    def __init__(self, server, reply, tls=False):
        (self.element,) = reply.xml
        assert self.element.tag == "session", reply
        self.server, self.tls = server, tls
        self.url_id = self.element.get("urlID")
        self.base = "/Session/%s/" % self.url_id
        self.ack = self.seq = 0
        self.fields = {}
        self.kept = None  # the connection of get()

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

    def call(self, requests):
        """The elements that a batch of the next number is answered with."""
        self.seq += 1
        return list(self.sync(requests, self.seq).xml)

    def get(self, what, method="GET", **fields):
        """Something of the session's, a_b for the field a-b, over one connection that is kept as long as the server keeps it."""
        self.kept = self.kept or self.server.web(tls=self.tls)
        fields = {**self.fields, **{name.replace("_", "-"): value for name, value in fields.items()}}
        reply = self.kept.ask(method, self.base + what, fields=fields)
        if not reply.stays:
            assert self.kept.closed()
            self.kept = None
        return reply

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
