# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The ximssd authors
"""A proxy that ends TLS says so with X-Forwarded-Proto; only one that is trusted is believed. Then passwords are not in clear."""
import pytest
from xhttp import WebServer, errors

SETTINGS = "[domain harbor.example]\nclear_login = no\n"
QUERY = "/XIMSSLogin/?errorAsXML=1&EnableUseCookie=1&userName=dora&password=correct-horse"
HTTPS = {"X-Forwarded-Proto": "https", "X-Forwarded-For": "192.0.2.7"}


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with WebServer(tmp_path_factory.mktemp("proto"), http="trusted_proxies = 127.0.0.1", conf=SETTINGS) as s:
        yield s


def methods(reply):
    return {e.text for e in reply.xml.iter("sasl")}


def test_a_trusted_proxy_is_believed(server):
    reply = server.ask("GET", QUERY, fields=HTTPS)
    session = reply.xml[0]
    assert session.tag == "session"
    first = server.ask("POST", "/Session/%s/sync" % session.get("urlID"), "<XIMSS/>", HTTPS)
    assert "; Secure" in first.field("set-cookie")
    assert "sent in clear" not in server.log()
    # what it says is no TLS of ours
    assert server.row(id=int(session.get("urlID")[:6]))["tls"] == ""
    asked = server.ask("POST", "/XIMSSLogin/", '<XIMSS><listFeatures id="f"/></XIMSS>', HTTPS)
    assert "PLAIN" in methods(asked)


@pytest.mark.parametrize("fields", ({}, {"X-Forwarded-Proto": "http"}, {"X-Forwarded-Proto": "https, http"}))
def test_without_the_word_it_is_clear(server, fields):
    reply = server.ask("GET", QUERY, fields={"X-Forwarded-For": "192.0.2.7", **fields})
    assert errors(reply.xml) == [(None, 504)]
    asked = server.ask("POST", "/XIMSSLogin/", '<XIMSS><listFeatures id="f"/></XIMSS>', fields)
    assert "PLAIN" not in methods(asked)


def test_others_are_not_believed(server):
    conn = server.web(source="127.0.0.2")
    reply = conn.ask("GET", QUERY, fields={"X-Forwarded-Proto": "https"})
    assert errors(reply.xml) == [(None, 504)]
