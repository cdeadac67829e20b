// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#pragma once
/*
 * uploads: files that a session's client has uploaded over HTTP (protocol 2, 9.2): sets, each under a name that the client made
 * up. They stand in the keeper's spool; a session over TCP never has any. Pure: no sockets; times are the caller's.
 *
 *   upload_begin --> upload_file, upload_data, upload_data ... upload_file ... --> upload_commit: the files are in the set
 *                                                                              `-> upload_abort: nothing has happened
 *
 * An operation with an uploadID looks the file up with upload_use(), reads it piece by piece, over several slices if need be,
 * and lets it go with upload_release(). Use does not consume a set; what is being read stays readable though its set is gone.
 * Sets go by uploadRemove, an hour after their last use, with the session, or when they have been used and a new upload of the
 * session needs their room. They go over to a keeper's successor, and so does what is coming in.
 */
#include "base/buf.h"
#include "store/spool.h"

struct session;
struct uploads;
struct upload;

#define UPLOAD_ID_MAX   64
#define UPLOAD_NAME_MAX 1024 /* bytes of a file's name that are kept */
#define UPLOAD_TYPE_MAX 256  /* of its Content-Type; a longer one is forgotten */

struct upload_limits {
    uint64_t file;    /* bytes */
    uint64_t session; /* bytes of all files of a session */
    uint32_t files;   /* of a session */
    int64_t life;     /* ns after the last use */
};

/* What all sessions share; a field of struct ximss. */
struct upload_host {
    struct spool spool;
    struct upload_limits limits;
    struct uploads *all; /* sessions that have some */
};

/* A file; refs: its set, and everybody who reads it. */
struct upload_file {
    struct upload_file *next;
    struct upload_host *host;
    uint32_t refs;
    struct str name; /* as the client gave it, with its folders; "" for raw bytes */
    struct str type; /* "" when it did not say */
    struct spool_piece bytes;
    char texts[];
};

/* [A-Za-z0-9_.-]{1,64} */
bool upload_id_ok(struct str id);

/* --- for the keeper: an upload that comes in */
enum err upload_begin(struct session *s, struct str id, struct upload **out) CHECKED;
/*
 * The next file begins. ERR_TOO_LONG: no more room in the session, though all used sets are gone; ERR_QUOTA: no room in the spool;
 * ERR_DB: none on the disk; ERR_NOMEM; ERR_PACKET: bytes of no file (it is a worker who says them). After a failure only
 * upload_abort() is left.
 */
enum err upload_file(struct upload *u, struct str name, struct str type) CHECKED;
enum err upload_data(struct upload *u, struct str bytes) CHECKED;
/* Frees *u. ERR_NOMEM: then it was aborted. */
enum err upload_commit(struct upload **u, int64_t now) CHECKED;
void upload_abort(struct upload **u);

/* The session's end; uploads that are coming in must have been aborted. */
void uploads_free(struct session *s);
/* Sets that nobody has used for too long. */
void uploads_tick(struct upload_host *host, int64_t now);

/* --- for operations */
/*
 * The file of that set with that name (.p != NULL: Disposition-filename), or else its first. The set counts as used, now.
 * ERR_UPLOAD_MISSING: there is no such set.
 */
enum err upload_use(struct session *s, struct str id, struct str name, int64_t now,
                    struct upload_file **out) CHECKED;
/* Appends bytes [from, from + n), clamped to the end. ERR_DB, ERR_NOMEM. */
enum err upload_read(const struct upload_file *f, uint64_t from, size_t n, struct buf *out) CHECKED;
void upload_release(struct upload_file **f);
/* ERR_UPLOAD_MISSING */
enum err upload_remove(struct session *s, struct str id) CHECKED;

/* --- for a keeper's successor (ximss/snapshot.h); in uploads_saved.c */

/* Appends the i-th set of the session, without what is in its files: that stands in the spool. false: it has not so many. */
bool uploads_put(const struct session *s, uint32_t i, struct buf *b);
/*
 * The next set, whose files are claimed of the spool that was adopted. ERR_PACKET: it is no set, or not what it says stands there; ERR_NOMEM.
 * Then there is no such set. Limits are not looked at: it was let in once.
 */
enum err uploads_get(struct session *s, struct str body) CHECKED;
/* The same of an upload that comes in. */
void upload_put(const struct upload *u, struct buf *b);
enum err upload_get(struct session *s, struct str body, struct upload **out) CHECKED;
