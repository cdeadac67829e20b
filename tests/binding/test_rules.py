# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The ximssd authors
"""The rules that break real clients when violated, by their numbers: protocol 1, 0.2, and protocol 2, 16, as far as they are
about HTTP. lib/xhttp.py holds every reply of every test against most of them; here each is looked at with nothing of it."""
import re
import socket

import pytest
from xhttp import WebServer, parameters, request, xml_body
from ximss import PATIENCE

LOGIN = "/XIMSSLogin/?" + parameters({"userName": "dora", "password": "correct-horse", "errorAsXML": 1})


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with WebServer(tmp_path_factory.mktemp("rules"), conf="[login]\nfail_delay = 0\n") as s:
        yield s


def bytes_of(server, *requests):
    """All bytes of the replies."""
    with socket.create_connection(("127.0.0.1", server.http_port), PATIENCE) as s:
        s.sendall(b"".join(requests))
        s.shutdown(socket.SHUT_WR)
        data = b""
        while piece := s.recv(65536):
            data += piece
    return data


def post(session, requests, what="sync", **query):
    return request("POST", session.target(what, **query), xml_body(requests))


@pytest.fixture
def session(server):
    session = server.web_session()
    server.deliver("From: ann@example.org\r\nSubject: one\r\n\r\nbody\r\n")
    session.sync('<folderOpen id="o" mailbox="INBOX" folder="INBOX-MM-1"><field>Subject</field><field>FLAGS</field></folderOpen>')
    return session


@pytest.fixture
def everything(server, session):
    """Bodies of many kinds."""
    server.deliver("From: ann@example.org\r\nSubject: two\r\n\r\nbody\r\n")
    data = bytes_of(server, request("GET", LOGIN), request("POST", "/XIMSSLogin/", '<XIMSS><listFeatures id="f"/><readStrings id="g"/></XIMSS>'),
                    request("GET", LOGIN.replace("correct", "wrong")),
                    post(session, '<noop id="1"/><readTime id="2"/><fryEggs id="3"/><mailboxList id="4" filter="*"/>'
                                  '<folderBrowse id="5" folder="INBOX-MM-1"><index from="0" till="99"/></folderBrowse>'),
                    post(session, ""), request("GET", session.target(ackSeq=0)), request("GET", session.target(ackSeq=1)))
    found = re.findall(rb"\r\n\r\n(<[^\0]*?</XIMSS>)(?=HTTP/|\Z)", data)
    assert len(found) == 7 and data.count(b"HTTP/1.1 200 OK\r\n") == 7
    return found


def test_rule_2_no_declaration(everything):
    for body in everything:
        assert b"<?" not in body and b"<!" not in body


def test_rule_3_no_white_space_between_elements(everything):
    for body in everything:
        assert not re.search(rb">[ \t\r\n]+<", body)


def test_rule_4_attributes(everything):
    """Double quotes, `/>` without a blank, id first."""
    for body in everything:
        for tag in re.findall(rb"<[^/][^>]*>", body):
            assert b"'" not in re.sub(rb'"[^"]*"', b"", tag) and not re.search(rb"\s/?>\Z", tag)
            assert b" id=" not in tag or re.match(rb"<\w+ id=", tag)


def test_rule_5_data_before_the_response_and_async_without_id(server, session):
    server.deliver("From: ann@example.org\r\nSubject: two\r\n\r\nbody\r\n")
    data = bytes_of(server, post(session, '<readTime id="a"/><readTime id="b"/>', syncAsync=1))
    assert [t for t in re.findall(rb"<(\w+) (?:id=\"(\w)\")?", data.partition(b"<XIMSS>")[2])] == [
        (b"folderReport", b""), (b"currentTime", b"a"), (b"response", b"a"), (b"currentTime", b"b"), (b"response", b"b")]


def test_rule_6_login_reply(server):
    data = bytes_of(server, request("GET", LOGIN))
    body = data.partition(b"\r\n\r\n")[2]
    assert re.match(rb'<XIMSS><session [^<>]*/></XIMSS>\Z', body) and b" id=" not in body and b"response" not in body


def test_rule_8_dead_session_is_550(server, session):
    session.kill()
    data = bytes_of(server, post(session, "", reqSeq=1), request("GET", session.target(ackSeq=0)), post(session, "", "async"))
    assert data.count(b"HTTP/1.1 550 you have been disconnected\r\n") == 3 == data.count(b"HTTP/1.1 ")
    assert not re.search(rb"\r\n\r\n<", data)


def test_rule_9_heads(server, session):
    data = bytes_of(server, request("GET", LOGIN), post(session, '<noop id="1"/>'), request("GET", session.target(ackSeq=0)))
    heads = re.findall(rb"HTTP/1\.1 200 OK\r\n.*?\r\n\r\n", data, re.S)
    assert len(heads) == 3
    for head in heads:
        assert re.search(rb"\r\nContent-Type: text/xml", head) and re.search(rb"\r\nContent-Length: [0-9]+\r\n", head)
        assert b"\r\nConnection: keep-alive\r\n" in head and b"chunked" not in head.lower()


@pytest.mark.parametrize("path", ["/XIMSSLogin/", "/ximsslogin/", "/ximssLogin/"])
@pytest.mark.parametrize("name", ["userName", "username"])
def test_rule_10_case(server, path, name):
    assert b"<session " in bytes_of(server, request("GET", path + "?%s=dora&password=correct-horse" % name))


@pytest.mark.parametrize("kind", ["text/xml", "application/xml", "application/json", "", None])
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_rule_11_the_body_decides(server, session, method, kind):
    fields = {} if kind is None else {"Content-Type": kind}
    data = bytes_of(server, request(method, session.target("sync"), xml_body('<noop id="1"/>'), fields))
    assert data.endswith(b'\r\n\r\n<XIMSS><response id="1"/></XIMSS>')


# Rule 12 is test_login.py's: test_nonce.

def test_c1_notify_in_the_poll(server, session):
    server.deliver("From: ann@example.org\r\nSubject: two\r\n\r\nbody\r\n")
    assert b'<folderReport folder="INBOX-MM-1" mode="notify"/>' in bytes_of(server, request("GET", session.target(ackSeq=0)))


def test_c22_without_numbers(server, session):
    """Over and over, between numbered ones."""
    data = bytes_of(server, *(post(session, '<noop id="%d"/>' % i, **({"reqSeq": i} if i % 3 == 0 else {})) for i in range(12)))
    assert re.findall(rb'<response id="(\d+)"/>', data) == [b"%d" % i for i in range(12)]


def test_c23_success(server, session):
    assert bytes_of(server, post(session, '<noop id="17"/>')).endswith(b'<XIMSS><response id="17"/></XIMSS>')


def test_c24_the_answer_starts_with_ximss(everything):
    for body in everything:
        assert body.startswith((b"<XIMSS>", b"<XIMSS respSeq=")) and b"\n" not in body


def test_c25_nothing_asynchronous_in_sync(server, session):
    """Each folderReport there answers a request of that body."""
    for i in range(3):
        server.deliver("From: ann@example.org\r\nSubject: more\r\n\r\nbody\r\n")
        data = bytes_of(server, post(session, '<folderSync id="s%d" folder="INBOX-MM-1"/>' % i))
        reports = re.findall(rb"<folderReport [^>]*>", data)
        assert reports and all(b'id="s%d"' % i in r and b"UID=" in r for r in reports)
    server.deliver("From: ann@example.org\r\nSubject: more\r\n\r\nbody\r\n")
    assert b"folderReport" not in bytes_of(server, post(session, '<noop id="1"/>'))
