/* SPDX-License-Identifier: Apache-2.0 */
/* The JSON reader and the checks of native pipelines, and whole invocations without a process. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "serve/native/native.h"
#include "serve/value.h"

#include <string.h>

static enum kr_value_kind kind_of(const char *text)
{
    struct kr_reader r;
    struct kr_view span;
    enum kr_value_kind kind;

    kr_reader_init(&r, kr_view_of(text));
    kind = kr_value_take(&r, &span);
    return kr_at_end(&r) ? kind : KR_V_BAD;
}

static void test_grammar(void **state)
{
    static const char *const good[] = {"0",
                                       "-0.5e+10",
                                       "[]",
                                       "{}",
                                       " [1, {\"a\":[null,true,false]}] ",
                                       "\"\\u00e4\\n\"",
                                       "\"\xc3\xa4\xf0\x9f\x98\x80\""};
    static const char *const bad[] = {"",
                                      "01",
                                      "1.",
                                      ".5",
                                      "+1",
                                      "[1,]",
                                      "{\"a\":}",
                                      "{a:1}",
                                      "{\"a\":1,}",
                                      "\"\\x\"",
                                      "\"\\u12g4\"",
                                      "\"a\nb\"",
                                      "\"",
                                      "tru",
                                      "nul",
                                      "[",
                                      "{\"a\"",
                                      "1 2",
                                      "NaN",
                                      "\"\xc3\"",
                                      "\"\xed\xa0\x80\"",
                                      "\"\xc0\x80\"",
                                      "\"\xf5\x80\x80\x80\""};
    char deep[400];

    (void)state;
    for (size_t i = 0; i < KR_ARRAY_LEN(good); i++)
        assert_int_not_equal(kind_of(good[i]), KR_V_BAD);
    for (size_t i = 0; i < KR_ARRAY_LEN(bad); i++)
        assert_int_equal(kind_of(bad[i]), KR_V_BAD);
    memset(deep, '[', 200);
    memset(deep + 200, ']', 199);
    deep[399] = '\0';
    assert_int_equal(kind_of(deep), KR_V_BAD);
}

static void test_values(void **state)
{
    static const char text[] = "\"a\\u00e4\\ud83d\\ude00\\\"\\n\\ud800\"";
    char out[sizeof(text)];
    int64_t integer;
    size_t n;

    (void)state;
    n = kr_value_text((struct kr_view){.p = text, .n = sizeof(text) - 1}, out);
    assert_int_equal(n, 12);
    assert_memory_equal(out, "a\xc3\xa4\xf0\x9f\x98\x80\"\n\xef\xbf\xbd", 12);
    assert_true(kr_value_integer(kr_view_of("3.0"), &integer) && integer == 3);
    assert_true(kr_value_integer(kr_view_of("-9223372036854775808"), &integer) &&
                integer == INT64_MIN);
    assert_false(kr_value_integer(kr_view_of("3.5"), &integer));
    assert_false(kr_value_integer(kr_view_of("1e300"), &integer));
}

static void test_writing(void **state)
{
    kr_auto_buf struct kr_buf out = KR_BUF_INIT(1000);

    (void)state;
    kr_write_text(&out, "a\"\\\x01z", 5);
    kr_write_integer(&out, INT64_MIN);
    kr_buf_addc(&out, ' ');
    kr_write_number(&out, 0.1);
    kr_buf_addc(&out, ' ');
    kr_write_number(&out, 2);
    kr_buf_addc(&out, ' ');
    kr_write_number(&out, 1.0 / 3);
    assert_string_equal(out.p,
                        "\"a\\\"\\\\\\u0001z\"-9223372036854775808 0.1 2.0 0.3333333333333333");
}

static int add(struct kr_run *run)
{
    struct kr_text who = kr_text(run, 0);
    struct kr_numbers numbers = kr_numbers(run, 2);
    double sum = 0;

    for (size_t i = 0; i < numbers.n; i++)
        sum += numbers.p[i];
    if (who.n == 0)
        return kr_fail_run(run, "nobody \"there\"");
    kr_put_text(run, 0, who.p, who.n);
    kr_put_number(run, 1, sum * (double)kr_integer(run, 1));
    return 0;
}

static const struct kr_field inputs[] = {
    {.name = "who", .type = KR_TYPE_STRING, .least = 0, .most = 5},
    {.name = "times", .type = KR_TYPE_INTEGER, .dflt = "2", .minimum = 1, .maximum = 9},
    {.name = "numbers", .type = KR_TYPE_NUMBERS, .dflt = "[1,2]"},
    {.name = NULL}};
static const struct kr_field outputs[] = {{.name = "who", .type = KR_TYPE_STRING},
                                          {.name = "sum", .type = KR_TYPE_NUMBER},
                                          {.name = NULL}};
static const struct kr_step steps[] = {{.name = "add", .run = add}, {.name = NULL}};
static const struct kr_pipeline pipeline = {
    .abi = KR_PIPELINE_ABI, .name = "sum", .inputs = inputs, .outputs = outputs, .steps = steps};

static void invoke(const char *body, int status, const char *part)
{
    struct kr_native native = {.pipeline = &pipeline, .inputs = 3, .outputs = 2, .steps = 1};
    struct kr_work *work = kr_calloc(1, sizeof(*work));
    bool ok;

    kr_buf_init(&native.meta, 100);
    kr_buf_adds(&native.meta, ",\"metadata\":{\"run_id\":\"");
    kr_work_init(work, &native);
    assert_int_equal(kr_native_invoke(work, kr_view_of(body), "0123456789", &ok), status);
    assert_int_equal(ok, status == 200);
    if (strstr(kr_buf_str(&work->answer), part) == NULL)
        fail_msg("%s is not in %s", part, kr_buf_str(&work->answer));
    assert_int_not_equal(kind_of(kr_buf_str(&work->answer)), KR_V_BAD);
    kr_work_finish(work);
    kr_buf_finish(&native.meta);
    free(work);
}

static void test_invocations(void **state)
{
    (void)state;
    invoke("{\"parameters\":{\"who\":\"me\"}}", 200, "\"outputs\":{\"who\":\"me\",\"sum\":6.0}");
    invoke("{\"parameters\":{\"who\":\"\\u00e4\",\"times\":3.0,\"numbers\":[0.5]}}", 200,
           "\"sum\":1.5");
    invoke("{\"parameters\":{\"who\":\"\"}}", 500, "step 'add': nobody \\\"there\\\"");
    invoke("{\"parameters\":{}}", 422,
           "\"loc\":[\"body\",\"parameters\",\"who\"],\"msg\":\"Field required\"");
    invoke("{\"parameters\":{\"who\":\"toolong\"}}", 422, "from 0 to 5 characters, not 7");
    invoke("{\"parameters\":{\"who\":\"a\",\"times\":10}}", 422, "from 1 to 9");
    invoke("{\"parameters\":{\"who\":\"a\",\"times\":\"2\"}}", 422, "int_type");
    invoke("{\"parameters\":{\"who\":\"a\",\"numbers\":[1,\"x\"]}}", 422,
           "Item 1 should be a number");
    invoke("{\"parameters\":{\"who\":\"a\",\"odd\\\"\":1}}", 422, "extra_forbidden");
    invoke("{\"parameters\":[]}", 422, "model_type");
    invoke("{\"parameters\":{\"who\":\"a\"},\"timeout\":\"x\"}", 422, "timeout");
    invoke("{\"parameters\":{\"who\":\"a\"}", 422, "json_invalid");
    invoke("[]", 422, "model_type");
    invoke("{}", 422, "missing");
}

static void test_description(void **state)
{
    struct kr_native native = {.pipeline = &pipeline, .inputs = 3, .outputs = 2, .steps = 1};
    kr_auto_buf struct kr_buf out = KR_BUF_INIT(1 << 16);

    (void)state;
    kr_native_describe(&native, "libsum.so", &out);
    assert_int_not_equal(kind_of(kr_buf_str(&out)), KR_V_BAD);
    assert_non_null(strstr(out.p, "\"required\":[\"who\"]"));
    assert_non_null(strstr(out.p, "\"minimum\":1,\"maximum\":9"));
    assert_non_null(strstr(out.p, "\"maxLength\":5"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_grammar),     cmocka_unit_test(test_values),
        cmocka_unit_test(test_writing),     cmocka_unit_test(test_invocations),
        cmocka_unit_test(test_description),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
