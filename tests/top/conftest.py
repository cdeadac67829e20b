# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The ximssd authors
import json
import os
import subprocess
import sys
import threading
import time

import pytest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(os.path.dirname(HERE), "shm")]
from shmimage import LAYOUT, Table  # noqa: E402
from terminal import Terminal  # noqa: E402
from ximss import BUILD, PATIENCE  # noqa: E402


class LiveTable(Table):
    """A table made by Python that goes on: its heart beats, and files are exchanged as a server's are, never cut."""

    def __init__(self, run_dir, **more):
        super().__init__(run_dir, **more)
        self.ends = threading.Event()
        self.lock = threading.Lock()
        self.beats = True

    def write(self, name, data):
        path = os.path.join(self.dir, name)
        with open(path + ".part", "wb") as f:
            f.write(data)
        os.rename(path + ".part", path)

    def save(self):
        with self.lock:
            self.heartbeat = time.monotonic_ns()
            return super().save()

    def put(self, rows, counts=None):
        """These rows are all there are."""
        if not self.lines:
            self.add("worker-1.1", rows, counts)
        else:
            self.write("worker-1.1", self.segment(rows, counts))
        return self

    def beat(self):
        offset, n = LAYOUT["shm_index"][1]["heartbeat"]
        while not self.ends.wait(0.3):
            with self.lock:
                if self.beats:
                    self.heart(offset, n, time.monotonic_ns())

    def heart(self, offset, n, value):
        try:
            fd = os.open(os.path.join(self.dir, "index"), os.O_WRONLY)
        except FileNotFoundError:
            return  # a test has moved it away
        os.pwrite(fd, value.to_bytes(n, sys.byteorder), offset)
        os.close(fd)

    def stop_heart(self, last):
        """No more beats; the last one was at `last`, 0: an orderly stop."""
        with self.lock:
            self.beats = False
            self.heart(*LAYOUT["shm_index"][1]["heartbeat"], last)


@pytest.fixture
def table(tmp_path):
    t = LiveTable(str(tmp_path / "run"))
    t.put([])
    t.save()
    thread = threading.Thread(target=t.beat)
    thread.start()
    yield t
    t.ends.set()
    thread.join()


def top(*args, env=None, program=os.path.join(BUILD, "ximss-top")):
    return subprocess.run([program, *args], stdin=subprocess.DEVNULL, capture_output=True, timeout=PATIENCE, check=False,
                          env=env)


@pytest.fixture
def snapshot(table):
    """What --json says of the table."""
    return lambda *args: json.loads(top("--run-dir", table.run_dir, "--json", *args).stdout)


@pytest.fixture
def live(table, tmp_path):
    """ximss-top on the table, in a terminal."""
    opened = []

    def start(*args, delay="0.2", **more):
        folder = tmp_path / f"terminal{len(opened)}"
        folder.mkdir()
        t = Terminal(folder, "ximss-top", "--run-dir", table.run_dir, "-d", delay, *args, **more)
        opened.append(t)
        return t
    yield start
    for t in opened:
        t.__exit__(*([None] * 3))
