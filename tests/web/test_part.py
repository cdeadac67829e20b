# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The ximssd authors
"""References to parts (protocol 2, 9.1), URLs of parts, and names that are made fit to be offered."""
import ntpath
import os
import random
import re
import unicodedata
import urllib.parse

import pytest
from webcodec import ask, text

HEAD = "/Session/100042-k2Vb7QmZ0xT4LrNcYpWd/MIME/INBOX-MM-1/"
PART = r"(?:\d{1,5}[-.])*\d{1,5}"
FORMS = [("P", re.compile(r"(\d+)(?:-(%s))?-P\.txt" % PART, re.I)), ("B", re.compile(r"(\d+)(?:-(%s))?-B(?:/([^/]*))?" % PART, re.I)),
         ("V", re.compile(r"(\d+)-V/(PHOTO)", re.I))]


def reference(ref):
    """The grammar of the paper as regular expressions: (kind, uid, part, name), or None."""
    for kind, form in FORMS:
        m = form.fullmatch(ref)
        if m and 0 < int(m.group(1)) < 1 << 32:
            part = "-".join(n.zfill(2) for n in re.split("[-.]", m.group(2))) if m.group(2) and kind != "V" else ""
            if len(part) < 256:
                name = urllib.parse.unquote(m.group(3) or "") if kind == "B" else m.group(2) if kind == "V" else ""
                return kind, int(m.group(1)), part, name
            return None
    return None


EXAMPLES = [  # of the paper, and what clients send
    ("512-P.txt", ("P", 512, "", "")), ("512-01-B/msg.wav", ("B", 512, "01", "msg.wav")), ("512-02-01-P.txt", ("P", 512, "02-01", "")),
    ("512-B/a%20b.txt", ("B", 512, "", "a b.txt")), ("512-V/PHOTO", ("V", 512, "", "PHOTO")), ("512-2.1-b/x", ("B", 512, "02-01", "x")),
    ("512-1-p.TXT", ("P", 512, "01", "")), ("512-01-B", ("B", 512, "01", "")), ("512-01-B/..%2f..%2fetc%2fpasswd", ("B", 512, "01", "../../etc/passwd")),
    ("4294967295-P.txt", ("P", 4294967295, "", "")), ("4294967294-P.txt", ("P", 4294967294, "", "")), ("4294967296-P.txt", None), ("0-P.txt", None),
    ("1-99999-B/x", ("B", 1, "99999", "x")), ("1-100000-B/x", None), ("-P.txt", None), ("512-", None), ("512", None), ("512--B/x", None), ("512-01--B/x", None),
    ("512-01.-B/x", None), ("512-+1-B/x", None), ("512-01-B/x/y", None), ("512-01-P.txt/x", None), ("512-P", None), ("512-01-V/PHOTO", None), ("512-V", None),
    ("512-V/KEY", None), ("+512-P.txt", None), ("0x10-P.txt", None), ("512-01-BB/x", None), ("", None), ("99999999999999999999999-P.txt", None),
]


def test_examples():
    for (ref, want), got in zip(EXAMPLES, ask("part", [HEAD + ref for ref, _ in EXAMPLES])):
        assert reference(ref) == want, ref
        if want is None:
            assert got["err"] == "SYNTAX", ref
        else:
            assert (got["err"], got["kind"], got["uid"], text(got["part"]).decode(), text(got["name"]).decode()) == ("OK", *want), ref
            assert text(got["folder"]) == b"INBOX-MM-1"


def test_grammar():
    rng = random.Random(91)
    bits = ["1", "12", "512", "0", "-", "-", "-", ".", "B", "-B", "-B/", "P.txt", "-P.txt", "-V/PHOTO", "/", "01", "2.1", "x", "%2d", "%42"]
    tails = ["-B/x", "-B", "-P.txt", "%2Db/", "-p.TXT", ""]
    refs = ["".join([rng.choice(["512", "7-01", "7-2.1", "", "-"]), *(rng.choice(bits) for _ in range(rng.randrange(4))), rng.choice(tails)]) for _ in range(6000)]
    wants = [reference(urllib.parse.unquote(ref)) for ref in refs]
    for ref, want, got in zip(refs, wants, ask("part", [HEAD + ref for ref in refs])):
        assert (got["err"] == "OK") == (want is not None), ref
        if want is not None:
            assert (got["kind"], got["uid"], text(got["part"]).decode(), text(got["name"]).decode()) == want
    assert 300 < sum(w is not None for w in wants) < 5000


@pytest.mark.parametrize("n,err", [(84, "OK"), (85, "OK"), (86, "SYNTAX")])
def test_long_part(n, err):
    """85 numbers are 254 bytes, 86 are 257."""
    assert ask("part", ["%s1-%s-B/x" % (HEAD, "-".join(["01"] * n))])[0]["err"] == err


def test_urls():
    """What FORMAT links to: RFC 3986 gets the pieces out again, no browser resolves anything away, and we read what we wrote."""
    rows = [("INBOX-MM-1", "512", "02-01", "na\u00efve \u20ac.pdf"), ("a/b?c#d", "1", "", "x&y=z%.txt"), ("\u30d5", "4294967295", "01", "../../.."),
            ("f", "7", "01", ".."), ("f", "7", "01", ""), ("f", "7", "01", "\u202egpj.exe"), ("f", "7", "01", "a" * 300 + ".html")]
    urls = [text(a["text"]).decode() for a in ask("parturl", [("100042-k2Vb7QmZ0xT4LrNcYpWd", *row) for row in rows])]
    for (folder, uid, part, name), url, got in zip(rows, urls, ask("part", urls)):
        assert urllib.parse.urljoin("http://harbor.example/x/y", url) == "http://harbor.example" + url and re.fullmatch(r"[A-Za-z0-9/%._~-]+", url)
        pieces = [urllib.parse.unquote(p) for p in urllib.parse.urlsplit("http://harbor.example" + url).path.split("/")]
        assert pieces[:5] == ["", "Session", "100042-k2Vb7QmZ0xT4LrNcYpWd", "MIME", folder]
        assert pieces[5] == "%s-%sB" % (uid, part + "-" if part else "") and len(pieces) == 7
        assert (text(got["folder"]).decode(), str(got["uid"]), text(got["part"]).decode(), text(got["name"]).decode()) == (folder, uid, part, pieces[6])
        if name == rows[0][3]:
            assert pieces[6] == name


TURNS = {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}
NAMES = ["report.pdf", "na\u00efve \u20ac.txt", "../../etc/passwd", "..\\..\\boot.ini", "C:\\Users\\dora\\scan.tif", "\\\\host\\share\\x.doc", "a/b/", "..", ".", "",
         " ", ".bashrc", "...", "a\r\nSet-Cookie: x=1", "a\0b.txt", "\u202egnp.exe", "\u2066x\u2069.txt", 'a"b".txt', "con?.txt", "x.txt. . ", "\ufeffx", "~root",
         "\x1b[31mred", "%2e%2e%2fx", "..;/x", "a|b<c>d:e*f", "\u2028x", "x\u0085y", "\u3002\u3002/x", "\uff0e\uff0e\uff0fx"]


def test_names():
    rng = random.Random(6266)
    letters = list("ab.. /\\\"*?:\0\t\r\n\x7f") + ["\u00e9", "\u20ac", "\U0001f600", "\u202e", "\u2067", "\ufffd", "\u200f"]
    names = NAMES + ["".join(rng.choice(letters) for _ in range(rng.randrange(20))) for _ in range(3000)]
    raw = [n.encode() for n in names] + [b"\xff\xfe.txt", b"a\xc0\xaf\xc0\xafb", b"\xe2\x80.pdf"]
    for name, got in zip(raw, ask("filename", raw)):
        out = text(got["text"]).decode("utf-8", "strict")
        assert out and out == os.path.basename(out) == ntpath.basename(out), name
        assert not any(unicodedata.category(c) == "Cc" or unicodedata.bidirectional(c) in TURNS or c in '"*/:<>?\\|' for c in out), name
        assert out == out.strip(" .") and len(out.encode()) <= 255
    wants = {n: n for n in ("report.pdf", "na\u00efve \u20ac.txt", "~root", "%2e%2e%2fx")}
    wants |= {"../../etc/passwd": "passwd", "..\\..\\boot.ini": "boot.ini", "a/b/": "file", "": "file", ".bashrc": "bashrc", "a\r\nSet-Cookie: x=1": "aSet-Cookie_ x=1"}
    assert [text(a["text"]).decode() for a in ask("filename", list(wants))] == list(wants.values())


def test_long_names():
    """255 bytes, characters whole, the extension kept."""
    lengths = [254, 255, 256, 3000]
    assert [text(a["text"]).decode() for a in ask("filename", ["a" * (n - 4) + ".pdf" for n in lengths])] == ["a" * (min(n, 255) - 4) + ".pdf" for n in lengths]
    names = ["x" * pad + "y" + unit * 300 + ".pdf" for unit in ("\u00e9", "\u20ac", "\U0001f600", ". ") for pad in range(4)]
    for name, got in zip(names, ask("filename", names)):
        out = text(got["text"]).decode("utf-8", "strict")
        assert out.endswith(".pdf") and len(out.encode()) <= 255 and (". " in name or len(out.encode()) > 250)
    # No extension: too long for one, or just none; 16 bytes with the dot are one.
    ends = [("." + "b" * 300, ("a" * 300 + "." + "b" * 300)[:255]), ("." + "c" * 15, "a" * 239 + "." + "c" * 15), ("." + "c" * 16, "a" * 255)]
    assert [text(a["text"]).decode() for a in ask("filename", ["a" * 300 + e for e, _ in ends])] == [want for _, want in ends]
