# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The ximssd authors
"""Messages and their parts over HTTP (protocol 2, 9.1), compared with what Python's e-mail package finds in them."""
import base64
import email
import email.policy
import http.client
import os
import random
import re
import smtplib
import socket
import sys
import threading

import pytest
from httpreply import POLICY
from xhttp import Session, WebServer, request
from ximss import PATIENCE, ROOT, wait_for

sys.path.insert(0, os.path.join(ROOT, "tests"))
from mail.test_corpus import DATA, FILES  # noqa: E402

RETURN = b"Return-Path: <ann@example.org>\r\n"
OPEN = '<folderOpen id="o" folder="in box/1" mailbox="INBOX" sortField="UID"><field>Subject</field></folderOpen>'
FOLDER = "MIME/in%20box%2F1/"
PATIENT = "keep_alive = 1h"  # however slow the machine, what is kept was not closed for being idle
SHOWN = re.compile(r"(image/(png|jpeg|gif|webp)|audio/.*|video/.*|text/plain|application/pdf)$")


def wire(path):
    """The message as LMTP carries it."""
    with open(path, "rb") as f:
        lines = f.read().replace(b"\r\n", b"\n").split(b"\n")
    if lines[-1] == b"":
        lines.pop()
    return b"".join(line + b"\r\n" for line in lines)


def compose(*parts, kind="mixed"):
    """A multipart of (header lines, body bytes)."""
    out = b"From: Ann <ann@example.org>\r\nSubject: parts\r\nMIME-Version: 1.0\r\n"
    out += b"Content-Type: multipart/%s; boundary=cut\r\n\r\n" % kind.encode()
    for head, body in parts:
        out += b"--cut\r\n" + "".join(line + "\r\n" for line in head).encode() + b"\r\n" + body + b"\r\n"
    return out + b"--cut--\r\n"


def b64(data):
    text = base64.b64encode(data)
    return b"".join(text[i:i + 800] + b"\r\n" for i in range(0, len(text), 800))


BINARY = random.Random(9).randbytes(300000)  # more than a stored piece
HTML = b"<script>alert(1)</script>"
COMPOSED = compose(
    (["Content-Type: image/png", "Content-Transfer-Encoding: base64",
      'Content-Disposition: attachment; filename="../../etc/pass\\"wd.png"'], b64(BINARY)),
    (["Content-Type: text/html; charset=utf-8"], HTML),
    (["Content-Type: image/svg+xml; name=a.svg"], b"<svg xmlns='http://www.w3.org/2000/svg'/>"),
    (["Content-Type: application/" + "x" * 65, "Content-Disposition: attachment; filename*=UTF-8''na%C3%AFve%0d%0aX:1.txt"], b"odd"),
    (["Content-Type: application/pdf", "Content-Transfer-Encoding: quoted-printable"], b"a=3D=\r\nb=E9\r\n"),
    (["Content-Type: message/rfc822"], b"Subject: inner\r\nContent-Type: text/plain\r\n\r\ninner text"),
    (["Content-Type: application/x-thing", "Content-Transfer-Encoding: x-uuencode"],
     b"begin 644 cat.txt\r\n#0V%T\r\n`\r\nend\r\n"),
    (["Content-Type: text/plain; charset=koi8-r; name=leer.txt"], b""))


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """The server, a session with an open folder, and {UID: the message as it was delivered}."""
    with WebServer(tmp_path_factory.mktemp("mime"), http=PATIENT, server="log_level = problems\n") as server:
        mails = [wire(path) for path in FILES] + [COMPOSED]
        post = server.lmtp()
        for mail in mails:
            assert post.deliver("ann@example.org", ["dora@harbor.example"], mail)[0][0] == 250
        post.quit()
        web = server.web_session()
        assert web.call(OPEN)[0].get("messages") == str(len(mails))
        yield server, web, {n + 1: RETURN + mail for n, mail in enumerate(mails)}


def last(world):
    return max(world[2])


# --- the bytes


def numbered(message, prefix="", root=True):
    """(partID, part) of all leaves (protocol 2, 6.4)."""
    if message.get_content_type() in ("message/rfc822", "message/global"):
        inner = message.get_payload(0) if message.is_multipart() else None
        if inner is not None:
            yield prefix or "01", message
            yield from numbered(inner, prefix or "01", "inner")
        return
    if message.is_multipart() and message.get_content_maintype() == "multipart":
        for n, part in enumerate(message.get_payload()):
            yield from numbered(part, (prefix + "-" if prefix else "") + "%02d" % (n + 1), False)
    elif not message.is_multipart():
        yield prefix if root is False else ((prefix + "-" if prefix else "") + "01"), message


def payloads(raw):
    message = email.message_from_bytes(raw, policy=email.policy.compat32)
    for number, part in numbered(message):
        if not part.is_multipart():
            yield number, part, part.get_payload(decode=True)


def spoilt(part):
    """Is it encoded as its encoding has it? Of others every reader makes something else."""
    body, how = part.get_payload(), str(part.get("content-transfer-encoding", "")).strip().lower()
    if how == "base64":
        return re.fullmatch(r"[A-Za-z0-9+/\s]*=?\s*=?\s*", body) is None or \
            len(re.sub(r"[\s=]", "", body)) % 4 == 1
    if how == "quoted-printable":
        return re.search(r"=(?![0-9A-Fa-f]{2}|\r?\n|$)", body) is not None
    return how not in ("", "7bit", "8bit", "binary")


def broken(part):
    """Cut in a way on which readers differ."""
    return any("Boundary" in type(d).__name__ or "Separator" in type(d).__name__ for d in part.defects)


def test_all_parts_of_real_mails(world):
    """Every leaf of every mail of tests/data: the decoded bytes are Python's."""
    _, web, mails = world
    same, ends, differ = 0, [], []
    for uid, raw in mails.items():
        for number, part, want in payloads(raw):
            answer = web.get(FOLDER + "%d-%s-B/x.bin" % (uid, number))
            if answer.status == 404 or spoilt(part) or broken(part):
                differ.append((uid, number, answer.status))
                continue
            assert answer.status == 200, (uid, number)
            assert answer.field("Content-Length") == str(len(answer.body))
            if answer.body != want:  # whose is the last line end where the closing boundary is missing?
                assert answer.body.rstrip(b"\r\n") == want.rstrip(b"\r\n"), (uid, number)
                assert abs(len(answer.body) - len(want)) == 2, (uid, number)
                ends.append((uid, number))
            same += answer.body == want
    assert same > 120, (same, differ, ends)
    assert len(ends) < same / 10 and len(differ) < same / 7, (same, ends, differ)


def test_sources(world):
    server, web, mails = world
    for uid, raw in mails.items():
        answer = web.get(FOLDER + "%d-P.txt" % uid)
        assert (answer.status, answer.field("Content-Type")) == (200, "text/plain; charset=utf-8")
        assert answer.body == raw, uid
        assert answer.field("Accept-Ranges") is None


def test_source_of_a_part(world):
    _, web, mails = world
    answer = web.get(FOLDER + "%d-02-P.txt" % last(world))
    assert answer.status == 200
    assert answer.body == b"Content-Type: text/html; charset=utf-8\r\n\r\n" + HTML
    assert answer.field("Content-Disposition") == 'inline; filename="%d-02-P.txt"' % last(world)
    for path in ("%d-99-P.txt", "%d-02-01-P.txt", "9%d-P.txt", "0%d-0-P.txt"):
        assert web.get(FOLDER + path % last(world)).status == 404, path


@pytest.mark.parametrize("number, body, kind, disposition", [
    ("01", BINARY, "image/png", 'inline; filename="pass_wd.png"'),
    ("02", HTML, "text/html; charset=utf-8", 'attachment; filename="from%20url.bin"'),
    ("03", b"<svg xmlns='http://www.w3.org/2000/svg'/>", "image/svg+xml", 'attachment; filename="a.svg"'),
    ("04", b"odd", "application/octet-stream", None),
    ("05", b"a=b\xe9\r\n", "application/pdf", 'inline; filename="from%20url.bin"'),
    ("06", b"Subject: inner\r\nContent-Type: text/plain\r\n\r\ninner text", "message/rfc822", None),
    ("06-01", b"inner text", None, None),
    ("07", b"Cat", "application/x-thing", None),
    ("08", b"", "text/plain; charset=koi8-r", 'inline; filename="leer.txt"'),
], ids=lambda v: v if isinstance(v, str) and len(v) < 6 else "")
def test_part(world, number, body, kind, disposition):
    _, web, mails = world
    answer = web.get(FOLDER + "%d-%s-B/from%%20url.bin" % (last(world), number))
    assert (answer.status, answer.body) == (200, body)
    if kind is not None:
        assert answer.field("Content-Type") == kind
    if disposition is not None:
        assert answer.field("Content-Disposition").replace("from url", "from%20url") == disposition
    media = answer.field("Content-Type").split(";")[0]
    assert answer.field("Content-Disposition").startswith("inline" if SHOWN.match(media) else "attachment")
    assert answer.field("Accept-Ranges") == "bytes"


def test_policy_of_every_answer(world):
    _, web, mails = world
    for ref in ("%d-P.txt", "%d-02-B/x.html", "%d-77-B/x", "%d-V/PHOTO"):
        for method in ("GET", "HEAD"):
            answer = web.get(FOLDER + ref % last(world), method)
            for name, value in POLICY.items():
                assert answer.all(name) == [value], (ref, name)
            assert answer.status == (200 if "-P" in ref or "02-B" in ref else 404)


def test_body_of_a_simple_message(world):
    _, web, mails = world
    simple = [u for u, raw in mails.items() if not email.message_from_bytes(raw).is_multipart()]
    for uid in simple[:20]:
        one, other = web.get(FOLDER + "%d-B/x" % uid), web.get(FOLDER + "%d-01-B" % uid)
        assert (one.status, one.body) == (other.status, other.body) and one.status == 200
    assert web.get(FOLDER + "%d-B/x" % last(world)).status == 404  # a multipart has no body


# --- HEAD and ranges


def test_head(world):
    _, web, _ = world
    for ref in ("%d-01-B/x.png", "%d-P.txt", "%d-05-B"):
        got, head = web.get(FOLDER + ref % last(world)), web.get(FOLDER + ref % last(world), "HEAD", Range="bytes=0-1")
        assert head.status == 200 and head.body == b""
        for name in ("Content-Length", "Content-Type", "Content-Disposition", "Accept-Ranges"):
            assert got.field(name) == head.field(name), name


def slices(n):
    yield from [(0, 0), (0, n - 1), (n - 1, n - 1), (0, n + 100), (1, 1), (n // 2, n // 2 + 70000)]
    rnd = random.Random(4)
    for _ in range(25):
        a = rnd.randrange(n)
        yield a, rnd.randrange(a, n)


def test_range(world):
    _, web, _ = world
    ref, n = FOLDER + "%d-01-B/x" % last(world), len(BINARY)
    for a, b in slices(n):
        answer = web.get(ref, Range="bytes=%d-%d" % (a, b))
        assert answer.status == 206
        assert answer.field("Content-Range") == "bytes %d-%d/%d" % (a, min(b, n - 1), n)
        assert answer.body == BINARY[a:b + 1], (a, b)
    for tail in (1, 77, 70000, n, n + 5):
        answer = web.get(ref, Range="bytes=-%d" % tail)
        assert (answer.status, answer.body) == (206, BINARY[-tail:])
    assert web.get(ref, Range="bytes=299000-").body == BINARY[299000:]
    for uid, body in ((5, b"a=b\xe9\r\n"), (7, b"Cat"), (2, HTML)):
        for a in range(len(body)):
            answer = web.get(FOLDER + "%d-%02d-B/x" % (last(world), uid), Range="bytes=%d-%d" % (a, a + 2))
            assert (answer.status, answer.body) == (206, body[a:a + 3])


def test_range_that_is_none(world):
    _, web, _ = world
    ref, n = FOLDER + "%d-01-B/x" % last(world), len(BINARY)
    for value in ("bytes=%d-" % n, "bytes=%d-%d" % (n, n + 1), "bytes=99999999999-"):
        answer = web.get(ref, Range=value)
        assert (answer.status, answer.field("Content-Range")) == (416, "bytes */%d" % n)
        assert answer.field("Content-Disposition") is None
    for more in ({"Range": "bytes=5-2"}, {"Range": "lines=1-2"}, {"Range": "bytes=0-1,5-6"}, {"Range": "bytes=x"},
                 {"Range": "bytes=0-1", "If_Range": '"x"'}):
        answer = web.get(ref, **more)
        assert (answer.status, answer.body == BINARY) == (200, True), more


def test_another_client_agrees(world):
    """Python's http.client, over one connection that stays."""
    server, web, mails = world
    client = http.client.HTTPConnection("127.0.0.1", server.http_port, timeout=PATIENCE)
    ref, n = web.target(FOLDER + "%d-01-B/x.png" % last(world)), len(BINARY)
    for method, path, fields, status, body in (
            ("GET", ref, {}, 200, BINARY), ("HEAD", ref, {}, 200, b""), ("GET", ref, {"Range": "bytes=10-69999"}, 206, BINARY[10:70000]),
            ("GET", ref, {"Range": "bytes=%d-" % n}, 416, None), ("GET", ref + "y/z", {}, 404, None), ("POST", ref, {}, 405, None),
            ("GET", web.target(FOLDER + "%d-P.txt" % last(world)), {}, 200, mails[last(world)])):
        client.request(method, path, headers=fields)
        kept = client.sock
        answer = client.getresponse()
        got = answer.read()
        assert answer.status == status and body in (None, got), (method, path, fields)
        assert kept is client.sock, (method, path, fields)
    client.close()


# --- who may, and what is there


def test_who_may(world):
    server, web, _ = world
    ref = FOLDER + "%d-P.txt" % last(world)
    other = server.web_session()
    assert other.get(ref).status == 404  # the folder is open in another session
    assert server.ask("GET", web.target(ref)[:-3] + "x").status == 404
    stranger = web.url_id[:-1] + ("a" if web.url_id[-1] != "a" else "b")
    answer = server.ask("GET", "/Session/%s/%s" % (stranger, ref))
    assert (answer.status, answer.body) == (550, b"you have been disconnected")
    assert web.get(ref, "POST").status == 405
    assert "HEAD" in web.get(ref, "POST").field("Allow")
    other.call(OPEN)
    assert other.get(ref).status == 200
    other.call('<folderClose id="c" folder="in box/1"/>')
    assert other.get(ref).status == 404
    assert other.kill().status == 200
    assert other.get(ref).status == 550


def test_cookie_and_address(world):
    server, web, _ = world
    bound = Session(server, server.login(EnableUseCookie=1))
    ref = FOLDER + "%d-P.txt" % last(world)
    answer = bound.get(ref)
    assert answer.status == 404 and answer.cookie
    bound.kill()
    bound = Session(server, server.login(EnableUseCookie=1))
    cookie = bound.get(ref).cookie
    assert bound.get(ref, Cookie="CGateProWebUser=" + cookie).status == 404
    assert bound.get(ref).status == 550
    conn = server.web(source="127.0.0.2")
    assert conn.ask("GET", web.target(ref), version="1.0").status == 550


TRICKS = ["%2e%2e", "..", "%2E%2e%2f", "%00", "%2f", "%5c", "%c0%ae%c0%ae", "%e0%80%ae", "%f8%80%80%80%ae", "%25%32%65", "%252e",
          "%", "%4", "%zz", "%ff", "%c3", "a%0d%0ab", "%7f", ";x", "a/b", "//", "./", "%2e/", "con", "%e2%80%ae", "~", "*", "?",
          "%3f", "%23", "+", "%20", "%e2%88%95"]


def test_path_tricks(world):
    """Names full of tricks: the right part, or 400 or 404, and nothing else."""
    server, web, _ = world
    uid, seen = last(world), {}
    paths = []
    for t in TRICKS:
        paths += [FOLDER + "%d-02-B/%s" % (uid, t), FOLDER + "%d-02-B/%s%s.html" % (uid, t, t),
                  FOLDER + "%s%d-02-B/x" % (t, uid), FOLDER + "%d%s-02-B/x" % (uid, t),
                  FOLDER + "%d-02%s-B/x" % (uid, t), FOLDER + "%d-02-B%s/x" % (uid, t),
                  "MIME/%s/%d-02-B/x" % (t, uid), "MIME/in%%20box%%2F1%s/%d-02-B/x" % (t, uid),
                  "MIME/%s/in%%20box%%2F1/%d-02-B/x" % (t, uid), "%s/MIME/in%%20box%%2F1/%d-02-B/x" % (t, uid)]
    paths = [p for p in paths if not p.startswith("?")]  # which is a poll
    assert len(paths) >= 300
    for path in paths:
        answer = server.ask("GET", web.target(path))
        assert answer.status in (200, 400, 404), path
        seen[answer.status] = seen.get(answer.status, 0) + 1
        if answer.status == 200:
            assert answer.body == HTML, path
            assert FOLDER + "%d-02" % uid in path, path
            assert not re.search(r'[\x00-\x1f\x7f/\\]', answer.field("Content-Disposition").split("filename=")[1].split('";')[0].strip('"')), path
    assert seen[200] > 20 and seen[404] > 50 and seen[400] > 50, seen


# --- large ones, slow readers, messages that go away


LARGE = 50 << 20


def deliver_large(server):
    """One message with a LARGE attachment, piece by piece: no line of it begins with a dot."""
    block = random.Random(7).randbytes(600 * 1024)
    blocks = [bytes([n]) + block[1:] for n in range(LARGE // len(block))]
    blocks.append(block[:LARGE - len(blocks) * len(block)])
    post = server.lmtp()
    assert post.mail("ann@example.org")[0] == 250 and post.rcpt("dora@harbor.example")[0] == 250
    assert post.docmd("DATA")[0] == 354
    head, tail = compose((["Content-Type: application/x-large", "Content-Transfer-Encoding: base64"], b"HERE")).split(b"HERE")
    post.send(head)
    for one in blocks:
        post.send(b64(one))
    post.send(tail + b".\r\n")
    try:
        assert post.getreply()[0] == 250
    except smtplib.SMTPServerDisconnected:
        raise AssertionError("no answer to it, only the end:\n" + server.log()) from None
    post.quit()
    return b"".join(blocks)


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    with WebServer(tmp_path_factory.mktemp("large"), http=PATIENT, conf="[lmtp]\nmax_message = 100M\n", clock=True,
                   server="log_level = problems\nworkers = 2\nkeepers = 2\n") as server:
        with server.slow_time(0):
            data = deliver_large(server)
        assert "stored unparsed" not in server.log(), server.log()
        web = server.web_session()
        web.call(OPEN)
        yield server, web, data


def slow_reader(session, what):
    link = socket.socket()
    link.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
    link.settimeout(PATIENCE)
    link.connect(("127.0.0.1", session.server.http_port))
    link.sendall(request("GET", session.target(what)))
    return link


def test_slow_reader(large):
    """50 MB for somebody who takes his time: 256 KiB at most, and others go on."""
    server, web, data = large
    ref = FOLDER + "1-01-B/large.bin"
    assert web.get(ref, "HEAD").field("Content-Length") == str(LARGE)
    begun, readers = [], []
    before = server.anonymous_memory()
    for _ in range(20):
        readers.append(slow_reader(web, ref))
        begun.append(readers[-1].recv(4096))
        assert begun[-1].startswith(b"HTTP/1.1 200 OK\r\n")
    for _ in range(50):
        web.call('<readTime id="t"/>')
    each = (server.anonymous_memory() - before) / len(readers)
    if not os.environ.get("XIMSSD_SANITIZED"):
        assert each <= 256 << 10, each
    for link in readers[1:]:
        link.close()
    head, body = begun[0].split(b"\r\n\r\n")
    got, n = [body], len(body)
    while n < LARGE:
        got.append(readers[0].recv(1 << 20))
        assert got[-1]
        n += len(got[-1])
    assert b"".join(got) == data
    readers[0].close()


def test_range_of_a_large_one(large):
    server, web, data = large
    for a in (0, 1 << 20, LARGE - 100000, 33333333):
        answer = web.get(FOLDER + "1-01-B/x", Range="bytes=%d-%d" % (a, a + 99999))
        assert (answer.status, answer.body == data[a:a + 100000]) == (206, True)


def rest_of(link):
    """How many bytes come until the end, whatever that is."""
    n = 0
    try:
        while piece := link.recv(1 << 16):
            n += len(piece)
    except ConnectionError:
        pass
    return n


def test_many_at_once(large):
    """Downloads share the keeper: all of them come to their end, and so do requests meanwhile."""
    server, web, data = large
    done = []

    def one(n):
        answer = server.ask("GET", web.target(FOLDER + "1-01-B/x"), fields={"Range": "bytes=%d-%d" % (n << 20, (n + 4 << 20) - 1)})
        done.append(answer.body == data[n << 20:n + 4 << 20])

    threads = [threading.Thread(target=one, args=(n,)) for n in range(6)]
    for t in threads:
        t.start()
    web.call('<readTime id="t"/>')
    for t in threads:
        t.join(PATIENCE)
    assert done == [True] * 6


@pytest.mark.parametrize("how", ["removed", "killed"])
def test_gone_in_the_middle(large, how):
    """The connection breaks; a short body is never passed off as a whole one."""
    server, web, data = large
    server.deliver(compose((["Content-Type: application/x-large", "Content-Transfer-Encoding: base64"], b64(data[:6 << 20]))))
    mine = server.web_session()
    uid = int(mine.call(OPEN)[0].get("UIDNext")) - 1
    link = slow_reader(mine, FOLDER + "%d-01-B/x" % uid)
    head = b""
    while b"\r\n\r\n" not in head:
        head += link.recv(4096)
    assert b"\r\nContent-Length: %d\r\n" % (6 << 20) in head
    if how == "removed":
        assert mine.call('<messageRemove id="r" folder="in box/1" mode="Immediately"><UID>%d</UID></messageRemove>'
                         % uid)[-1].get("errorNum") is None
    else:
        assert mine.kill().status == 200
    assert len(head) + rest_of(link) < 6 << 20
    link.close()
    assert web.get(FOLDER + "1-01-B/x", "HEAD").status == 200
    wait_for(lambda: mine.get(FOLDER + "%d-01-B/x" % uid).status == (404 if how == "removed" else 550))
