/* SPDX-License-Identifier: Apache-2.0 */
/* RateLimit and Retry-After headers, one line each, and the wait that follows from them. */
#include "fuzz.h"

#include "net/retry.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const int statuses[] = {200, 408, 425, 429, 500, 502, 503, 504};
    static const struct kr_retry_policy policy = KR_RETRY_DEFAULT;
    struct fuzz_input in = {.p = data, .n = size};
    uint8_t kind = fuzz_byte(&in);
    kr_auto_free char *limit = fuzz_line(&in), *after = fuzz_line(&in);
    struct kr_retry_outcome outcome = {
        .failure = (enum kr_http_failure)(kind % 5),
        .status = statuses[kind / 8 % 8],
        .repeat = (enum kr_repeat)(kind % 3 + 1),
        .retry_after_ms = kr_retry_after_parse(after, 1785000000000),
        .limit = kr_ratelimit_parse(limit),
    };

    FUZZ_CHECK(outcome.retry_after_ms >= -1);
    FUZZ_CHECK(!outcome.limit.known ||
               (outcome.limit.remaining >= 0 && outcome.limit.reset_s >= 0));
    for (int attempt = 1; attempt <= policy.attempts; attempt++) {
        int64_t wait = kr_retry_wait(&policy, &outcome, attempt, kind * 1000, kind);

        FUZZ_CHECK(wait >= -1 && wait <= policy.budget_ms);
    }
    return 0;
}
