# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The ximssd authors
"""Time zones of accounts: the table that the master makes for keepers against Python's zoneinfo, which reads the same tzdata
with code of its own (RFC 8536); and the preference TimeZone in every message that has a localTime (protocol 1, 1.9)."""
import datetime
import os
import random
import subprocess
import zoneinfo

from ximss import BUILD, Server

UTC = datetime.timezone.utc
EPOCH = datetime.datetime(1970, 1, 1, tzinfo=UTC)
FORM = "%04d%02d%02dT%02d%02d%02d"
YEAR = 31556952
LONG = bool(os.environ.get("XIMSSD_LONG"))


def local(zone, t):
    return FORM % (EPOCH + datetime.timedelta(seconds=t)).astimezone(zone).timetuple()[:6]


def program(*args, text=None):
    done = subprocess.run([os.path.join(BUILD, "zone-time"), *args], input=text, capture_output=True, text=True, timeout=60, check=True)
    return done.stdout.splitlines()


def names():
    return [n for n in sorted(zoneinfo.available_timezones()) if n not in ("Factory", "localtime", "posixrules")]


def edges(zone, first, last):
    """Times at which the offset changes, found by halving."""
    found, step = [], 86400 * 20
    offset = lambda t: (EPOCH + datetime.timedelta(seconds=t)).astimezone(zone).utcoffset()
    for low in range(first, last, step):
        high = low + step
        if offset(low) == offset(high):
            continue
        while high - low > 1:
            mid = (low + high) // 2
            low, high = (mid, high) if offset(mid) == offset(low) else (low, mid)
        found.append(high)
    return found


def compare(asked):
    got = program(text="".join("%s %d\n" % a for a in asked))
    assert len(got) == len(asked)
    wrong = [(n, t, g, local(zoneinfo.ZoneInfo(n), t)) for (n, t), g in zip(asked, got) if g != local(zoneinfo.ZoneInfo(n), t)]
    assert wrong == []


def test_names():
    """Every zone of the system, whatever the case of its name; nothing else."""
    assert sorted(n.lstrip("+") for n in program("-l")) == names()
    asked = "".join("%s 0\n" % n for n in ("europe/berlin", "EUROPE/BERLIN", "Europe/Berli", "Europe/Berlin2", "Europe", "HostOS",
                                            "../../../etc/passwd", "right/UTC", "posix/UTC", "/Europe/Berlin", ""))
    assert program(text=asked) == ["19700101T010000"] * 2 + ["-"] * 9


def test_listed():
    """What users are offered is what tzdata's zone.tab has, and UTC."""
    with open("/usr/share/zoneinfo/zone.tab", encoding="utf-8") as f:
        tab = {line.split("\t")[2].strip() for line in f if not line.startswith("#")}
    assert {n[1:] for n in program("-l") if n.startswith("+")} == tab | {"UTC"}


def test_any_time():
    """Ten times of each zone, from the year 2 to 9998: before the first change, in between, and by the rule for ever after."""
    rng = random.Random(20260525)
    asked = []
    for name in names():
        asked += [(name, rng.randrange(-62100000000, 253300000000)) for _ in range(3)]
        asked += [(name, rng.randrange(-2840140800, 2524608000)) for _ in range(5)]
        asked += [(name, rng.randrange(2524608000, 32503680000)) for _ in range(2)]
    compare(asked)


def test_edges():
    """The seconds around every change of some zones of all kinds, until 2060; with tests/run --long, of all zones."""
    some = ["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Africa/Casablanca", "Europe/Dublin", "America/Nuuk",
            "Asia/Gaza", "Antarctica/Troll", "Pacific/Apia", "America/Sao_Paulo", "Asia/Tehran", "Africa/Cairo", "Asia/Kathmandu",
            "America/Santiago", "Pacific/Easter", "Africa/Monrovia", "Europe/London", "Pacific/Chatham", "Africa/El_Aaiun"]
    asked = []
    for name in names() if LONG else [n for n in some if n in names()]:
        for t in edges(zoneinfo.ZoneInfo(name), -2 * YEAR, 90 * YEAR):
            asked += [(name, t + d) for d in (-86400, -3600, -1, 0, 1, 3600)]
    assert len(asked) > 1000
    compare(asked)


def test_far_future():
    """Around the rule's changes in years that no file names: leap years, centuries, the last one."""
    asked = []
    for name in ("Europe/Berlin", "America/New_York", "Australia/Sydney", "America/Santiago", "Asia/Jerusalem", "Europe/Dublin", "America/Nuuk"):
        for year in (2100, 2400, 2099, 5000, 9997):
            start = int((datetime.datetime(year, 1, 1, tzinfo=UTC) - EPOCH).total_seconds())
            for t in edges(zoneinfo.ZoneInfo(name), start - 86400, start + 366 * 86400):
                asked += [(name, t + d) for d in (-1, 0, 1)]
    assert len(asked) > 150
    compare(asked)


def test_cost():
    """One table for all keepers, and no start that waits for it."""
    size, took = map(int, program("-s")[0].split())
    assert size <= 300 * 1024
    assert took < 1000000
