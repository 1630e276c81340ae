/* SPDX-License-Identifier: Apache-2.0 */
#include "base/view.h"

#include "base/alloc.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <strings.h>

bool kr_view_eq(struct kr_view a, const char *b)
{
    return strlen(b) == a.n && memcmp(a.p, b, a.n) == 0;
}

bool kr_view_eq_nocase(struct kr_view a, const char *b)
{
    return strlen(b) == a.n && strncasecmp(a.p, b, a.n) == 0;
}

bool kr_starts_with(const char *text, const char *prefix)
{
    return strncmp(text, prefix, strlen(prefix)) == 0;
}

bool kr_ends_with(const char *text, const char *suffix)
{
    size_t n = strlen(text), m = strlen(suffix);

    return n >= m && memcmp(text + n - m, suffix, m) == 0;
}

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n' || c == '\f' || c == '\v';
}

struct kr_view kr_view_trim(struct kr_view v)
{
    while (v.n > 0 && is_space(v.p[0])) {
        v.p++;
        v.n--;
    }
    while (v.n > 0 && is_space(v.p[v.n - 1]))
        v.n--;
    return v;
}

struct kr_view kr_view_last_line(struct kr_view v)
{
    const char *at;

    v = kr_view_trim(v);
    at = v.n > 0 ? memrchr(v.p, '\n', v.n) : NULL;
    return at != NULL ? (struct kr_view){at + 1, v.n - (size_t)(at + 1 - v.p)} : v;
}

bool kr_view_cut(struct kr_view *rest, char sep, struct kr_view *head)
{
    const char *at = rest->n != 0 ? memchr(rest->p, sep, rest->n) : NULL;

    if (at == NULL) {
        *head = *rest;
        rest->p += rest->n;
        rest->n = 0;
        return false;
    }
    head->p = rest->p;
    head->n = (size_t)(at - rest->p);
    rest->n -= head->n + 1;
    rest->p = at + 1;
    return true;
}

bool kr_view_u64(struct kr_view v, uint64_t *out)
{
    uint64_t sum = 0;

    if (v.n == 0)
        return false;
    for (size_t i = 0; i < v.n; i++) {
        if (v.p[i] < '0' || v.p[i] > '9')
            return false;
        if (__builtin_mul_overflow(sum, (uint64_t)10, &sum) ||
            __builtin_add_overflow(sum, (uint64_t)(v.p[i] - '0'), &sum))
            return false;
    }
    *out = sum;
    return true;
}

bool kr_view_i64(struct kr_view v, int64_t *out)
{
    bool negative = v.n > 0 && v.p[0] == '-';
    uint64_t sum;

    if (negative) {
        v.p++;
        v.n--;
    }
    if (!kr_view_u64(v, &sum))
        return false;
    if (sum > (uint64_t)INT64_MAX + (negative ? 1u : 0u))
        return false;
    *out = negative ? (int64_t)(~sum + 1) : (int64_t)sum;
    return true;
}

int kr_parse_bool(const char *text)
{
    static const char *const words[] = {"false", "true", "no", "yes", "off", "on", "0", "1"};

    for (size_t i = 0; i < KR_ARRAY_LEN(words); i++) {
        if (strcasecmp(text, words[i]) == 0)
            return (int)(i & 1);
    }
    return -1;
}

bool kr_parse_double(const char *text, double *out)
{
    char *end;

    if (text[0] == '\0' || is_space(text[0]))
        return false;
    errno = 0;
    *out = strtod(text, &end);
    return *end == '\0' && errno == 0 && isfinite(*out);
}

char *kr_blank(char *text, const char *characters)
{
    for (char *p = strpbrk(text, characters); p != NULL; p = strpbrk(p + 1, characters))
        *p = ' ';
    return text;
}

bool kr_is_direction_mark(uint32_t c)
{
    return c == 0x61c || c == 0x200e || c == 0x200f || (c >= 0x202a && c <= 0x202e) ||
           (c >= 0x2066 && c <= 0x2069);
}

char *kr_view_dup(struct kr_view v)
{
    char *copy = kr_malloc(v.n + 1);

    if (v.n != 0)
        memcpy(copy, v.p, v.n);
    copy[v.n] = '\0';
    return copy;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)(c | 32);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

size_t kr_percent_decode(struct kr_view v, char *to)
{
    size_t n = 0;

    for (size_t i = 0; i < v.n; i++) {
        int high = v.p[i] == '%' && i + 2 < v.n ? hex_digit(v.p[i + 1]) : -1;
        int low = high >= 0 ? hex_digit(v.p[i + 2]) : -1;

        to[n++] = low >= 0 ? (char)(high * 16 + low) : v.p[i];
        i += low >= 0 ? 2 : 0;
    }
    return n;
}
