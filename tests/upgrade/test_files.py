# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The ximssd authors
"""Downloads at an upgrade: whole, or visibly not. Uploads: test_uploads.py."""
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
        slow = server.web()
        slow.send(request("GET", ref))
        assert slow.head()[0] == 200
        exchange(server)
        got = len(slow.buffer)
        try:
            while piece := slow.sock.recv(1 << 20):
                got += len(piece)
        except ConnectionError:
            pass
        assert got < SIZE
        again = server.ask("GET", ref)
        assert again.status == 200 and again.body.endswith(text) and len(again.body) > SIZE - len(text)
        assert server.ask("HEAD", ref).field("Content-Length") == str(len(again.body))
