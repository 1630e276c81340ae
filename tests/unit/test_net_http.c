/* SPDX-License-Identifier: Apache-2.0 */
#include "fake_http.h"

static const struct kr_http_request get = {
    .method = "GET", .url = "https://hub/a", .authorization = "Bearer secret-token"};

static void test_answer(void **state)
{
    static const struct fake_answer script[] = {
        {"GET /a", 404, "X-Request-Id: r1\nSet-Cookie: a\nset-cookie: b", "gone"}};
    struct fake_http fake;
    struct kr_err err = KR_ERR_INIT;
    kr_auto_response struct kr_http_response res = KR_HTTP_RESPONSE_INIT;
    const char *from = NULL;
    kr_auto_http struct kr_http *http = FAKE_OPEN(&fake, script);

    (void)state;
    assert_int_equal(kr_http_call(http, &get, &res, &err), 0);
    assert_int_equal(res.status, 404);
    assert_string_equal(kr_buf_str(&res.body), "gone");
    assert_string_equal(kr_http_header(&res, "x-request-ID"), "r1");
    assert_null(kr_http_header(&res, "x-request"));
    assert_string_equal(kr_http_header_next(&res, "Set-Cookie", &from), "a");
    assert_string_equal(kr_http_header_next(&res, "Set-Cookie", &from), "b");
    assert_null(kr_http_header_next(&res, "Set-Cookie", &from));
    assert_string_equal(fake.seen[0].authorization, "Bearer secret-token");
    fake_done(&fake);
}

static void test_redirect_keeps_credentials_at_home(void **state)
{
    static const struct fake_answer script[] = {
        {"GET https://hub/a", 307, "Location: /b?x=1", "ignored"},
        {"GET https://hub/b?x=1", 302, "location: https://cdn/c", ""},
        {"GET https://cdn/c", 302, "location: https://hub:444/d", ""},
        {"GET https://hub:444/d", 302, "location: https://hub/e", ""},
        {"GET https://hub/e", 200, NULL, "done"}};
    static const char *const headers[] = {"X-API-Key: app-key-1", "Accept: text/plain", NULL};
    struct kr_http_request req = get;
    struct fake_http fake;
    struct kr_err err = KR_ERR_INIT;
    kr_auto_response struct kr_http_response res = KR_HTTP_RESPONSE_INIT;
    kr_auto_http struct kr_http *http = FAKE_OPEN(&fake, script);

    (void)state;
    req.headers = headers;
    assert_int_equal(kr_http_call(http, &req, &res, &err), 0);
    assert_string_equal(kr_buf_str(&res.body), "done");
    assert_string_equal(res.url, "https://hub/e");
    assert_string_equal(fake.seen[1].authorization, "Bearer secret-token");
    assert_null(fake.seen[2].authorization);
    assert_null(fake.seen[3].authorization);
    assert_string_equal(fake.seen[1].headers, "X-API-Key: app-key-1\nAccept: text/plain\n");
    assert_string_equal(fake.seen[2].headers, "Accept: text/plain\n");
    assert_string_equal(fake.seen[4].authorization, "Bearer secret-token");
    fake_done(&fake);
}

static void test_redirects_that_are_not_followed(void **state)
{
    static const struct fake_answer script[] = {
        {"POST /a", 307, "Location: /b", ""},      {"GET /a", 302, "Location: http://hub/a", ""},
        {"GET /a", 302, "Location: ftp://x/", ""}, {"GET /a", 304, "Location: /b", ""},
        {"GET /a", 302, "Location: /a", ""},       {"GET /a", 302, "Location: /a", ""},
        {"GET /a", 302, "Location: /a", ""},       {"GET /a", 302, "Location: /a", ""},
        {"GET /a", 302, "Location: /a", ""},       {"GET /a", 302, "Location: /a", ""}};
    struct kr_http_request req = get;
    struct fake_http fake;
    struct kr_err err = KR_ERR_INIT;
    kr_auto_response struct kr_http_response res = KR_HTTP_RESPONSE_INIT;
    kr_auto_http struct kr_http *http = FAKE_OPEN(&fake, script);

    (void)state;
    req.method = "POST";
    assert_int_equal(kr_http_call(http, &req, &res, &err), 0);
    assert_int_equal(res.status, 307);
    for (int i = 0; i < 4; i++)
        assert_int_equal(kr_http_call(http, &get, &res, &err), 0);
    assert_int_equal(res.status, 302);
    fake_done(&fake);
}

static void test_repeats(void **state)
{
    static const struct fake_answer script[] = {{"GET /a", 0, NULL, "", KR_HTTP_UNSENT},
                                                {"GET /a", 200, NULL, "half", KR_HTTP_LOST},
                                                {"GET /a", 503, "Retry-After: 7", ""},
                                                {"GET /a", 429, "RateLimit: \"api\";r=0;t=20", ""},
                                                {"GET /a", 200, NULL, "whole"}};
    struct fake_http fake;
    struct kr_err err = KR_ERR_INIT;
    kr_auto_response struct kr_http_response res = KR_HTTP_RESPONSE_INIT;
    kr_auto_http struct kr_http *http = FAKE_OPEN(&fake, script);

    (void)state;
    assert_int_equal(kr_http_call(http, &get, &res, &err), 0);
    assert_string_equal(kr_buf_str(&res.body), "whole");
    assert_int_equal(res.attempts, 5);
    assert_true(res.maybe_acted);
    assert_int_equal(http->exchanges, 5);
    assert_in_range(fake.slept, 500 + 1000 + 7000 + 21000, 1000 + 2000 + 7250 + 21250);
    fake_done(&fake);
}

static void test_unsafe_post_is_not_repeated_when_it_may_have_acted(void **state)
{
    static const struct fake_answer script[] = {{"POST /a", 0, NULL, "", KR_HTTP_UNSENT},
                                                {"POST /a", 429, "Retry-After: 1", ""},
                                                {"POST /a", 0, NULL, "", KR_HTTP_LOST},
                                                {"POST /a", 502, NULL, "<html>"},
                                                {"POST /a", 502, NULL, ""},
                                                {"POST /a", 200, NULL, ""}};
    struct kr_http_request req = get;
    struct fake_http fake;
    struct kr_err err = KR_ERR_INIT;
    kr_auto_response struct kr_http_response res = KR_HTTP_RESPONSE_INIT;
    kr_auto_http struct kr_http *http = FAKE_OPEN(&fake, script);

    (void)state;
    req.method = "POST";
    req.body = (struct kr_http_body){KR_BODY_BYTES, "body", -1, 0, 4};
    assert_int_equal(kr_http_call(http, &req, &res, &err), -KR_E_NETWORK);
    assert_string_equal(err.msg, "cut by the script");
    assert_int_equal(res.failure, KR_HTTP_LOST);
    assert_int_equal(res.attempts, 3);
    kr_err_clear(&err);
    assert_int_equal(kr_http_call(http, &req, &res, &err), 0);
    assert_int_equal(res.status, 502);
    req.repeat = KR_REPEAT_SAFE;
    assert_int_equal(kr_http_call(http, &req, &res, &err), 0);
    assert_int_equal(res.status, 200);
    for (size_t i = 0; i < fake.seen_count; i++)
        assert_string_equal(fake.seen[i].body, "body");
    fake_done(&fake);
}

struct taken {
    struct kr_buf text;
    int stop_at, begun;
};

static int take(void *data, const void *bytes, size_t n, struct kr_err *err)
{
    struct taken *t = data;

    kr_buf_add(&t->text, bytes, n);
    if (t->stop_at < 0 && t->text.n >= (size_t)-t->stop_at)
        return kr_fail(err, KR_E_INVALID, "not what was expected");
    return t->stop_at > 0 && t->text.n >= (size_t)t->stop_at;
}

static void begun(void *data, const struct kr_http_response *res)
{
    struct taken *t = data;

    assert_int_equal(res->status, 200);
    t->begun++;
    kr_buf_reset(&t->text);
}

static void test_streaming(void **state)
{
    static const struct fake_answer script[] = {
        {"GET /a", 503, NULL, "error page"},
        {"GET /a", 200, NULL, "abcdef", KR_HTTP_LOST, 2},
        {"GET /a", 200, NULL, "abcdef", KR_HTTP_ANSWERED, 2},
        {"GET /a", 200, NULL, "abcdef", KR_HTTP_ANSWERED, 2},
        {"GET /a", 200, NULL, "abcdef", KR_HTTP_ANSWERED, 2}};
    struct taken t = {.text = KR_BUF_INIT(100)};
    struct kr_http_request req = get;
    struct fake_http fake;
    struct kr_err err = KR_ERR_INIT;
    kr_auto_response struct kr_http_response res = KR_HTTP_RESPONSE_INIT;
    kr_auto_http struct kr_http *http = FAKE_OPEN(&fake, script);

    (void)state;
    req.data = &t;
    req.on_data = take;
    req.on_begin = begun;
    assert_int_equal(kr_http_call(http, &req, &res, &err), 0);
    assert_string_equal(kr_buf_str(&t.text), "abcdef");
    assert_int_equal(t.begun, 2);
    assert_int_equal(res.body.n, 0);
    t.stop_at = 4;
    assert_int_equal(kr_http_call(http, &req, &res, &err), 0);
    assert_true(res.stopped);
    assert_string_equal(kr_buf_str(&t.text), "abcd");
    t.stop_at = -4;
    assert_int_equal(kr_http_call(http, &req, &res, &err), -KR_E_INVALID);
    assert_string_equal(err.msg, "not what was expected");
    fake_done(&fake);
    kr_buf_finish(&t.text);
}

static void test_time_limits(void **state)
{
    static const struct fake_answer script[] = {
        {"GET /a", 200, NULL, "x", KR_HTTP_ANSWERED, 0, true},
        {"GET /a", 200, NULL, "x", KR_HTTP_ANSWERED, 0, true},
        {"GET /a", 200, NULL, "x", KR_HTTP_ANSWERED, 0, true}};
    struct kr_http_request req = get;
    struct fake_http fake;
    struct kr_err err = KR_ERR_INIT;
    int64_t before;
    kr_auto_response struct kr_http_response res = KR_HTTP_RESPONSE_INIT;
    kr_auto_http struct kr_http *http = FAKE_OPEN(&fake, script);

    (void)state;
    before = fake.now;
    assert_int_equal(kr_http_send(http, &req, &res, &err), -KR_E_TIMEOUT);
    assert_string_equal(err.msg, "hub has been silent for 60 s");
    assert_in_range(fake.now - before, 60000, 60400);
    kr_err_clear(&err);
    req.idle_ms = -1;
    req.timeout_ms = 90000;
    before = fake.now;
    assert_int_equal(kr_http_send(http, &req, &res, &err), -KR_E_TIMEOUT);
    assert_string_equal(err.msg, "hub has not finished its answer after 90 s");
    assert_in_range(fake.now - before, 90000, 90400);
    kr_err_clear(&err);
    fake.cancel = true;
    assert_int_equal(kr_http_call(http, &req, &res, &err), -KR_E_CANCELLED);
    fake_done(&fake);
}

static void test_answer_is_bounded(void **state)
{
    static const struct fake_answer script[] = {{"GET /a", 200, NULL, "0123456789"}};
    struct kr_http_request req = get;
    struct fake_http fake;
    struct kr_err err = KR_ERR_INIT;
    kr_auto_response struct kr_http_response res = KR_HTTP_RESPONSE_INIT;
    kr_auto_http struct kr_http *http = FAKE_OPEN(&fake, script);

    (void)state;
    req.max_body = 9;
    assert_int_equal(kr_http_call(http, &req, &res, &err), -KR_E_LIMIT);
    assert_string_equal(err.msg, "answer too long: more than 9 bytes");
    fake_done(&fake);
}

static void test_many(void **state)
{
    static const struct fake_answer script[] = {
        {"GET /0", 200, NULL, "zero"},
        {"GET /1", 307, "Location: /moved", ""},
        {"GET /2", 200, NULL, "", KR_HTTP_ANSWERED, 0, true},
        {"GET /3", 0, NULL, "", KR_HTTP_UNSENT},
        {"GET /moved", 200, NULL, "one"},
        {"GET /4", 200, NULL, "four"}};
    static const char *const urls[] = {"http://h/0", "http://h/1", "http://h/2", "http://h/3",
                                       "http://h/4"};
    struct kr_http_job jobs[5] = {0};
    struct fake_http fake;
    kr_auto_http struct kr_http *http = FAKE_OPEN(&fake, script);

    (void)state;
    for (size_t i = 0; i < 5; i++)
        jobs[i].req = (struct kr_http_request){.method = "GET", .url = urls[i]};
    kr_http_many(http, jobs, 5, 4, 3000);
    assert_string_equal(kr_buf_str(&jobs[0].res.body), "zero");
    assert_string_equal(kr_buf_str(&jobs[1].res.body), "one");
    assert_int_equal(jobs[2].rc, -KR_E_TIMEOUT);
    assert_string_equal(jobs[2].err.msg, "h has not answered within 3000 ms");
    assert_int_equal(jobs[3].rc, -KR_E_NETWORK);
    assert_string_equal(kr_buf_str(&jobs[4].res.body), "four");
    assert_int_equal(fake.most_live, 4);
    for (size_t i = 0; i < 5; i++)
        kr_http_response_finish(&jobs[i].res);
    fake_done(&fake);
}

static void test_stream_beside_calls(void **state)
{
    static const struct fake_answer script[] = {
        {"GET /log", 307, "Location: /log2", ""},
        {"GET /log2", 200, NULL, "abc", KR_HTTP_ANSWERED, 1, true},
        {"GET /a", 200, NULL, "one"},
        {"GET /a", 200, NULL, "two"}};
    struct taken t = {.text = KR_BUF_INIT(100)};
    struct kr_http_request req = {
        .method = "GET", .url = "https://hub/log", .data = &t, .on_data = take, .idle_ms = -1};
    struct fake_http fake;
    struct kr_err err = KR_ERR_INIT;
    struct kr_http_stream *stream = NULL;
    bool done;
    kr_auto_response struct kr_http_response res = KR_HTTP_RESPONSE_INIT;
    kr_auto_http struct kr_http *http = FAKE_OPEN(&fake, script);

    (void)state;
    assert_int_equal(kr_http_stream_open(http, &req, &stream, &err), 0);
    assert_int_equal(kr_http_stream_pump(stream, 1, &done, &err), 0);
    assert_false(done);
    assert_int_equal(kr_http_call(http, &get, &res, &err), 0);
    assert_int_equal(kr_http_call(http, &get, &res, &err), 0);
    assert_string_equal(kr_buf_str(&res.body), "two");
    assert_int_equal(kr_http_stream_pump(stream, 1000, &done, &err), 0);
    assert_false(done);
    assert_int_equal(kr_http_stream_response(stream)->status, 200);
    assert_string_equal(kr_buf_str(&t.text), "abc");
    kr_http_stream_close(stream);
    fake_done(&fake);
    kr_buf_finish(&t.text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_answer),
        cmocka_unit_test(test_redirect_keeps_credentials_at_home),
        cmocka_unit_test(test_redirects_that_are_not_followed),
        cmocka_unit_test(test_repeats),
        cmocka_unit_test(test_unsafe_post_is_not_repeated_when_it_may_have_acted),
        cmocka_unit_test(test_streaming),
        cmocka_unit_test(test_time_limits),
        cmocka_unit_test(test_answer_is_bounded),
        cmocka_unit_test(test_many),
        cmocka_unit_test(test_stream_beside_calls),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
