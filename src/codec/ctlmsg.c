// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#include "codec/ctlmsg.h"

#include "base/utf8.h"

struct verb_row {
    const char *words, *doc;
    enum ipc_role role;
};

static const struct verb_row verbs[CTL_VERB_COUNT] = {
    [CTL_NONE] = {"", "", IPC_ROLE_ANY},
#define CTL(name, w, r, body, d) [CTL_##name] = {w, d, IPC_ROLE_##r},
#include "codec/ctl.tbl"
#undef CTL
};

const char *ctl_verb_words(enum ctl_verb v)
{
    BUG_IF((unsigned)v >= CTL_VERB_COUNT);
    return verbs[v].words;
}

const char *ctl_verb_doc(enum ctl_verb v)
{
    BUG_IF((unsigned)v >= CTL_VERB_COUNT);
    return verbs[v].doc;
}

enum ipc_role ctl_verb_role(enum ctl_verb v)
{
    BUG_IF((unsigned)v >= CTL_VERB_COUNT);
    return verbs[v].role;
}

enum err ctl_request_parse(struct str packet, struct ctl_head *head, struct str *body)
{
    if (packet.n < sizeof *head)
        return ERR_SYNTAX;
    memcpy(head, packet.p, sizeof *head);
    *body = str_sub(packet, sizeof *head, packet.n);
    if (head->version != CTL_VERSION)
        return ERR_PACKET;
    return head->verb != CTL_NONE && head->verb < CTL_VERB_COUNT ? ERR_OK : ERR_NOT_FOUND;
}

enum err ctl_reply_parse(struct str packet, struct ctl_reply *head, struct str *text)
{
    if (packet.n < sizeof *head)
        return ERR_SYNTAX;
    memcpy(head, packet.p, sizeof *head);
    *text = str_sub(packet, sizeof *head, packet.n);
    return head->version == CTL_VERSION && head->err < ERR_COUNT ? ERR_OK : ERR_PACKET;
}

void ctl_json_str(struct buf *b, struct str s)
{
    size_t at = 0;
    buf_char(b, '"');
    while (at < s.n) {
        char utf8[4];
        uint32_t c = utf8_next(s, &at);
        if (c == '"' || c == '\\') {
            buf_char(b, '\\');
            buf_char(b, (char)c);
        } else if (c < 0x20 || c == 0x7f) {
            buf_printf(b, "\\u%04x", c);
        } else {
            buf_add(b, utf8, utf8_put(utf8, c));
        }
    }
    buf_char(b, '"');
}
