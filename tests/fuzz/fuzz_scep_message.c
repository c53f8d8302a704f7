/* SCEP messages: whole ones, or, after an 'a', signed attributes inside a message that is good otherwise.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include <stdlib.h>

#include "core/base/der.h"
#include "core/base/own.h"
#include "protocols/scep/message.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Version, digests and content before the certificates, and what stands around the attributes of the signer, whose
 * certificate has serial number 1, no names and a key that is none. */
#define OCTETS(text) bytes_of(text, sizeof(text) - 1)
#define SHA256 "\x30\x0b\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x01"
#define BEFORE "\x02\x01\x01\x31\x0d" SHA256 "\x30\x0f\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x01\xa0\x02\x04\x00"
#define KEY "\x30\x09\x30\x03\x06\x01\x2a\x03\x02\x00\x00"
#define CERTIFICATE "\x30\x22\x30\x1a\x02\x01\x01\x30\x02\x05\x00\x30\x00\x30\x02\x05\x00\x30\x00" KEY \
	"\x30\x00\x03\x02\x00\x00"
#define SIGNER "\x02\x01\x01\x30\x05\x30\x00\x02\x01\x01" SHA256
#define SIGNATURE "\x30\x02\x05\x00\x04\x00"

static void wrap(struct buf *b, unsigned tag)
{
	OWNED_BUF content = BUF_INIT(1 << 20);

	if (buf_append(&content, buf_bytes(b)))
		abort();
	buf_reset(b);
	if (der_write(b, tag, buf_bytes(&content)))
		abort();
}

static void write_message(struct bytes attributes, struct buf *out)
{
	OWNED_BUF signer = BUF_INIT(1 << 20), data = BUF_INIT(1 << 20);

	buf_append(&signer, OCTETS(SIGNER));
	der_write(&signer, 0xa0, attributes);
	buf_append(&signer, OCTETS(SIGNATURE));
	wrap(&signer, DER_SEQUENCE);
	buf_append(&data, OCTETS(BEFORE));
	der_write(&data, 0xa0, OCTETS(CERTIFICATE));
	der_write(&data, DER_SET, buf_bytes(&signer));
	wrap(&data, DER_SEQUENCE);
	wrap(&data, DER_CONTEXT_0);
	buf_append(out, OCTETS("\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x07\x02"));
	buf_append(out, buf_bytes(&data));
	wrap(out, DER_SEQUENCE);
}

static void check_read(const struct scep_message *m)
{
	if (!m->transaction_id.len || m->transaction_id.len > SCEP_TRANSACTION_ID_MAX ||
	    m->sender_nonce.len > SCEP_NONCE_MAX || m->type < 0 || m->type > 255 || !m->signer.len ||
	    m->signer_spki.ptr < m->signer.ptr ||
	    m->signer_spki.ptr + m->signer_spki.len > m->signer.ptr + m->signer.len)
		abort();
}

static void take(struct bytes octets)
{
	OWNED(arena) arena = NULL;
	struct scep_message m;
	enum scep_fail fail;
	const char *why;
	int e;

	if (arena_new(&arena, 1 << 20))
		abort();
	e = scep_message_read(&m, octets, arena, &why);
	if (e) {
		if (!why)
			abort();
		return;
	}
	check_read(&m);
	for (enum scep_legacy legacy = SCEP_LEGACY_NONE; legacy <= SCEP_LEGACY_DES; legacy++)
		if (scep_message_check(&m, legacy, &fail, &why) == 0 && !(m.digest && m.key))
			abort();
	scep_message_fini(&m);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	OWNED_BUF message = BUF_INIT(1 << 20);

	if (!size || size > SCEP_MESSAGE_MAX)
		return 0;
	if (data[0] == 'a') {
		write_message(bytes_of(data + 1, size - 1), &message);
		take(buf_bytes(&message));
	} else {
		take(bytes_of(data, size));
	}
	return 0;
}
