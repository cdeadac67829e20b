// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
/*
 * fuzz_object: whatever is taken as a generic object is written as XML that parses again, is taken again, and comes out the same.
 */
#include "codec/xmsg.h"
#include "ximss/object_xml.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct xmsg_parser *parser;
    static struct arena arena;
    struct xelem *root;
    struct buf once, twice;
    if (parser == NULL) {
        parser = xmsg_parser_new();
        arena_init(&arena, (size_t)16 << 20);
    }
    if (parser == NULL || size > 65536)
        return 0;
    arena_reset(&arena);
    buf_init(&once, (size_t)1 << 20);
    buf_init(&twice, (size_t)1 << 20);
    if (xmsg_parse(parser, (struct str){(const char *)data, size}, &arena, &root) == ERR_OK) {
        buf_lit(&once, "<o>");
        enum err e = object_write(root, &arena, &once);
        buf_lit(&once, "</o>");
        buf_lit(&twice, "<o>");
        if (e == ERR_OK) {
            BUG_IF(buf_err(&once) != ERR_OK ||
                   xmsg_parse(parser, buf_slice(&once), &arena, &root) != ERR_OK);
            BUG_IF(object_write(root, &arena, &twice) != ERR_OK);
            buf_lit(&twice, "</o>");
            BUG_IF(!str_eq(buf_slice(&once), buf_slice(&twice)));
        }
    }
    buf_free(&once);
    buf_free(&twice);
    return 0;
}
