# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The ximssd authors
"""Where the log goes: files that are rotated, the journal, readers who do not read, disks without room."""
import fcntl
import json
import os
import re
import shutil
import signal
import subprocess
import time

import pytest
from journal import RECORD, Journal, JournalServer
from settled import settle, spread_sessions
from ximss import PATIENCE, Server, wait_for

NOOP = b'<response id="%d"/>'
LOST = re.compile(r"(\d+) records were lost: (.*)")


class FileServer(Server):
    """[server] log = file:..."""

    def __init__(self, folder, server="", **more):
        path = os.path.join(str(folder), "logs", "ximssd.log")
        os.mkdir(os.path.dirname(path))
        super().__init__(folder, server="log = file:%s\n%s" % (path, server), start=False, **more)
        self.log_path = path
        for name, password in self.accounts.items():
            self.add_account(name, password)
        self.start()

    def targets(self):
        """What every process has as its standard error."""
        return {os.readlink("/proc/%d/fd/2" % pid) for pid in [self.process.pid, *self.children().values()]}


def noops(client, first, count):
    for i in range(first, first + count):
        client.send('<noop id="%d"/>' % i)
        assert client.raw() == NOOP % i


def records(*paths):
    """All lines of these files, each of which must be a record."""
    found = []
    for path in paths:
        with open(path, encoding="utf-8") as f:
            text = f.read()
        assert text == "" or text.endswith("\n")
        for line in text.splitlines():
            assert RECORD.fullmatch(line), line
            found.append(line)
    return found


def numbers(lines, session):
    """The noops that were logged, of one session."""
    return [int(m.group(1)) for m in (re.search(r"XIMSSI-%s\(.*inp\(\d+\): <noop id=\"(\d+)\"/>" % session, line)
                                      for line in lines) if m]


needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root to see the files of the server's processes")


@needs_root
def test_a_new_file(tmp_path):
    """Whatever becomes of the file: within a second or two every process writes to a new one, and nothing is missing."""
    with FileServer(tmp_path, server="log_level = low\n") as server:
        clients = [server.session() for _ in range(6)]
        children = server.children()
        assert server.targets() == {server.log_path}
        for turn, how in enumerate(("renamed", "signal", "signal to all", "removed")):
            first, old = turn * 60, server.log_path + "." + how
            for i, client in enumerate(clients):
                noops(client, i * 1000 + first, 20)
            if how == "removed":
                os.link(server.log_path, old)
                os.unlink(server.log_path)
            else:
                os.rename(server.log_path, old)
            if how == "signal":
                server.process.send_signal(signal.SIGUSR1)
            elif how == "signal to all":  # as `systemctl kill` does it
                for pid in [server.process.pid, *children.values()]:
                    os.kill(pid, signal.SIGUSR1)
            for i, client in enumerate(clients):
                noops(client, i * 1000 + first + 20, 20)
            wait_for(lambda: server.targets() == {server.log_path})
            for i, client in enumerate(clients):
                noops(client, i * 1000 + first + 40, 20)
            settle(server)
            assert any("the log was opened anew" in line for line in records(server.log_path)), how
        assert server.children() == children
        server.stop()
        folder = os.path.dirname(server.log_path)
        lines = records(*[os.path.join(folder, name) for name in os.listdir(folder)])
        assert sorted(numbers(lines, r"\d+")) == [i * 1000 + n for i in range(6) for n in range(240)]


@needs_root
def test_logrotate(tmp_path):
    """Debian's own, as its manual page tells to set it up; three turns."""
    with FileServer(tmp_path, server="log_level = low\n") as server:
        conf = tmp_path / "rotate.conf"
        user = subprocess.run(["id", "-un"], capture_output=True, text=True, check=True).stdout.strip()
        group = subprocess.run(["id", "-gn"], capture_output=True, text=True, check=True).stdout.strip()
        conf.write_text("%s {\n su %s %s\n rotate 5\n create 0640\n missingok\n postrotate\n kill -USR1 %d\n endscript\n}\n"
                        % (server.log_path, user, group, server.process.pid))
        os.chmod(os.path.dirname(server.log_path), 0o755)
        client = server.session()
        for turn in range(3):
            noops(client, turn * 100, 50)
            done = subprocess.run(["/usr/sbin/logrotate", "-f", "-s", str(tmp_path / "turns"), str(conf)],
                                  capture_output=True, text=True, timeout=30, check=False)
            assert done.returncode == 0, done.stderr
            wait_for(lambda: server.targets() == {server.log_path})
            noops(client, turn * 100 + 50, 50)
        server.stop()
        lines = records(*["%s.%d" % (server.log_path, n) for n in (3, 2, 1)], server.log_path)
        assert numbers(lines, r"\d+") == list(range(300))


@needs_root
def test_the_folder_is_gone(tmp_path):
    """Nothing can be opened: one record says so, where records went before; the server goes on, and finds back."""
    with FileServer(tmp_path) as server:
        folder = os.path.dirname(server.log_path)
        os.rename(folder, folder + ".old")
        old = os.path.join(folder + ".old", "ximssd.log")

        def complaints():
            with open(old, encoding="utf-8") as f:
                return f.read().count("cannot open the log")
        wait_for(lambda: complaints() == 1)
        time.sleep(2.5)  # it is looked at every second, and told of once
        assert complaints() == 1
        server.session().close()
        os.mkdir(folder)
        wait_for(lambda: server.targets() == {server.log_path})
        server.session()
        server.stop()
        records(old, server.log_path)


def test_a_log_that_cannot_be_opened_is_an_error_at_start(tmp_path):
    with Server(tmp_path, server="log = file:/nonexistent/folder/log\n", start=False) as server:
        done = subprocess.run([os.path.join(server.bin, "ximssd"), "-f", "-c", server.conf_path], capture_output=True,
                              text=True, timeout=30, check=False)
        assert done.returncode == 1
        assert "cannot open the log /nonexistent/folder/log: No such file or directory" in done.stderr


# --- the journal

@pytest.fixture
def journal(tmp_path_factory):
    path = "/tmp/ximssd-journal-%d" % os.getpid()
    j = Journal(path)
    yield j
    j.close()


def test_journal(tmp_path, journal):
    with JournalServer(tmp_path, journal) as server:
        client = server.session()
        ident = server.top()["sessions"][0]["id"]
        client.send('<login id="x"')  # a protocol error: level 3
        client.recv()
        server.ctl("log", "set", "low", "--session", str(ident))
        noops(client, 1, 3)
        wait_for(lambda: 'out: <response id="3"/>' in journal.text())
        settle(server)
        wait_for(lambda: "session opened" in journal.text())
        opened = next(r for r in journal.records if b"session opened" in r["MESSAGE"])
        assert opened == {"MESSAGE": b"XIMSS-%d(dora@harbor.example) session opened, from [127.0.0.1], TCP" % ident,
                          "PRIORITY": b"5", "SYSLOG_IDENTIFIER": b"ximssd", "XIMSS_TAG": b"XIMSS",
                          "XIMSS_ID": b"%d" % ident, "XIMSS_WHO": b"dora@harbor.example"}
        message = next(r for r in journal.records if r["MESSAGE"].endswith(b'inp(14): <noop id="2"/>'))
        assert (message["PRIORITY"], message["XIMSS_TAG"]) == (b"7", b"XIMSSI")
        assert next(r for r in journal.records if b"serving" in r["MESSAGE"])["XIMSS_TAG"] == b"MASTER"
        assert json.loads(server.ctl("log", "--json").stdout)["target"] == "journal:" + journal.path
    with open(server.log_path, encoding="utf-8") as f:
        assert "XIMSS" not in f.read()


def test_journal_comes_late_and_comes_again(tmp_path):
    """Not there at the start: records go to standard error, with a warning, until it is; so when it is exchanged."""
    path = "/tmp/ximssd-late-%d" % os.getpid()
    with Server(tmp_path, server="log = journal:%s\n" % path) as server:
        assert "warning: the journal's socket %s cannot be reached" % path in server.log()
        server.session()
        wait_for(lambda: "session opened" in server.log())
        for _ in range(2):
            journal = Journal(path)
            wait_for(lambda: "was opened" in journal.text())  # noqa: B023
            wait_for(lambda: _opened(server, journal))  # noqa: B023
            journal.close()
            server.session().close()  # nobody listens: nothing waits


def _opened(server, journal):
    """Has every worker the new socket?"""
    server.session().close()
    return journal.text().count("session opened") > 8


def journald(tmp_path):
    """A journal daemon of its own, in a mount namespace; its process, and the folder of its journal."""
    script = "mount -t tmpfs none /run && mkdir -p /run/systemd/journal && exec /lib/systemd/systemd-journald"
    p = subprocess.Popen(["unshare", "-m", "sh", "-c", script], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                         stderr=subprocess.DEVNULL, env={**os.environ, "SYSTEMD_LOG_TARGET": "console"})
    root = "/proc/%d/root" % p.pid
    try:
        wait_for(lambda: p.poll() is not None or os.path.exists(root + "/run/systemd/journal/socket"))
    except AssertionError:
        p.kill()
        p.wait()
        raise
    return p, root


@pytest.mark.skipif(os.geteuid() != 0, reason="systemd-journald runs as root")
def test_the_real_journal(tmp_path):
    """systemd-journald takes what we send; journalctl finds it by our fields."""
    if subprocess.run(["unshare", "-m", "true"], stderr=subprocess.DEVNULL, check=False).returncode != 0:
        pytest.skip("no mount namespace can be made here")
    if not os.path.isdir("/sys/fs/cgroup"):
        pytest.skip("systemd-journald does not start without control groups")
    p, root = journald(tmp_path)
    try:
        assert p.poll() is None, "systemd-journald does not run here"
        with Server(tmp_path, server="log = journal:%s/run/systemd/journal/socket\nlog_level = low\n" % root,
                    start=False) as server:
            server.add_account("dora", "correct-horse")
            server._serves = lambda: os.path.exists(os.path.join(server.run_dir, "shm/index")) and server.top()["server"]["running"]
            server.start()
            client = wait_for(lambda: _session(server), 30)
            noops(client, 1, 5)
            ident = server.top()["sessions"][0]["id"]

            def find(*match):
                out = subprocess.run(["journalctl", "-D", root + "/run/log/journal", "-o", "json", "--no-pager",
                                      "SYSLOG_IDENTIFIER=ximssd", *match], capture_output=True, text=True, timeout=30,
                                     check=True).stdout
                return [json.loads(line) for line in out.splitlines()]
            found = wait_for(lambda: [r for r in find("XIMSS_ID=%d" % ident) if 'out: <response id="5"/>' in r["MESSAGE"]])
            assert found[0]["PRIORITY"] == "7" and found[0]["XIMSS_WHO"] == "dora@harbor.example"
            assert found[0]["MESSAGE"] == 'XIMSSI-%d(dora@harbor.example) out: <response id="5"/>' % ident
            assert [r["XIMSS_TAG"] for r in find("XIMSS_TAG=XIMSS")] == ["XIMSS"]
            assert any("serving: " in r["MESSAGE"] for r in find("XIMSS_TAG=MASTER"))
    finally:
        p.terminate()
        p.wait(20)


def _session(server):
    try:
        return server.session()
    except OSError:
        return None


# --- nobody reads

class PipeServer(Server):
    """Standard error is a pipe; `reader` is our end of it."""

    def start(self):
        self.reader, writer = os.pipe()
        fcntl.fcntl(self.reader, fcntl.F_SETFL, os.O_NONBLOCK)
        self.seen = b""
        self.process = subprocess.Popen([os.path.join(self.bin, "ximssd"), "-f", "-c", self.conf_path],
                                        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=writer, env=self.env)
        self.flags = fcntl.fcntl(writer, fcntl.F_GETFL)
        self.writer = writer
        wait_for(lambda: " serving: " in self.log(), 60)

    def log(self):
        while self.reader is not None:
            try:
                got = os.read(self.reader, 1 << 20)
            except BlockingIOError:
                break
            if not got:
                break
            self.seen += got
        return self.seen.decode()


def flood(server, clients, count):
    """Many records of every worker; each answer has to come soon."""
    worst = 0
    for i in range(count):
        for k, client in enumerate(clients):
            client.send_bytes(b'<noop id="%d"/>\0' % (i * 100 + k))
        for k, client in enumerate(clients):
            begin = time.monotonic()
            assert client.raw() == NOOP % (i * 100 + k)
            worst = max(worst, time.monotonic() - begin)
    return worst


def test_a_pipe_that_nobody_reads(tmp_path):
    """64 KiB are soon full. Everybody is served, whole records are lost and counted, and told of when somebody reads."""
    with PipeServer(tmp_path, server="log_level = all\n") as server:
        try:
            clients = spread_sessions(server, 8)
            children = server.children()
            server.log()
            assert flood(server, clients, 400) < PATIENCE  # 12,800 records
            server.deliver("Subject: x\r\n\r\ny\r\n")
            server.session().close()
            assert server.children() == children
            assert fcntl.fcntl(server.writer, fcntl.F_GETFL) == server.flags  # it is not ours alone

            def told():
                for client in clients:
                    client.send('<noop id="z"/>')
                    client.raw()
                return {m.group(0) for m in LOST.finditer(server.log())}
            wait_for(lambda: len(told()) >= 2)
            time.sleep(1.5)
            settle(server)
            lines = server.log().splitlines(keepends=True)
            for line in lines[:-1]:
                assert RECORD.fullmatch(line[:-1]) and len(line) <= 4096, line
            lost = sum(int(m.group(1)) for m in (LOST.search(line) for line in lines) if m)
            written = sum(1 for line in lines if re.search(r' [45] XIMSSI-\d+\(dora@harbor\.example\) '
                                                           r'(inp\(\d+\): <noop id="\d+"/>|out: <response id="\d+"/>|received|sent)', line))
            assert lost > 5000
            assert lost + written >= 12800
            assert "Resource temporarily unavailable" in next(line for line in lines if LOST.search(line))
        finally:
            server.stop()
            for fd in (server.reader, server.writer):
                os.close(fd)
            server.reader = None


def test_a_pipe_that_was_closed(tmp_path):
    with PipeServer(tmp_path, server="log_level = all\n") as server:
        try:
            clients = [server.session() for _ in range(4)]
            children = server.children()
            os.close(server.writer)
            os.close(server.reader)
            server.reader = None
            flood(server, clients, 200)
            server.session().close()
            assert server.children() == children and server.process.poll() is None
        finally:
            server.stop()


@pytest.mark.skipif(os.geteuid() != 0, reason="mounts a small tmpfs")
def test_a_full_disk(tmp_path):
    """The log's disk is full for a while: nobody notices; what is lost is counted; every line is a record."""
    folder = tmp_path / "logs"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "none", str(folder)], check=True)
    try:
        with FullServer(tmp_path) as server:
            clients = [server.session() for _ in range(6)]
            children = server.children()
            flood(server, clients, 50)
            with open(folder / "filler", "wb", buffering=0) as f:
                while True:
                    try:
                        f.write(b"x" * 1000)
                    except OSError:
                        break
            assert flood(server, clients, 800) < PATIENCE
            server.deliver("Subject: x\r\n\r\ny\r\n")
            assert server.children() == children
            os.unlink(folder / "filler")

            def told():
                for client in clients:
                    client.send('<noop id="z"/>')
                    client.raw()
                return LOST.search(server.log())
            wait_for(told)
            time.sleep(1.5)
            server.session().close()
            for client in clients:
                client.close()
        lines = records(folder / "ximssd.log")
        assert any("No space left on device" in line for line in lines)
        assert sum(int(m.group(1)) for m in (LOST.search(line) for line in lines) if m) > 1000
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)
        shutil.rmtree(folder, ignore_errors=True)


class FullServer(FileServer):
    def __init__(self, folder):
        path = os.path.join(str(folder), "logs", "ximssd.log")
        Server.__init__(self, folder, server="log = file:%s\nlog_level = all\n" % path, start=False)
        self.log_path = path
        self.add_account("dora", "correct-horse")
        self.start()


def test_a_hundred_exchanges(tmp_path):
    with FileServer(tmp_path, server="log_level = low\n") as server:
        client = server.session()
        for turn in range(100):
            os.rename(server.log_path, "%s.%d" % (server.log_path, turn))
            server.process.send_signal(signal.SIGUSR1)
            noops(client, turn * 10, 10)
            wait_for(lambda: os.path.exists(server.log_path))
        server.stop()
        lines = records(*["%s.%d" % (server.log_path, turn) for turn in range(100)], server.log_path)
        assert sorted(numbers(lines, r"\d+")) == list(range(1000))
