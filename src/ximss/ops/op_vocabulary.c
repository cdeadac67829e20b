// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
/*
 * op_vocabulary: readStrings, listKnownValues, bannerRead.
 */
#include "codec/xout.h"
#include "ximss/args.h"
#include "ximss/ops/handlers.h"
#include "ximss/vocab.h"

/* What listKnownValues names (protocol 1, section 6): element and value. The zones are a client's menu, not all. */
static const struct {
    const char *tag, *value;
} known[] = {
    {"language", "english"},
    {"charset", "utf-8"},
    {"charset", "iso-8859-1"},
    {"charset", "iso-8859-2"},
    {"charset", "iso-8859-5"},
    {"charset", "iso-8859-15"},
    {"charset", "iso-2022-jp"},
    {"charset", "koi8-r"},
    {"charset", "windows-1250"},
    {"charset", "windows-1251"},
    {"charset", "windows-1252"},
    {"charset", "gb18030"},
    {"charset", "big5"},
    {"charset", "euc-kr"},
    {"timeZone", "UTC"},
    {"timeZone", "Europe/London"},
    {"timeZone", "Europe/Berlin"},
    {"timeZone", "Europe/Athens"},
    {"timeZone", "Europe/Moscow"},
    {"timeZone", "Asia/Dubai"},
    {"timeZone", "Asia/Kolkata"},
    {"timeZone", "Asia/Bangkok"},
    {"timeZone", "Asia/Shanghai"},
    {"timeZone", "Asia/Tokyo"},
    {"timeZone", "Australia/Sydney"},
    {"timeZone", "Pacific/Auckland"},
    {"timeZone", "America/Sao_Paulo"},
    {"timeZone", "America/New_York"},
    {"timeZone", "America/Chicago"},
    {"timeZone", "America/Denver"},
    {"timeZone", "America/Los_Angeles"},
    {"mailboxClass", "IPF.Note"},
    {"mailboxClass", "IPF.Contact"},
    {"mailboxClass", "IPF.Appointment"},
    {"mailboxClass", "IPF.Task"},
    {"mailboxClass", "IPF.StickyNote"},
    {"mailboxClass", "IPF.Journal"},
};

enum err op_read_strings(struct req *r)
{
    return vocab_answer(r->root, r->id, STR("english"), r->out);
}

enum err op_list_known_values(struct req *r)
{
    req_open(r, "knownValues");
    xout_body(r->out);
    for (size_t i = 0; i < ARRAY_LEN(known); i++)
        xout_elem(r->out, known[i].tag, str_of(known[i].value));
    xout_close(r->out, "knownValues");
    xout_end(r->out);
    return ERR_OK;
}

/* Protocol 3, 6.9: nothing is hooked in, so every banner is empty. */
enum err op_banner_read(struct req *r)
{
    struct str type;
    enum err e = arg_need(r, "type", &type);

    if (e != ERR_OK)
        return e;
    req_open(r, "banner");
    xout_attr(r->out, "type", type);
    xout_empty(r->out);
    xout_end(r->out);
    return ERR_OK;
}
