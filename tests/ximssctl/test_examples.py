# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The ximssd authors
"""The examples of ximssctl(8), run as they stand there, one after the other: what the page shows is what comes out."""
import os
import re
import subprocess

import pytest
from control import verbs
from ximss import ROOT, Server, wait_for

PAGE = os.path.join(ROOT, "tools/ximssctl/ximssctl.8")


def examples():
    """[(command, lines of its output)] of the page's literal blocks in EXAMPLES."""
    with open(PAGE, encoding="utf-8") as f:
        text = f.read()
    found = []
    for block in re.findall(r"^\.Bd -literal.*?\n(.*?)^\.Ed$", text[text.index(".Sh EXAMPLES"):], re.M | re.S):
        for line in block.replace(r"\-", "-").replace(r"\e", "\\").splitlines():
            if line.startswith("$ "):
                found.append((line[2:], []))
            else:
                found[-1][1].append(line)
    return found


def masked(line):
    """Without what differs from run to run: numbers with their units, names of folders, the width of columns."""
    line = re.sub(r"unix:\S+", "unix:PATH", line)
    line = re.sub(r"\d[\d.:-]*(?: ?(?:ms|sec|min|s|h|d)\b)?", "N", line)
    return " ".join(line.split())


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """A server as the page has it, and a folder with a `ximssctl` that knows its configuration."""
    folder = tmp_path_factory.mktemp("page")
    conf = "workers = 2\nkeepers = 2\nhashers = 1\nhelpers = 2\n"
    lmtp = "[listener lmtp]\nprotocol = lmtp\naddress = unix:{run_dir}/lmtp\n"
    with Server(folder, accounts={}, server=conf, conf=lmtp, env={"LC_ALL": "C.UTF-8"}) as server:
        tool = folder / "ximssctl"
        tool.write_text('#!/bin/sh\nexec %s/ximssctl -c %s "$@"\n' % (server.bin, server.conf_path))
        tool.chmod(0o755)
        yield server, {**server.env, "PATH": "%s:%s" % (folder, os.environ["PATH"])}


def test_examples(world):
    server, env = world
    clients = []
    for command, lines in examples():
        if "session list" in command:  # those who are on by then
            clients.append(server.client())
            clients[0].send('<starttls id="s"/>')
            clients[0].raw()
            clients[0].start_tls(server.tls_context())
            clients[0].login("dora", "battery-staple")
            clients.append(server.client())
            clients[1].send('<noop id="n"/>')
            clients[1].raw()
            wait_for(lambda: len(server.top()["sessions"]) == 2)
        if command == "ximssctl status":
            wait_for(lambda: len(server.top()["sessions"]) == 1)
        if command.startswith("ximssctl drain"):  # behind the upgrade
            wait_for(lambda: "upgrade: old workers are drained" in server.log(), 60)
        done = subprocess.run(["bash", "-c", command], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, timeout=60, env=env, check=False)
        assert [masked(line) for line in done.stdout.splitlines()] == [masked(line) for line in lines], command
        if command == "ximssctl session kick 100005" and clients[0] is not None:
            assert [clients[0].recv().tag for _ in range(3)] == ["alert", "alert", "bye"] and clients[0].closed()
            clients[0].close()
            clients[0] = None
            wait_for(lambda: len(server.top()["sessions"]) == 1)


def test_every_verb_has_an_example():
    commands = " ; ".join(command for command, _ in examples())
    for words in verbs():
        assert re.search(r"ximssctl (--json )?%s\b" % words, commands), words


def test_every_verb_stands_in_the_page():
    """With the arguments of ctl.tbl, as the page is rendered."""
    page = subprocess.run(["mandoc", "-T", "utf8", "-O", "width=200", PAGE], capture_output=True, text=True, check=True).stdout
    page = " ".join(re.sub(".\x08", "", page).replace("\u2010", "-").split())
    for words, row in verbs().items():
        want = " ".join([words, row["args"]]).strip()
        shown = re.sub(r"(?<![-\w])[A-Z]{2,}\b", lambda m: m.group(0).lower(), want).replace("...", " ...")
        assert shown in page, shown


def test_exit_codes_stand_in_the_page():
    with open(PAGE, encoding="utf-8") as f:
        text = f.read()
    part = text[text.index(".Sh EXIT STATUS"):text.index(".Sh EXAMPLES")]
    assert re.findall(r"^\.It (\d)$", part, re.M) == ["0", "1", "2", "3"]
