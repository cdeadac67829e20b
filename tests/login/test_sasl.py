# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The ximssd authors
"""SASL over the wire, against clients written from the RFCs with Python's hmac and hashlib alone (protocol 1, 3.2-3.5)."""
import base64
import hashlib
import hmac
import secrets
import xml.etree.ElementTree as ET

import pytest
from ximss import Server

PASSWORDS = {"dora": "correct-horse", "otto": 'a&b<c>"d\'é 日本', "long": "sixty-four bytes are a block of MD5 " * 4}


@pytest.fixture(scope="module")
def cram_server(tmp_path_factory):
    conf = "[login]\ncram = yes\nfail_delay = 1ms\nfail_account = 0\n"
    with Server(tmp_path_factory.mktemp("cram"), conf=conf, accounts=PASSWORDS, tls=True) as server:
        yield server


def b64(data):
    return base64.b64encode(data).decode()


def element(tag, **attributes):
    return ET.tostring(ET.Element(tag, attributes), encoding="unicode")


class Scram:
    """RFC 5802 and 7677, client side."""

    def __init__(self, name, password):
        self.name, self.password = name.replace("=", "=3D").replace(",", "=2C"), password.encode()
        self.nonce = secrets.token_hex(12)
        self.first_bare = "n=%s,r=%s" % (self.name, self.nonce)

    def first(self):
        return "n,," + self.first_bare

    def final(self, server_first, nonce=None):
        fields = dict(part.split("=", 1) for part in server_first.split(","))
        assert fields["r"].startswith(self.nonce) and len(fields["r"]) > len(self.nonce) + 8
        assert int(fields["i"]) >= 10000
        salted = hashlib.pbkdf2_hmac("sha256", self.password, base64.b64decode(fields["s"]), int(fields["i"]))
        client_key = hmac.digest(salted, b"Client Key", "sha256")
        without = "c=biws,r=" + (nonce or fields["r"])
        message = ",".join([self.first_bare, server_first, without]).encode()
        signature = hmac.digest(hashlib.sha256(client_key).digest(), message, "sha256")
        proof = bytes(a ^ b for a, b in zip(client_key, signature))
        self.server_signature = hmac.digest(hmac.digest(salted, b"Server Key", "sha256"), message, "sha256")
        return without + ",p=" + b64(proof)


def start_scram(client, scram, ident="s"):
    client.send(element("login", id=ident, method="SCRAM-SHA-256", authData=b64(scram.first().encode())))
    challenge = client.recv()
    assert challenge.tag == "challenge" and challenge.get("id") == ident
    return base64.b64decode(challenge.get("value")).decode()


@pytest.mark.parametrize("name", PASSWORDS)
@pytest.mark.parametrize("tls", [False, True])
def test_scram(cram_server, name, tls):
    client = cram_server.client(tls=tls)
    scram = Scram(name + "@harbor.example", PASSWORDS[name])
    server_first = start_scram(client, scram)
    client.send(element("auth", id="s", value=b64(scram.final(server_first).encode())))
    final = client.recv()
    assert final.tag == "challenge"
    assert base64.b64decode(final.get("value")).decode() == "v=" + b64(scram.server_signature)
    client.send(element("auth", id="s", value=""))
    assert client.recv().tag == "session"
    assert client.raw() == b'<response id="s"/>'


def failed(client, ident="s"):
    response = client.recv()
    return response.tag == "response" and response.get("id") == ident and response.get("errorNum") == "515"


def test_scram_wrong_password_and_unknown_name(cram_server):
    salts = []
    for name in ("dora", "nobody", "nobody", "someone"):
        client = cram_server.client()
        scram = Scram(name + "@harbor.example", "wrong")
        server_first = start_scram(client, scram)
        salts.append(server_first.split(",")[1])
        client.send(element("auth", id="s", value=b64(scram.final(server_first).encode())))
        assert failed(client)
    # a made-up salt never changes, and is another one for another name
    assert salts[1] == salts[2] != salts[3]


def test_scram_replayed_and_tampered(cram_server):
    client = cram_server.client()
    scram = Scram("dora@harbor.example", PASSWORDS["dora"])
    server_first = start_scram(client, scram)
    answer = scram.final(server_first)
    client.send(element("auth", id="s", value=b64(answer.encode())))
    client.recv()
    client.send(element("auth", id="s", value=""))
    assert client.recv().tag == "session"
    # the same messages once more: the server's nonce is another one
    replay = cram_server.client()
    start_scram(replay, scram)
    replay.send(element("auth", id="s", value=b64(answer.encode())))
    assert failed(replay)
    for damage in (lambda a: a[:-4], lambda a: a.replace("c=biws", "c=eSws"), lambda a: "p=" + a, lambda a: "",
                   lambda a: a.split(",p=")[0], lambda a: a + ",x=1" * 2000):
        client = cram_server.client()
        scram = Scram("dora@harbor.example", PASSWORDS["dora"])
        client.send(element("login", id="s", method="SCRAM-SHA-256", authData=b64(scram.first().encode())))
        final = scram.final(base64.b64decode(client.recv().get("value")).decode())
        client.send(element("auth", id="s", value=b64(damage(final).encode())))
        response = client.recv()
        assert response.tag == "response" and response.get("errorNum") in ("515", "502"), damage(final)[:80]


@pytest.mark.parametrize("name", PASSWORDS)
def test_cram_two_steps(cram_server, name):
    client = cram_server.client()
    client.send(element("login", id="login", method="CRAM-MD5"))
    challenge = base64.b64decode(client.recv().get("value"))
    assert challenge.startswith(b"<") and challenge.endswith(b"@harbor.example>")
    digest = hmac.new(PASSWORDS[name].encode(), challenge, "md5").hexdigest()
    client.send(element("auth", id="login", value=b64(("%s@harbor.example %s" % (name, digest)).encode())))
    session = client.recv()
    assert session.tag == "session" and session.get("userName") == name + "@harbor.example"
    assert client.raw() == b'<response id="login"/>'


def test_cram_digits_and_blanks(cram_server):
    """3.3: hex digits of either case; the last blank separates."""
    for form, good in (("dora@harbor.example %s", True), ("dora@harbor.example %S", True), ("dora@harbor.example  %s", False),
                       ("dora@harbor.example\t%s", False), ("dora@harbor.example %s ", False), ("%s", False), ("", False),
                       ("dora@harbor.example %.31s", False), ("dora@harbor.example %s0", False)):
        client = cram_server.client()
        client.send(element("login", id="s", method="cram-md5"))
        challenge = base64.b64decode(client.recv().get("value"))
        digest = hmac.new(PASSWORDS["dora"].encode(), challenge, "md5").hexdigest()
        text = form.replace("%S", digest.upper()) if "%S" in form else form % digest if "%" in form else form
        client.send(element("auth", id="s", value=b64(text.encode())))
        if good:
            assert client.recv().tag == "session", form
        else:
            assert failed(client), form


def test_another_authzid_is_refused(cram_server):
    """3.5: whoever logs in is himself."""
    for authzid, good in (("", True), ("dora", True), ("DORA@harbor.example", True), ("otto", False), ("nobody", False), ("\1", False)):
        client = cram_server.client()
        client.send(element("login", id="s", method="PLAIN", authData=b64(("%s\0dora\0correct-horse" % authzid).encode())))
        assert (client.recv().tag == "session") == good, authzid


def nonce_of(client):
    client.send('<listFeatures id="f"/>')
    nonce = client.recv().findtext("nonce")
    client.recv()
    return nonce


@pytest.mark.parametrize("padding", [True, False])
def test_cram_one_step(cram_server, padding):
    """The nonce of one connection serves on another, once; the padding of base64 may be missing."""
    nonce = nonce_of(cram_server.client())
    digest = hmac.new(PASSWORDS["dora"].encode(), nonce.encode(), "md5").hexdigest()
    data = b64(digest.encode())
    request = element("login", id="c", userName="dora@harbor.example", nonce=nonce,
                      authData=data if padding else data.rstrip("="))
    client = cram_server.client()
    client.send(request)
    assert client.recv().tag == "session"
    again = cram_server.client()
    again.send(request)
    assert failed(again, "c")


def test_cram_nonce_of_the_clear_link_is_worthless_after_starttls(cram_server):
    client = cram_server.client()
    nonce = nonce_of(client)
    client.send('<starttls id="t"/>')
    client.recv()
    client.start_tls(cram_server.tls_context())
    digest = hmac.new(PASSWORDS["dora"].encode(), nonce.encode(), "md5").hexdigest()
    client.send(element("login", id="c", userName="dora", nonce=nonce, authData=b64(digest.encode())))
    assert failed(client, "c")


def test_cram_is_off_unless_asked_for(server):
    client = server.client()
    client.send('<login id="login" method="CRAM-MD5"/>')
    assert client.raw() == b'<response id="login" errorText="unsupported authentication method" errorNum="504"/>'


def test_hostile_names(cram_server):
    """Names from security 2.2 (log, header, SQL, folding): refused like any wrong name, and nothing breaks."""
    names = ["a\r\nb", "\x1b[31m", "' OR 1=1 --", "../../etc/passwd", "%s%n", "ＤＯＲＡ", "dora@HARBOR.example",
             "dora@", "@", "", "x" * 4000, "dora\tquay", "dora@harbor.example@harbor.example", "d\u0301ora"]
    good = {"ＤＯＲＡ", "dora@HARBOR.example"}  # width and case fold to the same account
    for name in names:
        client = cram_server.client()
        client.send(element("login", id="h", authData=name, password="correct-horse"))
        first = client.recv()
        assert (first.tag == "session") == (name in good), name
    assert "\x1b" not in cram_server.log()
