/* SPDX-License-Identifier: Apache-2.0 */
#include "http/chunks.h"

#include <string.h>

#define DIGITS_MAX    16
#define EXTENSION_MAX 1024 /* of one chunk */
#define TRAILERS_MAX  8192

enum state {
    SIZE,
    EXTENSION,
    SIZE_LF,
    DATA,
    DATA_CR,
    DATA_LF,
    TRAILER, /* at the beginning of a line */
    NAME,
    VALUE,
    VALUE_LF,
    END_LF,
    DONE
};

enum { BAD = -1 };

static int hex(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

static bool is_token(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
           (c != '\0' && strchr("!#$%&'*+-.^_`|~", c) != NULL);
}

static bool is_text(char c)
{
    unsigned char u = (unsigned char)c;

    return u == '\t' || (u >= 0x20 && u != 0x7f);
}

static int size_line(struct kr_chunks *c, char byte)
{
    int digit = hex(byte);

    if (digit >= 0 && c->digits < DIGITS_MAX) {
        c->digits++;
        c->left = c->left * 16 + (unsigned)digit;
        return SIZE;
    }
    if (c->digits == 0 || digit >= 0)
        return BAD;
    c->extension = 0;
    return byte == '\r' ? SIZE_LF : byte == ';' ? EXTENSION : BAD;
}

/* Fields that would say something else of the message than its head did. */
static bool may_trail(const struct kr_chunks *c)
{
    static const char *const never[] = {"content-length", "transfer-encoding", "host",
                                        "connection",     "authorization",     "x-api-key"};

    for (size_t i = 0; i < sizeof(never) / sizeof(never[0]); i++) {
        if (c->name_n == strlen(never[i]) && memcmp(c->name, never[i], c->name_n) == 0)
            return false;
    }
    return true;
}

static int trailer_name(struct kr_chunks *c, char byte)
{
    if (byte == ':')
        return may_trail(c) ? VALUE : BAD;
    if (!is_token(byte))
        return BAD;
    if (c->name_n < sizeof(c->name))
        c->name[c->name_n] = byte >= 'A' && byte <= 'Z' ? (char)(byte + 32) : byte;
    c->name_n += c->name_n < sizeof(c->name);
    return NAME;
}

static int after_size(struct kr_chunks *c)
{
    c->digits = 0;
    return c->left > 0 ? DATA : TRAILER;
}

static int trailer_line(struct kr_chunks *c, char byte)
{
    if (++c->trailers > TRAILERS_MAX)
        return BAD;
    switch (c->state) {
    case TRAILER:
        c->name_n = 0;
        return byte == '\r' ? END_LF : byte != ':' ? trailer_name(c, byte) : BAD;
    case NAME:
        return trailer_name(c, byte);
    case VALUE:
        return byte == '\r' ? VALUE_LF : is_text(byte) ? VALUE : BAD;
    case VALUE_LF:
        return byte == '\n' ? TRAILER : BAD;
    default:
        return byte == '\n' ? DONE : BAD;
    }
}

/* The state after a byte of framing. */
static int step(struct kr_chunks *c, char byte)
{
    switch (c->state) {
    case SIZE:
        return size_line(c, byte);
    case EXTENSION:
        if (byte == '\r')
            return SIZE_LF;
        return is_text(byte) && ++c->extension <= EXTENSION_MAX ? EXTENSION : BAD;
    case SIZE_LF:
        return byte == '\n' ? after_size(c) : BAD;
    case DATA_CR:
        return byte == '\r' ? DATA_LF : BAD;
    case DATA_LF:
        return byte == '\n' ? SIZE : BAD;
    default:
        return trailer_line(c, byte);
    }
}

enum kr_chunk_event kr_chunks_next(struct kr_chunks *c, const char *bytes, size_t n, size_t *at,
                                   struct kr_view *data)
{
    while (*at < n) {
        if (c->state == DATA) {
            size_t some = c->left < n - *at ? (size_t)c->left : n - *at;

            *data = (struct kr_view){.p = bytes + *at, .n = some};
            *at += some;
            c->left -= some;
            c->state = c->left == 0 ? DATA_CR : DATA;
            return KR_CHUNK_DATA;
        }
        c->state = step(c, bytes[(*at)++]);
        if (c->state == BAD)
            return KR_CHUNK_BAD;
        if (c->state == DONE)
            return KR_CHUNK_DONE;
    }
    return KR_CHUNK_MORE;
}
