# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The ximssd authors
"""Asks build/dump-web, which is tests/web/dump_web.c."""
import json
import os
import subprocess

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.environ.get("XIMSSD_BUILD", os.path.join(ROOT, "build"))


def ask(word, rows):
    """One answer for each row of arguments: bytes, str (UTF-8) or None. Texts in the answers are still in hexadecimal."""
    def argument(x):
        return "-" if x is None else (x.encode() if isinstance(x, str) else bytes(x)).hex()
    rows = [row if isinstance(row, (tuple, list)) else (row,) for row in rows]
    text = "".join("%s %s\n" % (word, " ".join(argument(x) for x in row)) for row in rows)
    out = subprocess.run([os.path.join(BUILD, "dump-web")], input=text.encode(), capture_output=True, timeout=60, check=True).stdout
    answers = [json.loads(line) for line in out.decode().splitlines()]
    assert len(answers) == len(rows)
    return answers


def text(x):
    return None if x is None else bytes.fromhex(x)
