# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The ximssd authors
"""A model of how RFC 9112 and RFC 9110 frame a stream of requests, as patterns over the whole text: slow, plain,
and nobody's port.

Where the RFCs leave a recipient the choice between repairing and refusing,
the model refuses; so a server that wants to agree with
every other one either says the same as the model or refuses. What it is wider in than RFC 3986: a target may have any visible
ASCII byte but `#`, `"`, `<`, `>`, since browsers send them; no byte of it can move the end of a line.
"""
import re
from dataclasses import dataclass, field

TCHAR = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]"
TOKEN = TCHAR + rb"+"
VALUE = rb"[\t\x20-\x7e\x80-\xff]*"
QUOTED = rb'"(?:[\t \x21\x23-\x5b\x5d-\x7e\x80-\xff]|\\[\t \x21-\x7e\x80-\xff])*"'
BWS = rb"[ \t]*"
EXTENSIONS = rb"(?:" + BWS + rb";" + BWS + TOKEN + rb"(?:" + BWS + rb"=" + BWS + rb"(?:" + TOKEN + rb"|" + QUOTED + rb"))?)*"

REQUEST_LINE = re.compile(rb"(" + TOKEN + rb") ([\x21\x24-\x3b\x3d\x3f-\x7e]+) HTTP/([0-9])\.([0-9])\r\n")
FIELD_LINE = re.compile(rb"(" + TOKEN + rb"):(" + VALUE + rb")\r\n")
CHUNK_LINE = re.compile(rb"([0-9A-Fa-f]+)" + EXTENSIONS + rb"\r\n")
UNRESERVED = rb"[A-Za-z0-9\-._~]"
SUB_DELIMS = rb"[!$&'()*+,;=]"
REG_NAME = rb"(?:" + UNRESERVED + rb"|%[0-9A-Fa-f]{2}|" + SUB_DELIMS + rb")"
IP_LITERAL = rb"\[(?:[0-9A-Fa-f:.]+|v[0-9A-Fa-f]+\.(?:" + UNRESERVED + rb"|" + SUB_DELIMS + rb"|:)+)\]"
HOST = re.compile(rb"(?:" + IP_LITERAL + rb"|" + REG_NAME + rb"*)(?::[0-9]*)?")
AUTHORITY = re.compile(rb"(?:" + IP_LITERAL + rb"|" + REG_NAME + rb"+)(?::[0-9]*)?")
ABSOLUTE = re.compile(rb"https?://([^/?]*)([^?]*)(?:\?(.*))?", re.I)


class Refused(Exception):
    """No valid message; the text says which rule."""


class Incomplete(Exception):
    """The stream ends within a message."""


@dataclass
class Request:
    method: bytes
    target: bytes
    path: bytes
    query: bytes
    host: bytes
    minor: int
    fields: list = field(default_factory=list)
    body: bytes = b""
    end: int = 0


def match(pattern, text, at, what):
    """The match, complete up to its CR LF. A line that is cut off is incomplete only if more bytes could make it match."""
    found = pattern.match(text, at)
    if found:
        return found
    line_end = text.find(b"\n", at)
    if line_end < 0:
        raise Incomplete(what)
    raise Refused(what)


def split_target(request):
    """RFC 9112, 3.2."""
    target = request.target
    if target.startswith(b"/"):
        request.path, mark, query = target.partition(b"?")
        request.query = query if mark else None
        return
    if target == b"*" and request.method == b"OPTIONS":
        request.path, request.query = target, None
        return
    absolute = ABSOLUTE.fullmatch(target)
    if not absolute or not AUTHORITY.fullmatch(absolute.group(1)):
        raise Refused("form of the target")
    request.host, request.path, request.query = absolute.group(1), absolute.group(2) or b"/", absolute.group(3)


def elements(values):
    """Elements of a list field, over all its lines (RFC 9110, 5.6.1)."""
    return [e for e in (e.strip(b" \t") for v in values for e in v.split(b",")) if e]


def check_host(request, hosts):
    """RFC 9112, 3.2: 400 for none, for two, for an invalid one."""
    if len(hosts) > 1 or (request.minor == 1 and not hosts):
        raise Refused("number of Host fields")
    for host in hosts:
        if not HOST.fullmatch(host) or host.startswith(b":"):
            raise Refused("Host")
        if request.host is not None and request.host.lower() != host.lower():
            raise Refused("a client MUST send the target's authority as Host")
    if request.host is None:
        request.host = hosts[0] if hosts else b""


def body_length(request, codings, lengths):
    """RFC 9112, 6.1 to 6.3: a number, or None for chunked."""
    if codings:
        if request.minor == 0:
            raise Refused("Transfer-Encoding with HTTP/1.0 is faulty framing")
        if lengths:
            raise Refused("Content-Length with Transfer-Encoding")
        if [c.lower() for c in elements(codings)] != [b"chunked"]:
            raise Refused("a coding that is not known, or not chunked at the end, or chunked twice")
        return None
    if not lengths:
        return 0
    if len(lengths) > 1 or not re.fullmatch(rb"[0-9]+", lengths[0]):
        raise Refused("Content-Length")
    return int(lengths[0])


def read_fields(text, at):
    """Field lines up to the empty line, as (name, value), and where that ends."""
    fields = []
    while text[at:at + 2] != b"\r\n":
        if text[at:] in (b"", b"\r"):
            raise Incomplete("fields")
        line = match(FIELD_LINE, text, at, "field line")
        fields.append((line.group(1), line.group(2).strip(b" \t")))
        at = line.end()
    return fields, at + 2


def read_chunked(text, at):
    body = b""
    while True:
        line = match(CHUNK_LINE, text, at, "chunk line")
        size, at = int(line.group(1), 16), line.end()
        if size == 0:
            _, at = read_fields(text, at)
            return body, at
        data, end = text[at:at + size], text[at + size:at + size + 2]
        if len(data) < size or end in (b"", b"\r"):
            raise Incomplete("chunk")
        if end != b"\r\n":
            raise Refused("end of a chunk")
        body += data
        at += size + 2


def read_request(text, at):
    """The request that begins there."""
    while text[at:at + 2] == b"\r\n":
        at += 2
    line = match(REQUEST_LINE, text, at, "request line")
    method, target, major, minor = line.groups()
    if major != b"1" or minor not in b"01":
        raise Refused("version")
    if method == b"CONNECT":
        raise Refused("no tunnel here")
    request = Request(method, target, None, None, None, int(minor))
    split_target(request)
    request.fields, at = read_fields(text, line.end())

    def all_of(name):
        return [v for n, v in request.fields if n.lower() == name]
    check_host(request, all_of(b"host"))
    length = body_length(request, all_of(b"transfer-encoding"), all_of(b"content-length"))
    if length is None:
        request.body, request.end = read_chunked(text, at)
        return request
    request.body, request.end = text[at:at + length], at + length
    if len(request.body) < length:
        raise Incomplete("body")
    return request


def read_stream(text):
    """(requests, "idle" | "more" | "bad"): all complete requests, and how the stream ends behind them."""
    requests, at = [], 0
    try:
        while text[at:].replace(b"\r\n", b"") not in (b"", b"\r"):
            requests.append(read_request(text, at))
            at = requests[-1].end
        return requests, "idle"
    except Incomplete:
        return requests, "more"
    except Refused:
        return requests, "bad"
