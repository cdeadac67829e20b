# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The ximssd authors
"""The full screen of ximss-top, on tables that Python made: rows, orders, filter, bar, pages, sizes, states of a server."""
import ipaddress
import os
import random
import re
import time

import pytest
from shmimage import COUNTERS, NS, OPS, ROOT, row
from terminal import HEADS, wide
from test_hostile import HAND_MADE, expected
from ximss import wait_for

NAMES = ["dora@harbor.example", "otto@harbor.example", "Zo\u00eb@harbor.example", "\u6771\u4eac@harbor.example", "", "ann",
         "d\u00f6ra@harbor.example", "Dora@harbor.example", "\U0001f427@harbor.example"]


def ago(seconds):
    return time.monotonic_ns() - int(seconds * NS)


def many(n, seed=7):
    """Rows of all kinds in no order; times differ by more than a second."""
    rng = random.Random(seed)
    times = rng.sample(range(10, 20 * n, 3), n)
    out = []
    for i, ident in enumerate(rng.sample(range(100001, 100001 + n), n)):
        v6 = rng.random() < 0.3
        ip = ipaddress.ip_address("2001:db8::") + rng.randrange(2 ** 20) if v6 else \
            ipaddress.ip_address("192.0.2.0") + rng.randrange(2 ** 10)
        runs = rng.random() < 0.4
        out.append(row(ident, account=rng.choice(NAMES), ip=ip.packed, family=0 if i % 10 == 0 else 6 if v6 else 4,
                       connected=ago(times[i]), started=ago(times[i] - 5) if runs else 0,
                       op=rng.choice(OPS)[0] if runs else 0))
    return out


KEYS = {
    "ID": lambda s: s["id"],
    "IP Address": lambda s: (ipaddress.ip_address(s["ip"]).version, int(ipaddress.ip_address(s["ip"]))) if s["ip"] else (0, 0),
    "Account": lambda s: s["account"],
    "Connected": lambda s: s["connected"],
    "Status": lambda s: s["status"],
    "Running": lambda s: -1 if s["running"] is None else s["running"],
}


def in_order(sessions, head, falling):
    return [s["id"] for s in sorted(sessions, key=lambda s: (KEYS[head](s), s["id"]), reverse=falling)]


def test_first_picture(table, live, snapshot):
    table.put([row(100001, account="dora@harbor.example", connected=ago(200.5), started=ago(2.5), op=2),
               row(100002, account="otto@harbor.example", connected=ago(34.5), ip=b"\x20\x01\x0d\xb8" + b"\0" * 11 + b"\1", family=6),
               row(100003, ip=b"\xc6\x33\x64\x01", connected=ago(2.5), state_text="authenticating")])
    t = live()
    lines = t.shows("3 of 3 selected", "100003", "h ? help  q quit")
    assert re.fullmatch(r"3 of 3 selected +ximssd 0\.1\.0, up 1min, every 0\.2s", lines[0])
    assert lines[-1].startswith("h ? help  q quit")
    span = r"\d+sec"
    want = [["100001", r"\[192\.0\.2\.7\]", "dora@harbor.example", "3min", "listing messages", span],
            ["100002", r"\[2001:db8::1\]", "otto@harbor.example", span, "reading request", ""],
            ["100003", r"\[198\.51\.100\.1\]", "", span, "authenticating", ""]]
    names, rows = t.table()
    assert names == list(HEADS) and len(rows) == 3
    for cells, patterns in zip(rows, want):
        assert all(re.fullmatch(p, c) for p, c in zip(patterns, cells)), cells
    assert t.sorted_by() == ("ID", False)
    t.selects(100001)
    table.put([row(100009, connected=ago(1))])  # it is live
    t.shows("1 of 1 selected", "100009")


def test_orders(table, live, snapshot):
    """Every column, both ways, against Python's sort of what --json says."""
    table.put(many(40))
    t = live(rows=50, columns=120)
    t.shows("40 of 40 selected")
    for number, head in enumerate(HEADS, 1):
        for falling in (False, True):
            t.keys(str(number) if not falling else "r")
            want = in_order(snapshot()["sessions"], head, falling)
            t.wait(lambda h=head, f=falling, w=want: t.sorted_by() == (h, f) and t.ids() == w)
        t.keys("r")
    for key, names in ((">", [*HEADS[1:], HEADS[0]]), ("<", HEADS[::-1])):
        t.keys("1")
        t.wait(lambda: t.sorted_by()[0] == "ID")
        for head in names[:-1] if key == ">" else names:
            t.keys(key)
            t.wait(lambda h=head: t.sorted_by()[0] == h)


def test_filter(table, live, snapshot):
    table.put(many(40))
    t = live(rows=50, columns=120)
    t.shows("40 of 40 selected")
    whole = snapshot()["sessions"]

    def shown(text):
        want = [s["id"] for s in whole if any(text.lower() in s[k].lower() for k in ("account", "ip", "status"))]
        t.wait(lambda: t.lines()[0].startswith(f"{len(want)} of 40 selected, filter: {text} ") and t.ids() == want)
        return want

    t.keys("/")
    for text in ("H", "HA", "HAR"):  # as it is typed
        t.type(text[-1])
        shown(text)
        t.says(f"filter: {text}")
    t.keys("Enter")
    t.wait(lambda: t.message().startswith("h ?"))
    assert 0 < len(shown("HAR")) < 40
    for text in ("192.0.2.1", "db8::", "listing", "opening folder", "\u6771", "\u00f6ra", "nobody has this"):
        t.keys("/")
        t.type(text)
        t.keys("Enter")
        found = shown(text)
        assert bool(found) == (text != "nobody has this"), text
    t.keys("Escape")
    t.wait(lambda: t.lines()[0].startswith("40 of 40 selected  "))
    t.keys("/")
    t.type("\u6771dorx")
    t.keys("BSpace")
    shown("\u6771dor")
    t.keys("C-u")
    t.type("x\u6771")
    t.keys("BSpace", "BSpace", "BSpace")
    t.wait(lambda: t.lines()[0].startswith("40 of 40 selected  "))
    t.type("dora")
    shown("dora")
    t.keys("Escape")  # gives it up
    t.wait(lambda: t.lines()[0].startswith("40 of 40 selected  ") and t.message().startswith("h ?"))


def test_filter_has_a_length(table, live):
    """160 bytes are taken, no more; the end of what is typed is shown."""
    table.put([row(100001)])
    t = live(columns=60)
    t.shows("1 of 1")
    t.keys("/")
    t.type("a" * 159 + "\u00f6b" + "c" * 5)
    t.says("filter: " + "a" * (60 - 1 - 8 - 1) + "b")  # the letter of two bytes had no room
    t.keys("Enter")
    t.shows("0 of 1 selected, filter: aaa")


def test_filters_of_the_command_line(table, live, snapshot):
    table.put(many(40))
    t = live("--account", "dora", rows=50)
    want = snapshot("--account", "dora")
    t.shows(f"{want['selected']} of 40 selected")
    t.wait(lambda: t.ids() == [s["id"] for s in want["sessions"]])


def test_scrolling(table, live):
    """60 rows in 12 lines."""
    table.put([row(100001 + i, connected=ago(5)) for i in range(60)])
    t = live(rows=12)
    t.shows("60 of 60 selected")
    page = 9  # lines for rows
    everything = list(range(100001, 100061))

    def at(place, top):
        t.wait(lambda: t.selected() == everything[place] and t.ids() == everything[top:top + page])

    at(0, 0)
    t.keys("Down", "Down", "Down")
    at(3, 0)
    t.keys(*["Down"] * 8)
    at(11, 3)
    t.keys("Up")
    at(10, 3)
    t.keys("PgDn")
    at(18, 10)
    t.keys("PgDn", "PgDn")
    at(34, 26)
    t.keys("PgUp")
    at(26, 26)
    t.keys("End")
    at(59, 51)
    t.keys("Down", "PgDn")
    at(59, 51)
    t.keys("Home")
    at(0, 0)
    t.keys("Up", "PgUp")
    at(0, 0)
    t.keys("PgDn", "PgDn", "r")  # the bar goes where its session goes
    back = everything[::-1]
    t.wait(lambda: t.selected() == 100017 and t.ids() and t.ids() == back[back.index(t.ids()[0]):][:page])


def test_the_bar_stays_with_its_session(table, live):
    def put(order, gone=()):
        """By Connected, rising: in this order."""
        table.put([row(ident, connected=ago(10 + 10 * i)) for i, ident in enumerate(order) if ident not in gone])

    def in_a_row(order, some):
        at = order.index(some[0])
        return order[at:at + 9] == some

    ids = list(range(100001, 100021))
    put(ids)
    t = live(rows=12)
    t.shows("20 of 20 selected")
    t.keys("4", "Down", "Down", "Down")
    t.selects(100004)
    for seed in range(2):
        order = random.Random(seed).sample(ids, len(ids))
        put(order)
        t.wait(lambda o=order: t.selected() == 100004 and t.ids() and in_a_row(o, t.ids()))
    put(ids)
    t.wait(lambda: t.selected() == 100004 and t.ids() and in_a_row(ids, t.ids()))
    put(ids, gone=(100004,))  # it ended: the place stays
    t.selects(100005)
    put(ids, gone=(*range(100002, 100021),))
    t.selects(100001)
    put([])
    t.shows("0 of 0 selected")
    put(ids)
    t.selects(100001)


def test_delay(table, live):
    table.put([row(100001)])
    t = live(delay="0.1")
    t.shows("every 0.1s")
    for key, steps in (("+", ["0.2", "0.5", "1", "2", "5", "10", "30", "60", "60"]), ("-", ["30", "10", "5", "2", "1", "0.5", "0.2", "0.1", "0.1"])):
        for seconds in steps:
            t.keys(key)
            t.wait(lambda s=seconds: t.message() == f"every {s}s" and t.lines()[0].endswith(f", every {s}s"))


def test_space_looks_at_once(table, live):
    table.put([row(100001)])
    t = live(delay="3600")
    t.shows("1 of 1 selected", "every 3600s")
    table.put([row(100001), row(100002)])
    t.keys("Up")  # any other key shows what was there
    t.shows("1 of 1 selected")
    t.keys("Space")
    t.shows("2 of 2 selected")


def test_counters_page(table, live, snapshot):
    """Every element with value, unit and help; a rate for each COUNTER and for no INTEGER."""
    n = len(COUNTERS)
    table.put([], [5 + i for i in range(n)])
    t = live("--counters", columns=200)
    for i, (name, kind, unit, text) in enumerate(COUNTERS):
        line = next(x for x in t.shows(name) if x.split()[0] == name)
        assert line.split()[1] == str(5 + i) and line.endswith(text)
        assert unit in line
    assert t.lines()[1].split() == ["Element", "Value", "Per", "second", "Unit", "Meaning"]

    def rates():
        page = "\n".join(t.lines())
        return [m and m.group(1) for m in (re.search(r"^%s +\d+ +(\d+\.\d)" % c[0], page, re.M) for c in COUNTERS)]
    t.wait(lambda: rates() == ["0.0" if kind else None for _, kind, _, _ in COUNTERS])

    # 1,000 more each 0.1 s, for some seconds: about 10,000 a second
    end, value = time.monotonic() + 60, 0
    begin, seen = time.monotonic(), None
    while time.monotonic() < end and seen is None:
        value = int((time.monotonic() - begin) * 10000)
        table.put([], [5 + i + value for i in range(n)])
        m = re.search(r"^ximssTrafficIn +\d+ +(\d+\.\d) +bytes", "\n".join(t.lines()), re.M)
        if m and time.monotonic() > begin + 4 and 5000 < float(m.group(1)) < 20000:
            seen = float(m.group(1))
    assert seen is not None, t.lines()
    t.keys("c")
    t.shows("ID")
    t.keys("c")
    t.shows("Element")
    t.keys("Escape")
    t.shows("ID")


def test_counters_of_another_server(table, live):
    """After a restart values may be smaller: no rate is made of that."""
    n = len(COUNTERS)
    table.put([], [1000] * n)
    t = live("--counters", columns=120)
    t.shows("0.0")
    table.start_wall += NS
    table.put([], [7] * n)
    table.save()
    lines = t.wait(lambda: t.lines() if re.search(r"^ximssTotal +7 ", "\n".join(t.lines()), re.M) else None)
    assert not any(re.search(r"-\d", x) for x in lines)


def test_pages_scroll(table, live):
    t = live(rows=8)
    t.shows("0 of 0 selected")
    t.keys("c")
    t.shows("ximssActive")
    t.keys("End")
    t.shows("httpUserTrafficOut")
    t.keys("Home")
    t.shows("ximssActive")
    t.keys("Down", "Down")
    t.wait(lambda: t.lines()[2].startswith("ximssRejected"))
    t.keys("PgDn")
    t.wait(lambda: t.lines()[2].startswith("ximssSessionsActive"))
    t.keys("?")
    t.shows("Show this page")
    t.keys("PgDn", "PgDn", "PgDn", "PgDn", "PgDn", "PgDn", "PgDn")
    t.shows("Draw the screen anew.")
    t.keys("h")
    t.shows("ID")


def test_help_names_every_key(table, live):
    """keys.tbl, help page and manual page tell the same."""
    with open(os.path.join(ROOT, "tools/ximss-top-live/keys.tbl"), encoding="ascii") as f:
        keys = re.findall(r'^KEY\(\w+, "([^"]*)", "[^"]*", "([^"]*)"', f.read(), re.M)
    assert len(keys) > 15
    t = live(rows=40)
    t.shows("0 of 0 selected")
    t.keys("h")
    lines = t.shows("Show this page")
    assert [re.split(r"\s{2,}", line, maxsplit=1) for line in lines[1:1 + len(keys)]] == [list(k) for k in keys]
    with open(os.path.join(ROOT, "tools/ximss-top/ximss-top.1"), encoding="ascii") as f:
        page = f.read()
    body = page[page.index(".SH KEYS"):]
    body = body[:body.index("\n.SH ")].replace("\\-", "-").replace("\\(ha", "^")
    assert [" ".join(m.split()).replace('"', "") for m in re.findall(r"^\.TP\n\.B (.*)", body, re.M)] == [k for k, _ in keys]


@pytest.mark.parametrize("size", [(20, 4), (20, 24), (200, 4), (37, 9), (300, 120), (1, 1), (2, 2), (5, 3)])
def test_sizes(table, live, size):
    """Any size, from the one to the other and back; from 20x4 up, with the first line, a row and the keys."""
    table.put(many(60))
    t = live()
    t.shows("60 of 60 selected")
    t.resize(*size)
    if size[0] >= 20:
        t.wait(lambda: len(t.lines()) == size[1] and t.lines()[0].startswith("60 of 60 selected"[:size[0]])
               and t.message().startswith("h ? help") and len(t.ids()) == min(60, size[1] - 3))
        t.wait(lambda: t.table()[0][:1] == ["ID"] and "Account" in t.table()[0])
        assert all(sum(map(wide, line)) <= size[0] for line in t.lines())
        t.keys("Down", "c")
        t.shows("Element")
        t.keys("h")
        t.shows("h ?")
        t.keys("Escape", "k")
        t.wait(lambda: "y/n" in t.message())
        t.keys("n")
    else:
        t.keys("Down", "c", "h", "Escape", "/", "a", "Escape", "k", "n", "m", "Escape")
    t.resize(100, 24)
    t.wait(lambda: len(t.ids()) == 21 and t.table()[0] == list(HEADS))
    t.keys("q")
    assert t.ended() == 0


def test_columns_give_way(table, live):
    """Where there is no room for all, those that tell least are left out, and no row is longer than the screen."""
    table.put([row(100001, account="a" * 100 + "@harbor.example", ip=b"\x20\x01\x0d\xb8" + b"\xff" * 12, family=6, op=2, started=1)])
    t = live(columns=200)
    t.shows("1 of 1 selected")
    everything = list(HEADS)
    for width, without in ((200, ""), (66, ""), (65, "Connected"), (54, "Connected"), (53, "Connected IP Address"),
                           (42, "Connected IP Address"), (41, "Connected IP Address Running"),
                           (32, "Connected IP Address Running"), (31, "Connected IP Address Running Status"),
                           (20, "Connected IP Address Running Status"), (100, "")):
        t.resize(width, 10)
        want = [h for h in everything if h not in without]
        t.wait(lambda w=width, n=want: len(t.lines()) == 10 and all(len(x) <= w for x in t.lines()) and t.ids() == [100001]
               and t.table()[0] == n)


def test_hostile_names(table, live):
    """What stands in the account is what the rule says, and nothing else on the screen moves."""
    rows = [row(100001 + i, account=a, connected=ago(5)) for i, a in enumerate(HAND_MADE)]
    table.put(rows)
    t = live(columns=400, rows=len(rows) + 3)
    t.shows(f"{len(rows)} of {len(rows)} selected", "h ? help")
    names, cells = t.wait(lambda: t.table() if len(t.ids()) == len(rows) else None)
    assert names == list(HEADS)
    assert [c[0] for c in cells] == [str(100001 + i) for i in range(len(rows))]
    assert [c[2] for c in cells] == [expected(a).strip(" ") for a in HAND_MADE]
    assert {c[1] for c in cells} == {"[192.0.2.7]"} and {c[4] for c in cells} == {"reading request"}
    for i in range(0, len(rows), 6):  # in a question
        t.keys("k")
        t.says(f"kick {100001 + i} ({expected(HAND_MADE[i]) or '[192.0.2.7]'})? y/n")
        t.keys("n", *["Down"] * 6)


def test_hostile_keys(table, live):
    """What may not be shown cannot be typed."""
    table.put([row(100001, account="\u00e9")])
    t = live()
    t.shows("1 of 1 selected")
    t.keys("/")
    t.type("\u202e\u200e\u2028\u00e9\ufeff")
    t.keys("C-a", "C-b", "F5", "Left", "Enter")
    t.shows("1 of 1 selected, filter: \u00e9  ")


def test_many_marks_on_a_letter(table, live):
    """Characters without a width of their own: no cell grows, the next column stays where it is."""
    table.put([row(100001, account=b"a" + b"\xcc\x81" * 70, connected=ago(5)), row(100002, account=b"\xcc\x81" * 70, connected=ago(5)),
               row(100003, account="\u200b\u200d\u2060" * 10, connected=ago(5))])
    t = live()
    t.shows("3 of 3 selected", "h ? help")
    t.wait(lambda: t.ids() == [100001, 100002, 100003])
    assert {c[4] for c in t.table()[1]} == {"reading request"}


# --- a server that stops, hangs, comes back

def test_orderly_stop(table, live):
    table.put([row(100001), row(100002)], [3] * len(COUNTERS))
    t = live()
    t.shows("2 of 2 selected")
    t.keys("Down")
    t.selects(100002)
    table.stop_heart(0)
    t.wait(lambda: t.lines()[:2] == ["0 of 0 selected", "server is not running"])
    t.keys("c")
    t.shows("server is not running", "ximssActive")
    t.keys("c", "k")
    t.shows("no session is selected")
    table.beats = True
    t.shows("2 of 2 selected")
    t.selects(100002)


def test_silence(table, live):
    """A master without heartbeat: said after three seconds, believed dead after ten, taken back when it goes on."""
    table.put([row(100001)])
    t = live()
    t.shows("1 of 1 selected")
    table.stop_heart(time.monotonic_ns() - 5 * NS)
    assert re.search(r"server is silent for [5-9]sec$", t.shows("is silent", "100001")[0])
    table.stop_heart(time.monotonic_ns() - 100 * NS)
    t.shows("server is not running (last heard of 1min ago)", "0 of 0 selected")
    table.beats = True
    t.shows("1 of 1 selected", "ximssd 0.1.0")


def test_the_table_goes_and_comes(table, live):
    table.put([row(100001)])
    t = live(columns=200)
    t.shows("1 of 1 selected")
    os.rename(table.run_dir, table.run_dir + ".away")
    t.shows("no server: ", "No such file")
    t.keys("c")
    t.shows("no server: ")
    t.keys("c")
    os.rename(table.run_dir + ".away", table.run_dir)
    t.shows("1 of 1 selected", "100001")


def test_a_part_that_cannot_be_read(table, live):
    table.put([row(100001)])
    t = live()
    t.shows("1 of 1 selected")
    table.write("worker-1.1", b"x" * 4096)
    t.shows("not shown: ")
    table.put([row(100001)])
    t.shows("1 of 1 selected", "ximssd 0.1.0")


def test_cheap(table, live):
    """5,000 rows, a picture every 0.1 s, sorted by Account: a part of a processor that nobody misses."""
    rng = random.Random(1)
    for w in range(4):
        table.add(f"worker-{w + 2}.1", [row(110000 + w * 1250 + i, account=f"customer{rng.randrange(10 ** 6)}@harbor.example",
                                            connected=ago(50)) for i in range(1250)])
    table.save()
    t = live("--account", "customer", delay="0.1")
    t.shows("5000 of 5000 selected")
    t.keys("3")
    t.wait(lambda: t.sorted_by() == ("Account", False))

    def cpu():
        with open(f"/proc/{t.pid()}/stat", encoding="ascii") as f:
            fields = f.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    before, begin = cpu(), time.monotonic()
    time.sleep(3)
    share = (cpu() - before) / (time.monotonic() - begin)
    print(f"{share * 100:.1f} % of a processor")
    assert share < (0.9 if "XIMSSD_SANITIZED" in os.environ else 0.3)
