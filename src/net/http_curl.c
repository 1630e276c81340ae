/* SPDX-License-Identifier: Apache-2.0 */
/* The transport over libcurl; the only file that knows it. One multi handle holds the connections,
 * so log streams and calls go side by side in one thread. */
#include "net/http_impl.h"

#include "base/alloc.h"
#include "base/env.h"
#include "base/view.h"
#include "net/url.h"

#include <curl/curl.h>
#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>

enum { CONNECT_MS = 10000 };

struct pool {
    CURLM *multi;
    size_t begun;
};

struct transfer {
    CURL *easy;
    struct curl_slist *headers;
    struct kr_http *http;
    struct kr_http_exchange *x;
    uint64_t at; /* next byte of the body */
    bool added;
    char error[CURL_ERROR_SIZE];
};

static void global_init(void)
{
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
        abort();
}

void kr_http_warm(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    (void)pthread_once(&once, global_init);
}

void *kr_http_curl_open(void)
{
    struct pool *pool = kr_calloc(1, sizeof(*pool));

    kr_http_warm();
    pool->multi = curl_multi_init();
    if (pool->multi == NULL)
        abort();
    return pool;
}

static void pool_close(void *impl)
{
    struct pool *pool = impl;

    (void)curl_multi_cleanup(pool->multi);
    free(pool);
}

static size_t on_header(char *line, size_t size, size_t n, void *data)
{
    struct transfer *t = data;
    struct kr_view v = kr_view_trim((struct kr_view){line, size * n});

    t->x->active_ms = kr_http_now(t->http);
    if (!t->x->done)
        kr_http_take_header(t->x, v.p, v.n);
    return size * n;
}

static size_t on_body(char *bytes, size_t size, size_t n, void *data)
{
    struct transfer *t = data;

    /* CURL_WRITEFUNC_ERROR is younger than the oldest libcurl we accept: any other count will
     * do. */
    return kr_http_take_data(t->http, t->x, bytes, size * n) == 0 ? size * n : size * n + 1;
}

static size_t on_read(char *to, size_t size, size_t n, void *data)
{
    struct transfer *t = data;
    const struct kr_http_body *body = &t->x->req->body;
    uint64_t left = body->size - t->at;
    size_t want = left < size * n ? (size_t)left : size * n;

    if (want != 0 && body->kind == KR_BODY_BYTES) {
        memcpy(to, (const char *)body->bytes + t->at, want);
    } else if (want != 0) {
        ssize_t got = pread(body->fd, to, want, (off_t)(body->offset + t->at));

        if (got <= 0) {
            kr_http_lose(t->x, KR_HTTP_HOPELESS, KR_E_SYSTEM,
                         got == 0 ? "the file became shorter while it was sent"
                                  : "the file could not be read while it was sent");
            return CURL_READFUNC_ABORT;
        }
        want = (size_t)got;
    }
    t->at += want;
    kr_http_note_sent(t->http, t->x, t->at);
    return want;
}

static int on_seek(void *data, curl_off_t offset, int origin)
{
    struct transfer *t = data;

    if (origin != SEEK_SET || offset < 0)
        return CURL_SEEKFUNC_FAIL;
    t->at = (uint64_t)offset;
    return CURL_SEEKFUNC_OK;
}

static bool add_header(struct transfer *t, const char *line)
{
    struct curl_slist *more;

    if (line[strcspn(line, "\r\n")] != '\0')
        return false;
    more = curl_slist_append(t->headers, line);
    if (more == NULL)
        abort();
    t->headers = more;
    return true;
}

static bool set_headers(struct transfer *t)
{
    const struct kr_http_exchange *x = t->x;
    bool good = add_header(t, "Expect:");

    for (size_t i = 0; x->req->headers != NULL && x->req->headers[i] != NULL; i++) {
        if (!x->foreign || kr_http_header_is_harmless(x->req->headers[i]))
            good = add_header(t, x->req->headers[i]) && good;
    }
    if (x->authorization != NULL) {
        kr_auto_free char *line = kr_asprintf("Authorization: %s", x->authorization);

        good = add_header(t, line) && good;
    }
    (void)curl_easy_setopt(t->easy, CURLOPT_HTTPHEADER, t->headers);
    return good;
}

static void set_body(struct transfer *t)
{
    const struct kr_http_request *req = t->x->req;

    if (strcmp(req->method, "HEAD") == 0) {
        (void)curl_easy_setopt(t->easy, CURLOPT_NOBODY, 1L);
        return;
    }
    if (req->body.kind == KR_BODY_NONE && strcmp(req->method, "POST") != 0 &&
        strcmp(req->method, "PUT") != 0 && strcmp(req->method, "PATCH") != 0) {
        (void)curl_easy_setopt(t->easy, CURLOPT_CUSTOMREQUEST, req->method);
        return;
    }
    (void)curl_easy_setopt(t->easy, CURLOPT_UPLOAD, 1L);
    (void)curl_easy_setopt(t->easy, CURLOPT_CUSTOMREQUEST, req->method);
    (void)curl_easy_setopt(t->easy, CURLOPT_INFILESIZE_LARGE, (curl_off_t)req->body.size);
    (void)curl_easy_setopt(t->easy, CURLOPT_READFUNCTION, on_read);
    (void)curl_easy_setopt(t->easy, CURLOPT_READDATA, t);
    (void)curl_easy_setopt(t->easy, CURLOPT_SEEKFUNCTION, on_seek);
    (void)curl_easy_setopt(t->easy, CURLOPT_SEEKDATA, t);
    (void)curl_easy_setopt(t->easy, CURLOPT_UPLOAD_BUFFERSIZE, 256L * 1024);
}

/* As the curl program does it: libcurl itself looks at none of these. A file of the request is one
 * besides the folder of the system, which libcurl goes on looking at. */
static void set_certificates(CURL *easy, const char *own)
{
    const char *bundle = kr_env_get("CURL_CA_BUNDLE");
    const char *file = bundle != NULL ? bundle : kr_env_get("SSL_CERT_FILE");
    const char *folder = bundle != NULL ? NULL : kr_env_get("SSL_CERT_DIR");

    if (own != NULL)
        file = own;
    if (file != NULL)
        (void)curl_easy_setopt(easy, CURLOPT_CAINFO, file);
    if (folder != NULL)
        (void)curl_easy_setopt(easy, CURLOPT_CAPATH, folder);
}

static void set_options(struct transfer *t)
{
    CURL *easy = t->easy;

    (void)curl_easy_setopt(easy, CURLOPT_PRIVATE, t);
    (void)curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, t->error);
    (void)curl_easy_setopt(easy, CURLOPT_URL, t->x->url);
    (void)curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    if (kr_url_is_loopback(t->x->url)) /* a proxy would get what is meant for this machine alone */
        (void)curl_easy_setopt(easy, CURLOPT_PROXY, "");
    (void)curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    (void)curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
    (void)curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)CONNECT_MS);
    (void)curl_easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L);
    (void)curl_easy_setopt(easy, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
    (void)curl_easy_setopt(easy, CURLOPT_USERAGENT, t->http->user_agent);
    (void)curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
    (void)curl_easy_setopt(easy, CURLOPT_HEADERDATA, t);
    (void)curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
    (void)curl_easy_setopt(easy, CURLOPT_WRITEDATA, t);
    if (t->x->req->on_data == NULL)
        (void)curl_easy_setopt(easy, CURLOPT_ACCEPT_ENCODING, "gzip, deflate");
    /* On a reused connection that turns out dead libcurl sends the request again by itself: not
     * where the server may have acted on the first one. */
    if (t->x->req->repeat != KR_REPEAT_SAFE)
        (void)curl_easy_setopt(easy, CURLOPT_FRESH_CONNECT, 1L);
    set_certificates(easy, t->x->req->ca_file);
    set_body(t);
}

static void begin(struct kr_http *http, struct kr_http_exchange *x)
{
    struct pool *pool = http->impl;
    struct transfer *t;
    struct kr_url url;

    if (!kr_url_parse(x->url, &url)) {
        kr_http_lose(x, KR_HTTP_HOPELESS, KR_E_INVALID, "not an http(s) address");
        (void)kr_wrap(&x->err, "%.200s", x->url);
        return;
    }
    t = kr_calloc(1, sizeof(*t));
    t->http = http;
    t->x = x;
    t->easy = curl_easy_init();
    if (t->easy == NULL)
        abort();
    x->impl = t;
    set_options(t);
    if (!set_headers(t)) {
        kr_http_lose(x, KR_HTTP_HOPELESS, KR_E_INVALID, "a header value holds a line end");
        return;
    }
    t->added = curl_multi_add_handle(pool->multi, t->easy) == CURLM_OK;
    if (t->added)
        pool->begun++;
    else
        kr_http_lose(x, KR_HTTP_HOPELESS, KR_E_SYSTEM, "the transfer could not be started");
}

static enum kr_http_failure class_of(CURLcode code)
{
    switch ((int)code) {
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_RESOLVE_PROXY:
    case CURLE_COULDNT_CONNECT:
    case CURLE_OPERATION_TIMEDOUT: /* of the connection: no other time limit is set */
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_PROXY:
        return KR_HTTP_UNSENT;
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_ENGINE_NOTFOUND:
    case CURLE_UNSUPPORTED_PROTOCOL:
    case CURLE_URL_MALFORMAT:
    case CURLE_OUT_OF_MEMORY:
    case CURLE_ABORTED_BY_CALLBACK:
    case CURLE_BAD_FUNCTION_ARGUMENT:
        return KR_HTTP_HOPELESS;
    default:
        return KR_HTTP_LOST;
    }
}

static void explain(struct transfer *t, CURLcode code)
{
    kr_auto_free char *host = kr_url_host(t->x->url), *why = NULL;
    enum kr_http_failure class = class_of(code);
    long os = 0;
    char text[128];
    const char *cause;

    if (curl_easy_getinfo(t->easy, CURLINFO_OS_ERRNO, &os) == CURLE_OK && os != 0)
        cause = strerror_r((int)os, text, sizeof(text));
    else
        cause = t->error[0] != '\0' ? t->error : curl_easy_strerror(code);
    why = kr_asprintf(
        "%s %s: %s",
        class == KR_HTTP_LOST ? "the connection broke before the answer of" : "cannot reach", host,
        cause);
    kr_http_lose(t->x, class, code == CURLE_OPERATION_TIMEDOUT ? KR_E_TIMEOUT : KR_E_NETWORK, why);
    t->x->res->untrusted =
        code == CURLE_PEER_FAILED_VERIFICATION || code == CURLE_SSL_CACERT_BADFILE;
    if (t->x->res->untrusted)
        (void)kr_hint(&t->x->err, "name a file with the trusted certificates in SSL_CERT_FILE");
    else if (class == KR_HTTP_UNSENT)
        (void)kr_hint(&t->x->err, "check the network, the address and the proxy variables");
}

static bool take_messages(struct pool *pool)
{
    CURLMsg *msg;
    int left;
    bool any = false;

    while ((msg = curl_multi_info_read(pool->multi, &left)) != NULL) {
        CURLcode code = msg->data.result;
        char *private = NULL;
        struct transfer *t;

        if (msg->msg != CURLMSG_DONE ||
            curl_easy_getinfo(msg->easy_handle, CURLINFO_PRIVATE, &private) != CURLE_OK)
            continue;
        any = true;
        t = (struct transfer *)(void *)private;
        if (t->x->done)
            continue;
        if (code == CURLE_OK && t->x->res->status != 0) {
            t->x->res->failure = KR_HTTP_ANSWERED;
            t->x->done = true;
        } else {
            explain(t, code == CURLE_OK ? CURLE_WEIRD_SERVER_REPLY : code);
        }
    }
    return any;
}

static void pump(struct kr_http *http, int64_t wait_ms)
{
    struct pool *pool = http->impl;
    int running = 0;

    if (pool->begun == 0)
        return;
    (void)curl_multi_perform(pool->multi, &running);
    if (take_messages(pool) || running == 0 || wait_ms <= 0)
        return;
    (void)curl_multi_poll(pool->multi, NULL, 0, (int)wait_ms, NULL);
    (void)curl_multi_perform(pool->multi, &running);
    (void)take_messages(pool);
}

static void end(struct kr_http *http, struct kr_http_exchange *x)
{
    struct pool *pool = http->impl;
    struct transfer *t = x->impl;

    if (t == NULL)
        return;
    if (t->added) {
        (void)curl_multi_remove_handle(pool->multi, t->easy);
        pool->begun--;
    }
    curl_easy_cleanup(t->easy);
    curl_slist_free_all(t->headers);
    free(t);
    x->impl = NULL;
}

const struct kr_http_transport kr_http_curl = {
    .begin = begin,
    .pump = pump,
    .end = end,
    .close = pool_close,
};
