# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The ximssd authors
"""Folders through a session: rows, sources, and a client's copy of a view that lives from folderSync reports alone."""
import xml.etree.ElementTree as ET
from xml.sax.saxutils import quoteattr

FIELDS = ("FLAGS", "E-From", "Subject", "INTERNALDATE", "SIZE")


def open_folder(client, folder="INBOX", mailbox=None, fields=FIELDS, more=""):
    """folderOpen; its init report."""
    request = '<folderOpen id="open" folder=%s mailbox=%s %s>%s</folderOpen>' % (
        quoteattr(folder), quoteattr(mailbox or folder), more, "".join("<field>%s</field>" % f for f in fields))
    reports, _ = client.call(request)
    reports = [r for r in reports if r.get("id")]
    assert len(reports) == 1 and reports[0].tag == "folderReport" and reports[0].get("mode") == "init"
    return reports[0]


def browse(client, folder="INBOX", what='<index from="0" till="999999"/>'):
    """The rows of folderBrowse."""
    rows, _ = client.call('<folderBrowse id="browse" folder=%s>%s</folderBrowse>' % (quoteattr(folder), what))
    rows = [r for r in rows if r.get("id")]
    assert all(r.tag == "folderReport" and "mode" not in r.attrib for r in rows)
    return rows


def read(client, uid, folder="INBOX", more=""):
    """folderRead: the folderMessage."""
    messages, _ = client.call('<folderRead id="read" folder=%s UID="%s" totalSizeLimit="-1" %s/>' % (
        quoteattr(folder), uid, more))
    messages = [m for m in messages if m.get("id")]
    assert len(messages) == 1 and messages[0].tag == "folderMessage"
    return messages[0]


def source_text(client, uid, folder="INBOX"):
    return read(client, uid, folder, 'mode="source"').find("EMail").text or ""


def source(client, uid, folder="INBOX"):
    """The bytes of a message, from mode="source": UTF-8, else ISO 8859-1 (protocol 2, 5.6); as far as that is unambiguous."""
    text = source_text(client, uid, folder)
    try:
        latin = text.encode("iso-8859-1")
        latin.decode("utf-8")
    except UnicodeEncodeError:
        return text.encode("utf-8")
    except UnicodeDecodeError:
        return latin
    return text.encode("utf-8")


def content(row):
    """A row or report without what differs between the two: (UID, fields)."""
    return row.get("UID"), tuple(ET.tostring(field) for field in row)


class Copy:
    """What a client knows that applies the reports of folderSync one after another (protocol 2, 4.6)."""

    def __init__(self, client, folder, mailbox="INBOX", more=""):
        self.client, self.folder = client, folder
        init = open_folder(client, folder, mailbox, more=more)
        self.rows = [content(r) for r in browse(client, folder)]
        assert len(self.rows) == int(init.get("messages"))

    def unseen(self):
        return sum(b"Seen" not in fields[0] for _, fields in self.rows)

    def apply(self, report):
        index, mode = int(report.get("index")), report.get("mode")
        uid, fields = content(report)
        if mode == "removed":
            assert not fields and self.rows.pop(index)[0] == uid
        elif mode == "updated":
            assert self.rows[index][0] == uid
            self.rows[index] = (uid, fields)
        else:
            assert mode == "added", ET.tostring(report)
            self.rows.insert(index, (uid, fields))
        assert int(report.get("messages")) == len(self.rows)
        assert int(report.get("unseen")) == self.unseen()

    def sync(self, limit=None):
        """folderSync; its reports, applied. Notifications, of whatever folder, may come in between."""
        more = ' limit="%d"' % limit if limit else ""
        reports, _ = self.client.call('<folderSync id="sync" folder="%s"%s/>' % (self.folder, more))
        for r in [r for r in reports if not r.get("id")]:
            assert r.tag == "folderReport" and list(r.attrib) == ["folder", "mode"] and r.get("mode") == "notify"
        reports = [r for r in reports if r.get("id")]
        order = [("removed", "updated", "added").index(r.get("mode")) for r in reports]
        assert order == sorted(order)
        for r in reports:
            self.apply(r)
        return reports
