/* TLS for a test's server. Apart from it because OpenSSL and core/base/conf.h both have a CONF_VARIANT.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <stddef.h>

/* With a certificate that nobody should trust: expired, without names, signed by itself. */
void *tls_new(void);
void tls_drop(void *tls);

/* NULL: the handshake failed. */
void *tls_accept(void *tls, int fd);
long tls_read(void *connection, void *data, size_t len);
long tls_write(void *connection, const void *data, size_t len);
void tls_close(void *connection);
