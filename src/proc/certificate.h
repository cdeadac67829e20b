// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#pragma once
/*
 * certificate: where the server's certificate and key come from (design 7, [tls]).
 *
 * The master reads the files and passes the bytes to workers in a sealed memfd; it links no TLS code into what it does
 * itself: checking, and making a self-signed pair when none is configured, happens in a process forked for it.
 */
#include "conf/conf.h"

/* What tells a replaced file from the old one. */
struct certificate_stamp {
    uint64_t inode[2];
    int64_t mtime[2]; /* ns */
};

/*
 * *fd: memfd with the certificate's PEM and then the key's; *cert_bytes: where the key begins. -1 when no listener
 * uses TLS. A configured pair that is not usable is an error with a sentence in the log; a missing one is made in
 * state_dir (tls-cert.pem, tls-key.pem), with a warning.
 */
enum err certificate_load(const struct conf *c, int *fd, uint64_t *cert_bytes) CHECKED;

/* The files that are in use now; zeros when there are none. */
struct certificate_stamp certificate_stamp(const struct conf *c);
bool certificate_same(const struct certificate_stamp *a, const struct certificate_stamp *b);
