# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The ximssd authors
"""Options: what a program takes, what its --help says and what its manual page says is the same."""
import glob
import os
import re
import subprocess

import pytest
from ximss import BUILD, ROOT

PAGES = {os.path.basename(p).rsplit(".", 1)[0]: p
         for p in sorted(glob.glob(os.path.join(ROOT, "conf/*.[18]")) + glob.glob(os.path.join(ROOT, "tools/*/*.[18]")))}
OPTION = r"(?<![\w-])(--[a-z][a-z0-9-]*|-[a-zA-Z0-9])(?![\w-])"


def page_text(name):
    """The rendered page without its examples, where options of other programs may stand."""
    done = subprocess.run(["mandoc", "-T", "utf8", PAGES[name]], capture_output=True, text=True, check=True)
    text = re.sub(".\x08", "", done.stdout)
    assert "OPTIONS" in text or "DESCRIPTION" in text
    return re.sub(r"^EXAMPLES?\n.*?(?=^[A-Z]|\Z)", "", text, flags=re.M | re.S)


def help_text(name):
    done = subprocess.run([os.path.join(BUILD, name), "--help"], capture_output=True, text=True, timeout=20, check=False)
    assert done.returncode == 0 and done.stdout, done
    return done.stdout


def taken(name):
    """What the program's sources give to getopt_long()."""
    paths = [os.path.join(ROOT, "src/main.c")] if name == "ximssd" else glob.glob(os.path.join(ROOT, "tools", name, "*.[ct]*"))
    code = ""
    for path in paths:
        with open(path, encoding="utf-8") as f:
            code += f.read()
    words = re.findall(r'\{"([a-z][a-z0-9-]+)",\s*(?:no|required|optional)_argument', code)
    letters = "".join(re.findall(r'getopt_long\(argc, argv, "([^"]*)"', code)).replace(":", "")
    for letter, word in re.findall(r"^OPTION\(\w+, (?:'(\w)'|0), \"([a-z-]+)\"", code, re.M):
        words.append(word)
        letters += letter
    assert words and letters, name
    return {"--" + w for w in words} | {"-" + c for c in letters.replace("+", "")}


def test_every_program_has_a_page():
    programs = {"ximssd"} | {d.split("/")[-2] for d in glob.glob(os.path.join(ROOT, "tools/*/main.c"))}
    assert programs == set(PAGES)


@pytest.mark.parametrize("name", PAGES)
def test_options(name):
    want = taken(name)
    assert set(re.findall(OPTION, help_text(name))) == want, "--help"
    assert set(re.findall(OPTION, page_text(name))) == want, "manual page"


@pytest.mark.parametrize("name", PAGES)
def test_exit_codes(name):
    """The numbers that --help lists at its end stand in the page's part on them."""
    line = re.search(r"^Exit(?: codes)?: (.*)", help_text(name), re.M | re.S)
    part = re.search(r"^EXIT STATUS\n(.*?)^[A-Z]", page_text(name), re.M | re.S)
    assert line and part
    codes = set(re.findall(r"(?:^|[,;] |\n)(\d) ", line.group(1)))
    assert len(codes) >= 2 and codes == set(re.findall(r"(?:^ *|[,;] )(\d) ", part.group(1), re.M))


@pytest.mark.parametrize("name", PAGES)
def test_version_and_unknown_options(name):
    for option in ("-V", "--version"):
        done = subprocess.run([os.path.join(BUILD, name), option], capture_output=True, text=True, timeout=20, check=False)
        assert done.returncode == 0 and re.fullmatch(name + r" \d+\.\d+\.\d+\n", done.stdout), done
    done = subprocess.run([os.path.join(BUILD, name), "--fry-eggs"], capture_output=True, text=True, timeout=20, check=False)
    assert done.returncode in (1, 2) and done.stdout == "" and done.stderr
