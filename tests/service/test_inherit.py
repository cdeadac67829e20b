# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The ximssd authors
"""Listening sockets from outside (sd_listen_fds(3)): Debian's systemd-socket-activate, and a parent in Python."""
import os
import shutil
import signal
import socket
import subprocess

import pytest
from service import Environments, HandsIn, tcp, unix
from ximss import BUILD, USERS, Client, Server, free_port, wait_for




def have_ipv6():
    try:
        with socket.socket(socket.AF_INET6) as s:
            s.bind(("::1", 0))
        return True
    except OSError:
        return False


needs_ipv6 = pytest.mark.skipif(not have_ipv6(), reason="this system has no IPv6")

@pytest.fixture
def server(tmp_path):
    with HandsIn(tmp_path, server="shutdown_grace = 0s\n", start=False) as s:
        os.makedirs(s.run_dir)
        yield s


def listening(port):
    """One line for each listening socket of this port."""
    out = subprocess.run(["ss", "-Hltn", "sport = :%d" % port], capture_output=True, text=True, check=True).stdout
    return [line for line in out.splitlines() if line.strip()]


# --- systemd's own tool

@needs_ipv6
def test_socket_activation(tmp_path):
    """The first client starts the server; TCP over IPv4 and IPv6, and a Unix socket."""
    six = free_port()
    conf = "[listener six]\nprotocol = ximss\naddress = [::1]:%d\n" % six
    with Server(tmp_path, conf=conf, server="workers = 3\n", start=False) as server:
        server.add_account("dora", "correct-horse")
        os.makedirs(server.run_dir, exist_ok=True)
        server.xargs = ["systemd-socket-activate", "-l", "127.0.0.1:%d" % server.port, "-l", "[::1]:%d" % six,
                        "-l", os.path.join(server.run_dir, "lmtp"), "--fdname=four:six:mail"]
        for name in ("TZ", "ASAN_OPTIONS", "UBSAN_OPTIONS"):
            if name in server.env:
                server.xargs += ["-E", name]

        # Server.start() waits until it serves, and it serves when somebody comes: so somebody waits at the door.
        waiting = []
        real = server._serves

        def knock_and_look():
            if not waiting:
                try:
                    waiting.append(Client(("127.0.0.1", server.port)))
                except ConnectionRefusedError:
                    return False
            return real()
        server._serves = knock_and_look
        server.start()
        for who in ('listener ximss]: uses descriptor 3 ("four", [127.0.0.1]:%d)' % server.port,
                    'listener six]: uses descriptor 4 ("six", [::1]:%d)' % six,
                    'listener lmtp]: uses descriptor 5 ("mail", unix:%s/lmtp)' % server.run_dir):
            assert who in server.log()
        waiting[0].login()
        assert len(listening(server.port)) == 1  # one socket, and not one for each worker
        server.deliver("Subject: x\r\n\r\ny\r\n")
        # whichever worker dies, the others go on accepting from the one socket
        before = server.children()
        server.kill("worker 1")
        for _ in range(6):
            server.session()
            Client(("::1", six)).login()
        wait_for(lambda: server.children().get("worker 1") not in (None, before["worker 1"]))
        for _ in range(6):
            server.session()


@pytest.mark.parametrize("kind, says", [("--datagram", "is no stream socket"), ("--seqpacket", "is no stream socket")])
def test_sockets_of_another_kind(tmp_path, kind, says):
    """systemd-socket-activate makes them; anything that arrives starts the server, which refuses."""
    path = "/tmp/ximssd-kind-%d" % os.getpid()
    conf = tmp_path / "x.conf"
    conf.write_text("[server]\nstate_dir = %s/state\nrun_dir = %s.d\n%s[listener a]\naddress = unix:%s\n" %
                    (tmp_path, path, USERS, path))
    process = subprocess.Popen(["systemd-socket-activate", kind, "-l", path, os.path.join(BUILD, "ximssd"), "-f", "-c", str(conf)],
                               stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    try:
        s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM if kind == "--datagram" else socket.SOCK_SEQPACKET)

        def knock():
            try:
                s.connect(path)
                return kind == "--seqpacket" or s.send(b"x")
            except OSError:
                return False
        wait_for(lambda: knock() is not False)
        _, errors = process.communicate(timeout=30)
    finally:
        process.kill()
        process.wait()
        os.unlink(path)
        if os.path.isdir(path + ".d"):
            shutil.rmtree(path + ".d")
    assert process.returncode == 1
    assert 'descriptor 3 (unix:%s) was handed in, but %s' % (path, says) in errors


# --- a parent in Python

def test_restart_with_the_same_sockets(server):
    """As systemd does it: the sockets outlive the server, and so does who waits at them."""
    server.add_account("dora", "correct-horse")
    path = os.path.join(server.run_dir, "lmtp")
    with tcp("127.0.0.1", server.port) as door, unix(path) as post:
        server.hand(door, post)
        server.start()
        server.session()
        server.deliver("Subject: x\r\n\r\ny\r\n")
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(20) == 0
        assert os.path.exists(path)
        waiting = server.client()
        server.start()
        waiting.login()
        server.deliver("Subject: x\r\n\r\ny\r\n")


def test_background(server):
    """The sockets are those of the process that was started, and the server is its child."""
    pidfile = os.path.join(server.folder, "pid")
    text = open(server.conf_path).read()
    with open(server.conf_path, "w") as f:
        f.write(text.replace("[server]\n", "[server]\npidfile = %s\n" % pidfile))
    with tcp("127.0.0.1", server.port) as door:
        server.hand(door)
        subprocess.run([*server.xargs, os.path.join(BUILD, "ximssd"), "-c", server.conf_path], timeout=60, check=True,
                       env=server.env, pass_fds=server.pass_fds, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        master = int(open(pidfile).read())
        client = server.client()
        client.call('<noop id="a"/>')
        os.kill(master, signal.SIGTERM)
        assert client.rest() == b"<bye/>\0"
        wait_for(lambda: not os.path.exists("/proc/%d" % master))


def test_some_handed_in_some_bound(server):
    other = free_port()
    with open(server.conf_path, "a") as f:
        f.write("[listener other]\naddress = 127.0.0.1:%d\n" % other)
    with tcp("127.0.0.1", other) as door:
        server.hand(door)
        server.start()
        for port in (server.port, other):
            Client(("127.0.0.1", port)).call('<noop id="a"/>')


def test_children_inherit_no_variables(server, tmp_path):
    recorder = Environments(tmp_path)
    with tcp("127.0.0.1", server.port) as door:
        server.hand(door, LISTEN_FDNAMES="door", KEPT="yes", **recorder.env)
        server.start()
        for name, pid in server.children().items():
            assert recorder.of(pid)["KEPT"] == "yes", name
            assert not {"LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES"} & set(recorder.of(pid)), name


def test_sockets_of_somebody_else(server):
    """LISTEN_PID names another process: they were for our parent."""
    with tcp("127.0.0.1", 0) as stray:
        server.hand(stray, LISTEN_PID=str(os.getpid()))
        server.start()
        server.client().call('<noop id="a"/>')


@needs_ipv6
def test_other_clients_than_the_section_means(server):
    """The same port on all addresses, but of another family: it is used, and the log says what that means."""
    cases = [("*", "::", {"v6only": 0}, None), ("*", "::", {"v6only": 1}, "it takes IPv6 alone"), ("*", "0.0.0.0", {}, "it takes IPv4 alone"),
             ("[::]", "::", {"v6only": 1}, None), ("[::]", "::", {"v6only": 0}, "it takes IPv4 too"), ("0.0.0.0", "0.0.0.0", {}, None)]
    doors = []
    with open(server.conf_path, "a") as f:
        for number, (host, bound, options, _) in enumerate(cases):
            doors.append(tcp(bound, 0, socket.AF_INET6 if ":" in bound else socket.AF_INET, **options))
            f.write("[listener l%d]\naddress = %s:%d\n" % (number, host, doors[-1].getsockname()[1]))
    server.hand(*doors)
    server.start()
    for number, (_, _, _, says) in enumerate(cases):
        (line,) = [x for x in server.log().splitlines() if "[listener l%d]: uses descriptor %d " % (number, 3 + number) in x]
        assert line.endswith("; " + says) if says else ";" not in line
    for door in doors:
        door.close()


def test_as_many_as_there_may_be(server):
    """64 sections, 64 sockets; a 65th is refused by its number alone."""
    doors = [tcp("127.0.0.1", 0) for _ in range(62)]
    with open(server.conf_path, "a") as f:
        for door in doors:
            f.write("[listener l%d]\naddress = 127.0.0.1:%d\n" % (door.fileno(), door.getsockname()[1]))
    doors += [tcp("127.0.0.1", server.port), unix(os.path.join(server.run_dir, "lmtp"))]
    try:
        server.hand(*doors)
        server.start()
        for door in doors[:-1]:
            Client(door.getsockname()).call('<noop id="a"/>')
        server.stop()
        server.env["LISTEN_FDS"] = "65"
        assert "LISTEN_FDS is 65; allowed is 0 to 64" in server.refused()
    finally:
        for door in doors:
            door.close()


@pytest.mark.parametrize("number", ["-1", "x", "3 ", "99999999999999999999"])
def test_bad_numbers(server, number):
    server.hand(LISTEN_FDS=number)
    assert "LISTEN_FDS is %s; allowed is 0 to 64" % number in server.refused()


def test_missing_descriptor(server):
    with tcp("127.0.0.1", server.port) as door:
        server.hand(door, LISTEN_FDS="3")
        assert "LISTEN_FDS says that 3 sockets were handed in, but descriptor 4 is not open" in server.refused()


def strays(server):
    """What nobody asked for: (socket, how the sentence names it, what it says)."""
    nobody = "no [listener] without a socket has this address"
    port = free_port()
    yield tcp("127.0.0.1", port), "[127.0.0.1]:%d" % port, nobody
    yield tcp("127.0.0.2", server.port), "[127.0.0.2]:%d" % server.port, nobody
    yield unix(server.run_dir + "/other"), "unix:%s/other" % server.run_dir, nobody
    yield unix("\0ximssd-stray-%d" % port), "unix:@ximssd-stray-%d" % port, nobody
    yield tcp("127.0.0.1", server.port, listening=False), "[127.0.0.1]:%d" % server.port, "does not listen"
    udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    udp.bind(("127.0.0.1", server.port))
    yield udp, "[127.0.0.1]:%d" % server.port, "is no stream socket"
    yield socket.socket(socket.AF_NETLINK, socket.SOCK_RAW), "no address", "is a socket of a family that this server does not know"
    yield open("/dev/null"), "no address", "is no socket"
    if have_ipv6():
        yield tcp("::1", port, socket.AF_INET6), "[::1]:%d" % port, nobody


@pytest.mark.parametrize("number", range(9 if have_ipv6() else 8))
def test_strays_are_named(server, number):
    things = list(strays(server))
    thing, where, says = things[number]
    for other, _, _ in things:
        if other is not thing:
            other.close()
    with thing, unix(server.run_dir + "/lmtp") as post:
        server.hand(post, thing, LISTEN_FDNAMES="post:stray thing")
        said = server.refused()
        assert 'descriptor 4 ("stray thing", %s) was handed in, but %s' % (where, says) in said
        assert said.count("handed in") == 1


def test_two_for_one_section(server):
    with tcp("127.0.0.1", server.port, reuseport=True) as one, tcp("127.0.0.1", server.port, reuseport=True) as two:
        server.hand(one, two)
        assert "descriptor 4 ([127.0.0.1]:%d) was handed in, but no [listener] without a socket" % server.port in server.refused()


def test_a_section_that_is_off(server):
    """channels = 0 opens no XIMSS listener, so nobody would come for who waits at its socket."""
    text = open(server.conf_path).read()
    with open(server.conf_path, "w") as f:
        f.write(text.replace("[server]\n", "[server]\nchannels = 0\n"))
    with tcp("127.0.0.1", server.port) as door:
        server.hand(door)
        assert "descriptor 3 ([127.0.0.1]:%d) was handed in, but" % server.port in server.refused()
