/* SPDX-License-Identifier: Apache-2.0 */
/* A growing byte buffer that is born with its maximum. Passing the maximum sticks: later appends do
 * nothing and kr_buf_check() reports it once at the end, so a series of appends needs one check.
 * The contents are always NUL-terminated (the NUL is not counted). */
#ifndef KR_BASE_BUF_H
#define KR_BASE_BUF_H

#include "base/cleanup.h"
#include "base/err.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

struct kr_buf {
    char *p; /* NULL until the first append; use kr_buf_str() for a never-NULL view */
    size_t n;
    size_t cap;
    size_t max;
    bool failed;
};

#define KR_BUF_INIT(maximum)                                                                       \
    {                                                                                              \
        .p = NULL, .n = 0, .cap = 0, .max = (maximum), .failed = false                             \
    }

void kr_buf_init(struct kr_buf *buf, size_t max);
void kr_buf_finish(struct kr_buf *buf); /* frees the contents; the maximum stays */
void kr_buf_add(struct kr_buf *buf, const void *bytes, size_t n);
void kr_buf_adds(struct kr_buf *buf, const char *text);
void kr_buf_addc(struct kr_buf *buf, char c);
void kr_buf_addf(struct kr_buf *buf, const char *fmt, ...) KR_PRINTF(2, 3);
void kr_buf_vaddf(struct kr_buf *buf, const char *fmt, va_list args) KR_PRINTF(2, 0);
void kr_buf_reset(struct kr_buf *buf);              /* empty, memory kept, failure forgotten */
void kr_buf_drop(struct kr_buf *buf, size_t n);     /* removes n bytes from the front */
char *kr_buf_reserve(struct kr_buf *buf, size_t n); /* room for n more bytes, or NULL (failed) */
const char *kr_buf_str(const struct kr_buf *buf);   /* "" when empty */
char *kr_buf_steal(struct kr_buf *buf);             /* caller frees; never NULL */
int kr_buf_check(const struct kr_buf *buf, struct kr_err *err) KR_MUST_USE;

#define kr_auto_buf kr_auto(kr_buf_finish)

#endif
