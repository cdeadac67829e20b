# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The ximssd authors
"""The page that FORMAT makes of a message (protocol 2, 9.3), read by Python's html.parser, against what Python's email package says
of the message."""
import email
import email.policy
import glob
import os
import re
import subprocess
from urllib.parse import unquote

import pytest
from test_clean import Cleaner, Reader
from ximss import BUILD, ROOT

FRAME = re.compile(r'<!DOCTYPE html><html><head><meta charset="utf-8"><title>([^<>]*)</title></head><body>'
                   r'<table class="rfcheader"><tbody>(.*?)</tbody></table><div class="samoware-RFC822-body">(.*)</div>'
                   r'((?:<cg-message-attachment attachment-ref="[^"<>]*" attachment-name="[^"<>]*"></cg-message-attachment>)*)</body></html>\Z', re.S)
ATTACHMENT = re.compile(r'attachment-ref="([^"]*)" attachment-name="([^"]*)"')
URL = "/Session/100042-vN2Txjkggy7gjHRD10jw/MIME/A%26B%2F%3Cc%3E/7"


def unescape(text):
    assert re.fullmatch(r"(?:[^&<>\"']|&(?:amp|lt|gt|quot|#39);)*", text, re.S), text
    for a, b in (("&lt;", "<"), ("&gt;", ">"), ("&quot;", '"'), ("&#39;", "'"), ("&amp;", "&")):
        text = text.replace(a, b)
    return text


class Page:
    """A page, all of its markup judged."""

    def __init__(self, data):
        m = FRAME.match(data.decode("utf-8"))
        assert m, data[:2000]
        self.title = unescape(m[1])
        rows = re.findall(r"<tr><th>([A-Za-z-]+):</th><td>([^<>]*)</td></tr>", m[2])
        assert "".join("<tr><th>%s:</th><td>%s</td></tr>" % r for r in rows) == m[2]
        self.header = {name: unescape(value) for name, value in rows}
        self.body = m[3]
        self.reader = Cleaner.judge(re.sub(r'src="' + URL + r'-[0-9-]+-B/', 'src="/Session/1-a/MIME/F/7-02-B/', self.body))
        self.text = "".join(self.reader.words)
        self.attachments = [(unescape(a), unescape(b)) for a, b in ATTACHMENT.findall(m[4])]


def pages(paths, *args):
    out = subprocess.run([os.path.join(BUILD, "format-message"), *args, *paths], capture_output=True, timeout=120, check=True).stdout
    result = []
    while out:
        n, out = out.split(b"\n", 1)
        result.append(Page(out[:int(n)]))
        out = out[int(n):]
    assert len(result) == len(paths)
    return result


def page(tmp_path, message, *args):
    path = tmp_path / "m.eml"
    path.write_bytes(message if isinstance(message, bytes) else message.replace("\n", "\r\n").encode())
    return pages([str(path)], *args)[0]


# protocol 2, 6.7
EXAMPLE = """Return-Path: <ann@example.org>
From: =?UTF-8?Q?Ann_L=C3=A9e?= <ann@example.org>
To: "Bob, jr." <bob@example.net>, carol@example.net
Subject: =?UTF-8?B?0J/Qu9Cw0L0=?= for <b>May</b>
Date: Mon, 25 May 2026 07:14:00 +0200
MIME-Version: 1.0
Content-Type: multipart/mixed; boundary="b1"

--b1
Content-Type: text/plain; charset=iso-8859-1; format=flowed
Content-Transfer-Encoding: quoted-printable

caf=E9 at 5 < 6?
--b1
Content-Type: application/pdf; name="plan.pdf"
Content-Disposition: attachment; filename="plan.pdf"
Content-Transfer-Encoding: base64

JVBERi0xLjQK
--b1--
"""


def test_example(tmp_path):
    p = page(tmp_path, EXAMPLE)
    assert p.title == "\u041f\u043b\u0430\u043d for <b>May</b>"
    assert p.header == {"From": "Ann L\u00e9e <ann@example.org>", "To": "Bob, jr. <bob@example.net>, carol@example.net", "Subject": p.title,
                        "Date": "2026-05-25 05:14:00"}
    assert p.body == '<div style="white-space: pre-wrap">caf\u00e9 at 5 &lt; 6?</div>'
    assert p.attachments == [(URL + "-02-B/plan.pdf", "plan.pdf")]


def multipart(subtype, *parts):
    b = "b%d" % len(repr(parts))
    return 'Content-Type: multipart/%s; boundary="%s"\n\n%s--%s--\n' % (subtype, b, "".join("--%s\n%s\n" % (b, p) for p in parts), b)


PLAIN = "Content-Type: text/plain\n\nplain text"
HTML = "Content-Type: text/html\n\n<p onclick=x>html text<img src=cid:i@m alt=z><img src=http://evil.example/x></p>"
PDF = "Content-Type: application/pdf\nContent-Disposition: attachment; filename=\"../a<b>&.pdf\"\n\nx"
PNG = "Content-Type: image/png; name=i.png\nContent-ID: <i@m>\n\nx"
NOTE = "Content-Type: text/plain\n\nfooter"
INNER = "Content-Type: message/rfc822\n\nSubject: inner\n\nnot shown"


@pytest.mark.parametrize("message,text,files", [
    (multipart("alternative", PLAIN, HTML), "html text", []),
    (multipart("alternative", PLAIN, multipart("related", HTML, PNG)), "html text", []),
    (multipart("mixed", multipart("alternative", PLAIN, multipart("related", HTML, PNG)), PDF, NOTE), "html textfooter", ["02"]),
    (multipart("alternative", PLAIN, multipart("mixed", HTML, PDF)), "html text", ["02-02"]),
    (multipart("mixed", PLAIN, INNER, NOTE), "plain textfooter", ["02"]),
    (multipart("mixed", INNER), "", ["01"]),
    (multipart("mixed", PDF, PNG), "", ["01", "02"]),
    (multipart("mixed", HTML, HTML), "html text", ["02"]),
    (HTML, "html text", []), (PLAIN, "plain text", []), (PNG, "", ["01"]), (INNER, "", ["01"]), ("Content-Type: text/csv\n\na,b", "a,b", []),
    (multipart("mixed", "Content-Type: text/plain\nContent-Disposition: attachment\n\nfile"), "", ["01"]),
    (multipart("mixed", "Content-Type: text/html\nContent-Disposition: attachment\n\nfile"), "", ["01"]),
])
def test_structure(tmp_path, message, text, files):
    p = page(tmp_path, message)
    assert p.text.strip() == text
    assert [re.match(re.escape(URL) + r"-([0-9-]+)-B/", a)[1] for a, _ in p.attachments] == files
    images = [attrs["src"] for tag, attrs in p.reader.tags if tag == "img" and "src" in attrs]
    assert len(images) == (message.count("cid:i@m") if "Content-ID" in message else 0)
    # without a helper: plain text of some kind, and no element of the message's
    p = page(tmp_path, message, "-p")
    assert {tag for tag, _ in p.reader.tags} <= {"div", "hr"}
    assert bool(p.text.strip()) == bool(text)
    if PLAIN in message:
        assert "plain text" in p.text


def test_image_url(tmp_path):
    p = page(tmp_path, multipart("related", HTML, PNG))
    assert 'src="%s-02-B/i.png"' % URL in p.body


def test_names(tmp_path):
    p = page(tmp_path, multipart("mixed", PDF, "Content-Type: image/gif\n\nx", "Content-Type: image/gif\nContent-Description: \"a\" 'b'\n\nx"))
    assert [n for _, n in p.attachments] == ["a_b_&.pdf", "file", "_a_ 'b'"]
    for ref, name in p.attachments:
        assert unquote(ref).rsplit("/", 1)[1] == name and "<" not in name and "/" not in name


def test_hostile_headers(tmp_path):
    evil = "\"><script>alert(1)</script>'&amp;\x01"
    p = page(tmp_path, ("Subject: %s\nFrom: %s <a@b>\nTo: %s\nDate: %s\nCc: %s\n\nx" % (evil, evil, evil, evil, ", ".join("a%d@example.org" % i for i in range(60)))))
    assert p.header["Subject"].startswith("\"><script>alert(1)</script>'&amp;")
    assert p.header["Cc"].endswith("a49@example.org, \u2026")


def test_limits(tmp_path):
    """100,000 bytes of text here: at n - 1, n, n + 1; and not through a character."""
    for n in (99999, 100000, 100001):
        p = page(tmp_path, "\n" + "x" * n)
        assert len(p.text) == min(n, 100000)
    assert page(tmp_path, "Content-Type: text/plain; charset=utf-8\n\nx" + "\u00e9" * 60000).text == "x" + "\u00e9" * 49999
    p = page(tmp_path, multipart("mixed", *["Content-Type: text/plain\n\n" + "y" * 60000] * 3))
    assert p.text.count("y") == 100000


def test_real_mail():
    """Each message there is makes a page; every attachment that Python finds is offered."""
    paths = [p for p in sorted(glob.glob(os.path.join(ROOT, "tests/data/mail/**/*"), recursive=True)) if os.path.isfile(p) and not p.endswith(".txt")]
    shown = pages(paths)
    assert len(shown) > 90
    for path, p in zip(paths, shown):
        with open(path, "rb") as f:
            message = email.message_from_binary_file(f, policy=email.policy.compat32)
        if not message.defects and message.is_multipart() and message.get_content_type() == "multipart/mixed":
            count = sum(1 for part in message.get_payload() if "attachment" in str(part.get("Content-Disposition", "")).lower())
            assert len(p.attachments) >= count, path
    pages(paths, "-p")
