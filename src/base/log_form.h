// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#pragma once
/*
 * log_form: the two forms of a record. log.c's and log_out.c's alone.
 *
 *   line      HH:MM:SS.mmm L TAG-NNNNNN(who) text, and a line break
 *   datagram  of systemd's native journal protocol: MESSAGE (TAG-NNNNNN(who) text), PRIORITY,
 *             SYSLOG_IDENTIFIER=ximssd, XIMSS_TAG, XIMSS_ID, XIMSS_WHO. What others chose stands in the form with a length
 *             in front, in which nothing can be mistaken for another field; and it is made visible here too.
 */
#include "base/log.h"

struct log_record {
    int64_t wall; /* clock_wall() */
    enum log_level level;
    const char *tag;
    uint32_t id;
    const char *who; /* or NULL */
    const char *text;
    size_t n;    /* bytes of text that are here ... */
    size_t more; /* ... and that are not */
};

#define LOG_FORM_MAX 10240 /* bytes of a datagram: a message of 8 KiB, a name, the fixed fields */

/* line_max: with the line break; `to` has LOG_FORM_MAX bytes. Returns the length. */
size_t log_form_line(char *to, size_t line_max, const struct log_record *r);
size_t log_form_datagram(char *to, const struct log_record *r);
/* "N records were lost: why", in either form; size >= 512. */
size_t log_form_lost(char *to, size_t size, bool datagram, uint64_t lost, int why);
