/* SPDX-License-Identifier: Apache-2.0 */
/* What a transport implements: http_curl.c, and the scripted one of the unit tests. */
#ifndef KR_NET_HTTP_IMPL_H
#define KR_NET_HTTP_IMPL_H

#include "net/http.h"

/* One exchange of bytes: one request, one answer, no redirects, no repeats, no time limits: those
 * are http.c's. */
struct kr_http_exchange {
    const struct kr_http_request *req; /* url and authorization are replaced by those below */
    const char *url;
    const char *authorization; /* NULL: not to be sent */
    bool foreign;              /* redirected to another origin: only harmless headers go there */
    struct kr_http_response *res;
    struct kr_err err;
    bool done;         /* set by the transport; res->failure and err are final then */
    bool begun;        /* on_begin was called */
    int64_t active_ms; /* when bytes moved last */
    uint64_t sent;
    void *impl;
};

struct kr_http_transport {
    /* Starts x. A failure is reported like any other: done, res->failure and err. */
    void (*begin)(struct kr_http *http, struct kr_http_exchange *x);
    /* Moves bytes of all that was begun, waiting at most wait_ms for something to happen. */
    void (*pump)(struct kr_http *http, int64_t wait_ms);
    /* Forgets x, which may not be done. */
    void (*end)(struct kr_http *http, struct kr_http_exchange *x);
    void (*close)(void *impl);
};

extern const struct kr_http_transport kr_http_curl;
void *kr_http_curl_open(void) KR_MUST_USE;

/* For transports. Header line without line end; a line "HTTP/..." begins a new head. */
void kr_http_take_header(struct kr_http_exchange *x, const char *line, size_t n);
/* 0, or negative: the exchange is to be ended (stopped, too large or refused by on_data; x
 * says). */
int kr_http_take_data(struct kr_http *http, struct kr_http_exchange *x, const void *bytes,
                      size_t n);
void kr_http_note_sent(struct kr_http *http, struct kr_http_exchange *x, uint64_t n);
/* Ends x without an answer, unless it has ended by itself already. */
void kr_http_lose(struct kr_http_exchange *x, enum kr_http_failure failure, enum kr_code code,
                  const char *why);
/* May a header line go to another origin? */
bool kr_http_header_is_harmless(const char *line);

#endif
