# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The ximssd authors
"""Each allocation of a worker's first handshake fails in its turn: that handshake may fail, those behind it do not."""
import contextlib
import ssl
import subprocess

import pytest
from faults import LONG, SANITIZED, FaultServer, note
from ximss import wait_for

STEP = 1 if LONG else 12
MOST = 2000  # far more than a handshake makes


def new_worker(server):
    server.age(3)  # who dies young is started again ever more slowly
    server.kill("worker 1")

    def serves():
        server.hurry()
        with contextlib.suppress(OSError):
            return server.talk().ask('<noop id="n"/>').ok
    wait_for(serves)


@pytest.mark.skipif(SANITIZED, reason="a sanitizer has an allocator of its own, which never fails")
def test_first_handshake(tmp_path):
    pair = [str(tmp_path / name) for name in ("cert.pem", "key.pem")]
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj",
                    "/CN=harbor.example", "-days", "2", "-out", pair[0], "-keyout", pair[1]], check=True, capture_output=True)
    with FaultServer(tmp_path, {"dora": "correct-horse"}, conf="[tls]\ncertificate = %s\nkey = %s\n" % tuple(pair),
                     server="workers = 1\n", tls=True) as server:
        failed = 0
        for nth in range(1, MOST, STEP):
            new_worker(server)
            server.faults.arm("malloc", error="ENOMEM", role="worker", nth=nth)
            try:
                server.talk(tls=True).close()
            except (OSError, ssl.SSLError):
                failed += 1
            if not server.faults.disarm().fired:
                break
            server.talk(tls=True).close()
        assert 1 < nth < MOST - STEP and failed > 0
        note("a first handshake without memory", allocations=nth - 1, handshakes_failed=failed, later_ones_failed=0)
