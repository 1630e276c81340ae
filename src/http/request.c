/* SPDX-License-Identifier: Apache-2.0 */
#include "http/request.h"

#include <string.h>
#include <strings.h>

#define LEADING_BLANK_MAX 64 /* empty lines before a request */

static struct kr_request *http_of(llhttp_t *parser)
{
    return parser->data;
}

static int bad(struct kr_request *req, int status, const char *reason)
{
    if (req->bad_status == 0) {
        req->bad_status = status;
        req->bad_reason = reason;
    }
    return HPE_USER;
}

/* Joins a piece to a span; false when it does not follow directly (a folded line). */
static bool extend(struct kr_span *span, const struct kr_request *req, const char *at, size_t n)
{
    uint32_t off = (uint32_t)(at - req->base);

    if (span->n == 0)
        span->at = off;
    else if (span->at + span->n != off)
        return false;
    span->n += (uint32_t)n;
    return true;
}

static int on_url(llhttp_t *parser, const char *at, size_t n)
{
    struct kr_request *req = http_of(parser);

    if (!extend(&req->url, req, at, n))
        return bad(req, 400, "Invalid request target");
    if (req->url.n > KR_HTTP_URL_MAX)
        return bad(req, 414, "Request target too long");
    return 0;
}

static int on_field(llhttp_t *parser, const char *at, size_t n)
{
    struct kr_request *req = http_of(parser);
    struct kr_request_header *h;

    if (req->header_count == 0 || req->in_value) {
        if (req->header_count == KR_HTTP_HEADERS_MAX)
            return bad(req, 431, "Too many header fields");
        req->headers[req->header_count++] = (struct kr_request_header){.name = {0, 0}};
        req->in_value = false;
    }
    h = &req->headers[req->header_count - 1];
    if (!extend(&h->name, req, at, n))
        return bad(req, 400, "Invalid header field");
    return 0;
}

static int on_value(llhttp_t *parser, const char *at, size_t n)
{
    struct kr_request *req = http_of(parser);

    req->in_value = true;
    if (n != 0 && !extend(&req->headers[req->header_count - 1].value, req, at, n))
        return bad(req, 400, "Folded header lines are not allowed");
    return 0;
}

static int on_value_complete(llhttp_t *parser)
{
    http_of(parser)->in_value = true;
    return 0;
}

static int on_head(llhttp_t *parser)
{
    struct kr_request *req = http_of(parser);

    req->head_done = true;
    parser->upgrade = 0; /* upgrades are not offered; such a request is an ordinary one */
    return HPE_PAUSED;
}

static const llhttp_settings_t settings = {
    .on_url = on_url,
    .on_header_field = on_field,
    .on_header_value = on_value,
    .on_header_value_complete = on_value_complete,
    .on_headers_complete = on_head,
};

void kr_request_init(struct kr_request *req, uint64_t body_max,
                     int (*keep)(struct kr_request *, const char *, size_t))
{
    req->body_max = body_max;
    req->on_body = keep;
    kr_request_reset(req);
}

void kr_request_reset(struct kr_request *req)
{
    llhttp_init(&req->parser, HTTP_REQUEST, &settings);
    req->parser.data = req;
    req->url = req->path = req->query = (struct kr_span){0, 0};
    req->header_count = 0;
    memset(req->known, -1, sizeof(req->known));
    req->head_end = 0;
    req->content_length = 0;
    req->chunked = req->has_body = req->head_done = req->in_value = false;
    req->want_continue = false;
    req->bad_status = 0;
    req->bad_reason = NULL;
    req->body_raw = req->body_n = 0;
    req->chunks = (struct kr_chunks){0};
}

struct kr_view kr_request_view(const char *base, struct kr_span span)
{
    return (struct kr_view){.p = base + span.at, .n = span.n};
}

struct kr_view kr_request_known(const struct kr_request *req, const char *base, enum kr_known which)
{
    if (req->known[which] < 0)
        return (struct kr_view){.p = NULL, .n = 0};
    return kr_view_trim(kr_request_view(base, req->headers[req->known[which]].value));
}

const char *kr_request_method(const struct kr_request *req)
{
    return llhttp_method_name((llhttp_method_t)req->parser.method);
}

bool kr_request_keep_alive(const struct kr_request *req)
{
    return llhttp_should_keep_alive(&req->parser) == 1;
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

static bool index_headers(struct kr_request *req)
{
    for (uint32_t i = 0; i < req->header_count; i++) {
        struct kr_view name = kr_request_view(req->base, req->headers[i].name);

        for (size_t k = 0; k < KR_ARRAY_LEN(known_names); k++) {
            int8_t *slot;

            if (name.n != known_names[k].n || strncasecmp(name.p, known_names[k].name, name.n) != 0)
                continue;
            slot = &req->known[known_names[k].which];
            if (*slot >= 0 && known_names[k].once)
                return false;
            if (*slot < 0)
                *slot = (int8_t)i;
            break;
        }
    }
    return true;
}

/* Every line must end in CRLF, none may be continued on the next, each begins with a name. */
static bool lines_are_strict(const char *head, size_t n)
{
    const char *p = head, *end = head + n;

    while ((p = memchr(p, '\n', (size_t)(end - p))) != NULL) {
        if (p == head || p[-1] != '\r')
            return false;
        p++;
        if (p < end && (*p == ' ' || *p == '\t' || *p == ':'))
            return false;
    }
    return true;
}

/* "GET /path HTTP/1.1", with one space each, behind nothing but empty lines. */
static bool line_is_strict(const struct kr_request *req)
{
    const char *p = req->base, *end = req->base + req->head_end, *cr;
    struct kr_view line, part;

    while (p + 1 < end && p[0] == '\r' && p[1] == '\n')
        p += 2;
    cr = memchr(p, '\r', (size_t)(end - p));
    if (cr == NULL || *p == '\r')
        return false;
    line = (struct kr_view){p, (size_t)(cr - p)};
    if (!kr_view_cut(&line, ' ', &part) || part.n == 0 || !kr_view_cut(&line, ' ', &part) ||
        part.n != req->url.n)
        return false;
    return kr_view_eq(line, "HTTP/1.1") || kr_view_eq(line, "HTTP/1.0");
}

/* "name", "name:80", "[v6]:80": letters, digits and what else names and addresses are made of. */
static bool is_authority(struct kr_view a)
{
    size_t i = 0, digits = 0;
    unsigned port = 0;

    if (a.n > 0 && a.p[0] == '[') {
        for (i = 1; i < a.n && a.p[i] != ']'; i++) {
            if (strchr("0123456789abcdefABCDEF:.", a.p[i]) == NULL || a.p[i] == '\0')
                return false;
        }
        if (i++ >= a.n || i < 4)
            return false;
    } else {
        while (i < a.n && ((a.p[i] >= '0' && a.p[i] <= '9') || (a.p[i] >= 'a' && a.p[i] <= 'z') ||
                           (a.p[i] >= 'A' && a.p[i] <= 'Z') || a.p[i] == '-' || a.p[i] == '.' ||
                           a.p[i] == '_' || a.p[i] == '~'))
            i++;
        if (i == 0)
            return false;
    }
    if (i == a.n)
        return true;
    for (digits = 0; i + 1 + digits < a.n; digits++) {
        char c = a.p[i + 1 + digits];

        if (c < '0' || c > '9' || digits == 5)
            return false;
        port = port * 10 + (unsigned)(c - '0');
    }
    return a.p[i] == ':' && port <= 65535;
}

/* Of "http://name:80/path": the length up to the path, 0 when it is not that, or does not name the
 * host that the head names. */
static uint32_t absolute_form(const struct kr_request *req, struct kr_view url)
{
    struct kr_view host = kr_request_known(req, req->base, KR_H_HOST), authority;
    size_t scheme = url.n > 8 && strncasecmp(url.p, "https://", 8) == 0  ? 8
                    : url.n > 7 && strncasecmp(url.p, "http://", 7) == 0 ? 7
                                                                         : 0;
    size_t at = scheme;

    while (at < url.n && url.p[at] != '/' && url.p[at] != '?')
        at++;
    authority = (struct kr_view){url.p + scheme, at - scheme};
    if (scheme == 0 || at == url.n || url.p[at] != '/' || !is_authority(authority))
        return 0;
    if (host.p != NULL && (host.n != authority.n || strncasecmp(host.p, authority.p, host.n) != 0))
        return 0;
    return (uint32_t)at;
}

static bool split_target(struct kr_request *req)
{
    struct kr_view url = kr_request_view(req->base, req->url);
    const char *query;
    uint32_t at = 0;

    if (url.n == 1 && url.p[0] == '*' && req->parser.method == HTTP_OPTIONS) {
        req->path = req->url;
        return true;
    }
    for (size_t i = 0; i < url.n; i++) {
        if (strchr("#\\\"<>", url.p[i]) != NULL) /* a NUL, too */
            return false;
    }
    if (url.n > 0 && url.p[0] != '/' && (at = absolute_form(req, url)) == 0)
        return false;
    if (at >= url.n || url.p[at] != '/')
        return false;
    query = memchr(url.p + at, '?', url.n - at);
    req->path.at = req->url.at + at;
    req->path.n = (query != NULL ? (uint32_t)(query - url.p) : req->url.n) - at;
    if (query != NULL) {
        req->query.at = req->url.at + (uint32_t)(query - url.p) + 1;
        req->query.n = req->url.n - (uint32_t)(query - url.p) - 1;
    }
    return true;
}

static bool host_is_fine(const struct kr_request *req)
{
    struct kr_view host = kr_request_known(req, req->base, KR_H_HOST);

    return host.p == NULL ? req->parser.http_minor == 0 : is_authority(host);
}

/* What llhttp leaves open. Returns 0 or the status to refuse with. */
static int check_head(struct kr_request *req)
{
    struct kr_view te, expect;

    if (req->parser.http_major != 1 || req->parser.http_minor > 1)
        return bad(req, 505, "HTTP version not supported");
    if (!line_is_strict(req))
        return bad(req, 400, "Invalid request line");
    if (!lines_are_strict(req->base, req->head_end))
        return bad(req, 400, "Header lines must end in CRLF and must not be folded");
    if (!index_headers(req))
        return bad(req, 400, "A header field that may occur once is repeated");
    if (!host_is_fine(req))
        return bad(req, 400, "Missing or invalid Host header");
    if (!split_target(req))
        return bad(req, 400, "Invalid request target");
    te = kr_request_known(req, req->base, KR_H_TRANSFER_ENCODING);
    if (te.p != NULL && (req->parser.http_minor == 0 || !kr_view_eq_nocase(te, "chunked") ||
                         (req->parser.flags & F_CONTENT_LENGTH) != 0))
        return bad(req, 400, "Transfer-Encoding not understood");
    req->chunked = te.p != NULL;
    if ((req->parser.flags & F_CONTENT_LENGTH) != 0)
        req->content_length = req->parser.content_length;
    req->has_body = req->chunked || req->content_length > 0;
    if (req->content_length > req->body_max)
        return bad(req, 413, "Request body too large");
    expect = kr_request_known(req, req->base, KR_H_EXPECT);
    if (expect.p != NULL && req->parser.http_minor == 1) {
        if (!kr_view_eq_nocase(expect, "100-continue"))
            return bad(req, 417, "Expectation not supported");
        req->want_continue = req->has_body;
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
static void check_unknown(struct kr_request *req, struct kr_view line)
{
    struct kr_view target;

    (void)kr_view_cut(&line, ' ', &target); /* the method */
    (void)kr_view_cut(&line, ' ', &target);
    for (size_t i = 0; i < target.n; i++) {
        if (target.p[i] <= 0x20 || target.p[i] >= 0x7f)
            target.n = 0;
    }
    if (target.n == 0 || line.n != 8 || memcmp(line.p, "HTTP/", 5) != 0)
        (void)bad(req, 400, "Invalid HTTP request");
    else if (memcmp(line.p, "HTTP/1.0", 8) != 0 && memcmp(line.p, "HTTP/1.1", 8) != 0)
        (void)bad(req, 505, "HTTP version not supported");
    else
        (void)bad(req, 405, "Method Not Allowed");
}

/* llhttp stops at the first letter that fits no method; what is said of it depends on the whole
 * line, for which is waited. */
static enum kr_request_event unknown_method(struct kr_request *req, size_t *at, size_t n)
{
    const char *end = memchr(req->base, '\n', n);
    size_t length = end != NULL ? (size_t)(end - req->base) : n;

    if (end == NULL && length <= KR_HTTP_URL_MAX) {
        *at = n;
        return KR_REQUEST_MORE;
    }
    if (length > KR_HTTP_URL_MAX)
        (void)bad(req, 414, "Request target too long");
    else if (end[-1] != '\r')
        (void)bad(req, 400, "Invalid HTTP request");
    else
        check_unknown(req, (struct kr_view){req->base, length - 1});
    return KR_REQUEST_BAD;
}

static enum kr_request_event parser_failed(struct kr_request *req, size_t *at, size_t n)
{
    llhttp_errno_t code = llhttp_get_errno(&req->parser);

    if (code == HPE_INVALID_METHOD && looks_like_method(req->base, n))
        return unknown_method(req, at, n);
    if (code == HPE_INVALID_VERSION)
        (void)bad(req, 505, "HTTP version not supported");
    else
        (void)bad(req, 400, "Invalid HTTP request");
    return KR_REQUEST_BAD;
}

/* What is refused does not depend on the pieces in which it came. */
static enum kr_request_event limits(struct kr_request *req, size_t at)
{
    size_t head = req->head_done ? req->head_end : at;
    size_t blank = req->url.n == 0 ? head : req->url.at;

    if (head > KR_HTTP_HEAD_MAX) {
        (void)bad(req, req->header_count == 0 ? 414 : 431, "Request header fields too large");
        return KR_REQUEST_BAD;
    }
    if (blank > LEADING_BLANK_MAX && req->base[0] == '\r') {
        (void)bad(req, 400, "Invalid HTTP request");
        return KR_REQUEST_BAD;
    }
    return KR_REQUEST_MORE;
}

static bool body_part(struct kr_request *req, const char *bytes, size_t n)
{
    int status;

    req->body_n += n;
    status = req->body_n > req->body_max ? 413 : req->on_body(req, bytes, n);
    if (status != 0)
        (void)bad(req, status,
                  status == 413 ? "Request body too large" : "Request body could not be kept");
    return status == 0;
}

static enum kr_request_event feed_chunks(struct kr_request *req, size_t *at, size_t n)
{
    for (;;) {
        struct kr_view data;
        size_t from = *at;
        enum kr_chunk_event event = kr_chunks_next(&req->chunks, req->base, n, at, &data);

        req->body_raw += *at - from;
        if (event == KR_CHUNK_BAD)
            (void)bad(req, 400, "Invalid chunk");
        if (event == KR_CHUNK_BAD || (event == KR_CHUNK_DATA && !body_part(req, data.p, data.n)))
            return KR_REQUEST_BAD;
        /* Chunk sizes and extensions may not outweigh the body without bound. */
        if (req->body_raw > 65536 + 8 * req->body_n) {
            (void)bad(req, 400, "Chunk framing too large");
            return KR_REQUEST_BAD;
        }
        if (event != KR_CHUNK_DATA)
            return event == KR_CHUNK_DONE ? KR_REQUEST_DONE : KR_REQUEST_MORE;
    }
}

static enum kr_request_event feed_body(struct kr_request *req, size_t *at, size_t n)
{
    uint64_t left = req->content_length - req->body_n;
    size_t from = *at, some = left < n - from ? (size_t)left : n - from;

    if (req->chunked)
        return feed_chunks(req, at, n);
    *at += some;
    req->body_raw += some;
    if (some > 0 && !body_part(req, req->base + from, some))
        return KR_REQUEST_BAD;
    return req->body_n == req->content_length ? KR_REQUEST_DONE : KR_REQUEST_MORE;
}

/* llhttp reads the head, and no further. */
enum kr_request_event kr_request_feed(struct kr_request *req, const char *base, size_t *at,
                                      size_t n)
{
    llhttp_errno_t code;

    req->base = base;
    if (req->head_done)
        return feed_body(req, at, n);
    code = llhttp_execute(&req->parser, base + *at, n - *at);
    if (code == HPE_OK)
        *at = n;
    else if (code == HPE_PAUSED)
        req->head_end = (uint32_t)(*at = (size_t)(llhttp_get_error_pos(&req->parser) - base));
    else if (req->bad_status != 0)
        return KR_REQUEST_BAD;
    else
        return parser_failed(req, at, n);
    if (limits(req, *at) == KR_REQUEST_BAD)
        return KR_REQUEST_BAD;
    if (code == HPE_OK)
        return KR_REQUEST_MORE;
    return check_head(req) == 0 ? KR_REQUEST_HEAD : KR_REQUEST_BAD;
}
