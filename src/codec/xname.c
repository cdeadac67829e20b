// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#include "codec/xname.h"

#include <libxml/chvalid.h>

#include "base/utf8.h"

static bool is_first(uint32_t c)
{
    return c == '_' || xmlIsBaseCharQ(c) || xmlIsIdeographicQ(c);
}

static bool is_other(uint32_t c)
{
    return c == '-' || c == '.' || xmlIsDigitQ(c) || xmlIsCombiningQ(c) || xmlIsExtenderQ(c);
}

bool xname_portable(struct str name)
{
    size_t at = 0;
    while (at < name.n) {
        bool first = at == 0;
        uint32_t c = utf8_next(name, &at);
        if (!is_first(c) && (first || !is_other(c)))
            return false;
    }
    return name.n != 0;
}
