# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The ximssd authors
"""Who may use a session: addresses and cookies (protocol 1, 4.10)."""
import re

import pytest
from xhttp import Session, WebServer, request, xml_body
from ximss import wait_for

EMPTY = b"<XIMSS></XIMSS>"
NOOP = xml_body('<noop id="1"/>')


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with WebServer(tmp_path_factory.mktemp("cookie"), tls=True, server="workers = 2\nlog_level = all\n",
                   conf="[login]\nmax_sessions_per_account = 1000\n") as s:
        yield s


def everything(session, source=None, fields=None):
    """The statuses of all that can be asked of a session, but its end."""
    ask = session.server.ask
    return {ask("POST", session.target("sync"), NOOP, fields, source=source, tls=session.tls).status,
            ask("POST", session.target("async"), NOOP, fields, source=source, tls=session.tls).status,
            ask("GET", session.target(), None, fields, source=source, tls=session.tls).status,
            ask("GET", session.target("get"), None, fields, source=source, tls=session.tls).status}


# --- addresses

def test_another_address(server):
    """550, logged; the session is not killed by it."""
    session = server.web_session()
    since = len(server.log())
    assert everything(session, "127.0.0.2") == {550}
    assert server.ask("POST", session.target("KILL"), source="127.0.0.2").status == 550
    assert wait_for(lambda: re.search(r" 1 XIMSS-%s\(dora@harbor.example\) .*another address" % session.url_id[:6], server.log()[since:]))
    assert everything(session) == {200}
    assert session.sync('<noop id="1"/>', seq=1).body == b'<XIMSS><response id="1"/></XIMSS>'


def test_the_other_address_consumes_nothing(server):
    """Neither a number, nor a batch of the poll, nor the wait of one."""
    session = server.web_session()
    create = '<mailboxCreate id="1" mailbox="Mine"/>'
    assert server.ask("POST", session.target("sync", reqSeq=1), xml_body(create), source="127.0.0.2").status == 550
    assert session.async_(create, seq=1).status == 200
    root = session.poll(0, 20).xml
    assert root.get("respSeq") == "1" and root[0].get("errorNum") is None
    poll = session.waiting_poll(1)
    assert server.ask("GET", session.target(ackSeq=0, maxWait=20), source="127.0.0.2").status == 550
    session.async_('<noop id="2"/>')
    assert poll.reply().body == b'<XIMSS respSeq="2"><response id="2"/></XIMSS>'


@pytest.mark.parametrize("word, status", [("1", 200), ("yes", 200), ("true", 200), ("0", 550), ("no", 550), ("", 550), ("maybe", 550)])
def test_disable_ip_watch(server, word, status):
    session = Session(server, server.login(DisableIPWatch=word))
    assert everything(session, "127.0.0.2") == {status}
    assert everything(Session(server, server.login(disableipwatch=word)), "127.0.0.3") == {status}


def test_ip_watch_off_for_all(tmp_path):
    with WebServer(tmp_path, http="ip_watch = no") as server:
        session = server.web_session()
        assert everything(session, "127.0.0.2") == {200} == everything(session)


def test_a_reload_changes_new_sessions_only(tmp_path):
    with WebServer(tmp_path) as server:
        old = server.web_session()
        server.rewrite(http="ip_watch = no")
        assert server.reload() == ""
        assert everything(old, "127.0.0.2") == {550}
        assert everything(server.web_session(), "127.0.0.2") == {200}


# --- cookies

def with_cookie(value, before="", after=""):
    return {"Cookie": "%sCGateProWebUser=%s%s" % (before, value, after)}


def test_no_cookie_unless_asked_for(server):
    session = server.web_session()
    for reply in (session.sync("<XIMSS/>"), session.poll(0), session.async_("<XIMSS/>"), session.kill()):
        assert not reply.all("set-cookie")


@pytest.mark.parametrize("tls", [False, True], ids=["clear", "tls"])
@pytest.mark.parametrize("word", ["1", "yes"])
def test_set_cookie(server, tls, word):
    """Not with the login; with the first reply for the session URL, and the attributes of 4.10."""
    login = server.login(EnableUseCookie=word)
    assert not login.all("set-cookie")
    session = Session(server, login, tls)
    (text,) = session.sync("<XIMSS/>", seq=1).all("set-cookie")
    value, *attributes = text.split("; ")
    assert re.match(r"CGateProWebUser=[A-Za-z0-9]{20}\Z", value)
    assert "Path=/Session/" + session.url_id in attributes and "HttpOnly" in attributes and "SameSite=Lax" in attributes
    assert ("Secure" in attributes) == tls


def test_the_same_until_it_is_presented_and_demanded_from_then_on(server):
    session = Session(server, server.login(EnableUseCookie=1))
    cookies = {session.sync("<XIMSS/>", seq=1).cookie, session.sync("<XIMSS/>", seq=1).cookie, session.async_("<XIMSS/>").cookie,
               session.poll(0).cookie, session.poll("x").cookie, session.sync("<XIMSS", seq=2).cookie}
    (value,) = cookies
    assert value
    assert everything(session) == {200} == everything(session, fields=with_cookie("x" * 20))  # nobody has shown it yet
    reply = session.post("sync", "<XIMSS/>", fields=with_cookie(value))
    assert reply.status == 200 and not reply.all("set-cookie")
    wrong = value[:-1] + ("a" if value[-1] != "a" else "b")
    for fields in ({}, with_cookie(wrong), with_cookie(""), with_cookie(value + "x"), with_cookie(value[:-1]), {"Cookie": value},
                   {"Cookie": "other=" + value}, {"Cookie": "xCGateProWebUser=" + value}, with_cookie(value.swapcase())):
        assert everything(session, fields=fields) == {550}, fields
        reply = server.ask("POST", session.target("KILL"), None, fields)
        assert reply.status == 550 and not reply.all("set-cookie")
    assert everything(session, fields=with_cookie(value)) == {200}


@pytest.mark.parametrize("before, after", [("", "; a=b"), ("a=b; ", ""), ("a=b; ", "; c=d"), ("a=\"x y\"; ", ";c=d"), ("$Version=1; ", "; $Path=/")])
def test_among_other_cookies(server, before, after):
    session = Session(server, server.login(EnableUseCookie=1))
    value = session.sync("<XIMSS/>").cookie
    fields = with_cookie(value, before, after)
    assert not session.post("sync", "<XIMSS/>", fields=fields).all("set-cookie")
    assert everything(session, fields=fields) == {200} and everything(session) == {550}


def test_cookies_of_two_sessions(server):
    one, two = (Session(server, server.login(EnableUseCookie=1)) for _ in range(2))
    a, b = one.sync("<XIMSS/>").cookie, two.sync("<XIMSS/>").cookie
    assert a != b
    assert everything(one, fields=with_cookie(a)) == {200} and everything(two, fields=with_cookie(b)) == {200}
    assert everything(one, fields=with_cookie(b)) == {550} and everything(two, fields=with_cookie(a)) == {550}


def test_cookie_and_address(server):
    """Each is demanded by itself."""
    session = Session(server, server.login(EnableUseCookie=1))
    value = session.sync("<XIMSS/>").cookie
    assert everything(session, "127.0.0.2", with_cookie(value)) == {550}
    assert session.sync("<XIMSS/>").cookie == value  # somebody else's request has bound nothing
    both = Session(server, server.login(EnableUseCookie=1, DisableIPWatch=1))
    value = both.sync("<XIMSS/>").cookie
    assert everything(both, "127.0.0.2", with_cookie(value)) == {200}
    assert everything(both) == {550}


def test_the_last_reply_is_guarded_too(server):
    """A `bye` may be repeated by those who may use the session."""
    session = Session(server, server.login(EnableUseCookie=1))
    fields = with_cookie(session.sync("<XIMSS/>").cookie)
    target = session.target("sync", reqSeq=1)
    assert server.ask("POST", target, xml_body('<bye id="b"/>'), fields).status == 200
    assert server.ask("POST", target, xml_body('<bye id="b"/>')).status == 550
    assert server.ask("POST", target, xml_body('<bye id="b"/>'), fields, source="127.0.0.2").status == 550
    assert server.ask("POST", target, xml_body('<bye id="b"/>'), fields).body == b'<XIMSS><response id="b"/></XIMSS>'


@pytest.mark.parametrize("query, has", [({}, True), ({"DisableUseCookie": 1}, False), ({"EnableUseCookie": 1, "DisableUseCookie": 1}, False),
                                        ({"DisableUseCookie": 0}, True), ({"disableusecookie": "yes"}, False)])
def test_cookies_for_all(tmp_path_factory, query, has):
    with WebServer(tmp_path_factory.mktemp("all"), http="cookie = yes") as server:
        session = Session(server, server.login(query=query))
        assert (session.sync("<XIMSS/>").cookie is not None) == has


def test_a_poll_that_waits_sets_it_too(server):
    session = Session(server, server.login(EnableUseCookie=1))
    poll = session.waiting_poll(0)
    value = session.sync("<XIMSS/>").cookie
    session.async_('<noop id="1"/>')
    assert poll.reply().cookie == value


def test_through_both_workers(server):
    session = Session(server, server.login(EnableUseCookie=1))
    one, two = server.web_on_each()
    value = session.sync("<XIMSS/>", conn=one).cookie
    assert session.sync("<XIMSS/>", conn=two).cookie == value
    two.send(request("POST", session.target("sync"), NOOP, with_cookie(value)))
    assert two.reply().status == 200
    assert session.sync("<XIMSS/>", conn=one).status == 550


def test_secrets_in_the_log(server):
    """Neither the second half of an id nor a cookie is in the log, at the highest level."""
    session = Session(server, server.login(EnableUseCookie=1))
    value = session.sync("<XIMSS/>").cookie
    everything(session, fields=with_cookie(value))
    everything(session, "127.0.0.2", with_cookie(value))
    session.kill()
    log = server.log()
    assert session.url_id[:6] in log and session.url_id[7:] not in log and value not in log
