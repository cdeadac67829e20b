# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The ximssd authors
"""TLS (protocol 1, 2.3; design 7): versions, starttls and what may not be slipped in behind it, tickets, certificates."""
import hashlib
import os
import socket
import ssl
import stat
import subprocess
import time

import pytest
from settled import settle
from ximss import PATIENCE, Client, Closed, Server, wait_for

V12, V13 = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3
STARTTLS = b'<starttls id="t"/>\0'
INJECTED = b'<noop id="evil"/>\0'
HELLO = bytes.fromhex("16030100050100000100")  # the beginning of a ClientHello


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    with Server(tmp_path_factory.mktemp("tls"), tls=True, server="workers = 2\n") as server:
        yield server


def everything(client):
    """All bytes up to the end; a reset is an end too."""
    data = b""
    try:
        while True:
            got = client.sock.recv(65536)
            if not got:
                return data
            data += got
    except ConnectionResetError:
        return data


@pytest.mark.parametrize("version, name", [(V12, "TLSv1.2"), (V13, "TLSv1.3")])
@pytest.mark.parametrize("how", ["starttls", "from the first byte"])
def test_versions(shared, version, name, how):
    context = shared.tls_context(version)
    if how == "starttls":
        client = shared.client()
        client.send('<starttls id="t"/>')
        assert client.raw() == b'<response id="t"/>'
        client.start_tls(context)
    else:
        client = Client(("127.0.0.1", shared.tls_port), tls=context)
    client.login()
    assert client.sock.version() == name
    assert wait_for(lambda: [r for r in shared.top()["sessions"] if r["tls"] == name])
    client.send('<bye id="b"/>')
    assert client.raw() == b'<response id="b"/>'
    assert client.closed()  # close_notify, not a cut: Python's ssl would raise


@pytest.mark.parametrize("version", ["-tls1", "-tls1_1"])
def test_old_versions_are_refused(shared, version):
    done = subprocess.run(["openssl", "s_client", "-connect", "127.0.0.1:%d" % shared.tls_port, version, "-cipher",
                           "ALL:@SECLEVEL=0"], input=b"", capture_output=True, timeout=20, check=False)
    assert done.returncode != 0
    shared.client(tls=True).close()


@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
def test_openssl_s_client(shared, version):
    """Another implementation's client, with the server's own certificate as its only authority."""
    done = subprocess.run(["openssl", "s_client", "-quiet", "-verify_return_error", "-CAfile",
                           os.path.join(shared.state_dir, "tls-cert.pem"), "-verify_hostname", "harbor.example", version,
                           "-connect", "127.0.0.1:%d" % shared.tls_port], input=b'<noop id="a"/>\0<bye id="b"/>\0',
                          capture_output=True, timeout=20, check=False)
    assert done.stdout == b'<response id="a"/>\0<response id="b"/>\0', done.stderr


# Each shape is a list of pieces sent one after another; none may lead to an answer to INJECTED, in clear or inside TLS.
SHAPES = {
    "same segment": [STARTTLS + INJECTED],
    "two messages": [STARTTLS + INJECTED + INJECTED],
    "half a message": [STARTTLS + INJECTED[:9]],
    "one byte": [STARTTLS + b"<"],
    "white space": [STARTTLS + b"\r\n"],
    "an empty message": [STARTTLS + b"\0"],
    "behind a noop": [b'<noop id="n"/>\0' + STARTTLS + INJECTED],
    "a login": [STARTTLS + b'<login id="evil" authData="dora" password="correct-horse"/>\0'],
    "starttls twice": [STARTTLS + STARTTLS],
    "message and ClientHello": [STARTTLS + INJECTED + HELLO],
    "ClientHello and message": [STARTTLS + HELLO + INJECTED],
    "split inside starttls": [STARTTLS[:7], STARTTLS[7:] + INJECTED],
    "split before the zero byte": [STARTTLS[:-1], b"\0" + INJECTED],
}


@pytest.mark.parametrize("name", SHAPES)
def test_injection_behind_starttls(shared, name):
    client = shared.client()
    for piece in SHAPES[name]:
        client.send_bytes(piece)
        settle(shared)  # each of them is read alone
    heard = everything(client)
    assert b"evil" not in heard and b"session" not in heard
    # nothing but the answer to what stood before starttls
    assert heard in (b"", b'<response id="n"/>\0'), heard
    client.close()
    shared.client(tls=True).close()


def test_clear_text_after_the_response(shared):
    """Bytes in clear where a ClientHello is due: the handshake fails, nothing of them is carried out."""
    client = shared.client()
    client.send_bytes(STARTTLS)
    assert client.raw() == b'<response id="t"/>'
    client.send_bytes(INJECTED)
    heard = everything(client)
    assert b"evil" not in heard and b"<" not in heard  # a TLS alert at most
    client.close()


def test_state_before_tls_is_forgotten(shared):
    """A login in progress does not survive starttls."""
    client = shared.client()
    client.send('<login id="L" method="PLAIN"/>')
    assert client.recv().tag == "challenge"
    client.send('<starttls id="t"/>')
    assert client.recv().get("errorText") == "authentication has been cancelled"
    answer = client.recv()
    assert answer.get("id") == "t" and answer.get("errorNum") == "500"
    client.send('<starttls id="u"/>')
    assert client.raw() == b'<response id="u"/>'
    client.start_tls(shared.tls_context())
    client.send('<auth id="L" value="AGRvcmEAY29ycmVjdC1ob3JzZQ=="/>')
    assert client.recv().get("errorText") == "no authentication in progress"
    client.close()


def test_garbage_instead_of_client_hello(shared):
    for data in (b"\0" * 64, b"GET / HTTP/1.0\r\n\r\n", b'<noop id="1"/>\0', os.urandom(500), b"\x16\x03\x01\xff\xff" + b"x" * 100):
        with socket.create_connection(("127.0.0.1", shared.tls_port), timeout=20) as s:
            s.sendall(data)
            s.shutdown(socket.SHUT_WR)
            heard = b""
            try:
                while True:
                    got = s.recv(4096)
                    if not got:
                        break
                    heard += got
            except ConnectionResetError:
                pass
            assert b"response" not in heard
    shared.client(tls=True).close()


def test_handshake_timeout(tmp_path):
    with Server(tmp_path, conf="[tls]\nhandshake_timeout = 1s\n", tls=True) as server:
        begin = time.monotonic()
        silent = socket.create_connection(("127.0.0.1", server.tls_port), timeout=PATIENCE)
        slow = socket.create_connection(("127.0.0.1", server.tls_port), timeout=PATIENCE)
        slow.sendall(HELLO[:3])
        upgrade = server.client()
        upgrade.send_bytes(STARTTLS)
        assert upgrade.raw() == b'<response id="t"/>'
        for s in (silent, slow, upgrade.sock):
            try:
                while s.recv(100):
                    pass
            except ConnectionResetError:
                pass
            assert time.monotonic() - begin > 0.9
        # who is no slower than that is let in, with a longer time for a machine that is
        server.rewrite(conf="[tls]\nhandshake_timeout = %ds\n" % PATIENCE)
        assert server.reload() == ""
        server.client(tls=True).login()
        for s in (silent, slow):
            s.close()


def test_two_hundred_and_fifty_six_first_bytes(shared):
    """Cross-protocol (security 2.2): one wrong first byte closes a clear listener at once; no byte harms any listener."""
    may_begin = b"< \t\r\n\0\xef"  # of a message, white space, an empty message, the mark of UTF-8
    for byte in range(256):
        client = shared.client()
        client.send_bytes(bytes([byte]))
        if byte in may_begin:
            client.sock.settimeout(0.02)
            with pytest.raises(TimeoutError):
                client.sock.recv(1)
        else:
            assert client.closed(), byte
        client.close()
        for where in (("127.0.0.1", shared.tls_port), os.path.join(shared.run_dir, "lmtp")):
            s = socket.socket(socket.AF_INET if isinstance(where, tuple) else socket.AF_UNIX)
            s.connect(where)
            s.sendall(bytes([byte]))
            s.close()
    shared.session().close()
    shared.session(tls=True).close()
    shared.lmtp().quit()


@pytest.mark.parametrize("version", [V12, V13])
def test_tickets_are_good_at_every_worker(shared, version):
    """One session, many connections: the kernel spreads them over the workers, and each of them resumes."""
    context = shared.tls_context(version)
    session, resumed = None, 0
    for _ in range(16):
        raw = socket.create_connection(("127.0.0.1", shared.tls_port), timeout=20)
        s = context.wrap_socket(raw, server_hostname="harbor.example", session=session)
        s.sendall(b'<noop id="1"/>\0')
        heard = b""
        while not heard.endswith(b"\0"):
            assert (got := s.recv(100)), heard
            heard += got
        assert heard == b'<response id="1"/>\0'
        resumed += s.session_reused
        session = s.session
        s.close()
    assert resumed == 15


def fingerprint(server):
    client = server.client(tls=True)
    try:
        return hashlib.sha256(client.sock.getpeercert(True)).hexdigest()
    finally:
        client.close()


def make_certificate(folder, name):
    cert, key = os.path.join(folder, name + ".pem"), os.path.join(folder, name + ".key")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30",
                    "-subj", "/CN=harbor.example", "-addext", "subjectAltName=DNS:harbor.example", "-keyout", key, "-out",
                    cert], check=True, capture_output=True, timeout=30)
    return cert, key


def test_certificate_is_replaced(tmp_path):
    """New files serve new connections; sessions that are open go on; what is not usable changes nothing and is logged."""
    cert, key = make_certificate(str(tmp_path), "one")
    new_cert, new_key = make_certificate(str(tmp_path), "two")
    with Server(tmp_path, conf="[tls]\ncertificate = %s\nkey = %s\n" % (cert, key), tls=True) as server:
        old = server.session(tls=True)
        first = fingerprint(server)
        # a key that does not fit: said, and the one in use stays
        with open(new_key) as source, open(key, "w") as target:
            target.write(source.read())
        wait_for(lambda: "the certificate in use stays" in server.log())
        assert fingerprint(server) == first
        os.replace(new_cert, cert)
        second = wait_for(lambda: (lambda f: f if f != first else None)(fingerprint(server)))
        assert second != first
        old.send('<noop id="n"/>')
        assert old.raw() == b'<response id="n"/>'


def test_self_signed_certificate(shared):
    """Without [tls] certificate one is made."""
    key = os.path.join(shared.state_dir, "tls-key.pem")
    assert stat.S_IMODE(os.stat(key).st_mode) == 0o600
    text = subprocess.run(["openssl", "x509", "-in", os.path.join(shared.state_dir, "tls-cert.pem"), "-noout", "-text"],
                          capture_output=True, text=True, check=True, timeout=20).stdout
    assert "CN = harbor.example" in text and "DNS:harbor.example" in text and "prime256v1" in text
    assert "self-signed" in shared.log()


def test_self_signed_certificate_stays(tmp_path):
    """The next start finds it: clients that have been told to trust it need not be told again."""
    with Server(tmp_path, tls=True) as server:
        first = fingerprint(server)
        assert server.stop() == 0
        server.start()
        assert fingerprint(server) == first


def test_bad_certificate_is_a_sentence_at_start(tmp_path):
    cert, _ = make_certificate(str(tmp_path), "one")
    _, other = make_certificate(str(tmp_path), "two")
    server = Server(tmp_path, conf="[tls]\ncertificate = %s\nkey = %s\n" % (cert, other), tls=True, start=False)
    with pytest.raises(AssertionError, match="key"):
        server.start()
    server.process = None
    server.stop()


def test_no_starttls_where_it_is_not_offered(tmp_path):
    with Server(tmp_path, start=False) as server:
        with open(server.conf_path) as f:
            text = f.read()
        with open(server.conf_path, "w") as f:
            f.write(text.rstrip("\n") + "\ntls = no\n")
        server.add_account("dora", "correct-horse")
        server.start()
        client = server.client()
        client.send('<starttls id="t"/>')
        assert client.raw() == b'<response id="t" errorText="TLS is not available" errorNum="501"/>'
        client.send('<listFeatures id="f"/>')
        assert client.recv().find("starttls") is None
        client.close()


def test_alpn(shared):
    """A client that offers protocols gets `ximss`, or no connection (ALPACA, security 2.2)."""
    for offered, fine in ((["ximss"], True), (["h2", "ximss"], True), (["h2", "http/1.1"], False)):
        context = shared.tls_context()
        context.set_alpn_protocols(offered)
        try:
            client = Client(("127.0.0.1", shared.tls_port), tls=context)
            assert fine and client.sock.selected_alpn_protocol() == "ximss"
            client.close()
        except (ssl.SSLError, Closed, ConnectionError):
            assert not fine
