// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#include "doors/before.h"

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

uint32_t before_link_flags(const struct conn *c, bool proxy_tls)
{
    if (!conn_is_tls(c))
        return proxy_tls ? IPC_LOGIN_PROXY_TLS : 0;
    bool v13 = strcmp(conn_tls_version(c), "TLSv1.3") == 0;
    return IPC_LOGIN_TLS | (v13 ? IPC_LOGIN_TLS13 : 0u);
}

enum err before_login(const struct xelem *e, struct ipc_login *l)
{
    bool kill_old = false, can_update = false;
    if (str_bool(xelem_attr(e, "killOld"), &kill_old) != ERR_OK ||
        str_bool(xelem_attr(e, "canUpdatePwd"), &can_update) != ERR_OK)
        return ERR_ATTR_VALUE;
    l->flags |= (kill_old ? IPC_LOGIN_KILL_OLD : 0u) | (can_update ? IPC_LOGIN_CAN_UPDATE : 0u);
    l->method = xelem_attr(e, "method");
    l->auth_data = xelem_attr(e, "authData");
    l->user_name = xelem_attr(e, "userName");
    l->password = xelem_attr(e, "password");
    l->nonce = xelem_attr(e, "nonce");
    l->session_id = xelem_attr(e, "sessionid");
    return ERR_OK;
}

enum err before_refused(const struct ipc_item *it, uint32_t *delay_ms)
{
    struct ipc_in in = {it->body, false};
    uint32_t e = ipc_get_u32(&in);
    *delay_ms = it->type == IPC_LOGIN_FAILED ? ipc_get_u32(&in) : 0;
    return ipc_in_end(&in) != ERR_OK || e == ERR_OK || e >= ERR_COUNT ? ERR_INTERNAL : (enum err)e;
}
