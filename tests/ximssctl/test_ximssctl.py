# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The ximssd authors
"""ximssctl's account verbs, with and without a running server (design 8), and ximssd's own options."""
import json
import os
import subprocess

import control
import pytest
from ximss import Server, wait_for


@pytest.fixture(params=[True, False], ids=["running", "stopped"])
def any_server(tmp_path, request):
    with Server(tmp_path, accounts={}, start=False) as server:
        if request.param:
            server.start()
        yield server


def accounts(server):
    return {a["account"]: a for a in json.loads(server.ctl("--json", "account", "list").stdout)["accounts"]}


def refused(server, *args, stdin=""):
    done = server.ctl(*args, stdin=stdin, check=False)
    assert done.returncode == 1 and done.stdout == "", done
    return done.stderr.strip()


def test_life_of_an_account(any_server):
    server = any_server
    assert accounts(server) == {}
    server.add_account("dora", "correct-horse", "--real-name", 'Dora "D" Quay')
    server.add_account("otto@harbor.example", "sword fish&<>\"'")
    listed = accounts(server)
    assert set(listed) == {"dora@harbor.example", "otto@harbor.example"}
    assert listed["dora@harbor.example"]["realName"] == 'Dora "D" Quay'
    assert {a["bank"] for a in listed.values()} == {0, 1}  # spread over the banks
    assert "already exists" in refused(server, "account", "add", "DORA", "--password-stdin", stdin="another-one\n")
    server.ctl("account", "passwd", "dora", "--password-stdin", stdin="battery-staple\n")
    if server.process is None:
        server.start()
    server.client().login("dora", "battery-staple")
    server.client().login("otto", "sword fish&<>\"'")
    server.ctl("account", "remove", "otto")
    assert set(accounts(server)) == {"dora@harbor.example"}


NAMES = ["", "@", "a b", "dora@", "x" * 65, "../etc", "dora@nowhere.example", "a\nb", "\x1b[31m"]


def test_names_that_are_refused(any_server):
    for name in NAMES:
        message = refused(any_server, "account", "add", name, "--password-stdin", stdin="correct-horse\n")
        assert message.startswith("ximssctl: ") and "\x1b" not in message
    assert accounts(any_server) == {}


def test_password_bounds(any_server):
    for i, (password, good) in enumerate([("", False), ("short", False), ("sixsix", True), ("x" * 1024, True),
                                          ("x" * 1025, False)]):
        done = any_server.ctl("account", "add", "user%d" % i, "--password-stdin", stdin=password + "\n", check=False)
        assert (done.returncode == 0) == good, done


def test_unknown_account(any_server):
    assert "unknown user account" in refused(any_server, "account", "remove", "nobody")
    assert "unknown user account" in refused(any_server, "account", "passwd", "nobody", "--password-stdin",
                                             stdin="correct-horse\n")


def test_json_everywhere(any_server):
    done = any_server.ctl("--json", "account", "add", "dora", "--password-stdin", stdin="correct-horse\n")
    assert json.loads(done.stdout)["account"] == "dora@harbor.example"
    done = any_server.ctl("--json", "account", "add", "dora", "--password-stdin", stdin="correct-horse\n", check=False)
    assert done.returncode == 1 and "exists" in json.loads(done.stdout)["error"]


def test_list_in_pages(tmp_path):
    """More accounts than an answer holds, some with real names that grow sixfold as JSON; running and not."""
    names = {"user%02d@harbor.example" % i: "\x01" * 256 if i < 40 else "User %d" % i for i in range(100)}
    with Server(tmp_path, accounts={}, conf="[login]\nhash_cost = 1\n") as server:
        with control.connect(server) as s:
            for name, real in names.items():
                body = control.string(name) + control.string("correct-horse") + control.string(real)
                s.send(control.request("account add", body))
                assert control.answer(s)[0] == 0
            pages, after = 0, ""
            while after is not None:
                s.send(control.request("account list", control.string(after)))
                err, texts = control.answer(s)
                (text,) = texts.values()
                assert err == 0 and len(text) < control.CTL_MAX
                after = json.loads(text).get("next")
                pages += 1
        assert pages >= 3  # 64 rows at most, and less of the long ones
        listed = [accounts(server), None]
        order = [line.split()[0] for line in server.ctl("account", "list").stdout.splitlines()[1:]]
        assert order == sorted(names)
        server.stop()
        listed[1] = accounts(server)
    for one in listed:
        assert {a["account"]: a["realName"] for a in one.values()} == names


def test_removed_with_everything(server):
    """Sessions end, mail is gone, and the next account of that name begins empty."""
    server.deliver("Subject: secret\r\n\r\nhello\r\n")
    session = server.session()
    server.ctl("account", "remove", "dora")
    assert session.raw() == b"<bye/>"
    assert session.closed()
    client = server.client()
    assert client.fail('<login id="1" authData="dora" password="correct-horse"/>')[0] == 515
    lmtp = server.lmtp()
    lmtp.mail("a@example.org")
    assert lmtp.rcpt("dora@harbor.example")[0] == 550
    lmtp.quit()
    server.add_account("dora", "correct-horse")
    reports, _ = server.session().call('<folderOpen id="o" folder="INBOX"/>')
    assert reports[0].get("messages") == "0"


def test_password_change_forgets_the_verified_one(server):
    server.session()
    server.ctl("account", "passwd", "dora", "--password-stdin", stdin="battery-staple\n")
    assert server.client().fail('<login id="1" authData="dora" password="correct-horse"/>')[0] == 515
    server.client().login("dora", "battery-staple")


def test_usage():
    from ximss import BUILD
    for args, code in ((["--help"], 0), (["--version"], 0), ([], 2), (["account"], 2), (["account", "fry"], 2),
                       (["--nonsense"], 2), (["account", "add"], 2)):
        done = subprocess.run([os.path.join(BUILD, "ximssctl"), *args], stdin=subprocess.DEVNULL, capture_output=True,
                              check=False, timeout=20)
        assert done.returncode == code, (args, done)


def test_folders_are_made(tmp_path):
    """An account can be added before the first start, when nothing of the folders is there yet."""
    server = Server(tmp_path, accounts={}, start=False)
    with open(server.conf_path) as f:
        text = f.read().replace(server.state_dir, str(tmp_path / "a" / "b" / "state"))
    with open(server.conf_path, "w") as f:
        f.write(text)
    server.add_account("dora", "correct-horse")
    assert set(accounts(server)) == {"dora@harbor.example"}
    server.stop()


def test_two_servers_do_not_share_a_run_dir(server):
    from ximss import BUILD
    done = subprocess.run([os.path.join(BUILD, "ximssd"), "-f", "-c", server.conf_path], stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, check=False, timeout=20)
    assert done.returncode == 1 and "another server runs in" in done.stderr
    server.session()


def test_background_start(tmp_path):
    """Without -f the command returns when the server serves; its exit code says whether it does."""
    from ximss import BUILD
    server = Server(tmp_path, start=False)
    done = subprocess.run([os.path.join(BUILD, "ximssd"), "-c", server.conf_path], stdin=subprocess.DEVNULL,
                          stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False, timeout=60)
    assert done.returncode == 0
    top = server.top()
    pid = top["server"]["pid"]
    try:
        server.add_account("dora", "correct-horse")
        server.session()
    finally:
        os.kill(pid, 15)
    wait_for(lambda: not os.path.exists("/proc/%d" % pid) or "zombie" in open("/proc/%d/status" % pid).read())
    with open(server.conf_path, "a") as f:
        f.write("[listener x]\naddress = 127.0.0.1:%d\nprotocol = ximss\n" % server.port)
    done = subprocess.run([os.path.join(BUILD, "ximssd"), "-c", server.conf_path], stdin=subprocess.DEVNULL,
                          stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False, timeout=60)
    assert done.returncode == 1
