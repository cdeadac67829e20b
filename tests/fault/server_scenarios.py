# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The ximssd authors
"""What happens to the server itself while a call fails: reload, the admin's program, deaths, start and stop (world.py)."""
import json
import os
import signal
import subprocess
import time

from faults import Hang
from ledger import Wrong
from world import NAMES, scenario
from ximss import PATIENCE, wait_for

# --- the admin

@scenario
def reload(w):
    client = w.fresh()
    w.count += 1
    w.server.rewrite(server=w.server.settings + "channels = %d\n" % (500 + w.count % 400))
    since = len(w.server.log())
    yield
    w.server.process.send_signal(signal.SIGHUP)

    def done():
        w.server.hurry()
        return [line for line in w.server.log()[since:].splitlines() if line.endswith((" reloaded", " nothing was changed"))]
    try:
        w.heard("ok" if wait_for(done)[0].endswith(" reloaded") else "error")
    except AssertionError:
        raise Hang("reload") from None
    w.ask(client, '<readTime id="t"/>')
    yield
    if w.server.reload() != "":
        raise Wrong("a reload without faults fails: %s" % w.server.log()[since:])


@scenario
def certificate(w):
    since = len(w.server.log())
    yield
    os.utime(w.server.tls_pair[0])

    def done():
        w.server.hurry()
        return [line for line in w.server.log()[since:].splitlines()
                if line.endswith(("new certificate in use", "the certificate in use stays"))]
    try:
        w.heard("ok" if wait_for(done)[0].endswith("in use") else "error")
    except AssertionError:
        raise Hang("a new certificate that nobody looks at") from None
    yield
    client = w.server.talk(tls=True)
    if not client.ask('<noop id="n"/>').ok:
        raise Wrong("no TLS")
    client.close()


@scenario
def admin_adds_and_removes(w):
    name = "u%s" % w.ident()
    yield
    codes = [w.ctl("account", "add", name, "--password-stdin", stdin="correct-horse\n")[0]]
    if codes[0] == 0:
        codes.append(w.ctl("account", "remove", name)[0])
    yield
    has = {a["account"].split("@")[0] for a in json.loads(w.server.ctl("--json", "account", "list").stdout)["accounts"]}
    if codes == [0, 0] and name in has:
        raise Wrong("a removed account is there")
    if codes in ([1], [2]) and name in has:
        raise Wrong("a refused account is there")
    if name in has:  # where a write has failed, the next one is let through after a second
        def removed():
            w.server.hurry()
            return w.server.ctl("account", "remove", name, check=False).returncode == 0
        wait_for(removed)


@scenario
def admin_lists(w):
    yield
    code, out = w.ctl("--json", "account", "list")
    if code == 0 and not all('"account":"%s@harbor.example"' % name in out.replace('": "', '":"') for name in NAMES):
        raise Wrong("a list without accounts: %s" % out)
    if code == 0:
        json.loads(out)
    w.ctl("status")
    yield


# --- processes die, and others take their place under the fault

def rebirth(role):
    def run(w):
        yield
        victims = w.server.pids()
        for name, pid in victims.items():
            if name.split()[0] == role:
                os.kill(pid, signal.SIGKILL)

        def all_new():
            w.server.hurry()
            now = w.server.pids()
            return set(victims) <= set(now) and all(now[n] != victims[n] for n in victims if n.split()[0] == role)
        try:
            wait_for(all_new)
            talk, _ = w.server.try_login("dora", w.ledger.accounts["dora"].passwords[0])
            w.heard("ok" if talk else "error")
        except AssertionError:
            raise Hang("nobody takes its place: %s" % w.server.pids()) from None
        yield
    run.__name__ = role + "_dies"
    scenario(run)


for one in ("worker", "keeper", "auth", "hasher", "helper"):
    rebirth(one)


def start_once(w):
    """True: it serves; False: it ended, and said why."""
    server = w.server
    since = len(server.log())
    with open(server.log_path, "ab") as log:
        server.process = subprocess.Popen([os.path.join(server.bin, "ximssd"), "-f", "-c", server.conf_path],
                                          stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=server.env)

    def decided():
        server.hurry()
        return server.process.poll() is not None or " serving: " in server.log()[since:]
    try:
        wait_for(decided)
    except AssertionError:
        raise Hang("start: %s" % server.log()[since:]) from None
    if server.process.poll() is None:
        return True
    said = server.log()[since:]
    if server.process.returncode == 1 and w.fault is not None and w.fault.call == "mmap":
        return False  # libbsd ends the process without a word when its random numbers have no page
    if server.process.returncode != 1 or not [line for line in said.splitlines() if "warning:" not in line]:
        raise Wrong("ends with code %s, saying: %s" % (server.process.returncode, said))
    return False


@scenario
def start(w):
    if w.server.process.poll() is None:
        w.server.process.send_signal(signal.SIGTERM)
        w.server.process.wait(60)
    yield
    w.heard("ok" if start_once(w) else "error")
    yield
    if w.server.process.poll() is not None and not start_once(w):
        raise Wrong("no start any more: %s" % w.server.log()[-2000:])


@scenario
def stop(w):
    clients = [w.fresh() for _ in range(3)]
    w.prepare(clients[0])
    yield
    w.server.process.send_signal(signal.SIGTERM)
    end = time.monotonic() + PATIENCE
    while w.server.process.poll() is None:
        w.server.hurry()
        time.sleep(0.02)
        if time.monotonic() > end:
            raise Hang("stop")
    w.heard("ok" if w.server.process.returncode == 0 else "error")
    if w.server.process.returncode != 0:
        raise Wrong("a stop ends with code %d" % w.server.process.returncode)
    for c in clients:
        c.close()
    yield
    if not start_once(w):
        raise Wrong("no start any more: %s" % w.server.log()[-2000:])
