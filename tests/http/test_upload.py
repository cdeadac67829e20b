# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The ximssd authors
"""Files that clients upload over HTTP (protocol 2, 9.2): sets, limits, room on the disk, and what is left after any end."""
import http.client
import os
import random
import signal

import pytest
from uploading import form, spool_of
from xhttp import WebServer, request
from ximss import PATIENCE, wait_for

FILE, SESSION, FILES, SPACE = 128 << 10, 320 << 10, 5, 2 << 20
LIMITS = "upload_file = %d\nupload_session = %d\nupload_files = %d\nupload_space = %d\n" % (FILE, SESSION, FILES, SPACE)
BLOCK = 64 << 10


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    with WebServer(tmp_path_factory.mktemp("upload"), http=LIMITS, server="log_level = problems\nworkers = 1\nkeepers = 1\n") as server:
        yield server


@pytest.fixture
def web(world):
    w = world.web_session()
    yield w
    w.kill()
    wait_for(lambda: spool_of(world)[1] == 0)


def post(web, name, body, headers=None):
    return web.server.ask("POST", web.target("UPLOAD/" + name), body, headers or {"Content-Type": "application/x-raw"})


def remove(web, name):
    return web.call('<uploadRemove id="u" uploadID="%s"/>' % name)[-1].get("errorNum")


def noise(n, seed=1):
    return random.Random(seed).randbytes(n)


def holds(world, data):
    with open(spool_of(world)[0], "rb") as f:
        return data in f.read()


def test_form(world, web):
    """200, empty; the bytes are in the spool, and gone from it when the set is removed."""
    one, other = noise(100000), noise(5000, 2)
    answer = post(web, "7f3a", *form(("fileData", "beach.jpg", one), ("note", None, b"unused" * 2000), ("x", "b.txt", other)))
    assert (answer.status, answer.body) == (200, b"")
    assert holds(world, one) and holds(world, other) and not holds(world, b"unusedunused")
    assert remove(web, "7f3b") == "578"
    assert remove(web, "7f3a") is None
    assert spool_of(world)[1] == 0 and not holds(world, one[:100])
    assert remove(web, "7f3a") == "578"


def test_raw(world, web):
    data = noise(FILE)
    assert post(web, "raw.1_-", data).status == 200
    assert holds(world, data[:BLOCK])
    assert remove(web, "raw.1_-") is None
    assert post(web, "empty", b"").status == 200
    assert remove(web, "empty") is None


@pytest.mark.parametrize("n, status", [(FILE - 1, 200), (FILE, 200), (FILE + 1, 413)])
def test_limit_of_a_file(world, web, n, status):
    assert post(web, "a", noise(n)).status == status
    assert remove(web, "a") == (None if status == 200 else "578")
    assert post(web, "a", *form(("f", "x", noise(n)))).status == status
    assert remove(web, "a") == (None if status == 200 else "578")


def test_limit_of_a_session(web):
    """Sets that no operation has used are not dropped for new ones."""
    for name in ("a", "b"):
        assert post(web, name, noise(FILE)).status == 200
    left = SESSION - 2 * FILE
    assert post(web, "c", noise(left + 1)).status == 413
    assert post(web, "c", noise(left)).status == 200
    assert post(web, "d", b"x").status == 413
    assert remove(web, "b") is None
    assert post(web, "d", b"x").status == 200


def test_number_of_files(web):
    """Repeated POSTs add to the set."""
    for n in range(FILES - 2):
        assert post(web, "same", b"%d" % n).status == 200
    assert post(web, "same", *form(*[("f", "n%d" % n, b"x") for n in range(3)])).status == 413
    assert post(web, "same", *form(*[("f", "n%d" % n, b"x") for n in range(2)])).status == 200
    assert post(web, "other", b"").status == 413
    assert remove(web, "same") is None
    assert post(web, "other", b"").status == 200


def test_a_form_with_more_of_them_than_may_ever_be(world, web):
    """Its worker refuses it: they may be empty, and nothing else bounds what a keeper that is busy would be told of them."""
    pid = world.kill("keeper 1", signal.SIGSTOP)
    try:
        answer = post(web, "many", *form(*[("f", "n%d" % n, b"") for n in range(FILES + 1)]))
    finally:
        os.kill(pid, signal.SIGCONT)
    assert answer.status == 413
    assert remove(web, "many") == "578"
    assert post(web, "many", *form(*[("f", "n%d" % n, b"") for n in range(FILES)])).status == 200


@pytest.mark.parametrize("name, status", [("a" * 64, 200), ("a" * 65, 404), ("", 404), ("a%20b", 404), ("a%2fb", 404),
                                          ("..", 200), ("%2e%2e", 200), ("a/b", 404), ("%00", 400), ("a%c3%a9", 404)])
def test_names(web, name, status):
    assert post(web, name, b"x").status == status


def test_methods_and_sessions(web):
    for method in ("GET", "HEAD", "PUT", "DELETE"):
        answer = web.server.ask(method, web.target("UPLOAD/a"))
        assert (answer.status, answer.field("Allow")) == (405, "POST, OPTIONS"), method
    stranger = web.url_id[:-1] + ("a" if web.url_id[-1] != "a" else "b")
    answer = web.server.ask("POST", "/Session/%s/UPLOAD/a" % stranger, b"x")
    assert (answer.status, answer.body) == (550, b"you have been disconnected")
    assert remove(web, "a") == "578"


@pytest.mark.parametrize("body, kind", [
    (b"--cut\r\nContent-Disposition: form-data; name=a; filename=b\r\n\r\nno end", "multipart/form-data; boundary=cut"),
    (b"no form at all", "multipart/form-data; boundary=cut"),
    (b"x", "multipart/form-data"),
    (form(("only", None, b"text"))[0], "multipart/form-data; boundary=----cut"),
    (b"--cut\r\nno head\r\n\r\n\r\n--cut--\r\n", "multipart/form-data; boundary=cut"),
    (b"--cut\r\nContent-Disposition: form-data; name=a; filename=b\r\nContent-Transfer-Encoding: base64\r\n\r\nZg==\r\n--cut--\r\n",
     "multipart/form-data; boundary=cut"),
])
def test_no_form(world, web, body, kind):
    assert post(web, "bad", body, {"Content-Type": kind}).status == 400
    assert remove(web, "bad") == "578"
    assert spool_of(world)[1] == 0


def begun(web, fields, data=b""):
    """A connection with an upload that has begun."""
    conn = web.server.web()
    conn.send(request("POST", web.target("UPLOAD/cut"), fields=fields) + data)
    return conn


@pytest.mark.parametrize("kill", ["client", "session"])
def test_the_end_in_the_middle(world, web, kill):
    """What was not complete is nowhere, and its room is free again."""
    conn = begun(web, {"Content-Length": FILE}, noise(FILE - 10))
    wait_for(lambda: spool_of(world)[1] >= BLOCK)
    if kill == "client":
        conn.close()
        wait_for(lambda: spool_of(world)[1] == 0)
        assert remove(web, "cut") == "578"
        assert post(web, "a", noise(FILE)).status == post(web, "b", noise(FILE)).status == 200
        return
    assert web.kill().status == 200
    assert conn.reply().status == 550
    wait_for(lambda: spool_of(world)[1] == 0)


def test_chunked_and_in_pieces(world, web):
    """However the bytes arrive; on a connection that goes on behind it."""
    data = noise(70000)
    body, headers = form(("f", "x", data))
    conn = begun(web, {**headers, "Transfer-Encoding": "chunked"})
    at, rnd = 0, random.Random(3)
    while at < len(body):
        piece = body[at:at + rnd.choice((1, 2, 7, 3000, 40000))]
        conn.send(b"%x\r\n%s\r\n" % (len(piece), piece))
        at += len(piece)
    conn.send(b"0\r\n\r\n")
    answer = conn.reply()
    assert (answer.status, answer.body) == (200, b"") and answer.stays
    assert conn.ask("POST", web.target("UPLOAD/cut"), b"abc").status == 200
    assert holds(world, data[:BLOCK])
    conn = begun(web, {"Transfer-Encoding": "chunked"})
    try:
        for _ in range(100):
            conn.send(b"8000\r\n" + bytes(0x8000) + b"\r\n")
    except OSError:
        pass
    assert conn.reply().status == 413


def test_expect(web):
    """Who may not upload is not asked to."""
    asked = {"Content-Length": 3, "Expect": "100-continue"}
    conn = begun(web, asked)
    assert conn.head() == (100, "Continue", [])
    conn.send(b"abc")
    assert conn.reply().status == 200
    assert begun(web, {**asked, "Content-Length": 99999999}).reply().status == 413
    web.kill()
    assert begun(web, asked).reply().status == 550


def test_another_client_agrees(world, web):
    """Python's http.client, over one connection that stays: a form, pieces, a file that is too long."""
    client = http.client.HTTPConnection("127.0.0.1", world.http_port, timeout=PATIENCE)
    data = noise(70000)
    body, headers = form(("f", "x", data))
    for body, headers, more, status in ((body, headers, {}, 200), (iter([b"abc", data]), {"Transfer-Encoding": "chunked"}, {"encode_chunked": True}, 200),
                                        (noise(FILE + 1), {}, {}, 413)):
        client.request("POST", web.target("UPLOAD/other"), body, headers, **more)
        answer = client.getresponse()
        got = answer.read()
        assert answer.status == status and (got == b"" or status != 200)
        assert not answer.will_close  # the body was read to its end
    client.close()
    assert holds(world, data[:BLOCK])
    assert remove(web, "other") is None


def test_room_of_all(world):
    """upload_space, over all sessions of the keeper: 507, and nothing of it is left."""
    server = world
    webs = [server.web_session() for _ in range(8)]
    got = [post(w, "a%d" % n, noise(FILE)).status for w in webs for n in range(2)]
    assert got == [200] * (SPACE // FILE)
    late = server.web_session()
    assert post(late, "b", noise(1)).status == 507
    assert post(late, "b", *form(("f", "x", noise(FILE)))).status == 507
    assert remove(late, "b") == "578"
    assert webs[0].kill().status == 200
    wait_for(lambda: post(late, "b", noise(FILE)).status == 200)
    assert spool_of(server)[1] <= SPACE + BLOCK
    for w in [*webs, late]:
        w.kill()
    wait_for(lambda: spool_of(server)[1] == 0)
    assert "upload_space" in server.log()


def test_life(tmp_path):
    """Forgotten when nobody has used it for upload_life; a set that grows is used."""
    with WebServer(tmp_path, http="upload_life = 60s", clock=True, server="keepers = 1\n") as server:
        web = server.web_session()
        for name in ("old", "new"):
            assert post(web, name, noise(100000)).status == 200
        server.advance(40)
        assert post(web, "new", b"more").status == 200
        server.advance(30)
        wait_for(lambda: remove(web, "old") == "578")
        assert remove(web, "new") is None
        web.kill()


LARGE = 20 << 20


def test_large_ones_cost_no_memory(tmp_path):
    """Three files of 20 MB in one form, and a keeper that goes on serving; 64 MB are the session's default."""
    with WebServer(tmp_path, server="keepers = 1\nworkers = 1\n") as server:
        web = server.web_session()
        data = noise(1 << 20) * (LARGE >> 20)
        body, headers = form(*[("f", "n%d" % n, data) for n in range(3)])
        web.call('<readTime id="t"/>')
        before, most, other = server.anonymous_memory(), 0, server.web_session()
        conn = server.web()
        conn.send(request("POST", web.target("UPLOAD/large"), fields={**headers, "Content-Length": len(body)}))
        for at in range(0, len(body), 2 << 20):
            conn.send(body[at:at + (2 << 20)])
            other.call('<readTime id="t"/>')
            most = max(most, server.anonymous_memory() - before)
        assert conn.reply().status == 200
        assert spool_of(server)[1] >= 3 * LARGE
        if not os.environ.get("XIMSSD_SANITIZED"):
            assert most < 4 << 20, most
        assert post(web, "more", noise(5 << 20)).status == 413
        assert remove(web, "large") is None
        assert spool_of(server)[1] == 0
