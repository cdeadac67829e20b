#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The ximssd authors
"""Makes xtime_vectors.tbl anew, next to this file: what Python's datetime says."""
import datetime
import os
import random
import zoneinfo

rng = random.Random(1109)
UTC = datetime.timezone.utc
EPOCH = datetime.datetime(1970, 1, 1, tzinfo=UTC)
ZONE = zoneinfo.ZoneInfo("Europe/Berlin")


def seconds(d):
    return (d - EPOCH) // datetime.timedelta(seconds=1)


rows = []
times = [datetime.datetime(*t, tzinfo=UTC) for t in [
    (1, 1, 1, 0, 0, 0), (9999, 12, 31, 23, 59, 59), (1970, 1, 1, 0, 0, 0), (1969, 12, 31, 23, 59, 59),
    (2000, 2, 29, 12, 0, 0), (1900, 2, 28, 23, 59, 59), (1900, 3, 1, 0, 0, 0), (2007, 5, 2, 8, 33, 13),
    (2038, 1, 19, 3, 14, 8), (2024, 2, 29, 0, 0, 0), (2100, 3, 1, 0, 0, 0), (1582, 10, 10, 1, 2, 3)]]
times += [EPOCH + datetime.timedelta(seconds=rng.randrange(-62135596800, 253402300800)) for _ in range(200)]
for t in times:
    # strftime does not fill years below 1000 on every system
    form = "%04d%02d%02d %02d%02d%02d" % t.timetuple()[:6]
    d, c = form.split()
    rows.append('GMT(%d, "%sT%s", "%s", "%s-%s-%sT%s:%s:%s")' % (
        seconds(t), d, c, d, d[:4], d[4:6], d[6:], c[:2], c[2:4], c[4:]))

# by the rules of the European Union since 1996; the hour that comes twice is left out
for _ in range(100):
    t = datetime.datetime(1997, 1, 1, tzinfo=UTC) + datetime.timedelta(seconds=rng.randrange(0, 3600 * 24 * 365 * 40))
    local = t.astimezone(ZONE).replace(tzinfo=None)
    if local.replace(tzinfo=ZONE, fold=0).astimezone(UTC) == local.replace(tzinfo=ZONE, fold=1).astimezone(UTC) == t:
        rows.append('BERLIN(%d, "%s")' % (seconds(t), local.strftime("%Y%m%dT%H%M%S")))

for _ in range(300):
    text = "%04d%02d%02dT%02d%02d%02d" % (
        rng.choice([0, 1, 1900, 2000, 2023, 2024, 2100, 9999]), rng.randrange(0, 14), rng.choice([0, 1, 28, 29, 30, 31, 32]),
        rng.choice([0, 23, 24]), rng.choice([0, 59, 60]), rng.choice([0, 59, 60, 61]))
    try:
        datetime.datetime.strptime(text, "%Y%m%dT%H%M%S")
        if text.endswith(("60", "61")):
            raise ValueError("strptime takes leap seconds, datetime and the protocol do not")
        ok = "true"
    except ValueError:
        ok = "false"
    rows.append('EXISTS("%s", %s)' % (text, ok))

with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "xtime_vectors.tbl"), "w") as f:
    f.write("// SPDX-License-Identifier: MIT\n// SPDX-FileCopyrightText: The ximssd authors\n")
    f.write("/* Made by make_xtime_vectors.py; do not edit.\n"
            "   GMT(seconds, basic, date, extended)  BERLIN(seconds, local time)  EXISTS(text, a real time?) */\n")
    f.write("\n".join(rows) + "\n")
