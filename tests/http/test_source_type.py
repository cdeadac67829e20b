# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The ximssd authors
"""The type of sources, which is text/plain or, configured, message/rfc822 (protocol 2, 9.1); no other type than that depends on it."""
import http.client

import pytest
from xhttp import WebServer
from ximss import PATIENCE, wait_for

INNER = b"Subject: inner\r\n\r\ninner\r\n"
MAIL = b"Subject: outer\r\nContent-Type: multipart/digest; boundary=x\r\n\r\n--x\r\n\r\n" + INNER + b"\r\n--x--\r\n"
TEXT = ("text/plain; charset=utf-8", "inline")
MESSAGE = ("message/rfc822", "attachment")


def get(session, ref):
    conn = http.client.HTTPConnection("127.0.0.1", session.server.http_port, timeout=PATIENCE)
    conn.request("GET", session.target("MIME/in/1-" + ref))
    reply = conn.getresponse()
    body = reply.read()
    conn.close()
    assert reply.status == 200
    return (reply.headers["Content-Type"], reply.headers["Content-Disposition"].split(";")[0]), body


@pytest.mark.parametrize("setting,kind", (("", TEXT), ("source_as_message = no", TEXT), ("source_as_message = yes", MESSAGE)))
def test_type(tmp_path, setting, kind):
    with WebServer(tmp_path, http=setting) as server:
        server.deliver(MAIL)
        session = server.web_session()
        session.sync('<folderOpen id="o" folder="in" mailbox="INBOX"><field>Subject</field></folderOpen>')
        what, body = get(session, "P.txt")
        assert what == kind and body.endswith(MAIL)
        assert get(session, "01-P.txt") == (kind, b"\r\n" + INNER)
        assert get(session, "01-B/x") == (MESSAGE, INNER)
        assert get(session, "01-01-B/x")[0][0].startswith("text/plain")
        server.rewrite(http="source_as_message = yes")
        assert server.ctl("reload").returncode == 0
        wait_for(lambda: get(session, "P.txt")[0] == MESSAGE)
