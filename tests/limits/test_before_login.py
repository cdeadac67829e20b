# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The ximssd authors
"""Those who have not logged in have a share of what there is (security.md 2.2), and the server's sessions a limit (protocol 1,
3.8): everything at n-1, n, n+1, exact under clients that race and processes that are killed."""
import json
import os
import re
import signal
import socket
import threading
import time

import pytest
from test_channels import enter
from ximss import PATIENCE, Server, alive, wait_for

FRIEND, STRANGER = "127.0.0.2", "127.0.0.3"
FRIENDS = "client_addresses = %s\nchannels_per_address = 0\nchannels_per_client_address = 0\nworkers = 2\n" % FRIEND
ACCOUNTS = {"dora": "correct-horse", "otto": "swordfish"}
TOO_MANY = (520, "too many sessions")
WRONG = (515, "incorrect password or account name")


def log_in(client, name="dora", password=None):
    """None for a session, else (number, text)."""
    client.send('<login id="L" authData="%s" password="%s"/>' % (name, password or ACCOUNTS[name]))
    _, response = client.until_response("L")
    number = response.get("errorNum")
    return None if number is None else (int(number), response.get("errorText"))


def at_once(count, what):
    """what(i) in so many threads at the same time."""
    start, results = threading.Barrier(count), [None] * count

    def run(i):
        start.wait()
        results[i] = what(i)
    threads = [threading.Thread(target=run, args=(i,)) for i in range(count)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    return results


# --- channels_share_before_login

@pytest.mark.parametrize("share, most", [(59, 5), (60, 6), (1, 1)])
def test_share_of_channels(tmp_path, share, most):
    settings = FRIENDS + "channels = 10\nchannels_share_before_login = %d\n" % share
    with Server(tmp_path, server=settings, accounts=ACCOUNTS) as server:
        clients = [enter(server) for _ in range(most)]
        assert all(clients)  # n-1, n
        assert enter(server) is None  # n+1
        wait_for(lambda: re.search(r" 2 XIMSSI\(\[127.0.0.3\]\) connection refused: too many channels without a login", server.log()))
        assert clients[0].fail('<login id="1" authData="dora" password="oops"/>') == WRONG
        assert enter(server) is None
        assert log_in(clients[0]) is None  # one less
        clients.append(wait_for(lambda: enter(server)))
        assert enter(server) is None
        # friends are let in up to the limit of all, and count
        friends = [enter(server, FRIEND) for _ in range(10 - most - 1)]
        assert all(friends) and enter(server, FRIEND) is None
        clients[1 if most > 1 else -1].close()
        wait_for(lambda: server.top()["total"] == 9)
        assert enter(server) is None or not friends
        # a session that ends is no longer anybody
        clients[0].send('<bye id="b"/>')
        clients[0].rest()
        wait_for(lambda: enter(server, FRIEND))


def test_share_is_exact_and_survives_workers(tmp_path):
    settings = FRIENDS + "channels = 20\nchannels_share_before_login = 40\n"
    with Server(tmp_path, server=settings, accounts=ACCOUNTS) as server:
        clients = [c for c in at_once(32, lambda _: enter(server)) if c]
        assert len(clients) == 8
        assert [log_in(c) for c in clients[:4]] == [None] * 4
        clients += [c for c in at_once(32, lambda _: enter(server)) if c]
        assert len(clients) == 12
        old = server.kill("worker 1")
        wait_for(lambda: server.children().get("worker 1") not in (None, old))
        here = [c for c in clients if alive(c)]
        wait_for(lambda: server.top()["total"] == len(here))
        waiting = sum(c not in clients[:4] for c in here)

        def more():
            got = enter(server)
            here.extend([got] if got else [])
            return len(here) - sum(c in clients[:4] for c in here) == 8
        wait_for(more)
        assert waiting <= 8 and all(enter(server) is None for _ in range(4))


def test_all_channels_by_default(tmp_path):
    """100 per cent: the limit is that of protocol 1, 7.3, and nothing else."""
    with Server(tmp_path, server=FRIENDS + "channels = 4\n") as server:
        clients = [enter(server) for _ in range(4)]
        assert all(clients) and enter(server) is None


# --- max_sessions

def test_max_sessions(tmp_path):
    conf = "[login]\nfail_delay = 0\nmax_sessions = 3\nmax_sessions_per_account = 2\n"
    with Server(tmp_path, conf=conf, server="workers = 2\nkeepers = 2\n", accounts=ACCOUNTS) as server:
        first, second, late = server.client(), server.client(), server.client()
        url_id = first.login().get("urlID")
        assert log_in(second) is None
        # what the account's own limit refuses is no session of the server
        assert [log_in(server.client()) for _ in range(3)] == [TOO_MANY] * 3
        third = server.client()
        assert log_in(third, "otto") is None  # n
        assert log_in(late, "otto") == TOO_MANY  # n+1
        assert why(server, "otto") == "the server has too many sessions ([login] max_sessions)"
        assert log_in(late, "otto", "oops") == WRONG  # nobody learns what a password is worth
        # the new one would come before the old one goes
        assert late.fail('<login id="K" userName="dora" sessionid="%s" killOld="1"/>' % url_id) == TOO_MANY
        first.call('<readTime id="t"/>')
        second.send('<bye id="b"/>')
        second.rest()
        assert wait_for(lambda: log_in(late, "otto") is None)
        assert log_in(server.client()) == TOO_MANY


def why(server, name):
    return json.loads(server.ctl("why-login", "--json", name).stdout)["attempts"][0]["reason"]


def test_max_sessions_is_exact_and_survives_everybody(tmp_path):
    conf = "[login]\nhash_cost = 1\nmax_sessions = 6\n"
    with Server(tmp_path, conf=conf, server="workers = 2\nkeepers = 2\n", accounts=ACCOUNTS) as server:
        def more(living):
            """All of 16 try: how many sessions there are then."""
            clients = [server.client() for _ in range(16)]
            got = at_once(16, lambda i: log_in(clients[i], "dora" if i % 2 else "otto"))
            assert set(got) <= {None, TOO_MANY}
            living.extend(c for c, e in zip(clients, got) if e is None)
            for c, e in zip(clients, got):
                if e is not None:
                    c.close()
            return len(living)
        sessions = []
        assert more(sessions) == 6
        for name in ("worker 1", "auth", "keeper 1", "worker 2"):
            old = server.kill(name)
            wait_for(lambda name=name, old=old: server.children().get(name) not in (None, old))
            if name.startswith("keeper"):  # <bye/> comes within two seconds
                wait_for(lambda: all(r["account"] != "" for r in server.top()["sessions"]))
                wait_for(lambda: server.counters()["ximssSessionsActive"] == server.top()["total"])
            sessions = [c for c in sessions if alive(c)]
            wait_for(lambda sessions=sessions: server.top()["total"] == len(sessions))
            assert wait_for(lambda sessions=sessions: more(sessions) >= 6) and len(sessions) == 6


# --- input_share_before_login

def piece(n):
    """So many bytes of a message that has no end yet."""
    return b'<noop id="n">' + b"x" * (n - 13)


END = b"</noop>\0"


def send_piece(server, client, n):
    port = client.sock.getsockname()[1]

    def there():
        row = server.row(port=port)
        return row["bytesIn"] if row else 0
    before = there()
    client.send_bytes(piece(n))
    wait_for(lambda: there() == before + n)


@pytest.mark.parametrize("share, most", [(25, 1 << 18), (1, 65536)], ids=["quarter", "one-message"])
def test_share_of_input_memory(tmp_path, share, most):
    """Who asks for more than there is before login has to go; sessions have their room."""
    conf = "[limits]\ninput_memory = 1M\nmessage = 1M\nmessage_before_login = 64k\ninput_share_before_login = %d\n" % share
    with Server(tmp_path, conf=conf, server="workers = 1\nlog_level = problems\n") as server:
        session = server.session()
        for last in (-1, 0, 1):
            clients = [server.client() for _ in range(most // 65536 + 1)]
            for client in clients[:-2]:
                send_piece(server, client, 65536)
            send_piece(server, clients[-2], 65536 - 100)
            if last <= 0:
                send_piece(server, clients[-1], 100 + last)
                clients[-1].send_bytes(END)
                assert clients[-1].raw() == b'<response id="n"/>'
            else:
                clients[-1].send_bytes(piece(100 + last))
                assert clients[-1].rest() == b"<bye/>\0"
                wait_for(lambda: " ends: no memory" in server.log())
            # a session is not held to it
            session.send_bytes(piece(700000) + END)
            assert session.raw() == b'<response id="n"/>'
            for client in clients:
                client.close()
            wait_for(lambda: server.top()["total"] == 1)


def test_a_login_gives_its_share_back(tmp_path):
    """What comes in one piece with the login and is not complete belongs to the session."""
    conf = "[limits]\ninput_memory = 1M\nmessage = 1M\nmessage_before_login = 64k\ninput_share_before_login = 1\n"
    with Server(tmp_path, conf=conf, server="workers = 1\n") as server:
        sessions = []
        for _ in range(3):
            client = server.client()
            client.send_bytes(b'<login id="L" authData="dora" password="correct-horse"/>\0' + piece(60000))
            client.until_response("L")
            sessions.append(client)
        for client in sessions:
            client.send_bytes(END)
            assert client.raw() == b'<response id="n"/>'
            client.close()
        # and nothing is counted twice: the share is whole
        for _ in range(3):
            client = server.client()
            send_piece(server, client, 65536)
            client.close()
            wait_for(lambda: server.top()["total"] == 0)


# --- credit

def kernel_has(port):
    """Bytes for the client at this port, on both sides of its connection."""
    total = 0
    with open("/proc/net/tcp", encoding="ascii") as f:
        for line in list(f)[1:]:
            near, far, _, queues = line.split()[1:5]
            sends, has = (int(n, 16) for n in queues.split(":"))
            total += (has if near.endswith(":%04X" % port) else 0) + (sends if far.endswith(":%04X" % port) else 0)
    return total


@pytest.mark.parametrize("credit", [64, 256])
def test_output_of_a_client_that_never_reads(tmp_path, credit):
    """Beside what the kernel takes there is never more than `credit` (and the slice that it was given for) for one session."""
    with Server(tmp_path, conf="[limits]\ncredit = %dk\nrequests = 10000\nrequest_bytes = 1M\n" % credit,
                server="workers = 1\nkeepers = 1\n") as server:
        deaf = socket.socket()
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        deaf.settimeout(PATIENCE)
        deaf.connect(("127.0.0.1", server.port))
        port = deaf.getsockname()[1]
        deaf.sendall(b'<login id="L" authData="dora" password="correct-horse"/>\0' + b'<listKnownValues id="k"/>\0' * 4000)

        def out(seen=[-1, 0.0]):  # noqa: B006
            """Whether it makes no more, and the kernel takes no more."""
            row = server.row(port=port)
            now = row["bytesOut"] if row else 0
            if now != seen[0]:
                seen[:] = [now, time.monotonic()]
            return now > kernel_has(port) > 0 and time.monotonic() - seen[1] > 1
        wait_for(out)
        worker, taken = server.children()["worker 1"], 0
        os.kill(worker, signal.SIGSTOP)  # now there is only what the kernel has
        try:
            made = server.row(port=port)["bytesOut"]
            deaf.settimeout(1)
            while True:
                taken += len(deaf.recv(1 << 20))
        except TimeoutError:
            pass
        finally:
            os.kill(worker, signal.SIGCONT)
        assert 0 < made - taken <= (credit + 64) << 10, (made, taken)
        deaf.close()
