// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#include "codec/digest.h"
#include "codec/mime_value.h"

/* Where we are while looking for the end of a piece. */
struct lexer {
    bool quoted, angle, literal;
    unsigned comment;
};

static bool lexer_top(const struct lexer *l)
{
    return !l->quoted && !l->angle && !l->literal && l->comment == 0;
}

/* Steps over s.p[*i]; true: it is a character outside quotes, comments, brackets. */
static bool lexer_step(struct lexer *l, struct str s, size_t *i)
{
    char c = s.p[(*i)++];
    if (c == '\\' && (l->quoted || l->comment != 0)) {
        if (*i < s.n)
            ++*i;
        return false;
    }
    if (l->quoted) {
        l->quoted = c != '"';
        return false;
    }
    if (l->comment != 0) {
        l->comment += (unsigned)(c == '(') - (unsigned)(c == ')');
        return false;
    }
    if (c == '"')
        l->quoted = true;
    else if (c == '(')
        l->comment = 1;
    else if (c == '<')
        l->angle = true;
    else if (c == '>')
        l->angle = false;
    else if (c == '[')
        l->literal = true;
    else if (c == ']')
        l->literal = false;
    else
        return lexer_top(l);
    return false;
}

/* Text inside of comments, without parentheses; outside of them `out` gets nothing. */
static void comments_of(struct str s, struct buf *out)
{
    struct lexer l = {.comment = 0};
    for (size_t i = 0; i < s.n;) {
        size_t at = i;
        bool in = l.comment != 0;
        lexer_step(&l, s, &i);
        if (in && l.comment != 0)
            buf_add(out, s.p + at + (s.p[at] == '\\'), i - at - (s.p[at] == '\\'));
        else if (!in && l.comment != 0 && out->n != 0)
            buf_char(out, ' ');
    }
}

/* A phrase with comments left out, quotes and backslashes taken off. */
static void phrase_of(struct str s, struct buf *out)
{
    struct lexer l = {.comment = 0};
    for (size_t i = 0; i < s.n;) {
        size_t at = i;
        bool in = l.comment != 0;
        lexer_step(&l, s, &i);
        if (in || l.comment != 0 || s.p[at] == '"')
            continue;
        bool escaped = s.p[at] == '\\' && i - at == 2;
        buf_add(out, s.p + at + escaped, i - at - escaped);
    }
}

/* Encoded words decoded, blanks reduced; replaces the text in b. */
static void name_finish(struct buf *b)
{
    struct buf text;
    buf_init(&text, b->max);
    mime_decode(buf_slice(b), &text);
    buf_clear(b);
    struct str rest = str_trim(buf_slice(&text));
    if (rest.n >= 2 && rest.p[0] == '"' && rest.p[rest.n - 1] == '"')
        rest = str_trim(str_sub(rest, 1, rest.n - 2));
    for (size_t i = 0; i < rest.n; i++) {
        bool blank =
            rest.p[i] == ' ' || rest.p[i] == '\t' || rest.p[i] == '\n' || rest.p[i] == '\r';
        if (!blank)
            buf_char(b, rest.p[i]);
        else if (b->n != 0 && b->p[b->n - 1] != ' ')
            buf_char(b, ' ');
    }
    buf_free(&text);
}

/* An addr-spec without comments and without the blanks around '.' and '@'; false when blanks remain, or nothing is left. */
static bool spec_of(struct str s, struct buf *out)
{
    struct lexer l = {.comment = 0};
    bool gap = false;
    for (size_t i = 0; i < s.n;) {
        size_t at = i;
        bool in = l.comment != 0, quoted = l.quoted;
        lexer_step(&l, s, &i);
        char c = s.p[at];
        if (in || l.comment != 0 || (!quoted && (c == ' ' || c == '\t'))) {
            gap = true;
            continue;
        }
        if (!quoted && gap && out->n != 0 && c != '.' && c != '@' && out->p[out->n - 1] != '.' &&
            out->p[out->n - 1] != '@')
            return false;
        gap = false;
        buf_add(out, s.p + at, i - at);
    }
    return out->n != 0 && !l.quoted && l.comment == 0;
}

struct reader {
    struct buf *list;
    struct buf name, address;
    uint32_t count, max;
};

static void emit(struct reader *r, enum digest_address_kind kind)
{
    if (r->count == r->max)
        return;
    if (r->name.n != 0 && str_ieq(buf_slice(&r->name), buf_slice(&r->address)))
        buf_clear(&r->name);
    digest_address_add(r->list,
                       &(struct digest_address){kind, buf_slice(&r->name), buf_slice(&r->address)});
    r->count++;
}

static void emit_raw(struct reader *r, struct str piece)
{
    buf_clear(&r->name);
    buf_clear(&r->address);
    mime_decode(piece, &r->address);
    emit(r, DIGEST_RAW_ADDRESS);
}

/* The bracket of a name-addr, outside of quotes and comments: from < to the last >. */
static bool find_angle(struct str s, size_t *open, size_t *close)
{
    struct lexer l = {.comment = 0};
    bool found = false;
    *close = s.n;
    for (size_t i = 0; i < s.n;) {
        size_t at = i;
        bool was = l.angle;
        lexer_step(&l, s, &i);
        if (!was && l.angle && !found) {
            *open = at;
            found = true;
        } else if (was && !l.angle) {
            *close = at;
        }
    }
    return found;
}

/* One address: `phrase <spec>` or `spec`. */
static void read_piece(struct reader *r, struct str piece)
{
    piece = str_trim(piece);
    if (piece.n == 0)
        return;
    buf_clear(&r->name);
    buf_clear(&r->address);
    size_t open, close;
    struct str spec = piece;
    bool angle = find_angle(piece, &open, &close);
    if (angle) {
        phrase_of(str_sub(piece, 0, open), &r->name);
        name_finish(&r->name);
        spec = str_trim(str_sub(piece, open + 1, close - open - 1));
        size_t route = str_find(spec, ':'); /* RFC 5322, 4.4: obs-route */
        if (spec.n != 0 && spec.p[0] == '@' && route < spec.n)
            spec = str_sub(spec, route + 1, spec.n);
    }
    if (!spec_of(spec, &r->address)) {
        if (angle || r->address.n != 0) /* else a comment alone */
            emit_raw(r, piece);
        return;
    }
    if (r->name.n == 0) {
        comments_of(piece, &r->name);
        name_finish(&r->name);
    }
    emit(r, DIGEST_MAILBOX);
}

/* The end of the piece that begins at `from`: place of ',' or ';', or of the ':' of a group, or s.n. */
static size_t piece_end(struct str s, size_t from, bool groups)
{
    struct lexer l = {.comment = 0};
    bool at_sign = false;
    for (size_t i = from; i < s.n;) {
        size_t at = i;
        if (!lexer_step(&l, s, &i))
            continue;
        char c = s.p[at];
        at_sign |= c == '@';
        if (c == ',' || c == ';' || (c == ':' && groups && !at_sign && at > from))
            return at;
    }
    return s.n;
}

uint32_t mime_addresses(struct str s, uint32_t max, struct buf *list)
{
    struct reader r = {.list = list, .max = max};
    buf_init(&r.name, DIGEST_BLOB_MAX);
    buf_init(&r.address, DIGEST_BLOB_MAX);
    /* Only with a ';' somewhere behind can a ':' begin a group. */
    size_t last_semicolon = 0;
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] == ';')
            last_semicolon = i;
    }
    struct str group = STR_NONE;
    uint32_t before = 0;
    for (size_t at = 0; at < s.n && r.count < max;) {
        size_t end = piece_end(s, at, group.p == NULL);
        struct str piece = str_sub(s, at, end - at);
        char c = end < s.n ? s.p[end] : ',';
        if (c == ':' && end > last_semicolon) {
            end = piece_end(s, at, false);
            piece = str_sub(s, at, end - at);
            c = ',';
        }
        at = end + 1;
        if (c == ':') {
            group = str_trim(piece);
            before = r.count;
            continue;
        }
        read_piece(&r, piece);
        if (c == ';' && group.p != NULL) {
            if (r.count == before) {
                buf_clear(&r.name);
                buf_clear(&r.address);
                phrase_of(group, &r.name);
                name_finish(&r.name);
                emit(&r, DIGEST_EMPTY_GROUP);
            }
            group = STR_NONE;
        }
    }
    if (r.count == 0 && max != 0 && str_trim(s).n != 0)
        emit_raw(&r, str_trim(s));
    buf_free(&r.name);
    buf_free(&r.address);
    return r.count;
}
