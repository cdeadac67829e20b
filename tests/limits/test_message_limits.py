# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The ximssd authors
"""How long a message may be and how much may wait (protocol 1, 1.2, 1.5; design 2.2, 9.2), at n-1, n, n+1."""
import select
import socket
import time

import pytest
from ximss import PATIENCE, Client, Server, wait_for

TEXT = '<noop id="1"><a>%s</a></noop>'


def noop(size):
    """A request of so many bytes."""
    return TEXT % ("x" * (size - len(TEXT) + 2))


def check_cap(server, client, most):
    for size in (most - 1, most):
        client.send(noop(size))
        assert client.raw() == b'<response id="1"/>'
    try:
        client.send(noop(most + 1))
    except ConnectionError:
        pass  # the end has come before the last byte was out
    assert client.rest() == b"<bye/>\0"
    client.close()
    server.session().close()


@pytest.mark.parametrize("conf, before, after", [("", 65536, 16 << 20), ("[limits]\nmessage_before_login = 2k\nmessage = 100k\n",
                                                                         2048, 102400)], ids=["defaults", "others"])
def test_message(tmp_path, conf, before, after):
    """Over the limit: <bye/>, a line in the log, the end."""
    with Server(tmp_path, conf=conf, server="log_level = problems\n") as server:
        check_cap(server, server.client(), before)
        assert wait_for(lambda: server.log().count(" ends: message is too long") == 1)
        check_cap(server, server.session(), after)
        assert wait_for(lambda: server.log().count(" ends: message is too long") == 2)


def test_the_cap_after_login_holds_from_the_login_on(tmp_path):
    """What is pipelined behind a login waits within the cap before login, then the other one holds."""
    with Server(tmp_path) as server:
        client = server.client()
        client.send_bytes(b'<login id="L" authData="dora" password="correct-horse"/>\0'
                          + b"".join(b'<readTime id="%d"/>\0' % i for i in range(20000)) + noop(300000).encode() + b"\0")
        client.until_response("L")
        for i in range(20000):
            assert client.recv().tag == "currentTime"
            assert client.raw() == b'<response id="%d"/>' % i
        assert client.raw() == b'<response id="1"/>'


def test_input_memory(tmp_path):
    """All incomplete messages of a worker together: who asks for more than there is has to go, nobody else."""
    most = 1 << 20
    with Server(tmp_path, conf="[limits]\ninput_memory = 1M\nmessage = 1M\n", server="workers = 1\nlog_level = problems\n") as server:
        half, other = server.session(), server.session()
        for size, fits in ((most - 1, True), (most, True), (most + 1, False)):
            first, second = noop(most // 2 + 40).encode(), noop(size - most // 2 + 40).encode()
            send_piece(server, half, first[:most // 2])
            if fits:
                send_piece(server, other, second[:-40])
                other.send_bytes(second[-40:] + b"\0")
                assert other.raw() == b'<response id="1"/>'
            else:
                other.send_bytes(second[:-40])
                assert other.rest() == b"<bye/>\0"
                assert wait_for(lambda: " ends: no memory" in server.log())
            half.send_bytes(first[most // 2:] + b"\0")
            assert half.raw() == b'<response id="1"/>'
        # and all of it has been given back
        send_piece(server, half, noop(most).encode())
        half.send_bytes(b"\0")
        assert half.raw() == b'<response id="1"/>'


def received(server, client):
    """Bytes that the server has of this connection."""
    row = server.row(port=client.sock.getsockname()[1])
    return row["bytesIn"] if row else 0


def send_piece(server, client, piece):
    """Sends it and waits until the server has all of it."""
    before = received(server, client)
    client.send_bytes(piece)
    wait_for(lambda: received(server, client) == before + len(piece))


@pytest.mark.parametrize("conf", ["requests = 1", "requests = 2", "request_bytes = 64k", "credit = 64k"])
def test_small_windows_change_nothing(tmp_path, conf):
    """However few requests may be unanswered: all are answered, in their order."""
    with Server(tmp_path, conf="[limits]\n%s\n" % conf) as server:
        session = server.session()
        session.send_bytes(b"".join(b'<listKnownValues id="%d"/>\0' % i + b'<noop id="n%d"/>\0' % i for i in range(300)))
        for i in range(300):
            assert session.recv().tag == "knownValues"
            assert session.raw() == b'<response id="%d"/>' % i
            assert session.raw() == b'<response id="n%d"/>' % i


@pytest.mark.parametrize("logged_in", [False, True], ids=["before", "after"])
def test_a_client_that_does_not_read(tmp_path, logged_in):
    """He is read no more; after `out_stall` without progress he is closed. Nobody else notices (1.5)."""
    with Server(tmp_path, conf="[limits]\nout_stall = 1s\n", server="workers = 1\nkeepers = 1\nlog_level = problems\n") as server:
        deaf, other = raw(server), server.session("dora@harbor.example")
        request = b'<readStrings id="%s"/>\0' % (b"x" * 200)
        if logged_in:
            deaf.sendall(b'<login id="L" authData="dora" password="correct-horse"/>\0')
        deaf.setblocking(False)
        sent = 0

        def is_cut_off():
            nonlocal sent
            try:
                while sent < 64 << 20:
                    sent += deaf.send(request * 100)
            except (BlockingIOError, ConnectionError):
                other.call('<readTime id="t"/>')
            assert sent < 64 << 20  # the server stops reading him
            return " ends: the client does not read" in server.log()
        wait_for(is_cut_off)
        wait_for(lambda: server.top()["total"] == 1)
        other.call('<readTime id="t"/>')
        deaf.close()


def raw(server):
    """A connection with as little room for answers as the kernel gives."""
    s = socket.socket()
    s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    s.connect(("127.0.0.1", server.port))
    return s


def test_idle_in_real_time(tmp_path):
    """The twin of scenario b042 without a moved clock."""
    (tmp_path / "longer").mkdir()
    with Server(tmp_path, conf="[limits]\nidle = 1s\n") as server:
        begin = time.monotonic()
        assert server.client().rest() == b"<bye/>\0"
        assert 0.5 < time.monotonic() - begin
    with Server(tmp_path / "longer", conf="[limits]\nidle = 4s\n", tls=True) as server:
        clients, session, begin = [server.session(), server.session(tls=True)], server.session(), time.monotonic()
        while time.monotonic() - begin < 5:  # a message in time keeps it
            session.call('<noop id="1"/>')
            time.sleep(0.05)
        wait_for(lambda: ended_by_nothing(session), pause=0.2)  # an empty one does not
        assert [client.rest() for client in clients] == [b"<bye/>\0"] * 2


def ended_by_nothing(session):
    """Sends an empty message; has the end come?"""
    try:
        session.send("")
    except ConnectionError:
        return True  # our bytes met its end
    if not select.select([session.sock], [], [], 0)[0]:
        return False
    assert session.rest() in (b"<bye/>\0", b"")
    return True


def test_nothing_is_said_first(tmp_path):
    """No greeting (1.1): a client that says nothing hears nothing, clear or TLS."""
    with Server(tmp_path, tls=True) as server:
        for client in (server.client(), Client(("127.0.0.1", server.tls_port), tls=server.tls_context())):
            client.sock.settimeout(0.5)
            with pytest.raises(TimeoutError):
                client.sock.recv(1)
            client.sock.settimeout(PATIENCE)
            client.call('<noop id="1"/>')
