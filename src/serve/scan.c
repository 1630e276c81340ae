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

/* p is behind the opening quote. Returns the closing quote, or end. */
static const char *string_end(const char *p, const char *end)
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

static void take_value(struct kr_view key, const char *p, const char *end, struct kr_scan *out)
{
    if (key.n == 7 && memcmp(key.p, "timeout", 7) == 0) {
        take_timeout(p, end, out);
    } else if (key.n == 8 && memcmp(key.p, "run_name", 8) == 0 && p < end && *p == '"') {
        const char *close = string_end(p + 1, end);

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
            close = string_end(p + 1, end);
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
         memmem(body.p, body.n, "\"run_name\"", 10) == NULL))
        return;
    walk(body.p, body.p + body.n, out);
}
