/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/value.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define DEPTH_MAX 64

void kr_reader_init(struct kr_reader *r, struct kr_view text)
{
    r->start = r->p = text.p;
    r->end = text.p + text.n;
}

static void space(struct kr_reader *r)
{
    while (r->p < r->end && (*r->p == ' ' || *r->p == '\n' || *r->p == '\t' || *r->p == '\r'))
        r->p++;
}

bool kr_at_end(struct kr_reader *r)
{
    space(r);
    return r->p == r->end;
}

static bool is_hex(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

/* Length of a valid UTF-8 sequence that begins with a byte >= 0x80, 0 when there is none. */
static size_t utf8_length(const unsigned char *p, size_t left)
{
    size_t n = p[0] >= 0xf0 && p[0] < 0xf5 ? 4 : p[0] >= 0xe0 ? 3 : p[0] >= 0xc2 ? 2 : 0;

    if (n == 0 || n > left || p[0] >= 0xf5)
        return 0;
    for (size_t i = 1; i < n; i++) {
        if ((p[i] & 0xc0) != 0x80)
            return 0;
    }
    if ((p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xed && p[1] > 0x9f) ||
        (p[0] == 0xf0 && p[1] < 0x90) || (p[0] == 0xf4 && p[1] > 0x8f))
        return 0;
    return n;
}

static bool take_escape(struct kr_reader *r)
{
    if (r->p + 1 >= r->end)
        return false;
    if (r->p[1] != 'u') {
        if (strchr("\"\\/bfnrt", r->p[1]) == NULL || r->p[1] == '\0')
            return false;
        r->p += 2;
        return true;
    }
    for (int i = 2; i < 6; i++) {
        if (r->p + i >= r->end || !is_hex(r->p[i]))
            return false;
    }
    r->p += 6;
    return true;
}

/* At the opening quote; ends behind the closing one. */
static bool take_string(struct kr_reader *r)
{
    r->p++;
    while (r->p < r->end) {
        unsigned char c = (unsigned char)*r->p;

        if (c == '"') {
            r->p++;
            return true;
        }
        if (c < 0x20)
            return false;
        if (c == '\\') {
            if (!take_escape(r))
                return false;
        } else if (c < 0x80) {
            r->p++;
        } else {
            size_t n = utf8_length((const unsigned char *)r->p, (size_t)(r->end - r->p));

            if (n == 0)
                return false;
            r->p += n;
        }
    }
    return false;
}

static bool digits(struct kr_reader *r)
{
    const char *from = r->p;

    while (r->p < r->end && *r->p >= '0' && *r->p <= '9')
        r->p++;
    return r->p > from;
}

static bool take_number(struct kr_reader *r)
{
    if (*r->p == '-')
        r->p++;
    if (r->p < r->end && *r->p == '0')
        r->p++;
    else if (!digits(r))
        return false;
    if (r->p < r->end && *r->p == '.') {
        r->p++;
        if (!digits(r))
            return false;
    }
    if (r->p < r->end && (*r->p == 'e' || *r->p == 'E')) {
        r->p++;
        if (r->p < r->end && (*r->p == '+' || *r->p == '-'))
            r->p++;
        return digits(r);
    }
    return true;
}

static bool take_word(struct kr_reader *r, const char *word, size_t n)
{
    if ((size_t)(r->end - r->p) < n || memcmp(r->p, word, n) != 0)
        return false;
    r->p += n;
    return true;
}

static enum kr_value_kind take_value(struct kr_reader *r, int depth);

static bool take_members(struct kr_reader *r, char close, int depth)
{
    bool first = true;

    r->p++;
    for (;;) {
        space(r);
        if (r->p < r->end && *r->p == close && first) {
            r->p++;
            return true;
        }
        first = false;
        if (close == '}') {
            if (r->p >= r->end || *r->p != '"' || !take_string(r))
                return false;
            space(r);
            if (r->p >= r->end || *r->p++ != ':')
                return false;
        }
        if (take_value(r, depth + 1) == KR_V_BAD)
            return false;
        space(r);
        if (r->p >= r->end)
            return false;
        if (*r->p == close) {
            r->p++;
            return true;
        }
        if (*r->p++ != ',')
            return false;
    }
}

static enum kr_value_kind take_value(struct kr_reader *r, int depth)
{
    space(r);
    if (r->p >= r->end || depth > DEPTH_MAX)
        return KR_V_BAD;
    switch (*r->p) {
    case '"':
        return take_string(r) ? KR_V_STRING : KR_V_BAD;
    case '{':
        return take_members(r, '}', depth) ? KR_V_OBJECT : KR_V_BAD;
    case '[':
        return take_members(r, ']', depth) ? KR_V_ARRAY : KR_V_BAD;
    case 't':
        return take_word(r, "true", 4) ? KR_V_TRUE : KR_V_BAD;
    case 'f':
        return take_word(r, "false", 5) ? KR_V_FALSE : KR_V_BAD;
    case 'n':
        return take_word(r, "null", 4) ? KR_V_NULL : KR_V_BAD;
    default:
        return take_number(r) ? KR_V_NUMBER : KR_V_BAD;
    }
}

enum kr_value_kind kr_value_take(struct kr_reader *r, struct kr_view *span)
{
    enum kr_value_kind kind;

    space(r);
    span->p = r->p;
    kind = take_value(r, 0);
    span->n = (size_t)(r->p - span->p);
    return kind;
}

bool kr_open(struct kr_reader *r, char bracket)
{
    space(r);
    if (r->p >= r->end || *r->p != bracket)
        return false;
    r->p++;
    return true;
}

/* Between members of a container that was found well-formed before. */
static bool next(struct kr_reader *r, bool *first)
{
    space(r);
    if (r->p >= r->end || *r->p == '}' || *r->p == ']')
        return false;
    if (!*first && *r->p == ',')
        r->p++;
    *first = false;
    space(r);
    return r->p < r->end;
}

bool kr_next_member(struct kr_reader *r, bool *first, struct kr_view *key, enum kr_value_kind *kind,
                    struct kr_view *value)
{
    if (!next(r, first))
        return false;
    key->p = r->p;
    if (*r->p != '"' || !take_string(r))
        return false;
    key->n = (size_t)(r->p - key->p);
    space(r);
    if (r->p >= r->end || *r->p++ != ':')
        return false;
    *kind = kr_value_take(r, value);
    return *kind != KR_V_BAD;
}

bool kr_next_item(struct kr_reader *r, bool *first, enum kr_value_kind *kind, struct kr_view *value)
{
    if (!next(r, first))
        return false;
    *kind = kr_value_take(r, value);
    return *kind != KR_V_BAD;
}

/* -- values ------------------------------------------------------------------------------------ */

static unsigned hex4(const char *p)
{
    unsigned v = 0;

    for (int i = 0; i < 4; i++) {
        char c = p[i];

        v = v << 4 | (unsigned)(c <= '9' ? c - '0' : (c | 32) - 'a' + 10);
    }
    return v;
}

static size_t put_utf8(char *to, unsigned c)
{
    if (c < 0x80) {
        to[0] = (char)c;
        return 1;
    }
    if (c < 0x800) {
        to[0] = (char)(0xc0 | c >> 6);
        to[1] = (char)(0x80 | (c & 0x3f));
        return 2;
    }
    if (c < 0x10000) {
        to[0] = (char)(0xe0 | c >> 12);
        to[1] = (char)(0x80 | (c >> 6 & 0x3f));
        to[2] = (char)(0x80 | (c & 0x3f));
        return 3;
    }
    to[0] = (char)(0xf0 | c >> 18);
    to[1] = (char)(0x80 | (c >> 12 & 0x3f));
    to[2] = (char)(0x80 | (c >> 6 & 0x3f));
    to[3] = (char)(0x80 | (c & 0x3f));
    return 4;
}

size_t kr_value_text(struct kr_view span, char *to)
{
    static const char from[] = "bfnrt", into[] = "\b\f\n\r\t";
    const char *p = span.p + 1, *end = span.p + span.n - 1;
    size_t n = 0;

    while (p < end) {
        const char *at;
        unsigned c;

        if (*p != '\\') {
            to[n++] = *p++;
            continue;
        }
        if (p[1] != 'u') {
            at = strchr(from, p[1]);
            to[n++] = at != NULL ? into[at - from] : p[1];
            p += 2;
            continue;
        }
        c = hex4(p + 2);
        p += 6;
        if (c >= 0xd800 && c < 0xdc00 && end - p >= 6 && p[0] == '\\' && p[1] == 'u' &&
            hex4(p + 2) >= 0xdc00 && hex4(p + 2) < 0xe000) {
            c = 0x10000 + ((c - 0xd800) << 10) + (hex4(p + 2) - 0xdc00);
            p += 6;
        } else if (c >= 0xd800 && c < 0xe000) {
            c = 0xfffd; /* half of a pair */
        }
        n += put_utf8(to + n, c);
    }
    return n;
}

double kr_value_number(struct kr_view span)
{
    char digits_of[64];
    double value = 0;

    if (span.n >= sizeof(digits_of)) {
        char *copy = kr_view_dup(span);

        value = strtod(copy, NULL);
        free(copy);
        return value;
    }
    memcpy(digits_of, span.p, span.n);
    digits_of[span.n] = '\0';
    return strtod(digits_of, NULL);
}

bool kr_value_integer(struct kr_view span, int64_t *out)
{
    double value;

    if (kr_view_i64(span, out))
        return true;
    value = kr_value_number(span);
    if (!(fabs(value) < 9007199254740992.0) || value != floor(value))
        return false;
    *out = (int64_t)value;
    return true;
}

/* -- writing ----------------------------------------------------------------------------------- */

void kr_write_text(struct kr_buf *out, const char *text, size_t n)
{
    size_t from = 0;

    kr_buf_addc(out, '"');
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)text[i];

        if (c >= 0x20 && c != '"' && c != '\\')
            continue;
        kr_buf_add(out, text + from, i - from);
        from = i + 1;
        if (c == '"' || c == '\\') {
            kr_buf_addc(out, '\\');
            kr_buf_addc(out, (char)c);
        } else {
            kr_buf_addf(out, "\\u%04x", c);
        }
    }
    kr_buf_add(out, text + from, n - from);
    kr_buf_addc(out, '"');
}

void kr_write_integer(struct kr_buf *out, int64_t value)
{
    char text[24];
    size_t at = sizeof(text);
    uint64_t left = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;

    do {
        text[--at] = (char)('0' + left % 10);
        left /= 10;
    } while (left != 0);
    if (value < 0)
        text[--at] = '-';
    kr_buf_add(out, text + at, sizeof(text) - at);
}

void kr_write_number(struct kr_buf *out, double value)
{
    char text[40];

    if (!isfinite(value)) {
        kr_buf_add(out, "null", 4);
        return;
    }
    if (fabs(value) < 1e16 && value == floor(value)) {
        kr_write_integer(out, (int64_t)value);
        kr_buf_add(out, ".0", 2);
        return;
    }
    for (int digits_n = 15; digits_n <= 17; digits_n++) {
        (void)snprintf(text, sizeof(text), "%.*g", digits_n, value);
        if (strtod(text, NULL) == value)
            break;
    }
    kr_buf_adds(out, text);
}
