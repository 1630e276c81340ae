/* SPDX-License-Identifier: Apache-2.0 */
#include "base/buf.h"

#include "base/alloc.h"

#include <stdio.h>
#include <string.h>

void kr_buf_init(struct kr_buf *buf, size_t max)
{
    *buf = (struct kr_buf)KR_BUF_INIT(max);
}

void kr_buf_finish(struct kr_buf *buf)
{
    free(buf->p);
    kr_buf_init(buf, buf->max);
}

char *kr_buf_reserve(struct kr_buf *buf, size_t n)
{
    size_t need, cap;

    if (buf->failed)
        return NULL;
    if (n > buf->max || buf->n > buf->max - n) {
        buf->failed = true;
        return NULL;
    }
    need = buf->n + n + 1;
    if (need > buf->cap) {
        cap = buf->cap < 64 ? 64 : buf->cap;
        while (cap < need)
            cap = cap > (size_t)-1 / 2 ? need : cap * 2;
        buf->p = kr_reallocarray(buf->p, cap, 1);
        buf->cap = cap;
    }
    return buf->p + buf->n;
}

void kr_buf_add(struct kr_buf *buf, const void *bytes, size_t n)
{
    char *to = kr_buf_reserve(buf, n);

    if (to == NULL)
        return;
    if (n != 0)
        memcpy(to, bytes, n);
    buf->n += n;
    buf->p[buf->n] = '\0';
}

void kr_buf_adds(struct kr_buf *buf, const char *text)
{
    kr_buf_add(buf, text, strlen(text));
}

void kr_buf_addc(struct kr_buf *buf, char c)
{
    kr_buf_add(buf, &c, 1);
}

void kr_buf_vaddf(struct kr_buf *buf, const char *fmt, va_list args)
{
    va_list again;
    char *to;
    int n;

    va_copy(again, args);
    n = vsnprintf(NULL, 0, fmt, again);
    va_end(again);
    if (n < 0) {
        buf->failed = true;
        return;
    }
    to = kr_buf_reserve(buf, (size_t)n);
    if (to == NULL)
        return;
    (void)vsnprintf(to, (size_t)n + 1, fmt, args);
    buf->n += (size_t)n;
}

void kr_buf_addf(struct kr_buf *buf, const char *fmt, ...)
{
    va_list args;

    va_start(args, fmt);
    kr_buf_vaddf(buf, fmt, args);
    va_end(args);
}

void kr_buf_reset(struct kr_buf *buf)
{
    buf->n = 0;
    buf->failed = false;
    if (buf->p != NULL)
        buf->p[0] = '\0';
}

void kr_buf_drop(struct kr_buf *buf, size_t n)
{
    if (n > buf->n)
        n = buf->n;
    if (n == 0)
        return;
    memmove(buf->p, buf->p + n, buf->n - n + 1);
    buf->n -= n;
}

const char *kr_buf_str(const struct kr_buf *buf)
{
    return buf->p != NULL ? buf->p : "";
}

char *kr_buf_steal(struct kr_buf *buf)
{
    char *p = buf->p != NULL ? buf->p : kr_strdup("");

    kr_buf_init(buf, buf->max);
    return p;
}

int kr_buf_check(const struct kr_buf *buf, struct kr_err *err)
{
    if (buf->failed)
        return kr_fail(err, KR_E_LIMIT, "more than %zu bytes", buf->max);
    return 0;
}
