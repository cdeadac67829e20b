# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The ximssd authors
"""/XIMSSLogin/ in every form of protocol 1, 4.2 to 4.4."""
import contextlib
import http.client
import re
import sqlite3
import urllib.parse
import xml.etree.ElementTree as ET

import pytest
from settled import settle
from xhttp import Session, WebServer, basic, cram, errors, parameters, request, tags, xml_body
from ximss import wait_for

WRONG = b'<XIMSS><response errorText="incorrect password or account name" errorNum="515"/></XIMSS>'
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
DORA = {"userName": "dora@harbor.example", "password": "correct-horse"}
VECTOR = {"Authorization": "Basic ZG9yYUBoYXJib3IuZXhhbXBsZTpjb3JyZWN0LWhvcnNl"}
URL_ID = re.compile(r"[0-9]{6}-[A-Za-z0-9]{20}\Z")
LIST = '<XIMSS><listFeatures id="list" /></XIMSS>'
FREE = "[login]\nfail_delay = 0\nfail_account = 0\n"  # failures are neither late nor counted


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    accounts = {"dora": "correct-horse", "otto": "sword fish+&=%ü", "eve": "correct-horse"}
    conf = FREE + "cram = yes\n[domain second.example]\nclear_login = yes\n"
    with WebServer(tmp_path_factory.mktemp("login"), conf=conf, server="log_level = all\n", tls=True,
                   accounts=accounts) as s:
        assert s.ctl("account", "add", "zoe@second.example", "--password-stdin", stdin="correct-horse\n").returncode == 0
        yield s


def is_session(reply, name="dora@harbor.example"):
    """Rule 6 of 0.2: the session alone, without id; the element."""
    assert reply.status == 200 and reply.stays
    (session,) = reply.xml
    assert session.tag == "session" and "id" not in session.attrib
    assert session.get("userName") == name and URL_ID.match(session.get("urlID"))
    assert session.get("version") and re.match(r"[0-9a-f]{8}\Z", session.get("random"))
    return session


def get(server, query, fields=None, **more):
    return server.ask("GET", "/XIMSSLogin/?" + parameters(query), fields=fields, **more)


def post(server, form, query=None, fields=None, **more):
    body = form if isinstance(form, (str, bytes)) else parameters(form)
    target = "/XIMSSLogin/" + ("?" + parameters(query) if query else "")
    return server.ask("POST", target, body, FORM if fields is None else fields, **more)


def lives(server, session):
    base = "/Session/%s/" % session.get("urlID")
    return server.ask("POST", base + "sync", xml_body('<noop id="n"/>')).status == 200


# --- parameters (4.2, 4.3)

def test_get(server):
    session = is_session(get(server, DORA))
    assert lives(server, session)


@pytest.mark.parametrize("tls", [False, True], ids=["clear", "tls"])
def test_post_a_form(server, tls):
    is_session(post(server, DORA, tls=tls))


def test_both_give_the_same_head(server):
    """The example of 4.3."""
    reply = get(server, DORA)
    assert reply.field("content-type") == "text/xml; charset=utf-8"
    assert reply.field("cache-control") == "no-cache, no-store"
    assert reply.field("connection") == "keep-alive"
    assert reply.field("access-control-allow-origin") == "*"
    assert not reply.all("set-cookie")
    assert re.match(rb'<XIMSS><session urlID="[^"]*" userName="dora@harbor.example"', reply.body)


@pytest.mark.parametrize("path", ["/XIMSSLogin/", "/ximsslogin/", "/ximssLogin/", "/XIMSSLOGIN/", "/XIMSSLogin", "/ximsslogin"])
def test_rule_10_paths_without_regard_to_case(server, path):
    is_session(server.ask("GET", path + "?" + parameters(DORA)))


@pytest.mark.parametrize("names", [("userName", "password"), ("username", "password"), ("USERNAME", "PASSWORD"), ("uSeRnAmE", "Password")])
@pytest.mark.parametrize("how", [get, post])
def test_rule_10_names_without_regard_to_case(server, how, names):
    is_session(how(server, dict(zip(names, DORA.values()))))


def test_half_in_the_query_half_in_the_body(server):
    is_session(post(server, {"password": "correct-horse"}, {"userName": "dora@harbor.example"}))


def test_body_wins_over_query(server):
    is_session(post(server, DORA, {"password": "wrong", "username": "nobody"}))
    assert post(server, {"PASSWORD": "wrong"}, {**DORA, "errorAsXML": 1}).body == WRONG


def test_decoding(server):
    """%xx and + in queries and forms; names and passwords are UTF-8."""
    password = server.accounts["otto"]
    for how in (get, post):
        is_session(how(server, {"userName": "otto", "password": password}), "otto@harbor.example")
    text = urllib.parse.urlencode({"userName": "otto", "password": password})  # blanks as +
    assert "sword+fish%2B" in text
    is_session(post(server, text), "otto@harbor.example")
    is_session(server.ask("GET", "/XIMSSLogin/?" + text), "otto@harbor.example")


@pytest.mark.parametrize("name", ["dora", "dora@harbor.example", "DORA@Harbor.Example", "dora%harbor.example"])
def test_names_of_the_account(server, name):
    is_session(get(server, {"userName": name, "password": "correct-horse"}))


@pytest.mark.parametrize("kind", ["application/x-www-form-urlencoded", "text/xml", "application/json", "text/plain", "", None])
def test_rule_11_content_type_is_not_believed(server, kind):
    fields = {} if kind is None else {"Content-Type": kind}
    is_session(post(server, DORA, fields=fields))
    reply = server.ask("POST", "/XIMSSLogin/", LIST, fields)
    assert tags(reply.xml) == ["features", "response"]


def test_rule_11_get_with_a_body(server):
    is_session(server.ask("GET", "/XIMSSLogin/", parameters(DORA)))
    assert tags(server.ask("GET", "/XIMSSLogin/", LIST).xml) == ["features", "response"]


def test_unknown_parameters_mean_nothing(server):
    """random=, version=, x2auth= and whatever later clients send."""
    session = is_session(get(server, {**DORA, "random": "0.5431", "version": "6.2", "x2auth": 1, "canUpdatePwd": 1, "fry": "eggs", "": ""}))
    assert "x2auth" not in session.attrib and len(session) == 0 and "changePassword" not in session.attrib


@pytest.mark.parametrize("query", ["&&userName=dora&&password=correct-horse&", "userName=dora&password=correct-horse&flag",
                                   "userName=dora&password=correct-horse&userName=otto"])
def test_odd_queries(server, query):
    """Empty pieces; a name without a value; the first of two."""
    is_session(server.ask("GET", "/XIMSSLogin/?" + query))


@pytest.mark.parametrize("text", ["userName=dora&password=%", "userName=dora&password=%4", "userName=dora&password=%zz",
                                  "userName=dora&password=%ff", "userName=%c0%af&password=x", "userName=a%00b&password=x",
                                  "userName=dora&password=correct-horse&x=%ed%a0%80", "&".join("a%d=1" % i for i in range(65))])
def test_forms_that_cannot_be_decoded(server, text):
    """400, and nobody is logged in."""
    sessions = server.counters()["ximssSessionsTotal"]
    for reply in (post(server, text), server.ask("GET", "/XIMSSLogin/?" + text)):
        assert reply.status == 400 and reply.text
    assert server.counters()["ximssSessionsTotal"] == sessions


def test_another_client_agrees(server):
    """Python's http.client reads the same over one connection that stays."""
    client = http.client.HTTPConnection("127.0.0.1", server.http_port, timeout=60)
    for i in range(3):
        client.request("POST", "/XIMSSLogin/?errorAsXML=1", urllib.parse.urlencode(DORA), FORM)
        reply = client.getresponse()
        body = reply.read()
        assert reply.status == 200 and int(reply.getheader("Content-Length")) == len(body)
        (session,) = ET.fromstring(body)
        client.request("POST", "/Session/%s/sync?reqSeq=%d" % (session.get("urlID"), i), xml_body('<noop id="%d"/>' % i))
        reply = client.getresponse()
        assert reply.status == 200 and not reply.will_close
        assert reply.read() == b'<XIMSS><response id="%d"/></XIMSS>' % i
    client.close()


# --- failures (4.3)

@pytest.mark.parametrize("word", ["1", "yes", "YES", "true", "on", "2"])
def test_error_as_xml(server, word):
    for name in ("errorAsXML", "errorasxml", "ERRORASXML"):
        reply = get(server, {**DORA, "password": "oops", name: word})
        assert reply.status == 200 and reply.is_xml and reply.body == WRONG


@pytest.mark.parametrize("query", [{}, {"errorAsXML": "0"}, {"errorAsXML": "no"}, {"errorAsXML": ""}, {"errorAsXML": "perhaps"}])
def test_403_without_error_as_xml(server, query):
    """The text of the error as text/plain; what is no boolean is false (1.9)."""
    for how in (get, post):
        reply = how(server, {**DORA, "password": "oops", **query})
        assert reply.status == 403 and reply.text == "incorrect password or account name"
        assert reply.field("www-authenticate") is None


@pytest.mark.parametrize("query", [{"userName": "dora", "password": ""}, {"userName": "nobody", "password": "x"},
                                   {"userName": "dora@nowhere.example", "password": "correct-horse"},
                                   {"userName": "", "password": "correct-horse"}, {"userName": "x" * 3000, "password": "x"}])
def test_wrong_names(server, query):
    assert get(server, {**query, "errorAsXML": 1}).body == WRONG
    assert get(server, query).status == 403


@pytest.mark.parametrize("query", [{"userName": "dora"}, {"userName": ""}, {"userName": "dora", "nonce": "x"}])
def test_something_is_missing(server, query):
    assert get(server, {**query, "errorAsXML": 1}).body == \
        b'<XIMSS><response errorText="required attribute is missing" errorNum="501"/></XIMSS>'
    reply = get(server, query)
    assert reply.status == 403 and reply.text == "required attribute is missing"


def test_401(server):
    """Neither name nor Authorization; also with errorAsXML, also with an empty POST."""
    for reply in (server.ask("GET", "/XIMSSLogin/"), get(server, {"errorAsXML": 1}), get(server, {"password": "correct-horse"}),
                  post(server, ""), post(server, "errorAsXML=yes"), post(server, " \r\n\t"), get(server, {"loginAsGuest": 0})):
        assert reply.status == 401
        assert reply.field("www-authenticate").startswith('Basic realm="harbor.example"')


def test_401_realm_is_the_domain_of_the_host(server):
    """2.1: the Host name decides; an address or an unknown name: the main domain."""
    for host, realm in (("second.example", "second.example"), ("SECOND.example:8100", "second.example"),
                        ("harbor.example", "harbor.example"), ("unknown.example", "harbor.example"), ("127.0.0.1", "harbor.example"),
                        ("[::1]:80", "harbor.example")):
        conn = server.web()
        conn.send(request("GET", "/XIMSSLogin/", host="Host: %s\r\n" % host))
        reply = conn.reply()
        assert reply.status == 401 and reply.field("www-authenticate").startswith('Basic realm="%s"' % realm), host


def test_the_host_is_the_target_domain(server):
    """Names without a domain are completed with it; full names may be in any domain."""
    def ask(host, name):
        conn = server.web()
        query = parameters({"userName": name, "password": "correct-horse", "errorAsXML": 1})
        conn.send(request("GET", "/XIMSSLogin/?" + query, host="Host: %s\r\n" % host))
        return conn.reply()
    is_session(ask("second.example", "zoe"), "zoe@second.example")
    is_session(ask("second.example", "dora@harbor.example"))
    is_session(ask("harbor.example", "zoe@second.example"), "zoe@second.example")
    assert ask("harbor.example", "zoe").body == WRONG
    assert ask("second.example", "dora").body == WRONG


def test_the_host_of_one_request_says_nothing_about_the_next(server):
    conn = server.web()
    for host in ("second.example", "harbor.example", "second.example"):
        conn.send(request("POST", "/XIMSSLogin/", LIST, host="Host: %s\r\n" % host))
        assert conn.reply().xml[0].get("domain") == host


# --- Basic

def test_basic_vector(server):
    is_session(server.ask("GET", "/XIMSSLogin/", fields=VECTOR))
    is_session(server.ask("POST", "/XIMSSLogin/", "", VECTOR))
    is_session(get(server, {"errorAsXML": 1}, VECTOR))
    assert basic("dora@harbor.example", "correct-horse") == VECTOR


@pytest.mark.parametrize("scheme", ["basic", "BASIC", "bAsIc"])
def test_basic_scheme_without_regard_to_case(server, scheme):
    is_session(server.ask("GET", "/XIMSSLogin/", fields={"Authorization": VECTOR["Authorization"].replace("Basic", scheme)}))


def test_basic_with_colons_and_utf8(server):
    is_session(server.ask("GET", "/XIMSSLogin/", fields=basic("otto", server.accounts["otto"])), "otto@harbor.example")


@pytest.mark.parametrize("fields", [basic("dora", "oops"), basic("nobody", "x"), basic("", ""), {"Authorization": "Basic !!!!"},
                                    {"Authorization": "Basic ZG9yYQ=="}, basic("dora", "a" * 5000),
                                    {"Authorization": "Basic //79/w=="}])
def test_basic_wrong(server, fields):
    """401 again, so that browsers ask; with errorAsXML the error."""
    reply = server.ask("GET", "/XIMSSLogin/", fields=fields)
    assert reply.status == 401 and reply.field("www-authenticate").startswith('Basic realm="harbor.example"')
    assert get(server, {"errorAsXML": 1}, fields).body == WRONG


def test_basic_only_without_a_name(server):
    is_session(get(server, DORA, basic("nobody", "x")))
    reply = get(server, {"userName": "dora", "password": "oops"}, VECTOR)
    assert reply.status == 403


def test_other_schemes_are_no_login(server):
    assert server.ask("GET", "/XIMSSLogin/", fields={"Authorization": "Bearer abc"}).status == 401


# --- nonces (3.4)

def nonce_of(server, query="errorAsXML=1"):
    root = server.ask("POST", "/XIMSSLogin/?" + query, LIST).xml
    assert tags(root) == ["features", "response"]
    return root[0].findtext("nonce")


@pytest.mark.parametrize("padding", [True, False])
@pytest.mark.parametrize("how", [get, post])
def test_nonce(server, how, padding):
    """Rule 12; on another connection than the nonce came from, and once only."""
    nonce = nonce_of(server)
    assert re.match(r"[A-Za-z0-9.-]+\Z", nonce)
    query = {"userName": "dora@harbor.example", "nonce": nonce, "authData": cram(nonce, padding=padding), "errorAsXML": 1}
    is_session(how(server, query))
    assert how(server, query).body == WRONG


def test_nonce_vector():
    assert cram("7f0c2b91d4e65a38") == "Yzg4ODhhNDEzMWU2M2NkYzE5YTAwNjcyYWI3ODA0MDY="


def test_nonces_that_are_worth_nothing(server):
    nonce = nonce_of(server)
    for query in ({"nonce": "7f0c2b91d4e65a38", "authData": cram("7f0c2b91d4e65a38")}, {"nonce": nonce, "authData": cram(nonce, "oops")},
                  {"nonce": nonce, "authData": "AAAA"}):
        assert get(server, {"userName": "dora", **query, "errorAsXML": 1}).body == WRONG


# --- session ids (3.6)

def test_session_id(server):
    old = is_session(get(server, DORA))
    new = is_session(get(server, {"userName": "dora@harbor.example", "sessionid": old.get("urlID")}))
    assert new.get("urlID") != old.get("urlID") and lives(server, old) and lives(server, new)


@pytest.mark.parametrize("word", ["1", "yes"])
def test_session_id_kills_the_old(server, word):
    old = is_session(get(server, DORA))
    new = is_session(get(server, {"userName": "dora", "SESSIONID": old.get("urlID"), "killOld": word}))
    assert lives(server, new) and not lives(server, old)
    assert get(server, {"userName": "dora", "sessionid": old.get("urlID"), "errorAsXML": 1}).body == WRONG


def test_session_id_with_kill_old_off(server):
    old = is_session(get(server, DORA))
    is_session(get(server, {"userName": "dora", "sessionid": old.get("urlID"), "killOld": "0"}))
    assert lives(server, old)


def test_kill_old_with_a_password(server):
    """One bot sends it so; there is no old session to be found."""
    old = is_session(get(server, DORA))
    is_session(get(server, {**DORA, "killOld": 1}))
    assert lives(server, old)


def test_session_ids_of_others(server):
    old = is_session(get(server, DORA))
    for name, url_id, source in (("otto", old.get("urlID"), None), ("dora", old.get("urlID")[:-1] + "-", None), ("dora", "x", None),
                                 ("dora", old.get("urlID"), "127.0.0.2"), ("nobody", old.get("urlID"), None)):
        reply = get(server, {"userName": name, "sessionid": url_id, "killOld": 1, "errorAsXML": 1}, source=source)
        assert reply.body == WRONG, name
    assert lives(server, old)


def test_a_poll_of_the_old_session_hears_bye(server):
    old = Session(server, get(server, DORA))
    poll = old.waiting_poll(0)
    is_session(get(server, {"userName": "dora", "sessionid": old.url_id, "killOld": 1}))
    assert poll.reply().body == b'<XIMSS respSeq="1"><bye/></XIMSS>'


# --- guests, expired passwords, limits

def test_guests(server):
    for word in ("1", "yes"):
        assert get(server, {"loginAsGuest": word, "errorAsXML": 1}).body == WRONG
        assert get(server, {"loginAsGuest": word}).status == 403


@contextlib.contextmanager
def expired(server, name):
    """No program sets this flag yet."""
    server.stop()
    path = server.state_dir + "/accounts.db"
    with contextlib.closing(sqlite3.connect(path)) as db, db:
        before = db.execute("SELECT flags FROM account WHERE name = ?", (name,)).fetchone()[0]
        db.execute("UPDATE account SET flags = ? WHERE name = ?", (before | EXPIRED, name))
    server.start()
    yield


EXPIRED = 2


def test_expired_password(tmp_path):
    with WebServer(tmp_path, conf=FREE) as server, expired(server, "dora@harbor.example"):
        assert get(server, {**DORA, "errorAsXML": 1}).body == \
            b'<XIMSS><response errorText="password has expired" errorNum="516"/></XIMSS>'
        reply = get(server, DORA)
        assert reply.status == 403 and reply.text == "password has expired"
        reply = get(server, {**DORA, "canUpdatePwd": 1})
        assert is_session(reply).get("changePassword") == "1"
        session = Session(server, reply)
        root = session.sync('<readTime id="1"/><noop id="2"/><mailboxList id="3" filter="*"/>').xml
        assert errors(root) == [("1", 516), ("2", None), ("3", 516)]
        root = session.sync('<passwordModify id="4" oldPassword="correct-horse" newPassword="battery-staple"/><readTime id="5"/>').xml
        assert errors(root) == [("4", None), ("5", None)]
        assert "changePassword" not in is_session(get(server, {**DORA, "password": "battery-staple"})).attrib


def test_account_limit(tmp_path):
    """One count for TCP and HTTP together (3.9)."""
    with WebServer(tmp_path, conf="[login]\nfail_delay = 0\nfail_account = 4\n") as server:
        for _ in range(2):
            assert get(server, {**DORA, "password": "oops", "errorAsXML": 1}).body == WRONG
            assert server.client().fail('<login id="L" authData="dora" password="oops"/>')[0] == 515
        blocked = b'<XIMSS><response errorText="account is temporarily blocked" errorNum="517"/></XIMSS>'
        assert get(server, {**DORA, "errorAsXML": 1}).body == blocked
        reply = get(server, DORA)
        assert reply.status == 403 and reply.text == "account is temporarily blocked"
        assert server.client().fail('<login id="L" authData="dora" password="correct-horse"/>')[0] == 517


def test_address_limit(tmp_path):
    """Logins from a blocked address get 503, right or wrong, also over a connection from before; sessions go on."""
    conf = "[login]\nfail_delay = 0\nfail_account = 0\nfail_address = 3\n"
    with WebServer(tmp_path, conf=conf, server="client_addresses = 10.0.0.0/8\n", clock=True) as server:
        session = server.web_session()
        old = server.web()
        for i in range(3):
            assert get(server, {"userName": "name%d" % i, "password": "x", "errorAsXML": 1}).body == WRONG
        for fields in ({}, VECTOR):
            assert old.ask("GET", "/XIMSSLogin/?" + parameters(DORA), fields=fields).status == 503
        assert get(server, {**DORA, "errorAsXML": 1}).status == 503
        assert get(server, DORA, source="127.0.0.3").status == 200  # nobody else is concerned
        assert session.sync('<noop id="1"/>').body == b'<XIMSS><response id="1"/></XIMSS>'
        server.advance(301)
        is_session(get(server, DORA))


@pytest.mark.parametrize("right", [False, True], ids=["wrong", "right"])
def test_address_limit_inside_a_batch(tmp_path, right):
    """From the failure on that blocks the address, no login of the same request is tried any more, nor is a right one taken."""
    conf = "[login]\nfail_delay = 0\nfail_account = 0\nfail_address = 3\ncram = yes\n"
    with WebServer(tmp_path, conf=conf, server="client_addresses = 10.0.0.0/8\n") as server:
        wrong = ['<login id="%d" userName="name%d" nonce="7f0c2b91d4e65a38" authData="%s"/>' % (i, i, cram("7f0c2b91d4e65a38")) for i in range(100)]
        batch = wrong[:3] + ['<login id="L" authData="dora" password="correct-horse"/>'] if right else wrong
        for source in ("127.0.0.1", "127.0.0.2"):
            assert errors(before(server, "".join(batch[:2]), source=source).xml) == [("0", 515), ("1", 515)]
            assert before(server, "".join(batch), source=source).status == 503
        counted = server.counters()
        assert (counted["ximssLoginsFailed"], counted["ximssSessionsTotal"]) == (6, 0)
        assert errors(before(server, "".join(batch[:2]), source="127.0.0.3").xml) == [("0", 515), ("1", 515)]


def test_delay_of_failures(tmp_path):
    """fail_delay for the first of a connection; nobody else waits."""
    with WebServer(tmp_path, clock=True, conf="[login]\nfail_delay = 60s\nfail_delay_max = 60s\n") as server:
        conn = server.web()
        conn.send(request("GET", "/XIMSSLogin/?" + parameters({**DORA, "password": "oops", "errorAsXML": 1})))
        wait_for(lambda: server.counters()["ximssLoginsFailed"] == 1)
        is_session(get(server, DORA))
        settle(server)
        server.advance(40)
        settle(server)
        assert conn.quiet(0.1)
        server.advance(20)
        assert conn.reply().body == WRONG


def test_too_many_sessions(tmp_path):
    """520 at n + 1, over HTTP and TCP together; 503 without errorAsXML."""
    full = b'<XIMSS><response errorText="too many sessions" errorNum="520"/></XIMSS>'
    with WebServer(tmp_path, conf="[login]\nmax_sessions_per_account = 3\n", accounts={"dora": "correct-horse", "otto": "swordfish"}) as server:
        first = server.web_session()
        server.web_session()
        tcp = server.session()
        assert get(server, {**DORA, "errorAsXML": 1}).body == full
        reply = get(server, DORA)
        assert reply.status == 503 and reply.text == "too many sessions"
        is_session(get(server, {"userName": "otto", "password": "swordfish"}), "otto@harbor.example")
        assert first.kill().status == 200
        is_session(get(server, DORA))
        assert get(server, {**DORA, "errorAsXML": 1}).body == full
        tcp.call('<noop id="n"/>')


@pytest.mark.parametrize("http, conf", [("sessions = 2", ""), ("", "[login]\nmax_sessions = 2\n")])
def test_too_many_sessions_of_the_server(tmp_path, http, conf):
    with WebServer(tmp_path, http=http, conf=conf) as server:
        first = server.web_session()
        server.web_session()
        assert errors(get(server, {**DORA, "errorAsXML": 1}).xml) == [(None, 520)]
        assert get(server, DORA).status == 503
        assert first.kill().status == 200
        is_session(get(server, DORA))
        assert server.counters()["ximssHTTPSessionsActive"] == 2


# --- operations before login (4.4)

def before(server, requests, query="errorAsXML=1", **more):
    return server.ask("POST", "/XIMSSLogin/?" + query, requests if requests.startswith("<XIMSS") else xml_body(requests), **more)


@pytest.mark.parametrize("tls", [False, True], ids=["clear", "tls"])
def test_list_features(server, tls):
    """The example of 4.4: features is the first child; starttls is not offered over HTTP."""
    reply = before(server, LIST, tls=tls)
    root = reply.xml
    assert tags(root) == ["features", "response"] and root[0].get("id") == "list" == root[1].get("id")
    assert root[0].get("domain") == "harbor.example"
    found = tags(root[0])
    assert "starttls" not in found and "nonce" in found and "language" in found
    assert {"CRAM-MD5", "PLAIN"} <= {e.text for e in root[0].findall("sasl")}
    assert reply.body.endswith(b'</features><response id="list"/></XIMSS>')


def test_several_operations_in_order(server):
    root = before(server, '<noop id="a"/><listFeatures id="b"/><readStrings id="c"/><fryEggs id="d"/><mailboxList id="e"/>'
                          '<listFeatures id="f" domain="second.example"/><noop id="g" exeTime="1"/><noop/>').xml
    assert [(e.tag, e.get("id")) for e in root] == [
        ("response", "a"), ("features", "b"), ("response", "b"), ("strings", "c"), ("response", "c"), ("response", "d"),
        ("response", "e"), ("features", "f"), ("response", "f"), ("response", "g"), ("response", None)]
    assert errors(root) == [("a", None), ("b", None), ("c", None), ("d", 500), ("e", 500), ("f", None), ("g", None), (None, 501)]
    assert root[5].get("errorText") == "unknown command" and root[6].get("errorText") == "not authenticated"
    assert root[7].get("domain") == "second.example" and root[9].get("exeTime").isdigit()


def test_target_domain_lives_as_long_as_the_request(server):
    conn = server.web()
    for requests, domain in (('<listFeatures id="1" domain="second.example"/>', "second.example"), ('<listFeatures id="2"/>', "harbor.example"),
                             ('<listFeatures id="3" domain="nowhere.example"/>', "harbor.example")):
        assert conn.ask("POST", "/XIMSSLogin/", xml_body(requests)).xml[0].get("domain") == domain
    root = before(server, '<listFeatures id="1" domain="second.example"/><login id="2" authData="zoe" password="correct-horse"/>').xml
    assert root[2].get("userName") == "zoe@second.example"


@pytest.mark.parametrize("tls", [False, True], ids=["clear", "tls"])
def test_starttls_is_unknown(server, tls):
    root = before(server, '<starttls id="t"/><noop id="n"/>', tls=tls).xml
    assert errors(root) == [("t", 500), ("n", None)] and root[0].get("errorText") == "unknown command"


def test_disabled_operations(server):
    root = before(server, '<signup id="1" userName="x" password="y"/><recoverPassword id="2" userName="dora"/>').xml
    assert [e.get("errorText") for e in root] == ["auto-signup is disabled", "password recovery is disabled"]


def test_bye_ends_the_batch(server):
    assert before(server, '<noop id="1"/><bye id="2"/><noop id="3"/>').body == b'<XIMSS><response id="1"/><response id="2"/></XIMSS>'


def test_empty_batch(server):
    assert before(server, "<XIMSS></XIMSS>").body == b"<XIMSS></XIMSS>"
    assert before(server, "<XIMSS/>").body == b"<XIMSS></XIMSS>"


def test_login_in_a_batch(server):
    """As over TCP: session with the id, then the response."""
    root = before(server, '<listFeatures id="f"/><login id="L" authData="dora" password="correct-horse"/>').xml
    assert [(e.tag, e.get("id")) for e in root] == [("features", "f"), ("response", "f"), ("session", "L"), ("response", "L")]
    assert lives(server, root[2])
    root = before(server, '<login id="L" userName="dora@harbor.example" password="correct-horse"/>').xml
    assert tags(root) == ["session", "response"]
    plain = "AGRvcmFAaGFyYm9yLmV4YW1wbGUAY29ycmVjdC1ob3JzZQ=="
    assert tags(before(server, '<login id="L" method="PLAIN" authData="%s"/>' % plain).xml) == ["session", "response"]


def test_login_in_a_batch_fails(server):
    root = before(server, '<login id="L" authData="dora" password="oops"/><noop id="n"/>').xml
    assert errors(root) == [("L", 515), ("n", None)] and tags(root) == ["response"] * 2
    nonce = nonce_of(server)
    login = '<login id="L" userName="dora" nonce="%s" authData="%s"/>' % (nonce, cram(nonce))
    assert tags(before(server, login).xml) == ["session", "response"]
    assert errors(before(server, login).xml) == [("L", 515)]


@pytest.mark.parametrize("body", ["<XIMSS>", "<XIMSS><noop id=1/></XIMSS>", "<noop id='1'/>", "<!DOCTYPE a><XIMSS/>", "<XIMSS/><XIMSS/>",
                                  "<XIMSS>\xff</XIMSS>".encode("latin-1"), "<", "<?xml version='1.0' encoding='latin1'?><XIMSS/>"])
def test_400_for_what_is_no_batch(server, body):
    body = body if isinstance(body, bytes) else body.encode()
    reply = server.ask("POST", "/XIMSSLogin/", body)
    assert reply.status == 400 and reply.text


def test_white_space_and_declarations_before_the_root(server):
    for start in (b" \r\n\t", b'<?xml version="1.0" encoding="UTF-8"?>', b"\r\n", b"\xef\xbb\xbf"):
        assert tags(server.ask("POST", "/XIMSSLogin/", start + LIST.encode()).xml) == ["features", "response"], start


def test_the_root_without_regard_to_case(server):
    assert tags(server.ask("POST", "/XIMSSLogin/", '<ximss><LISTFEATURES ID="1"/></ximss>').xml) == ["features", "response"]


# --- what is remembered of it

def test_nothing_secret_in_the_log(server):
    """Not at the highest level, in no form (4.3; security 2.2)."""
    nonce = nonce_of(server)
    for query in ({**DORA, "password": "tell-nobody-1"}, {"userName": "dora", "nonce": nonce, "authData": "tell-nobody-2"},
                  {"userName": "dora", "sessionid": "100001-tellnobody3tellnobod"}):
        get(server, query)
        post(server, query)
    server.ask("GET", "/XIMSSLogin/", fields=basic("dora", "tell-nobody-4"))
    before(server, '<login id="L" authData="dora" password="tell-nobody-5"/>')
    before(server, '<login id="L" authData="dora" password="tell-nobody-6"')
    log = server.log()
    assert "login failed" in log
    for secret in ("tell-nobody", "tellnobody", "Basic "):
        assert secret not in log
