# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The ximssd authors
"""Runs every *.scn of this folder, with accounts of its own, and a server of its own where it has settings or moves the clock."""
import glob
import os

import pytest
from scenario import Run, Script
from ximss import ROOT

HERE = os.path.dirname(os.path.abspath(__file__))
FILES = sorted(os.path.relpath(p, ROOT) for p in glob.glob(os.path.join(HERE, "*.scn")))


@pytest.mark.parametrize("path", FILES, ids=[os.path.basename(p)[:-4] for p in FILES])
def test_scenario(path, shared, tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT)
    script = Script(path)
    with script.served(shared, tmp_path) as server:
        Run(script, server).run()


def test_the_bytes_of_3_11_in_every_cut(server):
    """Protocol 1, 3.11, given to the server in every possible split."""
    said = bytes.fromhex("3c6e6f6f702069643d2261222f3e00" "3c6279652069643d2262222f3e00")
    heard = bytes.fromhex("3c726573706f6e73652069643d2261222f3e00" "3c726573706f6e73652069643d2262222f3e00")
    for cut in range(len(said) + 1):
        client = server.client()
        for piece in (said[:cut], said[cut:]):
            if piece:
                client.send_bytes(piece)
        assert client.rest() == heard, cut
        client.close()


def test_one_byte_per_segment(server):
    client = server.client()
    for byte in b'<noop id="a&amp;b&#10;c"/>\0\0 \r\n\0<noop id=\'2\'/>\0':
        client.send_bytes(bytes([byte]))
    assert client.raw() == b'<response id="a&amp;b&#10;c"/>'
    assert client.raw() == b'<response id="2"/>'
    client.close()
