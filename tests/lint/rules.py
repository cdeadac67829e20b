# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The ximssd authors
"""The rules of the house that a program can check.

Each rule is a function of a Tree that returns problems, one string each ("path:line: what"). SAMPLES holds, for every
rule, files that break it: a rule that lets its sample pass is itself a failed test.
"""
import os
import re
import shutil
import subprocess
import tempfile
from concurrent.futures import ThreadPoolExecutor

FUNCTION_FAILS = 100
FUNCTION_P90 = 50
FILE_WARNS = 600
FILE_FAILS = 1000
SKIP_DIRS = {".git", "build", "__pycache__", ".pytest_cache"}
FOREIGN = ("tests/data/", "tests/fuzz/corpus/", "build/")

# Headers of libraries, by the names that src/LAYERS uses.
LIBRARIES = {
    "bsd": r"bsd/.*", "md": r"(md5|sha1|sha2|sha512)\.h", "libxml2": r"libxml/.*", "gmime": r"(gmime|glib|gio)/.*|glib(-object)?\.h", "uv": r"uv\.h",
    "openssl": r"openssl/.*", "sqlite3": r"sqlite3\.h", "unistring": r"uni[a-z0-9]*\.h", "zstd": r"zstd.*\.h",
    "gsasl": r"gsasl\.h", "crypt": r"crypt\.h", "ncurses": r"(n?curses|panel|term)(w?)(/.*)?\.h", "llhttp": r"llhttp\.h",
    "ical": r"libical/.*", "curl": r"curl/.*", "seccomp": r"seccomp\.h", "pq": r"libpq-fe\.h", "jansson": r"jansson\.h",
}
NOT_UNISTRING = {"unistd.h"}
TOOL_ROOMS = {"base", "shm", "codec", "conf"}
TOOL_LIBRARIES = {"bsd", "openssl", "ncurses", "jansson"}


class Tree:
    def __init__(self, root):
        self.root = root
        self.files = []
        for folder, dirs, names in os.walk(root):
            dirs[:] = sorted(d for d in dirs if d not in SKIP_DIRS)
            for name in sorted(names):
                path = os.path.relpath(os.path.join(folder, name), root)
                if name not in SKIP_DIRS and not path.startswith(FOREIGN) and not name.endswith(".pyc"):
                    self.files.append(path)
        self.notes = []

    def read(self, path):
        with open(os.path.join(self.root, path), encoding="utf-8", errors="replace") as f:
            return f.read()

    def c_files(self, *under, ends=(".c", ".h")):
        return [p for p in self.files if p.endswith(ends) and (not under or p.startswith(under))]


def line_of(text, at):
    return text.count("\n", 0, at) + 1


def bare_code(text):
    """The text with comments blanked and the insides of string literals taken out; lines stay where they are."""
    def blank(m):
        s = m.group(0)
        if s.startswith("/"):
            return re.sub(r"[^\n]", " ", s)
        return s[0] + re.sub(r"[^\n]", " ", s[1:-1]) + s[-1]
    return re.sub(r'/\*.*?\*/|//[^\n]*|"(?:[^"\\\n]|\\.)*"|\'(?:[^\'\\\n]|\\.)*\'', blank, text, flags=re.S)


# --- layers

def read_layers(tree):
    floors, libraries = {}, {}
    for line in tree.read("src/LAYERS").splitlines():
        words = line.split("#")[0].split()
        if words:
            floors[words[0]] = int(words[1])
            libraries[words[0]] = set(words[2:])
    return floors, libraries


def room_of(path):
    parts = path.split("/")
    if parts[0] in ("shm", "tools"):
        return parts[0]
    return parts[1] if parts[0] == "src" and len(parts) > 2 else "main" if parts[0] == "src" else parts[0]


def library_of(header):
    if header in NOT_UNISTRING:
        return None
    for name, pattern in LIBRARIES.items():
        if re.fullmatch(pattern, header):
            return name
    return None if re.fullmatch(r"(sys|netinet|arpa|linux|net)/[a-z0-9_]+\.h|[a-z0-9_]+\.h", header) else header


def layers(tree):
    bad = []
    floors, libraries = read_layers(tree)
    for path in tree.c_files("src/", "shm/", "tools/", ends=(".c", ".h", ".tbl")):
        room = room_of(path)
        if room != "tools" and room not in floors:
            bad.append(f"{path}:1: room '{room}' is not in src/LAYERS")
            continue
        for m in re.finditer(r'^[ \t]*#[ \t]*include[ \t]*(["<])([^">]+)[">]', tree.read(path), flags=re.M):
            at, name = f"{path}:{line_of(tree.read(path), m.start())}", m.group(2)
            if m.group(1) == "<":
                library = library_of(name)
                allowed = TOOL_LIBRARIES if room == "tools" else libraries[room]
                if library and library not in allowed:
                    bad.append(f"{at}: room '{room}' may not include <{name}> ({library})")
                continue
            if "/" not in name:
                bad.append(f"{at}: \"{name}\" is not written from the root")
                continue
            target = name.split("/")[0]
            if room == "tools":
                if target not in TOOL_ROOMS and not name.startswith("tools/"):
                    bad.append(f"{at}: tools may include base, shm, codec and conf, not \"{name}\"")
            elif target == "gen":
                if floors[room] > floors["codec"]:
                    bad.append(f"{at}: \"{name}\" belongs to codec")
            elif target not in floors:
                bad.append(f"{at}: \"{name}\" is in no room of src/LAYERS")
            elif target != room and floors[target] >= floors[room]:
                bad.append(f"{at}: room '{room}' (floor {floors[room]}) may not include \"{name}\" "
                           f"(floor {floors[target]})")
    return bad


# --- sizes

def functions(text):
    """(line, length) of each function: from '{' to '}' in column one, the form that clang-format keeps."""
    start = None
    for number, line in enumerate(text.splitlines(), 1):
        if line == "{":
            start = number
        elif line == "}" and start is not None:
            yield start, number - start + 1
            start = None


def sizes(tree):
    bad, lengths = [], []
    for path in tree.c_files():
        text = tree.read(path)
        lines = text.count("\n")
        if lines > FILE_FAILS:
            bad.append(f"{path}:{lines}: file of {lines} lines, {FILE_FAILS} are allowed")
        elif lines > FILE_WARNS:
            tree.notes.append(f"{path}: {lines} lines")
        for line, length in functions(text):
            if length > FUNCTION_FAILS:
                bad.append(f"{path}:{line}: function of {length} lines, {FUNCTION_FAILS} are allowed")
            if not path.startswith("tests/"):
                lengths.append(length)
    if lengths:
        p90 = sorted(lengths)[len(lengths) * 9 // 10]
        tree.notes.append(f"{len(lengths)} functions, 90th percentile {p90} lines, longest {max(lengths)}")
        if p90 > FUNCTION_P90:
            bad.append(f"src: one function in ten has more than {FUNCTION_P90} lines ({p90})")
    return bad


# --- the two lines at the top

SPDX = ("SPDX-License-" + "Identifier: MIT", "SPDX-FileCopyright" + "Text: The ximssd authors")
SPDX_ENDS = (".c", ".h", ".tbl", ".py", ".sh", ".conf", ".service", ".socket", ".1", ".5", ".8", ".js", ".css", ".html",
             ".ini", ".toml", ".yml", ".sql")
SPDX_NAMES = {"Makefile", "LAYERS", "packages", ".clang-format"}


def needs_spdx(tree, path):
    name = os.path.basename(path)
    return name.endswith(SPDX_ENDS) or name in SPDX_NAMES or tree.read(path)[:2] == "#!"


def spdx(tree):
    bad = []
    for path in tree.files:
        if needs_spdx(tree, path):
            head = tree.read(path).splitlines()[:5]
            at = [next((i for i, line in enumerate(head) if want in line), None) for want in SPDX]
            if None in at or at[1] != at[0] + 1:
                bad.append(f"{path}:1: the two SPDX lines are missing")
    return bad


# --- calls

BANNED = r"strcpy|strcat|sprintf|vsprintf|gets|atoi|strtok|strtok_r|alloca"
BANNED_IN_PROGRAMS = r"strncpy|strncat"
CLOCKS = r"clock_gettime|gettimeofday|time|ftime|timespec_get"


def calls(tree, pattern, where, what):
    bad = []
    for path in where:
        code = bare_code(tree.read(path))
        for m in re.finditer(pattern, code):
            bad.append(f"{path}:{line_of(code, m.start())}: {m.group(0).strip('( ')}: {what}")
    return bad


def banned_calls(tree):
    what = "this function is not used here"
    return calls(tree, rf"(?<![\w.>])(?:{BANNED})\s*\(", tree.c_files(), what) \
        + calls(tree, rf"(?<![\w.>])(?:{BANNED_IN_PROGRAMS})\s*\(", tree.c_files("src/", "shm/", "tools/"), what)


def clock_door(tree):
    where = [p for p in tree.c_files("src/", "shm/", "tools/") if p != "src/base/clock.c"]
    bad = calls(tree, rf"(?<![\w.>])(?:{CLOCKS})\s*\(", where, "time comes from base/clock")
    headers = tree.c_files("src/", "shm/", "tools/", ends=(".h",)) + tree.c_files("tools/", ends=(".c",))
    return bad + calls(tree, r"\bTEST_CLOCK\b", headers, "the test build compiles no header and no tool anew")


def sqlite_door(tree):
    where = [p for p in tree.c_files("src/", "shm/", "tools/") if not p.startswith("src/db/")]
    return calls(tree, r"\bsqlite3_\w+", where, "SQLite is used in src/db")


def net_door(tree):
    where = [p for p in tree.c_files("src/", "shm/") if not p.startswith("src/net/")]
    return calls(tree, r"\b(?:uv|SSL|BIO)_\w+(?=\s*\()", where, "libuv and TLS are used in src/net")


def llhttp_door(tree):
    where = [p for p in tree.c_files("src/", "shm/", "tools/") if p != "src/codec/http1.c"]
    return calls(tree, r"\bllhttp_\w+(?=\s*\()", where, "llhttp is used in src/codec/http1.c") \
        + calls(tree, r"\bllhttp_set_lenient\w*", tree.c_files(), "llhttp stays strict")


def built_sql(tree):
    bad = []
    for path in tree.c_files("src/"):
        text = re.sub(r"/\*.*?\*/", lambda m: re.sub(r"[^\n]", " ", m.group(0)), tree.read(path), flags=re.S)
        for m in re.finditer(r'\w*printf\s*\([^;"]*"(?:[^"\\]|\\.)*?\b(SELECT|INSERT INTO|UPDATE|DELETE FROM|REPLACE INTO)\b'
                             r'(?=[^;]*%)', text):
            bad.append(f"{path}:{line_of(text, m.start())}: SQL is bound, never printed together")
    return bad


# --- headers, form, scripts, pages

def run_each(argvs):
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        return list(pool.map(lambda a: subprocess.run(a[0], cwd=a[1], capture_output=True, text=True), argvs))


def generated(tree, to):
    """What the Makefile makes from ops.tbl, for headers that include it."""
    if os.path.exists(os.path.join(tree.root, "Makefile")) and os.path.exists(os.path.join(tree.root, "src/ximss/ops.tbl")):
        subprocess.run(["make", "-s", f"BUILD={to}", f"{to}/gen/optag_rows.h"], cwd=tree.root, capture_output=True)


def headers_alone(tree):
    flags = subprocess.run("pkg-config --cflags libxml-2.0 libbsd libuv openssl sqlite3 libgsasl gmime-3.0", shell=True,
                           capture_output=True, text=True).stdout.split()
    bad = []
    with tempfile.TemporaryDirectory() as build:
        generated(tree, build)
        base = ["gcc", "-std=c17", "-fsyntax-only", "-w", "-D_GNU_SOURCE", "-Isrc", "-I.", f"-I{build}", *flags, "-x", "c"]
        paths = tree.c_files("src/", "shm/", "tools/", ends=(".h",))
        for path, done in zip(paths, run_each([([*base, p], tree.root) for p in paths])):
            if done.returncode != 0:
                first = next((line for line in done.stderr.splitlines() if "error" in line), "does not compile")
                bad.append(f"{path}:1: does not compile alone: {first}")
    return bad


def clang_format(tree):
    paths = tree.c_files()
    if not paths:
        return []
    chunks = [paths[i::2] for i in range(2) if paths[i::2]]
    argv = ["clang-format-14", "--dry-run", "-Werror", "--style=file"]
    bad = {}
    for done in run_each([(argv + c, tree.root) for c in chunks]):
        for m in re.finditer(r"^([^:\n]+):(\d+):\d+: error", done.stderr, flags=re.M):
            bad.setdefault(m.group(1), m.group(2))
    return [f"{p}:{line}: not in the form of clang-format-14" for p, line in sorted(bad.items())]


def scripts_parse(tree):
    bad = []
    for path in tree.files:
        first = tree.read(path).split("\n", 1)[0] if not path.endswith(tuple(".png .jpg .gz".split())) else ""
        if path.endswith(".py") or (first.startswith("#!") and "python" in first):
            try:
                compile(tree.read(path), path, "exec")
            except SyntaxError as e:
                bad.append(f"{path}:{e.lineno}: {e.msg}")
        elif first.startswith("#!") and re.search(r"\b(ba)?sh\b", first):
            shell = "bash" if "bash" in first else "sh"
            done = subprocess.run([shell, "-n", path], cwd=tree.root, capture_output=True, text=True)
            if done.returncode != 0:
                bad.append(f"{path}:1: {done.stderr.strip()}")
        if first.startswith("#!") and not os.access(os.path.join(tree.root, path), os.X_OK):
            bad.append(f"{path}:1: a script that cannot be executed")
    return bad


def manual_pages(tree):
    pages = [p for p in tree.files if re.search(r"\.[158]$", p)]
    bad = []
    for path in pages:
        done = subprocess.run(["mandoc", "-T", "lint", "-W", "warning", path], cwd=tree.root, capture_output=True, text=True)
        bad += [line.replace("mandoc: ", "") for line in done.stdout.splitlines() + done.stderr.splitlines()
                if "missing date" not in line]
    return bad


# --- words that do not belong into the tree

# Put together here, so that this file does not hold them.
WORDS = [
    r"\b(deb|security|ftp|http)\.deb" r"ian\.org", r"registry\.np" r"mjs", r"py" r"pi\.org", r"crates\." r"io\b",
    r"proxy\.gol" r"ang", r"/wo" r"rk/", r"/tmp/b[cs]?" r"-\w", r"\bTO" r"DO\b", r"\bFIX" r"ME\b", r"\bXX" r"X\b",
    r"\bcla" r"ude\b", r"anthr" r"opic", r"chat" r"gpt", r"lang" r"uage model",
]


def words(tree):
    bad = []
    pattern = re.compile("|".join(WORDS), re.I)
    for path in tree.files:
        text = tree.read(path)
        for m in pattern.finditer(text):
            bad.append(f"{path}:{line_of(text, m.start())}: '{m.group(0)}' does not belong here")
    return bad


# --- tables

def slow_operations(tree):
    """Handlers that run in several slices are named in tests/lint/more_ops: adding one is a decision (design 2.1)."""
    have = [m.group(1) for m in re.finditer(r'^OP\(\w+, "(\w+)".*\bOPF_MORE\b', tree.read("src/ximss/ops.tbl"), re.M)]
    listed = [w for w in (line.split("#")[0].strip() for line in tree.read("tests/lint/more_ops").splitlines()) if w]
    return [f"src/ximss/ops.tbl:1: '{w}' has OPF_MORE but is not in tests/lint/more_ops" for w in have if w not in listed] \
        + [f"tests/lint/more_ops:1: '{w}' has no OPF_MORE in ops.tbl" for w in listed if w not in have]


# Settings that are checked and, by their paragraph, not used yet; and the one that becomes domains[0].
NOT_READ_YET = {"postman.relay", "server.domain"}


def settings_are_read(tree):
    """A setting that nothing reads must not exist: c->server.channels or similar stands somewhere for each row."""
    readers = [p for p in tree.c_files("src/", "tools/", ends=(".c",)) if not p.startswith("src/conf/")]
    code = "\n".join(bare_code(tree.read(p)) for p in readers)
    bad, table = [], tree.read("src/conf/settings.tbl")
    for m in re.finditer(r"^(?:(LISTENER|DOMAIN)_)?SETTING\((\w+), (\w+),", table, re.M):
        name = f"{m.group(2)}.{m.group(3)}"
        use = rf"(?:->|\.){m.group(3)}\b" if m.group(1) else rf"\b{m.group(2)}\.{m.group(3)}\b"
        if (re.search(use, code) is None) != (name in NOT_READ_YET):
            is_read = "is read now: take it from NOT_READ_YET" if name in NOT_READ_YET else "is read by nothing"
            bad.append(f"src/conf/settings.tbl:{line_of(table, m.start())}: {name} {is_read}")
    return bad


def log_tags(tree):
    """The tag of a record is a row of log_modules.tbl, so that a level can be set for it; a row is somebody's tag."""
    table = tree.read("src/base/log_modules.tbl")
    rows = re.findall(r"^LOG_MODULE\((\w+),", table, re.M)
    bad, used = [], set()
    for path in tree.c_files("src/"):
        text = tree.read(path)
        for m in re.finditer(r'\blog_(?:write|write_now|wanted)\s*\(\s*(?:\([^()]*\)\s*)?[\w.>-]+,\s*"([^"]*)"', text):
            used.add(m.group(1))
            if m.group(1) not in rows:
                bad.append(f"{path}:{line_of(text, m.start())}: '{m.group(1)}' is no row of src/base/log_modules.tbl")
        used.update(re.findall(r'\.tag = "(\w+)"', text))
    return bad + [f"src/base/log_modules.tbl:1: nobody writes records of '{r}'" for r in rows if r not in used]


def fuzz_seeds(tree):
    bad = []
    for path in tree.c_files("tests/fuzz/fuzz_", ends=(".c",)):
        folder = "tests/fuzz/corpus/" + os.path.basename(path)[len("fuzz_"):-2]
        full = os.path.join(tree.root, folder)
        if not os.path.isdir(full) or not os.listdir(full):
            bad.append(f"{path}:1: no seeds in {folder}")
        elif any(os.path.getsize(os.path.join(full, f)) > 200_000 for f in os.listdir(full)):
            bad.append(f"{folder}: a seed of more than 200 kB")
    return bad


RULES = [layers, sizes, spdx, banned_calls, clock_door, sqlite_door, net_door, llhttp_door, built_sql, headers_alone, clang_format,
         scripts_parse, manual_pages, words, slow_operations, settings_are_read,
         log_tags, fuzz_seeds]

LAYERS_SAMPLE = "base 0\nshm 0\ncodec 1 libxml2\nnet 3 uv\nstore 4\n"
SAMPLES = {
    "layers": [
        {"src/LAYERS": LAYERS_SAMPLE, "src/codec/a.c": '#include "net/loop.h"\n'},
        {"src/LAYERS": LAYERS_SAMPLE, "src/codec/a.c": "#include <uv.h>\n"},
        {"src/LAYERS": LAYERS_SAMPLE, "src/store/a.c": '#include "a.h"\n'},
        {"src/LAYERS": LAYERS_SAMPLE, "shm/a.c": '#include "base/str.h"\n'},
        {"src/LAYERS": LAYERS_SAMPLE, "tools/a.c": '#include "net/loop.h"\n'},
        {"src/LAYERS": LAYERS_SAMPLE, "src/attic/a.c": "\n"},
    ],
    "sizes": [
        {"src/a.c": "int f(void)\n{\n" + "    x();\n" * 99 + "}\n"},
        {"src/a.c": "int x;\n" * 1001},
        {"src/a.c": ("int f(void)\n{\n" + "    x();\n" * 55 + "}\n") * 3},
    ],
    "spdx": [{"src/a.c": "int x;\n"}, {"tests/a": "#!/bin/sh\ntrue\n"}, {"a.py": "# " + SPDX[0] + "\n"}],
    "banned_calls": [{"src/a.c": "void f(void)\n{\n    strcpy(a, b);\n}\n"}, {"tests/a.c": "int x = atoi (s);\n"}],
    "clock_door": [{"src/net/a.c": "x = time(NULL);\n"}, {"tools/a.c": "clock_gettime(CLOCK_MONOTONIC, &t);\n"},
                   {"src/net/a.h": "#ifdef TEST_CLOCK\n#endif\n"}],
    "sqlite_door": [{"src/store/a.c": "sqlite3_step(s);\n"}],
    "net_door": [{"src/doors/a.c": "uv_run(l, 0);\n"}, {"src/proc/a.c": "SSL_read(s, b, n);\n"}],
    "llhttp_door": [{"src/doors/a.c": "llhttp_execute(&l, p, n);\n"},
                    {"src/codec/http1.c": "llhttp_set_lenient_headers(&l, 1);\n"}],
    "built_sql": [{"src/store/a.c": 'snprintf(b, n, "SELECT x FROM t WHERE y = \'%s\'", y);\n'},
                  {"src/store/a.c": 'buf_printf(&b,\n    "DELETE FROM %s", t);\n'}],
    "headers_alone": [{"src/base/a.h": "struct a {\n    struct unknown u;\n};\n"}],
    "clang_format": [{".clang-format": "BasedOnStyle: LLVM\nIndentWidth: 4\n", "src/a.c": "int   f( void ) ;\n"}],
    "scripts_parse": [{"a.py": "def f(:\n"}, {"tests/a": "#!/bin/sh\nif true; then\n"}, {"tests/b": "#!/bin/sh\n"}],
    "manual_pages": [{"conf/a.5": ".Dd x\n.Dt A 5\n.Os\n.Sh NAME\n.Nm a\n.Nd a\n.Bl -tag\n.It x\n.Sh FOO\n"}],
    "words": [{"README": "get it from deb.deb" "ian.org\n"}, {"src/a.c": "/* TO" "DO */\n"}, {"a": "/wo" "rk/main\n"}],
    "slow_operations": [
        {"src/ximss/ops.tbl": 'OP(A, "a", ANY, f, NULL, NULL, OPF_MORE, "x")\n', "tests/lint/more_ops": "\n"},
        {"src/ximss/ops.tbl": 'OP(A, "a", ANY, f, NULL, NULL, 0, "x")\n', "tests/lint/more_ops": "a\n"},
    ],
    "settings_are_read": [
        {"src/conf/settings.tbl": 'SETTING(server, channels, NUMBER\n', "src/proc/a.c": "x = c->server.channel;\n"},
        {"src/conf/settings.tbl": "DOMAIN_SETTING(domain, language, STRING\n"},
    ],
    "log_tags": [
        {"src/base/log_modules.tbl": 'LOG_MODULE(A, "a")\n', "src/a.c": 'log_write(LOG_LOW, "A", 0, "B", 0, "");\n'
                                                                       'log_write(LOG_LOW, "B", 0, NULL, "");\n'},
        {"src/base/log_modules.tbl": 'LOG_MODULE(A, "a")\nLOG_MODULE(B, "b")\n',
         "src/a.c": 'log_write((enum log_level)level, "A", 0, NULL, "");\n'},
    ],
    "fuzz_seeds": [{"tests/fuzz/fuzz_x.c": "\n"}],
}


def catches(rule, sample):
    """Whether the rule finds something in a tree of just these files."""
    root = tempfile.mkdtemp(prefix="ximssd-lint-")
    try:
        for path, text in sample.items():
            full = os.path.join(root, path)
            os.makedirs(os.path.dirname(full), exist_ok=True)
            with open(full, "w", encoding="utf-8") as f:
                f.write(text)
        return bool(rule(Tree(root)))
    finally:
        shutil.rmtree(root)
