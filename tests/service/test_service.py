# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The ximssd authors
"""Operations after login (protocol 1, section 6) whose answers are lists, judged by what Python knows of their subjects."""
import codecs
import os
import signal
import sqlite3
import time
import zoneinfo
from contextlib import closing

from settled import settle
from ximss import wait_for

CLASSES = {"IPF.Note", "IPF.Contact", "IPF.Appointment", "IPF.Task", "IPF.StickyNote", "IPF.Journal"}


def test_known_values(server):
    messages, _ = server.session().call('<listKnownValues id="k"/>')
    assert [m.tag for m in messages] == ["knownValues"] and messages[0].attrib == {"id": "k"}
    found = {}
    for e in messages[0]:
        assert e.attrib == {} and len(e) == 0
        found.setdefault(e.tag, []).append(e.text)
    assert set(found) == {"language", "charset", "timeZone", "mailboxClass", "presence"}
    assert all(len(set(values)) == len(values) for values in found.values())
    assert found["language"] == ["english"] and "utf-8" in found["charset"]
    for charset in found["charset"]:
        codecs.lookup(charset)
    assert {"online", "away"} <= set(found["presence"])
    assert found["timeZone"][0] == "HostOS"
    for zone in found["timeZone"][1:]:
        zoneinfo.ZoneInfo(zone)
    assert "Europe/Berlin" in found["timeZone"] and set(found["mailboxClass"]) == CLASSES


def test_first_commands_of_the_common_web_client(server):
    """One batch, as it comes."""
    session = server.session()
    session.send_bytes(b"\0".join([
        b'<prefsRead id="1"><name>Language</name></prefsRead>', b'<listKnownValues id="2"/>',
        b'<mailboxList id="3" filter="%" pureFolder="yes"/>', b'<mailboxList id="4" filter="%/%" pureFolder="yes"/>',
        b'<folderOpen id="5" folder="INBOX" mailbox="INBOX"/>',
        b'<setSessionOption id="6" name="reportMailboxChanges" value="yes"/>', b""]))
    answers = {}
    for i in range(1, 7):
        messages, response = session.until_response(str(i))
        answers[i] = ([m.tag for m in messages], response.get("errorNum"), response.get("errorText"))
        assert all(m.get("id") == str(i) for m in messages)
    assert answers[1] == (["prefs"], None, None)
    assert answers[2] == (["knownValues"], None, None)
    assert answers[3] == (["mailbox"], None, None) and answers[4] == ([], None, None)
    assert answers[5] == (["folderReport"], None, None) and answers[6] == ([], None, None)


def accounts(server, sql, *args):
    """accounts.db of a stopped server, through Python's own SQLite; auth keeps it for itself."""
    assert server.process is None
    with closing(sqlite3.connect(os.path.join(server.state_dir, "accounts.db"))) as db, db:
        return db.execute(sql, args).fetchall()


def test_recovery_address(tmp_path):
    from ximss import Server
    with Server(tmp_path) as server:
        def recovery():
            server.stop()
            found = accounts(server, "SELECT recovery FROM account WHERE name = ?", "dora@harbor.example")[0][0]
            server.start()
            return found
        session = server.session()
        session.call('<passwordModify id="1" oldPassword="correct-horse" recoveryEmail="dora@elsewhere.example"/>')
        assert session.fail('<passwordModify id="2" oldPassword="oops" recoveryEmail="eve@elsewhere.example"/>')[0] == 515
        assert session.fail('<passwordModify id="3" oldPassword="correct-horse" recoveryEmail="no address"/>')[0] == 502
        assert recovery() == "dora@elsewhere.example"
        server.session().call('<passwordModify id="4" oldPassword="correct-horse" newPassword="battery-staple" recoveryEmail=""/>')
        assert recovery() == ""
        server.client().login(password="battery-staple")


def test_expired_password(tmp_path):
    """3.7, 4.3: without `canUpdatePwd` 516; with it a session that may only change the password."""
    from ximss import Server
    with Server(tmp_path) as server:
        server.stop()
        accounts(server, "UPDATE account SET flags = 2")
        server.start()
        client = server.client()
        login = '<login id="L" authData="dora" password="correct-horse"%s/>'
        assert client.fail(login % "") == (516, "password has expired")
        assert client.fail(login % ' canUpdatePwd="no"') == (516, "password has expired")
        assert client.fail(login.replace("correct-horse", "oops") % ' canUpdatePwd="1"')[0] == 515
        messages, _ = client.call(login % ' canUpdatePwd="1"')
        assert messages[0].get("changePassword") == "1"
        assert client.fail('<readTime id="t"/>') == (516, "password has expired")
        client.call('<noop id="n"/>')
        client.call('<passwordModify id="p" oldPassword="correct-horse" newPassword="battery-staple"/>')
        client.call('<readTime id="t"/>')
        assert server.client().login(password="battery-staple").get("changePassword") is None


def test_a_request_that_waits_holds_up_only_its_own_session(server):
    """1.5: answers in order within a session, and no delay for anybody else; section 8: what was slow is logged."""
    waits, other = server.session(), server.session()
    standing = server.process.pid, server.children()["auth"]  # the master too, or it soon takes auth for one that hangs
    for pid in standing:
        os.kill(pid, signal.SIGSTOP)
    try:
        waits.send_bytes(b'<readTime id="1"/>\0<passwordModify id="2" oldPassword="correct-horse" newPassword="battery-staple"/>\0'
                         b'<readTime id="3"/>\0<noop id="4"/>\0')
        waits.until_response("1")
        begin = time.monotonic()
        while time.monotonic() - begin < 1.2:
            other.call('<readTime id="t"/>')
        waits.sock.settimeout(0.1)
        try:
            raise AssertionError(waits.raw())
        except TimeoutError:
            waits.sock.settimeout(20)
        row = server.row(status="changing password")
        assert row is not None and row["running"] >= 1
    finally:
        for pid in reversed(standing):
            os.kill(pid, signal.SIGCONT)
    assert waits.raw() == b'<response id="2"/>'
    assert waits.recv().tag == "currentTime" and waits.raw() == b'<response id="3"/>'
    assert waits.raw() == b'<response id="4"/>'


def test_slow_operations_are_logged(tmp_path):
    from ximss import Server
    with Server(tmp_path, server="hashers = 1\nlog_level = problems\n") as server:
        session = server.session()
        os.kill(server.children()["hasher 1"], signal.SIGSTOP)
        session.send('<passwordModify id="1" oldPassword="correct-horse" newPassword="battery-staple"/>')
        settle(server, [server.children()["hasher 1"]])  # the keeper has begun with it
        time.sleep(1.1)
        os.kill(server.children()["hasher 1"], signal.SIGCONT)
        assert session.raw() == b'<response id="1"/>'
        line = wait_for(lambda: [x for x in server.log().splitlines() if " slow: passwordModify took " in x])[0]
        assert " 3 XIMSS-1000" in line and "(dora@harbor.example)" in line
        assert 1000 <= int(line.rsplit(" took ", 1)[1].split()[0]) < 20000
