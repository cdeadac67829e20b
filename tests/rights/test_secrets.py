# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The ximssd authors
"""A second after a login its password is in the memory of no process of the server, whichever way it came; nor is it
in the log at its highest level (design 9.4; security 2.2, "Password secrets in memory")."""
import base64
import importlib.util
import os
import re
import time
import xml.etree.ElementTree as ET

import pytest
from settled import settle
from ximss import Server

MARK = "Zq7wk"  # every password begins with it
ODD = MARK + "a&b<c>\"d'é"
FIRST = MARK + "-the-first"

pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root to read the memory of other processes"),
    pytest.mark.skipif("XIMSSD_SANITIZED" in os.environ, reason="the address sanitizer keeps what was freed as it was"),
]


def scram_client():
    """The client of tests/login, which is written from the RFCs."""
    path = os.path.join(os.path.dirname(__file__), "..", "login", "test_sasl.py")
    spec = importlib.util.spec_from_file_location("sasl_client", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def forms():
    """The mark as it travels: as it is, and in base64 at each of the three places of a group."""
    found = {MARK.encode()}
    for before in range(3):
        text = base64.b64encode(b"\0" * before + MARK.encode() + b"\0" * 3)
        found.add(text[-(-before * 4 // 3):(before + len(MARK)) * 4 // 3])
    return sorted(found)


def regions(pid):
    """What a process can write, and what has no file behind it: (what, begin, end)."""
    with open("/proc/%d/maps" % pid) as f:
        for line in f:
            span, mode, _, _, inode, *name = line.split(None, 5)
            if mode[0] == "r" and (mode[1] == "w" or inode == "0") and not (name and name[0].startswith("[v")):
                begin, end = (int(x, 16) for x in span.split("-"))
                yield name[0].strip() if name else "anonymous", begin, end


def search(pid, needles):
    """Where in the memory of a process: [(what, bytes around it)]."""
    hits = []
    with open("/proc/%d/mem" % pid, "rb", 0) as memory:
        for what, begin, end in regions(pid):
            memory.seek(begin)
            try:
                data = memory.read(end - begin)
            except OSError:
                continue  # a mapping of a file that is gone
            for needle in needles:
                hits += [(what, data[max(0, m.start() - 60):m.end() + 60]) for m in re.finditer(re.escape(needle), data)]
    return hits


def everywhere(server, needles):
    found = {}
    for name, pid in {"master": server.process.pid, **server.children()}.items():
        hits = search(pid, needles)
        if hits:
            found[name] = hits
    return found


def b64(text):
    return base64.b64encode(text.encode()).decode()


def element(tag, **attributes):
    return ET.tostring(ET.Element(tag, attributes), encoding="unicode")


def finish(client, ident):
    messages, response = client.until_response(ident)
    assert response.get("errorNum") is None, ET.tostring(response)
    return messages


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    names = ["clear", "tls", "starttls", "odd", "split", "long", "plain", "step", "login", "scram", "change", "behind", "offline"]
    with Server(tmp_path_factory.mktemp("secrets"), tls=True, accounts={n: ODD if n == "odd" else MARK + "-" + n for n in names},
                server="workers = 1\nkeepers = 1\nhelpers = 1\nhashers = 1\nlog_level = all\n",
                conf="[login]\nfail_account = 0\nfail_delay = 1ms\n") as s:
        yield s


# --- ways of a password. Each returns the client, which stays connected.

def clear(server):
    return server.session("clear")


def tls(server):
    return server.session("tls", tls=True)


def starttls(server):
    c = server.client()
    c.call('<starttls id="t"/>')
    c.start_tls(server.tls_context())
    c.login("starttls", server.accounts["starttls"])
    return c


def odd(server):
    """References in the value: the parser makes copies."""
    return server.session("odd")


def processed(server):
    """The one worker has read everything that was sent before."""
    with server.client().sock as s:
        s.sendall(b'<noop id="p"/>\0')
        assert s.recv(100)


def split(server):
    """In pieces of three bytes: kept until the message is whole."""
    c = server.client()
    data = element("login", id="L", authData="split", password=server.accounts["split"]).encode() + b"\0"
    for at in range(0, len(data), 3):
        c.send_bytes(data[at:at + 3])
        if at % 30 == 0:
            processed(server)
    finish(c, "L")
    return c


def long(server):
    """Buffers grow around it."""
    c = server.client()
    text = element("login", id="L", authData="long", password=server.accounts["long"])
    c.send_bytes(text[:-2].encode())
    for _ in range(12):
        c.send_bytes(b" " * 1000)
        processed(server)
    c.send_bytes(b"/>\0")
    finish(c, "L")
    return c


def plain(server):
    c = server.client()
    c.send(element("login", id="L", method="PLAIN", authData=b64("\0plain\0" + server.accounts["plain"])))
    finish(c, "L")
    return c


def step(server):
    c = server.client(tls=True)
    c.send(element("login", id="L", method="PLAIN"))
    assert c.recv().tag == "challenge"
    c.send(element("auth", id="L", value=b64("\0step\0" + server.accounts["step"])))
    finish(c, "L")
    return c


def login(server):
    c = server.client()
    c.send(element("login", id="L", method="LOGIN"))
    for text in ("login", server.accounts["login"]):
        assert c.recv().tag == "challenge"
        c.send(element("auth", id="L", value=b64(text)))
    finish(c, "L")
    return c


def scram(server):
    sasl = scram_client()
    c = server.client()
    s = sasl.Scram("scram", server.accounts["scram"])
    first = sasl.start_scram(c, s)
    c.send(element("auth", id="s", value=b64(s.final(first))))
    assert c.recv().tag == "challenge"
    c.send(element("auth", id="s", value=""))
    finish(c, "s")
    return c


def failed(server):
    c = server.client()
    number, _ = c.fail(element("login", id="L", authData="clear", password=MARK + "-wrong"))
    assert number == 515
    return c


def unknown(server):
    c = server.client(tls=True)
    assert c.fail(element("login", id="L", authData="nobody-here", password=MARK + "-unknown"))[0] == 515
    return c


def illegal(server):
    c = server.client()
    c.send('<login id="L" authData="clear" password="%s-illegal" password=""/>' % MARK)
    assert c.recv().get("errorNum") == "501"
    return c


def unfinished(server):
    """Half a message, and the client leaves."""
    with server.client().sock as s:
        s.sendall(('<login id="L" password="%s-unfinished"' % MARK).encode())
        processed(server)


def change(server):
    c = server.session("change")
    assert c.fail(element("passwordModify", id="1", oldPassword=MARK + "-guess", newPassword=MARK + "-none"))[0] == 515
    c.call(element("passwordModify", id="2", oldPassword=server.accounts["change"], newPassword=MARK + "-&-new"))
    c.call(element("passwordModify", id="3", oldPassword=MARK + "-&-new", newPassword=server.accounts["change"]))
    return c


def change_illegal(server):
    c = server.session("clear")
    c.send('<passwordModify id="1" oldPassword="%s" newPassword="%s-x"' % (server.accounts["clear"], MARK))
    assert c.recv().get("errorNum") == "501"
    return c


def behind(server):
    """All in one piece, what comes after the login too."""
    c = server.client()
    password = server.accounts["behind"]
    c.send_bytes(b"".join(text.encode() + b"\0" for text in (
        element("login", id="1", authData="behind", password=password), '<noop id="2"/>',
        element("passwordModify", id="3", oldPassword=password, newPassword=password + "2"), '<mailboxList id="4"/>',
        element("passwordModify", id="5", oldPassword=password + "2", newPassword=password), '<noop id="6"/>')))
    for ident in "123456":
        finish(c, ident)
    return c


def control_socket(server):
    server.add_account("late", MARK + "-late")
    server.ctl("account", "passwd", "late", "--password-stdin", stdin=MARK + "-later\n")


WAYS = [clear, tls, starttls, odd, split, long, plain, step, login, scram, failed, unknown, illegal, unfinished, change,
        change_illegal, behind, control_socket]


def test_the_search_finds_what_is_there(server):
    """The name of a session is in worker and keeper, and a password in a process that holds it: in this one."""
    client = server.session("clear")
    assert {"worker 1", "keeper 1"} <= set(everywhere(server, [b"clear@harbor.example"]))
    held = [bytearray(form) for form in forms()]
    for form in held:
        assert search(os.getpid(), [bytes(form)])
    client.close()


@pytest.mark.parametrize("way", WAYS, ids=[w.__name__ for w in WAYS])
def test_no_password_stays(server, way):
    client = way(server)
    settle(server)  # on a loaded machine somebody may still have to do his part
    end = time.monotonic() + 1  # the promise: a second after
    found = everywhere(server, forms())
    while found and time.monotonic() < end:
        found = everywhere(server, forms())
    assert found == {}
    if client is not None:
        client.close()


def test_no_password_in_the_log(server):
    log = server.log()
    assert "clear@harbor.example" in log and "<passwordModify" in log  # it is the log of all of this
    for form in forms():
        assert form.decode() not in log


def test_no_core(server):
    for pid in server.children().values():
        with open("/proc/%d/limits" % pid) as f:
            (line,) = [line for line in f if line.startswith("Max core file size")]
        assert line.split()[4:6] == ["0", "0"]
