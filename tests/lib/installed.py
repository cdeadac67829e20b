# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The ximssd authors
"""What `make install` has to install, from the files that there are: every tool, every manual page, every file of conf/."""
import glob
import os

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
TOOLS = {os.path.basename(p)[:-2] for p in glob.glob(os.path.join(ROOT, "tools/*.c"))} \
    | {p.split("/")[-2] for p in glob.glob(os.path.join(ROOT, "tools/*/*.c"))} - {"lib"}
# Where a file of conf/ and conf/completion/ goes, by its name's end.
PLACES = {
    ".service": ["{units}/{name}"], ".socket": ["{units}/{name}"],
    ".sysusers": ["{prefix}/lib/sysusers.d/ximssd.conf"], ".tmpfiles": ["{prefix}/lib/tmpfiles.d/ximssd.conf"],
    ".conf": ["{etc}/ximssd/ximssd.conf", "{etc}/ximssd/ximssd.conf.sample"],
    ".bash": ["{prefix}/share/bash-completion/completions/{stem}"], ".fish": ["{prefix}/share/fish/vendor_completions.d/{name}"],
    "": ["{prefix}/share/zsh/vendor-completions/{name}"],
}


PARTS = {"ximss-top-live"}  # programs that another one starts


def to_be_installed(prefix="usr", etc="etc", units=None):
    """Paths without the leading slash. A file of conf/ that has no place is an error."""
    units = units or f"{prefix}/lib/systemd/system"
    for tool in TOOLS | {"ximssd"}:
        folder = "sbin" if tool in ("ximssd", "ximssctl") else "libexec/ximssd" if tool in PARTS else "bin"
        yield f"{prefix}/{folder}/{tool}"
    pages = [p for folder in ("conf", "tools", "tools/*") for p in glob.glob(os.path.join(ROOT, folder, "*.[158]"))]
    for page in pages:
        yield f"{prefix}/share/man/man{page[-1]}/{os.path.basename(page)}"
    for path in glob.glob(os.path.join(ROOT, "conf/*")) + glob.glob(os.path.join(ROOT, "conf/completion/*")):
        name = os.path.basename(path)
        if os.path.isfile(path) and path not in pages and name != "generate":
            for place in PLACES[os.path.splitext(name)[1]]:
                yield place.format(prefix=prefix, etc=etc, units=units, name=name, stem=os.path.splitext(name)[0])
    for path in glob.glob(os.path.join(ROOT, "conf/nginx/*")) + glob.glob(os.path.join(ROOT, "conf/haproxy/*")):
        yield f"{prefix}/share/doc/ximssd/examples/{os.path.relpath(path, os.path.join(ROOT, 'conf'))}"
