// SPDX-License-Identifier: MIT
// SPDX-FileCopyrightText: The ximssd authors
#pragma once
/*
 * zones: the system's time zones (tzdata), read once by the master for its keepers, which can open no file: one sealed
 * memfd with a table (codec/zone.h) that all of them map. A program that goes on after an upgrade reads them anew.
 */
#include <stdbool.h>

/*
 * *fd < 0: makes the memfd. false, and a line in the log: there are no zones, so that all times are those of the server.
 * A file that is none, or over a limit of codec/zone.h, is passed over.
 */
bool zones_load(int *fd);
