/* SPDX-License-Identifier: Apache-2.0 */
/* Texts of the command line as values of a schema. */
#include "app/typed.h"

#include "base/alloc.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>

static json_t *parse(const char *text)
{
    json_t *value = NULL;
    struct kr_err err = KR_ERR_INIT;

    if (kr_json_parse(text, strlen(text), "test", &value, &err) != 0)
        fail_msg("%s: %s", text, err.msg);
    return value;
}

/* {"properties":{"p": <schema>}} with --p=<text> gives <wanted>; NULL: it is refused. */
static void becomes(const char *schema, const char *text, const char *wanted)
{
    kr_auto_free char *whole = kr_asprintf(
        "{\"properties\":{\"p\":%s},\"$defs\":{\"Mood\":{\"enum\":[\"good\",\"bad\",3]},"
        "\"Point\":{\"type\":\"object\"},\"Loop\":{\"$ref\":\"#/$defs/Loop\"}}}",
        schema);
    kr_auto_json json_t *root = parse(whole), *texts = json_pack("{s:s}", "p", text), *out = NULL;
    struct kr_err err = KR_ERR_INIT;
    int rc = kr_typed_parameters(root, texts, &out, &err);

    if (wanted == NULL) {
        assert_int_equal(rc, -(int)KR_E_INVALID);
        assert_non_null(strstr(err.msg, "parameter 'p'"));
        return;
    }
    if (rc != 0)
        fail_msg("%s with '%s': %s", schema, text, err.msg);
    {
        kr_auto_free char *made = kr_json_canonical(json_object_get(out, "p"));

        assert_string_equal(made, wanted);
    }
}

#define NULLABLE(type) "{\"anyOf\":[{\"type\":\"" type "\"},{\"type\":\"null\"}]}"

static void simple_types(void **state)
{
    (void)state;
    becomes("{\"type\":\"integer\"}", "20", "20");
    becomes("{\"type\":\"integer\"}", "-3", "-3");
    becomes("{\"type\":\"integer\"}", "2.5", NULL);
    becomes("{\"type\":\"integer\"}", "", NULL);
    becomes("{\"type\":\"integer\"}", "-99999999999999999999", "-99999999999999999999");
    becomes("{\"type\":\"integer\"}", "99999999999999999999x", NULL);
    becomes("{\"type\":\"integer\"}", "[99999999999999999999]", NULL);
    becomes("{\"type\":\"number\"}", "2", "2.0");
    becomes("{\"type\":\"number\"}", "1e3", "1000.0");
    becomes("{\"type\":\"number\"}", "inf", NULL);
    becomes("{\"type\":\"boolean\"}", "Yes", "true");
    becomes("{\"type\":\"boolean\"}", "0", "false");
    becomes("{\"type\":\"boolean\"}", "2", NULL);
    becomes("{\"type\":\"string\"}", "20", "\"20\"");
    becomes("{\"type\":\"string\"}", "null", "\"null\"");
    becomes("{\"type\":\"null\"}", "null", "null");
    becomes("{\"type\":\"array\"}", "[1,\"a\"]", "[1,\"a\"]");
    becomes("{\"type\":\"array\"}", "{\"a\":1}", NULL);
    becomes("{\"type\":\"object\"}", "{\"a\":1}", "{\"a\":1}");
    becomes("{\"type\":\"object\"}", "a", NULL);
}

static void several_types(void **state)
{
    (void)state;
    becomes(NULLABLE("integer"), "5", "5");
    becomes(NULLABLE("integer"), "null", "null");
    becomes(NULLABLE("integer"), "five", NULL);
    becomes(NULLABLE("string"), "5", "\"5\"");
    becomes(NULLABLE("string"), "null", "null");
    becomes(NULLABLE("object"), "{\"a\":1}", "{\"a\":1}");
    becomes("{\"anyOf\":[{\"type\":\"string\"},{\"type\":\"integer\"}]}", "5", "5");
    becomes("{\"anyOf\":[{\"type\":\"string\"},{\"type\":\"integer\"}]}", "x", "\"x\"");
    becomes("{\"type\":[\"string\",\"null\"]}", "null", "null");
    becomes("{\"type\":[\"number\",\"string\"]}", "1.5", "1.5");
    becomes("{\"oneOf\":[{\"type\":\"boolean\"},{\"type\":\"array\"}]}", "true", "true");
}

static void references_and_choices(void **state)
{
    (void)state;
    becomes("{\"$ref\":\"#/$defs/Mood\"}", "bad", "\"bad\"");
    becomes("{\"$ref\":\"#/$defs/Mood\"}", "3", "3");
    becomes("{\"$ref\":\"#/$defs/Mood\"}", "odd", NULL);
    becomes("{\"allOf\":[{\"$ref\":\"#/$defs/Mood\"}],\"default\":\"good\"}", "good", "\"good\"");
    becomes("{\"anyOf\":[{\"$ref\":\"#/$defs/Point\"},{\"type\":\"null\"}]}", "{\"x\":1}",
            "{\"x\":1}");
    becomes("{\"anyOf\":[{\"$ref\":\"#/$defs/Point\"},{\"type\":\"string\"}]}", "{x", "\"{x\"");
    becomes("{\"const\":7}", "7", "7");
    becomes("{\"const\":7}", "8", NULL);
    becomes("{\"$ref\":\"#/$defs/Loop\"}", "x", NULL);
}

static void anything_goes(void **state)
{
    (void)state;
    becomes("{}", "[1]", "[1]");
    becomes("{}", "5", "5");
    becomes("{}", "plain text", "\"plain text\"");
}

static void names_are_checked(void **state)
{
    kr_auto_json json_t *schema = parse("{\"properties\":{\"count\":{\"type\":\"integer\"},"
                                        "\"name\":{}},\"required\":[\"count\",\"name\"]}");
    kr_auto_json json_t *slip = parse("{\"cuont\":\"1\"}"), *none = json_object(), *out = NULL;
    struct kr_err err = KR_ERR_INIT;

    (void)state;
    assert_int_equal(kr_typed_parameters(schema, slip, &out, &err), -(int)KR_E_INVALID);
    assert_string_equal(err.msg, "unknown parameter 'cuont'; did you mean 'count'?");
    assert_string_equal(err.hint, "the pipeline takes: count, name");
    kr_err_clear(&err);
    assert_int_equal(kr_typed_parameters(schema, none, &out, &err), -(int)KR_E_INVALID);
    assert_string_equal(err.msg, "parameters are missing: 'count', 'name'");
    assert_null(out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(simple_types),      cmocka_unit_test(several_types),
        cmocka_unit_test(anything_goes),     cmocka_unit_test(references_and_choices),
        cmocka_unit_test(names_are_checked),
    };

    return cmocka_run_group_tests_name("typed parameters", tests, NULL, NULL);
}
