# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The ximssd authors
"""500 strings that have broken logs, terminals, JSON, and formats (security 2.2), each with a mark of its own; and what no
output may hold."""
import random
import unicodedata

FAMILIES = {
    "line breaks": [b"a\r\nb", b"\n", b"\r", b"a\n12:00:00.000 0 MASTER forged", b"\x0b\x0c", b"\xc2\x85", "\u2028\u2029".encode(),
                    b"a\r\n\r\nHTTP/1.1 200 OK\r\n"],
    "journal fields": [b"x\nPRIORITY=0\n", b"x\nMESSAGE\n\x05\0\0\0\0\0\0\0hello\n", b"x\nMESSAGE=y\nXIMSS_ID=1", b"=", b"A=B\nC=D"],
    "terminal": [b"\x1b[2J\x1b[31mred", b"\x1b]0;title\x07", b"\x1bP1$r\x1b\\", b"\x1b]52;c;aGk=\x07", b"\x9b31m", b"\xc2\x9b31m",
                 b"\x1b[6n", b"\x1b#8", b"\x0e\x0f", b"\x07\x08\x7f", b"\xc2\x90x\xc2\x9c", b"\x1b[?1049h"],
    "no utf-8": [b"\xff\xfe", b"\xc0\xaf", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xe2\x82", b"\xf0\x9f\x90", b"\x80" * 9,
                 b"\xfe" * 200, b"\xf8\x88\x80\x80\x80", "d\u00f6ra".encode("latin-1"), "dora".encode("utf-16")],
    "direction": ["\u202eabc".encode(), "\u202d\u202c".encode(), "\u2066x\u2069".encode(), "\u061c\u200e\u200f".encode(),
                  "a\u202e\u2066\u2067".encode()],
    "invisible": ["\u200b\u200c\u200d".encode(), "\ufeffx".encode(), "\U000e0041\U000e007f".encode(), "\u2060\u2064".encode(),
                  "\ufff9\ufffa\ufffb".encode(), "\u00ad".encode()],
    "formats": [b"%s%n%x%p", b"%99999999d", b"%1$*2$s", b"{0}{}", b"$(id)", b"`id`", b"${jndi:ldap://x/a}", b"%%%", b"\\x00\\n"],
    "quotes": [b'"', b"'", b"\\", b'\\"', b'","id":1,"', b"}{][", b'{"a":1}', b"null", b"</script>", b"<b>&amp;]]>", b"a,b;c\td",
               b"=1+1", b"'; DROP TABLE account; --", b"' OR 1=1 --", b"--", b"-c", b"../../etc/passwd", b"\\u0000", b"\\ud800"],
    "nothing much": ["\u65e5\u672c\u8a9e".encode(), "\U0001f427".encode(), b" lead and trail ", b"(x) y", b"[192.0.2.1]) forged",
                     b"a@b@c", b"@", b"%", b"name%harbor.example", "\u00e9\u0301".encode(), b"\xef\xbc\xa4\xef\xbc\xaf"],
    "long": [b"x" * 300, b"x" * 5000, b"x" * 9000, "\u00f6".encode() * 4200, "\u65e5".encode() * 2800, b'"' * 3000, b"\\" * 5000,
             b"\x1b" * 2500, b"\xff" * 2600, b"%n" * 2000, "\u202e".encode() * 1500, b"\n" * 4000],
}


def strings(count=500, seed=1):
    """(mark, bytes): the bytes end with the mark, in which there is nothing hostile. The same ones every time."""
    rng = random.Random(seed)
    plain = [s for family in FAMILIES.values() for s in family]
    short = [s for s in plain if len(s) < 100]
    found = [b"%c" % c for c in range(256)] + plain
    while len(found) < count:
        found.append(b"".join(rng.choice(short) for _ in range(rng.randrange(1, 6))))
    return [("m%dk" % i, s + b"m%dk" % i) for i, s in enumerate(found[:count])]


def is_visible(text, breaks="\n"):
    """Nothing that moves a cursor, turns the direction, or begins a line of its own; str, so well-formed."""
    for c in text:
        if c in breaks:
            continue
        if unicodedata.category(c) in ("Cc", "Zl", "Zp") or c in "\u061c\u200e\u200f\ufeff" or "\u202a" <= c <= "\u202e" \
                or "\u2066" <= c <= "\u2069":
            return False
    return True


def for_xml(raw):
    """As much of it as an XML attribute can hold, escaped; or None when it can hold none of it as it is."""
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError:
        return None
    out = []
    for c in text:
        n = ord(c)
        if not (n in (9, 10, 13) or 0x20 <= n <= 0xd7ff or 0xe000 <= n <= 0xfffd or n >= 0x10000):
            return None
        out.append("&#%d;" % n if c in "\t\r\n\"&<>'" else c)
    return "".join(out)
