// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
/* Both ends of the packets: whatever bytes arrive, reading ends and stays inside them. First byte: roles. */
#include "codec/ipcbody.h"
#include "codec/ipcmsg.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct ipc_reader r;
    struct ipc_item it;
    struct ipc_login login;
    struct ipc_attach attach;
    if (size == 0)
        return 0;
    enum ipc_role from = (enum ipc_role)(1 + (data[0] & 15) % (IPC_ROLE_COUNT - 1));
    enum ipc_role to = (enum ipc_role)(1 + (data[0] >> 4) % (IPC_ROLE_COUNT - 1));
    struct str packet = {(const char *)data + 1, size - 1};
    const char *end = packet.p + packet.n;
    enum err e = ipc_reader_init(&r, packet, from, to);
    uint32_t steps = 0;
    while (e == ERR_OK && (e = ipc_reader_next(&r, &it)) == ERR_OK) {
        BUG_IF(it.body.p < packet.p || it.body.p + it.body.n > end || ++steps > size);
        if (ipc_login_get(it.body, &login) == ERR_OK)
            BUG_IF(login.session_id.n > it.body.n);
        if (ipc_attach_get(it.body, &attach) == ERR_OK)
            BUG_IF(attach.name.n > it.body.n);
    }
    BUG_IF(e != ERR_EOF && e != ERR_PACKET);
    return 0;
}
