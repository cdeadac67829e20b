# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The ximssd authors
"""Who may connect (protocol 1, 7.3): every limit at n-1, n, n+1, the order of the checks, what a dead worker gives back.

All addresses of 127.0.0.0/8 are this machine; which of them are `client_addresses` is a setting.
"""
import re
import socket
import threading

import pytest
from ximss import PATIENCE, Client, Server, alive, free_port, wait_for

FRIEND, STRANGER = "127.0.0.2", "127.0.0.3"
FRIENDS = "client_addresses = %s\nworkers = 2\n" % FRIEND


def enter(server, source=STRANGER):
    """A connection that is served, or None: closed at once, without a byte."""
    client = server.client(source=source)
    if alive(client):
        return client
    client.close()
    return None


def refused(server, source=STRANGER, port=None):
    """The client says nothing and hears nothing: only the end."""
    with socket.create_connection(("127.0.0.1", port or server.port), PATIENCE, (source, 0)) as s:
        return s.recv(1) == b""


def fill(server, n, source=STRANGER):
    """So many get in, and then nobody else from there."""
    clients = []
    for i in range(n):
        clients.append(enter(server, source))
        assert clients[-1] is not None, i
    assert refused(server, source)
    assert enter(server, source) is None
    return clients


def leave(server, client, source):
    """Its place is free when it is gone: for one, not for two."""
    client.close()
    again = wait_for(lambda: enter(server, source))
    assert refused(server, source)
    return again


def reasons(server):
    return re.findall(r" 2 XIMSSI\(\[([0-9.]+)\]\) connection refused: (.*)", server.log())


def test_channels(tmp_path):
    with Server(tmp_path, server=FRIENDS + "channels = 4\n") as server:
        clients = fill(server, 4)
        assert refused(server, FRIEND)
        clients[1] = leave(server, clients[1], STRANGER)
        assert {why for _, why in reasons(server)} == {"too many channels"}
        assert server.top()["server"]["channels"] == 4
        wait_for(lambda: server.top()["total"] == 4 == server.counters()["ximssActive"])
        rejected = server.counters()["ximssRejected"]
        wait_for(lambda: rejected == len(reasons(server)))
        # sessions are counted like connections: it is the same place
        clients[0].login()
        assert refused(server)
        for client in clients:
            client.close()
        wait_for(lambda: server.counters()["ximssActive"] == 0)
        fill(server, 4)


@pytest.mark.parametrize("setting, source, other", [("channels_per_address", STRANGER, FRIEND),
                                                    ("channels_per_client_address", FRIEND, STRANGER)])
def test_channels_per_address(tmp_path, setting, source, other):
    with Server(tmp_path, server=FRIENDS + "%s = 3\n" % setting) as server:
        clients = fill(server, 3, source)
        others = [enter(server, other) for _ in range(6)]  # has the other setting's default
        assert all(others)
        assert enter(server, "127.0.0.7") is not None
        leave(server, clients[0], source)
        assert set(reasons(server)) == {(source, "too many channels from this address")}


def test_zero_is_no_limit(tmp_path):
    settings = "channels = 200\nchannels_per_address = 0\nchannels_per_client_address = 0\n"
    with Server(tmp_path, server=FRIENDS + settings) as server:
        clients = [enter(server, source) for source in (STRANGER, FRIEND) for _ in range(60)]
        assert all(clients)


def test_reserve_for_clients(tmp_path):
    """Of five channels two are kept for friends: strangers have three, and friends all that are left."""
    with Server(tmp_path, server=FRIENDS + "channels = 5\nreserve_for_clients = 2\n") as server:
        strangers = fill(server, 3)
        friends = fill(server, 2, FRIEND)
        # a friend's place that is free again is not a stranger's
        friends[0].close()
        assert wait_for(lambda: server.top()["total"] == 4) and refused(server)
        friends[0] = enter(server, FRIEND)
        assert friends[0] is not None
        # nor is a stranger's, while friends fill the reserve and more
        strangers[0].close()
        friends.append(wait_for(lambda: enter(server, FRIEND)))
        assert refused(server) and refused(server, FRIEND)
        assert {why for _, why in reasons(server)} == {"too many channels"}


def test_no_channels_no_listener(tmp_path):
    with Server(tmp_path, server="channels = 0\n") as server:
        with pytest.raises(ConnectionRefusedError):
            server.client()
        server.deliver("Subject: x\r\n\r\ny\r\n")
        assert server.top()["total"] == 0


def test_refused_before_the_handshake(tmp_path):
    with Server(tmp_path, server=FRIENDS + "channels = 1\n", tls=True) as server:
        client = enter(server)
        assert refused(server, port=server.tls_port)
        client.close()
        assert wait_for(lambda: not refused_tls(server))


def refused_tls(server):
    try:
        Client(("127.0.0.1", server.tls_port), tls=server.tls_context()).close()
        return False
    except OSError:
        return True


def test_restriction_lists(tmp_path):
    """`allow` and `deny` of a listener, with a hole in the list (7.2)."""
    other = free_port()
    some = "127.0.0.0/29, !127.0.0.4-127.0.0.6, 127.0.0.5"
    conf = "allow = %s\n[listener other]\naddress = 127.0.0.1:%d\ndeny = %s\n" % (some, other, some)
    with Server(tmp_path, conf=conf, accounts={}) as server:
        for port, inside in ((server.port, {1, 2, 3, 5, 7}), (other, {4, 6, 8, 9})):
            before = len(reasons(server))
            for last in range(1, 10):
                source = "127.0.0.%d" % last
                with socket.create_connection(("127.0.0.1", port), PATIENCE, (source, 0)) as s:
                    if last in inside:
                        s.sendall(b'<noop id="1"/>\0')
                        assert s.recv(100) == b'<response id="1"/>\0', (port, last)
                    else:
                        assert s.recv(1) == b"", (port, last)
            outside = [("127.0.0.%d" % n, "address is not allowed here") for n in range(1, 10) if n not in inside]
            assert wait_for(lambda: sorted(reasons(server)[before:]) == outside)


def test_order_of_the_checks(tmp_path):
    """Restriction list, blocked addresses, total limit, limit per address."""
    conf = "deny = 127.0.0.9\n[login]\nfail_delay = 0\nfail_account = 0\nfail_address = 3\n"
    with Server(tmp_path, conf=conf, server=FRIENDS + "channels = 2\nchannels_per_address = 1\n") as server:
        for _ in range(3):
            client = enter(server, "127.0.0.8")
            assert client.fail('<login id="1" authData="dora" password="oops"/>')[0] == 515
            client.close()
            wait_for(lambda: server.top()["total"] == 0)  # its place is free
        one = enter(server)
        assert refused(server)
        # A process writes its log at the end of a round: the connection may be closed before.
        wait_for(lambda: reasons(server))
        two = enter(server, "127.0.0.4")
        assert one and two
        assert refused(server) and refused(server, "127.0.0.8") and refused(server, "127.0.0.9")
        assert refused(server, FRIEND)
        found = wait_for(lambda: len(reasons(server)) >= 5 and reasons(server))
        assert {why for ip, why in found if ip == "127.0.0.9"} == {"address is not allowed here"}
        assert {why for ip, why in found if ip == "127.0.0.8"} == {"address is blocked"}
        assert [why for ip, why in found if ip == STRANGER] == ["too many channels from this address", "too many channels"]
        assert [why for ip, why in found if ip == FRIEND] == ["too many channels"]


def test_sixty_four_at_once(tmp_path):
    """Never more than allowed, not even for a moment: of 64 that come together exactly twenty are served."""
    with Server(tmp_path, server="channels = 20\nworkers = 2\n") as server:
        for _ in range(3):
            start, results = threading.Barrier(64), []

            def race(start=start, results=results):
                start.wait()
                results.append(enter(server, "127.0.0.1"))
            threads = [threading.Thread(target=race) for _ in range(64)]
            for t in threads:
                t.start()
            for t in threads:
                t.join()
            clients = [c for c in results if c is not None]
            assert len(results) == 64 and len(clients) == 20
            for client in clients:
                client.close()
            wait_for(lambda: server.top()["total"] == 0)


@pytest.mark.parametrize("settings, source, n", [
    ("channels_per_address = 8\n", STRANGER, 8), ("channels_per_client_address = 8\n", FRIEND, 8),
    ("channels = 12\nreserve_for_clients = 4\n", STRANGER, 8)], ids=["address", "client", "reserve"])
def test_what_a_killed_worker_held_is_given_back(tmp_path, settings, source, n):
    with Server(tmp_path, server=FRIENDS + settings) as server:
        clients = []
        for victim in ("worker 1", "worker 2"):
            clients += fill(server, n - len(clients), source)
            before = server.children()[victim]
            server.kill(victim)
            wait_for(lambda: server.children().get(victim) not in (None, before))
            clients = [c for c in clients if alive(c)]
            wait_for(lambda: server.top()["total"] == len(clients))
            more = []
            for _ in range(n - len(clients)):
                more.append(wait_for(lambda: enter(server, source)))
            clients += more
            assert refused(server, source)
            for client in clients[::2]:
                client.close()
            clients = clients[1::2]
            wait_for(lambda: server.top()["total"] == len(clients))


def test_refusals_do_not_fill_the_log(tmp_path):
    """Ten lines a second for the whole server, then one for all the others."""
    with Server(tmp_path, server=FRIENDS + "channels = 1\n") as server:
        keep = enter(server)
        several = [socket.create_connection(("127.0.0.1", server.port), PATIENCE, (STRANGER, 0)) for _ in range(150)]
        for s in several:
            assert s.recv(1) == b""
            s.close()

        def said():
            log = server.log()
            return len(reasons(server)), sum(int(n) for n in re.findall(r" 2 XIMSSI ([0-9]+) more connections refused", log))
        wait_for(lambda: sum(said()) == 150)
        lines, others = said()
        by_second = {}
        for second in re.findall(r"^(\S{8})\S* 2 XIMSSI\(\S+ connection refused", server.log(), re.M):
            by_second[second] = by_second.get(second, 0) + 1
        # a second of the wall clock touches two of the server's
        assert max(by_second.values()) <= 20 and others > 0
        assert alive(keep)
