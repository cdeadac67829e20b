# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The ximssd authors
"""`sync` and the numbers of batches: protocol 1, 4.5 and 4.6 row by row; what 0.2 and part 2, 12.5 and 16, say of it.

Batches whose second run would show are used throughout: a mailbox is made once only (562).
"""
import re

import pytest
from boxes import Boxes, outcome
from xhttp import Lost, WebServer, errors, request, tags, xml_body
from ximss import wait_for

EMPTY = b"<XIMSS></XIMSS>"
SEQUENCE = (500, "XIMSS request sequence error")


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with WebServer(tmp_path_factory.mktemp("sync"), tls=True, server="workers = 2\nlog_level = all\n",
                   conf="[login]\nmax_sessions_per_account = 1000\n") as s:
        yield s


@pytest.fixture
def session(server):
    return server.web_session()


def is_out_of_order(reply):
    assert (reply.status, reply.text) == SEQUENCE
    return True


# --- 4.5

def test_example(session):
    """Data messages and responses in order, nothing else; the text of the example's responses to the byte (C23)."""
    reply = session.sync('<readTime id="1"/><noop id="2"/>', seq=1, random=1)
    assert reply.field("content-type") == "text/xml; charset=utf-8" and reply.stays
    assert [(e.tag, e.get("id")) for e in reply.xml] == [("currentTime", "1"), ("response", "1"), ("response", "2")]
    assert reply.body.endswith(b'"/><response id="1"/><response id="2"/></XIMSS>')


def test_an_empty_batch(session):
    """`<XIMSS></XIMSS>` and never an empty body."""
    assert session.sync("<XIMSS></XIMSS>", seq=1).body == EMPTY
    assert session.sync("<XIMSS/>", seq=2).body == EMPTY
    assert session.sync("<XIMSS/>").body == EMPTY
    assert session.sync("<XIMSS/>", seq=2).body == EMPTY  # the stored one


def test_requests_run_in_order(session):
    requests = "".join('<noop id="%d"/><readTime id="t%d"/>' % (i, i) for i in range(200))
    root = session.sync(requests).xml
    assert [e.get("id") for e in root if e.tag == "response"] == [f % i for i in range(200) for f in ("%d", "t%d")]


def test_errors_are_answers(session):
    root = session.sync('<fryEggs id="1"/><noop/><noop id=""/><folderClose id="2" folder="None"/><login id="3" authData="a" password="b"/>'
                        '<starttls id="4"/><listFeatures id="5"/>').xml
    assert errors(root)[:4] == [("1", 500), (None, 501), ("", None), ("2", 569)]
    assert errors(root)[4] == ("3", 501) and root[4].get("errorText") == "already authenticated"


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("word", ["sync", "SYNC", "Sync"])
def test_the_body_decides(server, session, method, word):
    reply = server.ask(method, session.target(word, reqSeq=1).replace("Session", "sESSION"), xml_body('<noop id="1"/>'))
    assert reply.body == b'<XIMSS><response id="1"/></XIMSS>'


@pytest.mark.parametrize("body", [None, "", "  ", "noop", "<noop id='1'/>", "<XIMSS>", "<XIMSS><noop></XIMSS>", "<XIMSS/>x", "<!DOCTYPE X><XIMSS/>",
                                  "<XIMSS><noop id=\"1\"/>\0</XIMSS>", "userName=dora", "<XIMSS>&x;</XIMSS>", b"<XIMSS a='\xff'/>"])
def test_400_does_not_use_up_the_number(server, session, body):
    """Not XML, or its root is not XIMSS (4.11)."""
    create = Boxes.make()
    assert outcome(session.sync(create, seq=4)) is None
    for number in (4, 5):
        reply = server.ask("POST", session.target("sync", reqSeq=number), body)
        if number == 4:  # a repeat is one whatever stands in it
            assert reply.status == 200 and outcome(reply) is None
        else:
            assert reply.status == 400 and reply.text
    assert outcome(session.sync(create, seq=5)) == 562
    assert session.sync('<noop id="1"/>', seq=6).status == 200


@pytest.mark.parametrize("requests", ['<noop id="1"/>text', 'text<noop id="1"/>', ' \r\n<noop id="1"/>\n\t', '<!-- c --><noop id="1"/>'])
def test_what_stands_between_requests(session, requests):
    reply = session.sync(requests)
    if "<!" in requests:
        assert reply.status == 400
    else:
        assert reply.body == b'<XIMSS><response id="1"/></XIMSS>'


def test_bye(server, session):
    """Its response is sent, what follows is dropped, the session is gone."""
    create = Boxes.make("1")
    reply = session.sync('<noop id="0"/><bye id="b"/>' + create, seq=1)
    assert reply.body == b'<XIMSS><response id="0"/><response id="b"/></XIMSS>' and reply.stays
    assert session.poll(0).status == 550
    assert session.sync('<noop id="1"/>', seq=2).status == 550
    assert session.sync('<noop id="1"/>').status == 550
    assert session.kill().status == 550
    assert outcome(server.web_session().sync(create)) is None


def test_bye_and_a_poll_that_waits(session):
    poll = session.waiting_poll(0)
    assert session.sync('<bye id="b"/>').body == b'<XIMSS><response id="b"/></XIMSS>'
    assert poll.reply().body == EMPTY


def test_the_reply_to_bye_is_repeated_for_60_s(tmp_path):
    with WebServer(tmp_path, clock=True) as server:
        session = server.web_session()
        session.sync("<noop id='1'/>", seq=6)
        body = session.sync('<bye id="b"/>', seq=7, syncAsync=1).body
        server.advance(30)
        for _ in range(2):
            assert session.sync('<bye id="b"/>', seq=7, syncAsync=1).body == body == b'<XIMSS><response id="b"/></XIMSS>'
        for number in (6, 8):
            assert session.sync('<bye id="b"/>', seq=number).status == 550
        assert session.sync('<bye id="b"/>').status == 550
        server.advance(31)
        assert wait_for(lambda: session.sync('<bye id="b"/>', seq=7).status == 550)
        assert server.counters()["ximssHTTPSessionsActive"] == 0


def test_the_empty_reply_to_bye_in_async_is_repeated_too(session):
    assert session.async_('<bye id="b"/>', seq=1).status == 200
    wait_for(lambda: session.poll(0).status == 550)
    assert session.async_('<bye id="b"/>', seq=1).status == 200
    assert session.async_('<bye id="b"/>', seq=2).status == 550


def test_number_in_the_root(server, session):
    """`reqSeq` there counts; that of the URL wins."""
    create = Boxes.make()
    body = '<XIMSS reqSeq="7">%s</XIMSS>' % create
    assert [outcome(session.post("sync", body)) for _ in range(2)] == [None, None]
    assert is_out_of_order(session.post("sync", '<XIMSS reqSeq="6"/>'))
    assert session.post("sync", '<XIMSS reqSeq="6"/>', reqSeq=8).body == EMPTY
    assert is_out_of_order(session.post("sync", '<XIMSS reqSeq="9"/>', reqSeq=7))
    assert outcome(session.post("sync", '<XIMSS REQSEQ="9">%s</XIMSS>' % create)) == 562


# --- syncAsync

def open_inbox(session, folder="INBOX-MM-1", **more):
    root = session.sync('<folderOpen id="o" mailbox="INBOX" folder="%s" sortField="INTERNALDATE" sortOrder="desc">'
                        '<field>Subject</field></folderOpen>' % folder, **more).xml
    assert root[0].get("mode") == "init" and errors(root) == [("o", None)]


def deliver(server):
    server.deliver("From: ann@example.org\r\nSubject: hello\r\n\r\nbody\r\n")


NOTIFY = b'<folderReport folder="INBOX-MM-1" mode="notify"/>'


@pytest.fixture
def notified(server, session):
    """A session that has something to hear of."""
    open_inbox(session)
    deliver(server)
    return session


@pytest.mark.parametrize("word", ["1", "yes", "true"])
def test_sync_async(notified, word):
    """What was pending comes first (4.5), counts as delivered, and is in the stored reply."""
    reply = notified.sync('<noop id="1"/>', seq=1, syncAsync=word)
    assert reply.body == b"<XIMSS>" + NOTIFY + b'<response id="1"/></XIMSS>'
    assert notified.sync('<noop id="1"/>', seq=1, syncAsync=word).body == reply.body
    assert notified.sync('<noop id="2"/>', seq=2, syncAsync=word).body == b'<XIMSS><response id="2"/></XIMSS>'
    assert notified.poll(0).body == EMPTY


def test_c25_no_async_without_being_asked(notified):
    """And nothing is lost by that: the poll has it. C1: the very bytes."""
    for more in ({}, {"syncAsync": 0}, {"syncAsync": "no"}, {"seq": 1}):
        assert notified.sync('<noop id="1"/>', **more).body == b'<XIMSS><response id="1"/></XIMSS>'
    assert notified.poll(0).body == b'<XIMSS respSeq="1">' + NOTIFY + b"</XIMSS>"


def test_sync_async_leaves_a_batch_with_its_poll(server, notified):
    """One that is handed out and not yet acknowledged stays there (4.5)."""
    first = notified.poll(0).body
    notified.sync('<folderSync id="s" folder="INBOX-MM-1"/>')
    assert notified.sync("<XIMSS/>", syncAsync=1).body == EMPTY
    assert notified.poll(0).body == first
    deliver(server)
    assert notified.sync("<XIMSS/>", syncAsync=1).body == b"<XIMSS>" + NOTIFY + b"</XIMSS>"
    assert notified.poll(0).body == first
    assert notified.poll(1).body == EMPTY


def test_sync_async_brings_the_answers_of_async(session):
    session.async_('<noop id="a"/>', seq=1)
    assert session.sync('<noop id="b"/>', seq=2, syncAsync=1).body == b'<XIMSS><response id="a"/><response id="b"/></XIMSS>'
    session.async_('<noop id="c"/>', seq=3)
    assert session.sync('<noop id="d"/>', seq=4).body == b'<XIMSS><response id="d"/></XIMSS>'
    assert session.poll(0).body == b'<XIMSS respSeq="1"><response id="c"/></XIMSS>'


def test_sync_async_with_bye(notified):
    assert notified.sync('<bye id="b"/>', seq=1, syncAsync=1).body == b"<XIMSS>" + NOTIFY + b'<response id="b"/></XIMSS>'


def test_a_notify_of_the_own_batch_follows_its_response(session):
    """Part 2, 12.5, 2."""
    open_inbox(session)
    reply = session.sync('<messageAppend id="1" targetMailbox="INBOX"><EMail><Subject>x</Subject><MIME type="text" subtype="plain">y</MIME></EMail>'
                         '</messageAppend><noop id="2"/>', syncAsync=1)
    found = tags(reply.xml)
    assert found[:2] == ["response"] * 2 and found[2:] in ([], ["folderReport"])


# --- 4.6

@pytest.mark.parametrize("first", [0, 1, 17, 9223372036854775806])
def test_first_number(session, first):
    create = Boxes.make()
    assert [outcome(session.sync(create, seq=first)) for _ in range(3)] == [None] * 3
    assert outcome(session.sync(create, seq=first + 1)) == 562


def test_row_absent(session):
    """Run, nothing stored, `last` unchanged (C22)."""
    create = Boxes.make()
    assert [outcome(session.sync(create)) for _ in range(2)] == [None, 562]
    other = Boxes.make()
    assert outcome(session.sync(other, seq=1)) is None
    assert session.sync('<noop id="n"/>').status == 200
    assert outcome(session.sync(other, seq=1)) is None
    assert session.sync('<noop id="n"/>', seq=2).status == 200


def test_row_greater_than_the_next(server, session):
    create = Boxes.make()
    session.sync("<XIMSS/>", seq=1)
    for number in (3, 1003):
        since = len(server.log())
        assert session.sync("<XIMSS/>", seq=number).status == 200
        wait_for(lambda s=since, n=number: re.search(r" 3 XIMSS-%s\(dora@harbor.example\) .*%d" % (session.url_id[:6], n), server.log()[s:]))
    assert outcome(session.sync(create, seq=1004)) is None
    assert is_out_of_order(session.sync(create, seq=1003))


@pytest.mark.parametrize("number", ["4", "0", "-1", "x", "5x", "", "1.5", "0x6", "18446744073709551617", "9223372036854775808"])
def test_row_less_or_no_number(session, number):
    """500; nothing is run, the session lives on."""
    create = Boxes.make()
    session.sync("<XIMSS/>", seq=5)
    assert is_out_of_order(session.sync(create, seq=number))
    assert is_out_of_order(session.async_(create, seq=number))
    assert outcome(session.sync(create, seq=6)) is None


@pytest.mark.parametrize("number", ["07", "%207", "7%20", "+7"])
def test_spellings_of_a_number(server, session, number):
    """Blanks around it are nobody's fault; leading zeros are decimal."""
    create = Boxes.make()
    target = session.base + "sync?reqSeq=%s&random=3" % number
    assert outcome(server.ask("POST", target, xml_body(create))) is None
    assert outcome(server.ask("POST", target, xml_body(create))) is None
    assert is_out_of_order(session.sync(create, seq=6))


def test_parameter_names_without_regard_to_case(server, session):
    create = Boxes.make()
    for name in ("reqSeq", "REQSEQ", "reqseq"):
        assert outcome(server.ask("POST", session.base + "sync?%s=3" % name, xml_body(create))) is None


def test_one_number_space_for_sync_and_async(session):
    create = Boxes.make()
    assert session.async_(create, seq=1).body == b""
    assert is_out_of_order(session.sync(create, seq=0))
    assert outcome(session.sync(create, seq=2)) == 562
    assert is_out_of_order(session.async_(create, seq=1))
    assert session.async_(create, seq=3).status == 200


def test_row_still_running(server):
    """A long batch is asked for again while it runs: run once, the later connection has the reply, the older none."""
    session = server.web_session()
    slow = Boxes.make("m") + "".join('<noop id="%d"/>' % i for i in range(20000))
    older, newer = server.web(), server.web()
    older.send(request("POST", session.target("sync", reqSeq=1), xml_body(slow)))
    newer.send(request("POST", session.target("sync", reqSeq=1), xml_body(slow)))
    replies = []
    for conn in (older, newer):
        try:
            replies.append(conn.reply())
        except Lost:
            replies.append(None)
    done = [r for r in replies if r is not None and r.status == 200]
    assert done and all(outcome(r) is None and len(r.xml) == 20001 for r in done)
    assert outcome(session.sync(slow, seq=1)) is None


def test_numbers_of_two_sessions_have_nothing_to_do_with_each_other(server):
    one, two = server.web_session(), server.web_session()
    create = Boxes.make()
    assert outcome(one.sync(create, seq=1)) is None
    assert outcome(two.sync(create, seq=1)) == 562
    assert outcome(one.sync(create, seq=1)) is None


# --- exactly once, whatever is lost on the way (4.6)

def test_the_reply_is_cut_at_every_byte(server, session):
    """Each number's reply breaks off after k bytes, for every k; asked for again on another connection, it is all there, and
    the batch has run once."""
    number = 0
    whole = None
    k = 0
    while whole is None or k < whole:
        number += 1
        body = xml_body(Boxes.make("%06d" % number))
        conn = server.web()
        conn.send(request("POST", session.target("sync", reqSeq=number), body))
        got = b""
        while len(got) < k and (piece := conn.sock.recv(k - len(got))):
            got += piece
        assert len(got) == k
        conn.cut()
        again = server.web()
        again.send(request("POST", session.target("sync", reqSeq=number), body))
        reply = again.reply()
        assert reply.status == 200 and errors(reply.xml) == [("%06d" % number, None)], k
        if whole is None:
            conn = server.web()
            conn.send(request("POST", session.target("sync", reqSeq=number), body, {"Connection": "close"}))
            whole = len(everything(conn))
        again.close()
        k += 1
    assert whole > 200


def everything(conn):
    data = b""
    while True:
        got = conn.sock.recv(65536)
        if not got:
            return data
        data += got


def test_the_request_is_cut_at_every_byte(server, session):
    """Nothing runs that has not come as a whole."""
    create = Boxes.make("1")
    data = request("POST", session.target("sync", reqSeq=1), xml_body(create))
    for k in range(len(data)):
        conn = server.web()
        conn.send(data[:k])
        conn.cut()
    assert outcome(session.sync(create, seq=1)) is None
    assert outcome(session.sync(create, seq=2)) == 562


@pytest.mark.parametrize("tls", [False, True], ids=["clear", "tls"])
def test_every_request_through_another_worker(server, session, tls):
    """Two connections in two workers take turns."""
    conns = server.web_on_each(tls)
    for number in range(1, 30):
        create = Boxes.make()
        assert outcome(session.sync(create, number, conns[number % 2])) is None
        assert outcome(session.sync(create, number, conns[(number + 1) % 2])) is None
        assert is_out_of_order(session.sync(create, number - 1, conns[number % 2])) if number > 1 else True
        assert outcome(session.sync(create, conn=conns[number % 2])) == 562
    assert session.sync('<bye id="b"/>', 30, conns[0]).status == 200
    assert session.sync('<bye id="b"/>', 30, conns[1]).body == b'<XIMSS><response id="b"/></XIMSS>'
    assert session.sync('<bye id="b"/>', 31, conns[1]).status == 550


# --- 550

def test_rule_8_dead_session_is_550(server, session):
    """For everything that is asked of it (4.11), and for ids that never were."""
    url_id = session.url_id
    assert session.kill().status == 200
    wrong = [url_id[:-1] + ("a" if url_id[-1] != "a" else "b"), "999999-" + url_id[7:], "100001-aaaaaaaaaaaaaaaaaaaa", "x", "0", "-", "..a",
             url_id + "x", url_id[:-1], url_id.replace("-", ""), "%ff", url_id.swapcase(), "a" * 3000, url_id[:7] + "%2e" * 20, "%00"]
    conn = server.web()
    for ident in (url_id, *wrong):
        base = "/Session/%s/" % ident
        for method, target in (("POST", base + "sync?reqSeq=1"), ("POST", base + "async?reqSeq=1"), ("GET", base + "?ackSeq=0&maxWait=20"),
                               ("GET", base + "get?ackSeq=0"), ("POST", base + "KILL"), ("GET", base + "KILL"), ("POST", base + "sync?reqSeq=x")):
            reply = conn.ask(method, target, '<XIMSS><noop id="1"/></XIMSS>' if method == "POST" else None)
            assert reply.status == (400 if ident in ("%ff", "%00") else 550) and (reply.stays or reply.status == 400), (ident, target)
            if not reply.stays:
                conn = server.web()


# --- limits

@pytest.mark.parametrize("requests", [2, 5])
def test_batches_that_wait(tmp_path, requests):
    """Up to [limits] requests of them, with the one that runs; one more is 503, not run, and can come again."""
    with WebServer(tmp_path, conf="[limits]\nrequests = %d\n" % requests, server="workers = 1\nkeepers = 1\n") as server:
        session = server.web_session()
        session.sync("".join('<mailboxCreate id="%d" mailbox="M%d"/>' % (i, i) for i in range(40)))
        slow = "".join('<mailboxList id="%d" filter="*"/>' % i for i in range(1500))
        first, *conns = (server.web() for _ in range(requests + 1))
        with server.stopped("keeper 1"):  # so that it has all of them before it has answered any
            server.send_and_see(first, request("POST", session.target("sync"), xml_body(slow)))
            for i, conn in enumerate(conns):
                create = '<mailboxCreate id="%d" mailbox="N%d"/>' % (i, i)
                server.send_and_see(conn, request("POST", session.target("sync"), xml_body(create)))
            assert server.ask("GET", "/nowhere").status == 404  # in a later round: what was read is on its way
        replies = [conn.reply() for conn in conns]
        late = [i for i, reply in enumerate(replies) if reply.status == 503]
        assert len(late) == 1, replies
        assert all(errors(r.xml) == [(str(i), None)] for i, r in enumerate(replies) if i not in late)
        assert first.reply().body.count(b"<response ") == 1500
        assert errors(session.sync('<mailboxCreate id="late" mailbox="N%d"/>' % late[0]).xml) == [("late", None)]


KEPT = 65536


@pytest.mark.parametrize("size", [KEPT - 1, KEPT, KEPT + 1])
def test_reply_kept(tmp_path, size):
    """Longer replies are delivered, but cannot be repeated: 550, and the session ends (4.6)."""
    with WebServer(tmp_path, http="reply_kept = 64k") as server:
        session = server.web_session()
        one = 100 + len('<response id=""/>')
        count, rest = divmod(size - len("<XIMSS></XIMSS>"), one)
        ids = ["%0100d" % i for i in range(count - 1)] + ["z" * (100 + rest)]
        requests = "".join('<noop id="%s"/>' % i for i in ids)
        reply = session.sync(requests, seq=1)
        assert reply.status == 200 and len(reply.body) == size
        poll = session.waiting_poll(0)
        again = session.sync(requests, seq=1)
        if size <= KEPT:
            assert again.body == reply.body
            assert session.sync('<noop id="1"/>', seq=2).status == 200
        else:
            assert again.status == 550
            assert poll.reply().body == b'<XIMSS respSeq="1"><bye/></XIMSS>'
            assert session.sync('<noop id="1"/>', seq=2).status == 550


def test_body_length(tmp_path):
    """[limits] message, to the byte; 413 over it."""
    with WebServer(tmp_path, conf="[limits]\nmessage = 64k\n") as server:
        session = server.web_session()
        for size, status in ((65535, 200), (65536, 200), (65537, 413)):
            body = '<XIMSS><noop id="1"/>' + " " * (size - 29) + "</XIMSS>"
            assert len(body) == size
            conn = server.web()
            conn.send(request("POST", session.target("sync"), None, {"Content-Length": size, "Expect": "100-continue"}))
            first = conn.head()[0] if status == 200 else conn.reply().status
            assert first == (100 if status == 200 else 413)
            if status == 200:
                conn.send(body)
                assert conn.reply().body == b'<XIMSS><response id="1"/></XIMSS>'
            else:
                assert conn.closed()
