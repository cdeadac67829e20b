# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The ximssd authors
"""500 hostile strings through every place where a stranger's text meets the log, the journal and ximssctl (security 2.2).
ximss-top shows what stands in the shared table: tests/shm/test_hostile.py puts as many there."""
import json
import os
import re
import socket
import subprocess

import pytest
from hostile import for_xml, is_visible, strings
from journal import RECORD, Journal, JournalServer
from settled import settle
from ximss import PATIENCE, Server, wait_for

STRINGS = strings()
# Failed logins are not delayed, nobody is blocked, a message may be as long as the strings, and hashes are cheap.
CONF = """[login]
fail_delay = 0
fail_account = 0
fail_address = 0
fail_connection = 1000
hash_cost = 1
[limits]
protocol_errors_before_login = 1000
protocol_errors = 1000
"""


def test_they_are_what_they_should_be():
    assert len(STRINGS) == 500 == len({s for _, s in STRINGS})
    assert {b for _, s in STRINGS for b in s} == set(range(256))
    assert sum(for_xml(s) is None for _, s in STRINGS) > 100 and sum(for_xml(s) is not None for _, s in STRINGS) > 100


def batches(what, n=8):
    what = list(what)
    return [what[i:i + n] for i in range(0, len(what), n)]


def converse(new_client, messages):
    """Sends raw messages in batches; each has one response, whatever else comes before it. As many clients as are needed:
    after 1,000 protocol errors a connection ends."""
    for some in batches(messages, 900):
        client = new_client()
        client.send('<noop id="first"/>')  # a first byte that is not XIMSS would end it
        client.raw()
        for batch in batches(some):
            client.send_bytes(b"".join(m + b"\0" for m in batch))
            left = len(batch)
            while left:
                left -= client.raw().startswith(b"<response")
        client.close()


def xml_or_raw(template, raw):
    """`template` with the string in its place: as XML if it can be, else the bytes as they are (illegal, but for luck)."""
    text = for_xml(raw)
    inside = text.encode() if text is not None else raw.replace(b"\0", b"\x01")
    return template.replace(b"%", inside, 1) if b"%" in template else template


LOGIN = b'<login id="1" authData="%" password="x"/>'
NAMES = [b'<login id="1" userName="%" sessionid="100001-aaaaaaaaaaaaaaaaaaaa"/>', b'<listFeatures id="1" domain="%"/>',
         b'<signup id="1" userName="%" password="x"/>', b'<readStrings id="1" language="%"/>']
SESSION = [b'<setClientName id="1" name="%"/>', b'<noop id="%"/>', b'<mailboxCreate id="1" mailbox="%"/>',
           b'<setSessionOption id="1" name="%" value="%"/>', b'<noop id="1">%</noop>', b'<noop id="1" x="%" exeTime="%"/>']


def tag_of(raw):
    """The bytes as a tag and as the name of an attribute: nearly always illegal."""
    return [b"<" + raw.replace(b"\0", b"") + b' id="1"/>', b'<noop id="1" ' + raw.replace(b"\0", b"") + b'="x"/>']


def attack_ximss(server):
    client = server.client
    converse(client, [xml_or_raw(LOGIN, s) for _, s in STRINGS])
    for template in NAMES:
        converse(client, [xml_or_raw(template, s) for _, s in STRINGS[256::3]])
    converse(client, [m for _, s in STRINGS for m in tag_of(s)])
    session = server.session
    for i, template in enumerate(SESSION):
        converse(session, [xml_or_raw(template, s) for _, s in STRINGS[i % 2::2]])
    converse(session, [m for _, s in STRINGS[::2] for m in tag_of(s)])


def attack_lmtp(server):
    """LHLO, sender, recipient, verb. Lines end where the string has one itself; the server may end the dialogue."""
    lmtp = None
    for mark, s in STRINGS:
        for line in (b"LHLO " + s, b"MAIL FROM:<" + s + b"@example.org>", b"RCPT TO:<" + s + b"@harbor.example>", s):
            if lmtp is None:
                lmtp = socket.socket(socket.AF_UNIX)
                lmtp.settimeout(PATIENCE)
                lmtp.connect(os.path.join(server.run_dir, "lmtp"))
                stream = lmtp.makefile("rb")
                stream.readline()
            try:
                lmtp.sendall(line + b"\r\nNOOP\r\n")
                while (answer := stream.readline()) not in (b"250 2.0.0 ok\r\n", b""):
                    pass
            except ConnectionError:
                answer = b""
            if answer == b"":
                stream.close()
                lmtp.close()
                lmtp = None
    if lmtp is not None:
        stream.close()
        lmtp.close()


def attack(server):
    attack_ximss(server)
    attack_lmtp(server)
    server.session().close()


def marks(text):
    return set(re.findall(r"m(\d+)k", text))


def check_marks(lines, lost=0):
    """The strings did come here: names that cannot be shown are masked, all the rest is there, in its visible form."""
    by_kind = {"inp": set(), "LMTP": set()}
    for line in lines:
        if " LMTP-" in line and "inp(" in line:
            by_kind["LMTP"] |= marks(line)
        elif "inp(" in line:
            by_kind["inp"] |= marks(line)
    legal = {mark[1:-1] for mark, s in STRINGS if len((for_xml(s) or "x" * 9000).encode()) < 4000}
    assert len(legal) > 200 and len(legal - by_kind["inp"]) <= lost, sorted(legal - by_kind["inp"])
    assert len(by_kind["LMTP"]) > 350 - lost


def test_file(tmp_path):
    with Server(tmp_path, conf=CONF, server="log_level = all\n") as server:
        attack(server)
    with open(server.log_path, "rb") as f:
        data = f.read()
    text = data.decode("utf-8")  # strict
    assert is_visible(text)
    lines = text.splitlines()
    assert lines == text.split("\n")[:-1]
    for line in lines:
        m = RECORD.fullmatch(line)
        assert m and m.group(3) in ("MASTER", "XIMSSI", "XIMSS", "LMTP", "CTL", "AUTH", "KEEPER"), line
        assert len(line.encode()) <= 8192 + 32
        assert "forged" not in line or line.index("forged") > 40
        if m.group(3) in ("XIMSSI", "XIMSS"):
            assert re.fullmatch(r"\d{6}", m.group(4) or "") and m.group(5) in ("[127.0.0.1]", "dora@harbor.example"), line
    check_marks(lines)


def test_journal(tmp_path):
    journal = Journal("/tmp/ximssd-hostile-%d" % os.getpid())
    try:
        with JournalServer(tmp_path, journal, conf=CONF, server="log_level = all\n") as server:
            attack(server)
            wait_for(lambda: "session opened" in journal.text())
    finally:
        journal.close()
    assert len(journal.records) > 5000
    for record in journal.records:
        assert set(record) <= {"MESSAGE", "PRIORITY", "SYSLOG_IDENTIFIER", "XIMSS_TAG", "XIMSS_ID", "XIMSS_WHO"}
        text = {k: v.decode("utf-8") for k, v in record.items()}
        assert all(is_visible(v, "") for v in text.values()), text
        assert text["PRIORITY"] in "24567" and text["SYSLOG_IDENTIFIER"] == "ximssd"
        assert text["XIMSS_TAG"] in ("MASTER", "XIMSSI", "XIMSS", "LMTP", "CTL", "AUTH", "KEEPER", "LOG")
        assert text.get("XIMSS_WHO") in (None, "[127.0.0.1]", "dora@harbor.example", "[local]")
        assert len(text["MESSAGE"].encode()) <= 8192 + 32
    # our reader is slow, and where few datagrams may wait (net.unix.max_dgram_qlen) some are lost
    lost = sum(int(m.group(1)) for m in re.finditer(r"LOG (\d+) records were lost", journal.text()))
    check_marks([" " + r["MESSAGE"].decode() for r in journal.records], lost)


# --- ximssctl

def ctl(server, *args):
    """ximssctl with arguments of bytes; exit code, and its two outputs, which must be clean."""
    done = subprocess.run([os.path.join(server.bin, "ximssctl").encode(), b"-c", server.conf_path.encode(), *args],
                          stdin=subprocess.DEVNULL, capture_output=True, timeout=PATIENCE, check=False, env=server.env)
    out, err = done.stdout.decode("utf-8"), done.stderr.decode("utf-8")
    assert is_visible(out) and is_visible(err), (args, done)
    return done.returncode, out, err


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    with Server(tmp_path_factory.mktemp("ctl"), conf=CONF, server="log_level = all\n") as server:
        yield server


def test_real_names(shared):
    """A real name may be anything; it comes out as JSON, and in a table, without doing anything."""
    some = [(mark, s) for mark, s in STRINGS if len(s) < 200][::20]
    for i, (_, s) in enumerate(some):
        done = subprocess.run([os.path.join(shared.bin, "ximssctl").encode(), b"-c", shared.conf_path.encode(), b"account",
                               b"add", b"user%d" % i, b"--password-stdin", b"--real-name", s.replace(b"\0", b"")],
                              input=b"correct-horse\n", capture_output=True, timeout=PATIENCE, check=False)
        assert done.returncode in (0, 1) and is_visible(done.stderr.decode())
    code, out, _ = ctl(shared, b"--json", b"account", b"list")
    assert code == 0 and out.count("\n") == 1
    real = {a["account"]: a["realName"] for a in json.loads(out)["accounts"]}
    assert len(real) > 18
    for i, (mark, s) in enumerate(some):
        if "user%d@harbor.example" % i in real and for_xml(s) is not None:
            assert real["user%d@harbor.example" % i] == s.decode()
    code, out, _ = ctl(shared, b"account", b"list")
    assert code == 0 and len(out.splitlines()) == len(real) + 1


VERBS = [[b"account", b"remove", b"--"], [b"log", b"set", b"low", b"--account"], [b"log", b"set", b"low", b"--module"],
         [b"log", b"set", b"--"], [b"log", b"reset", b"--session"]]


def test_arguments(shared):
    for i, (mark, s) in enumerate(STRINGS[1::10]):
        verb = VERBS[i % len(VERBS)]
        code, out, err = ctl(shared, *verb, s.replace(b"\0", b"")[:3000])
        assert code in (0, 1, 2) and (out or err)
        if code == 0:
            assert mark in ctl(shared, b"log")[1]
    ctl(shared, b"log", b"reset")
    settle(shared)
    for line in shared.log().splitlines():
        assert RECORD.fullmatch(line) and is_visible(line), line
