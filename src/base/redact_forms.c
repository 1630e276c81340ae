/* SPDX-License-Identifier: Apache-2.0 */
#include "base/redact_forms.h"

#include "base/buf.h"
#include "base/plausible.h"
#include "base/view.h"

#include <string.h>

enum style {
    JSON_ASCII,
    JSON_TEXT,
    REPR_TEXT,
    REPR_QUOTED,
    REPR_BYTES,
    REPR_BYTES_QUOTED,
    URL,
    URL_PATH,
    STYLES
};

/* Length of the character at p (1 for a byte that begins none), and its code point. */
static size_t character(const unsigned char *p, size_t left, unsigned *code)
{
    size_t n = p[0] >= 0xf0 ? 4 : p[0] >= 0xe0 ? 3 : p[0] >= 0xc0 ? 2 : 1;

    *code = p[0];
    if (n == 1 || n > left)
        return 1;
    *code = p[0] & (0xffu >> (n + 1));
    for (size_t i = 1; i < n; i++) {
        if ((p[i] & 0xc0) != 0x80)
            return 1;
        *code = *code << 6 | (p[i] & 0x3f);
    }
    return n;
}

static const char *short_escape(unsigned char c, enum style style)
{
    switch (c) {
    case '\n':
        return "\\n";
    case '\r':
        return "\\r";
    case '\t':
        return "\\t";
    case '\\':
        return "\\\\";
    case '\b':
        return style <= JSON_TEXT ? "\\b" : NULL;
    case '\f':
        return style <= JSON_TEXT ? "\\f" : NULL;
    case '"':
        return style <= JSON_TEXT ? "\\\"" : NULL;
    case '\'':
        return style == REPR_QUOTED || style == REPR_BYTES_QUOTED ? "\\'" : NULL;
    default:
        return NULL;
    }
}

static void add_url(struct kr_buf *out, unsigned char c, enum style style)
{
    bool plain = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                 (c != '\0' && strchr("-._~", c) != NULL) || (c == '/' && style == URL_PATH);

    if (plain)
        kr_buf_addc(out, (char)c);
    else
        kr_buf_addf(out, "%%%02X", c);
}

static size_t add_one(struct kr_buf *out, const char *at, size_t left, enum style style)
{
    const unsigned char *p = (const unsigned char *)at;
    const char *escape;
    unsigned code;
    size_t n = character(p, left, &code);

    if (style >= URL) {
        add_url(out, p[0], style);
        return 1;
    }
    escape = short_escape(p[0], style);
    if (escape != NULL) {
        kr_buf_adds(out, escape);
    } else if (p[0] < 0x20 || p[0] == 0x7f) {
        if (style > JSON_TEXT)
            kr_buf_addf(out, "\\x%02x", p[0]);
        else if (p[0] == 0x7f)
            kr_buf_addc(out, 0x7f);
        else
            kr_buf_addf(out, "\\u%04x", p[0]);
    } else if (p[0] >= 0x80 && style >= REPR_BYTES) {
        kr_buf_addf(out, "\\x%02x", p[0]);
        return 1;
    } else if (n > 1 && style == JSON_ASCII) {
        if (code >= 0x10000)
            kr_buf_addf(out, "\\u%04x\\u%04x", 0xd800 + ((code - 0x10000) >> 10),
                        0xdc00 + ((code - 0x10000) & 0x3ff));
        else
            kr_buf_addf(out, "\\u%04x", code);
    } else {
        kr_buf_add(out, at, n);
    }
    return n;
}

static void give(struct kr_view value, void (*found)(void *data, const char *form, size_t n),
                 void *data)
{
    kr_auto_buf struct kr_buf form = KR_BUF_INIT(value.n * 6 + 64);

    found(data, value.p, value.n);
    for (unsigned style = JSON_ASCII; style < STYLES; style++) {
        for (size_t at = 0; at < value.n;)
            at += add_one(&form, value.p + at, value.n - at, (enum style)style);
        if (form.n != value.n || memcmp(form.p, value.p, form.n) != 0)
            found(data, form.p, form.n);
        if (form.p != NULL)
            explicit_bzero(form.p, form.n);
        kr_buf_reset(&form);
    }
}

void kr_redact_forms(const char *secret, void (*found)(void *data, const char *form, size_t n),
                     void *data)
{
    struct kr_view rest = kr_view_of(secret), line;
    bool more = strpbrk(secret, "\r\n") != NULL;

    give(rest, found, data);
    while (more) {
        more = kr_view_cut(&rest, '\n', &line);
        line = kr_view_trim(line);
        if (kr_plausible(line.p, line.n) != KR_PLAUSIBLE_NO)
            give(line, found, data);
    }
}
