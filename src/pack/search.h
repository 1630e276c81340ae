/* SPDX-License-Identifier: Apache-2.0 */
/* What is looked for in every byte that leaves the machine: values that this deploy knows to be
 * secret, as they are and as base64 (any alignment, both alphabets, in lines or not), hexadecimal,
 * percent and escaped forms; and what looks like a live credential (lookalike.h).
 *
 * One filter over three bytes finds the places where any of them may begin, so the number of values
 * costs next to nothing. */
#ifndef KR_PACK_SEARCH_H
#define KR_PACK_SEARCH_H

#include "base/cleanup.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define KR_SEARCH_KEY 17 /* hexadecimal text with its NUL */

struct kr_search;

struct kr_search *kr_search_create(void) KR_MUST_USE;
void kr_search_destroy(struct kr_search *search);

/* A value that must not leave (copied). One that says nothing (base/plausible.h) is not looked for;
 * a weak one only where it stands as a value of its own. */
void kr_search_add(struct kr_search *search, const char *value, size_t n);

/* Tells sets of values apart without telling the values: equal for equal sets, whatever the order,
 * as long as the nonce is the same. */
void kr_search_key(const struct kr_search *search, const char *nonce, char key[KR_SEARCH_KEY]);

enum { KR_HITS_MAX = 16 };

struct kr_hit {
    const char *what; /* "a GitHub token"; NULL: a known value */
    uint64_t line;    /* from 1 */
    size_t value;     /* which known value, in the order they were added */
};

struct kr_hits {
    struct kr_hit v[KR_HITS_MAX];
    size_t n; /* further ones are not kept: known values before what only looks like one */
};

/* A pass over the bytes of one file after the other. */
struct kr_scan;

/* The search is borrowed, and must not get further values afterwards. */
struct kr_scan *kr_scan_create(const struct kr_search *search) KR_MUST_USE;
void kr_scan_destroy(struct kr_scan *scan);
void kr_scan_begin(struct kr_scan *scan);
void kr_scan_feed(struct kr_scan *scan, const void *bytes, size_t n);
void kr_scan_end(struct kr_scan *scan, struct kr_hits *hits);

#endif
