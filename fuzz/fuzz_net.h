/* SPDX-License-Identifier: Apache-2.0 */
/* A transport whose answers are the input: "STATUS\nheader lines\n\nbody", one behind the other
 * with a line "--" between them. When they are used up, connections are refused, or the last answer
 * is given again and again: whoever asks has to find an end. */
#ifndef KR_FUZZ_FUZZ_NET_H
#define KR_FUZZ_FUZZ_NET_H

#include "fuzz.h"

#include "net/http_impl.h"

#include <strings.h>

struct fuzz_net {
    struct fuzz_input answers;
    int64_t now;
    unsigned calls, calls_max;
    bool repeats;     /* the last answer */
    const char *home; /* the only origin that may get credentials; NULL: not looked at */
    void (*look)(const struct kr_http_exchange *x, const char *body, size_t n); /* or NULL */
};

static inline bool fuzz_net_is_at(const char *url, const char *origin)
{
    size_t n = strlen(origin);

    return strncasecmp(url, origin, n) == 0 && strchr("/?#", url[n]) != NULL;
}

/* What a real transport does with a request: reads its body to the end. */
static inline void fuzz_net_send(const struct fuzz_net *net, const struct kr_http_exchange *x)
{
    const struct kr_http_body *body = &x->req->body;
    kr_auto_free char *bytes = NULL;

    FUZZ_CHECK(body->size < (1 << 24));
    bytes = kr_malloc(body->size + 1);
    if (body->kind == KR_BODY_FD)
        FUZZ_CHECK(pread(body->fd, bytes, body->size, (off_t)body->offset) == (ssize_t)body->size);
    else if (body->kind == KR_BODY_BYTES && body->size != 0)
        memcpy(bytes, body->bytes, body->size);
    if (net->home != NULL && x->authorization != NULL)
        FUZZ_CHECK(fuzz_net_is_at(x->url, net->home));
    if (net->look != NULL)
        net->look(x, bytes, body->kind == KR_BODY_NONE ? 0 : body->size);
}

static inline void fuzz_net_answer(struct kr_http *http, struct kr_http_exchange *x, char *text,
                                   size_t n)
{
    struct fuzz_input in = {.p = (const uint8_t *)text, .n = n};
    kr_auto_free char *status = fuzz_line(&in);
    kr_auto_free char *head = NULL;

    head = kr_asprintf("HTTP/1.1 %.3s X", status);
    kr_http_take_header(x, head, strlen(head));
    while (in.n != 0) {
        kr_auto_free char *line = fuzz_line(&in);

        if (line[0] == '\0')
            break;
        kr_http_take_header(x, line, strlen(line));
    }
    if (in.n == 0 || kr_http_take_data(http, x, in.p, in.n) == 0) {
        x->res->failure = KR_HTTP_ANSWERED;
        x->done = true;
    }
}

static inline void fuzz_net_begin(struct kr_http *http, struct kr_http_exchange *x)
{
    struct fuzz_net *net = http->impl;
    kr_auto_free char *text = NULL;
    struct fuzz_input again;
    size_t n;

    FUZZ_CHECK(++net->calls < net->calls_max);
    fuzz_net_send(net, x);
    if (net->answers.n == 0) {
        kr_http_lose(x, KR_HTTP_UNSENT, KR_E_NETWORK, "refused");
        return;
    }
    again = net->answers;
    text = fuzz_part(&net->answers, "\n--\n", &n);
    if (net->repeats && net->answers.n == 0)
        net->answers = again;
    fuzz_net_answer(http, x, text, n);
}

static inline void fuzz_net_pump(struct kr_http *http, int64_t wait_ms)
{
    ((struct fuzz_net *)http->impl)->now += wait_ms > 0 ? wait_ms : 1;
}

static inline void fuzz_net_end(struct kr_http *http, struct kr_http_exchange *x)
{
    (void)http;
    (void)x;
}

static inline void fuzz_net_close(void *impl)
{
    (void)impl;
}

static inline int64_t fuzz_net_now(void *data)
{
    return ((struct fuzz_net *)data)->now;
}

static inline void fuzz_net_sleep(void *data, int64_t ms)
{
    ((struct fuzz_net *)data)->now += ms;
}

static inline struct kr_http *fuzz_net_open(struct fuzz_net *net, struct fuzz_input answers)
{
    static const struct kr_http_transport transport = {fuzz_net_begin, fuzz_net_pump, fuzz_net_end,
                                                       fuzz_net_close};
    struct kr_http *http;

    *net = (struct fuzz_net){.answers = answers, .now = 1000000, .calls_max = 64};
    http = kr_http_open_over(&transport, net, "fuzz/1");
    http->hooks =
        (struct kr_http_hooks){.data = net, .now_ms = fuzz_net_now, .sleep_ms = fuzz_net_sleep};
    return http;
}

#endif
