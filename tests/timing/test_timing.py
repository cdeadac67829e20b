# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The ximssd authors
"""A name that does not exist takes the same time as a wrong password (protocol 1, 3.9; security.md 2.2): rank tests over
logins in random order. The short form is strict about what it calls a difference, so that a busy machine makes none; the long
form takes 2,000 logins of each kind and says what it found."""
import base64
import os
import random
import statistics
import time

import pytest
from rank import mann_whitney
from ximss import Server

LONG = "XIMSSD_LONG" in os.environ
COUNT = {"password": 200, "scram": 600, "cram": 600, "session_id": 600}
# One in a million short runs may be wrong; the long form, which is looked at, repeats what has less than one in a hundred.
ALPHA = 0.01 if LONG else 1e-6
UNSEEN = 0.01  # ms; one question to another process costs some 0.05
CONF = """[login]
hash_cost = %d
fail_delay = 0
fail_connection = 1000
fail_account = 1000000
fail_address = 1000000
cram = yes
"""
SERVER = "workers = 1\nhashers = 1\nkeepers = 2\n"
NAMES = ["known%02d" % i for i in range(8)]
NOBODY = ["nobod%02d" % i for i in range(8)]


def test_the_statistic_itself():
    """Worked examples: of SciPy's manual (without ties), and of R's wilcox.test (`airquality`, May and August, with ties)."""
    males, females = [19, 22, 16, 29, 24], [20, 11, 17, 12]
    u, p = mann_whitney(males, females)
    assert u == 17 and p == pytest.approx(0.11134688653314041, rel=1e-9)
    assert mann_whitney(females, males) == (3, pytest.approx(p))
    may = [41, 36, 12, 18, 28, 23, 19, 8, 7, 16, 11, 14, 18, 14, 34, 6, 30, 11, 1, 11, 4, 32, 23, 45, 115, 37]
    august = [39, 9, 16, 78, 35, 66, 122, 89, 110, 44, 28, 65, 22, 59, 23, 31, 44, 21, 9, 45, 168, 73, 76, 118, 84, 85]
    u, p = mann_whitney(may, august)
    assert u == 127.5 and p == pytest.approx(0.0001208, rel=1e-3)
    assert mann_whitney([1, 1, 1], [1, 1]) == (3, 1.0)


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    folder = tmp_path_factory.mktemp("timing")
    with Server(folder, conf=CONF % 1, server=SERVER, accounts=dict.fromkeys(NAMES, "correct-horse")) as s:
        s.rewrite(conf=CONF % 2, server=SERVER)
        assert s.reload() == ""
        s.add_account("dearer", "correct-horse")  # whose hash costs more than that of a made-up name
        s.rewrite(conf=CONF % 1, server=SERVER)
        assert s.reload() == ""
        for name in NAMES[::2]:
            s.session(name, "correct-horse").close()  # verified and remembered, the others not
        yield s


@pytest.fixture(scope="module")
def banks(server):
    """{bank as a session id says it: names of accounts there}"""
    found = {}
    for name in NAMES:
        client = server.client()
        found.setdefault(client.login(name, "correct-horse").get("urlID")[7:9], []).append(name)
        client.close()
    return found


def b64(text):
    return base64.b64encode(text.encode()).decode()


def password(name):
    return '<login id="L" authData="%s" password="oops"/>' % name, None


def scram(name):
    """Both steps; the proof is nobody's."""
    nonce = "%032x" % random.getrandbits(128)

    def final(challenge):
        theirs = base64.b64decode(challenge).decode().split(",")[0][2:]
        return "c=biws,r=%s,p=%s" % (theirs, base64.b64encode(bytes(32)).decode())
    return '<login id="L" method="SCRAM-SHA-256" authData="%s"/>' % b64("n,,n=%s,r=%s" % (name, nonce)), final


def cram(name):
    return '<login id="L" method="CRAM-MD5"/>', lambda _: name + " " + "0" * 32


class Prober:
    def __init__(self, server):
        self.server, self.client, self.left = server, None, 0

    def took(self, form, name):
        """Seconds that the server took for one login of that form that must fail."""
        if self.left == 0:
            if self.client:
                self.client.close()
            self.client, self.left = self.server.client(), 900
        self.left -= 1
        request, answer = form(name)
        begin = time.perf_counter()
        self.client.send(request)
        message = self.client.raw()
        spent = time.perf_counter() - begin
        if answer:
            challenge = message.split(b'value="')[1].split(b'"')[0]
            request = '<auth id="L" value="%s"/>' % b64(answer(challenge))
            begin = time.perf_counter()
            self.client.send(request)
            message = self.client.raw()
            spent += time.perf_counter() - begin
        assert message == b'<response id="L" errorText="incorrect password or account name" errorNum="515"/>', message
        return spent


def compare(server, form, one, other, count):
    """Logins of names of either kind in random order, on a warm server: (p, chance, difference of the medians in ms)."""
    prober, kinds, took = Prober(server), [0, 1] * count, ([], [])
    for i in range(20):
        prober.took(form, (one, other)[i % 2][0])
    random.shuffle(kinds)
    for kind in kinds:
        took[kind].append(prober.took(form, random.choice((one, other)[kind])))
    u, p = mann_whitney(*took)
    apart = (statistics.median(took[0]) - statistics.median(took[1])) * 1000
    effect = u / count ** 2
    print("%s: p = %.3g, effect %.3f, medians differ by %.4f ms of %.4f" % (
        form.__name__, p, effect, apart, statistics.median(took[1]) * 1000))
    return p, effect, apart


def alike(server, form, known, unknown):
    count = 2000 if LONG else COUNT[form.__name__]
    p, effect, apart = compare(server, form, known, unknown, count)
    if LONG and p <= ALPHA:
        p, effect, apart = compare(server, form, known, unknown, count)
    # On an idle machine the ranks show what no network does: where a row lies in a page. The long form says even that.
    assert p > ALPHA or (not LONG and abs(apart) < UNSEEN), (p, effect, apart)


@pytest.mark.parametrize("form", [password, scram, cram])
def test_known_and_unknown_names(server, form):
    alike(server, form, NAMES, NOBODY)


def test_session_ids(server, banks):
    """An id names the bank where the session is to be; whether an account is kept there is nobody's business either."""
    bank = max(banks)

    def session_id(name):
        return '<login id="L" userName="%s" sessionid="100001-%saaaaaaaaaaaaaaaaaa"/>' % (name, bank), None
    elsewhere = [name for b, names in banks.items() if b != bank for name in names]
    alike(server, session_id, banks[bank], NOBODY)
    if elsewhere:
        alike(server, session_id, banks[bank], elsewhere)


def test_a_difference_is_found(server):
    """The same test sees an account whose hash is dearer; where much else takes time too, among more logins."""
    for count in (60, 240, 960):
        p, effect, _ = compare(server, password, ["dearer"], NOBODY, count)
        if p < 1e-6:
            break
    assert p < 1e-6 and effect > (0.6 if count == 60 else 0.5), (p, effect)
