# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The ximssd authors
"""The control socket by hand (codec/ctlmsg.h), and the tables that ximssctl is made from."""
import os
import re
import socket
import struct

from ximss import PATIENCE, ROOT

VERSION = 2
ALL = 2**32 - 1
HEAD, REPLY = struct.Struct("III"), struct.Struct("IIIII")
CTL_MAX = 65504


def rows(path, macro):
    """The rows of a table as lists of their fields, quotes taken off."""
    with open(os.path.join(ROOT, path), encoding="utf-8") as f:
        text = re.sub(r"/\*.*?\*/", "", f.read(), flags=re.S)
    found = []
    for m in re.finditer(r"^%s\((.*?)\)\n" % macro, text, re.M | re.S):
        fields = re.findall(r'"((?:[^"\\]|\\.)*)"|([^,"\s][^,"]*)', m.group(1))
        found.append([a if a or not b else b.strip() for a, b in fields])
    return found


def verbs():
    """{"account add": {"name": "ACCOUNT_ADD", "number": 1, "args": ..., ...}}, from codec/ctl.tbl."""
    keys = ("name", "words", "role", "reach", "flags", "args", "body", "doc")
    table = [dict(zip(keys, row), number=i + 1) for i, row in enumerate(rows("src/codec/ctl.tbl", "CTL"))]
    assert all(len(row) == len(keys) + 1 for row in table)
    return {row["words"]: row for row in table}


def string(text):
    data = text if isinstance(text, bytes) else text.encode()
    return struct.pack("I", len(data)) + data


def connect(server, timeout=PATIENCE):
    s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    s.connect(os.path.join(server.run_dir, "control"))
    s.settimeout(timeout)
    return s


def request(words, body=b"", target=0):
    return HEAD.pack(VERSION, verbs()[words]["number"], target) + body


def answer(s):
    """(verdict, {(role, number): text}) of one answer; verdict 0: done. No packet is longer than it may be."""
    texts = {}
    while True:
        packet = s.recv(200000)
        assert packet, "the server closed"
        assert len(packet) <= CTL_MAX + REPLY.size
        version, err, last, role, number = REPLY.unpack(packet[:REPLY.size])
        assert version == VERSION
        if len(packet) > REPLY.size:
            texts[role, number] = texts.get((role, number), b"") + packet[REPLY.size:]
        if last:
            return err, texts


def closed(s):
    try:
        return s.recv(200000) == b""
    except ConnectionResetError:
        return True
