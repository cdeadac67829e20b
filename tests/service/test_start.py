# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The ximssd authors
"""Other inits: a background start with a pidfile (judged by start-stop-daemon), and readiness on a descriptor (by s6)."""
import fcntl
import os
import signal
import subprocess
import time

import pytest
from ximss import BUILD, Server, wait_for

XIMSSD = os.path.join(BUILD, "ximssd")


def with_pidfile(tmp_path, **more):
    path = os.path.join(str(tmp_path), "ximssd.pid")
    return path, Server(tmp_path, server="shutdown_grace = 0s\npidfile = %s\n" % path, **more)


def start_stop_daemon(*args):
    """The exit code. What is written to a pipe has an end, though the server goes on: it does not keep standard output."""
    return subprocess.run(["start-stop-daemon", *args], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                          timeout=60, check=False).returncode


def is_locked(path):
    with open(path) as f:
        try:
            fcntl.flock(f, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return False
        except BlockingIOError:
            return True


# --- pidfile

def test_classic_daemon(tmp_path):
    """start-stop-daemon starts it, sees that it runs, and stops it; as in an init script."""
    path, server = with_pidfile(tmp_path, start=False)
    with server:
        named = ["--pidfile", path, "--exec", XIMSSD]
        assert start_stop_daemon("--status", *named) != 0
        assert start_stop_daemon("--start", *named, "--", "-c", server.conf_path) == 0
        # the command is done, so the server serves, and is found
        server.client().close()
        assert start_stop_daemon("--status", *named) == 0
        assert start_stop_daemon("--start", *named, "--", "-c", server.conf_path) == 1  # runs already
        assert is_locked(path)
        assert start_stop_daemon("--stop", "--retry", "TERM/30", *named) == 0
        assert not os.path.exists(path)
        assert start_stop_daemon("--status", *named) != 0


def test_pidfile_is_there_while_it_serves(tmp_path):
    path, server = with_pidfile(tmp_path)
    with server:
        assert open(path).read() == "%d\n" % server.process.pid
        assert server.stop() == 0
        assert not os.path.exists(path)
        # kill -9 leaves it behind, and the next start replaces it
        server.start()
        server.process.kill()
        server.process.wait()
        assert os.path.exists(path) and not is_locked(path)
        server.start()
        assert open(path).read() == "%d\n" % server.process.pid and is_locked(path)


def test_two_servers_with_one_pidfile(tmp_path):
    path, first = with_pidfile(tmp_path)
    (tmp_path / "second").mkdir()
    with first, Server(tmp_path / "second", server="pidfile = %s\n" % path, start=False) as second:
        done = subprocess.run([XIMSSD, "-f", "-c", second.conf_path], capture_output=True, text=True, timeout=30, check=False)
        assert done.returncode == 1 and "pidfile %s: a server that lives has it" % path in done.stderr
        assert open(path).read() == "%d\n" % first.process.pid


def test_a_pidfile_that_is_none(tmp_path):
    path, server = with_pidfile(tmp_path, start=False)
    with server:
        with open(path, "w") as f:
            f.write("precious\n")
        done = subprocess.run([XIMSSD, "-f", "-c", server.conf_path], capture_output=True, text=True, timeout=30, check=False)
        assert done.returncode == 1 and "is no pidfile" in done.stderr
        assert open(path).read() == "precious\n"


def test_background_start_that_fails(tmp_path):
    """The command does not end with 0, and leaves no pidfile."""
    path, server = with_pidfile(tmp_path, start=False)
    with server:
        with open(server.conf_path, "a") as f:
            f.write("[listener far]\naddress = 192.0.2.7:5\n")
        done = subprocess.run([XIMSSD, "-c", server.conf_path], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                              stderr=subprocess.DEVNULL, timeout=30, check=False)
        assert done.returncode == 1
        assert not os.path.exists(path)


# --- readiness on a descriptor

def test_s6(tmp_path):
    """s6-svwait -U waits for the line feed; `up` alone would be true as soon as the process is there."""
    with Server(tmp_path, server="shutdown_grace = 0s\n", start=False) as server:
        service = tmp_path / "service"
        service.mkdir()
        (service / "notification-fd").write_text("3\n")
        (service / "run").write_text("#!/bin/sh\nexec %s -f --ready-fd 3 -c %s 2>%s\n" % (XIMSSD, server.conf_path, server.log_path))
        (service / "run").chmod(0o755)
        supervisor = subprocess.Popen(["s6-supervise", str(service)], stdin=subprocess.DEVNULL, env=server.env)
        try:
            wait_for(lambda: subprocess.run(["s6-svok", str(service)], check=False).returncode == 0)
            done = subprocess.run(["s6-svwait", "-U", "-t", "60000", str(service)], timeout=90, check=False)
            assert done.returncode == 0, server.log()
            server.client().close()
            said = subprocess.run(["s6-svstat", "-o", "up,ready,pid", str(service)], capture_output=True, text=True, check=True).stdout.split()
            assert said[:2] == ["true", "true"]
            assert subprocess.run(["s6-svc", "-wD", "-T", "30000", "-d", str(service)], timeout=60, check=False).returncode == 0
            assert not os.path.exists("/proc/" + said[2])
        finally:
            subprocess.run(["s6-svc", "-dx", str(service)], check=False)
            assert supervisor.wait(30) == 0


class Ready(Server):
    """Started with --ready-fd; the pipe's other end is `pipe`."""

    def use(self, number, argument=None):
        self.pipe, end = os.pipe()
        if number == 1:
            self.xargs = ["/usr/bin/python3", "-c", "import os, sys; os.dup2(%d, 1); os.close(%d); "
                          "os.execv(sys.argv[1], sys.argv[1:])" % (end, end)]
        self.pass_fds = (end,)
        self.options = ["--ready-fd", argument or str(1 if number == 1 else end)]
        return end

    def run(self, *more):
        """In the foreground, for at most 30 s."""
        return subprocess.run([*self.xargs, XIMSSD, "-f", *self.options, "-c", self.conf_path, *more], pass_fds=self.pass_fds,
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=30, check=False)


@pytest.mark.parametrize("number", [1, None])
def test_one_line_feed_when_it_serves(tmp_path, number):
    with Ready(tmp_path, server="shutdown_grace = 0s\n", start=False) as server:
        end = server.use(number)
        server.xargs = [*server.xargs, "/bin/sh", "-c", 'program=$1; shift; exec "$program" %s "$@"' % " ".join(server.options), "sh"]
        server.start()
        os.close(end)
        begin = time.monotonic()
        assert os.read(server.pipe, 10) == b"\n"
        # nobody holds the other end any more: neither the server nor a child
        assert os.read(server.pipe, 10) == b"" and time.monotonic() - begin < 20
        os.close(server.pipe)
        # what is standard output for the server now is nobody's
        assert os.readlink("/proc/%d/fd/1" % server.process.pid) == ("/dev/null" if number == 1 else server.log_path)
        server.client().call('<noop id="a"/>')


def test_nothing_when_it_does_not_serve(tmp_path):
    with Ready(tmp_path, start=False) as server:
        end = server.use(None)
        with open(server.conf_path, "a") as f:
            f.write("[listener far]\naddress = 192.0.2.7:5\n")
        assert server.run().returncode == 1
        os.close(end)
        assert os.read(server.pipe, 10) == b""
        os.close(server.pipe)


@pytest.mark.parametrize("argument, code, says", [
    ("0", 2, "allowed is 1, or 3 and above"), ("2", 2, "allowed is 1, or 3 and above"), ("x", 2, "allowed is"), ("-1", 2, "allowed is"),
    ("", 2, "allowed is"), ("2147483648", 2, "allowed is"), ("333", 1, "--ready-fd 333: Bad file descriptor"),
])
def test_bad_descriptors(tmp_path, argument, code, says):
    with Ready(tmp_path, start=False) as server:
        server.options = ["--ready-fd", argument]
        done = server.run()
        assert done.returncode == code and says in done.stderr


def test_a_descriptor_that_is_a_listening_socket(tmp_path):
    with Ready(tmp_path, start=False) as server:
        server.options = ["--ready-fd", "3"]
        server.xargs = ["/bin/sh", "-c", 'LISTEN_PID=$$ LISTEN_FDS=1 exec "$@" 3</dev/null', "sh"]
        done = server.run()
        assert done.returncode == 1 and "--ready-fd 3 is one of the sockets that were handed in" in done.stderr


def test_nobody_reads(tmp_path):
    """Who asked has gone: the server serves all the same."""
    with Ready(tmp_path, server="shutdown_grace = 0s\n", start=False) as server:
        end = server.use(None)
        os.close(server.pipe)
        server.xargs = ["/bin/sh", "-c", 'program=$1; shift; exec "$program" --ready-fd %d "$@"' % end, "sh"]
        server.start()
        os.close(end)
        server.client().call('<noop id="a"/>')
        wait_for(lambda: "nobody waits for the start" in server.log())
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(20) == 0
