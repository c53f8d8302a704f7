/* How the tool writes: tables and JSON. Text from outside is escaped in tables, and JSON is ASCII.
 *
 * Lists go through gateway/ctl/list.h; what stands here is for everything else.
 *
 * SPDX-License-Identifier: Apache-2.0
 */
#pragma once

#include <cjson/cJSON.h>

#include "gateway/ctl/ctl.h"

/* A table: headings end with NULL; print_row() takes as many texts, which live until the table ends. */
struct print_table;
struct print_table *print_table_new(const struct ctl *ctl, const char *const *headings);
void print_row(struct print_table *t, const char *const *cells);
void print_table_end(struct print_table *t, bool print); /* prints, when asked to, and frees */

/* A column whose texts are cut when the terminal is too narrow; without that the lines wrap. */
void print_table_may_shrink(struct print_table *t, size_t column);

/* Colour a cell of the last row, when colours are printed at all. NULL: none. */
void print_cell_color(struct print_table *t, size_t column, const char *color);
const char *print_state_color(const char *state);

/* How wide the terminal is; 0, and at the start: there is none. */
void print_set_width(size_t columns);

/* Print the document with `"schema":1` in front, and free it. Returns CTL_DONE. */
int print_json(cJSON *document);

/* The value on one line, without the newline. */
void print_json_text(const cJSON *value);

/* The texts below are kept until print_forget(), which main() calls last. Never NULL. */
void print_forget(void);

/* Text for a table cell, escaped; as it is; and its first octets. */
const char *print_text(const char *text);
const char *print_kept(const char *text);
char *print_kept_n(const char *text, size_t n);
const char *print_number(int64_t n);
const char *print_hex(ProtobufCBinaryData data);

/* "3m", "2h", "12d"; or RFC 3339 with --utc. */
const char *print_age(const struct ctl *ctl, int64_t at_ms);
const char *print_age_of(const struct ctl *ctl, const char *time); /* RFC 3339 */
const char *print_time_ms(int64_t at_ms);
const char *print_time_s(int64_t at_s);

/* The first names and how many more: "dns:a.example +2". */
const char *print_names(char **names, size_t n);

/* The names without their kind, as a JSON list. */
cJSON *print_names_json(char **names, size_t n);

/* PEM of a DER certificate, and its SHA-256 fingerprint in hex with colons. */
const char *print_pem(ProtobufCBinaryData der);
const char *print_pem_request(ProtobufCBinaryData der); /* of a PKCS#10 */
int print_block(const char *label, ProtobufCBinaryData der); /* on standard output; CTL_DONE or CTL_FAILED */
const char *print_fingerprint(ProtobufCBinaryData der);
/* The same by SHA-1 and by MD5: some devices show no other to the person who compares. */
const char *print_fingerprint_sha1(ProtobufCBinaryData der);
const char *print_fingerprint_md5(ProtobufCBinaryData der);
