# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The ximssd authors
"""What each process may do (design 7, "Rights"; security 2.3, S5): seen from outside, and tried from inside by
build/acts, which becomes a role by the server's own code. A user's run checks the weaker form: no other user, no other
root folder, the rest the same."""
import os
import pwd
import re
import signal
import sqlite3
import subprocess

import pytest
from ximss import BUILD, PATIENCE, Server, wait_for

ROOT = os.geteuid() == 0
ACTS = os.path.join(BUILD, "acts")
ROLES = ["worker", "auth", "hasher", "keeper", "helper"]
ALL_ROLES = [*ROLES, "check"]  # which reads a new configuration, and is gone
DATA = {"auth", "keeper"}
USER, WORKER_USER = (pwd.getpwnam(n) for n in ("nobody", "daemon")) if ROOT else (None, None)
STAY = 4294967295
# SETUID, SETGID, SETPCAP, SYS_CHROOT, KILL, NET_BIND_SERVICE, CHOWN, DAC_OVERRIDE (capability.h)
MASTER_CAPS = sum(1 << n for n in (7, 6, 8, 18, 5, 10, 0, 1))

pytestmark = pytest.mark.skipif("XIMSSD_SANITIZED" in os.environ,
                                reason="sanitizers need the calls and files that are given up")
as_root = pytest.mark.skipif(not ROOT, reason="needs root: other users, empty root folders")


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    with Server(tmp_path_factory.mktemp("rights"), tls=True) as server:
        client = server.session()
        server.deliver("Subject: x\r\n\r\ny\r\n")
        yield server
        client.close()


def status(pid):
    with open("/proc/%d/status" % pid) as f:
        return dict(line.rstrip("\n").split(":\t", 1) for line in f if ":\t" in line)


def role_of(name):
    return name.split()[0]


# --- from outside

def check_roles(server):
    seen = set()
    for name, pid in server.children().items():
        s = status(pid)
        seen.add(role_of(name))
        assert s["NoNewPrivs"] == "1" and s["Seccomp"] == "2", name
        assert {s[c].strip("0") for c in ("CapInh", "CapPrm", "CapEff", "CapAmb")} == {""}, name
        if ROOT:
            who = USER if role_of(name) in DATA else WORKER_USER
            assert s["Uid"].split() == [str(who.pw_uid)] * 4, name
            assert s["Gid"].split() == [str(who.pw_gid)] * 4, name
            assert s["Groups"].split() == [] and s["CapBnd"].strip("0") == "", name
        else:
            assert s["Uid"].split() == [str(os.geteuid())] * 4
        # not dumpable: what /proc tells only its owner belongs to root
        assert os.stat("/proc/%d/environ" % pid).st_uid == 0
    assert seen == set(ROLES)


def test_every_role(shared):
    check_roles(shared)


def test_after_an_upgrade(tmp_path):
    """Other processes of another program: as ever, and the master has no more than it had."""
    with Server(tmp_path) as server:
        before, caps = server.children(), status(server.process.pid)
        server.ctl("upgrade")
        wait_for(lambda: "upgrade: done" in server.log(), 60)
        assert not set(before.values()) & set(server.children().values())
        check_roles(server)
        after = status(server.process.pid)
        assert all(after[name] == caps[name] for name in ("Uid", "Gid", "CapPrm", "CapEff", "CapBnd", "CapInh", "CapAmb"))
        server.session()
        server.deliver("Subject: x\r\n\r\ny\r\n")


@as_root
def test_root_folders(shared):
    for name, pid in shared.children().items():
        root = "/proc/%d/root" % pid
        if role_of(name) in DATA:
            assert os.readlink(root) == shared.state_dir
        else:
            assert os.listdir(root) == []
            assert os.stat(root).st_uid == 0 and os.stat(root).st_mode & 0o222 == 0
        assert os.readlink("/proc/%d/cwd" % pid) == os.readlink(root)


@as_root
def test_master_keeps_few_capabilities(shared):
    s = status(shared.process.pid)
    assert s["Uid"].split() == ["0"] * 4
    for name in ("CapPrm", "CapEff", "CapBnd"):
        assert int(s[name], 16) == MASTER_CAPS & int(status(os.getpid())[name], 16), name
    assert int(s["CapInh"], 16) == int(s["CapAmb"], 16) == 0


@as_root
def test_open_files(shared):
    """Keepers hold their banks and a file without a name, for uploads; auth holds accounts.db, and nobody else holds any file but the log and memory."""
    held = {}
    for name, pid in shared.children().items():
        folder = "/proc/%d/fd" % pid
        files = {os.readlink(os.path.join(folder, fd)) for fd in os.listdir(folder)}
        held[name] = {f for f in files if f.startswith("/") and f not in ("/dev/null", shared.log_path)
                      and not f.startswith("/memfd:")}
    banks = set()
    for name, files in held.items():
        if role_of(name) == "keeper":
            spools = {f for f in files if f.endswith(" (deleted)")}
            assert len(spools) == 1 and all(os.path.dirname(f) == shared.state_dir for f in spools), files
            files -= spools
            assert files and all(re.fullmatch(r"bank-\d\d\.db(-wal|-shm)?", os.path.relpath(f, shared.state_dir)) for f in files)
            assert not banks & files
            banks |= files
        elif name == "auth":
            assert files == {os.path.join(shared.state_dir, "accounts.db" + end) for end in ("", "-wal")}
        else:
            assert files == set(), name


def test_a_forbidden_call_is_told(tmp_path):
    """What the kernel does to a process that makes one, done to a worker: the log says what it means."""
    with Server(tmp_path) as server:
        server.sigsys_expected = True
        pid = server.kill("worker 1", signal.SIGSYS)
        wait_for(lambda: "a system call that its role is not allowed" in server.log())
        assert "worker 1 (pid %d)" % pid in server.log()
        wait_for(lambda: server.children().get("worker 1") not in (None, pid))
        server.session()


# --- from inside

def acts(*args, stdin=subprocess.DEVNULL):
    return subprocess.run([ACTS, *map(str, args)], stdin=stdin, capture_output=True, text=True, timeout=PATIENCE, check=False)


LIST = dict(line.split() for line in acts("--list").stdout.splitlines())


def ids(role):
    who = USER if role in DATA else WORKER_USER
    return (who.pw_uid, who.pw_gid) if ROOT else (STAY, STAY)


def folders(path, role):
    """state_dir and run_dir, as the master makes them."""
    state, run = str(path / "state"), str(path / "run")
    os.makedirs(state)
    os.makedirs(os.path.join(run, "empty"))
    if ROOT:
        os.chown(state, *ids(role))
    return state, run


def attempt(path, layers, role, *names):
    """{act: "killed", "done", or why it was refused}"""
    done = acts(layers, role, *folders(path, role), *ids(role), *names)
    assert done.returncode == 0, done.stdout + done.stderr
    got = dict(line.split() for line in done.stdout.splitlines())
    assert set(got) == set(names or LIST)
    return got


def test_there_are_enough():
    assert len(LIST) >= 30


def test_acts_succeed_for_the_free(tmp_path):
    """Otherwise a refusal would say nothing."""
    names = [act for act, control in LIST.items() if control == "FREE" or (control == "ROOT" and ROOT)]
    assert len(names) >= 30
    assert attempt(tmp_path, "none", "worker", *names) == dict.fromkeys(names, "done")


@pytest.mark.parametrize("role", ALL_ROLES)
def test_every_act_is_the_last(tmp_path, role):
    assert attempt(tmp_path, "all", role) == dict.fromkeys(LIST, "killed")


REFUSED = {"EACCES", "EPERM", "ENOENT"}
FILES = ["open_read", "open_write", "open_database", "open_beneath", "open_parent", "open_how", "make_dir", "make_fifo", "unlink",
         "rename", "link", "symlink", "exec", "exec_descriptor"]


def has_landlock(abi):
    return int(acts("--landlock").stdout) >= abi


@pytest.mark.parametrize("role", ROLES)
def test_landlock_alone(tmp_path, role):
    """The second wall: what it refuses when there is no filter of system calls."""
    if not has_landlock(1):
        pytest.skip("this kernel has no Landlock")
    names = FILES + (["connect", "bind"] if has_landlock(4) else []) + (["kill"] if has_landlock(6) else [])
    got = attempt(tmp_path, "landlock", role, *names)
    assert {act: what for act, what in got.items() if what not in REFUSED} == {}


@as_root
@pytest.mark.parametrize("role", ROLES)
def test_user_and_root_folder_alone(tmp_path, role):
    """The third: what is out of reach for that user in that folder."""
    names = ["open_read", "exec", "exec_descriptor", "make_device", "owner", "trace", "read_memory", "kill", "set_user", "set_group",
             "set_groups", "set_capabilities", "change_root", "mount", "unmount", "new_network", "enter_space", "socket_raw", "host_name"]
    if role not in DATA:
        names += ["open_write", "open_database", "make_dir", "make_fifo", "unlink", "rename", "link", "symlink", "truncate", "mode"]
    got = attempt(tmp_path, "enter", role, *names)
    assert {act: what for act, what in got.items() if what not in REFUSED} == {}


@as_root
@pytest.mark.parametrize("role", ROLES)
def test_the_server_has_the_same_filter(shared, tmp_path, role):
    """Byte for byte, read from a process of the server and from one of acts."""
    (pid, *_) = [p for n, p in shared.children().items() if role_of(n) == role]
    theirs = acts("--filter", pid)
    with subprocess.Popen([ACTS, "all", role, *folders(tmp_path, role), *map(str, ids(role)), "wait"],
                          stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as p:
        assert p.stdout.readline() == "ready\n"
        ours = acts("--filter", p.pid)
        p.stdin.close()
        p.wait(PATIENCE)
    assert theirs.returncode == 0, theirs.stderr
    assert theirs.stdout == ours.stdout and len(theirs.stdout.splitlines()) > 30


def test_few_calls_are_left():
    for role in ALL_ROLES:
        calls = set(acts("--calls", role).stdout.split())
        assert 20 < len(calls) <= 50, (role, len(calls))


# --- what still works, where it could be missed

def iconv_names():
    text = subprocess.run(["iconv", "-l"], capture_output=True, text=True, check=True).stdout
    return sorted({name.rstrip("/") for name in re.split(r"[\s,]+", text) if name.strip("/")})


def test_any_charset_in_mail(shared):
    """A helper has its converters already; those that are not ours it never looks for."""
    before = {n: p for n, p in shared.children().items() if role_of(n) == "helper"}
    names = iconv_names()
    assert len(names) > 500
    for at in range(0, len(names), 60):
        parts = []
        for name in names[at:at + 60]:
            parts.append("--b\r\nContent-Type: text/plain; charset=\"%s\"; name*=%s''%%e9; x=\"=?%s?q?=e9?=\"\r\n"
                         "Content-Disposition: attachment; filename*0*=%s''%%e9; filename*1=y\r\n"
                         "Content-Description: =?%s?b?6Q==?=\r\n\r\n\xe9\xe8" % ((name,) * 5))
        text = "Subject: =?%s?q?=e9?=\r\nFrom: =?%s?q?=e9?= <a@b.example>\r\nMIME-Version: 1.0\r\n" % (names[at], names[at])
        text += "Content-Type: multipart/mixed; boundary=b\r\n\r\n" + "\r\n".join(parts) + "\r\n--b--\r\n"
        shared.deliver(text.encode("latin-1"))
    assert {n: p for n, p in shared.children().items() if role_of(n) == "helper"} == before


def test_any_encoding_in_xml(shared):
    before = shared.children()
    for encoding in ("UTF-8", "UTF-16", "UTF-7", "ISO-8859-1", "KOI8-R", "EBCDIC-US", "IBM1047", "SHIFT_JIS", "x" * 60):
        client = shared.client()
        client.send('<?xml version="1.0" encoding="%s"?><noop id="a"/>' % encoding)
        client.recv()
        client.close()
        client = shared.session()
        client.send('<?xml version="1.0" encoding="%s"?><noop id="a"/>' % encoding)
        client.recv()
        client.close()
    assert shared.children() == before


def test_a_backup_reads_along(shared):
    """Another program with the same banks open (accounts.db is auth's alone): the engine waits for its locks, and sleeps."""
    before = shared.children()
    client = shared.session()
    paths = [os.path.join(shared.state_dir, n) for n in os.listdir(shared.state_dir) if re.fullmatch(r"bank-\d\d\.db", n)]
    assert paths
    for n in range(20):
        for path in paths:
            db = sqlite3.connect(path, timeout=10, isolation_level=None)
            db.execute("BEGIN")
            assert db.execute("PRAGMA integrity_check(1)").fetchone() == ("ok",)
            shared.deliver("Subject: %d\r\n\r\n%s\r\n" % (n, "z" * 5000))
            db.execute("COMMIT")
            db.close()
    client.call('<mailboxList id="1"/>')
    shared.ctl("account", "passwd", "dora", "--password-stdin", stdin="correct-horse\n")
    assert shared.children() == before
    client.close()
