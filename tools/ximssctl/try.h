// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#pragma once
/*
 * try: a client's way through every listener of the configuration, step by step, with what each took.
 */
#include <jansson.h>

#include "codec/xmsg.h"
#include "tools/lib/link.h"
#include "tools/ximssctl/request.h"

#define TRY_PATIENCE (10 * CLOCK_SEC) /* with a server that does not answer */
#define TRY_DETAIL   300

/* One way: a listener and a kind of link. */
struct trial {
    struct link link;
    json_t *steps;
    int64_t began; /* clock_mono(), of the step that runs */
    bool ok;       /* all steps so far */
    /* of the whole attempt */
    const char *name, *password;
    struct str domain;    /* the name's, or the main one */
    enum conf_clear rule; /* of that domain */
    bool refused;         /* the password was refused once: it is not sent again */
};

enum try_link { TRY_CLEAR, TRY_STARTTLS, TRY_TLS };

/* What was heard of an answer. */
struct try_heard {
    bool response, refused;
    int number; /* errorNum */
    char text[200];
    bool starttls, plain; /* features */
    uint32_t methods;
    char session[40]; /* the urlID; its first six digits may be shown */
    uint32_t mailboxes;
};

/* The step has ended; the next one begins. detail: for people, cleaned; NULL: none. Returns `ok`. */
bool try_step(struct trial *t, const char *step, bool ok, const char *detail, ...)
    PRINTF_LIKE(4, 5);
/* The same for a step that failed in the link. */
bool try_link_failed(struct trial *t, const char *step, enum link_state st);
/* Steps that every protocol has. */
bool try_connect(struct trial *t, const char *address, const struct link_options *opt);
bool try_handshake(struct trial *t);

/* try_ximss.c: features, login, session, bye. */
void try_ximss(struct trial *t, const char *address, enum try_link how);
/* Notes one message of the server. true: it was a response. */
bool try_note(const struct xelem *e, struct try_heard *h);
bool try_refused(struct trial *t, const char *step, const struct try_heard *h);
bool try_login_refused(struct trial *t, const struct try_heard *h);
/* May the password be sent over this link? Else the step is written, or the way is at its end. */
enum try_password { TRY_SEND, TRY_LEAVE_OUT, TRY_END };
enum try_password try_password(struct trial *t, enum try_link how,
                               const struct try_heard *features);
/* try_http.c: the same over HTTP. proxied: a PROXY line comes first. */
void try_http(struct trial *t, const char *address, enum try_link how, bool proxied);
/* try_lmtp.c: would mail for the name be taken? */
void try_lmtp(struct trial *t, const char *address, bool tls);

/* The verb. */
int try_run(const struct request *r, json_t *answer);
void try_print(const json_t *answer);
