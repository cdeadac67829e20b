# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The ximssd authors
"""The full screen of ximss-top beside a real server: kick, messages, refusals, a server that stops and hangs."""
import os
import re
import shutil
import signal
import statistics
import struct
import time

import pytest
from terminal import Terminal
from ximss import BUILD, Closed, Server, wait_for

SOON = "shutdown_grace = 0ms\n"


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    with Server(tmp_path_factory.mktemp("server"), server=SOON, accounts={"dora": "correct-horse", "otto": "swordfish"}) as s:
        yield s


@pytest.fixture
def users(shared):
    """Five connections: three of dora's, one of otto's, one before login; by number."""
    wait_for(lambda: not shared.top()["sessions"])
    made = [shared.session() for _ in range(3)] + [shared.session("otto@harbor.example"), shared.client()]
    rows = wait_for(lambda: rows if len(rows := shared.top()["sessions"]) == 5 else None)
    ports = {r["port"]: r["id"] for r in rows}
    yield {ports[c.sock.getsockname()[1]]: c for c in made}
    for c in made:
        c.close()


def move(clock, seconds):
    with open(clock, "r+b") as f:
        f.write(struct.pack("q", seconds * 10**9))


def watch(server, folder, *args, **more):
    return Terminal(folder, "ximss-top", "-c", server.conf_path, "-d", "0.2", *args, **more)


def works(client):
    client.call('<readTime id="t"/>')
    return True


def select(t, ident):
    """The bar on this session; rows are sorted by ID."""
    t.keys("Home", *["Down"] * t.wait(lambda: t.ids() if ident in t.ids() else None).index(ident))
    t.selects(ident)


def test_kick(shared, users, tmp_path):
    ids = sorted(users)
    with watch(shared, tmp_path) as t:
        t.wait(lambda: t.ids() == ids)
        select(t, ids[1])
        t.keys("k")
        t.shows(f"kick {ids[1]} (dora@harbor.example)? y/n")
        t.keys("x", "Enter", "Space", "q")  # no answers
        t.shows(f"kick {ids[1]} (dora@harbor.example)? y/n")
        for no in ("n", "Escape"):
            t.keys(no)
            t.says("not kicked")
            t.keys("k")
            t.shows("y/n")
        t.keys("y")
        t.says(f"kicked {ids[1]}")
        assert users[ids[1]].recv().tag == "bye" and users[ids[1]].closed()
        t.wait(lambda: t.ids() == [i for i in ids if i != ids[1]])
        t.selects(ids[2])  # the place stays
        t.keys("End", "k")
        t.shows(f"kick {ids[4]} ([127.0.0.1])? y/n")
        t.keys("y")
        t.says(f"kicked {ids[4]}")
        with pytest.raises(Closed):
            while True:
                users[ids[4]].raw()
        assert all(works(users[i]) for i in (ids[0], ids[2], ids[3]))
        wait_for(lambda: shared.log().count("session kick") >= 2)


def test_kick_is_for_the_session_that_was_asked_about(shared, users, tmp_path):
    """The table moves on while the question stands: the answer holds for who it named."""
    ids = sorted(users)
    with watch(shared, tmp_path) as t:
        t.shows("5 of 5 selected")
        select(t, ids[1])
        t.keys("k")
        t.shows(f"kick {ids[1]} ")
        users[ids[1]].close()
        users[ids[2]].close()
        t.shows("3 of 3 selected", f"kick {ids[1]} ")
        t.keys("y")
        t.says(f"cannot kick {ids[1]}: there is no connection or session of that number")
        assert all(works(users[i]) for i in (ids[0], ids[3]))
        t.wait(lambda: t.ids() == [ids[0], ids[3], ids[4]])


def test_message(shared, users, tmp_path):
    ids = sorted(users)
    with watch(shared, tmp_path, columns=60) as t:
        t.shows("5 of 5 selected")
        select(t, ids[3])
        t.keys("m")
        t.shows(f"message to {ids[3]} (otto@harbor.example):")
        text = "Gr\u00fc\u00dfe & <b>\u6771\u4eac</b> \U0001f427, the server goes down at noon, please finish"
        t.type(text)
        t.wait(lambda: t.message().endswith("please finish"))
        t.keys("Enter")
        t.says(f"told {ids[3]}")
        alert = users[ids[3]].recv()
        assert alert.tag == "alert" and alert.text == text
        t.keys("m", "Escape")
        t.says("not sent")
        t.keys("m", "Enter")
        t.says("not sent")
        t.keys("m")
        t.type("\u00e9" * 600)  # 1,000 bytes are taken
        t.keys("Enter")
        t.says(f"told {ids[3]}")
        assert users[ids[3]].recv().text == "\u00e9" * 500
        select(t, ids[4])  # before login there is nobody to tell
        t.keys("m")
        t.type("hello")
        t.keys("Enter")
        t.says(f"cannot tell {ids[4]}: there is no session of that number")
        assert all(works(users[i]) for i in ids[:4])


def test_a_command_goes_through_the_control_socket(shared, users, tmp_path):
    """The shared table is mapped to be read, and its files are open for reading: nothing can be commanded through them."""
    with watch(shared, tmp_path) as t:
        t.shows("5 of 5 selected")
        with open(f"/proc/{t.pid()}/maps", encoding="utf-8") as f:
            maps = [line.split() for line in f if shared.run_dir in line]
        assert len(maps) >= 2 and {m[1] for m in maps} == {"r--s"}
        control = os.path.join(shared.run_dir, "control")
        os.rename(control, control + ".away")
        try:
            t.keys("k", "y")
            t.shows("cannot kick ", "no server runs")
        finally:
            os.rename(control + ".away", control)
        assert all(works(c) for i, c in users.items() if i != max(users))
        assert len(shared.top()["sessions"]) == 5


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to be somebody else")
def test_who_may_not_command(shared, users, tmp_path):
    """Who can read the table but is neither root nor the server's user sees, and is told that he may not kick."""
    os.chmod(tmp_path, 0o777)
    for folder in tmp_path.parents:
        if str(folder).startswith("/tmp/pytest"):
            os.chmod(folder, 0o755)
    group = os.stat(os.path.join(shared.run_dir, "shm", "index")).st_gid
    for name in ("ximss-top", "ximss-top-live"):  # the folder of what was built may be closed to others
        shutil.copy(os.path.join(shared.bin, name), tmp_path)
    program = os.path.join(tmp_path, "ximss-top")
    os.chmod(shared.run_dir, 0o755)
    with Terminal(tmp_path, "/usr/bin/setpriv", "--reuid=65534", f"--regid={group}", "--clear-groups", program, "--run-dir",
                  shared.run_dir, "-d", "0.2") as t:
        t.shows("5 of 5 selected")
        t.keys("k", "y")
        t.shows(f"cannot kick {min(users)}: Permission denied")
    assert all(works(c) for i, c in users.items() if i != max(users))


def test_a_master_that_hangs(shared, users, tmp_path):
    """The screen goes on while the answer is out; it comes when the master is back."""
    ids = sorted(users)
    master = shared.process.pid
    with watch(shared, tmp_path) as t:
        t.shows("5 of 5 selected")
        select(t, ids[0])
        os.kill(master, signal.SIGSTOP)
        try:
            t.keys("k", "y")
            t.says(f"kicking {ids[0]} ...")
            t.keys("Down")
            t.selects(ids[1])
            t.keys("m")
            t.says("the server has not answered yet")
            t.keys("3")
            t.wait(lambda: t.sorted_by() == ("Account", False))
            t.shows("is silent for ")
        finally:
            os.kill(master, signal.SIGCONT)
        t.says(f"kicked {ids[0]}")
        t.shows("4 of 4 selected", "ximssd 0.1.0")
        t.selects(ids[1])


def test_stop_restart_and_silence(tmp_path):
    """One and the same screen through all of it. Its clock is movable: nobody has to wait until a silence is long."""
    folder = tmp_path / "terminal"
    folder.mkdir()
    clock = tmp_path / "clock"
    clock.write_bytes(bytes(8))
    with Server(tmp_path, server=SOON, accounts={"dora": "correct-horse"}) as s:
        a, b = s.session(), s.session()
        with Terminal(folder, os.path.join(BUILD, "test", "ximss-top"), "-c", s.conf_path, "-d", "0.2",
                      env={"XIMSSD_TEST_CLOCK": str(clock)}, columns=150) as t:
            t.shows("2 of 2 selected")
            t.keys("Down")
            second = t.wait(lambda: t.ids()[-1] if len(t.ids()) == 2 else None)
            t.selects(second)
            os.kill(s.process.pid, signal.SIGSTOP)
            move(clock, 70)
            t.shows("0 of 0 selected", "server is not running (last heard of 1min ago)")
            move(clock, 0)
            os.kill(s.process.pid, signal.SIGCONT)
            t.keys("Space")
            t.shows("2 of 2 selected", "ximssd 0.1.0")
            t.selects(second)

            s.process.send_signal(signal.SIGTERM)
            s.process.wait(20)
            t.wait(lambda: t.lines()[:2] == ["0 of 0 selected", "server is not running"])
            a.close()
            b.close()
            s.start()
            c = s.session()
            t.shows("1 of 1 selected", "dora@harbor.example")
            t.wait(lambda: t.ids() == [s.top()["sessions"][0]["id"]])
            t.keys("k", "y")
            t.shows("kicked ")
            assert c.recv().tag == "bye"

            s.stop()  # takes the folder away
            t.shows("no server: ", "No such file or directory")
            s.start()
            d = s.session()
            t.shows("1 of 1 selected", "dora@harbor.example")
            d.close()
            t.keys("q")
            assert t.ended() == 0 and t.restored()


def test_rate_of_a_real_load(shared, users, tmp_path):
    """What the page says a second agrees with what was really sent."""
    client = users[min(users)]
    with watch(shared, tmp_path, "--counters") as t:
        t.shows("Per second")
        begin, sent, rates = time.monotonic(), 0, []
        while time.monotonic() - begin < 4 or len(rates) < 3 and time.monotonic() - begin < 60:
            client.send_bytes(b'<noop id="a"/>\0' * 20)
            for _ in range(20):
                client.raw()
            sent += 20
            m = re.search(r"^ximssRequests +\d+ +(\d+\.\d)$|^ximssRequests +\d+ +(\d+\.\d) ", "\n".join(t.lines()), re.M)
            if m and time.monotonic() - begin > 2.5:
                rates.append(float(m.group(1) or m.group(2)))
        real = sent / (time.monotonic() - begin)
    assert rates and real / 4 < statistics.median(rates) < real * 4, (real, rates)
