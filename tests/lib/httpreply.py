# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The ximssd authors
"""Replies over HTTP for tests, read by two that know nothing of each other: the strict reading here, which lets nothing pass but
what RFC 9112 has a server send and protocol 1 (0.2, 4.11) and 2 (9.1) promise, and Python's http.client, as a client is that
takes what it gets. They have to agree about every reply."""
import http.client
import io
import re
import xml.etree.ElementTree as ET

ERRORS = {500: "XIMSS request sequence error", 550: "you have been disconnected"}
TOKEN = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+\Z")
LOOK_AT = 1 << 18  # bytes of a body that are looked at one by one
POLICY = {  # of downloads (protocol 2, 9.1)
    "x-content-type-options": "nosniff",
    "content-security-policy": "sandbox; default-src 'none'; img-src 'self' data:; style-src 'unsafe-inline'",
    "cache-control": "private, no-store",
    "referrer-policy": "no-referrer",
}


class Reply:
    """A whole reply that keeps the rules."""

    def __init__(self, head, body, start):
        """head: its bytes with the empty line; start: what read_head() made of them."""
        self.status, self.reason, self.fields = start
        self.head_length, self.body = len(head), body

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
    assert head.endswith(b"\r\n\r\n"), head
    lines = head[:-4].split(b"\r\n")
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
    if "content-security-policy" in got and reply.status in (200, 206):
        check_download(reply, got)
    elif reply.body or (is_head and got["content-length"] != "0"):
        assert reply.is_xml or got.get("content-type", "").startswith("text/plain"), reply
        assert is_head or reply.is_xml or not reply.body.startswith(b"<"), reply
    else:
        assert "content-type" not in got, reply
    if reply.is_xml and not is_head and "content-security-policy" not in got:
        check_xml(reply.body)
    if reply.status == 416:
        assert re.match(r"bytes \*/[0-9]+\Z", got["content-range"]), reply
    if reply.status == 550:
        assert reply.reason == ERRORS[550] and (is_head or reply.body.decode() == ERRORS[550]), reply
    if reply.status == 503:
        assert re.match(r"[0-9]+\Z", got.get("retry-after", "")), reply


def check_download(reply, got):
    """What clients stored or sent, so of any type; never without what keeps it from being run."""
    assert all(reply.all(name) == [value] for name, value in POLICY.items()), reply
    assert got.get("content-type"), reply
    if reply.status == 206:
        first, last, whole = map(int, re.match(r"bytes ([0-9]+)-([0-9]+)/([0-9]+)\Z", got["content-range"]).groups())
        assert first <= last < whole and last - first + 1 == int(got["content-length"]), reply
    else:
        assert "content-range" not in got, reply


class Given(io.BytesIO):
    """What http.client takes for a socket: the bytes of a reply, and what must not be read."""

    def makefile(self, _mode):
        return self

    def close(self):
        pass


def check_second_reading(head, reply, is_head):
    """Python's http.client reads the same from the same bytes, and not a byte more."""
    given = Given(b"".join((head, reply.body, b"HTTP/1.1 999 next\r\n")))
    other = http.client.HTTPResponse(given, method="HEAD" if is_head else "GET")
    other.begin()
    fields = [(name.lower(), value.encode("latin-1").decode()) for name, value in other.headers.items()]
    assert (other.status, other.reason, fields) == (reply.status, reply.reason, reply.fields), (head, fields)
    assert not other.headers.defects and other.will_close == (not reply.stays), head
    assert other.read() == reply.body and given.tell() == len(head) + len(reply.body), head


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
