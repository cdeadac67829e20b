# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The ximssd authors
"""The files without a name in which keepers have what clients upload (src/store/spool.h)."""
import os

BLOCK = 64 << 10


def spool_of(server, keeper=1):
    """(path, bytes on the disk) of that keeper's."""
    pid = server.children()["keeper %d" % keeper]
    found = []
    for fd in os.listdir("/proc/%d/fd" % pid):
        path = "/proc/%d/fd/%s" % (pid, fd)
        target = os.readlink(path)
        if target.startswith(server.state_dir) and target.endswith("(deleted)") or "spool-" in target:
            found.append((path, os.stat(path).st_blocks * 512))
    assert len(found) == 1, found
    return found[0]


def holds(server, *files):
    """Which of them stand there, byte for byte: each begins with a block, and has whole ones but for the last."""
    with open(spool_of(server)[0], "rb") as f:
        blocks = list(iter(lambda: f.read(BLOCK), b""))
    there = set(blocks)

    def has(piece):
        return piece in there or (len(piece) < BLOCK and any(b.startswith(piece) for b in blocks))

    return [all(has(data[at:at + BLOCK]) for at in range(0, len(data), BLOCK)) for data in files]
