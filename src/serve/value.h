/* SPDX-License-Identifier: Apache-2.0 */
/* A strict JSON reader over bytes in memory, without a tree: values are spans of the text. */
#ifndef KR_SERVE_VALUE_H
#define KR_SERVE_VALUE_H

#include "base/buf.h"
#include "base/view.h"

#include <stdbool.h>
#include <stdint.h>

struct kr_reader {
    const char *p, *end, *start;
};

enum kr_value_kind {
    KR_V_BAD,
    KR_V_NULL,
    KR_V_TRUE,
    KR_V_FALSE,
    KR_V_NUMBER,
    KR_V_STRING,
    KR_V_ARRAY,
    KR_V_OBJECT
};

void kr_reader_init(struct kr_reader *r, struct kr_view text);

/* Reads one value of any kind; *span is its text without surrounding space. */
enum kr_value_kind kr_value_take(struct kr_reader *r, struct kr_view *span);

/* Walks the members of an object or the items of an array whose span is given: first
 * kr_reader_init(span), kr_open(), then kr_next_...() until it returns false; *bad tells a syntax
 * error from the end. */
bool kr_open(struct kr_reader *r, char bracket);
bool kr_next_member(struct kr_reader *r, bool *first, struct kr_view *key, enum kr_value_kind *kind,
                    struct kr_view *value);
bool kr_next_item(struct kr_reader *r, bool *first, enum kr_value_kind *kind,
                  struct kr_view *value);
bool kr_at_end(struct kr_reader *r); /* only white space is left */

/* The contents of a string span (with its quotes); to has room for span.n bytes. Returns the
 * length. */
size_t kr_value_text(struct kr_view span, char *to);
bool kr_value_integer(struct kr_view span, int64_t *out); /* also 3.0 */
double kr_value_number(struct kr_view span);

void kr_write_text(struct kr_buf *out, const char *text, size_t n);
void kr_write_number(struct kr_buf *out,
                     double value); /* shortest that reads back; null when not finite */
void kr_write_integer(struct kr_buf *out, int64_t value);

#endif
