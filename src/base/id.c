/* SPDX-License-Identifier: Apache-2.0 */
#include "base/id.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

void kr_random_bytes(void *bytes, size_t n)
{
    char *p = bytes;

    while (n > 0) {
        ssize_t got = getrandom(p, n, 0);

        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            abort(); /* no randomness: going on would make guessable keys */
        p += got;
        n -= (size_t)got;
    }
}

const char *kr_uuid4(char text[KR_UUID_SIZE])
{
    static const char hex[] = "0123456789abcdef";
    uint8_t b[16];
    char *to = text;

    kr_random_bytes(b, sizeof(b));
    b[6] = (uint8_t)((b[6] & 0x0f) | 0x40);
    b[8] = (uint8_t)((b[8] & 0x3f) | 0x80);
    for (size_t i = 0; i < sizeof(b); i++) {
        if (i == 4 || i == 6 || i == 8 || i == 10)
            *to++ = '-';
        *to++ = hex[b[i] >> 4];
        *to++ = hex[b[i] & 15];
    }
    *to = '\0';
    return text;
}

bool kr_uuid_is(const char *text)
{
    if (strlen(text) != KR_UUID_SIZE - 1)
        return false;
    for (size_t i = 0; text[i] != '\0'; i++) {
        char c = text[i];

        if (i == 8 || i == 13 || i == 18 || i == 23) {
            if (c != '-')
                return false;
        } else if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'))) {
            return false;
        }
    }
    return true;
}

void kr_random_alnum(char *text, size_t n)
{
    static const char set[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    uint8_t b;

    for (size_t i = 0; i < n;) {
        kr_random_bytes(&b, 1);
        if (b >= 248) /* 4 * 62: the rest would make some letters likelier */
            continue;
        text[i++] = set[b % 62];
    }
    text[n] = '\0';
}
