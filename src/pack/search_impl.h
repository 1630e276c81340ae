/* SPDX-License-Identifier: Apache-2.0 */
/* Between search.c (what is looked for) and scan.c (looking). */
#ifndef KR_PACK_SEARCH_IMPL_H
#define KR_PACK_SEARCH_IMPL_H

#include "pack/lookalike.h"
#include "pack/search.h"

enum kr_pattern_kind {
    KR_PATTERN_RAW,   /* the value itself, or an escaped form of it */
    KR_PATTERN_WORD,  /* a weak value: counts where it stands alone */
    KR_PATTERN_CODED, /* base64: looked for across the ends of lines too */
};

struct kr_pattern {
    char *p;
    size_t n;
    enum kr_pattern_kind kind;
    size_t value; /* that it is a form of */
};

/* A place where the filter says yes: a pattern, or (pattern NULL) a row of look-alikes. */
struct kr_anchor {
    uint32_t three; /* the bytes, first one lowest */
    uint32_t next;  /* in the bucket; 0 ends it, the first anchor is at 1 */
    const struct kr_lookalike *like;
    uint32_t pattern;
};

enum { KR_SEARCH_BUCKETS = 4096 };

struct kr_search {
    struct kr_pattern *patterns;
    size_t pattern_count;
    struct kr_anchor *anchors;
    size_t anchor_count;
    uint32_t bucket[KR_SEARCH_BUCKETS];
    uint64_t filter[65536 / 64];
    char **values;
    size_t value_count;
    size_t longest; /* form of a value, escaped as far as can be */
};

static inline uint32_t kr_search_hash(uint32_t three)
{
    return three * UINT32_C(0x9e3779b1) >> 16;
}

#endif
