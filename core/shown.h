/* Certificates that clients show: whose they are, and what they prove (core/submit.h, CA_EVIDENCE_CERTIFICATE).
 *
 *     OWN      this core issued it to a client: the octets are those of its row, the row is ISSUED, the certificate is
 *              in force (or, to be renewed, ended within the endpoint's `renewal-grace`), and it was issued by the CA
 *              of the endpoint or one of its `older-cas`, under its profile or one that this lists in
 *              `renewable-from`. It proves its own names. Before `renewal-window` it is good, and renews nothing by
 *              itself (`renews_from_s`).
 *     RA       clientAuth and id-kp-cmcRA, and an administrator listed it (kind `ra`), by its key or by issuer and
 *              subject. It proves what the scope says.
 *     VENDOR   of a device, under an anchor that an administrator listed for its maker (kind `vendor`), and fit to
 *              authenticate a client. It proves what the scope says, where {serialNumber} and {CN} stand for those of
 *              the device.
 *
 * Of several that are listed and fit the first one counts, and one that is used up or over behind the others.
 *
 * What verifies under a key of this core and has no row is nobody's, and a key of this core stands in no path of a
 * vendor. Wrong ones are counted by themselves (core/credential_guard.h), and the reason, which the client is not told,
 * is logged for the first one of an address for some time.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include "core/credentials.h"

/* 0; CREDENTIAL_REFUSED, with the reason in `why`, which is for the log; negative. */
int shown_find(struct ca_core *core, const struct ca_credential_claim *claim, const char *endpoint,
	       struct arena *arena, struct credential *out, const char **why);

/* May these certificates (PEM or DER) be listed as a VENDOR or RA? `der` gets them one after the other, `about` what to
 * call them. 0; CA_ADMIN_INVALID with a sentence in `why`; negative. */
int shown_check_listed(struct ca_core *core, const struct credential_spec *spec, struct buf *der, char *about,
		       size_t about_size, char why[static CA_REASON_SIZE]);

/* The scope of a vendor for one device: patterns that name something of it that it has not are left out. In the arena.
 * 0; -EMSGSIZE: with what the device is called it is too long; -ENOMEM. */
int shown_fill_scope(struct arena *arena, const char *scope, const char *serial_number, const char *common_name,
		     const char **out);
