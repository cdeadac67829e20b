// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#include "ximss/ximss.h"

#include "base/clock.h"
#include "codec/xmsg.h"

static const struct ximss_limits defaults = {
    .queue_requests = 32,
    .queue_bytes = (size_t)1 << 20,
    .message = (size_t)16 << 20,
    .request_memory = (size_t)64 << 20,
    .answer = (size_t)96 << 20,
    .reply = (size_t)64 << 20,
    .reply_kept = (size_t)16 << 20,
    .slice_time = CLOCK_MS,
    .protocol_errors = 10,
    .folders = 100,
    .fields = 64,
    .set_elements = 20000,
    .view_messages = 1000000,
    .inline_text = 10u << 20,
};

static const struct upload_limits upload_defaults = {
    .file = 30u << 20,
    .session = 64u << 20,
    .files = 64,
    .life = 3600 * CLOCK_SEC,
};

enum err ximss_init(struct ximss *x)
{
    *x = (struct ximss){.limits = defaults, .version = "6.3.0"};
    buf_init(&x->scratch, x->limits.answer);
    hub_init(&x->hub);
    x->uploads.spool.fd = -1;
    x->uploads.limits = upload_defaults;
    x->parser = xmsg_parser_new();
    return x->parser != NULL ? ERR_OK : ERR_NOMEM;
}

void ximss_free(struct ximss *x)
{
    hub_free(&x->hub);
    spool_close(&x->uploads.spool);
    buf_free(&x->scratch);
    xmsg_parser_free(&x->parser);
}
