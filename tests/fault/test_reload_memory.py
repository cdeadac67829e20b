# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The ximssd authors
"""Each allocation of the master's during a reload fails in its turn: the reload is done or it is not, and clients are served."""
from faults import SANITIZED, FaultServer, note
import pytest

MOST = 200  # far more than a reload needs


@pytest.mark.skipif(SANITIZED, reason="a sanitizer has an allocator of its own, which never fails")
def test_reload_without_memory(tmp_path):
    with FaultServer(tmp_path, {"dora": "correct-horse"}) as server:
        done, failed = 0, 0
        for n in range(1, MOST):
            server.rewrite(server=server.settings + "channels = %d\n" % (500 + n))
            server.faults.arm("malloc", error="ENOMEM", role="master", nth=n)
            said = server.reload()
            hit = server.faults.disarm()
            done, failed = done + (said == ""), failed + (said != "")
            for _ in range(6):  # the kernel spreads them over both workers
                client = server.talk()
                assert client.ask('<noop id="n"/>').ok, n
                client.close()
            if not hit.fired:
                break
        assert not hit.fired and done > 1 and failed > 5
        note("reload without memory", allocations=n - 1, reloads_done=done, reloads_refused=failed)
