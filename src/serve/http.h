/* SPDX-License-Identifier: Apache-2.0 */
/* HTTP/1.1 requests: llhttp in strict mode plus what it leaves open (Host, obs-fold, bare LF,
 * limits). Pure: it reads the caller's growing buffer and keeps offsets into it, so the buffer may
 * move. The only place that includes llhttp. */
#ifndef KR_SERVE_HTTP_H
#define KR_SERVE_HTTP_H

#include "base/view.h"
#include "serve/chunks.h"

#include <llhttp.h>
#include <stdbool.h>
#include <stdint.h>

#define KR_HTTP_HEAD_MAX    16384
#define KR_HTTP_URL_MAX     8192
#define KR_HTTP_HEADERS_MAX 100

struct kr_span {
    uint32_t at, n;
};

struct kr_http_header {
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

enum kr_http_event { KR_HTTP_MORE, KR_HTTP_HEAD, KR_HTTP_DONE, KR_HTTP_BAD };

struct kr_http {
    llhttp_t parser;
    struct kr_chunks chunks;
    const char *base; /* the caller's buffer during kr_http_feed() */
    struct kr_span url, path, query;
    struct kr_http_header headers[KR_HTTP_HEADERS_MAX];
    uint32_t header_count;
    int8_t known[KR_KNOWN_COUNT]; /* index into headers, -1: absent */
    uint32_t head_end;            /* offset of the first byte behind the head */
    uint64_t content_length;
    bool chunked, has_body, head_done, in_value, want_continue;
    int bad_status; /* what to answer after KR_HTTP_BAD */
    const char *bad_reason;
    uint64_t body_raw; /* bytes behind the head as sent, with chunk framing */
    uint64_t body_n;
    uint64_t body_max;
    /* Bytes of the body as they come; 0, or the status that refuses them. */
    int (*on_body)(struct kr_http *http, const char *bytes, size_t n);
};

void kr_http_init(struct kr_http *http, uint64_t body_max,
                  int (*on_body)(struct kr_http *, const char *, size_t));

/* Forgets the last request; the buffer's next byte (offset 0) begins another. */
void kr_http_reset(struct kr_http *http);

/* Reads base[*at, n). *at is moved behind what was used. KR_HTTP_HEAD comes once per request, call
 * again for the body. */
enum kr_http_event kr_http_feed(struct kr_http *http, const char *base, size_t *at, size_t n);

/* A known header's value; .p is NULL when it is absent. */
struct kr_view kr_http_known(const struct kr_http *http, const char *base, enum kr_known which);
struct kr_view kr_http_view(const char *base, struct kr_span span);
const char *kr_http_method(const struct kr_http *http);
bool kr_http_keep_alive(const struct kr_http *http);

#endif
