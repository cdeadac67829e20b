# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The ximssd authors
"""A terminal to run ximss-top in: tmux with a server of its own, which is told what to type and says what is to be seen.

    with Terminal(folder, "ximss-top", "--run-dir", DIR) as t:
        t.wait(lambda: "3 of 3 selected" in t.lines()[0])
        t.keys("q")
"""
import os
import re
import select
import shlex
import shutil
import subprocess
import tempfile
import unicodedata

from ximss import BUILD, PATIENCE, wait_for

def wide(c):
    """Columns of a character, by Unicode's tables (Python's, not those of the C library)."""
    if unicodedata.category(c) in ("Mn", "Me", "Cf") and c != "\u00ad":
        return 0
    return 2 if unicodedata.east_asian_width(c) in "WF" else 1


def columns(line, a, b=None):
    """What stands in the columns a to b of a line."""
    out, at = "", 0
    for c in line:
        if at >= a and (b is None or at < b):
            out += c
        at += wide(c)
    return out.strip(" ")


HEADS = ("ID", "IP Address", "Account", "Connected", "Status", "Running")
MARKS = "\u25b2\u25bc^v"
CONF = """
set -g status off
set -g remain-on-exit on
set -s escape-time 0
set -g default-terminal tmux-256color
"""


class Terminal:
    def __init__(self, folder, program, *args, columns=100, rows=24, env=None, before="", after="exec cat", stdin=""):
        """`before`, `after`: shell commands around the program, in the same terminal."""
        self.folder = str(folder)
        self.short = tempfile.mkdtemp(prefix="ximss-tmux-")  # paths of sockets are short
        self.socket = os.path.join(self.short, "s")
        path = os.path.join(BUILD, program) if os.sep not in program else program
        env = {"LC_ALL": "C.UTF-8", **(env or {})}
        unset = [w for k in ("NO_COLOR", *(k for k, v in env.items() if v is None)) for w in ("-u", k)]
        command = shlex.join(["env", *unset, *(f"{k}={v}" for k, v in env.items() if v is not None), path, *args]) + stdin
        script = os.path.join(self.folder, "script")
        with open(script, "w", encoding="utf-8") as f:
            f.write(f"{before}\nstty -a >{self.folder}/stty-before\n{command}\n"
                    f"echo \"exit code $?\" | tee {self.folder}/code\nstty -a >{self.folder}/stty-after\n{after}\n")
        with open(os.path.join(self.short, "conf"), "w", encoding="ascii") as f:
            f.write(CONF)
        self.run("-f", os.path.join(self.short, "conf"), "new-session", "-d", "-x", str(columns), "-y", str(rows),
                 shlex.join(["sh", script]))
        # From here on one client in control mode: a command is a line, an answer a block. It has no size of its own.
        self.control = subprocess.Popen([*self.argv(), "-C", "attach", "-f", "ignore-size,no-output"], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, env=self.environ())
        self.heard = b""
        self.block()

    def argv(self):
        return ["tmux", "-S", self.socket, "-u"]

    @staticmethod
    def environ():
        return {k: v for k, v in os.environ.items() if k not in ("TMUX", "TMUX_PANE")}

    def run(self, *args):
        done = subprocess.run([*self.argv(), *args], stdin=subprocess.DEVNULL, capture_output=True, timeout=PATIENCE,
                              check=False, env=self.environ())
        assert done.returncode == 0, done.stderr

    def line(self):
        fd = self.control.stdout.fileno()
        while b"\n" not in self.heard:
            assert select.select([fd], [], [], PATIENCE)[0], "tmux does not answer"
            got = os.read(fd, 65536)
            assert got, "tmux ended"
            self.heard += got
        line, self.heard = self.heard.split(b"\n", 1)
        return line

    def block(self):
        """The next answer; notices between answers are left out."""
        line = self.line()
        while not line.startswith(b"%begin "):
            line = self.line()
        number, lines = line.split()[2], []
        while True:
            line = self.line()
            if re.match(rb"%(end|error) \d+ " + number + rb" ", line):
                assert line.startswith(b"%end"), lines
                return [x.decode() for x in lines]
            lines.append(line)

    def tmux(self, *args):
        """A command of tmux; the lines of its answer."""
        self.control.stdin.write(shlex.join(args).encode() + b"\n")
        self.control.stdin.flush()
        return self.block()

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        if exc[0] is not None:
            print("\n".join(["--- the screen", *self.lines(), "---"]))
        self.run("kill-server")
        self.control.kill()
        self.control.communicate()
        shutil.rmtree(self.short, ignore_errors=True)

    # --- typing

    def keys(self, *names):
        """Keys by tmux's names for them, one after the other."""
        self.tmux("send-keys", *names)

    def type(self, text):
        self.tmux("send-keys", "-l", text)

    def resize(self, columns, rows):
        self.tmux("resize-window", "-x", str(columns), "-y", str(rows))

    # --- looking

    def lines(self, attributes=False):
        return [line.rstrip() for line in self.tmux("capture-pane", "-p", *(["-e"] if attributes else []))]

    def wait(self, what, seconds=PATIENCE):
        """Waits until what() is true. A screen may be looked at while it is being drawn: what is asserted of more than one of
        its lines belongs into one condition."""
        try:
            return wait_for(what, seconds)
        except AssertionError:
            raise AssertionError("in vain:\n" + "\n".join(self.lines())) from None

    def shows(self, *texts, seconds=PATIENCE):
        """Waits until all of these are on the screen; then its lines."""
        def there():
            lines = self.lines()
            return lines if all(any(t in line for line in lines) for t in texts) else None
        try:
            return wait_for(there, seconds)
        except AssertionError:
            raise AssertionError("not on the screen: %r\n%s" % (texts, "\n".join(self.lines()))) from None

    def flag(self, name):
        return self.tmux("display-message", "-p", "#{%s}" % name)[0]

    def bar(self):
        """The row in reverse video, as plain text; None when there is not exactly one."""
        rows = [line for line in self.lines(True)[1:-1] if re.search(r"\x1b\[(\d+;)*7[;m]", line)]
        return re.sub(r"\x1b\[[0-9;]*m", "", rows[0]).rstrip() if len(rows) == 1 else None

    def selected(self):
        bar = self.bar()
        return int(bar.split()[0]) if bar else None

    def selects(self, ident):
        return self.wait(lambda: self.selected() == ident)

    def says(self, text):
        """On the last line."""
        return self.wait(lambda: self.message() == text)

    def table(self):
        """(names of the columns, rows of cells), by the places of the names."""
        lines = self.lines()
        head = lines[1] if len(lines) > 1 else ""
        names = [h for h in HEADS if re.search(r"(^|  )" + h + f"([{MARKS}]|  |$)", head)]
        starts = [head.index(h) for h in names]
        rows = []
        for line in lines[2:-1]:
            if line:
                rows.append([columns(line, a, b) for a, b in zip(starts, starts[1:] + [None])])
        return names, rows

    def ids(self):
        """Of the rows, as numbers; none while there is no whole table."""
        rows = self.table()[1]
        return [int(row[0]) for row in rows] if all(row and row[0].isdigit() for row in rows) else []

    def sorted_by(self):
        """(column, falling?) by the mark in the head line."""
        for head in HEADS:
            m = re.search(re.escape(head) + "([" + MARKS + "])", self.lines()[1])
            if m:
                return head, m.group(1) in "\u25bcv"
        return None, None

    def message(self):
        return self.lines()[-1]

    # --- the program

    def pid(self):
        """Of the program: the child of the shell."""
        shell = self.flag("pane_pid")
        out = subprocess.run(["ps", "-o", "pid=", "--ppid", shell], capture_output=True, text=True, check=False).stdout
        return int(out.split()[0]) if out.split() else None

    def ended(self):
        """Waits for the end of the program; its exit code as the shell says it."""
        path = os.path.join(self.folder, "code")
        self.wait(lambda: os.path.exists(os.path.join(self.folder, "stty-after"))
                  and os.path.getsize(os.path.join(self.folder, "stty-after")))
        with open(path, encoding="ascii") as f:
            return int(f.read().split()[-1])

    def restored(self):
        """The terminal is as it was: modes, cursor, the screen that was there before."""
        def read(name):
            with open(os.path.join(self.folder, name), encoding="ascii") as f:
                return re.sub(r"rows \d+; columns \d+;", "", f.read())
        assert read("stty-before") == read("stty-after")
        flags = {"cursor_flag": "1", "alternate_on": "0", "keypad_flag": "0", "keypad_cursor_flag": "0"}
        return self.wait(lambda: {name: self.flag(name) for name in flags} == flags)  # tmux may be some bytes behind
