/* SPDX-License-Identifier: Apache-2.0 */
#include "net/sse.h"

#include "base/alloc.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>

static int collect(void *data, const struct kr_sse_event *event, struct kr_err *err)
{
    (void)err;
    kr_buf_addf(data, "[%s|%s|%s]", event->event, event->data, event->id);
    return 0;
}

static void feed(const char *text, size_t n, size_t step, struct kr_buf *out)
{
    struct kr_sse sse;
    struct kr_err err = KR_ERR_INIT;

    kr_sse_init(&sse, collect, out);
    for (size_t at = 0; at < n; at += step)
        assert_int_equal(kr_sse_feed(&sse, text + at, n - at < step ? n - at : step, &err), 0);
    kr_sse_finish(&sse);
}

static void test_any_chunking_gives_the_same(void **state)
{
    static const char text[] = "\xef\xbb\xbf: comment\n"
                               "data: one\n\n"
                               "data:two\r\ndata:  lines\r\n\r\n"
                               "data:\n\n"
                               "event: stage\ndata: RUNNING\n\n"
                               "id: 7\rdata: cr\r\r"
                               "data: \xc3\xa9\xe2\x82\xac\n\n"
                               "retry: 5\nunknown: x\nnocolon\n\n"
                               "event: lost\n\n"
                               "data\n\n"
                               "data: unfinished\n";
    static const char want[] = "[message|one|][message|two\n lines|][message||][stage|RUNNING|]"
                               "[message|cr|7][message|\xc3\xa9\xe2\x82\xac|7][message||7]";

    (void)state;
    for (size_t step = 1; step <= sizeof(text); step++) {
        kr_auto_buf struct kr_buf out = KR_BUF_INIT(10000);

        feed(text, sizeof(text) - 1, step, &out);
        assert_string_equal(kr_buf_str(&out), want);
    }
}

static void test_partial_mark_is_text(void **state)
{
    kr_auto_buf struct kr_buf out = KR_BUF_INIT(10000);

    (void)state;
    feed("\xef\xbb"
         "data: x\n\ndata: y\n\n",
         20, 1, &out);
    assert_string_equal(kr_buf_str(&out), "[message|y|]");
}

static void test_bounds(void **state)
{
    struct kr_sse sse;
    struct kr_err err = KR_ERR_INIT;
    kr_auto_buf struct kr_buf out = KR_BUF_INIT(10);
    kr_auto_free char *line = kr_malloc(KR_SSE_MAX);
    int rc = 0;

    (void)state;
    memset(line, 'x', KR_SSE_MAX);
    kr_sse_init(&sse, collect, &out);
    for (int i = 0; i < 3 && rc == 0; i++)
        rc = kr_sse_feed(&sse, line, KR_SSE_MAX, &err);
    assert_int_equal(rc, -KR_E_LIMIT);
    kr_sse_finish(&sse);

    kr_err_clear(&err);
    kr_sse_init(&sse, collect, &out);
    rc = 0;
    for (int i = 0; i < 4 && rc == 0; i++) {
        rc = kr_sse_feed(&sse, "data:", 5, &err);
        if (rc == 0)
            rc = kr_sse_feed(&sse, line, KR_SSE_MAX / 2, &err);
        if (rc == 0)
            rc = kr_sse_feed(&sse, "\n", 1, &err);
    }
    assert_int_equal(rc, -KR_E_LIMIT);
    kr_sse_finish(&sse);
}

static int refuse(void *data, const struct kr_sse_event *event, struct kr_err *err)
{
    (void)data;
    (void)event;
    return kr_fail(err, KR_E_CANCELLED, "enough");
}

static void test_callback_ends_it(void **state)
{
    struct kr_sse sse;
    struct kr_err err = KR_ERR_INIT;

    (void)state;
    kr_sse_init(&sse, refuse, NULL);
    assert_int_equal(kr_sse_feed(&sse, "data: x\n\ndata: y\n\n", 18, &err), -KR_E_CANCELLED);
    kr_sse_finish(&sse);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_any_chunking_gives_the_same),
        cmocka_unit_test(test_partial_mark_is_text),
        cmocka_unit_test(test_bounds),
        cmocka_unit_test(test_callback_ends_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
