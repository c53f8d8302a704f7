/* Wall and monotonic time, real or a test's.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "core/base/clock.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

/* The fake clock; `is_fake` is read without the lock, so that real time costs no lock. */
static pthread_mutex_t fake_lock = PTHREAD_MUTEX_INITIALIZER;
static atomic_bool is_fake;
static int64_t fake_wall, fake_mono;

/* How far monotonic time ran ahead of the machine's under fake clocks: it must not go back when they end. */
static atomic_int_least64_t mono_ahead;

static int64_t read_ms(clockid_t id)
{
	struct timespec t;

	clock_gettime(id, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static int64_t real_mono(void)
{
	return read_ms(CLOCK_MONOTONIC) + atomic_load(&mono_ahead);
}

static int64_t read_fake(const int64_t *which, bool *was_fake)
{
	int64_t ms;

	pthread_mutex_lock(&fake_lock);
	*was_fake = atomic_load(&is_fake);
	ms = *which;
	pthread_mutex_unlock(&fake_lock);
	return ms;
}

int64_t clock_wall_ms(void)
{
	bool was_fake = false;
	int64_t ms = 0;

	if (atomic_load(&is_fake))
		ms = read_fake(&fake_wall, &was_fake);
	return was_fake ? ms : read_ms(CLOCK_REALTIME);
}

int64_t clock_wall_s(void)
{
	int64_t ms = clock_wall_ms();

	return ms >= 0 ? ms / 1000 : -((999 - ms) / 1000);
}

int64_t clock_mono_ms(void)
{
	bool was_fake = false;
	int64_t ms = 0;

	if (atomic_load(&is_fake))
		ms = read_fake(&fake_mono, &was_fake);
	return was_fake ? ms : real_mono();
}

void clock_fake_set(int64_t wall_ms)
{
	pthread_mutex_lock(&fake_lock);
	if (!atomic_load(&is_fake))
		fake_mono = real_mono();
	else if (wall_ms > fake_wall)
		fake_mono += wall_ms - fake_wall;
	fake_wall = wall_ms;
	atomic_store(&is_fake, true);
	pthread_mutex_unlock(&fake_lock);
}

void clock_fake_advance(int64_t ms)
{
	pthread_mutex_lock(&fake_lock);
	fake_wall += ms;
	if (ms > 0)
		fake_mono += ms;
	pthread_mutex_unlock(&fake_lock);
}

void clock_fake_jump(int64_t ms)
{
	pthread_mutex_lock(&fake_lock);
	fake_wall += ms;
	pthread_mutex_unlock(&fake_lock);
}

void clock_fake_end(void)
{
	int64_t real;

	pthread_mutex_lock(&fake_lock);
	real = real_mono();
	if (atomic_load(&is_fake) && fake_mono > real)
		atomic_fetch_add(&mono_ahead, fake_mono - real);
	atomic_store(&is_fake, false);
	pthread_mutex_unlock(&fake_lock);
}

static const char *print(int64_t wall_s, const char *fraction, char *out)
{
	time_t t = (time_t)wall_s;
	struct tm tm;
	char date[CLOCK_TEXT_SIZE];

	/* RFC 3339 has years of four digits only. */
	if (!gmtime_r(&t, &tm) || tm.tm_year < -1900 || tm.tm_year > 9999 - 1900) {
		snprintf(out, CLOCK_TEXT_SIZE, "invalid-time");
		return out;
	}
	strftime(date, sizeof(date), "-%m-%dT%H:%M:%S", &tm);
	snprintf(out, CLOCK_TEXT_SIZE, "%04d%.15s%.4sZ", tm.tm_year + 1900, date, fraction);
	return out;
}

const char *clock_print_s(int64_t wall_s, char out[static CLOCK_TEXT_SIZE])
{
	return print(wall_s, "", out);
}

const char *clock_print_ms(int64_t wall_ms, char out[static CLOCK_TEXT_SIZE])
{
	int64_t ms = wall_ms % 1000;
	int64_t s = wall_ms / 1000;
	char fraction[8];

	if (ms < 0) {
		ms += 1000;
		s--;
	}
	snprintf(fraction, sizeof(fraction), ".%03u", (unsigned)ms % 1000);
	return print(s, fraction, out);
}

/* Exactly `digits` digits from the front of `*text`. */
static bool take_number(const char **text, int digits, int *out)
{
	int n = 0;

	for (; digits; digits--, (*text)++) {
		if (**text < '0' || **text > '9')
			return false;
		n = n * 10 + (**text - '0');
	}
	*out = n;
	return true;
}

static bool take_letter(const char **text, const char *letters)
{
	if (!**text || !strchr(letters, **text))
		return false;
	(*text)++;
	return true;
}

/* "Z", or "+01:30" and how far that is ahead of UTC. */
static bool take_offset(const char **text, int *offset_s)
{
	int hours, minutes, sign = **text == '-' ? -1 : 1;

	*offset_s = 0;
	if (take_letter(text, "Zz"))
		return true;
	if (!take_letter(text, "+-") || !take_number(text, 2, &hours) || !take_letter(text, ":") ||
	    !take_number(text, 2, &minutes) || hours > 23 || minutes > 59)
		return false;
	*offset_s = sign * (hours * 3600 + minutes * 60);
	return true;
}

static bool take_time(const char **text, struct tm *tm)
{
	int ignored;

	if (!take_number(text, 4, &tm->tm_year) || !take_letter(text, "-") || !take_number(text, 2, &tm->tm_mon) ||
	    !take_letter(text, "-") || !take_number(text, 2, &tm->tm_mday) || !take_letter(text, "Tt") ||
	    !take_number(text, 2, &tm->tm_hour) || !take_letter(text, ":") || !take_number(text, 2, &tm->tm_min) ||
	    !take_letter(text, ":") || !take_number(text, 2, &tm->tm_sec))
		return false;
	if (take_letter(text, ".")) {
		if (!take_number(text, 1, &ignored))
			return false;
		while (take_letter(text, "0123456789"))
			;
	}
	return true;
}

int clock_parse_s(const char *text, int64_t *wall_s)
{
	struct tm tm = { 0 }, back;
	int offset;
	time_t t;

	if (!take_time(&text, &tm) || !take_offset(&text, &offset) || *text)
		return -EINVAL;
	if (tm.tm_mon < 1 || tm.tm_mon > 12 || tm.tm_hour > 23 || tm.tm_min > 59 || tm.tm_sec > 60)
		return -EINVAL;
	tm.tm_year -= 1900;
	tm.tm_mon -= 1;
	back = tm;
	t = timegm(&back);
	/* timegm() turns 30 February into 2 March; a leap second (RFC 3339 5.7) only ends a UTC day. */
	if (tm.tm_sec < 60 && (back.tm_mday != tm.tm_mday || back.tm_mon != tm.tm_mon))
		return -EINVAL;
	t -= offset;
	if (tm.tm_sec == 60) {
		back = tm;
		back.tm_sec = 59;
		timegm(&back);
		if (back.tm_mday != tm.tm_mday || t % 86400 != 0)
			return -EINVAL;
	}
	*wall_s = t;
	return 0;
}

struct timespec clock_deadline_after(int64_t ms)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	t.tv_sec += ms / 1000;
	t.tv_nsec += (long)(ms % 1000) * 1000000;
	if (t.tv_nsec >= 1000000000) {
		t.tv_sec++;
		t.tv_nsec -= 1000000000;
	}
	return t;
}
