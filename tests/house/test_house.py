# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The ximssd authors
"""The house itself: how programs are built, installed and configured, and that the runner of tests tells the truth."""
import glob
import os
import re
import shlex
import shutil
import struct
import subprocess
import sys
import time

import pytest
from installed import TOOLS, to_be_installed

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.environ.get("XIMSSD_BUILD", os.path.join(ROOT, "build"))
MAKE = shlex.split(os.environ.get("XIMSSD_MAKE", f"BUILD={BUILD}"))
SANITIZED = "XIMSSD_SANITIZED" in os.environ
PROGRAMS = [os.path.join(BUILD, name) for name in ["ximssd", *sorted(TOOLS)]]
# Libraries of each tool besides libc and libbsd.
LOADED = {
    "ximss-top-live": {"libncursesw", "libtinfo", "libjansson"},
    "ximssctl": {"libjansson", "libssl", "libcrypto", "libxml2"},
    "ximss": {"libssl", "libcrypto", "libxml2"},
    "ximss-bench": {"libssl", "libcrypto", "libxml2", "libm"},
}
# Programs that another one becomes: they speak under its name, and its page tells of both.
PARTS = {"ximss-top-live": "ximss-top"}


def run(*argv, **kw):
    return subprocess.run(argv, capture_output=True, text=True, timeout=120, **kw)


def ximssd():
    path = os.path.join(BUILD, "ximssd")
    assert os.access(path, os.X_OK), "ximssd was not built"
    return path


# --- programs

@pytest.mark.parametrize("path", PROGRAMS, ids=os.path.basename)
def test_hardened(path):
    out = run("readelf", "-W", "-h", "-l", "-d", "-n", path).stdout
    assert re.search(r"Type:\s+DYN", out), "position independent"
    assert "GNU_RELRO" in out and re.search(r"\(FLAGS\).*BIND_NOW|FLAGS_1.*NOW", out), "full RELRO"
    stack = re.search(r"GNU_STACK.*?(R\S*)\s+0x", out)
    assert stack and "E" not in stack.group(1), "stack cannot be executed"
    # The start files of Debian 12 lack the mark for control-flow protection, so the program as a whole has none: look
    # for its landing pads.
    assert run("objdump", "-d", "--no-show-raw-insn", path).stdout.count("endbr64") > 20
    if not SANITIZED:
        symbols = run("readelf", "-W", "--dyn-syms", path).stdout
        assert "__stack_chk_fail" in symbols and "_chk@" in symbols, "stack protector and FORTIFY"


@pytest.mark.parametrize("name", sorted(TOOLS))
def test_tools_load_few_libraries(name):
    out = run("readelf", "-W", "-d", os.path.join(BUILD, name)).stdout
    needed = {m.split(".so")[0] for m in re.findall(r"NEEDED.*\[([^\]]+)\]", out)}
    assert "libc" in needed
    allowed = {"libc", "libbsd", "libmd"} | LOADED.get(name, set())
    if SANITIZED:
        allowed |= {"libasan", "libubsan", "libm", "libgcc_s"}
    assert needed <= allowed


def test_the_shipped_binary_has_no_test_clock():
    for path in PROGRAMS:
        assert b"XIMSSD_TEST_CLOCK" not in open(path, "rb").read(), path
    assert b"XIMSSD_TEST_CLOCK" in open(os.path.join(BUILD, "test", "ximssd"), "rb").read()


def test_clock_offset(tmp_path):
    source = tmp_path / "t.c"
    source.write_text('#include <stdio.h>\n#include "base/clock.h"\nint main(void)\n{\n    int64_t m = clock_mono();\n'
                      '    clock_init();\n    printf("%lld %lld\\n", (long long)(clock_mono() - m), '
                      '(long long)clock_wall());\n    return 0;\n}\n')
    subprocess.run(["gcc", "-DTEST_CLOCK", "-D_GNU_SOURCE", f"-I{ROOT}/src", "-o", tmp_path / "t", source,
                    f"{ROOT}/src/base/clock.c"], check=True)
    for hours in (0, 5, -1):
        offset = hours * 3600 * 10**9
        (tmp_path / "offset").write_bytes(struct.pack("=q", offset))
        begin, wall = time.monotonic_ns(), time.time_ns()
        out = run(str(tmp_path / "t"), env={"XIMSSD_TEST_CLOCK": str(tmp_path / "offset")}).stdout.split()
        assert 0 <= int(out[0]) - offset <= time.monotonic_ns() - begin
        assert wall <= int(out[1]) - offset <= time.time_ns()


@pytest.mark.parametrize("path", PROGRAMS, ids=os.path.basename)
def test_help_version_usage_and_page(path):
    """Design 9.5: --help, a manual page that knows every option of it, exit codes that mean something, and no terminal."""
    name = PARTS.get(os.path.basename(path), os.path.basename(path))
    bare = {"PATH": os.environ["PATH"]}

    def say(*argv):
        return run(path, *argv, stdin=subprocess.DEVNULL, env=bare)
    done = say("--help")
    assert (done.returncode, done.stderr) == (0, "") and re.match(r"usage: %s " % name, done.stdout, re.I)
    assert "exit" in done.stdout.lower() or name == "ximss-bench"
    version = say("--version")
    assert (version.returncode, version.stderr) == (0, "")
    assert re.fullmatch(r"%s \d+\.\d+\.\d+\n" % name, version.stdout)
    wrong = say("--nonsense")
    assert wrong.returncode in (1, 2) and wrong.stdout == "" and "nonsense" in wrong.stderr
    pages = [p for under in ("conf", "tools", "tools/*") for p in glob.glob(os.path.join(ROOT, under, name + ".[18]"))]
    assert len(pages) == 1
    text = re.sub(r".\x08", "", run("mandoc", "-T", "ascii", pages[0]).stdout)
    options = set(re.findall(r"(?<![\w-])--?[a-zA-Z0-9][a-z-]*", done.stdout))
    assert options and {o for o in options if o not in text} == set()
    assert "EXIT STATUS" in text


# --- configuration

def test_check_reports_every_problem_in_one_run(tmp_path):
    conf = tmp_path / "a.conf"
    conf.write_text("[server]\nchanels = 5\nlog_level = mayor\n[limits]\nidle = 5\n")
    done = run(ximssd(), "-t", "-c", str(conf))
    assert done.returncode == 1
    lines = (done.stdout + done.stderr).splitlines()
    assert [line.split(" ")[0] for line in lines] == [f"{conf}:2:", f"{conf}:3:", f"{conf}:5:"]
    assert "did you mean 'channels'?" in lines[0]


def test_check_accepts_an_empty_file(tmp_path):
    conf = tmp_path / "a.conf"
    # by root, the users of the packages have to be there as well
    conf.write_text("" if os.geteuid() != 0 else "[server]\nuser = nobody\nworker_user = daemon\n")
    assert run(ximssd(), "-t", "-c", str(conf)).returncode == 0


def test_effective_values_are_a_configuration(tmp_path):
    first, second = tmp_path / "a.conf", tmp_path / "b.conf"
    first.write_text("[server]\nchannels = 7\n[listener a]\naddress = [::1]:5\n")
    done = run(ximssd(), "-T", "-c", str(first))
    assert done.returncode == 0 and f"= 7 ; {first}:2" in done.stdout
    second.write_text(done.stdout)
    again = run(ximssd(), "-T", "-c", str(second))
    assert again.returncode == 0
    assert re.sub(r" ; .*", "", again.stdout) == re.sub(r" ; .*", "", done.stdout)


@pytest.mark.parametrize("what, path", [("sample", "conf/ximssd.conf"), ("man", "conf/ximssd.conf.5")])
def test_committed_texts_are_not_stale(what, path):
    done = run(ximssd(), "-x", what)
    assert done.returncode == 0
    assert done.stdout == open(os.path.join(ROOT, path), encoding="utf-8").read(), "run: make conf"


# --- make install

def files_in(folder):
    return {os.path.relpath(os.path.join(d, f), folder): os.path.join(d, f) for d, _, fs in os.walk(folder) for f in fs}


def test_install(tmp_path):
    done = run("make", "-s", *MAKE, f"DESTDIR={tmp_path}", "install", cwd=ROOT)
    assert done.returncode == 0, done.stderr
    there = files_in(tmp_path)
    assert sorted(there) == sorted(to_be_installed())
    for name, path in there.items():
        assert os.stat(path).st_mode & 0o777 == (0o755 if re.search("bin/|libexec/", name) else 0o644), name
    sample = open(os.path.join(ROOT, "conf/ximssd.conf")).read()
    mine = tmp_path / "etc/ximssd/ximssd.conf"
    assert mine.read_text() == sample
    mine.write_text("# mine\n")
    (tmp_path / "etc/ximssd/ximssd.conf.sample").write_text("old\n")
    assert run("make", "-s", *MAKE, f"DESTDIR={tmp_path}", "install", cwd=ROOT).returncode == 0
    assert mine.read_text() == "# mine\n"
    assert (tmp_path / "etc/ximssd/ximssd.conf.sample").read_text() == sample
    for name in ("ximssd.service", "ximssd.socket"):
        assert open(there["usr/lib/systemd/system/" + name]).read() == open(os.path.join(ROOT, "conf", name)).read()


def test_install_elsewhere(tmp_path):
    """Another PREFIX takes the settings along, and the unit names what is there."""
    done = run("make", "-s", *MAKE, f"DESTDIR={tmp_path}", "PREFIX=/opt/ximss", "install", cwd=ROOT)
    assert done.returncode == 0, done.stderr
    there = files_in(tmp_path)
    assert sorted(there) == sorted(to_be_installed("opt/ximss", "opt/ximss/etc"))
    unit = open(there["opt/ximss/lib/systemd/system/ximssd.service"]).read()
    for command in re.findall(r"^Exec\w+=(.*)$", unit, re.M):
        words = command.split()
        assert words[0].lstrip("/") in there and words[words.index("-c") + 1].lstrip("/") in there
    assert "/usr/sbin" not in unit and "/etc/ximssd/ximssd.conf" not in unit.replace("/opt/ximss/etc", "")


# --- the manual page

def test_manual_page_has_every_option_and_variable():
    page = open(os.path.join(ROOT, "conf/ximssd.8")).read()
    usage = run(ximssd(), "--help").stdout
    for option in set(re.findall(r"(?<![\w-])-{1,2}([a-z][a-z-]*|[A-Z])\b", usage)):
        assert re.search(r"^\.(It|Op) .*Fl -?%s\b" % re.escape(option), page, re.M), option
    sources = glob.glob(os.path.join(ROOT, "src/**/*.c"), recursive=True)
    read = set().union(*[re.findall(r'\bgetenv\("(\w+)"\)', open(p).read()) for p in sources]) - {"XIMSSD_TEST_CLOCK"}
    assert {"NOTIFY_SOCKET", "LISTEN_FDS"} <= read
    named = set(" ".join(re.findall(r"^\.It Ev (.*)$", page, re.M)).replace(",", " ").split())
    assert read <= named and named - read <= {"TZ"}


# --- packages

def installer(tmp_path, lines):
    (tmp_path / ".ci").mkdir()
    shutil.copy(os.path.join(ROOT, ".ci/install"), tmp_path / ".ci/install")
    (tmp_path / ".ci/packages").write_text(lines)
    return str(tmp_path / ".ci/install")


def test_nothing_missing_is_nothing_to_do():
    done = run(os.path.join(ROOT, ".ci/install"), "build", "check", env=dict(os.environ, XIMSSD_NO_INSTALL="1"))
    assert done.returncode == 0, done.stderr


def test_unknown_group(tmp_path):
    done = run(installer(tmp_path, "build libc6\n"), "biuld")
    assert done.returncode == 1 and "no group 'biuld'" in done.stderr


def test_forms_of_the_list(tmp_path):
    script = installer(tmp_path, "a libc6\na no-such-package cmd:sh\nb no-such-package\nc libc6 cmd:no-such-command\n"
                                 "d no-such-package file:usr/x\n")
    env = dict(os.environ, XIMSSD_NO_INSTALL="1")
    assert run(script, "a", env=env).returncode == 0
    assert run(script, "c", env=env).returncode == 0
    for group in ("b", "d"):
        done = run(script, group, env=env)
        assert done.returncode == 1 and "missing: no-such-package" in done.stderr
    (tmp_path / "build/unpacked/usr").mkdir(parents=True)
    (tmp_path / "build/unpacked/usr/x").write_text("x")
    assert run(script, "d", env=env).returncode == 0


def test_several_files_of_a_package(tmp_path):
    """It is fetched and named once."""
    script = installer(tmp_path, "a no-such-package file:usr/x\na no-such-package file:usr/y\na another file:usr/z\n")
    env = dict(os.environ, XIMSSD_NO_INSTALL="1")
    assert run(script, "a", env=env).stderr == "install: missing: another no-such-package\n"
    (tmp_path / "build/unpacked/usr").mkdir(parents=True)
    for name in "xz":
        (tmp_path / "build/unpacked/usr" / name).write_text(name)
    assert run(script, "a", env=env).stderr == "install: missing: no-such-package\n"
    (tmp_path / "build/unpacked/usr/y").write_text("y")
    assert run(script, "a", env=env).returncode == 0


@pytest.mark.skipif(os.getuid() != 0, reason="needs root to become somebody else")
def test_who_cannot_install_is_told(tmp_path):
    script = installer(tmp_path, "b no-such-package\n")
    os.chmod(tmp_path, 0o755)
    for folder in tmp_path.parents:
        if str(folder).startswith("/tmp/pytest"):
            os.chmod(folder, 0o755)

    def nobody():
        os.setgid(65534)
        os.setuid(65534)
    done = run("sh", script, "b", preexec_fn=nobody, cwd="/")
    assert done.returncode == 1
    assert "only root can install them" in done.stderr and "no-such-package" in done.stderr


# --- the runner

@pytest.fixture
def tree(tmp_path):
    (tmp_path / "tests/some").mkdir(parents=True)
    shutil.copy(os.path.join(ROOT, "tests/run"), tmp_path / "tests/run")
    (tmp_path / "Makefile").write_text(".PHONY: tests\nprograms test-programs tests:\n\t@true\n")
    return tmp_path


def runner(tree, *args):
    done = run(sys.executable, str(tree / "tests/run"), "--not", "lint", *args)
    return done.returncode, done.stdout.splitlines()


def test_runner_counts_single_tests(tree):
    (tree / "tests/some/test_a.py").write_text("import pytest\ndef test_a():\n    pass\ndef test_b():\n    assert 0\n"
                                               "def test_c():\n    pytest.skip('x')\n")
    code, lines = runner(tree)
    assert code == 1 and lines[-1] == "4 passed, 1 failed, 1 skipped"
    assert any("FAILED pytest" in line for line in lines)


def test_runner_names_what_it_left_out(tree):
    """Before the last line; first what a user's run cannot do. `--as` makes such a run, where root may."""
    (tree / "build").mkdir()
    (tree / "tests/some/test_a.py").write_text(
        "import os, pytest\n@pytest.mark.skipif(os.geteuid() != 0, reason='needs root to see')\ndef test_a():\n    pass\n"
        "@pytest.mark.parametrize('n', [1, 2])\ndef test_b(n):\n    pytest.skip('no luck')\ndef test_c():\n    pass\n")
    rest = ["skipped:", "  no luck:", "    tests/some/test_a::test_b (2)"]
    user = ["left out, not being root:", "  needs root to see:", "    tests/some/test_a::test_a", *rest]
    code, lines = runner(tree, "--only", "some")
    want = rest if os.geteuid() == 0 else user
    assert code == 0 and lines[-2 - len(want):-2] == want
    assert lines[-1] == ("2 passed, 0 failed, 2 skipped" if os.geteuid() == 0 else "1 passed, 0 failed, 3 skipped")
    if os.geteuid() == 0:
        code, lines = runner(tree, "--only", "some", "--as", "nobody")
        assert code == 0 and lines[-2 - len(user):-2] == user and lines[-1] == "1 passed, 0 failed, 3 skipped"


def test_runner_is_content(tree):
    (tree / "tests/some/test_a.py").write_text("def test_a():\n    pass\n")
    assert runner(tree)[0] == 0
    assert runner(tree)[1][-1] == "4 passed, 0 failed"


def test_runner_counts_a_failing_build(tree):
    (tree / "Makefile").write_text(".PHONY: tests\nprograms test-programs:\n\t@true\ntests:\n\t@echo oops; false\n")
    code, lines = runner(tree)
    assert code == 1 and lines[-1] == "2 passed, 1 failed"
    assert any("oops" in line for line in lines)


def test_runner_counts_broken_test_files(tree):
    (tree / "tests/some/test_a.py").write_text("def test_a(:\n")
    code, lines = runner(tree)
    assert code == 1 and lines[-1] == "3 passed, 1 failed"


@pytest.mark.parametrize("body, last", [
    ("printf '1..2\\nok 1 - a\\nnot ok 2 - b\\n'; exit 1", "4 passed, 1 failed"),
    ("printf '1..2\\nok 1 - a\\nok 2 # SKIP b\\n'", "4 passed, 0 failed, 1 skipped"),
    ("printf '1..2\\nok 1 - a\\n'; kill -9 $$", "4 passed, 1 failed"),
    ("printf '1..2\\nok 1 - a\\n'", "4 passed, 1 failed"),
    ("true", "3 passed, 1 failed"),
    ("printf '1..1\\nok 1 - a\\n'; exit 3", "4 passed, 1 failed"),
])
def test_runner_reads_tap(tree, body, last):
    (tree / "tests/unit/x").mkdir(parents=True)
    (tree / "tests/unit/x/test_y.c").write_text("\n")
    (tree / "build/unit/x").mkdir(parents=True)
    exe = tree / "build/unit/x/test_y"
    exe.write_text(f"#!/bin/sh\n{body}\n")
    exe.chmod(0o755)
    assert runner(tree)[1][-1] == last


def test_runner_misses_programs(tree):
    (tree / "tests/unit/x").mkdir(parents=True)
    (tree / "tests/unit/x/test_y.c").write_text("\n")
    assert runner(tree)[1][-1] == "3 passed, 1 failed"


def test_runner_without_suites(tree):
    code, lines = runner(tree, "--only", "nothing")
    assert code == 1 and lines[-1] == "0 passed, 1 failed"
