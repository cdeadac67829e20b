# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The ximssd authors
"""multipart/form-data: what was put into a body comes out of it, in whatever pieces; Python's e-mail package and curl have their say."""
import email
import email.policy
import random
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from webcodec import ask, text

SIZES = ["1", "2", "3", "7", "64", "100000"]


def browser(s):
    """A name as the HTML standard writes it (multipart/form-data encoding algorithm)."""
    return s.replace("\r", "%0D").replace("\n", "%0A").replace('"', "%22")


def body_of(boundary, parts, tail=b"--\r\n", preamble=b""):
    out = preamble
    for name, filename, kind, data in parts:
        head = 'Content-Disposition: form-data; name="%s"' % browser(name)
        if filename is not None:
            head += '; filename="%s"' % browser(filename)
        head += "\r\n" + ("Content-Type: %s\r\n" % kind if kind else "")
        out += b"--" + boundary + b"\r\n" + head.encode() + b"\r\n" + data + b"\r\n"
    return out + b"--" + boundary + tail


def read_all(boundary, bodies, size="100000"):
    return ask("multipart", [(b'multipart/form-data; boundary="%s"' % boundary, body, size) for body in bodies])


def read(boundary, body, size="100000"):
    return read_all(boundary, [body], size)[0]


def plain(answer):
    return [(text(p["name"]).decode(), None if p["filename"] is None else text(p["filename"]).decode(), None if p["type"] is None else text(p["type"]).decode(),
             text(p["data"])) for p in answer["parts"]]


def test_random_bodies():
    """Data made of what looks like boundaries; every size of pieces says the same."""
    rng = random.Random(7578)
    names = ["fileData", "", 'a"b', "na\u00efve \u20ac", "x\r\ny", "100%25", "a/b", "%2e%2e", "\U0001f600"]
    rows, wants = [], []
    for _ in range(250):
        boundary = rng.choice([b"x", b"----WebKitFormBoundaryAbC123", b"-", b"b'()+_,-./:=? b", b"=_" + b"9" * 68])
        bits = [b"\r", b"\n", b"\r\n", b"-", b"--", b"--" + boundary[:-1], b"\r\n--" + boundary[:-1], b"\r\r\n--", b"\n--" + boundary, b"\r--" + boundary, b"--" + boundary,
                b"\r\n-" + boundary, b"a", b"\0\xff", b"\r\n\r\n"]
        parts = []
        for _ in range(rng.randrange(5)):
            data = b"".join(rng.choice(bits) for _ in range(rng.randrange(12)))
            if b"\r\n--" + boundary in b"\r\n" + data + b"\r\n":
                data = b"harmless"
            parts.append((rng.choice(names), rng.choice([None, *names]), rng.choice([None, "image/png", 'text/plain; charset="utf-8"']), data))
        preamble = rng.choice([b"", b"", b"This is a form.\r\n", b"\r\n", b"-\r\n--\r\n"])
        body = body_of(boundary, parts, rng.choice([b"--", b"--\r\n", b"-- \r\nepilogue\r\n--x\r\n"]), preamble)
        for size in SIZES:
            rows.append((b'multipart/form-data; boundary="%s"' % boundary, body, size))
            wants.append(parts)
    for row, want, got in zip(rows, wants, ask("multipart", rows)):
        assert got["err"] == "OK", row
        assert plain(got) == want, row
        assert [p["n"] for p in got["parts"]] == list(range(1, len(want) + 1))


def test_against_email():
    rng = random.Random(2046)
    bodies, wants = [], []
    for _ in range(150):
        parts = [("f%d" % i, rng.choice([None, "n%d.bin" % i]), rng.choice(["text/plain", "application/octet-stream"]),
                  bytes(rng.choice(b"ab\r\n-\x00\x80\xff") for _ in range(rng.randrange(60)))) for i in range(rng.randrange(1, 5))]
        body = body_of(b"BOUND", parts)
        theirs = email.message_from_bytes(b"Content-Type: multipart/form-data; boundary=BOUND\r\n\r\n" + body, policy=email.policy.HTTP)
        want = [(p.get_param("name", header="content-disposition"), p.get_filename(), p.get_content_type(), p.get_payload(decode=True)) for p in theirs.iter_parts()]
        assert want == parts
        bodies.append(body)
        wants.append(want)
    assert [plain(got) for got in read_all(b"BOUND", bodies, "5")] == wants


def test_curl(tmp_path):
    """What a real client sends: many files, odd names, an empty one, a large one."""
    got = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            got.append((self.headers["Content-Type"], self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_):
            pass
    rng = random.Random(1)
    names = ["plain.txt", 'quo"te.txt', "na\u00efve \u20ac.bin", "back\\slash", "semi;colon,comma.x", "empty"]
    argv, want = [], []
    for i, name in enumerate(names):
        data = b"" if name == "empty" else rng.randbytes(200_000) if i == 2 else ("\r\n--" * i + name).encode()
        path = tmp_path / ("f%d" % i)
        path.write_bytes(data)
        quoted = name.replace("\\", "\\\\").replace('"', '\\"')
        argv += ["-F", 'fileData%d=@%s;type=application/x-%d;filename="%s"' % (i, path, i, quoted)]
        want.append(("fileData%d" % i, name, "application/x-%d" % i, data))
    argv += ["-F", "text=a b\u00e9"]
    want.append(("text", None, None, "a b\u00e9".encode()))
    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.handle_request)
        server.timeout = 20
        thread.start()
        subprocess.run(["curl", "-s", "--noproxy", "*", "-m", "20", "-H", "Expect:", *argv, "http://127.0.0.1:%d/" % server.server_port], check=True, capture_output=True)
        thread.join(20)
    (kind, body), = got
    for size in ("1", "1000", "100000"):
        answer, = ask("multipart", [(kind, body, size)])
        assert answer["err"] == "OK" and plain(answer) == want


NAMES = [  # what stands behind filename=, and what that is
    ('"a.txt"', "a.txt"), ("a.txt", "a.txt"), ('""', ""), ('"a%22b"', 'a"b'), ('"a\\"b"', 'a"b'), ('"a\\\\b"', "a\\b"), ('"C:\\dir\\x.txt"', "C:\\dir\\x.txt"),
    ('"..%2f..%2fetc"', "..%2f..%2fetc"), ('"../../etc/passwd"', "../../etc/passwd"), ('"a%0d%0aX: y"', "a\r\nX: y"), ('"100%25.txt"', "100%25.txt"),
    ("\"a;filename=b\"", "a;filename=b"), ("\"x\"; filename*=UTF-8''%e2%82%ac%20r.txt", "\u20ac r.txt"), ("\"x\"; filename*=utf-8'en'y", "y"),
    ("\"x\"; filename*=ISO-8859-1''%e9", "x"), ("\"x\"; filename*=UTF-8''%e9", "x"), ("\"x\"; filename*=UTF-8''%00", "x"), ("\"x\"; filename*=UTF-8''%zz", "x"),
    ("\"x\"; filename*=UTF-8'y", "x"), ("\"x\"; filename*=y", "x"), ('"\u4f60\u597d.doc"', "\u4f60\u597d.doc"), ('"a"; filenames="b"', "a"), ('"a"; FileName*=UTF-8\'\'B', "B"),
]
BROKEN = ['"a', '"a"b', "a b", "\u00e9", '"a"; filename="b"', '"a"; name="n"', '"a"; x', '"a\tb\x01"', '"\x7f"', b'"\xff"', b'"\xc0\xaf"', b'"\xed\xa0\x80"', '"a";;=']


def test_file_names():
    rows = [b'--b\r\nContent-Disposition: form-data; name="n"; filename=' + v.encode() + b"\r\n\r\nx\r\n--b--" for v, _ in NAMES]
    for (value, want), got in zip(NAMES, read_all(b"b", rows, "3")):
        assert got["err"] == "OK" and [(p[0], p[1]) for p in plain(got)] == [("n", want)], value
    broken = [value if isinstance(value, bytes) else value.encode() for value in BROKEN]
    for value, got in zip(broken, read_all(b"b", [b'--b\r\nContent-Disposition: form-data; name="n"; filename=' + v + b"\r\n\r\nx\r\n--b--" for v in broken])):
        assert got["err"] == "SYNTAX", value


D = b'Content-Disposition: form-data; name="n"\r\n'
HEADS = [
    (D, "OK"), (b"content-disposition:form-data;name=n\r\n", "OK"), (b'Content-Disposition: FORM-DATA ;\r\n\t name="n"\r\n', "OK"), (D + b"X-Other: \xff\r\n", "OK"),
    (D + b"Content-Transfer-Encoding: Binary\r\n", "OK"), (D + b"Content-Transfer-Encoding: base64\r\n", "UNSUPPORTED"),
    (D + b"Content-Transfer-Encoding: quoted-printable\r\n", "UNSUPPORTED"), (D + b"Content-Type: \r\n", "OK"),
    (b"", "SYNTAX"), (b"X: y\r\n", "SYNTAX"), (D + D, "SYNTAX"), (D + b"Content-Disposition: form-data; filename=x\r\n", "SYNTAX"), (b"Content-Disposition: attachment; name=n\r\n", "SYNTAX"), (b"Content-Disposition: form-data\r\n", "SYNTAX"),
    (b"Content-Disposition: form-data; filename=n\r\n", "SYNTAX"), (b"Content-Disposition : form-data; name=n\r\n", "SYNTAX"), (b" " + D, "SYNTAX"),
    (b'Content-Disposition: form-data; name="n"\n', "SYNTAX"), (D + b"X: a\rb\r\n", "SYNTAX"), (D + b"X: a\0b\r\n", "SYNTAX"), (D + b"X\r\n", "SYNTAX"), (D + b": x\r\n", "SYNTAX"),
    (D + b"--b\r\n", "SYNTAX"), (b'Content-Disposition: form-data; name="\xff"\r\n', "SYNTAX"), (b"Content-Disposition: form-data; name=n, form-data; name=m\r\n", "SYNTAX"),
]
MARKS = [  # around one good part
    (b"--b\r\n", b"\r\n--b--", "OK"), (b"--b \t \r\n", b"\r\n--b-- \t\r\n", "OK"), (b"\r\n--b\r\n", b"\r\n--b--x", "OK"), (b"x\r\n--b\r\n", b"\r\n--b--\r\n--b\r\n", "OK"),
    (b"--b\n", b"\r\n--b--", "SYNTAX"), (b"--b\r", b"\r\n--b--", "SYNTAX"), (b"--bb\r\n", b"\r\n--b--", "SYNTAX"), (b"--b\r\n", b"\r\n--bb--", "SYNTAX"),
    (b"--b\r\n", b"\r\n--b-x", "SYNTAX"), (b"--b\r\n", b"\r\n--b \n", "SYNTAX"), (b"--b-\r\n", b"\r\n--b--", "SYNTAX"), (b"--b\r\r\n", b"\r\n--b--", "SYNTAX"),
    (b"--b- \r\n", b"\r\n--b--", "SYNTAX"), (b"--b\r \r\n", b"\r\n--b--", "SYNTAX"),
    (b"--b - \r\n", b"\r\n--b--", "SYNTAX"), (b"x--b\r\n", b"\r\n--b--", "OK"), (b"--b\r\n", b"\n--b--", "EOF"), (b"--b\r\n", b"\r\n--B--", "EOF"), (b"--b\r\n", b"\r\n--b-", "EOF"),
    (b"--b\r\n", b"\r\n--b", "EOF"), (b"--b\r\n", b"", "EOF"), (b"", b"", "EOF"),
]


@pytest.mark.parametrize("size", SIZES)
def test_heads_and_marks(size):
    for (head, err), got in zip(HEADS, read_all(b"b", [b"--b\r\n" + head + b"\r\nx\r\n--b--" for head, _ in HEADS], size)):
        assert got["err"] == err, head
    for (before, after, err), got in zip(MARKS, read_all(b"b", [before + D + b"\r\nx" + after for before, after, _ in MARKS], size)):
        assert got["err"] == err, (before, after)
        if err == "OK":
            assert [p[3] for p in plain(got)] == ([] if before == b"x--b\r\n" else [b"x"])
    # RFC 2046, 5.1.1: without a body the empty line's CR LF is the boundary's; and a body of nothing; and no part at all.
    assert [p[3] for p in plain(read(b"b", b"--b\r\n" + D + b"\r\n--b\r\n" + D + b"\r\n\r\n--b--", size))] == [b"", b""]
    assert read(b"b", b"--b--", size) == {"parts": [], "err": "OK"}


def test_types():
    kinds = [("image/png", "image/png"), ("text/plain; charset=utf-8", "text/plain; charset=utf-8"), ("x", None), ("text/", None), ("text/html/x", None), ("a/b;", "a/b;"),
             ("a/b; c", None), ("te xt/plain", None), ("text/plain, text/html", None), ("text/html; x=\"a\\", None), (" a/b ", "a/b")]
    for (kind, want), got in zip(kinds, read_all(b"b", [body_of(b"b", [("n", "f", kind, b"")]) for kind, _ in kinds])):
        assert [p[2] for p in plain(got)] == [want], kind


CONTENT_TYPES = [
    ("multipart/form-data; boundary=x", "OK"), ("Multipart/Form-Data;BOUNDARY=\"x\"", "OK"), ("multipart/form-data; charset=utf-8; boundary=x;", "OK"),
    ("multipart/form-data; boundary=%s" % ("x" * 69), "OK"), ("multipart/form-data; boundary=%s" % ("x" * 70), "OK"), ("multipart/form-data; boundary=%s" % ("x" * 71), "SYNTAX"),
    ("multipart/form-data; boundary=----=_Part_0_1.2'()+_-./:=?", "OK"), ("multipart/form-data; boundary=\"a b\"", "OK"),
    ("multipart/form-data", "SYNTAX"), ("multipart/form-data; boundary=", "SYNTAX"), ("multipart/form-data; boundary=\"\"", "SYNTAX"), ("multipart/form-data; boundary=\"a \"", "SYNTAX"),
    ("multipart/form-data; boundary=x; boundary=x", "SYNTAX"), ("multipart/form-data; boundary=\"x", "SYNTAX"), ("multipart/form-data; boundary=\"\u00e9\"", "SYNTAX"),
    ("multipart/form-data; boundary=\"a\tb\"", "SYNTAX"), ("multipart/form-data; boundary=a*b", "SYNTAX"), ("multipart/form-data, boundary=x", "UNSUPPORTED"),
    ("multipart/mixed; boundary=x", "UNSUPPORTED"), ("text/plain", "UNSUPPORTED"), ("", "UNSUPPORTED"), ("multipart/form-data boundary=x", "UNSUPPORTED"),
]


def test_content_types():
    rows = [(kind, "--%s--" % email.message_from_string("Content-Type: %s\n\n" % kind).get_boundary("-"), "9") for kind, _ in CONTENT_TYPES]
    for (kind, err), got in zip(CONTENT_TYPES, ask("multipart", rows)):
        assert got["err"] == err, kind
    assert ask("multipart", [(None, "", "9")])[0]["err"] == "UNSUPPORTED"


@pytest.mark.parametrize("size", ["1", "1000", "100000"])
def test_limits(size):
    counts = [(63, "OK"), (64, "OK"), (65, "TOO_LONG")]
    for (n, err), got in zip(counts, read_all(b"b", [body_of(b"b", [("n%d" % i, None, None, b"") for i in range(n)]) for n, _ in counts], size)):
        assert got["err"] == err and len(got["parts"]) == min(n, 64)
    heads = [D + b"X: " + b"y" * (n - len(D) - 7) + b"\r\n\r\n" for n in (8191, 8192, 8193)]
    heads += [b'Content-Disposition: form-data; name="n"; filename="%s"\r\n\r\n' % (b"f" * (n - 57)) for n in (8191, 8192, 8193)]
    assert [len(h) for h in heads] == [8191, 8192, 8193] * 2
    assert [a["err"] for a in read_all(b"b", [b"--b\r\n" + h + b"x\r\n--b--" for h in [*heads, b"x" * 8193]], size)] == ["OK", "OK", "TOO_LONG"] * 2 + ["TOO_LONG"]
    both = b"Content-Disposition: form-data; name=\"%s\"; filename=\"%s\"; filename*=UTF-8''%s\r\n\r\n" % (b"%22" * 900, b"\\\\" * 1300, b"%41" * 900)
    got = read(b"b", b"--b\r\n" + both + b"x\r\n--b--", size)
    assert [p[:2] for p in plain(got)] == [('"' * 900, "A" * 900)]
