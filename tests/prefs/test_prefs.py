# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The ximssd authors
"""prefsRead, prefsStore (protocol 3, 6.1 to 6.3 and 0.5) with the objects of protocol 1, 1.10. Values are compared as trees of
Python's XML parser, written by its own serialiser."""
import glob
import random
import signal
import sqlite3
import xml.etree.ElementTree as ET

import pytest
from ximss import Server, wait_for

ACCOUNTS = {"dora": "correct-horse", "otto": "swordfish", "ann": "tin-whistle", "bob": "open-sesame"}
PASSWORD = dict(ACCOUNTS)
BAD = (502, "illegal attribute value")


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with Server(tmp_path_factory.mktemp("server"), conf="[limits]\nprotocol_errors = 1000\n", accounts=ACCOUNTS) as s:
        yield s


@pytest.fixture
def client(server):
    """Of an account that has set nothing."""
    c = server.session("otto@harbor.example")
    yield c
    for e in read(c, 'type="custom"'):
        c.call('<prefsStore id="r"><%s><default/></%s></prefsStore>' % (e.tag, e.tag))
    assert len(read(c, 'type="custom"')) == 0
    c.close()


def read(client, more="", *names):
    request = '<prefsRead id="p" %s>%s</prefsRead>' % (more, "".join("<name>%s</name>" % n for n in names))
    messages, _ = client.call(request)
    (prefs,) = messages
    assert prefs.tag == "prefs" and prefs.get("id") == "p"
    assert prefs.text is None and all(e.tail is None for e in prefs)
    return prefs


def store(client, body, more=""):
    messages, _ = client.call('<prefsStore id="s" %s>%s</prefsStore>' % (more, body))
    assert messages == []


def refuse(client, body, more=""):
    client.send('<prefsStore id="s" %s>%s</prefsStore>' % (more, body))
    _, response = client.until_response("s")
    return int(response.get("errorNum", 0)), response.get("errorText")


def flat(e):
    """Everything of an element but the order of its attributes."""
    return (e.tag, e.text or "", tuple(sorted(e.attrib.items())), tuple(flat(c) for c in e))


def text(e):
    return ET.tostring(e, encoding="unicode")


# --- types and defaults

DEFAULTS = {"Language": "english", "TimeZone": "HostOS", "ContactsBox": "Contacts", "CalendarBox": "Calendar", "TasksBox": "Tasks",
            "NotesBox": "Notes", "SentBox": "Sent Items", "DraftsBox": "Drafts", "TrashBox": "Trash", "JunkBox": "Junk E-mail",
            "WorkDayStart": "32400", "WorkDayEnd": "64800", "WeekStart": "Mon", "FreeBusyPeriod": "2", "PublishFreeBusy": "yes",
            "RememberRecipients": "yes", "IMLog": "yes"}


def test_defaults(client):
    for more in ("", 'type="default"', 'type="Default"', 'type=""'):
        prefs = read(client, more)
        assert prefs.get("type") == ("default" if "efault" in more else None)
        assert {e.tag: e.text for e in prefs if e.tag != "WorkDays"} == DEFAULTS
        assert [d.text for d in prefs.find("WorkDays")] == ["Mon", "Tue", "Wed", "Thu", "Fri"]
    custom = read(client, 'type="custom"')
    assert len(custom) == 0 and custom.get("type") == "custom"


def test_types(client):
    store(client, "<Language>french</Language><Own>x</Own>", 'type="custom"')
    assert [(e.tag, e.text) for e in read(client, 'type="CUSTOM"')] == [("Language", "french"), ("Own", "x")]
    assert read(client).findtext("Language") == "french"
    assert read(client, 'type="default"').findtext("Language") == "english"
    assert read(client, 'type="default"', "Own").find("Own") is None
    for request in ('<prefsRead id="p" type="all"/>', '<prefsStore id="s" type="all"><A/></prefsStore>'):
        assert client.fail(request) == BAD
    assert refuse(client, "<Language>german</Language>", 'type="default"') == (505, "permission denied")
    assert refuse(client, "<Language>a<b/></Language>", 'type="default"') == BAD  # what is said must be right first
    assert read(client, 'type="default"').findtext("Language") == "english"


def test_names(client):
    store(client, "<A>1</A><a>2</a><B>3</B><LANGUAGE>french</LANGUAGE>")
    got = read(client, "", " B ", "A", "a", "nothing", "language", "B", "Language", "", "A")
    assert [(e.tag, e.text) for e in got] == [("B", "3"), ("A", "1"), ("a", "2"), ("Language", "french")]
    assert [e.tag for e in read(client, 'type="custom"')] == ["A", "B", "Language", "a"]


def test_reset(client):
    for reset in ("default", "<default/>", "<DEFAULT/>", " <default/>\n"):
        store(client, "<WeekStart>Sun</WeekStart><Own>1</Own>")
        assert read(client).findtext("WeekStart") == "Sun"
        store(client, "<WeekStart>%s</WeekStart><own>%s</own>" % (reset, reset))
        assert read(client).findtext("WeekStart") == "Mon"
        assert [e.tag for e in read(client, 'type="custom"')] == ["Own"]
    store(client, "<WeekStart> default</WeekStart><X><subValue>default</subValue></X>")
    assert read(client).findtext("WeekStart") == " default"
    assert flat(read(client, "", "X")[0]) == ("X", "", (), (("subValue", "default", (), ()),))


def test_empty(client):
    """An empty element is an empty value, not the default."""
    store(client, "<Language/><ProntoDriveAlerts></ProntoDriveAlerts>")
    got = read(client, "", "Language", "ProntoDriveAlerts")
    assert [flat(e) for e in got] == [("Language", "", (), ()), ("ProntoDriveAlerts", "", (), ())]
    store(client, "")
    assert refuse(client, "<A>1</A>x") == BAD
    assert refuse(client, "x") == BAD


def test_whole_or_nothing(client):
    """A value is replaced as a whole; a request that fails changes nothing."""
    store(client, '<D><subKey key="a">1</subKey><subKey key="b">2</subKey></D>')
    store(client, '<D><subKey key="c">3</subKey></D>')
    assert flat(read(client, "", "D")[0]) == ("D", "", (), (("subKey", "3", (("key", "c"),), ()),))
    before = text(read(client, 'type="custom"'))
    assert refuse(client, "<D>4</D><New>5</New><Bad>6<number>1</number></Bad>") == BAD
    assert text(read(client, 'type="custom"')) == before
    store(client, "<D>1</D><D>2</D>")
    assert read(client).findtext("D") == "2"


# --- objects

SAME = [
    "", "text", "  blanks \n kept  ", "&lt;&amp;&gt;\"'", "\u00e9\u4e16\U0001f600", "&#13;", "]]&gt;",
    "<number>100</number>", "<number>-9223372036854775808</number>", "<number>9223372036854775807</number>",
    '<subKey key="num">+1</subKey>', '<subKey key="phones"><subValue><subKey key="num">+1</subKey></subValue></subKey>',
    '<subKey key="">x</subKey><subKey key="@realName">y</subKey>', '<subKey key="k"/>', '<subKey key="a&quot;&lt;&amp;&#10;&#9;">1</subKey>',
    '<subKey key="z">1</subKey><subKey key="a">2</subKey><subKey key="m">3</subKey>', '<subKey key="K">1</subKey><subKey key="k">2</subKey>',
    "<subValue/>", "<subValue>a</subValue><subValue>a</subValue>", "<subValue><subValue><subValue/></subValue></subValue>",
    "<timeStamp>20240314T071500Z</timeStamp>", "<dataBlock>AAEC</dataBlock>", "<dataBlock/>", "<ip>[192.0.2.7]:80</ip>", "<ip>[2001:db8::7]</ip>",
    "<null/>", '<vCard a="1" b="x&quot;&#10;y"><N>Lee</N><TEL type="cell">1</TEL></vCard>', '<query xmlns="jabber:iq:roster"/>',
    '<p xml:lang="de">x</p>', "<subKeys>1</subKeys>",
]
OTHER = [
    ("<date>2024-03-14T07:15:00.5Z</date>", "<timeStamp>20240314T071500Z</timeStamp>"),
    ("<timeStamp>20240314T071500</timeStamp>", "<timeStamp>20240314T071500Z</timeStamp>"),
    ("<base64> AA\nE </base64>", "<dataBlock>AAE=</dataBlock>"), ("<ipAddr>[192.0.2.7]</ipAddr>", "<ip>[192.0.2.7]</ip>"),
    ("<number> 007 </number>", "<number>7</number>"), ("<NUMBER>7</NUMBER>", "<number>7</number>"), ("<null> </null>", "<null/>"),
    ('<SubKey Key="a" more="b">1</SubKey>', '<subKey key="a">1</subKey>'), (" <subvalue>1</subvalue>\n", "<subValue>1</subValue>"),
    ('<subKey key="a">1</subKey><subKey key="b">2</subKey><subKey key="a">3</subKey>', '<subKey key="a">3</subKey><subKey key="b">2</subKey>'),
    ("<![CDATA[<b>&amp;]]>", "&lt;b&gt;&amp;amp;"),
]
REFUSED = [
    "x<subKey key='a'/>", "<subKey key='a'/><subValue/>", "<subValue/><number>1</number>", "<number>1</number><number>2</number>",
    "<number>1.5</number>", "<number/>", "<number>x</number>", "<number>9223372036854775808</number>", "<number><b/></number>",
    "<timeStamp>yesterday</timeStamp>", "<timeStamp/>", "<timeStamp>20240230T000000Z</timeStamp>", "<dataBlock>!</dataBlock>",
    "<ip>192.0.2.7</ip>", "<ip>[192.0.2.256]</ip>", "<ip>[192.0.2.7]:65536</ip>", "<ip>[192.0.2.7]:</ip>", "<ip>[]</ip>", "<ip>[192.0.2.7</ip>",
    "<null>1</null>", "<a>x<b/></a>", "<a/><b/>", "<subValue>x<b/></subValue>", "<subKey key='a'><number>q</number></subKey>",
]


def test_objects(client):
    for same in SAME:
        store(client, "<V>%s</V>" % same)
        want = ET.fromstring("<V>%s</V>" % same)
        assert flat(read(client, "", "V")[0]) == flat(want), same
    for sent, want in OTHER:
        store(client, "<V>%s</V>" % sent)
        assert flat(read(client, "", "V")[0]) == flat(ET.fromstring("<V>%s</V>" % want)), sent
    for sent in REFUSED:
        assert refuse(client, "<V>%s</V>" % sent) == BAD, sent
    assert refuse(client, "<V><subKey>1</subKey></V>") == (501, "required attribute is missing")


def test_entries(client):
    """10,000 entries in one dictionary or array, whatever is left of them."""
    for n, fine in ((9999, True), (10000, True), (10001, False)):
        for entry in ('<subKey key="a">%d</subKey>', "<subValue/>"):
            body = "<V>%s</V>" % "".join(entry % i if "%d" in entry else entry for i in range(n))
            if "subValue" in entry:  # 11 bytes each: over 64 KiB long before
                assert refuse(client, body) == BAD
            elif fine:
                store(client, body)
                assert flat(read(client, "", "V")[0]) == ("V", "", (), (("subKey", str(n - 1), (("key", "a"),), ()),))
            else:
                assert refuse(client, body) == BAD


# --- sizes

def test_value_size(client):
    """64 KiB as XML (0.5)."""
    for n, fine in ((65535, True), (65536, True), (65537, False)):
        for body, length in (("x" * n, n), ("&lt;" * (n // 4) + "x" * (n % 4), n)):
            if fine:
                store(client, "<V>%s</V>" % body)
                assert len(read(client, "", "V")[0].text) == length // 4 + length % 4 if "&" in body else n
            else:
                assert refuse(client, "<V>%s</V>" % body) == BAD
    assert len(read(client, "", "V")[0].text) > 10000


def test_account_size(server, client):
    """1 MiB with the names: the size of the message that shows them all, without its frame."""
    name, each = "N%02d", 60000
    for i in range(17):
        store(client, "<%s>%s</%s>" % (name % i, "x" * each, name % i))
    used = 17 * (each + 2 * 3 + 5)
    left = (1 << 20) - used - (2 * 4 + 5)
    store(client, "<Last>%s</Last>" % ("y" * (left - 1)))
    store(client, "<Last>%s</Last>" % ("y" * left))
    assert refuse(client, "<Last>%s</Last>" % ("y" * (left + 1))) == BAD
    client.send('<prefsRead id="all" type="custom"/>')
    raw = client.raw()
    assert len(raw) == (1 << 20) + len('<prefs id="all" type="custom"></prefs>')
    assert client.raw() == b'<response id="all"/>'
    assert refuse(client, "<B/>") == BAD
    store(client, "<N00><default/></N00><B/>")  # in one request: what counts is what is there in the end
    other = server.session("dora@harbor.example")
    store(other, "<Last>%s</Last>" % ("y" * 1000))
    store(other, "<Last>default</Last>")
    other.close()


def test_count(client):
    for n, fine in ((999, True), (1000, True), (1001, False)):
        body = "".join("<P%d/>" % i for i in range(n))
        if fine:
            store(client, body)
            assert len(read(client, 'type="custom"')) == n
        else:
            assert refuse(client, body) == BAD
    assert refuse(client, "<P1000/>") == BAD
    store(client, "<P0>default</P0><P1000/>")
    names = ["P%d" % i for i in range(1, 1001)]
    assert [e.tag for e in read(client, "", *names)] == names
    assert client.fail('<prefsRead id="p">%s</prefsRead>' % ("<name>P1</name>" * 1001)) == BAD
    for first in range(0, 1001, 500):
        store(client, "".join("<P%d>default</P%d>" % (i, i) for i in range(first, min(first + 500, 1001))))


def test_name_size(client):
    for n, fine in ((254, True), (255, True), (256, False)):
        body = "<%s>1</%s>" % ("n" * n, "n" * n)
        if fine:
            store(client, body)
        else:
            assert refuse(client, body) == BAD


# --- hostile names and values

def legal_name(name):
    """Do Python's parser, which holds to the older rules of XML 1.0, and namespaces take it?"""
    try:
        return ":" not in name and ET.fromstring("<%s/>" % name).tag == name
    except ET.ParseError:
        return False


def test_hostile(client):
    """500 names and values, some of them odd: what is taken comes back as it was, and every answer is XML."""
    rng = random.Random(6)
    letters = "abcXYZ_09-.:\u00e9\u0416\u4e16\u0220\u1e9e\u30fc\u0301\u00b7\U0001f600\U00020000\ud7ff\ufdd0'\"&<="
    values = "ab <>&\"'\t\n\r]\u00e9\u4e16\U0001f600\x85\u2028\ufffd\u202e%s;--{}()\\`$"
    stored = {}
    for _ in range(500):
        name = rng.choice(letters[:7] + letters) + "".join(rng.choice(letters[:11] if rng.random() < 0.7 else letters) for _ in range(rng.randrange(8)))
        value = "".join(rng.choice(values) for _ in range(rng.randrange(40)))
        e = ET.Element("V")
        if rng.random() < 0.5:
            e.text = value
        else:
            ET.SubElement(e, "subKey", {"key": value}).text = value[::-1]
        inside = text(e)[2:-4].lstrip(">") if not text(e).endswith("/>") else ""
        inside = inside.replace("\r", "&#13;")
        client.send(('<prefsStore id="s"><%s>%s</%s></prefsStore>' % (name, inside, name)).encode("utf-8", "surrogatepass"))
        response = client.recv()
        number = response.get("errorNum")
        if legal_name(name):
            assert number is None, (name, value)
            stored[name] = ET.fromstring("<V>%s</V>" % inside)
            if (stored[name].text or "") == "default":
                del stored[name]
        else:
            assert number in ("501", "502"), (name, number)
    assert len(stored) > 100
    assert client.call('<noop id="n"/>')[0] == []
    got = {e.tag: e for e in read(client, 'type="custom"')}
    assert set(got) == set(stored)
    for name, want in stored.items():
        assert flat(got[name])[1:] == flat(want)[1:], name


def test_namespaces(client):
    """Names with a colon mean something to parsers that know namespaces; what means nothing is not stored."""
    for name in ("a:b", "xmlns:a", "x:y:z", ":a"):
        assert refuse(client, "<%s>1</%s>" % (name, name))[0] in (501, 502)
    for value in ("<a:b/>", "<a b:c='1'/>", "<a xmlns:b='urn:x'/>"):
        assert refuse(client, "<V>%s</V>" % value) == BAD, value
    for name in ("'; DROP TABLE pref; --", "%00", "*", "a\nb", "../x", "\u0416"):
        assert len(read(client, "", name.replace("&", "&amp;"))) == 0


# --- sessions, accounts, time

def test_two_sessions(server, client):
    """No notification; the other one sees it when it asks. Other accounts see nothing."""
    other, foreign = server.session("otto@harbor.example"), server.session("dora@harbor.example")
    store(client, "<Shared>1</Shared>")
    assert read(other).findtext("Shared") == "1"
    assert read(foreign).find("Shared") is None
    assert other.call('<noop id="n"/>')[0] == []
    other.close()
    foreign.close()


def test_kill(server):
    """What was answered is there when the keeper dies the next moment; a removed account leaves nothing to its successor."""
    for i in range(3):
        c = server.session("ann@harbor.example")
        store(c, '<Kept><subKey key="n"><number>%d</number></subKey></Kept>' % i)
        for name in [n for n in server.children() if n.startswith("keeper")]:
            server.kill(name, signal.SIGKILL)
        c.close()
        again = wait_for(lambda: session_or_none(server))
        assert flat(read(again, "", "Kept")[0])[3] == (("subKey", "", (("key", "n"),), (("number", str(i), (), ()),)),)
        again.close()
    server.ctl("account", "remove", "ann@harbor.example")
    server.add_account("ann", PASSWORD["ann"])
    new = wait_for(lambda: session_or_none(server))
    assert len(read(new, 'type="custom"')) == 0
    new.close()


def test_schema(tmp_path):
    """A bank of a version that knew no preferences gets a place for them; what is in it stays."""
    with Server(tmp_path, accounts={"dora": "correct-horse"}) as s:
        s.deliver(b"Subject: Lunch?\r\n\r\nAt noon?\r\n")
        s.stop()
        for path in glob.glob(str(tmp_path / "**" / "bank*.db"), recursive=True):
            db = sqlite3.connect(path)
            assert db.execute("PRAGMA user_version").fetchone() == (2,)
            db.executescript("DROP TABLE pref; PRAGMA user_version = 1;")
            db.close()
        s.start()
        c = s.session()
        store(c, "<Own>1</Own>")
        assert read(c).findtext("Own") == "1"
        boxes, _ = c.call('<mailboxList id="m"/>')
        assert [b.get("Messages") for b in boxes if b.get("mailbox") == "INBOX"] == ["1"]
        c.close()


def session_or_none(server):
    try:
        return server.session("ann@harbor.example")
    except (AssertionError, OSError):
        return None


def test_before_login(server):
    c = server.client()
    for request in ('<prefsRead id="p"/>', '<prefsStore id="p"/>'):
        assert c.fail(request) == (500, "not authenticated")
    c.close()


def test_settings(tmp_path):
    """The limits are settings, and a reload is enough."""
    conf = "[limits]\npreferences = %d\npreference_bytes = %s\npreferences_bytes = %s\n"
    with Server(tmp_path, conf=conf % (10, "1k", "16k"), accounts={"dora": "correct-horse"}) as s:
        c = s.session()
        store(c, "<V>%s</V>" % ("x" * 1024))
        assert refuse(c, "<V>%s</V>" % ("x" * 1025)) == BAD
        store(c, "".join("<P%d/>" % i for i in range(9)))
        assert refuse(c, "<P9/>") == BAD
        s.rewrite(conf=conf % (20, "16k", "16k"))
        s.reload()
        store(c, "<P9/>")
        store(c, "<V>%s</V>" % ("x" * (16384 - 7 - 10 * 9)))
        assert refuse(c, "<V>%s</V>" % ("x" * (16384 - 6 - 10 * 9))) == BAD
        c.close()


def test_known_values(server, client):
    """Protocol 3, 6.4: the example's elements, and each zone that the system offers; then the first commands of the common web
    client (protocol 1, 6) in one batch."""
    (known,), _ = client.call('<listKnownValues id="p4"/>')
    assert known.tag == "knownValues" and known.text is None and all(len(e) == 0 and e.text and e.tail is None for e in known)
    got = [(e.tag, e.text) for e in known]
    assert len(set(got)) == len(got)
    for want in (("language", "english"), ("charset", "utf-8"), ("timeZone", "HostOS"), ("timeZone", "Europe/Berlin"),
                 ("mailboxClass", "IPF.Contact"), ("mailboxClass", "IPF.Appointment"), ("mailboxClass", "IPF.Task"),
                 ("mailboxClass", "IPF.StickyNote"), ("presence", "online"), ("presence", "away")):
        assert want in got
    with open("/usr/share/zoneinfo/zone.tab", encoding="utf-8") as f:
        tab = {line.split("\t")[2].strip() for line in f if not line.startswith("#")}
    assert {text for tag, text in got if tag == "timeZone"} == tab | {"HostOS", "UTC"}
    client.send_bytes(b'<prefsRead id="1"><name>Language</name></prefsRead>\0<listKnownValues id="2"/>\0'
                      b'<mailboxList id="3" filter="%" pureFolder="yes"/>\0'
                      b'<setSessionOption id="4" name="reportMailboxChanges" value="yes"/>\0')
    assert [client.until_response(i)[0][0].tag for i in "123"] == ["prefs", "knownValues", "mailbox"]
    client.until_response("4")
