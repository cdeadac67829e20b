# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The ximssd authors
"""Terminals of all kinds: what ximss-top's full screen sends to them, and that it gives them back."""
import os
import pty
import re
import shutil
import signal
import subprocess
import termios
import time

import pytest
from conftest import top
from shmimage import row
from terminal import HEADS, Terminal
from terminal import wide as columns_of
from test_hostile import HAND_MADE
from ximss import BUILD, wait_for

COLOUR = re.compile(r"\x1b\[(?:[0-9;]*;)?(?:3[0-7]|4[0-7]|9[0-7]|10[0-7]|38;[0-9;]+)[;m]")


def two(table):
    table.put([row(100001, account="d\u00f6ra@harbor.example"), row(100002, account="\u6771\u4eac@harbor.example")])


# --- kinds

@pytest.mark.parametrize("term", ["vt100", "xterm", "xterm-256color", "tmux-256color", "linux", "screen"])
def test_terminals_with_a_full_screen(table, live, term):
    two(table)
    t = live(env={"TERM": term})
    t.shows("2 of 2 selected", "\u6771\u4eac@harbor.example", "h ? help")
    assert t.table()[0] == list(HEADS)
    assert (COLOUR.search("\n".join(t.lines(True))) is not None) == (term != "vt100")
    t.keys("Down")
    t.selects(100002)
    t.keys("Home")  # a key that old descriptions do not know
    t.selects(100001)
    t.keys("q")
    assert t.ended() == 0 and t.restored()


@pytest.mark.parametrize("value, colours", [("1", False), ("", True)])
def test_no_color(table, live, value, colours):
    two(table)
    t = live(env={"NO_COLOR": value})
    t.shows("2 of 2 selected")
    t.selects(100001)
    assert (COLOUR.search("\n".join(t.lines(True))) is not None) == colours


@pytest.mark.parametrize("term, why", [
    ("dumb", 'a terminal of type "dumb" has no full screen'),
    ("no-such-terminal", 'the terminal type "no-such-terminal" is not known here'),
    ("../../etc/passwd", 'the terminal type "../../etc/passwd" is not known here'),
    ("", "TERM is not set"), (None, "TERM is not set")])
def test_terminals_without_one(table, live, term, why):
    """A sentence, then the table again and again."""
    two(table)
    t = live(env={"TERM": term}, rows=300, columns=200, delay="0.5", before="trap : INT")
    t.shows(f"ximss-top: {why}: the table comes every 0.5 seconds instead")
    assert t.flag("alternate_on") == "0"
    t.wait(lambda: sum(line == "2 of 2 selected" for line in t.lines()) >= 3)
    t.keys("C-c")
    assert t.ended() == 130 and t.restored()


def test_characters_of_ascii_only(table, live):
    two(table)
    t = live(env={"LC_ALL": "C"})
    t.shows("2 of 2 selected", "ID^", "d?ra@harbor.example", "??@harbor.example")
    t.keys("r")
    t.shows("IDv")


def test_wide_characters(table, live):
    """Two columns each, never cut in the middle; what follows stays in its column."""
    names = ["\u6771\u4eac\u90fd" * 3 + "@harbor.example", "a" + "\u6771\u4eac\u90fd" * 3 + "@harbor.example", "e\u0301e\u0301"]
    table.put([row(100001 + i, account=n) for i, n in enumerate(names)])
    t = live()
    t.shows("3 of 3 selected", "h ? help")
    t.wait(lambda: [r[2] for r in t.table()[1]] == names)
    assert {r[4] for r in t.table()[1]} == {"reading request"}
    for width in range(20, 33):  # ID and Account
        t.resize(width, 10)
        room = width - 8

        def cut(name, n=room):
            while sum(map(columns_of, name)) > n:
                name = name[:-1]
            return name

        def drawn(wanted=[cut(n) for n in names], wide=width >= 32):
            heads, rows = t.table()
            return heads == ["ID", "Account", "Status"] if wide else heads == ["ID", "Account"] and [r[1] for r in rows] == wanted
        t.wait(drawn)


# --- what is sent

class Pty:
    """The program on a bare terminal: every byte that it sends."""

    def __init__(self, *args, term="xterm-256color"):
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.execve(os.path.join(BUILD, "ximss-top"), ["ximss-top", *args], {**os.environ, "TERM": term, "LC_ALL": "C.UTF-8",
                                                                               "LINES": "60", "COLUMNS": "200"})
        os.set_blocking(self.fd, False)
        self.seen = b""

    def read(self):
        try:
            self.seen += os.read(self.fd, 65536)
        except BlockingIOError:
            pass
        return self.seen

    def end(self):
        """The last bytes, and how the program ended."""
        status = None
        while status is None or got:
            try:
                got = os.read(self.fd, 65536)
            except BlockingIOError:
                got = b""
                time.sleep(0.01)
            except OSError:  # closed at the other end
                got = b""
            self.seen += got
            if status is None:
                pid, value = os.waitpid(self.pid, os.WNOHANG)
                status = value if pid else None
        os.close(self.fd)
        return os.waitstatus_to_exitcode(status)


def test_no_control_character_of_a_name_is_sent(table):
    """Every byte: sequences of the terminal's own description, and text that may be shown."""
    table.put([row(100001 + i, account=a) for i, a in enumerate(HAND_MADE)])
    p = Pty("--run-dir", table.run_dir, "-d", "0.1")
    wait_for(lambda: str(100000 + len(HAND_MADE)).encode() in p.read())
    for keys in (b"3", b"r", b"k", b"n", b"m", b"\x1b", b"/", b"a\r", b"c", b"h", b"\x1b"):
        before = len(p.seen)
        os.write(p.fd, keys)
        wait_for(lambda n=before: len(p.read()) > n)
    os.write(p.fd, b"qqq")
    assert p.end() == 0
    left = re.sub(rb"\x1b\[\??[0-9;]*[A-Za-z]|\x1b[=>78]|\x1b\([B0]|\x1b\]104\x07", b"", p.seen)
    text = left.decode("utf-8")  # strict
    assert not re.search("[^\n\r\b -~\u00a0-\U0010ffff]", text), re.findall("[^\n\r\b -~\u00a0-\U0010ffff]", text)
    assert b"\x1b]0;" not in p.seen and b"\x07" not in p.seen
    assert not set("\u202e\u2066\u2069\u2028\u2029\ufeff") & set(text)
    assert "red" in text and "[31mred" in text  # harmless without what stood before it


def test_a_terminal_without_attributes(table):
    """vt52: the cursor moves, but nothing can stand out; then the cursor shows the row."""
    two(table)
    p = Pty("--run-dir", table.run_dir, "-d", "0.1", term="vt52")
    wait_for(lambda: b"2 of 2 selected" in p.read() and b"100002" in p.seen)
    os.write(p.fd, b"q")
    assert p.end() == 0 and b"\x1b[" not in p.seen


def test_interrupts_throw_nothing_away(table):
    """What the terminal has yet to be told when ^C comes must reach it, or it keeps a mode for ever."""
    two(table)
    p = Pty("--run-dir", table.run_dir, "-d", "0.1")
    wait_for(lambda: b"2 of 2 selected" in p.read())
    modes = termios.tcgetattr(p.fd)[3]
    assert modes & termios.ISIG and modes & termios.NOFLSH
    os.write(p.fd, b"q")
    assert p.end() == 0


def test_hang_up(table):
    """The window is closed: the program ends."""
    two(table)
    p = Pty("--run-dir", table.run_dir, "-d", "0.1")
    wait_for(lambda: b"2 of 2 selected" in p.read())
    os.close(p.fd)
    end = time.monotonic() + 20
    while time.monotonic() < end:
        pid, status = os.waitpid(p.pid, os.WNOHANG)
        if pid:
            break
        time.sleep(0.02)
    assert pid and os.waitstatus_to_exitcode(status) in (-signal.SIGHUP, 0)


def test_a_terminal_that_has_stopped(table):
    """Nobody reads what is sent: pictures are left out, signals still end the program."""
    table.put([row(100001 + i, account="x" * 100) for i in range(50)])
    p = Pty("--run-dir", table.run_dir, "-d", "0.1")
    wait_for(lambda: b"50 of 50 selected" in p.read())
    for i in range(100):  # more than any buffer holds, were it all drawn
        table.put([row(100001 + k, account=chr(97 + (i + k) % 26) * 100) for k in range(50)])
        time.sleep(0.01)
    os.kill(p.pid, signal.SIGTERM)
    assert p.end() in (-signal.SIGTERM, -signal.SIGALRM)


# --- giving it back

@pytest.mark.parametrize("how, code", [
    ("q", 0), ("C-c", 128 + signal.SIGINT), ("C-\\", 128 + signal.SIGQUIT), (signal.SIGTERM, 128 + signal.SIGTERM),
    (signal.SIGHUP, 128 + signal.SIGHUP), (signal.SIGINT, 128 + signal.SIGINT)])
def test_the_terminal_is_given_back(table, live, how, code):
    two(table)
    t = live(before="trap : INT QUIT\necho what was there before")
    t.shows("2 of 2 selected")
    t.wait(lambda: t.flag("cursor_flag") == "0" and t.flag("alternate_on") == "1")
    if isinstance(how, str):
        t.keys("/" if how == "C-c" else "Down")  # in the middle of a question, too
        t.keys(how)
    else:
        os.kill(t.pid(), how)
    assert t.ended() == code and t.restored()
    t.shows("what was there before")


def test_job_control(table, live):
    """^Z gives the terminal to the shell, `fg` takes it again; what was selected and sorted stays."""
    two(table)
    t = live(before="set -m\necho what was there before", after="read x\nfg\necho \"again $?\"\nstty -a >$0-after\nexec cat")
    t.shows("2 of 2 selected")
    t.keys("r", "Up")
    t.selects(100002)
    t.keys("C-z")
    assert t.ended() == 128 + signal.SIGTSTP and t.restored()
    t.shows("what was there before")
    t.keys("x", "Enter")
    t.shows("2 of 2 selected")
    t.wait(lambda: t.selected() == 100002 and t.sorted_by() == ("ID", True) and t.flag("cursor_flag") == "0")
    t.keys("Down")
    t.selects(100001)
    t.keys("q")
    t.shows("again 0", "what was there before")
    assert t.restored()


def scribble(t):
    with open(t.flag("pane_tty"), "w", encoding="ascii") as f:
        f.write("\x1b[5;1Hscribble scribble")
    t.shows("scribble scribble")


def test_what_others_write_goes_away(table, live):
    """After ^L, after SIGCONT, after another size."""
    two(table)
    t = live()
    t.shows("2 of 2 selected")
    gone = lambda: not any("scribble" in line for line in t.lines())  # noqa: E731
    scribble(t)
    t.keys("C-l")
    t.wait(gone)
    scribble(t)
    pid = t.pid()
    os.kill(pid, signal.SIGSTOP)
    os.kill(pid, signal.SIGCONT)
    t.wait(gone)
    scribble(t)
    t.resize(99, 20)
    t.wait(gone)
    t.selects(100001)


# --- when there is no full screen to be had

def test_scripts_never_load_ncurses(table):
    """The dynamic loader's own word on what is loaded."""
    two(table)
    for args in (["--once"], ["--json"], ["--csv"], ["--counters"], []):
        done = top("--run-dir", table.run_dir, *args, env={**os.environ, "LD_DEBUG": "files"})
        loaded = re.findall(r"file=(lib[^.]+)\.so", done.stderr.decode())
        assert done.returncode == 0 and "libc" in loaded
        assert not {"libncursesw", "libtinfo", "libjansson", "libxml2", "libssl"} & set(loaded), loaded


def test_keys_need_a_terminal(table, live):
    """Standard input is none: the plain table."""
    two(table)
    t = live(stdin=" </dev/null", before="trap : INT", rows=40)
    t.wait(lambda: sum(line == "2 of 2 selected" for line in t.lines()) >= 3)
    t.keys("C-c")
    assert t.ended() == 130 and t.restored()


def test_without_the_other_program(table, tmp_path):
    two(table)
    shutil.copy(os.path.join(BUILD, "ximss-top"), tmp_path / "ximss-top")
    (tmp_path / "t").mkdir()
    with Terminal(tmp_path / "t", str(tmp_path / "ximss-top"), "--run-dir", table.run_dir, "-d", "0.5", rows=300,
                  before="trap : INT") as t:
        t.shows("ximss-top: the program ximss-top-live was not found: there is no full screen")
        t.wait(lambda: sum(line == "2 of 2 selected" for line in t.lines()) >= 3)
        t.keys("C-c")
        assert t.ended() == 130 and t.restored()


def test_installed(table, tmp_path):
    """bin and libexec, as `make install` lays them out."""
    two(table)
    for name, folder in (("ximss-top", "usr/bin"), ("ximss-top-live", "usr/libexec/ximssd")):
        (tmp_path / folder).mkdir(parents=True)
        shutil.copy(os.path.join(BUILD, name), tmp_path / folder / name)
    (tmp_path / "t").mkdir()
    with Terminal(tmp_path / "t", str(tmp_path / "usr/bin/ximss-top"), "--run-dir", table.run_dir) as t:
        t.shows("2 of 2 selected", "h ? help")
        t.keys("q")
        assert t.ended() == 0 and t.restored()


@pytest.mark.parametrize("args, code, text", [
    (["--run-dir", "/nonexistent"], 3, "ximss-top: no server: "), (["-c", "/nonexistent"], 1, "/nonexistent")])
def test_nothing_to_watch(tmp_path, args, code, text):
    """Said at once, without a screen."""
    with Terminal(tmp_path, "ximss-top", *args) as t:
        assert t.ended() == code and t.restored()
        t.shows(text)


def test_a_table_of_another_version(table, tmp_path):
    table.header["major"] = 2
    table.save()
    with Terminal(tmp_path, "ximss-top", "--run-dir", table.run_dir, columns=250) as t:
        assert t.ended() == 2 and t.restored()
        t.shows("has format 2.0")


def test_help_and_version_need_no_terminal():
    live = os.path.join(BUILD, "ximss-top-live")
    for option in ("--help", "--version"):
        assert top(option).stdout == top(option, program=live).stdout != b""
    done = subprocess.run([live, "--nonsense"], stdin=subprocess.DEVNULL, capture_output=True, timeout=20, check=False)
    assert done.returncode == 1
