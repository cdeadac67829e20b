# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The ximssd authors
"""Levels of the log that are set while the server runs (`ximssctl log`): of all, a module, a session, an account; their end."""
import json
import time

import pytest
from journal import RECORD
from settled import settle
from ximss import Server, wait_for


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    accounts = {"dora": "correct-horse", "otto": "swordfish"}
    with Server(tmp_path_factory.mktemp("levels"), accounts=accounts) as server:
        yield server


@pytest.fixture
def server(shared):
    shared.ctl("log", "reset")
    settle(shared)
    yield shared
    shared.ctl("log", "reset")


class Tail:
    """Records that come from now on."""

    def __init__(self, server):
        self.server = server
        self.at = server.log().rfind("\n") + 1

    def records(self):
        text = self.server.log()[self.at:]
        lines = text[:text.rfind("\n") + 1].splitlines()  # the last one may be on its way into the file
        found = [RECORD.fullmatch(line) for line in lines]
        assert all(found), lines
        return [m.groups() for m in found]  # time, level, tag, id, who, text

    def has(self, level, tag, ident=None, text=""):
        return any(r[1] == str(level) and r[2] == tag and (ident is None or r[3] == str(ident)) and text in r[5]
                   for r in self.records())


def ident_of(client):
    return int(client.session.get("urlID").split("-")[0])


def session(server, name="dora"):
    client = server.client()
    client.session = client.login(name + "@harbor.example", server.accounts[name])
    return client


def log_set(server, *args):
    """Levels hold when the processes have heard of them, which is a moment after the command is done."""
    server.ctl("log", "set", *args)
    settle(server)


def rules(server):
    return json.loads(server.ctl("log", "--json").stdout)["rules"]


def noop(client, ident="n"):
    client.send('<noop id="%s"/>' % ident)
    assert client.raw() == b'<response id="%s"/>' % ident.encode()


def test_one_session(server):
    """Its messages, in and out, in the worker's and the keeper's records; nobody else's."""
    dora, otto = session(server), session(server, "otto")
    tail = Tail(server)
    log_set(server, "all", "--session", str(ident_of(dora)))
    assert [(r["level"], r["session"], r["module"], r["account"], r["left"]) for r in rules(server)] \
        == [("all", ident_of(dora), None, None, None)]
    for i in range(20):
        noop(dora, "d%d" % i)
        noop(otto, "o%d" % i)
    dora.call('<mailboxList id="m"/>')
    settle(server)
    assert tail.has(4, "XIMSSI", ident_of(dora), '<mailboxList id="m"/>')
    records = tail.records()
    for i in range(20):
        request = '<noop id="d%d"/>' % i
        assert tail.has(4, "XIMSSI", ident_of(dora), "inp(%d): %s" % (len(request), request))
        assert tail.has(4, "XIMSSI", ident_of(dora), 'out: <response id="d%d"/>' % i)
    assert tail.has(5, "XIMSSI", ident_of(dora), "received")
    assert {r[3] for r in records if r[1] in "345"} == {str(ident_of(dora))}
    server.ctl("log", "reset", "--session", str(ident_of(dora)))

    def quiet():
        tail = Tail(server)
        noop(dora)
        noop(otto)
        return [r for r in tail.records() if r[1] in "345"] == []
    wait_for(quiet)  # the rules are on their way to the processes


def test_one_account_from_its_login_on(server):
    tail = Tail(server)
    log_set(server, "low", "--account", "OTTO")
    dora, otto = session(server), session(server, "otto")
    noop(dora, "by-dora")
    noop(otto, "by-otto")
    wait_for(lambda: tail.has(4, "XIMSSI", ident_of(otto), "by-otto"))
    assert not tail.has(4, "XIMSSI", ident_of(dora))
    assert {r[4] for r in tail.records() if r[1] == "4"} == {"otto@harbor.example"}


def test_one_module(server):
    """Raised and lowered, alone; what is set for all holds for the others."""
    tail = Tail(server)
    log_set(server, "crashes", "--module", "XIMSSI")
    log_set(server, "low", "--module", "ctl")
    dora = session(server)
    server.ctl("log")
    settle(server)
    assert tail.has(4, "CTL", None, "log, by user")
    assert tail.has(2, "XIMSS", ident_of(dora), "session opened")
    assert not [r for r in tail.records() if r[2] == "XIMSSI"]
    log_set(server, "failures")
    tail = Tail(server)
    session(server)
    server.ctl("log")
    settle(server)
    assert tail.has(4, "CTL", None, "log, by user")
    assert not [r for r in tail.records() if r[2] != "CTL"]


def test_module_of_a_session(server):
    dora, otto = session(server), session(server, "otto")
    tail = Tail(server)
    log_set(server, "all", "--session", str(ident_of(dora)), "--module", "XIMSSI", "--account", "dora")
    noop(dora, "one")
    noop(otto, "two")
    wait_for(lambda: tail.has(4, "XIMSSI", ident_of(dora), "one"))
    assert not tail.has(4, "XIMSSI", ident_of(otto))


def test_the_end(server):
    """By the clock of every process; one record says when it begins, one when it ends."""
    dora = session(server)
    tail = Tail(server)
    begin = time.monotonic()
    log_set(server, "low", "--session", str(ident_of(dora)), "--for", "3s")
    log_set(server, "problems", "--module", "DB", "--for", "1h")
    assert tail.has(2, "MASTER", None, "level of the log: low, session %d: set for 3s" % ident_of(dora))
    noop(dora, "before")
    heard = time.monotonic() - begin < 2.9  # or this machine is too slow for it
    left = [r["left"] for r in rules(server) if r["session"]]
    assert all(0 <= n <= 3 for n in left) and (left or time.monotonic() - begin > 2.9)
    if heard:
        wait_for(lambda: tail.has(4, "XIMSSI", ident_of(dora), 'inp(19): <noop id="before"/>'))
    wait_for(lambda: tail.has(2, "MASTER", None, "low, session %d: the time is over" % ident_of(dora)))
    assert time.monotonic() - begin >= 3
    assert [r["module"] for r in rules(server)] == ["DB"] and 3400 < rules(server)[0]["left"] < 3600

    def silent():
        quiet = Tail(server)
        noop(dora, "after")
        return not quiet.has(4, "XIMSSI")
    wait_for(silent)


def test_set_again_takes_the_place(server):
    server.ctl("log", "set", "low", "--module", "DB", "--for", "1h")
    server.ctl("log", "set", "5", "--module", "db")
    assert [(r["level"], r["left"]) for r in rules(server)] == [("all", None)]


def test_new_processes_get_what_holds(server):
    """A worker and a keeper that come later know the levels."""
    log_set(server, "low", "--account", "dora")
    old = server.children()
    for name in ("worker 1", "worker 2"):
        server.kill(name)
    wait_for(lambda: all(server.children().get(n) not in (None, old[n]) for n in ("worker 1", "worker 2")))

    def logged_in():
        tail = Tail(server)
        try:
            noop(session(server), "late")
        except (ConnectionError, AssertionError):
            return False
        return tail.has(4, "XIMSSI", None, "late")
    wait_for(logged_in)


def test_bounds(server):
    """64 of them, and one more is refused; what is no level, module, session, name or time, too."""
    for i in range(64):
        server.ctl("log", "set", "low", "--session", str(100001 + i))
    done = server.ctl("log", "set", "low", "--session", "999999", check=False)
    assert done.returncode == 1 and "64 levels are set already" in done.stderr
    server.ctl("log", "set", "all", "--session", "100001")  # the same again is no further one
    assert len(rules(server)) == 64
    server.ctl("log", "reset")
    assert rules(server) == []
    for args in (["loud"], ["6"], [""], ["-1"], ["low", "--module", "NONE"], ["low", "--session", "100000"],
                 ["low", "--session", "1000000"], ["low", "--session", "x"], ["low", "--account", "a b"],
                 ["low", "--account", "x" * 400], ["low", "--for", "0"], ["low", "--for", "999ms"], ["low", "--for", "31d"],
                 ["low", "--for", "10"], ["low", "--for", "soon"], ["low", "--module", "M" * 4000]):
        done = server.ctl("log", "set", "--", *args[:1], check=False) if args[0] == "-1" \
            else server.ctl("log", "set", *args, check=False)
        assert done.returncode == 1 and done.stderr.startswith("ximssctl: "), (args, done)
    for good in ("1s", "30d"):
        server.ctl("log", "set", "low", "--module", "DB", "--for", good)
    assert server.ctl("log", "reset", "--module", "STORE", check=False).returncode == 1
    server.ctl("log", "reset", "--module", "DB")
    assert rules(server) == []


def test_silence_is_told_of(server):
    """`log set crashes` says so before it holds, and its end after it has held."""
    tail = Tail(server)
    begin = time.monotonic()
    log_set(server, "crashes", "--for", "2s")
    assert tail.has(2, "MASTER", None, "level of the log: crashes: set for 2s")
    session(server)
    settle(server)
    said = [r for r in tail.records() if r[2].startswith("XIMSS")]
    assert said == [] or time.monotonic() - begin > 1.9
    wait_for(lambda: tail.has(2, "MASTER", None, "level of the log: crashes: the time is over"))


def test_for_people(server):
    server.ctl("log", "set", "low", "--session", "100042", "--for", "10m")
    out = server.ctl("log").stdout
    assert out.startswith("level major, to stderr\n")
    row = next(line for line in out.splitlines() if line.startswith("low"))
    assert row.split() == ["low", "-", "100042", "-", "10", "min"]
    assert any(line.startswith("XIMSSI ") for line in out.splitlines())
