# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The ximssd authors
import pytest
from cutting import nothing_left


@pytest.fixture
def conn(server):
    """What a client uses that has lost another one."""
    with nothing_left(server):
        c = server.web()
        yield c
        c.close()
