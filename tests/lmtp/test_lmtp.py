# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The ximssd authors
"""The LMTP door (RFC 2033, 5321, 2920, 1870, 6152, 6531, 2034), spoken to by smtplib, swaks and raw sockets."""
import contextlib
import fcntl
import json
import os
import re
import shutil
import signal
import socket
import struct
import subprocess
import termios
import time

import pytest
from mailview import browse, open_folder, read, source
from ximss import PATIENCE, Server, free_port, wait_for

DORA, OTTO, NOBODY = "dora@harbor.example", "otto@harbor.example", "nobody@harbor.example"
BOTH = {"dora": "correct-horse", "otto": "swordfish"}


class Raw:
    """A socket and the answers that come on it."""

    def __init__(self, server):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(PATIENCE)
        self.sock.connect(os.path.join(server.run_dir, "lmtp"))
        self.buffer = b""

    def send(self, text):
        self.sock.sendall(text if isinstance(text, bytes) else text.encode())

    def is_read(self):
        """Waits until the server has all of what was sent."""
        def unread():
            return struct.unpack("i", fcntl.ioctl(self.sock, termios.TIOCOUTQ, bytes(4)))[0]
        wait_for(lambda: unread() == 0)

    def line(self):
        while b"\r\n" not in self.buffer:
            got = self.sock.recv(65536)
            if not got:
                assert self.buffer == b""
                return None
            self.buffer += got
        line, self.buffer = self.buffer.split(b"\r\n", 1)
        return line.decode()

    def answer(self):
        """The last line of one answer; its first ones must have the same code. None: the connection was closed."""
        first = line = self.line()
        while line is not None and line[3:4] == "-":
            line = self.line()
            assert line[:3] == first[:3]
        # RFC 2034: every code but 354, the greeting and the answer to LHLO has an enhanced one of the same class.
        assert line is None or re.fullmatch(r"220 .*|250 SIZE .*|354 .*|([245])[0-9]{2} \1\.[0-9]\.[0-9]+ .*", line), line
        return line

    def say(self, text):
        self.send(text + "\r\n")
        return self.answer()

    def codes(self, count):
        return [(self.answer() or "")[:3] for _ in range(count)]

    def hello(self):
        assert self.answer().startswith("220 ")
        assert self.say("LHLO mx.example.org").startswith("250 ")
        return self

    def envelope(self, *recipients, sender="ann@example.org"):
        assert self.say("MAIL FROM:<%s>" % sender).startswith("250 2.1.0")
        for r in recipients:
            assert self.say("RCPT TO:<%s>" % r).startswith("250 2.1.5"), r
        assert self.say("DATA").startswith("354 ")
        return self


@pytest.fixture
def raw(server):
    return Raw(server).hello()


def stored(server, who=DORA):
    """All messages of an account's INBOX, as bytes."""
    client = server.session(who)
    open_folder(client)
    found = [source(client, row.get("UID")) for row in browse(client)]
    client.close()
    return found


# --- the dialogue


def test_greeting_and_extensions(server):
    lmtp = server.lmtp()
    assert set(lmtp.esmtp_features) == {"pipelining", "enhancedstatuscodes", "8bitmime", "smtputf8", "size"}
    assert lmtp.esmtp_features["size"] == str(64 << 20)
    assert lmtp.ehlo_resp.splitlines()[0] == b"harbor.example"
    assert lmtp.noop()[0] == 250
    assert lmtp.vrfy("dora")[0] == 252
    assert lmtp.quit() == (221, b"2.0.0 bye")
    greeting = Raw(server).line()
    assert greeting.startswith("220 harbor.example ")


SEQUENCES = [
    # before LHLO
    (["MAIL FROM:<a@b.example>"], ["503"]),
    (["RCPT TO:<%s>" % DORA], ["503"]),
    (["DATA"], ["503"]),
    (["RSET", "NOOP", "QUIT"], ["250", "250", "221"]),
    (["LHLO"], ["501"]),
    (["EHLO x", "HELO x"], ["500", "500"]),
    # after it
    (["LHLO x", "RCPT TO:<%s>" % DORA, "DATA"], ["250", "503", "503"]),
    (["LHLO x", "MAIL FROM:<a@b.example>", "DATA"], ["250", "250", "503"]),
    (["LHLO x", "MAIL FROM:<a@b.example>", "MAIL FROM:<a@b.example>"], ["250", "250", "503"]),
    (["LHLO x", "MAIL FROM:<a@b.example>", "RSET", "RCPT TO:<%s>" % DORA], ["250", "250", "250", "503"]),
    (["LHLO x", "MAIL FROM:<a@b.example>", "RCPT TO:<%s>" % DORA, "RSET", "MAIL FROM:<a@b.example>", "DATA"],
     ["250", "250", "250", "250", "250", "503"]),
    (["LHLO x", "MAIL FROM:<a@b.example>", "LHLO y", "RCPT TO:<%s>" % DORA], ["250", "250", "250", "503"]),
    (["LHLO x", "MAIL FROM:<a@b.example>", "RCPT TO:<%s>" % NOBODY, "DATA", "RCPT TO:<%s>" % DORA, "DATA"],
     ["250", "250", "550", "503", "250", "354"]),
    (["LHLO x", "WHAT", "", "STARTTLS", "AUTH PLAIN", "BDAT 3 LAST", "HELP", "EXPN a"], ["250"] + ["500"] * 7),
    (["LHLO x", "MAIL TO:<a@b>", "MAIL FROM:a@b", "MAIL FROM:<a@b", "MAIL"], ["250", "501", "501", "501", "501"]),
    (["LHLO x", "MAIL FROM:<a@b> RET=FULL", "MAIL FROM:<a@b> BODY=BINARYMIME"], ["250", "555", "555"]),
    (["LHLO x", "MAIL FROM:<a@b>", "RCPT TO:<>", "RCPT TO:<%s> NOTIFY=NEVER" % DORA, "RCPT TO:<%s@x>" % ("a" * 400)],
     ["250", "250", "501", "555", "501"]),
    (["lhlo x", "mail from:<a@b> size=5 body=8bitmime smtputf8", "rcpt to:<DORA@Harbor.Example>", "rset", "quit"],
     ["250", "250", "250", "250", "221"]),
]


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    with Server(tmp_path_factory.mktemp("lmtp"), accounts=BOTH) as s:
        yield s


@pytest.mark.parametrize("said,codes", SEQUENCES, ids=[s[0][-1][:20].strip() or "empty" for s in SEQUENCES])
@pytest.mark.parametrize("pipelined", [False, True], ids=["one by one", "pipelined"])
def test_sequences(shared, said, codes, pipelined):
    c = Raw(shared)
    assert c.answer().startswith("220 ")
    if pipelined:
        c.send("".join(line + "\r\n" for line in said))
    got = [((c.answer() if pipelined else c.say(line)) or "")[:3] for line in said]
    assert got == codes


def test_unknown_recipient(raw):
    assert raw.say("MAIL FROM:<ann@example.org>").startswith("250 2.1.0")
    for name in (NOBODY, "dora@elsewhere.example", "r\u00e9sum\u00e9@harbor.example", "a b@harbor.example", "x" * 60 + "@harbor.example"):
        assert raw.say("RCPT TO:<%s>" % name).startswith("550 5.1.1 "), name


def test_line_cap(shared):
    for n, code in ((2047, "250"), (2048, "250"), (2049, "500")):
        c = Raw(shared).hello()
        assert c.say("NOOP " + "x" * (n - 7))[:3] == code
        assert (c.say("NOOP") or "")[:3] == ("250" if code == "250" else "")
    c = Raw(shared).hello()
    c.send("x" * 100000)
    assert c.codes(2) == ["500", ""]


def test_bare_line_ends_in_commands(shared):
    c = Raw(shared).hello()
    c.send("NOOP\nRSET\r\nNOOP\rRSET\r\nNO\0OP\r\nNOOP\r\n")
    assert c.codes(4) == ["500", "500", "500", "250"]


DIALOGUE = ("LHLO mx.example.org\r\nMAIL FROM:<ann@example.org> SIZE=40\r\nRCPT TO:<%s>\r\nRCPT TO:<%s>\r\nRCPT TO:<%s>\r\n"
            "DATA\r\nSubject: one write\r\n\r\n..dot\r\n.\r\nMAIL FROM:<>\r\nRCPT TO:<%s>\r\nDATA\r\nSubject: second\r\n"
            "\r\n.\r\nQUIT\r\n") % (DORA, NOBODY, OTTO, OTTO)
CODES = ["220", "250", "250", "250", "550", "250", "354", "250", "250", "250", "250", "354", "250", "221", ""]


@pytest.mark.parametrize("half_close", [False, True])
def test_whole_dialogue_in_one_write(server, half_close):
    c = Raw(server)
    c.send(DIALOGUE)
    if half_close:
        c.sock.shutdown(socket.SHUT_WR)
    assert c.codes(len(CODES)) == CODES
    first = b"Return-Path: <ann@example.org>\r\nSubject: one write\r\n\r\n.dot\r\n"
    assert stored(server) == [first]
    assert stored(server, OTTO) == [first, b"Return-Path: <>\r\nSubject: second\r\n\r\n"]


def test_every_byte_alone(server):
    c = Raw(server)
    for byte in DIALOGUE.encode():
        c.send(bytes([byte]))
    assert c.codes(len(CODES)) == CODES


def test_many_commands_and_half_close(shared):
    """More commands than one round takes, and no more input to wake the server."""
    c = Raw(shared)
    c.send("LHLO x\r\n" + "NOOP\r\n" * 1000 + "QUIT\r\n")
    c.sock.shutdown(socket.SHUT_WR)
    assert c.codes(1004) == ["220", "250"] + ["250"] * 1000 + ["221", ""]


def test_answers_come_in_rcpt_order(server):
    """Accepted and refused recipients mixed, two banks: one answer per accepted one, behind the dot."""
    lmtp = server.lmtp()
    lmtp.mail("ann@example.org")
    wanted = [OTTO, NOBODY, DORA, OTTO, DORA]
    assert [lmtp.rcpt(r)[0] for r in wanted] == [250, 550, 250, 250, 250]
    assert lmtp.docmd("DATA")[0] == 354
    lmtp.send(b"Subject: many\r\n\r\n.\r\n")
    assert [lmtp.getreply()[0] for _ in range(4)] == [250] * 4
    assert lmtp.noop()[0] == 250
    assert len(stored(server)) == 2 and len(stored(server, OTTO)) == 2


# --- what is stored

BODIES = {
    "plain": b"Subject: plain\r\n\r\nhello\r\n",
    "dots": b"Subject: dots\r\n\r\n.\r\n..\r\n...x\r\n.y\r\n\r\n.\r\n",
    "nothing": b"",
    "no header": b"\r\nbody\r\n",
    "header only": b"Subject: header only\r\n",
    "8-bit": b"Subject: 8-bit\r\n\r\n" + bytes(range(0x80, 0x100)) + b"\r\n",
    "UTF-8": "Subject: d\u00e9j\u00e0 vu\r\n\r\n\u0416\U0001f600\r\n".encode(),
    "long line": b"Subject: long\r\n\r\n" + b"x" * 100000 + b"\r\n",
    "bare ends": b"Subject: bare\r\n\r\na\nb\rc\n.\nd\r.\re\n.\r\nf\r\n",
    "tabs": b"Subject: tabs\r\n\t folded\r\n\r\n\ttab \r\n \r\n",
    "larger than a packet": b"Subject: big\r\n\r\n" + b"0123456789abcdef\r\n" * 20000,
}


@pytest.mark.parametrize("name", BODIES)
def test_stored_bytes_are_sent_bytes(shared, name):
    client = shared.session()
    before = {r.get("UID") for r in (open_folder(client), browse(client))[1]}
    c = Raw(shared).hello().envelope(DORA)
    stuffed = BODIES[name].replace(b"\r\n.", b"\r\n..")
    c.send((b"." if stuffed.startswith(b".") else b"") + stuffed + b".\r\n")
    assert c.answer().startswith("250 2.0.0 ")
    client.close()
    client = shared.session()
    open_folder(client)
    new = [r for r in browse(client) if r.get("UID") not in before]
    assert len(new) == 1
    whole = b"Return-Path: <ann@example.org>\r\n" + BODIES[name]
    assert source(client, new[0].get("UID")) == whole
    assert new[0].findtext("SIZE") == str(len(whole))
    assert new[0].findtext("FLAGS") == "Recent"


def test_null_sender(server):
    server.deliver("Subject: bounce\r\n\r\n", sender="")
    client = server.session()
    open_folder(client)
    mail = read(client, 1).find("EMail")
    assert [e.text for e in mail.findall("Return-Path")] == [None]


def test_smtputf8(server):
    c = Raw(server).hello()
    assert c.say("MAIL FROM:<j\u00fcrgen@b\u00fccher.example> SMTPUTF8 BODY=8BITMIME").startswith("250")
    assert c.say("RCPT TO:<%s>" % DORA).startswith("250")
    assert c.say("DATA").startswith("354")
    c.send("From: J\u00fcrgen M\u00fcller <j\u00fcrgen@b\u00fccher.example>\r\nSubject: Gr\u00fc\u00dfe \u65e5\u672c\r\n\r\n.\r\n")
    assert c.answer().startswith("250")
    client = server.session()
    open_folder(client)
    (row,) = browse(client)
    sender = row.find("E-From")
    assert (sender.get("realName"), sender.text) == ("J\u00fcrgen M\u00fcller", "j\u00fcrgen@b\u00fccher.example")
    assert row.findtext("Subject") == "Gr\u00fc\u00dfe \u65e5\u672c"
    assert read(client, 1).find("EMail").findtext("Return-Path") == "j\u00fcrgen@b\u00fccher.example"


# --- caps


def test_message_cap(tmp_path):
    cap = 64 * 1024
    with Server(tmp_path, conf="[lmtp]\nmax_message = 64k\n", accounts=BOTH) as server:
        for n, code in ((cap - 1, "250"), (cap, "250"), (cap + 1, "552"), (cap * 40, "552")):
            assert Raw(server).hello().say("MAIL FROM:<a@b.example> SIZE=%d" % n)[:3] == code
            c = Raw(server).hello().envelope(DORA, OTTO)
            body = (b"Subject: %d\r\n\r\n." % n).ljust(n - 2, b"x") + b"\r\n"
            assert len(body) == n
            c.send(body.replace(b"\r\n.", b"\r\n..") + b".\r\n")
            answers = [c.answer(), c.answer()]
            assert [a[:9] for a in answers] == [code + (" 2.0.0" if code == "250" else " 5.3.4")[:6]] * 2 or \
                all(a.startswith(code) for a in answers)
            # the connection is as good as before
            c.envelope(DORA).send(b"Subject: after\r\n\r\n.\r\n")
            assert c.answer().startswith("250")
        assert Raw(server).hello().say("MAIL FROM:<a@b.example> SIZE=99999999999999999999999")[:3] == "552"
        sizes = sorted(len(m) for m in stored(server))
        first = len(b"Return-Path: <ann@example.org>\r\n")
        assert sizes[-2:] == [cap - 1 + first, cap + first] and len(sizes) == 6


def test_recipients_cap(tmp_path):
    with Server(tmp_path, conf="[lmtp]\nrecipients = 3\n", accounts=BOTH) as server:
        for n in (2, 3, 4):
            c = Raw(server).hello()
            c.say("MAIL FROM:<ann@example.org>")
            got = [c.say("RCPT TO:<%s>" % (DORA, OTTO)[i % 2])[:9] for i in range(n)]
            assert got == ["250 2.1.5"] * min(n, 3) + ["452 4.5.3"] * (n - min(n, 3))
            c.say("DATA")
            c.send(b"Subject: x\r\n\r\n.\r\n")
            assert c.codes(min(n, 3)) == ["250"] * min(n, 3)
            assert c.say("NOOP")[:3] == "250"
        assert len(stored(server)) == 1 + 2 + 2


def test_more_recipients_than_one_packet_holds(tmp_path):
    with Server(tmp_path, conf="[lmtp]\nrecipients = 5000\n", accounts={"dora": "correct-horse"}) as server:
        total = 0
        for n in (999, 1000, 1001, 2001):
            c = Raw(server).hello()
            c.send("MAIL FROM:<ann@example.org>\r\n" + "RCPT TO:<%s>\r\n" % DORA * n + "DATA\r\n")
            assert c.codes(n + 2) == ["250"] * (n + 1) + ["354"]
            c.send(b"Subject: x\r\n\r\n.\r\n")
            assert c.codes(n) == ["250"] * n
            total += n
        client = server.session()
        assert open_folder(client).get("messages") == str(total)


def test_connections_cap(tmp_path):
    with Server(tmp_path, conf="[lmtp]\nconnections = 3\n", server="workers = 1\n") as server:
        held = [Raw(server).hello() for _ in range(3)]
        assert Raw(server).answer() is None
        held.pop().say("QUIT")

        def again():
            c = Raw(server)
            return c if (c.answer() or "").startswith("220") else None
        held.append(wait_for(again))
        assert Raw(server).answer() is None
        assert all(c.say("NOOP")[:3] == "250" for c in held)


def test_memory_cap(tmp_path):
    """Who comes when the memory is used up is asked to come again, at once; nobody else loses anything."""
    conf = "[lmtp]\nmemory = 1M\nmax_message = 1M\n"
    with Server(tmp_path, conf=conf, server="workers = 1\n") as server:
        body = b"Subject: large\r\n\r\n" + b"x" * 600000 + b"\r\n"
        first = Raw(server).hello().envelope(DORA)
        first.send(body)
        first.is_read()
        second = Raw(server).hello().envelope(DORA)
        second.send(body)
        second.send(b".\r\n")
        assert second.answer().startswith("452 4.3.1")
        first.send(b".\r\n")
        assert first.answer().startswith("250")
        second.envelope(DORA).send(body + b".\r\n")
        assert second.answer().startswith("250")
        # Messages that are thrown away take nobody's room.
        first.envelope(DORA).send(b"x" * 3000000 + b"\r\n")
        for _ in range(2):
            second.envelope(DORA).send(b"x" * ((1 << 20) - 2) + b"\r\n.\r\n")
            assert second.answer().startswith("250")
        first.send(b".\r\n")
        assert first.answer().startswith("552")
        # A connection that goes away in the middle gives its memory back.
        second.envelope(DORA).send(body)
        second.is_read()
        second.sock.close()

        def fits():
            c = Raw(server).hello().envelope(DORA)
            c.send(body + b".\r\n")
            return c.answer().startswith("250")
        wait_for(fits)
        client = server.session()
        assert open_folder(client).get("messages") == "5"


def test_idle(tmp_path):
    with Server(tmp_path, clock=True, conf="[lmtp]\nidle = 60s\n") as server:
        c, data = Raw(server).hello(), Raw(server).hello().envelope(DORA)
        server.advance(35)
        time.sleep(0.3)
        assert c.say("NOOP").startswith("250")
        data.send(b"Subject: slow\r\n")
        data.is_read()
        server.advance(35)
        time.sleep(0.3)
        assert c.say("NOOP").startswith("250")
        server.advance(61)
        for conn in (c, data):
            assert conn.answer().startswith("421 4.4.2 ")
            assert conn.answer() is None


def test_idle_in_real_time(tmp_path):
    """Its twin without a moved clock."""
    with Server(tmp_path, conf="[lmtp]\nidle = 1s\n") as server:
        begin = time.monotonic()
        c = Raw(server)
        assert c.answer().startswith("220 ")
        assert c.answer().startswith("421 4.4.2 ")
        assert c.answer() is None
        assert 0.5 < time.monotonic() - begin


# --- others die


def test_auth_killed_while_it_is_asked(server):
    c = Raw(server).hello()
    c.say("MAIL FROM:<ann@example.org>")
    old = server.kill("auth", signal.SIGSTOP)
    c.send("RCPT TO:<%s>\r\nRCPT TO:<%s>\r\n" % (DORA, DORA))
    c.sock.settimeout(0.5)
    with pytest.raises(TimeoutError):
        c.answer()
    c.sock.settimeout(PATIENCE)
    os.kill(old, signal.SIGKILL)
    assert c.answer().startswith("250 2.1.5") and c.answer().startswith("250 2.1.5")  # by the one that comes
    c.say("DATA")
    c.send(b"Subject: x\r\n\r\n.\r\n")
    assert c.answer().startswith("250") and c.answer().startswith("250")


def test_no_auth_for_long(tmp_path):
    """It is not waited for without end, and the next question is put to the one that comes."""
    with Server(tmp_path, clock=True) as server:
        c = Raw(server).hello()
        c.say("MAIL FROM:<ann@example.org>")
        accounts = os.path.join(server.state_dir, "accounts.db")
        os.rename(accounts, accounts + ".away")
        os.mkdir(accounts)  # no auth can start
        server.kill("auth")
        c.send("RCPT TO:<%s>\r\n" % DORA)
        c.sock.settimeout(0.5)
        with pytest.raises(TimeoutError):
            c.answer()
        c.sock.settimeout(PATIENCE)
        server.advance(11)
        assert c.answer().startswith("451 4.3.0")
        os.rmdir(accounts)
        os.rename(accounts + ".away", accounts)

        def again():
            server.advance(1)  # the next try to start one may be far away; in one leap a worker may miss its end by too long, and go
            return c.say("RCPT TO:<%s>" % DORA).startswith("250")
        wait_for(again)


def test_keeper_killed_while_a_delivery_waits(server):
    """451 for those whose bank it had, 250 for the others; the same message is taken later."""
    lmtp = Raw(server).hello()
    banks = {a["account"]: a["bank"] for a in json.loads(server.ctl("--json", "account", "list").stdout)["accounts"]}
    lost, kept = (DORA, OTTO) if banks[DORA] == 0 else (OTTO, DORA)  # keeper 1 has bank 0
    assert sorted((banks[lost], banks[kept])) == [0, 1]
    stopped = server.kill("keeper 1", signal.SIGSTOP)
    lmtp.envelope(DORA, OTTO, DORA)
    lmtp.send(b"Subject: x\r\n\r\n.\r\n")
    wait_for(lambda: stored(server, kept))  # so both have got it
    os.kill(stopped, signal.SIGKILL)
    assert lmtp.codes(3) == ["451" if who == lost else "250" for who in (DORA, OTTO, DORA)]

    def again():
        lmtp.envelope(lost).send(b"Subject: again\r\n\r\n.\r\n")
        return lmtp.answer().startswith("250")
    wait_for(again)
    kept = [m for m in stored(server, lost) if b"again" in m]
    assert len(kept) == 1


def restart(server):
    os.rename(server.log_path, server.log_path + ".old")
    server.start()


def test_stop_in_the_middle(server):
    """SIGTERM: 421 to those who wait for nothing; a delivery under way is finished, or not acknowledged."""
    idle, data = Raw(server).hello(), Raw(server).hello().envelope(DORA)
    data.send(b"Subject: half a message\r\n")
    pending = {}
    helpers = [pid for name, pid in server.children().items() if name.startswith("helper")]
    for pid in helpers:
        os.kill(pid, signal.SIGSTOP)  # makes the delivery take its two seconds
    for i, who in enumerate((DORA, OTTO)):
        pending[who] = Raw(server).hello().envelope(who)
        pending[who].send(b"Subject: %d\r\n\r\n.\r\n" % i)
    time.sleep(0.3)
    server.process.terminate()
    for c in (idle, data):
        assert c.answer().startswith("421 4.3.2")
        assert c.answer() is None
    codes = {}
    for who, c in pending.items():
        try:
            codes[who] = c.codes(1)[0]
        except ConnectionResetError:
            codes[who] = ""
    assert set(codes.values()) <= {"250", "451", "421", ""}
    for pid in helpers:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)
    assert server.stop() == 0
    assert not re.search(r"MASTER worker \d+ \(pid \d+\) ended by signal", server.log())  # none waited for who has his answers
    restart(server)
    for who, code in codes.items():
        count = len(stored(server, who))
        assert count == 1 if code == "250" else count <= 1


def test_client_gone_in_the_middle(server):
    for said in ("", "LHLO x\r\nMA", "LHLO x\r\nMAIL FROM:<a@b>\r\nRCPT TO:<%s>\r\n" % DORA,
                 "LHLO x\r\nMAIL FROM:<a@b>\r\nRCPT TO:<%s>\r\nDATA\r\nSubject: cut\r\n\r\nbody\r\n" % DORA,
                 "LHLO x\r\nMAIL FROM:<a@b>\r\nRCPT TO:<%s>\r\nDATA\r\nSubject: cut\r\n\r\nbody\r\n.\r" % DORA):
        for half in (False, True):
            c = Raw(server)
            c.send(said)
            if half:
                c.sock.shutdown(socket.SHUT_WR)
                while c.answer() is not None:
                    pass
            c.sock.close()
    assert stored(server) == []


# --- other clients


def test_over_tcp(tmp_path):
    port = free_port()
    conf = "[listener mail]\nprotocol = lmtp\naddress = 127.0.0.1:%d\n" % port
    with Server(tmp_path, conf=conf) as server:
        import smtplib
        lmtp = smtplib.LMTP("127.0.0.1", port, "client.example")
        assert lmtp.sendmail("ann@example.org", [DORA, NOBODY], b"Subject: tcp\r\n\r\n.hello\r\n") == \
            {NOBODY: (550, b"5.1.1 unknown user account")}
        lmtp.quit()
        assert stored(server) == [b"Return-Path: <ann@example.org>\r\nSubject: tcp\r\n\r\n.hello\r\n"]


@pytest.mark.parametrize("common,own,welcome", [
    ("", "", True),                                          # this host, unless told otherwise
    ("allow = 10.0.0.0/8\n", "", False),
    ("allow = 10.0.0.0/8, 127.0.0.1\n", "", True),
    ("allow = 127.0.0.0/8, !127.0.0.1\n", "", False),
    ("allow = 10.0.0.0/8\n", "allow = 127.0.0.1\n", True),   # a listener's own list goes first
    ("", "deny = 127.0.0.1\n", False),
])
def test_who_may_deliver_over_tcp(tmp_path, common, own, welcome):
    port = free_port()
    conf = "[lmtp]\n%s[listener unix]\nprotocol = lmtp\naddress = unix:{run_dir}/lmtp\n[listener mail]\nprotocol = lmtp\n" \
        "address = 127.0.0.1:%d\n%s" % (common, port, own)
    with Server(tmp_path, conf=conf) as server:
        with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as s:
            try:
                got = s.recv(100)
            except ConnectionResetError:
                got = b""
            assert got.startswith(b"220 harbor.example ") if welcome else got == b""
        server.deliver("Subject: x\r\n\r\n")  # the Unix socket is guarded by the rights of its file


def test_over_tls(tmp_path):
    """A listener with tls = yes: the same dialogue, and nothing in clear."""
    port = free_port()
    conf = "[listener mail]\nprotocol = lmtp\naddress = 127.0.0.1:%d\ntls = yes\n" % port
    with Server(tmp_path, conf=conf, accounts=BOTH) as server:
        with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as clear:
            clear.sendall(b"LHLO x\r\n")
            assert not clear.recv(100).startswith(b"2")
        with server.tls_context().wrap_socket(socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)) as s:
            s.sendall(DIALOGUE.encode())
            heard = b""
            while True:
                got = s.recv(65536)
                if not got:
                    break
                heard += got
        codes = [line[:3].decode() for line in heard.split(b"\r\n") if line[3:4] == b" "]
        assert codes == CODES[:-1]
        assert [len(stored(server)), len(stored(server, OTTO))] == [1, 2]


@pytest.mark.skipif(not shutil.which("swaks"), reason="swaks is not installed")
@pytest.mark.parametrize("pipeline", [False, True])
def test_swaks(server, pipeline):
    more = ["--pipeline"] if pipeline else []
    done = subprocess.run(["swaks", "--protocol", "LMTP", "--socket", os.path.join(server.run_dir, "lmtp"), "--from",
                           "ann@example.org", "--to", "%s,%s,%s" % (DORA, NOBODY, OTTO), "--header",
                           "Subject: from swaks", "--body", "one\n.\n..two", *more],
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=PATIENCE, check=False)
    answers = [line[4:] for line in done.stdout.splitlines() if line.startswith(("<-  ", "<** "))]
    assert sum(a.startswith("550 5.1.1") for a in answers) == 1, done.stdout
    assert sum(a.startswith("250 2.0.0 delivered") for a in answers) == 2, done.stdout
    for who in (DORA, OTTO):
        (message,) = stored(server, who)
        assert b"\r\nSubject: from swaks\r\n" in message
        assert message.rstrip(b"\r\n").endswith(b"\r\n\r\none\r\n.\r\n..two")
