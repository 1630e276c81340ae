/* SPDX-License-Identifier: Apache-2.0 */
/* Bodies that become arguments, byte by byte, and bodies that must not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "serve/arguments.h"

#include <string.h>

#define RUN_ID "0123456789abcdef0123456789abcdef0123"

static const char all_types[] =
    "{\"arguments\":{\"run_prefix\":\"my \\\"run\\\"-\",\"parameters\":["
    "{\"name\":\"s\",\"type\":\"string\"},{\"name\":\"i\",\"type\":\"integer\",\"default\":null},"
    "{\"name\":\"x\",\"type\":\"number\",\"default\":1},"
    "{\"name\":\"b\",\"type\":\"boolean\",\"default\":true}]}}";

static void learn(struct kr_arguments *a, const char *ready)
{
    kr_auto_json json_t *doc = NULL;
    struct kr_err err = KR_ERR_INIT;

    if (ready != NULL)
        assert_int_equal(kr_json_parse(ready, strlen(ready), "READY", &doc, &err), 0);
    kr_arguments_learn(a, doc);
}

/* One parameter of a type, without a default. */
static void learn_type(struct kr_arguments *a, const char *type)
{
    kr_auto_free char *ready = kr_asprintf(
        "{\"arguments\":{\"run_prefix\":\"r-\",\"parameters\":[{\"name\":\"p\",\"type\":\"%s\"}]}}",
        type);

    learn(a, ready);
    assert_int_not_equal(a->edition, 0);
}

static bool read_body(const struct kr_arguments *a, const char *body, size_t n, struct kr_buf *out,
                      size_t *tail_at)
{
    return kr_arguments_read(a, (struct kr_view){.p = body, .n = n}, RUN_ID, out, tail_at);
}

/* The tuple has to be these bytes, what follows this text. */
static void expect(const struct kr_arguments *a, const char *body, const char *tuple, size_t n,
                   const char *tail)
{
    kr_auto_buf struct kr_buf out = KR_BUF_INIT(1u << 16);
    size_t at;

    assert_true(read_body(a, body, strlen(body), &out, &at));
    assert_int_equal(at, n);
    assert_memory_equal(out.p, tuple, n);
    assert_string_equal(out.p + at, tail);
}

#define EXPECT(a, body, tuple, tail) expect(a, body, tuple, sizeof(tuple) - 1, tail)

static void refuse(const struct kr_arguments *a, const char *body)
{
    kr_auto_buf struct kr_buf out = KR_BUF_INIT(1u << 16);
    size_t at;

    if (read_body(a, body, strlen(body), &out, &at))
        fail_msg("was read: %s", body);
}

static void test_all_types_and_defaults(void **state)
{
    struct kr_arguments a = {0};

    (void)state;
    learn(&a, all_types);
    EXPECT(&a, "{\"parameters\":{\"s\":\"\xc3\xa4\"}}", "(\4\0\0\0u\2\0\0\0\xc3\xa4Ni\1\0\0\0T",
           "\"run_name\":\"my \\\"run\\\"-01234567\",\"parameters_used\":"
           "{\"s\":\"\xc3\xa4\",\"i\":null,\"x\":1,\"b\":true}");
    EXPECT(&a,
           " { \"timeout\" : 5 , \"run_name\":null, \"skip_artifact_materialization\":false,"
           "\"parameters\" : { \"b\" :false,\"x\":2 , \"i\":-7,\"s\":\"\" } } \n",
           "(\4\0\0\0u\0\0\0\0i\xf9\xff\xff\xffg\0\0\0\0\0\0\0@F",
           "\"run_name\":\"my \\\"run\\\"-01234567\",\"parameters_used\":"
           "{\"s\":\"\",\"i\":-7,\"x\":2.0,\"b\":false}");
    kr_arguments_finish(&a);
}

static void test_texts(void **state)
{
    struct kr_arguments a = {0};

    (void)state;
    learn_type(&a, "string");
    EXPECT(&a, "{\"parameters\":{\"p\":\"a\\\"\\\\\\/\\n\\u00e4\\u0000\"}}",
           "(\1\0\0\0u\10\0\0\0a\"\\/\n\xc3\xa4\0",
           "\"run_name\":\"r-01234567\",\"parameters_used\":"
           "{\"p\":\"a\\\"\\\\/\\u000a\xc3\xa4\\u0000\"}");
    refuse(&a, "{\"parameters\":{\"p\":\"\\ud83d\\ude00\"}}");
    refuse(&a, "{\"parameters\":{\"p\":\"\\uD800\"}}");
    refuse(&a, "{\"parameters\":{\"p\":\"\xff\"}}");
    refuse(&a, "{\"parameters\":{\"p\":\"\n\"}}");
    refuse(&a, "{\"parameters\":{\"p\":1}}");
    refuse(&a, "{\"parameters\":{\"p\":null}}");
    kr_arguments_finish(&a);
}

static void test_integers(void **state)
{
    struct kr_arguments a = {0};

    (void)state;
    learn_type(&a, "integer");
#define TAIL(text) "\"run_name\":\"r-01234567\",\"parameters_used\":{\"p\":" text "}"
    EXPECT(&a, "{\"parameters\":{\"p\":2147483647}}", "(\1\0\0\0i\xff\xff\xff\x7f",
           TAIL("2147483647"));
    EXPECT(&a, "{\"parameters\":{\"p\":2147483648}}", "(\1\0\0\0l\3\0\0\0\0\0\0\0\2\0",
           TAIL("2147483648"));
    EXPECT(&a, "{\"parameters\":{\"p\":-2147483649}}", "(\1\0\0\0l\xfd\xff\xff\xff\1\0\0\0\2\0",
           TAIL("-2147483649"));
    EXPECT(&a, "{\"parameters\":{\"p\":9223372036854775807}}",
           "(\1\0\0\0l\5\0\0\0\xff\x7f\xff\x7f\xff\x7f\xff\x7f\7\0", TAIL("9223372036854775807"));
    EXPECT(&a, "{\"parameters\":{\"p\":-9223372036854775808}}",
           "(\1\0\0\0l\xfb\xff\xff\xff\0\0\0\0\0\0\0\0\10\0", TAIL("-9223372036854775808"));
    refuse(&a, "{\"parameters\":{\"p\":9223372036854775808}}");
    refuse(&a, "{\"parameters\":{\"p\":1.0}}");
    refuse(&a, "{\"parameters\":{\"p\":1e2}}");
    refuse(&a, "{\"parameters\":{\"p\":true}}");
    refuse(&a, "{\"parameters\":{\"p\":\"1\"}}");
    refuse(&a, "{\"parameters\":{\"p\":01}}");
    kr_arguments_finish(&a);
}

static void test_numbers(void **state)
{
    struct kr_arguments a = {0};

    (void)state;
    learn_type(&a, "number");
    EXPECT(&a, "{\"parameters\":{\"p\":0.5}}", "(\1\0\0\0g\0\0\0\0\0\0\xe0?", TAIL("0.5"));
    EXPECT(&a, "{\"parameters\":{\"p\":0.1234567890123456}}",
           "(\1\0\0\0gY\xf6"
           "F7\xdd\x9a\xbf?",
           TAIL("0.1234567890123456"));
    EXPECT(&a, "{\"parameters\":{\"p\":-0.0}}", "(\1\0\0\0g\0\0\0\0\0\0\0\x80", TAIL("0.0"));
    EXPECT(&a, "{\"parameters\":{\"p\":9007199254740992}}", "(\1\0\0\0g\0\0\0\0\0\0@C",
           TAIL("9007199254740992.0"));
    refuse(&a, "{\"parameters\":{\"p\":9007199254740993}}");
    refuse(&a, "{\"parameters\":{\"p\":1e999}}");
    refuse(&a, "{\"parameters\":{\"p\":NaN}}");
    refuse(&a, "{\"parameters\":{\"p\":false}}");
    kr_arguments_finish(&a);
}

static void test_what_is_not_for_us(void **state)
{
    static const char *const bad[] = {
        "",
        "{",
        "{}",
        "[]",
        "null",
        "{\"parameters\":{\"s\":\"a\"}",
        "{\"parameters\":{\"s\":\"a\"}}}",
        "{\"parameters\":{\"s\":\"a\"}} x",
        "{\"parameters\":{\"s\":\"a\"},}",
        "{,\"parameters\":{\"s\":\"a\"}}",
        "{\"parameters\":{\"s\":\"a\"} \"timeout\":1}",
        "{\"parameters\":{\"s\":\"a\",}}",
        "{\"parameters\":{\"s\":\"a\" \"i\":1}}",
        "{\"parameters\":{\"s\":\"a\",\"s\":\"b\"}}",
        "{\"parameters\":{\"s\":\"a\"},\"parameters\":{\"s\":\"b\"}}",
        "{\"parameters\":{}}",
        "{\"parameters\":[]}",
        "{\"parameters\":null}",
        "{\"parameters\":{\"s\":\"a\",\"y\":1}}",
        "{\"parameters\":{\"\\u0073\":\"a\"}}",
        "{\"parameters\":{\"s\":\"a\",\"i\":[]}}",
        "{\"parameters\":{\"s\":\"a\",\"i\":null}}",
        "{\"parameters\":{\"s\":\"a\"},\"run_name\":\"mine\"}",
        "{\"parameters\":{\"s\":\"a\"},\"timeout\":\"5\"}",
        "{\"parameters\":{\"s\":\"a\"},\"timeout\":true}",
        "{\"parameters\":{\"s\":\"a\"},\"skip_artifact_materialization\":null}",
        "{\"parameters\":{\"s\":\"a\"},\"other\":1}",
    };
    kr_auto_buf struct kr_buf long_one = KR_BUF_INIT(1u << 20);
    struct kr_arguments a = {0};

    (void)state;
    refuse(&a, "{\"parameters\":{}}");
    learn(&a, all_types);
    for (size_t i = 0; i < KR_ARRAY_LEN(bad); i++)
        refuse(&a, bad[i]);
    kr_buf_adds(&long_one, "{\"parameters\":{\"s\":\"");
    while (long_one.n < KR_ARGUMENTS_BODY_MAX)
        kr_buf_addc(&long_one, 'x');
    kr_buf_adds(&long_one, "\"}}");
    refuse(&a, kr_buf_str(&long_one));
    kr_arguments_finish(&a);
}

static void test_no_parameters(void **state)
{
    struct kr_arguments a = {0};

    (void)state;
    learn(&a, "{\"arguments\":{\"run_prefix\":\"r-\",\"parameters\":[]}}");
    EXPECT(&a, "{\"parameters\":{}}", "(\0\0\0\0",
           "\"run_name\":\"r-01234567\",\"parameters_used\":{}");
    refuse(&a, "{\"parameters\":{\"p\":1}}");
    kr_arguments_finish(&a);
}

static void test_editions(void **state)
{
    static const char *const nothing[] = {
        "{\"routes\":[]}",
        "{\"arguments\":null}",
        "{\"arguments\":[]}",
        "{\"arguments\":{\"parameters\":[]}}",
        "{\"arguments\":{\"run_prefix\":\"r\"}}",
        "{\"arguments\":{\"run_prefix\":\"r\",\"parameters\":[1]}}",
        "{\"arguments\":{\"run_prefix\":\"r\",\"parameters\":[{\"type\":\"string\"}]}}",
        "{\"arguments\":{\"run_prefix\":\"r\",\"parameters\":[{\"name\":\"a\"}]}}",
        "{\"arguments\":{\"run_prefix\":\"r\",\"parameters\":[{\"name\":\"a\",\"type\":\"list\"}]}"
        "}",
        "{\"arguments\":{\"run_prefix\":\"r\",\"parameters\":[{\"name\":\"a\",\"type\":\"string\","
        "\"default\":[]}]}}",
    };
    struct kr_arguments a = {0};
    uint32_t first;

    (void)state;
    learn(&a, all_types);
    first = a.edition;
    learn(&a, all_types);
    assert_int_equal(a.edition, first);
    learn_type(&a, "string");
    assert_int_not_equal(a.edition, first);
    for (size_t i = 0; i < KR_ARRAY_LEN(nothing); i++) {
        learn(&a, all_types);
        assert_int_not_equal(a.edition, first);
        learn(&a, nothing[i]);
        if (a.edition != 0)
            fail_msg("was understood: %s", nothing[i]);
        refuse(&a, "{\"parameters\":{\"s\":\"a\"}}");
    }
    learn(&a, all_types);
    learn(&a, NULL);
    assert_int_equal(a.edition, 0);
    kr_arguments_finish(&a);
}

static void test_too_many_parameters(void **state)
{
    kr_auto_buf struct kr_buf ready = KR_BUF_INIT(1u << 20);
    struct kr_arguments a = {0};

    (void)state;
    kr_buf_adds(&ready, "{\"arguments\":{\"run_prefix\":\"r-\",\"parameters\":[");
    for (int i = 0; i <= KR_ARGUMENTS_MAX; i++)
        kr_buf_addf(&ready, "%s{\"name\":\"p%d\",\"type\":\"integer\",\"default\":0}",
                    i == 0 ? "" : ",", i);
    kr_buf_adds(&ready, "]}}");
    learn(&a, kr_buf_str(&ready));
    assert_int_equal(a.edition, 0);
    kr_arguments_finish(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_types_and_defaults),
        cmocka_unit_test(test_texts),
        cmocka_unit_test(test_integers),
        cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_what_is_not_for_us),
        cmocka_unit_test(test_no_parameters),
        cmocka_unit_test(test_editions),
        cmocka_unit_test(test_too_many_parameters),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
