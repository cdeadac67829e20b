# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The ximssd authors
"""nginx and HAProxy in front of a server, for tests: real programs with the configurations of conf/, nothing in which is changed but
addresses, paths and ports. Python's own HTTP client speaks to them, over TLS, from addresses of its choice.

    client -- TLS --> nginx or HAProxy --> Relay --> ximssd

The relay passes bytes on and can lose a reply.
"""
import contextlib
import http.client
import os
import shutil
import socket
import ssl
import subprocess
import threading
import xml.etree.ElementTree as ET

from ximss import PATIENCE, ROOT, Server, free_port, wait_for

UNPACKED = os.path.join(ROOT, "build", "unpacked", "usr", "sbin")


def program(name):
    """The one that .ci/install has unpacked, or the system's."""
    path = os.path.join(UNPACKED, name)
    return path if os.path.exists(path) else shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin")


def adapt(path, changes):
    """A file of conf/ with other addresses and paths; each of them is there as often as is said."""
    with open(os.path.join(ROOT, "conf", path)) as f:
        text = f.read()
    for old, (new, times) in changes.items():
        assert text.count(old) == times, (path, old)
        text = text.replace(old, new)
    return text


def make_certificate(folder):
    """(certificate, key)"""
    paths = [os.path.join(folder, name) for name in ("front.pem", "front.key")]
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj",
                    "/CN=mail.example.org", "-days", "2", "-keyout", paths[1], "-out", paths[0]], check=True,
                   capture_output=True, timeout=PATIENCE)
    return paths


class Relay:
    """Connections to `to`; the next reply can be lost: it comes from the server, and then both ends are closed."""

    def __init__(self, to):
        self.to = to
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port = self.listener.getsockname()[1]
        self.losing = False
        threading.Thread(target=self._accept, daemon=True).start()

    def lose_reply(self):
        self.losing = True

    def _accept(self):
        while True:
            try:
                near, _ = self.listener.accept()
            except OSError:  # closed
                return
            far = socket.create_connection(("127.0.0.1", self.to))
            for source, target, back in ((near, far, False), (far, near, True)):
                threading.Thread(target=self._pass, args=(source, target, back), daemon=True).start()

    def _pass(self, source, target, back):
        try:
            while data := source.recv(65536):
                if back and self.losing:
                    self.losing = False
                    source.shutdown(socket.SHUT_RDWR)
                    break
                target.sendall(data)
            if not back:
                target.shutdown(socket.SHUT_WR)
        except OSError:  # one end is broken: so is the other
            back = True
        if back:  # nothing more comes for anybody
            for end in (source, target):
                with contextlib.suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)
                end.close()

    def close(self):
        self.listener.close()


class Front:
    """A program that listens on `port`."""

    def __init__(self, argv, folder, port):
        self.port = port
        self.output = os.path.join(folder, "front.out")
        with open(self.output, "wb") as out:
            self.process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=out, stderr=out)
        wait_for(self._listens)

    def _listens(self):
        assert self.process.poll() is None, self.logs()
        try:
            socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE).close()
            return True
        except ConnectionRefusedError:
            return False

    def logs(self):
        with open(self.output, errors="replace") as f:
            return f.read()

    def stop(self):
        if self.process.poll() is None:
            self.process.terminate()
        try:
            self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


class Nginx(Front):
    def __init__(self, folder, to, certificate):
        port = free_port()
        self.files = [os.path.join(folder, name) for name in ("access.log", "error.log", "start.log")]
        with open(os.path.join(folder, "ximssd.conf"), "w") as f:
            f.write(adapt("nginx/ximssd.conf", {
                "listen 443 ssl;": ("listen 127.0.0.1:%d ssl;" % port, 1), "listen [::]:443 ssl;": ("", 1),
                "    server 127.0.0.1:8100;": ("    server 127.0.0.1:%d;" % to, 1),
                "/etc/ssl/certs/mail.example.org.pem": (certificate[0], 1),
                "/etc/ssl/private/mail.example.org.key": (certificate[1], 1),
                "/var/log/nginx/ximssd.log": (self.files[0], 1), "/var/log/nginx/ximssd-error.log": (self.files[1], 1)}))
        temporary = "".join("    %s_temp_path %s;\n" % (kind, os.path.join(folder, kind))
                            for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
        with open(os.path.join(folder, "nginx.conf"), "w") as f:
            f.write("daemon off;\n%spid %s/nginx.pid;\nworker_processes 1;\nevents { worker_connections 256; }\n"
                    "http {\n%s    include %s/ximssd.conf;\n}\n"
                    % ("user root;\n" if os.geteuid() == 0 else "", folder, temporary, folder))
        super().__init__([program("nginx"), "-p", folder, "-c", os.path.join(folder, "nginx.conf"), "-e", self.files[2]], folder, port)

    def logs(self):
        found = [super().logs()]
        for path in self.files:
            if os.path.exists(path):
                with open(path, errors="replace") as f:
                    found.append(f.read())
        return "".join(found)


class Haproxy(Front):
    """Both of its ways; `port` is that of HTTP, `tcp_port` the other one."""

    def __init__(self, folder, to, to_proxied, certificate):
        port = free_port()
        self.tcp_port = free_port(port)
        both = os.path.join(folder, "both.pem")
        with open(both, "w") as f:
            for path in certificate:
                with open(path) as one:
                    f.write(one.read())
        with open(os.path.join(folder, "global.cfg"), "w") as f:
            f.write("global\n    log stdout format raw local0\n    maxconn 200\n    nbthread 1\n")
        with open(os.path.join(folder, "ximssd.cfg"), "w") as f:
            f.write(adapt("haproxy/ximssd.cfg", {
                "bind :443 ": ("bind 127.0.0.1:%d " % port, 1), "bind :9100 ": ("bind 127.0.0.1:%d " % self.tcp_port, 1),
                "/etc/haproxy/ximssd.pem": (both, 2), "server ximssd 127.0.0.1:8100": ("server ximssd 127.0.0.1:%d" % to, 1),
                "server ximssd 127.0.0.1:8101": ("server ximssd 127.0.0.1:%d" % to_proxied, 1)}))
        super().__init__([program("haproxy"), "-db", "-f", os.path.join(folder, "global.cfg"), "-f",
                          os.path.join(folder, "ximssd.cfg")], folder, port)


class Conn(http.client.HTTPSConnection):
    """Python's client, from an address of its own."""

    def __init__(self, port, source="127.0.0.2", tls=True):
        context = Server.tls_context() if tls else None
        super().__init__("127.0.0.1", port, timeout=PATIENCE, source_address=(source, 0), context=context)
        self.tls = tls

    def connect(self):
        if self.tls:
            super().connect()
        else:
            http.client.HTTPConnection.connect(self)

    def begin(self, method, target, body=None, fields=()):
        """fields: pairs; names may come twice."""
        self.putrequest(method, target, skip_accept_encoding=True)
        body = body.encode() if isinstance(body, str) else body
        for name, value in fields:
            self.putheader(name, value)
        if body is not None:
            self.putheader("Content-Length", str(len(body)))
        self.endheaders(body)

    def answer(self):
        """Status, reason, fields in .headers, and the body in .body."""
        reply = self.getresponse()
        reply.body = reply.read()
        length = reply.headers.get_all("Content-Length")
        assert reply.status == 204 or length is not None and len(length) == 1, reply.headers
        assert "Transfer-Encoding" not in reply.headers and "Content-Encoding" not in reply.headers
        return reply

    def ask(self, method, target, body=None, fields=()):
        self.begin(method, target, body, fields)
        return self.answer()


LOST = (http.client.RemoteDisconnected, http.client.IncompleteRead, ConnectionError, ssl.SSLError)


def xml(reply):
    assert reply.status == 200 and reply.headers["Content-Type"].startswith("text/xml"), (reply.status, reply.body)
    return ET.fromstring(reply.body)


def batch(requests):
    return "<XIMSS>%s</XIMSS>" % requests
