# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The ximssd authors
"""[limits] tag, attributes and depth, other than the defaults, before login and in a session: n is taken, n + 1 is not."""
import pytest

from ximss import Server

CONF = "[limits]\ntag = 1k\nattributes = 16\ndepth = 8\n"


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with Server(tmp_path_factory.mktemp("server"), conf=CONF) as s:
        yield s


def tag(n):
    """A request whose start tag has n bytes."""
    head = '<noop id="t" x="'
    return head + "x" * (n - len(head) - 3) + '"/>'


def attributes(n):
    return '<noop id="t"' + "".join(f' a{i}="1"' for i in range(n - 1)) + "/>"


def depth(n):
    return '<noop id="t">' + "<a>" * (n - 1) + "</a>" * (n - 1) + "</noop>"


@pytest.mark.parametrize("make, most", [(tag, 1024), (attributes, 16), (depth, 8)])
@pytest.mark.parametrize("logged_in", [False, True])
def test_limits(server, make, most, logged_in):
    client = server.session() if logged_in else server.client()
    for n in (most - 1, most):
        client.call(make(n))
    client.send(make(most + 1))
    e = client.recv()
    assert (e.tag, e.get("id"), e.get("errorNum"), e.get("errorText")) == ("response", "t", "501", "illegal XML")
    client.call('<noop id="after"/>')
    client.close()
