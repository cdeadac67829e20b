# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The ximssd authors
"""A worker that reads nothing of what its keeper says, when that one is to be exchanged (src/proc/keeper_handover.h). The unit test of
that name has the keeper's side to the byte."""
import contextlib
import os
import re
import signal

from test_handover import EXCHANGED, MESSAGE, open_folder
from upgradable import WebUpgradable
from ximss import wait_for
from xhttp import errors

ACCOUNTS = {"dora": "correct-horse", "otto": "swordfish"}
OTTO = "otto@harbor.example"
# One request fills the channel and the keeper's queue, but not its credit.
SETTINGS = "[limits]\ncredit = 8M\nout_limit = 16M\n"
TEXT = "".join("%07d and so on and so forth until the line ends here\r\n" % n for n in range(40000))


@contextlib.contextmanager
def standing(*pids):
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)


def asks(client, n=1):
    for _ in range(n):
        client.call('<readTime id="t"/>')


def closed_sessions(server, why):
    return sorted(re.findall(r"XIMSS-\d+\((\w+)@harbor.example\) session closed: " + why, server.log()))


def test_a_worker_that_does_not_read(tmp_path):
    """Its sessions end, as if the keeper had died: with <bye/>, or where an answer is cut. Everybody else goes on, sessions over HTTP
    also when that worker had brought their requests, and so does the worker."""
    with WebUpgradable(tmp_path, clock=True, accounts=ACCOUNTS, conf=SETTINGS,
                       server="keepers = 1\nworkers = 1\nhelpers = 1\nlog_level = low\n") as server:
        server.deliver(MESSAGE.replace("x\r\n", "") % "long" + TEXT)
        slow, idle, web = server.session(), server.session(OTTO), server.web_session()
        open_folder(slow, "f", "INBOX")
        assert errors(web.sync('<noop id="a"/>', seq=1).xml) == [("a", None)]
        pids = server.children()
        worker, keeper, helper = (pids[name] for name in ("worker 1", "keeper 1", "helper 1"))
        with standing(worker):  # at the end of this it may read again
            os.kill(worker, signal.SIGCONT)
            with standing(helper):  # so that the upgrade waits, once the new workers serve
                server.upgrade()
                server.said("the new workers serve")
                quick = server.session(OTTO)
                open_folder(quick, "q", "INBOX")
                with standing(keeper):
                    slow.send('<folderRead id="r" folder="f" UID="1" totalSizeLimit="99999999"/>')
                    for _ in range(3):
                        idle.call('<noop id="n"/>')  # the worker answers this itself; so it has passed on the other
                    os.kill(worker, signal.SIGSTOP)
                    server.advance(3)  # a leap: nobody is called silent for what was before it
                for _ in range(10):  # the keeper has many rounds
                    asks(quick, 5)
                    server.advance(3)
                os.kill(helper, signal.SIGKILL)

            def hands_over():
                server.advance(3)
                return "upgrade: keeper 1 hands over" in server.log()
            wait_for(hands_over, 60, 0.25)
            with standing(server.process.pid):  # who would end the worker soon
                server.advance(4)  # the keeper's time is over
                wait_for(lambda: "sessions are handed over" in server.log() or "without handing over" in server.log())
                wait_for(lambda: closed_sessions(server, "its worker is gone") == ["dora", "otto"])
                os.kill(worker, signal.SIGCONT)
        server.said(EXCHANGED)
        assert server.children()["keeper 1"] != keeper
        asks(quick)
        assert quick.call('<folderBrowse id="b" folder="q"><index from="0" till="9"/></folderBrowse>')
        assert errors(web.sync('<noop id="b"/>', seq=2).xml) == [("b", None)]
        assert idle.raw() == b"<bye/>" and idle.closed()
        cut = slow.rest()
        assert cut.startswith(b"<folderMessage ") and b"\0" not in cut and len(cut) < len(TEXT)
        asks(server.session())
        server.said("done")
        assert "%d sessions taken over, 0 lost" % 2 in server.log()
        assert "no way to speak" not in server.log() and " is silent" not in server.log()
