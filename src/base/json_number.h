/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers of JSON that jansson cannot hold or writes too long. For json.c and the reader of YAML.
 */
#ifndef KR_BASE_JSON_NUMBER_H
#define KR_BASE_JSON_NUMBER_H

#include "base/buf.h"
#include "base/json.h"

/* JSON in which whole numbers beyond 64 bits are strings that kr_json_wide() knows again; NULL when
 * there are none, or when the text holds such strings itself. Caller frees. */
char *kr_json_widen(const char *text, size_t n, size_t *out_n);

/* A whole number beyond 64 bits from its digits (with a sign or without). */
json_t *kr_json_wide_new(const char *digits);

/* What jansson wrote, with numbers of the fewest digits that read back as the same (0.1, not
 * 0.10000000000000001), and wide ones as numbers. Takes text; caller frees the result. */
char *kr_json_finish_numbers(char *text);

/* One number as above; anything else as it is. */
void kr_json_add_number(struct kr_buf *out, const char *text, size_t n);

/* How many bytes the string has that begins at p, quotes included. */
size_t kr_json_string_size(const char *p, const char *end);

#endif
