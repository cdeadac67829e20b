# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The ximssd authors
"""Every file of tests/data/mail: our digest against Python's e-mail package.

Compared are Subject, the addresses of six fields, Date, the types of all parts in order, and the decoded text of text parts.
DIFFERENT lists where the two disagree and why ours is right, or as good; a test fails when a line there is not needed any more.
"""
import email
import email.policy
import email.utils
import functools
import glob
import json
import os
import re
import subprocess

import pytest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.environ.get("XIMSSD_BUILD", os.path.join(ROOT, "build"))
DATA = os.path.join(ROOT, "tests", "data", "mail")
FILES = sorted(f for f in glob.glob(os.path.join(DATA, "**"), recursive=True)
               if os.path.isfile(f) and not f.endswith(".txt"))
ADDRESS_FIELDS = ["From", "Sender", "Reply-To", "To", "Cc", "Bcc"]

SPACES = "Python puts blanks between joined encoded words of a display name; RFC 2047, 6.2 drops them"
CP1252 = "8-bit bytes in a header without charset: windows-1252 with us (protocol 2, 6.2), U+FFFD in Python"
COMMENT = "a comment is the name where there is no phrase (protocol 2, appendix B); Python knows no such names"
BOUNDARY = "Python finds no boundary parameter, since the unquoted value has characters that need quotes"
RAW = "not an address: the raw text is shown (protocol 2, 6.2); Python makes something up, or reads the first half"
BLANKS = "blanks before the colon (RFC 5322, 4.5): Python ends the header there"

DIFFERENT = {
    ("error_emails/bad_subject.eml", "From"): SPACES,
    ("error_emails/encoding_madness.eml", "Reply-To"): RAW,
    ("error_emails/invalid_subject_characters.eml", "Subject"): CP1252,
    ("error_emails/missing_body.eml", "To"): RAW,
    ("mime_emails/raw_email4.eml", "texts"): "the last part is not closed: Python takes off its last line end all the same",
    ("mime_emails/raw_email_with_binary_encoded.eml", "types"): BOUNDARY,
    ("mime_emails/raw_email_with_illegal_boundary.eml", "types"): BOUNDARY,
    ("mime_emails/raw_email_with_illegal_boundary.eml", "texts"): BOUNDARY,
    ("multipart_report_emails/multi_address_bounce1.eml", "From"): COMMENT,
    ("multipart_report_emails/multi_address_bounce2.eml", "From"): COMMENT,
    ("plain_emails/mix_caps_content_type.eml", "From"): RAW,
    ("plain_emails/raw_email_bad_time.eml", "types"): BOUNDARY,
    ("plain_emails/raw_email_bad_time.eml", "texts"): BOUNDARY,
    ("plain_emails/raw_email_multiple_from.eml", "From"): RAW,
    ("plain_emails/raw_email_multiple_from.eml", "Reply-To"): RAW,
    ("plain_emails/raw_email_multiple_from.eml", "To"): RAW,
    ("plain_emails/raw_email_with_at_display_name.eml", "To"): "an @ in an unquoted name: we find the address in the brackets, Python the name",
    ("rfc2822/example13.eml", "From"): BLANKS,
    ("rfc2822/example13.eml", "To"): BLANKS,
    ("rfc2822/example13.eml", "texts"): BLANKS,
}


def dump(*paths):
    return subprocess.run([os.path.join(BUILD, "dump-digest"), *paths], capture_output=True, check=False)


@functools.cache
def dump_all():
    return dump(*FILES)


def digest(path):
    """One program makes them all; if it does not like something, each file gets one of its own, to see whose fault it is."""
    done = dump_all()
    lines = done.stdout.splitlines()
    if done.returncode == 0 and len(lines) == len(FILES):
        return json.loads(lines[FILES.index(path)].decode("utf-8"))
    done = dump(path)
    assert done.returncode == 0, done.stderr.decode("utf-8", "replace")
    return json.loads(done.stdout.decode("utf-8"))


def collapse(text):
    return " ".join(text.split())


def squeeze(text):
    """Runs of U+FFFD as one: how many stand for broken bytes is a matter of taste. Forbidden characters are U+FFFD with us."""
    text = re.sub("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff\ud800-\udfff]", "\ufffd", text)
    return re.sub("\ufffd+", "\ufffd", text)


def first(fields, name):
    for field in fields:
        if field["name"].lower() == name.lower():
            return field
    return None


def our_subject(ours):
    field = first(ours["fields"], "Subject")
    return None if field is None else squeeze(collapse(field["text"]))


def their_subject(theirs):
    return None if theirs["subject"] is None else squeeze(collapse(str(theirs["subject"])))


def unescape(text):
    """Python keeps raw bytes of address fields as lone surrogates."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def our_addresses(ours, name):
    field = first(ours["fields"], name)
    if field is None:
        return None
    return [(collapse(a["name"]), a["address"]) for a in field["addresses"] if a["kind"] == 0]


def their_addresses(theirs, name):
    field = theirs[name]
    if field is None:
        return None
    # A name that is the address again is no name (protocol 2, appendix B).
    return [(unescape(collapse(a.display_name)) if a.display_name != a.addr_spec else "", unescape(a.addr_spec))
            for a in field.addresses]


def our_date(ours):
    field = first(ours["fields"], "Date")
    return None if field is None or field["kind"] != "date" else (field["when"], field["shift"])


def their_date(theirs):
    try:
        when = theirs["date"].datetime
    except AttributeError:
        return None
    if when is None:
        return None
    if when.tzinfo is None:
        when = when.replace(tzinfo=email.utils.datetime.timezone.utc)
    return (int(when.timestamp()), int(when.utcoffset().total_seconds()))


def children(part):
    return part.get_payload() if part.is_multipart() else []


def walk(part):
    yield part
    if part.get_content_type() not in ("message/delivery-status", "message/disposition-notification"):
        for child in children(part):
            yield from walk(child)


def our_types(ours):
    return [p["type"] + "/" + p["subtype"] for p in ours["parts"]]


def their_types(theirs):
    return [p.get_content_type() for p in walk(theirs)]


CODECS = {"shift_jis": "cp932", "iso-8859-1": "cp1252", "ks_c_5601-1987": "cp949", "gb2312": "gb18030",
          "big5": "big5hkscs"}


def decode(data, charset):
    """The rules for what has no charset, or an unknown one (protocol 2, 12.4): UTF-8 if it is that, else windows-1252."""
    try:
        if charset not in ("", "us-ascii"):
            return data.decode(CODECS.get(charset, charset), "replace")
    except LookupError:
        pass
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return data.decode("cp1252", "replace")


def our_texts(ours):
    return [squeeze(p["text"]) for p in ours["parts"] if p["kind"] == "text" and p["type"] == "text"]


def their_texts(theirs):
    texts = []
    for part in walk(theirs):
        if part.is_multipart() or part.get_content_maintype() != "text" or \
                part.get_content_type() == "text/rfc822-headers":
            continue
        text = decode(part.get_payload(decode=True), (part.get_param("charset") or "").lower()
                      if isinstance(part.get_param("charset") or "", str) else part.get_content_charset())
        texts.append(squeeze(text.replace("\r\n", "\n").replace("\r", "\n")))
    return texts


def compare(ours, theirs):
    """Pairs (what, ours, theirs) of everything that is compared."""
    yield "Subject", our_subject(ours), their_subject(theirs)
    for name in ADDRESS_FIELDS:
        yield name, our_addresses(ours, name), their_addresses(theirs, name)
    yield "Date", our_date(ours), their_date(theirs)
    yield "types", our_types(ours), their_types(theirs)
    yield "texts", our_texts(ours), their_texts(theirs)


@pytest.mark.parametrize("path", FILES, ids=[os.path.relpath(f, DATA) for f in FILES])
def test_file(path):
    with open(path, "rb") as f:
        raw = f.read()
    theirs = email.message_from_bytes(raw, policy=email.policy.default)
    name = os.path.relpath(path, DATA)
    problems = []
    for what, mine, other in compare(digest(path), theirs):
        known = (name, what) in DIFFERENT
        if (mine == other) == known:
            problems.append(f"{what}: ours {mine!r}, Python's {other!r}, listed as different: {known}")
    assert not problems, "\n".join(problems)


def test_all_in_one_program():
    done = dump_all()
    assert done.returncode == 0 and done.stdout.count(b"\n") == len(FILES), done.stderr.decode("utf-8", "replace")


def test_list_names_files():
    names = {os.path.relpath(f, DATA) for f in FILES}
    assert all(name in names for name, _ in DIFFERENT)
