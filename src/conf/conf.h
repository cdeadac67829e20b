// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#pragma once
/*
 * conf: the checked configuration, as one plain struct (design §7).
 *
 * settings.tbl has one row per setting; the fields below, the parser, the checker, `-t`, `-T`, the sample file and
 * ximssd.conf(5) all come from it. A struct conf exists only when the whole text was free of problems, so its
 * users look at values and never check them again. Everything lives in the arena that the caller gave: give it
 * 4 MiB at least, keep it as long as the struct, and load the next configuration into another one.
 *
 * Children get the text itself from the master (a sealed memfd) and call conf_load_text() on it: parsing is the
 * one serial form, and it is fuzzed.
 *
 * C types and units of the fields:
 *   STRING PATH LIST  struct str, zero-terminated behind .n, never with .p == NULL; LIST is text for addrlist_parse()
 *   BOOL              bool
 *   ENUM              int: the word's place in the row's list of words, see the enums below
 *   NUMBER            uint32_t
 *   AUTO              uint32_t, 0 = auto, see conf_auto()
 *   SIZE              size_t, bytes
 *   TIME              int64_t, nanoseconds (base/clock)
 *   ADDRESS           struct str as written, plus the parsed `at` of the listener
 */
#include <stdio.h>

#include "base/arena.h"
#include "base/buf.h"

#define CONF_FILE_MAX      (1024 * 1024) /* bytes of a file */
#define CONF_LISTENERS_MAX 64
#define CONF_DOMAINS_MAX   1000
#define CONF_PROBLEMS_MAX  100 /* more are only counted */
#define CONF_NAME_MAX      253 /* bytes of NAME in [listener NAME], [domain NAME] */
#define CONF_STRING_MAX    1024
#define CONF_DEFAULT_PATH  "/etc/ximssd/ximssd.conf"

enum conf_flash { CONF_FLASH_ALL, CONF_FLASH_OWN, CONF_FLASH_OFF };
enum conf_tls_min { CONF_TLS_1_2, CONF_TLS_1_3 };
enum conf_protocol { CONF_XIMSS, CONF_HTTP, CONF_ADMIN, CONF_LMTP };
enum conf_tls { CONF_TLS_NO, CONF_TLS_STARTTLS, CONF_TLS_YES };
enum conf_clear { CONF_CLEAR_YES, CONF_CLEAR_LOOPBACK, CONF_CLEAR_NO };
/* server.log_level has the words of enum log_level (base/log), in its order. */

/* When a changed setting takes effect. */
enum conf_when {
    CONF_LIVE,    /* at reload, also for what is open */
    CONF_RELOAD,  /* at reload, for what begins after it */
    CONF_RESTART, /* at the next start */
};

enum conf_address_kind {
    CONF_OFF,  /* port 0: listed, never opened */
    CONF_TCP,  /* host and port */
    CONF_UNIX, /* path */
};

struct conf_address {
    enum conf_address_kind kind;
    struct str host; /* "*" (all, IPv6 and IPv4), or an IP address without brackets */
    uint16_t port;
    struct str path; /* CONF_UNIX: absolute, {run_dir} filled in */
};

#define CONF_C_STRING                                                       struct str
#define CONF_C_PATH                                                         struct str
#define CONF_C_LIST                                                         struct str
#define CONF_C_ADDRESS                                                      struct str
#define CONF_C_BOOL                                                         bool
#define CONF_C_ENUM                                                         int
#define CONF_C_NUMBER                                                       uint32_t
#define CONF_C_AUTO                                                         uint32_t
#define CONF_C_SIZE                                                         size_t
#define CONF_C_TIME                                                         int64_t
#define CONF_FIELD(sec, name, type, def, min, max, words, when, line, para) CONF_C_##type name;

struct conf_listener {
    struct str name; /* NAME of [listener NAME] */
    uint32_t line;   /* where the section begins; 0: opened by default */
    struct conf_address at;

#define LISTENER_SETTING CONF_FIELD
#include "conf/settings.tbl"
};

struct conf_domain {
    struct str name; /* in lower case */
    uint32_t line;   /* 0: the main domain, which has no section */
#define DOMAIN_SETTING CONF_FIELD
#include "conf/settings.tbl"
};

struct conf {
    /* c->server.channels, c->tls.key, c->limits.message, ... */
#define SECTION_BEGIN(sec, title, para) struct {
#define SECTION_END(sec) \
    }                    \
    sec;
#define SETTING CONF_FIELD
#include "conf/settings.tbl"
    struct conf_listener *listeners;
    size_t nlisteners;
    struct conf_domain *domains; /* [0] is the main domain */
    size_t ndomains;
    struct str label; /* the file's name, for messages */
    struct str text;  /* the text it was made from: what the master hands to a child */
    struct conf_lines *lines;
};

/* One thing that is wrong; line 0: the file as a whole. */
struct conf_problem {
    uint32_t line;
    struct str text; /* "unknown setting 'chanels' in [server]; did you mean 'channels'?" */
};

struct conf_problems {
    struct str label;
    struct conf_problem *list;
    size_t count;   /* in list, ordered by line */
    size_t dropped; /* found beyond CONF_PROBLEMS_MAX */
};

/*
 * Reads a file without looking at what stands in it: its name for messages, and its text. path as for conf_load(), and the
 * same errors, with one problem that says why.
 */
enum err conf_read(const char *path, struct arena *a, struct str *label, struct str *text,
                   struct conf_problems *problems) CHECKED;

/*
 * Checks and loads a file; path NULL: CONF_DEFAULT_PATH, and when that does not exist the built-in configuration.
 * ERR_OK: *out is set and *problems is empty. ERR_SYNTAX: *out is NULL and *problems has
 * every problem of the file. ERR_SYS, ERR_NOT_FOUND, ERR_TOO_LONG: the file cannot be read; one problem says why.
 * ERR_NOMEM: the arena is too small.
 */
enum err conf_load(const char *path, struct arena *a, struct conf **out,
                   struct conf_problems *problems) CHECKED;

/* The same for a text; `label` stands for the file's name. An empty text gives the built-in configuration. */
enum err conf_load_text(struct str label, struct str text, struct arena *a, struct conf **out,
                        struct conf_problems *problems) CHECKED;

/*
 * The same for a reload: settings that take effect only at the next start (CONF_RESTART) have the values of `now`,
 * whatever the text says, so that *out can take its place. Nothing of *out points into `now`.
 */
enum err conf_load_again(struct str label, struct str text, const struct conf *now, struct arena *a,
                         struct conf **out, struct conf_problems *problems) CHECKED;

/* ximssd -t: one line each, "file:line: text". */
void conf_problems_print(FILE *to, const struct conf_problems *p);

/*
 * ximssd -T: the effective configuration, every value with the place where it comes from. The output is itself a
 * configuration file that gives the same struct.
 */
void conf_print_effective(FILE *to, const struct conf *c);

/*
 * The same as text, for children: whatever the host is called and whichever settings wait for a restart, who parses it
 * later gets this very configuration. ERR_TOO_LONG: over CONF_FILE_MAX.
 */
enum err conf_effective(const struct conf *c, struct buf *out) CHECKED;

/* The commented sample file (conf/ximssd.conf) and the manual page (conf/ximssd.conf.5). */
void conf_print_sample(FILE *to);
void conf_print_man(FILE *to);

/* One difference between two configurations. */
struct conf_change {
    const char *section; /* "server", "listener" ... */
    struct str name;     /* of a [listener NAME] or [domain NAME]; else empty */
    const char *setting; /* NULL: the whole section was added or removed */
    bool added, removed; /* the section */
    enum conf_when when; /* the change takes effect */
};
typedef void conf_change_fn(void *arg, const struct conf_change *c);

/* Calls fn for every difference, in the order of settings.tbl. Both from conf_load() or conf_load_text(). */
void conf_changes(const struct conf *old, const struct conf *new, conf_change_fn *fn, void *arg);
/* "limits.idle", "[listener tls] address", "[domain example.net] added". */
void conf_change_text(const struct conf_change *c, char *to, size_t size);

/*
 * What a checked configuration does not say by itself: sentences (constant strings) for an admin, none of them an
 * error. `root`: the server is started by root. Fills `list`, at most `max`; returns how many there are.
 */
size_t conf_warnings(const struct conf *c, bool root, const char **list, size_t max);

/* A time as in a configuration ("90s", "10m", "0"), for arguments of commands. ERR_SYNTAX. */
enum err conf_time(struct str text, int64_t *ns) CHECKED;

/* The domain of that name (any case), or NULL when it is not one of ours. */
const struct conf_domain *conf_domain_find(const struct conf *c, struct str name);

/* A value of type AUTO: itself, or `automatic` held within 1 and the setting's upper end. */
static inline uint32_t conf_auto(uint32_t value, uint32_t automatic, uint32_t max)
{
    if (value != 0)
        return value;
    return automatic < 1 ? 1 : automatic > max ? max : automatic;
}
