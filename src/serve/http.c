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

static const llhttp_settings_t settings = {
    .on_url = on_url,
    .on_header_field = on_field,
    .on_header_value = on_value,
    .on_header_value_complete = on_value_complete,
    .on_headers_complete = on_head,
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
    http->chunks = (struct kr_chunks){0};
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
static bool line_is_strict(const struct kr_http *http)
{
    const char *p = http->base, *end = http->base + http->head_end, *cr;
    struct kr_view line, part;

    while (p + 1 < end && p[0] == '\r' && p[1] == '\n')
        p += 2;
    cr = memchr(p, '\r', (size_t)(end - p));
    if (cr == NULL || *p == '\r')
        return false;
    line = (struct kr_view){p, (size_t)(cr - p)};
    if (!kr_view_cut(&line, ' ', &part) || part.n == 0 || !kr_view_cut(&line, ' ', &part) ||
        part.n != http->url.n)
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
static uint32_t absolute_form(const struct kr_http *http, struct kr_view url)
{
    struct kr_view host = kr_http_known(http, http->base, KR_H_HOST), authority;
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

static bool split_target(struct kr_http *http)
{
    struct kr_view url = kr_http_view(http->base, http->url);
    const char *query;
    uint32_t at = 0;

    if (url.n == 1 && url.p[0] == '*' && http->parser.method == HTTP_OPTIONS) {
        http->path = http->url;
        return true;
    }
    for (size_t i = 0; i < url.n; i++) {
        if (strchr("#\\\"<>", url.p[i]) != NULL) /* a NUL, too */
            return false;
    }
    if (url.n > 0 && url.p[0] != '/' && (at = absolute_form(http, url)) == 0)
        return false;
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

    return host.p == NULL ? http->parser.http_minor == 0 : is_authority(host);
}

/* What llhttp leaves open. Returns 0 or the status to refuse with. */
static int check_head(struct kr_http *http)
{
    struct kr_view te, expect;

    if (http->parser.http_major != 1 || http->parser.http_minor > 1)
        return bad(http, 505, "HTTP version not supported");
    if (!line_is_strict(http))
        return bad(http, 400, "Invalid request line");
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
    return KR_HTTP_MORE;
}

static bool body_part(struct kr_http *http, const char *bytes, size_t n)
{
    int status;

    http->body_n += n;
    status = http->body_n > http->body_max ? 413 : http->on_body(http, bytes, n);
    if (status != 0)
        (void)bad(http, status,
                  status == 413 ? "Request body too large" : "Request body could not be kept");
    return status == 0;
}

static enum kr_http_event feed_chunks(struct kr_http *http, size_t *at, size_t n)
{
    for (;;) {
        struct kr_view data;
        size_t from = *at;
        enum kr_chunk_event event = kr_chunks_next(&http->chunks, http->base, n, at, &data);

        http->body_raw += *at - from;
        if (event == KR_CHUNK_BAD)
            (void)bad(http, 400, "Invalid chunk");
        if (event == KR_CHUNK_BAD || (event == KR_CHUNK_DATA && !body_part(http, data.p, data.n)))
            return KR_HTTP_BAD;
        /* Chunk sizes and extensions may not outweigh the body without bound. */
        if (http->body_raw > 65536 + 8 * http->body_n) {
            (void)bad(http, 400, "Chunk framing too large");
            return KR_HTTP_BAD;
        }
        if (event != KR_CHUNK_DATA)
            return event == KR_CHUNK_DONE ? KR_HTTP_DONE : KR_HTTP_MORE;
    }
}

static enum kr_http_event feed_body(struct kr_http *http, size_t *at, size_t n)
{
    uint64_t left = http->content_length - http->body_n;
    size_t from = *at, some = left < n - from ? (size_t)left : n - from;

    if (http->chunked)
        return feed_chunks(http, at, n);
    *at += some;
    http->body_raw += some;
    if (some > 0 && !body_part(http, http->base + from, some))
        return KR_HTTP_BAD;
    return http->body_n == http->content_length ? KR_HTTP_DONE : KR_HTTP_MORE;
}

/* llhttp reads the head, and no further. */
enum kr_http_event kr_http_feed(struct kr_http *http, const char *base, size_t *at, size_t n)
{
    llhttp_errno_t code;

    http->base = base;
    if (http->head_done)
        return feed_body(http, at, n);
    code = llhttp_execute(&http->parser, base + *at, n - *at);
    if (code == HPE_OK)
        *at = n;
    else if (code == HPE_PAUSED)
        http->head_end = (uint32_t)(*at = (size_t)(llhttp_get_error_pos(&http->parser) - base));
    else if (http->bad_status != 0)
        return KR_HTTP_BAD;
    else
        return parser_failed(http, at, n);
    if (limits(http, *at) == KR_HTTP_BAD)
        return KR_HTTP_BAD;
    if (code == HPE_OK)
        return KR_HTTP_MORE;
    return check_head(http) == 0 ? KR_HTTP_HEAD : KR_HTTP_BAD;
}
