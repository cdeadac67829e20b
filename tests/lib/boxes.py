# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The ximssd authors
"""Requests over HTTP that show whether they were carried out once: each makes a mailbox that nobody has."""
from xhttp import errors


class Boxes:
    """Who makes one a second time is told so, 562."""
    count = 0

    @classmethod
    def make(cls, ident="m"):
        cls.count += 1
        return '<mailboxCreate id="%s" mailbox="Box %06d"/>' % (ident, cls.count)


def outcome(reply):
    """Of a batch with mailboxCreate as its first request: what it says."""
    return errors(reply.xml)[0][1]
