// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
/*
 * Paths and forms. Whatever comes out is UTF-8 without zero bytes; what is encoded again decodes to the same; pieces
 * of the path put together again are the path; the URL that is made of a part is read as that part.
 */
#include "base/utf8.h"
#include "codec/filename.h"
#include "codec/parturl.h"
#include "codec/urlform.h"
#include "codec/urlpath.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_text(struct arena *a, struct buf *b, struct str text)
{
    struct str again;
    BUG_IF(!utf8_valid(text) || str_find(text, '\0') != text.n);
    buf_clear(b);
    url_encode(b, text);
    BUG_IF(url_decode(a, buf_slice(b), false, &again) != ERR_OK || !str_eq(again, text));
    BUG_IF(url_decode(a, buf_slice(b), true, &again) != ERR_OK || !str_eq(again, text));
}

static void check_part(struct arena *a, struct buf *b, const struct urlseg *seg, uint32_t n)
{
    struct parturl u, again;
    struct urlpath p;
    if (parturl_parse(seg, n, &u) != ERR_OK || u.kind != PARTURL_BODY)
        return;
    buf_clear(b);
    parturl_make(b, STR("1"), STR("f"), u.uid, parturl_part(&u), u.name);
    BUG_IF(urlpath_parse(a, buf_slice(b), &p) != ERR_OK || p.n != 6);
    BUG_IF(parturl_parse(p.seg + 4, 2, &again) != ERR_OK || again.kind != u.kind);
    BUG_IF(again.uid != u.uid || !str_eq(parturl_part(&again), parturl_part(&u)));
    BUG_IF(p.seg[5].slash || p.seg[5].dots || p.seg[5].text.n == 0 ||
           p.seg[5].text.n > FILENAME_MAX_BYTES);
}

static void check_path(struct arena *a, struct buf *b, struct str in)
{
    struct urlpath p;
    if (urlpath_parse(a, in, &p) != ERR_OK)
        return;
    size_t slashes = 0;
    for (size_t i = 0; i < in.n; i++)
        slashes += in.p[i] == '/';
    BUG_IF(slashes != p.n || p.n > URLPATH_SEGMENTS);
    for (uint32_t i = 0; i < p.n; i++) {
        struct str text = p.seg[i].text;
        check_text(a, b, text);
        check_part(a, b, p.seg + i, p.n - i);
        BUG_IF(!p.seg[i].slash && str_find(text, '/') != text.n);
        BUG_IF(!p.seg[i].dots && (str_eq(text, STR("..")) || str_eq(text, STR("."))));
    }
}

static void check_form(struct arena *a, struct buf *b, struct str in)
{
    struct urlform f;
    if (urlform_parse(a, in, &f) != ERR_OK)
        return;
    BUG_IF(f.n > URLFORM_PARAMS);
    for (uint32_t i = 0; i < f.n; i++) {
        check_text(a, b, f.param[i].name);
        check_text(a, b, f.param[i].value);
        BUG_IF(urlform_get(&f, NULL, f.param[i].name).p == NULL);
        BUG_IF(urlform_get(NULL, &f, f.param[i].name).p == NULL);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str in = {(const char *)data, size};
    struct arena a;
    struct buf b;
    arena_init(&a, (size_t)16 << 20);
    buf_init(&b, 4 * size + 2048);
    check_path(&a, &b, in);
    arena_reset(&a);
    check_form(&a, &b, in);
    buf_free(&b);
    arena_free(&a);
    return 0;
}
