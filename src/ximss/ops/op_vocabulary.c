// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
/*
 * op_vocabulary: readStrings, listKnownValues, bannerRead.
 */
#include "codec/xout.h"
#include "ximss/args.h"
#include "ximss/locale.h"
#include "ximss/ops/handlers.h"
#include "ximss/vocab.h"

/* What listKnownValues names (protocol 1, section 6; protocol 3, 6.4 and 7.5), but for languages and time zones. */
static const struct {
    const char *tag, *value;
} known[] = {
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
    {"timeZone", "HostOS"}, /* the others follow it */
    {"mailboxClass", "IPF.Note"},
    {"mailboxClass", "IPF.Contact"},
    {"mailboxClass", "IPF.Appointment"},
    {"mailboxClass", "IPF.Task"},
    {"mailboxClass", "IPF.StickyNote"},
    {"mailboxClass", "IPF.Journal"},
    {"presence", "online"},
    {"presence", "on-phone"},
    {"presence", "in-meeting"},
    {"presence", "busy"},
    {"presence", "be-back"},
    {"presence", "out-lunch"},
    {"presence", "away"},
    {"presence", "xa"},
    {"presence", "offline"},
};

enum err op_read_strings(struct req *r)
{
    char text[LANGUAGE_MAX];
    struct str language;
    enum err e = locale_language(r->s, text, &language);

    return e == ERR_OK ? vocab_answer(r->root, r->id, language, r->out) : e;
}

static void write_languages(struct req *r)
{
    struct str own = locale_default(r->s);

    xout_elem(r->out, "language", STR("english"));
    if (!str_ieq(own, STR("english")))
        xout_elem(r->out, "language", own);
}

static void write_zones(struct req *r)
{
    const struct zones *z = r->s->x->zones;

    for (uint32_t i = 0; z != NULL && i < z->count; i++) {
        bool listed;
        struct str name = zones_name(z, i, &listed);
        if (listed)
            xout_elem(r->out, "timeZone", name);
    }
}

enum err op_list_known_values(struct req *r)
{
    req_open(r, "knownValues");
    xout_body(r->out);
    write_languages(r);
    for (size_t i = 0; i < ARRAY_LEN(known); i++) {
        xout_elem(r->out, known[i].tag, str_of(known[i].value));
        if (str_eq(str_of(known[i].tag), STR("timeZone")))
            write_zones(r);
    }
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
