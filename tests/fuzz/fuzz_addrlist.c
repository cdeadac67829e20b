// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
/*
 * fuzz_addrlist: address lists. Whatever was read, the sets are sorted and disjoint as far as anybody can see from
 * outside: an address printed and read again is in the list exactly if it was before; the list followed by the removal of
 * everything holds nothing.
 */
#include "base/buf.h"
#include "codec/addrlist.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char nothing[] =
    "\n!0.0.0.0-255.255.255.255,!::-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff";

static void probe(const struct addrlist *l, const struct addrlist *empty, const struct ip *ip)
{
    char text[IP_TEXT_MAX];
    struct ip again;
    size_t n = ip_print(ip, text);
    BUG_IF(ip_parse((struct str){text, n}, &again) != ERR_OK);
    BUG_IF(addrlist_match(l, ip) != addrlist_match(l, &again));
    BUG_IF(addrlist_match(empty, ip));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct addrlist l, empty;
    struct addrlist_error bad;
    struct buf text;
    if (size < 16)
        return 0;
    struct ip v6 = ip_from_v6(data), v4 = ip_from_v4(data);
    struct str list = {(const char *)data + 16, size - 16};
    addrlist_init(&l);
    addrlist_init(&empty);
    buf_init(&text, size + sizeof nothing);
    if (addrlist_parse(&l, list, &bad) == ERR_OK) {
        buf_str(&text, list);
        buf_str(&text, str_of(nothing));
        BUG_IF(addrlist_parse(&empty, buf_slice(&text), NULL) != ERR_OK);
        probe(&l, &empty, &v6);
        probe(&l, &empty, &v4);
    } else {
        BUG_IF(bad.what == NULL || bad.line == 0);
    }
    addrlist_free(&l);
    addrlist_free(&empty);
    buf_free(&text);
    return 0;
}
