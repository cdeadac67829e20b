# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The ximssd authors
"""The judge of all fault tests: what was acknowledged is there once, what was refused is not, what is in doubt is either.

Clients write into a Ledger what they were told; Ledger.judge() logs in afresh and compares; check_files() looks at the
databases of a stopped server with Python's sqlite3.
"""
import glob
import hashlib
import os
import sqlite3
import threading
from xml.sax.saxutils import quoteattr

from mailview import source
from ximss import PATIENCE, wait_for

FLAGS = ("Seen", "Flagged", "Answered")
RETURN_PATH = b"Return-Path: <ann@example.org>\r\n"  # final delivery puts it in front


def message(ident, size=200):
    """The one message with that ident and size; lines of 64 bytes that follow from the ident."""
    head = "Message-ID: <%s@example.org>\r\nFrom: ann@example.org\r\nSubject: %s\r\n\r\n" % (ident, ident)
    line, body = hashlib.sha256(ident.encode()).hexdigest(), []
    for n in range(max(1, size // 66)):
        body.append(line)
        line = hashlib.sha256(line.encode()).hexdigest() if n % 100 == 0 else line[1:] + line[0]
    return (head + "\r\n".join(body) + "\r\n").encode()


class Mail:
    """What is in doubt stays so: it may come true later than a judge looks."""

    def __init__(self, size, there):
        self.size = size
        self.there = there  # True, False, None: in doubt
        self.flags = {flag: {False} for flag in FLAGS}


class Account:
    def __init__(self, password):
        self.passwords = [password]  # those that it may have
        self.lock = threading.RLock()  # of who logs in with them, or changes them
        self.mail = {}  # ident: Mail
        self.boxes = {"INBOX": True}

    def delivered(self, ident, size, there):
        self.mail[ident] = Mail(size, there)

    def marked(self, ident, flag, value, answer):
        known = self.mail[ident].flags
        if answer.ok:
            known[flag] = {value}
        elif answer.doubt:
            known[flag] = known[flag] | {value}

    def removed(self, ident, answer):
        m = self.mail[ident]
        if answer.ok:
            m.there = False
        elif answer.doubt:
            m.there = None

    def created(self, name, answer):
        self.boxes[name] = True if answer.ok else None if answer.doubt else self.boxes.get(name, False)

    def password_changed(self, new, answer):
        if answer.ok:
            self.passwords = [new]
        elif answer.doubt and new not in self.passwords:
            self.passwords.append(new)


class Wrong(AssertionError):
    """The server has lost something, or made something up."""


class Ledger:
    def __init__(self, accounts):
        self.accounts = {name: Account(password) for name, password in accounts.items()}

    def session(self, server, name, seconds=PATIENCE):
        """A login with a password that it may have."""
        with self.accounts[name].lock:
            return self._session(server, name, seconds)

    def _session(self, server, name, seconds):
        account = self.accounts[name]

        def attempt():
            for password in list(account.passwords):
                got = server.login(name, password)
                if got is not None:
                    return got
            server.hurry()
            return None
        try:
            got = wait_for(attempt, seconds, 0.01)
        except AssertionError:
            raise Wrong("%s cannot log in with any of %s\n%s" % (
                name, account.passwords, server.log()[-2000:])) from None
        if len(account.passwords) > 1:
            self._end_doubt(server, name)
        return got

    def _end_doubt(self, server, name):
        """
        A change that its session did not survive may be with the one hasher still: first to check the old password, then
        to make the new one. Two logins that must be checked, one after the other, come behind both.
        """
        account = self.accounts[name]
        for _ in range(2):
            wait_for(lambda: server.why_no_login(name, "wrong") == 515, pause=0.01)
        for password in account.passwords:
            got = wait_for(lambda p=password: server.login(name, p) or server.why_no_login(name, p) == 515, pause=0.01)
            if got is not True:
                got.close()
                account.passwords = [password]
                return
        raise Wrong("%s has none of the passwords that it may have" % name)

    def judge(self, server, whole=20):
        """Compares all accounts with what the server says; figures. Of `whole` messages each byte is compared."""
        total = {"acknowledged": 0, "in doubt": 0, "of these there": 0, "refused": 0}
        for name in self.accounts:
            for what, n in self._judge_account(server, name, whole).items():
                total[what] += n
        return total

    def _judge_account(self, server, name, whole):
        account = self.accounts[name]
        client = self.session(server, name)
        assert server.login(name, "not-" + account.passwords[0]) is None
        figures = {"acknowledged": 0, "in doubt": 0, "of these there": 0, "refused": 0}
        self._judge_boxes(client, name, figures)
        rows = rows_of(client)
        idents = [r.findtext("Message-ID").strip("<>").split("@")[0] for r in rows]
        problems = ["%s: %s is there twice" % (name, i) for i in set(idents) if idents.count(i) > 1]
        problems += ["%s: %s was never sent" % (name, i) for i in set(idents) - set(account.mail)]
        there = dict(zip(idents, rows))
        for ident, m in list(account.mail.items()):
            if m.there is True:
                figures["acknowledged"] += 1
            elif m.there is None:
                figures["in doubt"] += 1
                figures["of these there"] += ident in there
            else:
                figures["refused"] += 1
            if m.there is not None and m.there != (ident in there):
                problems.append("%s: %s was %s, and is %s" % (name, ident, "acknowledged" if m.there else "refused or removed",
                                                              "there" if ident in there else "lost"))
            if ident in there:
                problems += self._judge_flags(name, ident, m, there[ident])
        if problems:
            raise Wrong("\n".join(problems[:20]))
        # those in doubt first: they must be whole
        for ident in sorted(there, key=lambda i: account.mail[i].there is True)[:whole]:
            want = RETURN_PATH + message(ident, account.mail[ident].size)
            got = source(client, there[ident].get("UID"))
            if got.replace(b"\r\n", b"\n") != want.replace(b"\r\n", b"\n"):
                raise Wrong("%s: %s has other bytes than what was sent" % (name, ident))
        client.close()
        return figures

    @staticmethod
    def _judge_flags(name, ident, m, row):
        has = (row.findtext("FLAGS") or "").split(",")
        problems = ["%s: %s %s %s" % (name, ident, "has" if flag in has else "lacks", flag)
                    for flag, may in m.flags.items() if (flag in has) not in may]
        size = len(message(ident, m.size)) + len(RETURN_PATH)
        if row.findtext("SIZE") != str(size):
            problems.append("%s: %s has %s bytes, not %d" % (name, ident, row.findtext("SIZE"), size))
        return problems

    def _judge_boxes(self, client, name, figures):
        account = self.accounts[name]
        answer = client.ask('<mailboxList id="boxes" filter="*"/>')
        assert answer.ok, answer
        has = {m.get("mailbox") for m in answer.messages if m.tag == "mailbox"}
        for box, there in account.boxes.items():
            figures["acknowledged"] += there is True
            figures["in doubt"] += there is None
            figures["of these there"] += there is None and box in has
            figures["refused"] += there is False
            if there is not None and there != (box in has):
                raise Wrong("%s: mailbox %s %s" % (name, box, "is lost" if there else "was refused, and is there"))
        if has - set(account.boxes):
            raise Wrong("%s: mailboxes that nobody made: %s" % (name, has - set(account.boxes)))


def rows_of(client, folder="INBOX", ident="open"):
    """All messages of a mailbox; its counters agree with them."""
    fields = "".join("<field>%s</field>" % f for f in ("Message-ID", "FLAGS", "SIZE"))
    answer = client.ask('<folderOpen id="%s" folder=%s mailbox=%s sortField="UID">%s</folderOpen>' % (
        ident, quoteattr(folder), quoteattr(folder), fields))
    assert answer.ok, answer
    (init,) = [m for m in answer.messages if m.get("id") == ident]
    answer = client.ask('<folderBrowse id="rows" folder=%s><index from="0" till="999999"/></folderBrowse>' % quoteattr(folder))
    assert answer.ok, answer
    rows = [m for m in answer.messages if m.get("id") == "rows"]
    uids = [int(r.get("UID")) for r in rows]
    assert uids == sorted(set(uids))
    unseen = sum("Seen" not in (r.findtext("FLAGS") or "").split(",") for r in rows)
    if (init.get("messages"), init.get("unseen")) != (str(len(rows)), str(unseen)):
        raise Wrong("the mailbox counts %s, %s unseen; there are %d, %d" % (init.get("messages"), init.get("unseen"),
                                                                              len(rows), unseen))
    return rows


# Each must be empty. A row that nothing refers to is no loss, but grows for ever.
INVARIANTS = {
    "message without content": "SELECT uid FROM message WHERE content NOT IN (SELECT content FROM content)",
    "content without message": "SELECT content FROM content WHERE content NOT IN (SELECT content FROM message)",
    "message without head": "SELECT m.uid FROM message m LEFT JOIN head h USING(account, mailbox, uid) WHERE h.uid IS NULL",
    "head without message": "SELECT h.uid FROM head h LEFT JOIN message m USING(account, mailbox, uid) WHERE m.uid IS NULL",
    "piece without content": "SELECT content FROM piece WHERE content NOT IN (SELECT content FROM content)",
    "share that is none": "SELECT s.content FROM share s WHERE s.users != (SELECT count(*) FROM message m WHERE "
                          "m.account = s.account AND m.content = s.content)",
    "mailbox that counts wrongly": "SELECT mailbox FROM mailbox b WHERE messages != (SELECT count(*) FROM message m WHERE "
                                   "m.account = b.account AND m.mailbox = b.mailbox)",
    "mailbox with a wrong size": "SELECT mailbox FROM mailbox b WHERE size != (SELECT ifnull(sum(size), 0) FROM message m "
                                 "WHERE m.account = b.account AND m.mailbox = b.mailbox)",
    "UID that will come twice": "SELECT m.uid FROM message m JOIN mailbox b USING(account, mailbox) WHERE m.uid >= b.uid_next",
}


def check_files(state_dir):
    """Of a stopped server; number of databases that were looked at."""
    paths = sorted(glob.glob(os.path.join(state_dir, "*.db")))
    assert os.path.join(state_dir, "accounts.db") in paths and len(paths) > 1, paths
    for path in paths:
        with sqlite3.connect(path) as db:
            found = db.execute("PRAGMA integrity_check").fetchall()
            if found != [("ok",)]:
                raise Wrong("%s: %s" % (path, found))
            for what, sql in INVARIANTS.items() if "bank-" in path else ():
                found = db.execute(sql).fetchall()
                if found:
                    raise Wrong("%s: %s: %s" % (path, what, found[:5]))
        db.close()
    return len(paths)
