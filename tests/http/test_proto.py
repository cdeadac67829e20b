# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The ximssd authors
"""A proxy that ends TLS says so with X-Forwarded-Proto, or in the PROXY line (proxy-protocol.txt, 2.2.6); only one that is trusted is
believed. Then passwords are not in clear."""
import socket
import struct

import pytest
from xhttp import Conn, WebServer, errors
from ximss import Client, free_port

SETTINGS = "[domain harbor.example]\nclear_login = no\n"
QUERY = "/XIMSSLogin/?errorAsXML=1&EnableUseCookie=1&userName=dora&password=correct-horse"
HTTPS = {"X-Forwarded-Proto": "https", "X-Forwarded-For": "192.0.2.7"}


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    port = free_port()
    proxied = "[listener px]\nprotocol = http\nproxy_protocol = yes\naddress = 127.0.0.1:%d\n" % port
    with WebServer(tmp_path_factory.mktemp("proto"), http="trusted_proxies = 127.0.0.1", conf=proxied + SETTINGS) as s:
        s.px_port = port
        yield s


def methods(reply):
    return {e.text for e in reply.xml.iter("sasl")}


def test_a_trusted_proxy_is_believed(server):
    reply = server.ask("GET", QUERY, fields=HTTPS)
    session = reply.xml[0]
    assert session.tag == "session"
    first = server.ask("POST", "/Session/%s/sync" % session.get("urlID"), "<XIMSS/>", HTTPS)
    assert "; Secure" in first.field("set-cookie")
    assert "sent in clear" not in server.log()
    # what it says is no TLS of ours
    assert server.row(id=int(session.get("urlID")[:6]))["tls"] == ""
    asked = server.ask("POST", "/XIMSSLogin/", '<XIMSS><listFeatures id="f"/></XIMSS>', HTTPS)
    assert "PLAIN" in methods(asked)


@pytest.mark.parametrize("fields", ({}, {"X-Forwarded-Proto": "http"}, {"X-Forwarded-Proto": "https, http"}))
def test_without_the_word_it_is_clear(server, fields):
    reply = server.ask("GET", QUERY, fields={"X-Forwarded-For": "192.0.2.7", **fields})
    assert errors(reply.xml) == [(None, 504)]
    asked = server.ask("POST", "/XIMSSLogin/", '<XIMSS><listFeatures id="f"/></XIMSS>', fields)
    assert "PLAIN" not in methods(asked)


def test_others_are_not_believed(server):
    conn = server.web(source="127.0.0.2")
    reply = conn.ask("GET", QUERY, fields={"X-Forwarded-Proto": "https"})
    assert errors(reply.xml) == [(None, 504)]


# --- the PROXY line


def tlv(kind, value):
    return struct.pack("!BH", kind, len(value)) + value


def line(tlvs, command=0x21):
    body = socket.inet_aton("192.0.2.8") + socket.inet_aton("198.51.100.1") + struct.pack("!HH", 4712, 443) + tlvs
    return b"\r\n\r\n\0\r\nQUIT\n" + struct.pack("!BBH", command, 0x11, len(body)) + body


def tls(client):
    return tlv(0x20, struct.pack("!BI", client, 0) + tlv(0x21, b"TLSv1.3") + tlv(0x23, b"TLS_AES_256_GCM_SHA384"))


CRC = tlv(3, b"\1\2\3\4")
SAFE = (tls(1), tls(7), CRC + tls(1), tls(1) + tlv(4, bytes(9)))
CLEAR = (b"", CRC, tls(0), tls(6), tlv(0x21, b"TLSv1.3"))
MALFORMED = (b"\x20", b"\x20\0", b"\x20\0\5\1\0\0\0", tlv(0x20, b"\1\0\0\0"), tls(1) + b"\4\0\1", tls(1) + b"\0")


def behind(server, first):
    conn = Conn(server.px_port)
    conn.send(first)
    return conn


@pytest.mark.parametrize("tlvs", SAFE)
def test_what_the_proxy_line_says_is_believed(server, tlvs):
    conn = behind(server, line(tlvs))
    session = conn.ask("GET", QUERY).xml[0]
    assert session.tag == "session"
    assert "; Secure" in conn.ask("POST", "/Session/%s/sync" % session.get("urlID"), "<XIMSS/>").field("set-cookie")
    assert "PLAIN" in methods(conn.ask("POST", "/XIMSSLogin/", '<XIMSS><listFeatures id="f"/></XIMSS>'))
    conn.close()


@pytest.mark.parametrize("first", (*map(line, CLEAR), line(tls(1), command=0x20), b"PROXY TCP4 192.0.2.7 198.51.100.1 4711 443\r\n"))
def test_a_line_without_the_word_is_clear(server, first):
    conn = behind(server, first)
    assert errors(conn.ask("GET", QUERY).xml) == [(None, 504)]
    conn.close()


@pytest.mark.parametrize("tlvs", MALFORMED)
def test_a_malformed_line_is_refused(server, tlvs):
    conn = behind(server, line(tlvs) + b"GET %s HTTP/1.1\r\nHost: x\r\n\r\n" % QUERY.encode())
    assert conn.closed()


@pytest.mark.parametrize("tlvs,safe", [(t, True) for t in SAFE] + [(t, False) for t in CLEAR])
def test_ximss_behind_a_proxy_line(server, tlvs, safe):
    """The same for who speaks XIMSS there, in one step or in single bytes."""
    client = Client(("127.0.0.1", server.px_port))
    for byte in line(tlvs):
        client.send_bytes(bytes([byte]))
    (features,), _ = client.call('<listFeatures id="f"/>')
    assert ("PLAIN" in {e.text for e in features.iter("sasl")}) == safe
    login = '<login id="l" authData="dora@harbor.example" password="correct-horse"/>'
    if safe:
        assert client.call(login)[0][0].tag == "session"
    else:
        assert client.fail(login)[0] == 504
    client.close()
