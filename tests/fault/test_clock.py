# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The ximssd authors
"""Clocks step (security 2.3, R10). The wall clock may go anywhere, and only what is told in it changes: how long something
lasts is counted by the clock that never goes back. That one jumps forward when everybody was stopped for a while."""
from datetime import datetime, timedelta, timezone

from faults import FaultServer, note
from ximss import wait_for

ACCOUNTS = {"dora": "correct-horse", "otto": "battery-staple"}
DAY = 86400
# 49 days and 17 hours are 2 to the 32 milliseconds
STEPS = [DAY, -DAY, 49 * DAY, -49 * DAY, 50 * DAY, -50 * DAY, 3600 * 17]


def server_time(client):
    (m,) = [m for m in client.ask('<readTime id="t"/>').messages if m.tag == "currentTime"]
    return datetime.strptime(m.get("gmtTime"), "%Y%m%dT%H%M%S").replace(tzinfo=timezone.utc)


def newest_date(client, n):
    """INTERNALDATE of the newest of n messages."""
    assert client.ask('<folderOpen id="o%d" folder="f" mailbox="INBOX" sortField="UID"><field>INTERNALDATE</field></folderOpen>' % n).ok
    rows = client.ask('<folderBrowse id="b%d" folder="f"><index from="0" till="9999"/></folderBrowse>' % n).messages
    dates = [r.findtext("INTERNALDATE") for r in rows if r.get("id") == "b%d" % n]
    assert client.ask('<folderClose id="c%d" folder="f"/>' % n).ok and len(dates) == n
    return datetime.strptime(dates[-1], "%Y%m%dT%H%M%SZ").replace(tzinfo=timezone.utc)


def lasting(server):
    """But for helpers and hashers: one that a busy machine makes wait has a successor."""
    return {name: pid for name, pid in server.pids().items() if not name.startswith(("helper", "hasher"))}


def test_wall_clock_steps(tmp_path):
    """No session ends, nobody is let in earlier or later, nobody is replaced."""
    with FaultServer(tmp_path, ACCOUNTS, conf="[limits]\nidle = 10m\n") as server:
        processes = lasting(server)
        idle, busy = server.login("dora", ACCOUNTS["dora"]), server.login("dora", ACCOUNTS["dora"])
        before_login = server.talk()
        start, shift = server_time(busy) - datetime.now(timezone.utc), 0
        for n, step in enumerate(STEPS):
            shift += step
            server.faults.shift_wall(shift)
            told = server_time(busy)
            want = datetime.now(timezone.utc) + start + timedelta(seconds=shift)
            assert abs(told - want) < timedelta(seconds=60), (told, want)
            server.deliver("Subject: %d\r\n\r\nx\r\n" % n)
            assert abs(newest_date(busy, n + 1) - told) < timedelta(seconds=60)
            assert server.login("otto", ACCOUNTS["otto"]) is not None
            assert server.why_no_login("otto", "wrong") == 515
        assert idle.ask('<noop id="n"/>').ok and before_login.ask('<noop id="n"/>').ok
        assert lasting(server) == processes
        assert server.top()["server"]["running"] is True
        # how long they are idle is another matter
        server.age(9 * 60)
        server.faults.shift_wall(shift - DAY)
        assert busy.ask('<noop id="m"/>').ok
        server.age(2 * 60)
        answer = idle.recv()
        assert answer.tag == "bye"
        assert busy.ask('<noop id="n"/>').ok
        assert lasting(server) == processes
    note("steps of the wall clock", steps=len(STEPS), sessions_ended=0, processes_replaced=0)


def test_everybody_was_stopped(tmp_path):
    """A machine that slept: the clock that never goes back is an hour further, and nobody is to blame for his silence."""
    with FaultServer(tmp_path, ACCOUNTS, conf="[limits]\nidle = 1d\n") as server:
        processes = lasting(server)
        clients = [server.login(name, password) for name, password in ACCOUNTS.items() for _ in range(3)]
        for _ in range(3):
            server.age(3600)
            for n, client in enumerate(clients):
                assert client.ask('<readTime id="t%d"/>' % n).ok
            server.deliver("Subject: x\r\n\r\nx\r\n")
            wait_for(lambda: server.login("otto", ACCOUNTS["otto"]))
        assert lasting(server) == processes
    note("hours that nobody saw pass", jumps=3, processes_replaced=0)
