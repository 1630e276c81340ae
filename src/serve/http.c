/* SPDX-License-Identifier: Apache-2.0 */
#include "serve/http.h"

#include <string.h>
#include <strings.h>

#define LEADING_BLANK_MAX 64 /* empty lines before a request */

static struct kr_http *http_of(llhttp_t *parser)
{
    return parser->data;
}

static int bad(struct kr_http *http, int status, const char *reason)
{
    if (http->bad_status == 0) {
        http->bad_status = status;
        http->bad_reason = reason;
    }
    return HPE_USER;
}

/* Joins a piece to a span; false when it does not follow directly (a folded line). */
static bool extend(struct kr_span *span, const struct kr_http *http, const char *at, size_t n)
{
    uint32_t off = (uint32_t)(at - http->base);

    if (span->n == 0)
        span->at = off;
    else if (span->at + span->n != off)
        return false;
    span->n += (uint32_t)n;
    return true;
}

static int on_url(llhttp_t *parser, const char *at, size_t n)
{
    struct kr_http *http = http_of(parser);

    if (!extend(&http->url, http, at, n))
        return bad(http, 400, "Invalid request target");
    if (http->url.n > KR_HTTP_URL_MAX)
        return bad(http, 414, "Request target too long");
    return 0;
}

static int on_field(llhttp_t *parser, const char *at, size_t n)
{
    struct kr_http *http = http_of(parser);
    struct kr_http_header *h;

    if (http->head_done)
        return 0; /* trailers carry nothing we use */
    if (http->header_count == 0 || http->in_value) {
        if (http->header_count == KR_HTTP_HEADERS_MAX)
            return bad(http, 431, "Too many header fields");
        http->headers[http->header_count++] = (struct kr_http_header){.name = {0, 0}};
        http->in_value = false;
    }
    h = &http->headers[http->header_count - 1];
    if (!extend(&h->name, http, at, n))
        return bad(http, 400, "Invalid header field");
    return 0;
}

static int on_value(llhttp_t *parser, const char *at, size_t n)
{
    struct kr_http *http = http_of(parser);

    if (http->head_done)
        return 0;
    http->in_value = true;
    if (n != 0 && !extend(&http->headers[http->header_count - 1].value, http, at, n))
        return bad(http, 400, "Folded header lines are not allowed");
    return 0;
}

static int on_value_complete(llhttp_t *parser)
{
    http_of(parser)->in_value = true;
    return 0;
}

static int on_head(llhttp_t *parser)
{
    struct kr_http *http = http_of(parser);

    http->head_done = true;
    parser->upgrade = 0; /* upgrades are not offered; such a request is an ordinary one */
    return HPE_PAUSED;
}

static int on_body(llhttp_t *parser, const char *at, size_t n)
{
    struct kr_http *http = http_of(parser);
    int status;

    http->body_n += n;
    if (http->body_n > http->body_max)
        return bad(http, 413, "Request body too large");
    status = http->on_body(http, at, n);
    return status == 0 ? 0 : bad(http, status, "Request body could not be kept");
}

static int on_done(llhttp_t *parser)
{
    (void)parser;
    return HPE_PAUSED;
}

static const llhttp_settings_t settings = {
    .on_url = on_url,
    .on_header_field = on_field,
    .on_header_value = on_value,
    .on_header_value_complete = on_value_complete,
    .on_headers_complete = on_head,
    .on_body = on_body,
    .on_message_complete = on_done,
};

void kr_http_init(struct kr_http *http, uint64_t body_max,
                  int (*keep)(struct kr_http *, const char *, size_t))
{
    http->body_max = body_max;
    http->on_body = keep;
    kr_http_reset(http);
}

void kr_http_reset(struct kr_http *http)
{
    llhttp_init(&http->parser, HTTP_REQUEST, &settings);
    http->parser.data = http;
    http->url = http->path = http->query = (struct kr_span){0, 0};
    http->header_count = 0;
    memset(http->known, -1, sizeof(http->known));
    http->head_end = 0;
    http->content_length = 0;
    http->chunked = http->has_body = http->head_done = http->in_value = false;
    http->want_continue = false;
    http->bad_status = 0;
    http->bad_reason = NULL;
    http->body_raw = http->body_n = 0;
}

struct kr_view kr_http_view(const char *base, struct kr_span span)
{
    return (struct kr_view){.p = base + span.at, .n = span.n};
}

struct kr_view kr_http_known(const struct kr_http *http, const char *base, enum kr_known which)
{
    if (http->known[which] < 0)
        return (struct kr_view){.p = NULL, .n = 0};
    return kr_view_trim(kr_http_view(base, http->headers[http->known[which]].value));
}

const char *kr_http_method(const struct kr_http *http)
{
    return llhttp_method_name((llhttp_method_t)http->parser.method);
}

bool kr_http_keep_alive(const struct kr_http *http)
{
    return llhttp_should_keep_alive(&http->parser) == 1;
}

static const struct {
    const char *name;
    uint8_t n;
    uint8_t which;
    bool once; /* a second one makes the request ambiguous */
} known_names[] = {
    {"host", 4, KR_H_HOST, true},
    {"authorization", 13, KR_H_AUTHORIZATION, true},
    {"x-api-key", 9, KR_H_API_KEY, true},
    {"origin", 6, KR_H_ORIGIN, true},
    {"sec-fetch-site", 14, KR_H_FETCH_SITE, true},
    {"access-control-request-method", 29, KR_H_ACR_METHOD, false},
    {"access-control-request-headers", 30, KR_H_ACR_HEADERS, false},
    {"accept", 6, KR_H_ACCEPT, false},
    {"x-request-id", 12, KR_H_REQUEST_ID, false},
    {"expect", 6, KR_H_EXPECT, true},
    {"content-type", 12, KR_H_CONTENT_TYPE, true},
    {"content-encoding", 16, KR_H_CONTENT_ENCODING, true},
    {"transfer-encoding", 17, KR_H_TRANSFER_ENCODING, true},
    {"if-none-match", 13, KR_H_IF_NONE_MATCH, false},
};

static bool index_headers(struct kr_http *http)
{
    for (uint32_t i = 0; i < http->header_count; i++) {
        struct kr_view name = kr_http_view(http->base, http->headers[i].name);

        for (size_t k = 0; k < KR_ARRAY_LEN(known_names); k++) {
            int8_t *slot;

            if (name.n != known_names[k].n || strncasecmp(name.p, known_names[k].name, name.n) != 0)
                continue;
            slot = &http->known[known_names[k].which];
            if (*slot >= 0 && known_names[k].once)
                return false;
            if (*slot < 0)
                *slot = (int8_t)i;
            break;
        }
    }
    return true;
}

/* Every line must end in CRLF and none may be continued on the next. */
static bool lines_are_strict(const char *head, size_t n)
{
    const char *p = head, *end = head + n;

    while ((p = memchr(p, '\n', (size_t)(end - p))) != NULL) {
        if (p == head || p[-1] != '\r')
            return false;
        p++;
        if (p < end && (*p == ' ' || *p == '\t'))
            return false;
    }
    return true;
}

static bool split_target(struct kr_http *http)
{
    struct kr_view url = kr_http_view(http->base, http->url);
    const char *query;
    uint32_t at = 0;

    if (url.n == 1 && url.p[0] == '*' && http->parser.method == HTTP_OPTIONS) {
        http->path = http->url;
        return true;
    }
    if (url.n >= 7 && url.p[0] != '/') { /* absolute form */
        const char *host, *slash;

        if (strncasecmp(url.p, "http://", 7) == 0)
            host = url.p + 7;
        else if (url.n >= 8 && strncasecmp(url.p, "https://", 8) == 0)
            host = url.p + 8;
        else
            return false;
        slash = memchr(host, '/', url.n - (size_t)(host - url.p));
        if (slash == NULL)
            return false;
        at = (uint32_t)(slash - url.p);
    }
    if (at >= url.n || url.p[at] != '/')
        return false;
    query = memchr(url.p + at, '?', url.n - at);
    http->path.at = http->url.at + at;
    http->path.n = (query != NULL ? (uint32_t)(query - url.p) : http->url.n) - at;
    if (query != NULL) {
        http->query.at = http->url.at + (uint32_t)(query - url.p) + 1;
        http->query.n = http->url.n - (uint32_t)(query - url.p) - 1;
    }
    return true;
}

static bool host_is_fine(const struct kr_http *http)
{
    struct kr_view host = kr_http_known(http, http->base, KR_H_HOST);

    if (host.p == NULL)
        return http->parser.http_minor == 0;
    for (size_t i = 0; i < host.n; i++) {
        unsigned char c = (unsigned char)host.p[i];

        if (c <= 0x20 || c >= 0x7f || strchr("/?#@\\,\"<>", c) != NULL)
            return false;
    }
    return host.n != 0;
}

/* What llhttp leaves open. Returns 0 or the status to refuse with. */
static int check_head(struct kr_http *http)
{
    struct kr_view te, expect;

    if (http->parser.http_major != 1 || http->parser.http_minor > 1)
        return bad(http, 505, "HTTP version not supported");
    if (!lines_are_strict(http->base, http->head_end))
        return bad(http, 400, "Header lines must end in CRLF and must not be folded");
    if (!index_headers(http))
        return bad(http, 400, "A header field that may occur once is repeated");
    if (!host_is_fine(http))
        return bad(http, 400, "Missing or invalid Host header");
    if (!split_target(http))
        return bad(http, 400, "Invalid request target");
    te = kr_http_known(http, http->base, KR_H_TRANSFER_ENCODING);
    if (te.p != NULL && (http->parser.http_minor == 0 || !kr_view_eq_nocase(te, "chunked") ||
                         (http->parser.flags & F_CONTENT_LENGTH) != 0))
        return bad(http, 400, "Transfer-Encoding not understood");
    http->chunked = te.p != NULL;
    if ((http->parser.flags & F_CONTENT_LENGTH) != 0)
        http->content_length = http->parser.content_length;
    http->has_body = http->chunked || http->content_length > 0;
    if (http->content_length > http->body_max)
        return bad(http, 413, "Request body too large");
    expect = kr_http_known(http, http->base, KR_H_EXPECT);
    if (expect.p != NULL && http->parser.http_minor == 1) {
        if (!kr_view_eq_nocase(expect, "100-continue"))
            return bad(http, 417, "Expectation not supported");
        http->want_continue = http->has_body;
    }
    return 0;
}

static bool looks_like_method(const char *p, size_t n)
{
    size_t i = 0;

    while (i < n && i < 24 && p[i] >= 'A' && p[i] <= 'Z')
        i++;
    return i > 0 && (i == n || p[i] == ' ');
}

/* The line of a request whose method llhttp does not know, without its end. */
static void check_unknown(struct kr_http *http, struct kr_view line)
{
    struct kr_view target;

    (void)kr_view_cut(&line, ' ', &target); /* the method */
    (void)kr_view_cut(&line, ' ', &target);
    for (size_t i = 0; i < target.n; i++) {
        if (target.p[i] <= 0x20 || target.p[i] >= 0x7f)
            target.n = 0;
    }
    if (target.n == 0 || line.n != 8 || memcmp(line.p, "HTTP/", 5) != 0)
        (void)bad(http, 400, "Invalid HTTP request");
    else if (memcmp(line.p, "HTTP/1.0", 8) != 0 && memcmp(line.p, "HTTP/1.1", 8) != 0)
        (void)bad(http, 505, "HTTP version not supported");
    else
        (void)bad(http, 405, "Method Not Allowed");
}

/* llhttp stops at the first letter that fits no method; what is said of it depends on the whole
 * line, for which is waited. */
static enum kr_http_event unknown_method(struct kr_http *http, size_t *at, size_t n)
{
    const char *end = memchr(http->base, '\n', n);
    size_t length = end != NULL ? (size_t)(end - http->base) : n;

    if (end == NULL && length <= KR_HTTP_URL_MAX) {
        *at = n;
        return KR_HTTP_MORE;
    }
    if (length > KR_HTTP_URL_MAX)
        (void)bad(http, 414, "Request target too long");
    else if (end[-1] != '\r')
        (void)bad(http, 400, "Invalid HTTP request");
    else
        check_unknown(http, (struct kr_view){http->base, length - 1});
    return KR_HTTP_BAD;
}

static enum kr_http_event parser_failed(struct kr_http *http, size_t *at, size_t n)
{
    llhttp_errno_t code = llhttp_get_errno(&http->parser);

    if (code == HPE_INVALID_METHOD && looks_like_method(http->base, n))
        return unknown_method(http, at, n);
    if (code == HPE_INVALID_VERSION)
        (void)bad(http, 505, "HTTP version not supported");
    else
        (void)bad(http, 400, "Invalid HTTP request");
    return KR_HTTP_BAD;
}

/* What is refused does not depend on the pieces in which it came. */
static enum kr_http_event limits(struct kr_http *http, size_t at)
{
    size_t head = http->head_done ? http->head_end : at;
    size_t blank = http->url.n == 0 ? head : http->url.at;

    if (head > KR_HTTP_HEAD_MAX) {
        (void)bad(http, http->header_count == 0 ? 414 : 431, "Request header fields too large");
        return KR_HTTP_BAD;
    }
    if (blank > LEADING_BLANK_MAX && http->base[0] == '\r') {
        (void)bad(http, 400, "Invalid HTTP request");
        return KR_HTTP_BAD;
    }
    /* Chunk sizes and extensions may not outweigh the body without bound. */
    if (http->chunked && http->body_raw > 65536 + 8 * http->body_n) {
        (void)bad(http, 400, "Chunk framing too large");
        return KR_HTTP_BAD;
    }
    return KR_HTTP_MORE;
}

enum kr_http_event kr_http_feed(struct kr_http *http, const char *base, size_t *at, size_t n)
{
    bool had_head = http->head_done;
    size_t from = *at;
    llhttp_errno_t code;

    http->base = base;
    if (llhttp_get_errno(&http->parser) == HPE_PAUSED)
        llhttp_resume(&http->parser);
    code = llhttp_execute(&http->parser, base + from, n - from);
    if (code == HPE_OK)
        *at = n;
    else if (code == HPE_PAUSED)
        *at = (size_t)(llhttp_get_error_pos(&http->parser) - base);
    else if (http->bad_status != 0)
        return KR_HTTP_BAD;
    else
        return parser_failed(http, at, n);
    if (had_head)
        http->body_raw += *at - from;
    else if (code == HPE_PAUSED)
        http->head_end = (uint32_t)*at;
    if (limits(http, *at) == KR_HTTP_BAD)
        return KR_HTTP_BAD;
    if (code == HPE_OK)
        return KR_HTTP_MORE;
    if (had_head)
        return KR_HTTP_DONE;
    return check_head(http) == 0 ? KR_HTTP_HEAD : KR_HTTP_BAD;
}
