/* SPDX-License-Identifier: Apache-2.0 */
/* HTTP/1.1 requests: llhttp in strict mode plus what it leaves open (Host, obs-fold, bare LF,
 * limits). Pure: it reads the caller's growing buffer and keeps offsets into it, so the buffer may
 * move. The only place that includes llhttp. */
#ifndef KR_HTTP_HTTP_H
#define KR_HTTP_HTTP_H

#include "base/view.h"
#include "http/chunks.h"

#include <llhttp.h>
#include <stdbool.h>
#include <stdint.h>

#define KR_HTTP_HEAD_MAX    16384
#define KR_HTTP_URL_MAX     8192
#define KR_HTTP_HEADERS_MAX 100

struct kr_span {
    uint32_t at, n;
};

struct kr_request_header {
    struct kr_span name, value;
};

/* Headers the front itself looks at. */
enum kr_known {
    KR_H_HOST,
    KR_H_AUTHORIZATION,
    KR_H_API_KEY,
    KR_H_ORIGIN,
    KR_H_FETCH_SITE,
    KR_H_ACR_METHOD,
    KR_H_ACR_HEADERS,
    KR_H_ACCEPT,
    KR_H_REQUEST_ID,
    KR_H_EXPECT,
    KR_H_CONTENT_TYPE,
    KR_H_CONTENT_ENCODING,
    KR_H_TRANSFER_ENCODING,
    KR_H_IF_NONE_MATCH,
    KR_KNOWN_COUNT
};

enum kr_request_event { KR_REQUEST_MORE, KR_REQUEST_HEAD, KR_REQUEST_DONE, KR_REQUEST_BAD };

struct kr_request {
    llhttp_t parser;
    struct kr_chunks chunks;
    const char *base; /* the caller's buffer during kr_request_feed() */
    struct kr_span url, path, query;
    struct kr_request_header headers[KR_HTTP_HEADERS_MAX];
    uint32_t header_count;
    int8_t known[KR_KNOWN_COUNT]; /* index into headers, -1: absent */
    uint32_t head_end;            /* offset of the first byte behind the head */
    uint64_t content_length;
    bool chunked, has_body, head_done, in_value, want_continue;
    int bad_status; /* what to answer after KR_REQUEST_BAD */
    const char *bad_reason;
    uint64_t body_raw; /* bytes behind the head as sent, with chunk framing */
    uint64_t body_n;
    uint64_t body_max;
    /* Bytes of the body as they come; 0, or the status that refuses them. */
    int (*on_body)(struct kr_request *req, const char *bytes, size_t n);
};

void kr_request_init(struct kr_request *req, uint64_t body_max,
                     int (*on_body)(struct kr_request *, const char *, size_t));

/* Forgets the last request; the buffer's next byte (offset 0) begins another. */
void kr_request_reset(struct kr_request *req);

/* Reads base[*at, n). *at is moved behind what was used. KR_REQUEST_HEAD comes once per request,
 * call again for the body. */
enum kr_request_event kr_request_feed(struct kr_request *req, const char *base, size_t *at,
                                      size_t n);

/* A known header's value; .p is NULL when it is absent. */
struct kr_view kr_request_known(const struct kr_request *req, const char *base,
                                enum kr_known which);
struct kr_view kr_request_view(const char *base, struct kr_span span);
const char *kr_request_method(const struct kr_request *req);
bool kr_request_keep_alive(const struct kr_request *req);

#endif
