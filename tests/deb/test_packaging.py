# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The ximssd authors
"""What can be seen of the Debian packages without building them; `make deb-check` builds, installs and runs them."""
import email
import email.utils
import fnmatch
import glob
import os
import re
import shlex
import subprocess

import pytest
from installed import to_be_installed

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
DEBIAN = os.path.join(ROOT, "conf/debian")


def read(path):
    with open(os.path.join(ROOT, path), encoding="utf-8") as f:
        return f.read()


VERSION = re.search(r"^VERSION := (\S+)$", read("Makefile"), re.M).group(1)


@pytest.fixture(scope="module")
def tree(tmp_path_factory):
    """The source tree of the packages, as `make deb` makes it."""
    build = tmp_path_factory.mktemp("deb")
    done = subprocess.run(["make", "-s", f"BUILD={build}", "MAINTAINER=Ann, & Sons <ann@example.org>", "deb-tree"], cwd=ROOT,
                          capture_output=True, text=True, timeout=120, check=False,
                          env=dict(os.environ, SOURCE_DATE_EPOCH="1700000000"))
    assert done.returncode == 0, done.stderr
    return os.path.join(build, "deb", f"ximssd-{VERSION}")


def paragraphs(text):
    return [email.message_from_string(p) for p in re.split(r"\n\n+", text.strip())]


def names(field):
    """The packages of a Depends field."""
    return {re.match(r"\s*([a-z0-9${}:.+-]+)", word, re.I).group(1) for word in field.replace("\n", " ").split(",") if word.strip()}


def test_control(tree):
    source, *packages = paragraphs(open(os.path.join(tree, "debian/control")).read())
    assert source["Source"] == "ximssd" and source["Maintainer"] == "Ann, & Sons <ann@example.org>"
    assert {p["Package"] for p in packages} == {"ximssd", "ximssd-tools"}
    for package in packages:
        assert {"${shlibs:Depends}", "${misc:Depends}"} <= names(package["Depends"])
        first, *rest = package["Description"].splitlines()
        assert 0 < len(first) <= 80 and rest and all(len(line) <= 80 for line in rest)
    # what the tree needs to be built is the same everywhere
    libraries = {line.split()[1] for line in read(".ci/packages").splitlines() if line.startswith("build ")}
    libraries -= {"gcc", "make", "libc6-dev"}  # build-essential
    assert names(source["Build-Depends"]) - {"debhelper-compat", "dh-sequence-installsysusers"} == libraries


def test_changelog(tree):
    lines = open(os.path.join(tree, "debian/changelog")).read().splitlines()
    assert re.fullmatch(r"ximssd \(%s\) \w+; urgency=\w+" % re.escape(VERSION), lines[0])
    name, date = re.fullmatch(r" -- (.*?)  (.*)", lines[-1]).groups()
    assert name == "Ann, & Sons <ann@example.org>"
    assert email.utils.parsedate_to_datetime(date).timestamp() == 1700000000
    assert VERSION in read("NEWS")


def test_copyright(tree):
    head, *files, licence = paragraphs(open(os.path.join(tree, "debian/copyright")).read())
    assert head["Format"].startswith("https://www.debian.org/doc/packaging-manuals/copyright-format/1.0")
    assert [f["Files"] for f in files] == ["*"] and files[0]["License"] == licence["License"].splitlines()[0] == "MIT"
    text = [("" if line == " ." else line[1:]) for line in licence["License"].splitlines()[1:]]
    assert "\n".join(text).strip() == read("LICENSE").split("The ximssd authors\n", 1)[1].strip()


def test_every_installed_file_is_in_one_package():
    lists = {os.path.basename(p)[:-len(".install")]: read(p).split() for p in glob.glob(os.path.join(DEBIAN, "*.install"))}
    rules = read("conf/debian/rules")
    units = re.search(r"^export UNITDIR = /(\S+)$", rules, re.M).group(1)
    removed = re.findall(r"^\trm debian/tmp/(\S+)$", rules, re.M)
    used = set()
    for path in to_be_installed(units=units):
        where = [(package, pattern) for package, patterns in lists.items() for pattern in patterns if fnmatch.fnmatch(path, pattern)]
        used |= set(where)
        assert len(where) == (path not in removed), (path, where)
    assert used == {(package, pattern) for package, patterns in lists.items() for pattern in patterns}


def test_a_tool_and_its_page_are_together():
    for path in glob.glob(os.path.join(DEBIAN, "*.install")):
        listed = read(path).split()
        for program in (os.path.basename(p) for p in listed if "bin/" in p):
            assert any(fnmatch.fnmatch(p, f"usr/share/man/man[18]/{program}.[18]") for p in listed), program


def test_scripts(tree):
    scripts = [p for p in glob.glob(os.path.join(tree, "debian/*")) if re.search(r"\.(pre|post)(inst|rm)$", p)]
    assert scripts
    for path in scripts:
        text = open(path).read()
        assert text.startswith("#!/bin/sh\n") and "\nset -e\n" in text and "#DEBHELPER#" in text
        assert subprocess.run(["sh", "-n", path], check=False).returncode == 0
    assert os.access(os.path.join(tree, "debian/rules"), os.X_OK)


def test_purge_keeps_mail(tmp_path):
    """The script at purge, with its paths under another root: accounts and mail stay; what the server made goes."""
    script = read("conf/debian/ximssd.postrm").replace("/var/", f"{tmp_path}/var/")

    def purge(*files):
        for path in files:
            target = tmp_path / "var" / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text("x")
        done = subprocess.run(["sh", "-c", script, "postrm", "purge"], capture_output=True, text=True, timeout=120, check=False)
        assert done.returncode == 0, done.stderr
        return {os.path.relpath(os.path.join(d, f), tmp_path / "var") for d, _, fs in os.walk(tmp_path / "var") for f in fs}, done.stderr

    own = ("lib/ximssd/tls-cert.pem", "lib/ximssd/tls-key.pem", "lib/ximssd/banks", "log/ximssd/ximssd.log")
    left, said = purge(*own, "lib/ximssd/accounts.db", "lib/ximssd/bank-00.db")
    assert left == {"lib/ximssd/accounts.db", "lib/ximssd/bank-00.db", "lib/ximssd/banks"} and "still in" in said
    os.unlink(tmp_path / "var/lib/ximssd/accounts.db")
    left, said = purge("lib/ximssd/bank-00.db")
    assert left == {"lib/ximssd/bank-00.db"}  # what we do not know stays
    os.unlink(tmp_path / "var/lib/ximssd/bank-00.db")
    left, said = purge("lib/ximssd/banks")
    assert left == set() and said == "" and not (tmp_path / "var/lib/ximssd").exists()


def test_other_ends_keep_everything(tmp_path):
    """Removal and upgrade run the same script."""
    script = read("conf/debian/ximssd.postrm").replace("/var/", f"{tmp_path}/var/")
    (tmp_path / "var/lib/ximssd").mkdir(parents=True)
    (tmp_path / "var/lib/ximssd/tls-key.pem").write_text("x")
    for argument in ("remove", "upgrade", "failed-upgrade", "abort-install", "abort-upgrade", "disappear"):
        subprocess.run(["sh", "-c", script, "postrm", argument], timeout=120, check=True)
        assert (tmp_path / "var/lib/ximssd/tls-key.pem").exists()


def test_lists_name_packages_that_the_rules_build():
    """debhelper finds files by the package's name: a file for a package that is not built is forgotten in silence."""
    packages = set(re.findall(r"^Package: (\S+)$", read("conf/debian/control"), re.M))
    for name in os.listdir(DEBIAN):
        if "." in name:
            assert name.rsplit(".", 1)[0] in packages, name
    for line in re.findall(r"^\tdh_installsystemd (.*)$", read("conf/debian/rules"), re.M):
        unit = shlex.split(line)[-1]
        assert os.path.exists(os.path.join(ROOT, "conf", unit)), unit
