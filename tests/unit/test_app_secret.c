/* SPDX-License-Identifier: Apache-2.0 */
#include "app/component.h"
#include "app/secret.h"
#include "app_help.h"
#include "base/redact.h"

static void create(struct place *p, const char *name, const char *key, const char *value)
{
    kr_auto_json json_t *values = json_pack("{s:s}", key, value);
    struct kr_err err = KR_ERR_INIT;

    OK(kr_secret_create(p->app, name, values, false, NULL, &err));
}

static void test_create_get_update_delete(void **state)
{
    struct place *p = *state;
    struct kr_err err = KR_ERR_INIT;
    kr_auto_json json_t *row = NULL, *more = json_pack("{s:s}", "user", "me");
    kr_auto_json json_t *drop = json_pack("[s]", "token"), *after = NULL, *got = NULL;

    create(p, "hf_token", "token", "hf_abc");
    OK(kr_secret_get(p->app, "hf_t", &row, &err));
    assert_string_equal(canonical(json_object_get(row, "values")), "{\"token\":\"hf_abc\"}");
    assert_string_equal(canonical(json_object_get(row, "keys")), "[\"token\"]");
    OK(kr_secret_update(p->app, "hf_token", more, drop, 1, &after, &err));
    assert_string_equal(canonical(json_object_get(after, "keys")), "[\"user\"]");
    assert_true(kr_json_bool(after, "private", false));
    FAILS(kr_secret_update(p->app, "hf_token", NULL, drop, -1, NULL, &err), KR_E_NOT_FOUND,
          "the secret 'hf_token' has no key 'token'");
    OK(kr_secret_rename(p->app, "hf_token", "other", false, &err));
    OK(kr_secret_get(p->app, "other", &got, &err));
    assert_string_equal(canonical(json_object_get(got, "values")), "{\"user\":\"me\"}");
    OK(kr_secret_delete(p->app, "other", false, &err));
    FAILS(kr_secret_get(p->app, "other", &got, &err), KR_E_NOT_FOUND, "no secret 'other'");
    assert_string_equal(kr_buf_str(&p->notes), "");
}

static void test_refused_names_keys_and_values(void **state)
{
    struct place *p = *state;
    struct kr_err err = KR_ERR_INIT;
    kr_auto_json json_t *good = json_pack("{s:s}", "token", "x"), *page = NULL;
    kr_auto_json json_t *name = json_pack("{s:s}", "name", "x"),
                        *dash = json_pack("{s:s}", "a-b", "x");
    kr_auto_json json_t *number = json_pack("{s:i}", "a", 1);

    FAILS(kr_secret_create(p->app, "name", good, false, NULL, &err), KR_E_INVALID,
          "a secret cannot be called 'name'");
    FAILS(kr_secret_create(p->app, "a.b", good, false, NULL, &err), KR_E_INVALID,
          "the name of the secret 'a.b' has a '.', a brace or a space");
    FAILS(kr_secret_create(p->app, "s", name, false, NULL, &err), KR_E_INVALID,
          "a key of a secret cannot be called 'name'");
    FAILS(kr_secret_create(p->app, "s", dash, false, NULL, &err), KR_E_INVALID,
          "the key 'a-b' must consist of letters, digits and '_' and not begin with a digit");
    FAILS(kr_secret_create(p->app, "s", number, false, NULL, &err), KR_E_INVALID,
          "the value of 'a' is an integer, expected text");
    create(p, "s", "token", "x");
    assert_int_equal(kr_secret_create(p->app, "s", good, false, NULL, &err), -KR_E_EXISTS);
    assert_string_equal(err.msg, "the secret 's' exists already");
    assert_string_equal(err.hint, "change it: kourou secret update s --<key>=<value>");
    kr_err_clear(&err);
    OK(kr_app_list(p->app, KR_SECRET, NULL, NULL, &page, &err));
    assert_int_equal(json_array_size(json_object_get(page, "items")), 1);
}

static void test_resolving_is_exact_and_redacts(void **state)
{
    struct place *p = *state;
    struct kr_err err = KR_ERR_INIT;
    kr_auto_free char *value = NULL;
    char text[] = "it is hf_verysecret";
    char *none = NULL;

    create(p, "hf_token", "token", "hf_verysecret");
    OK(kr_secret_resolve(p->app, "hf_token", "token", &value, &err));
    assert_string_equal(value, "hf_verysecret");
    kr_redact(text, strlen(text));
    assert_string_equal(text, "it is *************");
    assert_int_equal(kr_secret_resolve(p->app, "hf", "token", &none, &err), -KR_E_NOT_FOUND);
    assert_string_equal(err.msg, "no secret 'hf'");
    assert_string_equal(err.hint, "create it: kourou secret create hf --token=<value>");
    kr_err_clear(&err);
    FAILS(kr_secret_resolve(p->app, "hf_token", "key", &none, &err), KR_E_NOT_FOUND,
          "the secret 'hf_token' has no key 'key'");
    kr_redact_clear();
}

static void test_one_that_is_in_use_is_left_alone(void **state)
{
    struct place *p = *state;
    struct kr_err err = KR_ERR_INIT;
    kr_auto_json json_t *by_name = json_pack("{s:s}", "secret_name", "s");
    kr_auto_json json_t *by_ref = json_pack("{s:s}", "token", "{{s.token}}");
    struct kr_component_change what = {.attributes = by_name};

    create(p, "s", "token", "x");
    OK(kr_component_register(p->app, KR_DEPLOYER, "a", "huggingface", &what, NULL, &err));
    what.attributes = by_ref;
    OK(kr_component_register(p->app, KR_DEPLOYER, "b", "huggingface", &what, NULL, &err));
    assert_string_equal(kr_buf_str(&p->notes), "");
    FAILS(kr_secret_delete(p->app, "s", false, &err), KR_E_CONFLICT,
          "the secret 's' is in use: the deployer 'a', the deployer 'b'");
    FAILS(kr_secret_rename(p->app, "s", "t", false, &err), KR_E_CONFLICT,
          "the secret 's' is in use: the deployer 'a', the deployer 'b'");
    assert_string_equal(kr_buf_str(&p->notes), "");
    OK(kr_secret_delete(p->app, "s", true, &err));
    assert_non_null(strstr(kr_buf_str(&p->notes),
                           "w The secret 's' is in use: the deployer 'a', the deployer 'b'\n"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        PLACE(test_create_get_update_delete),
        PLACE(test_refused_names_keys_and_values),
        PLACE(test_resolving_is_exact_and_redacts),
        PLACE(test_one_that_is_in_use_is_left_alone),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
