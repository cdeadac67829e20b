# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The ximssd authors
"""Builds the files of the shared table from shm/LAYOUT alone: a second opinion on the format.

Nothing here knows a C struct: offsets and sizes come from LAYOUT, numbers are packed by Python.
"""
import os
import re
import sys
import time

from shmread import LAYOUT, ROOT

NS = 1_000_000_000


def size(struct):
    return LAYOUT[struct][0]


def pack(struct, **values):
    """Bytes of a struct; ints in the machine's order, bytes and str are filled up with zeros."""
    total, fields = LAYOUT[struct]
    out = bytearray(total)
    for name, value in values.items():
        offset, n = fields[name]
        if isinstance(value, int):
            value = (value % (1 << 8 * n)).to_bytes(n, sys.byteorder)
        elif isinstance(value, str):
            value = value.encode()
        assert len(value) <= n, (struct, name)
        out[offset:offset + len(value)] = value
    return bytes(out)


def section(offset, stride, count):
    return pack("shm_section", offset=offset, stride=stride, count=count)


def head(magic, file_size, start_id, major=1, minor=0, byte_order=0x01020304):
    return pack("shm_head", magic=magic, major=major, minor=minor, byte_order=byte_order, header_size=256,
                file_size=file_size, start_id=start_id)


def table(name, column, text):
    """Rows of a .tbl file as lists of words; strings are unquoted."""
    with open(os.path.join(ROOT, "shm", name), encoding="ascii") as f:
        body = re.sub(r"/\*.*?\*/", "", f.read(), flags=re.S)
    rows = re.findall(column + r"\((\w+),\s*(.*?)\)\s*$", body, flags=re.S | re.M)
    return [(r[0], re.findall(r'"([^"]*)"', r[1]), r[1]) for r in rows]


STATES = [texts[0] for _, texts, _ in table("states.tbl", "STATE", "")]
COUNTERS = [(texts[0], 1 if re.search(r",\s*COUNTER,", rest) else 0, texts[1], texts[2])
            for _, texts, rest in table("counters.tbl", "COUNTER", "")]
OPS = [(1, "noop", "noop"), (2, "folderBrowse", "listing messages"), (3, "login", "authenticating"),
       (4, "readTime", ""), (5, "folderOpen", "opening folder")]


def state(text):
    return STATES.index(text) + 1


def row(session, *, ip=b"\xc0\x00\x02\x07", account=b"", connected=0, started=0, op=0, state_text="reading request",
        tls=0, transport=1, family=4, port=50000, seq=2, **more):
    return pack("shm_row", seq=seq, session=session, state=more.pop("state", state(state_text)), op=op, connected=connected,
                started=started, address=ip, port=port, family=family, transport=transport, tls=tls,
                account=account[:160] if isinstance(account, bytes) else account.encode()[:160], **more)


class Table:
    """A run_dir with an index and segments, written the way the master and its processes do."""

    def __init__(self, run_dir, *, segments=8, spread=0, **header):
        """spread: bytes added to every stride, as a later minor version would."""
        self.dir = os.path.join(run_dir, "shm")
        self.run_dir = run_dir
        os.makedirs(self.dir, exist_ok=True)
        self.segments, self.spread, self.start_id = segments, spread, 0x1122334455667788
        self.lines = []
        self.retired = [0] * len(COUNTERS)
        self.header = dict(major=1, minor=0, byte_order=0x01020304)
        self.version = "0.1.0"
        self.start_wall = 1178094793 * NS
        self.heartbeat = time.monotonic_ns()
        self.start_mono = self.heartbeat - 100 * NS
        self.ops = OPS
        self.header.update(header)

    def _rows(self, rows):
        return b"".join(r + b"\xaa" * self.spread for r in rows)

    def index(self):
        s = self.spread
        lines = [pack("shm_line", **{"seq": 2, "live": 1, **line}) for line in self.lines]
        lines += [bytes(size("shm_line"))] * (self.segments - len(lines))
        parts = [("ops", size("shm_name"), [pack("shm_name", id=i, name=n, monitor=m) for i, n, m in self.ops]),
                 ("states", size("shm_name"), [pack("shm_name", id=i + 1, monitor=t) for i, t in enumerate(STATES)]),
                 ("counters", size("shm_counter_name"),
                  [pack("shm_counter_name", id=i, kind=k, name=n, unit=u, help=h)
                   for i, (n, k, u, h) in enumerate(COUNTERS)]),
                 ("segments", size("shm_line"), lines),
                 ("retired", 8, [v.to_bytes(8, sys.byteorder) for v in self.retired])]
        body, sections = b"", {}
        for name, stride, rows in parts:
            sections[name] = section(256 + len(body), stride + s, len(rows))
            body += self._rows(rows)
        return pack("shm_index", head=head("XIMSSIDX", 256 + len(body), self.start_id, **self.header),
                    start_wall=self.start_wall, start_mono=self.start_mono, heartbeat=self.heartbeat,
                    master_pid=4711, channels=1000, workers=2, keepers=1, version=self.version, **sections) + body

    def segment(self, rows, counts=None, used=None, **header):
        counts = counts or [0] * len(COUNTERS)
        stride = size("shm_row") + self.spread
        at = 256 + stride * len(rows)
        body = self._rows(rows) + self._rows([v.to_bytes(8, sys.byteorder) for v in counts])
        return pack("shm_segment", head=head("XIMSSSEG", 256 + len(body), self.start_id, **header), role="worker", number=1,
                    generation=1, rows=section(256, stride, len(rows)), counters=section(at, 8 + self.spread, len(counts)),
                    rows_used=len(rows) if used is None else used) + body

    def add(self, name, rows, counts=None, **more):
        role, rest = name.split("-")
        number, generation = rest.split(".")
        self.lines.append(dict(number=int(number), generation=int(generation), pid=4712, heartbeat=self.heartbeat, role=role,
                               file=name))
        self.write(name, self.segment(rows, counts, **more))

    def write(self, name, data):
        with open(os.path.join(self.dir, name), "wb") as f:
            f.write(data)

    def save(self):
        self.write("index.new", self.index())
        os.rename(os.path.join(self.dir, "index.new"), os.path.join(self.dir, "index"))
        return self
