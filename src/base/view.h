/* SPDX-License-Identifier: Apache-2.0 */
/* A view is a pointer and a length into somebody else's bytes; it is not NUL-terminated. */
#ifndef KR_BASE_VIEW_H
#define KR_BASE_VIEW_H

#include "base/attrs.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct kr_view {
    const char *p;
    size_t n;
};

#define KR_VIEW_FMT    "%.*s"
#define KR_VIEW_ARG(v) (int)(v).n, (v).p

static inline struct kr_view kr_view_of(const char *text)
{
    return (struct kr_view){.p = text, .n = strlen(text)};
}

bool kr_view_eq(struct kr_view a, const char *b);
bool kr_view_eq_nocase(struct kr_view a, const char *b);
bool kr_starts_with(const char *text, const char *prefix);
bool kr_ends_with(const char *text, const char *suffix);
struct kr_view kr_view_trim(struct kr_view v);      /* ASCII white space on both ends */
struct kr_view kr_view_last_line(struct kr_view v); /* that says something */

/* Cuts *rest at the first sep: *head gets what stood before it, *rest what stands behind.
 * Returns false (head = all, rest empty) when there is no sep. */
bool kr_view_cut(struct kr_view *rest, char sep, struct kr_view *head);

/* Whole-view numbers in decimal, no sign tricks, no white space; false on anything else. */
bool kr_view_u64(struct kr_view v, uint64_t *out);
bool kr_view_i64(struct kr_view v, int64_t *out);
bool kr_parse_double(const char *text, double *out);
/* true, yes, on, 1 in any case: 1; their opposites: 0; anything else: -1. */
int kr_parse_bool(const char *text);

/* Puts a blank in the place of each of these characters; text is the result. */
char *kr_blank(char *text, const char *characters);

/* Whether a code point is a mark that changes the direction of the text behind it, unseen. */
bool kr_is_direction_mark(uint32_t c);

char *kr_view_dup(struct kr_view v) KR_MUST_USE;

/* Writes the text with %41 as A to a place of as many bytes; returns how many it took. What is no
 * such pair stays. */
size_t kr_percent_decode(struct kr_view v, char *to);

#endif
