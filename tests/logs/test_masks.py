# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The ximssd authors
"""No secret in the log, at any level (protocol 1, section 8; design 9.4): real dialogues of every login form, right and wrong,
and messages that no parser accepts. Everything that the client sent as a secret, in every form in which it travels, is looked
for in everything that the server wrote."""
import base64
import hashlib
import hmac
import random
import re
import secrets
import string

import pytest
from ximss import Closed, Server

CONF = """[login]
fail_delay = 0
fail_account = 0
fail_connection = 1000
hash_cost = 1
cram = yes
[limits]
protocol_errors_before_login = 1000
protocol_errors = 1000
"""


def token():
    """A password that nothing else has a piece of: letters that need no escape, and one sign of each kind."""
    letters = "".join(secrets.choice(string.ascii_letters) for _ in range(16))
    return letters[:8] + "-" + letters[8:]


class World:
    """The server, and all secrets so far; none of their pieces may be in the log."""

    def __init__(self, folder):
        self.password = token()
        self.secrets = {self.password}
        self.server = Server(folder, conf=CONF, server="log_level = all\n", accounts={"dora": self.password}, tls=True)

    def secret(self, text=None):
        text = text or token()
        self.secrets.add(text)
        return text

    def b64(self, data):
        data = base64.b64encode(data if isinstance(data, bytes) else data.encode()).decode()
        self.secrets.add(data.rstrip("="))
        return data

    def check(self):
        log = self.server.log()
        lower = log.lower()  # names are folded
        for text in self.secrets:
            # half of it is too much too
            for piece in {text, text[:len(text) // 2], text[len(text) // 2:]}:
                if len(piece) >= 6:
                    assert piece.lower() not in lower, (piece, [line for line in lower.splitlines() if piece.lower() in line])
        return log


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    w = World(tmp_path_factory.mktemp("masks"))
    with w.server:
        yield w


def scram(w, client, name, password, right=True):
    nonce = secrets.token_hex(12)
    bare = "n=%s,r=%s" % (name, nonce)
    client.send('<login id="s" method="SCRAM-SHA-256" authData="%s"/>' % w.b64("n,," + bare))
    first = base64.b64decode(client.recv().get("value")).decode()
    f = dict(part.split("=", 1) for part in first.split(","))
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), base64.b64decode(f["s"]), int(f["i"]))
    key = hmac.digest(salted, b"Client Key", "sha256")
    without = "c=biws,r=" + f["r"]
    signature = hmac.digest(hashlib.sha256(key).digest(), ",".join([bare, first, without]).encode(), "sha256")
    proof = base64.b64encode(bytes(a ^ b for a, b in zip(key, signature))).decode()
    w.secret(proof.rstrip("="))
    client.send('<auth id="s" value="%s"/>' % w.b64(without + ",p=" + proof))
    answer = client.recv()
    if right:
        client.send('<auth id="s" value=""/>')
        return session_of(w, client.recv(), client)
    assert answer.get("errorNum") == "515"
    return None


def session_of(w, element, client):
    assert element.tag == "session"
    client.recv()
    url = element.get("urlID")
    w.secret(url.split("-")[1])
    return url


def outcome(w, client, right):
    element = client.recv()
    if right:
        return session_of(w, element, client)
    assert element.get("errorNum") == "515", element.attrib
    return None


def plain(w, client, name, password, right=True, later=False):
    data = w.b64("\0%s\0%s" % (name, password))
    if later:
        client.send('<login id="p" method="plain"/>')
        client.recv()
        client.send('<auth id="p" value="%s"/>' % data)
    else:
        client.send('<login id="p" method="PLAIN" authData="%s"/>' % data)
    return outcome(w, client, right)


def login_form(w, client, name, password, right=True):
    client.send('<login id="l" method="LOGIN"/>')
    client.recv()
    client.send('<auth id="l" value="%s"/>' % base64.b64encode(name.encode()).decode())
    client.recv()
    client.send("<AUTH VALUE='%s' id='l'/>" % w.b64(password))
    return outcome(w, client, right)


def cram(w, client, name, password, right=True):
    client.send('<login id="c" method="CRAM-MD5"/>')
    challenge = base64.b64decode(client.recv().get("value"))
    digest = w.secret(hmac.new(password.encode(), challenge, "md5").hexdigest())
    client.send('<auth id="c" value="%s"/>' % w.b64("%s %s" % (name, digest)))
    return outcome(w, client, right)


def one_step(w, client, name, password, right=True):
    client.send('<listFeatures id="f"/>')
    nonce = client.recv().findtext("nonce")
    client.recv()
    digest = w.secret(hmac.new(password.encode(), nonce.encode(), "md5").hexdigest())
    client.send('<login id="n" authData="%s" nonce="%s" userName="%s"/>' % (w.b64(digest), nonce, name))
    return outcome(w, client, right)


def clear(w, client, name, password, right=True, form='<login id="1" authData="%s" password="%s"/>'):
    client.send(form % (name, password))
    return outcome(w, client, right)


FORMS = [
    clear,
    lambda *a, **k: clear(*a, form="<login  id='1' userName='%s'\tpassword\n=\n'%s' ></login>", **k),
    lambda *a, **k: clear(*a, form='<LOGIN ID="1" AUTHDATA="%s" PASSWORD="%s"/>', **k),
    lambda *a, **k: clear(*a, form='<login id="1" authData="%s" password="%s"><y password="z"/></login>', **k),
    plain, lambda *a, **k: plain(*a, later=True, **k), login_form, cram, one_step, scram,
]


@pytest.mark.parametrize("form", range(len(FORMS)))
@pytest.mark.parametrize("tls", [False, True], ids=["clear", "tls"])
def test_every_login_form(world, form, tls):
    """Right; wrong password; no such account; and the two fields taken for each other."""
    w = world
    name = "dora@harbor.example"
    cases = [(name, w.password, True), (name, w.secret(), False), ("nobody@harbor.example", w.secret(), False),
             (w.secret(), name, False), (w.secret(), w.secret(), False)]
    for who, password, right in cases:
        client = w.server.client(tls=tls)
        FORMS[form](w, client, who, password, right=right)
        client.close()
    log = w.check()
    assert re.search(r"login failed: 'dora@harbor\.example', incorrect password or account name", log)
    assert re.search(r"login failed: 'nobody@harbor\.example', incorrect password or account name", log)
    assert "login failed: '***', incorrect password or account name" in log


def test_session_ids(world):
    w = world
    first = w.server.client()
    url = clear(w, first, "dora@harbor.example", w.password)
    name = "dora@harbor.example"
    for text in ('<login id="1" userName="%s" sessionid="%s"/>' % (name, url),
                 '<login id="1" sessionID="%s" killOld="1" userName="%s"/>' % (url, name),
                 '<login id="1" method="SESSIONID" authData="%s"/>' % w.b64("%s %s" % (name, url))):
        client = w.server.client()
        client.send(text)
        element = client.recv()
        if element.tag == "session":
            w.secret(element.get("urlID").split("-")[1])
        client.close()
    wrong = "100001-" + w.secret("".join(secrets.choice(string.ascii_letters) for _ in range(20)))
    client = w.server.client()
    client.send('<login id="1" userName="%s" sessionid="%s"/>' % (name, wrong))
    client.recv()
    # where an account name is due
    client.send('<login id="1" authData="%s" password="x"/>' % wrong)
    client.recv()
    w.check()


def test_passwords_are_changed(world):
    w = world
    session = w.server.client()
    clear(w, session, "dora@harbor.example", w.password)
    new = w.secret()
    session.send('<passwordModify id="1" oldPassword="%s" newPassword="%s"/>' % (w.secret(), w.secret()))
    assert session.recv().get("errorNum") == "515"
    session.send("<passwordmodify id='1' NEWPASSWORD='%s' OLDPASSWORD='%s'/>" % (new, w.password))
    assert session.recv().get("errorNum") is None
    session.send('<passwordModify id="1" newPassword="%s" oldPassword="%s" recoverPassword="a@b.example"/>' % (w.password, new))
    assert session.recv().get("errorNum") is None
    client = w.server.client()
    client.send('<signup id="2" userName="%s" password="%s" realName="X"/>' % (w.secret(), w.secret()))
    client.recv()
    client.send('<recoverPassword id="2" userName="%s"/>' % w.secret())
    client.recv()
    w.check()


# What clients and attackers send that is no login; %s: the secret. Each is sent before login and in a session.
BROKEN = [
    '<login id="1" authData="dora" password="%s',
    '<login id="1" authData="dora" password="%s"',
    '<login id="1" authData="dora" password="%s/>',
    '<login id="1" authData="dora password="%s"/>',
    '<login id="1" authData="dora" password="a"%s"/>',
    '<login id="1" authData="dora" password="a<%s"/>',
    '<login id="1" authData="dora" password="a&%s"/>',
    '<login id="1" authData="dora" password="a& b<%s>"/>',
    "<login id='1' authData='dora' password='it's %s'/>",
    '<login id="1" authData="dora" password=%s/>',
    '<login id="1" authData="dora" password="x" password="%s"/>',
    '<login id="1" authData="dora" password="%s"></logout>',
    '<login id="1" authData="dora" password="%s"/><login id="2"/>',
    '<login id="1" authData="dora" password="\x01%s"/>',
    '<login id="1" authData="dora" password="%s\xff"/>',
    '<login id="1" authData="dora"><password>%s</password></login>',
    '<login id="1" authData="dora"><x:Password a="b">%s<b/>%s</x:Password></login>',
    '<login id="1" authData="dora"><password><![CDATA[>%s]]>%s</password></login>',
    '<!DOCTYPE login [<!ENTITY p "%s">]><login id="1" authData="dora" password="&p;"/>',
    '<login id="1" authData="dora" password="&#x22;%s&#34;&lt;&quot;"/>',
    '<?xml version="1.0" encoding="latin1"?><login id="1" authData="dora" password="%s"/>',
    '<login id="1" authData="dora" pass&#119;ord="%s"/>',
    '<login id="1" authdata="dora"\r\n\r\nPaSsWoRd\r\n=\r\n"%s"/>',
    '<login id="1" authData="dora" passwd="%s"/>',
    '<x:login xmlns:x="u" id="1" x:authData="dora" x:password="%s"/>',
    '<login id="1" authData="dora" pwd="%s" secret="%s"/>',
    '<login id="1" authData="%s"/>',
    '<login id="1" authData="dora@%s" password="x"/>',
    '<login id="1" authData="%s@somewhere.else" password="x"/>',
    '<login id="1" method="PLAIN" authData="%s', '<auth id="1" value="%s', "<auth id='1' value='a'%s'/>", '<auth value="%s"/>',
    '<passwordModify id="1" oldPassword="%s" newPassword="%s', '<%s id="1"', '<login%s', '<"%s">', "<login\"%s\">", "login %s", " %s<login/>",
    '<login id="1" a="b"c="%s"/>', '<login id="1" =\'%s\'/>', '<login id="1"><!-- %s --></login>', '<login id="1"><?x %s?></login>',
    '<login id="1" password="a>b" %s="c"',
]


@pytest.mark.parametrize("logged_in", [False, True], ids=["before", "after"])
def test_what_no_parser_accepts(world, logged_in):
    w = world
    for template in BROKEN:
        client = w.server.client()
        client.send('<noop id="n"/>')
        client.raw()
        if logged_in:
            clear(w, client, "dora@harbor.example", w.password)
        text = template.replace("%s", w.secret(), 1)
        text = text.replace("%s", w.secret())
        client.send(text.encode("latin-1"))
        # and the same, cut in two by a zero byte inside the secret
        at = text.index("-") if "-" in text else len(text) // 2
        client.send_bytes(text[:at].encode("latin-1") + b"\0" + text[at:].encode("latin-1") + b"\0")
        client.send('<noop id="last"/>')
        while client.recv().get("id") != "last":
            pass
        client.close()
    w.check()


@pytest.mark.parametrize("logged_in", [False, True], ids=["before", "after"])
def test_cut_anywhere(world, logged_in):
    """One login in pieces of one byte, and in two pieces at every place: each piece is a segment of its own."""
    w = world
    password = w.secret()
    text = ('<login id="1" authData="dora@harbor.example" password="%s"/>' % password).encode() + b"\0"
    client = w.server.client()
    if logged_in:
        clear(w, client, "dora@harbor.example", w.password)
    for at in [*range(0, len(text), 5)]:
        client.send_bytes(text[:at])
        client.send_bytes(text[at:])
        assert client.recv().get("errorNum") in ("515", "501")
    for byte in text:
        client.send_bytes(bytes([byte]))
    client.recv()
    # cut by zero bytes: what was meant as one message is several
    for at in range(1, len(text) - 1, 3):
        client.send_bytes(text[:at] + b"\0" + text[at:])
    client.send('<noop id="last"/>')
    while client.recv().get("id") != "last":
        pass
    w.check()


def test_random_damage(world):
    """Bytes taken out, doubled and exchanged anywhere but in the secret."""
    w = world
    rng = random.Random(5)
    forms = ['<login id="1" authData="dora@harbor.example" password="%s"/>', "<auth id='1' value='%s'/>",
             '<passwordModify id="2" oldPassword="%s" newPassword="x"/>', '<login id="3" authData="%s" method="PLAIN"/>']
    sent = 0
    while sent < 1500:
        client = w.server.client()
        client.send('<noop id="n"/>')
        client.raw()
        try:
            for _ in range(50):
                head, tail = (list(part.encode()) for part in rng.choice(forms).split("%s"))
                for part in (head, tail):
                    for _ in range(rng.randrange(0, 3)):
                        at = rng.randrange(len(part))
                        part[at:at + rng.randrange(2)] = rng.choice([[], [part[at]], [rng.choice(b"<>\"'=/ &a\n")]])
                client.send_bytes(bytes(head) + w.secret().encode() + bytes(tail) + b"\0")
                sent += 1
            client.send('<noop id="last"/>')
            while client.recv().get("id") != "last":
                pass
        except (Closed, ConnectionError):
            pass
        client.close()
    w.check()


def test_lmtp_has_no_passwords(world):
    """Who takes the door for another one says AUTH here."""
    w = world
    lmtp = w.server.lmtp()
    for line in ("AUTH PLAIN " + w.b64("\0dora\0" + w.secret()), "AUTH LOGIN", w.b64(w.secret()), w.secret(), "PASS " + w.secret()):
        assert lmtp.docmd(line)[0] == 500
    lmtp.quit()
    w.check()


def test_the_admin_types_passwords(world):
    w = world
    for verb in ("add", "passwd"):
        w.server.ctl("account", verb, "otto", "--password-stdin", stdin=w.secret() + "\n")
    w.server.ctl("account", "add", "otto", "--password-stdin", stdin=w.secret() + "\n", check=False)
    w.check()
