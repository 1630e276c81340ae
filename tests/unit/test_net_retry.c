/* SPDX-License-Identifier: Apache-2.0 */
#include "net/retry.h"

#include "base/attrs.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#define NO_LIMIT                                                                                   \
    {                                                                                              \
        false, 0, 0                                                                                \
    }

/* Waits are given for jitter 0: half of the back-off, and nothing on top of what the server
 * asks. */
struct row {
    const char *name;
    struct kr_retry_outcome outcome;
    int attempt;
    int64_t spent;
    int64_t want;
};

static const struct row rows[] = {
    /* 429 with Retry-After */
    {"seconds", {KR_HTTP_ANSWERED, 429, KR_REPEAT_UNSENT, 7000, NO_LIMIT}, 1, 0, 7000},
    {"zero seconds", {KR_HTTP_ANSWERED, 429, KR_REPEAT_UNSENT, 0, NO_LIMIT}, 1, 0, 0},
    {"none: back-off", {KR_HTTP_ANSWERED, 429, KR_REPEAT_UNSENT, -1, NO_LIMIT}, 1, 0, 500},
    {"over the budget", {KR_HTTP_ANSWERED, 429, KR_REPEAT_SAFE, 400000, NO_LIMIT}, 1, 0, -1},
    {"budget spent", {KR_HTTP_ANSWERED, 429, KR_REPEAT_SAFE, 7000, NO_LIMIT}, 2, 325000, -1},
    {"just within", {KR_HTTP_ANSWERED, 429, KR_REPEAT_SAFE, 7000, NO_LIMIT}, 2, 323000, 7000},
    {"attempts spent", {KR_HTTP_ANSWERED, 429, KR_REPEAT_SAFE, 1000, NO_LIMIT}, 6, 0, -1},
    {"never", {KR_HTTP_ANSWERED, 429, KR_REPEAT_NEVER, 1000, NO_LIMIT}, 1, 0, -1},
    /* RateLimit */
    {"window empty", {KR_HTTP_ANSWERED, 429, KR_REPEAT_UNSENT, -1, {true, 0, 55}}, 1, 0, 56000},
    {"window wins", {KR_HTTP_ANSWERED, 429, KR_REPEAT_SAFE, 3000, {true, 0, 55}}, 1, 0, 56000},
    {"window too long", {KR_HTTP_ANSWERED, 429, KR_REPEAT_SAFE, -1, {true, 0, 400}}, 1, 0, -1},
    {"quota on actions", {KR_HTTP_ANSWERED, 429, KR_REPEAT_SAFE, -1, {true, 42, 55}}, 1, 0, -1},
    {"quota with a time", {KR_HTTP_ANSWERED, 429, KR_REPEAT_SAFE, 2000, {true, 42, 9}}, 1, 0, 2000},
    {"limit on success", {KR_HTTP_ANSWERED, 200, KR_REPEAT_SAFE, -1, {true, 0, 55}}, 1, 0, -1},
    {"limit on 503", {KR_HTTP_ANSWERED, 503, KR_REPEAT_SAFE, -1, {true, 0, 55}}, 1, 0, 500},
    /* other statuses */
    {"503 safe", {KR_HTTP_ANSWERED, 503, KR_REPEAT_SAFE, -1, NO_LIMIT}, 1, 0, 500},
    {"503 with time", {KR_HTTP_ANSWERED, 503, KR_REPEAT_SAFE, 4000, NO_LIMIT}, 1, 0, 4000},
    {"503 unsafe", {KR_HTTP_ANSWERED, 503, KR_REPEAT_UNSENT, 4000, NO_LIMIT}, 1, 0, -1},
    {"500 safe", {KR_HTTP_ANSWERED, 500, KR_REPEAT_SAFE, -1, NO_LIMIT}, 2, 0, 1000},
    {"502 safe", {KR_HTTP_ANSWERED, 502, KR_REPEAT_SAFE, -1, NO_LIMIT}, 3, 0, 2000},
    {"504 safe", {KR_HTTP_ANSWERED, 504, KR_REPEAT_SAFE, -1, NO_LIMIT}, 4, 0, 4000},
    {"408 safe", {KR_HTTP_ANSWERED, 408, KR_REPEAT_SAFE, -1, NO_LIMIT}, 5, 0, 4000},
    {"501", {KR_HTTP_ANSWERED, 501, KR_REPEAT_SAFE, -1, NO_LIMIT}, 1, 0, -1},
    {"404", {KR_HTTP_ANSWERED, 404, KR_REPEAT_SAFE, -1, NO_LIMIT}, 1, 0, -1},
    {"412", {KR_HTTP_ANSWERED, 412, KR_REPEAT_SAFE, -1, NO_LIMIT}, 1, 0, -1},
    {"200", {KR_HTTP_ANSWERED, 200, KR_REPEAT_SAFE, -1, NO_LIMIT}, 1, 0, -1},
    /* no answer */
    {"unsent, safe", {KR_HTTP_UNSENT, 0, KR_REPEAT_SAFE, -1, NO_LIMIT}, 1, 0, 500},
    {"unsent, unsafe", {KR_HTTP_UNSENT, 0, KR_REPEAT_UNSENT, -1, NO_LIMIT}, 1, 0, 500},
    {"lost, safe", {KR_HTTP_LOST, 0, KR_REPEAT_SAFE, -1, NO_LIMIT}, 1, 0, 500},
    {"lost, unsafe", {KR_HTTP_LOST, 0, KR_REPEAT_UNSENT, -1, NO_LIMIT}, 1, 0, -1},
    {"unsent, never", {KR_HTTP_UNSENT, 0, KR_REPEAT_NEVER, -1, NO_LIMIT}, 1, 0, -1},
    {"hopeless", {KR_HTTP_HOPELESS, 0, KR_REPEAT_SAFE, -1, NO_LIMIT}, 1, 0, -1},
    {"cancelled", {KR_HTTP_CANCELLED, 0, KR_REPEAT_SAFE, -1, NO_LIMIT}, 1, 0, -1},
};

static void test_policy(void **state)
{
    const struct kr_retry_policy policy = KR_RETRY_DEFAULT;

    (void)state;
    for (size_t i = 0; i < KR_ARRAY_LEN(rows); i++) {
        const struct row *r = &rows[i];
        int64_t got = kr_retry_wait(&policy, &r->outcome, r->attempt, r->spent, 0);

        if (got != r->want)
            fail_msg("%s: %lld, expected %lld", r->name, (long long)got, (long long)r->want);
    }
}

static void test_jitter_and_switch_off(void **state)
{
    const struct kr_retry_policy policy = KR_RETRY_DEFAULT, none = KR_RETRY_NONE;
    const struct kr_retry_outcome lost = {KR_HTTP_LOST, 0, KR_REPEAT_SAFE, -1, NO_LIMIT};
    const struct kr_retry_outcome full = {KR_HTTP_ANSWERED, 429, KR_REPEAT_SAFE, -1, {true, 0, 5}};

    (void)state;
    assert_int_equal(kr_retry_wait(&policy, &lost, 1, 0, KR_JITTER_MAX), 1000);
    assert_int_equal(kr_retry_wait(&policy, &lost, 4, 0, KR_JITTER_MAX), 8000);
    assert_int_equal(kr_retry_wait(&policy, &lost, 5, 0, KR_JITTER_MAX), 8000);
    for (unsigned j = 0; j <= KR_JITTER_MAX; j++) {
        int64_t wait = kr_retry_wait(&policy, &lost, 2, 0, j);

        assert_in_range(wait, 1000, 2000);
        assert_in_range(kr_retry_wait(&policy, &full, 1, 0, j), 6000, 6250);
    }
    assert_int_equal(kr_retry_wait(&none, &lost, 1, 0, 0), -1);
}

static void test_retry_after(void **state)
{
    const int64_t now = 784111777000; /* Sun, 06 Nov 1994 08:49:37 GMT */
    static const struct {
        const char *value;
        int64_t want;
    } table[] = {
        {"0", 0},
        {"120", 120000},
        {" 120 ", 120000},
        {"-5", -1},
        {"1.5", -1},
        {"soon", -1},
        {"", -1},
        {NULL, -1},
        {"99999999999999999999", -1},
        {"9999999999", 365LL * 86400 * 1000},
        {"Sun, 06 Nov 1994 08:49:47 GMT", 10000},
        {"Sun, 06 Nov 1994 08:49:27 GMT", 0},
        {"Sunday, 06-Nov-94 08:49:47 GMT", 10000},
        {"Sun Nov  6 08:49:47 1994", 10000},
        {"Sun, 06 Nov 1994 08:49:47", -1},
        {"Sun, 06 Nov 2094 08:49:47 GMT", 365LL * 86400 * 1000},
    };

    (void)state;
    for (size_t i = 0; i < KR_ARRAY_LEN(table); i++) {
        int64_t got = kr_retry_after_parse(table[i].value, now);

        if (got != table[i].want)
            fail_msg("%s: %lld", table[i].value != NULL ? table[i].value : "NULL", (long long)got);
    }
}

static void test_ratelimit(void **state)
{
    struct kr_ratelimit l = kr_ratelimit_parse("\"api\";r=499;t=295");

    (void)state;
    assert_true(l.known && l.remaining == 499 && l.reset_s == 295);
    l = kr_ratelimit_parse("\"api\"; t = 5 ; r = 0");
    assert_true(l.known && l.remaining == 0 && l.reset_s == 5);
    assert_false(kr_ratelimit_parse(NULL).known);
    assert_false(kr_ratelimit_parse("").known);
    assert_false(kr_ratelimit_parse("\"api\";r=1").known);
    assert_false(kr_ratelimit_parse("\"api\";t=1").known);
    assert_false(kr_ratelimit_parse("\"api\";r=-1;t=1").known);
    assert_false(kr_ratelimit_parse("\"api\";r=0;t=99999999999").known);
}

static void test_methods(void **state)
{
    (void)state;
    assert_int_equal(kr_repeat_of_method("GET"), KR_REPEAT_SAFE);
    assert_int_equal(kr_repeat_of_method("DELETE"), KR_REPEAT_SAFE);
    assert_int_equal(kr_repeat_of_method("PUT"), KR_REPEAT_SAFE);
    assert_int_equal(kr_repeat_of_method("POST"), KR_REPEAT_UNSENT);
    assert_int_equal(kr_repeat_of_method("PATCH"), KR_REPEAT_UNSENT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_policy),      cmocka_unit_test(test_jitter_and_switch_off),
        cmocka_unit_test(test_retry_after), cmocka_unit_test(test_ratelimit),
        cmocka_unit_test(test_methods),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
