# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The ximssd authors
"""Downloads and uploads at an upgrade: whole, or visibly not; what was uploaded before is gone, and can be sent again."""
import random

from test_handover import exchange
from upgradable import WebUpgradable
from xhttp import request

SIZE = 12 << 20  # more than all buffers on the way hold


def test_files_at_an_upgrade(tmp_path):
    text = random.Random(5).randbytes(450).hex().encode() + b"\r\n"
    with WebUpgradable(tmp_path, server="keepers = 1\nworkers = 1\n") as server:
        server.deliver(b"Subject: long\r\n\r\n" + text * (SIZE // len(text)))
        web = server.web_session()
        web.call('<folderOpen id="o" folder="in" mailbox="INBOX"><field>Subject</field></folderOpen>')
        ref = web.target("MIME/in/1-P.txt")
        assert server.ask("POST", web.target("UPLOAD/set"), b"bytes").status == 200
        slow, coming = server.web(), server.web()
        slow.send(request("GET", ref))
        assert slow.head()[0] == 200
        coming.send(request("POST", web.target("UPLOAD/cut"), b"not all", {"Content-Length": 100000}, length=False))
        exchange(server)
        assert coming.reply().status == 503
        got = len(slow.buffer)
        try:
            while piece := slow.sock.recv(1 << 20):
                got += len(piece)
        except ConnectionError:
            pass
        assert got < SIZE
        for gone in ("set", "cut"):
            assert web.call('<uploadRemove id="u" uploadID="%s"/>' % gone)[-1].get("errorNum") == "578"
        assert server.ask("POST", web.target("UPLOAD/set"), b"bytes").status == 200
        assert web.call('<uploadRemove id="u" uploadID="set"/>')[-1].get("errorNum") is None
        again = server.ask("GET", ref)
        assert again.status == 200 and again.body.endswith(text) and len(again.body) > SIZE - len(text)
        assert server.ask("HEAD", ref).field("Content-Length") == str(len(again.body))
