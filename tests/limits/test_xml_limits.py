# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The ximssd authors
"""What a message may hold (protocol 1, 1.2, 1.3; design 9.2), before login and in a session, with the defaults and with
other limits: n is taken, n + 1 is not."""
import pytest

from ximss import Server

SETS = {"defaults": ("", 16384, 256, 64), "others": ("[limits]\ntag = 1k\nattributes = 16\ndepth = 8\n", 1024, 16, 8)}


@pytest.fixture(scope="module", params=SETS, ids=SETS)
def limited(request, tmp_path_factory):
    conf, *most = SETS[request.param]
    with Server(tmp_path_factory.mktemp("server"), conf=conf + "[limits]\nprotocol_errors = 1000\n" * (conf == "")) as s:
        yield s, most


def tag(n):
    """A request whose start tag has n bytes."""
    head = '<noop id="t" x="'
    return head + "x" * (n - len(head) - 3) + '"/>'


def attributes(n):
    return '<noop id="t"' + "".join(f' a{i}="1"' for i in range(n - 1)) + "/>"


def depth(n):
    return '<noop id="t">' + "<a>" * (n - 1) + "</a>" * (n - 1) + "</noop>"


def attribute_name(n):
    return '<noop id="t" %s=""/>' % ("n" * n)


def child_name(n):
    return '<noop id="t"><%s/></noop>' % ("n" * n)


MAKERS = [(tag, 0), (attributes, 1), (depth, 2), (attribute_name, 256), (child_name, 256)]


@pytest.mark.parametrize("make, most", MAKERS, ids=[m.__name__ for m, _ in MAKERS])
@pytest.mark.parametrize("logged_in", [False, True], ids=["before", "after"])
def test_limits(limited, make, most, logged_in):
    server, mosts = limited
    most = mosts[most] if most < 3 else most
    client = server.session() if logged_in else server.client()
    for n in (most - 1, most):
        client.call(make(n))
    client.send(make(most + 1))
    e = client.recv()
    assert (e.tag, e.get("id"), e.get("errorNum"), e.get("errorText")) == ("response", "t", "501", "illegal XML")
    client.call('<noop id="after"/>')
    client.close()


@pytest.mark.parametrize("logged_in", [False, True], ids=["before", "after"])
def test_ids(limited, logged_in):
    """256 bytes, counted without their escapes; a longer one is a bad value, and still comes back (errors.md: only two
    errors have no id). It is no protocol error: any number of them is answered."""
    server, (most_tag, _, _) = limited
    client = server.session() if logged_in else server.client()
    for n in (255, 256):
        for letter in ("i", "&amp;"):
            if n * len(letter) < most_tag - 20:
                client.send('<noop id="%s"/>' % (letter * n))
                assert client.raw() == b'<response id="%s"/>' % (letter * n).encode()
    for _ in range(12):
        client.send('<noop id="%s"/>' % ("i" * 257))
        assert client.raw() == b'<response id="%s" errorText="illegal attribute value" errorNum="502"/>' % (b"i" * 257)
    client.send('<fryEggs id="%s"/>' % ("i" * 257))
    assert client.raw() == b'<response id="%s" errorText="unknown command" errorNum="500"/>' % (b"i" * 257)
    client.close()
