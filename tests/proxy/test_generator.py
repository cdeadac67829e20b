# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The ximssd authors
"""ximss-bench over HTTP: what it says it has done, the server's own counters and nginx's log have seen."""
import json
import os
import subprocess

import pytest
from proxied import program
from ximss import BUILD, PATIENCE, Server, free_port, wait_for

CONF = """[listener web]
protocol = http
address = 127.0.0.1:%d
[listener webs]
protocol = http
tls = yes
address = 127.0.0.1:%d
[login]
hash_cost = 1
"""


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    ports = free_port(), free_port()
    accounts = {"bench%d" % i: "correct-horse" for i in range(2)}
    with Server(tmp_path_factory.mktemp("bench"), CONF % ports, accounts=accounts) as server:
        yield server, ports


def bench(mode, port, *args, check=True):
    """What it says; it measures longer where the machine is so slow that nothing is done in a moment."""
    for seconds in ("0.2", "2", "10"):
        done = subprocess.run([os.path.join(BUILD, "ximss-bench"), mode, "--to", "127.0.0.1:%d" % port, "-w", "0.1", "-d", seconds,
                               *map(str, args)], capture_output=True, text=True, timeout=3 * PATIENCE, check=False)
        assert (done.returncode == 0) == check, done.stderr
        if not check:
            return done.stderr
        figures = json.loads(done.stdout)
        if figures["ops"] > 0:
            break
    return figures


def requests(server):
    return server.counters()["ximssRequests"]


@pytest.mark.parametrize("more", [[], ["--mix"], ["--tls"]])
def test_sync(world, more):
    server, ports = world
    before = requests(server)
    figures = bench("sync", ports[bool("--tls" in more)], "-c", 4, "--accounts", 2, "--server-pid", server.process.pid, *more)
    assert figures["ops"] > 0 and figures["cpu_us"] > 0
    wait_for(lambda: requests(server) - before >= figures["ops"])


def test_polls(world):
    server, ports = world
    figures = bench("polls", ports[0], "-c", 10, "--accounts", 2, "-n", 5, "--lmtp", os.path.join(server.run_dir, "lmtp"))
    assert figures["ops"] == 10
    client = server.session("bench0@harbor.example", "correct-horse")
    (report,), _ = client.call('<folderOpen id="o" folder="f" mailbox="INBOX"><field>Subject</field></folderOpen>')
    assert report.get("messages") == "6"  # one before, five events
    client.close()


def test_connect(world):
    server, ports = world
    before = server.counters()["httpUserTotal"]
    clear, full = bench("connect", ports[0], "-c", 2), bench("connect", ports[1], "-c", 2, "--tls")
    assert full["resumed"] == 0 < full["ops"]
    resumed = bench("connect", ports[1], "-c", 2, "--tls", "--resume")
    assert resumed["resumed"] == resumed["ops"] > 0
    total = clear["ops"] + full["ops"] + resumed["ops"]
    wait_for(lambda: server.counters()["httpUserTotal"] - before >= total)


def test_what_fails_is_said(world):
    _, ports = world
    assert "404" in bench("get", ports[0], "--path", "/nothing", check=False)
    assert "login" in bench("sync", ports[0], "--password", "wrong", check=False)


def test_get(tmp_path):
    """A file of nginx's, each request of which is in its log."""
    port, log = free_port(), tmp_path / "log"
    (tmp_path / "file").write_bytes(b"x" * 100)
    temporary = "".join("%s_temp_path %s/%s; " % (kind, tmp_path, kind) for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    (tmp_path / "conf").write_text(
        "daemon off; %spid %s/pid; worker_processes 1; events { worker_connections 64; }\nhttp { %s access_log %s; root %s;\n"
        "keepalive_requests 1000000; server { listen 127.0.0.1:%d; } }\n"
        % ("user root; " if os.geteuid() == 0 else "", tmp_path, temporary, log, tmp_path, port))
    with open(tmp_path / "out", "wb") as out:
        nginx = subprocess.Popen([program("nginx"), "-p", str(tmp_path), "-c", str(tmp_path / "conf"), "-e", "stderr"],
                                 stdin=subprocess.DEVNULL, stdout=out, stderr=out)
    try:
        wait_for(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text())
        figures = bench("get", port, "-c", 2, "--path", "/file")
        assert wait_for(lambda: log.read_text().count('"GET /file HTTP/1.1" 200 100 ') >= figures["ops"] > 0)
    finally:
        nginx.terminate()
        nginx.wait(PATIENCE)
