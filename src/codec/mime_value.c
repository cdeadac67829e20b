// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#include "codec/mime_value.h"

#include <gmime/gmime.h>

#include "base/log.h"
#include "codec/mime_charset.h"

#define VALUE_MAX ((size_t)4 << 20)

/*
 * GLib's own handler asks whether it writes to a terminal, which helpers may not: they would be ended for every warning about
 * a message. GLib itself ends the process after a fatal one (no memory, as a rule).
 */
static void glib_says(const gchar *domain, GLogLevelFlags level, const gchar *text, gpointer unused)
{
    bool fatal = (level & (G_LOG_FLAG_FATAL | G_LOG_LEVEL_ERROR)) != 0;
    (void)unused;
    log_write(fatal ? LOG_FAILURES : LOG_LOW, "HELPER", 0, NULL, "%s: %s",
              domain != NULL ? domain : "GLib", text);
    if (fatal)
        log_flush();
}

void mime_value_init(void)
{
    g_log_set_default_handler(glib_says, NULL);
    g_mime_init();
    if (mime_charset_init() != ERR_OK)
        g_error("no memory for the converters of charsets");
}

void mime_unfold(struct str raw, struct buf *out)
{
    struct buf joined, utf8;
    raw = str_trim(raw);
    buf_init(&joined, VALUE_MAX);
    buf_init(&utf8, VALUE_MAX);
    struct str text = raw;
    if (str_find(raw, '\n') < raw.n || str_find(raw, '\r') < raw.n) {
        for (size_t i = 0; i < raw.n;) {
            size_t run = i;
            while (run < raw.n && raw.p[run] != '\n' && raw.p[run] != '\r')
                run++;
            buf_add(&joined, raw.p + i, run - i);
            i = run + 1;
        }
        text = buf_slice(&joined);
    }
    mime_charset_convert(STR(""), text, &utf8, NULL);
    mime_clean(buf_slice(&utf8), false, out);
    buf_free(&joined);
    buf_free(&utf8);
}
