# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The ximssd authors
"""ximssctl try: a client's way through every listener. What the server's log and its shared table say is the judge."""
import json
import os
import re
import socket
import struct
import subprocess
import threading

import pytest
from settled import settle
from ximss import PATIENCE, Server, free_port, wait_for

XIMSS = ["connect", "features", "login", "session", "bye"]


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    conf = "[listener lmtp-tcp]\nprotocol = lmtp\naddress = 127.0.0.1:%d\n" % free_port()
    conf += "[listener lmtp-tls]\nprotocol = lmtp\ntls = yes\naddress = 127.0.0.1:%d\n" % free_port()
    conf += "[listener lmtp]\nprotocol = lmtp\naddress = unix:{run_dir}/lmtp\n"
    conf += "[listener v6]\nprotocol = ximss\ntls = no\naddress = [::1]:%d\n" % free_port()
    conf += "[listener all]\nprotocol = ximss\naddress = *:%d\n" % free_port()
    conf += "[listener off]\nprotocol = ximss\naddress = 127.0.0.1:0\n"
    conf += "[listener web]\nprotocol = http\naddress = 127.0.0.1:%d\n" % free_port()
    conf += "[listener web-tls]\nprotocol = http\ntls = yes\naddress = 127.0.0.1:%d\n" % free_port()
    conf += "[listener web-proxy]\nprotocol = http\nproxy_protocol = yes\naddress = 127.0.0.1:%d\n" % free_port()
    conf += "[http]\ntrusted_proxies = 127.0.0.1\n"
    conf += "[login]\nfail_delay = 0\nfail_account = 1000\nfail_address = 1000\n"
    with Server(tmp_path_factory.mktemp("server"), conf=conf, tls=True, clock=True) as s:
        yield s


def attempt(server, name="dora", password="correct-horse", code=0, **more):
    done = subprocess.run([os.path.join(server.bin, "ximssctl"), "-c", server.conf_path, "--json", "try", name, "--password-stdin"],
                          input=password + "\n", capture_output=True, text=True, timeout=60, check=False,
                          **{"env": server.env, **more})
    assert done.returncode == code, done
    answer = json.loads(done.stdout)
    assert answer["ok"] == (code == 0) == all(t["ok"] for t in answer["tries"])
    for t in answer["tries"]:
        assert t["ok"] == all(s["ok"] for s in t["steps"])
        assert all(s["ok"] for s in t["steps"][:-1])  # nothing behind a failure
        assert all(0 <= s["ms"] < 20000 for s in t["steps"])
    return {(t["listener"], t["link"]): t for t in answer["tries"]}


def steps(t):
    return [s["step"] for s in t["steps"]]


def test_every_listener(server):
    tries = attempt(server)
    assert {(name, link): steps(t) for (name, link), t in tries.items()} == {
        ("ximss", "clear"): XIMSS, ("ximss", "starttls"): XIMSS[:2] + ["starttls", "TLS handshake"] + XIMSS[2:],
        ("ximss-tls", "tls"): ["connect", "TLS handshake"] + XIMSS[1:],
        ("v6", "clear"): XIMSS,
        ("web", "clear"): XIMSS, ("web-proxy", "clear"): XIMSS, ("web-tls", "tls"): ["connect", "TLS handshake"] + XIMSS[1:],
        ("all", "clear"): XIMSS, ("all", "starttls"): XIMSS[:2] + ["starttls", "TLS handshake"] + XIMSS[2:],
        ("lmtp-tcp", "clear"): ["connect", "greeting", "LHLO", "sender", "recipient", "bye"],
        ("lmtp-tls", "tls"): ["connect", "TLS handshake", "greeting", "LHLO", "sender", "recipient", "bye"],
        ("lmtp", "clear"): ["connect", "greeting", "LHLO", "sender", "recipient", "bye"]}
    assert tries["all", "clear"]["address"].startswith("127.0.0.1:")
    assert "self-signed" in tries["ximss-tls", "tls"]["steps"][1]["detail"]
    # real sessions, over the links that are named
    numbers = {key: int(t["steps"][XIMSS.index("login") - len(XIMSS)]["detail"].split()[1])
               for key, t in tries.items() if t["protocol"] != "lmtp"}
    log = wait_for(lambda: server.log().count("session closed: bye") >= len(numbers) and server.log())
    for (name, link), ident in numbers.items():
        address = re.escape("[::1]") if (name, link) == ("v6", "clear") else re.escape("[127.0.0.1]")
        tls = "" if link == "clear" else ", TLSv1.3"
        assert re.search(r"XIMSS-%d\(dora@harbor\.example\) session opened, from %s, %s%s$"
                         % (ident, address, "HTTP" if name.startswith("web") else "TCP", tls), log, re.M)


def test_for_people(server):
    def shown(**env):
        done = server_ctl(server, {**server.env, **env})
        assert done.returncode == 0, done
        return done.stdout.splitlines()

    lines = shown(LC_ALL="C.UTF-8")
    heads = [line for line in lines if not line.startswith("  ")]
    assert "ximss, ximss, 127.0.0.1:%d, starttls" % server.port in heads and len(heads) == 12
    assert all(re.fullmatch(r"  ✓ .{13} +\d+\.\d ms(  .*)?", line) for line in lines if line not in heads)
    lines = shown(LC_ALL="C")
    assert all(line.isascii() for line in lines)
    assert all(re.fullmatch(r"  ok .{13} +\d+\.\d ms(  .*)?", line) for line in lines if line.startswith("  "))
    done = server_ctl(server, {**server.env, "LC_ALL": "C.UTF-8"}, password="wrong-horse")
    assert done.returncode == 1 and "ximssctl: listener ximss: login failed" in done.stderr
    assert re.search(r"  ✗ login .* ms  incorrect password or account name \(515\)", done.stdout)


def server_ctl(server, env, password="correct-horse"):
    return subprocess.run([os.path.join(server.bin, "ximssctl"), "-c", server.conf_path, "try", "dora@harbor.example",
                           "--password-stdin"], input=password + "\n", capture_output=True, text=True, timeout=60, env=env,
                          check=False)


def test_wrong_password_is_sent_once(server):
    settle(server)
    before = server.log().count("login failed")
    tries = attempt(server, password="wrong-horse", code=1)
    last = [t["steps"][-1] for t in tries.values() if t["protocol"] != "lmtp"]
    assert all(s["step"] == "login" and not s["ok"] for s in last)
    assert [s["detail"] for s in last].count("not tried again: the password was refused") == len(last) - 1
    assert all(t["ok"] for t in tries.values() if t["protocol"] == "lmtp")
    settle(server)
    assert server.log().count("login failed") == before + 1


def test_unknown_account(server):
    tries = attempt(server, name="nobody@harbor.example", code=1)
    for t in tries.values():
        assert t["steps"][-1]["step"] == ("recipient" if t["protocol"] == "lmtp" else "login") and not t["ok"]
    assert tries["lmtp", "clear"]["steps"][-1]["detail"].startswith("550")


def test_names_that_are_none(server):
    for name in ("", "dora>\r\nRCPT TO:<otto", "\x1b[31m a\"b'c&", "x" * 2000):
        tries = attempt(server, name=name, code=1)
        assert not any(t["ok"] for t in tries.values())
        assert all("\x1b" not in s["detail"] for t in tries.values() for s in t["steps"])


def test_a_certificate_out_of_its_dates(server, tmp_path):
    """Seen from fifty years later: ximssctl's own clock is moved, not the server's."""
    later = tmp_path / "clock"
    later.write_bytes(struct.pack("q", 50 * 365 * 86400 * 10**9))
    tries = attempt(server, code=1, env={**server.env, "XIMSSD_TEST_CLOCK": str(later)})
    failed = {key for key, t in tries.items() if not t["ok"]}
    assert failed == {key for key in tries if key[1] != "clear"}
    assert all("has expired" in tries[key]["steps"][-1]["detail"] and tries[key]["steps"][-1]["step"] == "TLS handshake"
               for key in failed)


class Other(threading.Thread):
    """Something that is no ximssd."""

    def __init__(self):
        super().__init__(daemon=True)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]

    def run(self):
        conn, _ = self.listener.accept()
        conn.sendall(b"HTTP/1.0 400 Bad Request\r\n\r\n\0")
        conn.recv(1000)
        conn.close()

    def __enter__(self):
        self.start()

    def __exit__(self, *_):
        self.join(PATIENCE)
        self.listener.close()


def test_clear_logins_forbidden(tmp_path):
    """The password is not sent where it may not be, and that is as it should be."""
    with Server(tmp_path, conf="[domain harbor.example]\nclear_login = no\n", tls=True) as server:
        tries = attempt(server)
        assert steps(tries["ximss", "clear"]) == ["connect", "features", "login", "bye"]
        assert "clear_login" in tries["ximss", "clear"]["steps"][2]["detail"]
        settle(server)
        assert server.log().count("session opened") == 2
        # a listener that nobody opened, and one where somebody else answers
        other = Other()
        with open(server.conf_path, "a") as f:
            f.write("[listener new]\nprotocol = ximss\naddress = 127.0.0.1:%d\n[listener wrong]\nprotocol = ximss\n"
                    "address = 127.0.0.1:%d\ntls = no\n" % (free_port(), other.port))
            f.write("[listener lmtp]\nprotocol = lmtp\naddress = unix:%s/lmtp2\n" % server.run_dir)
        with other:
            tries = attempt(server, code=1)
        assert {key for key, t in tries.items() if not t["ok"]} == {
            ("new", "clear"), ("new", "starttls"), ("wrong", "clear"), ("lmtp", "clear")}
        assert tries["new", "clear"]["steps"] == [{**tries["new", "clear"]["steps"][0], "step": "connect", "ok": False,
                                                   "detail": "Connection refused"}]
        assert tries["wrong", "clear"]["steps"][-1]["step"] == "features"
        assert tries["wrong", "clear"]["steps"][-1]["detail"] == "the server's answer is not XML"


def test_without_a_server(tmp_path):
    server = Server(tmp_path, accounts={}, start=False)
    for args in (["try", "dora", "--password-stdin"], ["status"], ["session", "list"], ["session", "kick", "100001"],
                 ["session", "say", "all", "hello"]):
        done = server.ctl(*args, stdin="x\n", check=False)
        assert done.returncode == 3 and "no server runs" in done.stderr and done.stdout == "", done
        done = server.ctl("--json", *args, stdin="x\n", check=False)
        assert done.returncode == 3 and "no server runs" in json.loads(done.stdout)["error"], done
    server.stop()


def test_no_password(server):
    done = server.ctl("try", "dora", "--password-stdin", check=False)
    assert done.returncode == 2 and "no password" in done.stderr
    done = subprocess.run(["setsid", os.path.join(server.bin, "ximssctl"), "-c", server.conf_path, "try", "dora"],
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert done.returncode == 2 and "--password-stdin" in done.stderr
