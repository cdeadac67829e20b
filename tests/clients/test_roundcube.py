# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The ximssd authors
"""The password driver of Debian's Roundcube, unmodified, against a live server.

It writes three messages in one go, reads until the server closes, takes the lack of an error for success, and escapes
nothing. So whatever is in a password, an error with the right id has to come when the password was not changed
(protocol 1, 1.7): what the driver reports is compared with who can log in afterwards.
"""
import itertools
import os
import subprocess

import pytest
from ximss import PATIENCE, ROOT, Server, free_port

DRIVER = "usr/share/roundcube/plugins/password/drivers/ximss.php"
HERE = os.path.dirname(os.path.abspath(__file__))
OLD = "swordfish"


@pytest.fixture(scope="module")
def driver():
    """.ci/install unpacks it; nothing of Roundcube is installed."""
    path = os.path.join(ROOT, "build", "unpacked", DRIVER)
    if not os.path.exists(path):
        subprocess.run([os.path.join(ROOT, ".ci", "install"), "check"], check=True, timeout=300)
    with open(path, encoding="utf-8") as f:
        assert "class rcube_ximss_password" in f.read()
    return path


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    with Server(tmp_path_factory.mktemp("roundcube"), conf="[login]\nfail_delay = 0\n", accounts={}) as server:
        yield server


NUMBERS = itertools.count(1)


@pytest.fixture
def account(shared):
    """One of its own for each test: failed logins are counted by account."""
    name = "otto%d" % next(NUMBERS)
    shared.add_account(name, OLD)
    return name + "@harbor.example"


def save(driver, port, old, new, account="otto@harbor.example"):
    done = subprocess.run(["php", os.path.join(HERE, "roundcube_password.php"), driver, "127.0.0.1", str(port)],
                          input="\n".join((account, old, new)), capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert done.returncode == 0 and "Fatal" not in done.stdout, done.stdout + done.stderr
    return done.stdout.strip()


def can_login(server, password, account="otto@harbor.example"):
    """With a client that escapes."""
    client = server.client()
    name, word = (s.replace("&", "&amp;").replace("<", "&lt;").replace('"', "&quot;") for s in (account, password))
    client.send('<login id="L" authData="%s" password="%s"/>' % (name, word))
    _, response = client.until_response("L")
    client.close()
    return response.get("errorNum") is None


def test_password_is_changed(server, driver):
    assert save(driver, server.port, OLD, "battery-staple") == "success"
    assert can_login(server, "battery-staple") and not can_login(server, OLD)
    assert save(driver, server.port, "battery-staple", OLD) == "success"
    assert can_login(server, OLD) and not can_login(server, "battery-staple")


@pytest.mark.parametrize("name", ["otto", "OTTO@HARBOR.EXAMPLE", "otto%harbor.example"])
def test_forms_of_the_name(server, driver, name):
    assert save(driver, server.port, OLD, "battery-staple", name) == "success"
    assert can_login(server, "battery-staple")


def test_letters_of_the_world(server, driver):
    assert save(driver, server.port, OLD, "pàsswörd ключ 鍵") == "success"
    assert can_login(server, "pàsswörd ключ 鍵")
    assert save(driver, server.port, "pàsswörd ключ 鍵", "it's >fine<"[:10]) == "success"
    assert can_login(server, "it's >fine")


def test_wrong_old_password(server, driver):
    assert save(driver, server.port, "oops", "battery-staple") == "connect error"
    assert can_login(server, OLD) and not can_login(server, "battery-staple")


def test_unknown_account(server, driver):
    assert save(driver, server.port, OLD, "battery-staple", "nobody@harbor.example") == "connect error"


def test_new_password_is_too_short(server, driver):
    assert save(driver, server.port, OLD, "x") == "error"
    assert can_login(server, OLD)


# What the driver writes is no XML then, or other XML than it means.
ODD = ["bat&tery", "bat&", "&", "bat<tery", "<battery/>", '<noop id="A002"/>', 'bat"tery', '"', 'battery"', '"battery',
       'bat"tery<&', "]]>", "<![CDATA[", "<!--", "<?x?>", 'a" b', "bat&nothing;tery", "bat&#0;tery", "&#xD800;"]


@pytest.mark.parametrize("new", ODD)
def test_odd_new_password(shared, account, driver, new):
    """Success is reported if, and only if, the new password is the one that the user typed."""
    verdict = save(driver, shared.port, OLD, new, account)
    assert can_login(shared, new, account) == (verdict == "success"), verdict
    assert can_login(shared, OLD, account) == (verdict != "success"), verdict
    if "&" in new or "<" in new or '"' in new:
        assert verdict == "error"


@pytest.mark.parametrize("old", ODD)
def test_odd_old_password(shared, account, driver, old):
    if len(old) < 6:
        old += "-battery"
    shared.ctl("account", "passwd", account, "--password-stdin", stdin=old + "\n")
    assert can_login(shared, old, account)
    verdict = save(driver, shared.port, old, "battery-staple", account)
    assert can_login(shared, "battery-staple", account) == (verdict == "success"), verdict
    assert can_login(shared, old, account) == (verdict != "success"), verdict
    if "&" in old or "<" in old or '"' in old:
        assert verdict == "connect error"


def test_no_server(driver):
    assert save(driver, free_port(), OLD, "battery-staple") == "connect error"
