# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The ximssd authors
"""Settings that concern mailboxes and messages reach the processes that obey them: n is taken, n + 1 is not (protocol 2, 14)."""
import pytest
from mailview import browse, open_folder, read
from ximss import Server, wait_for

CONF = """[limits]
open_folders = 3
mailboxes = 4
folder_fields = 5
set_elements = 100
view_messages = 1000
inline_text = 64k
[lmtp]
recipients = 1001
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with Server(tmp_path_factory.mktemp("server"), conf=CONF, accounts={"dora": "correct-horse", "otto": "swordfish"}) as s:
        yield s


@pytest.fixture
def client(server):
    c = server.session()
    yield c
    c.close()


def test_open_folders(client):
    for i in range(3):
        open_folder(client, "f%d" % i, "INBOX")
    full = '<folderOpen id="o" folder="f3" mailbox="INBOX"/>'
    assert client.fail(full) == (585, "too many open folders")
    client.call('<folderClose id="c" folder="f1"/>')
    client.call(full)


def test_mailboxes(server):
    client = server.session("otto@harbor.example")
    for name in ("A", "B/"):
        client.call('<mailboxCreate id="c" mailbox="%s"/>' % name)
    assert client.fail('<mailboxCreate id="c" mailbox="C/D"/>') == (573, "storage quota exceeded")
    client.call('<mailboxCreate id="c" mailbox="C"/>')  # INBOX is one of the four
    assert client.fail('<mailboxCreate id="c" mailbox="D"/>')[0] == 573
    assert client.fail('<folderOpen id="o" folder="D" mailboxClass=""/>')[0] == 573
    boxes, _ = client.call('<mailboxList id="l" pureFolder="yes"/>')
    assert [b.get("mailbox") for b in boxes] == ["INBOX", "A", "B", "C"]


def test_fields(client):
    for n, fine in ((4, True), (5, True), (6, False)):
        request = '<folderOpen id="o" folder="n%d" mailbox="INBOX">%s</folderOpen>' % (n, "<field>FLAGS</field>" * n)
        if fine:
            client.call(request)
        else:
            assert client.fail(request) == (502, "illegal attribute value")


def test_set_elements(client):
    open_folder(client)
    for n, fine in ((99, True), (100, True), (101, False)):
        request = '<folderBrowse id="b" folder="INBOX">%s</folderBrowse>' % ("<UID>7</UID>" * n)
        if fine:
            client.call(request)
        else:
            assert client.fail(request) == (502, "illegal attribute value")


def test_view_messages(server, client):
    """One more than a view may have: 599, and the log says why (14)."""
    for count, total in ((999, 999), (1, 1000), (1, 1001)):
        lmtp = server.lmtp()
        lmtp.mail("ann@example.org")
        for _ in range(count):
            lmtp.rcpt("dora@harbor.example")
        lmtp.docmd("DATA")
        lmtp.send(b"Subject: x\r\n\r\n.\r\n")
        assert [lmtp.getreply()[0] for _ in range(count)] == [250] * count
        if total <= 1000:
            assert open_folder(client, "v%d" % total, "INBOX").get("messages") == str(total)
        else:
            assert client.fail('<folderOpen id="o" folder="v" mailbox="INBOX"/>') == (599, "internal error")
            wait_for(lambda: "a view is too large" in server.log())
            # those that are open stay as they are, and a filter makes it small enough
            assert client.fail('<folderSync id="s" folder="v1000"/>')[0] == 599
            assert len(browse(client, "v1000")) == 1000
            assert open_folder(client, "few", "INBOX", more='filter="Flagged"').get("messages") == "0"
    client.call('<messageRemove id="r" folder="v1000" mode="Immediately"><index from="0"/></messageRemove>')


def test_inline_text(server, client):
    """What a client asks for is cut to what the server allows; a body is there whole or not at all (6.5)."""
    for n in (65535, 65536, 65537):
        server.deliver(b"Subject: %d\r\n\r\n" % n + b"x" * n + b"\r\n")
    open_folder(client, more='sortField="UID" filterField="Subject" filter="655"')
    found = {}
    for row in browse(client):
        for limit in ("-1", "10000000", "65536"):
            (message,), _ = client.call('<folderRead id="r" folder="INBOX" UID="%s" totalSizeLimit="%s"/>' % (row.get("UID"), limit))
            found.setdefault(row.findtext("Subject"), set()).add(message.find("EMail/MIME").text is not None)
    # the line end counts: 65,535 and one make 64 KiB
    assert found == {"65535": {True}, "65536": {False}, "65537": {False}}


# --- settings of mail


def test_old_names_of_counters(tmp_path):
    """legacy_mailbox_attributes (protocol 2, 3.1): off unless it is asked for."""
    want = {"messages": "Messages", "size": "Size", "oldest": "Oldest"}
    for setting, there in (("", False), ("legacy_mailbox_attributes = yes\n", True)):
        folder = tmp_path / ("new", "old")[there]
        folder.mkdir()
        with Server(folder, server=setting) as server:
            server.deliver("Subject: x\r\n\r\n")
            (box,), _ = server.session().call('<mailboxList id="l"/>')
            assert all((old in box.attrib) == there for old in want)
            assert all(box.get(old) in (None, box.get(new)) and box.get(new) for old, new in want.items())


def test_time_zone(tmp_path):
    """localTime is the instant in the server's zone, where the account has chosen none (Q28)."""
    with Server(tmp_path, server="time_zone = <+09>-9\n") as server:
        server.deliver("Date: Mon, 25 May 2026 07:14:00 +0200\r\n\r\n")
        date = read(session_of(server), 1).find("EMail/Date")
        assert (date.text, date.get("localTime"), date.get("timeShift")) == ("20260525T051400Z", "20260525T141400", "7200")


def session_of(server):
    client = server.session()
    open_folder(client)
    return client


def test_charset(tmp_path):
    """Mail without a usable character set (6.2, 12.4): Python says what the bytes are."""
    text = "\u041f\u0440\u0438\u0432\u0435\u0442"
    with Server(tmp_path, server="charset = KOI8-R\n") as server:
        server.deliver(b"Subject: " + text.encode("koi8-r") + b"\r\n\r\n" + text.encode("koi8-r") + b"\r\n")
        server.deliver(b"Subject: " + text.encode() + b"\r\nContent-Type: text/plain; charset=windows-1251\r\n\r\n" +
                       text.encode("windows-1251") + b"\r\n")
        client = server.session()
        open_folder(client)
        for uid, charset in ((1, "koi8-r"), (2, "windows-1251")):
            mail = read(client, uid).find("EMail")
            assert mail.findtext("Subject") == text
            assert (mail.find("MIME").text, mail.find("MIME").get("charset")) == (text + "\n", charset)
