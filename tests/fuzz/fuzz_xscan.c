// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
/*
 * fuzz_xscan: the scanner against libxml2. What it calls simple, libxml2 accepts with the same
 * values; where libxml2 accepts a message, scanner and rescuer find the same root tag and id.
 */
#include <stdlib.h>

#include "codec/frame.h"
#include "codec/xmsg.h"
#include "codec/xscan.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void same_id(const struct xelem *root, struct str raw, bool plain)
{
    struct str id = xelem_attr(root, "id");
    BUG_IF((id.p == NULL) != (raw.p == NULL));
    if (raw.p == NULL)
        return;
    char *to = malloc(raw.n + 1);
    if (to == NULL)
        abort();
    size_t n;
    BUG_IF(xscan_decode(raw, to, &n) != ERR_OK || n > raw.n);
    BUG_IF(!str_eq(id, (struct str){to, n}));
    BUG_IF(plain && !str_eq(id, raw));
    free(to);
}

static void compare(const struct xelem *root, const struct xscan *s, const struct xscan *guess)
{
    BUG_IF(!str_eq(root->name, s->name) || !str_eq(root->name, guess->name));
    same_id(root, s->id, s->id_plain);
    same_id(root, guess->id, false);
    if (s->simple)
        BUG_IF(root->child != NULL || root->text.n != 0 || root->nattrs != s->nattrs);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct xmsg_parser *parser;
    struct str bytes = {(const char *)data, size};
    struct str msg;
    struct xscan s, guess;
    if (parser == NULL)
        parser = xmsg_parser_new();
    BUG_IF(parser == NULL);
    xscan_rescue(bytes, &guess);
    if (frame_check(bytes, FRAME_MAX_LOGIN, NULL, &msg) != ERR_OK)
        return 0;
    xscan_start(msg, &s);
    xscan_rescue(msg, &guess);
    struct arena a;
    struct xelem *root;
    arena_init(&a, (size_t)64 << 20);
    enum err e = xmsg_parse(parser, msg, &a, &root);
    BUG_IF(s.simple && e != ERR_OK);
    if (e == ERR_OK)
        compare(root, &s, &guess);
    arena_free(&a);
    return 0;
}
