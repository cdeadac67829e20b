// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#include "codec/ctlmsg.h"

#include <stdio.h>

#include "base/utf8.h"

/* The column `role`. */
#define CTL_OF_ANY      IPC_ROLE_ANY
#define CTL_OF_MASTER   IPC_ROLE_MASTER
#define CTL_OF_AUTH     IPC_ROLE_AUTH
#define CTL_OF_KEEPER   IPC_ROLE_KEEPER
#define CTL_OF_SESSIONS CTL_ROLE_SESSIONS

static const struct ctl_row rows[CTL_VERB_COUNT] = {
    [CTL_NONE] = {"", "", "", CTL_OF_ANY, CTL_TOOL, 0},
#define CTL(name, w, r, reach, flags, a, body, d) \
    [CTL_##name] = {w, a, d, CTL_OF_##r, CTL_##reach, flags},
#include "codec/ctl.tbl"
#undef CTL
};

const struct ctl_row *ctl_row(enum ctl_verb v)
{
    BUG_IF((unsigned)v >= CTL_VERB_COUNT);
    return &rows[v];
}

/* How many of the words a verb is made of; 0: it is another one. */
static int fits(struct str verb, char *const *words, int n)
{
    struct str word;
    int used = 0;
    while (str_split(&verb, ' ', &word)) {
        if (used == n || !str_eq(word, str_of(words[used])))
            return 0;
        used++;
    }
    return used;
}

enum ctl_verb ctl_verb_find(char *const *words, int n, int *used)
{
    enum ctl_verb best = CTL_NONE;
    *used = 0;
    for (int v = 1; v < CTL_VERB_COUNT; v++) {
        int k = fits(str_of(rows[v].words), words, n);
        if (k > *used) {
            *used = k;
            best = (enum ctl_verb)v;
        }
    }
    return best;
}

const char *ctl_who(char to[CTL_WHO], enum ipc_role role, uint32_t number)
{
    const char *name = (unsigned)role < IPC_ROLE_COUNT ? ipc_role_name(role) : "unknown";
    if (role == IPC_ROLE_MASTER || role == IPC_ROLE_AUTH)
        snprintf(to, CTL_WHO, "%s", name);
    else
        snprintf(to, CTL_WHO, "%s %u", name, number + 1);
    return to;
}

enum err ctl_request_parse(struct str packet, struct ctl_head *head, struct str *body)
{
    if (packet.n < sizeof *head)
        return ERR_SYNTAX;
    memcpy(head, packet.p, sizeof *head);
    *body = str_sub(packet, sizeof *head, packet.n);
    if (head->version != CTL_VERSION)
        return ERR_PACKET;
    return head->verb < CTL_VERB_COUNT && rows[head->verb].reach != CTL_TOOL ? ERR_OK
                                                                             : ERR_NOT_FOUND;
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
        } else if (utf8_is_control(c)) {
            buf_printf(b, "\\u%04x", c);
        } else {
            buf_add(b, utf8, utf8_put(utf8, c));
        }
    }
    buf_char(b, '"');
}
