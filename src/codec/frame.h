// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#pragma once
/*
 * frame: cuts a stream of bytes at the zero byte (protocol 1, 1.2) and counts before an XML parser
 * sees a byte (design 9.2: libxml2's attribute check is quadratic, and its push mode knows no depth
 * limit).
 *
 * The frame owns no memory. The caller joins what it kept with what it has just read, takes
 * messages until ERR_AGAIN (or until it has had enough), and stashes the rest:
 *
 *     struct str in, msg;
 *     e = frame_join(&held, fresh, &in);
 *     while ((e = frame_next(&f, limits, &in, &msg)) == ERR_OK || e == ERR_ILLEGAL_XML)
 *         ... msg is a slice of `fresh` or of `held`: good until the next join or stash ...
 *     e = frame_stash(&held, in);
 *
 * A message that stands in `fresh` as a whole is never copied, and `held` has memory only while
 * something is kept. Stopping early is allowed: the stash then holds messages that nobody has
 * looked at, and the next frame_join() with an empty `fresh` brings them back. No byte is looked at
 * twice, however it was split.
 *
 * What is checked: size of the message; bytes of a tag, its attributes, depth (struct frame_limits);
 * names of 256 bytes; no `<!` and no `<?` but CDATA and a leading declaration that names UTF-8, US-ASCII or
 * no encoding; the shape of tags; nothing but white space beside the root. Matching tags,
 * references, characters and duplicate attributes are left to xmsg. Skipped, and not part of the
 * message: white space and a BOM before the root, the declaration, white space after the root. A
 * message of white space only is no message at all.
 */
#include "base/buf.h"
#include "base/str.h"

#define FRAME_MAX_LOGIN   ((size_t)64 << 10) /* default cap of a message before login ... */
#define FRAME_MAX_SESSION ((size_t)16 << 20) /* ... and after it */
#define FRAME_MAX_TAG     16384              /* the limits when none are given ... */
#define FRAME_MAX_ATTRS   256
#define FRAME_MAX_DEPTH   64
#define FRAME_TOP_TAG     ((size_t)64 << 10) /* ... and the highest that may be given */
#define FRAME_TOP_ATTRS   1024
#define FRAME_TOP_DEPTH   256
#define FRAME_MAX_NAME    256   /* bytes of a tag's or attribute's name */
#define FRAME_MAX_DECL    256   /* bytes of the XML declaration */
#define FRAME_KEEP_BAD    16384 /* what is kept of a message that is refused */

/*
 * What the counting allows; the caller's, who may change it between two messages. NULL in its place: the three limits
 * above. xmsg counts again, and has to be told the same (xmsg_parser_limits).
 */
struct frame_limits {
    size_t tag;     /* bytes from < to >, both counted */
    uint32_t attrs; /* in one tag */
    uint32_t depth; /* the root has depth 1 */
};
extern const struct frame_limits frame_limits_default;

struct frame {
    size_t max;       /* bytes before the zero byte; also the skipped ones count */
    size_t gone;      /* bytes of this message that are no longer at the head of the input */
    size_t seen;      /* bytes at the head of the input that have been looked at */
    uint32_t tag_at;  /* where this tag begins, from the head of the input */
    uint32_t name_at; /* where this name begins */
    uint16_t attrs;   /* in this tag */
    uint16_t depth;
    uint8_t state;
    uint8_t match; /* bytes of "[CDATA[" or of the BOM */
    char quote;
    bool bom, decl; /* had one */
};

/* max: FRAME_MAX_LOGIN or the setting; at most 1 GiB. */
void frame_init(struct frame *f, size_t max);
/* A new cap, for the message in progress too (at login). */
void frame_set_max(struct frame *f, size_t max);
/* True while a message has begun and is not complete; skipped white space does not count. */
bool frame_begun(const struct frame *f);

/* All input there is: `fresh` itself, or what was kept with `fresh` behind it. ERR_NOMEM: nothing
 * was added. */
enum err frame_join(struct buf *held, struct str fresh, struct str *in) CHECKED;

/*
 * The next message; *in is moved behind its zero byte.
 *   ERR_OK           *msg begins at the < of its root and ends at the last >.
 *   ERR_ILLEGAL_XML  a complete message, refused; *msg holds its first FRAME_KEEP_BAD bytes, for
 *                    xscan_rescue(). The stream goes on behind it.
 *   ERR_AGAIN        no more complete message; *in is what has to be kept.
 *   ERR_TOO_LONG     a message is over the cap; from now on every call says so.
 */
enum err frame_next(struct frame *f, const struct frame_limits *lim, struct str *in,
                    struct str *msg) CHECKED;

/*
 * Keeps the rest of an input that came from frame_join(); frees `held` when there is none. Over
 * held's own cap or without memory ERR_NOMEM: the bytes are lost and the connection cannot go on.
 */
enum err frame_stash(struct buf *held, struct str rest) CHECKED;

/*
 * The same checks for bytes that are one message without its zero byte (an HTTP body, a packet of a
 * worker). ERR_OK, ERR_ILLEGAL_XML (also when there is nothing but white space, or a zero byte),
 * ERR_TOO_LONG.
 */
enum err frame_check(struct str bytes, size_t max, const struct frame_limits *lim,
                     struct str *msg) CHECKED;
