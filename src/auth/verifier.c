// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#include "auth/verifier.h"

#include <crypt.h>
#include <errno.h>
#include <gsasl.h>
#include <stdlib.h>

#include "base/utf8.h"

#define PREFIX    "$y$"
#define CRYPT_MAX (CRYPT_MAX_PASSPHRASE_SIZE - 1)
#define NO_HASH   "*"

/* A password in its prepared form, zero-terminated; wiped and freed by prepared_free(). */
struct prepared {
    char *p;
    size_t n;
};

static void prepared_free(struct prepared *pw)
{
    if (pw->p != NULL)
        explicit_bzero(pw->p, pw->n);
    free(pw->p);
    *pw = (struct prepared){0};
}

static bool is_plain_ascii(struct str s)
{
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] < 0x20 || s.p[i] > 0x7e)
            return false;
    }
    return true;
}

static bool is_usable(struct str password)
{
    return password.n != 0 && password.n <= VERIFIER_PASSWORD_MAX &&
           str_find(password, '\0') == password.n;
}

static enum err prepare(struct str password, struct prepared *out)
{
    char *z = malloc(password.n + 1);
    if (z == NULL)
        return ERR_NOMEM;
    memcpy(z, password.p, password.n);
    z[password.n] = '\0';
    *out = (struct prepared){z, password.n};
    if (is_plain_ascii(password))
        return ERR_OK;
    char *mapped = NULL;
    int rc = gsasl_saslprep(z, GSASL_ALLOW_UNASSIGNED, &mapped, NULL);
    if (rc == GSASL_MALLOC_ERROR) {
        prepared_free(out);
        return ERR_NOMEM;
    }
    if (rc != GSASL_OK || mapped == NULL)
        return ERR_OK;
    if (mapped[0] == '\0') {
        gsasl_free(mapped);
        return ERR_OK;
    }
    prepared_free(out);
    *out = (struct prepared){mapped, strlen(mapped)};
    return ERR_OK;
}

/* --- crypt(5) */

/* What crypt gets: the prepared form, or the SHA-256 in hex of one that is too long for it. */
static void crypt_phrase(const struct prepared *pw, char to[CRYPT_MAX + 1])
{
    static const char hex[] = "0123456789abcdef";
    if (pw->n <= CRYPT_MAX) {
        memcpy(to, pw->p, pw->n + 1);
        return;
    }
    uint8_t digest[MAC_LEN];
    mac_sha256((struct str){pw->p, pw->n}, digest);
    for (size_t i = 0; i < sizeof digest; i++) {
        to[i * 2] = hex[digest[i] >> 4];
        to[i * 2 + 1] = hex[digest[i] & 15];
    }
    to[sizeof digest * 2] = '\0';
    explicit_bzero(digest, sizeof digest);
}

#define CRYPT_LETTERS "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
#define CRYPT_HASH    43 /* letters of the hash proper */

/*
 * Has it the form that crypt(5) gives for yescrypt, gost-yescrypt and scrypt? They alone map memory of their own, and where
 * they get none, libxcrypt (4.4.33) says EINVAL, as of a setting that is none. crypt_checksalt() cannot tell the two apart: it
 * takes "$y$" for a setting.
 */
static bool has_yescrypt_form(const char *hash)
{
    static const struct {
        const char *prefix;
        int fields; /* between prefix and hash: parameters and salt, or both in one */
        size_t least, most;
    } forms[] = {{PREFIX, 2, 0, 86}, {"$gy$", 2, 0, 86}, {"$7$", 1, 11, 97}};
    for (size_t i = 0; i < ARRAY_LEN(forms); i++) {
        const char *at = hash + strlen(forms[i].prefix);
        if (strncmp(hash, forms[i].prefix, strlen(forms[i].prefix)) != 0)
            continue;
        for (int field = 1; field <= forms[i].fields; field++) {
            bool last = field == forms[i].fields;
            size_t n = strspn(at, CRYPT_LETTERS);
            if (at[n] != '$' || n < (last ? forms[i].least : 1) || (last && n > forms[i].most))
                return false;
            at += n + 1;
        }
        return strlen(at) == CRYPT_HASH && strspn(at, CRYPT_LETTERS) == CRYPT_HASH;
    }
    return false;
}

/* ERR_SYNTAX: nobody's setting, or (see above) no memory; ERR_NOMEM, ERR_INTERNAL: it could not be done now. */
static enum err crypt_make(const struct prepared *pw, const char *setting,
                           char out[VERIFIER_HASH_MAX + 1])
{
    struct crypt_data *data = calloc(1, sizeof *data);
    if (data == NULL)
        return ERR_NOMEM;
    crypt_phrase(pw, data->input);
    errno = 0;
    const char *hash = crypt_rn(data->input, setting, data, (int)sizeof *data);
    enum err e = errno == EINVAL || errno == ERANGE ? ERR_SYNTAX
                 : errno == ENOMEM                  ? ERR_NOMEM
                                                    : ERR_INTERNAL;
    if (hash != NULL && hash[0] != '*' && strlen(hash) <= VERIFIER_HASH_MAX) {
        memcpy(out, hash, strlen(hash) + 1);
        e = ERR_OK;
    }
    explicit_bzero(data, sizeof *data);
    free(data);
    return e;
}

static enum err new_setting(uint32_t cost, char to[CRYPT_GENSALT_OUTPUT_SIZE])
{
    return crypt_gensalt_rn(PREFIX, cost, NULL, 0, to, CRYPT_GENSALT_OUTPUT_SIZE) != NULL
               ? ERR_OK
               : ERR_INTERNAL;
}

enum err verifier_check(struct str hash, struct str password, bool *right)
{
    char setting[VERIFIER_HASH_MAX + 1], got[VERIFIER_HASH_MAX + 1] = "";
    struct prepared pw;
    *right = false;
    if (!is_usable(password) || hash.n == 0 || hash.n > VERIFIER_HASH_MAX)
        return ERR_OK;
    memcpy(setting, hash.p, hash.n);
    setting[hash.n] = '\0';
    enum err e = prepare(password, &pw);
    if (e != ERR_OK)
        return e;
    e = crypt_make(&pw, setting, got);
    if (e == ERR_SYNTAX && has_yescrypt_form(setting))
        e = ERR_NOMEM;
    *right = e == ERR_OK && str_eq_secret(str_of(got), hash);
    prepared_free(&pw);
    explicit_bzero(got, sizeof got);
    return e != ERR_SYNTAX ? e : ERR_OK;
}

/* --- making */

enum err verifier_policy(struct str password, const struct verifier_options *opt)
{
    if (!is_usable(password) || !utf8_valid(password))
        return ERR_PASSWORD_POLICY;
    uint32_t letters = 0;
    for (size_t at = 0; at < password.n; letters++)
        (void)utf8_next(password, &at);
    return letters >= opt->min_length ? ERR_OK : ERR_PASSWORD_POLICY;
}

/* RFC 5802, section 3. Not libgsasl's function: that one refuses what SASLprep refuses. */
static void scram_make(const struct prepared *pw, struct str salt, uint32_t iterations,
                       struct scram_keys *out)
{
    uint8_t salted[MAC_LEN], client[MAC_LEN];
    *out = (struct scram_keys){.iterations = iterations, .salt_n = (uint32_t)salt.n};
    memcpy(out->salt, salt.p, salt.n);
    mac_pbkdf2((struct str){pw->p, pw->n}, salt, iterations, salted);
    mac_hmac(mac_str(salted, MAC_LEN), STR("Client Key"), client);
    mac_sha256(mac_str(client, MAC_LEN), out->stored);
    mac_hmac(mac_str(salted, MAC_LEN), STR("Server Key"), out->server);
    explicit_bzero(salted, sizeof salted);
    explicit_bzero(client, sizeof client);
}

enum err verifier_scram(struct str password, struct str salt, uint32_t iterations,
                        struct scram_keys *out)
{
    struct prepared pw;
    if (!is_usable(password) || salt.n == 0 || salt.n > VERIFIER_SALT_MAX || iterations == 0)
        return ERR_PASSWORD_POLICY;
    enum err e = prepare(password, &pw);
    if (e == ERR_OK) {
        scram_make(&pw, salt, iterations, out);
        prepared_free(&pw);
    }
    return e;
}

static uint32_t iterations_of(const struct verifier_options *opt)
{
    if (opt->iterations < VERIFIER_ITER_MIN)
        return VERIFIER_ITER_MIN;
    return opt->iterations < VERIFIER_ITER_MAX ? opt->iterations : VERIFIER_ITER_MAX;
}

enum err verifier_make(struct str password, const struct verifier_options *opt,
                       struct verifiers *out)
{
    char setting[CRYPT_GENSALT_OUTPUT_SIZE];
    uint8_t salt[VERIFIER_SALT_NEW];
    struct prepared pw;
    enum err e = verifier_policy(password, opt);
    if (e != ERR_OK)
        return e;
    verifier_none(out);
    e = prepare(password, &pw);
    if (e != ERR_OK)
        return e;
    arc4random_buf(salt, sizeof salt);
    e = new_setting(opt->cost, setting);
    if (e == ERR_OK)
        e = crypt_make(&pw, setting, out->hash);
    if (e == ERR_SYNTAX) /* libxcrypt made the setting itself */
        e = ERR_NOMEM;
    if (e == ERR_OK)
        scram_make(&pw, mac_str(salt, sizeof salt), iterations_of(opt), &out->scram);
    prepared_free(&pw);
    out->has_scram = e == ERR_OK;
    out->has_cram = opt->cram && e == ERR_OK;
    if (out->has_cram)
        mac_cram_key(password, out->cram);
    if (e != ERR_OK)
        verifier_wipe(out);
    return e;
}

void verifier_none(struct verifiers *out)
{
    *out = (struct verifiers){.hash = NO_HASH};
}

void verifier_wipe(struct verifiers *v)
{
    explicit_bzero(v, sizeof *v);
    v->hash[0] = '*';
}

bool verifier_stale(const struct verifiers *v, const struct verifier_options *opt)
{
    char setting[CRYPT_GENSALT_OUTPUT_SIZE];
    if (!v->has_scram || v->scram.iterations != iterations_of(opt) || v->has_cram != opt->cram)
        return true;
    if (new_setting(opt->cost, setting) != ERR_OK)
        return false;
    /* "$y$j9T$salt$hash": what stands before the salt tells method and cost */
    size_t params = sizeof PREFIX - 1 + strcspn(setting + sizeof PREFIX - 1, "$");
    return strncmp(v->hash, setting, params + 1) != 0;
}
