# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The ximssd authors
"""The end of a server that users are on: a warning, some time, <bye/>; and draining (protocol 1, 1.6; design 2.5)."""
import signal
import time

from settled import settle
from ximss import PATIENCE, Server, refused, wait_for


def is_alert(message, text):
    return message.tag == "alert" and message.text == text and message.get("gmtTime") and \
        message.get("localTime") and message.get("id") is None


WARNING = "The server is shutting down."


def test_warning_grace_bye(tmp_path):
    """SIGTERM: every session is told, can still work for shutdown_grace, and then gets <bye/>."""
    with Server(tmp_path, server="shutdown_grace = 1m\nworkers = 2\n", tls=True, clock=True) as server:
        users = [server.session(), server.session(tls=True), server.session()]
        before = server.client()
        server.process.send_signal(signal.SIGTERM)
        for user in users:
            assert is_alert(user.recv(), WARNING)
        begin = time.monotonic()
        users[0].call('<readTime id="t"/>')
        # nobody new: not on the socket, and not by a login on a connection that was there
        wait_for(lambda: refused(server.port))
        assert before.fail('<login id="L" authData="dora" password="correct-horse"/>') == (530, "server is shutting down")
        if (left := 55 - (time.monotonic() - begin)) > 0:
            server.advance(left)
            settle(server)
            for user in users:
                user.call('<readTime id="u"/>')
        server.advance(10)
        for user in users:
            assert user.raw() == b"<bye/>" and user.rest() == b""
        assert server.process.wait(PATIENCE) == 0
        server.process = None


def test_no_longer_than_needed(tmp_path):
    """When the last one has gone, the rest of the time is not waited for."""
    with Server(tmp_path, server="shutdown_grace = 5m\n") as server:
        user = server.session()
        server.process.send_signal(signal.SIGTERM)
        assert is_alert(user.recv(), WARNING)
        user.call('<bye id="b"/>')
        assert user.rest() == b""
        assert server.process.wait(PATIENCE) == 0
        server.process = None


def test_drain(tmp_path):
    """No new connections; who is there goes on, mail of theirs too; the end comes with the last one."""
    with Server(tmp_path, server="workers = 2\n") as server:
        users = [server.session() for _ in range(4)]
        late = server.client()
        assert "draining" in server.ctl("drain").stdout
        wait_for(lambda: refused(server.port))
        for user in users:
            user.call('<readTime id="t"/>')
        assert late.fail('<login id="L" authData="dora" password="correct-horse"/>')[0] == 530
        late.close()
        # a keeper that dies meanwhile is replaced: those of the other one go on
        before = server.children()
        server.kill("keeper 1")
        wait_for(lambda: server.children().get("keeper 1") not in (None, before["keeper 1"]))
        users.append(users.pop(0))
        for user in users:
            user.close()
        assert server.process.wait(PATIENCE) == 0
        server.process = None


def test_drain_ends(tmp_path):
    """By the real clock; the warning has a moment of its own, which a master that is late must not miss."""
    with Server(tmp_path, server="shutdown_grace = 3s\n") as server:
        user = server.session()
        assert server.ctl("drain", "--within", "soon", check=False).returncode != 0
        user.call('<noop id="n"/>')
        begin = time.monotonic()
        server.ctl("drain", "--within", "4s")
        assert is_alert(user.recv(), WARNING)
        assert time.monotonic() - begin > 0.9
        assert user.raw() == b"<bye/>" and user.rest() == b""
        assert time.monotonic() - begin > 3.9
        assert server.process.wait(PATIENCE) == 0
        server.process = None


def test_sigterm_ends_a_drain(tmp_path):
    with Server(tmp_path) as server:
        user = server.session()
        server.ctl("drain")
        wait_for(lambda: refused(server.port))
        server.process.send_signal(signal.SIGTERM)
        assert user.rest() == b"<bye/>\0"
        assert server.process.wait(PATIENCE) == 0
        server.process = None
