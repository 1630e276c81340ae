/* SPDX-License-Identifier: Apache-2.0 */
/* Redirects, repeats and time limits over a transport. */
#include "net/http.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/id.h"
#include "base/log.h"
#include "net/http_impl.h"
#include "net/url.h"

#include <stdio.h>
#include <string.h>

enum { STEP_MS = 200, MAX_HOPS = 5, IDLE_MS = 60000 };

struct kr_http *kr_http_open_over(const struct kr_http_transport *transport, void *impl,
                                  const char *user_agent)
{
    struct kr_http *http = kr_calloc(1, sizeof(*http));

    http->transport = transport;
    http->impl = impl;
    http->user_agent = kr_strdup(user_agent);
    http->policy = (struct kr_retry_policy)KR_RETRY_DEFAULT;
    return http;
}

struct kr_http *kr_http_open(const char *user_agent)
{
    return kr_http_open_over(&kr_http_curl, kr_http_curl_open(), user_agent);
}

void kr_http_close(struct kr_http *http)
{
    if (http == NULL)
        return;
    http->transport->close(http->impl);
    free(http->user_agent);
    free(http);
}

int64_t kr_http_now(struct kr_http *http)
{
    return http->hooks.now_ms != NULL ? http->hooks.now_ms(http->hooks.data) : kr_mono_ms();
}

static bool is_cancelled(struct kr_http *http)
{
    return http->hooks.cancelled != NULL && http->hooks.cancelled(http->hooks.data);
}

int kr_http_sleep(struct kr_http *http, int64_t ms, struct kr_err *err)
{
    int64_t until = kr_http_now(http) + ms, left;

    if (http->hooks.sleep_ms != NULL) {
        http->hooks.sleep_ms(http->hooks.data, ms);
    } else {
        while (!is_cancelled(http) && (left = until - kr_http_now(http)) > 0)
            kr_sleep_ms(left < STEP_MS ? left : STEP_MS);
    }
    return is_cancelled(http) ? kr_fail(err, KR_E_CANCELLED, "stopped by the user") : 0;
}

/* A request on its way through its redirects. */
struct flow {
    struct kr_http_exchange x;
    struct kr_http_request req;
    struct kr_http_response *res;
    char *url; /* of the present hop; NULL: the request's own */
    int hops;
    int64_t started_ms;
    bool over;
    int rc;
};

static void flow_begin(struct kr_http *http, struct flow *f)
{
    const char *url = f->url != NULL ? f->url : f->req.url;
    bool own = f->url == NULL || kr_url_same_origin(url, f->req.url);

    kr_http_response_finish(f->res);
    f->res->body.max = f->req.max_body != 0 ? f->req.max_body : (size_t)16 * 1024 * 1024;
    f->res->head.max = (size_t)256 * 1024;
    f->res->failure = KR_HTTP_LOST;
    f->res->url = f->url != NULL ? kr_strdup(f->url) : NULL;
    f->x = (struct kr_http_exchange){.req = &f->req,
                                     .url = url,
                                     .authorization = own ? f->req.authorization : NULL,
                                     .foreign = !own,
                                     .res = f->res,
                                     .active_ms = kr_http_now(http)};
    f->started_ms = f->x.active_ms;
    http->exchanges++;
    kr_log(KR_LOG_DEBUG, "http", "%s %s", f->req.method, url);
    http->transport->begin(http, &f->x);
}

static void flow_start(struct kr_http *http, struct flow *f, const struct kr_http_request *req,
                       struct kr_http_response *res)
{
    *f = (struct flow){.req = *req, .res = res};
    if (f->req.repeat == KR_REPEAT_BY_METHOD)
        f->req.repeat = kr_repeat_of_method(req->method);
    flow_begin(http, f);
}

static void flow_finish(struct kr_http *http, struct flow *f)
{
    http->transport->end(http, &f->x);
    free(f->url);
    f->url = NULL;
}

static bool is_redirect(const struct flow *f)
{
    int status = f->res->status;

    return !f->req.no_redirects && f->hops < MAX_HOPS &&
           (strcmp(f->req.method, "GET") == 0 || strcmp(f->req.method, "HEAD") == 0) &&
           (status == 301 || status == 302 || status == 303 || status == 307 || status == 308);
}

/* Takes notice of what the transport did; begins the next hop when there is one. */
static void flow_check(struct kr_http *http, struct flow *f)
{
    char *next;

    if (!f->x.done || f->over)
        return;
    if (f->res->failure != KR_HTTP_ANSWERED) {
        f->over = true;
        f->rc = -(int)f->x.err.code;
        return;
    }
    next = is_redirect(f) ? kr_url_resolve(f->x.url, kr_http_header(f->res, "location")) : NULL;
    if (next == NULL) {
        f->over = true;
        return;
    }
    http->transport->end(http, &f->x);
    free(f->url);
    f->url = next;
    f->hops++;
    flow_begin(http, f);
}

static void flow_check_time(struct kr_http *http, struct flow *f)
{
    int64_t now = kr_http_now(http);
    int64_t idle = f->req.idle_ms != 0 ? f->req.idle_ms : IDLE_MS;
    kr_auto_free char *host = NULL, *why = NULL;

    if (f->x.done)
        return;
    host = kr_url_host(f->x.url);
    if (is_cancelled(http)) {
        kr_http_lose(&f->x, KR_HTTP_CANCELLED, KR_E_CANCELLED, "stopped by the user");
    } else if (http->until_ms > 0 && now >= http->until_ms) {
        why = kr_asprintf("%s has not answered within %lld s", host,
                          (long long)(now - f->started_ms + 500) / 1000);
        kr_http_lose(&f->x, KR_HTTP_LOST, KR_E_TIMEOUT, why);
    } else if (f->req.timeout_ms > 0 && now - f->started_ms >= f->req.timeout_ms) {
        why = kr_asprintf("%s has not finished its answer after %lld s", host,
                          (long long)(f->req.timeout_ms + 999) / 1000);
        kr_http_lose(&f->x, KR_HTTP_LOST, KR_E_TIMEOUT, why);
    } else if (idle > 0 && now - f->x.active_ms >= idle) {
        why = kr_asprintf("%s has been silent for %lld s", host, (long long)(idle + 999) / 1000);
        kr_http_lose(&f->x, KR_HTTP_LOST, KR_E_TIMEOUT, why);
    }
}

static int flow_result(struct flow *f, struct kr_err *err)
{
    if (f->rc < 0 && err != NULL)
        *err = f->x.err;
    return f->rc;
}

int kr_http_send(struct kr_http *http, const struct kr_http_request *req,
                 struct kr_http_response *res, struct kr_err *err)
{
    struct flow f;

    flow_start(http, &f, req, res);
    for (flow_check(http, &f); !f.over; flow_check(http, &f)) {
        if (!f.x.done)
            http->transport->pump(http, STEP_MS);
        flow_check_time(http, &f);
    }
    flow_finish(http, &f);
    res->attempts = 1;
    return flow_result(&f, err);
}

static const char *reason(const struct kr_http_response *res, const struct kr_err *err,
                          char text[64])
{
    if (res->failure != KR_HTTP_ANSWERED)
        return err->msg;
    (void)snprintf(text, 64, res->status == 429 ? "rate limit" : "status %d", res->status);
    return text;
}

static int64_t wait_before_repeat(struct kr_http *http, const struct kr_http_response *res,
                                  enum kr_repeat repeat, int attempt, int64_t spent)
{
    uint16_t chance;
    struct kr_retry_outcome outcome = {
        .failure = res->failure, .status = res->status, .repeat = repeat, .retry_after_ms = -1};

    if (res->failure == KR_HTTP_ANSWERED) {
        outcome.retry_after_ms =
            kr_retry_after_parse(kr_http_header(res, "retry-after"), kr_wall_ms());
        outcome.limit = kr_ratelimit_parse(kr_http_header(res, "ratelimit"));
    }
    kr_random_bytes(&chance, sizeof(chance));
    return kr_retry_wait(&http->policy, &outcome, attempt, spent, chance & KR_JITTER_MAX);
}

/* rc, *res and *why are the outcome of the first attempt, which began at `started`. */
static int repeat_from(struct kr_http *http, const struct kr_http_request *req,
                       struct kr_http_response *res, int64_t started, int rc,
                       const struct kr_err *why, struct kr_err *err)
{
    enum kr_repeat repeat =
        req->repeat != KR_REPEAT_BY_METHOD ? req->repeat : kr_repeat_of_method(req->method);
    bool maybe_acted = false;
    struct kr_err last = *why;
    int64_t wait;
    char text[64];

    for (int attempt = 1;; attempt++) {
        res->attempts = attempt;
        res->maybe_acted = maybe_acted;
        wait = wait_before_repeat(http, res, repeat, attempt, kr_http_now(http) - started);
        if (wait < 0 || (http->until_ms > 0 && kr_http_now(http) + wait >= http->until_ms)) {
            if (rc < 0 && err != NULL)
                *err = last;
            return rc;
        }
        maybe_acted = maybe_acted || res->failure == KR_HTTP_LOST ||
                      (res->failure == KR_HTTP_ANSWERED && res->status >= 500);
        kr_log(KR_LOG_DEBUG, "http", "again in %lld ms: %s", (long long)wait,
               reason(res, &last, text));
        if (http->hooks.waiting != NULL)
            http->hooks.waiting(http->hooks.data, wait, reason(res, &last, text));
        kr_err_clear(&last);
        rc = kr_http_sleep(http, wait, err);
        if (rc < 0)
            return rc;
        rc = kr_http_send(http, req, res, &last);
    }
}

int kr_http_call(struct kr_http *http, const struct kr_http_request *req,
                 struct kr_http_response *res, struct kr_err *err)
{
    struct kr_err first = KR_ERR_INIT;
    int64_t started = kr_http_now(http);
    int rc = kr_http_send(http, req, res, &first);

    return repeat_from(http, req, res, started, rc, &first, err);
}

int kr_http_go_on(struct kr_http *http, const struct kr_http_request *req,
                  struct kr_http_response *res, int rc, const struct kr_err *why,
                  struct kr_err *err)
{
    return repeat_from(http, req, res, kr_http_now(http), rc, why, err);
}

/* Jobs that never began, or did not end, when the time was over. */
static void many_time_over(struct kr_http_job *job, struct flow *f, int64_t limit_ms,
                           bool cancelled)
{
    kr_auto_free char *host = kr_url_host(job->req.url);
    kr_auto_free char *why =
        cancelled ? kr_strdup("stopped by the user")
                  : kr_asprintf("%s has not answered within %lld ms", host, (long long)limit_ms);

    if (f->res == NULL)
        *f = (struct flow){.req = job->req, .res = &job->res, .x = {.res = &job->res}};
    kr_http_lose(&f->x, cancelled ? KR_HTTP_CANCELLED : KR_HTTP_LOST,
                 cancelled ? KR_E_CANCELLED : KR_E_TIMEOUT, why);
    f->over = true;
    f->rc = -(int)f->x.err.code;
}

void kr_http_many(struct kr_http *http, struct kr_http_job *jobs, size_t n, size_t parallel,
                  int64_t limit_ms)
{
    struct flow *flows = kr_calloc(n + 1, sizeof(*flows));
    int64_t started = kr_http_now(http);
    size_t next = 0, over = 0, alive = 0;

    while (over < n) {
        bool late = limit_ms > 0 && kr_http_now(http) - started >= limit_ms;
        bool cancelled = is_cancelled(http);

        for (; next < n && alive < (parallel > 0 ? parallel : 1) && !late && !cancelled; next++) {
            flow_start(http, &flows[next], &jobs[next].req, &jobs[next].res);
            alive++;
        }
        for (size_t i = 0; i < n; i++) {
            struct flow *f = &flows[i];
            bool started_it = f->res != NULL;

            if (f->over)
                continue;
            if (late || cancelled)
                many_time_over(&jobs[i], f, limit_ms, cancelled);
            else if (started_it)
                flow_check(http, f);
            if (!f->over)
                continue;
            if (started_it) {
                flow_finish(http, f);
                alive--;
            }
            jobs[i].res.attempts = 1;
            jobs[i].rc = flow_result(f, &jobs[i].err);
            over++;
        }
        if (alive > 0)
            http->transport->pump(http, STEP_MS);
        for (size_t i = 0; i < next; i++) {
            if (!flows[i].over)
                flow_check_time(http, &flows[i]);
        }
    }
    free(flows);
}

struct kr_http_stream {
    struct kr_http *http;
    struct flow f;
    struct kr_http_response res;
};

int kr_http_stream_open(struct kr_http *http, const struct kr_http_request *req,
                        struct kr_http_stream **out, struct kr_err *err)
{
    struct kr_http_stream *s;

    if (is_cancelled(http))
        return kr_fail(err, KR_E_CANCELLED, "stopped by the user");
    s = kr_calloc(1, sizeof(*s));
    s->http = http;
    flow_start(http, &s->f, req, &s->res);
    *out = s;
    return 0;
}

int kr_http_stream_pump(struct kr_http_stream *stream, int64_t wait_ms, bool *done,
                        struct kr_err *err)
{
    int64_t until = kr_http_now(stream->http) + wait_ms, left = wait_ms;

    *done = false;
    do {
        if (!stream->f.x.done)
            stream->http->transport->pump(stream->http, left < STEP_MS ? left : STEP_MS);
        flow_check_time(stream->http, &stream->f);
        flow_check(stream->http, &stream->f);
        left = until - kr_http_now(stream->http);
    } while (!stream->f.over && left > 0);
    *done = stream->f.over;
    return flow_result(&stream->f, err);
}

const struct kr_http_response *kr_http_stream_response(const struct kr_http_stream *stream)
{
    return &stream->res;
}

void kr_http_stream_close(struct kr_http_stream *stream)
{
    if (stream == NULL)
        return;
    flow_finish(stream->http, &stream->f);
    kr_http_response_finish(&stream->res);
    free(stream);
}
