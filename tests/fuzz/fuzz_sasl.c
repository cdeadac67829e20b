// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
/*
 * fuzz_sasl: a login, from method to verdict, and the parsers around it. Nobody gets in who did not send the password;
 * a canonical name is its own canonical form; verifiers that are read are written the same.
 *
 * Input: one byte that chooses (METHODS and above: a single parser), one of flags, then pieces between 0x1e bytes: what
 * the client says, one after the other; each becomes base64, unless flag RAW is set.
 */
#include <stdlib.h>

#include "auth/sasl.h"
#include "codec/b64.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define PASSWORD "correct-horse"
#define SEP      0x1e

enum { METHODS = 8 };
enum { RAW = 1, TLS = 2, EXPIRED = 4, INITIAL = 8 };

static struct world {
    struct sasl_env env;
    struct pwcache cache;
    struct nonces nonces;
    struct faillog fails;
    struct account dora;
    bool ready;
} w;

static enum err find(void *ctx, struct str name, struct account *out)
{
    struct name again;
    (void)ctx;
    BUG_IF(name_canon(name, STR("harbor.example"), &again) != ERR_OK);
    BUG_IF(!str_eq(name, name_str(&again)));
    if (!str_eq(name, name_str(&w.dora.name)))
        return ERR_NOT_FOUND;
    *out = w.dora;
    return ERR_OK;
}

static void set_up(void)
{
    static const struct faillog_options fo = {.accounts = 8, .addresses = 8, .window = 1};
    static const uint8_t secret[32];
    void *mem = calloc(1, faillog_size(&fo));
    BUG_IF(mem == NULL || faillog_attach(&w.fails, mem, faillog_size(&fo), &fo) != ERR_OK);
    BUG_IF(pwcache_init(&w.cache, 8, PWCACHE_LIFE) != ERR_OK);
    BUG_IF(nonces_init(&w.nonces, 64) != ERR_OK);
    w.env = (struct sasl_env){.find = find,
                              .cache = &w.cache,
                              .nonces = &w.nonces,
                              .fails = &w.fails,
                              .verifier = {.cost = 1, .iterations = 10000, .cram = true},
                              .host = "mx1.harbor.example"};
    BUG_IF(sasl_env_init(&w.env, secret, STR("$y$dummy")) != ERR_OK);
    w.dora = (struct account){.id = 1, .version = 1};
    BUG_IF(name_canon(STR("dora"), STR("harbor.example"), &w.dora.name) != ERR_OK);
    w.dora.verifiers = (struct verifiers){.hash = "$y$real", .has_scram = true, .has_cram = true};
    w.dora.verifiers.scram = (struct scram_keys){.iterations = 10000, .salt_n = 16};
    arc4random_buf(w.dora.verifiers.scram.stored, MAC_LEN);
    arc4random_buf(w.dora.verifiers.cram, MAC_CRAM_KEY);
    w.ready = true;
}

static bool next_piece(struct str *rest, uint32_t flags, struct buf *out)
{
    struct str piece;
    buf_clear(out);
    if (!str_split(rest, SEP, &piece))
        return false;
    if ((flags & RAW) != 0)
        buf_str(out, piece);
    else
        b64_encode(out, piece);
    return buf_err(out) == ERR_OK;
}

static struct str slice(const struct buf *b)
{
    return b->n != 0 ? buf_slice(b) : STR("");
}

static enum sasl_next begin(struct sasl *s, uint32_t choice, uint32_t flags, struct str *rest,
                            struct buf *piece)
{
    static const char *const methods[METHODS] = {
        "", "PLAIN", "LOGIN", "CRAM-MD5", "SCRAM-SHA-256", "SESSIONID", NULL, NULL};
    struct sasl_login in = {.tls = (flags & TLS) != 0, .can_update = (flags & EXPIRED) != 0};
    struct str first = STR_NONE, second = STR_NONE;
    in.target_domain = STR("harbor.example");
    if (methods[choice] != NULL && methods[choice][0] != '\0') {
        in.method = str_of(methods[choice]);
        if ((flags & INITIAL) != 0 && next_piece(rest, flags, piece))
            in.auth_data = slice(piece);
        return sasl_start(s, &w.env, &in, 1);
    }
    (void)str_split(rest, SEP, &first);
    (void)str_split(rest, SEP, &second);
    in.user_name = first;
    if (choice == 0)
        in.password = second;
    else if (choice == 6)
        in.session_id = second;
    else
        in.nonce = second;
    if (choice == 7 && next_piece(rest, flags, piece))
        in.auth_data = slice(piece);
    return sasl_start(s, &w.env, &in, 1);
}

static void login(uint32_t choice, uint32_t flags, struct str rest)
{
    struct sasl s;
    struct buf piece;
    bool told = false;
    buf_init(&piece, 1 << 20);
    w.dora.flags = (flags & EXPIRED) != 0 ? ACCOUNT_EXPIRED : 0;
    enum sasl_next next = begin(&s, choice, flags, &rest, &piece);
    for (int i = 0; i < 8 && next != SASL_DONE; i++) {
        if (next == SASL_CHECK) {
            told = str_eq(buf_slice(&s.password), STR(PASSWORD)) && s.hash.p[3] == 'r';
            next = sasl_checked(&s, &w.env, told, 1);
        } else if (next == SASL_SESSION) {
            BUG_IF(urlid_parse(str_of(s.session), NULL, NULL) != ERR_OK);
            next = sasl_checked(&s, &w.env, false, 1);
        } else if (next_piece(&rest, flags, &piece)) {
            next = sasl_step(&s, &w.env, slice(&piece), 1);
        } else {
            break;
        }
    }
    BUG_IF(next == SASL_DONE && s.err == ERR_OK && (!told || s.account.id != 1));
    BUG_IF(next == SASL_DONE && (s.password.p != NULL) != s.rehash);
    pwcache_clear(&w.cache);
    sasl_end(&s);
    buf_free(&piece);
}

static void parse_name(struct str text)
{
    struct name n, again;
    if (name_canon(text, STR("harbor.example"), &n) != ERR_OK)
        return;
    BUG_IF(n.n > NAME_MAX || n.local_n == 0 || n.local_n > NAME_LOCAL_MAX);
    BUG_IF(name_canon(name_str(&n), STR("x"), &again) != ERR_OK);
    BUG_IF(!str_eq(name_str(&n), name_str(&again)));
}

static void parse_verifiers(struct str text)
{
    struct verifiers v;
    struct buf b;
    buf_init(&b, VERIFIER_TEXT_MAX);
    if (verifier_get(text, &v) == ERR_OK) {
        verifier_put(&b, &v);
        BUG_IF(!str_eq(buf_slice(&b), text));
    }
    buf_free(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (!w.ready)
        set_up();
    if (size < 2)
        return 0;
    struct str rest = {(const char *)data + 2, size - 2};
    uint32_t choice = data[0] % (METHODS + 3);
    if (choice < METHODS)
        login(choice, data[1], rest);
    else if (choice == METHODS)
        parse_name(rest);
    else if (choice == METHODS + 1)
        parse_verifiers(rest);
    else
        BUG_IF(nonce_use(&w.nonces, rest, false, 0, 1) == ERR_OK); /* nobody else has the key */
    return 0;
}
