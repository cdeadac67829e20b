// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
/*
 * op_upload: uploadRemove (protocol 2, 9.2).
 */
#include "ximss/args.h"
#include "ximss/ops/handlers.h"
#include "ximss/uploads.h"

enum err op_upload_remove(struct req *r)
{
    struct str id;
    enum err e = arg_need(r, "uploadID", &id);

    return e == ERR_OK ? upload_remove(r->s, id) : e;
}
