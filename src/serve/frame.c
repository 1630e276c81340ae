/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/frame.h"

#include <string.h>

uint32_t kr_u32_get(const char *p)
{
    const unsigned char *u = (const unsigned char *)p;

    return (uint32_t)u[0] | (uint32_t)u[1] << 8 | (uint32_t)u[2] << 16 | (uint32_t)u[3] << 24;
}

uint64_t kr_u64_get(const char *p)
{
    return (uint64_t)kr_u32_get(p) | (uint64_t)kr_u32_get(p + 4) << 32;
}

void kr_u32_put(char *p, uint32_t v)
{
    p[0] = (char)(v & 0xff);
    p[1] = (char)(v >> 8 & 0xff);
    p[2] = (char)(v >> 16 & 0xff);
    p[3] = (char)(v >> 24);
}

void kr_u64_put(char *p, uint64_t v)
{
    kr_u32_put(p, (uint32_t)v);
    kr_u32_put(p + 4, (uint32_t)(v >> 32));
}

long kr_frame_take(const char *bytes, size_t n, struct kr_frame *out, size_t *need)
{
    uint32_t size;

    *need = KR_FRAME_HEADER;
    if (n < KR_FRAME_HEADER)
        return 0;
    size = kr_u32_get(bytes);
    if (size > KR_FRAME_MAX)
        return -1;
    *need = (size_t)size + KR_FRAME_HEADER;
    if (n < *need)
        return 0;
    out->size = size;
    out->id = kr_u32_get(bytes + 4);
    out->type = (uint8_t)bytes[8];
    out->flags = (uint8_t)bytes[9];
    out->status = (uint16_t)((unsigned char)bytes[10] | (unsigned char)bytes[11] << 8);
    out->payload = bytes + KR_FRAME_HEADER;
    return (long)*need;
}

void kr_frame_put(struct kr_buf *buf, uint8_t type, uint8_t flags, uint16_t status, uint32_t id,
                  uint32_t payload_size)
{
    char *p = kr_buf_reserve(buf, KR_FRAME_HEADER);

    if (p == NULL)
        return;
    kr_u32_put(p, payload_size);
    kr_u32_put(p + 4, id);
    p[8] = (char)type;
    p[9] = (char)flags;
    p[10] = (char)(status & 0xff);
    p[11] = (char)(status >> 8);
    buf->n += KR_FRAME_HEADER;
}
