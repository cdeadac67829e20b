# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The ximssd authors
"""What the clients of test_storm.py share: the server, what each was told, what the test did to whom, and the judge.

Whatever a client asks on a connection that it does not cut is answered in time, unless somebody of the test killed the worker
that has the connection, or ended the session: who does writes it down before.
"""
import base64
import contextlib
import glob
import os
import random
import re
import sqlite3
import sys
import threading
import time

from upgradable import Upgradable, multiply
from xhttp import WebServer
from ximss import ROOT, Closed, wait_for

sys.path.insert(0, os.path.join(ROOT, "tests"))
from fault.ledger import check_files  # noqa: E402

LONG = bool(os.environ.get("XIMSSD_LONG"))
SANITIZED = bool(os.environ.get("XIMSSD_SANITIZED"))
PATIENCE = 90 if SANITIZED else 40  # seconds for one answer, on a loaded machine
ACCOUNTS = {"dora": "correct-horse", "otto": "battery-staple", "pia": "purple-monkey", "quin": "dish-washer"}
ALL = "".join(" <%s@harbor.example>," % a for a in ACCOUNTS)
SETTINGS = "workers = 2\nkeepers = 2\nhelpers = 2\nchannels_per_client_address = 0\n"
CONF = ("[login]\nhash_cost = 1\nfail_delay = 0\nfail_account = 0\nfail_connection = 1000\nmax_sessions_per_account = 1000\ncram = yes\n"
        "[limits]\nmailboxes = 100000\n[tls]\nhandshakes = 100\n")
HTTP = "connections_per_address = 0\nupload_file = 2M\nupload_session = 4M\nupload_space = 16M\n"
MESSAGES, BOXES = 400, 60
DRAIN, UPGRADE = 10, "not finished at an upgrade"  # seconds, with what may delay them on a loaded machine; why such sessions end
GAUGES = ("ximssActive", "ximssSessionsActive", "ximssHTTPSessionsActive", "httpUserActive")

BINARY = random.Random(9).randbytes(400000)  # more than a stored piece
HTML = b"<p>hello</p><script>alert(1)</script>" + b"<table><tr><td>x</td></tr></table>" * 200
MESSAGE = (b"From: Ann <ann@example.org>\r\nSubject: %s\r\nMessage-ID: <%s@example.org>\r\nMIME-Version: 1.0\r\n"
           b"Content-Type: multipart/mixed; boundary=cut\r\n\r\n--cut\r\nContent-Type: text/html; charset=utf-8\r\n\r\n" + HTML +
           b"\r\n--cut\r\nContent-Type: image/png\r\nContent-Transfer-Encoding: base64\r\n\r\n%s\r\n--cut--\r\n")


def lines_of(data):
    text = base64.b64encode(data)
    return b"".join(text[i:i + 76] + b"\r\n" for i in range(0, len(text), 76))


class Wrong(AssertionError):
    """The server did what it must not do."""


class StormServer(Upgradable, WebServer):
    pass


class Known:
    """A session that lives, and whether somebody of the test has begun to end it."""

    def __init__(self, account, url_id, http):
        self.account, self.url_id, self.http, self.ended = account, url_id, http, False
        self.number = int(url_id.split("-")[0])


class World:
    def __init__(self, server, seed):
        self.server, self.seed = server, seed
        self.lock = threading.Lock()
        self.sessions = []
        self.boxes = {}  # (account, name): True (acknowledged), None (in doubt)
        self.mail = {}  # (account, ident): the same
        self.killed = set()  # pids
        self.worker_kills = []  # time.monotonic()
        self.count = 0
        self.going = True

    def number(self):
        with self.lock:
            self.count += 1
            return self.count

    def opened(self, account, url_id, http):
        known = Known(account, url_id, http)
        with self.lock:
            self.sessions.append(known)
        return known

    def gone(self, known):
        with self.lock:
            if known in self.sessions:
                self.sessions.remove(known)

    def some_session(self, rng, account=None):
        with self.lock:
            some = [k for k in self.sessions if account in (None, k.account) and not k.ended]
        return rng.choice(some) if some else None

    def excused(self, since):
        """May a connection that was made then be lost?"""
        return any(t > since - 1 for t in self.worker_kills)

    def cut_short(self, since):
        """Was it there when a keeper had to hand over, with an answer that did not come to its end in DRAIN seconds?"""
        began = time.time() - (time.monotonic() - since)
        for hour, minute, second in re.findall(r"^(\d\d):(\d\d):([\d.]+) 2 MASTER upgrade: keeper \d+ hands over", self.server.log(), re.M):
            at = int(hour) * 3600 + int(minute) * 60 + float(second)
            if (time.time() - at) % 86400 < time.time() - began + DRAIN:
                return True
        return False

    def ended(self, known):
        """Somebody of the test has ended it, or an upgrade, as its request did not come to an end; the log may say so a little later."""
        end = time.monotonic() + 5
        while not known.ended and time.monotonic() < end:
            if re.search(r"XIMSS-%d\(.* session closed: %s" % (known.number, UPGRADE), self.server.log()):
                known.ended = True
            else:
                time.sleep(0.1)
        return known.ended

    def kill(self, name):
        """-9 for that process of the server."""
        pid = self.server.children().get(name)
        if pid is None:
            return
        if name.startswith("worker"):
            self.worker_kills.append(time.monotonic())
        self.killed.add(pid)
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, 9)

    # --- the judge

    def judge_log(self):
        log = self.server.log()
        for bad in ("broken invariant", "Sanitizer", "runtime error:", "SIGSYS"):
            if bad in log:
                at = log.index(bad)
                raise Wrong("the log has '%s':\n%s" % (bad, log[max(0, at - 3000):at + 6000]))
        for who, pid, signo in re.findall(r"(\w+ \d+) \(pid (\d+)\) ended by signal (\d+)", log):
            slow = signo == "9" and who.startswith("helper")  # those that took too long are the master's to kill
            if int(pid) not in self.killed and not slow:
                raise Wrong("%s (pid %s) ended by signal %s:\n%s" % (who, pid, signo, log[-6000:]))
        for who, pid, code in re.findall(r"(\w+ \d+) \(pid (\d+)\) ended with code (\d+)", log):
            if code != "0":
                raise Wrong("%s (pid %s) ended with code %s:\n%s" % (who, pid, code, log[-6000:]))

    def judge_by_sessions(self):
        """What was acknowledged is there once, as clients see it."""
        for account, password in ACCOUNTS.items():
            client = self.server.session(account + "@harbor.example", password)
            client.sock.settimeout(PATIENCE)
            boxes = [m.get("mailbox") for m in client.call('<mailboxList id="l" filter="*"/>')[0] if m.tag == "mailbox"]
            self._compare(account, self.boxes, boxes, "mailbox")
            client.call('<folderOpen id="o" folder="f" mailbox="INBOX" sortField="UID"><field>Message-ID</field></folderOpen>')
            rows, _ = client.call('<folderBrowse id="b" folder="f"><index from="%d" till="999999"/></folderBrowse>' % MESSAGES)
            idents = [r.findtext("Message-ID").strip("<>").split("@")[0] for r in rows if r.get("id")]
            self._compare(account, self.mail, idents, "message")
            client.close()

    def _compare(self, account, told, there, what):
        twice = {n for n in there if there.count(n) > 1}
        if twice:
            raise Wrong("%s: %s there twice: %s" % (account, what, sorted(twice)[:9]))
        lost = [n for (a, n), sure in told.items() if a == account and sure and n not in there]
        if lost:
            raise Wrong("%s: %s acknowledged and lost: %s" % (account, what, lost[:9]))
        made = [n for n in there if n.startswith("storm") and (account, n) not in told]
        if made:
            raise Wrong("%s: %s that nobody made: %s" % (account, what, made[:9]))

    def judge_files(self):
        """The same by Python's sqlite3, of the stopped server."""
        check_files(self.server.state_dir)
        names = []
        for path in glob.glob(os.path.join(self.server.state_dir, "bank-*.db")):
            with contextlib.closing(sqlite3.connect(path)) as db:
                names += [n for (n,) in db.execute("SELECT name FROM mailbox") if n.startswith("storm")]
        lost = [n for (_, n), sure in self.boxes.items() if sure and n not in names]
        if lost:
            raise Wrong("acknowledged, and not in the files: %s" % lost[:9])
        if len(names) != len(set(names)):  # all are unique, over all accounts
            raise Wrong("mailboxes are there twice")

    def judge_rest(self, base):
        """Nothing is left of anybody: rows, gauges, descriptors. base: descriptors() before anybody came."""
        def gauges():
            counters = self.server.counters()
            return {g: counters[g] for g in GAUGES if counters[g] != 0}

        def too_many():
            return [(who, n) for who, n in self.descriptors() if n > base[who.split()[0]]]
        self._until(lambda: not gauges(), lambda: "gauges: %s" % gauges())
        self._until(lambda: self.server.top()["total"] == 0, lambda: "rows: %s" % self.server.top()["sessions"])
        self._until(lambda: not too_many(), lambda: "descriptors: %s, at first %s" % (too_many(), base))

    @staticmethod
    def _until(what, words):
        try:
            wait_for(what, PATIENCE, 0.1)
        except AssertionError:
            raise Wrong("not back to what it was: " + words()) from None

    def descriptors(self):
        found = []
        for who, pid in self.server.children().items():
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                found.append((who, len(os.listdir("/proc/%d/fd" % pid))))
        return found

    def base(self):
        most = {}
        for who, n in self.descriptors():
            most[who.split()[0]] = max(n, most.get(who.split()[0], 0))
        return most


def fill(server):
    """Each account has a large INBOX and some mailboxes."""
    server.deliver(MESSAGE % (b"first", b"first", lines_of(BINARY)), [a + "@harbor.example" for a in ACCOUNTS])
    for account, password in ACCOUNTS.items():
        client = server.session(account + "@harbor.example", password)
        client.send_bytes(b"".join(b'<mailboxCreate id="%d" mailbox="box %d"/>\0' % (n, n) for n in range(BOXES)))
        client.until_response(str(BOXES - 1))
        client.send('<bye id="b"/>')
        with contextlib.suppress(Closed):
            client.until_response("b")
        client.close()
    run_dir = server.run_dir
    assert server.stop() == 0
    os.makedirs(run_dir, exist_ok=True)
    multiply(server, MESSAGES)
    server.start()


class Guest(threading.Thread):
    """Does one thing after another until the world stops; what it dies of is told by finish()."""

    def __init__(self, world, n):
        super().__init__(daemon=True, name="%s %d" % (type(self).__name__, n))
        self.world, self.server = world, world.server
        self.rng = random.Random("%s %d" % (world.seed, n))
        self.problem, self.steps, self.doing = None, 0, ""

    def run(self):
        try:
            while self.world.going:
                self.step()
                self.steps += 1
        except BaseException as e:  # told by finish()
            self.problem = e
            self.world.going = False

    def finish(self):
        self.join(2 * PATIENCE)
        if self.is_alive():
            raise Wrong("%s hangs: %s" % (self.name, self.doing))
        if self.problem is not None:
            raise Wrong("%s, %s: %r" % (self.name, self.doing, self.problem)) from self.problem

    def account(self):
        name = self.rng.choice(sorted(ACCOUNTS))
        return name, ACCOUNTS[name]

    def requests(self, account, folder, n):
        """So many requests of all kinds: [(id, text, name of the mailbox that it creates)]."""
        made = []
        for _ in range(n):
            ident = "r%d" % self.world.number()
            box = None
            kind = self.rng.choice(("create", "create", "list", "list", "list", "browse", "browse", "open", "sync", "close", "read",
                                    "mark", "time", "noop", "values", "prefs", "store", "password", "unknown", "search"))
            uid = self.rng.randrange(1, MESSAGES)
            text = {
                "list": '<mailboxList id="%s" filter="*"/>',
                "browse": '<folderBrowse id="%%s" folder="%s"><index from="0" till="%d"/></folderBrowse>' % (folder, uid),
                "open": '<folderOpen id="%%s" folder="g" mailbox="INBOX" sortField="%s"><field>Subject</field></folderOpen>' %
                        self.rng.choice(("Subject", "INTERNALDATE", "UID")),
                "search": '<folderReopen id="%%s" folder="%s" filterField="Subject" filter="first"/>' % folder,
                "sync": '<folderSync id="%%s" folder="%s"/>' % folder,
                "close": '<folderClose id="%s" folder="g"/>',
                "read": '<folderRead id="%%s" folder="%s" UID="%d" totalSizeLimit="-1"/>' % (folder, uid),
                "mark": '<messageMark id="%%s" folder="%s" flags="%s"><UID>%d</UID></messageMark>' % (
                    folder, self.rng.choice(("Seen", "Unseen", "Flagged")), uid),
                "time": '<readTime id="%s"/>', "noop": '<noop id="%s"/>', "values": '<listKnownValues id="%s"/>',
                "prefs": '<prefsRead id="%s"/>', "store": '<prefsStore id="%s"><Language>english</Language></prefsStore>',
                "password": '<passwordModify id="%s" oldPassword="wrong" newPassword="another"/>', "unknown": '<fryEggs id="%s"/>',
            }.get(kind)
            if kind == "create":
                box = "storm %s %s" % (account, ident)
                text = '<mailboxCreate id="%%s" mailbox="%s"/>' % box
                self.world.boxes[account, box] = None
            made.append((ident, text % ident, box))
        return made

    def told(self, account, requests, responses):
        """responses: [(id, number of the error or None)]: those to the first requests, in order."""
        if [i for i, _ in responses] != [i for i, _, _ in requests[:len(responses)]]:
            raise Wrong("answers %s to %s" % (responses, [(i, t[:40]) for i, t, _ in requests]))
        for (ident, error), (_, text, box) in zip(responses, requests):
            if box is None:
                continue
            if error is not None:
                raise Wrong("%s: error %s to %s" % (ident, error, text))
            self.world.boxes[account, box] = True
