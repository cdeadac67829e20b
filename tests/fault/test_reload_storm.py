# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The ximssd authors
"""Reload after reload with many connections and many new ones: none is refused, none is dropped (security 2.3, R6)."""
import contextlib
import resource
import threading
import time

from faults import LONG, note
from ximss import PATIENCE, Server

RELOADS, SECONDS, CONNECTIONS, NEW = (100, 60, 2000, 200) if LONG else (10, 5, 200, 100)  # NEW: each second
CROWDS = 4  # that they come in


class Newcomers(threading.Thread):
    """Connections at a steady rate, each with a request or a login; what went wrong with them."""

    def __init__(self, server):
        super().__init__(daemon=True)
        self.server, self.going, self.count, self.wrong, self.slowest = server, True, 0, [], 0.0

    def run(self):
        begin = time.monotonic()
        while self.going:
            time.sleep(max(0.0, begin + self.count * CROWDS / NEW - time.monotonic()))
            self.count += 1
            at = time.monotonic()
            try:
                with contextlib.closing(self.server.client()) as client:
                    if self.count % 5 == 0:
                        client.login()
                    client.call('<noop id="n"/>')
            except Exception as e:  # each is told by the test
                self.wrong.append("%s: %s" % (type(e).__name__, e))
            self.slowest = max(self.slowest, time.monotonic() - at)


def reload_all(server, crowds):
    """Each changes something, and there are more of them when newcomers come slowly; how many, and the slowest one's seconds."""
    begin, slowest, n = time.monotonic(), 0.0, 0
    while n < RELOADS or sum(c.count for c in crowds) <= NEW * SECONDS / 4:
        assert n < 20 * RELOADS, "nobody comes"
        time.sleep(max(0.0, begin + n * SECONDS / RELOADS - time.monotonic()))
        server.rewrite(conf="[limits]\nidle = %dm\n[login]\nmax_sessions_per_account = 5000\nhash_cost = 1\n" % (10 + n % 2),
                       server="channels = %d\nchannels_per_address = 0\nchannels_per_client_address = 0\n" % (5000 - n))
        at = time.monotonic()
        said = server.reload()
        assert said == "", said
        slowest = max(slowest, time.monotonic() - at)
        n += 1
    return n, slowest


def test_reload_storm(tmp_path):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, 8192)), hard))
    try:
        with Server(tmp_path, conf="[login]\nmax_sessions_per_account = 5000\nhash_cost = 1\n",
                    server="channels = 5000\nchannels_per_address = 0\nchannels_per_client_address = 0\n") as server:
            old = [server.session() if n % 2 else server.client() for n in range(CONNECTIONS)]
            processes = server.children()
            crowds = [Newcomers(server) for _ in range(CROWDS)]
            for crowd in crowds:
                crowd.start()
            reloads, slowest = reload_all(server, crowds)
            for crowd in crowds:
                crowd.going = False
            for crowd in crowds:
                crowd.join(PATIENCE)
                assert not crowd.is_alive()
            new, wrong = sum(c.count for c in crowds), [text for c in crowds for text in c.wrong]
            latest = max(c.slowest for c in crowds)
            for client in old:  # each is there, and was told nothing meanwhile
                assert client.buffer == b""
                client.call('<noop id="n"/>')
            assert server.children() == processes
            note("reload storm", reloads=reloads, seconds=SECONDS, connections=CONNECTIONS, new_ones=new,
                 refused=len(wrong), dropped=0, slowest_reload="%.2f s" % slowest, slowest_newcomer="%.2f s" % latest)
            assert wrong == []
            assert latest < PATIENCE  # nobody waits longer for a new connection's first answer
            for client in old:
                client.close()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
