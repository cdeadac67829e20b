// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#pragma once
/*
 * request: what was typed, checked against ctl.tbl and options.tbl.
 */
#include "codec/ctlmsg.h"
#include "conf/conf.h"

/* Exit codes. */
enum { EXIT_FINE, EXIT_REFUSED, EXIT_USAGE, EXIT_NO_SERVER };

enum option_id {
#define OPTION(name, letter, word, arg, where, doc) OPT_##name,
#include "tools/ximssctl/options.tbl"
#undef OPTION
    OPT_COUNT,
};

struct request {
    const char *option[OPT_COUNT]; /* NULL: not given; "" or its argument */
    enum ctl_verb verb;
    char *const *args; /* what stands behind the verb */
    int nargs;
    const struct conf *conf;
};

/*
 * true: *r is good, but for its conf. false: *code is the exit code, and what had to be said has been said (help,
 * version, usage).
 */
bool request_parse(struct request *r, int argc, char **argv, int *code) CHECKED;
/* The same complaint for verbs with rules of their own; returns EXIT_USAGE. */
int request_usage(const struct request *r, const char *why);
