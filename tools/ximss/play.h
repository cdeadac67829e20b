// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#pragma once
/*
 * play: runs a script against a server; talk: what is typed against it. Both print the dialogue to standard output.
 */
#include "tools/lib/link.h"
#include "tools/ximss/script.h"

enum { EXIT_FINE, EXIT_MISMATCH, EXIT_USAGE, EXIT_NO_SERVER, EXIT_SCRIPT };

struct play_options {
    struct link_options link;
    const char *address;
    const char *tls_address; /* for `connect N tls`; NULL: none was given */
    const char *lmtp;        /* where `mail` delivers; NULL: it is left out */
    bool tls;                /* `address` speaks TLS from the first byte */
    bool strict;
    bool quiet; /* print nothing but what went wrong */
};

/* An exit code. */
int play(const struct script *s, const struct play_options *opt, struct arena *a);

/* An exit code: each line of standard input is a message, until its end. */
int talk(const struct play_options *opt);

/* Opens, and starts TLS where it is wanted; says so on standard error when that fails. */
bool play_connect(struct link *l, const struct play_options *opt, bool tls);
/* "S2: text": a terminal gets no control characters that somebody else chose. */
void play_show(char letter, unsigned who, struct str text);
