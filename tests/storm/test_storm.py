# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The ximssd authors
"""
Everything at once: clients of every kind that come, ask, break off and are thrown out, while workers and helpers are killed, the
configuration is loaded anew, and the program is exchanged under them. In the end SIGTERM comes while requests run.

    XIMSSD_STORM_SEED=7 XIMSSD_STORM_SECONDS=30        one storm of that seed; the first words of a failure say which it was

Who does what is drawn from the seed; how it interleaves is not.
"""
import os
import random
import re
import signal
import time

import pytest
from stormtcp import Sender, TcpGuest
from stormweb import OPEN, WebGuest
from stormworld import ACCOUNTS, CONF, HTTP, LONG, PATIENCE, SETTINGS, Guest, StormServer, World, Wrong, fill
from xhttp import Lost, Session, request, xml_body
from ximss import Closed

SECONDS = float(os.environ.get("XIMSSD_STORM_SECONDS", 30 if LONG else 3 if os.environ.get("XIMSSD_SOME") else 5))
ONE = os.environ.get("XIMSSD_STORM_SEED")
SEEDS = [int(ONE)] if ONE else range(1, 41) if LONG else [1]
TCP, WEB, SENDERS = 8, 11, 2


class Weather(Guest):
    """What is done to the server and to whom it serves."""

    def __init__(self, world):
        super().__init__(world, 0)
        self.deck, self.done = [], {}

    def step(self):
        if not self.deck:
            self.deck = [self.reload, self.worker, self.helper, self.helper, self.kick, self.kick, self.kick, self.say, self.upgrade]
            self.rng.shuffle(self.deck)
        what = self.deck.pop()
        self.doing = what.__name__
        what()
        self.done[self.doing] = self.done.get(self.doing, 0) + 1
        time.sleep(self.rng.random() * 0.4)

    def reload(self):
        """Of another number of polls' seconds, so that there is something to apply."""
        self.server.rewrite(CONF, SETTINGS, HTTP + "max_wait = %ds\n" % self.rng.randint(20, 300))
        self.server.process.send_signal(signal.SIGHUP)

    def some(self, role):
        return self.rng.choice([c for c in self.server.children() if c.split()[0] == role] or [role])

    def worker(self):
        self.world.kill(self.some("worker"))
        time.sleep(1)

    def helper(self):
        self.world.kill(self.some("helper"))

    def kick(self):
        known = self.world.some_session(self.rng)
        if known is not None:
            known.ended = True
            self.server.ctl("session", "kick", str(known.number), check=False)

    def say(self):
        known = self.world.some_session(self.rng)
        self.server.ctl("session", "say", str(known.number) if known and self.rng.random() < 0.5 else "all", "storm", check=False)

    def upgrade(self):
        """Refused as long as the one before goes on."""
        self.server.replace()
        self.server.ctl("upgrade", check=False)


def calm(world):
    """All sessions end, also those that nobody knows of."""
    end = time.monotonic() + PATIENCE
    while world.server.counters()["ximssSessionsActive"] and time.monotonic() < end:
        for row in world.server.top()["sessions"]:
            world.server.ctl("session", "kick", str(row["id"]), check=False)
        time.sleep(0.1)


def last_minute(world):
    """Requests of all kinds under way, as far as SIGTERM finds them: a function that reads what they got."""
    server, rng, some = world.server, random.Random("%s end" % world.seed), []
    guest = WebGuest(world, 1000)
    for n in range(4):
        s = Session(server, server.login(name="otto@harbor.example"))
        s.sync(OPEN % "o", seq=1)
        batch = guest.requests("otto", "f", 10)
        conn = server.web(tls=n % 2 == 1)
        conn.send(request("POST", s.target("sync", reqSeq=2), xml_body("".join(t for _, t, _ in batch) + "".join(
            '<mailboxList id="l%d" filter="*"/>' % i for i in range(300)))))
        some.append(conn)
        s.async_("".join('<mailboxList id="l%d" filter="*"/>' % i for i in range(100)), seq=3)
        for target in ("?ackSeq=0&maxWait=30", "MIME/f/1-02-B/x", "FORMAT/x/f/2"):
            conn = server.web()
            conn.send(request("GET", s.base + target))
            some.append(conn)
        conn = server.web()
        conn.send(request("POST", s.base + "UPLOAD/u", b"x" * 90000)[:50000])
        some.append(conn)
    clients = [server.session("dora@harbor.example", tls=n % 2 == 1) for n in range(4)]
    for c in clients:
        c.send_bytes(b'<mailboxList id="l" filter="*"/>\0' * 25)
    time.sleep(rng.choice((0, 0.02, 0.1)))
    if rng.random() < 0.4:  # and an upgrade
        server.ctl("upgrade", check=False)
        time.sleep(rng.random() * 3)
    return clients, some


def read_rest(clients, conns):
    for c in clients:
        try:
            while True:
                c.recv()
        except (Closed, OSError):
            pass
        except AssertionError:  # the end came inside a message
            pass
    for conn in conns:
        try:
            conn.head()
        except (Lost, OSError):
            pass
        conn.close()


def storm(server, seed):
    world = World(server, seed)
    base = world.base()
    weather = Weather(world)
    guests = [TcpGuest(world, n) for n in range(TCP)] + [WebGuest(world, n) for n in range(TCP, TCP + WEB)]
    guests += [Sender(world, n) for n in range(TCP + WEB, TCP + WEB + SENDERS)]
    for thread in (weather, *guests):
        thread.start()
    end = time.monotonic() + SECONDS
    while world.going and time.monotonic() < end:
        time.sleep(0.1)
    world.going = False
    try:
        for thread in (weather, *guests):
            thread.finish()
    finally:
        print("storm %s: %s, %d mailboxes, steps %s" % (seed, weather.done, len(world.boxes), [g.steps for g in guests]))
    world.judge_log()
    world.judge_by_sessions()
    calm(world)
    world.judge_rest(base)
    clients, conns = last_minute(world)
    server.process.send_signal(signal.SIGTERM)
    read_rest(clients, conns)
    code = server.process.wait(PATIENCE)
    assert code == 0, code
    server.stop()
    world.judge_log()
    world.judge_files()


@pytest.mark.parametrize("seed", SEEDS)
def test_storm(tmp_path, seed):
    with StormServer(tmp_path, http=HTTP, server=SETTINGS, conf=CONF, tls=True, accounts=ACCOUNTS) as server:
        fill(server)
        try:
            storm(server, seed)
        except Exception as e:
            world = re.sub(r"\s+\Z", "", server.log())[-4000:]
            raise Wrong("seed %d, %g s: %s\n%s" % (seed, SECONDS, e, world)) from e


