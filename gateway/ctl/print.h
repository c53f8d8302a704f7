/* How the tool writes: tables and JSON. Text from outside is escaped in tables.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <cjson/cJSON.h>

#include "gateway/ctl/ctl.h"

/* A table: headings end with NULL; print_row() takes as many texts. */
struct print_table;
struct print_table *print_table_new(const char *const *headings);
void print_row(struct print_table *t, const char *const *cells);
void print_table_end(struct print_table *t, bool print); /* prints, when asked to, and frees */

/* Print the document with `"schema":1` in front, and free it. Returns CTL_DONE or CTL_FAILED. */
int print_json(cJSON *document);

/* The texts below are kept until print_end(), which main() calls last. Never NULL. */
void print_end(void);

/* Text for a table cell, escaped. */
const char *print_text(const char *text);
const char *print_number(int64_t n);
const char *print_hex(ProtobufCBinaryData data);

/* "3m", "2h", "12d"; or RFC 3339 with --utc. */
const char *print_age(const struct ctl *ctl, int64_t at_ms);
const char *print_time_ms(int64_t at_ms);
const char *print_time_s(int64_t at_s);

/* The first names and how many more: "dns:a.example +2". */
const char *print_names(char **names, size_t n);

/* The names without their kind, as a JSON list. */
cJSON *print_names_json(char **names, size_t n);

/* PEM of a DER certificate, and its SHA-256 fingerprint in hex with colons. */
const char *print_pem(ProtobufCBinaryData der);
const char *print_fingerprint(ProtobufCBinaryData der);
