/* The octets of a certificate revocation list.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "core/crl.h"

#include <errno.h>
#include <string.h>

#include "core/base/der.h"
#include "core/base/own.h"
#include "core/submit.h"
#include "core/x509/certificate.h"
#include "core/x509/extension.h"

#define DAY_S 86400
#define ENTRY_MAX 80
#define HEAD_MAX 65536
#define ENUMERATED 0x0a
#define URI 0x86

/* ---- entries ---- */

static int use_day(struct crl_clock *clock, int64_t day)
{
	OWNED_BUF time = BUF_INIT(32);
	int e = clock->n && clock->day == day ? 0 : der_write_time(&time, day * DAY_S);

	if (e || time.len == 0)
		return e;
	memcpy(clock->text, time.ptr, time.len - 7); /* behind the date: HHMMSSZ */
	clock->n = time.len - 7;
	clock->day = day;
	return 0;
}

static uint8_t *two_digits(uint8_t *at, unsigned value)
{
	*at++ = (uint8_t)('0' + value / 10);
	*at++ = (uint8_t)('0' + value % 10);
	return at;
}

static uint8_t *put_time(uint8_t *at, const struct crl_clock *clock, unsigned second)
{
	memcpy(at, clock->text, clock->n);
	at = two_digits(at + clock->n, second / 3600);
	at = two_digits(at, second / 60 % 60);
	at = two_digits(at, second % 60);
	*at++ = 'Z';
	return at;
}

static uint8_t *put_serial(uint8_t *at, struct bytes serial)
{
	bool has_high_bit = serial.ptr[0] & 0x80;

	*at++ = DER_INTEGER;
	*at++ = (uint8_t)(serial.len + has_high_bit);
	if (has_high_bit)
		*at++ = 0;
	memcpy(at, serial.ptr, serial.len);
	return at + serial.len;
}

/* crlEntryExtensions with the one extension reasonCode. */
static uint8_t *put_reason(uint8_t *at, int reason)
{
	const uint8_t extension[] = { DER_SEQUENCE, 12, DER_SEQUENCE, 10, DER_OID, 3, 0x55, 0x1d, 0x15,
				      DER_OCTET_STRING, 3, ENUMERATED, 1, (uint8_t)reason };

	memcpy(at, extension, sizeof(extension));
	return at + sizeof(extension);
}

int crl_add_entry(struct buf *entries, struct crl_clock *clock, const struct crl_entry *e)
{
	int64_t day = e->revoked_s / DAY_S;
	uint8_t *start, *at;
	int error;

	if (e->serial.len == 0 || e->serial.len > SERIAL_OCTETS_MAX || e->revoked_s < 0)
		return -EINVAL;
	error = use_day(clock, day);
	if (error)
		return error;
	start = buf_room(entries, ENTRY_MAX);
	if (!start)
		return buf_status(entries);
	at = put_serial(start + 2, e->serial);
	at = put_time(at, clock, (unsigned)(e->revoked_s - day * DAY_S));
	if (e->reason != CA_REASON_UNSPECIFIED)
		at = put_reason(at, e->reason);
	start[0] = DER_SEQUENCE;
	start[1] = (uint8_t)(at - start - 2);
	buf_added(entries, (size_t)(at - start));
	return 0;
}

/* ---- around them ---- */

/* RFC 5280 5.2.1: the key that signed it. */
static int add_authority(struct buf *out, const struct issuer *issuer)
{
	OWNED_BUF keyid = BUF_INIT(512), value = BUF_INIT(512);

	der_write(&keyid, 0x80, issuer_get_key_identifier(issuer));
	der_write(&value, DER_SEQUENCE, buf_bytes(&keyid));
	return extension_write(out, "2.5.29.35", false, buf_bytes(&value));
}

static int add_number(struct buf *out, uint64_t number)
{
	OWNED_BUF value = BUF_INIT(16);
	uint8_t octets[9] = { 0 };
	size_t first = 1;

	for (size_t i = 0; i < 8; i++)
		octets[i + 1] = (uint8_t)(number >> (56 - 8 * i));
	while (first < 8 && octets[first] == 0)
		first++;
	first -= octets[first] >> 7;
	der_write(&value, DER_INTEGER, bytes_of(octets + first, sizeof(octets) - first));
	return extension_write(out, "2.5.29.20", false, buf_bytes(&value));
}

/* RFC 5280 5.2.5: the part of the certificates that it is about, by the URLs that they name. */
static int add_partition(struct buf *out, const char *urls)
{
	OWNED_BUF names = BUF_INIT(HEAD_MAX), full = BUF_INIT(HEAD_MAX), point = BUF_INIT(HEAD_MAX),
		  value = BUF_INIT(HEAD_MAX);

	for (size_t n; *urls; urls += n + (urls[n] == '\n')) {
		n = strcspn(urls, "\n");
		der_write(&names, URI, bytes_of(urls, n));
	}
	der_write(&full, DER_CONTEXT_0, buf_bytes(&names));
	der_write(&point, DER_CONTEXT_0, buf_bytes(&full));
	if (der_write(&value, DER_SEQUENCE, buf_bytes(&point)))
		return -EMSGSIZE;
	return extension_write(out, "2.5.29.28", true, buf_bytes(&value));
}

int crl_write_end(struct buf *out, const struct crl_head *h)
{
	OWNED_BUF list = BUF_INIT(HEAD_MAX), extensions = BUF_INIT(HEAD_MAX);
	int e = add_authority(&list, h->issuer);

	if (!e)
		e = add_number(&list, h->number);
	if (!e && h->partition_urls)
		e = add_partition(&list, h->partition_urls);
	if (!e)
		e = der_write(&extensions, DER_SEQUENCE, buf_bytes(&list));
	return e ? e : der_write(out, DER_CONTEXT_0, buf_bytes(&extensions));
}

/* Up to the list of entries, which is not there when it is empty (RFC 5280 5.1.2.6). */
static int write_front(struct buf *out, const struct crl_head *h, size_t entries_len)
{
	static const uint8_t version_2[] = { DER_INTEGER, 1, 1 };
	uint8_t head[DER_HEAD_MAX];
	int e;

	buf_append(out, bytes_of(version_2, sizeof(version_2)));
	buf_append(out, issuer_get_algorithm(h->issuer));
	buf_append(out, issuer_get_name(h->issuer));
	e = der_write_time(out, h->this_update_s);
	if (!e)
		e = der_write_time(out, h->next_update_s);
	if (!e && entries_len)
		e = buf_append(out, bytes_of(head, der_head(DER_SEQUENCE, entries_len, head)));
	return e ? e : buf_status(out);
}

int crl_write_start(struct buf *out, const struct crl_head *h, size_t entries_len)
{
	OWNED_BUF front = BUF_INIT(HEAD_MAX), end = BUF_INIT(HEAD_MAX);
	uint8_t head[DER_HEAD_MAX];
	int e = write_front(&front, h, entries_len);

	if (!e)
		e = crl_write_end(&end, h);
	if (!e)
		e = buf_append(out, bytes_of(head, der_head(DER_SEQUENCE, front.len + entries_len + end.len, head)));
	return e ? e : buf_append(out, buf_bytes(&front));
}

int crl_write_signature(struct buf *out, const struct issuer *issuer, struct bytes signature)
{
	OWNED_BUF bits = BUF_INIT(4096);

	buf_append_char(&bits, 0);
	buf_append(&bits, signature);
	buf_append(out, issuer_get_algorithm(issuer));
	return buf_status(&bits) ? buf_status(&bits) : der_write(out, DER_BIT_STRING, buf_bytes(&bits));
}

int crl_write_outer(struct buf *out, const struct issuer *issuer, size_t tbs_len, struct bytes signature)
{
	OWNED_BUF end = BUF_INIT(HEAD_MAX);
	uint8_t head[DER_HEAD_MAX];
	int e = crl_write_signature(&end, issuer, signature);

	return e ? e : buf_append(out, bytes_of(head, der_head(DER_SEQUENCE, tbs_len + end.len, head)));
}
