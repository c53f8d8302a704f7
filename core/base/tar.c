/* Headers of tar archives.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "core/base/tar.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* Places of the ustar header. */
enum {
	NAME = 0,
	MODE = 100,
	UID = 108,
	GID = 116,
	SIZE = 124,
	MTIME = 136,
	CHECKSUM = 148,
	TYPE = 156,
	MAGIC = 257,
};

#define OCTAL_11_MAX 077777777777ull

static void print_octal(uint8_t *at, int digits, uint64_t n)
{
	for (int i = digits - 1; i >= 0; i--, n >>= 3)
		at[i] = (uint8_t)('0' + (n & 7));
	at[digits] = 0;
}

/* Beyond 8 GiB: the number in base 256, marked by its first bit (as GNU and pax implementations read it). */
static void print_size(uint8_t *at, uint64_t n)
{
	if (n <= OCTAL_11_MAX) {
		print_octal(at, 11, n);
		return;
	}
	memset(at, 0, 12);
	at[0] = 0x80;
	for (int i = 11; i >= 4; i--, n >>= 8)
		at[i] = (uint8_t)n;
}

static unsigned checksum(const uint8_t *block)
{
	unsigned sum = 0;

	for (size_t i = 0; i < TAR_BLOCK; i++)
		sum += i >= CHECKSUM && i < CHECKSUM + 8 ? ' ' : block[i];
	return sum;
}

int tar_print(const char *name, uint64_t size, int64_t mtime_s, uint8_t out[static TAR_BLOCK])
{
	size_t len = strlen(name);

	if (len == 0 || len >= TAR_NAME_SIZE)
		return -ENAMETOOLONG;
	if (size > INT64_MAX)
		return -EFBIG;
	memset(out, 0, TAR_BLOCK);
	memcpy(out + NAME, name, len);
	print_octal(out + MODE, 7, 0600);
	print_octal(out + UID, 7, 0);
	print_octal(out + GID, 7, 0);
	print_size(out + SIZE, size);
	print_octal(out + MTIME, 11, mtime_s > 0 ? (uint64_t)mtime_s & OCTAL_11_MAX : 0);
	out[TYPE] = '0';
	memcpy(out + MAGIC, "ustar\00000", 8);
	print_octal(out + CHECKSUM, 6, checksum(out));
	out[CHECKSUM + 7] = ' ';
	return 0;
}

static bool parse_octal(const uint8_t *at, int digits, uint64_t *out)
{
	*out = 0;
	for (int i = 0; i < digits; i++) {
		if (at[i] < '0' || at[i] > '7')
			return false;
		*out = *out << 3 | (uint64_t)(at[i] - '0');
	}
	return at[digits] == 0;
}

static bool parse_size(const uint8_t *at, uint64_t *out)
{
	if (at[0] != 0x80)
		return parse_octal(at, 11, out);
	*out = 0;
	for (int i = 1; i < 12; i++) {
		if (i < 4 && at[i])
			return false;
		*out = *out << 8 | at[i];
	}
	return *out > OCTAL_11_MAX && *out <= INT64_MAX;
}

static bool is_zero(const uint8_t *block)
{
	for (size_t i = 0; i < TAR_BLOCK; i++)
		if (block[i])
			return false;
	return true;
}

int tar_parse(const uint8_t block[static TAR_BLOCK], char name[static TAR_NAME_SIZE], uint64_t *size)
{
	uint8_t again[TAR_BLOCK];
	uint64_t mtime;

	if (is_zero(block))
		return 1;
	memcpy(name, block + NAME, TAR_NAME_SIZE);
	if (name[TAR_NAME_SIZE - 1] || !parse_size(block + SIZE, size) || !parse_octal(block + MTIME, 11, &mtime))
		return -EBADMSG;
	/* Whatever else stands there, it is not ours. */
	if (tar_print(name, *size, (int64_t)mtime, again) || memcmp(block, again, TAR_BLOCK) != 0)
		return -EBADMSG;
	return 0;
}
