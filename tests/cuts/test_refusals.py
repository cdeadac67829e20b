# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The ximssd authors
"""Logins that are refused though the password is right, and what there is instead of them, with replies that break off at any byte:
an expired password (protocol 1, 4.3: 516, `canUpdatePwd`), a blocked account (3.9: 517), a full server (3.8: 520), one that is
shutting down (530); 503 without errorAsXML for the last two (4.3)."""
import contextlib
import sqlite3

import pytest
from cutting import LONG, cut_off, cut_replies, cuts_of, first_bytes, login_on_each, nothing_left, pipelined
from xhttp import Session, WebServer, cram, errors, parameters, request, xml_body
from ximss import wait_for

NOBODYS = {"nonce": "7f0c2b91d4e65a38", "authData": cram("7f0c2b91d4e65a38"), "errorAsXML": 1}
EXPIRED = 2  # a flag of accounts that no program sets yet
EVAS = 48
OLD, NEW = "correct-horse", "battery-staple"


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """The password of each of many evas has expired."""
    with WebServer(tmp_path_factory.mktemp("refusals"), http="keep_alive = 1h\nconnections_per_address = 0\nsession_idle = 10m", tls=True, clock=True,
                   server="workers = 2\nlog_level = problems\n", conf="[login]\ncram = yes\nfail_delay = 0\nfail_account = 3\nmax_sessions_per_account = 2000\n",
                   accounts={"dora": OLD, "otto": OLD, "eva": OLD}) as s:
        assert s.stop() == 0
        with contextlib.closing(sqlite3.connect(s.state_dir + "/accounts.db")) as db, db:
            names = [c[1] for c in db.execute("PRAGMA table_info(account)") if c[1] not in ("id", "name", "flags")]
            for n in range(EVAS):
                db.execute("INSERT INTO account (name, flags, %s) SELECT ?, flags | ?, %s FROM account WHERE name LIKE 'eva@%%'" %
                           (", ".join(names), ", ".join(names)), ("eva%d@harbor.example" % n, EXPIRED))
        s.start()
        login_on_each(s)
        yield s


def login(name="dora", password=OLD, **more):
    return request("GET", "/XIMSSLogin/?" + parameters({"userName": name, "password": password, **more}))


def batch_login(name="dora"):
    return request("POST", "/XIMSSLogin/", xml_body('<noop id="n"/><login id="L" authData="%s" password="%s"/>' % (name, OLD)))


def change(old, new, ident="1"):
    return xml_body('<passwordModify id="%s" oldPassword="%s" newPassword="%s"/>' % (ident, old, new))


def outcome(reply):
    """The number of an error, None of a login that has been taken."""
    (found,) = [n for _, n in errors(reply.xml)] or [None]
    assert found or reply.xml[0].tag == "session"
    return found


def some(whole):
    """Its head is that of many."""
    cuts = cuts_of(whole)
    return cuts if LONG else [*cuts[:whole.head_length:7], *cuts[whole.head_length::2]]


def over_tls(server, data, whole):
    """A few places of the same reply; each costs a handshake."""
    cuts = cuts_of(whole)[5::90]
    assert [len(got) for _, got in cut_replies(server, lambda: data, cuts, tls=True)] == list(cuts)


# --- an expired password

@pytest.mark.parametrize("how", [{"errorAsXML": 1}, {}], ids=["errorAsXML", "403"])
def test_refused_as_expired(server, conn, how):
    """Nothing comes of it, and it is not counted as a failure: the account is not blocked by it."""
    data = login("eva0", **how)
    (whole,) = pipelined(conn, [data])
    assert errors(whole.xml) == [(None, 516)] if how else (whole.status, whole.text) == (403, "password has expired")
    before = server.counters()["ximssSessionsTotal"]
    for k, got in cut_replies(server, lambda: data, some(whole)):
        assert len(got) == k
    over_tls(server, data, whole)
    again, may = pipelined(conn, [data, login("eva0", canUpdatePwd=1)])
    assert again.body == whole.body and server.counters()["ximssSessionsTotal"] == before + 1
    assert Session(server, may).kill(conn=conn).status == 200


def test_a_login_that_may_change_it(server, conn):
    """One session each; who has read its id changes the password in it, and in no other is it needed again then."""
    evas = iter(range(EVAS))
    tried, unknown = [], 0

    def make():
        tried.append("eva%d" % next(evas))
        return login(tried[-1], canUpdatePwd=1, errorAsXML=1)
    (whole,) = pipelined(conn, [make()])
    assert whole.xml[0].get("changePassword") == "1" and Session(server, whole).kill(conn=conn).status == 200
    tried.clear()
    cuts = cuts_of(whole)
    at = whole.head_length + whole.body.index(b' userName="')  # from here on the id has come
    cuts = [*cuts[:at:len(cuts) // 12], *range(at, len(cuts), max(1, (len(cuts) - at) // 12))]
    for number, (k, got) in enumerate(cut_replies(server, make, cuts)):
        if b' userName="' in got:
            target = "/Session/%s/" % got.split(b'urlID="')[1].split(b'"')[0].decode()
        else:  # once more, and the other session is where time ends it
            unknown += 1
            (again,) = pipelined(conn, [login(tried[number], canUpdatePwd=1)])
            assert again.xml[0].get("changePassword") == "1", k
            target = Session(server, again).base
        data = request("POST", target + "sync?reqSeq=1", change(OLD, NEW))
        early, ran, ends = pipelined(conn, [request("POST", target + "sync", xml_body('<readTime id="0"/>')), data, request("POST", target + "KILL")])
        assert errors(early.xml) == [("0", 516)] and errors(ran.xml) == [("1", None)] and ends.status == 200, k
        old, new = pipelined(conn, [login(tried[number], OLD, errorAsXML=1), login(tried[number], NEW)])
        assert outcome(old) == 515 and "changePassword" not in new.xml[0].attrib, k
        assert Session(server, new).kill(conn=conn).status == 200
    assert 5 < unknown < len(tried) - 5
    server.advance(601)
    wait_for(lambda: server.counters()["ximssHTTPSessionsActive"] == 0)


def test_the_reply_to_the_change(server, conn):
    """It has been changed once: a second time would be refused, as the old password is no longer that. Every other session over HTTP
    and both logins know."""
    session, passwords, number = Session(server, server.login(conn, name="otto@harbor.example")), [OLD, NEW], 0

    def make():
        nonlocal number
        number += 1
        passwords.reverse()
        return ask()

    def ask():
        return request("POST", session.target("sync", reqSeq=number), change(passwords[1], passwords[0], "%03d" % number))
    (whole,) = pipelined(conn, [make()])
    assert errors(whole.xml) == [("001", None)]
    for k in some(whole)[::1 if LONG else 2]:  # each is four hashes
        (got,) = [got for _, got in cut_replies(server, make, [k])]
        again, late = pipelined(conn, [ask(), request("POST", session.target("sync"), change(passwords[1], passwords[0]))])
        assert errors(again.xml) == [("%03d" % number, None)] and errors(late.xml) == [("1", 515)] and len(got) == k
        assert again.body[:max(0, k - whole.head_length)] == got[whole.head_length:]
        assert outcome(pipelined(conn, [login("otto", passwords[0], errorAsXML=1)])[0]) is None  # no failure of before is counted
    assert session.kill(conn=conn).status == 200
    server.advance(601)
    wait_for(lambda: server.counters()["ximssHTTPSessionsActive"] == 0)


# --- a blocked account

BLOCKED = {"errorAsXML": (login(errorAsXML=1), 200), "403": (login(), 403), "batch": (batch_login(), 200)}


@pytest.mark.parametrize("how", BLOCKED)
def test_a_blocked_account(server, conn, how):
    """Whatever was read of it, the block ends when its time is over, and not later: who asks again makes it no longer."""
    before = server.counters()["ximssSessionsTotal"]
    server.advance(301)
    assert {outcome(r) for r in pipelined(conn, [request("GET", "/XIMSSLogin/?" + parameters({**NOBODYS, "userName": "dora"}))] * 3)} == {515}
    server.advance(200)
    data, status = BLOCKED[how]
    (whole,) = pipelined(conn, [data])
    assert whole.status == status
    assert whole.text == "account is temporarily blocked" if status == 403 else errors(whole.xml)[-1][1] == 517
    for k, got in cut_replies(server, lambda: data, some(whole)):
        assert len(got) == k
    over_tls(server, data, whole)
    assert server.counters()["ximssSessionsTotal"] == before
    (other,) = pipelined(conn, [login("eva")])  # and nobody else's account is
    assert Session(server, other).kill(conn=conn).status == 200
    server.advance(101)
    (now,) = pipelined(conn, [login()])
    assert Session(server, now).kill(conn=conn).status == 200


# --- a full server

@pytest.fixture(scope="module")
def full(tmp_path_factory):
    """Two sessions an account, four over HTTP; in the end, three in all. Nobody has any yet."""
    with WebServer(tmp_path_factory.mktemp("full"), http="keep_alive = 1h\nconnections_per_address = 0\nsessions = 4", tls=True,
                   server="workers = 2\nlog_level = problems\n", conf="[login]\nmax_sessions_per_account = 2\n",
                   accounts={"dora": OLD, "otto": OLD, "eva": OLD}) as s:
        login_on_each(s)
        yield s


FULL = {"account": ["dora"] * 2, "http": ["dora", "dora", "otto", "otto"], "server": ["dora", "otto", "otto"]}


@pytest.mark.parametrize("why", FULL)
def test_full(full, why):
    """Refused before and behind the cuts, until somebody goes: then there is room for one, and no more."""
    if why == "server":
        full.rewrite("[login]\nmax_sessions = 3\nmax_sessions_per_account = 2\n", "workers = 2\nlog_level = problems\n")
        assert full.reload() == ""
    conn, who = full.web(), "dora" if why == "account" else "eva"
    with nothing_left(full):
        sessions = [Session(full, pipelined(conn, [login(name)])[0]) for name in FULL[why]]
        for data in (login(who, errorAsXML=1), login(who), batch_login(who)):
            (whole,) = pipelined(conn, [data])
            assert (whole.text if whole.status == 503 else errors(whole.xml)[-1][1]) in (520, "too many sessions")
            for k, got in cut_replies(full, lambda d=data: d, some(whole)):
                assert len(got) == k
            over_tls(full, data, whole)
        (other,) = pipelined(conn, [login("eva", errorAsXML=1)])
        assert outcome(other) == (None if why == "account" else 520)
        if why == "account":
            assert Session(full, other).kill(conn=conn).status == 200
        assert sessions.pop(0).kill(conn=conn).status == 200
        sessions.append(Session(full, pipelined(conn, [login(who)])[0]))
        assert [outcome(r) for r in pipelined(conn, [login(who, errorAsXML=1)] * 3)] == [520] * 3
        assert full.counters()["ximssHTTPSessionsActive"] == len(FULL[why]) and {s.sync("", conn=conn).status for s in sessions} == {200}
        assert {s.kill(conn=conn).status for s in sessions} == {200}
    conn.close()


# --- a server that is shutting down

def test_shutting_down(tmp_path):
    """Requests whose first bytes have come before are answered once, 503 or 530; whatever is read of that, the server comes to its end
    as soon as the last of them is gone, long before it would have to."""
    with WebServer(tmp_path, http="connections_per_address = 0\nhead_timeout = 10m", server="workers = 2\n", tls=True) as server:
        asked = [login(), login(errorAsXML=1), batch_login()]
        conns = [(server.web(tls=n % 50 == 7), asked[n % 3], 7 * n) for n in range(1500 if LONG else 300)]
        for conn, data, _ in conns:
            conn.send(data[:9])
        wait_for(lambda: server.counters()["httpUserTrafficIn"] == 9 * len(conns))
        server.ctl("drain", "--within", "1h")
        first = {}
        for conn, data, _ in conns[:3]:
            conn.send(data[9:])
            first[data] = conn.reply()
            assert not first[data].stays and conn.closed()
        assert [(r.text if r.status == 503 else errors(r.xml)[-1][1]) for r in map(first.get, asked)] == ["server is shutting down", 530, 530]
        for conn, data, k in conns[3:]:
            conn.send(data[9:])
        for conn, data, k in conns[3:]:
            k %= first[data].head_length + len(first[data].body)
            assert len(first_bytes(conn, k)) == k
            cut_off(conn, ("rst", "fin")[k % 2])
        wait_for(lambda: server.process.poll() is not None)
        assert server.process.returncode == 0
