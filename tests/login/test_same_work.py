# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The ximssd authors
"""A failed login is the same work for auth whether there is such an account or not: instructions, as valgrind counts them.

test_timing.py asks the clock the same, for the whole server; this does not mind how busy the machine is.
"""
import os
import re
import subprocess

import pytest
from ximss import BUILD

APART = 0.01  # of the instructions of one login
SANITIZED = bool(os.environ.get("XIMSSD_SANITIZED"))


def instructions(folder, form, name):
    folder.mkdir()
    done = subprocess.run(["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", "--collect-atstart=no",
                           "--toggle-collect=attempt_*", os.path.join(BUILD, "same-work"), str(folder), form, name],
                          capture_output=True, text=True, timeout=120, check=True)
    return int(re.search(r"Collected : (\d+)", done.stderr).group(1))


@pytest.mark.skipif(SANITIZED, reason="valgrind and a sanitizer do not go together")
@pytest.mark.parametrize("form", ["password", "cram", "scram", "session"])
def test_instructions(tmp_path, form):
    known, unknown = (instructions(tmp_path / name, form, name) for name in ("known", "nobod"))
    print("%s: %d instructions for 216 known names, %d for unknown ones" % (form, known, unknown))
    assert known > 216 * 1000  # the count is of something
    assert abs(known - unknown) < APART * min(known, unknown)
