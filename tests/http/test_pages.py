# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The ximssd authors
"""Messages as pages over HTTP (protocol 2, 9.3). What a page may hold is judged in tests/html; here, that it is the message's, that
its references lead to the parts, and what a client gets when there is none."""
import base64
import email
import email.policy
import os
import re
import signal
import sys

import pytest
from xhttp import WebServer
from ximss import ROOT

sys.path.insert(0, os.path.join(ROOT, "tests", "html"))
from test_format import Page  # noqa: E402

OPEN = '<folderOpen id="o" folder="in box/1" mailbox="INBOX" sortField="UID"><field>FLAGS</field></folderOpen>'
FOLDER = "in%20box%2F1/"
PICTURE = b"\x89PNG\r\n\x1a\n" + bytes(range(256))
MESSAGE = b"\r\n".join([
    b"From: Ann <ann@example.org>", b"To: dora@harbor.example", b"Subject: <b>Tea</b> & cake", b"MIME-Version: 1.0",
    b"Content-Type: multipart/related; boundary=cut", b"", b"--cut", b"Content-Type: text/html; charset=utf-8", b"",
    b"<p onclick='x()'>Come at <b>four</b><script>alert(1)</script><img src='cid:pic@a'><img src='http://far.example/p.png'></p>",
    b"--cut", b"Content-Type: image/png", b"Content-ID: <pic@a>", b"Content-Disposition: inline; filename=pic.png",
    b"Content-Transfer-Encoding: base64", b"", base64.b64encode(PICTURE), b"--cut--", b""])


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    with WebServer(tmp_path_factory.mktemp("format"), http="keep_alive = 1h") as server:
        server.deliver(MESSAGE)
        server.deliver(b"Subject: plain\r\n\r\nOne < two & three\r\n")
        web = server.web_session()
        web.call(OPEN)
        yield server, web


def test_the_page_of_a_message(world):
    _, web = world
    answer = web.get("FORMAT/Samoware/" + FOLDER + "1")
    assert answer.status == 200 and answer.field("Content-Type") == "text/html; charset=utf-8"
    assert answer.field("Content-Length") == str(len(answer.body))
    assert answer.field("Content-Security-Policy").startswith("sandbox; default-src 'none'") and answer.field("X-Content-Type-Options") == "nosniff"
    assert answer.field("Cache-Control") == "private, no-store" and answer.field("Referrer-Policy") == "no-referrer"
    page = Page(re.sub(rb'/Session/[0-9]{6}-[A-Za-z0-9]{20}/MIME/in%20box%2F1/1', b"/Session/1-a/MIME/F/7", answer.body))
    assert page.header["Subject"] == "<b>Tea</b> & cake" and "Come at four" in page.text
    assert b"script" not in answer.body and b"onclick" not in answer.body and b"far.example" not in answer.body
    (picture,) = set(re.findall(rb'src="([^"]+)"', answer.body))
    part = web.get(picture.decode().split("/", 3)[3])
    assert part.status == 200 and part.body == PICTURE and part.field("Content-Type") == "image/png"


def test_any_skin_and_head(world):
    _, web = world
    answer = web.get("FORMAT/Samoware/" + FOLDER + "2")
    assert b"One &lt; two &amp; three" in answer.body
    for skin in ("x", "%C3%A9", "a%20b"):
        assert web.get("format/%s/" % skin + FOLDER + "2").body == answer.body
    head = web.get("FORMAT/x/" + FOLDER + "2", method="HEAD")
    assert (head.status, head.field("Content-Length"), head.body) == (200, str(len(answer.body)), b"")


def test_it_does_not_set_seen(world):
    _, web = world
    web.get("FORMAT/x/" + FOLDER + "2")
    rows = web.call('<folderBrowse id="b" folder="in box/1"><index from="0" till="9"/></folderBrowse>')
    assert all("Seen" not in (r.findtext("FLAGS") or "") for r in rows if r.tag == "folderReport")


@pytest.mark.parametrize("path", ("FORMAT/x/" + FOLDER + "99", "FORMAT/x/" + FOLDER + "0", "FORMAT/x/" + FOLDER + "-1", "FORMAT/x/no/1",
                                  "FORMAT/x/" + FOLDER + "1x", "FORMAT/x/" + FOLDER + "4294967296", "FORMAT/x/" + FOLDER,
                                  "FORMAT/" + FOLDER + "1", "FORMAT/x/INBOX/1", "FORMAT/x/" + FOLDER + "1/2"))
def test_what_is_not_there(world, path):
    _, web = world
    assert web.get(path).status == 404


def test_methods_and_lost_sessions(world):
    server, web = world
    assert web.get("FORMAT/x/" + FOLDER + "1", method="POST").status == 405
    gone = server.web_session()
    gone.call(OPEN.replace("in box/1", "a"))
    assert gone.get("FORMAT/x/a/1").status == 200
    gone.get("KILL")
    assert gone.get("FORMAT/x/a/1").status == 550


def test_without_a_helper_the_plain_text_is_shown(tmp_path):
    """Two alternatives: the HTML one needs a helper, and none lives long enough for it."""
    text = (b"Subject: two ways\r\nMIME-Version: 1.0\r\nContent-Type: multipart/alternative; boundary=cut\r\n\r\n--cut\r\n"
            b"Content-Type: text/plain\r\n\r\nthe plain way\r\n--cut\r\nContent-Type: text/html\r\n\r\n<p>the <b>other</b> way</p>\r\n--cut--\r\n")
    assert email.message_from_bytes(text, policy=email.policy.default).is_multipart()
    with WebServer(tmp_path) as server:
        server.deliver(text)
        web = server.web_session()
        web.call(OPEN)
        assert b"other" in web.get("FORMAT/x/" + FOLDER + "1").body
        pids = [pid for name, pid in server.children().items() if name.startswith("helper")]

        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        answer = web.get("FORMAT/x/" + FOLDER + "1")
        for pid in pids:
            try:
                os.kill(pid, signal.SIGCONT)  # those that live
            except ProcessLookupError:
                pass
        assert answer.status == 200 and b"the plain way" in answer.body and b"other" not in answer.body
