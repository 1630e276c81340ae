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

const char *kr_uuid4_of(const unsigned char random[KR_UUID_BYTES], char text[KR_UUID_SIZE])
{
    static const char hex[] = "0123456789abcdef";
    char *to = text;

    for (size_t i = 0; i < KR_UUID_BYTES; i++) {
        unsigned b = i == 6   ? (random[i] & 0x0fU) | 0x40U /* the version */
                     : i == 8 ? (random[i] & 0x3fU) | 0x80U /* the variant */
                              : random[i];

        if (i == 4 || i == 6 || i == 8 || i == 10)
            *to++ = '-';
        *to++ = hex[b >> 4];
        *to++ = hex[b & 15];
    }
    *to = '\0';
    return text;
}

const char *kr_uuid4(char text[KR_UUID_SIZE])
{
    unsigned char random[KR_UUID_BYTES];

    kr_random_bytes(random, sizeof(random));
    return kr_uuid4_of(random, text);
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
