/* SPDX-License-Identifier: Apache-2.0 */
/* Whether and when a request is sent again. Pure: no clock, no random source, no network. */
#ifndef KR_NET_RETRY_H
#define KR_NET_RETRY_H

#include <stdbool.h>
#include <stdint.h>

/* What became of an exchange. */
enum kr_http_failure {
    KR_HTTP_ANSWERED, /* a complete answer came */
    KR_HTTP_UNSENT,   /* never connected: the server cannot have acted */
    KR_HTTP_LOST,     /* sent, perhaps in part, without a complete answer: it may have acted */
    KR_HTTP_HOPELESS, /* certificate, address, size: the same again next time */
    KR_HTTP_CANCELLED /* by the user */
};

enum kr_repeat {
    KR_REPEAT_BY_METHOD,
    KR_REPEAT_SAFE,   /* the second time changes nothing: repeated after every passing fault */
    KR_REPEAT_UNSENT, /* only when the server cannot have acted: never connected, or 429 */
    KR_REPEAT_NEVER
};

/* Header `RateLimit: "api";r=0;t=55`. */
struct kr_ratelimit {
    bool known;
    int64_t remaining; /* r */
    int64_t reset_s;   /* t */
};

struct kr_retry_policy {
    int attempts;      /* exchanges in all, at least 1 */
    int64_t first_ms;  /* wait before the second; doubles from there */
    int64_t most_ms;   /* longest wait that we choose; what the server asks for may be longer */
    int64_t budget_ms; /* from the first exchange on: a wait that would end later is not begun */
};

/* 6 exchanges, 1 to 8 s, 330 s: longer than one rate limit window of the Hub. */
#define KR_RETRY_DEFAULT                                                                           \
    {                                                                                              \
        .attempts = 6, .first_ms = 1000, .most_ms = 8000, .budget_ms = 330000                      \
    }
#define KR_RETRY_NONE                                                                              \
    {                                                                                              \
        .attempts = 1                                                                              \
    }

struct kr_retry_outcome {
    enum kr_http_failure failure;
    int status;             /* of the answer */
    enum kr_repeat repeat;  /* not KR_REPEAT_BY_METHOD */
    int64_t retry_after_ms; /* -1: not given or not readable */
    struct kr_ratelimit limit;
};

enum { KR_JITTER_MAX = 1023 };

/* Milliseconds to wait before exchange number attempt + 1, or -1: stop. spent_ms since the first
 * exchange began; jitter is any number of 0..KR_JITTER_MAX. A 429 with requests left in its window
 * is a quota on actions, which waiting does not cure. */
int64_t kr_retry_wait(const struct kr_retry_policy *policy, const struct kr_retry_outcome *outcome,
                      int attempt, int64_t spent_ms, unsigned jitter);

enum kr_repeat kr_repeat_of_method(const char *method);

/* Reads r and t of a RateLimit header; NULL and nonsense give known = false. */
struct kr_ratelimit kr_ratelimit_parse(const char *value);

/* Retry-After: seconds, or an HTTP date measured from wall_ms (a past one gives 0). -1: neither. */
int64_t kr_retry_after_parse(const char *value, int64_t wall_ms);

/* A time as HTTP headers write it, in seconds since 1970. False: NULL, or none. */
bool kr_http_date_parse(const char *text, int64_t *seconds);

#endif
