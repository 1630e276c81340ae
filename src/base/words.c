/* SPDX-License-Identifier: Apache-2.0 */
#include "base/words.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/proc.h"

#include <stdarg.h>

void kr_words_add(struct kr_words *words, const char *word)
{
    words->v = kr_reallocarray(words->v, words->n + 2, sizeof(char *));
    words->v[words->n++] = kr_strdup(word);
    words->v[words->n] = NULL;
}

void kr_words_addf(struct kr_words *words, const char *fmt, ...)
{
    struct kr_buf text = KR_BUF_INIT((size_t)1 << 20);
    va_list args;

    va_start(args, fmt);
    kr_buf_vaddf(&text, fmt, args);
    va_end(args);
    kr_words_add(words, kr_buf_str(&text));
    kr_buf_finish(&text);
}

void kr_words_finish(struct kr_words *words)
{
    kr_env_free(words->v);
    *words = (struct kr_words){0};
}
