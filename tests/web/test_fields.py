# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The ximssd authors
"""Values of HTTP fields, against Python's readers of them and the examples of their RFCs."""
import base64
import email
import email.policy
import http.cookies
import os
import random
import re
import urllib.parse

import pytest
from webcodec import ask, text

# --- Range


def wanted_range(value, size):
    """RFC 9110, 14.1.1, 14.1.2, 14.2, on Python's numbers."""
    m = re.fullmatch(r"(?i:bytes)=[ \t]*(?:([0-9]+)-([0-9]*)|-([0-9]+))[ \t]*", value)
    if not m:
        return {"kind": "none"}
    if m.group(3) is not None:
        n = min(int(m.group(3)), size)
        if int(m.group(3)) == 0:
            return {"kind": "beyond"}
        return {"kind": "one", "from": size - n, "n": n} if size else {"kind": "none"}
    first, last = int(m.group(1)), int(m.group(2)) if m.group(2) else None
    if last is not None and last < first and last < (1 << 64) - 1:  # two numbers that no size reaches are one to us
        return {"kind": "none"}
    if first >= size:
        return {"kind": "beyond"}
    end = size if last is None else min(last + 1, size)
    return {"kind": "one", "from": first, "n": end - first}


def test_ranges():
    """RFC 9110, 14.1.2, on 10,000 bytes; then everything near a small size, and numbers that fit nowhere."""
    examples = [("bytes=0-499", 0, 500), ("bytes=500-999", 500, 500), ("bytes=-500", 9500, 500), ("bytes=9500-", 9500, 500)]
    for (value, first, n), got in zip(examples, ask("range", [(v, "10000") for v, _, _ in examples])):
        assert got == {"kind": "one", "from": first, "n": n} == wanted_range(value, 10000)
    big = [str(n) for n in ((1 << 63) - 1, 1 << 63, (1 << 64) - 2, (1 << 64) - 1, 1 << 64, 10 ** 40)]
    numbers = [str(n) for n in range(6)] + ["007", *big]
    values = ["bytes=%s-%s" % (a, b) for a in [*numbers, ""] for b in [*numbers, ""]]
    values += ["", "bytes", "bytes=", "bytes=-", "bytes=0-1,3-4", "bytes=0-1,", "bytes=,0-1", "lines=0-1", "bytes 0-1", "bytes=0-1x", "bytes=x-1", "bytes=+0-1", "bytes=0--1", "bytes=0-1-2",
               "bytes=--1", "Bytes=1-2", "BYTES=1-", "bytes= 1-2 ", "bytes=1 - 2", "bytes =1-2", "bytes=0x0-1", "bytes=1-2\0", "bytes=\u0661-2", "bytes=1-2;", "items=0-5", "=0-5"]
    rows = [(v, str(size)) for v in values for size in (0, 1, 3, 4, 5, (1 << 63) - 1, (1 << 64) - 1)]
    for (value, size), got in zip(rows, ask("range", rows)):
        assert got == wanted_range(value, int(size)), (value, size)


# --- Cookie


def test_cookies():
    rng = random.Random(6265)
    names, values = ["CGateProWebUser", "a", "A", "CGateProWebUserX", "x-y"], ["65pzQm", "", "a=b", "x", "0"]
    rows, wants = [], []
    for _ in range(1000):
        pairs = [(rng.choice(names), rng.choice(values)) for _ in range(rng.randrange(6))]
        line = rng.choice(["; ", ";"]).join("%s=%s" % p for p in pairs)
        theirs = {k: m.value for k, m in http.cookies.SimpleCookie("; ".join("%s=%s" % p for p in reversed(pairs))).items()}
        rows += [(line, n) for n in names[:3]]
        wants += [theirs[n].encode() if n in theirs else None for n in names[:3]]
    for row, want, got in zip(rows, wants, ask("cookie", rows)):
        assert text(got["value"]) == want, row
    rows = [("a", None), ("a;b=1", None), (" a = 1 ;a=2", b"1"), ("b=a=1", None), ("xa=1", None), ("a=\"q\"", b'"q"'), (";;a=;", b""), ("A=1", None), ("a\0=1", None), (None, None), ("$Version=1; a=2", b"2")]
    for (line, want), got in zip(rows, ask("cookie", [(line, "a") for line, _ in rows])):
        assert text(got["value"]) == want, line


# --- Authorization


def basic(both, scheme="Basic "):
    return scheme + base64.b64encode(both if isinstance(both, bytes) else both.encode()).decode()


def test_basic():
    rows = [("Basic ZG9yYUBoYXJib3IuZXhhbXBsZTpjb3JyZWN0LWhvcnNl", ("dora@harbor.example", "correct-horse")),  # protocol 1, 4.3
            ("Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==", ("Aladdin", "open sesame")), ("basic dGVzdDoxMjPCow==", ("test", "123\u00a3")),  # RFC 7617, 2 and 2.1
            (basic(":"), ("", "")), (basic("a:"), ("a", "")), (basic("a:b:c"), ("a", "b:c")), (basic("a:b", "BASIC   "), ("a", "b")), (basic("\u00e9:\U0001f600"), ("\u00e9", "\U0001f600")),
            ("Basic YTpi", ("a", "b")), ("Basic YTo", ("a", ""))]
    for (value, want), got in zip(rows, ask("basic", [v for v, _ in rows])):
        assert (got["err"], text(got["user"]).decode(), text(got["password"]).decode()) == ("OK", *want), value
    bad = [basic("ab"), basic(""), basic(b"a:\xff"), basic(b"\xc0\xaf:b"), basic("a\0:b"), basic("a:b\n"), basic("a\x7f:b"), "Basic =", "Basic a", "Basic Y:Q=", "Basic YTpi==YTpi", "Basic \u00e9"]
    assert {a["err"] for a in ask("basic", bad)} == {"SYNTAX"}
    other = [None, "", "Basic", "Bearer YTpi", "BasicYTpi", "Digest username=\"a\"", "YTpi", "Basic\tYTpi"]
    assert {a["err"] for a in ask("basic", other)} == {"UNSUPPORTED"}
    sizes = [(1023, "OK"), (1024, "OK"), (1025, "TOO_LONG"), (1026, "TOO_LONG"), (1 << 20, "TOO_LONG")]
    assert [a["err"] for a in ask("basic", [basic("u:" + "p" * (n - 2)) for n, _ in sizes])] == [err for _, err in sizes]


# --- Content-Type

MEDIA = ["text/plain", "TEXT/Plain; charset=utf-8", "image/svg+xml", "multipart/form-data; boundary=x", " application/pdf ;x=y", "audio/x-wav", "video/mp4", "a/b;", "x-a/y.z+w"]
NO_MEDIA = ["", "text", "text/", "/plain", "text/html/x", "text /html", "text/ html", "te(xt/html", "text/html, image/png", "\u00e9/x", "text/html\0", ";text/html", "image/png\timage/png"]
SHOWN = {"image/png", "image/jpeg", "image/gif", "image/webp", "text/plain", "application/pdf", "audio/x-wav", "video/mp4", "Image/PNG", "AUDIO/ogg"}
NOT_SHOWN = {"text/html", "image/svg+xml", "text/xml", "application/xml", "application/xhtml+xml", "image/bmp", "image/pngx", "image/", "text/plainx", "application/octet-stream", "multipart/mixed",
             "message/rfc822", "text/css", "application/javascript", "audio", "audiox/x", "application/pdf+xml", "text/calendar", ""}


def test_media():
    for value, got in zip(MEDIA, ask("media", MEDIA)):
        assert text(got["media"]).decode().lower() == email.message_from_string("Content-Type: %s\n\n" % value, policy=email.policy.compat32).get_content_type()
    assert {a["media"] for a in ask("media", [*NO_MEDIA, None])} == {None}
    for kinds, want in ((SHOWN, {1}), (NOT_SHOWN | set(NO_MEDIA), {0})):
        assert {a["shown"] for a in ask("media", sorted(kinds))} == want


# --- Content-Disposition

NAMES = ["report.pdf", "na\u00efve \u20ac.txt", "100%.txt", "%41.txt", "a b;c=d.txt", "../../etc/passwd", 'x"; filename=y.exe', "a\r\nSet-Cookie: b=c", "\u202egpj.exe", "", "a\\b", "'q'.txt", "\u4f60\u597d" * 60 + ".doc",
         "C:\\x\\y.doc", "\U0001f600", "a\0b", "caf\u00e9", "A" * 400, "%e2%80%ae", "=?utf-8?q?x?="]


def test_dispositions():
    """A reader that knows filename* and one that does not (Python's takes what comes first); neither ever sees more than a name."""
    rng = random.Random(8187)
    letters = list("ab.%\"\\/;=' \r\n\t") + ["\u00e9", "\u20ac", "\u202e", "\U0001f600"]
    names = NAMES + ["".join(rng.choice(letters) for _ in range(rng.randrange(16))) for _ in range(1500)]
    rows = [(n, i % 2 and "1" or None) for i, n in enumerate(names)]
    clean = [text(a["text"]).decode() for a in ask("filename", names)]
    for (name, shown), want, got in zip(rows, clean, ask("disposition", rows)):
        value = text(got["text"]).decode("ascii", "strict")
        m = re.fullmatch(r"""(attachment|inline); filename="([ !#$&-\[\]-~]+)"(; filename\*=UTF-8''([A-Za-z0-9!#$&+.^_`|~%-]+))?""", value)
        assert m and (m.group(1) == "inline") == bool(shown), value
        old, new = (email.message_from_string("Content-Disposition: %s\n\n" % v, policy=email.policy.HTTP)
                    for v in (value, value.replace(' filename="%s";' % m.group(2), "")))
        assert old.get_content_disposition() == new.get_content_disposition() == m.group(1)
        assert (old.get_filename(), new.get_filename()) == (m.group(2), want), name
        assert (m.group(4) is None) == (m.group(2) == want)
        assert m.group(4) is None or urllib.parse.unquote(m.group(4), errors="strict") == want
        assert os.path.basename(m.group(2)) == m.group(2) and len(m.group(2)) <= 255
    assert text(ask("disposition", ["report.pdf"])[0]["text"]) == b'attachment; filename="report.pdf"'


# --- Origin

ORIGINS = ["https://harbor.example", "http://harbor.example", "https://harbor.example:8443", "https://[2001:db8::1]", "https://[2001:db8::1]:8443", "http://127.0.0.1:8100", "https://xn--strae-oqa.example"]
EVIL = ["null", "", "https://", "https:/harbor.example", "harbor.example", "//harbor.example", "https://harbor.example/", "https://harbor.example/x", "https://harbor.example?", "https://user@harbor.example",
        "https://harbor.example.evil.example", "https://evilharbor.example", "https://harbor.example:443:443", "https://harbor.example:", "https://harbor.example:0", "https://harbor.example:65536",
        "https://harbor.example:0443", "https://harbor.example:x", "https://harbor.example#", "https://harbor.example\0", "https://harbor.example https://harbor.example", "https://*", "*", "https://harbor.exampl\u00e9",
        "https://harbor.example,https://x", "wss://harbor.example", "https://harbor.example\\", "file://", ":", "://harbor.example", "https://:443"]


def triple(origin):
    u = urllib.parse.urlsplit(origin)
    return u.scheme, u.hostname, u.port or {"http": 80, "https": 443}.get(u.scheme)


def test_origins():
    lists = [", ".join(ORIGINS), " ".join(ORIGINS), ",,".join(ORIGINS), "\t".join(reversed(ORIGINS)) + ","]
    asked = ORIGINS + [o.upper() for o in ORIGINS] + ["https://harbor.example:443", "http://harbor.example:80", "http://harbor.example:443", "https://harbor.example:80", "https://harbor.example:8444",
                                                      "http://127.0.0.1", "https://[2001:db8::2]"]
    known = {triple(o) for o in ORIGINS}
    for some in lists:
        for origin, got in zip(asked, ask("origin", [(o, some) for o in asked])):
            assert got["in"] == (triple(origin) in known), (origin, some)
    for some, want in ((lists[0], 0), ("null, " + lists[0], 0), ("", 0), (None, 0), ("x *", 1)):
        for evil, got in zip(EVIL, ask("origin", [(evil, some) for evil in EVIL])):
            assert got["in"] == want, (evil, some)
    # A port in the list that is the usual one.
    assert [a["in"] for a in ask("origin", [("https://a.example", "https://A.example:443"), ("http://a.example", "https://a.example:80")])] == [1, 0]


@pytest.mark.parametrize("item", ["https://harbor.example/", "harbor.example", "null", "https://*.example", "**", "https://harbor.example:0443", "https://harbor.example:0", "https://harbor.example:x"])
def test_what_is_no_origin_in_the_list(item):
    assert ask("origin", [(item, item)])[0]["in"] == 0
