# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The ximssd authors
"""A stand-in for systemd's journal: its native protocol, read as its documentation describes it."""
import os
import re
import socket
import struct
import threading

from ximss import Server

RECORD = re.compile(r"(\d\d:\d\d:\d\d\.\d{3}) ([0-5]) ([A-Z0-9]+)(?:-(\d{5,}))?(?:\((.*?)\))? (.*)", re.S)


def parse_datagram(data):
    """{name: value as bytes}; an assertion when it is not of that form."""
    fields, at = {}, 0
    while at < len(data):
        end = data.index(b"\n", at)
        line = data[at:end]
        if b"=" in line:
            name, value = line.split(b"=", 1)
            at = end + 1
        else:
            name = line
            (size,) = struct.unpack("<Q", data[end + 1:end + 9])
            value = data[end + 9:end + 9 + size]
            assert len(value) == size and data[end + 9 + size:end + 10 + size] == b"\n", data
            at = end + 10 + size
        assert re.fullmatch(rb"[A-Z][A-Z0-9_]*", name), data
        assert name not in fields, data
        fields[name.decode()] = value
    return fields


class Journal:
    """Listens at `path`; `records` is a list of parsed datagrams."""

    def __init__(self, path):
        self.path = path
        self.records = []
        self.raw = []
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.sock.bind(path)
        self.thread = threading.Thread(target=self._read, daemon=True)
        self.thread.start()

    def _read(self):
        while True:
            try:
                data = self.sock.recv(1 << 20)
            except OSError:
                return
            if data == b"end":
                return
            self.raw.append(data)
            self.records.append(parse_datagram(data))

    def text(self):
        return "".join("%s\n" % r["MESSAGE"].decode() for r in list(self.records))

    def close(self):
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
            s.connect(self.path)
            s.send(b"end")
        self.thread.join(10)
        self.sock.close()
        os.unlink(self.path)


class JournalServer(Server):
    """A server whose records go to a Journal."""

    def __init__(self, folder, journal, server="", **more):
        self.journal = journal
        super().__init__(folder, server="log = journal:%s\n%s" % (journal.path, server), **more)

    def log(self):
        return " " + self.journal.text().replace("\n", "\n ")

    def start(self):
        self.journal.records.clear()
        super().start()
