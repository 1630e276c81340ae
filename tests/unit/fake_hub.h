/* SPDX-License-Identifier: Apache-2.0 */
/* A Hub client over a script. The endpoint is http://hub, the token hf_secret_token_1. */
#ifndef KR_TESTS_FAKE_HUB_H
#define KR_TESTS_FAKE_HUB_H

#include "fake_http.h"

#include "hub/hub.h"

struct fake_hub {
    struct fake_http http;
    struct kr_buf notes;
    struct kr_hub *hub;
};

static inline void fake_note(void *data, bool warning, const char *text)
{
    kr_buf_addf(&((struct fake_hub *)data)->notes, "%s%s\n", warning ? "! " : "", text);
}

static inline struct kr_hub *fake_hub_open(struct fake_hub *f, const struct fake_answer *script,
                                           size_t n, const char *token)
{
    struct kr_err err = KR_ERR_INIT;
    struct kr_hub_options options = {
        .endpoint = "http://hub", .token = token, .ui = {.data = f, .note = fake_note}};

    (void)setenv("HF_HUB_DISABLE_IMPLICIT_TOKEN", "1", 1);
    kr_buf_init(&f->notes, 100000);
    options.http = fake_open(&f->http, script, n);
    if (kr_hub_open(&options, &f->hub, &err) < 0)
        fail_msg("%s", err.msg);
    kr_buf_reset(&f->notes); /* that the token travels unencrypted */
    return f->hub;
}

#define FAKE_HUB(f, script) fake_hub_open(f, script, KR_ARRAY_LEN(script), "hf_secret_token_1")

/* The whole script was played, and the token went to the endpoint alone. */
static inline void fake_hub_close(struct fake_hub *f)
{
    for (size_t i = 0; i < f->http.seen_count; i++) {
        const struct fake_seen *s = &f->http.seen[i];

        if (strstr(s->line, " http://hub/") == NULL && s->authorization != NULL)
            fail_msg("the token went to %s", s->line);
        assert_null(strstr(s->body, "hf_secret_token_1"));
        assert_null(strstr(s->headers, "hf_secret_token_1"));
    }
    fake_done(&f->http);
    kr_hub_close(f->hub);
    kr_buf_finish(&f->notes);
}

#define FAILS(call, kr_code_wanted, needle)                                                        \
    do {                                                                                           \
        struct kr_err err_ = KR_ERR_INIT, *err = &err_;                                            \
        int rc_ = (call);                                                                          \
        if (rc_ != -(int)(kr_code_wanted) || strstr(err_.msg, needle) == NULL)                     \
            fail_msg("%s gave %s: %s", #call, kr_code_name((enum kr_code) - rc_), err_.msg);       \
    } while (0)

#define WORKS(call)                                                                                \
    do {                                                                                           \
        struct kr_err err_ = KR_ERR_INIT, *err = &err_;                                            \
        if ((call) < 0)                                                                            \
            fail_msg("%s failed: %s (%s)", #call, err_.msg, err_.hint);                            \
    } while (0)

#endif
