// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#include "doors/before.h"

#include "codec/ipcmsg.h"
#include "codec/xout.h"
#include "ximss/ops.h"

enum err before_check(const struct xelem *e, enum op_id op, struct str id, bool *timed)
{
    struct str exe_time = xelem_attr(e, "exeTime");
    int64_t wanted = 0;
    *timed = false;
    enum err err = ops_check(op, false);
    if (err != ERR_OK)
        return err;
    if (id.n > XMSG_ID_MAX ||
        (exe_time.p != NULL && str_i64(str_trim(exe_time), &wanted) != ERR_OK))
        return ERR_ATTR_VALUE;
    *timed = wanted != 0;
    return ERR_OK;
}

enum err before_disabled(const struct xelem *e, enum op_id op)
{
    bool signup = op == OP_SIGNUP;
    bool complete =
        xelem_attr(e, "userName").p != NULL && (!signup || xelem_attr(e, "password").p != NULL);
    return !complete ? ERR_ATTR_MISSING : signup ? ERR_SIGNUP_DISABLED : ERR_RECOVERY_DISABLED;
}

enum err before_features(struct str answer, struct str id, bool starttls, struct buf *b)
{
    struct ipc_in in = {answer, false};
    struct str domain = ipc_get_str(&in), methods = ipc_get_str(&in), nonce = ipc_get_str(&in);
    struct str language = ipc_get_str(&in), method;
    if (ipc_in_end(&in) != ERR_OK)
        return ERR_NOMEM;
    xout_open(b, "features");
    xout_attr(b, "id", id);
    xout_attr(b, "domain", domain);
    xout_body(b);
    if (starttls)
        buf_lit(b, "<starttls/>");
    while (str_split(&methods, ' ', &method)) {
        if (method.n != 0)
            xout_elem(b, "sasl", method);
    }
    if (nonce.n != 0)
        xout_elem(b, "nonce", nonce);
    if (language.n != 0)
        xout_elem(b, "language", language);
    xout_close(b, "features");
    xout_end(b);
    return ERR_OK;
}
