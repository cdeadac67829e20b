// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#include "codec/html_job.h"

#include "codec/ipcmsg.h"

void html_job_write(struct buf *to, const struct html_part *parts, uint32_t nparts, struct str html)
{
    if (nparts > HTML_PARTS_MAX)
        nparts = HTML_PARTS_MAX;
    ipc_put_u32(to, nparts);
    for (uint32_t i = 0; i < nparts; i++) {
        ipc_put_str(to, parts[i].content_id);
        ipc_put_str(to, parts[i].url);
    }
    buf_str(to, html);
}

enum err html_job_read(struct str body, struct html_job *out)
{
    struct ipc_in in = {body, false};
    out->nparts = ipc_get_u32(&in);
    if (in.bad || out->nparts > HTML_PARTS_MAX)
        return ERR_SYNTAX;
    for (uint32_t i = 0; i < out->nparts; i++) {
        out->parts[i].content_id = ipc_get_str(&in);
        out->parts[i].url = ipc_get_str(&in);
    }
    out->html = ipc_get_rest(&in);
    return in.bad ? ERR_SYNTAX : ERR_OK;
}
