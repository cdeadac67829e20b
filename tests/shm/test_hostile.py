# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The ximssd authors
"""Hostile tables against the built ximss-top: valid output, no crash, under a second. The random ones print their seed;
XIMSSD_SEED repeats one, XIMSSD_HOSTILE_TOP sets their number. (The many images go through the library: tests/unit/shm.)"""
import csv
import io
import json
import mmap
import multiprocessing
import os
import platform
import random
import time
import unicodedata

import pytest

from shmimage import COUNTERS, LAYOUT, row

SEED = int(os.environ.get("XIMSSD_SEED", time.time_ns() % 2 ** 32))
# make san-short, where a start of ximss-top takes four times as long, has a third.
IMAGES = int(os.environ.get("XIMSSD_HOSTILE_TOP", 100 if os.environ.get("XIMSSD_SOME") else 300))

BAD = "\N{REPLACEMENT CHARACTER}"
HAND_MADE = [
    b"\x1b[2J\x1b[31mred", b"a\nb", b"a\r\nb", b"\tx", b'"', b"''", b'","id":1,"', b"\\", b"\\u0000", b"a,b", b"=1+1", b"<b>&amp;",
    b"\x7f", b"\x07bell", b"\x9b31m", b"\xc2\x9b31m", b"\xff\xfe", b"\xc0\xaf", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xe2\x82",
    "\u202eabc".encode(), "\u2066x\u2069".encode(), "\u2028\u2029".encode(), "\ufeffx".encode(), "d\u00f6ra".encode(),
    "\U0001f427".encode(), b"x" * 160, b"x" * 159 + "\u00f6".encode(), b"x" * 157 + "\U0001f427".encode(), b'"' * 160, b"\\" * 160,
    b"\xff" * 160, "\u00f6".encode() * 80, b"%s%n%x", b"$(id)", b"`id`", b"a\x1b]0;title\x07", b"\x1b", b"\r", b"a" + b"\x80" * 159,
    b" lead and trail ", b"\x1c\x1d\x1e\x1f\x85", b"null", b"}{][", b"\x0b\x0c"]


def strings():
    rng = random.Random(SEED)
    pool = [b"\x1b", b"\n", b"\r", b'"', b"\\", b",", b"\xff", b"\xc3", b"\xe2\x82", b"\xf0\x9f", b"\x7f", b"a", b"Z", b"0", b" ",
            "\u00f6".encode(), "\u202e".encode(), "\U0001f427".encode(), b"[", b"\x9b", b"\xc2\x85", b"'", b";", b"="]
    out = list(HAND_MADE)
    while len(out) < 500:
        out.append(b"".join(rng.choice(pool) for _ in range(rng.randrange(1, 90)))[:200])
    return out


def expected(raw):
    """The rule of shm_field_text(), in Python's words."""
    raw = raw[:160]
    text = raw.split(b"\0")[0]
    if len(text) == 160:  # back to the last whole character
        for n in (1, 2, 3):
            try:
                tail = text[-n:].decode("utf-8", "strict")
                break
            except UnicodeDecodeError as e:
                if e.reason == "unexpected end of data" and e.start == 0:
                    text = text[:-n]
                    break
    out, i = "", 0
    while i < len(text):
        for n in (1, 2, 3, 4):
            try:
                c = text[i:i + n].decode("utf-8", "strict")
            except UnicodeDecodeError:
                continue
            if len(c) == 1 and len(text[i:i + n]) == n:
                break
        else:
            c, n = BAD, 1
        shown = unicodedata.category(c) not in ("Cc", "Zl", "Zp") and unicodedata.bidirectional(c) not in (
            "LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI") and c not in "\u200e\u200f\u061c\ufeff"
        out += c if shown else BAD
        i += n
    return out


def clean(text, allowed="\n"):
    return all(c in allowed or unicodedata.category(c) not in ("Cc", "Zl", "Zp") for c in text)


@pytest.fixture
def accounts(table):
    t = table()
    raw = strings()
    t.add("worker-1.1", [row(100001 + i, account=a, connected=t.heartbeat) for i, a in enumerate(raw)])
    return t.save(), [expected(a) for a in raw]


def test_account_strings(top, accounts):
    t, want = accounts
    print("seed", SEED)
    got = top("--run-dir", t.run_dir, "--json")
    assert got.code == 0 and clean(got.out)
    assert [s["account"] for s in json.loads(got.out)["sessions"]] == want

    got = top("--run-dir", t.run_dir, "--csv")
    assert got.code == 0 and clean(got.out, "\r\n")
    assert [r["account"] for r in csv.DictReader(io.StringIO(got.out, newline=""), strict=True)] == want

    got = top("--run-dir", t.run_dir, "--once")
    lines = got.out.split("\n")
    assert got.code == 0 and clean(got.out) and lines.pop() == "" and len(lines) == 502
    head = lines[1]
    a, b = head.index("Account"), head.index("Connected")
    assert [line[a:b].rstrip() for line in lines[2:]] == [w.rstrip() for w in want]


def test_names_of_the_index_are_cleaned_too(top, table):
    t = table()
    t.version = b'1\x1b[2J"\xff'
    t.ops = [(1, b"a\nb", b'op\x1b"\xff')]
    t.add("worker-1.1", [row(100001, op=1, started=1)])
    t.save()
    for args in (["--json"], ["--csv"], ["--once"]):
        got = top("--run-dir", t.run_dir, *args)
        assert got.code == 0 and clean(got.out, "\r\n") and "\x1b" not in got.out
    whole = json.loads(top("--run-dir", t.run_dir, "--json").out)
    assert whole["sessions"][0]["status"] == f'op{BAD}"{BAD}'
    assert whole["server"]["version"] == f'1{BAD}[2J"{BAD}'


def test_extreme_numbers(top, table):
    t = table()
    top64 = 2 ** 64 - 1
    rows = [row(s, connected=c, started=c, op=o, bytes_in=top64, bytes_out=top64, requests=top64, port=65535)
            for s in (1, 999999, 2 ** 32 - 1) for c in (0, 1, top64, 2 ** 63, 2 ** 63 - 1) for o in (0, 1, 65535)]
    t.add("worker-1.1", rows, [top64] * len(COUNTERS), used=2 ** 32 - 1)
    t.start_wall, t.start_mono = 2 ** 63, 2 ** 63
    t.save()
    for args in (["--json", "--counters"], ["--csv"], ["--once"]):
        got = top("--run-dir", t.run_dir, *args)
        assert got.code == 0
        if args[0] == "--json":
            whole = json.loads(got.out)
            assert whole["total"] == len(rows)
            numbers = [v for s in whole["sessions"] for v in s.values() if isinstance(v, int)]
            assert 0 <= min(numbers) and max(numbers) <= 2 ** 53 - 1


def spoil(rng, data):
    data = bytearray(data)
    kind = rng.randrange(12)
    if kind == 0:
        return bytes(rng.randbytes(len(data)))
    if kind == 1:
        return bytes(data[:rng.randrange(len(data))])
    for _ in range(rng.randrange(1, 12)):
        width = rng.choice((1, 2, 4, 8))
        at = rng.randrange(16, 256 if rng.random() < 0.5 else len(data) - 8)
        value = rng.choice((0, 1, 8, 255, 256, 2 ** 31, 2 ** 32 - 1, 2 ** 63, 2 ** 64 - 1, rng.getrandbits(64), len(data)))
        data[at:at + width] = (value % 256 ** width).to_bytes(width, "little")
    return bytes(data)


def check(got):
    assert got.code in (0, 2, 3), (got.code, got.err)
    assert got.seconds < 20  # no endless loop
    assert clean(got.err) and "\x1b" not in got.out
    if got.code == 0:
        whole = json.loads(got.out)
        assert whole["selected"] == whole["total"] == len(whole["sessions"])
    else:
        assert got.out == "" and got.err.count("\n") == 1


def test_random_images(top, table):
    print("seed", SEED)
    rng = random.Random(SEED)
    t = table()
    rows = [row(100001 + i, account=b"dora@harbor.example", op=i % 7) for i in range(12)]
    t.add("worker-1.1", rows)
    t.save()
    index, segment = t.index(), t.segment(rows)
    for _ in range(IMAGES):
        t.write("index", spoil(rng, index) if rng.random() < 0.3 else index)
        t.write("worker-1.1", spoil(rng, segment))
        check(top("--run-dir", t.run_dir, "--json", "--counters"))


def scribble(directory, index, segment, seed):
    """Changes words, cuts and restores both files as fast as it can."""
    rng = random.Random(seed)
    images = (("index", index), ("worker-1.1", segment))
    while True:
        name, good = images[rng.random() < 0.8]
        with open(os.path.join(directory, name), "r+b") as f:
            what = rng.randrange(64)
            if what == 0:
                f.truncate(rng.randrange(len(good)))
            elif what < 8:
                f.write(good)
            else:
                f.seek(rng.randrange(len(good) // 8) * 8)
                f.write(rng.choice((b"\0" * 8, b"\xff" * 8, rng.randbytes(8))))


def test_live_mutation(top, table):
    print("seed", SEED)
    t = table(segments=60)
    rows = [row(100001 + i, account=b"dora@harbor.example", op=i % 7) for i in range(2000)]
    t.add("worker-1.1", rows)
    t.save()
    enemy = multiprocessing.Process(target=scribble, args=(t.dir, t.index(), t.segment(rows), SEED), daemon=True)
    enemy.start()
    runs = 0
    try:
        end = time.monotonic() + 3
        while time.monotonic() < end or runs <= 5:
            check(top("--run-dir", t.run_dir, "--json"))
            runs += 1
        assert enemy.is_alive()
    finally:
        enemy.kill()
        enemy.join()
    assert runs > 5


@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="Python's stores have no order elsewhere")
def test_live_change_of_all_rows(top, table):
    """A writer that keeps the protocol, over a shared mapping: what is shown is never mixed."""
    t = table()
    n = 64
    t.add("worker-1.1", [row(100001 + i, account=b"0" * 160) for i in range(n)])
    t.save()
    enemy = multiprocessing.Process(target=keep_protocol, args=(os.path.join(t.dir, "worker-1.1"), n), daemon=True)
    enemy.start()
    try:
        end, seen = time.monotonic() + 2, set()
        while time.monotonic() < end or len(seen) < 2 and time.monotonic() < end + 60:
            t.heartbeat = time.monotonic_ns()
            t.save()
            got = top("--run-dir", t.run_dir, "--json")
            for s in json.loads(got.out)["sessions"]:
                assert len(set(s["account"])) == 1, s
                seen.add(s["account"][0])
        assert enemy.is_alive() and len(seen) > 1
    finally:
        enemy.kill()
        enemy.join()


def keep_protocol(path, n):
    """Rows are aligned words to memoryview("Q"): each assignment is one store."""
    with open(path, "r+b") as f, mmap.mmap(f.fileno(), 0) as m, memoryview(m).cast("B") as b:
        words = b[:len(m) // 8 * 8].cast("Q")
        account, length = LAYOUT["shm_row"][1]["account"]
        digit = 0
        while True:
            digit = (digit + 1) % 10
            for i in range(n):
                at = (256 + 256 * i) // 8
                words[at] += 1
                for k in range(account // 8, (account + length) // 8):
                    words[at + k] = int.from_bytes(b"%d" % digit * 8, "little")
                words[at] += 1
