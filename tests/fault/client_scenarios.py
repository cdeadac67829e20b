# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The ximssd authors
"""What clients and mail servers do while a call fails (world.py)."""
import contextlib

from ledger import RETURN_PATH, Wrong, message, rows_of
from mailview import source
from world import NAMES, scenario
from ximss import Closed


@contextlib.contextmanager
def ends_are_heard(w, what):
    """An error that a fault may cause counts as `what`; what is wrong in any case, and a Hang, goes on to the judge."""
    try:
        yield
    except Wrong:  # is an AssertionError too
        raise
    except (AssertionError, OSError):
        w.heard(what)
    except Closed:
        w.heard("closed")


# --- before login

@scenario
def connect(w):
    yield
    client = w.talk()
    if client:
        w.ask(client, '<noop id="n"/>')
        features = w.ask(client, '<listFeatures id="f"/>')
        if features.ok and features.messages[0].find("sasl") is None:
            raise Wrong("features without login methods")
        w.ask(client, '<bye id="b"/>')
        client.close()
    yield


@scenario
def many_connections(w):
    yield
    clients = [w.talk() for _ in range(8)]
    for client in clients:
        if client:
            w.ask(client, '<readStrings id="r"/>')
            client.close()
    yield


def shake_hands(w, client):
    try:
        client.start_tls(w.server.tls_context())
        return True
    except OSError:
        w.heard("closed")
        return False


@scenario
def starttls(w):
    yield
    client = w.talk()
    if client and w.ask(client, '<starttls id="s"/>').ok and shake_hands(w, client):
        w.ask(client, '<noop id="n"/>')
        w.ask(client, '<login id="L" authData="dora" password="%s"/>' % w.ledger.accounts["dora"].passwords[0])
    yield


# --- login

@scenario
def login(w):
    yield
    for name in NAMES:
        client = w.talk()
        if client:
            answer = w.ask(client, '<login id="L" authData="%s" password="%s"/>' % (name, w.ledger.accounts[name].passwords[0]))
            if answer.ok and [m.tag for m in answer.messages] != ["session"]:
                raise Wrong("a login without a session")
            if answer.error == 515:
                raise Wrong("the right password is said to be wrong")
            client.close()
    yield


@scenario
def login_refused(w):
    yield
    for name in ("dora", "nobody"):
        client = w.talk()
        if client:
            if w.ask(client, '<login id="L" authData="%s" password="wrong"/>' % name).ok:
                raise Wrong("a login with a wrong password")
            client.close()
    yield


@scenario
def login_in_steps(w):
    yield
    client = w.talk()
    if client:
        with ends_are_heard(w, "closed"):
            client.send('<login id="L" method="PLAIN"/>')
            m = client.recv()
            if m.tag == "challenge":
                answer = w.ask(client, '<auth id="L" value="AGRvcmEAd3Jvbmc="/>')  # dora, wrong
                if answer.ok:
                    raise Wrong("a login with a wrong password")
    yield


# --- mail comes in

@scenario
def deliver(w):
    client, ident = w.fresh(), w.ident()
    yield
    (answer,) = w.deliver(ident, 300, ["dora"])
    yield
    w.has(client if client.ask('<noop id="n"/>').ok else w.fresh(), ident, True if answer == 250 else None)


@scenario
def deliver_to_both(w):
    ident = w.ident()
    yield
    answers = w.deliver(ident, 300000, list(NAMES))
    yield
    for name, answer in zip(NAMES, answers):
        row = w.has(w.fresh(name), ident, True if answer == 250 else None, name)
        if answer == 250 and int(row.findtext("SIZE")) != len(RETURN_PATH + message(ident, 300000)):
            raise Wrong("%s is cut" % ident)


# --- reading

@scenario
def list_mailboxes(w):
    client = w.fresh()
    yield
    answer = w.ask(client, '<mailboxList id="l" filter="*"/>')
    if answer.ok:
        has = {m.get("mailbox") for m in answer.messages}
        missing = [b for b, there in w.ledger.accounts["dora"].boxes.items() if there and b not in has]
        if missing:
            raise Wrong("a list without %s" % missing)
    yield


@scenario
def open_and_browse(w):
    client = w.fresh()
    w.prepare(client, count=2)
    idents = [i for i, m in w.ledger.accounts["dora"].mail.items() if m.there]
    client = w.fresh()
    yield
    answer = w.ask(client, '<folderOpen id="o" folder="x" mailbox="INBOX" sortField="Subject"><field>Message-ID</field>'
                           '</folderOpen>')
    if answer.ok:
        count = int(answer.messages[0].get("messages"))
        answer = w.ask(client, '<folderBrowse id="b" folder="x"><index from="0" till="99999"/></folderBrowse>')
        rows = [m.findtext("Message-ID").strip("<>").split("@")[0] for m in answer.messages if m.get("id") == "b"]
        if answer.ok and (len(rows) != count or set(idents) - set(rows)):
            raise Wrong("%d rows of %d, without %s" % (len(rows), count, set(idents) - set(rows)))
        w.ask(client, '<folderClose id="c" folder="x"/>')
    yield


@scenario
def read_message(w):
    client = w.fresh()
    ((ident, uid),) = w.prepare(client)
    yield
    answer = w.ask(client, '<folderRead id="r" folder="INBOX" UID="%s" totalSizeLimit="-1"/>' % uid)
    if answer.ok and (answer.messages[0].tag != "folderMessage" or ident not in answer.messages[0].find("EMail").findtext("Subject")):
        raise Wrong("another message")
    with ends_are_heard(w, "error"):
        if answer.ok and source(client, uid).replace(b"\r\n", b"\n") != (RETURN_PATH + message(
                ident, 200)).replace(b"\r\n", b"\n"):
            raise Wrong("other bytes")
    yield


@scenario
def two_sessions(w):
    """One marks, the other hears of it and synchronises."""
    one, two = w.fresh(), w.fresh()
    ((ident, uid),) = w.prepare(one)
    rows_of(two, ident="two")
    yield
    answer = w.ask(one, '<messageMark id="m" folder="INBOX" flags="Flagged"><UID>%s</UID></messageMark>' % uid)
    w.ledger.accounts["dora"].marked(ident, "Flagged", True, answer)
    sync = w.ask(two, '<folderSync id="s" folder="INBOX"/>')
    if answer.ok and sync.ok:
        updated = [m for m in sync.messages if m.get("mode") == "updated" and m.get("UID") == uid]
        if not updated or "Flagged" not in updated[0].findtext("FLAGS"):
            raise Wrong("a synchronisation without what was acknowledged")
    yield
    check_flag(w, ident, "Flagged")


def check_flag(w, ident, flag):
    row = w.has(w.fresh(), ident, True)
    if (flag in (row.findtext("FLAGS") or "").split(",")) not in w.ledger.accounts["dora"].mail[ident].flags[flag]:
        raise Wrong("%s: %s is not as it was acknowledged" % (ident, flag))


# --- changes

@scenario
def create_mailbox(w):
    client, name = w.fresh(), "box %s" % w.ident()
    yield
    w.ledger.accounts["dora"].created(name, w.ask(client, '<mailboxCreate id="c" mailbox="%s"/>' % name))
    yield
    has = {m.get("mailbox") for m in w.fresh().ask('<mailboxList id="l" filter="*"/>').messages}
    there = w.ledger.accounts["dora"].boxes[name]
    if there is not None and there != (name in has):
        raise Wrong("mailbox %s %s" % (name, "is lost" if there else "was refused and is there"))


@scenario
def mark(w):
    client = w.fresh()
    ((ident, uid),) = w.prepare(client)
    yield
    answer = w.ask(client, '<messageMark id="m" folder="INBOX" flags="Seen"><UID>%s</UID></messageMark>' % uid)
    w.ledger.accounts["dora"].marked(ident, "Seen", True, answer)
    yield
    check_flag(w, ident, "Seen")


@scenario
def remove(w):
    client = w.fresh()
    ((ident, uid),) = w.prepare(client)
    yield
    answer = w.ask(client, '<messageRemove id="r" folder="INBOX" mode="Immediately"><UID>%s</UID></messageRemove>' % uid)
    w.ledger.accounts["dora"].removed(ident, answer)
    yield
    w.has(w.fresh(), ident, w.ledger.accounts["dora"].mail[ident].there)


@scenario
def expunge(w):
    """Some are marked, then all that are marked go: also those of before that were left by a fault."""
    client = w.fresh()
    found = w.prepare(client, count=3)
    yield
    mails = w.ledger.accounts["dora"].mail
    answer = w.ask(client, '<messageMark id="m" folder="INBOX" flags="Deleted">%s</messageMark>' % "".join(
        "<UID>%s</UID>" % uid for _, uid in found))
    if answer.ok:
        answer = w.ask(client, '<folderExpunge id="x" folder="INBOX"/>')
    elif not answer.doubt:
        answer = None  # refused: they stay
    for ident, _ in found if answer else ():
        # in steps: an error leaves some of them; a later one takes all that were marked
        mails[ident].there = False if answer.ok else None
    yield
    for ident, _ in found:
        w.has(w.fresh(), ident, mails[ident].there)


@scenario
def change_password(w):
    client, account = w.fresh("otto"), w.ledger.accounts["otto"]
    (old,), new = account.passwords, "secret-%s" % w.ident()
    yield
    answer = w.ask(client, '<passwordModify id="p" oldPassword="%s" newPassword="%s"/>' % (old, new))
    if answer.error == 515:
        raise Wrong("the right password is said to be wrong")
    account.password_changed(new, answer)
    yield
    w.fresh("otto")
    if w.server.login("otto", old if account.passwords == [new] else new):
        raise Wrong("two passwords hold")
