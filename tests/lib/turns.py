# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The ximssd authors
"""Requests that take turns with two workers, so that no two consecutive ones of an exchange are at the same.

    turns = Turns(server)
    session = Session(server, server.login(turns))       # this at one worker
    session.sync('<noop id="1"/>', conn=turns)           # and this at the other
"""


class Turns:
    """Stands where a Conn may stand that is only asked. More is what web() takes."""

    def __init__(self, server, tls=False, **more):
        self.server, self.tls, self.more = server, tls, more
        first, mine = server.web_on(tls=tls, **more)
        (other,) = [w for w in server.taken_by() if w != mine]
        self.conns = {mine: first, other: server.web_on(other, tls=tls, **more)[0]}
        self.order = [mine, other]

    def _next(self):
        self.order.reverse()
        return self.order[0]

    def ask(self, method, target, body=None, fields=None, **more):
        worker = self._next()
        reply = self.conns[worker].ask(method, target, body, fields, **more)
        if not reply.stays:
            assert self.conns[worker].closed()
            self.conns[worker] = self._open(worker)
        return reply

    def _open(self, worker):
        return self.server.web_on(worker, tls=self.tls, **self.more)[0]

    def new(self):
        """A connection of its own at the worker whose turn it is: for what is not answered at once."""
        return self._open(self._next())

    def close(self):
        for conn in self.conns.values():
            conn.close()
