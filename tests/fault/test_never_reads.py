# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The ximssd authors
"""Clients that ask for much and never read: each costs 256 KiB at most, and nobody notices them (design 2.2)."""
import socket
import threading
import time

import pytest
from faults import LONG, SANITIZED, note
from ximss import PATIENCE, Server

DEAF = 1000 if LONG else 40
MESSAGES = 100
MEMORY = 256 << 10  # of a client
KERNEL = 256 << 10  # what the kernel of either side may have taken of it
OPEN = '<folderOpen id="o" folder="f" mailbox="INBOX" sortField="UID"><field>Subject</field><field>E-From</field></folderOpen>'
ROWS = b'<folderBrowse id="%d" folder="f"><index from="0" till="99999"/></folderBrowse>\0'
QUIET = 0.5  # seconds in which no byte more is taken from a deaf client
NOTICED = 1.0  # seconds: who usually waits longer for an answer is held up


def fill_mailbox(server):
    post = server.lmtp()
    text = b"From: Ann <ann@example.org>\r\nSubject: %s\r\n\r\nx\r\n" % (b"long " * 600)
    for _ in range(MESSAGES):
        assert [code for code, _ in post.deliver("ann@example.org", ["dora@harbor.example"], text)] == [250]
    post.quit()


def deaf_client(server, tls):
    client = server.session(tls=tls)
    for size in (socket.SO_RCVBUF, socket.SO_SNDBUF):
        client.sock.setsockopt(socket.SOL_SOCKET, size, 4096)
    client.call(OPEN)
    return client


def ask_all(clients):
    """Until no server takes a byte more of any of them; the bytes that were sent."""
    sent, quiet = 0, time.monotonic()
    for c in clients:
        c.sock.setblocking(False)
    while time.monotonic() - quiet < QUIET:
        for n, c in enumerate(clients):
            try:
                sent += c.sock.send(ROWS % n * 20)
                quiet = time.monotonic()
            except (BlockingIOError, OSError):
                pass
        time.sleep(0.01)
    return sent


class Others(threading.Thread):
    """What users wait for their answers meanwhile."""

    def __init__(self, server):
        super().__init__(daemon=True)
        self.clients = [server.session("otto@harbor.example") for _ in range(4)]
        self.times, self.going, self.problem = [], True, None

    def run(self):
        try:
            while self.going:
                for client in self.clients:
                    for request in ('<noop id="n"/>', '<readTime id="t"/>'):
                        begin = time.monotonic()
                        client.call(request)
                        self.times.append(time.monotonic() - begin)
                time.sleep(0.005)
        except BaseException as e:  # told by the test
            self.problem = e

    def finish(self):
        self.going = False
        self.join(PATIENCE)
        if self.problem is not None:
            raise self.problem
        times = sorted(self.times)
        return times[len(times) // 2], times[-1 - len(times) // 100]


@pytest.mark.parametrize("tls", [False, True], ids=["clear", "tls"])
def test_clients_that_never_read(tmp_path, tls):
    server = "workers = 2\nkeepers = 2\nchannels_per_address = 0\nchannels_per_client_address = 0\nchannels = 3000\n"
    with Server(tmp_path, conf="[limits]\nout_stall = 1h\n[login]\nhash_cost = 1\nmax_sessions_per_account = 2000\n",
                server=server, tls=True, accounts={"dora": "correct-horse", "otto": "battery-staple"}) as server:
        fill_mailbox(server)
        clients = [deaf_client(server, tls) for _ in range(DEAF)]
        before = server.anonymous_memory()
        others = Others(server)
        others.start()
        sent = ask_all(clients)
        median, p99 = others.finish()
        each = (server.anonymous_memory() - before) / DEAF
        rows = [r for r in server.top()["sessions"] if r["account"].startswith("dora")]
        assert len(rows) == DEAF  # nobody was thrown out
        made = max(r["bytesOut"] for r in rows)
        for c in clients:
            c.close()
        note("clients that never read (%s)" % ("TLS" if tls else "clear"), clients=DEAF, bytes_asked=sent, memory_each=int(each), answers_made_for_each=made,
             others_median_ms="%.2f" % (median * 1000), others_p99_ms="%.2f" % (p99 * 1000))
        assert sent > DEAF * 100
        if not SANITIZED:  # whose allocator keeps what is freed
            assert each <= MEMORY, each
        assert made <= MEMORY + KERNEL, made
        assert median < NOTICED, (median, p99)
