# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The ximssd authors
"""Clients over HTTP for test_storm.py: numbered batches that are repeated, polls, downloads, uploads, and ends of every kind."""
import socket
import ssl
import time

from httpreply import Reply, check_reply, check_second_reading, length_of, read_head
from stormworld import BINARY, MESSAGES, PATIENCE, Guest, Wrong
from xhttp import Conn, Lost, basic, cram, errors, parameters, request, xml_body

OPEN = '<folderOpen id="%s" folder="f" mailbox="INBOX" sortField="UID"><field>Subject</field><field>FLAGS</field></folderOpen>'


class Over(Exception):
    """The session has ended, as it had to."""


class WebGuest(Guest):
    def step(self):
        self.known = None
        try:
            reply = self.log_in()
            if reply is None:
                return
            (session,) = reply.xml
            self.known = self.world.opened(session.get("userName").split("@")[0], session.get("urlID"), True)
            self.base, self.seq, self.ack, self.fields = "/Session/%s/" % self.known.url_id, 0, 0, {}
            self.visit()
        except Over:
            pass
        finally:
            if self.known is not None:
                self.world.gone(self.known)

    def visit(self):
        self.batch([("o", OPEN % "o", None)])
        for _ in range(self.rng.randint(2, 8)):
            if not self.world.going:
                break
            self.rng.choice((self.sync, self.sync, self.sync, self.async_, self.async_, self.download, self.download, self.page,
                             self.upload, self.waiting_poll, self.unnumbered))()
        self.rng.choice((self.kill, self.kill, self.kill_in_the_middle, self.kill_in_the_middle, self.bye, self.kill_old, self.leave))()

    # --- connections

    def connect(self):
        """Any worker, clear or TLS."""
        tls = self.rng.random() < 0.3
        self.since = time.monotonic()
        return Conn(self.server.https_port if tls else self.server.http_port, tls=self.server.tls_context() if tls else None,
                    timeout=PATIENCE)

    def lost(self, since, e):
        if isinstance(e, TimeoutError):
            raise Wrong("no answer in time") from e
        if not self.world.excused(since) and not self.world.cut_short(since):
            raise Wrong("the connection was lost: %r" % e) from e

    def cut(self, conn):
        time.sleep(self.rng.choice((0, 0, 0.005, 0.03)))
        if self.rng.random() < 0.6:
            conn.cut()
        else:
            conn.close()

    def begin(self, data):
        """The connection on which that request is; None: lost, or cut inside the request."""
        since = time.monotonic()
        try:
            conn = self.connect()
            conn.since = since
            if self.rng.random() < 0.06:
                conn.send(data[:self.rng.randrange(len(data))])
                self.cut(conn)
                return None
            at = self.rng.randrange(len(data)) if self.rng.random() < 0.1 else 0
            if at != 0:
                conn.send(data[:at])
                time.sleep(self.rng.random() * 0.02)
            conn.send(data[at:])
            return conn
        except (Lost, OSError) as e:
            self.lost(since, e)
            return None

    def end(self, conn, cuts=0.1):
        """Its reply; None: lost, or cut."""
        if conn is None:
            return None
        try:
            if self.rng.random() < cuts:
                if self.rng.random() < 0.5:
                    conn.sock.recv(self.rng.randrange(1, 3000))
                self.cut(conn)
                return None
            reply = conn.reply()
            conn.close()
            return reply
        except (Lost, OSError) as e:
            self.lost(conn.since, e)
            return None

    def judge(self, reply, *statuses):
        """550 only when the session was ended."""
        if reply.status == 550 and (self.known is None or self.world.ended(self.known)):
            raise Over
        if reply.status not in statuses:
            raise Wrong("%r, and the session was %sended" % (reply, "" if self.known and self.known.ended else "not "))
        cookie = reply.cookie
        if cookie and self.rng.random() < 0.7:
            self.fields = {"Cookie": "CGateProWebUser=" + cookie}
        return reply

    def until(self, ask, *statuses):
        """ask() until it is answered; 503 means that one should come again."""
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            reply = ask()
            if reply is not None and self.judge(reply, 503, *statuses).status != 503:
                return reply
            if reply is not None:
                time.sleep(0.05)
        raise Wrong("nothing but 503 and lost connections")

    # --- logins

    def log_in(self):
        account, password = self.account()
        how = self.rng.choice(("query", "form", "basic", "cram", "batch", "wrong", "id"))
        self.doing = "login " + how
        name = account + "@harbor.example"
        more = {"errorAsXML": 1, **({"EnableUseCookie": 1} if self.rng.random() < 0.3 else {})}
        fields, body, method = {}, None, "GET"
        if how == "cram":
            nonce = self.until(lambda: self.end(self.begin(request("POST", "/XIMSSLogin/", xml_body('<listFeatures id="f"/>')))), 200)
            nonce = nonce.xml.find("features").findtext("nonce")
            more.update(userName=name, nonce=nonce, authData=cram(nonce, password))
        elif how == "basic":
            fields = basic(name, password)
        elif how == "batch":
            method, body = "POST", xml_body('<listFeatures id="f"/><login id="L" authData="%s" password="%s"/>' % (name, password))
        elif how == "form":
            method, body = "POST", parameters({"userName": name, "password": password})
        elif how == "id":
            old = self.world.some_session(self.rng)
            if old is None:
                return None
            if self.rng.random() < 0.5:
                old.ended = True
                more.update(killOld=1)
            more.update(userName=old.account, sessionid=old.url_id)
        else:
            more.update(userName=name, password="x" if how == "wrong" else password)
        reply = self.end(self.begin(request(method, "/XIMSSLogin/?" + parameters(more), body, fields)))
        if reply is None or self.judge(reply, 200, 503).status == 503:
            return None
        if how == "batch":
            if reply.xml[-1].get("errorNum") is not None:
                raise Wrong("login refused: %r" % reply)
            return None  # its session is left to itself
        if reply.xml[0].tag == "session":
            if how == "wrong":
                raise Wrong("logged in with a wrong password")
            return reply
        # a nonce is worth nothing to the next auth, nor on a link of the other kind
        if how not in ("wrong", "id", "cram") and reply.xml[0].get("errorNum") != "583":
            raise Wrong("login refused: %r" % reply)
        return None

    # --- batches

    def post(self, what, requests, seq=None, **more):
        query = {**more, **({"reqSeq": seq} if seq is not None else {})}
        return request("POST", self.base + what + ("?" + parameters(query) if query else ""), xml_body("".join(t for _, t, _ in requests)),
                       self.fields)

    def batch(self, requests, **more):
        """Numbered, sent until it is answered, at times on two connections at once; its answers."""
        self.seq += 1
        self.doing = "sync %d: %s" % (self.seq, " ".join(t.split()[0][1:] for _, t, _ in requests))
        data = self.post("sync", requests, self.seq, **more)

        def ask():
            if self.rng.random() < 0.3:
                self.race(data)
            return self.end(self.begin(data))
        reply = self.until(ask, 200)
        got = errors(reply.xml)
        if len(got) != len(requests):
            raise Wrong("%d answers to %d requests" % (len(got), len(requests)))
        self.told(self.known.account, requests, got)
        return reply

    def race(self, data):
        """Sends it twice, and reads the older reply: superseded, or the same."""
        first = self.begin(data)
        if self.rng.random() < 0.5:
            time.sleep(self.rng.random() * 0.05)
        second = self.begin(data)
        for conn in self.rng.sample((first, second), 2):
            reply = self.end(conn)
            if reply is not None:
                self.judge(reply, 200, 503)

    def sync(self):
        self.batch(self.requests(self.known.account, "f", self.rng.randint(0, 30)),
                   **({"syncAsync": 1} if self.rng.random() < 0.3 else {}))

    def unnumbered(self):
        requests = self.requests(self.known.account, "f", self.rng.randint(0, 10))
        self.doing = "sync"
        reply = self.end(self.begin(self.post("sync", requests)))
        if reply is not None and self.judge(reply, 200, 503).status == 200:
            self.told(self.known.account, requests, errors(reply.xml))

    def async_(self):
        """All answers come over polls, each once, in order."""
        requests = self.requests(self.known.account, "f", self.rng.randint(1, 20))
        self.seq += 1
        self.doing = "async %d: %s" % (self.seq, " ".join(t.split()[0][1:] for _, t, _ in requests))
        data = self.post("async", requests, self.seq)
        reply = self.until(lambda: self.end(self.begin(data)), 200)
        if reply.body:
            raise Wrong("an answer to async: %r" % reply)
        got, end = [], time.monotonic() + PATIENCE
        while len(got) < len(requests):
            if time.monotonic() > end:
                raise Wrong("polls bring only %s of %d answers" % (got, len(requests)))
            got += self.poll(self.rng.choice((0, 1, 5)))
            self.told(self.known.account, requests, got)

    def poll(self, wait):
        """The responses of the next batch."""
        reply = self.until(lambda: self.end(self.begin(self.poll_request(wait))), 200)
        root = reply.xml
        if len(root) == 0:
            return []
        if any(m.tag == "bye" and m.get("id") is None for m in root):
            self.must_be_over("<bye/> over the poll")
        if int(root.get("respSeq")) != self.ack + 1:
            raise Wrong("respSeq %s after %d" % (root.get("respSeq"), self.ack))
        self.ack += 1
        return errors(root)

    def must_be_over(self, what):
        if not self.world.ended(self.known):
            raise Wrong(what + ", and nobody has ended the session")
        raise Over

    def poll_request(self, wait):
        return request("GET", self.base + "?" + parameters({"ackSeq": self.ack, "maxWait": wait}), fields=self.fields)

    def waiting_poll(self):
        """It waits, and another one comes, or the client goes."""
        self.doing = "polls"
        first = self.begin(self.poll_request(3))
        if self.rng.random() < 0.5 and first is not None:
            self.cut(first)
            return
        second = self.begin(self.poll_request(self.rng.choice((0, 1))))
        for conn in (first, second):
            reply = self.end(conn)
            if reply is not None and self.judge(reply, 200, 503).status == 200:
                if reply.xml.get("respSeq") not in (None, str(self.ack + 1)):
                    raise Wrong("respSeq %s after %d" % (reply.xml.get("respSeq"), self.ack))
                if any(m.tag == "bye" and m.get("id") is None for m in reply.xml):
                    self.must_be_over("<bye/> over the poll")

    # --- files

    def file(self, path, fields=None, slow=False):
        """(status, fields, body) of what may be of any type; None: cut or lost."""
        conn = self.begin(request("GET", self.base + path, fields={**self.fields, **(fields or {})}))
        if conn is None:
            return None
        try:
            if slow:
                conn.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
                time.sleep(self.rng.random() * 0.2)
            head = conn._head_bytes()
            start = read_head(head)
            missing, body = length_of(start[0], start[2]), conn.buffer
            while len(body) < missing:
                if self.rng.random() < (0.02 if slow else 0.01):
                    self.cut(conn)
                    return None
                if slow and self.rng.random() < 0.2:
                    time.sleep(0.005)
                conn.buffer = b""
                conn._more()
                body += conn.buffer
            conn.close()
        except (Lost, OSError) as e:
            if not self.known.ended:  # an end inside the body is then the right one
                self.lost(conn.since, e)
            return None
        reply = Reply(head, body, start)
        check_reply(reply)
        check_second_reading(head, reply, False)
        return self.judge(reply, 200, 206, 416, 503)

    def download(self):
        self.doing = "download"
        a, b = sorted((self.rng.randrange(len(BINARY)), self.rng.randrange(len(BINARY))))
        ranged = self.rng.random() < 0.4
        reply = self.file("MIME/f/%d-02-B/a.png" % self.rng.randrange(1, MESSAGES + 1), {"Range": "bytes=%d-%d" % (a, b)} if ranged else None,
                          self.rng.random() < 0.5)
        if reply is None or reply.status == 503:
            return
        if reply.body != (BINARY[a:b + 1] if reply.status == 206 else BINARY) or ranged != (reply.status == 206):
            raise Wrong("%d with %d bytes that are not those asked for" % (reply.status, len(reply.body)))

    def page(self):
        self.doing = "page"
        reply = self.file("FORMAT/x/f/%d" % self.rng.randrange(1, MESSAGES + 1), slow=self.rng.random() < 0.2)
        if reply is not None and reply.status == 200 and not (reply.body.startswith(b"<!DOCTYPE html>") and
                                                              reply.body.endswith(b"</html>") and b"<script" not in reply.body):
            raise Wrong("a page that is none: %r" % reply.body[:300])

    def upload(self):
        """In pieces, at times given up, at times with the end of the session in the middle."""
        self.doing = "upload"
        data = self.rng.randbytes(self.rng.choice((0, 100, 70000, 900000)))
        how = self.rng.choice(("whole", "whole", "whole", "cut", "kill"))
        name = "u%d" % self.world.number()
        head = request("POST", self.base + "UPLOAD/" + name, data, {**self.fields, "Content-Type": "application/x-raw"})
        head = head[:len(head) - len(data)]
        since = time.monotonic()
        try:
            conn = self.connect()
            conn.since = since
            conn.send(head)
            stop = self.rng.randrange(len(data) + 1) if how != "whole" else len(data)
            for at in range(0, stop, 50000):
                conn.send(data[at:min(at + 50000, stop)])
                if self.rng.random() < 0.3:
                    time.sleep(self.rng.random() * 0.02)
            if how == "cut":
                self.cut(conn)
                return
        except ssl.SSLError as e:
            return self.lost(since, e) if not self.known.ended else None
        except OSError as e:  # it may have been refused by now, and reset
            if isinstance(e, TimeoutError):
                raise Wrong("nobody reads an upload") from e
            return None
        if how == "kill":
            self.kill(go_on=True)
        reply = self.end(conn)
        if how == "kill":
            if reply is not None and reply.status not in (503, 550) and stop < len(data):
                raise Wrong("an upload to a killed session: %r" % reply)
            raise Over
        if reply is not None and self.judge(reply, 200, 413, 503, 507).status == 200 and self.rng.random() < 0.7:
            self.batch([("x", '<uploadRemove id="x" uploadID="%s"/>' % name, None)])
        return None

    # --- ends

    def kill(self, go_on=False):
        self.doing = "KILL"
        self.known.ended = True
        data = request(self.rng.choice(("GET", "POST")), self.base + "KILL", "" if self.rng.random() < 0.5 else None, self.fields)
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            reply = self.end(self.begin(data), 0)
            if reply is not None and reply.status in (200, 550):
                break
            if reply is not None and reply.status != 503:
                raise Wrong("KILL: %r" % reply)
        if not go_on:
            raise Over

    def kill_in_the_middle(self):
        """Of a batch that runs, of one that waits behind it, of a poll and of a download."""
        self.doing = "KILL in the middle"
        some = self.requests(self.known.account, "f", 20)
        conns = [self.begin(self.post("sync", some, self.seq + 1)), self.begin(self.post("sync", some[:0], self.seq + 2)),
                 self.begin(self.poll_request(20)), self.begin(request("GET", self.base + "MIME/f/1-02-B/x", fields=self.fields)),
                 self.begin(request("GET", self.base + "FORMAT/x/f/1", fields=self.fields))]
        time.sleep(self.rng.choice((0, 0.01, 0.05, 0.2)))
        self.kill(go_on=True)
        for conn in conns[:3]:
            reply = self.end(conn)
            if reply is not None and reply.status not in (200, 500, 503, 550):
                raise Wrong("%r after KILL" % reply)
        for conn in conns[3:]:
            if conn is not None:
                conn.close()
        raise Over

    def bye(self):
        """Its reply can be asked for again."""
        self.doing = "bye"
        self.seq += 1
        data = self.post("sync", [("b", '<bye id="b"/>', None), ("n", '<noop id="n"/>', None)], self.seq)
        was, self.known.ended = self.known.ended, True
        reply = self.until(lambda: self.end(self.begin(data)), 200)
        if not was and errors(reply.xml) != [("b", None)]:
            raise Wrong("bye: %r" % reply)
        raise Over

    def kill_old(self):
        self.doing = "killOld"
        self.known.ended = True
        self.end(self.begin(request("GET", "/XIMSSLogin/?" + parameters(
            {"errorAsXML": 1, "userName": self.known.account, "sessionid": self.known.url_id, "killOld": 1}))))
        raise Over

    def leave(self):
        """With something under way, and no word."""
        self.doing = "leaving"
        conn = self.begin(self.post("sync", self.requests(self.known.account, "f", 20), self.seq + 1))
        if conn is not None:
            self.cut(conn)
        raise Over


