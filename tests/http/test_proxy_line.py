# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The ximssd authors
"""Listeners whose connections begin with a PROXY line (HAProxy's proxy-protocol.txt, 2.1, 2.2): who the client is, from trusted
networks only; and what a session's address is good for (protocol 1, 4.10)."""
import socket
import struct
import time

import pytest
from xhttp import Conn, WebServer, parameters, request
from ximss import free_port, wait_for

LOGIN = request("GET", "/XIMSSLogin/?" + parameters({"userName": "dora", "password": "correct-horse"}))
V1 = b"PROXY TCP4 192.0.2.7 198.51.100.1 4711 443\r\n"
V2 = b"\r\n\r\n\0\r\nQUIT\n" + struct.pack("!BBH", 0x21, 0x11, 12) + socket.inet_aton("192.0.2.8") + socket.inet_aton("198.51.100.1") \
    + struct.pack("!HH", 4712, 443)
LOCAL = b"\r\n\r\n\0\r\nQUIT\n" + struct.pack("!BBH", 0x20, 0, 0)


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    port = free_port()
    conf = "[listener px]\nprotocol = http\nproxy_protocol = yes\naddress = 127.0.0.1:%d\n" % port
    with WebServer(tmp_path_factory.mktemp("px"), http="trusted_proxies = 127.0.0.1", conf=conf,
                   server="log_level = problems\n") as s:
        s.px_port = port
        yield s


def address_of(server, reply):
    ident = int(reply.xml[0].get("urlID")[:6])
    return wait_for(lambda: server.row(id=ident))["ip"].strip("[]")


@pytest.mark.parametrize("line,address", ((V1, "192.0.2.7"), (V2, "192.0.2.8"), (LOCAL, "127.0.0.1"), (b"PROXY UNKNOWN\r\n", "127.0.0.1"),
                                          (b"PROXY TCP6 2001:db8::9 2001:db8::1 1 2\r\n", "2001:db8::9")),
                         ids=("v1", "v2", "local", "unknown", "v6"))
def test_the_client_behind_it(server, line, address):
    conn = Conn(server.px_port)
    conn.send(line + LOGIN)
    assert address_of(server, conn.reply()) == address


@pytest.mark.parametrize("line", (V1, V2), ids=("v1", "v2"))
def test_in_single_bytes(server, line):
    conn = Conn(server.px_port)
    for i in range(len(line)):
        conn.send(line[i:i + 1])
        time.sleep(0.001)
    conn.send(LOGIN)
    assert address_of(server, conn.reply()).startswith("192.0.2.")


@pytest.mark.parametrize("first", (LOGIN, b"PROXY TCP4 192.0.2.7\r\n" + LOGIN, b"PROXY " + b"x" * 200, b"<noop id='1'/>\0", b"\r\n\r\n\0\r\nQUIT\nx" * 2))
def test_without_one_nobody_is_served(server, first):
    conn = Conn(server.px_port)
    conn.send(first)
    assert conn.closed()


def test_others_are_not_believed(server):
    conn = Conn(server.px_port, source="127.0.0.2")
    try:
        conn.send(V1 + LOGIN)
    except OSError:
        pass
    assert conn.closed()
    wait_for(lambda: "no proxy of trusted_proxies" in server.log())


def test_ximss_behind_it(server):
    with socket.create_connection(("127.0.0.1", server.px_port), timeout=60) as s:
        s.sendall(V1 + b'<noop id="1"/>\0')
        assert s.recv(100) == b'<response id="1"/>\0'
        assert wait_for(lambda: server.row(ip="192.0.2.7", transport="tcp"))


def test_another_address_is_logged(server):
    """4.10: 550, logged, and the session lives."""
    session = server.web_session()
    other = server.web(source="127.0.0.2")
    assert session.sync('<noop id="1"/>', conn=other).status == 550
    wait_for(lambda: "request from another address refused" in server.log())
    assert session.sync('<noop id="1"/>').status == 200
