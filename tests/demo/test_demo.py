# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The ximssd authors
"""A stranger's first minute: what `make run` starts (tools/run-demo), and every command that it prints."""
import glob
import json
import os
import re
import shlex
import signal
import smtplib
import socket
import subprocess
import threading
import urllib.parse
import urllib.request
import xml.etree.ElementTree as ET

import pytest
from mailview import browse, open_folder
from ximss import BUILD, PATIENCE, ROOT, Client, free_ports, wait_for

MAIL = [p for p in glob.glob(os.path.join(ROOT, "tests/data/mail/**"), recursive=True)
        if os.path.isfile(p) and not os.path.basename(p).startswith("LICENSE")]
LAST = "^C stops the server."


class Demo:
    """tools/run-demo until the `with` ends; then ^C, as a terminal gives it to everybody."""

    def __init__(self, folder, port):
        self.env = {**os.environ, "BUILD": BUILD, "DEMO": str(folder), "PORT": str(port)}
        self.lines = []

    def __enter__(self):
        self.process = subprocess.Popen([os.path.join(ROOT, "tools/run-demo")], cwd=ROOT, env=self.env, stdin=subprocess.DEVNULL,
                                        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True)
        self.reader = threading.Thread(target=self.read)
        self.reader.start()
        try:
            wait_for(lambda: LAST in self.lines or self.process.poll() is not None, 300)
            assert LAST in self.lines, "\n".join(self.lines)
        except AssertionError:
            self.interrupt()
            raise
        return self

    def read(self):
        for line in self.process.stdout:
            self.lines.append(line.rstrip("\n"))

    def interrupt(self):
        try:
            os.killpg(self.process.pid, signal.SIGINT)
        except ProcessLookupError:
            pass
        return self.end()

    def end_server(self):
        """So that the script hears of that before it hears of ^C."""
        (serving,) = [line for line in self.lines if line.startswith("Serving: ")]
        os.kill(int(serving.rsplit(" ", 1)[1]), signal.SIGINT)
        return self.end()

    def end(self):
        code = self.process.wait(PATIENCE)
        self.reader.join()
        self.process.stdout.close()
        return code

    def __exit__(self, *exc):
        if self.process.returncode is not None:
            return
        code = self.interrupt()
        assert exc[0] is not None or code == 0, self.lines

    def after(self, label):
        """What stands behind a label of the list."""
        (found,) = [line.strip()[len(label):].strip() for line in self.lines if line.strip().startswith(label + "  ")]
        return found

    def command(self, label):
        """The command at the end of that line."""
        return shlex.split(self.after(label)[self.after(label).index(BUILD):])


def run(argv, stdin=""):
    done = subprocess.run(argv, input=stdin, cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Its name is longer than the name of a socket may be."""
    return tmp_path_factory.mktemp("a" * 60) / ("b" * 60)


def test_first_and_second_start(folder):
    port = free_ports(4)
    with Demo(folder, port) as demo:
        assert "%d messages were delivered to dora@harbor.example." % len(MAIL) in demo.lines and len(MAIL) >= 104
        (serving,) = [line for line in demo.lines if line.startswith("Serving: ")]
        workers, keepers = map(int, re.fullmatch(r"Serving: (\d+) workers?, (\d+) keepers?, pid \d+", serving).groups())
        assert workers >= 1 and keepers >= 1
        typed = [line.strip() for line in demo.lines if line.strip().startswith("<") and line.startswith("  <")]
        assert len(typed) == 3
        for label in ("XIMSS", "XIMSS, TLS"):
            out = run(demo.command(label), "\n".join(typed) + "\n").splitlines()
            messages = [ET.fromstring(line) for line in out]
            assert [m.get("errorNum") for m in messages if m.tag == "response"] == [None] * 3, out
            init = messages[2]
            assert init.get("mode") == "init" and init.get("messages") == str(len(MAIL))
            rows = [m for m in messages if m.get("index")]
            assert [r.get("index") for r in rows] == ["0", "1", "2", "3", "4"]
        client = Client(("127.0.0.1", port))
        account, password = re.fullmatch(r"(\S+), password (\S+)", demo.after("account")).groups()
        client.login(account, password)
        open_folder(client, "in", "INBOX", more='sortField="UID"')
        assert len(browse(client, "in")) == len(MAIL)
        # the address that is printed for clients over HTTP
        url = demo.after("over HTTP")
        assert url == "http://127.0.0.1:%d/XIMSSLogin/" % (port + 3)
        form = urllib.parse.urlencode({"userName": account, "password": password}).encode()
        with urllib.request.urlopen(url, form, timeout=PATIENCE) as answer:
            session = ET.fromstring(answer.read())[0]
        with urllib.request.urlopen(url.replace("XIMSSLogin/", "Session/%s/KILL" % session.get("urlID")), timeout=PATIENCE) as answer:
            assert session.get("userName") == account and answer.status == 200
        # mail comes in, over the port that is printed, and is heard of
        address = re.match(r"127\.0\.0\.1:(\d+) ", demo.after("mail comes")).group(1)
        assert int(address) == port + 2
        lmtp = smtplib.LMTP("127.0.0.1", port + 2, "client.example")
        lmtp.sendmail("ann@example.org", [account], b"Subject: hello\r\n\r\nhello\r\n")
        lmtp.quit()
        assert client.raw() == b'<folderReport folder="in" mode="notify"/>'
        # who is on
        top = run([*demo.command("who is on"), "--once"])
        assert top.splitlines()[0] == "1 of 1 selected" and account in top.splitlines()[2]
        told = json.loads(run([*demo.command("who is on"), "--json"]))
        assert [s["account"] for s in told["sessions"]] == [account]
        assert account in run(demo.command("accounts"))
        assert " serving: " in open(os.path.join(ROOT, demo.after("log")), encoding="utf-8").read()
    # everything is there the next time, once
    with Demo(folder, free_ports(4)) as demo:
        assert not any("were delivered" in line for line in demo.lines)
        out = run(demo.command("XIMSS"), '<login id="1" authData="dora@harbor.example" password="correct-horse"/>\n'
                  '<mailboxList id="2"/>\n')
        boxes = [ET.fromstring(line) for line in out.splitlines() if line.startswith("<mailbox ")]
        assert [(b.get("mailbox"), b.get("Messages")) for b in boxes] == [("INBOX", str(len(MAIL) + 1))]
        # ^C is for both; whoever is the first to hear of it, the end is a good one
        assert demo.end_server() == 0


def test_a_port_that_is_taken(tmp_path):
    """A sentence and an exit code, no half server."""
    port = free_ports(4)
    with socket.socket() as s:
        s.bind(("127.0.0.1", port + 1))
        s.listen()
        done = subprocess.run([os.path.join(ROOT, "tools/run-demo")], cwd=ROOT, stdin=subprocess.DEVNULL, capture_output=True,
                              text=True, timeout=300, check=False,
                              env={**os.environ, "BUILD": BUILD, "DEMO": str(tmp_path / "demo"), "PORT": str(port)})
    assert done.returncode == 1
    assert str(port + 1) in done.stderr and "in use" in done.stderr, done.stderr
    assert LAST not in done.stdout
