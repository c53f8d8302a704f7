/* One EST client: simpleenroll with a fresh key (RFC 7030 4.2).
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#include "tests/bench/worker_int.h"

static int post(struct worker *w, const char *body, size_t n)
{
	if (https_call(&w->https, "POST", w->load->est, body, n))
		return worker_fail(w, "http: %s", w->https.why);
	return w->https.status == 200 ? 0 : worker_fail(w, "status: %d", w->https.status);
}

int worker_enrol(struct worker *w, unsigned number)
{
	char name[WORKER_NAME_SIZE], body[2 * KEYS_CSR_SIZE];
	uint8_t csr[KEYS_CSR_SIZE], point[KEYS_POINT_SIZE];
	int64_t begin_ns;
	EVP_PKEY *key = keys_make(point);
	size_t n;

	worker_print_name(w, number, name);
	n = key ? keys_make_csr(csr, key, point, name) : 0;
	EVP_PKEY_free(key);
	if (!n)
		return worker_fail(w, "cannot make a request");
	n = (size_t)EVP_EncodeBlock((unsigned char *)body, csr, (int)n);
	begin_ns = worker_now_ns();
	if (post(w, body, n) || worker_keep(w, name, point, worker_now_ns() - begin_ns))
		return -1;
	if (w->load->connections != CONNECTIONS_KEPT)
		https_close(&w->https);
	return 0;
}
