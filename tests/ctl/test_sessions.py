# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The ximssd authors
"""ximssctl session list, kick, say."""
import datetime
import json
import os
import re
import signal
import socket
import subprocess

import pytest
from control import ALL, answer, connect, request, string
from ximss import PATIENCE, Server, wait_for


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """One for most tests of this file."""
    with Server(tmp_path_factory.mktemp("server"), server="workers = 2\nkeepers = 2\nchannels_per_client_address = 1000\n",
                conf="[login]\nmax_sessions_per_account = 1000\n", env={"TZ": "EST5"}, clock=True, tls=True,
                accounts={"dora": "correct-horse", "otto": "swordfish"}) as s:
        yield s


@pytest.fixture(autouse=True)
def nobody_on(server):
    """Each test begins without connections; what it leaves open is kicked."""
    yield
    for ident in sessions(server):
        server.ctl("session", "kick", str(ident), check=False)
    wait_for(lambda: not sessions(server))


def sessions(server, *args):
    return {s["id"]: s for s in json.loads(server.ctl("--json", "session", "list", *args).stdout)["sessions"]}


def refused(server, *args):
    done = server.ctl(*args, check=False)
    assert done.returncode == 1 and done.stdout == "" and done.stderr.startswith("ximssctl: "), done
    return done.stderr[len("ximssctl: "):].strip()


def number(client):
    """Number of the client's session, from the server's own greeting."""
    return int(client.login().get("urlID").split("-")[0])


def test_list(server):
    dora, otto, nobody = server.session(), server.session("otto@harbor.example", tls=True), server.client()
    nobody.send('<noop id="n"/>')
    nobody.raw()
    ports = {c.sock.getsockname()[1]: c for c in (dora, otto, nobody)}
    wait_for(lambda: sorted(r["status"] for r in server.top()["sessions"]) == ["authenticating", "reading request", "reading request"])
    top = {r["id"]: r for r in server.top()["sessions"]}
    listed = sessions(server)
    later = {r["id"]: r for r in server.top()["sessions"]}
    assert set(listed) == set(top)
    for ident, row in listed.items():
        assert all(row[k] == top[ident][k] for k in ("ip", "account", "status", "running", "transport", "tls")), row
        assert top[ident]["connected"] - 1 <= row["connected"] <= later[ident]["connected"] + 1
        assert top[ident]["port"] in ports
    by_port = {top[i]["port"]: row for i, row in listed.items()}
    row = by_port[otto.sock.getsockname()[1]]
    assert row["account"] == "otto@harbor.example" and row["tls"] == otto.sock.version()
    assert row["ip"] == "127.0.0.1" and row["status"] == "reading request" and row["running"] is None
    row = by_port[nobody.sock.getsockname()[1]]
    assert row["account"] == "" and row["status"] == "authenticating" and row["tls"] == ""
    # for people: the same in columns
    lines = server.ctl("session", "list").stdout.splitlines()
    assert re.split(r"  +", lines[0]) == ["ID", "IP ADDRESS", "ACCOUNT", "TRANSPORT", "TLS", "CONNECTED", "STATUS", "RUNNING"]
    assert [int(line.split()[0]) for line in lines[1:]] == sorted(listed)
    assert any("otto@harbor.example" in line and "TLSv1.3" in line and "[127.0.0.1]" in line for line in lines)
    for c in (dora, otto, nobody):
        c.close()
    wait_for(lambda: not sessions(server))
    assert server.ctl("session", "list").stdout == ""


def test_list_in_pages(server):
    """More connections than a page holds: each is listed once, while others come and go."""
    stay = [server.client() for _ in range(450)]
    wait_for(lambda: len(server.top()["sessions"]) == 450)
    known = {r["id"] for r in server.top()["sessions"]}
    assert set(sessions(server)) == known
    # by hand, one page after the other, with changes between them
    seen, places, pages = [], [(ALL, "")], 0
    with connect(server) as s:
        while places:
            target, place = places.pop()
            s.send(request("session list", string(place), target))
            err, texts = answer(s)
            assert err == 0
            pages += 1
            for (_, process), text in texts.items():
                page = json.loads(text)
                assert len(page["sessions"]) <= 200
                seen += [row["id"] for row in page["sessions"]]
                if "next" in page:
                    places.append((process, page["next"]))
            server.client().close()
            server.client().close()
    assert pages >= 2
    assert len([i for i in seen if i in known]) == 450 and known <= set(seen)
    for c in stay:
        c.close()
    wait_for(lambda: not sessions(server))


def test_kick_a_session(server):
    client, other = server.client(), server.session("otto@harbor.example")
    ident = number(client)
    done = server.ctl("session", "kick", str(ident))
    assert done.stdout == "kicked\n"
    assert client.raw() == b"<bye/>" and client.closed()
    wait_for(lambda: ident not in sessions(server))
    wait_for(lambda: "XIMSSI-%d(dora@harbor.example) connection closed" % ident in server.log())
    wait_for(lambda: "XIMSS-%d(dora@harbor.example) session closed: kicked by the administrator" % ident in server.log())
    wait_for(lambda: re.search(r" 2 CTL session kick, by user %d, process \d+: done" % os.geteuid(), server.log()))
    other.call('<readTime id="q"/>')
    assert refused(server, "session", "kick", str(ident)) == "there is no connection or session of that number"
    failed = json.loads(server.ctl("--json", "session", "kick", str(ident), check=False).stdout)
    assert failed == {"error": "there is no connection or session of that number"}
    wait_for(lambda: re.search(r" 2 CTL session kick, by user \d+, process \d+: NOT_FOUND", server.log()))


def test_kick_before_login(server):
    for say in (b"", b'<noop id="1"/>\0', b'<noop id="1"', b'<login id="1" method="CRAM-MD5"/>\0'):
        client = server.client()
        client.send_bytes(say)
        if say.endswith(b"\0"):
            client.raw()
        (ident,) = wait_for(lambda: sessions(server))
        server.ctl("session", "kick", str(ident))
        assert client.raw() == b"<bye/>" and client.closed()
        client.close()
        wait_for(lambda: not sessions(server))
        wait_for(lambda i=ident: "XIMSSI-%d([127.0.0.1]) ends: kicked by the administrator" % i in server.log())


def test_kick_during_the_handshake(server):
    with socket.create_connection(("127.0.0.1", server.tls_port), timeout=PATIENCE) as s:
        (ident,) = wait_for(lambda: sessions(server))
        server.ctl("session", "kick", str(ident))
        assert s.recv(1000) == b""
    wait_for(lambda: not sessions(server))


def test_kick_who_does_not_read(server):
    """He cannot be told; he is cut off after some seconds, or when he is kicked once more."""
    for again in (False, True):
        client = server.client()
        client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        ident = number(client)
        client.sock.settimeout(0.5)
        try:
            while True:
                client.send_bytes(b'<readTime id="q"/>\0' * 1000)
        except TimeoutError:
            pass
        server.ctl("session", "kick", str(ident))
        wait_for(lambda: sessions(server).get(ident, {"status": "closing"})["status"] == "closing")  # a slow machine may see it gone
        if again:
            server.ctl("session", "kick", str(ident))
        else:
            server.advance(6)
        wait_for(lambda: not sessions(server))
        client.close()


def test_what_is_no_number(server):
    for ident in ("", "0", "100000", "1000000", "abc", "100001x", "-1", "999999999999999999999", " 100001"):
        for verb in (("kick", "--", ident), ("say", "--", ident, "text")):
            done = server.ctl("session", *verb, check=False)
            assert done.returncode == 2 and "usage: ximssctl session" in done.stderr, done


# --- say

def alert(client):
    element = client.recv()
    assert element.tag == "alert" and set(element.attrib) == {"gmtTime", "localTime"} and len(element) == 0
    return element


def test_say_to_one(server):
    dora, otto = server.client(), server.session("otto@harbor.example")
    ident = number(dora)
    assert server.ctl("session", "say", str(ident), "Tea", "is", "ready").stdout == "told 1 session\n"
    element = alert(dora)
    now, _ = dora.call('<readTime id="t"/>')
    assert element.text == "Tea is ready"
    when, local, then = (datetime.datetime.strptime(t, "%Y%m%dT%H%M%S")
                         for t in (element.get("gmtTime"), element.get("localTime"), now[0].get("gmtTime")))
    assert abs((then - when).total_seconds()) < 20
    assert when - local == datetime.timedelta(hours=5)  # Eastern Standard Time
    otto.send('<readTime id="q"/>')  # hears nothing but his answer
    assert [otto.recv().tag, otto.recv().tag] == ["currentTime", "response"]
    dora.call('<bye id="b"/>')
    wait_for(lambda: ident not in sessions(server))
    assert refused(server, "session", "say", str(ident), "too late") == "there is no session of that number"


TEXTS = [
    ("a<b>&c\"d'e", "a<b>&c\"d'e"), ("]]></alert><bye/>", "]]></alert><bye/>"), ("Grüße 日本 🙂", "Grüße 日本 🙂"),
    ("one\ntwo\r\tthree\x1b[31m\x7f", "one two  three [31m "), (b"a\xffb\xc3", "a\ufffdb\ufffd"), ("--help", "--help"),
    ("  blanks  ", "  blanks  "), ("\u0085\u009b2J\ufffe", "  2J\ufffd")]


def test_say_escapes(server):
    client = server.client()
    ident = str(number(client))
    for text, shown in TEXTS:
        server.ctl("session", "say", ident, "--", text)
        assert alert(client).text == shown


def test_say_to_all(server):
    users = [server.session() for _ in range(3)] + [server.session("otto@harbor.example", tls=True)]
    nobody = server.client()
    done = server.ctl("--json", "session", "say", "all", "Maintenance in five minutes")
    assert json.loads(done.stdout) == {"told": 4}
    for u in users:
        assert alert(u).text == "Maintenance in five minutes"
    nobody.send('<noop id="n"/>')
    assert nobody.raw() == b'<response id="n"/>'
    for u in users:
        u.call('<bye id="b"/>')
    wait_for(lambda: len(sessions(server)) == 1)
    assert server.ctl("session", "say", "all", "anybody?").stdout == "told 0 sessions\n"


def test_length_of_a_text(server):
    client = server.client()
    ident = str(number(client))
    for n, good in ((0, False), (1, True), (999, True), (1000, True), (1001, False), (60000, False)):
        for who in (ident, "all"):
            if good:
                server.ctl("session", "say", who, "x" * n)
                assert alert(client).text == "x" * n
            else:
                assert refused(server, "session", "say", who, "x" * n) == "the text has 1 to 1000 bytes"
    done = server.ctl("session", "say", ident, "x" * 100000, check=False)
    assert done.returncode == 2 and "too long" in done.stderr


def test_say_into_a_long_answer(server):
    """What is said while a client takes a long answer comes behind a whole message, and of much only the newest."""
    server.deliver(b"Subject: long\r\n\r\n" + b"0123456789abcdef" * 4 * 50000 + b"\r\n")
    client = server.client()
    ident = number(client)
    client.call('<folderOpen id="o" folder="f" mailbox="INBOX"><field>Subject</field></folderOpen>')
    client.send_bytes(b"".join(b'<folderRead id="r%d" folder="f" UID="1" totalSizeLimit="10000000"/>\0' % i
                               for i in range(4)))
    client.sock.recv(1)  # it has begun
    client.buffer = b"<"
    for i in range(20):
        server.ctl("session", "say", str(ident), "word %d" % i)
    heard, answered = [], 0
    while answered < 4 or len(heard) < 8:
        element = client.recv()  # whole messages, each of them well-formed
        if element.tag == "alert":
            heard.append(element.text)
        answered += element.tag == "response"
    assert heard[-8:] == ["word %d" % i for i in range(12, 20)] and len(heard) <= 20
    client.call('<readTime id="q"/>')


def test_say_to_many(server):
    """More sessions than a keeper tells in one round."""
    users = [server.session() for _ in range(300)]
    assert server.ctl("session", "say", "all", "hello").stdout == "told 300 sessions\n"
    for u in users:
        assert alert(u).text == "hello"
        u.close()
    wait_for(lambda: not sessions(server))


def test_a_keeper_is_silent(server):
    """Who could be told is told; the tool says who did not answer, and that not all was done."""
    users = {"dora@harbor.example": server.session(), "otto@harbor.example": server.session("otto@harbor.example")}
    banks = {a["account"]: a["bank"] for a in json.loads(server.ctl("--json", "account", "list").stdout)["accounts"]}
    assert set(banks.values()) == {0, 1}  # of two keepers
    pid = server.kill("keeper 2", signal.SIGSTOP)
    try:
        args = [os.path.join(server.bin, "ximssctl"), "-c", server.conf_path, "--json", "session", "say", "all", "hello"]
        tool = subprocess.Popen(args, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                env=server.env)
        (told,) = [users[name] for name, bank in banks.items() if bank == 0]
        assert alert(told).text == "hello"
        out, _ = tool.communicate(timeout=PATIENCE)
    finally:
        os.kill(pid, signal.SIGCONT)
    assert tool.returncode == 1
    assert json.loads(out) == {"told": 1, "silent": ["keeper 2"], "error": "keeper 2 did not answer"}
