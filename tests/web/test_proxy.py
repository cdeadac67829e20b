# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The ximssd authors
"""PROXY headers and forwarded addresses: the truth is made first, with ipaddress and struct, and then written down in the ways of proxies."""
import ipaddress
import random
import socket
import struct
import subprocess
import threading

from webcodec import ask

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
ADDRESSES = ["192.0.2.7", "255.255.255.255", "0.0.0.0", "10.1.2.3", "2001:db8::1", "::", "::1", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "2001:DB8:0:0:1::9"]


def same(text, address):
    """IPv4 in IPv6 is IPv4 to us."""
    want = ipaddress.ip_address(address)
    return ipaddress.ip_address(text) == (getattr(want, "ipv4_mapped", None) or want)


def v2(command, family, body, length=None):
    return SIGNATURE + struct.pack("!BBH", command, family, len(body) if length is None else length) + body


def addresses(a, b, pa, pb):
    return ipaddress.ip_address(a).packed + ipaddress.ip_address(b).packed + struct.pack("!HH", pa, pb)


def tlv(kind, value, length=None):
    return struct.pack("!BH", kind, len(value) if length is None else length) + value


def test_both_versions():
    rng = random.Random(2)
    for tail in (b"", b"GET / HTTP/1.1\r\n", b"\0", b"PROXY TCP4 1.1.1.1 1.1.1.1 1 1\r\n"):
        rows = []
        for a in ADDRESSES:
            for b in ADDRESSES:
                if (":" in a) == (":" in b):
                    pa, pb = rng.choice([0, 1, 143, 65535]), rng.randrange(65536)
                    v6 = ":" in a
                    tls, client, one = rng.random() < 0.8, rng.randrange(8), rng.random() < 0.5
                    added = [tlv(4, bytes(7)), tlv(3, b"crc!")] + [tlv(0x20, struct.pack("!BI", client, 1) + tlv(0x21, b"TLSv1.3"))] * tls
                    rng.shuffle(added)
                    rows.append(("PROXY TCP%d %s %s %d %d\r\n" % (6 if v6 else 4, a, b, pa, pb)).encode() if one
                                else v2(0x21, 0x21 if v6 else 0x11, addresses(a, b, pa, pb) + b"".join(added)))
                    rows[-1] = (rows[-1], a, pa, int(not one and tls and client & 1))
        assert len(rows) == 41 and 0 < sum(tls for _, _, _, tls in rows) < 41
        for (header, a, port, tls), got in zip(rows, ask("proxy", [row[0] + tail for row in rows])):
            assert (got["err"], got["used"], got["given"], got["port"], got["tls"]) == ("OK", len(header), 1, port, tls), header
            assert same(got["ip"], a)


def test_every_cut():
    """Every beginning of a header is AGAIN; every other byte at any place of the fixed part is refused, at once."""
    headers = [b"PROXY TCP4 192.168.0.1 192.168.0.11 56324 443\r\n", b"PROXY UNKNOWN\r\n", v2(0x21, 0x11, addresses("192.0.2.7", "192.0.2.1", 1, 2)), v2(0x20, 0, b"")]
    for header in headers:
        cuts = ask("proxy", [header[:n] for n in range(len(header) + 1)])
        assert [c["err"] for c in cuts] == ["AGAIN"] * len(header) + ["OK"]
        wrong = [header[:at] + bytes([b]) for at in range(6 if header[0] == 80 else 12) for b in range(256) if b != header[at] and not (at == 0 and b in (80, 13))]
        assert {a["err"] for a in ask("proxy", wrong)} == {"SYNTAX"}


V1_GOOD = [b"PROXY UNKNOWN\r\n", b"PROXY UNKNOWN ffff:: whatever \x00\xff\r\n", b"PROXY UNKNOWN ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n"]
V1_BAD = [
    "PROXY TCP4 192.0.2.7 192.0.2.1 1 2\n", "PROXY TCP4 192.0.2.7 192.0.2.1 1 2\r\r\n", "PROXY TCP4 192.0.2.7\r 192.0.2.1 1 2\r\n", "PROXY TCP4\n 192.0.2.7 192.0.2.1 1 2\r\n",
    "PROXY TCP4 192.0.2.7 192.0.2.1 1\r\n", "PROXY TCP4 192.0.2.7 192.0.2.1 1 2 3\r\n", "PROXY TCP4 192.0.2.7 192.0.2.1 1 2 \r\n", "PROXY TCP4  192.0.2.7 192.0.2.1 1 2\r\n",
    "PROXY TCP4 192.0.2.07 192.0.2.1 1 2\r\n", "PROXY TCP4 192.0.2 192.0.2.1 1 2\r\n", "PROXY TCP4 0xc0.0.2.7 192.0.2.1 1 2\r\n", "PROXY TCP4 192.0.2.256 192.0.2.1 1 2\r\n",
    "PROXY TCP4 192.0.2.7 192.0.2.1 01 2\r\n", "PROXY TCP4 192.0.2.7 192.0.2.1 65536 2\r\n", "PROXY TCP4 192.0.2.7 192.0.2.1 1 65536\r\n", "PROXY TCP4 192.0.2.7 192.0.2.1 -1 2\r\n",
    "PROXY TCP4 192.0.2.7 192.0.2.1 +1 2\r\n", "PROXY TCP4 192.0.2.7 192.0.2.1 1 00\r\n", "PROXY TCP4 192.0.2.7 192.0.2.1  2\r\n", "PROXY TCP4 ::1 ::1 1 2\r\n",
    "PROXY TCP6 192.0.2.7 192.0.2.1 1 2\r\n", "PROXY TCP6 ::1 192.0.2.1 1 2\r\n", "PROXY TCP6 ::1%lo ::1 1 2\r\n", "PROXY TCP6 [::1] ::1 1 2\r\n", "PROXY TCP6 :::1 ::1 1 2\r\n",
    "PROXY TCP6 1::2::3 ::1 1 2\r\n", "PROXY TCP6 12345::1 ::1 1 2\r\n", "PROXY UDP4 192.0.2.7 192.0.2.1 1 2\r\n", "PROXY tcp4 192.0.2.7 192.0.2.1 1 2\r\n", "PROXY  UNKNOWN\r\n",
    "PROXY UNKNOWNX\r\n", "PROXY\r\n", "PROXY \r\n", "PROXYTCP4 192.0.2.7 192.0.2.1 1 2\r\n", "proxy TCP4 192.0.2.7 192.0.2.1 1 2\r\n", " PROXY UNKNOWN\r\n", "GET / HTTP/1.1\r\n",
    "PROXY TCP4\t192.0.2.7 192.0.2.1 1 2\r\n", "PROXY TCP4 192.0.2.7\0 192.0.2.1 1 2\r\n", "PROXY UNKNOWN\n",
]


def test_version_1():
    for got, header in zip(ask("proxy", [h + b"PROXY" for h in V1_GOOD]), V1_GOOD):
        assert (got["err"], got["used"], got["given"]) == ("OK", len(header), 0)
    assert len(V1_GOOD[2]) == 107
    assert {a["err"] for a in ask("proxy", V1_BAD)} == {"SYNTAX"}
    for n, err in [(106, "OK"), (107, "OK"), (108, "TOO_LONG")]:
        header = b"PROXY UNKNOWN " + b"x" * (n - 16) + b"\r\n"
        assert [a["err"] for a in ask("proxy", [header, header + b"more"])] == [err, err]
    assert [a["err"] for a in ask("proxy", [b"PROXY " + b"x" * n for n in (100, 101, 102)])] == ["AGAIN", "TOO_LONG", "TOO_LONG"]


def test_version_2():
    """Commands, families, lengths: each byte that there is."""
    body = addresses("192.0.2.7", "192.0.2.1", 1, 2) + bytes(300)
    rows = [(c, f) for c in (0x20, 0x21) for f in range(256)] + [(c, f) for c in range(256) for f in (0, 0x11, 0x21, 0x31, 0xff)]
    for (command, family), got in zip(rows, ask("proxy", [v2(c, f, body) for c, f in rows])):
        legal = family >> 4 <= 3 and family & 15 <= 2
        if command == 0x20:
            want = ("OK", 0)
        elif command != 0x21 or not legal:
            want = ("SYNTAX", None)
        elif family in (0x11, 0x21):
            want = ("OK", 1)
        else:
            want = ("UNSUPPORTED", None) if family in (0x12, 0x22, 0x31, 0x32) else ("OK", 0)
        assert (got["err"], got.get("given")) == want, (command, family)
    rows, wants = [], []
    for family, least in ((0x11, 12), (0x21, 36)):
        for n, err in [(0, "SYNTAX"), (least - 1, "SYNTAX"), (least, "OK"), (least + 3, "OK"), (4079, "OK"), (4080, "OK"), (4081, "TOO_LONG"), (65535, "TOO_LONG")]:
            # what is behind the addresses is one addition
            body = bytes(least) + tlv(4, bytes(max(n - least - 3, 0))) if n >= least + 3 else bytes(n)
            rows += [v2(0x21, family, body[:k], n) for k in (n, 0, max(n - 1, 0))]
            wants += [err] * 3 if err != "OK" else ["OK", "AGAIN", "AGAIN"]
    assert [a["err"] for a in ask("proxy", rows)] == wants
    # The next version's signature, and the signature without the rest.
    assert [a["err"] for a in ask("proxy", [SIGNATURE + b"\x31", SIGNATURE + b"\x11", SIGNATURE])] == ["SYNTAX", "SYNTAX", "AGAIN"]


def test_curl():
    """What a real client writes."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(20)
        port, got = server.getsockname()[1], []

        def serve():
            conn, peer = server.accept()
            with conn:
                conn.settimeout(20)
                data = b""
                while b"\r\n\r\n" not in data:
                    more = conn.recv(65536)
                    if not more:
                        break
                    data += more
                got.append((data, peer[1]))
                conn.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        thread = threading.Thread(target=serve)
        thread.start()
        subprocess.run(["curl", "-s", "--noproxy", "*", "--haproxy-protocol", "-m", "20", "http://127.0.0.1:%d/" % port], check=True, capture_output=True)
        thread.join(20)
    (data, peer), = got
    answer, = ask("proxy", [data])
    assert (answer["err"], answer["ip"], answer["port"]) == ("OK", "127.0.0.1", peer)
    assert data[answer["used"]:].startswith(b"GET / HTTP/1.1\r\n")


# --- forwarded addresses

TRUSTED = "10.0.0.0/8, 2001:db8:f::/48"
OURS = ["10.0.0.1", "10.255.255.255", "2001:db8:f::1", "::ffff:10.1.1.1"]
OTHERS = ["192.0.2.7", "11.0.0.1", "203.0.113.9", "2001:db8:e::1", "::1"]
HIDDEN = ["unknown", "_hidden", "_", "", "192.0.2", "192.0.2.7.9", "192.0.2.300", "localhost", "[192.0.2.7]", "192.0.2.7:99999", "192.0.2.7:x", "[::1", "::1]", "[::1]x", "0x7f.1", "127.1",
          "2130706433", "fe80::1%eth0", "192.0.2.7:", "1.2.3.4 5.6.7.8", "\u0661.2.3.4"]


def written(rng, address, standard):
    """One hop as a proxy writes it."""
    v6 = ":" in address
    port = rng.choice(["", "", ":4711", ":_p1" if standard else ":1"])
    node = ("[%s]%s" % (address, port) if standard or port or rng.random() < 0.3 else address) if v6 else address + port
    if not standard:
        return node
    pair = rng.choice(["for", "For", "FOR"]) + "=" + ('"%s"' % node if v6 or port or rng.random() < 0.5 else node)
    more = ["proto=https", "by=_gw", 'host="a,b;for=192.0.2.99"', 'x="\\",for=192.0.2.98"']
    pairs = [pair, *rng.sample(more, rng.randrange(3))]
    rng.shuffle(pairs)
    return rng.choice([";", "; ", ";;"]).join(pairs)


def client(peer, hops):
    """From the right, as nginx's real_ip_recursive does: who is the first that is none of ours?"""
    if peer in OURS:
        for hop in reversed(hops):
            if hop not in OURS:
                return hop if hop in OTHERS else None
        return hops[0] if hops else peer
    return peer


def test_chains():
    rng = random.Random(7239)
    rows, wants = [], []
    for i in range(4000):
        standard = i % 2 == 0
        hops = [rng.choice(rng.choice([OURS, OTHERS])) if rng.random() < 0.9 else rng.choice(["unknown", "_x"]) for _ in range(rng.randrange(6))]
        peer = rng.choice(OURS) if rng.random() < 0.9 else rng.choice(OTHERS)
        lines = [""]
        for hop in hops:
            text = written(rng, hop, standard) if hop in OURS + OTHERS else "for=" + hop if standard else hop
            if rng.random() < 0.2:
                lines.append(text)
            else:
                lines[-1] += rng.choice([",", ", ", " ,\t", ",,"]) + text if lines[-1] else text
        rows.append((TRUSTED, peer, *(("F" if standard else "X") + line for line in lines)))
        wants.append(client(peer, hops))
    for row, want, got in zip(rows, wants, ask("forwarded", rows)):
        assert ("ip" in got) == (want is not None), row
        assert want is None or same(got["ip"], want), row
    assert 200 < sum(w is None for w in wants) < 2000


def test_hostile():
    """What stands at the right end counts, whatever the client put in front of it; what cannot be read is nobody."""
    lies = ["F%s" % t for t in ('for="', "for=10.0.0.1;for=10.0.0.2", "for", "=", "for=", ";;;", 'for="10.0.0.1"x', "for =10.0.0.1", "for=10.0.0.1 x", "for=\"10.0.0.1\0\"", "a=b", 'for="\\',
                                "for=%s" % ("1" * 5000), 'for="%s"' % ("\\1" * 200))]
    lies += ["X" + h for h in HIDDEN if h] + ['Ffor="%s"' % h for h in HIDDEN]
    rows = []
    for lie in lies:
        ours, other = ("Ffor=10.0.0.9", "Ffor=192.0.2.7") if lie[0] == "F" else ("X10.0.0.9", "X192.0.2.7")
        rows += [(TRUSTED, "10.0.0.1", lie, other), (TRUSTED, "10.0.0.1", other, lie), (TRUSTED, "10.0.0.1", lie, ours), (TRUSTED, "192.0.2.1", lie)]
    answers = [a.get("ip") for a in ask("forwarded", rows)]
    for i, lie in enumerate(lies):
        assert answers[4 * i:4 * i + 4] == ["192.0.2.7", None, None, "192.0.2.1"], lie


def test_both_fields():
    rows = [(("Ffor=192.0.2.7", "X192.0.2.7"), "192.0.2.7"), (("Ffor=192.0.2.8", "X192.0.2.7"), None), (("Ffor=unknown", "X192.0.2.7"), None), (("Ffor=192.0.2.7", "Xunknown"), None),
            (("F", "X192.0.2.7"), "192.0.2.7"), (("X",), "10.0.0.1"), ((), "10.0.0.1"), (('Ffor="[2001:db8::1]"', "X2001:DB8:0::1"), "2001:db8::1")]
    for (lines, want), got in zip(rows, ask("forwarded", [(TRUSTED, "10.0.0.1", *lines) for lines, _ in rows])):
        assert got.get("ip") == want, lines
    assert [a["ip"] for a in ask("forwarded", [("", "10.0.0.1", "X192.0.2.7")])] == ["10.0.0.1"]
    everybody = "0.0.0.0/1, 128.0.0.0/1, ::/1, 8000::/1"
    rows = [("Xunknown, 192.0.2.7", None), ("X192.0.2.7, unknown", None), ("X192.0.2.7, 192.0.2.8", "192.0.2.7"), ("Ffor=_x, for=192.0.2.7", None)]
    assert [a.get("ip") for a in ask("forwarded", [(everybody, "10.0.0.1", line) for line, _ in rows])] == [want for _, want in rows]
