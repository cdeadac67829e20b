# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The ximssd authors
"""Replies that break off after k bytes, and what a server has left of them.

    with nothing_left(server):
        for k, got in cut_replies(server, lambda: request("GET", target), cuts_of(whole)):
            ...what a client does who has read no more than that...

Only a reply that has begun is cut, so the request has been carried out, however slow the machine. Connections are cut as a
network does (RST) and as a client does that ends (FIN, with the rest unread), in turns; with XIMSSD_LONG, each in the way that
the other run has not.
"""
import collections
import contextlib
import itertools
import os
import random
import socket

from xhttp import Session, standing_at
from ximss import wait_for

LONG = bool(os.environ.get("XIMSSD_LONG"))
WAYS = ("fin", "rst") if LONG else ("rst", "fin")
FLIGHT = 16  # cut connections at once
EDGE = 64  # bytes at both ends of a body of which every one is a place to cut at
GAUGES = ("httpUserActive", "ximssActive", "ximssSessionsActive", "ximssHTTPSessionsActive")


def login_on_each(server):
    """What the first login of all opens is open afterwards, in both workers."""
    for conn in server.web_on_each():
        Session(server, server.login(conn)).kill(conn=conn)
        conn.close()


def cuts_of(reply, seed=1, inside=16):
    """Every place in the head and at both ends of the body, and some between: numbers of bytes that are read."""
    whole = reply.head_length + len(reply.body)
    if len(reply.body) <= 2 * EDGE + inside:
        return range(whole)
    between = random.Random(seed).sample(range(reply.head_length + EDGE, whole - EDGE), inside)
    return [*range(reply.head_length + EDGE), *sorted(between), *range(whole - EDGE, whole)]


def first_bytes(conn, k):
    """Exactly so many of what comes; nothing of it is read before the first is there."""
    assert conn.buffer == b""
    if k == 0:
        assert len(conn.sock.recv(1, socket.MSG_PEEK)) == 1
    got = b""
    while len(got) < k:
        piece = conn.sock.recv(k - len(got))
        assert piece, (k, got)
        got += piece
    return got


def cut_off(conn, way):
    if way == "rst":
        conn.cut()
    else:
        conn.sock.shutdown(socket.SHUT_WR)  # who closes now sends RST: there is something unread


def cut_reply(server, data, k):
    """The first k bytes of the reply to one request."""
    conn = server.web()
    conn.send(data)
    got = first_bytes(conn, k)
    cut_off(conn, WAYS[k % 2])
    conn.close()
    return got


def cut_replies(server, make, cuts, **more):
    """(k, first k bytes) for each k of `cuts`; make() gives the bytes of a request, each on a connection of its own; more is web()'s."""
    turns = itertools.cycle(WAYS)
    planned = [(k, next(turns)) for k in cuts]
    ended = collections.deque()
    for at in range(0, len(planned), FLIGHT):
        conns = []
        for k, way in planned[at:at + FLIGHT]:
            conns.append((k, way, server.web(**more)))
            conns[-1][2].send(make())
        found = []
        for k, way, conn in conns:
            found.append((k, first_bytes(conn, k)))
            cut_off(conn, way)
            ended.append(conn)
        yield from found
        while len(ended) > 2 * FLIGHT:
            ended.popleft().close()
    for conn in ended:
        conn.close()


def pipelined(conn, requests, heads=False):
    """The replies to requests that are sent at once."""
    conn.send(b"".join(requests))
    return [conn.reply(is_head=heads) for _ in requests]


class Standing:
    """What a server holds: connections and sessions, by its counters, and open files of the processes that serve clients. Helpers
    are none of these: after a thousand pages there is another one in any case."""

    def __init__(self, server):
        self.server, self.pids = server, self.serving(server)
        ports = {p for p in (server.port, server.tls_port, server.http_port, server.https_port) if p}
        # those that were there before are known to be gone
        wait_for(lambda: sum(server.counters()[name] for name in GAUGES[:2]) == standing_at(ports) and server.nobody_waits())
        self.before = self.now()

    @staticmethod
    def serving(server):
        return {name: pid for name, pid in server.children().items() if name.split()[0] in ("worker", "keeper", "auth")}

    def now(self):
        counters = self.server.counters()
        return {**{name: counters[name] for name in GAUGES},
                **{name: len(os.listdir("/proc/%d/fd" % pid)) for name, pid in self.pids.items()}}

    def is_back(self):
        """Waits for it; the processes are the ones that they were, too."""
        seen = []
        try:
            wait_for(lambda: seen.append(self.now()) or seen[-1] == self.before, pause=0.1)
        except AssertionError:
            raise AssertionError("%r is left, before it was %r" % (seen[-1], self.before)) from None
        assert self.serving(self.server) == self.pids
        return True


@contextlib.contextmanager
def nothing_left(server, standing=None):
    """Compared with what it was before; or with a Standing of a time when nobody, a new helper either, was coming."""
    standing = standing or Standing(server)
    yield
    assert standing.is_back()
