# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The ximssd authors
"""Logins (protocol 1, 4.2 to 4.4, 4.10) whose reply breaks off at any byte. Each has made one session or none, whatever its client
saw of it; who knows its id can have it back or end it, an administrator can, and time does."""
import random
import re

import pytest
from cutting import LONG, cut_replies, cuts_of, login_on_each, pipelined
from xhttp import Session, WebServer, basic, cram, parameters, request, xml_body
from ximss import wait_for

DORA = {"userName": "dora@harbor.example", "password": "correct-horse"}
OOPS = {"userName": "dora", "nonce": "7f0c2b91d4e65a38", "authData": cram("7f0c2b91d4e65a38")}  # a nonce that is nobody's, and costs no hash
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
WRONG = b'<XIMSS><response errorText="incorrect password or account name" errorNum="515"/></XIMSS>'
DONE = b'<XIMSS><response id="1"/></XIMSS>'
NOOP = xml_body('<noop id="1"/>')
LIST = xml_body('<listFeatures id="list"/>')
URL_ID = re.compile(rb' urlID="([0-9]{6}-[A-Za-z0-9]{20})"')
IDLE = 600


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with WebServer(tmp_path_factory.mktemp("logins"), http="keep_alive = 1h\nsession_idle = %ds\nconnections_per_address = 0" % IDLE, clock=True,
                   server="workers = 2\nlog_level = problems\n",
                   conf="[login]\ncram = yes\nfail_delay = 0\nfail_account = 0\nmax_sessions_per_account = 5000\n") as s:
        login_on_each(s)
        yield s


def login(query, fields=None):
    return request("GET", "/XIMSSLogin/?" + parameters(query), fields=fields)


def sync(url_id, requests=NOOP):
    return request("POST", "/Session/%s/sync" % url_id, requests)


def kill(url_id):
    return request("POST", "/Session/%s/KILL" % url_id)


def id_of(reply):
    return URL_ID.search(reply.body).group(1).decode()


def nonce_of(conn):
    return conn.ask("POST", "/XIMSSLogin/", LIST).xml[0].findtext("nonce")


def http_sessions(server):
    return server.counters()["ximssHTTPSessionsActive"]


def by_nonce(conn):
    nonce = nonce_of(conn)
    return login({"userName": "dora", "nonce": nonce, "authData": cram(nonce, padding=False)})


HOW = {
    "parameters": lambda conn: login(DORA),
    "errorAsXML": lambda conn: login({**DORA, "errorAsXML": 1, "version": "6.2", "x2auth": 1, "canUpdatePwd": 1}),
    "form": lambda conn: request("POST", "/XIMSSLogin/", parameters(DORA), FORM),
    "basic": lambda conn: login({}, basic("dora", "correct-horse")),
    "batch": lambda conn: request("POST", "/XIMSSLogin/", xml_body(
        '<listFeatures id="f"/><login id="L" authData="dora" password="correct-horse"/>')),
    "nonce": by_nonce,
}


def end(server, unknown, before):
    """Of the sessions that nobody knows, which `session list` names, some are ended by an administrator, the others by time."""
    wait_for(lambda: http_sessions(server) == before + len(unknown))
    listed = {line.split()[0] for line in server.ctl("session", "list").stdout.splitlines() if line[:6].isdigit()}
    assert len(listed) == before + len(unknown)
    for ident in sorted(listed)[:3]:
        server.ctl("session", "kick", ident)
    wait_for(lambda: http_sessions(server) == before + len(unknown) - len(sorted(listed)[:3]))
    server.advance(IDLE + 1)
    wait_for(lambda: http_sessions(server) == before)


@pytest.mark.parametrize("how", HOW)
def test_a_login(server, conn, how):
    """Who has read the id makes a new session of it, and the old one is gone with that (3.6); the others are where time ends them."""
    (whole,) = pipelined(conn, [HOW[how](conn)])
    assert pipelined(conn, [kill(id_of(whole))])[0].status == 200
    before, unknown, known = http_sessions(server), [], 0
    for k, got in cut_replies(server, lambda: HOW[how](conn), cuts_of(whole)):
        found = URL_ID.search(got)
        if not found:
            unknown.append(k)
            continue
        known += 1
        old = found.group(1).decode()
        lives, new = pipelined(conn, [sync(old), login({"userName": "dora", "sessionid": old, "killOld": 1})])
        assert lives.body == DONE, k
        gone, lives, killed = pipelined(conn, [sync(old), sync(id_of(new)), kill(id_of(new))])
        assert (gone.status, lives.body, killed.status) == (550, DONE, 200), k
    assert known > 50 and len(unknown) > 200
    end(server, unknown, before)


def test_a_nonce_is_used_up(server, conn):
    """The same login again fails (3.4), and nothing comes of it; one with another nonce is taken."""
    sent = []

    def make():
        sent.append(by_nonce(conn))
        return sent[-1]
    (whole,) = pipelined(conn, [by_nonce(conn)])
    assert pipelined(conn, [kill(id_of(whole))])[0].status == 200
    before = http_sessions(server)
    for number, (k, _) in enumerate(cut_replies(server, make, cuts_of(whole)[::1 if LONG else 3])):
        again, fresh = pipelined(conn, [sent[number], by_nonce(conn)])
        assert again.status == 403, k
        assert pipelined(conn, [kill(id_of(fresh))])[0].status == 200
    end(server, sent, before)


def test_session_id_with_kill_old(server, conn):
    """The old session is gone, whatever was read of the reply; so the same login again is refused, and only a password helps."""
    olds = []

    def make():
        olds.append(id_of(conn.ask("GET", "/XIMSSLogin/?" + parameters(DORA))))
        return login({"userName": "dora", "sessionid": olds[-1], "killOld": 1})
    (whole,) = pipelined(conn, [make()])
    before, unknown = http_sessions(server) - 1, []
    assert pipelined(conn, [kill(id_of(whole))])[0].status == 200
    olds.clear()
    for number, (k, got) in enumerate(cut_replies(server, make, cuts_of(whole))):
        old = olds[number]
        gone, again = pipelined(conn, [sync(old), login({"userName": "dora", "sessionid": old, "killOld": 1, "errorAsXML": 1})])
        assert gone.status == 550 and again.body == WRONG, k
        if found := URL_ID.search(got):
            new = found.group(1).decode()
            assert [r.status for r in pipelined(conn, [sync(new), kill(new), sync(new)])] == [200, 200, 550], k
        else:
            unknown.append(k)
    assert len(unknown) > 200
    end(server, unknown, before)


@pytest.mark.parametrize("watch", [True, False], ids=["watched", "unwatched"])
def test_the_address_of_a_login(server, conn, watch):
    """The session is bound to it from the first, or is not (4.10): its reply need not have come for that."""
    query = {**DORA, **({} if watch else {"DisableIPWatch": 1})}
    other = server.web(source="127.0.0.2")
    (whole,) = pipelined(conn, [login(query)])
    assert pipelined(conn, [kill(id_of(whole))])[0].status == 200
    before, unknown = http_sessions(server), []
    for k, got in cut_replies(server, lambda: login(query), cuts_of(whole)[whole.head_length:]):  # where the id may be
        if not (found := URL_ID.search(got)):
            unknown.append(k)
            continue
        ident = found.group(1).decode()
        theirs = pipelined(other, [sync(ident), login({"userName": "dora", "sessionid": ident, "errorAsXML": 1})])
        assert theirs[0].status == (550 if watch else 200), k
        if watch:
            assert theirs[1].body == WRONG, k
        else:
            assert pipelined(other, [kill(id_of(theirs[1]))])[0].status == 200
        assert [r.status for r in pipelined(conn, [sync(ident), kill(ident)])] == [200, 200], k
    end(server, unknown, before)
    other.close()


REFUSED = {  # the request, the status, whether it counts as a failure
    "errorAsXML": (login({**OOPS, "errorAsXML": 1}), 200, True),
    "403": (login(OOPS), 403, True),
    "401 of a wrong Basic": (login({}, basic("dora", "oops")), 401, True),
    "401": (login({"errorAsXML": 1}), 401, False),
    "400": (request("POST", "/XIMSSLogin/", "<XIMSS><noop"), 400, False),
    "features": (request("POST", "/XIMSSLogin/?errorAsXML=1", LIST), 200, False),
    "batch": (request("POST", "/XIMSSLogin/", xml_body(
        '<noop id="n"/><login id="L" userName="dora" nonce="%(nonce)s" authData="%(authData)s"/><readStrings id="s"/><bye id="b"/>' % OOPS)), 200, True),
    "guest": (login({"loginAsGuest": 1, "errorAsXML": 1}), 200, False),
    "session id": (login({"userName": "dora", "sessionid": "100001-" + "a" * 20, "killOld": 1}), 403, True),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_makes_no_session(server, conn, what):
    """It is answered, counted once if it is a failure, and nothing stays of it."""
    data, status, failure = REFUSED[what]
    (whole,) = pipelined(conn, [data])
    assert whole.status == status
    names = ("ximssSessionsTotal", "ximssLoginsFailed")
    before, cuts = server.counters(), cuts_of(whole)
    if "Basic" in what:  # each is a hash, of which there are few a second
        cuts = random.Random(7).sample(cuts, 40 if LONG else 3)
    count = sum(1 for _ in cut_replies(server, lambda: data, cuts))
    (again,) = pipelined(conn, [data])
    assert (again.status, len(again.body)) == (whole.status, len(whole.body))
    after = server.counters()
    assert [after[n] - before[n] for n in names] == [0, failure * (count + 1)]


# --- cookies (4.10): the first reply can get lost

def bound(server, conn):
    session = Session(server, server.login(conn, EnableUseCookie=1))
    return session, lambda fields=None: request("POST", session.target("sync", reqSeq=1), NOOP, fields)


def test_the_reply_that_sets_a_cookie(server, conn):
    """The next one sets the same, as long as nobody has shown it; until then it is not demanded."""
    session, make = bound(server, conn)
    (whole,) = pipelined(conn, [make()])
    value = whole.cookie
    assert value
    for k, _ in cut_replies(server, make, cuts_of(whole)):
        (again,) = pipelined(conn, [make()])
        assert again.body == DONE and again.cookie == value, k
    shown, without = pipelined(conn, [make({"Cookie": "CGateProWebUser=" + value}), make()])
    assert (shown.body, shown.cookie, without.status) == (DONE, None, 550)
    session.fields = {"Cookie": "CGateProWebUser=" + value}
    assert session.kill(conn=conn).status == 200


def test_the_reply_to_who_shows_the_cookie(server, conn):
    """It is demanded from that request on, whatever its client saw of the reply."""
    session, make = bound(server, conn)
    first, whole = pipelined(conn, [make(), make()])
    assert session.kill(conn=conn).status == 200
    fields = []
    sessions = []

    def show():
        session, make = bound(server, conn)
        sessions.append(make)
        (reply,) = pipelined(conn, [make()])
        fields.append({"Cookie": "CGateProWebUser=" + reply.cookie})
        ended.append(session)
        return make(fields[-1])
    ended = []
    cuts = [k for k in cuts_of(whole) if k < whole.head_length - len("Set-Cookie: ") - 100]
    for number, (k, _) in enumerate(cut_replies(server, show, cuts)):
        make = sessions[number]
        without, shown = pipelined(conn, [make(), make(fields[number])])
        assert without.status == 550 and shown.body == DONE and shown.cookie is None, k
        assert pipelined(conn, [request("POST", ended[number].target("KILL"), None, fields[number])])[0].status == 200
    assert first.cookie == whole.cookie
