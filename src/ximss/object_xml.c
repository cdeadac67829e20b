// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#include "ximss/object_xml.h"

#include <arpa/inet.h>
#include <stdlib.h>

#include "codec/b64.h"
#include "codec/xname.h"
#include "codec/xout.h"
#include "codec/xtime.h"

#define ADDRESS_MAX 46 /* bytes of an IPv6 address as text */

struct writer {
    struct arena *a;
    struct buf *out;
};

static enum err write_object(struct writer *w, const struct xelem *e);

/* --- the atoms */

static enum err write_number(struct writer *w, struct str text)
{
    int64_t v;
    if (str_i64(text, &v) != ERR_OK)
        return ERR_ATTR_VALUE;
    buf_printf(w->out, "<number>%lld</number>", (long long)v);
    return ERR_OK;
}

static enum err write_time(struct writer *w, struct str text)
{
    char to[XTIME_SIZE];
    int64_t t;
    enum err e = xtime_read(text, false, &t);
    if (e == ERR_OK)
        xout_elem(w->out, "timeStamp", xtime_gmt_z(to, t));
    return e;
}

static enum err write_data(struct writer *w, struct str text)
{
    struct buf bytes;
    buf_init(&bytes, text.n + 16); /* decoding wants a little more than what comes of it */
    enum err e = b64_decode(&bytes, text);
    if (e == ERR_OK && bytes.n != 0) {
        buf_lit(w->out, "<dataBlock>");
        b64_encode(w->out, buf_slice(&bytes));
        buf_lit(w->out, "</dataBlock>");
    } else if (e == ERR_OK) {
        buf_lit(w->out, "<dataBlock/>");
    }
    buf_free(&bytes);
    return e == ERR_SYNTAX ? ERR_ATTR_VALUE : e;
}

/* [192.0.2.7], [2001:db8::7]:5060 */
static enum err write_address(struct writer *w, struct str text)
{
    char z[ADDRESS_MAX + 1], raw[sizeof(struct in6_addr)];
    size_t end = str_find(text, ']');
    uint64_t port;
    if (end < 2 || end == text.n || text.p[0] != '[' || end - 1 > ADDRESS_MAX)
        return ERR_ATTR_VALUE;
    struct str address = str_sub(text, 1, end - 1), rest = str_sub(text, end + 1, text.n);
    memcpy(z, address.p, address.n);
    z[address.n] = '\0';
    if (strlen(z) != address.n ||
        (inet_pton(AF_INET, z, raw) != 1 && inet_pton(AF_INET6, z, raw) != 1))
        return ERR_ATTR_VALUE;
    if (rest.n != 0 &&
        (rest.p[0] != ':' || str_u64(str_sub(rest, 1, rest.n), 65535, &port) != ERR_OK))
        return ERR_ATTR_VALUE;
    xout_elem(w->out, "ip", text);
    return ERR_OK;
}

static enum err write_null(struct writer *w, struct str text)
{
    if (text.n != 0)
        return ERR_ATTR_VALUE;
    buf_lit(w->out, "<null/>");
    return ERR_OK;
}

static const struct {
    const char *name;
    enum err (*write)(struct writer *w, struct str text);
} atoms[] = {
    {"number", write_number},  {"timeStamp", write_time}, {"date", write_time},
    {"dataBlock", write_data}, {"base64", write_data},    {"ip", write_address},
    {"ipAddr", write_address}, {"null", write_null},
};

/* --- an XML element as it is */

/* Those with a prefix belong to a namespace whose declaration is elsewhere. */
static bool attribute_fine(struct str name)
{
    return str_eq(name, STR("xml:lang")) || str_eq(name, STR("xml:space")) || xname_portable(name);
}

static enum err write_element(struct writer *w, const struct xelem *e)
{
    enum err err = ERR_OK;
    if (e->mixed || !xname_portable(e->name))
        return ERR_ATTR_VALUE;
    xout_open_str(w->out, e->name);
    for (uint32_t i = 0; i < e->nattrs; i++) {
        if (!attribute_fine(e->attrs[i].name))
            return ERR_ATTR_VALUE;
        xout_attr(w->out, e->attrs[i].name.p, e->attrs[i].value);
    }
    if (e->child == NULL && e->text.n == 0) {
        xout_empty(w->out);
        return buf_err(w->out);
    }
    xout_body(w->out);
    if (e->child == NULL)
        xout_text(w->out, e->text);
    for (const struct xelem *c = e->child; c != NULL && err == ERR_OK; c = c->next)
        err = write_element(w, c);
    xout_close_str(w->out, e->name);
    return err != ERR_OK ? err : buf_err(w->out);
}

/* --- dictionaries and arrays */

struct entry {
    const struct xelem *e;
    struct str key;
    uint32_t at; /* its place; UINT32_MAX: another one of this key has it */
};

static enum err write_entry(struct writer *w, const struct xelem *e, bool keyed)
{
    const char *tag = keyed ? "subKey" : "subValue";
    xout_open(w->out, tag);
    if (keyed)
        xout_attr(w->out, "key", xelem_attr(e, "key"));
    if (e->child == NULL && e->text.n == 0) {
        xout_empty(w->out);
        return buf_err(w->out);
    }
    xout_body(w->out);
    enum err err = write_object(w, e);
    xout_close(w->out, tag);
    return err != ERR_OK ? err : buf_err(w->out);
}

static int by_key(const void *a, const void *b)
{
    const struct entry *x = a, *y = b;
    int c = str_cmp(x->key, y->key);
    return c != 0 ? c : (x->at > y->at) - (x->at < y->at);
}

static int by_place(const void *a, const void *b)
{
    const struct entry *x = a, *y = b;
    return (x->at > y->at) - (x->at < y->at);
}

/* Of equal keys the last value takes the first one's place; returns how many are left, in order. */
static uint32_t drop_repeated(struct entry *list, uint32_t n)
{
    uint32_t kept = 0;
    qsort(list, n, sizeof *list, by_key);
    for (uint32_t i = 0, last; i < n; i = last + 1) {
        for (last = i; last + 1 < n && str_eq(list[last + 1].key, list[i].key); last++)
            ;
        list[kept++] = (struct entry){list[last].e, list[i].key, list[i].at};
    }
    qsort(list, kept, sizeof *list, by_place);
    return kept;
}

static enum err write_dictionary(struct writer *w, const struct xelem *first, uint32_t n)
{
    struct entry *list = arena_array(w->a, n, sizeof *list);
    uint32_t i = 0;
    enum err err = ERR_OK;
    if (list == NULL)
        return ERR_NOMEM;
    for (const struct xelem *e = first; e != NULL; e = e->next, i++) {
        list[i] = (struct entry){e, xelem_attr(e, "key"), i};
        if (list[i].key.p == NULL)
            return ERR_ATTR_MISSING;
    }
    n = drop_repeated(list, n);
    for (i = 0; i < n && err == ERR_OK; i++)
        err = write_entry(w, list[i].e, true);
    return err;
}

static enum err write_array(struct writer *w, const struct xelem *first)
{
    enum err err = ERR_OK;
    for (const struct xelem *e = first; e != NULL && err == ERR_OK; e = e->next)
        err = write_entry(w, e, false);
    return err;
}

/* --- any of them */

/* How many children there are, when all are of the first one's name; else 0. */
static uint32_t count_alike(const struct xelem *first, const char *name)
{
    uint32_t n = 0;
    for (const struct xelem *e = first; e != NULL; e = e->next) {
        if (!xelem_is(e, name) || ++n > OBJECT_ENTRIES_MAX)
            return 0;
    }
    return n;
}

static enum err write_single(struct writer *w, const struct xelem *e)
{
    if (e->next != NULL)
        return ERR_ATTR_VALUE;
    for (size_t i = 0; i < ARRAY_LEN(atoms); i++) {
        if (xelem_is(e, atoms[i].name))
            return e->child == NULL ? atoms[i].write(w, str_trim(e->text)) : ERR_ATTR_VALUE;
    }
    return write_element(w, e);
}

static enum err write_object(struct writer *w, const struct xelem *e)
{
    const struct xelem *first = e->child;
    enum err err = ERR_OK;
    if (e->mixed)
        return ERR_ATTR_VALUE;
    if (first == NULL) {
        xout_text(w->out, e->text);
    } else if (xelem_is(first, "subKey")) {
        uint32_t n = count_alike(first, "subKey");
        err = n != 0 ? write_dictionary(w, first, n) : ERR_ATTR_VALUE;
    } else if (xelem_is(first, "subValue")) {
        err = count_alike(first, "subValue") != 0 ? write_array(w, first) : ERR_ATTR_VALUE;
    } else {
        err = write_single(w, first);
    }
    return err != ERR_OK ? err : buf_err(w->out);
}

enum err object_write(const struct xelem *e, struct arena *a, struct buf *out)
{
    struct writer w = {a, out};
    return write_object(&w, e);
}
