/* SPDX-License-Identifier: Apache-2.0 */
/* The request parser, frame codec, body scan and native JSON reader, without sockets. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "serve/frame.h"
#include "http/request.h"
#include "serve/scan.h"

#include <string.h>

static struct kr_buf kept = KR_BUF_INIT(1 << 20);

static int keep(struct kr_request *req, const char *bytes, size_t n)
{
    (void)req;
    kr_buf_add(&kept, bytes, n);
    return 0;
}

/* Feeds text in pieces of `step` bytes. Returns the status it is refused with, 200 when complete, 0
 * when not. */
static int feed(struct kr_request *req, const char *text, size_t n, size_t step)
{
    size_t at = 0, have = 0;
    kr_auto_buf struct kr_buf in = KR_BUF_INIT(1 << 20);

    kr_buf_reset(&kept);
    kr_request_init(req, 1000, keep);
    while (have < n) {
        size_t more = n - have < step ? n - have : step;
        enum kr_request_event event;

        kr_buf_add(&in, text + have, more);
        have += more;
        do {
            event = kr_request_feed(req, in.p, &at, in.n);
            if (event == KR_REQUEST_BAD)
                return req->bad_status;
            if (event == KR_REQUEST_DONE)
                return 200;
        } while (event == KR_REQUEST_HEAD);
    }
    return 0;
}

static void check(const char *text, int expected)
{
    struct kr_request *req = kr_malloc(sizeof(*req));

    for (size_t step = 1; step < 200; step = step * 3 + 1)
        assert_int_equal(feed(req, text, strlen(text), step), expected);
    free(req);
}

static void test_whole_requests(void **state)
{
    (void)state;
    check("GET / HTTP/1.1\r\nHost: a\r\n\r\n", 200);
    check("GET /a?b=c HTTP/1.0\r\n\r\n", 200);
    check("\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", 200);
    check("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc", 200);
    check("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX: "
          "y\r\n\r\n",
          200);
    check("GET http://a/b HTTP/1.1\r\nHost: a\r\n\r\n", 200);
    check("GET / HTTP/1.1\r\nHost: a\r\nUpgrade: h2c\r\nConnection: upgrade\r\n\r\n", 200);
    check("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nab", 0);
}

static void test_refused_requests(void **state)
{
    (void)state;
    check("GET / HTTP/1.1\r\n\r\n", 400);
    check("GET / HTTP/1.1\r\nHost:\r\n\r\n", 400);
    check("GET / HTTP/1.1\nHost: a\n\n", 400);
    check("GET / HTTP/1.1\r\nHost: a\r\nX: b\r\n c\r\n\r\n", 400);
    check("GET / HTTP/1.1\r\nHost: a\r\nX:\r\n c\r\n\r\n", 400);
    check("GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", 400);
    check("GET / HTTP/3.0\r\nHost: a\r\n\r\n", 505);
    check("SPROUT / HTTP/1.1\r\nHost: a\r\n\r\n", 405);
    check("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1001\r\n\r\n", 413);
    check("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\na", 400);
    check("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\na",
          400);
    check("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\na", 400);
    check("POST / HTTP/1.1\r\nHost: a\r\nExpect: tea\r\nContent-Length: 1\r\n\r\na", 417);
}

static void test_spans(void **state)
{
    static const char text[] =
        "POST /p/q?x=1&y HTTP/1.1\r\nHost: h:1\r\nAuthorization:  Bearer k \r\n"
        "X-Request-ID: r\r\nContent-Length: 4\r\n\r\nbody";
    struct kr_request *req = kr_malloc(sizeof(*req));

    (void)state;
    assert_int_equal(feed(req, text, sizeof(text) - 1, 1), 200);
    assert_true(kr_view_eq(kr_request_view(text, req->path), "/p/q"));
    assert_true(kr_view_eq(kr_request_view(text, req->query), "x=1&y"));
    assert_true(kr_view_eq(kr_request_known(req, text, KR_H_HOST), "h:1"));
    assert_true(kr_view_eq(kr_request_known(req, text, KR_H_AUTHORIZATION), "Bearer k"));
    assert_true(kr_view_eq(kr_request_known(req, text, KR_H_REQUEST_ID), "r"));
    assert_null(kr_request_known(req, text, KR_H_ORIGIN).p);
    assert_string_equal(kr_buf_str(&kept), "body");
    assert_string_equal(kr_request_method(req), "POST");
    free(req);
}

static void test_limits(void **state)
{
    struct kr_request *req = kr_malloc(sizeof(*req));
    kr_auto_buf struct kr_buf text = KR_BUF_INIT(1 << 20);

    (void)state;
    kr_buf_adds(&text, "GET / HTTP/1.1\r\nHost: a\r\n");
    for (int i = 0; i < 120; i++)
        kr_buf_addf(&text, "X-%d: y\r\n", i);
    kr_buf_adds(&text, "\r\n");
    assert_int_equal(feed(req, text.p, text.n, 500), 431);
    kr_buf_reset(&text);
    kr_buf_adds(&text, "GET / HTTP/1.1\r\nHost: a\r\nX: ");
    for (int i = 0; i < 20000; i++)
        kr_buf_addc(&text, 'x');
    assert_int_equal(feed(req, text.p, text.n, 500), 431);
    kr_buf_reset(&text);
    kr_buf_adds(&text, "GET /");
    for (int i = 0; i < 9000; i++)
        kr_buf_addc(&text, 'x');
    assert_int_equal(feed(req, text.p, text.n, 500), 414);
    free(req);
}

static void test_frames(void **state)
{
    kr_auto_buf struct kr_buf buf = KR_BUF_INIT(4096);
    struct kr_frame frame;
    size_t need;

    (void)state;
    kr_frame_put(&buf, KR_T_RESPONSE, KR_F_RUN_OK, 503, 0xfffffffe, 5);
    kr_buf_adds(&buf, "hello");
    for (size_t n = 0; n < buf.n; n++)
        assert_int_equal(kr_frame_take(buf.p, n, &frame, &need), 0);
    assert_int_equal(need, 17);
    assert_int_equal(kr_frame_take(buf.p, buf.n, &frame, &need), 17);
    assert_int_equal(frame.type, KR_T_RESPONSE);
    assert_int_equal(frame.flags, KR_F_RUN_OK);
    assert_int_equal(frame.status, 503);
    assert_int_equal(frame.id, 0xfffffffe);
    assert_memory_equal(frame.payload, "hello", 5);
    kr_u32_put(buf.p, KR_FRAME_MAX + 1);
    assert_int_equal(kr_frame_take(buf.p, buf.n, &frame, &need), -1);
}

static int64_t timeout_of(const char *body)
{
    struct kr_scan found;

    kr_scan_body(kr_view_of(body), &found);
    return found.timeout_ms;
}

static void test_scan(void **state)
{
    struct kr_scan found;

    (void)state;
    assert_int_equal(timeout_of("{\"timeout\": 1.5}"), 1500);
    assert_int_equal(timeout_of("{\"parameters\":{\"timeout\":1},\"timeout\":2e1}"), 20000);
    assert_int_equal(timeout_of("{\"parameters\":{\"timeout\":1}}"), 0);
    assert_int_equal(timeout_of("{\"a\":\"\\\"timeout\\\":3\"}"), 0);
    assert_int_equal(timeout_of("{\"a\":\"x\\\\\",\"timeout\":3}"), 3000);
    assert_int_equal(timeout_of("{\"timeout\":null}"), 0);
    assert_int_equal(timeout_of("{\"timeout\":-1}"), 0);
    assert_int_equal(timeout_of("{\"timeout\":1e-9}"), KR_TIMEOUT_LEAST_MS);
    assert_int_equal(timeout_of("{\"timeout\":1e300}"), 30LL * 86400 * 1000);
    assert_int_equal(timeout_of("[{\"timeout\":1}]"), 0);
    assert_int_equal(timeout_of("\"timeout\""), 0);
    assert_int_equal(timeout_of("{\"timeout\""), 0);
    assert_int_equal(timeout_of("{\"timeout\":"), 0);
    kr_scan_body(kr_view_of("{\"run_name\" : \"a \\\"b\", \"timeout\":1}"), &found);
    assert_true(kr_view_eq(found.run_name, "a \\\"b"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_whole_requests), cmocka_unit_test(test_refused_requests),
        cmocka_unit_test(test_spans),          cmocka_unit_test(test_limits),
        cmocka_unit_test(test_frames),         cmocka_unit_test(test_scan),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);

    kr_buf_finish(&kept);
    return failed;
}
