# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The ximssd authors
"""A keeper dies at a write, a sync, a rename ... of its bank, before, after, or half way through (security 2.3, R2).

The call is counted from the moment the rule is armed, with clients at work, so that each part of a commit, of a checkpoint
and of a recovery has its turn. After each death somebody logs in afresh; the judge compares everything.
"""
import random
import threading
import time

from clients import Sender, User, finish, start
from faults import LONG, SANITIZED, FaultServer, note
from ledger import Ledger, check_files
from ximss import wait_for

ACCOUNTS = {"dora": "correct-horse", "otto": "battery-staple"}
CALLS = "write pwrite fsync truncate rename unlink"
SERVERS = 2  # side by side
POINTS = 1000 if LONG else 30 if SANITIZED else 100
JUDGED_EVERY = 5  # deaths
CHECKED_EVERY = 50  # deaths: the server is stopped in order, its files are checked, and it starts again


class Killer:
    """One server and its clients: deaths, one after another."""

    def __init__(self, folder, number, points):
        self.folder, self.rng, self.points = folder, random.Random(number), points
        self.deaths = {"KILL": 0, "KILL_AFTER": 0, "TORN": 0}
        self.calls, self.told, self.judged, self.problem, self.files = {}, {}, {}, None, 0

    def kill_at_a_point(self, server, ledger):
        action = self.rng.choice(list(self.deaths))
        name, number = self.rng.choice((("dora", None), ("otto", None)))
        # mostly within a commit; sometimes as far as a checkpoint; and sometimes while it opens its bank again
        nth = self.rng.choice((self.rng.randint(1, 12), self.rng.randint(1, 60), self.rng.randint(1, 400)))
        server.age()  # who dies young is started again ever more slowly
        server.faults.arm(CALLS, action, role="keeper", number=number, nth=nth, below=True)
        wait_for(lambda: server.faults.look().fired, 60, 0.001)
        hit = server.faults.disarm()
        self.deaths[action] += 1
        self.calls[hit.call] = self.calls.get(hit.call, 0) + 1
        ledger.session(server, name).close()

    def some_deaths(self, server, ledger, count):
        names = list(ACCOUNTS)
        clients = start(*[User(server, ledger, self.rng.random(), name, most_mail=60) for name in names],
                        *[Sender(server, ledger, self.rng.random(), names, sizes=(200, 5000, 300000)) for _ in range(2)])
        try:
            for _ in range(count):
                self.kill_at_a_point(server, ledger)
                time.sleep(self.rng.uniform(0, 0.03))
        finally:
            for what, n in finish(clients).items():
                self.told[what] = self.told.get(what, 0) + n
        for what, n in ledger.judge(server).items():
            self.judged[what] = self.judged.get(what, 0) + n

    def run(self):
        try:
            ledger = Ledger(ACCOUNTS)
            with FaultServer(self.folder, ACCOUNTS) as server:
                for done in range(0, self.points, JUDGED_EVERY):
                    self.some_deaths(server, ledger, min(JUDGED_EVERY, self.points - done))
                    if (done + JUDGED_EVERY) % CHECKED_EVERY == 0 or done + JUDGED_EVERY >= self.points:
                        assert server.stop() == 0
                        self.files += check_files(server.state_dir)
                        server.start()
                        ledger.judge(server)
        except BaseException as e:  # told by the test
            self.problem = e


def test_keeper_killed_at_commit_points(tmp_path):
    killers = []
    for n in range(SERVERS):
        folder = tmp_path / str(n)
        folder.mkdir()
        killers.append(Killer(folder, n, POINTS // SERVERS))
    threads = [threading.Thread(target=k.run) for k in killers]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    for k in killers:
        if k.problem is not None:
            raise k.problem

    def total(what):
        sums = {}
        for k in killers:
            for name, n in getattr(k, what).items():
                sums[name] = sums.get(name, 0) + n
        return sums
    deaths = total("deaths")
    note("keeper killed at commit points", points=sum(deaths.values()), how=deaths, calls=total("calls"), **total("told"),
         lost=0, databases_checked=sum(k.files for k in killers), judged=total("judged"))
    assert sum(deaths.values()) == SERVERS * (POINTS // SERVERS)
    assert {"pwrite", "fsync"} <= set(total("calls"))
