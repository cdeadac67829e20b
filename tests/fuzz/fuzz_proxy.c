// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
/*
 * PROXY headers: whatever comes behind, and in whatever pieces, the answer is the same; never a wait beyond the limits.
 * Forwarded addresses: one that is not trusted is not changed by another trusted proxy behind it.
 */
#include "codec/forwarded.h"
#include "codec/proxyline.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_header(struct str in)
{
    struct proxyline whole, part;
    size_t used = 0, again = 0, fixed = in.n < 200 ? in.n : 200;
    enum err e = proxyline_read(in, &used, &whole);
    BUG_IF(e == ERR_AGAIN && in.n >= PROXYLINE_V2_MAX);
    BUG_IF(e == ERR_OK && (used > in.n || used == 0 || used > PROXYLINE_V2_MAX));
    for (size_t n = 0; n < fixed; n++) {
        enum err cut = proxyline_read(str_sub(in, 0, n), &again, &part);
        if (e == ERR_OK && n < used)
            BUG_IF(cut != ERR_AGAIN);
        else
            BUG_IF(cut != ERR_AGAIN && cut != e);
        BUG_IF(cut == ERR_OK && again != used);
    }
}

static void check_fields(struct str in)
{
    static const char list[] = "10.0.0.0/8,2001:db8::/32";
    struct addrlist trusted;
    struct ip peer, client, later;
    struct forwarded f;
    struct str line;
    addrlist_init(&trusted);
    BUG_IF(addrlist_parse(&trusted, str_of(list), NULL) != ERR_OK);
    BUG_IF(ip_parse(STR("10.0.0.1"), &peer) != ERR_OK);
    forwarded_init(&f, &trusted, &peer);
    for (bool x = false; str_split(&in, '\n', &line); x = !x) {
        if (x)
            forwarded_add_x(&f, line);
        else
            forwarded_add(&f, line);
    }
    bool known = forwarded_client(&f, &client);
    bool other = known && !addrlist_match(&trusted, &client);
    struct forwarded g = f;
    if (f.standard.seen)
        forwarded_add(&g, STR("for=10.0.0.7;by=_x"));
    if (f.x.seen)
        forwarded_add_x(&g, STR("[2001:db8::7]:80"));
    BUG_IF(other && (!forwarded_client(&g, &later) || !ip_eq(&client, &later)));
    addrlist_free(&trusted);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str in = {(const char *)data, size};
    check_header(in);
    check_fields(in);
    return 0;
}
