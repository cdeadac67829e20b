# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The ximssd authors
"""Request smuggling: what http1 makes of streams that servers are known to cut in different places.

Each variant is one stream. http_model.py says how RFC 9112 frames it. http1 has to say the same, request for request and byte
for byte, or to refuse; what is marked as good has to be taken, and Python's own parsers of http.server and http.client say so,
too. The same variants go through llhttp alone: what it lets pass and our check does not is listed, so that another llhttp is
noticed.
"""
import http.client
import io
import json
import os
import subprocess

import pytest
from http_model import Request, read_stream
from http_variants import CHUNKED, chunks, good, length, post, variants

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PROGRAM = os.path.join(os.environ.get("XIMSSD_BUILD", os.path.join(ROOT, "build")), "dump-http1")


def dump(streams, *options):
    """What the program says of each stream."""
    done = subprocess.run([PROGRAM, *options], input="".join(s.hex() + "\n" for s in streams), capture_output=True, text=True,
                          timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    said = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(said) == len(streams)
    return said


def request_of(said):
    def raw(name):
        return bytes.fromhex(said[name])
    fields = [(bytes.fromhex(f["name"]), bytes.fromhex(f["value"])) for f in said["fields"]]
    query = raw("query") if "query" in said else None
    return Request(raw("method"), raw("target"), raw("path"), query, raw("host"), said["minor"], fields, raw("body"))


@pytest.fixture(scope="module")
def table():
    """[(name, stream, what http1 says, requests by the model, how the model ends)]"""
    names, streams = zip(*variants())
    assert len(set(names)) == len(names)
    return [(n, s, said, *read_stream(s)) for n, s, said in zip(names, streams, dump(streams))]


# --- the tests

def same(ours, theirs):
    return [(r.method, r.target, r.path, r.query, r.host, r.minor, r.fields, r.body) for r in ours] \
        == [(r.method, r.target, r.path, r.query, r.host, r.minor, r.fields, r.body) for r in theirs]


def ends(said, theirs):
    """Where our last complete request ends is where the model's ends."""
    return said["used"] == (theirs[-1].end if theirs else 0)


def test_refused_or_the_same(table):
    wrong = []
    for name, _, said, theirs, end in table:
        ours = [request_of(r) for r in said["requests"][:said["complete"]]]
        agreed = theirs[:len(ours)]
        if not same(ours, agreed) or not ends(said, agreed):
            wrong.append(f"{name}: framed otherwise")
        elif said["end"] != "bad" and (len(ours) != len(theirs) or said["end"] != end):
            wrong.append(f"{name}: {said['end']} behind {len(ours)} requests, the model says {end} behind {len(theirs)}")
    assert not wrong, "\n".join(wrong[:40])
    assert len(table) >= 200


def test_refusals_say_a_status(table):
    for name, _, said, _, _ in table:
        if said["end"] == "bad":
            assert said["status"] in (400, 413, 414, 431, 501, 505) and said["why"], name
        else:
            assert said["status"] == 0, name


def test_statuses_of_the_paper():
    """Rows of the table "HTTP head torture", and the version."""
    rows = [
        (400, post(length(5), CHUNKED, body=b"0\r\n\r\n")),
        (400, post(length(5), length(6), body=b"abcdef")),
        (400, post(length(5), length(5), body=b"abcde")),
        (400, b"GET / HTTP/1.1\nHost: h\n\n"),
        (400, post(b"X: y\rTransfer-Encoding: chunked", body=chunks(b"abcd"))),
        (501, post(b"Transfer-Encoding: xchunked", body=chunks(b"abcd"))),
        (400, post(b"Transfer-Encoding : chunked", body=chunks(b"abcd"))),
        (400, post(b"Content-Length: +4", body=b"abcd")),
        (400, post(CHUNKED, body=chunks(b"abcd"), version=b"1.0")),
        (505, post(length(0), version=b"1.2")),
    ]
    assert [said["status"] for said in dump([s for _, s in rows])] == [status for status, _ in rows]


def test_good_requests_are_taken():
    """Each alone, and all of them as one stream: nothing is left over, nothing is missing."""
    names, streams = zip(*good())
    for name, stream, said in zip(names, streams, dump(streams)):
        theirs, end = read_stream(stream)
        assert (said["end"], end, len(theirs), said["complete"]) == ("idle", "idle", 1, 1), name
        assert same([request_of(said["requests"][0])], theirs) and said["used"] == len(stream), name
    everything = b"".join(streams)
    said, = dump([everything])
    theirs, _ = read_stream(everything)
    assert said["complete"] == len(theirs) == len(names) and said["used"] == len(everything)
    assert same([request_of(r) for r in said["requests"]], theirs)


@pytest.mark.parametrize("step", ["1", "2", "7"])
def test_pieces_make_no_difference(table, step):
    assert dump([s for _, s, *_ in table], "-s", step) == [said for _, _, said, *_ in table]


# --- Python's own parsers

class Socket:
    """What http.client wants of a socket."""

    def __init__(self, data):
        self.data = data

    def makefile(self, *_, **__):
        return io.BytesIO(self.data)


def python_head(stream):
    """Request line and fields, as http.server reads them, and the bytes behind."""
    file = io.BytesIO(stream.lstrip(b"\r\n"))
    method, target, version = file.readline().split()
    read = http.client.parse_headers(file)
    fields = [(n.encode("latin-1"), v.strip(" \t").encode("latin-1")) for n, v in read.items()]
    return method, target, version, fields, file.read()


def python_body(fields, rest):
    """The body, as http.client reads one of a reply with these fields."""
    names = {n.lower() for n, _ in fields}
    if not names & {b"content-length", b"transfer-encoding"}:
        return b""
    head = b"".join(n + b": " + v + b"\r\n" for n, v in fields)
    reply = http.client.HTTPResponse(Socket(b"HTTP/1.1 200 OK\r\n" + head + b"\r\n" + rest))
    reply.begin()
    return reply.read()


def test_python_agrees():
    names, streams = zip(*good())
    for name, stream, said in zip(names, streams, dump(streams)):
        ours = request_of(said["requests"][0])
        method, target, version, fields, rest = python_head(stream)
        assert (ours.method, ours.target, b"HTTP/1.%d" % ours.minor) == (method, target, version), name
        assert ours.fields == fields, name
        assert ours.body == python_body(fields, rest), name


# --- llhttp alone

# Why our check stands in front of it. What llhttp makes of names of hosts and of targets is not asked for here.
FOLDED = ["X: y\\r\\n Transfer-Encoding", "X: y\\r\\n\\tTransfer-Encoding"]
HOLES = {
    "a bare LF ends the request line, the head and the trailer":
        [f"lines: request line ends with {e!r}" for e in (b"\n", b"\n\n", b"\r\n\n")]
        + [f"lines: head ends with {e!r}" for e in (b"\n", b"\n\n", b"\n\r")]
        + [f"chunk_lines: body ends with {e!r}" for e in (b"\n", b"\n\n", b"\n\r", b"\r\n\n")]
        + ["chunk_lines: last chunk ends with b'\\r\\n\\n'", "chunk_lines: trailer ends with b'\\r\\n\\n'",
           "lines: field ends with b'\\r\\n\\n' before a length", "lines: length ends with b'\\r\\n\\n'",
           "every_byte: b'\\n' before a name", "every_byte: b'\\n' behind the version"],
    "any CR and LF may stand before a request, also where a length was one too short":
        [f"lines: {two}{e!r} before the request" for e in (b"\n", b"\r", b"\n\r", b"\n\n", b"\r\n\n", b"\r\r\n") for two in ("",
        "two ")]
        + ["every_byte: b'\\n' before the method", "every_byte: b'\\r' before the method",
           "every_byte: b'0' behind the length", "every_byte: b'2' behind the length"],
    "folded fields are fields":
        [f"spelled: coding as b'{n}'{more}" for n in FOLDED for more in ("", ", and length", ", first")]
        + [f"spelled: length as b'X: y\\r\\n Content-Length'{more}" for more in ("", ", and another", ", first")]
        + ["spelled: coding as b' Transfer-Encoding'", "spelled: coding as b'\\tTransfer-Encoding'",
        "spelled: length as b' Content-Length'",
           "every_byte: b' ' before a name", "every_byte: b'\\t' before a name",
           "lines: field ends with b'\\r\\n ' before a length",
           "chunk_lines: trailer b'X: y\\r\\n z'"],
    "a name may be empty":
        ["spelled: coding as b':\\r\\nTransfer-Encoding'", "spelled: coding as b':\\r\\nTransfer-Encoding', first",
         "every_byte: b':' before a name", "chunk_lines: trailer b': y'"],
    "no Host is missed":
        ["spelled: coding as b'\\r\\nTransfer-Encoding', first"],
    "codings before chunked, and empty ones, are passed over":
        [f"spelled: coding {c!r}" for c in (b"", b"gzip, chunked", b"identity, chunked", b"deflate,chunked")]
        + ["spelled: coding b'' and length", "both_lengths: TE other and chunked"],
    "HTTP/1.0 may be chunked":
        ["both_lengths: TE with HTTP/1.0"],
    "other versions, no version, and several blanks":
        [f"lines: line {line!r}" for line in (b"GET  /p HTTP/1.1", b"GET /p  HTTP/1.1", b"GET /p HTTP/0.9", b"GET /p HTTP/2.0",
        b"GET /p RTSP/1.0", b"GET /p",
                                              b"SOURCE /p ICE/1.0")],
    "chunk extensions are not looked at closely":
        [f"chunk_lines: {last}chunk line {line!r}" for line in (b"4;=", b"4;a=", b"4;a=b;") for last in ("", "last ")]
        + ["every_byte: b'\\x7f' in a quoted extension"],
}


def hole(said, theirs, end):
    """llhttp has made more of the stream, or something else, than the model."""
    ours = [(bytes.fromhex(r["method"]), bytes.fromhex(r["target"]), bytes.fromhex(r["body"])) for r in said["requests"]]
    model = [(r.method, r.target, r.body) for r in theirs]
    return ours != model[:len(ours)] or (said["end"] != "bad" and (len(ours) != len(model) or said["end"] != end))


def test_llhttp_alone(table):
    """A hole more or less: another llhttp, for which the comments of src/codec/http1.h have to be looked at again."""
    rows = [row for row in table if not row[0].startswith(("targets:", "hosts:",
    "lines: Host")) and not row[0].endswith("in the target")]
    bare = dump([s for _, s, *_ in rows], "-l")
    holes = {name for (name, _, _, theirs, end), said in zip(rows, bare) if hole(said, theirs, end)}
    known = [name for names in HOLES.values() for name in names]
    assert len(known) == len(set(known))
    assert sorted(holes - set(known)) == [] and sorted(set(known) - holes) == []
