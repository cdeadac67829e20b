# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The ximssd authors
"""A real server on free loopback ports in its own folder, and a client that frames and parses with nothing of ours.

    with Server(tmp_path, accounts={"dora": "correct-horse"}) as server:
        client = server.client()
        client.send('<noop id="a"/>')
        assert client.raw() == b'<response id="a"/>'

Programs come from $XIMSSD_BUILD (default `build`); `clock=True` takes those of build/test, whose clock moves with
Server.advance(). Processes are ended by the pid that was started here.
"""
import atexit
import contextlib
import errno
import glob
import json
import mmap
import os
import random
import re
import shutil
import signal
import smtplib
import socket
import sqlite3
import ssl
import struct
import subprocess
import tempfile
import threading
import time
import xml.etree.ElementTree as ET

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.path.join(ROOT, os.environ.get("XIMSSD_BUILD", "build"))
# Started by root, the server needs two users. Every Debian has these, so nobody has to make any for a test.
USERS = "user = nobody\nworker_user = daemon\n" if os.geteuid() == 0 else ""
PATIENCE = 60  # seconds; a test that waits longer has found something, on however busy a machine


RESERVED = []  # sockets whose names keep ports for this process, until it ends


def free_port(*taken):
    """One that nobody has, and none of those."""
    while (port := free_ports(1)) in taken:
        pass
    return port


def free_ports(count):
    """The first of so many in a row. They are below those that the kernel gives to connections, so that none of these comes
    before the server; and no other process that asks here is given them."""
    while True:
        first = random.SystemRandom().randrange(10240, 32768 - count)
        names = []
        try:
            for port in range(first, first + count):
                names.append(socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM))
                names[-1].bind(b"\0ximssd-test-port-%d" % port)
                for family, address in ((socket.AF_INET, "0.0.0.0"), (socket.AF_INET6, "::")):
                    with socket.socket(family) as s:
                        s.bind((address, port))
        except OSError as e:
            for name in names:
                name.close()
            if e.errno != errno.EADDRINUSE:
                raise
        else:
            RESERVED.extend(names)
            return first


def refused(port):
    """True when nobody listens there."""
    try:
        socket.create_connection(("127.0.0.1", port), timeout=PATIENCE).close()
        return False
    except ConnectionRefusedError:
        return True


def wait_for(what, seconds=PATIENCE, pause=0.02):
    """The first true value of what(); an error after `seconds`."""
    end = time.monotonic() + seconds
    while True:
        got = what()
        if got:
            return got
        if time.monotonic() > end:
            raise AssertionError("waited %g s in vain" % seconds)
        time.sleep(pause)


class Closed(Exception):
    """The server closed the connection."""


class Client:
    """XIMSS over TCP: messages end with a zero byte; Python's own XML parser reads every one of them."""

    def __init__(self, address, tls=None, timeout=PATIENCE, source=None):
        if isinstance(address, tuple):
            self.sock = socket.create_connection(address, timeout=timeout, source_address=source and (source, 0))
        else:
            self.sock = socket.socket(socket.AF_UNIX)
            self.sock.settimeout(timeout)
            self.sock.connect(address)
        self.buffer = b""
        if tls is not None:
            self.start_tls(tls)

    def start_tls(self, context):
        # an end without close_notify is an error, not an end
        self.sock = context.wrap_socket(self.sock, server_hostname="harbor.example", suppress_ragged_eofs=False)

    def send(self, text):
        """One message; text without its zero byte."""
        self.send_bytes((text if isinstance(text, bytes) else text.encode()) + b"\0")

    def send_bytes(self, data):
        self.sock.sendall(data)

    def raw(self):
        """The bytes of the next message without the zero byte. It must be well-formed XML."""
        pieces = [self.buffer]  # a message may have megabytes: no byte is copied or looked at for every piece that comes
        try:
            while b"\0" not in pieces[-1]:
                got = self.sock.recv(65536)
                if not got:
                    assert pieces == [b""], pieces
                    raise Closed()
                pieces.append(got)
        finally:
            self.buffer = b"".join(pieces)
        message, self.buffer = self.buffer.split(b"\0", 1)
        self.element = ET.fromstring(message)
        return message

    def recv(self):
        """The next message as an element."""
        self.raw()
        return self.element

    def until_response(self, ident):
        """All messages up to the response with that id: (messages before it, response)."""
        messages = []
        while True:
            e = self.recv()
            if e.tag == "response" and e.get("id") == ident:
                return messages, e
            messages.append(e)

    def call(self, text):
        """Sends a request and returns (messages, response); the response must be a success."""
        self.send(text)
        messages, response = self.until_response(ET.fromstring(text).get("id"))
        assert response.get("errorNum") is None, ET.tostring(response)
        return messages, response

    def fail(self, text):
        """Sends a request that must fail; (number, text) of the error."""
        self.send(text)
        _, response = self.until_response(ET.fromstring(text).get("id"))
        assert response.get("errorNum") and response.get("errorText"), ET.tostring(response)
        return int(response.get("errorNum")), response.get("errorText")

    def login(self, name="dora@harbor.example", password="correct-horse", ident="L"):
        request = ET.Element("login", {"id": ident, "authData": name, "password": password})
        messages, _ = self.call(ET.tostring(request, encoding="unicode"))
        assert [m.tag for m in messages] == ["session"]
        return messages[0]

    def closed(self):
        """True when the server closes now, without another byte."""
        if self.buffer:
            return False
        try:
            return self.sock.recv(1) == b""
        except ConnectionResetError:
            return True

    def rest(self):
        """Everything up to the end of the connection, as bytes. A server that closes while something is unread sends a reset."""
        data = self.buffer
        self.buffer = b""
        while True:
            try:
                got = self.sock.recv(65536)
            except ConnectionResetError:
                return data
            if not got:
                return data
            data += got

    def close(self):
        self.sock.close()


def alive(client):
    """Is the connection served?"""
    try:
        client.send('<noop id="n"/>')
        return client.raw() == b'<response id="n"/>'
    except (Closed, ConnectionError):
        return False


class Lmtp(smtplib.LMTP):
    """smtplib's LMTP over the server's Unix socket; `deliver` gives the answers after the dot."""

    def __init__(self, path):
        super().__init__(path, local_hostname="client.example")  # or Python asks the DNS who we are, which may take seconds
        self.ehlo_or_helo_if_needed()

    def deliver(self, sender, recipients, message, options=()):
        answers = [self.mail(sender, options)]
        assert self.stays(answers)[-1][0] == 250, answers
        answers += [self.rcpt(r) for r in recipients]
        taken = sum(code == 250 for code, _ in self.stays(answers)[1:])
        assert taken, answers
        answers.append(self.docmd("DATA"))
        assert self.stays(answers)[-1][0] == 354, answers
        self.send(dot_stuff(message) + b".\r\n")
        return [self.getreply() for _ in range(taken)]

    @staticmethod
    def stays(answers):
        """A worker that leaves says 421 (RFC 5321, 3.8), or is gone: one and the same to who sends mail."""
        for code, text in answers:
            if code == 421:
                raise smtplib.SMTPServerDisconnected(text)
        return answers


def dot_stuff(message):
    """As RFC 5321 4.5.2 wants it, with CR LF at the end."""
    lines = message.replace(b"\r\n", b"\n").split(b"\n")
    if lines[-1] == b"":
        lines.pop()
    return b"".join((b"." + line if line.startswith(b".") else line) + b"\r\n" for line in lines)


class Server:
    """ximssd in the foreground; state in `folder`."""

    def __init__(self, folder, conf="", accounts=None, server="", clock=False, tls=False, start=True, env=None,
                 xargs=()):
        self.folder = str(folder)
        self.bin = os.path.join(BUILD, "test") if clock else BUILD
        self.port = free_port()
        self.tls_port = free_port(self.port) if tls else None
        # Socket paths are short; the folder that pytest gives may not be.
        self.run_dir = os.path.join("/tmp", "ximssd-%d-%d" % (os.getpid(), self.port))
        self.state_dir = os.path.join(self.folder, "state")
        self.conf_path = os.path.join(self.folder, "ximssd.conf")
        self.log_path = os.path.join(self.folder, "log")
        self.accounts = accounts if accounts is not None else {"dora": "correct-horse"}
        self.process = None
        self.env = {**os.environ, "TZ": "UTC", **(env or {})}
        self.xargs = list(xargs)
        self.pass_fds = ()
        self.sigsys_expected = False  # a process may be ended for a system call it has no right to
        self.clock = None
        if clock:
            self._make_clock()
        self._write_conf(conf, server)
        if start:
            self.make_accounts(server + conf)
            self.start()

    made = {}  # folders of state, by the accounts in them and what else they depend on

    def make_accounts(self, settings, more=None):
        """
        By ximssctl; the second time for the same accounts and settings that they depend on, a copy. more: what else the
        command gets, by name.
        """
        more = more or {}
        if not any(word in settings for word in ("domain", "user = ", "hash_cost", "cram", "min_password")):
            settings = ""
        key = (os.path.basename(self.bin), repr(self.accounts), repr(more), settings)
        if self.accounts and key in self.made:
            shutil.copytree(self.made[key], self.state_dir)
            return
        for name, password in self.accounts.items():
            self.add_account(name, password, *more.get(name, ()))
        wal = os.path.join(self.state_dir, "accounts.db-wal")
        if self.accounts and (not os.path.exists(wal) or os.path.getsize(wal) == 0):
            if not self.made:
                atexit.register(lambda: [shutil.rmtree(folder) for folder in self.made.values()])
            self.made[key] = tempfile.mkdtemp(prefix="ximssd-made-")
            shutil.copytree(self.state_dir, self.made[key], dirs_exist_ok=True)

    def _make_clock(self):
        path = os.path.join(self.folder, "clock")
        with open(path, "wb") as f:
            f.write(bytes(8))
        self.clock = open(path, "r+b")  # noqa: SIM115
        self.clock_map = mmap.mmap(self.clock.fileno(), 8)
        self.env["XIMSSD_TEST_CLOCK"] = path

    def _write_conf(self, conf, server):
        # Nobody has to be warned in a test; who wants it says so.
        grace = "" if "shutdown_grace" in server else "shutdown_grace = 0\n"
        # Fewer processes, which start sooner, unless the test is about them.
        few = "".join("%s = 1\n" % kind for kind in ("helpers", "hashers") if kind not in server)
        users = "" if "user = " in server else USERS
        text = "[server]\ndomain = harbor.example\nstate_dir = %s\nrun_dir = %s\n%s%s%s%s\n" % (
            self.state_dir, self.run_dir, users, grace, few, server)
        text += "[listener ximss]\nprotocol = ximss\naddress = 127.0.0.1:%d\n" % self.port
        if self.tls_port:
            text += "[listener ximss-tls]\nprotocol = ximss\ntls = yes\naddress = 127.0.0.1:%d\n" % self.tls_port
        text += conf
        if "hash_cost" not in text:  # nor does every login have to cost 16 MB of memory and its time
            cheap = "[login]\nhash_cost = 1\n"
            old, new = ("[login]\n", cheap) if "[login]\n" in text else ("[listener ", cheap + "[listener ")
            text = text.replace(old, new, 1)
        with open(self.conf_path + ".new", "w") as f:
            f.write(text)
        os.rename(self.conf_path + ".new", self.conf_path)

    def advance(self, seconds):
        """Moves the server's clock (clock=True)."""
        (now,) = struct.unpack("q", self.clock_map[:8])
        self.clock_map[:8] = struct.pack("q", now + int(seconds * 1e9))

    @contextlib.contextmanager
    def slow_time(self, speed):
        """The server's clock (clock=True) is set back by a part of what it gains, so that a helper's two seconds are longer; with 0
        it stands. Nobody else may move it meanwhile."""
        end = threading.Event()

        def hold():
            last = time.monotonic()
            while not end.wait(0.1):
                now = time.monotonic()
                self.advance((last - now) * (1 - speed))
                last = now
        thread = threading.Thread(target=hold)
        thread.start()
        try:
            yield
        finally:
            end.set()
            thread.join()

    def ctl(self, *args, stdin="", check=True):
        done = subprocess.run([os.path.join(self.bin, "ximssctl"), "-c", self.conf_path, *args], input=stdin,
                              capture_output=True, text=True, timeout=PATIENCE, env=self.env, check=False)
        assert not check or done.returncode == 0, done.stdout + done.stderr
        return done

    def add_account(self, name, password, *args):
        return self.ctl("account", "add", name, "--password-stdin", *args, stdin=password + "\n")

    def start(self):
        log = open(self.log_path, "ab")  # noqa: SIM115
        self.log_from = log.tell()
        self.process = subprocess.Popen([*self.xargs, os.path.join(self.bin, "ximssd"), "-f", "-c", self.conf_path],
                                        stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=self.env,
                                        pass_fds=self.pass_fds)
        log.close()
        try:
            wait_for(self._serves, 60)
        except AssertionError:
            self.stop()
            raise AssertionError("the server does not serve:\n" + self.log()) from None

    def _serves(self):
        assert self.process.poll() is None, "the server ended:\n" + self.log()
        return " serving: " in self.log()[self.log_from:]

    def rewrite(self, conf="", server=""):
        """Another configuration; the listeners that the tests use stay."""
        self._write_conf(conf, server)

    def reload(self, seconds=PATIENCE):
        """SIGHUP: waits until it is done. "": the configuration of the file holds now; else what the log says."""
        since = len(self.log())
        self.process.send_signal(signal.SIGHUP)
        done = wait_for(lambda: [line for line in self.log()[since:].splitlines()
                                 if line.endswith((" reloaded", " nothing was changed"))], seconds)
        return "" if done[0].endswith(" reloaded") else self.log()[since:]

    def log(self):
        if not os.path.exists(self.log_path):
            return ""  # never started
        with open(self.log_path, errors="replace") as f:
            return f.read()

    def stop(self):
        """SIGTERM; the exit code."""
        if self.process is None:
            shutil.rmtree(self.run_dir, ignore_errors=True)
            return None
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            code = self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise AssertionError("the server does not stop:\n" + self.log()) from None
        finally:
            shutil.rmtree(self.run_dir, ignore_errors=True)
        self.process = None
        return code

    def check_banks(self):
        """The engine's own opinion of what a stopped server leaves."""
        found = glob.glob(os.path.join(self.state_dir, "bank-*.db"))
        assert found and self.process is None
        for path in found:
            with contextlib.closing(sqlite3.connect(path)) as db:
                assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)], path

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        code = self.stop()
        if exc[0] is None:
            assert code in (0, None), "exit code %s:\n%s" % (code, self.log())
            assert "broken invariant" not in self.log(), self.log()
            assert "Sanitizer" not in self.log(), self.log()
            assert self.sigsys_expected or "ended by the kernel (SIGSYS)" not in self.log(), self.log()
        if self.clock:
            self.clock_map.close()
            self.clock.close()

    def client(self, tls=False, **more):
        if tls:
            return Client(("127.0.0.1", self.tls_port), tls=self.tls_context(), **more)
        return Client(("127.0.0.1", self.port), **more)

    @staticmethod
    def tls_context(version=None):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        if version is not None:
            context.minimum_version = context.maximum_version = version
        return context

    def session(self, name="dora@harbor.example", password=None, tls=False):
        """A client that is logged in."""
        c = self.client(tls=tls)
        c.login(name, password or self.accounts[name.split("@")[0]])
        return c

    def lmtp(self):
        return Lmtp(os.path.join(self.run_dir, "lmtp"))

    def deliver(self, message, recipients=("dora@harbor.example",), sender="ann@example.org"):
        """Delivers one message; every recipient must get it."""
        lmtp = self.lmtp()
        answers = lmtp.deliver(sender, list(recipients), message if isinstance(message, bytes) else message.encode())
        lmtp.quit()
        assert all(code == 250 for code, _ in answers), answers
        return answers

    def counters(self):
        """The statistic elements by name, as ximss-top says them."""
        return {c["name"]: c["value"] for c in self._of_now("--counters")["counters"]}

    def _of_now(self, *args):
        """ximss-top shows nothing of a server whose master it has not heard of for long, as is so after a jump of the clock."""
        got = self.top(*args)
        if self.clock and self.process and not got["server"]["running"]:
            got = wait_for(lambda: (lambda new: new["server"]["running"] and new)(self.top(*args)))
        return got

    def top(self, *args):
        """What ximss-top --once --json says."""
        def look():
            done = subprocess.run([os.path.join(self.bin, "ximss-top"), "-c", self.conf_path, "--once", "--json", *args],
                                  stdin=subprocess.DEVNULL, capture_output=True, timeout=PATIENCE, check=True, env=self.env)
            shown = json.loads(done.stdout)
            # Right behind a leap of its clock nobody is known to run, and all sums are 0, until the master's next beat.
            return (not leaps or shown["server"]["running"]) and shown
        leaps = self.clock is not None and self.process is not None and self.process.poll() is None
        return wait_for(look)

    def row(self, **want):
        """The one row of ximss-top that has these values, or None."""
        rows = [r for r in self._of_now()["sessions"] if all(r.get(k) == v for k, v in want.items())]
        assert len(rows) <= 1, rows
        return rows[0] if rows else None

    def children(self):
        """{"worker 1": pid, "auth": pid, ...}, from the titles that ps shows."""
        out = subprocess.run(["ps", "-o", "pid=,args=", "--ppid", str(self.process.pid)], capture_output=True,
                             text=True, check=False).stdout
        found = {}
        for line in out.splitlines():
            pid, title = line.split(None, 1)
            if title.startswith("ximssd: "):
                found[title[len("ximssd: "):].strip()] = int(pid)
        return found

    def anonymous_memory(self):
        """Bytes of all workers and keepers that are nobody else's."""
        total = 0
        for name, pid in self.children().items():
            if name.split()[0] in ("worker", "keeper"):
                with open("/proc/%d/status" % pid) as f:
                    total += int(re.search(r"^RssAnon:\s+(\d+) kB", f.read(), re.M).group(1)) << 10
        return total

    def kill(self, name, signo=signal.SIGKILL):
        """Sends a signal to one of the server's own processes, as soon as it is there; returns its pid."""
        pid = wait_for(lambda: self.children().get(name))
        os.kill(pid, signo)
        return pid

    @contextlib.contextmanager
    def stopped(self, name):
        """One of its processes does not run for a while."""
        pid = self.kill(name, signal.SIGSTOP)
        try:
            yield pid
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)
