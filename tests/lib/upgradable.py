# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The ximssd authors
"""For tests of `ximssctl upgrade`: a server whose program file can be replaced."""
import contextlib
import glob
import os
import shutil
import sqlite3

from xhttp import WebServer
from ximss import Server, wait_for


class Upgradable(Server):
    """A server whose program file can be replaced."""

    def __init__(self, folder, clock=False, **more):
        self.programs = os.path.join(str(folder), "bin")
        os.makedirs(self.programs)
        super().__init__(folder, clock=clock, start=False, **more)
        for name in ("ximssd", "ximssctl", "ximss-top"):
            shutil.copy(os.path.join(self.bin, name), self.programs)
        self.bin = self.programs
        self.make_accounts("".join(more.get(kind, "") for kind in ("server", "conf")))
        self.start()

    def replace(self, text=None):
        """A new file under the old name, as a package manager makes it."""
        path = os.path.join(self.programs, "ximssd")
        if text is None:
            shutil.copy(path, path + ".new")
        else:
            with open(path + ".new", "w") as f:
                f.write(text)
            os.chmod(path + ".new", 0o755)
        os.rename(path + ".new", path)

    def upgrade(self):
        self.replace()
        self.ctl("upgrade")

    def file_of(self, pid):
        return os.stat("/proc/%d/exe" % pid).st_ino

    def said(self, text, count=1):
        wait_for(lambda: self.log().count("upgrade: " + text) >= count, 60)


class WebUpgradable(Upgradable, WebServer):
    """With listeners for HTTP."""


def multiply(server, count):
    """
    The first message of dora's INBOX becomes `count`, behind the back of a server that does not run: by LMTP it would take
    too long. Dates differ, so an order by date is another one than that of UIDs.
    """
    assert server.process is None
    for path in glob.glob(os.path.join(server.state_dir, "bank-*.db")):
        with contextlib.closing(sqlite3.connect(path)) as db:
            for account, mailbox in db.execute("SELECT account, mailbox FROM mailbox WHERE name = 'INBOX'").fetchall():
                uids = "WITH RECURSIVE n(uid) AS (SELECT 2 UNION ALL SELECT uid + 1 FROM n WHERE uid < %d)" % count
                db.execute(uids + " INSERT INTO message SELECT account, mailbox, n.uid, flags, keywords, internaldate +"
                           " (n.uid * 7919) %% 10007, size, date, content, seq, sender, subject FROM message, n WHERE"
                           " account = %d AND mailbox = %d AND message.uid = 1" % (account, mailbox))
                db.execute(uids + " INSERT INTO head SELECT account, mailbox, n.uid, head FROM head, n"
                           " WHERE account = %d AND mailbox = %d AND head.uid = 1" % (account, mailbox))
                db.execute("UPDATE mailbox SET uid_next = ?, messages = ?, unseen = ?, size = size * ?"
                           " WHERE account = ? AND mailbox = ?", (count + 1, count, count, count, account, mailbox))
                db.execute("INSERT OR REPLACE INTO share SELECT account, content, ? FROM message WHERE account = ? AND"
                           " mailbox = ? AND uid = 1", (count, account, mailbox))
            db.commit()
