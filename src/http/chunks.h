/* SPDX-License-Identifier: Apache-2.0 */
/* A body in chunks (RFC 9112, 7.1), read so that no other reader can cut it elsewhere: every line
 * ends in CRLF, nothing is folded, extensions and trailers are bounded and dropped. Pure. */
#ifndef KR_HTTP_CHUNKS_H
#define KR_HTTP_CHUNKS_H

#include "base/view.h"

#include <stdint.h>

enum kr_chunk_event {
    KR_CHUNK_MORE, /* all bytes were used */
    KR_CHUNK_DATA,
    KR_CHUNK_DONE, /* trailers included */
    KR_CHUNK_BAD
};

struct kr_chunks {
    int state;
    uint64_t left; /* bytes of this chunk */
    uint32_t digits, extension, trailers;
    char name[20]; /* of a trailer, its beginning in small letters */
    uint32_t name_n;
};

/* A zeroed struct begins a body. Reads bytes[*at, n) and moves *at. */
enum kr_chunk_event kr_chunks_next(struct kr_chunks *c, const char *bytes, size_t n, size_t *at,
                                   struct kr_view *data);

#endif
