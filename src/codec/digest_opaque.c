// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#include "base/utf8.h"
#include "codec/digest.h"
#include "codec/mime_scan.h"

#define HEADER_BYTES ((size_t)256 << 10)
#define TEXT_BYTES   ((size_t)10 << 20)

/* UTF-8, else each byte as ISO 8859-1; what XML forbids becomes U+FFFD; `lines`: CRLF becomes LF, else line ends vanish. */
static void clean(struct str s, bool lines, struct buf *out)
{
    bool utf8 = utf8_valid(s);
    for (size_t i = 0; i < s.n;) {
        char to[4];
        char c = s.p[i];
        if (c == '\r' || c == '\n') {
            if (lines && (c == '\n' || i + 1 == s.n || s.p[i + 1] != '\n'))
                buf_char(out, '\n');
            i++;
            continue;
        }
        uint32_t cp = utf8 ? utf8_next(s, &i) : (unsigned char)s.p[i++];
        buf_add(out, to, utf8_put(to, utf8_xml_char(cp) ? cp : 0xfffd));
    }
}

enum err digest_opaque(struct str raw, struct buf *head, struct buf *body)
{
    struct digest_fields_maker m;
    struct digest_body_maker b;
    struct header_scan scan;
    struct str name, folded;
    struct buf text;
    if (raw.p == NULL)
        raw = STR("");
    digest_fields_init(&m);
    digest_body_init(&b);
    buf_init(&text, DIGEST_BLOB_MAX / 2);
    header_scan_init(&scan, raw, HEADER_BYTES);
    while (header_next(&scan, &name, &folded)) {
        buf_clear(&text);
        clean(str_trim(folded), false, &text);
        digest_fields_text(&m, name, DIGEST_TEXT, buf_slice(&text));
    }
    digest_head_finish(&m, STR("text"), STR("plain"), raw.n, head);

    struct str rest = str_sub(raw, scan.at, raw.n);
    buf_clear(&text);
    bool fits = rest.n <= TEXT_BYTES;
    if (fits)
        clean(rest, true, &text);
    struct digest_part p = {
        .kind = fits ? DIGEST_TEXT_PART : DIGEST_LEAF,
        .estimated = (uint32_t)rest.n,
        .raw_at = (uint32_t)scan.at,
        .raw_n = (uint32_t)rest.n,
        .type = STR("text"),
        .subtype = STR("plain"),
        .part_id = STR("01"),
        .parse_error = STR("message could not be read"),
        .text = buf_slice(&text),
    };
    digest_part_add(&b, &p);
    digest_body_finish(&b, body);
    bool failed = text.failed;
    digest_fields_free(&m);
    digest_body_free(&b);
    buf_free(&text);
    if (failed)
        return ERR_NOMEM;
    enum err e = buf_err(head);
    return e != ERR_OK ? e : buf_err(body);
}
