/* SPDX-License-Identifier: Apache-2.0 */
/* A transport whose answers are the input: "STATUS\nheader lines\n\nbody", one behind the other
 * with a line "--" between them. When they are used up, connections are refused. */
#ifndef KR_FUZZ_FUZZ_NET_H
#define KR_FUZZ_FUZZ_NET_H

#include "fuzz.h"

#include "net/http_impl.h"

struct fuzz_net {
    struct fuzz_input answers;
    int64_t now;
    unsigned calls;
};

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
    size_t n;

    FUZZ_CHECK(++net->calls < 64);
    if (net->answers.n == 0) {
        kr_http_lose(x, KR_HTTP_UNSENT, KR_E_NETWORK, "refused");
        return;
    }
    text = fuzz_part(&net->answers, "\n--\n", &n);
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

    *net = (struct fuzz_net){.answers = answers, .now = 1000000};
    http = kr_http_open_over(&transport, net, "fuzz/1");
    http->hooks =
        (struct kr_http_hooks){.data = net, .now_ms = fuzz_net_now, .sleep_ms = fuzz_net_sleep};
    return http;
}

#endif
