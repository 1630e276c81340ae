/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/scan.h"

#include <string.h>

#define TIMEOUT_MAX_MS (30LL * 86400 * 1000)

static const char *skip_space(const char *p, const char *end)
{
    while (p < end && (*p == ' ' || *p == '\t' || *p == '\n' || *p == '\r'))
        p++;
    return p;
}

const char *kr_scan_text(const char *p, const char *end)
{
    const char *quote = NULL;

    while (p < end) {
        const char *slash;

        if (quote == NULL || quote < p)
            quote = memchr(p, '"', (size_t)(end - p));
        if (quote == NULL)
            return end;
        slash = memchr(p, '\\', (size_t)(quote - p));
        if (slash == NULL)
            return quote;
        p = slash + 2;
    }
    return end;
}

static void take_timeout(const char *p, const char *end, struct kr_scan *out)
{
    char number[32];
    size_t n = 0;
    double seconds;

    while (p + n < end && n < sizeof(number) - 1 && strchr("+-.0123456789eE", p[n]) != NULL &&
           p[n] != '\0')
        n++;
    memcpy(number, p, n);
    number[n] = '\0';
    if (n == 0 || !kr_parse_double(number, &seconds) || !(seconds > 0))
        return;
    out->timeout_ms =
        seconds * 1000 > (double)TIMEOUT_MAX_MS ? TIMEOUT_MAX_MS : (int64_t)(seconds * 1000);
    if (out->timeout_ms < KR_TIMEOUT_LEAST_MS)
        out->timeout_ms = KR_TIMEOUT_LEAST_MS;
}

static int hex_of(char c)
{
    return c >= '0' && c <= '9'                 ? c - '0'
           : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10
                                                : -1;
}

/* A key of ours has no other escapes than of its ASCII letters: \u00XX. */
static size_t plain_key(struct kr_view key, char *to)
{
    size_t n = 0;

    for (size_t i = 0; i < key.n; n++) {
        if (key.p[i] != '\\') {
            to[n] = key.p[i++];
            continue;
        }
        if (key.n - i < 6 || memcmp(key.p + i, "\\u00", 4) != 0 || hex_of(key.p[i + 4]) < 0 ||
            hex_of(key.p[i + 5]) < 0)
            return 0;
        to[n] = (char)(hex_of(key.p[i + 4]) << 4 | hex_of(key.p[i + 5]));
        i += 6;
    }
    return n;
}

/* Names may be written with escapes. */
static bool is_key(struct kr_view key, const char *name)
{
    char text[64];

    if (memchr(key.p, '\\', key.n) == NULL)
        return kr_view_eq(key, name);
    if (key.n > sizeof(text))
        return false;
    return kr_view_eq((struct kr_view){.p = text, .n = plain_key(key, text)}, name);
}

static void take_value(struct kr_view key, const char *p, const char *end, struct kr_scan *out)
{
    if (is_key(key, "timeout")) {
        take_timeout(p, end, out);
    } else if (is_key(key, "run_name") && p < end && *p != '"') {
        out->run_name.p = NULL; /* null: the last one counts */
    } else if (is_key(key, "run_name") && p < end) {
        const char *close = kr_scan_text(p + 1, end);

        if (close < end)
            out->run_name = (struct kr_view){.p = p + 1, .n = (size_t)(close - p) - 1};
    }
}

static void walk(const char *p, const char *end, struct kr_scan *out)
{
    int depth = 0;

    while (p < end) {
        const char *close;

        if (*p == '{' || *p == '[') {
            depth++;
        } else if (*p == '}' || *p == ']') {
            depth--;
        } else if (*p == '"') {
            close = kr_scan_text(p + 1, end);
            if (depth == 1) {
                const char *colon = skip_space(close < end ? close + 1 : end, end);

                if (colon < end && *colon == ':')
                    take_value((struct kr_view){.p = p + 1, .n = (size_t)(close - p) - 1},
                               skip_space(colon + 1, end), end, out);
            }
            p = close;
        }
        p++;
    }
}

void kr_scan_body(struct kr_view body, struct kr_scan *out)
{
    *out = (struct kr_scan){.timeout_ms = 0, .run_name = {.p = NULL, .n = 0}};
    if (body.p == NULL || body.n == 0 ||
        (memmem(body.p, body.n, "\"timeout\"", 9) == NULL &&
         memmem(body.p, body.n, "\"run_name\"", 10) == NULL &&
         memmem(body.p, body.n, "\\u00", 4) == NULL))
        return;
    walk(body.p, body.p + body.n, out);
}
