# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The ximssd authors
"""What else section 3 of protocol 1 says of logins: session ids, names in handshakes, processes that are slow or die, time
limits in real time (their twins move a clock)."""
import base64
import itertools
import os
import signal
import time
import xml.etree.ElementTree as ET

from hashing import at_a_full_queue
from settled import settle
from ximss import Client, Closed, Server, wait_for

WRONG = (515, "incorrect password or account name")
LOGIN = '<login id="L" authData="dora" password="correct-horse"/>'


def element(tag, **attributes):
    return ET.tostring(ET.Element(tag, attributes), encoding="unicode")


def outcome(client, text, ident="L"):
    """None for a session, else (number, text)."""
    client.send(text)
    _, response = client.until_response(ident)
    number = response.get("errorNum")
    return None if number is None else (int(number), response.get("errorText"))


# --- the id of a living session (3.6)

def by_id(server, name, url_id, source="127.0.0.1", **more):
    return outcome(server.client(source=source), element("login", id="L", userName=name, sessionid=url_id, **more))


def test_session_id_as_a_mechanism(server):
    """`SESSIONID` (3.5): account, a blank, the id; also without initial response."""
    old = server.client()
    url_id = old.login().get("urlID")
    data = base64.b64encode(("dora@harbor.example %s" % url_id).encode()).decode()
    assert outcome(server.client(), element("login", id="L", method="SessionID", authData=data)) is None
    client = server.client()
    client.send('<login id="L" method="SESSIONID"/>')
    assert client.raw() == b'<challenge id="L" value=""/>'
    assert outcome(client, element("auth", id="L", value=data)) is None
    wrong = base64.b64encode(("otto@harbor.example %s" % url_id).encode()).decode()
    assert outcome(server.client(), element("login", id="L", method="SESSIONID", authData=wrong)) == WRONG
    old.call('<noop id="n"/>')


def test_session_id_from_another_address(server):
    """A stolen id is worth nothing elsewhere, and its thief does not end the session."""
    old = server.client()
    url_id = old.login().get("urlID")
    assert by_id(server, "dora", url_id, "127.0.0.2") == WRONG
    assert by_id(server, "dora", url_id, "127.0.0.2", killOld="1") == WRONG
    assert by_id(server, "dora", url_id[:-1] + ("a" if url_id[-1] != "a" else "b")) == WRONG
    old.call('<noop id="n"/>')
    assert by_id(server, "dora", url_id, killOld="yes") is None
    assert old.raw() == b"<bye/>" and old.closed()
    assert by_id(server, "dora", url_id) == WRONG  # it is dead


def test_wrong_session_ids_are_failed_logins(tmp_path):
    with Server(tmp_path, conf="[login]\nfail_delay = 0\nfail_account = 3\n") as server:
        session = server.client()
        url_id = session.login().get("urlID")
        for _ in range(3):
            assert by_id(server, "dora", "100001-aaaaaaaaaaaaaaaaaaaa") == WRONG
        assert by_id(server, "dora", url_id) == (517, "account is temporarily blocked")
        session.call('<noop id="n"/>')


def test_wrong_old_passwords_are_failed_logins(tmp_path):
    """Section 6: they count together with the others; the session lives on."""
    with Server(tmp_path, conf="[login]\nfail_delay = 0\nfail_account = 4\n") as server:
        session = server.session()
        for i in range(2):
            assert session.fail('<passwordModify id="p" oldPassword="oops" newPassword="battery-staple"/>') == WRONG
            assert outcome(server.client(), '<login id="L" authData="dora" password="oops"/>') == WRONG
        blocked = (517, "account is temporarily blocked")
        assert session.fail('<passwordModify id="p" oldPassword="correct-horse" newPassword="battery-staple"/>') == blocked
        assert outcome(server.client(), LOGIN) == blocked
        session.call('<readTime id="t"/>')


def test_a_success_clears_the_account_and_not_the_address(tmp_path):
    conf = "[login]\nfail_delay = 0\nfail_account = 3\nfail_address = 5\n"
    with Server(tmp_path, conf=conf, server="client_addresses = 10.0.0.0/8\n") as server:
        client = server.client()
        for _ in range(2):
            for _ in range(2):
                assert outcome(server.client(), '<login id="L" authData="dora" password="oops"/>') == WRONG
            assert outcome(server.client(), LOGIN) is None
        assert outcome(server.client(), '<login id="L" authData="dora" password="oops"/>') == WRONG  # the fifth
        wait_for(lambda: server.client().closed())
        client.call('<noop id="n"/>')


# --- the target domain by the name in a handshake (2.1)

def test_server_name_indication(tmp_path):
    with Server(tmp_path, accounts={"dora": "correct-horse", "carol@second.example": "battery-staple"}, tls=True,
                conf="[domain second.example]\n[login]\nfail_delay = 0\n") as server:
        carol = '<login id="L" authData="carol" password="battery-staple"/>'
        for how in ("listener", "starttls"):
            for name, right, wrong in (("second.example", carol, LOGIN), ("SECOND.example", carol, LOGIN),
                                       ("harbor.example", LOGIN, carol), ("nowhere.example", LOGIN, carol), (None, LOGIN, carol)):
                client = Client(("127.0.0.1", server.tls_port)) if how == "listener" else server.client()
                if how == "starttls":
                    client.call('<starttls id="t"/>')
                client.sock = server.tls_context().wrap_socket(client.sock, server_hostname=name)
                client.send('<listFeatures id="f"/>')
                assert client.recv().get("domain") == ("second.example" if right == carol else "harbor.example")
                client.until_response("f")
                assert outcome(client, wrong) == WRONG
                assert outcome(client, right) is None
                client.close()
        assert wait_for(lambda: "TLSv1.3" in server.log())


def test_version_and_cipher_are_logged(tmp_path):
    """2.3: "log protocol version and cipher", with the names that OpenSSL's own client sees."""
    with Server(tmp_path, tls=True, server="log_level = low\n") as server:
        for client in (server.client(), server.client(tls=True)):
            if client.sock.__class__.__name__ != "SSLSocket":
                client.call('<starttls id="t"/>')
                client.start_tls(server.tls_context())
            cipher, _, _ = client.sock.cipher()
            want = "([127.0.0.1]) %s, %s" % (client.sock.version(), cipher)
            wait_for(lambda: [line for line in server.log().splitlines() if " 4 XIMSSI-" in line and line.endswith(want)])
            client.close()


# --- auth and hashers that are slow or die (design 2, 2.3)

def test_auth_dies_while_it_is_asked(server):
    """Unanswered logins are put once to the new one; one in the middle of an exchange ends with an error."""
    asked, features, exchange = server.client(), server.client(), server.client()
    exchange.send('<login id="L" method="PLAIN"/>')
    assert exchange.recv().tag == "challenge"
    os.kill(server.children()["auth"], signal.SIGSTOP)
    asked.send_bytes(LOGIN.encode() + b'\0<noop id="n"/>\0')
    features.send('<listFeatures id="f"/>')
    settle(server, standing={server.children()["auth"]})
    server.kill("auth")
    assert asked.recv().tag == "session" and asked.raw() == b'<response id="L"/>' and asked.raw() == b'<response id="n"/>'
    assert features.recv().tag == "features" and features.raw() == b'<response id="f"/>'
    exchange.send('<auth id="L" value="AGRvcmEAY29ycmVjdC1ob3JzZQ=="/>')
    assert exchange.raw() == b'<response id="L" errorText="operation timed out" errorNum="583"/>'
    assert outcome(exchange, LOGIN) is None


def test_queue_of_hashes(tmp_path):
    """500 jobs wait (those of loopback are not counted by address); the next one is told at once, and all others get
    their answer."""
    with Server(tmp_path, conf="[login]\nhash_cost = 1\n",
                server="hashers = 1\nworkers = 1\nchannels_per_client_address = 0\n") as server:
        clients, said = at_a_full_queue(server, LOGIN, lambda client: outcome(client, LOGIN))
        assert said == (583, "operation timed out")
        outcomes = [client.until_response("L")[1].get("errorNum") for client in clients]
        # all are answered: by a session, by the limit of sessions, or late (on a slow machine)
        assert outcomes.count(None) <= 64 and set(outcomes) <= {None, "520", "583"} and outcomes.count(None) > 32
        assert outcome(server.client(), '<login id="L" authData="nobody" password="oops"/>') == WRONG


def test_a_stuck_hasher(tmp_path):
    """Five seconds for a job; then 583, and another hasher."""
    with Server(tmp_path, server="hashers = 1\n") as server:
        pid = server.children()["hasher 1"]
        os.kill(pid, signal.SIGSTOP)
        begin = time.monotonic()
        assert outcome(server.client(), LOGIN) == (583, "operation timed out")
        assert 4 < time.monotonic() - begin
        wait_for(lambda: server.children().get("hasher 1") not in (None, pid))
        assert outcome(server.client(), LOGIN) is None


# --- sizes

def test_long_attributes(tmp_path):
    """Always one clear answer with its id, and the next login is like any other."""
    with Server(tmp_path, conf="[login]\nfail_delay = 0\nfail_account = 0\ncram = yes\n") as server:
        for attribute, errors in (("authData", {"515"}), ("password", {"515"}), ("userName", {"515"}), ("nonce", {"515"}),
                                  ("sessionid", {"515"}), ("method", {"504"}), ("id", {"502"})):
            for size in (1024, 1025, 4096, 4097, 16000, 60000):
                client = server.client()
                given = {"id": "L", "authData": "dora", "password": "correct-horse", "version": "6.2", "x2auth": "1"}
                if attribute in ("userName", "sessionid"):
                    del given["authData"]
                given.setdefault("userName", "dora")
                if attribute == "nonce":
                    given["authData"] = "Yzg4"
                given[attribute] = "x" * size
                client.send(element("login", **given))
                response = client.recv()
                # a tag has 16 KiB at most
                want = {"501"} if size == 60000 else errors
                assert (response.tag, response.get("errorNum") in want) == ("response", True), (attribute, size, response.attrib)
                if size != 60000 or attribute != "id":
                    assert response.get("id") == given["id"]
                assert outcome(client, LOGIN) is None
                client.close()


# --- time limits in real time

def test_exchange_in_real_time(tmp_path):
    """The twin of scenario b066, which shows that it is for the exchange as a whole, not for each of its steps."""
    with Server(tmp_path, conf="[login]\nexchange_timeout = 2s\n") as server:
        client = server.client()
        begin = time.monotonic()
        client.send('<login id="L" method="LOGIN"/>')
        assert client.recv().tag == "challenge"
        assert client.raw() == b'<response id="L" errorText="authentication has been cancelled" errorNum="501"/>'
        assert 1.8 < time.monotonic() - begin
        assert outcome(client, LOGIN) is None


def test_blocks_in_real_time(tmp_path):
    """The twin of the tests of `fail_account` and `fail_address` with a clock that is moved."""
    conf = "[login]\nfail_delay = 0\nfail_account = 2\nfail_address = 4\nfail_window = 3s\n"
    with Server(tmp_path, conf=conf, server="client_addresses = 10.0.0.0/8\n") as server:
        session = server.session()
        begin, names = None, itertools.count()

        def try_it(login=LOGIN):
            client = server.client()
            try:
                return outcome(client, login)
            except (Closed, ConnectionError):
                return "closed"

        def is_closed():
            nonlocal begin
            at = time.monotonic()
            said = try_it('<login id="L" authData="name%d" password="oops"/>' % next(names))
            assert said in (WRONG, "closed")
            begin = at if said == WRONG else begin
            return said == "closed"
        wait_for(is_closed)
        session.call('<noop id="n"/>')
        assert wait_for(lambda: try_it() is None)
        assert time.monotonic() - begin > 2.5
