# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The ximssd authors
"""Text that means something to SQL, wherever a client's text meets the database (security 2.2): it is text and nothing else."""
from xml.sax.saxutils import quoteattr

import pytest
from mailview import browse, open_folder
from ximss import Server

CORPUS = [
    "'", "''", '"', "`", ";", "--", "/x", "\\", "_", "?1", "?", ":name", "@v", "$1", "NULL", "x'41'", "[a]", "\u0027\u02bc", "a\u2019b",
    "' OR '1'='1", "' OR 1=1 --", "'; DROP TABLE message; --", "x'); DELETE FROM mailbox WHERE ('1'='1", "1 UNION SELECT name FROM mailbox",
    "') UNION SELECT sql FROM sqlite_master --", "INBOX' AND account<>1 --", "'||(SELECT name FROM mailbox)||'", "COMMIT", "ROLLBACK TO request",
    "SAVEPOINT request", "ATTACH 'x' AS y", "PRAGMA writable_schema=1", "a\u00adb", "\u0130nbox", "\U0001f4a3'",
]


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with Server(tmp_path_factory.mktemp("sql"), accounts={"dora": "correct-horse", "otto": "swordfish"}) as s:
        yield s
        assert "round broken" not in s.log() and "DB " not in s.log(), s.log()


def test_names(server):
    """Every one can be the name of a mailbox, is listed as it was given, and names no other."""
    client = server.session()
    names = [n for n in CORPUS if "/" not in n]
    for n in names:
        client.call('<mailboxCreate id="c" mailbox=%s mailboxClass=%s/>' % (quoteattr(n), quoteattr("IPF.Task" + n)))
        assert client.fail('<mailboxCreate id="c" mailbox=%s/>' % quoteattr(n))[0] == 562
        (box,), _ = client.call('<mailboxList id="l" filter=%s/>' % quoteattr(n))
        assert (box.get("mailbox"), box.get("Class"), box.get("Messages")) == (n, "IPF.Task" + n, "0")
        (box,), _ = client.call('<mailboxList id="l" mailboxClass=%s/>' % quoteattr("IPF.Task" + n))
        assert box.get("mailbox") == n
        assert open_folder(client, "f", n).get("messages") == "0"
        client.call('<folderClose id="c" folder="f"/>')
    boxes, _ = client.call('<mailboxList id="l"/>')
    assert sorted(b.get("mailbox") for b in boxes) == sorted(["INBOX", *names])
    client.close()


def test_views_and_marks(server):
    """As filter it finds what holds it, as sort field or flag it is refused or a name; nothing else changes."""
    for n in CORPUS:
        server.deliver(("From: %s <a@b.example>\r\nSubject: %s\r\n\r\n%s\r\n" % ('"%s"' % n.replace("\\", "\\\\").replace('"', '\\"'), n, n)).encode(),
                       ["otto@harbor.example"])
    client = server.session("otto@harbor.example")
    open_folder(client, "all", "INBOX", more='sortField="UID"')
    before = [(r.get("UID"), r.findtext("Subject"), r.findtext("FLAGS")) for r in browse(client, "all")]
    assert [subject for _, subject, _ in before] == [" ".join(n.split()) for n in CORPUS]
    for n in CORPUS:
        for field in ("Subject", "E-From", "BODY", "TEXT"):
            open_folder(client, "f", "INBOX", more='sortField="UID" filterField="%s" filter=%s' % (field, quoteattr(n)))
            found = {r.get("UID") for r in browse(client, "f")}
            want = {str(i + 1) for i, other in enumerate(CORPUS) if n.casefold() in other.casefold()}
            assert want <= found, (field, n)
            assert field == "TEXT" or found == want, (field, n)
            client.call('<folderClose id="c" folder="f"/>')
        client.send('<folderOpen id="o" folder="s" mailbox="INBOX" sortField=%s/>' % quoteattr(n))
        client.until_response("o")
        client.send('<folderClose id="c" folder="s"/>')
        client.until_response("c")
        client.send('<messageMark id="m" folder="all" flags=%s><UID>1</UID></messageMark>' % quoteattr(n))
        client.until_response("m")
    after = [(r.get("UID"), r.findtext("Subject"), r.findtext("FLAGS")) for r in browse(client, "all")]
    words = set(after[0][2].split(","))
    assert words <= {"Recent", "_", "NULL", "COMMIT", "ROLLBACK", "SAVEPOINT", "$1"} and "COMMIT" in words
    assert [row[:2] for row in after] == [row[:2] for row in before]
    assert {flags for _, _, flags in after[1:]} <= {"", None, "Recent"}  # Recent goes with the folders that were closed
    client.close()


def test_addresses(server):
    """Recipients and senders of LMTP."""
    lmtp = server.lmtp()
    lmtp.command_encoding = "utf-8"
    for n in CORPUS:
        for address in (n + "@harbor.example", '"' + n.replace("\\", "\\\\").replace('"', '\\"') + '"@harbor.example'):
            lmtp.docmd("MAIL FROM:<" + address.replace("@harbor", "@else") + ">")
            code, text = lmtp.docmd("RCPT TO:<" + address + ">")
            assert code in (550, 501, 503), (address, text)
            assert lmtp.docmd("RSET")[0] == 250
    lmtp.quit()
