# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The ximssd authors
"""The two users of the configuration, and whose state_dir is (design 7, "Rights")."""
import os
import pwd
import shutil
import subprocess
import tempfile

import pytest
from ximss import BUILD, PATIENCE, Server

ROOT = os.geteuid() == 0
NOBODY = pwd.getpwnam("nobody")
SANITIZED = "XIMSSD_SANITIZED" in os.environ
as_root = pytest.mark.skipif(not ROOT or SANITIZED,
                             reason="needs root and no sanitizer: only then the processes become others")


def ximssd(tmp_path, text, *args):
    path = tmp_path / "x.conf"
    path.write_text(text)
    return subprocess.run([os.path.join(BUILD, "ximssd"), "-c", str(path), *args], stdin=subprocess.DEVNULL, capture_output=True,
                          text=True, timeout=PATIENCE, check=False)


def settings(tmp_path, users):
    return "[server]\nstate_dir = %s/state\nrun_dir = %s/run\n%s[listener x]\naddress = 127.0.0.1:0\n" % (tmp_path, tmp_path, users)


@as_root
@pytest.mark.parametrize("setting, other", [("user", "worker_user"), ("worker_user", "user")])
def test_no_such_user(tmp_path, setting, other):
    """Said by -t and by the start, with the file that makes them; nothing was made."""
    text = settings(tmp_path, "%s = no-such-user\n%s = daemon\n" % (setting, other))
    for args in (["-t"], ["-f"]):
        done = ximssd(tmp_path, text, *args)
        assert done.returncode == 1
        assert "[server] %s = no-such-user: there is no such user" % setting in done.stderr
        assert "conf/ximssd.sysusers" in done.stderr
    assert sorted(os.listdir(tmp_path)) == ["x.conf"]


@as_root
def test_root_is_no_user(tmp_path):
    text = settings(tmp_path, "user = root\nworker_user = daemon\n")
    for args in (["-t"], ["-f"]):
        done = ximssd(tmp_path, text, *args)
        assert done.returncode == 1 and "[server] user = root: this user has all rights" in done.stderr


@as_root
def test_check_is_content(tmp_path):
    done = ximssd(tmp_path, settings(tmp_path, "user = nobody\nworker_user = daemon\n"), "-t")
    assert (done.returncode, done.stdout) == (0, "")
    assert "not started by root" not in done.stderr and "are the same" not in done.stderr
    done = ximssd(tmp_path, settings(tmp_path, "user = nobody\nworker_user = nobody\n"), "-t")
    assert done.returncode == 0 and "'user' and 'worker_user' are the same" in done.stderr


AS_NOBODY = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups"] if ROOT else []


@pytest.fixture
def public():
    """A folder with our programs that every user can reach, and nobody can write to."""
    folder = tempfile.mkdtemp(prefix="ximssd-user-")
    for name in ("ximssd", "ximssctl", "ximss-top"):
        shutil.copy(os.path.join(BUILD, name), folder)
    os.chmod(folder, 0o755)
    if ROOT:
        os.chown(folder, NOBODY.pw_uid, NOBODY.pw_gid)
    yield folder
    shutil.rmtree(folder)


def test_check_says_what_is_weaker(tmp_path, public):
    path = os.path.join(public, "x.conf")
    with open(path, "w") as f:
        f.write(settings(tmp_path, "user = no-such-user\n"))
    done = subprocess.run([*AS_NOBODY, os.path.join(public, "ximssd"), "-c", path, "-t"], stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert done.returncode == 0 and "warning: not started by root" in done.stderr


def test_started_by_a_user(public):
    """One user for all, no other root folder; system calls and Landlock as ever."""
    with Server(public, start=False, xargs=AS_NOBODY) as server:
        server.bin = public
        server.start()
        server.add_account("dora", "correct-horse")
        server.deliver("Subject: x\r\n\r\ny\r\n")
        session = server.session()
        for name, pid in server.children().items():
            with open("/proc/%d/status" % pid) as f:
                status = f.read()
            assert "Uid:\t%d\t" % (NOBODY.pw_uid if ROOT else os.geteuid()) in status, name
            assert "NoNewPrivs:\t1\n" in status, name
            if "XIMSSD_SANITIZED" not in os.environ:
                assert "Seccomp:\t2\n" in status, name
                assert os.stat("/proc/%d/environ" % pid).st_uid == 0, name  # not dumpable
        session.call('<noop id="1"/>')
        assert "warning: not started by root" in server.log()


def owners(folder):
    return {name: os.stat(os.path.join(folder, name)).st_uid for name in os.listdir(folder)}


@as_root
def test_state_dir_of_root_is_given(tmp_path):
    """As a version that ran as root left it: databases of root's. All goes on, and what is the master's stays root's."""
    with Server(tmp_path, tls=True) as server:
        server.deliver("Subject: kept\r\n\r\ny\r\n")
        server.stop()
        for name in [".", *os.listdir(server.state_dir)]:
            os.chown(os.path.join(server.state_dir, name), 0, 0)
        server.start()
        client = server.session()
        messages, _ = client.call('<folderOpen id="1" folder="in" mailbox="INBOX" sortField="INTERNALDATE"><field>Subject</field></folderOpen>')
        assert messages[0].get("messages") == "1"
        found = owners(server.state_dir)
        assert os.stat(server.state_dir).st_uid == NOBODY.pw_uid
        assert {n: u for n, u in found.items() if n.startswith(("accounts.db", "bank-"))} == \
            {n: NOBODY.pw_uid for n in found if n.startswith(("accounts.db", "bank-"))}
        assert {found[n] for n in ("banks", "tls-key.pem", "tls-cert.pem")} == {0}


@as_root
def test_accounts_first(tmp_path):
    """ximssctl makes state_dir as the server would, before its first start."""
    with Server(tmp_path, start=False) as server:
        server.add_account("dora", "correct-horse")
        assert os.stat(server.state_dir).st_uid == NOBODY.pw_uid
        # root's group, as conf/ximssd.tmpfiles has it: for a master that may not override permissions
        assert os.stat(server.state_dir).st_gid == 0 and os.stat(server.state_dir).st_mode & 0o777 == 0o770
        assert owners(server.state_dir)["accounts.db"] == NOBODY.pw_uid
        server.start()
        server.session()


@as_root
def test_somebody_elses_state_dir(tmp_path):
    with Server(tmp_path) as server:
        server.stop()
        os.chown(os.path.join(server.state_dir, "bank-00.db"), 0, 0)
        done = subprocess.run([os.path.join(BUILD, "ximssd"), "-f", "-c", server.conf_path], capture_output=True, text=True,
                              timeout=PATIENCE, check=False)
        assert done.returncode == 1
        assert "bank-00.db belongs to user 0 and not to [server] user = nobody; 'chown nobody: %s/*.db*' gives" % server.state_dir in done.stderr
        os.chown(server.state_dir, 1, 1)
        done = subprocess.run([os.path.join(BUILD, "ximssd"), "-f", "-c", server.conf_path], capture_output=True, text=True,
                              timeout=PATIENCE, check=False)
        assert done.returncode == 1 and "state belongs to user 1 and not to" in done.stderr
        assert "'chown nobody:root %s; chmod 770 " % server.state_dir in done.stderr


@as_root
def test_no_foreign_folder_is_given_away(tmp_path):
    """Somebody wrote state_dir = /var/lib."""
    with Server(tmp_path, start=False) as server:
        os.makedirs(os.path.join(server.state_dir, "dpkg"))
        done = subprocess.run([os.path.join(BUILD, "ximssd"), "-f", "-c", server.conf_path], capture_output=True, text=True,
                              timeout=PATIENCE, check=False)
        assert done.returncode == 1 and "belongs to root and holds 'dpkg', which is not ours" in done.stderr
        assert os.stat(server.state_dir).st_uid == 0


@as_root
@pytest.mark.parametrize("trick", ["link", "symlink"])
def test_no_file_is_given_away_by_a_link(tmp_path, trick):
    """A state_dir of root's in which somebody could leave a link; the file at its end stays whose it is."""
    precious = tmp_path / "precious"
    precious.write_text("root's")
    with Server(tmp_path, start=False) as server:
        os.makedirs(server.state_dir)
        getattr(os, trick)(precious, os.path.join(server.state_dir, "bank-00.db"))
        done = subprocess.run([os.path.join(BUILD, "ximssd"), "-f", "-c", server.conf_path], capture_output=True, text=True,
                              timeout=PATIENCE, check=False)
        assert done.returncode == 1 and "bank-00.db" in done.stderr
        assert os.stat(precious).st_uid == 0 and os.stat(server.state_dir).st_uid == 0
