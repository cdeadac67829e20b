# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The ximssd authors
"""Logins over HTTP (protocol 1, 4.2 to 4.4, 4.10) whose exchanges change from worker to worker with every request, clear and TLS."""
import contextlib
import sqlite3

import pytest
from turns import Turns
from xhttp import Session, WebServer, basic, cram, errors, parameters, tags, xml_body

DORA = {"userName": "dora@harbor.example", "password": "correct-horse"}
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
WRONG = b'<XIMSS><response errorText="incorrect password or account name" errorNum="515"/></XIMSS>'
LIST = xml_body('<listFeatures id="list"/>')
NOOP = '<noop id="1"/>'
DONE = b'<XIMSS><response id="1"/></XIMSS>'
EXPIRED = 2  # a flag of accounts that no program sets yet


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """The password of every eva has expired."""
    with WebServer(tmp_path_factory.mktemp("logins"), tls=True, server="workers = 2\nlog_level = problems\n",
                   conf="[login]\ncram = yes\nfail_delay = 0\nfail_account = 0\nmax_sessions_per_account = 1000\n"
                        "[domain second.example]\nclear_login = yes\n",
                   accounts={"dora": "correct-horse", "eva.clear": "correct-horse", "eva.tls": "correct-horse"}) as s:
        assert s.stop() == 0
        with contextlib.closing(sqlite3.connect(s.state_dir + "/accounts.db")) as db, db:
            assert db.execute("UPDATE account SET flags = flags | ? WHERE name LIKE 'eva.%'", (EXPIRED,)).rowcount == 2
        s.start()
        yield s


def get(turns, query, fields=None):
    return turns.ask("GET", "/XIMSSLogin/?" + parameters(query), fields=fields)


def nonce_of(turns):
    root = turns.ask("POST", "/XIMSSLogin/?errorAsXML=1", LIST).xml
    assert tags(root) == ["features", "response"]
    return root[0].findtext("nonce")


def by_nonce(turns):
    nonce = nonce_of(turns)
    return get(turns, {"userName": "dora@harbor.example", "nonce": nonce, "authData": cram(nonce, padding=False), "errorAsXML": 1})


def by_session_id(turns, **more):
    old = Session(turns.server, get(turns, DORA))
    new = get(turns, {"userName": "dora", "sessionid": old.url_id, **more})
    assert old.sync(NOOP, conn=turns).status == old.sync(NOOP, conn=turns).status == (550 if more else 200)
    return new


HOW = {
    "parameters": lambda t: get(t, DORA),
    "errorAsXML": lambda t: get(t, {**DORA, "errorAsXML": 1, "version": "6.2", "x2auth": 1, "canUpdatePwd": 1, "random": 7}),
    "form": lambda t: t.ask("POST", "/XIMSSLogin/", parameters(DORA), FORM),
    "form and query": lambda t: t.ask("POST", "/XIMSSLogin/?userName=nobody&errorAsXML=1", parameters(DORA), FORM),
    "basic": lambda t: t.ask("GET", "/XIMSSLogin/", fields=basic("dora", "correct-horse")),
    "basic by POST": lambda t: t.ask("POST", "/XIMSSLogin/", "", basic("dora", "correct-horse")),
    "nonce": by_nonce,
    "session id": by_session_id,
    "session id, old killed": lambda t: by_session_id(t, killOld=1),
    "no IP watch": lambda t: get(t, {**DORA, "DisableIPWatch": 1, "DisableUseCookie": 1}),
}


@pytest.mark.parametrize("how", HOW)
def test_a_login_and_its_session(server, turns, how):
    """Every next request at the other worker, until KILL; then 550 at both."""
    session = Session(server, HOW[how](turns), turns.tls)
    assert session.element.get("userName") == "dora@harbor.example" and "id" not in session.element.attrib
    assert session.sync(NOOP, 1, turns).body == session.sync(NOOP, 1, turns).body == DONE
    assert session.async_('<noop id="2"/>', 2, turns).body == session.async_('<noop id="2"/>', 2, turns).body == b""
    first = turns.ask("GET", session.target(ackSeq=0, maxWait=20)).body
    assert first == turns.ask("GET", session.target("get", ackSeq=0, maxWait=20)).body == b'<XIMSS respSeq="1"><response id="2"/></XIMSS>'
    assert session.sync(NOOP, 1, turns).status == session.sync(NOOP, 1, turns).status == 500
    assert session.kill(conn=turns).status == 200
    for _ in range(2):
        assert session.kill(conn=turns).status == session.sync(NOOP, 3, turns).status == session.sync(NOOP, conn=turns).status == 550


def test_a_nonce_of_one_worker_is_good_once_in_both(turns):
    for _ in range(2):  # with either as the first
        nonce = nonce_of(turns)
        query = {"userName": "dora", "nonce": nonce, "authData": cram(nonce), "errorAsXML": 1}
        assert tags(get(turns, query).xml) == ["session"]
        assert [get(turns, query).body for _ in range(3)] == [WRONG] * 3


def test_a_poll_in_one_worker_hears_of_kill_old_in_the_other(server, turns):
    for _ in range(2):
        old = Session(server, get(turns, DORA), turns.tls)
        poll = old.waiting_poll(0, 20, turns.new())
        new = Session(server, get(turns, {"userName": "dora", "sessionid": old.url_id, "killOld": 1}))
        assert poll.reply().body == b'<XIMSS respSeq="1"><bye/></XIMSS>'
        assert old.sync(NOOP, conn=turns).status == old.sync(NOOP, conn=turns).status == 550
        assert new.kill(conn=turns).status == 200
        assert get(turns, {"userName": "dora", "sessionid": new.url_id, "errorAsXML": 1}).body == WRONG
        poll.close()


def test_operations_before_login(server, turns):
    """Nothing of one request is known to the next (4.4); a login that ends a batch makes a session for both."""
    for host in ("second.example", "harbor.example") * 2:
        for _ in range(2):
            root = turns.ask("POST", "/XIMSSLogin/?errorAsXML=1", LIST, host="Host: %s\r\n" % host).xml
            assert tags(root) == ["features", "response"] and root[0].get("domain") == host
    batch = xml_body('<listFeatures id="f"/><login id="L" authData="dora" password="correct-horse"/>')
    for _ in range(2):
        root = turns.ask("POST", "/XIMSSLogin/", batch).xml
        assert [(e.tag, e.get("id")) for e in root] == [("features", "f"), ("response", "f"), ("session", "L"), ("response", "L")]
        base = "/Session/%s/" % root[2].get("urlID")
        assert turns.ask("POST", base + "sync", xml_body(NOOP)).body == turns.ask("POST", base + "sync", xml_body(NOOP)).body == DONE
        assert [turns.ask("POST", base + "KILL").status for _ in range(3)] == [200, 550, 550]
    assert [errors(turns.ask("POST", "/XIMSSLogin/", xml_body('<mailboxList id="1" filter="*"/><bye id="2"/>')).xml) for _ in range(2)] == \
        [[("1", 500), ("2", None)]] * 2


def test_refusals_are_the_same_in_both(turns):
    """The rows of 4.3 that are no login, and what is no request at all."""
    nobodys = {"userName": "dora", "nonce": "7f0c2b91d4e65a38", "authData": cram("7f0c2b91d4e65a38")}
    for method, query, body, fields, status in (
            ("GET", {**nobodys, "errorAsXML": 1}, None, {}, 200), ("GET", nobodys, None, {}, 403), ("GET", {}, None, {}, 401), ("POST", {}, "", {}, 401),
            ("GET", {"errorAsXML": "yes"}, None, {}, 401), ("GET", {}, None, {"Authorization": "Basic !!!!"}, 401),
            ("GET", {"loginAsGuest": 1, "errorAsXML": 1}, None, {}, 200), ("GET", {"userName": "dora"}, None, {}, 403),
            ("POST", {}, "<XIMSS><noop", {}, 400), ("POST", {}, "userName=%zz", FORM, 400), ("PUT", {}, None, {}, 405), ("OPTIONS", {}, None, {}, 204)):
        one, other = (turns.ask(method, "/XIMSSLogin/?" + parameters(query), body, fields) for _ in range(2))
        assert one.status == other.status == status, (method, query)
        assert one.body == other.body and [f for f in one.fields if f[0] != "date"] == [f for f in other.fields if f[0] != "date"]


def test_failures_at_both_are_one_count(tmp_path):
    """3.9: the account's, and the address's, whose logins get 503 at either then."""
    conf = "[login]\ncram = yes\nfail_delay = 0\nfail_account = 4\nfail_address = 7\n"
    with WebServer(tmp_path, server="workers = 2\nclient_addresses = 10.0.0.0/8\n", conf=conf) as server:
        turns, elsewhere = Turns(server), Turns(server, source="127.0.0.2")
        nobodys = {"nonce": "7f0c2b91d4e65a38", "authData": cram("7f0c2b91d4e65a38"), "errorAsXML": 1}
        assert [get(turns, {**nobodys, "userName": "dora"}).body for _ in range(4)] == [WRONG] * 4
        for at in (turns, elsewhere):
            assert [errors(get(at, {**DORA, "errorAsXML": 1}).xml) for _ in range(2)] == [[(None, 517)]] * 2
        assert [get(turns, {**nobodys, "userName": "nobody%d" % i}).body for i in range(3)] == [WRONG] * 3
        assert [get(turns, {**nobodys, "userName": "nobody"}).status for _ in range(2)] == [503] * 2
        assert [get(elsewhere, {**nobodys, "userName": "nobody"}).body for _ in range(2)] == [WRONG] * 2


def test_an_expired_password(server, turns):
    """4.3: refused without canUpdatePwd; with it, the session of one worker is told so at the other, until it is changed."""
    name = "eva.tls" if turns.tls else "eva.clear"
    query = {"userName": name, "password": "correct-horse", "errorAsXML": 1}
    assert [errors(get(turns, query).xml) for _ in range(2)] == [[(None, 516)]] * 2
    session = Session(server, get(turns, {**query, "canUpdatePwd": 1}), turns.tls)
    assert session.element.get("changePassword") == "1"
    assert [errors(session.sync('<readTime id="1"/>', conn=turns).xml) for _ in range(2)] == [[("1", 516)]] * 2
    change = '<passwordModify id="2" oldPassword="correct-horse" newPassword="battery-staple"/>'
    assert [errors(session.sync(change, 1, turns).xml) for _ in range(2)] == [[("2", None)]] * 2
    assert [errors(session.sync('<readTime id="3"/>', conn=turns).xml) for _ in range(2)] == [[("3", None)]] * 2
    new = {**query, "password": "battery-staple"}
    assert [dict(get(turns, new).xml[0].attrib).get("changePassword", "no") for _ in range(2)] == ["no"] * 2


# --- who may use it (4.10)

def test_the_cookie_of_one_worker_is_demanded_in_the_other(server, turns):
    session = Session(server, get(turns, {**DORA, "EnableUseCookie": 1}), turns.tls)
    values = {session.sync(NOOP, conn=turns).cookie for _ in range(4)}
    assert len(values) == 1 and None not in values
    session.fields = {"Cookie": "CGateProWebUser=" + values.pop()}
    assert session.sync(NOOP, conn=turns).body == DONE
    for _ in range(2):
        for fields, status in ((session.fields, 200), ({}, 550), ({"Cookie": "CGateProWebUser=" + "x" * 20}, 550)):
            assert turns.ask("POST", session.target("sync"), xml_body(NOOP), fields).status == status
    assert [turns.ask("POST", session.target("KILL")).status for _ in range(2)] == [550] * 2
    assert session.kill(conn=turns).status == 200


@pytest.mark.parametrize("watch", [True, False], ids=["watched", "unwatched"])
def test_the_address_of_one_worker_is_watched_in_the_other(server, turns, watch):
    session = Session(server, get(turns, {**DORA, **({} if watch else {"DisableIPWatch": 1})}), turns.tls)
    theirs = Turns(server, turns.tls, source="127.0.0.2")
    for _ in range(2):
        for method, what in (("POST", "sync"), ("POST", "async"), ("GET", "?ackSeq=0"), ("GET", "MIME/F/1-P.txt"), ("GET", "FORMAT/x/F/1"), ("POST", "UPLOAD/a")):
            body = xml_body("") if method == "POST" else None
            status = 550 if watch else 404 if what.startswith(("MIME", "FORMAT")) else 200
            assert theirs.ask(method, session.base + what, body).status == status, what
        assert session.sync(NOOP, conn=turns).body == DONE
    query = {"userName": "dora", "sessionid": session.url_id, "errorAsXML": 1}
    for _ in range(2):
        answer = get(theirs, query)
        assert answer.body == WRONG if watch else tags(answer.xml) == ["session"]
    assert session.sync(NOOP, conn=turns).body == DONE and session.kill(conn=turns).status == 200
    theirs.close()
