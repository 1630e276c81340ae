/* SPDX-License-Identifier: Apache-2.0 */
#include "base/base64.h"

#include <string.h>

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void kr_base64_add(struct kr_buf *out, const void *bytes, size_t n)
{
    const unsigned char *in = bytes;
    size_t size;
    char *to;

    if (__builtin_mul_overflow((n + 2) / 3, 4, &size))
        size = (size_t)-1;
    to = kr_buf_reserve(out, size);
    if (to == NULL)
        return;
    for (size_t i = 0; i < n; i += 3) {
        unsigned rest = n - i >= 3 ? 3 : (unsigned)(n - i);
        unsigned v = (unsigned)in[i] << 16;

        if (rest > 1)
            v |= (unsigned)in[i + 1] << 8;
        if (rest > 2)
            v |= in[i + 2];
        *to++ = alphabet[v >> 18];
        *to++ = alphabet[v >> 12 & 63];
        *to++ = rest > 1 ? alphabet[v >> 6 & 63] : '=';
        *to++ = rest > 2 ? alphabet[v & 63] : '=';
    }
    out->n += size;
    *to = '\0';
}

static int value_of(char c)
{
    const char *at;

    if (c == '-')
        c = '+';
    if (c == '_')
        c = '/';
    at = c != '\0' ? strchr(alphabet, c) : NULL;
    return at != NULL ? (int)(at - alphabet) : -1;
}

bool kr_base64_decode(struct kr_buf *out, const char *text, size_t n)
{
    unsigned bits = 0, have = 0;

    while (n > 0 && text[n - 1] == '=')
        n--;
    if (n % 4 == 1)
        return false;
    for (size_t i = 0; i < n; i++) {
        int v = value_of(text[i]);

        if (v < 0)
            return false;
        bits = (bits << 6 | (unsigned)v) & 0xffffff;
        have += 6;
        if (have >= 8) {
            have -= 8;
            kr_buf_addc(out, (char)(unsigned char)(bits >> have & 0xff));
        }
    }
    return !out->failed;
}
