# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The ximssd authors
"""A session over HTTP for tests of downloads and uploads, by Python's http.client."""
import http.client
import xml.etree.ElementTree as ET
from urllib.parse import quote

from ximss import PATIENCE, free_port


def listener(port, more=""):
    return "[listener web]\nprotocol = http\naddress = 127.0.0.1:%d\n%s" % (port, more)


def web_port(*taken):
    return free_port(*taken)


class Answer:
    def __init__(self, reply):
        self.status = reply.status
        self.headers = reply.headers
        self.body = reply.read()

    def __getitem__(self, name):
        return self.headers.get(name)


def ask(port, method, path, body=None, headers=None):
    """One request on a connection of its own. The path is sent as it is."""
    link = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    try:
        link.putrequest(method, path, skip_accept_encoding=True)
        for name, value in (headers or {}).items():
            link.putheader(name, value)
        if body is not None and "Content-Length" not in (headers or {}):
            link.putheader("Content-Length", str(len(body)))
        link.endheaders(body)
        return Answer(link.getresponse())
    finally:
        link.close()


class Web:
    """A logged-in session."""

    def __init__(self, port, name="dora", password="correct-horse", more=""):
        self.port = port
        answer = ask(port, "GET", "/XIMSSLogin/?userName=%s&password=%s%s" % (quote(name), quote(password), more))
        assert answer.status == 200, (answer.status, answer.body)
        self.id = ET.fromstring(answer.body).find("session").get("urlID")
        self.seq = 0
        self.link = None

    def path(self, rest):
        return "/Session/%s/%s" % (self.id, rest)

    def call(self, text):
        """Requests without ids of their own; the elements of the reply."""
        self.seq += 1
        answer = ask(self.port, "POST", self.path("sync?reqSeq=%d" % self.seq), ("<XIMSS>%s</XIMSS>" % text).encode())
        assert answer.status == 200, (answer.status, answer.body)
        return list(ET.fromstring(answer.body))

    def get(self, rest, method="GET", **headers):
        """On one connection that is kept."""
        for again in (True, False):
            if self.link is None:
                self.link = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
            try:
                self.link.request(method, self.path(rest), headers={k.replace("_", "-"): v for k, v in headers.items()})
                return Answer(self.link.getresponse())
            except (http.client.RemoteDisconnected, ConnectionError):
                self.link.close()
                self.link = None
                if not again:
                    raise
        return None

    def kill(self):
        return ask(self.port, "POST", self.path("KILL"), b"").status

    def close(self):
        if self.link is not None:
            self.link.close()
            self.link = None
