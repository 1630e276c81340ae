/* SPDX-License-Identifier: Apache-2.0 */
#include "base/json_number.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/view.h"

#include <ctype.h>
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* A control character begins no text that is meant to be read; in JSON it is written as \u0001. */
#define MARK         "\001int "
#define MARK_IN_JSON "\\u0001int "

enum { SAFE_DIGITS = 18 }; /* 10^18 fits into 64 bits */

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

size_t kr_json_string_size(const char *p, const char *end)
{
    const char *at = p + 1;

    while (at < end && *at != '"')
        at += *at == '\\' ? 2 : 1;
    return at < end ? (size_t)(at + 1 - p) : (size_t)(end - p);
}

static size_t token_size(const char *p, const char *end)
{
    const char *at = p;

    while (at < end && (isalnum((unsigned char)*at) || strchr("+-.", *at) != NULL))
        at++;
    return at > p ? (size_t)(at - p) : 1;
}

static bool is_too_wide(const char *token, size_t n)
{
    struct kr_view view = {.p = token, .n = n};
    size_t digits = n - (token[0] == '-');
    int64_t value;

    if (digits <= SAFE_DIGITS)
        return false;
    for (size_t i = n - digits; i < n; i++) {
        if (!is_digit(token[i]))
            return false;
    }
    return !kr_view_i64(view, &value);
}

char *kr_json_widen(const char *text, size_t n, size_t *out_n)
{
    struct kr_buf out = KR_BUF_INIT((size_t)1 << 40);
    const char *end = text + n;
    bool found = false;

    if (memmem(text, n, "u0001int ", 9) != NULL || memchr(text, '\1', n) != NULL)
        return NULL;
    for (const char *p = text; p < end;) {
        size_t size = *p == '"' ? kr_json_string_size(p, end) : token_size(p, end);

        if (*p != '"' && is_too_wide(p, size)) {
            kr_buf_addf(&out, "\"" MARK_IN_JSON "%.*s\"", (int)size, p);
            found = true;
        } else {
            kr_buf_add(&out, p, size);
        }
        p += size;
    }
    *out_n = out.n;
    if (found)
        return kr_buf_steal(&out);
    kr_buf_finish(&out);
    return NULL;
}

json_t *kr_json_wide_new(const char *digits)
{
    kr_auto_free char *text = kr_asprintf(MARK "%s", digits);

    return json_string(text);
}

const char *kr_json_wide(const json_t *value)
{
    const char *text = json_string_value(value);

    return text != NULL && kr_starts_with(text, MARK) ? text + strlen(MARK) : NULL;
}

void kr_json_add_number(struct kr_buf *out, const char *text, size_t n)
{
    char token[64], shorter[64], *end;
    double value;

    (void)snprintf(token, sizeof(token), "%.*s", (int)n, text);
    value = strtod(token, &end);
    if (strpbrk(token, ".eE") == NULL || *end != '\0' || n >= sizeof(token)) {
        kr_buf_add(out, text, n);
        return;
    }
    /* 15 digits are always kept, but not of the smallest numbers; zeros at the end are not written.
     */
    for (int digits = fabs(value) < DBL_MIN ? 1 : 15; digits <= 17; digits++) {
        double again;

        (void)snprintf(shorter, sizeof(shorter), "%.*g", digits, value);
        again = strtod(shorter, NULL);
        if (memcmp(&again, &value, sizeof(value)) == 0)
            break;
    }
    kr_buf_adds(out, shorter);
    if (strpbrk(shorter, ".e") == NULL)
        kr_buf_adds(out, ".0");
}

char *kr_json_finish_numbers(char *text)
{
    const char *end = text + strlen(text);
    struct kr_buf out;

    if (strpbrk(text, ".eE") == NULL && strstr(text, MARK_IN_JSON) == NULL)
        return text;
    kr_buf_init(&out, (size_t)1 << 40);
    for (const char *p = text; p < end;) {
        size_t mark = strlen(MARK_IN_JSON);
        size_t size = *p == '"' ? kr_json_string_size(p, end) : token_size(p, end);

        if (*p == '"' && size > mark + 2 && memcmp(p + 1, MARK_IN_JSON, mark) == 0)
            kr_buf_add(&out, p + 1 + mark, size - mark - 2);
        else if (*p == '-' || is_digit(*p))
            kr_json_add_number(&out, p, size);
        else
            kr_buf_add(&out, p, size);
        p += size;
    }
    free(text);
    return kr_buf_steal(&out);
}
