# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The ximssd authors
"""The HTTP binding behind HAProxy with conf/haproxy/ximssd.cfg: as HTTP, and as bytes with the PROXY protocol."""
from behind import Behind, rows
from proxied import Haproxy
from ximss import Client, Server


class TestHttp(Behind):
    @staticmethod
    def start(folder, to, to_proxied, certificate):
        return Haproxy(folder, to, to_proxied, certificate)


class TestTcp(TestHttp):
    looks_into = False

    def port(self, world):
        return world.front.tcp_port

    def test_who_speaks_ximss_is_passed_on(self, world):
        client = Client(("127.0.0.1", self.port(world)), tls=Server.tls_context(), source="127.0.0.8")
        client.login()
        assert [r["transport"] for r in rows(world) if r["ip"] == "127.0.0.8"] == ["tcp"]
        client.close()

    def test_who_speaks_ximss_has_a_safe_link(self, world):
        client = Client(("127.0.0.1", self.port(world)), tls=Server.tls_context(), source="127.0.0.8")
        (features,), _ = client.call('<listFeatures id="f" domain="safe.example"/>')
        assert "PLAIN" in {e.text for e in features.iter("sasl")}
        client.close()
