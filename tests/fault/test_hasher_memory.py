# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The ximssd authors
"""A hasher that can map no memory cannot check a password: the server's failure, and nobody's failed login (errors, 599)."""
import json

from faults import FaultServer, note

PASSWORD = "correct-horse"
LIMITS = "[login]\nfail_account = 3\nfail_address = 3\nverify_cache = 0\n"
MOST = 50  # calls that one check may make


def failing(server, act, ok):
    """act() while the 1st, 2nd ... mmap of the hasher fails, until none is left to fail: its results."""
    said = []
    for n in range(1, MOST):
        server.faults.arm("mmap", error="ENOMEM", role="hasher", nth=n)
        got = act()
        if not server.faults.disarm().fired:
            assert got == ok
            return said
        said.append(got)
    raise AssertionError("there is no end of it: %s" % said)


def test_right_password(tmp_path):
    with FaultServer(tmp_path, {"dora": PASSWORD}, conf=LIMITS) as server:
        said = []
        for _ in range(5):  # more than the failed logins that block
            said += failing(server, lambda: server.why_no_login("dora", PASSWORD), None)
        assert said and set(said) == {599}
        assert "a password could not be checked: no memory" in server.log()
        tries = json.loads(server.ctl("--json", "why-login", "dora").stdout)
        reasons = [t["reason"] for t in tries["attempts"]]
        assert "wrong password" not in reasons and "the server failed; its log says why" in reasons
        assert server.counters()["ximssLoginsFailed"] == 0
        assert server.why_no_login("dora", "wrong") == 515  # counted from one
        note("a hasher without memory", logins_failing=len(said))


def test_change_of_password(tmp_path):
    with FaultServer(tmp_path, {"dora": PASSWORD}, conf=LIMITS) as server:
        client = server.login("dora", PASSWORD)
        passwords = [PASSWORD]

        def change():
            new = "secret-%d" % len(passwords)
            answer = client.ask('<passwordModify id="p" oldPassword="%s" newPassword="%s"/>' % (passwords[-1], new))
            if answer.ok:
                passwords.append(new)
            return answer.error
        said = failing(server, change, None)
        assert said and set(said) == {599}
        assert len(passwords) == 2 and server.why_no_login("dora", PASSWORD) == 515
        assert server.why_no_login("dora", passwords[1]) is None
