# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The ximssd authors
"""The HTTP binding behind nginx with conf/nginx/ximssd.conf."""
from behind import Behind
from proxied import Nginx


class TestNginx(Behind):
    @staticmethod
    def start(folder, to, _, certificate):
        return Nginx(folder, to, certificate)
