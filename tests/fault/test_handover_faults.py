# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The ximssd authors
"""
A keeper that hands its sessions over (src/proc/keeper_handover.h) fails or dies at each of its calls: a session goes on as if
nothing had been, or it ends with <bye/>; never anything between, and the server serves.
"""
from faults import LONG, SANITIZED, FaultServer, note
from ximss import Closed, wait_for

ACCOUNTS = {"dora": "correct-horse"}
SERVER = "keepers = 1\nworkers = 1\nhelpers = 1\n"
# (call, what happens to it, which of them, whether the sessions end for sure)
FAULTS = [("memfd", "ENOMEM", 1, True), ("write", "SHORT", 2, False), ("write", "KILL", 2, True), ("sendmsg", "KILL", 2, False)]
if LONG:
    FAULTS += [("memfd", "KILL", 1, True), ("write", "ENOSPC", 1, True), ("write", "EINTR", 2, False), ("pwrite", "KILL", 1, True)]
    FAULTS += [("sendmsg", "KILL", n, False) for n in range(1, 12)] + [("malloc", "ENOMEM", n, False) for n in range(1, 60)]
    FAULTS += [("mmap", "ENOMEM", n, False) for n in range(1, 6)]
TRIES = 1 if LONG else 5  # so many upgrades, until the fault is armed before the keeper has come to that call


def opened(server):
    c = server.session()
    c.call('<folderOpen id="o" folder="f" mailbox="INBOX"/>')
    return c


def goes_on(client):
    """True: it does, with its folder. False: it has ended with <bye/>."""
    try:
        client.send('<folderSync id="s" folder="f"/>')
        while (message := client.recv()).tag != "response":
            if message.tag == "bye":
                assert client.closed()
                return False
    except (Closed, OSError):
        raise AssertionError("it ended without a word") from None
    assert message.get("id") == "s" and message.get("errorNum") is None, message.attrib
    return True


def test_calls_that_fail(tmp_path):
    lived = ended = fired = upgrades = 0
    with FaultServer(tmp_path, ACCOUNTS, server=SERVER) as server:
        for call, error, nth, ends in FAULTS:
            if call == "malloc" and SANITIZED:
                continue
            for _ in range(TRIES):
                upgrades += 1
                clients = [opened(server) for _ in range(3)]
                server.ctl("upgrade")
                wait_for(lambda n=upgrades: server.log().count("upgrade: keepers are exchanged") == n, pause=0.001)
                if error == "KILL":
                    server.faults.arm(call, "KILL", role="keeper", nth=nth)
                else:
                    server.faults.arm(call, error=error, role="keeper", nth=nth)
                wait_for(lambda n=upgrades: server.log().count("upgrade: old workers are drained") == n)
                hit = server.faults.disarm()
                fates = [goes_on(c) for c in clients]
                assert not (ends and hit.fired and any(fates)), (call, error, nth, fates)
                lived, ended, fired = lived + sum(fates), ended + len(fates) - sum(fates), fired + bool(hit.fired)
                for c, alive in zip(clients, fates):
                    if alive:
                        c.call('<bye id="b"/>')
                wait_for(lambda n=upgrades: server.log().count("upgrade: done") == n)
                server.age()
                if hit.fired:
                    break
        assert opened(server).call('<readTime id="t"/>')
        assert "no memory to hand its sessions over: they end" in server.log()
    assert fired >= 3 and lived and ended
    note("a keeper fails while it hands over", faults=fired, sessions_lived=lived, sessions_ended=ended)
