/* SPDX-License-Identifier: Apache-2.0 */
/* Words of a command; grows. */
#ifndef KR_BASE_WORDS_H
#define KR_BASE_WORDS_H

#include "base/attrs.h"
#include "base/cleanup.h"

#include <stddef.h>

struct kr_words {
    char **v; /* NULL-terminated, or NULL */
    size_t n;
};
void kr_words_add(struct kr_words *words, const char *word);
void kr_words_addf(struct kr_words *words, const char *fmt, ...) KR_PRINTF(2, 3);
void kr_words_finish(struct kr_words *words);
#define kr_auto_words kr_auto(kr_words_finish)

#endif
