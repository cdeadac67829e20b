# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The ximssd authors
"""Parts inside of messages that are encoded as a whole, which RFC 2045 forbids, RFC 6532 allows and real mail has: what Python's e-mail package
finds in the decoded message, and the same as when it is not encoded."""
import base64
import binascii
import email
import email.policy
import http.client
import os
import random
import re
import sys
from email.message import EmailMessage

import pytest
from test_mime import broken, numbered, spoilt, wire
from xhttp import WebServer
from ximss import PATIENCE, ROOT

sys.path.insert(0, os.path.join(ROOT, "tests"))
from mail.test_corpus import FILES  # noqa: E402

OPEN = '<folderOpen id="o" folder="in" mailbox="INBOX" sortField="UID"><field>Subject</field></folderOpen>'
BINARY = random.Random(3).randbytes(700000)  # some stored pieces


def lines(text):
    return re.sub(rb"\r?\n", b"\r\n", text)


ENCODERS = {
    "7bit": lambda data: data,
    "base64": lambda data: lines(base64.encodebytes(data)),
    "quoted-printable": lambda data: lines(binascii.b2a_qp(data, istext=False)),
    "x-uuencode": lambda data: b"begin 644 message\r\n" + b"".join(
        binascii.b2a_uu(data[i:i + 45], backtick=True)[:-1] + b"\r\n" for i in range(0, len(data), 45)) + b"`\r\nend\r\n",
}


def wrapped(inner, encoding, kind="rfc822", boundary=b"outer"):
    """A letter, and behind it the message."""
    return (b"From: Ann <ann@example.org>\r\nSubject: fwd\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=%s\r\n\r\n"
            b"--%s\r\nContent-Type: text/plain\r\n\r\nSee below.\r\n--%s\r\nContent-Type: message/%s\r\nContent-Transfer-Encoding: %s\r\n\r\n"
            % (boundary, boundary, boundary, kind.encode(), encoding.encode())
            + ENCODERS[encoding](inner) + b"\r\n--%s--\r\n" % boundary)


def composed():
    m = EmailMessage()
    m["From"], m["Subject"] = "Bob <bob@example.net>", "Grüße"
    m.set_content("Gr\u00fc\u00dfe, und ein Bild.\n", charset="iso-8859-1", cte="quoted-printable")
    m.add_alternative("<p>Gr\u00fc\u00dfe <img src='cid:one@example.net'></p>", subtype="html")
    m.add_attachment(BINARY, maintype="image", subtype="png", filename="bild.png", cid="<one@example.net>")
    m.add_attachment(b"a,b\n1,2\n", maintype="text", subtype="csv", filename="leer.csv")
    return m.as_bytes(policy=email.policy.SMTP)


COMPOSED = composed()
# three messages, one in the other, each encoded
NEST = wrapped(wrapped(wrapped(COMPOSED, "base64", boundary=b"c"), "quoted-printable", "global", b"b"), "base64", boundary=b"a")
REAL = [m for m in (wire(path) for path in FILES) if email.message_from_bytes(m).is_multipart() and len(m) < 100000][:24]


class World:
    def __init__(self, server):
        self.uids = {}
        post = server.lmtp()
        mails = [((i, how), wrapped(m, how)) for i, m in enumerate(REAL) for how in ("7bit", "base64", "quoted-printable")]
        mails += [("nest", NEST), ("uu", wrapped(COMPOSED, "x-uuencode")), ("global", wrapped(COMPOSED, "base64", "global"))]
        for n, (key, mail) in enumerate(mails):
            assert post.deliver("ann@example.org", ["dora@harbor.example"], mail)[0][0] == 250
            self.uids[key] = n + 1
        post.quit()
        self.session = server.web_session()
        assert self.session.sync(OPEN).xml[0].get("messages") == str(len(mails))

    def ask(self, target, method="GET", **fields):
        """Python's reply, and what it brings as .body."""
        conn = http.client.HTTPConnection("127.0.0.1", self.session.server.http_port, timeout=PATIENCE)
        conn.request(method, target, headers=fields)
        reply = conn.getresponse()
        reply.body = reply.read()
        conn.close()
        return reply

    def get(self, key, ref, method="GET", **fields):
        return self.ask(self.session.target("MIME/in/%d-%s" % (self.uids[key], ref)), method, **fields)

    def read(self, key, more=""):
        return self.session.sync('<folderRead id="r" folder="in" UID="%d"%s/>' % (self.uids[key], more)).xml[0]


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    with WebServer(tmp_path_factory.mktemp("wrapped"), server="log_level = problems\n") as server:
        yield World(server)


def leaves(inner, prefix):
    """(partID, part, decoded body) of the message that is part `prefix`."""
    for number, part in numbered(email.message_from_bytes(inner, policy=email.policy.compat32), prefix, "inner"):
        if not part.is_multipart():
            yield number, part, part.get_payload(decode=True)


def test_all_parts_of_real_mails(world):
    """The bytes are Python's, and those of the same message where it is not encoded; sources too."""
    assert len(REAL) > 15
    same = 0
    for i, inner in enumerate(REAL):
        for number, part, want in leaves(inner, "02"):
            for ref in (number + "-B/x", number + "-P.txt"):
                plain = world.get((i, "7bit"), ref)
                for how in ("base64", "quoted-printable"):
                    answer = world.get((i, how), ref)
                    assert (answer.status, answer.body) == (plain.status, plain.body), (i, number, how)
                    assert answer.getheader("content-type") == plain.getheader("content-type")
                    assert answer.getheader("content-disposition").replace('"%d-' % world.uids[i, how], '"') \
                        == plain.getheader("content-disposition").replace('"%d-' % world.uids[i, "7bit"], '"')
                if plain.status == 404 or spoilt(part) or broken(part):
                    continue
                if ref.endswith("-P.txt"):
                    assert plain.body in inner
                elif plain.body != want:  # whose is the last line end where the closing boundary is missing?
                    assert plain.body.rstrip(b"\r\n") == want.rstrip(b"\r\n"), (i, number)
                else:
                    same += 1
    assert same > 30


def test_what_is_shown_is_the_same(world):
    """folderRead: structure, fields and text, but for what is said of the encoded part itself."""
    for i in range(len(REAL)):
        seen = set()
        for how in ("7bit", "base64", "quoted-printable"):
            (message,) = [e for e in world.read((i, how)).iter("MIME") if e.get("partID") == "02"]
            (inner,) = message
            seen.add(re.sub(r'localTime="\w*"', "", email_text(inner)))
            numbers = {e.get("partID") for e in inner.iter("MIME") if e.get("partID")}
            assert {n for n, part, _ in leaves(REAL[i], "02") if not broken(part)} <= numbers
        assert len(seen) == 1, i


def email_text(element):
    return "%s%s(%s%s)" % (element.tag, sorted(element.items()), element.text or "", "".join(map(email_text, element)))


@pytest.mark.parametrize("key,prefix", (("nest", "02-02-02"), ("global", "02")))
def test_one_in_the_other(world, key, prefix):
    found = list(leaves(COMPOSED, prefix))
    assert [n for n, _, _ in found] == [prefix + n for n in ("-01-01", "-01-02", "-02", "-03")]
    for number, part, want in found:
        answer = world.get(key, number + "-B/x")
        assert (answer.status, answer.body, answer.getheader("content-length")) == (200, want, str(len(want)))
        source = world.get(key, number + "-P.txt")
        assert source.status == 200 and source.body in COMPOSED
        again = email.message_from_bytes(source.body)
        assert again.items() == part.items() and again.get_payload(decode=True).rstrip() == want.rstrip()
        head = world.get(key, number + "-B/x", "HEAD")
        assert (head.status, head.getheader("content-length")) == (200, str(len(want)))
        read = world.read(key, ' partID="%s"' % number)
        assert [e.get("partID") for e in read.iter("MIME")] == [number]


def test_the_messages_themselves(world):
    """The body of a message is the message, decoded, at each level; so are multiparts' sources."""
    c = wrapped(COMPOSED, "base64", boundary=b"c")
    b = wrapped(c, "quoted-printable", "global", b"b")
    for number, want in (("02", b), ("02-02", c), ("02-02-02", COMPOSED)):
        assert world.get("nest", number + "-B/x").body == want
    source = world.get("nest", "02-02-02-01-P.txt").body
    assert source.startswith(b"Content-Type: multipart/alternative") and source in COMPOSED
    assert world.get("nest", "02-02-02-01-B/x").status == 404


def test_ranges(world):
    rng, n = random.Random(8), len(BINARY)
    pieces = [(0, 0), (0, n - 1), (n - 1, n - 1), (1, 1), (0, n + 100)] + [(a, rng.randrange(a, n)) for a in rng.choices(range(n), k=8)]
    for a, b in pieces:
        answer = world.get("nest", "02-02-02-02-B/x", Range="bytes=%d-%d" % (a, b))
        assert (answer.status, answer.getheader("content-range")) == (206, "bytes %d-%d/%d" % (a, min(b, n - 1), n))
        assert answer.body == BINARY[a:b + 1], (a, b)
    assert world.get("nest", "02-02-02-02-B/x", Range="bytes=%d-" % n).status == 416
    text = world.get("nest", "02-02-02-03-B/x").body
    for a in range(len(text)):
        assert world.get("nest", "02-02-02-03-B/x", Range="bytes=%d-%d" % (a, a + 1)).body == text[a:a + 2]


def test_in_uuencode_nothing_has_a_place(world):
    assert world.get("uu", "02-02-B/x").status == 404
    assert world.get("uu", "02-02-P.txt").status == 404
    assert world.get("uu", "02-B/x").body == COMPOSED
    assert "02-02" in {e.get("partID") for e in world.read("uu").iter("MIME")}
