#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The ximssd authors
"""Makes vectors.tbl and name_pairs.tbl anew, next to this file: a second opinion on src/auth, from Python's
hmac, hashlib and unicodedata. SASLprep (RFC 4013) is written out here from its tables in the stringprep module."""
import base64
import hashlib
import hmac
import os
import random
import stringprep
import unicodedata

here = os.path.dirname(os.path.abspath(__file__))
rng = random.Random(20240314)
HEAD = ("// SPDX-License-Identifier: MIT\n// SPDX-FileCopyrightText: The ximssd authors\n"
        "/* Made by make_vectors.py; do not edit. */\n")


def c(data):
    """A C string literal; every byte beyond printable ASCII in octal, so that no digit joins it."""
    if isinstance(data, str):
        data = data.encode()
    return '"' + "".join(chr(b) if 32 <= b < 127 and chr(b) not in '"\\?' else "\\%03o" % b for b in data) + '"'


def saslprep(text):
    mapped = "".join(" " if stringprep.in_table_c12(x) else x for x in text if not stringprep.in_table_b1(x))
    return unicodedata.ucd_3_2_0.normalize("NFKC", mapped)


def b64(data):
    return base64.b64encode(data).decode()


def scram(out):
    passwords = ["correct-horse", "pencil", 'a&b<c"d e', "x" * 1024, "\u00e9t\u00e9", "e\u0301te\u0301",
                 "\u2168 nine", "soft\u00adhyphen", "no\u00a0break", "\u65e5\u672c\u8a9e", "\U0001f511key"]
    for i, password in enumerate(passwords):
        salt = rng.randbytes(16 if i % 2 == 0 else 12 + i)
        iterations = 10000 + i
        salted = hashlib.pbkdf2_hmac("sha256", saslprep(password).encode(), salt, iterations)
        client = hmac.digest(salted, b"Client Key", "sha256")
        stored = hashlib.sha256(client).digest()
        server = hmac.digest(salted, b"Server Key", "sha256")
        name = "dora" if i % 3 else "a,b=c"
        gs2 = ["n,,", "y,,", "n,a=%s," % name.replace("=", "=3D").replace(",", "=2C")][i % 3]
        bare = "n=%s,r=%s" % (name.replace("=", "=3D").replace(",", "=2C"), rng.randbytes(9).hex())
        added = rng.randbytes(12).hex()
        nonce = bare.split("r=")[1] + added
        first = "r=%s,s=%s,i=%d" % (nonce, b64(salt), iterations)
        without = "c=%s,r=%s" % (b64(gs2.encode()), nonce)
        message = ",".join((bare, first, without)).encode()
        sign = hmac.digest(stored, message, "sha256")
        proof = bytes(a ^ b for a, b in zip(client, sign))
        final = "v=" + b64(hmac.digest(server, message, "sha256"))
        out.append("SCRAM(%s, %s, %s, %s, %s, %s, %s)\n" % (
            c(password), c("SCRAM-SHA-256$%d:%s$%s:%s" % (iterations, b64(salt), b64(stored), b64(server))),
            c(gs2 + bare), c(added), c(first), c(without + ",p=" + b64(proof)), c(final)))


def cram(out):
    for length in (1, 13, 63, 64, 65, 200, 1024):
        password = "".join(rng.choice("abcdefghijklmnop&<\" \u00e9") for _ in range(length)).encode()[:1024]
        for text in ("7f0c2b91d4e65a38", "<1.2@a>", "", "x" * 300):
            out.append("CRAM(%s, %s, %s)\n" % (c(password), c(text), c(hmac.new(password, text.encode(), "md5").hexdigest())))


def fold(text):
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", unicodedata.normalize("NFD", text).casefold()))


def is_ltr_letter(ch):
    return (unicodedata.category(ch)[0] == "L" or unicodedata.category(ch) == "Nd") and \
        unicodedata.bidirectional(ch) in ("L", "EN")


def names(out):
    """Pairs of spellings of one name, with the form that both must have; only where folding is at rest after one pass."""
    found = []
    for code in range(0x80, 0x20000):
        ch = chr(code)
        if 0xd800 <= code < 0xe000 or unicodedata.category(ch) == "Cn":
            continue
        to = fold("a" + ch)[1:]
        whole = fold("a" + ch)
        if not to or to == ch or not whole.startswith("a") or fold(whole) != whole:
            continue
        if all(is_ltr_letter(x) or x in "abcdefghijklmnopqrstuvwxyz0123456789" for x in to):
            found.append((ch, to))
    for ch, to in rng.sample(found, 2000):
        out.append("PAIR(%s, %s)\n" % (c("A" + ch + "b"), c("a" + to + "b")))


for name, makers in (("vectors.tbl", (scram, cram)), ("name_pairs.tbl", (names,))):
    rows = []
    for make in makers:
        make(rows)
    with open(os.path.join(here, name), "w", encoding="ascii") as file:
        file.write(HEAD + "".join(rows))
