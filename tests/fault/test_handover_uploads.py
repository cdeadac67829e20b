# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The ximssd authors
"""
A keeper hands over what was uploaded, and what is being uploaded, and a call of it or of its successor or the master fails
(src/proc/keeper_handover.h): every set is there, byte for byte, or gone, and the log says so; an upload that comes in is a whole
set in the end, or refused; never anything between, nothing stays in the spool, and the server serves.
"""
import random

from faults import LONG, SANITIZED, FaultServer, note
from uploading import BLOCK, holds, spool_of
from xhttp import Lost, WebServer, errors, request
from ximss import wait_for

SERVER = "keepers = 1\nworkers = 1\nhelpers = 1\n"
# (role, call, what happens to it, which of them)
FAULTS = [("keeper", "write", "SHORT", 2), ("keeper", "write", "ENOSPC", 2), ("keeper", "sendmsg", "KILL", 2), ("keeper", "fcntl", "EMFILE", 4)]
if LONG:
    # among those of stat and fcntl is the successor's look at the descriptor
    FAULTS += [("keeper", "stat", "EIO", n) for n in range(1, 30)] + [("keeper", "fcntl", "EMFILE", n) for n in range(1, 19)]
    FAULTS += [("keeper", "write", "ENOSPC", n) for n in range(1, 6)] + [("keeper", "write", "EINTR", n) for n in range(1, 4)]
    FAULTS += [("keeper", "sendmsg", "KILL", n) for n in range(1, 4)] + [("keeper", "sendmsg", "ENOMEM", n) for n in range(1, 4)]
    FAULTS += [("keeper", "pwrite", "ENOSPC", n) for n in range(1, 3)] + [("keeper", "malloc", "ENOMEM", n) for n in range(1, 120, 3)]
    FAULTS += [("master", "fcntl", "EMFILE", n) for n in range(1, 15)] + [("master", "recvmsg", "ENOMEM", n) for n in range(1, 4)]
TRIES = 1 if LONG else 5  # so many upgrades, until the fault is armed before that call


class Server(FaultServer, WebServer):
    login = WebServer.login
    children = FaultServer.pids  # of one that had no memory for its title too


def noise(n, seed):
    return random.Random(seed).randbytes(n)


class Try:
    """A session with two sets and an upload that is half in."""

    def __init__(self, server, seed):
        self.session, self.seq = server.web_session(), 0
        s = self.session
        self.one, self.two, self.coming = noise(2 * BLOCK + 5, seed), noise(100, seed + 1), noise(BLOCK + 700, seed + 2)
        for name, data in (("one", self.one), ("two", self.two)):
            assert server.ask("POST", s.target("UPLOAD/" + name), data).status == 200
        self.conn = server.web()
        self.conn.send(request("POST", s.target("UPLOAD/coming"), fields={"Content-Length": len(self.coming)}) + self.coming[:BLOCK + 20])
        wait_for(lambda: holds(server, self.coming[:BLOCK + 20]) == [True])

    def end_upload(self):
        """The status; 550: its session has ended, or its worker has lost the keeper."""
        try:
            self.conn.send(self.coming[BLOCK + 20:])
            status = self.conn.reply().status
        except (Lost, OSError):
            status = 550
        assert status in (200, 503, 550)
        return status

    def ask(self, server, text):
        """The reply, when there is a way to the keeper; asked for with the same number until then, so it is done once."""
        self.seq += 1

        def attempt():
            server.hurry()
            try:
                reply = self.session.sync(text, seq=self.seq)
            except (Lost, OSError):
                return None
            return reply if reply.status != 503 else None
        return wait_for(attempt, 60, 0.05)

    def fate(self, server):
        """(does the session live, sets that it has), after which it has none."""
        status = self.end_upload()
        reply = self.ask(server, '<noop id="n"/>')
        if reply.status == 550:
            assert status == 550
            return False, set()
        assert reply.status == 200
        there = dict(zip(("one", "two", "coming"), holds(server, self.one, self.two, self.coming)))
        sets = set()
        for name in there:
            ((_, error),) = errors(self.ask(server, '<uploadRemove id="u" uploadID="%s"/>' % name).xml)
            assert error in (None, 578)
            if error is None:
                assert there[name], name
                sets.add(name)
        assert ("coming" in sets) == (status == 200)
        wait_for(lambda: server.ask("POST", self.session.target("UPLOAD/again"), self.two).status == 200, 60)
        self.session.kill()
        return True, sets


def upgrade_with(server, fault, seed, fates):
    """Whether the fault has come; what became of two sessions is added to `fates`."""
    role, call, error, nth = fault
    tries = [Try(server, seed + 10 * i) for i in range(2)]
    done, told = server.log().count("upgrade: old workers are drained"), server.log().count(" is lost at an upgrade")
    begun = server.log().count("upgrade: keepers are exchanged")
    server.ctl("upgrade")
    wait_for(lambda: server.log().count("upgrade: keepers are exchanged") > begun, pause=0.001)
    if error == "KILL":
        server.faults.arm(call, "KILL", role=role, nth=nth)
    else:
        server.faults.arm(call, error=error, role=role, nth=nth)
    wait_for(lambda: server.log().count("upgrade: old workers are drained") > done)
    hit = server.faults.disarm()
    for each in tries:
        lives, sets = each.fate(server)
        fates.append((lives, len(sets)))
        if lives and len(sets) < 2:
            wait_for(lambda: server.log().count(" is lost at an upgrade") > told)
        if not hit.fired:
            assert lives and len(sets) == 3, (fault, sets)
    wait_for(lambda: spool_of(server)[1] == 0)
    wait_for(lambda: server.log().count("upgrade: done") > done)
    server.age()
    return bool(hit.fired)


def test_calls_that_fail(tmp_path):
    fates, fired, seed = [], 0, 0
    with Server(tmp_path, {"dora": "correct-horse"}, server=SERVER) as server:
        for role, call, error, nth in FAULTS:
            if call == "malloc" and SANITIZED:
                continue
            for _ in range(TRIES):
                seed += 100
                hit = upgrade_with(server, (role, call, error, nth), seed, fates)
                fired += hit
                if hit:
                    break
    lived, lost, ended = fates.count((True, 3)), sum(lives and n < 3 for lives, n in fates), fates.count((False, 0))
    assert fired >= 3 and lived and ended and (lost or not LONG)
    note("a keeper fails while it hands uploads over", faults=fired, sessions_whole=lived, sessions_without_some=lost, sessions_ended=ended)
