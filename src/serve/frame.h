/* SPDX-License-Identifier: Apache-2.0 */
/* Codec of the worker protocol (docs/worker-protocol.md). Pure: bytes in, fields out. */
#ifndef KR_SERVE_FRAME_H
#define KR_SERVE_FRAME_H

#include "base/buf.h"

#include <stddef.h>
#include <stdint.h>

#define KR_FRAME_VERSION      1
#define KR_FRAME_HEADER       12
#define KR_FRAME_MAX          (16u * 1024 * 1024)
#define KR_FRAME_FD_THRESHOLD (256u * 1024)
#define KR_RUN_ID_LEN         36
#define KR_FRAME_REQUEST_LEAD (4 + KR_RUN_ID_LEN) /* what precedes the body of a REQUEST */

enum kr_frame_type {
    KR_T_REQUEST = 1,
    KR_T_CANCEL = 2,
    KR_T_DRAIN = 3,
    KR_T_PAUSE = 4,
    KR_T_RESUME = 5,
    KR_T_BODY = 6,
    KR_T_RECALL = 7,
    KR_T_PING = 8,
    KR_T_SPAWN = 9,
    KR_T_HELLO = 16,
    KR_T_READY = 17,
    KR_T_FATAL = 18,
    KR_T_RESPONSE = 19,
    KR_T_CHUNK = 20,
    KR_T_TAKEN = 21,
    KR_T_RETURNED = 22,
    KR_T_PONG = 23,
    KR_T_SPAWNED = 24,
    KR_T_REFUSED = 25,
};

enum {
    KR_F_FD = 1,
    KR_F_RUN_OK = 2,
    KR_F_HEAD = 4,
    KR_F_OUTPUTS = 8,
    KR_F_MORE = 16,  /* REQUEST, BODY: more of the body follows; CANCEL: an answer is still taken */
    KR_F_CUT = 32,   /* RESPONSE that ends a stream: it must not look whole */
    KR_F_FAILED = 64 /* RESPONSE: the text says what the worker could not do */
};
enum kr_kind { KR_K_INVOKE, KR_K_STREAM, KR_K_BATCH, KR_K_CUSTOM, KR_KIND_COUNT };
#define KR_K_ARGUMENTS 4 /* how an invocation travels to a worker that wants its arguments */

struct kr_frame {
    uint32_t size; /* of the payload */
    uint32_t id;
    uint8_t type;
    uint8_t flags;
    uint16_t status;
    const char *payload; /* into the caller's bytes */
};

/* Takes one frame off the front of bytes. Returns its whole length, 0 when there is not enough yet
 * (*need: how long it will be, at least the header), -1 when it is longer than the protocol
 * allows. */
long kr_frame_take(const char *bytes, size_t n, struct kr_frame *out, size_t *need);

void kr_frame_put(struct kr_buf *buf, uint8_t type, uint8_t flags, uint16_t status, uint32_t id,
                  uint32_t payload_size);

uint32_t kr_u32_get(const char *p);
uint64_t kr_u64_get(const char *p);
void kr_u32_put(char *p, uint32_t v);
void kr_u64_put(char *p, uint64_t v);

#endif
