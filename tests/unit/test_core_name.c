/* SPDX-License-Identifier: Apache-2.0 */
#include "base/alloc.h"
#include "core/component.h"
#include "core/flavor.h"
#include "core/name.h"
#include "core/secret_ref.h"
#include "core/state.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static void test_names(void **state)
{
    static const char *const good[] = {"default", "my deployer", "Zürich", "a", "模型", "x.y-z_1"};
    static const char *const bad[] = {"",     "a/b",  " a",       "a ",           "a\nb",
                                      "\x7f", "\xff", "\xc0\xaf", "\xed\xa0\x80", "\xc2\x85"};
    struct kr_err err = KR_ERR_INIT;
    char longname[300];

    (void)state;
    for (size_t i = 0; i < KR_ARRAY_LEN(good); i++)
        assert_int_equal(kr_name_check("name", good[i], &err), 0);
    for (size_t i = 0; i < KR_ARRAY_LEN(bad); i++) {
        assert_int_equal(kr_name_check("name", bad[i], &err), -KR_E_INVALID);
        kr_err_clear(&err);
    }
    memset(longname, 'x', sizeof(longname) - 1);
    longname[sizeof(longname) - 1] = '\0';
    assert_int_equal(kr_name_check("name of the stack", longname, &err), -KR_E_INVALID);
    assert_non_null(strstr(err.msg, "the name of the stack is longer than 255 bytes"));
}

static void test_identifiers(void **state)
{
    struct kr_err err = KR_ERR_INIT;

    (void)state;
    assert_int_equal(kr_identifier_check("key", "token_1", &err), 0);
    assert_int_equal(kr_identifier_check("key", "1token", &err), -KR_E_INVALID);
    assert_string_equal(err.msg, "the key '1token' must consist of letters, digits and '_' and not "
                                 "begin with a digit");
    kr_err_clear(&err);
    assert_int_equal(kr_identifier_check("key", "", &err), -KR_E_INVALID);
    kr_err_clear(&err);
    assert_int_equal(kr_identifier_check("key", "a-b", &err), -KR_E_INVALID);
}

static void test_slugs(void **state)
{
    static const char *const rows[][2] = {{"My_Deployment", "my_deployment"},
                                          {"a b.c", "a-b-c"},
                                          {"--x--", "x"},
                                          {"", "deployment"},
                                          {"///", "deployment"},
                                          {"Zürich", "z--rich"}};

    (void)state;
    for (size_t i = 0; i < KR_ARRAY_LEN(rows); i++) {
        kr_auto_free char *slug = kr_name_slug(rows[i][0]);

        assert_string_equal(slug, rows[i][1]);
    }
}

static void test_suggestions(void **state)
{
    static const char *const words[] = {"deployer", "deployment", "stack", "secret", "pipeline"};

    (void)state;
    assert_string_equal(kr_name_nearest("deployr", words, 5), "deployer");
    assert_string_equal(kr_name_nearest("satck", words, 5), "stack");
    assert_string_equal(kr_name_nearest("DEPLOYMENT", words, 5), "deployment");
    assert_null(kr_name_nearest("zebra", words, 5));
    assert_null(kr_name_nearest("", words, 5));
}

static void test_references(void **state)
{
    static const char *const not_refs[] = {"{{a}}",          "{{.b}}",   "{{a.}}",
                                           "{{ a.b }}",      "x{{a.b}}", "{{a.b}}x",
                                           "{{a.b}}{{c.d}}", "a.b",      "{{}}"};
    kr_auto_free char *name = NULL, *key = NULL;

    (void)state;
    assert_true(kr_secret_ref_parse("{{hf.token.x}}", &name, &key));
    assert_string_equal(name, "hf");
    assert_string_equal(key, "token.x");
    for (size_t i = 0; i < KR_ARRAY_LEN(not_refs); i++)
        assert_false(kr_secret_ref_parse(not_refs[i], NULL, NULL));
}

static int lookup(void *data, const char *name, const char *key, char **value, struct kr_err *err)
{
    (*(int *)data)++;
    if (strcmp(name, "hf") != 0)
        return kr_fail(err, KR_E_NOT_FOUND, "no secret '%s' with key '%s'", name, key);
    *value = kr_strdup("s3cret");
    return 0;
}

static void test_references_are_resolved_everywhere(void **state)
{
    struct kr_err err = KR_ERR_INIT;
    kr_auto_json json_t *in = json_pack("{s:s,s:i,s:[s,{s:s}]}", "a", "{{hf.token}}", "n", 1, "l",
                                        "x", "k", "{{hf.token}}");
    kr_auto_json json_t *bad = json_pack("{s:s}", "a", "{{other.key}}");
    kr_auto_json json_t *out = NULL;
    kr_auto_free char *text = NULL;
    json_t *none = NULL;
    int calls = 0;

    (void)state;
    assert_int_equal(kr_secret_refs_resolve(in, lookup, &calls, &out, &err), 0);
    text = kr_json_canonical(out);
    assert_string_equal(text, "{\"a\":\"s3cret\",\"l\":[\"x\",{\"k\":\"s3cret\"}],\"n\":1}");
    assert_int_equal(calls, 2);
    assert_int_equal(kr_secret_refs_resolve(bad, lookup, &calls, &none, &err), -KR_E_NOT_FOUND);
    assert_string_equal(err.msg, "no secret 'other' with key 'key'");
}

static void test_tables_of_kinds_states_and_flavors(void **state)
{
    kr_auto_free char *names = kr_flavor_names(KR_DEPLOYER);

    (void)state;
    assert_int_equal(kr_component_kind_find("image-builder")->type, KR_IMAGE_BUILDER);
    assert_int_equal(kr_component_kind_find("image_builder")->type, KR_IMAGE_BUILDER);
    assert_null(kr_component_kind_find("alerter"));
    for (int i = 0; i < KR_STATE_COUNT; i++)
        assert_int_equal(kr_state_parse(kr_state_name((enum kr_state)i)), i);
    assert_int_equal(kr_state_parse("odd"), KR_STATE_UNKNOWN);
    assert_int_equal(kr_state_parse(NULL), KR_STATE_UNKNOWN);
    assert_string_equal(names, "local, docker, huggingface");
    assert_null(kr_flavor_find(KR_DEPLOYER, "default"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_identifiers),
        cmocka_unit_test(test_slugs),
        cmocka_unit_test(test_suggestions),
        cmocka_unit_test(test_references),
        cmocka_unit_test(test_references_are_resolved_everywhere),
        cmocka_unit_test(test_tables_of_kinds_states_and_flavors),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
