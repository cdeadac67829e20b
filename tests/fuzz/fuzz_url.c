// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
/*
 * Request targets and forms. Whatever comes out is UTF-8 without zero bytes; what is encoded again decodes to the same; pieces
 * of the path put together again are the path.
 */
#include "base/utf8.h"
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

static void check_path(struct arena *a, struct buf *b, struct str in)
{
    struct urlpath p;
    if (urlpath_parse(a, in, &p) != ERR_OK)
        return;
    size_t slashes = 0;
    for (size_t i = 0; i < p.path.n; i++)
        slashes += p.path.p[i] == '/';
    BUG_IF(slashes != p.n || p.n > URLPATH_SEGMENTS);
    for (uint32_t i = 0; i < p.n; i++) {
        struct str text = p.seg[i].text;
        check_text(a, b, text);
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
    buf_init(&b, 4 * size + 16);
    check_path(&a, &b, in);
    arena_reset(&a);
    check_form(&a, &b, in);
    buf_free(&b);
    arena_free(&a);
    return 0;
}
