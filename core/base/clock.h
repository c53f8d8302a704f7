/* The time, behind one interface so that tests can set it.
 *
 * Wall time says what stands in a certificate or a row; monotonic time measures how long something takes.
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <time.h>

/* Wall time: milliseconds and seconds since 1970-01-01T00:00:00Z. */
int64_t clock_wall_ms(void);
int64_t clock_wall_s(void);

/* Milliseconds that never go back. Follows the fake clock too, so that timers obey a test. */
int64_t clock_mono_ms(void);

/* A point `ms` from now for pthread_cond_timedwait() on CLOCK_MONOTONIC. Real time, not the replaceable clock: this is
 * for waiting for other threads, not for the world. */
struct timespec clock_deadline_after(int64_t ms);

/* A test's clock: from now on time stands still at `wall_ms` until it is set or advanced. Process-wide. */
void clock_fake_set(int64_t wall_ms);
void clock_fake_advance(int64_t ms);
void clock_fake_jump(int64_t ms); /* wall time alone, as when somebody sets the clock */
void clock_fake_end(void);

/* RFC 3339 in UTC: `2026-11-23T05:32:50Z`. */
#define CLOCK_TEXT_SIZE 32
const char *clock_print_s(int64_t wall_s, char out[static CLOCK_TEXT_SIZE]);
const char *clock_print_ms(int64_t wall_ms, char out[static CLOCK_TEXT_SIZE]);

/* Read RFC 3339 (RFC 3339 5.6, seconds resolution, fractions dropped, `Z` or an offset). 0 or -EINVAL. */
int clock_parse_s(const char *text, int64_t *wall_s);
