# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The ximssd authors
"""A keeper dies with logins that auth has let in: they are put to auth once more, and succeed, over TCP and over HTTP, whatever
they were made with; a nonce that is used is still theirs."""
import os
import signal

import pytest
from xhttp import WebServer, cram, parameters, request, xml_body
from ximss import wait_for

SETTINGS = "[login]\ncram = yes\n"


@pytest.fixture
def server(tmp_path):
    with WebServer(tmp_path, conf=SETTINGS, server="keepers = 1\n") as s:
        yield s


def nonce_of(server):
    return server.ask("POST", "/XIMSSLogin/", xml_body('<listFeatures id="f"/>')).xml.find("features").findtext("nonce")


def let_in(server):
    return server.ctl("why-login", "dora").stdout.count("logged in")


def http(server, conn, how):
    query = {"errorAsXML": 1, "userName": "dora"}
    if how == "nonce":
        nonce = nonce_of(server)
        query.update(nonce=nonce, authData=cram(nonce))
    else:
        query["password"] = "correct-horse"
    conn.send(request("GET", "/XIMSSLogin/?" + parameters(query)))


def tcp(server, client, how):
    if how == "nonce":
        nonce = nonce_of(server)
        client.send('<login id="L" userName="dora" nonce="%s" authData="%s"/>' % (nonce, cram(nonce)))
    else:
        client.send('<login id="L" authData="dora" password="correct-horse"/>')


@pytest.mark.parametrize("how", ("password", "nonce"))
def test_a_login_is_not_lost_with_its_keeper(server, how):
    web, client = server.web(), server.client()
    keeper = server.children()["keeper"] if "keeper" in server.children() else server.children()["keeper 1"]
    os.kill(keeper, signal.SIGSTOP)
    try:
        tcp(server, client, how)
        http(server, web, how)
        wait_for(lambda: let_in(server) == 2)  # both are with the keeper, who says nothing
    finally:
        os.kill(keeper, signal.SIGKILL)
    messages, response = client.until_response("L")
    assert response.get("errorNum") is None and [m.tag for m in messages] == ["session"]
    assert [e.tag for e in web.reply().xml] == ["session"]
    assert "login failed" not in server.log()
