/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/screen.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "base/attrs.h"
#include "base/buf.h"
#include "base/view.h"

enum { ESC = 0x1b, BEL = 0x07, ST = 0x9c, CSI = 0x9b, NOT_TEXT = 0xfffd };

struct text {
    const unsigned char *p, *end;
};

/* Length of the UTF-8 sequence that begins with this byte; 0: none does. */
static size_t sequence(unsigned char c)
{
    return c < 0x80 ? 1 : c < 0xc2 ? 0 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : c < 0xf5 ? 4 : 0;
}

/* The next code point; what is not UTF-8 is NOT_TEXT, one byte long. n is 0 at the end. */
static uint32_t next(const struct text *t, size_t *n)
{
    static const unsigned char masks[] = {0, 0x7f, 0x1f, 0x0f, 0x07};
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    size_t wanted = t->p < t->end ? sequence(*t->p) : 0;
    uint32_t c;

    *n = t->p < t->end ? 1 : 0;
    if (wanted == 0 || wanted > (size_t)(t->end - t->p))
        return *n == 0 ? 0 : NOT_TEXT;
    c = *t->p & masks[wanted];
    for (size_t i = 1; i < wanted; i++) {
        if ((t->p[i] & 0xc0) != 0x80)
            return NOT_TEXT;
        c = c << 6 | (t->p[i] & 0x3f);
    }
    if (c < least[wanted] || c > 0x10ffff || (c >= 0xd800 && c < 0xe000))
        return NOT_TEXT;
    *n = wanted;
    return c;
}

static bool is_control(uint32_t c)
{
    return c < 0x20 || (c >= 0x7f && c < 0xa0) || c == 0x2028 || c == 0x2029;
}

static bool takes_string(uint32_t c) /* DCS, SOS, OSC, PM, APC as the letter behind ESC */
{
    return c == 'P' || c == 'X' || c == ']' || c == '^' || c == '_';
}

/* Bytes up to the end of a control string, which ends in its line or is none: 0. */
static size_t string_length(struct text t)
{
    const unsigned char *begin = t.p;
    size_t n;

    for (uint32_t c; (c = next(&t, &n)) != '\n' && n > 0; t.p += n) {
        if (c == BEL || c == ST)
            return (size_t)(t.p - begin) + n;
        if (c == ESC && t.p + 1 < t.end && t.p[1] == '\\')
            return (size_t)(t.p - begin) + 2;
    }
    return 0;
}

/* Bytes of parameters, intermediates and final letter; 0: it is cut off. */
static size_t csi_length(struct text t)
{
    const unsigned char *p = t.p;

    while (p < t.end && *p >= 0x20 && *p <= 0x3f)
        p++;
    return p < t.end && *p >= 0x40 && *p <= 0x7e ? (size_t)(p + 1 - t.p) : 0;
}

/* Length of the escape sequence at t, whose first character c has n bytes; 0: there is none. */
static size_t escape_length(struct text t, uint32_t c, size_t n)
{
    bool wide = c >= 0x80 && c < 0xa0; /* one character for ESC and a letter */
    struct text rest = {t.p + n, t.end};
    uint32_t letter = wide ? c - 0x40 : rest.p < rest.end ? *rest.p : 0;

    if (c != ESC && !wide)
        return 0;
    if (!wide && letter >= 0x20 && letter <= 0x7e) {
        rest.p++;
        n++;
    }
    if (letter == '[')
        return n + csi_length(rest);
    if (takes_string(letter))
        return n + string_length(rest);
    if (!wide && letter >= 0x20 && letter <= 0x2f) { /* ESC ( B and its like */
        while (rest.p < rest.end && *rest.p >= 0x20 && *rest.p <= 0x2f) {
            rest.p++;
            n++;
        }
        n += rest.p < rest.end && *rest.p >= 0x30 && *rest.p <= 0x7e ? 1 : 0;
    }
    return n;
}

/* Length of one of our own style codes at t; 0: none. */
static size_t style_length(struct text t)
{
    static const char *const codes[] = {"\033[0m",  "\033[1m",  "\033[2m", "\033[31m",
                                        "\033[32m", "\033[33m", "\033[36m"};

    for (size_t i = 0; i < KR_ARRAY_LEN(codes); i++) {
        size_t n = strlen(codes[i]);

        if ((size_t)(t.end - t.p) >= n && memcmp(t.p, codes[i], n) == 0)
            return n;
    }
    return 0;
}

struct rules {
    bool lines, styles;
};

static size_t clean(char *text, size_t size, struct rules rules)
{
    struct text t = {(unsigned char *)text, (unsigned char *)text + size};
    char *to = text;
    size_t n;

    for (uint32_t c = next(&t, &n); n > 0; c = next(&t, &n)) {
        size_t code = escape_length(t, c, n), style = rules.styles ? style_length(t) : 0;
        bool line_end = c == '\r' && t.p + 1 < t.end && t.p[1] == '\n';

        if (style > 0) {
            memmove(to, t.p, style);
            to += style;
        } else if (code == 0 && (c == NOT_TEXT && n == 1)) {
            *to++ = '?';
        } else if (code == 0 && is_control(c)) {
            if (!(rules.lines && line_end))
                *to++ = rules.lines && (c == '\n' || c == '\t') ? (char)c : ' ';
        } else if (code == 0 && !kr_is_direction_mark(c)) {
            memmove(to, t.p, n);
            to += n;
        }
        t.p += style > 0 ? style : code > 0 ? code : n;
    }
    return (size_t)(to - text);
}

void kr_printable(char *text)
{
    text[clean(text, strlen(text), (struct rules){false, false})] = '\0';
}

size_t kr_screen(const struct kr_term *term, char *text, size_t n)
{
    return clean(text, n, (struct rules){true, term->colour});
}

void kr_screen_json(const char *text, struct kr_buf *out)
{
    struct text t = {(const unsigned char *)text, (const unsigned char *)text + strlen(text)};
    size_t n;

    for (uint32_t c = next(&t, &n); n > 0; c = next(&t, &n)) {
        if (c >= 0x7f && (is_control(c) || kr_is_direction_mark(c)))
            kr_buf_addf(out, "\\u%04x", (unsigned)c);
        else
            kr_buf_add(out, (const char *)t.p, n);
        t.p += n;
    }
}
