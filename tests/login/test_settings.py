# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The ximssd authors
"""Every setting of [login] (protocol 1, 3.9) at n-1, n and n+1, with a clock that the test moves; they all take effect at a
reload, so that one server does. What its clock gains by itself in a test is less than SLACK."""
import base64
import contextlib
import ctypes
import json
import os
import signal
import sqlite3

import pytest
from hashing import over_all
from ximss import Closed, Server, wait_for

WRONG, BLOCKED, OK, CLOSED = "515", "517", "session", "closed"
PASSWORD = "correct-horse"
SLACK = 20  # seconds
NAMES = ["delay", "conn", "dora", "otto", "first", "never", "addr", "short", "long", "exch", "cache", "min", "killed", "spared"]
SERVER = "workers = 1\nhashers = 1\nclient_addresses = 127.0.0.99\nchannels_per_address = 0\n"
EASY = {"hash_cost": 1, "fail_delay": 0, "fail_account": 0, "fail_address": 0, "fail_connection": 1000}


def section(settings):
    return "[login]\n" + "".join("%s = %s\n" % kv for kv in {**EASY, **settings}.items())


@pytest.fixture(scope="module")
def login(tmp_path_factory):
    with Server(tmp_path_factory.mktemp("login"), conf=section({}), server=SERVER, clock=True,
                accounts=dict.fromkeys(NAMES, PASSWORD)) as server:
        def now(log="major", **settings):
            """The server with these settings of [login]; all others are out of the way."""
            server.rewrite(conf=section(settings), server=SERVER + "log_level = %s\n" % log)
            assert server.reload() == ""
            return server
        yield now


def b64(text):
    return base64.b64encode(text.encode()).decode()


def fails(client, name, ident="L"):
    client.send('<login id="%s" authData="%s" password="oops"/>' % (ident, name))
    return client.until_response(ident)[1].get("errorNum")


def outcome(server, name, password="oops", source="127.0.0.1"):
    """"session", an errorNum, or "closed" (at accept, without a byte)."""
    try:
        client = server.client(source=source)
        client.send('<login id="L" authData="%s" password="%s"/>' % (name, password))
        _, response = client.until_response("L")
        client.close()
        return response.get("errorNum") or OK
    except (Closed, ConnectionError):
        return CLOSED


def outcomes(server, count, name, **more):
    return [outcome(server, name, **more) for _ in range(count)]


def right(server, name, source="127.0.0.1"):
    return outcome(server, name, PASSWORD, source)


def silent(client):
    client.sock.settimeout(0.3)
    try:
        client.raw()
        return False
    except TimeoutError:
        return True
    finally:
        client.sock.settimeout(20)


# --- fail_delay, fail_delay_max

@pytest.mark.parametrize("delay, most", [(50, 60), (60, 60)])
def test_delays(login, delay, most):
    """`fail_delay` times the failures of the connection, `fail_delay_max` at most: not sooner, and then at once."""
    server = login(log="all", fail_delay="%ds" % delay, fail_delay_max="%ds" % most)
    client, other = server.client(), server.client()
    log = len(server.log())
    for n in range(1, 4):
        client.send('<login id="%d" authData="delay" password="oops"/>' % n)
        # From now on. It is the worker that counts the time; auth has counted the failure before.
        wait_for(lambda n=n: server.log()[log:].count("the answer waits for") == n)
        server.advance(min(n * delay, most) - SLACK)
        other.call('<listFeatures id="f"/>')  # worker and auth have had a round
        assert silent(client)
        server.advance(SLACK)
        assert client.raw().startswith(b'<response id="%d" errorText="incorrect' % n)
    for c in (client, other):
        c.close()


def test_no_delay(login):
    """0, and a maximum of 0: nobody waits, although this clock stands."""
    for most in ("60s", "0"):
        client = login(fail_delay=0, fail_delay_max=most).client()
        assert [fails(client, "delay") for _ in range(4)] == [WRONG] * 4
        client.close()


# --- fail_connection

@pytest.mark.parametrize("limit", [1, 2, 5])
def test_connection(login, limit):
    """At n-1 it goes on, also with a success; at n the response, <bye/>, and the end."""
    server = login(fail_connection=limit)
    client = server.client()
    assert [fails(client, "conn") for _ in range(limit - 1)] == [WRONG] * (limit - 1)
    client.call('<noop id="n"/>')
    client.login("conn")
    client.close()
    client = server.client()
    assert [fails(client, "conn") for _ in range(limit)] == [WRONG] * limit
    assert client.raw() == b"<bye/>" and client.closed()


# --- fail_account, fail_window

def test_account(login):
    """At n-1 failures the right password is right; at n it is refused, until `fail_window` has passed since the last failure,
    not since the first; nobody else's name is touched; names without account are treated alike."""
    server = login(fail_account=3, fail_window="10m")
    assert outcomes(server, 2, "dora") == [WRONG] * 2
    assert right(server, "dora") == OK  # n-1; and it clears the counter
    assert outcomes(server, 2, "dora") == [WRONG] * 2
    server.advance(300)
    assert outcome(server, "dora") == WRONG  # the n-th
    assert [right(server, "dora"), right(server, "dora"), outcome(server, "dora")] == [BLOCKED] * 3  # n+1
    assert right(server, "otto") == OK
    server.advance(600 - SLACK)  # ten minutes since the first are over
    assert right(server, "dora") == BLOCKED
    server.advance(SLACK)
    assert right(server, "dora") == OK
    assert [*outcomes(server, 3, "nobody"), right(server, "nobody")] == [WRONG] * 3 + [BLOCKED]
    # n-1, then the window passes: they are forgotten
    assert outcomes(server, 2, "otto") == [WRONG] * 2
    server.advance(600)
    assert outcomes(server, 2, "otto") == [WRONG] * 2
    assert right(server, "otto") == OK
    # and within it they are not
    assert outcomes(server, 2, "otto") == [WRONG] * 2
    server.advance(600 - SLACK)
    assert outcome(server, "otto") == WRONG
    assert right(server, "otto") == BLOCKED


def test_account_ends(login):
    """1: the first failure blocks. 0: never."""
    server = login(fail_account=1)
    assert [outcome(server, "first"), right(server, "first")] == [WRONG, BLOCKED]
    server = login(fail_account=0)
    assert right(server, "first") == OK
    client = server.client()
    assert [fails(client, "never") for _ in range(40)] == [WRONG] * 40
    client.close()
    assert right(server, "never") == OK


@pytest.mark.parametrize("name, seconds", [("short", 1), ("long", 86400)])
def test_window_ends(login, name, seconds):
    """The shortest and the longest `fail_window`: "24h" is a day, and no second more is allowed (a problem of the file)."""
    server = login(fail_account=1, fail_window="%ds" % seconds)
    assert outcome(server, name) == WRONG
    if seconds > SLACK:
        server.advance(seconds - SLACK)
        assert right(server, name) == BLOCKED
    server.advance(min(seconds, SLACK))
    assert right(server, name) == OK
    server.rewrite(conf=section({"fail_window": "%ds" % (86401 if seconds > 1 else 0)}), server=SERVER)
    assert "fail_window" in server.reload()


# --- fail_address

def test_address(login):
    """At n-1 the next connection is served; at n it is closed at accept until the window has passed since the last failure; a
    success clears nothing; other addresses, and those in `client_addresses`, are not touched."""
    server = login(fail_address=4, fail_window="10m")
    assert outcomes(server, 3, "nobody", source="127.0.0.2") == [WRONG] * 3
    assert right(server, "addr", "127.0.0.2") == OK  # n-1
    server.advance(300)
    assert outcome(server, "nobody", source="127.0.0.2") == WRONG  # n, for all that
    assert right(server, "addr", "127.0.0.2") == CLOSED
    assert right(server, "addr", "127.0.0.3") == OK
    assert outcomes(server, 9, "nobody", source="127.0.0.99") == [WRONG] * 9
    server.advance(600 - SLACK)
    assert right(server, "addr", "127.0.0.2") == CLOSED
    server.advance(SLACK)
    # who comes while the worker still closes the one before is judged by that one's time
    wait_for(lambda: right(server, "addr", "127.0.0.2") == OK)
    # n-1, then the window passes
    assert outcomes(server, 3, "nobody", source="127.0.0.4") == [WRONG] * 3
    server.advance(600)
    assert outcomes(server, 3, "nobody", source="127.0.0.4") == [WRONG] * 3
    assert right(server, "addr", "127.0.0.4") == OK


def test_address_ends(login):
    """1: the first failure blocks. 0: never, and what was blocked stays so, for a block has its time."""
    server = login(fail_address=1, fail_window="10m")
    assert [outcome(server, "nobody", source="127.0.0.5"), right(server, "addr", "127.0.0.5")] == [WRONG, CLOSED]
    server = login(fail_address=0)
    assert right(server, "addr", "127.0.0.5") == CLOSED
    client = server.client(source="127.0.0.6")
    assert [fails(client, "nobody") for _ in range(40)] == [WRONG] * 40
    client.close()
    assert right(server, "addr", "127.0.0.6") == OK


# --- exchange_timeout

@pytest.mark.parametrize("seconds", [60, 600])
def test_exchange_timeout(login, seconds):
    """For the exchange as a whole, also when it is longer than a minute."""
    server = login(exchange_timeout="%ds" % seconds)
    for late in (False, True):
        client = server.client()
        client.send('<login id="L" method="LOGIN"/>')
        assert client.recv().tag == "challenge"
        server.advance(seconds / 2)
        client.send('<auth id="L" value="%s"/>' % b64("exch"))
        assert client.recv().tag == "challenge"
        server.advance(seconds / 2 - (0 if late else SLACK))
        if late:
            assert client.raw() == b'<response id="L" errorText="authentication has been cancelled" errorNum="501"/>'
            assert client.fail('<auth id="L" value="%s"/>' % b64(PASSWORD))[0] == 501
        else:
            client.send('<auth id="L" value="%s"/>' % b64(PASSWORD))
            assert client.recv().tag == "session"
        client.close()


# --- verify_cache, hash_cost, min_password, max_sessions_per_account, cram

@contextlib.contextmanager
def no_hasher(server):
    pid = server.children()["hasher 1"]
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def decided(server, name):
    """How many logins of this name have come to an end; no more than 20 are remembered."""
    return len(json.loads(server.ctl("why-login", "--json", name).stdout)["attempts"])


def needs_hash(server, name):
    """Does this login wait for the hasher? It gets its session in any case."""
    client, other, before, logins = server.client(), server.client(), over_all(server, "ximssRequests"), decided(server, name)
    assert logins < 20
    with no_hasher(server):
        client.send('<login id="L" authData="%s" password="%s"/>' % (name, PASSWORD))
        wait_for(lambda: over_all(server, "ximssRequests") > before)
        other.call('<listFeatures id="f"/>')  # auth has answered that, and so has had the login before it
        waits = decided(server, name) == logins
    messages, _ = client.until_response("L")
    assert messages[0].tag == "session"
    for c in (client, other):
        c.close()
    return waits


def test_verify_cache(login):
    """Within the time the same password costs no hash; at 0 always."""
    server = login(verify_cache="1h")
    assert right(server, "cache") == OK
    assert not needs_hash(server, "cache")
    server.advance(3600 - SLACK)
    assert not needs_hash(server, "cache")
    server.advance(SLACK)
    assert needs_hash(server, "cache")
    assert not needs_hash(server, "cache")
    server = login(verify_cache=0)
    assert needs_hash(server, "cache") and needs_hash(server, "cache")


def prefix(cost):
    """What crypt(3) itself makes of this cost, up to the salt."""
    lib = ctypes.CDLL("libcrypt.so.1")
    lib.crypt_gensalt.restype = ctypes.c_char_p
    lib.crypt_gensalt.argtypes = [ctypes.c_char_p, ctypes.c_ulong, ctypes.c_char_p, ctypes.c_int]
    return lib.crypt_gensalt(b"$y$", cost, b"0123456789abcdef", 16).decode().rsplit("$", 1)[0] + "$"


@pytest.mark.parametrize("cost", [1, 2, 6])
def test_hash_cost(login, cost, tmp_path):
    """For passwords that are set from now on."""
    server = login(hash_cost=cost)
    with Server(tmp_path, conf=section({"hash_cost": cost}), start=False) as other:
        other.add_account("dora", PASSWORD)  # without a running server, whose file is locked
        with contextlib.closing(sqlite3.connect(os.path.join(other.state_dir, "accounts.db"))) as db:
            dump = "\n".join(db.iterdump())
    assert prefix(cost) in dump
    server.add_account("cost%d" % cost, PASSWORD)
    assert right(server, "cost%d" % cost) == OK


def test_min_password(login):
    """In characters, not in bytes."""
    server = login(min_password=9)
    client = server.client()
    client.login("min", PASSWORD)
    for old, new, good in ((PASSWORD, "ü" * 8, False), (PASSWORD, "ü" * 9, True), ("ü" * 9, "b" * 8, False),
                           ("ü" * 9, "b" * 10, True)):
        text = '<passwordModify id="p" oldPassword="%s" newPassword="%s"/>' % (old, new)
        if good:
            client.call(text)
        else:
            assert client.fail(text) == (501, "new password is not acceptable")
    client.close()


@pytest.mark.parametrize("limit", [1, 3])
def test_max_sessions_per_account(login, limit):
    server = login(max_sessions_per_account=limit)
    clients = [server.session("conn") for _ in range(limit)]
    assert right(server, "conn") == "520"
    assert right(server, "spared") == OK
    clients[0].send('<bye id="b"/>')
    clients[0].rest()
    assert wait_for(lambda: right(server, "conn") == OK)
    for c in clients:
        c.close()


def test_cram(login):
    """Offered, and taken, only when it is on and there is an account that can use it."""
    for word in ("no", "yes"):
        server = login(cram=word)
        server.add_account("cram-" + word, PASSWORD)
        client = server.client()
        client.send('<listFeatures id="f"/>')
        assert ("CRAM-MD5" in [e.text for e in client.recv().findall("sasl")]) == (word == "yes")
        client.until_response("f")
        client.send('<login id="L" method="CRAM-MD5"/>')
        message = client.recv()
        assert (message.tag, message.get("errorNum")) == (("challenge", None) if word == "yes" else ("response", "504"))
        client.close()


# --- all of it

def test_counters_survive_auth(login):
    """kill -9 of auth between two failures: neither an account nor an address gets a single guess more."""
    server = login(fail_account=4, fail_address=9)

    def kill():
        old = server.kill("auth")
        wait_for(lambda: server.children().get("auth") not in (None, old))
        wait_for(lambda: json.loads(server.ctl("why-login", "--json", "x", check=False).stdout or "null") is not None)
    there = "127.0.0.7"
    assert outcomes(server, 3, "killed", source=there) == [WRONG] * 3
    kill()
    assert right(server, "killed", there) == OK  # n-1
    assert outcomes(server, 3, "killed", source=there) == [WRONG] * 3
    kill()
    assert outcome(server, "killed", source=there) == WRONG
    assert right(server, "killed") == BLOCKED
    # seven of that address so far
    assert outcome(server, "spared", source=there) == WRONG
    kill()
    assert right(server, "spared", there) == OK  # n-1
    assert outcome(server, "spared", source=there) == WRONG
    assert right(server, "spared", there) == CLOSED
    kill()
    assert right(server, "spared", there) == CLOSED
    assert right(server, "spared") == OK
