/* SPDX-License-Identifier: Apache-2.0 */
/* HTTP client. Requests and responses are plain structs; what moves bytes is a transport table, so
 * protocol code runs in unit tests without sockets (tests/unit/fake_http.h). It knows nothing of
 * who is called.
 *
 *     kr_auto_response struct kr_http_response res = KR_HTTP_RESPONSE_INIT;
 *     struct kr_http_request req = {.method = "GET", .url = url, .authorization = "Bearer x"};
 *     if (kr_http_call(http, &req, &res, err) < 0)   // no answer, after repeats
 *         return kr_wrap(err, "...");
 *     if (res.status != 200) ...                     // an answer of any status is a success here
 *
 * A client is used by one thread at a time. Callbacks must not call into the same client. */
#ifndef KR_NET_HTTP_H
#define KR_NET_HTTP_H

#include "base/buf.h"
#include "base/err.h"
#include "net/retry.h"

#include <stdbool.h>
#include <stdint.h>

enum kr_http_body_kind { KR_BODY_NONE, KR_BODY_BYTES, KR_BODY_FD };

/* Sent with Content-Length, never chunked, and again from its start on every repeat. */
struct kr_http_body {
    enum kr_http_body_kind kind;
    const void *bytes; /* KR_BODY_BYTES: borrowed */
    int fd;            /* KR_BODY_FD: read with pread, so several requests may share it */
    uint64_t offset;
    uint64_t size; /* of bytes, or of the range of fd */
};

struct kr_http_response;

struct kr_http_request {
    const char *method; /* "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE" */
    const char *url;
    const char *const *headers; /* "Name: value" lines, NULL at the end; or NULL */
    const char *authorization;  /* the header's value; goes to the origin of url only */
    const char *ca_file; /* certificates to trust besides the system's, on redirects too; or NULL */
    struct kr_http_body body;
    enum kr_repeat repeat; /* KR_REPEAT_BY_METHOD: GET HEAD PUT DELETE may be sent again */
    bool no_redirects;     /* else GET and HEAD follow up to five; other methods never do */
    size_t max_body;       /* largest answer kept in memory; 0: 16 MiB */
    int64_t timeout_ms;    /* for one exchange as a whole; 0: none */
    int64_t idle_ms;       /* without one byte in either direction; 0: 60 s, -1: none */

    void *data; /* for the callbacks */
    /* Receives the body of a 2xx answer instead of res->body. 0: go on; 1: enough (the call
     * succeeds, res->stopped is set); negative: failed, *err filled. After a repeat it begins again
     * at 0, which on_begin tells. */
    int (*on_data)(void *data, const void *bytes, size_t n, struct kr_err *err);
    void (*on_begin)(void *data, const struct kr_http_response *res); /* 2xx head arrived */
    void (*on_sent)(void *data, uint64_t sent, uint64_t total);       /* bytes of this body */
};

struct kr_http_response {
    int status;         /* 0: none */
    struct kr_buf head; /* header lines of the last answer: read with kr_http_header() */
    struct kr_buf body;
    enum kr_http_failure failure; /* KR_HTTP_ANSWERED when the call gave 0 */
    bool stopped;                 /* on_data had enough */
    bool untrusted;               /* no answer because of the server's certificate */
    int attempts;                 /* exchanges made, repeats included */
    bool maybe_acted; /* an earlier attempt was lost or failed with 5xx: 404 on a repeated
                         DELETE, 409 on a create may be our own doing */
    char *url;        /* where the answer came from when redirects were followed, or NULL */
};

#define KR_HTTP_RESPONSE_INIT                                                                      \
    {                                                                                              \
        .status = 0                                                                                \
    }
void kr_http_response_finish(struct kr_http_response *res);
#define kr_auto_response kr_auto(kr_http_response_finish)

/* Value of a header (any case), or NULL. Lives until the next call that takes this answer. The
 * first one counts; kr_http_header_next() goes on behind *from (NULL at first). */
const char *kr_http_header(const struct kr_http_response *res, const char *name);
const char *kr_http_header_next(const struct kr_http_response *res, const char *name,
                                const char **from);

struct kr_http_hooks {
    void *data;
    bool (*cancelled)(void *data);            /* asked five times a second; NULL: never */
    int64_t (*now_ms)(void *data);            /* monotonic; NULL: kr_mono_ms */
    void (*sleep_ms)(void *data, int64_t ms); /* NULL: real sleep that looks at cancelled */
    /* A repeat is due in ms because of why ("503", "connection refused", "rate limit"). */
    void (*waiting)(void *data, int64_t ms, const char *why);
};

struct kr_http_transport;

struct kr_http {
    const struct kr_http_transport *transport;
    void *impl;
    char *user_agent; /* owned */
    struct kr_http_hooks hooks;
    struct kr_retry_policy policy; /* may be changed between calls */
    /* By kr_http_now(): exchanges that have no answer then are given up, and no repeat is waited
     * for that would come later. 0: never. */
    int64_t until_ms;
    uint64_t exchanges; /* sent so far */
};

/* Over libcurl: connections are kept and reused; certificates of SSL_CERT_FILE, SSL_CERT_DIR or
 * CURL_CA_BUNDLE when set; proxies from the usual variables. Never NULL. */
struct kr_http *kr_http_open(const char *user_agent) KR_MUST_USE;

/* Loads libcurl, which takes some milliseconds, while there is time for it; otherwise the first
 * client does. */
void kr_http_warm(void);

/* Over any transport; impl goes to it and is closed by it. */
struct kr_http *kr_http_open_over(const struct kr_http_transport *transport, void *impl,
                                  const char *user_agent) KR_MUST_USE;
void kr_http_close(struct kr_http *http);
KR_DEFINE_AUTO(struct kr_http *, kr_http_close);
#define kr_auto_http kr_auto(kr_http_close_p)

/* One request with redirects and without repeats. 0: a complete answer of any status is in *res
 * (which is emptied first). Else no answer: res->failure says whether the server can have acted. */
int kr_http_send(struct kr_http *http, const struct kr_http_request *req,
                 struct kr_http_response *res, struct kr_err *err) KR_MUST_USE;

/* The same with repeats as http->policy and req->repeat allow. An answer that stays 429 or 5xx is
 * given back like any other. */
int kr_http_call(struct kr_http *http, const struct kr_http_request *req,
                 struct kr_http_response *res, struct kr_err *err) KR_MUST_USE;

/* The same from a first attempt on that was made already (kr_http_many): rc, *res and *why are its
 * outcome. The next attempt comes after the usual wait. */
int kr_http_go_on(struct kr_http *http, const struct kr_http_request *req,
                  struct kr_http_response *res, int rc, const struct kr_err *why,
                  struct kr_err *err) KR_MUST_USE;

struct kr_http_job {
    struct kr_http_request req;
    struct kr_http_response res; /* the caller finishes it */
    struct kr_err err;
    int rc; /* as kr_http_send's */
};

/* Sends n requests, at most `parallel` at once, without repeats. What has no answer after limit_ms
 * (0: none) fails with KR_E_TIMEOUT. */
void kr_http_many(struct kr_http *http, struct kr_http_job *jobs, size_t n, size_t parallel,
                  int64_t limit_ms);

/* An exchange that goes on while others are made: log streams. req and what it refers to stay valid
 * until close. Bytes also arrive while other calls of the client run. */
struct kr_http_stream;
int kr_http_stream_open(struct kr_http *http, const struct kr_http_request *req,
                        struct kr_http_stream **out, struct kr_err *err) KR_MUST_USE;
/* Moves bytes for at most wait_ms. *done: it is over (res of kr_http_stream_response is complete).
 * Without an answer it fails as kr_http_send does. */
int kr_http_stream_pump(struct kr_http_stream *stream, int64_t wait_ms, bool *done,
                        struct kr_err *err) KR_MUST_USE;
const struct kr_http_response *kr_http_stream_response(const struct kr_http_stream *stream);
void kr_http_stream_close(struct kr_http_stream *stream);
KR_DEFINE_AUTO(struct kr_http_stream *, kr_http_stream_close);

/* Sleeps in small steps; KR_E_CANCELLED when the user asked to stop. */
int kr_http_sleep(struct kr_http *http, int64_t ms, struct kr_err *err) KR_MUST_USE;
int64_t kr_http_now(struct kr_http *http);

#endif
