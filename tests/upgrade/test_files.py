# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The ximssd authors
"""Downloads and uploads at an upgrade: whole, or visibly not; what was uploaded before is gone, and can be sent again."""
import random
import socket

from test_handover import exchange
from upgradable import Upgradable
from weblink import Web, ask, listener, web_port
from ximss import PATIENCE

SIZE = 12 << 20  # more than all buffers on the way hold


def test_files_at_an_upgrade(tmp_path):
    port = web_port()
    text = random.Random(5).randbytes(450).hex().encode() + b"\r\n"
    with Upgradable(tmp_path, conf=listener(port), server="keepers = 1\nworkers = 1\n") as server:
        server.deliver(b"Subject: long\r\n\r\n" + text * (SIZE // len(text)))
        web = Web(port)
        web.call('<folderOpen id="o" folder="in" mailbox="INBOX"><field>Subject</field></folderOpen>')
        ref = web.path("MIME/in/1-P.txt")
        assert ask(port, "POST", web.path("UPLOAD/set"), b"bytes").status == 200
        slow = socket.create_connection(("127.0.0.1", port), PATIENCE)
        slow.sendall(b"GET %s HTTP/1.1\r\nHost: x\r\n\r\n" % ref.encode())
        head = slow.recv(1000)
        assert head.startswith(b"HTTP/1.1 200 OK\r\n")
        coming = socket.create_connection(("127.0.0.1", port), PATIENCE)
        coming.sendall(b"POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\nnot all" % web.path("UPLOAD/cut").encode())
        exchange(server)
        assert coming.recv(1000).startswith(b"HTTP/1.1 503 ")
        got = len(head)
        try:
            while piece := slow.recv(1 << 20):
                got += len(piece)
        except ConnectionError:
            pass
        assert got < SIZE
        for gone in ("set", "cut"):
            assert web.call('<uploadRemove id="u" uploadID="%s"/>' % gone)[-1].get("errorNum") == "578"
        assert ask(port, "POST", web.path("UPLOAD/set"), b"bytes").status == 200
        assert web.call('<uploadRemove id="u" uploadID="set"/>')[-1].get("errorNum") is None
        again = ask(port, "GET", ref)
        assert again.status == 200 and again.body.endswith(text) and len(again.body) > SIZE - len(text)
        assert ask(port, "HEAD", ref)["Content-Length"] == str(len(again.body))
