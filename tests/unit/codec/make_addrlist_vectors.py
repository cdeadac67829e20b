#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The ximssd authors
"""Makes addrlist_vectors.tbl anew, next to this file: what Python's ipaddress module says about random lists."""
import ipaddress
import os
import random

rng = random.Random(7)


def address(v6):
    # few bits vary, so that entries meet
    if v6:
        return ipaddress.IPv6Address((0x20010db8 << 96) + (rng.getrandbits(3) << 62) + rng.getrandbits(5))
    return ipaddress.IPv4Address((10 << 24) + (rng.getrandbits(3) << 14) + rng.getrandbits(5))


def entry():
    """(text, first, last)"""
    v6 = rng.random() < 0.4
    kind = rng.randrange(4)
    if kind == 0:
        a = address(v6)
        return str(a), a, a
    if kind == 1:
        a, b = sorted((address(v6), address(v6)))
        return "%s%s-%s%s" % (a, rng.choice(["", " "]), rng.choice(["", "\\t"]), b), a, b
    bits = rng.choice([64, 66, 124, 127, 128, 1] if v6 else [8, 18, 20, 28, 31, 32, 1])
    net = ipaddress.ip_network((address(v6), bits), strict=False)
    return str(net), net[0], net[-1]


rows = []
for _ in range(120):
    lines, known = [], []
    for _ in range(rng.randrange(1, 9)):
        text, first, last = entry()
        out = rng.random() < 0.35
        lines.append(rng.choice(["", " "]) + ("!" if out else "") + text + rng.choice(["", " ; why not", ";", " "]))
        if rng.random() < 0.2:
            lines.append(rng.choice(["", "; note", "   "]))
        known.append((out, first, last))
    wanted, asked = [], []
    for _ in range(24):
        a = address(rng.random() < 0.4)
        inside = False
        for out, first, last in known:
            if first.version == a.version and first <= a <= last:
                inside = not out
        asked.append(("+" if inside else "-") + str(a))
    rows.append('LIST("%s",\n     "%s")\n' % ("\\n".join(lines), " ".join(asked)))
with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "addrlist_vectors.tbl"), "w", encoding="ascii") as file:
    file.write("// SPDX-License-Identifier: MIT\n// SPDX-FileCopyrightText: The ximssd authors\n"
               "/* Made by make_addrlist_vectors.py; do not edit. LIST(list, addresses with + in, - not in it) */\n"
               + "".join(rows))
