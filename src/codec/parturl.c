// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#include "codec/parturl.h"

#include "codec/filename.h"

/* What stands behind the last hyphen of a reference. */
static const struct {
    const char *word;
    enum parturl_kind kind;
    uint32_t segments; /* most of them */
} forms[] = {
    {"P.txt", PARTURL_SOURCE, 1},
    {"B", PARTURL_BODY, 2},
    {"V", PARTURL_PHOTO, 2},
};

static bool find_form(struct str word, uint32_t n, struct parturl *out)
{
    for (size_t i = 0; i < ARRAY_LEN(forms); i++) {
        if (str_ieq(word, str_of(forms[i].word))) {
            out->kind = forms[i].kind;
            return n <= forms[i].segments;
        }
    }
    return false;
}

enum err parturl_parse(const struct urlseg *seg, uint32_t n, struct parturl *out)
{
    struct str ref = n != 0 ? seg[0].text : STR(""), part = STR("");
    uint64_t uid;
    size_t first = str_find(ref, '-'), last = ref.n;
    while (last > first && ref.p[last - 1] != '-')
        last--;
    if (str_u64(str_sub(ref, 0, first), UINT32_MAX, &uid) != ERR_OK || uid == 0 ||
        !find_form(str_sub(ref, last, ref.n), n, out))
        return ERR_SYNTAX;
    out->uid = (uint32_t)uid;
    out->part_n = 0;
    out->name = n > 1 ? seg[1].text : STR("");
    if (last > first + 1)
        part = str_sub(ref, first + 1, last - 1 - (first + 1));
    if (out->kind == PARTURL_PHOTO)
        return part.n == 0 && last == first + 1 && str_ieq(out->name, STR("PHOTO")) ? ERR_OK
                                                                                    : ERR_SYNTAX;
    if (last == first + 1)
        return ERR_OK;
    return partid_normal(part, out->part, &out->part_n) ? ERR_OK : ERR_SYNTAX;
}

void parturl_make(struct buf *to, struct str session, struct str folder, uint32_t uid,
                  struct str part, struct str name)
{
    struct buf clean;
    buf_init(&clean, name.n + FILENAME_MAX_BYTES);
    filename_clean(&clean, name);
    if (clean.failed)
        to->failed = true;
    buf_lit(to, "/Session/");
    url_encode(to, session);
    buf_lit(to, "/MIME/");
    url_encode(to, folder);
    buf_char(to, '/');
    buf_u64(to, uid);
    buf_char(to, '-');
    if (part.n != 0) {
        url_encode(to, part);
        buf_char(to, '-');
    }
    buf_lit(to, "B/");
    url_encode(to, buf_slice(&clean));
    buf_free(&clean);
}
