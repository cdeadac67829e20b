# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The ximssd authors
"""Streams of HTTP requests that servers are known to cut in different places, and some that nobody does."""
import itertools

HOST = b"Host: h.example\r\n"
NEXT = b"GET /next HTTP/1.1\r\n" + HOST + b"\r\n"
INNER = b"GET /smuggled HTTP/1.1\r\nX: "  # the first line of NEXT becomes a value


def post(*lines, body=b"", version=b"1.1", host=HOST, target=b"/p"):
    return b"POST " + target + b" HTTP/" + version + b"\r\n" + host + b"".join(line + b"\r\n" for line in lines) + b"\r\n" + body


def chunks(*parts, last=b"0\r\n\r\n"):
    return b"".join(b"%x\r\n%s\r\n" % (len(p), p) for p in parts) + last


def length(n):
    return b"Content-Length: %d" % n


CHUNKED = b"Transfer-Encoding: chunked"


def good():
    """name, stream: no server reads these in another way."""
    body = b"<XIMSS><noop id=\"1\"/></XIMSS>"
    yield "length", post(length(len(body)), body=body)
    yield "length 0", post(length(0))
    yield "no length", post()
    yield "chunked", post(CHUNKED, body=chunks(body))
    yield "chunked, small", post(CHUNKED, body=chunks(*[body[i:i + 1] for i in range(len(body))]))
    yield "chunked, empty", post(CHUNKED, body=chunks())
    yield "chunked, upper case", post(b"TRANSFER-ENCODING: CHUNKED", body=b"1E\r\n" + b"x" * 30 + b"\r\n0\r\n\r\n")
    yield "chunked, lower case", post(b"transfer-encoding:chunked", body=b"1e\r\n" + b"x" * 30 + b"\r\n0\r\n\r\n")
    yield "chunked, leading zeros", post(CHUNKED, body=b"0001\r\nx\r\n000\r\n\r\n")
    yield "chunked, extensions", post(CHUNKED, body=b"1;a;b=c;d=\"e \\\" f\"\r\nx\r\n0;z\r\n\r\n")
    yield "chunked, trailer", post(CHUNKED, body=chunks(b"x", last=b"0\r\nX-Sum: 1\r\nX-Other:\r\n\r\n"))
    yield "chunked, looks like chunks", post(CHUNKED, body=chunks(b"0\r\n\r\n" + NEXT))
    yield "length, looks like a request", post(length(len(NEXT)), body=NEXT)
    yield "get with a body", b"GET /g HTTP/1.1\r\n" + HOST + b"Content-Length: 3\r\n\r\nabc"
    yield "get with chunks", b"GET /g HTTP/1.1\r\n" + HOST + CHUNKED + b"\r\n\r\n" + chunks(b"abc")
    yield "1.0", b"GET /old HTTP/1.0\r\n\r\n"
    yield "1.0 with length", post(length(3), body=b"abc", version=b"1.0", host=b"")
    yield "options", b"OPTIONS * HTTP/1.1\r\n" + HOST + b"\r\n"
    yield "absolute", b"GET http://h.example/x?y HTTP/1.1\r\n" + HOST + b"\r\n"
    yield "query", b"GET /x?a=b&c=%20+d/?e HTTP/1.1\r\n" + HOST + b"\r\n"
    yield "empty line before", b"\r\n" + post(length(3), body=b"abc")
    yield "value with everything", post(b"X: \t!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~ \xc3\xa4\xff\t.\t ", length(1), body=b"y")
    yield "name with everything", post(b"!#$%&'*+-.^_`|~09azAZ: v", length(1), body=b"y")
    yield "empty value", post(b"X:", b"Y: ", b"Z:\t", length(1), body=b"y")
    yield "blanks around the length", post(b"Content-Length:  1 ", body=b"y")
    yield "no blank before the length", post(b"Content-Length:1", body=b"y")
    yield "length with zeros", post(b"Content-Length: 0001", body=b"y")
    yield "similar names", post(b"Content-Lengths: 7", b"Content_Length: 7", b"XContent-Length: 7",
    b"Transfer-Encodings: chunked",
                                length(1), body=b"y")
    yield "upgrade", b"GET /ws HTTP/1.1\r\n" + HOST + b"Connection: upgrade\r\nUpgrade: websocket\r\n\r\n"
    yield "upgrade with a body", post(b"Connection: upgrade", b"Upgrade: h2c", length(2), body=b"ab")
    yield "connection names the length", post(b"Connection: Content-Length", length(2), body=b"ab")
    yield "te", post(b"TE: trailers", length(2), body=b"ab")
    yield "expect", post(b"Expect: 100-continue", length(2), body=b"ab")
    for host in (b"h", b"h:80", b"127.0.0.1:8080", b"[::1]", b"[2001:db8::1.2.3.4]:8080", b"a-b.example", b"H.EXAMPLE:"):
        yield f"host {host.decode()}", b"GET /h HTTP/1.1\r\nHost: " + host + b"\r\n\r\n"
    for method in (b"HEAD", b"PUT", b"DELETE", b"PATCH", b"TRACE", b"PROPFIND"):
        yield f"method {method.decode()}", method + b" /m HTTP/1.1\r\n" + HOST + b"\r\n"


OTHER_CODINGS = [
    b"xchunked", b"chunkedx", b"chunked x", b"\"chunked\"", b"'chunked'", b"chunked;q=1", b"chunked,", b",chunked",
    b"chunked, chunked", b"chunked, identity", b"identity, chunked", b"identity", b"gzip", b"gzip, chunked", b"chunked, gzip",
    b"", b"chunke", b"chun ked", b"\xc3\xa7hunked", b"chunk\xc3\xa9d", b"cow", b"deflate,chunked", b"\x0bchunked",
    b"chunked\x0b", b"chunked\x00", b"\x00chunked", b"chunked\x0c", b"chunked\x7f", b"\x85chunked", b"\xa0chunked",
    b"chunked\xa0", b"chunked\r", b"\rchunked", b"chunked\t", b"\tchunked", b" chunked", b"chunked ", b"CHUNKED", b"cHuNkEd",
    b"tr\xc3\xa4iler", b"chunked/1", b"{chunked}", b"%63hunked", b"chunked\\",
]
OTHER_NAMES = [
    b"Transfer-Encoding ", b"Transfer-Encoding\t", b" Transfer-Encoding", b"\tTransfer-Encoding", b"Transfer Encoding",
    b"Transfer_Encoding", b"Transfer-Encoding\x00", b"\x00Transfer-Encoding", b"Transfer\x00-Encoding", b"Transfer-Encoding\r",
    b"Transfer-\r\n Encoding", b"X: y\nTransfer-Encoding", b"X: y\rTransfer-Encoding", b"X: y\n\rTransfer-Encoding",
    b"X: y\r\rTransfer-Encoding", b"X: y\r\n Transfer-Encoding", b"X: y\r\n\tTransfer-Encoding", b"X: y\x0bTransfer-Encoding",
    b"X: y\x00\r\nTransfer-Encoding", b"X\r\nTransfer-Encoding", b":\r\nTransfer-Encoding", b"\r\nTransfer-Encoding",
    b"Transfer-Encoding\xa0", b"\xffTransfer-Encoding", b"Transfer-Encoding\x0b", b"TRANSFER-ENCODING", b"tRANSFER-eNCODING",
    b"(Transfer-Encoding)", b"Transfer-Encoding;", b"Transfer-Encoding/", b"\"Transfer-Encoding\"",
    b"Transfer\xe2\x80\x90Encoding",
]
OTHER_LENGTHS = [
    b"", b"+4", b"-4", b"-0", b"4 4", b"4,4", b"4, 4", b"4,5", b"4;", b"4.0", b"4e0", b"0x4", b"04", b"4_0", b"4\x00", b"\x004",
    b"4\r", b"\r4", b"4\x0b", b"4\x0c", b"\x0b4", b"4\t", b"\t4", b"4\xa0", b"\xb2", b"\xd9\xa4", b"four", b"4,", b",4", b"4=",
    b"\"4\"", b"4 ", b" 4", b"4-", b"0", b"00", b"4\\", b"18446744073709551616", b"18446744073709551620",
    b"9223372036854775808", b"4294967300", b"99999999999999999999999999999999", b"1" + b"0" * 40,
    b"0000000000000000000000000000004", b"NaN", b"inf", b"4L", b"4u", b"0b100", b"0o4", b"4/1", b"(4)",
]
OTHER_LENGTH_NAMES = [
    b"Content-Length ", b"Content-Length\t", b" Content-Length", b"Content Length", b"Content_Length", b"Content-Length\x00",
    b"Content-\r\n Length", b"X: y\nContent-Length", b"X: y\rContent-Length", b"X: y\r\n Content-Length",
    b"X\r\nContent-Length", b"Content-Length\x0b", b"CONTENT-LENGTH", b"\x00Content-Length", b"Content-Length:Content-Length",
    b"Content-Length\xa0", b"Content-Length=", b"Content--Length",
]
OTHER_CHUNK_LINES = [
    b"", b"+4", b"-4", b"0x4", b"4 ", b" 4", b"4\t", b"\t4", b"4;", b"4;;", b"4; ", b"4;=", b"4;a=", b"4;a=b", b"4;a=b;",
    b"4;a=b;c", b"4;a=\"b\"", b"4;a=\"b\"c", b"4;a=\"b", b"4;a=\"\\\"", b"4;a=\"b;c\"", b"4;a b", b"4 ;a", b"4; a", b"4;a =b",
    b"4;a= b", b"4\x00", b"\x004", b"4\r", b"\r4", b"4\x0b", b"4\n", b"\n4", b"4,", b"4.0", b"4g", b"g", b"four", b"04",
    b"0000000000000004", b"00000000000000004", b"4" + b"0" * 20, b"10000000000000004", b"FFFFFFFFFFFFFFFF",
    b"FFFFFFFFFFFFFFFFF", b"100000004", b"4\xa0", b"\xb24", b"4#", b"4=", b"4/", b"4\\", b"4\"", b"4;\x00", b"4;a\x00",
    b"4;a=\"\x00\"", b"4;a=\"\n\"", b"4;a=\"\r\"", b"4;a=\"\\\r\"", b"4;a\r\r", b"4;a=\xff", b"4;a=\"\xff\"", b"4;\xff",
    b"0004;a=1;b=\"2\"", b"4;a==b", b"4:a", b"4\x85",
]
LINE_ENDS = [
    b"\n", b"\r", b"\n\r", b"\r\r\n", b"\r\n\n", b"\n\n", b"\x0b", b"\x0c", b"\x85", b"\x00\r\n", b" \r\n", b"\t\r\n", b"\r \n",
    b"\r\x00\n", b"", b"\r\n ",
]


def both_lengths():
    """Content-Length and Transfer-Encoding in one request, in each order, with each end in mind."""
    inner = chunks(last=b"0\r\n\r\n") + INNER
    for n, name in ((len(inner), "all"), (5, "of the last chunk"), (0, "0"), (4, "4")):
        yield f"CL {name}, then TE", post(length(n), CHUNKED, body=inner)
        yield f"TE, then CL {name}", post(CHUNKED, length(n), body=inner)
        yield f"CL {name}, TE identity", post(length(n), b"Transfer-Encoding: identity", body=inner)
        yield f"CL {name}, TE with HTTP/1.0", post(length(n), CHUNKED, body=inner, version=b"1.0")
    yield "TE with HTTP/1.0", post(CHUNKED, body=inner, version=b"1.0")
    yield "TE twice", post(CHUNKED, CHUNKED, body=inner)
    yield "TE chunked and other", post(CHUNKED, b"Transfer-Encoding: x", body=inner)
    yield "TE other and chunked", post(b"Transfer-Encoding: x", CHUNKED, body=inner)
    yield "TE chunked and empty", post(CHUNKED, b"Transfer-Encoding:", body=inner)
    yield "TE empty and chunked", post(b"Transfer-Encoding:", CHUNKED, body=inner)
    for one, two in itertools.product((b"0", b"4", b"04", b"%d" % len(inner)), repeat=2):
        yield f"CL {one.decode()} and CL {two.decode()}", post(b"Content-Length: " + one, b"Content-Length: " + two, body=inner)


def spelled():
    inner = chunks(b"abcd") + INNER
    for value in OTHER_CODINGS:
        yield f"coding {value!r}", post(b"Transfer-Encoding: " + value, body=inner)
        yield f"coding {value!r} and length", post(b"Transfer-Encoding: " + value, length(4), body=inner)
        yield f"coding {value!r} behind chunked", post(CHUNKED, b"Transfer-Encoding: " + value, body=inner)
    for name in OTHER_NAMES:
        yield f"coding as {name!r}", post(name + b": chunked", body=inner)
        yield f"coding as {name!r}, and length", post(length(4), name + b": chunked", body=inner)
        yield f"coding as {name!r}, first", b"POST /p HTTP/1.1\r\n" + name + b": chunked\r\n" + HOST + b"\r\n" + inner
    for value in OTHER_LENGTHS:
        yield f"length {value!r}", post(b"Content-Length: " + value, body=b"abcd" + INNER)
        yield f"length {value!r} and chunked", post(b"Content-Length: " + value, CHUNKED, body=inner)
    for name in OTHER_LENGTH_NAMES:
        yield f"length as {name!r}", post(name + b": 4", body=b"abcd" + INNER)
        yield f"length as {name!r}, and another", post(length(0), name + b": 4", body=b"abcd" + INNER)
        yield f"length as {name!r}, first", b"POST /p HTTP/1.1\r\n" + name + b": 4\r\n" + HOST + b"\r\nabcd" + INNER


def chunk_lines():
    for line in OTHER_CHUNK_LINES:
        yield f"chunk line {line!r}", post(CHUNKED, body=line + b"\r\nabcd\r\n0\r\n\r\n")
        yield f"last chunk line {line!r}", post(CHUNKED, body=chunks(b"abcd", last=line.replace(b"4", b"0") + b"\r\n\r\n"))
    for end in LINE_ENDS:
        yield f"chunk line ends with {end!r}", post(CHUNKED, body=b"4" + end + b"abcd\r\n0\r\n\r\n")
        yield f"chunk ends with {end!r}", post(CHUNKED, body=b"4\r\nabcd" + end + b"0\r\n\r\n")
        yield f"chunk ends with {end!r}, looks like a size", post(CHUNKED,
        body=b"4\r\nabcd" + end + b"10\r\n" + b"x" * 16 + b"\r\n0\r\n\r\n")
        yield f"last chunk ends with {end!r}", post(CHUNKED, body=b"0" + end + b"\r\n")
        yield f"trailer ends with {end!r}", post(CHUNKED, body=b"0\r\nX: y" + end + b"\r\n")
        yield f"body ends with {end!r}", post(CHUNKED, body=b"0\r\n" + end)
        yield f"extension ends with {end!r}", post(CHUNKED, body=b"4;a" + end + b"abcd\r\n0\r\n\r\n")
    for field in (b"Content-Length: 5", b"Transfer-Encoding: chunked", b"Host: x", b"X : y", b" X: y", b"X", b": y",
                  b"X: y\r\n z", b"X: \x00", b"X\x00: y", b"X: y\n", b"X: y\r"):
        yield f"trailer {field!r}", post(CHUNKED, body=chunks(b"abcd", last=b"0\r\n" + field + b"\r\n\r\n"))


def lines():
    for end in LINE_ENDS:
        yield f"request line ends with {end!r}", b"GET /p HTTP/1.1" + end + HOST + b"\r\n"
        yield f"Host ends with {end!r}", b"GET /p HTTP/1.1\r\nHost: h" + end + b"X: y\r\n\r\n"
        yield f"Host ends with {end!r} before a length", b"POST /p HTTP/1.1\r\nHost: h" + end + b"Content-Length: 4\r\n\r\nabcd"
        yield f"field ends with {end!r} before a length", post(b"X: y" + end + b"Content-Length: 4", body=b"abcd")
        yield f"length ends with {end!r}", b"POST /p HTTP/1.1\r\n" + HOST + b"Content-Length: 4" + end + b"\r\nabcd"
        yield f"head ends with {end!r}", b"POST /p HTTP/1.1\r\n" + HOST + b"Content-Length: 4\r\n" + end + b"abcd"
        yield f"{end!r} before the request", end + post(length(4), body=b"abcd")
        yield f"two {end!r} before the request", end + end + post(length(4), body=b"abcd")
    for line in (b"GET  /p HTTP/1.1", b"GET /p  HTTP/1.1", b"GET /p HTTP/1.1 ", b" GET /p HTTP/1.1", b"GET\t/p HTTP/1.1",
                 b"GET /p\tHTTP/1.1", b"GET /p", b"GET", b"GET /p HTTP/1.1 HTTP/1.1", b"GET /p q HTTP/1.1",
                 b"GET /p HTTP/1.1\x00", b"GET /p HTTP/1", b"GET /p HTTP/1.", b"GET /p HTTP/.1", b"GET /p HTTP/1.10",
                 b"GET /p HTTP/11", b"GET /p HTTP/01.1", b"GET /p HTTP/1.01", b"GET /p HTTP/ 1.1", b"GET /p HTTP /1.1",
                 b"GET /p http/1.1", b"GET /p Http/1.1", b"GET /p HTTP/2.0", b"GET /p HTTP/1.2", b"GET /p HTTP/0.9",
                 b"GET /p HTTP/1,1", b"GET /p HTTPS/1.1", b"GET /p RTSP/1.0", b"GET /p ICE/1.0", b"SOURCE /p ICE/1.0",
                 b"get /p HTTP/1.1", b"GE T /p HTTP/1.1", b"G(T /p HTTP/1.1", b"GET\x00 /p HTTP/1.1", b"\xffGET /p HTTP/1.1",
                 b"XYZZY /p HTTP/1.1", b"GET:/p HTTP/1.1", b"GET/p HTTP/1.1", b"PRI * HTTP/2.0", b"PRI * HTTP/1.1",
                 b"HTTP/1.1 200 OK", b"GET /p HTTP/1.1\r\nGET /q HTTP/1.1"):
        yield f"line {line!r}", line + b"\r\n" + HOST + b"\r\n"


def targets():
    for line in (b"GET p HTTP/1.1", b"GET  HTTP/1.1", b"GET * HTTP/1.1", b"GET h.example:80 HTTP/1.1",
                 b"CONNECT h.example:80 HTTP/1.1", b"CONNECT /p HTTP/1.1", b"GET /p#f HTTP/1.1", b"GET /\x00 HTTP/1.1",
                 b"GET /\x7f HTTP/1.1", b"GET /\xc3\xa4 HTTP/1.1", b"GET /\x0b HTTP/1.1", b"GET /\r HTTP/1.1",
                 b"GET http://h.example HTTP/1.1", b"GET http://u@h.example/ HTTP/1.1", b"GET http://other/ HTTP/1.1",
                 b"GET http:///p HTTP/1.1", b"GET http:/p HTTP/1.1", b"GET ftp://h.example/ HTTP/1.1",
                 b"GET http://h.example:80/ HTTP/1.1", b"GET //h.example/ HTTP/1.1", b"GET http://h.example\\p HTTP/1.1",
                 b"GET ?q HTTP/1.1"):
        yield repr(line), line + b"\r\n" + HOST + b"\r\n"


def hosts():
    for host in (b"", b" ", b"a b", b"a,b", b"a, b", b"a/b", b"u@a", b"a:b", b"a:80:80", b"a:-1", b"a:+1", b"a:99999", b":80",
                 b"[::1", b"::1", b"[::1]a", b"[]", b"[g]", b"a\x00", b"a\xc3\xa4", b"a?b", b"a#b", b"a\\b", b"a%20b", b"a\"",
                 b"<a>", b"a;b", b"a\x0bb", b"[::1%25eth0]", b"*", b"a_b", b"a..b", b"h.example\r", b"http://a/"):
        yield f"Host {host!r}", b"GET /p HTTP/1.1\r\nHost: " + host + b"\r\n\r\n"
    yield "no Host", b"GET /p HTTP/1.1\r\n\r\n"
    yield "no Host, a field", b"GET /p HTTP/1.1\r\nX: y\r\n\r\n"
    yield "Host twice", b"GET /p HTTP/1.1\r\n" + HOST + HOST + b"\r\n"
    yield "two Hosts", b"GET /p HTTP/1.1\r\n" + HOST + b"Host: other\r\n\r\n"
    yield "two Hosts, 1.0", b"GET /p HTTP/1.0\r\n" + HOST + b"Host: other\r\n\r\n"
    yield "Host with a blank before the colon", b"GET /p HTTP/1.1\r\nHost : h\r\n\r\n"
    yield "Host folded", b"GET /p HTTP/1.1\r\nHost:\r\n h\r\n\r\n"
    yield "Host as first line, folded", b"GET /p HTTP/1.1\r\n Host: h\r\n\r\n"
    for c in range(256):
        yield f"{bytes([c])!r} in it", b"POST /p HTTP/1.1\r\nHost: h" + bytes([c]) + b"x\r\n" + length(4) + b"\r\n\r\nabcd"


def every_byte():
    """Each of the 256 values at each place that a parser decides at."""
    for c in range(256):
        b = bytes([c])
        yield f"{b!r} before the method", b + b"POST /p HTTP/1.1\r\n" + HOST + length(4) + b"\r\n\r\nabcd"
        yield f"{b!r} behind the method", b"POST" + b + b"/p HTTP/1.1\r\n" + HOST + length(4) + b"\r\n\r\nabcd"
        yield f"{b!r} in the target", b"POST /p" + b + b" HTTP/1.1\r\n" + HOST + length(4) + b"\r\n\r\nabcd"
        yield f"{b!r} behind the version", b"POST /p HTTP/1.1" + b + b"\r\n" + HOST + length(4) + b"\r\n\r\nabcd"
        yield f"{b!r} before a name", post(b + b"Content-Length: 4", body=b"abcd")
        yield f"{b!r} before the colon", post(b"Content-Length" + b + b": 4", body=b"abcd")
        yield f"{b!r} behind the colon", post(b"Content-Length:" + b + b"4", body=b"abcd")
        yield f"{b!r} behind the length", post(b"Content-Length: 4" + b, body=b"abcd")
        yield f"{b!r} in the length", post(b"Content-Length: 0" + b + b"4", body=b"abcd")
        yield f"{b!r} before the coding", post(b"Transfer-Encoding:" + b + b"chunked", body=chunks(b"abcd"))
        yield f"{b!r} behind the coding", post(b"Transfer-Encoding: chunked" + b, body=chunks(b"abcd"))
        yield f"{b!r} in a value", post(b"X: y" + b + b"Content-Length: 9", length(4), body=b"abcd")
        yield f"{b!r} before a size", post(CHUNKED, body=b + b"4\r\nabcd\r\n0\r\n\r\n")
        yield f"{b!r} behind a size", post(CHUNKED, body=b"4" + b + b"\r\nabcd\r\n0\r\n\r\n")
        yield f"{b!r} in an extension", post(CHUNKED, body=b"4;a" + b + b"c\r\nabcd\r\n0\r\n\r\n")
        yield f"{b!r} in a quoted extension", post(CHUNKED, body=b"4;a=\"" + b + b"\"\r\nabcd\r\n0\r\n\r\n")
        yield f"{b!r} behind a chunk", post(CHUNKED, body=b"4\r\nabcd" + b + b"\r\n0\r\n\r\n")
        yield f"{b!r} for the CR behind a chunk", post(CHUNKED, body=b"4\r\nabcd" + b + b"\n0\r\n\r\n")
        yield f"{b!r} in a trailer", post(CHUNKED, body=chunks(b"abcd", last=b"0\r\nX: y" + b + b"z\r\n\r\n"))
        yield f"{b!r} for the last LF", post(CHUNKED, body=b"4\r\nabcd\r\n0\r\n\r" + b)


def variants():
    """name, stream; behind each there is another request, whose place says where the first one was thought to end."""
    for group in (both_lengths, spelled, chunk_lines, lines, targets, hosts, every_byte):
        for name, stream in group():
            yield f"{group.__name__}: {name}", stream + NEXT
