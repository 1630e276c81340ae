/* SPDX-License-Identifier: Apache-2.0 */
#include "fake_hub.h"

#include "base/redact.h"
#include "hub/logs.h"

#define EVENT(text, when) "data: {\"data\":\"" text "\",\"timestamp\":\"" when "\"}\n\n"
#define T(n)              "2026-08-20T10:00:00.00" #n "Z"

static void collect(void *data, const char *text, const char *when)
{
    (void)when;
    kr_buf_addf(data, "%s|", text);
}

static struct kr_log_options options(struct kr_buf *out, bool follow, int64_t tail)
{
    return (struct kr_log_options){.space = "a/b",
                                   .build = true,
                                   .follow = follow,
                                   .tail = tail,
                                   .line = collect,
                                   .data = out};
}

static void test_lines(void **state)
{
    static const char body[] =
        ": comment\n\n"
        "data:\n\n" EVENT("===== Build Queued =====\\n", T(1)) EVENT("part", T(2))
            EVENT(" one\\ntwo\\nthr", T(3)) "event: x\nid: 4\n" EVENT(
                "ee\\n", T(4)) "data: not json\n\ndata: {\"x\":1}\n\ndata: "
                               "{\"data\":7}\n\n" EVENT("\\u001b[31mred\\u001b[0m \\tend\\r\\n",
                                                        T(5)) EVENT("10%\\r20%\\r30%\\n", T(6))
                                   EVENT("my very-secret-value\\n", T(7)) EVENT("\\n", T(8))
                                       EVENT("last", T(9));
    static const char want[] = "===== Build Queued =====|part one|two|three|red \tend|30%|"
                               "my *****************||last|";

    (void)state;
    kr_redact_add("very-secret-value");
    for (size_t chunk = 1; chunk < 60; chunk++) {
        const struct fake_answer script[] = {{"GET http://hub/api/spaces/a/b/logs/build?tail=100",
                                              200, "Content-Type: text/event-stream", body,
                                              KR_HTTP_ANSWERED, chunk}};
        kr_auto_buf struct kr_buf out = KR_BUF_INIT(10000);
        struct kr_log_options opt = options(&out, false, 100);
        struct fake_hub fake;
        struct kr_hub *hub = FAKE_HUB(&fake, script);

        fake.http.now = 0;
        opt.idle_ms = 3600000;
        WORKS(kr_hub_logs(hub, &opt, err));
        assert_string_equal(kr_buf_str(&out), want);
        fake_hub_close(&fake);
    }
}

static void test_silence_is_the_end_when_not_following(void **state)
{
    static const struct fake_answer script[] = {{"GET /api/spaces/a/b/logs/build", 200, NULL,
                                                 EVENT("one\\n", T(1)) "data:\n\n",
                                                 KR_HTTP_ANSWERED, 0, true}};
    kr_auto_buf struct kr_buf out = KR_BUF_INIT(10000);
    struct kr_log_options opt = options(&out, false, -1);
    struct fake_hub fake;
    struct kr_hub *hub = FAKE_HUB(&fake, script);
    int64_t before = fake.http.now;

    (void)state;
    WORKS(kr_hub_logs(hub, &opt, err));
    assert_string_equal(kr_buf_str(&out), "one|");
    assert_in_range(fake.http.now - before, 2000, 3000); /* lines came: it is drained */
    fake_hub_close(&fake);
}

static void test_a_log_that_says_nothing_gets_more_time(void **state)
{
    static const struct fake_answer script[] = {
        {"GET /api/spaces/a/b/logs/build", 200, NULL, "data:\n\n", KR_HTTP_ANSWERED, 0, true}};
    kr_auto_buf struct kr_buf out = KR_BUF_INIT(10000);
    struct kr_log_options opt = options(&out, false, -1);
    struct fake_hub fake;
    struct kr_hub *hub = FAKE_HUB(&fake, script);
    int64_t before = fake.http.now;

    (void)state;
    WORKS(kr_hub_logs(hub, &opt, err));
    assert_in_range(fake.http.now - before, 5000, 6500);
    fake_hub_close(&fake);
}

/* An app that never stops writing: the end is the first line of after the Hub's answer, whose time
 * has whole seconds. */
static void test_busy_log_ends(void **state)
{
#define AT(second) "2026-08-20T10:00:" second "Z"
    static const char body[] = EVENT("old\\n", AT("03.999")) EVENT("same second\\n", AT("05.900"))
        EVENT("no time\\n", "") EVENT("half", AT("05.950")) EVENT("new\\n", AT("06.001"))
            EVENT("newer\\n", AT("07.000"));
    static const char *const dates[] = {"Date: Thu, 20 Aug 2026 10:00:05 GMT", "Date: nonsense"};
    static const char *const wanted[] = {"old|same second|no time|half|",
                                         "old|same second|no time|halfnew|newer|"};

    (void)state;
    for (size_t i = 0; i < KR_ARRAY_LEN(dates); i++) {
        const struct fake_answer script[] = {{"GET /api/spaces/a/b/logs/build", 200, dates[i], body,
                                              KR_HTTP_ANSWERED, i == 0 ? 40 : 0, true}};
        kr_auto_buf struct kr_buf out = KR_BUF_INIT(10000);
        struct kr_log_options opt = options(&out, false, -1);
        struct fake_hub fake;
        struct kr_hub *hub = FAKE_HUB(&fake, script);

        WORKS(kr_hub_logs(hub, &opt, err));
        assert_string_equal(kr_buf_str(&out), wanted[i]);
        fake_hub_close(&fake);
    }
}

static void test_replay_is_not_shown_twice(void **state)
{
    static const struct fake_answer script[] = {
        {"GET /logs/build?tail=2", 200, NULL,
         EVENT("b\\n", T(2)) EVENT("c\\n", T(3)) EVENT("d\\n", T(3)), KR_HTTP_LOST},
        /* again from the very start, without tail; two more events bear the last time */
        {"GET /logs/build", 0, NULL, "", KR_HTTP_UNSENT},
        {"GET /logs/build", 503, NULL, "sorry"},
        {"GET /logs/build", 200, NULL,
         EVENT("a\\n", T(1)) EVENT("b\\n", T(2)) EVENT("c\\n", T(3)) EVENT("d\\n", T(3))
             EVENT("e\\n", T(3)),
         KR_HTTP_LOST},
        {"GET /logs/build", 200, NULL,
         EVENT("a\\n", T(1)) EVENT("b\\n", T(2)) EVENT("c\\n", T(3)) EVENT("d\\n", T(3))
             EVENT("e\\n", T(3)) EVENT("f\\n", T(4)) EVENT("late\\n", T(3))}};
    kr_auto_buf struct kr_buf out = KR_BUF_INIT(10000);
    struct kr_log_options opt = options(&out, true, 2);
    struct fake_hub fake;
    struct kr_hub *hub = FAKE_HUB(&fake, script);

    (void)state;
    WORKS(kr_hub_logs(hub, &opt, err));
    assert_string_equal(kr_buf_str(&out), "b|c|d|e|f|late|");
    assert_int_equal(fake.http.slept, 1000 + 2000 + 4000 + 1000);
    fake_hub_close(&fake);
}

static void test_replay_without_times_is_counted(void **state)
{
#define BARE(text) "data: {\"data\":\"" text "\\n\"}\n\n"
    static const struct fake_answer script[] = {
        {"GET /logs/build", 200, NULL, BARE("a") BARE("a") BARE("b"), KR_HTTP_LOST},
        {"GET /logs/build", 200, NULL, BARE("a") BARE("a") BARE("b") BARE("a") BARE("c")}};
    kr_auto_buf struct kr_buf out = KR_BUF_INIT(10000);
    struct kr_log_options opt = options(&out, true, -1);
    struct fake_hub fake;
    struct kr_hub *hub = FAKE_HUB(&fake, script);

    (void)state;
    WORKS(kr_hub_logs(hub, &opt, err));
    assert_string_equal(kr_buf_str(&out), "a|a|b|a|c|");
    fake_hub_close(&fake);
}

static void test_gives_up(void **state)
{
    static const struct fake_answer script[] = {
        {"GET /logs/run", 0, NULL, "", KR_HTTP_LOST},
        {"GET /logs/run", 0, NULL, "", KR_HTTP_LOST},
        {"GET /logs/run", 0, NULL, "", KR_HTTP_LOST},
        {"GET /logs/run", 0, NULL, "", KR_HTTP_LOST},
        {"GET /logs/run", 0, NULL, "", KR_HTTP_LOST},
        {"GET /logs/run", 0, NULL, "", KR_HTTP_LOST},
        {"GET /logs/run", 404, "X-Error-Code: RepoNotFound",
         "{\"error\":\"Repository not found\"}"},
        {"GET /logs/run", 400, NULL, "{\"error\":\"SSE is not enabled\"}"}};
    struct kr_log_options opt = options(NULL, true, -1);
    struct fake_hub fake;
    struct kr_hub *hub = FAKE_HUB(&fake, script);

    (void)state;
    opt.build = false;
    opt.line = NULL;
    FAILS(kr_hub_logs(hub, &opt, err), KR_E_NETWORK, "read the run log of Space a/b: cut by the");
    FAILS(kr_hub_logs(hub, &opt, err), KR_E_NOT_FOUND, "Repository not found");
    FAILS(kr_hub_logs(hub, &opt, err), KR_E_INVALID, "SSE is not enabled");
    fake_hub_close(&fake);
}

static void test_long_line_is_cut(void **state)
{
    kr_auto_buf struct kr_buf body = KR_BUF_INIT(1 << 20), out = KR_BUF_INIT(1 << 20);
    struct kr_log_options opt = options(&out, false, -1);
    struct fake_answer script[] = {{"GET /logs/build", 200, NULL, NULL}};
    struct fake_hub fake;
    struct kr_hub *hub;

    (void)state;
    kr_buf_adds(&body, "data: {\"data\":\"");
    for (int i = 0; i < 100000; i++)
        kr_buf_addc(&body, 'x');
    kr_buf_adds(&body, "\\nend\\n\"}\n\n");
    script[0].body = kr_buf_str(&body);
    hub = FAKE_HUB(&fake, script);
    WORKS(kr_hub_logs(hub, &opt, err));
    assert_int_equal(out.n, 100000 + 2 + 4);
    assert_int_equal(out.p[64 * 1024], '|');
    assert_non_null(strstr(kr_buf_str(&out), "|end|"));
    fake_hub_close(&fake);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lines),
        cmocka_unit_test(test_silence_is_the_end_when_not_following),
        cmocka_unit_test(test_a_log_that_says_nothing_gets_more_time),
        cmocka_unit_test(test_busy_log_ends),
        cmocka_unit_test(test_replay_is_not_shown_twice),
        cmocka_unit_test(test_replay_without_times_is_counted),
        cmocka_unit_test(test_gives_up),
        cmocka_unit_test(test_long_line_is_cut),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
