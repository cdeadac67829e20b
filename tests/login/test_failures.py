# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The ximssd authors
"""Failed logins (protocol 1, 3.9): delays, the limits per connection, account and address, with a clock that the test moves."""
import time

from ximss import Client, Closed, Server, wait_for

BLOCKED = (517, "account is temporarily blocked")
WRONG = (515, "incorrect password or account name")


def try_login(server, name="dora", password="oops"):
    client = server.client()
    try:
        client.send('<login id="1" authData="%s" password="%s"/>' % (name, password))
        _, response = client.until_response("1")
        if response.get("errorNum") is None:
            return "session"
        return int(response.get("errorNum")), response.get("errorText")
    finally:
        client.close()


def test_delay_grows_in_real_time(tmp_path):
    """That nobody else waits is shown with a clock that stands (test_settings.py: test_delays)."""
    with Server(tmp_path, conf="[login]\nfail_delay = 1s\nfail_delay_max = 2500ms\n") as server:
        client, other = server.client(), server.session()
        for seconds in (1.0, 2.0, 2.5):
            begin = time.monotonic()
            client.send('<login id="1" authData="dora" password="oops"/>')
            other.call('<readTime id="t"/>')
            client.recv()
            assert seconds <= time.monotonic() - begin


def test_account_limit(tmp_path):
    conf = "[login]\nfail_delay = 0\nfail_account = 10\nfail_window = 5m\n"
    accounts = {"dora": "correct-horse", "otto": "swordfish"}
    with Server(tmp_path, conf=conf, accounts=accounts, clock=True) as server:
        for _ in range(9):
            assert try_login(server) == WRONG
        assert try_login(server, password="correct-horse") == "session"  # clears the counter
        for _ in range(10):
            assert try_login(server) == WRONG
        # from now on the right password is refused too, under every spelling of the name
        for name in ("dora", "DORA@harbor.example", "dora%harbor.example"):
            assert try_login(server, name, "correct-horse") == BLOCKED
        assert try_login(server, "otto", "swordfish") == "session"
        # a name that does not exist is treated alike
        for _ in range(10):
            assert try_login(server, "nobody") == WRONG
        assert try_login(server, "nobody") == BLOCKED
        # the counters survive the death of auth
        server.kill("auth")
        wait_for(lambda: "auth" in server.children())
        assert wait_for(lambda: try_login(server, "otto", "swordfish") == "session")
        assert try_login(server, "dora", "correct-horse") == BLOCKED
        server.advance(301)
        assert try_login(server, "dora", "correct-horse") == "session"


def test_address_limit(tmp_path):
    """Loopback is no client address here, so it is counted: the 21st connection is closed at accept, without a byte."""
    conf = "[login]\nfail_delay = 0\nfail_account = 0\nfail_address = 20\n"
    with Server(tmp_path, conf=conf, server="client_addresses = 10.0.0.0/8\nchannels_per_address = 0\n",
                clock=True) as server:
        session = server.session()
        for i in range(20):
            assert try_login(server, "name%d" % i) == WRONG
        client = wait_for(lambda: refused(server))
        assert client
        session.send('<noop id="n"/>')  # who is in stays in
        assert session.raw() == b'<response id="n"/>'
        server.advance(301)
        assert try_login(server, "dora", "correct-horse") == "session"


def refused(server):
    client = Client(("127.0.0.1", server.port))
    try:
        client.send('<noop id="n"/>')
        client.raw()
        return False
    except (Closed, ConnectionError):
        return True
    finally:
        client.close()
