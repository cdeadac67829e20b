# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The ximssd authors
"""Clients over TCP, and senders of mail, for test_storm.py."""
import base64
import os
import smtplib
import socket
import struct
import time

from stormworld import MESSAGE, PATIENCE, Guest, Wrong, lines_of
from xhttp import cram
from ximss import Client, Closed


class Cut(Exception):
    """The client itself has ended the connection."""


class TcpGuest(Guest):
    """Logs in one way or another, pipelines requests, and leaves in good manners or without."""

    def step(self):
        self.known, since = None, time.monotonic()
        self.doing = "connecting"
        try:
            self.client = self.connect()
            account = self.login()
            if account is not None:
                self.known = self.world.opened(account, self.url_id, False)
                self.visit(account)
        except Cut:
            pass
        except TimeoutError as e:
            raise Wrong("no answer in time") from e
        except (Closed, ConnectionError, BrokenPipeError, OSError, AssertionError) as e:
            if isinstance(e, Wrong):
                raise
            # an end inside a message is an assertion of Client.raw()
            if not self.world.excused(since) and not (self.known and self.world.ended(self.known)):
                raise Wrong("the connection was lost: %r" % e) from e
        finally:
            if self.known is not None:
                self.world.gone(self.known)

    def connect(self):
        s = self.server
        port, tls = self.rng.choice(((s.port, False), (s.tls_port, True), (s.http_port, False), (s.https_port, True)))
        client = Client(("127.0.0.1", port), tls=s.tls_context() if tls else None, timeout=PATIENCE)
        if not tls and port == s.port and self.rng.random() < 0.2:
            client.call('<starttls id="t"/>')
            client.start_tls(s.tls_context())
        return client

    def login(self):
        """The account; None: it was refused, as it should be."""
        account, password = self.account()
        how = self.rng.choice(("plain", "plain", "sasl", "cram", "wrong", "id", "nobody"))
        self.doing = "login " + how
        refused = None if how == "cram" else how in ("wrong", "nobody")  # a nonce is worth nothing to the next auth
        if how == "cram":
            nonce = self.client.call('<listFeatures id="f"/>')[0][0].findtext("nonce")
            text = '<login id="L" userName="%s" nonce="%s" authData="%s"/>' % (account, nonce, cram(nonce, password))
        elif how == "sasl":
            plain = base64.b64encode(b"\0%s\0%s" % (account.encode(), password.encode())).decode()
            text = '<login id="L" method="PLAIN" authData="%s"/>' % plain
        elif how == "id":
            old = self.world.some_session(self.rng)
            if old is None:
                return None
            account, kill = old.account, self.rng.random() < 0.5
            old.ended, refused = old.ended or kill, None  # it may be over by then
            text = '<login id="L" userName="%s" sessionid="%s"%s/>' % (account, old.url_id, ' killOld="1"' if kill else "")
        else:
            name = "nobody" if how == "nobody" else account
            text = '<login id="L" authData="%s@harbor.example" password="%s"/>' % (name, "x" if how == "wrong" else password)
        self.send(text.encode() + b"\0")
        if self.rng.random() < 0.05:
            self.cut()
        messages, response = self.client.until_response("L")
        failed = response.get("errorNum")
        if failed is None and refused is True or failed is not None and refused is False and failed != "583":
            raise Wrong("login %s: %s" % (how, response.attrib))
        if failed is not None:
            self.client.close()
            return None
        self.url_id = messages[0].get("urlID")
        return account

    def visit(self, account):
        for _ in range(self.rng.randint(1, 4)):
            if not self.world.going:
                break
            first = ('<folderOpen id="F" folder="f" mailbox="INBOX" sortField="Subject"><field>Subject</field></folderOpen>', None)
            requests = [("F", *first)] * (self.rng.random() < 0.6) + self.requests(account, "f", self.rng.randint(1, 25))
            self.burst(account, requests)
        self.doing = "leaving"
        how = self.rng.choice(("bye", "fin", "rst"))
        if how == "bye":
            self.send(b'<bye id="B"/>\0')
            while self.client.recv().get("id") != "B":
                pass
            if not self.client.closed():
                raise Wrong("open after bye")
        self.close(how == "rst")

    def burst(self, account, requests):
        """All of them at once; their answers, unless the client is gone."""
        self.doing = "burst of " + " ".join(t.split()[0][1:] for _, t, _ in requests)
        data = b"".join(t.encode() + b"\0" for _, t, _ in requests)
        cut = self.rng.random() < 0.2
        if cut and self.rng.random() < 0.3:
            self.send(data[:self.rng.randrange(len(data))])
            self.cut()
        self.send(data)
        stop_at = self.rng.randrange(len(requests)) if cut else None
        got = []
        for n in range(len(requests)):
            if n == stop_at:
                self.cut()
            response = self.next_response()
            if response is None:
                return
            got.append((response.get("id"), response.get("errorNum")))
            self.told(account, requests, got)

    def next_response(self):
        while True:
            message = self.client.recv()
            if message.tag == "bye":
                if not self.world.ended(self.known):
                    raise Wrong("<bye/> that nobody asked for")
                if not self.client.closed():
                    raise Wrong("open after <bye/>")
                raise Cut
            if message.tag == "response":
                return message

    def send(self, data):
        """In pieces, at times."""
        if self.rng.random() < 0.1:
            at = self.rng.randrange(len(data) + 1)
            self.client.send_bytes(data[:at])
            time.sleep(self.rng.random() * 0.02)
            data = data[at:]
        self.client.send_bytes(data)

    def close(self, reset):
        if reset:
            self.client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.client.close()

    def cut(self):
        time.sleep(self.rng.choice((0, 0, 0.005, 0.03)))
        self.close(self.rng.random() < 0.6)
        raise Cut


class Sender(Guest):
    """Delivers mail; what was taken is there, and what got another answer may be."""

    def __init__(self, world, n):
        super().__init__(world, n)
        self.post = None

    def finish(self):
        super().finish()
        if self.post is not None:
            self.post.close()

    def step(self):
        self.doing = "delivering"
        names = self.rng.sample(("dora", "otto", "pia", "quin"), self.rng.randint(1, 3))
        ident = "storm%d" % self.world.number()
        for name in names:
            self.world.mail[name, ident] = None
        message = MESSAGE % (ident.encode(), ident.encode(), lines_of(os.urandom(self.rng.choice((10, 3000, 60000)))))
        try:
            if self.post is None:
                self.post = self.server.lmtp()
                self.post.sock.settimeout(PATIENCE)
            if self.rng.random() < 0.1:
                self.leave_early(message, names)
                return
            answers = self.post.deliver("ann@example.org", [n + "@harbor.example" for n in names], message)
        except TimeoutError as e:
            raise Wrong("no answer in time") from e
        except (smtplib.SMTPException, OSError, AssertionError):
            self.post = None  # its worker has died, or drains
            time.sleep(0.05)
            return
        for name, (code, text) in zip(names, answers):
            if code not in (250, 451, 452):
                raise Wrong("%s %s" % (code, text))
            if code == 250:
                self.world.mail[name, ident] = True
        time.sleep(self.rng.random() * 0.05)

    def leave_early(self, message, names):
        """Inside the message, or without waiting for the answer."""
        post, self.post = self.post, None
        post.mail("ann@example.org")
        for name in names:
            post.rcpt(name + "@harbor.example")
        post.docmd("DATA")
        post.send(message[:self.rng.randrange(len(message))] if self.rng.random() < 0.5 else message + b".\r\n")
        post.sock.close()
