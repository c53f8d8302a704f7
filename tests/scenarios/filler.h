/* A store with many rows, written without the core: what views and lists are measured and tested on.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "tests/scenarios/rig.h"

#define FILLER_NOW_S 1700000000ll

/* Rows 1 to `n`, one a minute, the last at FILLER_NOW_S. Of 100 rows 90 are issued, 4 revoked, 4 denied, 2 in error;
 * the last 50 are pending. Profile p0 to p3, one in 1000 "rare"; requesters acme:0 to acme:99, and one of its own
 * ("acme:n17") for each thousandth; protocol acme, one in ten est, one in 500 scep; names hN.zoneN.example (100 zones).
 * Issued ones live for 90 days. */
bool filler_fill(const struct rig *r, int64_t n);
