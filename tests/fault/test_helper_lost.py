# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The ximssd authors
"""
Helpers that are lost over a message for no fault of its own: it is parsed by the next one, later; the third that is lost is
the last, and the message stays what it is, one opaque text (design 4).
"""
import email
import re
import threading
import time

import pytest
from faults import LONG, SANITIZED, FaultServer, Post, note
from mailview import browse, open_folder, read
from ximss import wait_for

# Over 32 KiB it comes as a memfd, whose seals and size nobody but its reader asks for.
LARGE = ('From: ann@example.org\r\nMessage-ID: <%s@example.org>\r\nSubject: =?utf-8?b?w6nDqQ==?=\r\n'
         'Content-Type: multipart/mixed; boundary="b"\r\n\r\n--b\r\n\r\none\r\n--b\r\nContent-Type: text/html\r\n\r\n<p>' +
         'two\r\n' * 10000 + '</p>\r\n--b--\r\n')
SMALL = "Subject: %s\r\n\r\nx\r\n"
TRIES = 3
SPEED = 0.25  # of the server's time while helpers are at work: two seconds are short for one on a busy machine
SERVER = "log_level = problems\nkeepers = 1\nhelpers = 4\n"


def deliver(server, text):
    post = Post(server)
    post.mail("ann@example.org")
    assert post.rcpt("dora@harbor.example")[0] == 250 and post.docmd("DATA")[0] == 354
    post.send(text.encode() + b".\r\n")
    answer = post.getreply()[0]
    post.quit()
    return answer


def parts(server, n):
    """Subject and types of the parts of the nth message, as a client sees them."""
    client = server.login("dora", "correct-horse")
    open_folder(client, more='sortField="UID"')
    row = browse(client)[n]
    found = [(m.get("type"), m.get("subtype")) for m in read(client, row.get("UID")).iter("MIME")]
    client.close()
    return row.findtext("Subject"), found


def as_python_sees(text):
    """The same by Python's parser."""
    m = email.message_from_string(text)
    return str(email.header.make_header(email.header.decode_header(m["Subject"]))), [
        (p.get_content_maintype(), p.get_content_subtype()) for p in m.walk()]


def deaths(server):
    return len(re.findall(r"MASTER helper \d+ \(pid \d+\) ended", server.log()))


@pytest.mark.parametrize("lost", range(TRIES + 1))
def test_lost(tmp_path, lost):
    with FaultServer(tmp_path, {"dora": "correct-horse"}, server=SERVER) as server:
        server.hurry = lambda: None
        server.faults.arm("fork", error="EAGAIN", role="master", times=0, rule=1)  # or who comes meanwhile dies in their place
        if lost:
            server.faults.arm("stat", "KILL", role="helper", times=lost)
        text = LARGE % "whole"
        answers = []
        thread = threading.Thread(target=lambda: answers.append(deliver(server, text)))
        others = 0
        with server.slow_time(SPEED):
            thread.start()
            while thread.is_alive():  # others are served all the time
                assert deliver(server, SMALL % others) == 250
                others += 1
                time.sleep(0.05)
            thread.join()
        assert answers == [250]
        assert server.faults.disarm().fired == lost
        server.faults.disarm(rule=1)
        wait_for(lambda: deaths(server) == lost)
        unparsed = server.log().count("is stored unparsed: its helper died over it")
        assert unparsed == (lost == TRIES)
        assert server.log().count("is parsed once more: its helper died over it") == min(lost, TRIES - 1)
        subjects = [parts(server, n) for n in range(others + 1)]
        assert len([s for s in subjects if s == as_python_sees(SMALL % "0")]) == (others > 0)
        (found,) = [s for s in subjects if not s[0].isdigit()]
        if lost < TRIES:
            assert found == as_python_sees(text)
        else:
            assert found[1] == [("text", "plain")]


@pytest.mark.skipif(SANITIZED, reason="a sanitizer has an allocator of its own, which never fails")
def test_no_memory(tmp_path):
    """Each allocation of the parser's fails in its turn: nothing is stored unparsed for it, and nothing is refused."""
    with FaultServer(tmp_path, {"dora": "correct-horse"}, server=SERVER) as server:
        server.hurry = lambda: None
        text, want, done, lost = LARGE % "m", as_python_sees(LARGE % "m"), 0, 0
        server.faults.arm("malloc", "COUNT", role="helper")
        with server.slow_time(SPEED):
            assert deliver(server, text) == 250
        most = server.faults.disarm().seen
        for nth in range(1, most + 1, 1 if LONG else max(1, most // 6)):
            server.faults.arm("malloc", error="ENOMEM", role="helper", nth=nth)
            with server.slow_time(SPEED):
                assert deliver(server, text) == 250
            lost += server.faults.disarm().fired
            server.age()
            done += 1
            assert parts(server, done) == want, nth
        # a new helper makes some more of them for its first message
        assert lost >= done // 2 > 0 and "is stored unparsed" not in server.log()
        note("a helper without memory", allocations=most, of_them_failed=lost, stored_unparsed=0)
