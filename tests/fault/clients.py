# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The ximssd authors
"""Clients that change things all the time and write down what they were told: senders of mail, and users with a session."""
import random
import smtplib
import threading
import time

from faults import Post
from ledger import FLAGS, message, rows_of
from ximss import PATIENCE


class Worker(threading.Thread):
    """Does step() until it is told to stop; what it dies of is raised by finish()."""

    def __init__(self, server, ledger, seed):
        super().__init__(daemon=True)
        self.server, self.ledger = server, ledger
        self.rng = random.Random(seed)
        self.going, self.problem, self.steps = True, None, 0

    def run(self):
        try:
            while self.going:
                self.step()
                self.steps += 1
        except BaseException as e:  # told by finish()
            self.problem = e

    def finish(self):
        self.going = False
        self.join(2 * PATIENCE)
        if self.problem is not None:
            raise self.problem
        assert not self.is_alive(), "a client hangs"
        return self.steps


class Sender(Worker):
    """Delivers to one account or several. 451 may come from a keeper that stored it and died, so it is a doubt."""

    def __init__(self, server, ledger, seed, names, pause=0.0, sizes=(200, 2000, 60000), sure_451=False):
        super().__init__(server, ledger, seed)
        self.names, self.pause, self.sizes, self.sure_451 = names, pause, sizes, sure_451
        self.post, self.count = None, 0
        self.acknowledged = self.refused = self.doubtful = 0

    def connect(self):
        while self.going and self.post is None:
            try:
                self.post = Post(self.server)
            except (OSError, smtplib.SMTPException):
                time.sleep(0.02)

    def answered(self, name, ident, size, code):
        there = True if code == 250 else False if code is not None and self.sure_451 else None
        self.ledger.accounts[name].delivered(ident, size, there)
        if there is True:
            self.acknowledged += 1
        elif there is False:
            self.refused += 1
        else:
            self.doubtful += 1
        assert code in (250, 451, 452, None), code

    def step(self):
        self.connect()
        self.count += 1
        ident, size = "%d.%d" % (self.rng.randrange(1 << 40), self.count), self.rng.choice(self.sizes)
        to = self.rng.sample(self.names, self.rng.randint(1, min(2, len(self.names))))
        waiting = []
        try:
            self.post.mail("ann@example.org")
            taken = [name for name in to if self.post.rcpt(name + "@harbor.example")[0] == 250]
            if not taken or self.post.docmd("DATA")[0] != 354:
                self.post.rset()
                time.sleep(0.01)  # nobody looks recipients up
                return
            waiting = list(taken)
            self.post.send(message(ident, size) + b".\r\n")
            for name in taken:
                code = self.post.getreply()[0]
                waiting.remove(name)
                self.answered(name, ident, size, code if code > 0 else None)
        except (smtplib.SMTPException, OSError, AttributeError):  # AttributeError: closed between two commands
            for name in waiting:
                self.answered(name, ident, size, None)
            self.post = None
        time.sleep(self.pause)


class User(Worker):
    """A session that marks, removes, makes mailboxes and changes the password; logs in again when it has to."""

    def __init__(self, server, ledger, seed, name, most_mail=150, pause=0.0):
        super().__init__(server, ledger, seed)
        self.name, self.most_mail, self.pause = name, most_mail, pause
        self.account = ledger.accounts[name]
        self.talk, self.uids, self.count = None, {}, 0
        self.acknowledged = self.refused = self.doubtful = self.logins = 0
        self.longest_outage = 0.0

    def log_in(self):
        begin = time.monotonic()
        self.talk = self.ledger.session(self.server, self.name, 60)
        self.longest_outage = max(self.longest_outage, time.monotonic() - begin)
        self.logins += 1
        self.open_box()

    def open_box(self):
        try:
            rows = rows_of(self.talk, ident="open%d" % self.count)
        except AssertionError:
            if self.talk.ask('<noop id="alive"/>').error != 0:
                raise
            self.drop()
            return
        self.uids = {r.findtext("Message-ID").strip("<>").split("@")[0]: r.get("UID") for r in rows}

    def drop(self):
        self.talk.close()
        self.talk = None

    def ask(self, text):
        answer = self.talk.ask(text)
        if answer.ok:
            self.acknowledged += 1
        elif answer.doubt:
            self.doubtful += 1
        else:
            self.refused += 1
        if answer.error == 0:
            self.drop()
        return answer

    def step(self):
        if self.talk is None:
            self.log_in()
        if self.talk is None:
            return
        self.count += 1
        what = self.rng.random()
        if what < 0.04:
            self.make_box()
        elif what < 0.08:
            self.change_password()
        elif self.uids and (what < 0.3 or len(self.uids) > self.most_mail):
            self.remove()
        elif self.uids and what < 0.9:
            self.mark()
        else:
            self.look_again()
        time.sleep(self.pause)

    def look_again(self):
        answer = self.talk.ask('<folderClose id="close%d" folder="INBOX"/>' % self.count)
        if answer.error == 0:
            self.drop()
        elif answer.ok:  # refused: it stays open
            self.open_box()

    def some_mail(self):
        """One that the sender knows the fate of."""
        ident = self.rng.choice(sorted(self.uids))
        return ident if ident in self.account.mail else None

    def mark(self):
        ident = self.some_mail()
        if ident is None:
            return
        flag, value = self.rng.choice(FLAGS), self.rng.random() < 0.6
        answer = self.ask('<messageMark id="m%d" folder="INBOX" flags="%s"><UID>%s</UID></messageMark>' % (
            self.count, flag if value else "Un" + flag.lower(), self.uids[ident]))
        self.account.marked(ident, flag, value, answer)

    def remove(self):
        ident = self.some_mail()
        if ident is None:
            return
        answer = self.ask('<messageRemove id="r%d" folder="INBOX" mode="Immediately"><UID>%s</UID></messageRemove>' % (
            self.count, self.uids[ident]))
        self.account.removed(ident, answer)
        del self.uids[ident]

    def make_box(self):
        name = "box %d" % self.count
        self.account.created(name, self.ask('<mailboxCreate id="b%d" mailbox="%s"/>' % (self.count, name)))

    def change_password(self):
        with self.account.lock:
            (old,), new = self.account.passwords, "secret-%d" % self.rng.randrange(1 << 40)
            answer = self.ask('<passwordModify id="p%d" oldPassword="%s" newPassword="%s"/>' % (self.count, old, new))
            self.account.password_changed(new, answer)
        if answer.error == 583 and self.talk is not None:
            self.drop()  # a login tells which one holds


def start(*workers):
    for w in workers:
        w.start()
    return workers


def finish(workers):
    """Stops all; the sum of what they were told."""
    for w in workers:
        w.going = False
    for w in workers:
        w.finish()
    return {what: sum(getattr(w, what) for w in workers) for what in ("acknowledged", "refused", "doubtful")}
