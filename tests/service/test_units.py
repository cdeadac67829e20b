# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The ximssd authors
"""conf/ximssd.service, .socket, .sysusers, .tmpfiles: judged by systemd's own programs, none of which needs it to run; and
whether a server lives with what the unit leaves to it."""
import configparser
import grp
import os
import pwd
import re
import shutil
import stat
import subprocess

import pytest
from ximss import BUILD, ROOT, Closed, Server, wait_for

SERVICE = os.path.join(ROOT, "conf/ximssd.service")
SOCKET = os.path.join(ROOT, "conf/ximssd.socket")
needs_root = pytest.mark.skipif(os.getuid() != 0, reason="needs root, as the unit does")


def run(*argv, **more):
    return subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=False, **more)


def unit(path):
    """{"Service": [(key, value), ...], ...}"""
    sections, section = {}, None
    for line in open(path):
        line = line.strip()
        if line.startswith("["):
            section = sections.setdefault(line.strip("[]"), [])
        elif line and not line.startswith(("#", ";")):
            key, value = line.split("=", 1)
            section.append((key, value))
    return sections


def values(path, section, key):
    return [word for k, v in unit(path)[section] if k == key for word in v.split()]


def defaults():
    """What an empty configuration says."""
    done = run(os.path.join(BUILD, "ximssd"), "-T", "-c", "/dev/null")
    assert done.returncode == 0
    parser = configparser.ConfigParser(inline_comment_prefixes=(";",), interpolation=None, strict=False)
    parser.read_string(done.stdout)
    return parser


# --- the files themselves

def test_verify(tmp_path):
    """As installed; systemd-analyze looks whether the program is there."""
    for path in (SERVICE, SOCKET):
        text = open(path).read().replace("/usr/sbin/", BUILD + "/")
        (tmp_path / os.path.basename(path)).write_text(text)
    done = run("systemd-analyze", "verify", "--man=no", str(tmp_path / "ximssd.service"), str(tmp_path / "ximssd.socket"))
    assert done.returncode == 0 and done.stdout + done.stderr == ""
    # and it does find what is wrong
    with open(tmp_path / "ximssd.service", "a") as f:
        f.write("[Service]\nPrivateTpm=yes\n")
    assert "PrivateTpm" in run("systemd-analyze", "verify", "--man=no", str(tmp_path / "ximssd.service")).stderr


def test_manual_pages_that_the_units_name():
    for path in (SERVICE, SOCKET):
        pages = values(path, "Unit", "Documentation")
        assert pages
        for page in pages:
            name, section = re.fullmatch(r"man:(\S+)\((\d)\)", page).groups()
            assert os.path.exists(os.path.join(ROOT, "conf", f"{name}.{section}"))


def exposure(path):
    out = run("systemd-analyze", "security", "--offline=true", "--no-pager", str(path)).stdout
    return float(re.search(r"Overall exposure level for \S+: ([0-9.]+)", out).group(1))


def test_security(tmp_path):
    """2.2 or better; the same unit without its hardening is far above, so the figure means something."""
    assert exposure(SERVICE) <= 2.2
    text = open(SERVICE).read()
    open_unit = tmp_path / "ximssd.service"
    open_unit.write_text(text[:text.index("CapabilityBoundingSet=CAP_SETUID")] + text[text.index("[Install]"):])
    assert exposure(open_unit) > 7


def test_units_agree_with_the_defaults():
    conf = defaults()
    run_dir, state_dir = conf["server"]["run_dir"], conf["server"]["state_dir"]
    assert ["/run/" + d for d in values(SERVICE, "Service", "RuntimeDirectory")] == [run_dir]
    assert "-" + state_dir in values(SERVICE, "Service", "ReadWritePaths")
    wanted = set()
    for name in conf.sections():
        if name.startswith("listener "):
            address = conf[name]["address"].replace("{run_dir}", run_dir)
            wanted.add(re.sub(r"^(\*:|unix:)", "", address))
    assert set(values(SOCKET, "Socket", "ListenStream")) == wanted
    assert values(SOCKET, "Socket", "Backlog") == [conf["server"]["backlog"]]


def test_users_and_folders(tmp_path):
    """systemd-sysusers makes the users of an empty configuration, systemd-tmpfiles the folder that belongs to one of them."""
    conf, root = defaults(), str(tmp_path)
    os.mkdir(os.path.join(root, "etc"))
    done = run("systemd-sysusers", "--root=" + root, os.path.join(ROOT, "conf/ximssd.sysusers"))
    if os.getuid() == 0:
        assert done.returncode == 0, done.stderr
        users = {line.split(":")[0]: line.strip().split(":") for line in open(os.path.join(root, "etc/passwd"))}
        assert set(users) == {conf["server"]["user"], conf["server"]["worker_user"]}
        for name, fields in users.items():
            assert 0 < int(fields[2]) < 1000 and fields[6].endswith("nologin"), name
        assert users[conf["server"]["user"]][5] == conf["server"]["state_dir"]
        locked = {line.split(":")[0]: line.split(":")[1] for line in open(os.path.join(root, "etc/shadow"))}
        assert all(locked[name].startswith("!") for name in users)

        done = run("systemd-tmpfiles", "--root=" + root, "--create", os.path.join(ROOT, "conf/ximssd.tmpfiles"))
        assert done.returncode == 0, done.stderr
        made = os.stat(root + conf["server"]["state_dir"])
        assert (made.st_uid, made.st_gid) == (int(users[conf["server"]["user"]][2]), 0)
        assert stat.S_IMODE(made.st_mode) == 0o770
    else:
        assert done.returncode == 0 or "ermi" in done.stderr, done.stderr


# --- a server under what the unit leaves to it

def state_dir_of(user, server):
    """As systemd-tmpfiles makes it."""
    line = [x for x in open(os.path.join(ROOT, "conf/ximssd.tmpfiles")) if x.startswith("d ")][0].split()
    os.makedirs(server.state_dir)
    os.chmod(server.state_dir, int(line[2], 8))
    assert line[3] == "ximss"
    os.chown(server.state_dir, pwd.getpwnam(user).pw_uid, grp.getgrnam(line[4]).gr_gid)


@pytest.fixture
def confined():
    """A server as root with the capabilities and the umask of the unit, and users that every Debian has."""
    folder = "/tmp/ximssd-unit-%d" % os.getpid()  # which other users may enter
    os.mkdir(folder)
    os.chmod(folder, 0o755)
    caps = [c.lower().replace("cap_", "+") for c in values(SERVICE, "Service", "CapabilityBoundingSet")]
    (umask,) = values(SERVICE, "Service", "UMask")
    with Server(folder, server="shutdown_grace = 0s\nuser = daemon\nworker_user = nobody\n", tls=True, start=False) as server:
        state_dir_of("daemon", server)
        os.makedirs(server.run_dir, mode=0o755)
        server.xargs = ["setpriv", "--bounding-set", ",".join(["-all", *caps]), "--inh-caps=-all", "--no-new-privs", "--",
                        "/bin/sh", "-c", "umask %s; exec \"$@\"" % umask, "sh"]
        yield server
    shutil.rmtree(folder)


def effective(pid):
    (line,) = [x for x in open("/proc/%d/status" % pid) if x.startswith("CapEff:")]
    return int(line.split()[1], 16)


def use(server):
    """A little of everything, with processes that are replaced."""
    first = server.session(tls=True)
    server.deliver("Subject: x\r\n\r\ny\r\n")
    client = server.session()
    client.call('<folderOpen id="f" folder="in" mailbox="INBOX" sortField="Date"><field>Subject</field></folderOpen>')
    assert server.top()["total"] == 2
    first.close()
    before = server.children()
    killed = ("worker 1", "keeper 1", "auth", "helper 1", "hasher 1")
    for name in killed:
        server.kill(name)
    wait_for(lambda: all(server.children().get(n) not in (None, before[n]) for n in killed))
    wait_for(lambda: try_session(server))
    server.deliver("Subject: x\r\n\r\ny\r\n")


def try_session(server):
    """True when a login works; right after a process was killed it may not."""
    try:
        server.session().close()
        return True
    except (AssertionError, Closed, OSError):
        return False


@needs_root
def test_capabilities_suffice(confined):
    """Twice: the second server finds what the first one has left, account and mail included."""
    confined.start()
    kept = len(values(SERVICE, "Service", "CapabilityBoundingSet"))
    assert bin(effective(confined.process.pid)).count("1") <= kept
    confined.add_account("dora", "correct-horse")
    use(confined)
    assert confined.stop() == 0
    os.makedirs(confined.run_dir, mode=0o755)
    confined.start()
    confined.session()
    assert "Permission denied" not in confined.log() and "not permitted" not in confined.log()


def allowed_calls():
    """The names that SystemCallFilter= lets through: the lines in order, "~" takes away, groups expanded."""
    def expand(name):
        if not name.startswith("@"):
            return {name}
        lines = run("systemd-analyze", "--no-pager", "syscall-filter", name).stdout.splitlines()[1:]
        names = [line.strip() for line in lines if line.strip() and not line.strip().startswith("#")]
        assert names, name
        return set().union(*map(expand, names))

    calls = set()
    for key, value in unit(SERVICE)["Service"]:
        if key == "SystemCallFilter":
            names = set().union(*map(expand, value.lstrip("~").split()))
            calls = calls - names if value.startswith("~") else calls | names
    return calls | expand("@default")  # of every allow list, systemd.exec(5)


@needs_root
@pytest.mark.skipif("XIMSSD_SANITIZED" in os.environ, reason="sanitizers make calls of their own")
def test_system_calls_suffice(confined):
    """strace sees every call of every process from the first instruction of the program on."""
    if run("strace", "-f", "-o", "/dev/null", "true").returncode != 0:
        pytest.skip("nothing may be traced here")
    trace = os.path.join(confined.folder, "trace")
    confined.xargs = ["strace", "-D", "-f", "-q", "-o", trace, *confined.xargs]
    confined.start()
    master = confined.process.pid
    confined.add_account("dora", "correct-horse")
    use(confined)
    assert confined.stop() == 0
    wait_for(lambda: re.search(r"^%d +\+\+\+ exited" % master, open(trace, errors="replace").read(), re.M))
    seen, started = set(), False
    for line in open(trace, errors="replace"):
        pid, call = re.match(r"(\d+) +(?:<\.\.\. )?(\w+|\W+)", line).groups()
        # what setpriv and sh did before they became the server
        started = started or ("/ximssd\"" in line and call == "execve")
        if started and call[0].isalpha():
            seen.add(call)
    assert {"execve", "accept4", "sendmsg", "epoll_ctl"} <= seen
    assert seen - allowed_calls() == set()
