# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The ximssd authors
"""What a scenario of test_sweep.py stands in: a server, the ledger, and what was heard under the fault.

A scenario is a generator of a World: what it needs, `yield`, what is done under the fault, `yield`, a look by fresh
sessions. Under the fault every answer is fine, an error, and the end of the connection too; but who says "ok" is taken at his
word.
"""
import os
import smtplib
import subprocess
import time

from faults import Hang, Post
from ledger import Wrong, message, rows_of
from ximss import PATIENCE, wait_for

NAMES = ("dora", "otto")
SCENARIOS = {}


def scenario(f):
    SCENARIOS[f.__name__.replace("_", " ")] = f
    return f


class World:
    """A server and what is known about it."""

    def __init__(self, server, ledger):
        self.server, self.ledger, self.count = server, ledger, 0
        self.accounts = set(NAMES)  # and those that ximssctl makes
        self.said = "nothing"  # the outcome of the scenario that runs
        self.fault = None  # what fails now; test_sweep.py

    def fresh(self, name="dora"):
        return self.ledger.session(self.server, name)

    def ident(self):
        self.count += 1
        return "s%d" % self.count

    def prepare(self, client, *names, count=1):
        """Messages that are there for certain; their idents and UIDs, in the one named folder that the client opens."""
        idents = [self.ident() for _ in range(count)]
        for n in range(count):
            # after the fault before, two processes may need some seconds to find out that they cannot speak to each other
            def delivered(n=n):
                self.server.hurry()
                return self.deliver(idents[n], 200, names or ("dora",)) == [250] * len(names or ("dora",))
            try:
                wait_for(delivered)
            except AssertionError:
                raise Wrong("no mail is taken any more") from None
        rows = {r.findtext("Message-ID").strip("<>").split("@")[0]: r.get("UID") for r in rows_of(client)}
        missing = [i for i in idents if i not in rows]
        if missing:
            raise Wrong("not there: %s" % missing)
        return [(i, rows[i]) for i in idents]

    def deliver(self, ident, size, names):
        """The answers, None where there was none; the ledger knows."""
        answers = [None] * len(names)
        try:
            post = Post(self.server)
            post.mail("ann@example.org")
            taken = [n for n in names if post.rcpt(n + "@harbor.example")[0] == 250]
            answers = [None if n in taken else 451 for n in names]
            if taken and post.docmd("DATA")[0] == 354:
                post.send(message(ident, size) + b".\r\n")
                for n in taken:
                    code = post.getreply()[0]
                    answers[names.index(n)] = code if code > 0 else None
            post.close()
        except (smtplib.SMTPException, OSError, AttributeError):
            pass
        for name, code in zip(names, answers):
            # a keeper that died may have stored it, and its worker says 451
            self.ledger.accounts[name].delivered(ident, size, True if code == 250 else None)
        self.heard(*["ok" if code == 250 else "closed" if code is None else "error" for code in answers])
        return answers

    def heard(self, *answers):
        """Notes the worst of the answers."""
        for a in answers:
            word = a if isinstance(a, str) else "ok" if a.ok else "closed" if a.error == 0 else "error"
            if ["nothing", "ok", "error", "closed"].index(word) > ["nothing", "ok", "error", "closed"].index(self.said):
                self.said = word

    def ask(self, client, text):
        answer = client.ask(text)
        self.heard(answer)
        return answer

    def talk(self, **more):
        """A connection, or None."""
        try:
            return self.server.talk(**more)
        except OSError:
            self.heard("closed")
            return None

    def has(self, client, ident, there, name="dora"):
        """Whether the ledger's opinion of one message holds; `there` None: no opinion."""
        rows = {r.findtext("Message-ID").strip("<>").split("@")[0]: r for r in rows_of(client)}
        if there is not None and (ident in rows) != there:
            raise Wrong("%s: %s is %s" % (name, ident, "there" if ident in rows else "not there"))
        return rows.get(ident)

    def ctl(self, *args, stdin=""):
        """ximssctl: (exit code, what it printed)."""
        p = subprocess.Popen([os.path.join(self.server.bin, "ximssctl"), "-c", self.server.conf_path, *args], text=True,
                             stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=self.server.env)
        end, first = time.monotonic() + PATIENCE, stdin
        while True:
            try:
                out, err = p.communicate(first, timeout=0.3)
                break
            except subprocess.TimeoutExpired:
                first = None
                self.server.hurry()
                if time.monotonic() > end:
                    p.kill()
                    p.communicate()
                    raise Hang("ximssctl %s" % " ".join(args)) from None
        if p.returncode < 0:
            raise Wrong("ximssctl ended by signal %d" % -p.returncode)
        if p.returncode != 0 and not err.strip() and not out.strip():
            raise Wrong("ximssctl ends with code %d and says nothing" % p.returncode)
        self.heard("ok" if p.returncode == 0 else "error")
        return p.returncode, out
