# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The ximssd authors
"""Every file of tests/data/mail through the whole server: delivered over LMTP, listed and read by a session.

Subjects and addresses are compared with Python's e-mail package. What is known to differ is listed, with reasons, in
tests/mail/test_corpus.py, which compares much more.
"""
import email
import email.policy
import os
import re
import sys
import time

import pytest
from mailview import browse, open_folder, read, source_text
from ximss import ROOT, Server

sys.path.insert(0, os.path.join(ROOT, "tests"))
from mail.test_corpus import DATA, DIFFERENT, FILES, collapse, squeeze, their_addresses, their_subject  # noqa: E402

NAMES = [os.path.relpath(f, DATA) for f in FILES]
ADDRESSES = ["From", "Sender", "Reply-To", "To", "Cc", "Bcc"]
FIELDS = ["FLAGS", "E-From", "E-To", "E-Cc", "Subject", "SIZE", "INTERNALDATE"]
RETURN = b"Return-Path: <ann@example.org>\r\n"


def wire(path):
    """The message as LMTP carries it."""
    with open(path, "rb") as f:
        lines = f.read().replace(b"\r\n", b"\n").split(b"\n")
    if lines[-1] == b"":
        lines.pop()
    return b"".join(line + b"\r\n" for line in lines)


@pytest.fixture(scope="module")
def mailbox(tmp_path_factory):
    """A session that has delivered all of them into INBOX: (client, {name: row}, {name: UID})."""
    with Server(tmp_path_factory.mktemp("corpus"), server="log_level = problems\n") as server:
        lmtp = server.lmtp()
        for path in FILES:
            assert lmtp.deliver("ann@example.org", ["dora@harbor.example"], wire(path))[0][0] == 250, path
        lmtp.quit()
        client = server.session()
        init = open_folder(client, fields=FIELDS, more='sortField="UID"')
        assert init.get("messages") == init.get("unseen") == str(len(FILES))
        rows = browse(client)
        assert [r.get("UID") for r in rows] == [str(i + 1) for i in range(len(FILES))]
        yield client, dict(zip(NAMES, rows)), {name: i + 1 for i, name in enumerate(NAMES)}
        assert "unparsed" not in server.log(), server.log()


def parsed(name):
    raw = RETURN + wire(os.path.join(DATA, name))
    return email.message_from_bytes(raw, policy=email.policy.default), raw


def addresses(elements):
    """(name, address) of elements that are addresses, not empty groups."""
    return [(squeeze(collapse(e.get("realName", ""))), squeeze(e.text)) for e in elements if e.text]


def expected(theirs, name):
    """Python's addresses; those that it finds empty (an empty address list, <>) are none."""
    found = their_addresses(theirs, name)
    return [(squeeze(n), squeeze(a)) for n, a in found or [] if a not in ("", "<>")]


def check(name, what, ours, others):
    """Equal, unless it is listed as different; both ways."""
    if (name, what) not in DIFFERENT:
        assert ours == others, what


@pytest.mark.parametrize("name", NAMES)
def test_row(mailbox, name):
    row = mailbox[1][name]
    theirs, raw = parsed(name)
    tags = [e.tag for e in row]
    assert tags[0] == "FLAGS" and row[0].text == "Recent"
    assert sorted(set(tags), key=FIELDS.index) == [t for i, t in enumerate(tags) if t not in tags[:i]]
    assert row.findtext("SIZE") == str(len(raw))
    when = time.strptime(row.findtext("INTERNALDATE"), "%Y%m%dT%H%M%SZ")
    assert abs(time.mktime(when) - time.timezone - time.time()) < 3600
    assert row.find("INTERNALDATE").get("localTime") == row.findtext("INTERNALDATE")[:-1]  # the server runs in UTC
    subject = row.find("Subject")
    ours = None if subject is None else squeeze(collapse(subject.text or ""))
    check(name, "Subject", ours, their_subject(theirs))
    for field in ("From", "To", "Cc"):
        check(name, field, addresses(row.findall("E-" + field)), expected(theirs, field))


@pytest.mark.parametrize("name", NAMES)
def test_read(mailbox, name):
    client, _, uids = mailbox
    theirs, _ = parsed(name)
    message = read(client, uids[name])
    assert message.get("UID") == str(uids[name]) and message.get("folder") == "INBOX"
    (mail,) = message
    assert mail.tag == "EMail" and [e.tag for e in mail].count("MIME") == 1 and mail[-1].tag == "MIME"
    assert mail[0].tag == "Return-Path" and mail[0].text == "ann@example.org"
    assert mail[-1].get("type") and mail[-1].get("subtype")
    subject = mail.find("Subject")
    check(name, "Subject", None if subject is None else squeeze(collapse(subject.text or "")), their_subject(theirs))
    for field in ADDRESSES:
        if len(theirs.get_all(field, [])) <= 1:  # Python's parser is asked for the first, EMail has all
            check(name, field, addresses(mail.findall(field)), expected(theirs, field))
    for part in mail.iter("MIME"):
        if part.get("type") == "multipart":
            assert all(child.tag == "MIME" for child in part) and not (part.text or "").strip()
        elif part.get("type") == "message" and part.get("subtype") == "rfc822":
            assert [child.tag for child in part] in (["EMail"], [])


@pytest.mark.parametrize("name", NAMES)
def test_source(mailbox, name):
    """mode="source" is the message: XML leaves out only what XML has no characters for."""
    client, _, uids = mailbox
    _, raw = parsed(name)
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError:
        text = raw.decode("iso-8859-1")
    want = re.sub("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]", "\ufffd", text)
    assert source_text(client, uids[name]) == want


@pytest.mark.parametrize("mode", ["text", "source", "replyAll", "nonsense"])
def test_all_modes_answer_well(mailbox, mode):
    """One answer for each file, an error or a message, and the session lives on."""
    client, _, uids = mailbox
    for uid in uids.values():
        client.send('<folderRead id="m" folder="INBOX" UID="%d" mode="%s"/>' % (uid, mode))
        messages, response = client.until_response("m")
        assert len([m for m in messages if m.get("id")]) == (0 if response.get("errorNum") else 1)


def test_every_part_alone(mailbox):
    client, _, uids = mailbox
    for name, uid in uids.items():
        parts = [p.get("partID") for p in read(client, uid).iter("MIME") if p.get("partID")]
        assert len(parts) == len(set(parts)), name
        for part in parts[:40]:
            (mail,) = read(client, uid, more='partID="%s"' % part)
            assert mail.tag == "EMail"
        assert client.fail('<folderRead id="x" folder="INBOX" UID="%d" partID="77"/>' % uid)[0] == 571, name


def test_worked_example(tmp_path):
    """Protocol 2, 6.7, byte for byte."""
    lines = '''Received: from a.example.org by mx.example.org; Mon, 25 May 2026 05:14:39 +0000
From: =?UTF-8?Q?Ann_L=C3=A9e?= <ann@example.org>
To: "Bob, jr." <bob@example.net>, carol@example.net
Subject: =?UTF-8?B?0J/Qu9Cw0L0=?= for May
Date: Mon, 25 May 2026 07:14:00 +0200
Message-ID: <p1@example.org>
X-Priority: 1
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
'''
    want = ('<folderMessage id="W1" folder="INBOX-MM-1" UID="1"><EMail><Return-Path>ann@example.org</Return-Path><Received>'
            'from a.example.org by mx.example.org; Mon, 25 May 2026 05:14:39 +0000</Received><From realName="Ann L\u00e9e">'
            'ann@example.org</From><To realName="Bob, jr.">bob@example.net</To><To>carol@example.net</To><Subject>\u041f\u043b'
            '\u0430\u043d for May</Subject><Date timeShift="7200" localTime="20260525T081400">20260525T051400Z</Date>'
            '<Message-ID>&lt;p1@example.org&gt;</Message-ID><Pty>High</Pty><MIME estimatedSize="25" type="multipart" '
            'subtype="mixed"><MIME partID="01" estimatedSize="16" type="text" subtype="plain" charset="iso-8859-1" '
            'Type-format="flowed">caf\u00e9 at 5 &lt; 6?</MIME><MIME partID="02" estimatedSize="9" type="application" '
            'subtype="pdf" disposition="attachment" Type-name="plan.pdf" Disposition-filename="plan.pdf"/></MIME></EMail>'
            '</folderMessage>')
    with Server(tmp_path, env={"TZ": "Etc/GMT-3"}) as server:
        server.deliver(lines)
        client = server.session()
        client.call('<folderOpen id="o" folder="INBOX-MM-1" mailbox="INBOX"><field>INTERNALDATE</field></folderOpen>')
        client.send('<folderRead id="W1" folder="INBOX-MM-1" UID="1" totalSizeLimit="65536"/>')
        assert client.raw().decode() == want
        assert client.raw() == b'<response id="W1"/>'
        (row,) = browse(client, "INBOX-MM-1")
        utc = time.strptime(row.findtext("INTERNALDATE"), "%Y%m%dT%H%M%SZ")
        local = time.strptime(row.find("INTERNALDATE").get("localTime"), "%Y%m%dT%H%M%S")
        assert time.mktime(local) - time.mktime(utc) == 3 * 3600
