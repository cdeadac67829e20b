# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The ximssd authors
"""What bash, zsh and fish offer behind `ximssctl`, asked of the shells themselves; the tables are the judge."""
import os
import shlex
import subprocess
import sys

import pytest
from ximss import ROOT, Server, wait_for

sys.path.insert(0, os.path.join(ROOT, "tests/ctl"))
from control import rows, verbs  # noqa: E402

FOLDER = os.path.join(ROOT, "conf/completion")
OPTIONS = {r[2]: {"letter": r[1].strip("'"), "arg": r[3], "all": r[4] == "ALL"}
           for r in rows("tools/ximssctl/options.tbl", "OPTION")}


def run(*argv, **more):
    done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=30, check=False, **more)
    assert done.returncode == 0 and done.stderr == "", done
    return sorted(set(done.stdout.splitlines()))


def bash(words, env, folder):
    """What the completion function leaves in COMPREPLY for the last of the words."""
    script = "source %s/ximssctl.bash\n%s\n" % (shlex.quote(FOLDER), "\n".join(
        ["complete -p ximssctl >/dev/null", "COMP_WORDS=(%s)" % " ".join(map(shlex.quote, words)),
         "COMP_CWORD=%d" % (len(words) - 1),
         "_ximssctl %s" % " ".join(map(shlex.quote, [words[0], words[-1], words[-2]])),
         '((${#COMPREPLY[@]})) && printf "%s\\n" "${COMPREPLY[@]}"; true']))
    return run("bash", "--norc", "-c", script, env=env, cwd=folder)


def zsh(words, env, folder):
    """compadd and _files say what they are given; what does not begin with the last word zsh itself leaves out."""
    script = ("compadd() { shift; print -l -- $@ }\n_files() { print -l -- *(N) }\nwords=(%s)\nCURRENT=%d\nsource %s/_ximssctl\n" %
              (" ".join(map(shlex.quote, words)), len(words), shlex.quote(FOLDER)))
    return [w for w in run("zsh", "-f", "-c", script, env=env, cwd=folder) if w and w.startswith(words[-1])]


def fish(words, env, folder):
    script = "source %s/ximssctl.fish; complete -C %s" % (shlex.quote(FOLDER), shlex.quote(shlex.join(words[:-1]) + " " + words[-1]))
    return sorted({line.split("\t")[0] for line in run("fish", "--no-config", "-c", script, env=env, cwd=folder)})


SHELLS = [bash, zsh, fish]


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """A server with one connection, `ximssctl` in the path, and a folder with one file in it."""
    folder = tmp_path_factory.mktemp("completion")
    (folder / "here").mkdir()
    (folder / "here" / "some.conf").write_text("")
    with Server(folder, accounts={}) as server:
        os.mkdir(folder / "bin")
        os.symlink(os.path.abspath(os.path.join(server.bin, "ximssctl")), folder / "bin" / "ximssctl")
        client = server.client()
        (row,) = wait_for(lambda: server.top()["sessions"])
        env = {"PATH": "%s:%s" % (folder / "bin", os.environ["PATH"]), "HOME": str(folder), "LC_ALL": "C.UTF-8",
               "TERM": "dumb"}
        yield server, env, folder / "here", str(row["id"])
        client.close()


def next_words(typed):
    """The words that may stand behind these, from ctl.tbl."""
    return sorted({w.split()[len(typed)] for w in verbs() if w.split()[:len(typed)] == typed and len(w.split()) > len(typed)})


@pytest.mark.parametrize("shell", SHELLS)
def test_words(shell, world):
    _, env, folder, _ = world
    places = {tuple(w.split()[:n]) for w in verbs() for n in range(len(w.split()))}
    for place in places:
        if "say" not in place:  # numbers of sessions stand there too
            assert shell(["ximssctl", *place, ""], env, folder) == next_words(list(place)), place
    for place in (["account"], ["--json", "account"], ["-c", "session", "account"], ["--config", "x", "--json", "account"]):
        assert shell(["ximssctl", *place, ""], env, folder) == next_words(["account"]), place
    assert shell(["ximssctl", "acc"], env, folder) == ["account"]
    assert shell(["ximssctl", "account", "l"], env, folder) == ["list"]
    assert shell(["ximssctl", "account", "list", ""], env, folder) == []
    assert shell(["ximssctl", "fry", "eg"], env, folder) == []


def long_options(names):
    return sorted("--" + n for n in names)


@pytest.mark.parametrize("shell", SHELLS)
def test_options(shell, world):
    _, env, folder, _ = world
    everywhere = [n for n, o in OPTIONS.items() if o["all"]]
    assert shell(["ximssctl", "--"], env, folder) == long_options(everywhere)
    letters = sorted("-" + o["letter"] for o in OPTIONS.values() if o["all"] and o["letter"] != "0")
    assert [w for w in shell(["ximssctl", "-"], env, folder) if len(w) == 2] == letters
    for words, row in verbs().items():
        own = [n for n in OPTIONS if "--" + n in row["args"]]
        assert shell(["ximssctl", *words.split(), "--"], env, folder) == long_options(everywhere + own), words
        assert shell(["ximssctl", *words.split(), "x", "--"], env, folder) == long_options(everywhere + own), words
    assert shell(["ximssctl", "account", "add", "--pass"], env, folder) == ["--password-stdin"]
    assert shell(["ximssctl", "account", "add", "--real-name", ""], env, folder) == []


@pytest.mark.parametrize("shell", SHELLS)
def test_files_and_numbers(shell, world):
    server, env, folder, number = world
    for option in ("-c", "--config"):
        assert shell(["ximssctl", option, ""], env, folder) == ["some.conf"]
    for verb, more in (("kick", []), ("say", ["all"])):
        assert shell(["ximssctl", "-c", server.conf_path, "session", verb, ""], env, folder) == sorted([number, *more])
    assert shell(["ximssctl", "-c", server.conf_path, "session", "kick", number, ""], env, folder) == []
    assert shell(["ximssctl", "-c", "/nowhere", "session", "kick", ""], env, folder) == []


def test_committed_files_are_not_stale(tmp_path):
    run(os.path.join(FOLDER, "generate"), str(tmp_path))
    for name in ("ximssctl.bash", "_ximssctl", "ximssctl.fish"):
        with open(os.path.join(FOLDER, name), encoding="utf-8") as f:
            assert (tmp_path / name).read_text() == f.read(), "run: make conf"
