# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The ximssd authors
import os
import subprocess
import sys
import time

import pytest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from shmimage import ROOT, Table  # noqa: E402

BUILD = os.path.join(ROOT, os.environ.get("XIMSSD_BUILD", "build"))


class Result:
    def __init__(self, done, seconds):
        self.code, self.raw, self.seconds = done.returncode, done.stdout, seconds
        self.out = done.stdout.decode()  # strict: everything that is printed must be UTF-8
        self.err = done.stderr.decode()
        self.lines = self.out.splitlines()


def run_top(*args, **more):
    before = time.monotonic()
    done = subprocess.run([os.path.join(BUILD, "ximss-top"), *args], stdin=subprocess.DEVNULL, capture_output=True,
                          timeout=20, check=False, **more)
    return Result(done, time.monotonic() - before)


@pytest.fixture
def top():
    return run_top


@pytest.fixture
def table(tmp_path):
    def make(**header):
        return Table(str(tmp_path), **header)
    return make
