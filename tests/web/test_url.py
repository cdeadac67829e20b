# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The ximssd authors
"""Percent-encoding, paths and forms against urllib.parse, which is given what it would let pass only if RFC 3986 allows it."""
import random
import re
import urllib.parse

import pytest
from webcodec import ask, text

PIECES = [b"a", b"Z", b"9", b"-", b".", b"_", b"~", b"+", b"%20", b"%2f", b"%2F", b"%5c", b"%2e", b"%C3%A9", b"%e2%82%ac", b"%F0%9F%98%80", "\u00e9".encode(),
          b"%25", b"%2525", b"=", b"&", b";", b"/", b"?", b":@!$'()*,", b"%00", b"%", b"%4", b"%zz", b"%g1", b"%1g", b"%C0%AF", b"%ED%A0%80", b"%F4%90%80%80",
          b"%E9", b"\xff", b"%c3", b"\xa9", b"%0A", b"%7f", b"\\"]


def samples(seed, n, pieces):
    rng = random.Random(seed)
    return [b"".join(rng.choice(pieces) for _ in range(rng.randrange(8))) for _ in range(n)]


def decoded(raw, plus):
    """What urllib makes of it, or None when it is to be refused."""
    if re.search(rb"%(?![0-9A-Fa-f]{2})", raw):
        return None
    out = urllib.parse.unquote_to_bytes(raw.replace(b"+", b" ") if plus else raw)
    try:
        out.decode("utf-8", "strict")
    except UnicodeDecodeError:
        return None
    return None if b"\0" in out else out


@pytest.mark.parametrize("plus", [False, True])
def test_decode(plus):
    raws = samples(3986, 4000, PIECES) + [b"%%%02x" % b for b in range(256)] + [b"%%%02X%%%02X" % (a, b) for a in range(0xc0, 256) for b in range(0x70, 0xd0)]
    answers = ask("decode", [(raw, "1" if plus else None) for raw in raws])
    wants = [decoded(raw, plus) for raw in raws]
    for raw, want, got in zip(raws, wants, answers):
        assert (got["err"], text(got.get("text"))) == (("OK", want) if want is not None else ("SYNTAX", None)), raw
    assert 300 < sum(w is not None for w in wants) < len(wants) - 300


def test_encode():
    raws = [bytes([b]) for b in range(256)] + samples(1, 300, PIECES)
    for raw, got in zip(raws, ask("encode", raws)):
        assert text(got["text"]).decode() == urllib.parse.quote(raw, safe="")
        assert urllib.parse.unquote_to_bytes(text(got["text"])) == raw


def path_of(path):
    if not path.startswith(b"/") or re.search(rb"[\0-\x20\x7f#?]", path):
        return None
    segments = [decoded(raw, False) for raw in path[1:].split(b"/")]
    if None in segments:
        return None
    return [[s, int(b"/" in s or b"\\" in s), int(s in (b".", b".."))] for s in segments]


def test_paths():
    pieces = PIECES[:24] * 3 + [b"/", b"//", b"/./", b"/../", b"/%2e%2E/", b"/.%2e/", b"/%252e%252e/", b"/..%2f", b"/..\\", b"/...", b"#", b" ", b"\t", b"\r\n"] + PIECES[24:]
    targets = [b"/" + t for t in samples(4, 4000, pieces)] + samples(5, 300, pieces) + [b"*", b"", b"http://a/b", b"/", b"//", b"/?"]
    wants = [path_of(t) for t in targets]
    for target, want, got in zip(targets, wants, ask("path", targets)):
        if want is None:
            assert got["err"] == "SYNTAX", target
        else:
            assert got["err"] == "OK", target
            assert [[text(s), *flags] for s, *flags in got["segments"]] == want
    assert 500 < sum(w is not None for w in wants) < len(wants) - 500


def test_forms():
    pieces = PIECES[:20] + [b"=", b"&"] * 4 + PIECES[20:28] + [b"%00", b"%", b"%C0%AF"]
    forms = samples(6, 4000, pieces) + [b"", b"&&", b"=", b"a", b"a=b=c", b"a&b&A=1", b"x=%26%3d&y=+", b"a;b=1;c=2"]
    good = 0
    for form, got in zip(forms, ask("form", [(f, None) for f in forms])):
        if decoded(form, True) is None:
            # The whole may be refused where its parts are not, as when half a character stands on either side of '&'.
            parts = [decoded(p, True) for piece in form.split(b"&") for p in piece.split(b"=", 1)]
            assert (got["err"] == "SYNTAX") == (None in parts), form
            continue
        want = urllib.parse.parse_qsl(form.decode(), keep_blank_values=True, errors="strict")
        if got["err"] == "OK":
            assert [(text(n).decode(), text(v).decode()) for n, v in got["pairs"]] == want, form
            good += 1
        else:
            assert None in [decoded(p, True) for piece in form.split(b"&") for p in piece.split(b"=", 1)], form
    assert good > 1000


def test_body_wins():
    """Protocol 1, 4.2: the body wins; names without regard to ASCII case, and to no other."""
    names = ["username", "USERNAME", "q", "none", "empty", "k", "\u00c9"]
    got, = ask("form", [("userName=body&empty=&%55sername=second&\u00e9=1", "username=query&q=1&Q=2&empty=full&\u212a=kelvin", *names)])
    assert [text(x) for x in got["found"]] == [b"body", b"body", b"1", None, b"", None, None]
    got, = ask("form", [(None, "a=1", "a", "b")])
    assert [text(x) for x in got["found"]] == [b"1", None]


@pytest.mark.parametrize("n,err", [(63, "OK"), (64, "OK"), (65, "TOO_LONG")])
def test_caps(n, err):
    form = "&&".join("p%d=%d" % (i, i) for i in range(n)) + "&"
    assert [a["err"] for a in ask("form", [(form, None), (None, form)])] == [err, err]
    assert ask("path", ["/" + "/".join("s" * n)])[0]["err"] == err
