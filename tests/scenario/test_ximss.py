# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The ximssd authors
"""The script client: the same scenarios through build/ximss, what it says of a wrong one, and its interactive form."""
import glob
import os
import re
import socket
import subprocess
import threading

import pytest
from mailview import open_folder, source_text
from scenario import Script
from ximss import BUILD, PATIENCE, ROOT, Server, free_port

HERE = os.path.dirname(os.path.abspath(__file__))
FILES = sorted(os.path.relpath(p, ROOT) for p in glob.glob(os.path.join(HERE, "*.scn")))
XIMSS = os.path.join(BUILD, "ximss")
FINE, MISMATCH, USAGE, NO_SERVER, SCRIPT = range(5)
# These move the server's clock, compute digests or speak for the admin on their way; only the Python runner can.
RUNNERS_OWN = ["b012-alert", "b042-idle", "b066-exchange-time", "b067-cram-md5", "b090-log"]


def name_of(path):
    return os.path.basename(path)[:-4]


def needs_runner(path):
    return any(kind in ("advance", "cram", "say") for _, kind, _, _ in Script(path).steps)


# make san-short plays a quarter of them once more: for the server it is the second time, and the script client is the same.
EVERY = 4 if os.environ.get("XIMSSD_SOME") else 1
PLAYED = [p for p in FILES if not needs_runner(p)][::EVERY]


def ximss(*args, stdin=""):
    return subprocess.run([XIMSS, *args], input=stdin.encode(), capture_output=True, timeout=2 * PATIENCE, check=False)


def at(server):
    return "127.0.0.1:%d" % server.port


def play(server, path, *more):
    return ximss("--insecure", "--tls-address", "127.0.0.1:%d" % server.tls_port, "--lmtp", "unix:%s/lmtp" % server.run_dir,
                 *more, at(server), str(path))


def test_the_list_of_those_left_out_is_right():
    assert [name_of(p) for p in FILES if needs_runner(p)] == RUNNERS_OWN


@pytest.mark.parametrize("path", PLAYED, ids=[name_of(p) for p in PLAYED])
def test_scenario(path, shared, tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT)
    script = Script(path)
    with script.served(shared, tmp_path) as server:
        done = play(server, path, "--strict")
        assert done.returncode == FINE, (done.stdout + done.stderr).decode()
        said = [line for line in done.stdout.decode().splitlines() if line[:1] in "CSX"]
        assert [line[0] for line in said] == [kind for _, kind, _, _ in script.steps if kind in "CSX"]


def test_one_byte_changed_is_noticed(server, tmp_path):
    """Every byte of an expected line matters (in make san-short every fourth is tried)."""
    with open(os.path.join(HERE, "b010-noop-unknown.scn"), encoding="utf-8") as f:
        text = f.read()
    good = tmp_path / "good.scn"
    good.write_text(text)
    assert play(server, good).returncode == FINE
    line = 'S: <response id="q3" errorText="unknown command" errorNum="500"/>'
    for i in range(3, len(line), EVERY):
        changed = line[:i] + ("x" if line[i] != "x" else "y") + line[i + 1:]
        bad = tmp_path / "bad.scn"
        bad.write_text(text.replace(line, changed))
        done = play(server, bad)
        assert done.returncode == MISMATCH, changed
        out = done.stdout.decode()
        assert "want " + changed[3:] in out and "got  " + line[3:] in out
        assert "%s:%d:" % (bad, text[:text.index(line)].count("\n") + 1) in out


WRONG = [
    'C: <noop id="1"/>\nS: <response id="1"',                       # too short
    'C: <noop id="1"/>\nS: <response id="1"/> ',                    # too long
    'C: <noop id="1"/>\nS: <response id="1"/>\nX:',                 # not closed
    'C: <noop id="1"/>\nX:',                                        # said something first
    'C: <bye id="1"/>\nS: <response id="1"/>\nS: <response id="1"/>',  # closed
    'C: <noop id="7a"/>\nS: <response id="{num}"/>',
    'C: <noop id=""/>\nS: <response id="{num}"/>',
    'C: <noop id="20240314T07150"/>\nS: <response id="{time}"/>',
    'C: <noop id="20240314T071500"/>\nS: <response id="{timez}"/>',
    'C: <noop id="100042-k2Vb7QmZ0xT4LrNcYpW"/>\nS: <response id="{urlid}"/>',
    'C: <noop id="100042-k2Vb7QmZ0xT4LrNcYpW_"/>\nS: <response id="{urlid}"/>',
    'C: <noop id="c1f40b2G"/>\nS: <response id="{hex8}"/>',
    'C: <noop id="YQ==="/>\nS: <response id="{b64}"/>',
    'C: <noop id="a b"/>\nS: <response id="{nonce}"/>',
    'C: <noop id="1"/>\nS: <response id="{a=num}"/>\nC: <noop id="2"/>\nS: <response id="{a}"/>',
    'C: <noop id="1"/>\nC: <noop id="2"/>\nC: <noop id="3"/>\nS: <response id="1"/>\nS: <response id="3"/>',
]
RIGHT = [
    'C: <noop id="77"/>\nS: <response id="{num}"/>',
    'C: <noop id="77"/>\nS: <response id="7{num}"/>',
    'C: <noop id="77"/>\nS: <response id="{num}7"/>',
    'C: <noop id="1-2-3"/>\nS: <response id="{any}-{num}"/>',
    'C: <noop id="1-2-3"/>\nS: <response id="{a=any}-{b=num}"/>\nC: <noop id="{b}{a}"/>\nS: <response id="31-2"/>',
    'C: <noop id=""/>\nS: <response id="{any}"/>',
    'C: <noop id=""/>\nS: <response id="{b64}"/>',
    'C: <noop id="YQ=="/>\nS: <response id="{b64}"/>',
    'C: <noop id="YQ="/>\nS: <response id="{b64}="/>',
    'C: <noop id="20240314T071500"/>\nS: <response id="{time}"/>',
    'C: <noop id="20240314T071500Z"/>\nS: <response id="{timez}"/>',
    'C: <noop id="100042-k2Vb7QmZ0xT4LrNcYpWd"/>\nS: <response id="{urlid}"/>',
    'C: <noop id="c1f40b22"/>\nS: <response id="{hex8}"/>',
    'C: <noop id="7f-0.Q"/>\nS: <response id="{nonce}"/>',
    'C: <noop id="{A} {} {a-b}"/>\nS: <response id="{A} {} {a-b}"/>',
    'C: <noop id="1"/>\nS: <response id="{a=num}"/>\nC: <noop id="{a}{a}"/>\nS: <response id="1{a}"/>',
    'wait 0.05\nC7: <noop id="1"/>\nC: <noop id="2"/>\nS: <response id="2"/>\nS7: <response id="1"/>',
    'C: <bye id="1"/>\nS: <response id="1"/>\nX:\nC: <noop id="2"/>\nS: <response id="2"/>',
    'C: <noop id="1"/>\nhalf-close\nS: <response id="1"/>\nX:',
]
NOT_UNDERSTOOD = [
    "fry eggs", "C <noop/>", "C:<noop/>", "C10: x", "Z: x", "connect x", "connect 22", "connect 2 clear", "wait",
    "wait soon", "wait 1.x", "wait 99999", "starttls now", 'S: <response id="{nothing}"/>', 'S: <response id="{a=nothing}"/>',
    'C: <noop id="{a}"/>', 'C: <noop id="{num}"/>', 'C: <noop id="{a=num}"/>', "connect 2 tls", "half-close 0 1",
]


@pytest.mark.parametrize("tls", [False, True], ids=["clear", "tls"])
def test_right_and_wrong_scripts(server, tmp_path, tls):
    """The matcher against Python's: what is said to be equal by one is so by the other."""
    from scenario import Run
    path = tmp_path / "s.scn"
    address = "127.0.0.1:%d" % (server.tls_port if tls else server.port)
    for text, want in [(t, MISMATCH) for t in WRONG] + [(t, FINE) for t in RIGHT]:
        path.write_text(text)
        # who waits for an end that will not come need not wait a minute
        patience = 5 if want == MISMATCH and text.endswith('/>\nX:') else PATIENCE
        done = ximss(*(["--tls", "--insecure"] if tls else []), "--timeout", str(patience), address, str(path))
        assert done.returncode == want, text + "\n" + (done.stdout + done.stderr).decode()
        if "\nX:" not in text and "{A}" not in text and not tls:
            try:
                Run(Script(path), server).run()
                python = FINE
            except AssertionError:
                python = MISMATCH
            assert python == want, text


def test_scripts_that_are_not_understood(server, tmp_path):
    path = tmp_path / "s.scn"
    for text in NOT_UNDERSTOOD:
        path.write_text("# a comment\n\n" + text + "\n")
        done = ximss(at(server), str(path))
        assert done.returncode == SCRIPT, text
        assert done.stderr.startswith(b"%s:3: " % str(path).encode()), text
    assert ximss(at(server), str(tmp_path / "none.scn")).returncode == SCRIPT
    assert ximss(at(server), str(tmp_path)).returncode == SCRIPT


def test_what_only_the_runner_can_do(server, tmp_path):
    path = tmp_path / "s.scn"
    path.write_text('account dora x\nconf [login]\nserver a = b\nlog x {num}\nC: <noop id="1"/>\nS: <response id="1"/>\n')
    done = ximss("--strict", at(server), str(path))
    assert done.returncode == FINE
    assert [line.split(b"left out: ")[1] for line in done.stderr.splitlines()] == [b"account dora x", b"conf [login]", b"server a = b", b"log x {num}"]
    for line in ("advance 10", "mail dora@harbor.example tests/x.eml", "say hello", "cram a YQ== b c"):
        path.write_text('C: <noop id="1"/>\nS: <response id="1"/>\n%s\n' % line)
        assert ximss("--strict", at(server), str(path)).returncode == SCRIPT
        done = ximss(at(server), str(path))
        assert done.returncode == FINE and line.encode() in done.stderr


def test_mail(server, tmp_path):
    """The line `mail` delivers the same bytes as Python's library does, over either kind of socket."""
    port = free_port()
    conf = "[listener lmtp]\nprotocol = lmtp\naddress = unix:{run_dir}/lmtp\n[listener mail]\nprotocol = lmtp\naddress = 127.0.0.1:%d\n" % port
    bodies = {"dots": b"Subject: 1\r\n\r\n.\r\n..\r\n.x\r\n", "bare": b"Subject: 2\n\nno end", "empty": b"", "bytes": bytes(range(14, 256)) * 300}
    folder = tmp_path / "server"
    folder.mkdir()
    with Server(folder, conf=conf) as other:
        client = other.session()
        for name, body in bodies.items():
            path = tmp_path / name
            path.write_bytes(body)
            other.deliver(body)
            for lmtp in ("unix:%s/lmtp" % other.run_dir, "127.0.0.1:%d" % port):
                done = ximss("--strict", "--lmtp", lmtp, at(other), "-", stdin="mail dora@harbor.example %s\n" % path)
                assert (done.returncode, done.stdout, done.stderr) == (FINE, b"", b"")
        open_folder(client, more='sortField="UID"')
        texts = [source_text(client, uid) for uid in range(1, 13)]
        assert texts[0::3] == texts[1::3] == texts[2::3] and len(set(texts)) == 4
        for line, code, said in (("mail nobody@harbor.example " + str(tmp_path / "dots"), MISMATCH, b"550 5.1.1"),
                                 ("mail dora@harbor.example /no/such/file", SCRIPT, b"/no/such/file"),
                                 ("mail dora@harbor.example", SCRIPT, b"needs an address and a file")):
            done = ximss("--lmtp", "127.0.0.1:%d" % port, at(other), "-", stdin=line)
            assert done.returncode == code and said in done.stderr, done.stderr
        done = ximss("--lmtp", "unix:/no/such/socket", at(other), "-", stdin="mail dora@harbor.example " + str(tmp_path / "dots"))
        assert done.returncode == NO_SERVER


def test_script_from_standard_input_and_quiet(server):
    done = ximss("-q", at(server), "-", stdin='C: <noop id="1"/>\nS: <response id="1"/>\n')
    assert (done.returncode, done.stdout, done.stderr) == (FINE, b"", b"")
    done = ximss("-q", at(server), "-", stdin='C: <noop id="1"/>\nS: <response id="2"/>')
    assert (done.returncode, done.stdout) == (MISMATCH, b'-:2:\nwant <response id="2"/>\ngot  <response id="1"/>\n')


# --- interactive

def test_lines_are_messages(server):
    done = ximss(at(server), stdin='<noop id="1"/>\n\n  \n<login id="L" authData="dora" password="correct-horse"/>\r\n'
                                   '<readTime id="2"/>\n<noop id="3"/>')
    assert (done.returncode, done.stderr) == (FINE, b"")
    lines = done.stdout.decode().splitlines()
    assert lines[0] == '<response id="1"/>'
    assert lines[1].startswith('<session id="L" urlID="') and lines[2] == '<response id="L"/>'
    assert re.fullmatch(r'<currentTime id="2" gmtTime="\d{8}T\d{6}" localTime="\d{8}T\d{6}"/>', lines[3])
    assert lines[4:] == ['<response id="2"/>', '<response id="3"/>']


def test_messages_are_shown_as_they_come(server):
    p = subprocess.Popen([XIMSS, at(server)], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    for i in range(3):
        p.stdin.write(b'<noop id="%d"/>\n' % i)
        p.stdin.flush()
        assert p.stdout.readline() == b'<response id="%d"/>\n' % i
    p.stdin.write(b'<login id="L" authData="otto" password="swordfish"/>\n')
    p.stdin.flush()
    session = p.stdout.readline()
    assert session.startswith(b"<session ") and p.stdout.readline() == b'<response id="L"/>\n'
    # what the server says by itself
    client = server.client()
    urlid = re.search(rb'urlID="([^"]*)"', session).group(1).decode()
    client.call('<login id="k" userName="otto" sessionid="%s" killOld="1"/>' % urlid)
    assert p.stdout.readline() == b"<bye/>\n"
    assert p.wait(PATIENCE) == FINE
    p.stdin.close()
    p.stdout.close()


def test_many_lines_at_once(server):
    done = ximss(at(server), stdin="".join('<noop id="%d"/>\n' % i for i in range(5000)))
    assert done.returncode == FINE
    assert done.stdout == b"".join(b'<response id="%d"/>\n' % i for i in range(5000))


def test_interactive_tls(server):
    done = ximss("--tls", "--insecure", "127.0.0.1:%d" % server.tls_port, stdin='<noop id="1"/>\n<bye id="2"/>\n')
    assert (done.returncode, done.stdout) == (FINE, b'<response id="1"/>\n<response id="2"/>\n')
    p = subprocess.Popen([XIMSS, "--insecure", at(server)], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    p.stdin.write(b'<starttls id="1"/>\n')
    p.stdin.flush()
    assert p.stdout.readline() == b'<response id="1"/>\n'
    out, _ = p.communicate(b'starttls\n<starttls id="2"/>\n<noop id="3"/>\n', timeout=PATIENCE)
    assert (p.returncode, out) == (FINE, b'<response id="2" errorText="TLS is already active" errorNum="501"/>\n<response id="3"/>\n')


# --- whom it talks to

def test_certificates_are_checked(server):
    done = ximss("--tls", "127.0.0.1:%d" % server.tls_port, stdin='<noop id="1"/>\n')
    assert done.returncode == NO_SERVER and b"self-signed certificate" in done.stderr and done.stdout == b""
    certificates = [p for p in glob.glob(os.path.join(server.state_dir, "*")) if b"BEGIN CERT" in open(p, "rb").read(4096)]
    assert certificates
    # trusted, but for another name than the one that was asked for
    env = dict(os.environ, SSL_CERT_FILE=certificates[0])
    done = subprocess.run([XIMSS, "--tls", "127.0.0.1:%d" % server.tls_port], input=b'<noop id="1"/>\n', env=env,
                          capture_output=True, timeout=PATIENCE, check=False)
    assert done.returncode == NO_SERVER and b"mismatch" in done.stderr.lower()


def test_addresses(server, tmp_path):
    from ximss import free_port
    assert ximss("127.0.0.1:%d" % free_port()).returncode == NO_SERVER
    assert ximss("unix:%s" % (tmp_path / "nobody")).returncode == NO_SERVER
    assert ximss("unix:" + "x" * 200).returncode == NO_SERVER
    for wrong in ("", ":1", "[::1", "[::1]x", "127.0.0.1:", "127.0.0.1:nothing"):
        assert ximss(wrong).returncode == NO_SERVER, wrong
    assert ximss("localhost:%d" % server.port, stdin='<noop id="1"/>').stdout == b'<response id="1"/>\n'
    # a Unix socket: LMTP's is not XIMSS, but it is one
    path = str(tmp_path / "s")
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(path)
    listener.listen()

    def answer():
        peer, _ = listener.accept()
        assert peer.recv(100) == b"<x/>\0"
        peer.sendall(b"<y/>\0<z")
        peer.close()
    thread = threading.Thread(target=answer)
    thread.start()
    done = ximss("unix:" + path, stdin="<x/>\n")
    thread.join()
    listener.close()
    assert (done.returncode, done.stdout) == (MISMATCH, b"<y/>\n") and b"middle of a message" in done.stderr


def test_usage():
    assert ximss().returncode == USAGE
    assert ximss("a", "b", "c").returncode == USAGE
    assert ximss("--fry", "a").returncode == USAGE
    for wrong in ("0", "x", "-1", "3601"):
        assert ximss("--timeout", wrong, "a").returncode == USAGE
    done = ximss("--help")
    assert done.returncode == FINE and done.stdout.startswith(b"usage: ximss ")
    assert ximss("--version").stdout.startswith(b"ximss ")


def test_a_silent_server_is_not_waited_for_longer_than_told(tmp_path):
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        s.listen()
        address = "127.0.0.1:%d" % s.getsockname()[1]
        done = ximss("--timeout", "1", address, "-", stdin='C: <noop id="1"/>\nS: <response id="1"/>')
        assert done.returncode == MISMATCH and b"does not answer" in done.stdout
        done = ximss("--timeout", "1", "--tls", "--insecure", address, stdin='<noop id="1"/>')
        assert done.returncode == NO_SERVER
