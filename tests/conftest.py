# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The ximssd authors
"""For all Python tests that need a server: the folder of shared code, and a server with one account."""
import os
import sys

import pytest

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "lib"))


@pytest.fixture
def server(tmp_path):
    from ximss import Server
    with Server(tmp_path, tls=True, accounts={"dora": "correct-horse", "otto": "swordfish"}) as s:
        yield s
