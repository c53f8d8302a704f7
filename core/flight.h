/* What is being worked on right now: transaction keys and request numbers.
 *
 * One holder a key. So a submission that is repeated while the first is still being decided does not ask policy twice,
 * and two officers cannot act on one request at once.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define FLIGHT_KEY_SIZE 32

struct flight;

int flight_new(struct flight **out);
void flight_drop(struct flight **f);

/* Take the key, waiting up to `wait_ms` while another holds it. 0; 1 when it is still held; -ENOMEM. */
int flight_enter(struct flight *f, const uint8_t key[static FLIGHT_KEY_SIZE], unsigned wait_ms);
void flight_leave(struct flight *f, const uint8_t key[static FLIGHT_KEY_SIZE]);

/* The same for a request number. */
int flight_enter_id(struct flight *f, int64_t id, unsigned wait_ms);
void flight_leave_id(struct flight *f, int64_t id);

/* Wait until nobody holds anything. */
void flight_wait_idle(struct flight *f);
