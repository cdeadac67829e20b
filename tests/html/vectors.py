# SPDX-License-Identifier: MIT
# SPDX-FileCopyrightText: The ximssd authors
"""Ways to get a script, a request or a form into a page, by kind. Each is HTML as mail could bring it."""
JS = "alert(1)"
URLS = [  # addresses that run something, load something, or lead elsewhere than they say
    "javascript:alert(1)", "JaVaScRiPt:alert(1)", " javascript:alert(1)", "\x01javascript:alert(1)", "java\tscript:alert(1)",
    "java\nscript:alert(1)", "java\rscript:alert(1)", "&#106;avascript:alert(1)", "&#x6A;avascript:alert(1)", "&#0000106avascript:alert(1)",
    "jav&#x09;ascript:alert(1)", "jav&#x0A;ascript:alert(1)", "javascript&colon;alert(1)", "javascript&#58;alert(1)", "java&Tab;script:alert(1)",
    "java&NewLine;script:alert(1)", "\u00a0javascript:alert(1)", "vbscript:msgbox(1)", "livescript:x", "mocha:x", "data:text/html,<script>alert(1)</script>",
    "data:text/html;base64,PHNjcmlwdD5hbGVydCgxKTwvc2NyaXB0Pg==", "data:image/svg+xml,<svg onload=alert(1)>", "data:image/svg+xml;base64,PHN2Zz4=",
    "DATA:image/svg+xml;base64,PHN2Zz4=", "data:,x", "data:image/png;base64,AA\"onerror=alert(1)", "file:///etc/passwd", "view-source:http://x", "blob:http://x/1", "filesystem:http://x/1",
    "about:blank", "jar:http://x!/y", "ws://evil.example", "//evil.example/x", "/Session/1-a/KILL", "evil.html", "?x", "#x", "", "http", "cid:", "cid:other@mail",
    "cid:logo@mail\"onerror=alert(1)", "mid:x", "feed:javascript:alert(1)", "\\\\evil\\x", "http:\x00//x", "\x00javascript:alert(1)", "javascript:%61lert(1)", "javascript://%0aalert(1)",
]
EVENTS = ["onload", "onerror", "onclick", "onmouseover", "ONFOCUS", "onbegin", "onanimationstart", "ontoggle", "onpointerover", "formaction",
          "srcdoc", "background", "poster", "srcset", "ping", "action", "xlink:href", "xmlns", "data", "code", "classid", "usemap",
          "longdesc", "lowsrc", "dynsrc", "profile", "manifest", "icon", "archive", "codebase", "cite", "target", "id", "class", "name",
          "contenteditable", "autofocus", "accesskey", "tabindex", "is", "slot", "http-equiv", "content", "integrity", "nonce", "part"]
STYLES = ["background:url(http://evil.example/x)", "background-image:url('//evil.example')", "background-color:url(x)", "color:expression(alert(1))",
          "width:e/**/xpression(alert(1))", "-moz-binding:url(http://evil.example/x#y)", "behavior:url(x.htc)", "color:\\75\\72\\6c(x)", "list-style:url(x)",
          "list-style-image:url(x)", "cursor:url(x),auto", "content:url(x)", "border-image:url(x)", "@import 'http://evil.example/x'", "position:fixed;top:0;left:0",
          "position:absolute", "margin-top:-5000px", "margin:0 0 -.5em", "z-index:9", "filter:progid:x", "color:red;}body{background:url(x)", "color:red\"onclick=\"alert(1)",
          "font-family:'x;background:url(y)'", "color:var(--x)", "--x:url(x)", "width:calc(1px)", "color:&#117;rl(x)", "src:local(x)", "color:image-set(x)", "opacity:0",
          "transform:scale(9)", "width:attr(x)", "color:red</style><script>alert(1)</script>", "font-family:\"<img src=x onerror=alert(1)>\"", "float:left"]
WHOLE = [
    # elements that run or load
    "<script>alert(1)</script>", "<SCRIPT SRC=//evil.example></SCRIPT>", "<script/src=x>", "<script\n>alert(1)</script\n>", "<<script>alert(1);//<</script>", "<scr<script>ipt>alert(1)</scr</script>ipt>",
    "<script>/*</script>*/alert(1)//", "<script><!--<script></script>--></script>x", "</script><script>alert(1)</script>", "<script", "<script>", "<script type=text/plain><img src=x onerror=alert(1)>",
    "<iframe src=javascript:alert(1)>", "<iframe srcdoc='<script>alert(1)</script>'></iframe>", "<frameset onload=alert(1)><frame src=x></frameset>", "<object data=x><param name=src value=x></object>",
    "<embed src=x>", "<applet code=x>", "<audio src=x onerror=alert(1)>", "<video><source onerror=alert(1)></video>", "<video poster=http://evil.example/x>", "<track src=x>", "<canvas>x</canvas>",
    "<link rel=stylesheet href=//evil.example/x>", "<style>@import '//evil.example'</style>", "<style>body{background:url(//evil.example)}</style>", "<style", "<style>", "<style><img src=\"</style><img src=x onerror=alert(1)>\">",
    "<meta http-equiv=refresh content='0;url=javascript:alert(1)'>", "<meta http-equiv=Set-Cookie content=x>", "<meta charset=utf-7>", "<base href=javascript:/a/>", "<base target=_blank>",
    "<form action=x><input name=a><button formaction=javascript:alert(1)>x</button></form>", "<isindex action=x>", "<input type=image src=x onerror=alert(1)>", "<input autofocus onfocus=alert(1)>",
    "<select><option>x</select>", "<textarea><img src=x onerror=alert(1)></textarea>", "<keygen autofocus onfocus=alert(1)>", "<dialog open>x</dialog>", "<details open ontoggle=alert(1)>", "<marquee onstart=alert(1)>x</marquee>",
    "<bgsound src=x>", "<layer src=x></layer>", "<ilayer src=x>", "<xml id=x src=y></xml>", "<xss style=behavior:url(x)>", "<portal src=x>", "<slot></slot>", "<custom-element onclick=alert(1)>x</custom-element>",
    "<map><area href=javascript:alert(1)></map>", "<menuitem icon=x>", "<command onclick=x>", "<nextid n=x>", "<plaintext><script>alert(1)</script>", "<xmp><img src=x onerror=alert(1)></xmp>", "<listing><script>alert(1)</script></listing>",
    "<image src=x onerror=alert(1)>", "<img src=x:x onerror=alert(1)//", "<img src=x onerror=alert(1) alt=y>", "<img/src=x/onerror=alert(1)>", "<img src='x'onerror='alert(1)'>", "<img src=`x` onerror=`alert(1)`>", "<img\x0csrc=x\x0conerror=alert(1)>",
    "<img \"\"\"><script>alert(1)</script>\">", "<img src=\"x` `<script>alert(1)</script>\"` `>", "<img srcset='http://evil.example/x 2x'>", "<picture><source srcset=//evil.example/x><img src=x></picture>", "<img longdesc=javascript:alert(1) lowsrc=x dynsrc=y>",
    # other languages inside
    "<svg onload=alert(1)>", "<svg><script>alert(1)</script></svg>", "<svg><style><img src=x onerror=alert(1)></style></svg>", "<svg><a xlink:href=javascript:alert(1)><text>x</text></a></svg>", "<svg><animate onbegin=alert(1) attributeName=x></svg>",
    "<svg><foreignObject><iframe src=x></iframe></foreignObject></svg>", "<svg><use href='data:image/svg+xml,x'/></svg>", "<svg></p><style><a id=\"</style><img src=1 onerror=alert(1)>\">", "<svg><![CDATA[><img src=x onerror=alert(1)>]]></svg>", "<svg><image href=//evil.example/x>",
    "<math><mtext><table><mglyph><style><!--</style><img title=\"--&gt;&lt;img src=1 onerror=alert(1)&gt;\">", "<math href=javascript:alert(1)>x</math>", "<math><maction actiontype=statusline xlink:href=javascript:alert(1)>x</maction></math>", "<math><annotation-xml encoding=text/html><script>alert(1)</script></annotation-xml></math>",
    "<math><mi//xlink:href=\"data:x,<script>alert(4)</script>\">", "<form><math><mtext></form><form><mglyph><style></math><img src onerror=alert(1)>", "<template><script>alert(1)</script></template>", "<template><s><template><s><img src=x onerror=alert(1)>", "<noscript><p title=\"</noscript><img src=x onerror=alert(1)>\">",
    "<noembed><img title=\"</noembed><img src onerror=alert(1)>\"></noembed>", "<noframes><img title=\"</noframes><img src onerror=alert(1)>\">", "<title><img title=\"</title><img src onerror=alert(1)>\">", "<xml:namespace prefix=t><t:set attributeName=innerHTML to=x>", "<?xml version=1.0?><x:script xmlns:x=http://www.w3.org/1999/xhtml>alert(1)</x:script>",
    "<o:p onclick=alert(1)>x</o:p>", "<html xmlns:svg=x><svg:svg onload=alert(1)>", "<x:script>alert(1)</x:script>",
    # comments, declarations, instructions
    "<!--<img src=\"--><img src=x onerror=alert(1)//\">", "<!--><img src=x onerror=alert(1)>-->", "<!---><script>alert(1)</script>-->", "<!-- --!><img src=x onerror=alert(1)>", "<!--[if IE]><script>alert(1)</script><![endif]-->", "<![if !IE]><script>alert(1)</script><![endif]>", "<!-", "<!--",
    "<!DOCTYPE x [<!ENTITY y \"<script>alert(1)</script>\">]>&y;", "<!DOCTYPE html SYSTEM \"http://evil.example/x.dtd\"><p>x", "<?php echo 1 ?><script>alert(1)</script>", "<? ><img src=x onerror=alert(1)>?>", "<![CDATA[<script>alert(1)</script>]]>", "</ ><script>alert(1)</script>", "<%><img src=x onerror=alert(1)>", "</br onclick=x>",
    # breaking out of attributes, odd tags
    "<p title='\"><script>alert(1)</script>'>x", "<p title=\"'><img src=x onerror=alert(1)>\">", "<p title=\"&quot;&gt;&lt;script&gt;alert(1)&lt;/script&gt;\">x", "<p title=x\"onclick=alert(1)>", "<p title=`onclick=alert(1)`>x", "<p =\"<script>alert(1)</script>\">", "<p title", "<p title=", "<p title='", "<p title=\"x>y<script>alert(1)</script>",
    "<p/onclick=alert(1)>x", "<p\x0bonclick=alert(1)>", "<p onclick\x00=alert(1)>", "<p on\x00click=alert(1)>", "<\x00script>alert(1)</script>", "<s\x00cript>alert(1)</s\x00cript>", "<p title=\x00onclick=alert(1)>", "<a href=\"http://x\" href=\"javascript:alert(1)\">x</a>", "<a HREF=javascript:alert(1) href=http://x>x</a>", "<a href = javascript:alert(1) >x</a>",
    "<a href='http://x\"onclick=alert(1)'>x</a>", "<a href=http://x/'onclick='alert(1)>x</a>", "<a href=\"http://x/<script>\">x</a>", "<a href=https://x/?a=1&lt=2&quot;>x</a>", "<a\nhref\n=\n'mailto:a@b?subject=<x>'\n>x</a>", "<a xlink:href=javascript:alert(1) href=x>x</a>", "<a data-href=javascript:x style=color:red>x</a>",
    "&lt;script&gt;alert(1)&lt;/script&gt;", "&amp;lt;script&amp;gt;", "&#60;script&#62;alert(1)&#60;/script&#62;", "&#x3c;img src=x onerror=alert(1)&#x3e;", "&ltscript&gtalert(1)", "&#0;&#1;&#x80;&#xD800;&#x110000;&#xFFFE;", "+ADw-script+AD4-alert(1)+ADw-/script+AD4-", "\u2028<script>alert(1)</script>", "\ufeff<script>alert(1)</script>",
    "\uff1cscript\uff1ealert(1)\uff1c/script\uff1e", "<\u017fcript>alert(1)</\u017fcript>", "<scrip\u0442>alert(1)</scrip\u0442>", "<img src=x onerror\u00a0=alert(1)>", "<b><i><u>unclosed", "</b></i></u>never opened", "<b><i></b></i>", "<table><tr><td><table><td><script>alert(1)</script>", "<p><p><p><div></p></div>", "<li><li></ul><td>",
    "<body onload=alert(1) background=//evil.example/x><p>x</body>", "<html onclick=x manifest=y><head profile=z><title>t</title></head><body>x", "<table background=//evil.example/x><td background=y>z</table>", "<p>a</p></body></html><script>alert(1)</script>", "<div style=\"color:red\" STYLE=\"background:url(x)\">x</div>", "<font color=\"javascript:alert(1)\" face='x\"y'>z</font>", "<br clear=all onclick=x><hr size=\"&{alert(1)}\">", "<ol start=\"1\" type=\"javascript:x\"><li value=\"1;x\">y</ol>",
    "<", "<<<<", ">>>>", "<>", "</>", "<a<b<c>", "\"'&<>", "\x00", "\x0b\x0c\x1b[2J", "\ud7ff\ue000\ufffd", "\u202egnp.exe", "&", "&;", "&#;", "&#x;", "&#99999999999;",
]
# Bytes that are no UTF-8, and other encodings of a script: the digest makes UTF-8 of mail before, but nothing depends on it.
BYTES = [b"\xc0\xbcscript\xc0\xbealert(1)", b"<p title=\"\xc3\" onclick=alert(1)//\">x", b"<img src=x title=\xe0 onerror=alert(1)>", b"\xff\xfe<\x00s\x00c\x00r\x00i\x00p\x00t\x00>\x00",
         b"\xbcscript\xbealert(1)\xbc/script\xbe", b"\x1b$B<script>\x1b(B", b"\xed\xa0\x80<script>", b"<a href=\"\xe2\x80\xaajavascript:alert(1)\">x</a>", b"\xf8\x88\x80\x80\x80<b>"]


def all_vectors():
    for url in URLS:
        for tag in ('<a href="%s">x</a>', '<img src="%s">', "<a href='%s'>x</a>", '<table background="%s"><td>x</table>'):
            if "%s" in tag and not ('"' in url and '"' in tag):
                yield tag % url
    for name in EVENTS:
        yield '<p %s="javascript:alert(1)">x</p>' % name
        yield '<img src="cid:logo@mail" %s=http://evil.example/x>' % name
    for style in STYLES:
        yield "<div style='%s'>x</div>" % style.replace("'", "&#39;")
        yield '<td style="%s">x' % style.replace('"', "&quot;")
    yield from WHOLE
    for one in WHOLE:
        yield "<table><tr><td><b>" + one + "</table>y"
    yield from BYTES
