/* SPDX-License-Identifier: Apache-2.0 */
/* A transport that plays a script: protocol code is tested without sockets, clock or sleep.
 *
 *     static const struct fake_answer script[] = {
 *         {"GET /api/x", 429, "RateLimit: \"api\";r=0;t=5", ""},
 *         {"GET /api/x", 200, NULL, "{}"},
 *     };
 *     struct fake_http fake;
 *     kr_auto_http struct kr_http *http = FAKE_OPEN(&fake, script);
 *     ...
 *     fake_done(&fake);   // the whole script was played */
#ifndef KR_TESTS_FAKE_HTTP_H
#define KR_TESTS_FAKE_HTTP_H

#include "base/alloc.h"
#include "net/http_impl.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

struct fake_answer {
    const char *expect;  /* method, blank, end of the address (path and query); NULL: any */
    int status;          /* 0: no answer, failure says how */
    const char *headers; /* lines with '\n' between them, or NULL */
    const char *body;
    enum kr_http_failure failure;
    size_t chunk; /* bytes of the body per pump; 0: all at once */
    bool open;    /* stays open behind its body */
};

struct fake_seen {
    char *line; /* "GET http://host/path" */
    char *authorization;
    char *headers; /* lines with '\n' behind each */
    char *body;
    size_t body_len;
};

enum { FAKE_SEEN_MAX = 256, FAKE_LIVE_MAX = 8 };

struct fake_http {
    const struct fake_answer *script;
    size_t n, at;
    struct fake_seen seen[FAKE_SEEN_MAX];
    size_t seen_count;
    struct fake_live {
        struct kr_http_exchange *x;
        const struct fake_answer *answer;
        size_t given;
        bool headed;
    } live[FAKE_LIVE_MAX];
    int64_t now, slept;
    size_t most_live;
    bool cancel;
};

static inline bool fake_matches(const char *expect, const char *method, const char *url)
{
    size_t m = strlen(method), e, u = strlen(url);

    if (expect == NULL)
        return true;
    if (strncmp(expect, method, m) != 0 || expect[m] != ' ')
        return false;
    expect += m + 1;
    e = strlen(expect);
    return u >= e && strcmp(url + u - e, expect) == 0;
}

static inline void fake_record(struct fake_http *f, const struct kr_http_exchange *x)
{
    struct fake_seen *s = &f->seen[f->seen_count++];
    struct kr_buf lines = KR_BUF_INIT(1 << 20);
    const struct kr_http_body *body = &x->req->body;

    assert_true(f->seen_count < FAKE_SEEN_MAX);
    s->line = kr_asprintf("%s %s", x->req->method, x->url);
    s->authorization = kr_strdup(x->authorization);
    for (size_t i = 0; x->req->headers != NULL && x->req->headers[i] != NULL; i++) {
        if (!x->foreign || kr_http_header_is_harmless(x->req->headers[i]))
            kr_buf_addf(&lines, "%s\n", x->req->headers[i]);
    }
    s->headers = kr_buf_steal(&lines);
    s->body_len = body->kind == KR_BODY_NONE ? 0 : (size_t)body->size;
    s->body = kr_calloc(s->body_len + 1, 1);
    if (body->kind == KR_BODY_BYTES && s->body_len != 0)
        memcpy(s->body, body->bytes, s->body_len);
    if (body->kind == KR_BODY_FD)
        assert_int_equal(pread(body->fd, s->body, s->body_len, (off_t)body->offset), s->body_len);
}

static inline void fake_begin(struct kr_http *http, struct kr_http_exchange *x)
{
    struct fake_http *f = http->impl;
    size_t live = 0;

    fake_record(f, x);
    if (f->at >= f->n)
        fail_msg("call behind the end of the script: %s %s", x->req->method, x->url);
    if (!fake_matches(f->script[f->at].expect, x->req->method, x->url))
        fail_msg("call %zu is %s %s, expected %s", f->at, x->req->method, x->url,
                 f->script[f->at].expect);
    for (size_t i = 0; i < FAKE_LIVE_MAX; i++) {
        if (f->live[i].x == NULL && x->impl == NULL) {
            f->live[i] = (struct fake_live){.x = x, .answer = &f->script[f->at]};
            x->impl = &f->live[i];
        }
        live += f->live[i].x != NULL;
    }
    if (live > f->most_live)
        f->most_live = live;
    assert_non_null(x->impl);
    f->at++;
}

static inline void fake_head(struct kr_http_exchange *x, const struct fake_answer *a)
{
    char status[32];
    const char *line = a->headers;

    (void)snprintf(status, sizeof(status), "HTTP/1.1 %d X", a->status);
    kr_http_take_header(x, status, strlen(status));
    while (line != NULL && *line != '\0') {
        size_t n = strcspn(line, "\n");

        kr_http_take_header(x, line, n);
        line += n + (line[n] == '\n');
    }
}

static inline void fake_move(struct kr_http *http, struct fake_live *l)
{
    const struct fake_answer *a = l->answer;
    const char *body = a->body != NULL ? a->body : "";
    size_t left = strlen(body) - l->given;
    size_t n = a->chunk != 0 && a->chunk < left ? a->chunk : left;

    if (!l->headed && a->status != 0)
        fake_head(l->x, a);
    if (!l->headed && l->x->req->body.kind != KR_BODY_NONE)
        kr_http_note_sent(http, l->x, l->x->req->body.size);
    l->headed = true;
    if (n != 0 && kr_http_take_data(http, l->x, body + l->given, n) < 0)
        return;
    l->given += n;
    if (body[l->given] != '\0' || a->open)
        return;
    if (a->status != 0 && a->failure == KR_HTTP_ANSWERED) {
        l->x->res->failure = KR_HTTP_ANSWERED;
        l->x->done = true;
    } else {
        kr_http_lose(l->x, a->failure, KR_E_NETWORK, "cut by the script");
    }
}

static inline void fake_pump(struct kr_http *http, int64_t wait_ms)
{
    struct fake_http *f = http->impl;
    bool any = false;

    for (size_t i = 0; i < FAKE_LIVE_MAX; i++) {
        if (f->live[i].x != NULL && !f->live[i].x->done) {
            fake_move(http, &f->live[i]);
            any = any || f->live[i].x->done;
        }
    }
    if (!any)
        f->now += wait_ms > 0 ? wait_ms : 1;
}

static inline void fake_end(struct kr_http *http, struct kr_http_exchange *x)
{
    (void)http;
    if (x->impl != NULL)
        ((struct fake_live *)x->impl)->x = NULL;
    x->impl = NULL;
}

static inline void fake_close(void *impl)
{
    struct fake_http *f = impl;

    for (size_t i = 0; i < f->seen_count; i++) {
        free(f->seen[i].line);
        free(f->seen[i].authorization);
        free(f->seen[i].headers);
        free(f->seen[i].body);
    }
}

static inline int64_t fake_now(void *data)
{
    return ((struct fake_http *)data)->now;
}

static inline void fake_sleep(void *data, int64_t ms)
{
    ((struct fake_http *)data)->now += ms;
    ((struct fake_http *)data)->slept += ms;
}

static inline bool fake_cancelled(void *data)
{
    return ((struct fake_http *)data)->cancel;
}

static const struct kr_http_transport fake_transport = {fake_begin, fake_pump, fake_end,
                                                        fake_close};

static inline struct kr_http *fake_open(struct fake_http *f, const struct fake_answer *script,
                                        size_t n)
{
    struct kr_http *http;

    *f = (struct fake_http){.script = script, .n = n, .now = 1000000};
    http = kr_http_open_over(&fake_transport, f, "test/1");
    http->hooks = (struct kr_http_hooks){
        .data = f, .now_ms = fake_now, .sleep_ms = fake_sleep, .cancelled = fake_cancelled};
    return http;
}

#define FAKE_OPEN(f, script) fake_open(f, script, KR_ARRAY_LEN(script))

static inline void fake_done(const struct fake_http *f)
{
    if (f->at != f->n)
        fail_msg("only %zu of %zu calls were made; next: %s", f->at, f->n,
                 f->script[f->at].expect != NULL ? f->script[f->at].expect : "any");
}

#endif
