#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The ximssd authors
"""Makes b64_vectors.tbl anew, next to this file: what Python's base64 module says about random bytes."""
import base64
import os
import random

rng = random.Random(4648)
rows = []
for n in list(range(0, 40)) + [rng.randrange(40, 300) for _ in range(30)]:
    data = rng.randbytes(n)
    rows.append('B64("%s", "%s")' % (data.hex(), base64.b64encode(data).decode()))
with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "b64_vectors.tbl"), "w") as f:
    f.write("// SPDX-License-Identifier: MIT\n// SPDX-FileCopyrightText: The ximssd authors\n")
    f.write("/* Made by make_b64_vectors.py; do not edit. B64(bytes in hex, text) */\n")
    f.write("\n".join(rows) + "\n")
