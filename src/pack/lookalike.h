/* SPDX-License-Identifier: Apache-2.0 */
/* What live credentials of well-known services look like. Names in documentation ("hf_xxxx",
 * "AKIAIOSFODNN7EXAMPLE") and words are told apart from them by how their characters are
 * distributed. */
#ifndef KR_PACK_LOOKALIKE_H
#define KR_PACK_LOOKALIKE_H

#include <stdbool.h>
#include <stddef.h>

enum { KR_LOOKALIKE_MAX = 512 }; /* bytes that one may take, and that are looked at behind it */

/* Bytes around a place; what stands before `begin` and behind `end` is not known. */
struct kr_around {
    const char *begin, *at, *end;
};

struct kr_lookalike {
    const char *what;   /* "a GitHub token" */
    const char *anchor; /* three bytes or more, of which the first three are looked for */
    unsigned set;       /* characters behind the anchor, enum in lookalike.c; or */
    size_t least, most; /* how many of them */
    bool (*is)(struct kr_around around); /* judges instead */
};

const struct kr_lookalike *kr_lookalikes(size_t *n);

/* Whether the row says that a credential begins with the anchor at around.at. */
bool kr_lookalike_is(const struct kr_lookalike *row, struct kr_around around);

#endif
