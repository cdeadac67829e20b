# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The ximssd authors
"""Servers for all who want nothing special: scenarios without settings of their own, and the tests of the script client."""
import pytest
from scenario import Shared


@pytest.fixture(scope="session")
def shared(tmp_path_factory):
    with Shared(tmp_path_factory.mktemp("shared")) as s:
        yield s


@pytest.fixture(scope="session")
def plain(tmp_path_factory):
    with Shared(tmp_path_factory.mktemp("plain"), server="") as s:
        yield s


@pytest.fixture
def server(plain):
    with plain.accounts_of({"dora": ("correct-horse", ""), "otto": ("swordfish", "")}) as s:
        yield s
