// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#pragma once
/*
 * offline: the auth role for one request of ximssctl while no server runs (design 8): `ximssd -c FILE offline-auth`. The request and its
 * answer travel over descriptor 3 in the form of codec/ctlmsg.h. Holds run_dir's lock meanwhile, so no server can
 * start beside it.
 */
int offline_auth(const char *conf_path);
