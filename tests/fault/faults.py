# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The ximssd authors
"""Servers whose system calls fail on demand (inject.h), and what the tests of this folder say at their end.

    with FaultServer(tmp_path, accounts=...) as server:
        server.faults.arm("pwrite", "KILL", role="keeper", nth=7, below=True)
        ...
        hit = server.faults.disarm()      # hit.seen calls, hit.fired of them with the fault

The programs are those with the test clock: hurry() lets time pass for the server that a test has to wait for.
"""
import collections
import errno
import mmap
import os
import re
import smtplib
import struct
import threading
import time

from ximss import BUILD, PATIENCE, ROOT, Client, Closed, Lmtp, Server, wait_for

LONG = bool(os.environ.get("XIMSSD_LONG"))
SANITIZED = bool(os.environ.get("XIMSSD_SANITIZED"))
HERE = os.path.dirname(os.path.abspath(__file__))

with open(os.path.join(HERE, "calls.tbl"), encoding="utf-8") as table:
    CALLS = {name: errors.split() for name, errors in re.findall(r'^CALL\((\w+), "([A-Z ]+)"', table.read(), re.M)}
ORDER = list(CALLS)
ACTIONS = ["COUNT", "FAIL", "SHORT", "KILL", "KILL_AFTER", "TORN"]
RULES = 4
RULE = struct.Struct("=12IQ24s")
ANY = 0xffffffff
with open(os.path.join(HERE, "inject.h"), encoding="utf-8") as header:
    ROLES = re.findall(r'"(\w+)"', re.search("define FAULT_ROLES (.*?)#", header.read(), re.S).group(1))
RULES_AT = 16
COUNTS = RULES_AT + RULES * RULE.size

Hit = collections.namedtuple("Hit", "seen fired pid call")


class Faults:
    """The file that the test and the server's processes share; fields as in inject.h."""

    def __init__(self, path):
        self.path = path
        with open(path, "wb") as f:
            f.write(bytes(COUNTS + 4 * len(ROLES) * len(ORDER)))
        with open(path, "r+b") as f:
            self.map = mmap.mmap(f.fileno(), 0)

    def arm(self, calls, action="FAIL", error=None, nth=1, times=1, role="", number=None, below=False, rule=0):
        """`calls`: names of calls.tbl separated by blanks. `number` counts from 1, as in ps."""
        if action == "SHORT" or error == "SHORT":
            action, error = "SHORT", None
        mask = sum(1 << ORDER.index(c) for c in calls.split())
        self.map[RULES_AT + rule * RULE.size:RULES_AT + (rule + 1) * RULE.size] = RULE.pack(
            1, ACTIONS.index(action), getattr(errno, error) if error else 0, nth, times, ANY if number is None else number - 1,
            int(below), 0, 0, 0, 0, 0, mask, role.encode())
        self.map[0:4] = struct.pack("=I", 1)

    def look(self, rule=0):
        f = RULE.unpack(self.map[RULES_AT + rule * RULE.size:RULES_AT + (rule + 1) * RULE.size])
        return Hit(f[7], f[8], f[9], ORDER[f[10]])

    def disarm(self, rule=0):
        at = RULES_AT + rule * RULE.size
        self.map[at:at + 4] = bytes(4)
        if not any(self.map[RULES_AT + r * RULE.size] for r in range(RULES)):
            self.map[0:4] = bytes(4)
        return self.look(rule)

    def shift_wall(self, seconds):
        """The wall clock is that much ahead (behind, when negative)."""
        self.map[8:16] = struct.pack("=q", seconds)

    def count(self):
        """From now on every call is counted, until counted()."""
        self.map[COUNTS:] = bytes(len(self.map) - COUNTS)
        self.map[4:8] = struct.pack("=I", 1)

    def counted(self):
        """{(role, call): how many}."""
        self.map[4:8] = bytes(4)
        numbers = struct.unpack("=%dI" % (len(ROLES) * len(ORDER)), self.map[COUNTS:])
        return {(role, call): numbers[r * len(ORDER) + c] for r, role in enumerate(ROLES) for c, call in enumerate(ORDER)
                if numbers[r * len(ORDER) + c]}


class Hang(Exception):
    """Nobody answered, and nobody closed. No error of Python's and no assertion, so that nobody takes it for an end."""


# Logins are many here, and some fail on purpose.
SETTINGS = "log_level = major\nworkers = 2\nkeepers = 2\nhelpers = 4\nhashers = 1\n"
LOGIN = "[login]\nhash_cost = 1\nfail_delay = 0\nfail_account = 0\nfail_connection = 1000\n"


def unless_set(defaults, given):
    """Those lines that `given` has none for."""
    return "".join(line for line in defaults.splitlines(True) if line.split("=")[0] + "=" not in given)


class FaultServer(Server):
    def __init__(self, folder, accounts, conf="", server="", tls=False, start=True):
        self.faults = Faults(os.path.join(str(folder), "faults"))
        env = {"LD_PRELOAD": os.path.join(BUILD, "inject.so"), "XIMSSD_FAULT": self.faults.path,
               "XIMSSD_FAULT_STATE": os.path.join(str(folder), "state") + "/"}
        if SANITIZED:
            env["ASAN_OPTIONS"] = os.environ.get("ASAN_OPTIONS", "") + ":verify_asan_link_order=0"
        self.read_to, self.hurried, self.clock_lock = 0, time.monotonic(), threading.Lock()
        self.settings = unless_set(SETTINGS, server) + server
        login = unless_set(LOGIN, conf)
        self.conf_text = conf + login if "[login]" not in conf else conf.replace("[login]\n", login)
        super().__init__(folder, conf=self.conf_text, server=self.settings, accounts=accounts, clock=True, tls=tls,
                         start=start, env=env)

    def rewrite(self, conf="", server=""):
        super().rewrite(conf or self.conf_text, server or self.settings)

    def hurry(self):
        """Time passes twice as fast for the server while the test waits; not faster, or busy processes look stuck."""
        with self.clock_lock:
            now = time.monotonic()
            if self.clock:
                self.advance(min(now - self.hurried, 0.5))
            self.hurried = now

    def age(self, seconds=2.1):
        """Who dies young is started again ever more slowly: nobody is young any more."""
        with self.clock_lock:
            self.advance(seconds)

    def new_lines(self):
        """What the log has got since the last call."""
        with open(self.log_path, "rb") as f:
            f.seek(self.read_to)
            text = f.read()
        end = text.rfind(b"\n") + 1
        self.read_to += end
        return text[:end].decode(errors="replace").splitlines()

    def pids(self):
        """As children(), without another process: {"worker 1": pid, ...}."""
        found = {}
        try:
            with open("/proc/%d/task/%d/children" % (self.process.pid, self.process.pid)) as f:
                pids = f.read().split()
        except OSError:
            return found
        for pid in pids:
            try:
                with open("/proc/%s/cmdline" % pid) as f:
                    title = f.read().rstrip("\0 ")
            except OSError:
                continue
            bare = re.search("--role\0([a-z]+)\0([0-9]+)\0", title)  # one that had no memory for its title
            if title.startswith("ximssd: "):
                found[title[len("ximssd: "):]] = int(pid)
            elif bare and bare.group(1) != "check":
                found["auth" if bare.group(1) == "auth" else "%s %d" % (bare.group(1), int(bare.group(2)) + 1)] = int(pid)
        return found

    def talk(self, **more):
        return Talk(self, **more)

    def try_login(self, name, password):
        """(session or None, number of the error: 0 when the connection was closed or refused)."""
        try:
            talk = Talk(self)
        except OSError:
            return None, 0
        answer = talk.ask('<login id="L" authData="%s@harbor.example" password="%s"/>' % (name, password))
        if answer.ok:
            return talk, None
        talk.close()
        return None, answer.error

    def login(self, name, password):
        """A session; None: refused or closed."""
        return self.try_login(name, password)[0]

    def why_no_login(self, name, password):
        """The number of the error; None when it is a login all the same."""
        talk, error = self.try_login(name, password)
        if talk is not None:
            talk.close()
        return error

    def when_it_serves(self, name, password, seconds=PATIENCE):
        """The first login that works again."""
        def attempt():
            got = self.login(name, password)
            if got is None:
                self.hurry()
            return got
        return wait_for(attempt, seconds, 0.01)


TICK = 0.25  # seconds of a time-out, after which the server's time goes on


def patiently(server, patience, step, what):
    """step(), again after each of its time-outs; a Hang when there is nothing but those for `patience` seconds."""
    end = time.monotonic() + patience
    while True:
        try:
            return step()
        except TimeoutError:
            if time.monotonic() > end:
                raise Hang("%s in %g s" % (what, patience)) from None
            server.hurry()


class Answer:
    """ok; or error: number (0: the connection ended, so the change is in doubt)."""

    def __init__(self, messages, error=None, text=""):
        self.messages, self.error, self.text = messages, error, text
        self.ok = error is None
        # 583: a part of the server did not answer, so nobody knows
        self.doubt = error in (0, 583)

    def __repr__(self):
        return "ok" if self.ok else "%s %s" % (self.error, self.text)


class Talk(Client):
    """A client that is never surprised by an end, and never waits for ever."""

    def __init__(self, server, patience=None, tls=False):
        self.server = server
        self.patience = patience or PATIENCE
        try:
            super().__init__(("127.0.0.1", server.tls_port if tls else server.port), timeout=self.patience,
                             tls=server.tls_context() if tls else None)
        except TimeoutError:
            raise Hang("no connection in %g s" % self.patience) from None
        self.sock.settimeout(TICK)

    def start_tls(self, context):
        self.sock.settimeout(self.patience)
        try:
            super().start_tls(context)
        except TimeoutError:
            raise Hang("no handshake in %g s" % self.patience) from None
        self.sock.settimeout(TICK)

    def send_bytes(self, data):
        rest = memoryview(data)

        def send():
            nonlocal rest
            rest = rest[self.sock.send(rest):]
        while rest:
            patiently(self.server, self.patience, send, "nothing more is read")

    def raw(self):
        return patiently(self.server, self.patience, super().raw, "no answer")

    def ask(self, text):
        """Sends a request; an Answer."""
        messages = []
        ident = re.search(r'id="([^"]*)"', text).group(1)
        try:
            self.send(text)
            while True:
                m = self.recv()
                if m.tag == "response" and m.get("id") == ident:
                    break
                messages.append(m)
        except (Closed, OSError, AssertionError):  # an assertion: the end came within a message
            return Answer(messages, 0, "closed")
        if m.get("errorNum"):
            return Answer(messages, int(m.get("errorNum")), m.get("errorText"))
        return Answer(messages)


class Lines:
    """What smtplib reads replies from, in the place of its file, which makes an end of every time-out and reads no more then."""

    def __init__(self, post, sock):
        self.post, self.sock, self.bytes = post, sock, b""

    def readline(self, most):
        while b"\n" not in self.bytes and len(self.bytes) < most:
            got = patiently(self.post.server, self.post.patience, lambda: self.sock.recv(65536), "no answer over LMTP")
            if not got:
                break
            self.bytes += got
        line = self.bytes[:min(self.bytes.find(b"\n") + 1 or len(self.bytes), most)]
        self.bytes = self.bytes[len(line):]
        return line

    def close(self):
        pass


class Post(Lmtp):
    """LMTP with the same patience."""

    def __init__(self, server, patience=PATIENCE):
        self.server, self.patience = server, patience
        super().__init__(os.path.join(server.run_dir, "lmtp"))

    def getreply(self):
        if self.sock is not None and self.file is None:
            self.sock.settimeout(TICK)
            self.file = Lines(self, self.sock)
        return super().getreply()

    def send(self, s):
        rest = memoryview(s.encode("ascii") if isinstance(s, str) else s)

        def send():
            nonlocal rest
            try:
                rest = rest[self.sock.send(rest):]
            except TimeoutError:
                raise
            except OSError:
                self.close()
                raise smtplib.SMTPServerDisconnected("closed") from None
        while rest:
            if self.sock is None:
                raise smtplib.SMTPServerDisconnected("closed")
            patiently(self.server, self.patience, send, "nothing more is read over LMTP")


# --- what is told at the end

def note(part, **figures):
    """Lines for `make fault`, which prints them at its end; also in the test's output."""
    text = part + ": " + ", ".join("%s %s" % (name.replace("_", " "), worded(value)) for name, value in figures.items())
    print(text)
    path = os.environ.get("XIMSSD_FAULT_REPORT")
    if path:
        with open(path, "a") as f:
            f.write(text + "\n")


def worded(value):
    return "(%s)" % ", ".join("%s %s" % pair for pair in sorted(value.items())) if isinstance(value, dict) else str(value)
