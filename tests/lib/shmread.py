# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The ximssd authors
"""The shared table, read by Python: offsets and sizes come from shm/LAYOUT, names from its .tbl files, nothing from a C struct. Much
sooner than by ximss-top, which has to be started for each look."""
import functools
import os
import re
import struct

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
FORMS = {1: "B", 2: "H", 4: "I", 8: "Q"}


def _lines(name):
    with open(os.path.join(ROOT, "shm", name), encoding="ascii") as f:
        return f.readlines()


def _layout():
    structs, fields = {}, None
    for line in _lines("LAYOUT"):
        word = line.split()
        if line.startswith("#") or not word:
            continue
        if line.startswith(" "):
            fields[word[0]] = (int(word[1]), int(word[2]))
        else:
            fields = {}
            structs[word[0]] = (int(word[1]), fields)
    return structs


LAYOUT = _layout()  # {struct: (size, {field: (offset, size)})}


@functools.cache
def counter_names():
    return re.findall(r'^COUNTER\(\w+, "(\w+)"', "".join(_lines("counters.tbl")), re.M)


def take(data, base, name, field):
    """A number of the struct that begins at `base`."""
    at, n = LAYOUT[name][1][field]
    return struct.unpack_from(FORMS[n], data, base + at)[0]


def section(data, name, field):
    """(offset, stride, count) of what the struct at the beginning of the file points to."""
    at, n = LAYOUT[name][1][field]
    assert n == LAYOUT["shm_section"][0]
    return tuple(take(data, at, "shm_section", part) for part in ("offset", "stride", "count"))


def segment(server, name):
    """The bytes of a file of the table."""
    with open(os.path.join(server.run_dir, "shm", name), "rb") as f:
        return f.read()


def segments(server, role=""):
    """(name, bytes) of each process's file, or those of a role; one may go meanwhile."""
    for name in os.listdir(os.path.join(server.run_dir, "shm")):
        if name != "index" and name.startswith(role):
            try:
                data = segment(server, name)
            except FileNotFoundError:
                continue
            yield name, data


def counted(server, counter, role=""):
    """{file: what that counter has in it}."""
    found = {}
    for name, data in segments(server, role):
        offset, stride, _ = section(data, "shm_segment", "counters")
        found[name] = struct.unpack_from("Q", data, offset + stride * counter_names().index(counter))[0]
    return found


def doing(server, url_id):
    """What a session over HTTP is at, as ximss-top would show it, or None."""
    index = segment(server, "index")
    offset, stride, count = section(index, "shm_index", "ops")
    shown, length = LAYOUT["shm_name"][1]["monitor"]
    names = {take(index, at, "shm_name", "id"): index[at + shown:at + shown + length].split(b"\0")[0].decode()
             for at in range(offset, offset + stride * count, stride)}
    for _, data in segments(server, "keeper-"):
        offset, stride, count = section(data, "shm_segment", "rows")
        for at in range(offset, offset + stride * count, stride):
            if take(data, at, "shm_row", "session") == int(url_id[:6]):
                return names.get(take(data, at, "shm_row", "op"))
    return None
