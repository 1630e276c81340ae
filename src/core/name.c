/* SPDX-License-Identifier: Apache-2.0 */
#include "core/name.h"

#include "base/alloc.h"

#include <stdbool.h>
#include <string.h>

enum { NAME_MAX_BYTES = 255, WORD_MAX = 63 };

/* Length of the UTF-8 sequence at p and its code point, or 0 when it is none (overlong forms,
 * surrogates and code points beyond Unicode included). */
static size_t utf8_at(const unsigned char *p, unsigned *code)
{
    static const unsigned least[] = {0, 0, 0x80, 0x800, 0x10000};
    size_t n = p[0] < 0x80 ? 1 : p[0] >= 0xf0 ? 4 : p[0] >= 0xe0 ? 3 : p[0] >= 0xc0 ? 2 : 0;

    if (n <= 1) {
        *code = p[0];
        return n;
    }
    *code = p[0] & (0xffU >> (n + 1));
    for (size_t i = 1; i < n; i++) {
        if ((p[i] & 0xc0) != 0x80)
            return 0;
        *code = *code << 6 | (p[i] & 0x3fU);
    }
    if (*code < least[n] || *code > 0x10ffff || (*code >= 0xd800 && *code <= 0xdfff))
        return 0;
    return n;
}

int kr_name_check(const char *what, const char *name, struct kr_err *err)
{
    size_t n = strlen(name), step;
    unsigned code;

    if (n == 0)
        return kr_fail(err, KR_E_INVALID, "the %s is empty", what);
    if (n > NAME_MAX_BYTES)
        return kr_fail(err, KR_E_INVALID, "the %s is longer than %d bytes: '%.40s...'", what,
                       NAME_MAX_BYTES, name);
    for (size_t i = 0; i < n; i += step) {
        step = utf8_at((const unsigned char *)name + i, &code);
        if (step == 0)
            return kr_fail(err, KR_E_INVALID, "the %s is not valid UTF-8", what);
        if (code < 0x20 || (code >= 0x7f && code < 0xa0))
            return kr_fail(err, KR_E_INVALID, "the %s '%s' has a control character", what, name);
    }
    if (strchr(name, '/') != NULL)
        return kr_fail(err, KR_E_INVALID, "the %s '%s' must not contain '/'", what, name);
    if (name[0] == ' ' || name[n - 1] == ' ')
        return kr_fail(err, KR_E_INVALID, "the %s '%s' begins or ends with a space", what, name);
    return 0;
}

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

int kr_identifier_check(const char *what, const char *name, struct kr_err *err)
{
    bool good = is_letter(name[0]);

    for (const char *p = name; good && *p != '\0'; p++)
        good = is_letter(*p) || is_digit(*p);
    if (!good)
        return kr_fail(
            err, KR_E_INVALID,
            "the %s '%s' must consist of letters, digits and '_' and not begin with a digit", what,
            name);
    if (strlen(name) > NAME_MAX_BYTES)
        return kr_fail(err, KR_E_INVALID, "the %s '%.40s...' is longer than %d bytes", what, name,
                       NAME_MAX_BYTES);
    return 0;
}

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c + ('a' - 'A')) : c;
}

char *kr_name_slug(const char *name)
{
    char *slug = kr_strdup(name), *start;
    size_t n = strlen(slug);

    for (char *p = slug; *p != '\0'; p++)
        *p = is_letter(*p) || is_digit(*p) ? lower(*p) : '-';
    while (n > 0 && slug[n - 1] == '-')
        slug[--n] = '\0';
    start = slug + strspn(slug, "-");
    if (*start == '\0') {
        free(slug);
        return kr_strdup("deployment");
    }
    memmove(slug, start, strlen(start) + 1);
    return slug;
}

/* '-' and '_', and the cases of a letter, are the same to somebody who mistypes. */
static char folded(char c)
{
    return c == '_' ? '-' : lower(c);
}

static unsigned least3(unsigned a, unsigned b, unsigned c)
{
    unsigned m = a < b ? a : b;

    return m < c ? m : c;
}

/* Edit distance where swapping two neighbours counts as one. */
static unsigned distance(const char *a, const char *b)
{
    unsigned rows[3][WORD_MAX + 1];
    size_t an = strlen(a), bn = strlen(b);

    for (size_t j = 0; j <= bn; j++)
        rows[0][j] = (unsigned)j;
    for (size_t i = 1; i <= an; i++) {
        unsigned *now = rows[i % 3], *last = rows[(i + 2) % 3], *before = rows[(i + 1) % 3];

        now[0] = (unsigned)i;
        for (size_t j = 1; j <= bn; j++) {
            bool same = folded(a[i - 1]) == folded(b[j - 1]);

            now[j] = least3(last[j] + 1, now[j - 1] + 1, last[j - 1] + (same ? 0 : 1));
            if (i > 1 && j > 1 && folded(a[i - 1]) == folded(b[j - 2]) &&
                folded(a[i - 2]) == folded(b[j - 1]) && before[j - 2] + 1 < now[j])
                now[j] = before[j - 2] + 1;
        }
    }
    return rows[an % 3][bn];
}

const char *kr_name_nearest(const char *word, const char *const *candidates, size_t count)
{
    size_t n = strlen(word);
    unsigned best = (unsigned)(n < 3 ? 1 : n / 3 < 4 ? 1 + n / 4 : 4);
    const char *nearest = NULL;

    if (n < 2 || n > WORD_MAX)
        return NULL;
    for (size_t i = 0; i < count; i++) {
        size_t m = candidates[i] != NULL ? strlen(candidates[i]) : 0;
        unsigned d;

        if (m == 0 || m > WORD_MAX)
            continue;
        d = distance(word, candidates[i]);
        if (d < best || (d == best && nearest == NULL)) {
            best = d;
            nearest = candidates[i];
        }
    }
    return nearest;
}
