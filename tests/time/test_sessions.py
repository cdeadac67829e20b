# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The ximssd authors
"""TimeZone and Language of an account take effect (protocol 1, 1.9 and 2.6; protocol 3, 6.3), in every message that has a local time."""
import datetime
import zoneinfo

import pytest
from mailview import browse, open_folder, read
from ximss import Server

CONF = "[domain harbor.example]\nlanguage = german\n"
ACCOUNTS = {"dora": "correct-horse", "otto": "swordfish"}
ZONES = ["Europe/Berlin", "America/New_York", "Asia/Kathmandu", "Australia/Lord_Howe", "Pacific/Kiritimati", "America/St_Johns"]


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with Server(tmp_path_factory.mktemp("server"), conf=CONF, server="time_zone = America/Caracas\n", accounts=ACCOUNTS) as s:
        s.deliver(b"From: Ann Lee <ann@example.org>\r\nDate: Sun, 12 Jul 2026 07:14:00 +0200\r\nSubject: Lunch?\r\n\r\nAt noon?\r\n")
        s.deliver(b"From: Ann Lee <ann@example.org>\r\nDate: Mon, 12 Jan 2026 07:14:00 +0200\r\nSubject: Lunch?\r\n\r\nAt noon?\r\n")
        yield s


@pytest.fixture
def client(server):
    c = server.session()
    yield c
    c.call('<prefsStore id="r"><TimeZone><default/></TimeZone><Language>default</Language></prefsStore>')
    c.close()


def store_zone(client, name):
    client.call('<prefsStore id="z"><TimeZone>%s</TimeZone></prefsStore>' % name)


def check(zone, gmt, local):
    t = datetime.datetime.strptime(gmt.rstrip("Z"), "%Y%m%dT%H%M%S").replace(tzinfo=datetime.timezone.utc)
    assert local == t.astimezone(zoneinfo.ZoneInfo(zone)).strftime("%Y%m%dT%H%M%S")


def check_now(client, zone, ident="t"):
    messages, _ = client.call('<readTime id="%s"/>' % ident)
    (now,) = [m for m in messages if m.get("id")]
    check(zone, now.get("gmtTime"), now.get("localTime"))


def look_everywhere(server, client, zone):
    """readTime, rows of a folder, a message, an alert."""
    check_now(client, zone)
    open_folder(client, "F", "INBOX", fields=("Date", "INTERNALDATE"))
    rows = browse(client, "F")
    dates = [e for row in rows for e in row]
    assert sorted(e.text for e in dates if e.tag == "Date") == ["20260112T051400Z", "20260712T051400Z"]
    message = read(client, rows[0].get("UID"), "F")
    dates += message.findall(".//Date")
    assert len(dates) == 5
    for e in dates:
        check(zone, e.text, e.get("localTime"))
    client.call('<folderClose id="c" folder="F"/>')
    server.ctl("session", "say", "all", "hear")
    alert = client.recv()
    assert alert.tag == "alert"
    check(zone, alert.get("gmtTime"), alert.get("localTime"))


@pytest.mark.parametrize("zone", ZONES)
def test_zone(server, client, zone):
    store_zone(client, zone)
    look_everywhere(server, client, zone)


@pytest.mark.parametrize("name", ["HostOS", "Mars/Olympus", "", "../../etc/passwd", "Europe", "&lt;b&gt;", "x" * 60000,
                                  "<subValue>Europe/Berlin</subValue>", "<null/>"])
def test_no_zone(server, client, name):
    """Stored as given; the server's zone."""
    store_zone(client, name)
    look_everywhere(server, client, "America/Caracas")
    (prefs,), _ = client.call('<prefsRead id="p" type="custom"><name>TimeZone</name></prefsRead>')
    assert len(prefs) == 1 and prefs[0].tag == "TimeZone"
    if "&" not in name and "<" not in name:
        assert (prefs[0].text or "") == name


def test_case(server, client):
    client.call('<prefsStore id="z"><timezone>europe/berlin</timezone></prefsStore>')
    (prefs,), _ = client.call('<prefsRead id="p"><name>TIMEZONE</name></prefsRead>')
    assert [(e.tag, e.text) for e in prefs] == [("TimeZone", "europe/berlin")]
    look_everywhere(server, client, "Europe/Berlin")


def test_sessions(server, client):
    """Every session of the account, those already there too; nobody else's."""
    other, foreign = server.session(), server.session("otto@harbor.example")
    look_everywhere(server, other, "America/Caracas")
    store_zone(client, "Asia/Tokyo")
    for c, zone in ((client, "Asia/Tokyo"), (other, "Asia/Tokyo"), (foreign, "America/Caracas")):
        check_now(c, zone)
    later = server.session()
    check_now(later, "Asia/Tokyo")
    for c in (other, foreign, later):
        c.close()


def test_together(client):
    """What is sent in one write is carried out in order."""
    client.send_bytes(b"".join(b'<prefsStore id="s%d"><TimeZone>%s</TimeZone></prefsStore>\0<readTime id="t%d"/>\0' % (i, z.encode(), i)
                               for i, z in enumerate(ZONES)))
    for i, zone in enumerate(ZONES):
        assert client.until_response("s%d" % i)[0] == []
        (now,), _ = client.until_response("t%d" % i)
        check(zone, now.get("gmtTime"), now.get("localTime"))


def test_refused_changes_nothing(server, client):
    store_zone(client, "Asia/Tokyo")
    assert client.fail('<prefsStore id="s"><TimeZone>Europe/Berlin</TimeZone><a>x<b/></a></prefsStore>')[0] == 502
    check_now(client, "Asia/Tokyo")


def test_language(server, client):
    def said(request='<readStrings id="r"/>', c=client):
        return c.call(request)[0][0].get("language")
    before = server.client()
    assert before.call('<listFeatures id="f"/>')[0][0].findtext("language") == "german"
    assert said(c=before) == "german"
    assert said() == "german"
    client.call('<prefsStore id="s"><Language>french</Language></prefsStore>')
    assert said() == "french"
    assert said('<readStrings id="r" language="english"/>') == "english"
    assert said(c=before) == "german"
    for odd in ("", "<subValue>a</subValue>", "&amp;", "x" * 65):
        client.call('<prefsStore id="s"><Language>%s</Language></prefsStore>' % odd)
        assert said() == "german"
    (prefs,), _ = client.call('<prefsRead id="p" type="default"><name>language</name></prefsRead>')
    assert [(e.tag, e.text) for e in prefs] == [("Language", "german")]
    languages = [e.text for e in client.call('<listKnownValues id="k"/>')[0][0].findall("language")]
    assert languages == ["english", "german"]
