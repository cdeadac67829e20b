// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#include "codec/partid.h"

bool partid_normal(struct str in, char out[PARTID_MAX], size_t *n)
{
    *n = 0;
    for (size_t i = 0; i < in.n;) {
        size_t digits = 0;
        while (i + digits < in.n && in.p[i + digits] >= '0' && in.p[i + digits] <= '9')
            digits++;
        size_t more = digits + (*n != 0 ? 1 : 0) + (digits == 1 ? 1 : 0);
        if (digits == 0 || digits > 5 || more > PARTID_MAX - *n)
            return false;
        if (*n != 0)
            out[(*n)++] = '-';
        if (digits == 1)
            out[(*n)++] = '0';
        memcpy(out + *n, in.p + i, digits);
        *n += digits;
        i += digits;
        if (i == in.n)
            return true;
        if ((in.p[i] != '-' && in.p[i] != '.') || ++i == in.n)
            return false;
    }
    return false;
}
