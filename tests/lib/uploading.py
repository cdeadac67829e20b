# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The ximssd authors
"""For tests of uploads over HTTP (protocol 2, 9.2): forms, and where a server keeps what was uploaded."""
import contextlib
import os

BLOCK = 64 << 10  # of a spool (src/store/spool.h)


def form(*files, boundary="----cut"):
    """multipart/form-data of (field, file name, bytes); without a name: a field of text."""
    out = b""
    for field, name, data in files:
        out += ("--%s\r\nContent-Disposition: form-data; name=\"%s\"" % (boundary, field)).encode()
        if name is not None:
            out += ("; filename=\"%s\"\r\nContent-Type: application/x-y" % name).encode()
        out += b"\r\n\r\n" + data + b"\r\n"
    return out + ("--%s--\r\n" % boundary).encode(), {"Content-Type": "multipart/form-data; boundary=" + boundary}


def spool_of(server):
    """(path, bytes on the disk) of the files without a name that keepers have for uploads."""
    found = []
    for name, pid in server.children().items():
        if not name.startswith("keeper"):
            continue
        for fd in os.listdir("/proc/%d/fd" % pid):
            path = "/proc/%d/fd/%s" % (pid, fd)
            with contextlib.suppress(FileNotFoundError):  # closed meanwhile
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
