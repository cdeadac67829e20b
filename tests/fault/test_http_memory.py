# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The ximssd authors
"""Each allocation of a keeper or a worker over a request of HTTP fails in its turn: the request is answered, or its connection ends."""
import contextlib

import pytest
from faults import LONG, SANITIZED, FaultServer, note
from xhttp import Lost, Session, WebServer, errors, request, xml_body
from ximss import wait_for

STEP = 1 if LONG else 7
MOST = 1000  # far more than one request makes
ANSWERS = {200, 404, 413, 500, 503, 507, 550}
MESSAGE = ("Subject: x\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=c\r\n\r\n--c\r\nContent-Type: text/html\r\n\r\n"
           "<p>hello</p>\r\n--c\r\nContent-Type: image/png\r\nContent-Transfer-Encoding: base64\r\n\r\nYWJjZGVm\r\n--c--\r\n")
REQUESTS = xml_body('<mailboxList id="1" filter="*"/><mailboxCreate id="2" mailbox="new"/><folderBrowse id="3" folder="f">'
                    '<index from="0" till="9"/></folderBrowse>')
LOGIN = b"GET /XIMSSLogin/?errorAsXML=1&userName=dora&password=correct-horse HTTP/1.1\r\nHost: x\r\n\r\n"
KINDS = {
    "sync": lambda s: request("POST", s.target("sync", reqSeq=7), REQUESTS),
    "async": lambda s: request("POST", s.target("async", reqSeq=7), REQUESTS),
    "poll": lambda s: request("GET", s.target(ackSeq=0)),
    "part": lambda s: request("GET", s.target("MIME/f/1-02-B/x")),
    "page": lambda s: request("GET", s.target("FORMAT/x/f/1")),
    "upload": lambda s: request("POST", s.target("UPLOAD/u"), b"y" * 70000),
    "kill": lambda s: request("POST", s.target("KILL"), b""),
    "form": lambda s: request("POST", s.target("UPLOAD/u"), b'--c\r\nContent-Disposition: form-data; name="f"; filename="x"\r\n\r\n' +
                              b"y" * 70000 + b"\r\n--c--\r\n", {"Content-Type": "multipart/form-data; boundary=c"}),
    "login": lambda s: LOGIN,
    "before": lambda s: request("POST", "/XIMSSLogin/", xml_body('<listFeatures id="1"/><login id="2" authData="dora" password="correct-horse"/>')),
}


class WebFaultServer(FaultServer, WebServer):
    pass


def session_with_a_folder(server):
    """It may take a while after the fault before."""
    def attempt():
        server.hurry()
        with contextlib.suppress(Lost, OSError):
            reply = WebServer.login(server)
            if reply.status == 200 and reply.xml[0].tag == "session":
                s = Session(server, reply)
                opened = s.sync('<folderOpen id="o" folder="f" mailbox="INBOX"><field>Subject</field></folderOpen>', seq=1)
                return s if opened.status == 200 and s.async_('<noop id="n"/>', seq=2).status == 200 else None
        return None
    return wait_for(attempt, 60)


def outcome(server, session, kind):
    """What is heard of the request; a hang is an error."""
    try:
        conn = server.web()
        conn.send(KINDS[kind](session))
        status, _, _ = conn.head()
        conn.close()
    except TimeoutError:
        raise AssertionError("%s: no answer, %s\n%s" % (kind, server.faults.disarm(), server.log()[-3000:])) from None
    except (Lost, OSError):
        return "closed"
    assert status in ANSWERS, (kind, status)
    return "ok" if status == 200 else str(status)


@pytest.mark.skipif(SANITIZED, reason="a sanitizer has an allocator of its own, which never fails")
@pytest.mark.parametrize("role", ["keeper", "worker"])
def test_requests(tmp_path, role):
    with WebFaultServer(tmp_path, {"dora": "correct-horse"}, server="workers = 1\nkeepers = 1\nhelpers = 1\n",
                        conf="[login]\nmax_sessions_per_account = 10000\n") as server:
        server.deliver(MESSAGE)
        told, allocations = {}, 0
        for kind in KINDS:
            for nth in range(1, MOST, STEP):
                session = session_with_a_folder(server)
                server.faults.arm("malloc", error="ENOMEM", role=role, nth=nth)
                said = outcome(server, session, kind)
                if not server.faults.disarm().fired:
                    break
                told[said] = told.get(said, 0) + 1
            assert 1 < nth < MOST - STEP or kind == "poll", (kind, nth)
            allocations += nth - 1
        note("requests over HTTP without memory in the %s" % role, allocations=allocations, told=told)
        assert "ended by signal" not in server.log(), server.log()[-3000:]
        assert session_with_a_folder(server).sync("<XIMSS/>").status == 200


@pytest.mark.skipif(SANITIZED, reason="a sanitizer has an allocator of its own, which never fails")
def test_handover(tmp_path):
    """At an upgrade: a session goes on as if nothing had been, or it ends."""
    told = {}
    with WebFaultServer(tmp_path, {"dora": "correct-horse"}, server="workers = 1\nkeepers = 1\nhelpers = 1\n",
                        conf="[login]\nmax_sessions_per_account = 10000\n") as server:
        server.deliver(MESSAGE)
        for count, nth in enumerate(range(1, 400, 3 if LONG else 100), 1):
            sessions = [session_with_a_folder(server) for _ in range(3)]
            server.ctl("upgrade")
            wait_for(lambda n=count: server.log().count("upgrade: keepers are exchanged") == n, 60, 0.001)
            server.faults.arm("malloc", error="ENOMEM", role="keeper", nth=nth)
            wait_for(lambda n=count: server.log().count("upgrade: old workers are drained") == n, 60)
            server.faults.disarm()
            for s in sessions:
                said = s.sync('<folderSync id="s" folder="f"/>', seq=3)
                assert said.status in (200, 550), said
                assert said.status == 550 or errors(said.xml) == [("s", None)], said.body
                told[said.status] = told.get(said.status, 0) + 1
            wait_for(lambda n=count: server.log().count("upgrade: done") == n, 60)
            server.age()
        note("sessions over HTTP handed over without memory", told=told)
        assert told.get(200, 0) > 0 and "ended by signal" not in server.log(), server.log()[-3000:]
