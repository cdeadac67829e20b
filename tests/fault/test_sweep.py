# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The ximssd authors
"""The nth call of each kind fails, in each role, in each scenario (security 2.3, R4 and R5).

First every scenario runs without faults and its calls are counted; so many are there to fail. Then: one fault, the scenario,
and a look at what is left. Nobody may crash, hang or say a wrong "ok", and the server serves again afterwards. A process may
end in good order when it has to: its place is taken. Short: a sample by a fixed stride. Long: all, as far as time lasts, with
what was not reached told.
"""
import collections
import contextlib
import os
import random
import re
import shutil
import signal
import subprocess
import threading
import time

import pytest
from faults import CALLS, LONG, SANITIZED, FaultServer, Hang, note
from ledger import Ledger, Wrong, check_files
from world import NAMES, SCENARIOS, World
import client_scenarios  # noqa: F401
import server_scenarios  # noqa: F401
from ximss import wait_for

ACCOUNTS = {"dora": "correct-horse", "otto": "battery-staple"}
SERVERS = 3 if LONG else 2
SECONDS = int(os.environ.get("XIMSSD_FAULT_SECONDS", "600" if LONG else "20"))
ONLY = os.environ.get("XIMSSD_FAULT_ONLY", "")  # a pattern for "scenario/role/call"
SHORT_PLAN = 80
ALL_UP_TO = 100  # of the calls of a kind each one; then in growing steps: a start of GLib alone allocates ten thousand times
# Those that take seconds, and are not in the short form.
SLOW = {"start", "stop", "certificate", "worker dies", "auth dies", "hasher dies", "helper dies"}

Fault = collections.namedtuple("Fault", "scenario role call error nth")
# Ends that are not ours (ours would have told of a broken invariant). libuv aborts when it cannot watch a descriptor, cannot
# write to its own pipe, or has no memory for its list of descriptors; GLib, in the helpers, without memory. OpenSSL's first use in a process goes through a null pointer without.
LIBRARY_ABORTS = {("epoll_ctl", None), ("malloc", None), ("epoll_wait", None), ("files", None), ("write", None),
                  ("read", None)}
LIBRARY_CRASHES = {("malloc", "worker", scenario) for scenario in ("worker dies", "start", "certificate")}
DEATH = re.compile(r"MASTER (\w+) (\d+) \(pid (\d+)\) ended (by signal|with code) (\d+)")


class Problem(Exception):
    pass


class Sweeper:
    """One server, and the faults of a plan on it, one after another."""

    def __init__(self, folder, number):
        self.folder, self.number = folder, number
        self.outcomes = collections.Counter()
        self.injected = collections.Counter()
        self.problems, self.broken, self.missed = [], None, 0
        self.seconds, self.slowest = collections.Counter(), (0.0, None)
        self.server = self.world = None

    def __enter__(self):
        cert, key = (os.path.join(str(self.folder), n) for n in ("cert.pem", "key.pem"))
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj",
                        "/CN=harbor.example", "-days", "2", "-keyout", key, "-out", cert], check=True, capture_output=True)
        server = FaultServer(self.folder, ACCOUNTS, conf="[tls]\ncertificate = %s\nkey = %s\n" % (cert, key), tls=True)
        server.tls_pair = (cert, key)
        server.settle_count = len(server.pids())
        self.server, self.world = server, World(server, Ledger(ACCOUNTS))
        self.world.count = self.number * 1000000
        self.trace = open(os.path.join(str(self.folder), "trace"), "w", 1)  # for who looks for the cause of a late find
        return self

    def __exit__(self, *exc):
        self.trace.close()
        self.server.faults.disarm()
        if self.server.process is not None:
            self.server.process.kill()
            self.server.process.wait()
            shutil.rmtree(self.server.run_dir, ignore_errors=True)

    # --- one fault

    def look_at_log(self, fault):
        """Deaths since the last look: what they were."""
        lines, ends, stopping = self.server.new_lines(), [], False
        for at, line in enumerate(lines):
            stopping = (stopping or line.endswith(" MASTER stopping")) and not line.endswith(" MASTER stopped")
            if "broken invariant" in line:
                raise Problem(line)
            m = DEATH.search(line)
            if not m:
                continue
            role, how, n = m.group(1), m.group(4), int(m.group(5))
            if n == signal.SIGKILL and stopping and "dies" not in fault.scenario:
                raise Problem("killed because it did not stop: " + line)
            if how == "with code" or n == signal.SIGKILL:
                ends.append("replaced")
            elif n in (signal.SIGABRT, signal.SIGTRAP) and {(fault.call, None), (fault.call, role)} & LIBRARY_ABORTS:
                ends.append("library aborted")
            elif n == signal.SIGSEGV and (fault.call, role, fault.scenario) in LIBRARY_CRASHES:
                ends.append("library crashed")
            else:
                raise Problem("%s (%s)" % (line, "; ".join(lines[max(0, at - 5):at])))
        return ends

    def serve_again(self):
        """All processes are there, both accounts can log in, mail is looked up."""
        w = self.world
        try:
            for name in NAMES:
                w.fresh(name).close()
            if len(self.server.pids()) < self.server.settle_count:
                wait_for(lambda: self.server.hurry() or len(self.server.pids()) == self.server.settle_count)
        except AssertionError as e:
            raise Problem("does not serve again: %s" % e) from None

    def restart(self):
        self.server.faults.disarm()
        children = self.server.pids().values()
        if self.server.process.poll() is None:
            self.server.process.kill()
        self.server.process.wait()
        wait_for(lambda: not any(os.path.exists("/proc/%d/exe" % pid) for pid in children))
        try:
            self.server.start()
        except AssertionError:  # a child that was born at that moment has a socket still
            self.server.start()
        self.server.new_lines()

    def counted(self, name):
        """How many calls each role makes in that scenario."""
        part = SCENARIOS[name](self.world)
        next(part)
        self.server.faults.count()
        next(part)
        counts = self.server.faults.counted()
        next(part, None)
        self.look_at_log(Fault(name, "", "", None, 0))
        return counts

    def inject(self, fault):
        w, faults = self.world, self.server.faults
        self.trace.write("%d %s\n" % (w.count, fault))
        w.said, w.fault = "nothing", fault
        self.server.age()  # who dies young is started again ever more slowly
        self.server.new_lines()
        part = SCENARIOS[fault.scenario](w)
        try:
            next(part)
            w.said = "nothing"
            faults.arm(fault.call, error=fault.error, role=fault.role, nth=fault.nth)
            next(part)
            hit = faults.disarm()
            if hit.fired == 0:
                self.missed += 1
            else:
                self.injected[fault.call] += 1
                self.outcomes["answer: " + w.said] += 1
            next(part, None)
            if self.server.process.poll() is not None:
                raise Problem("the server ended with code %s" % self.server.process.returncode)
            ends = self.look_at_log(fault)
            if ends or w.said not in ("ok", "nothing"):
                self.serve_again()
                ends += self.look_at_log(fault)
            for end in set(ends):
                self.outcomes["process: " + end] += 1
        except (Problem, Hang, Wrong, AssertionError, OSError) as e:
            faults.disarm()
            said = self.hung(e) if isinstance(e, Hang) else "%s: %s" % (type(e).__name__, str(e)[:1500])
            self.problems.append((fault, said))
            self.restart()

    def hung(self, what):
        """What is to be said about a hang. No fault of one call explains one: an end is in order, to wait for ever is not."""
        try:
            others = "others are served" if self.server.login("dora", self.world.ledger.accounts["dora"].passwords[0]) \
                else "nor can anybody log in"
        except Hang as e:
            others = "nor is anybody else served: %s" % e
        return "hang: %s; %s" % (what, others)

    def run(self, plan, end):
        try:
            while plan and time.monotonic() < end and len(self.problems) < 40:
                fault, begin = plan.pop(), time.monotonic()
                self.inject(fault)
                self.seconds[fault.scenario] += time.monotonic() - begin
                self.slowest = max(self.slowest, (time.monotonic() - begin, fault))
        except BaseException as e:  # told by the test
            self.broken = e

    def close(self):
        """Nobody is there any more, and nothing is left; the judge."""
        judged = self.world.ledger.judge(self.server)
        wait_for(lambda: self.server.top()["total"] == 0)
        counters = self.server.counters()
        assert counters["ximssActive"] == counters["ximssSessionsActive"] == 0, counters
        assert self.server.stop() == 0
        check_files(self.server.state_dir)
        return judged


def all_faults(counts):
    """Every fault that there is, in an order in which any part of it is a fair sample."""
    plan = []
    for scenario, calls in counts.items():
        for (role, call), n in calls.items():
            if scenario == "start" and role not in ("master", "newborn"):
                continue  # that of each role is in "... dies"
            if not re.search(ONLY, "%s/%s/%s" % (scenario, role, call)):
                continue
            for error in CALLS[call]:
                plan += [Fault(scenario, role, call, error, nth) for nth in chosen(n)]
    return plan


def chosen(n):
    """Which of n calls are to fail: the first ones, then ever fewer, the last one among them."""
    nths = list(range(1, min(n, ALL_UP_TO) + 1))
    while nths[-1] < n:
        nths.append(min(n, nths[-1] + nths[-1] // 20))
    return nths


def test_late_calls_are_chosen():
    for n in (1, ALL_UP_TO - 1, ALL_UP_TO, ALL_UP_TO + 1, 2000, 100000):
        nths = chosen(n)
        assert nths[:ALL_UP_TO] == list(range(1, min(n, ALL_UP_TO) + 1)) and nths[-1] == n
        assert all(a < b <= a * 1.05 + 1 for a, b in zip(nths, nths[1:])) and len(nths) < 300


def in_turn(plan):
    """First the first few of each kind, then the others, mixed."""
    rng = random.Random(5)
    rng.shuffle(plan)
    seen = collections.Counter()
    order = []
    for fault in plan:
        kind = (fault.scenario, fault.role, fault.call, fault.error)
        seen[kind] += 1
        order.append((seen[kind], fault))
    order.sort(key=lambda pair: pair[0], reverse=True)  # taken from the end
    return [fault for _, fault in order]


def run_all(sweepers, plan):
    """Injects what is in the plan, as far as time lasts; the sums of what came of it: (problems, injected, outcomes)."""
    end = time.monotonic() + SECONDS
    threads = [threading.Thread(target=s.run, args=(plan, end)) for s in sweepers]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    problems, injected, outcomes = [], collections.Counter(), collections.Counter()
    for s in sweepers:
        if s.broken is not None:
            raise s.broken
        problems += s.problems
        injected += s.injected
        outcomes += s.outcomes
    return problems, injected, outcomes


def sweep(sweepers, wanted, name):
    counts = {scenario: sweepers[0].counted(scenario) for scenario in SCENARIOS if LONG or scenario not in SLOW}
    everything = [f for f in all_faults(counts) if wanted(f)]
    plan = in_turn(list(everything))
    if not LONG:
        plan = plan[::max(1, len(plan) // SHORT_PLAN)]
    planned = len(plan)
    problems, injected, outcomes = run_all(sweepers, plan)
    note(name, scenarios=len(counts), faults_there_are=len(everything), planned=planned, not_reached=len(plan),
         injected=sum(injected.values()), did_not_come=sum(s.missed for s in sweepers), by_call=dict(injected),
         outcomes=dict(outcomes), problems=len(problems))
    for s in sweepers:
        print(s.slowest, s.seconds.most_common(8))
    told = "\n".join("%s\n    %s" % (f, what) for f, what in problems)
    assert not problems, told
    for s in sweepers:
        s.close()


def of_calls(fault):
    return fault.call != "malloc"


def of_memory(fault):
    return fault.call == "malloc"


def of_both(fault):
    return of_calls(fault) or not SANITIZED


@pytest.mark.parametrize("wanted", [of_calls, of_memory] if LONG else [of_both])
def test_every_one_fails(tmp_path, wanted):
    if wanted is of_memory and SANITIZED:
        pytest.skip("a sanitizer has an allocator of its own, which never fails")
    with contextlib.ExitStack() as stack:
        sweepers = []
        for n in range(SERVERS):
            folder = tmp_path / str(n)
            folder.mkdir()
            sweepers.append(stack.enter_context(Sweeper(folder, n)))
        sweep(sweepers, wanted, "the nth fails, %s" % wanted.__name__.replace("_", " "))
