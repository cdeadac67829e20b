# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The ximssd authors
"""`ximssctl why-login`: the real reason of every login that went wrong, while the client is told the same 515; and `unban`."""
import base64
import datetime
import hashlib
import hmac
import json
import os
import signal

import pytest
from hashing import at_a_full_queue
from ximss import Closed, Server, wait_for

WRONG = b'<response id="L" errorText="incorrect password or account name" errorNum="515"/>'
CONF = """[login]
fail_delay = 0
fail_account = 0
fail_connection = 1000
hash_cost = 1
cram = yes
max_sessions_per_account = 3
[domain quiet.example]
clear_login = no
"""


def b64(data):
    return base64.b64encode(data if isinstance(data, bytes) else data.encode()).decode()


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    accounts = {"dora": "correct-horse"}
    with Server(tmp_path_factory.mktemp("why"), conf=CONF, accounts=accounts, tls=True) as s:
        s.add_account("otto@quiet.example", "swordfish")
        yield s


def why(server, name="dora"):
    return json.loads(server.ctl("why-login", "--json", name).stdout)


def last(server, name="dora"):
    return why(server, name)["attempts"][0]


def say(client, *messages):
    """Sends messages, each after the answer to the one before; the last answer, as bytes."""
    for message in messages:
        client.send(message)
        got = client.raw()
    return got


def cram_answer(client, name, password):
    client.send('<login id="L" method="CRAM-MD5"/>')
    challenge = base64.b64decode(client.recv().get("value"))
    return say(client, '<auth id="L" value="%s"/>' % b64("%s %s" % (name, hmac.new(password, challenge, "md5").hexdigest())))


def nonce_of(client):
    client.send('<listFeatures id="f"/>')
    nonce = client.recv().findtext("nonce")
    client.recv()
    return nonce


def one_step(client, name, nonce, password=b"correct-horse"):
    digest = hmac.new(password, nonce.encode(), "md5").hexdigest()
    return say(client, '<login id="L" userName="%s" nonce="%s" authData="%s"/>' % (name, nonce, b64(digest)))


def scram_answer(client, name, first="n,,n=%s,r=abcdefghijkl", password=b"wrong"):
    client.send('<login id="L" method="SCRAM-SHA-256" authData="%s"/>' % b64(first % name))
    got = client.recv()
    if got.tag != "challenge":
        return WRONG if got.get("errorNum") == "515" else None
    f = dict(part.split("=", 1) for part in base64.b64decode(got.get("value")).decode().split(","))
    proof = hashlib.pbkdf2_hmac("sha256", password, base64.b64decode(f["s"]), int(f["i"]))
    return say(client, '<auth id="L" value="%s"/>' % b64("c=biws,r=%s,p=%s" % (f["r"], b64(proof))))


SESSION_ID = "100001-" + "a" * 20
# What the client does; for whom it is remembered, under which method, and why. All are answered with the same bytes.
REFUSED = [
    (lambda c: say(c, '<login id="L" authData="dora" password="oops"/>'), "dora", "(clear)", "wrong password"),
    (lambda c: say(c, '<login id="L" authData="DORA@harbor.example" password=""/>'), "dora", "(clear)", "wrong password"),
    (lambda c: say(c, '<login id="L" authData="nobody" password="oops"/>'), "nobody", "(clear)", "there is no such account"),
    (lambda c: say(c, '<login id="L" method="PLAIN" authData="%s"/>' % b64("\0dora\0oops")), "dora", "PLAIN", "wrong password"),
    (lambda c: say(c, '<login id="L" method="PLAIN" authData="%s"/>' % b64("otto\0dora\0correct-horse")), "dora", "PLAIN",
     "the client wants to be somebody else than whose password it has"),
    (lambda c: say(c, '<login id="L" method="LOGIN"/>', '<auth id="L" value="%s"/>' % b64("dora"),
                   '<auth id="L" value="%s"/>' % b64("oops")), "dora", "LOGIN", "wrong password"),
    (lambda c: cram_answer(c, "dora", b"oops"), "dora", "CRAM-MD5", "wrong digest: another password, or another challenge"),
    (lambda c: cram_answer(c, "nobody", b"oops"), "nobody", "CRAM-MD5", "there is no such account"),
    (lambda c: one_step(c, "dora", nonce_of(c), b"oops"), "dora", "(nonce)", "wrong digest: another password, or another challenge"),
    (lambda c: one_step(c, "dora", "17-of-nobody"), "dora", "(nonce)",
     "the nonce is used up, too old, or of another server or link"),
    (lambda c: scram_answer(c, "dora"), "dora", "SCRAM-SHA-256", "wrong digest: another password, or another challenge"),
    (lambda c: scram_answer(c, "nobody"), "nobody", "SCRAM-SHA-256", "there is no such account"),
    (lambda c: scram_answer(c, "dora", "n,a=otto,n=%s,r=abcdefghijkl"), "dora", "SCRAM-SHA-256",
     "the client wants to be somebody else than whose password it has"),
    (lambda c: say(c, '<login id="L" userName="dora" sessionid="x"/>'), "dora", "(session)", "that is no session id"),
    (lambda c: say(c, '<login id="L" userName="dora" sessionid="%s"/>' % SESSION_ID), "dora", "(session)",
     "no living session of the account has this id and comes from this address"),
    (lambda c: say(c, '<login id="L" method="SESSIONID" authData="%s"/>' % b64("nobody " + SESSION_ID)), "nobody", "SESSIONID",
     "there is no such account"),
]


@pytest.mark.parametrize("number", range(len(REFUSED)))
@pytest.mark.parametrize("tls", [False, True], ids=["clear", "tls"])
def test_the_real_reason_behind_the_same_answer(server, number, tls):
    act, name, method, reason = REFUSED[number]
    client = server.client(tls=tls)
    before = datetime.datetime.now(datetime.timezone.utc)
    assert act(client) == WRONG
    got = last(server, name)
    told = datetime.datetime.fromisoformat(got.pop("time").replace("Z", "+00:00"))
    assert before - datetime.timedelta(seconds=1) <= told <= datetime.datetime.now(datetime.timezone.utc)
    assert got.pop("session") >= 100001
    assert got == {"address": "[127.0.0.1]", "link": "TLSv1.3" if tls else "clear", "method": method, "ok": False,
                   "errorNum": 515, "errorText": "incorrect password or account name", "reason": reason}


# Other answers: what they are told is the protocol's business, why is the admin's.
OTHERS = [
    (lambda c: say(c, '<login id="L" authData="dora"/>'), "dora", 501, "an attribute is missing"),
    (lambda c: say(c, '<login id="L" method="GSSAPI" userName="dora"/>'), "dora", 504, "the server does not know the method"),
    (lambda c: say(c, '<login id="L" authData="otto@quiet.example" password="swordfish"/>'), "otto@quiet.example", None, "logged in"),
]


def test_other_answers(server):
    for act, name, number, reason in OTHERS:
        client = server.client()
        act(client)
        got = last(server, name)
        assert (got["errorNum"] or None, got["reason"]) == (number, reason)
        client.close()


def test_clear_text_refused(server):
    """The rule is the target domain's; the name stands in the message, or in PLAIN's first answer."""
    for message in ('<login id="L" authData="otto" password="swordfish"/>',
                    '<login id="L" method="PLAIN" authData="%s"/>' % b64("\0otto\0swordfish")):
        client = server.client()
        client.send('<listFeatures id="f" domain="quiet.example"/>')
        client.until_response("f")
        assert b"secure authentication is required" in say(client, message)
        got = last(server, "otto@quiet.example")
        assert (got["errorNum"], got["reason"]) == (504, "passwords are refused on links in clear text ([domain] clear_login)")


def test_success_and_too_many_sessions(server):
    clients = [server.client(tls=True) for _ in range(4)]
    for i, client in enumerate(clients):
        client.send('<login id="L" authData="dora" password="correct-horse"/>')
        got = client.recv()
        assert (got.tag == "session") == (i < 3)
    assert got.get("errorNum") == "520"
    wait_for(lambda: last(server)["errorNum"] == 520)
    attempts = why(server)["attempts"]
    assert attempts[0]["reason"] == "the account has too many sessions ([login] max_sessions_per_account)"
    assert [a["reason"] for a in attempts[1:4]] == ["logged in"] * 3 and all(a["ok"] for a in attempts[1:4])
    numbers = {s["id"] for s in server.top()["sessions"] if s["account"] == "dora@harbor.example"}
    assert {a["session"] for a in attempts[1:4]} == numbers
    for client in clients:
        client.close()
    wait_for(lambda: server.top()["total"] == 0)


def test_cancelled_late_and_gone(server):
    client = server.client()
    assert b"501" in say(client, '<login id="L" method="LOGIN"/>', '<auth id="L" value="%s"/>' % b64("dora"),
                         '<auth id="L" value="*"/>')
    # nobody has said yet who it is before LOGIN's last answer: nothing is remembered
    assert last(server)["reason"] != "cancelled by the client"
    client.send('<login id="L" method="SCRAM-SHA-256" authData="%s"/>' % b64("n,,n=dora,r=abcdefghijkl"))
    client.recv()
    client.send('<auth id="L" value="*"/>')
    client.recv()
    assert last(server)["reason"] == "cancelled by the client"
    client.send('<login id="L" method="SCRAM-SHA-256" authData="%s"/>' % b64("n,,n=dora,r=abcdefghijkl"))
    client.recv()
    client.close()
    wait_for(lambda: last(server)["reason"] == "the client was gone before the login was over")


def test_the_last_twenty(server):
    """The newest first, under every spelling of the name; the 21st is forgotten."""
    client = server.client()
    for i in range(23):
        name = ("nemo", "Nemo@harbor.example", "NEMO%harbor.example")[i % 3]
        client.send('<login id="L" method="%s" userName="%s"/>' % ("X" if i == 2 else "Y" if i == 3 else "Z", name))
        client.raw()
    for i in range(2):
        say(client, '<login id="L" authData="nemo" password="x"/>')
    got = why(server, "nemo")
    assert (got["account"], got["exists"]) == ("nemo@harbor.example", False)
    assert len(got["attempts"]) == 20 and [a["reason"] for a in got["attempts"][:3]] == \
        ["there is no such account"] * 2 + ["the server does not know the method"]
    times = [a["time"] for a in got["attempts"]]
    assert times == sorted(times, reverse=True)
    assert why(server, "NEMO%HARBOR.example")["attempts"] == got["attempts"]
    assert why(server, "somebody")["attempts"] == []


def test_for_people(server):
    say(server.client(), '<login id="L" authData="dora" password="oops"/>')
    lines = server.ctl("why-login", "dora").stdout.splitlines()
    assert lines[0].startswith("dora@harbor.example: ")
    assert lines[1].split() == ["TIME", "(GMT)", "ADDRESS", "LINK", "METHOD", "ANSWER", "REASON"]
    assert lines[2].endswith("  515     wrong password")
    assert "no login is remembered" in server.ctl("why-login", "nobody-at-all").stdout
    done = server.ctl("why-login", "a b", check=False)
    assert done.returncode == 1 and done.stderr == "ximssctl: that cannot be the name of an account\n"


def test_nothing_survives(server):
    say(server.client(), '<login id="L" authData="dora" password="oops"/>')
    assert why(server)["attempts"]
    old = server.kill("auth")
    wait_for(lambda: server.children().get("auth") not in (None, old))
    assert wait_for(lambda: server.ctl("why-login", "--json", "dora", check=False).returncode == 0)
    assert why(server)["attempts"] == []


def test_hashers_do_not_answer(tmp_path):
    """A hasher that hangs is killed; whose password it had is told 583."""
    with Server(tmp_path, server="hashers = 1\n") as server:
        os.kill(server.children()["hasher 1"], signal.SIGSTOP)
        client = server.client()
        client.send('<login id="L" authData="dora" password="correct-horse"/>')
        assert client.recv().get("errorNum") == "583"
        assert last(server)["reason"] == "the hasher died or took too long"


def test_crowded_hashers(tmp_path):
    """Four logins of one address at a time (loopback is many users, so not from there), 500 in all."""
    conf = "[login]\nhash_cost = 1\nmax_sessions_per_account = 1000\n"
    with Server(tmp_path, conf=conf, server="hashers = 1\nworkers = 1\nchannels_per_client_address = 0\n") as server:
        login = '<login id="L" authData="dora" password="correct-horse"/>'
        _, said = at_a_full_queue(server, login, lambda client: client.send(login) or client.recv().get("errorNum"))
        assert said == "583"
        reasons = {a["reason"] for a in why(server)["attempts"]}
        assert "too many logins wait for a hasher" in reasons


# --- unban

def outcome(server, name="dora", password="oops", source=None):
    """"session", an errorNum, or "closed"."""
    try:
        client = server.client(source=source)
        client.send('<login id="L" authData="%s" password="%s"/>' % (name, password))
        _, response = client.until_response("L")
        client.close()
        return response.get("errorNum") or "session"
    except (Closed, ConnectionError):
        return "closed"


@pytest.fixture(scope="module")
def strict(tmp_path_factory):
    conf = "[login]\nfail_delay = 0\nfail_account = 4\nfail_address = 6\nhash_cost = 1\n"
    with Server(tmp_path_factory.mktemp("unban"), conf=conf, accounts={"dora": "correct-horse", "otto": "swordfish"},
                server="client_addresses = 10.0.0.0/8, 127.0.0.1\nchannels_per_address = 0\n") as s:
        yield s


def unban(server, *args):
    return json.loads(server.ctl("unban", "--json", *args).stdout)


def test_unban_an_account(strict):
    for _ in range(4):
        assert outcome(strict) == "515"
    assert outcome(strict, password="correct-horse") == "517"
    assert outcome(strict, "otto") == "515"
    got = why(strict)
    assert got["failures"] == 4 and 250 < got["blockedFor"] <= 300
    assert got["attempts"][0]["reason"] == "the account is blocked: too many failed logins"
    assert unban(strict, "--account", "DORA") == {"accounts": 1, "blockedAccounts": 1, "addresses": 0, "blockedAddresses": 0}
    assert (why(strict)["failures"], why(strict)["blockedFor"]) == (0, None)
    for _ in range(3):  # it begins from nothing
        assert outcome(strict) == "515"
    assert outcome(strict, password="correct-horse") == "session"
    assert why(strict, "otto")["failures"] == 1  # nobody else's are forgotten
    assert unban(strict, "--account", "dora")["accounts"] == 0
    assert strict.ctl("unban", "--account", "otto").stdout == \
        "accounts: 1 cleared, 0 of them were blocked; addresses: 0 cleared, 0 of them were blocked\n"


def test_unban_an_address(strict):
    """Both memories know of it: auth's counters, and the gate that workers ask at accept."""
    for i in range(6):
        assert outcome(strict, "name%d" % i, source="127.0.0.9") == "515"
    wait_for(lambda: outcome(strict, source="127.0.0.9") == "closed")
    assert outcome(strict, "otto", "swordfish", source="127.0.0.8") == "session"
    assert unban(strict, "--address", "127.0.0.8")["addresses"] == 0
    assert outcome(strict, source="127.0.0.9") == "closed"
    assert unban(strict, "--address", "[127.0.0.9]") == \
        {"accounts": 0, "blockedAccounts": 0, "addresses": 1, "blockedAddresses": 1}
    for i in range(5):
        assert outcome(strict, "more%d" % i, source="127.0.0.9") == "515"
    assert outcome(strict, "otto", "swordfish", source="127.0.0.9") == "session"


def test_unban_after_auth_has_died(strict):
    """The counters and the block outlive auth; so must the way to lift them."""
    for i in range(6):
        assert outcome(strict, "else%d" % i, source="127.0.0.7") == "515"
    for _ in range(4):
        assert outcome(strict, "otto") == "515"
    old = strict.kill("auth")
    wait_for(lambda: strict.children().get("auth") not in (None, old))
    wait_for(lambda: strict.ctl("why-login", "otto", check=False).returncode == 0)
    assert outcome(strict, source="127.0.0.7") == "closed"
    assert outcome(strict, "otto", "swordfish") == "517"
    got = unban(strict, "--all")
    assert got["blockedAccounts"] == 1 and got["blockedAddresses"] == 1 and got["accounts"] >= 7 and got["addresses"] >= 1
    assert outcome(strict, "otto", "swordfish", source="127.0.0.7") == "session"
    assert set(unban(strict, "--all").values()) == {0}


def test_unban_wants_to_know_whom(strict):
    for args, code in (([], 2), (["--account", ""], 1), (["--account", "a b"], 1), (["--address", "harbor.example"], 1),
                       (["--address", "1.2.3"], 1), (["dora"], 2)):
        done = strict.ctl("unban", *args, check=False)
        assert done.returncode == code and done.stderr.startswith("ximssctl: "), args
    assert unban(strict, "--account", "nobody", "--address", "2001:db8::1") == \
        {"accounts": 0, "blockedAccounts": 0, "addresses": 0, "blockedAddresses": 0}
    wait_for(lambda: any("CTL unban, by user" in line and line[13] == "2" for line in strict.log().splitlines()))
