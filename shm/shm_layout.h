// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#pragma once
/*
 * shm_layout: the shared table's public format (design §3, anchors §2.3).
 *
 *   run_dir/shm/index                     written by the master alone: who runs, what the numbers
 * mean, which segments there are, what dead processes had counted
 *   run_dir/shm/<role>-<number>.<gener>   one per writing process, written by that process alone:
 * rows, counters
 *
 * Both begin with a 256-byte header. Everything is in the machine's byte order (byte_order tells),
 * everything is aligned to 8, nothing holds an address. Readers find sections by {offset, stride,
 * count}, never by sizeof: new fields go to the end of a row (spare bytes first) and raise the
 * minor number, every other change raises the major one. Readers refuse another major. The text of
 * all offsets is in shm/LAYOUT; tests compare it with the structs.
 *
 * Rules that keep it safe:
 *   - one writer per file; no locks, no shared ownership. Readers map read-only and believe
 * nothing.
 *   - rows and segment lines carry a sequence number in their first word: odd while they are
 * written. A reader takes a copy when it saw the same even number before and after (shm_word.h).
 *   - times are CLOCK_MONOTONIC nanoseconds of this boot; the index holds one pair with the wall
 * clock.
 *   - texts are fixed fields, filled up with zero bytes; a full field has no zero byte. UTF-8 where
 * somebody outside chose them, maybe cut inside a character: the reader cuts back.
 *   - a COUNTER of the server = the retired sum in the index + the sum over live segments.
 */
#include <stdint.h>

#define SHM_DIR   "shm"   /* inside run_dir */
#define SHM_INDEX "index" /* inside SHM_DIR */

#define SHM_INDEX_MAGIC   "XIMSSIDX" /* 8 bytes, no zero byte */
#define SHM_SEGMENT_MAGIC "XIMSSSEG"
#define SHM_MAJOR         1
#define SHM_MINOR         1
#define SHM_BYTE_ORDER    0x01020304u

/* The master beats every second; without a beat for this long the server counts as gone. */
#define SHM_STALE_NS INT64_C(10000000000)

/* What readers accept at most, so that a hostile file costs little. */
#define SHM_MAX_SEGMENTS 1024u
#define SHM_MAX_ROWS     (1u << 20) /* of one segment */
#define SHM_MAX_NAMES    4096u      /* of one table of names */
#define SHM_MAX_STRIDE   65536u
/* Values above it are shown as it: a JSON number that every reader holds exactly (RFC 8259, 6). */
#define SHM_MAX_COUNT ((UINT64_C(1) << 53) - 1)

#define SHM_ROLE_LEN    16
#define SHM_FILE_LEN    64
#define SHM_VERSION_LEN 64
#define SHM_NAME_LEN    60
#define SHM_ACCOUNT_LEN 160

/* Ids in the tables of names. 0 is no state. */
enum shm_state {
    SHM_STATE_NONE = 0,
#define STATE(name, text) SHM_STATE_##name,
#include "shm/states.tbl"
#undef STATE
    SHM_STATE_END
};

enum shm_kind { SHM_INTEGER = 0, SHM_COUNTER = 1 };

/* Ids of the statistic elements. */
enum shm_count {
#define COUNTER(name, element, kind, unit, line, paragraph) SHM_##name,
#include "shm/counters.tbl"
#undef COUNTER
    SHM_COUNTERS
};

enum shm_family {
    SHM_FAMILY_NONE = 0,
    SHM_FAMILY_UNIX = 1,
    SHM_FAMILY_IP4 = 4,
    SHM_FAMILY_IP6 = 6
};
enum shm_transport { SHM_TRANSPORT_NONE = 0, SHM_TRANSPORT_TCP = 1, SHM_TRANSPORT_HTTP = 2 };

struct shm_section {
    uint64_t offset; /* from the file's first byte, a multiple of 8 */
    uint32_t stride; /* bytes from one row to the next, a multiple of 8 */
    uint32_t count;
};

/* Begins both kinds of file. */
struct shm_head {
    char magic[8];
    uint16_t major;
    uint16_t minor;
    uint32_t byte_order;
    uint32_t header_size; /* 256 */
    uint32_t reserved;
    uint64_t file_size;
    uint64_t start_id; /* random, one per start of the server: index and segments belong together */
};

/* The index: header, then its sections. All but heartbeat and retire_seq stays as it was made. */
struct shm_index {
    struct shm_head head;
    int64_t start_wall;  /* ns since 1970 and */
    int64_t start_mono;  /* the same moment on the monotonic clock */
    int64_t heartbeat;   /* monotonic; 0 after an orderly stop */
    uint64_t retire_seq; /* odd while a dead segment's counters move into `retired` */
    int32_t master_pid;
    uint32_t channels; /* configured: limit of XIMSS connections */
    uint32_t workers;  /* configured number of */
    uint32_t keepers;
    struct shm_section ops;      /* struct shm_name */
    struct shm_section states;   /* struct shm_name */
    struct shm_section counters; /* struct shm_counter_name */
    struct shm_section segments; /* struct shm_line */
    struct shm_section retired;  /* uint64_t each, in the order of `counters` */
    char version[SHM_VERSION_LEN];
    uint8_t spare[24];
};

/* Name of an operation or a state. */
struct shm_name {
    uint32_t id;
    uint32_t reserved;
    char name[SHM_NAME_LEN];    /* an operation's element; "" for a state */
    char monitor[SHM_NAME_LEN]; /* what the column Status shows */
};

struct shm_counter_name {
    uint32_t id;   /* place in the counters of every segment */
    uint32_t kind; /* enum shm_kind */
    char name[48];
    char unit[16];
    char help[160];
};

/* One segment, in the index. `live` 0: the place is free. */
struct shm_line {
    uint64_t seq;
    uint32_t live;
    uint32_t number;
    uint32_t generation;
    int32_t pid;       /* 0 until the process runs */
    int64_t heartbeat; /* monotonic: when the master last heard of it */
    char role[SHM_ROLE_LEN];
    char file[SHM_FILE_LEN];
    uint64_t spare[2];
};

/* A segment: header, rows, counters. */
struct shm_segment {
    struct shm_head head;
    char role[SHM_ROLE_LEN];
    uint32_t number;
    uint32_t generation;
    struct shm_section rows;     /* struct shm_row */
    struct shm_section counters; /* uint64_t each, in the order of the index's `counters` */
    uint32_t rows_used;          /* written by the owner: rows from this one on were never used */
    uint32_t reserved;
    /*
     * Since minor 1: what the owner as a whole is at. For the master's log, should it die of it; only keepers write it.
     * One word, then the time.
     */
    uint32_t session; /* whose request runs; 0: nobody's */
    uint16_t state;   /* enum shm_state; 0: it waits */
    uint16_t op;      /* id in the index's `ops`; 0: none, or not known yet */
    int64_t since;    /* monotonic */
    uint8_t spare[136];
};

/* One connection or HTTP session. All zero: free. */
struct shm_row {
    uint64_t seq;
    uint32_t session;  /* 100001...999999; 0: the row is free */
    uint16_t state;    /* enum shm_state */
    uint16_t op;       /* id in the index's `ops`; 0: none runs */
    int64_t connected; /* when the client connected or, over HTTP, the session was made */
    int64_t started;   /* when the operation (or the poll) started; 0: none runs */
    uint64_t bytes_in; /* application level */
    uint64_t bytes_out;
    uint64_t requests;
    uint8_t address[16]; /* network order; IPv4 in the first 4 bytes, the rest zero */
    uint16_t port;       /* host order */
    uint8_t family;      /* enum shm_family */
    uint8_t transport;   /* enum shm_transport */
    uint16_t tls;        /* 0 none, else the version's number on the wire: 0x0303, 0x0304 */
    uint16_t reserved;
    char account[SHM_ACCOUNT_LEN]; /* "" before login */
    uint8_t spare[16];
};

/*
 * Every field of the format, for the checks below, for shm/LAYOUT and for its test:
 * F(struct, field, offset, size), S(struct, size).
 */
#define SHM_LAYOUT_TABLE(S, F)         \
    S(shm_section, 16)                 \
    F(shm_section, offset, 0, 8)       \
    F(shm_section, stride, 8, 4)       \
    F(shm_section, count, 12, 4)       \
    S(shm_head, 40)                    \
    F(shm_head, magic, 0, 8)           \
    F(shm_head, major, 8, 2)           \
    F(shm_head, minor, 10, 2)          \
    F(shm_head, byte_order, 12, 4)     \
    F(shm_head, header_size, 16, 4)    \
    F(shm_head, reserved, 20, 4)       \
    F(shm_head, file_size, 24, 8)      \
    F(shm_head, start_id, 32, 8)       \
    S(shm_index, 256)                  \
    F(shm_index, head, 0, 40)          \
    F(shm_index, start_wall, 40, 8)    \
    F(shm_index, start_mono, 48, 8)    \
    F(shm_index, heartbeat, 56, 8)     \
    F(shm_index, retire_seq, 64, 8)    \
    F(shm_index, master_pid, 72, 4)    \
    F(shm_index, channels, 76, 4)      \
    F(shm_index, workers, 80, 4)       \
    F(shm_index, keepers, 84, 4)       \
    F(shm_index, ops, 88, 16)          \
    F(shm_index, states, 104, 16)      \
    F(shm_index, counters, 120, 16)    \
    F(shm_index, segments, 136, 16)    \
    F(shm_index, retired, 152, 16)     \
    F(shm_index, version, 168, 64)     \
    F(shm_index, spare, 232, 24)       \
    S(shm_name, 128)                   \
    F(shm_name, id, 0, 4)              \
    F(shm_name, reserved, 4, 4)        \
    F(shm_name, name, 8, 60)           \
    F(shm_name, monitor, 68, 60)       \
    S(shm_counter_name, 232)           \
    F(shm_counter_name, id, 0, 4)      \
    F(shm_counter_name, kind, 4, 4)    \
    F(shm_counter_name, name, 8, 48)   \
    F(shm_counter_name, unit, 56, 16)  \
    F(shm_counter_name, help, 72, 160) \
    S(shm_line, 128)                   \
    F(shm_line, seq, 0, 8)             \
    F(shm_line, live, 8, 4)            \
    F(shm_line, number, 12, 4)         \
    F(shm_line, generation, 16, 4)     \
    F(shm_line, pid, 20, 4)            \
    F(shm_line, heartbeat, 24, 8)      \
    F(shm_line, role, 32, 16)          \
    F(shm_line, file, 48, 64)          \
    F(shm_line, spare, 112, 16)        \
    S(shm_segment, 256)                \
    F(shm_segment, head, 0, 40)        \
    F(shm_segment, role, 40, 16)       \
    F(shm_segment, number, 56, 4)      \
    F(shm_segment, generation, 60, 4)  \
    F(shm_segment, rows, 64, 16)       \
    F(shm_segment, counters, 80, 16)   \
    F(shm_segment, rows_used, 96, 4)   \
    F(shm_segment, reserved, 100, 4)   \
    F(shm_segment, session, 104, 4)    \
    F(shm_segment, state, 108, 2)      \
    F(shm_segment, op, 110, 2)         \
    F(shm_segment, since, 112, 8)      \
    F(shm_segment, spare, 120, 136)    \
    S(shm_row, 256)                    \
    F(shm_row, seq, 0, 8)              \
    F(shm_row, session, 8, 4)          \
    F(shm_row, state, 12, 2)           \
    F(shm_row, op, 14, 2)              \
    F(shm_row, connected, 16, 8)       \
    F(shm_row, started, 24, 8)         \
    F(shm_row, bytes_in, 32, 8)        \
    F(shm_row, bytes_out, 40, 8)       \
    F(shm_row, requests, 48, 8)        \
    F(shm_row, address, 56, 16)        \
    F(shm_row, port, 72, 2)            \
    F(shm_row, family, 74, 1)          \
    F(shm_row, transport, 75, 1)       \
    F(shm_row, tls, 76, 2)             \
    F(shm_row, reserved, 78, 2)        \
    F(shm_row, account, 80, 160)       \
    F(shm_row, spare, 240, 16)

#define SHM_CHECK_SIZE(s, n) _Static_assert(sizeof(struct s) == (n), #s);
#define SHM_CHECK_FIELD(s, f, o, n)                                                             \
    _Static_assert(__builtin_offsetof(struct s, f) == (o) && sizeof(((struct s *)0)->f) == (n), \
                   #s "." #f);
SHM_LAYOUT_TABLE(SHM_CHECK_SIZE, SHM_CHECK_FIELD)
#undef SHM_CHECK_SIZE
#undef SHM_CHECK_FIELD
