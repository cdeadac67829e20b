# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The ximssd authors
"""Scenarios: what a client says and what it must hear, byte for byte (tests/scenario/*.scn; format in README.md there)."""
import base64
import contextlib
import hmac
import re
import socket
import time
import xml.etree.ElementTree as ET

from settled import settle
from ximss import Closed, Server, wait_for

ALL = "log_level = all\n"
KINDS = {
    "any": r'[^"<>]*',
    "num": r"[0-9]+",
    "time": r"[0-9]{8}T[0-9]{6}",
    "timez": r"[0-9]{8}T[0-9]{6}Z",
    "urlid": r"[0-9]{6}-[A-Za-z0-9]{20}",
    "hex8": r"[0-9a-f]{8}",
    "b64": r"[A-Za-z0-9+/]*={0,2}",
    "nonce": r"[A-Za-z0-9.-]+",
    "clock": r"[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{3}",
}
HOLE = re.compile(r"\{([a-z0-9]+)(?:=([a-z0-9]+))?\}")
SECRETS = {"password", "oldpassword", "newpassword", "sessionid"}
LINE = re.compile(r"([CSX])([0-9]?):(?: (.*))?$")


class Script:
    """The lines of one file: directives before the dialogue, then the dialogue."""

    def __init__(self, path):
        self.path = path
        self.accounts, self.conf, self.server, self.steps = {}, "", "", []
        self.clock = False
        with open(path, encoding="utf-8") as f:
            for number, line in enumerate(f, 1):
                self._line(number, line.rstrip("\n"))
        assert any(kind == "S" or kind == "X" for _, kind, _, _ in self.steps), "%s expects nothing" % path
        if "log_level" not in self.server:
            self.server += ALL

    def _line(self, number, line):
        if not line.strip() or line.startswith("#"):
            return
        m = LINE.match(line)
        if m:
            self.steps.append((number, m.group(1), m.group(2) or "1", m.group(3) or ""))
            return
        word, _, rest = line.partition(" ")
        if word == "account":
            name, password, *real = rest.split(" ", 2)
            self.accounts[name] = (password, real[0] if real else "")
        elif word == "conf":
            self.conf += rest + "\n"
        elif word == "server":
            self.server += rest + "\n"
        elif word in ("connect", "wait", "advance", "starttls", "mail", "half-close", "log", "cram", "say"):
            self.clock = self.clock or word == "advance"
            self.steps.append((number, word, "1", rest))
        else:
            raise AssertionError("%s:%d: what is this? %s" % (self.path, number, line))

    def start(self, folder, **more):
        """A server prepared as the script wants it."""
        passwords = {name: password for name, (password, _) in self.accounts.items()}
        server = Server(folder, conf=self.conf, server=self.server, accounts=passwords, tls=True, start=False, **more)
        server.make_accounts(self.server + self.conf,
                             {name: ["--real-name", real] for name, (_, real) in self.accounts.items() if real})
        server.start()
        return server

    def served(self, shared, folder):
        """To be entered: the shared server with the accounts of the script, or one of its own if it wants settings or a clock."""
        if self.conf or self.server != ALL or self.clock:
            return self.start(folder, clock=self.clock)
        return shared.accounts_of(self.accounts)


class Shared(Server):
    """A server for one user after the other; each finds the accounts that it names, fresh, and no other."""

    def __init__(self, folder, server=ALL):
        super().__init__(folder, server=server, accounts={}, tls=True)

    @contextlib.contextmanager
    def accounts_of(self, accounts):
        """accounts: {name: (password, real name or "")}"""
        begin = len(self.log())
        self.accounts = {name: password for name, (password, _) in accounts.items()}
        for name, (password, real) in accounts.items():
            self.add_account(name, password, *(["--real-name", real] if real else []))
        yield self
        for name in accounts:
            self.ctl("account", "remove", name)
        said = self.log()[begin:]
        assert "broken invariant" not in said and "Sanitizer" not in said and " ended by " not in said, said


class Run:
    def __init__(self, script, server):
        self.script, self.server = script, server
        self.log_from = len(server.log())  # a shared server has said more before
        self.clients, self.names, self.pending = {}, {}, {}
        self.secrets = {password for password, _ in script.accounts.values()}
        self.seen = []  # lines of the log that were found

    def client(self, who):
        if who not in self.clients:
            self.clients[who] = self.server.client()
        return self.clients[who]

    def fill(self, text):
        return HOLE.sub(lambda m: self.names[m.group(1)], text)

    def pattern(self, text):
        out, at, groups = "", 0, []
        for m in HOLE.finditer(text):
            out += re.escape(text[at:m.start()])
            at = m.end()
            name, kind = m.group(1), m.group(2)
            if kind:
                groups.append(name)
                out += "(%s)" % KINDS[kind]
            elif name in self.names:
                out += re.escape(self.names[name])
            else:
                out += "(?:%s)" % KINDS[name]
        return re.compile((out + re.escape(text[at:])).encode()), groups

    def remember(self, groups, m):
        for name, value in zip(groups, m.groups()):
            self.names[name] = value.decode()

    def note_secrets(self, text):
        """What of a message of the client must never be logged (protocol 1, section 8)."""
        try:
            e = ET.fromstring(text)
        except ET.ParseError:
            self.secrets.update(re.findall(r'(?:[pP]assword)="([^"]*)"', text))
            return
        given = {name.lower(): value for name, value in e.attrib.items()}
        self.secrets.update(value for name, value in given.items() if name in SECRETS)
        if "method" in given or "nonce" in given:
            self.secrets.add(given.get("authdata", ""))
        if e.tag.lower() == "auth":
            self.secrets.add(given.get("value", ""))

    def said(self):
        """What the server has logged since the script began."""
        return self.server.log()[self.log_from:]

    def log(self, where, text):
        pattern, groups = self.pattern(text)

        def find():
            for line in self.said().splitlines():
                m = pattern.fullmatch(line.encode())
                if m and line not in self.seen:
                    return line, m
            return None
        try:
            line, m = wait_for(find)
        except AssertionError:
            raise AssertionError("%s: not in the log: %s\n%s" % (where, text, self.said())) from None
        self.seen.append(line)
        self.remember(groups, m)

    def cram(self, name, text, password, account=None):
        """RFC 2195, and the form of protocol 1, 3.4."""
        data = base64.b64decode(text) if account else text.encode()
        digest = hmac.new(password.encode(), data, "md5").hexdigest()
        self.names[name] = base64.b64encode(("%s %s" % (account, digest) if account else digest).encode()).decode()

    def no_secrets(self):
        log = self.said()
        for secret in self.secrets:
            if len(secret) >= 6:
                assert secret not in log, [line for line in log.splitlines() if secret in line]
        assert not re.search("(?<![0-9A-Za-z])" + KINDS["urlid"], log)  # a nonce may hold such a form behind more digits

    def flush(self):
        """What one client says in a row leaves in one write: pipelining is the normal case."""
        for who, messages in self.pending.items():
            self.client(who).send_bytes(b"".join(m.encode() + b"\0" for m in messages))
        self.pending = {}

    def expect(self, where, who, text):
        got = self.client(who).raw()
        pattern, groups = self.pattern(text)
        m = pattern.fullmatch(got)
        assert m, "%s\nwant %s\ngot  %s" % (where, text, got.decode())
        self.remember(groups, m)

    def step(self, number, kind, who, text):
        where = "%s:%d" % (self.script.path, number)
        if kind == "C":
            text = self.fill(text)
            self.note_secrets(text)
            self.pending.setdefault(who, []).append(text)
            return
        self.flush()
        if kind == "S":
            try:
                self.expect(where, who, text)
            except Closed:
                raise AssertionError("%s: closed where %s was due" % (where, text)) from None
        elif kind == "X":
            assert self.client(who).closed(), "%s: not closed" % where
            del self.clients[who]
        elif kind == "connect":
            name, _, how = text.partition(" ")
            self.clients[name or "1"] = self.server.client(tls=how == "tls")
        elif kind == "wait":
            time.sleep(float(text))
        elif kind == "advance":
            settle(self.server)  # the times that what was said has set run from now on
            self.server.advance(float(text))
        elif kind == "starttls":
            self.client(text or "1").start_tls(self.server.tls_context())
        elif kind == "half-close":
            self.client(text or "1").sock.shutdown(socket.SHUT_WR)
        elif kind == "log":
            self.log(where, text)
        elif kind == "say":
            self.server.ctl("session", "say", "all", "--", text)
        elif kind == "cram":
            self.cram(*self.fill(text).split(" "))
        elif kind == "mail":
            name, _, path = text.partition(" ")
            with open(path, "rb") as f:
                self.server.deliver(f.read(), (name,))

    def run(self):
        for step in self.script.steps:
            self.step(*step)
        self.flush()
        for client in self.clients.values():
            assert client.buffer == b"", "something was said that the script does not expect: %r" % client.buffer
            client.close()
        self.no_secrets()
