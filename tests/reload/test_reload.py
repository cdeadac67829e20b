# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The ximssd authors
"""A reload changes the configuration in place: all of it or nothing, and no connection is touched (design 2.5)."""
import json
import os
import signal
import socket
import ssl
import subprocess
import threading
import time

import pytest

from ximss import PATIENCE, Client, Closed, Server, free_port, refused, wait_for

LISTENER = "[listener %s]\nprotocol = ximss\naddress = 127.0.0.1:%d\n%s\n"


@pytest.fixture
def server(tmp_path):
    with Server(tmp_path, accounts={"dora": "correct-horse", "otto": "battery-staple"},
                server="workers = 2\n") as s:
        yield s


def prepares(server, since):
    """The reload has come so far that the certificate is read: children are asked next."""
    log = server.log()[since:]
    assert "nothing was changed" not in log, log
    return "using the self-signed" in log


def test_nobody_notices(server):
    before = server.children()
    sessions = [server.session() for _ in range(8)]
    fresh = [server.client() for _ in range(4)]
    half = server.client()
    half.send_bytes(b'<noop id="ha')
    server.rewrite(server="workers = 2\nlog_level = low\n[limits]\nidle = 5m\n")
    assert server.reload() == ""
    for n, c in enumerate(sessions):
        c.call('<readTime id="%d"/>' % n)
    for c in fresh:
        c.login()
    half.send_bytes(b'lf"/>\0')
    assert half.raw() == b'<response id="half"/>'
    assert server.children() == before


def test_report_names_what_changed(server):
    server.rewrite(server="workers = 3\nlog_level = problems\n[limits]\nidle = 5m\n",
                   conf="[domain example.net]\n")
    assert server.reload() == ""
    log = server.log()
    for line in ("reload: server.log_level", "reload: limits.idle", "reload: [domain example.net] added",
                 "reload: server.workers waits for a restart"):
        assert log.count(line + "\n") == 1, line
    # what holds is compared with the file, not the file with the file before
    assert server.reload() == ""
    assert server.log().count("reload: server.workers waits for a restart\n") == 2
    assert server.log().count("reload: limits.idle\n") == 1
    assert len([name for name in server.children() if name.startswith("worker")]) == 2


def test_limits_hold_for_what_comes(server):
    old = server.session()
    server.rewrite(server="workers = 2\n[limits]\nmessage_before_login = 1k\nrequests = 1\nprotocol_errors = 0\n")
    assert server.reload() == ""
    c = server.client()
    c.send('<noop id="%s"/>' % ("a" * 1100))
    assert c.raw() == b"<bye/>" and c.closed()
    # a session of before obeys too
    old.send("<noop")
    assert b"illegal XML" in old.raw() and old.raw() == b"<bye/>"


def test_channels(server):
    """Lowering closes nobody; raising lets more in; both at once for all workers."""
    clients = [server.session() for _ in range(6)]
    server.rewrite(server="workers = 2\nchannels = 4\n")
    assert server.reload() == ""
    assert all(server.client().closed() for _ in range(8))
    for c in clients:
        c.call('<noop id="n"/>')
    server.rewrite(server="workers = 2\nchannels = 7\n")
    assert server.reload() == ""
    more = server.session()
    assert server.client().closed()
    more.call('<noop id="n"/>')


def test_channels_zero(server):
    c = server.session()
    server.rewrite(server="workers = 2\nchannels = 0\n")
    assert server.reload() == ""
    c.call('<readTime id="t"/>')
    wait_for(lambda: refused(server.port))
    server.deliver("Subject: still there\r\n\r\nx\r\n")
    server.rewrite(server="workers = 2\n")
    assert server.reload() == ""
    assert server.session().call('<noop id="n"/>')


def test_more_channels_than_there_is_room(server):
    server.rewrite(server="workers = 2\nchannels = 100000\n")
    assert server.reload() == ""
    assert "until the next start" in server.log()
    server.session().call('<noop id="n"/>')


def test_listeners_come_and_go(server):
    port, path = free_port(), os.path.join(server.folder, "x")
    unix = "[listener local]\nprotocol = ximss\naddress = unix:%s\n" % path
    server.rewrite(LISTENER % ("two", port, "") + unix)
    assert server.reload() == ""
    two, local = Client(("127.0.0.1", port)), Client(path)
    two.login()
    local.login()
    # the same socket with other rules
    server.rewrite(LISTENER % ("zwei", port, "allow = 192.0.2.0/24") + unix)
    assert server.reload() == ""
    assert all(Client(("127.0.0.1", port)).closed() for _ in range(6))
    two.call('<readTime id="t"/>')
    server.rewrite()
    assert server.reload() == ""
    wait_for(lambda: refused(port) and not os.path.exists(path))
    two.call('<readTime id="t"/>')
    local.call('<readTime id="t"/>')
    assert server.session()


def test_a_removed_listener_is_drained(server):
    """Who stands in its queue when it goes is served."""
    port = free_port()
    server.rewrite(LISTENER % ("two", port, ""))
    assert server.reload() == ""
    workers = [pid for name, pid in server.children().items() if name.startswith("worker")]
    for pid in workers:
        os.kill(pid, signal.SIGSTOP)
    try:
        waiting = [Client(("127.0.0.1", port)) for _ in range(10)]
        since = len(server.log())
        server.rewrite()
        server.process.send_signal(signal.SIGHUP)
        wait_for(lambda: prepares(server, since))
    finally:
        for pid in workers:
            os.kill(pid, signal.SIGCONT)
    wait_for(lambda: " reloaded" in server.log()[since:])
    for n, c in enumerate(waiting):
        c.login(ident="L%d" % n)
    wait_for(lambda: refused(port))


BAD = {
    "syntax": ("nonsense\n", "name = value"),
    "value": ("[limits]\nidle = never\n", "idle"),
    "address": ("[listener two]\nprotocol = ximss\naddress = 203.0.113.1:1\n", "two"),
    "certificate": ("[tls]\ncertificate = /nonexistent/cert.pem\nkey = /nonexistent/key.pem\n", "certificate"),
}


@pytest.mark.parametrize("what", BAD)
def test_bad_files_change_nothing(server, what):
    conf, named = BAD[what]
    port = free_port()
    c = server.session()
    server.rewrite(conf + LISTENER % ("other", port, ""), server="workers = 2\nchannels = 1\n")
    assert server.reload() != ""
    assert named in server.log()
    assert refused(port)
    c.call('<noop id="n"/>')
    server.session().call('<noop id="n"/>')
    # and the next one works
    server.rewrite(LISTENER % ("other", port, ""))
    assert server.reload() == ""
    assert Client(("127.0.0.1", port)).login() is not None


def test_file_is_gone(server):
    os.unlink(server.conf_path)
    assert server.reload() != ""
    assert "cannot be read" in server.log()
    server.session().call('<noop id="n"/>')
    server.rewrite()
    assert server.reload() == ""


def test_port_of_somebody_else(server):
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        server.rewrite(LISTENER % ("taken", other.getsockname()[1], ""), server="workers = 2\nchannels = 1\n")
        assert server.reload() != ""
    assert "[listener taken]" in server.log()
    first, second = server.session(), server.session()
    first.call('<noop id="n"/>')
    second.call('<noop id="n"/>')


def test_one_that_does_not_answer(server):
    """Five seconds of silence of one process: nobody applies."""
    c = server.session()
    server.kill("keeper 1", signal.SIGSTOP)
    pid = server.children()["keeper 1"]
    try:
        server.rewrite(server="workers = 2\nchannels = 1\n")
        begin = time.monotonic()
        assert server.reload() != ""
        assert time.monotonic() - begin > 4.5
    finally:
        os.kill(pid, signal.SIGCONT)
    assert "keeper 1 did not answer in time" in server.log()
    c.call('<noop id="n"/>')
    wait_for(lambda: server.session().call('<noop id="n"/>'))
    assert server.reload() == ""
    assert server.client().closed()


def test_one_that_dies_meanwhile(server):
    """Its successor starts with what holds when it starts."""
    server.kill("keeper 1", signal.SIGSTOP)
    pid = server.children()["keeper 1"]
    server.rewrite(server="workers = 2\n[limits]\nprotocol_errors = 0\n")
    since = len(server.log())
    server.process.send_signal(signal.SIGHUP)
    wait_for(lambda: prepares(server, since))
    os.kill(pid, signal.SIGKILL)
    wait_for(lambda: " reloaded" in server.log()[since:])
    wait_for(lambda: server.children().get("keeper 1") not in (None, pid))
    for name in server.accounts:  # one in each bank
        c = wait_for(lambda: try_login(server, name))
        c.send("<noop")
        assert b"illegal XML" in c.raw() and c.raw() == b"<bye/>"


def try_login(server, name):
    try:
        return server.session(name + "@harbor.example")
    except (AssertionError, Closed, OSError):
        return None


def test_login_rules(server):
    server.rewrite(server="workers = 2\n[login]\nfail_delay = 0ms\nfail_connection = 2\ncram = yes\n",
                   conf="[domain harbor.example]\nclear_login = no\nlanguage = french\n[domain example.net]\n")
    assert server.reload() == ""
    # offered where somebody can use it: who gets a password now
    server.ctl("account", "passwd", "otto", "--password-stdin", stdin="battery-staple\n")
    c = server.client()
    features = c.call('<listFeatures id="f"/>')[0][0]
    assert features.findtext("language") == "french"
    assert [m.text for m in features.findall("sasl")].count("CRAM-MD5") == 1
    assert c.fail('<login id="1" authData="dora" password="correct-horse"/>') == \
        (504, "secure authentication is required")
    done = server.ctl("account", "add", "zoe@example.net", "--password-stdin", stdin="correct-horse\n")
    assert done.returncode == 0
    server.rewrite(server="workers = 2\n[login]\nfail_delay = 0ms\nfail_connection = 2\n", conf="[domain example.net]\n")
    assert server.reload() == ""
    assert c.login("zoe@example.net", "correct-horse").get("userName") == "zoe@example.net"
    server.rewrite(server="workers = 2\n[login]\nfail_delay = 0ms\nfail_connection = 2\n")
    assert server.reload() == ""
    # a domain that is gone has no accounts; the account comes back with it
    d = server.client()
    for n in "12":
        assert d.fail('<login id="%s" authData="zoe@example.net" password="correct-horse"/>' % n)[0] == 515
    assert d.raw() == b"<bye/>"


def make_certificate(folder, name):
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                    "-subj", "/CN=" + name, "-days", "2", "-keyout", folder + "/key.pem", "-out", folder + "/cert.pem"],
                   check=True, capture_output=True, timeout=PATIENCE)


def name_on(port):
    with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as s:
        context = Server.tls_context()
        with context.wrap_socket(s) as t:
            pem = ssl.DER_cert_to_PEM_cert(t.getpeercert(True))
    return subprocess.run(["openssl", "x509", "-noout", "-subject"], input=pem, text=True, capture_output=True,
                          check=True, timeout=PATIENCE).stdout.split("=")[-1].strip()


def test_tls(server):
    """A listener for TLS where there was none, with a certificate of its own; then another one, and another version."""
    port, folder = free_port(), str(server.folder)
    make_certificate(folder, "one.example")
    pair = "[tls]\ncertificate = %s/cert.pem\nkey = %s/key.pem\n" % (folder, folder)
    server.rewrite(pair + LISTENER % ("tls", port, "tls = yes"))
    assert server.reload() == ""
    assert name_on(port) == "one.example"
    make_certificate(folder, "two.example")
    server.rewrite(pair + "min_version = 1.3\n" + LISTENER % ("tls", port, "tls = yes"))
    assert server.reload() == ""
    assert name_on(port) == "two.example"
    with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as s, pytest.raises(ssl.SSLError):
        Server.tls_context(ssl.TLSVersion.TLSv1_2).wrap_socket(s)


class Talker(threading.Thread):
    """A session that asks all the time; what went wrong."""

    def __init__(self, server):
        super().__init__()
        self.client, self.going, self.count, self.problem = server.session(), True, 0, None
        self.start()

    def run(self):
        try:
            while self.going:
                self.client.call('<readTime id="t%d"/>' % self.count)
                self.count += 1
        except (AssertionError, Closed, OSError) as e:
            self.problem = e


def test_storm(server):
    """Reloads one upon the other, with sessions that talk and connections that come: none refused, none dropped."""
    seconds, number = (60, 100) if os.environ.get("XIMSSD_LONG") else (6, 10)
    talkers = [Talker(server) for _ in range(4)]
    quiet = [server.session() for _ in range(20)]
    begin, comers, done = time.monotonic(), 0, 0
    port = free_port()
    while time.monotonic() - begin < seconds or done < number or comers <= 20:
        if done < number and time.monotonic() - begin > done * seconds / number:
            server.rewrite(LISTENER % ("two", port, "") if done % 2 == 0 else "",
                           server="workers = 2\nchannels = %d\n" % (500 + done))
            server.process.send_signal(signal.SIGHUP)
            done += 1
        c = server.client()
        c.call('<noop id="c"/>')
        c.close()
        comers += 1
        time.sleep(0.005)
    wait_for(lambda: server.log().count(" reloaded\n") > 0)
    wait_for(lambda: all(t.problem or t.count > 10 for t in talkers))
    for t in talkers:
        t.going = False
        t.join()
    assert [t.problem for t in talkers] == [None] * 4 and min(t.count for t in talkers) > 10
    for c in quiet:
        c.call('<noop id="q"/>')
    assert done == number and comers > 20
    assert "nothing was changed" not in server.log()
    # the last one holds
    assert server.reload() == ""
    wait_for(lambda: refused(port) == (done % 2 == 0))  # "reloaded" may have been said of the one before


def test_who_starts_later_has_what_holds(server):
    """Settings that wait for a restart do not reach a process that is replaced before it."""
    elsewhere = os.path.join(server.folder, "elsewhere")
    text = open(server.conf_path).read().replace(server.state_dir, elsewhere)
    with open(server.conf_path, "w") as f:
        f.write(text.replace("workers = 2", "workers = 2\nchannels = 3"))
    assert server.reload() == ""
    assert "server.state_dir waits for a restart" in server.log()
    before = server.children()
    for name in ("keeper 1", "keeper 2", "auth", "worker 1", "worker 2"):
        server.kill(name)
    wait_for(lambda: all(server.children().get(n) not in (None, before[n]) for n in before
                         if not n.startswith(("helper", "hasher"))))
    wait_for(lambda: all(p["ready"] for p in json.loads(server.ctl("--json", "status").stdout)["processes"]))
    clients = [wait_for(lambda: try_login(server, "dora")) for _ in range(3)]
    assert server.client().closed()
    for c in clients:
        c.call('<noop id="n"/>')
    assert not os.path.exists(elsewhere)
