# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The ximssd authors
"""Sessions over HTTP live on through `ximssctl upgrade`, as their clients see them: nothing lost, nothing twice, no 550."""
import socket
import threading
import time

from test_handover import exchange
from upgradable import WebUpgradable
from xhttp import Lost, errors, tags
from ximss import wait_for


def test_everything_that_a_session_knows(tmp_path):
    """Its numbers and replies, the batch that is not acknowledged, what is queued, cookie, folders, row, and the time of its idling."""
    with WebUpgradable(tmp_path) as server:
        server.deliver("Subject: one\r\n\r\nx\r\n")
        s, over, bound = server.web_session(), server.web_session(), server.web_session(EnableUseCookie=1)
        answer = s.sync('<folderOpen id="o" folder="in" mailbox="INBOX"><field>Subject</field></folderOpen><noop id="n"/>', seq=7)
        assert errors(answer.xml) == [("o", None), ("n", None)]
        assert s.async_('<noop id="a"/><mailboxCreate id="b" mailbox="one"/>', seq=8).body == b""
        batch = s.poll(0, 5)
        assert tags(batch.xml) == ["response", "response"]
        assert over.sync('<mailboxCreate id="c" mailbox="two"/><bye id="d"/>', seq=1).status == 200
        bound.fields = {"Cookie": "CGateProWebUser=" + bound.sync("", seq=1).cookie}
        assert bound.sync('<noop id="x"/>', seq=2).status == 200
        connected = server.row(id=int(s.url_id[:6]))["connected"]
        exchange(server)
        assert server.row(id=int(s.url_id[:6]))["connected"] >= connected
        # what was answered is answered again, and done no second time
        assert s.poll(0, 0).body == batch.body
        assert s.async_('<noop id="a"/><mailboxCreate id="b" mailbox="one"/>', seq=8).body == b""
        again = over.sync('<mailboxCreate id="c" mailbox="two"/><bye id="d"/>', seq=1)
        assert errors(again.xml) == [("c", None), ("d", None)] and over.sync("", seq=2).status == 550
        assert s.sync("", seq=7).status == 500
        s.ack = 1
        server.deliver("Subject: two\r\n\r\nx\r\n")
        assert [(m.tag, m.get("folder"), m.get("mode")) for m in s.drain()] == [("folderReport", "in", "notify")]
        rows = s.sync('<folderSync id="s" folder="in" limit="9"/>', seq=9).xml
        assert [(m.get("mode"), m.findtext("Subject")) for m in rows if m.tag == "folderReport"] == [("added", "two")]
        cookie, bound.fields = bound.fields, {}
        assert bound.sync('<noop id="x"/>', seq=2).status == 550
        bound.fields = cookie
        assert errors(bound.sync('<noop id="x"/>', seq=2).xml) == [("x", None)]
        # a second time, by a keeper that has been handed it itself
        exchange(server, 2)
        assert errors(s.sync('<folderClose id="f" folder="in"/><bye id="g"/>', seq=10).xml) == [("f", None), ("g", None)]
        assert errors(s.sync("", seq=10).xml) == [("f", None), ("g", None)]
        assert "handed over" not in server.log().replace("sessions are handed over", "")


class Typist(threading.Thread):
    """A client that makes mailboxes, one a batch, and asks again when a reply is lost, as the official one does."""

    def __init__(self, server, name):
        super().__init__()
        self.server, self.name, self.session = server, name, server.web_session()
        self.made, self.repeats, self.problem, self.over = 0, 0, None, False

    def run(self):
        conn = None
        try:
            while not self.over:
                box = "%s-%d" % (self.name, self.made)
                try:
                    conn = conn or self.server.web()
                    reply = self.session.sync('<mailboxCreate id="c" mailbox="%s"/>' % box, seq=self.made, conn=conn)
                except (Lost, OSError):
                    conn, self.repeats = None, self.repeats + 1
                    continue
                if reply.status == 503:
                    time.sleep(0.2)
                    continue
                assert reply.status == 200 and errors(reply.xml) == [("c", None)], reply
                self.made += 1
                time.sleep(0.01)
                if not reply.stays:
                    conn = None
        except (AssertionError, socket.timeout) as e:
            self.problem = e


class Listener(threading.Thread):
    """Polls all the time; counts the events that it hears."""

    def __init__(self, server):
        super().__init__()
        self.session, self.notifies, self.problem, self.over = server.web_session(), 0, None, False

    def run(self):
        try:
            self.session.sync('<folderOpen id="o" folder="in" mailbox="INBOX"><field>Subject</field></folderOpen>', seq=1)
            while not self.over:
                try:
                    heard = self.session.drain(2)
                except (Lost, OSError):
                    continue
                if heard:
                    self.notifies += 1
                    self.session.sync('<folderSync id="s" folder="in" limit="99"/>')
        except AssertionError as e:
            self.problem = e


def test_clients_at_work(tmp_path):
    """Numbered batches and polls go on while keepers and workers are exchanged, twice: each is carried out once, none is lost."""
    with WebUpgradable(tmp_path, server="keepers = 2\nworkers = 2\n", conf="[limits]\nmailboxes = 100000\n") as server:
        typists = [Typist(server, "t%d" % n) for n in range(4)]
        listeners = [Listener(server) for _ in range(3)]
        for t in typists + listeners:
            t.start()
        for count in (1, 2):
            exchange(server, count)
            server.deliver("Subject: %d\r\n\r\nx\r\n" % count)
            time.sleep(1)
        wait_for(lambda: all(t.problem or t.made > 20 for t in typists) and all(t.problem or t.notifies for t in listeners))
        for t in typists + listeners:
            t.over = True
        for t in typists + listeners:
            t.join()
        assert [t.problem for t in typists + listeners] == [None] * 7
        assert all(t.made > 20 for t in typists), [(t.made, t.repeats) for t in typists]
        assert all(t.notifies >= 1 for t in listeners)
        there = typists[0].session.sync('<mailboxList id="l" filter="*"/>', seq=9999).xml
        names = {m.get("mailbox") for m in there if m.tag == "mailbox"}
        made = {"%s-%d" % (t.name, n) for t in typists for n in range(t.made)}
        # one more may have been made whose reply its client was not told any more
        assert made <= names and len(names - made - {"INBOX"}) <= len(typists)
