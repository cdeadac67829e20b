# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The ximssd authors
"""HTML of mail for the page that FORMAT makes (protocol 2, 9.3): what is left is read by Python's html.parser, which knows nothing of
ours, and must have elements, attributes and addresses of a short list, and nothing else; and the text of real mail is all there."""
import email
import email.policy
import glob
import html.parser
import os
import random
import re
import subprocess
import sys

import pytest
from ximss import BUILD, ROOT

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from vectors import all_vectors  # pylint: disable=wrong-import-position

ELEMENTS = set("a abbr acronym address article b bdo big blockquote br caption center cite code col colgroup dd del dfn dir div dl dt em "
               "figcaption figure font footer h1 h2 h3 h4 h5 h6 header hr i img ins kbd li mark menu ol p pre q s samp section small span strike "
               "strong sub sup table tbody td tfoot th thead tr tt u ul var wbr".split())
VOID = {"br", "hr", "img", "col", "wbr"}
ATTRIBUTES = set("abbr align alt bgcolor border cellpadding cellspacing clear color colspan dir face height href hspace lang noshade nowrap "
                 "rel rowspan size span src start style summary title type valign value vspace width".split())
LINK = re.compile(r"(https?|mailto|tel|sip|xmpp|ftp):[^\x00-\x1f\x7f]*\Z", re.I)
IMAGE = re.compile(r"/Session/1-a/MIME/F/7-0[23]-B/.*\Z|data:image/(png|gif|jpeg|webp);base64,[A-Za-z0-9+/=]+\Z", re.I)
# Declarations that neither load nor move: a name, and words, numbers without sign, strings, colours.
STYLE = re.compile(r"""(?!(position|behavior|content|cursor|filter|float|z-index|opacity|transform|list-style|background|src)\s*:)[a-z-]+:\s*
                   ((rgb|hsl)a?\([0-9.,% ]+\)|[A-Za-z0-9\#%.,+! -]|'[^'"\\()<>:;]*'|"[^'"\\()<>:;]*")+\Z""", re.I | re.X)


class Reader(html.parser.HTMLParser):
    def __init__(self, strict=True):
        super().__init__(convert_charrefs=True)
        self.strict, self.open, self.words, self.tags = strict, [], [], []

    def handle_starttag(self, tag, attrs):
        if not self.strict:
            self.open += [tag] if tag in ("script", "style", "title") else []
            return
        self.tags.append((tag, dict(attrs)))
        assert tag in ELEMENTS
        assert len({name for name, _ in attrs}) == len(attrs)
        for name, value in attrs:
            assert name in ATTRIBUTES, name
            assert value is not None and "\0" not in value
            if name == "href":
                assert tag == "a" and LINK.match(value), value
            if name == "src":
                assert tag == "img" and IMAGE.match(value), value
            if name == "style":
                for declaration in value.split("; "):
                    assert STYLE.match(declaration), value
                    assert not re.search(r"(?<![a-z0-9])-[0-9.]", declaration), value
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if self.strict:
            assert self.open and self.open.pop() == tag
        elif tag in self.open:
            self.open.remove(tag)

    def handle_startendtag(self, tag, attrs):
        assert not self.strict, tag
        self.handle_starttag(tag, attrs)
        self.handle_endtag(tag)

    def handle_data(self, data):
        if self.strict or not self.open:
            self.words.append(data)

    def not_here(self, *_):
        assert not self.strict

    handle_comment = handle_decl = handle_pi = unknown_decl = not_here


class Cleaner:
    def __init__(self, *limits):
        self.p = subprocess.Popen([os.path.join(BUILD, "clean-html"), *map(str, limits)], stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def raw(self, text):
        data = text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass")
        self.p.stdin.write(b"%d\n%s" % (len(data), data))
        self.p.stdin.flush()
        n, cut, error = self.p.stdout.readline().split()
        out = self.p.stdout.read(int(n))
        assert error == b"OK"
        return out.decode("utf-8"), cut == b"1"

    def __call__(self, text):
        """The clean form, after the judge has seen it."""
        out = self.raw(text)[0]
        self.judge(out)
        return out

    @staticmethod
    def judge(out):
        assert not re.search(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]", out)
        assert len(re.findall(r"[<>]", out)) == 2 * len(re.findall(r"</?[a-z][a-z0-9]*(?: [a-z]+=\"[^\"<>]*\")*>", out))
        reader = Reader()
        reader.feed(out)
        reader.close()
        assert reader.open == []
        return reader

    def close(self):
        self.p.stdin.close()
        assert self.p.wait(20) == 0


@pytest.fixture(scope="module")
def clean():
    c = Cleaner()
    yield c
    c.close()


def test_vectors(clean):
    vectors = list(all_vectors())
    assert len(set(map(repr, vectors))) > 600
    for v in vectors:
        try:
            clean(v)
        except AssertionError as e:
            raise AssertionError("%r became %r: %s" % (v, clean.raw(v)[0], e)) from None


def test_judge():
    """It finds what it is there to find."""
    for bad in BAD:
        with pytest.raises(AssertionError):
            Cleaner.judge(bad)
    Cleaner.judge("<p style=\"color: rgb(1, 2, 3); font-family: 'a b', serif\">x<br>&lt;<a href=\"mailto:a@b\" rel=\"x\">y</a></p>")


BAD = ("<script>", "<script></script>", "<p onclick=\"x\">y</p>", "<a href=\"javascript:x\" rel=\"noopener noreferrer\">y</a>", "<a href=\" javascript:x\">y</a>", "<p>", "</p>", "<p><b></p></b>",
       "<img src=\"http://x\">", "<img src=\"data:image/svg+xml,x\">", "<p style=\"color: url(x)\">y</p>", "<p style=\"position: fixed\">y</p>", "<p style=\"color: red;\">y</p>",
       "<p style=\"margin: -5px\">y</p>", "<!-- x -->", "<p title=x>y</p>", "<br/>", "a<b", "a>b", "<p title=\"<\">x</p>", "\x00", "<p class=\"a\">b</p>", "<svg></svg>")
WORSE = ("&copy;", "&", "&#60;", "'", "\"", "\x7f", "\x85", "<p title=\"a\" title=\"b\">x</p>", "<P>x</P>", "<p >x</p>", "<p  title=\"x\">y</p>", "<p title='x'>y</p>", "<br></br>", "</br>", "<p>x</p", "<p", "<", "<p title=\"x",
         "<a href=\"http://x\">y</a>", "<a href=\"http://x\" rel=\"noopener\">y</a>", "<a href=\" http://x\" rel=\"noopener noreferrer\">y</a>", "<a href=\"cid:logo@mail\">y</a>", "<img src=\"cid:logo@mail\">",
         "<img src=\"/Session/1-a/MIME/F/7-02-B/logo.pn\">", "<p width=\"1\">x</p>", "<td width=\"1;\">x</td>", "<b>" * 201 + "</b>" * 201, "\ufffe", b"\xc3", b"\xed\xa0\x80")


def test_verify(clean):
    """What does not come from a cleaner is refused; all that comes from it passes; one byte more or less, and it is another clean form or none."""
    v = Verifier()
    for bad in BAD + WORSE:
        assert v(bad) == "SYNTAX", bad
    rng = random.Random(3)
    forms = [clean.raw(one)[0] for one in all_vectors()] + [clean(s) for s in STAYS]
    for one in forms:
        assert v(one) == "OK", one
    for _ in range(3000):
        one = rng.choice(forms)
        at = rng.randrange(len(one) + 1)
        other = one[:at] + rng.choice(["", "<", ">", "\"", "'", "&", " ", "x", "<b>", "</b>", " onclick=\"x\"", "javascript:"]) + one[at + rng.randrange(2):]
        if v(other) == "OK":
            Cleaner.judge(other)
    v.close()


class Verifier(Cleaner):
    def __init__(self):
        super().__init__("-v")

    def __call__(self, text):
        data = text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass")
        self.p.stdin.write(b"%d\n%s" % (len(data), data))
        self.p.stdin.flush()
        return self.p.stdout.readline().decode().strip()


STAYS = [
    "<p>one <b>two</b> <i>three</i></p>", "<h1>a</h1><h6>b</h6><blockquote>c</blockquote><pre>d\n  e</pre>", "<ul><li>a</li><li>b</li></ul><ol start=\"3\" type=\"a\"><li value=\"7\">c</li></ol>",
    "<table border=\"0\" cellpadding=\"2\" cellspacing=\"0\" width=\"100%\" bgcolor=\"#ffffff\"><tbody><tr><td colspan=\"2\" rowspan=\"1\" align=\"left\" valign=\"top\">x</td></tr></tbody></table>",
    "<font color=\"#ff0000\" face=\"Arial, sans-serif\" size=\"+1\">x</font>", "<p>a<br>b</p><hr size=\"1\">", "<p title=\"&quot;&amp;&lt;\" lang=\"de\" dir=\"rtl\">x</p>",
    "<span style=\"color: red; font-family: &quot;Segoe UI&quot;, serif; margin: 0 0 0 10px; background-color: rgb(1, 2, 3)\">x</span>",
    "<p>&lt;script&gt;alert(1)&lt;/script&gt; &amp;amp; &quot;q&quot; &#39;s&#39;</p>", "<p>caf\u00e9 \u4e16\u754c \U0001f600 \u05e9</p>",
    "<img src=\"/Session/1-a/MIME/F/7-02-B/logo.png\" alt=\"logo\" width=\"10\" height=\"20\">", "<img src=\"data:image/png;base64,iVBORw0KGgo=\" alt=\"\">",
]


def test_stays(clean):
    """What is harmless stays as it is, but for its spelling."""
    for good in STAYS:
        assert clean(good.replace("/Session/1-a/MIME/F/7-02-B/logo.png", "cid:logo@mail")) == good
    assert clean('<A HREF="HTTP://x/?a=1&amp;b=2#c">y</A>') == '<a href="HTTP://x/?a=1&amp;b=2#c" rel="noopener noreferrer">y</a>'
    assert clean("<a href='ma\nilto:a@b.example'>y</a>") == '<a href="mailto:a@b.example" rel="noopener noreferrer">y</a>'
    assert clean("<img src='cid:a%20b@mail'>") == '<img src="/Session/1-a/MIME/F/7-03-B/&quot;x&quot;&amp;&#39;y&#39;.png">'
    assert clean("<p style='COLOR:Red;background:url(x);font-size:9pt'>y</p>") == '<p style="COLOR: Red; font-size: 9pt">y</p>'
    assert clean("<head><title>t</title><style>x</style></head><body onload=x bgcolor=red><p>y</p></body>") == "<p>y</p>"
    assert clean("<p>a<!VR>b<![if !supportLists]>c<![endif]><!--[if mso]><b>d</b><![endif]-->e<!DOCTYPE html>f</p>") == "<p>abcef</p>"
    assert clean("") == ""


def test_limits():
    """At n - 1, n, n + 1 of what is read, of depth, of what is written."""
    c = Cleaner(10, 200, 1000)
    assert [c.raw("<b>%s</b>" % ("x" * n))[1] for n in (2, 3, 4)] == [False, False, True]
    assert "\ufffd" not in c.raw("123456789\u00e9")[0]
    c.close()
    c = Cleaner(1000, 3, 1000)
    for n in (2, 3, 4):
        out, cut = c.raw("<b>" * n + "x" + "</b>" * n)
        assert out == "<b>" * min(n, 3) + "x" + "</b>" * min(n, 3) and cut == (n > 3)
    c.close()
    whole = '<b>ab</b><i>c</i><u title="&quot;">d</u>'
    for limit in range(len(whole) + 2):
        c = Cleaner(1000, 200, limit)
        out, cut = c.raw(whole)
        Cleaner.judge(out)
        assert len(out) <= limit and cut == (limit < len(whole))
        assert out == whole if limit >= len(whole) else len(out) < len(whole)
        c.close()


def test_bombs(clean):
    """A megabyte of the worst that there is: bounded in what comes out, and well within a helper's two seconds (a minute here, whatever the machine)."""
    for bomb in ("<b>" * 300000, "<table><tr><td>" * 60000, "<a href='http://x' title='" * 30000, "<p " + "a=b " * 200000 + ">x", "<" * 1000000, "&" * 1000000, "&lt;" * 250000,
                 "<p title='" + "&amp;" * 180000 + "'>x", "<!--" * 250000, "</b>" * 250000, "<p style='" + "color:red;" * 90000 + "'>x", "<img src='cid:" + "%20" * 300000 + "'>", "<script>" * 120000,
                 "<svg>" * 100000 + "</svg>" * 100000, "<x-%s>" % ("y" * 900000), "<div><div style='color:red'>" * 30000, "'" * 1000000):
        out = clean(bomb)
        assert len(out) <= 4 << 20


def letters(pieces):
    return re.sub(r"[\s\x00-\x1f\x7f-\x9f\ufffd]", "", "".join(pieces))


def test_real_mail(clean):
    """All of the text that Python finds in the HTML of real mail are there, in order."""
    seen = 0
    for path in sorted(glob.glob(os.path.join(ROOT, "tests/data/mail/**/*"), recursive=True)):
        if not os.path.isfile(path):
            continue
        with open(path, "rb") as f:
            message = email.message_from_binary_file(f, policy=email.policy.compat32)
        for part in message.walk():
            if part.get_content_type() != "text/html":
                continue
            data = part.get_payload(decode=True) or b""
            try:
                text = data.decode(part.get_content_charset() or "utf-8")
            except (LookupError, UnicodeDecodeError):
                continue
            reader = Reader(strict=False)
            reader.feed(text)
            if "<" not in reader.rawdata:  # one ends inside of a tag: no text
                reader.close()
            out = clean(text)
            assert letters(Cleaner.judge(out).words) == letters(reader.words), path
            seen += 1
    assert seen > 10


def test_any_bytes(clean):
    """Pieces of all of the vectors, in any order."""
    rng = random.Random(9)
    vectors = [v for v in all_vectors() if isinstance(v, str)]
    for _ in range(1500):
        piece = "".join(v[rng.randrange(len(v)):][:rng.randrange(30)] for v in rng.choices([v for v in vectors if v], k=4))
        try:
            clean(piece)
        except AssertionError as e:
            raise AssertionError("%r became %r: %s" % (piece, clean.raw(piece)[0], e)) from None
