# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The ximssd authors
import pytest
from turns import Turns


@pytest.fixture(params=[False, True], ids=["clear", "tls"])
def turns(server, request):
    t = Turns(server, request.param)
    yield t
    t.close()
