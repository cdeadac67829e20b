# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The ximssd authors
"""The disk is full for a time (design 4; security 2.3, R10): writers hear 599 or 451 within two seconds, readers go on, and
when there is room again the server is well within five. Nothing that was acknowledged is lost."""
import os
import subprocess
import threading
import time

import pytest
from clients import Sender, User, finish, start
from faults import LONG, SANITIZED, FaultServer, note
from ledger import Ledger, check_files, message, rows_of
from ximss import wait_for

ACCOUNTS = {"dora": "correct-horse", "otto": "battery-staple", "pia": "purple-monkey"}
FULL = 60 if LONG else 2.5  # seconds
ANSWER = 2.0
RECOVERY = 5.0
SIZE = "64m"  # of the file system: two banks have 16 MB of WAL each


class Prober(threading.Thread):
    """Reads and writes of an account of its own, one after another: what it was told, and how long that took."""

    def __init__(self, server):
        super().__init__(daemon=True)
        self.server, self.going, self.problem = server, True, None
        self.client = server.login("pia", ACCOUNTS["pia"])
        self.uid = rows_of(self.client)[0].get("UID")
        self.told = []  # (when, "read" or "write", error number or None, seconds)

    def run(self):
        try:
            n = 0
            while self.going:
                n += 1
                self.one("read", '<folderRead id="r%d" folder="INBOX" UID="%s" totalSizeLimit="-1"/>' % (n, self.uid))
                self.one("write", '<messageMark id="m%d" folder="INBOX" flags="%s"><UID>%s</UID></messageMark>' % (
                    n, "Seen" if n % 2 else "Unseen", self.uid))
                time.sleep(0.02)
        except BaseException as e:  # told by finish()
            self.problem = e

    def one(self, what, request):
        begin = time.monotonic()
        answer = self.client.ask(request)
        assert answer.error in (None, 599), answer
        self.told.append((begin, what, answer.error, time.monotonic() - begin))

    def finish(self):
        self.going = False
        self.join(60)
        if self.problem is not None:
            raise self.problem


def room_of_its_own(folder):
    """A small file system for state_dir; None: not allowed to make one."""
    os.mkdir(folder)
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=%s,mode=700" % SIZE, "ximssd-test", folder],
                          capture_output=True, text=True, check=False)
    return folder if done.returncode == 0 else None


def fill(folder):
    """Takes all the room that is left; "ballast" is there, for it may be too late to make a file."""
    with open(os.path.join(folder, "ballast"), "ab", buffering=0) as f:  # nothing is left for the close
        try:
            while True:
                f.write(bytes(1 << 16))
        except OSError:
            pass


def lasting(server):
    """Helpers have successors after a thousand messages."""
    return {name: pid for name, pid in server.pids().items() if not name.startswith("helper")}


def while_it_is_full(server, make_full, make_room):
    ledger = Ledger(ACCOUNTS)
    server.deliver(message("first"), ["pia@harbor.example"])
    ledger.accounts["pia"].delivered("first", 200, True)
    ledger.accounts["pia"].mail["first"].flags["Seen"] = {True, False}
    prober = Prober(server)
    names = ["dora", "otto"]
    senders = [Sender(server, ledger, n, names, pause=0.01, sizes=(200, 5000), sure_451=True) for n in range(2)]
    clients = start(*senders, *[User(server, ledger, 10 + n, name, pause=0.01) for n, name in enumerate(names)])
    prober.start()
    time.sleep(0.5)
    processes = lasting(server)
    make_full()
    full = time.monotonic()
    time.sleep(FULL)
    # long enough for somebody to see it, on a slow machine too
    wait_for(lambda: len([t for t in prober.told if t[0] > full + 1 and t[2] == 599]) > 2 or prober.problem, pause=0.1)
    make_room()
    room = time.monotonic()
    wait_for(lambda: [t for t in prober.told if t[0] > room and t[1] == "write" and t[2] is None], pause=0.01)
    recovered = time.monotonic() - room
    acknowledged = sum(s.acknowledged for s in senders)
    wait_for(lambda: sum(s.acknowledged for s in senders) > acknowledged, pause=0.01)
    mail_again = time.monotonic() - room
    time.sleep(0.3)
    prober.finish()
    told = finish(clients)
    assert lasting(server) == processes, "somebody ended"
    during = [t for t in prober.told if full + 1 < t[0] < room]
    reads = [t for t in during if t[1] == "read"]
    writes = [t for t in during if t[1] == "write"]
    assert reads and all(t[2] is None for t in reads), "a read failed while the disk was full"
    assert [t for t in writes if t[2] == 599], "the disk was not full"
    slowest = max(t[3] for t in during)
    judged = ledger.judge(server)
    figures = dict(seconds_full=FULL, **told, reads_meanwhile=len(reads), writes_refused=sum(t[2] == 599 for t in writes),
                   slowest_answer="%.2f" % slowest, seconds_to_recover="%.2f" % max(recovered, mail_again), lost=0, judged=judged)
    bound = 4 if SANITIZED else 1
    late = max(t[3] for t in reads)  # they need no room: so late is the machine
    assert slowest < ANSWER * bound + late and max(recovered, mail_again) < (RECOVERY + 5 * late) * bound, figures
    return figures


def on_a_small_file_system(folder):
    state = room_of_its_own(str(folder / "state"))
    if state is None:
        pytest.skip("not allowed to mount a small file system here")
    try:
        with FaultServer(folder, ACCOUNTS) as server:
            with open(os.path.join(state, "ballast"), "wb") as f:
                f.write(bytes(1 << 20))
            figures = while_it_is_full(server, lambda: fill(state), lambda: os.unlink(os.path.join(state, "ballast")))
        figures["databases"] = check_files(state)
    finally:
        subprocess.run(["umount", state], check=True)
    return figures


def with_calls_that_fail(folder):
    """Everything that needs room below state_dir gets ENOSPC; needs no rights."""
    with FaultServer(folder, ACCOUNTS) as server:
        def full():
            server.faults.arm("write pwrite truncate mkdir", error="ENOSPC", times=0, below=True)
        figures = while_it_is_full(server, full, server.faults.disarm)
    figures["databases"] = check_files(server.state_dir)
    return figures


ALL = [on_a_small_file_system, with_calls_that_fail]


# Who is not root, and who is in a hurry, has one of them.
@pytest.mark.parametrize("how", (ALL if LONG else ALL[:1]) if os.geteuid() == 0 else ALL[1:])
def test_disk_full(tmp_path, how):
    note("disk full, " + how.__name__.replace("_", " "), **how(tmp_path))
