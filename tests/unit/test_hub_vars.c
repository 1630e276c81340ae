/* SPDX-License-Identifier: Apache-2.0 */
#include "fake_hub.h"

#include "hub/vars.h"

static json_t *json(const char *text)
{
    json_t *out = NULL;

    if (text != NULL)
        WORKS(kr_json_parse(text, strlen(text), "test", &out, err));
    return out;
}

/* The plan as text: "+s KEY=value -v OLD ". */
static char *planned(const char *ws, const char *wv, const char *rs, const char *rv,
                     json_t **record)
{
    kr_auto_json json_t *a = json(ws), *b = json(wv), *c = json(rs), *d = json(rv);
    kr_auto_vars_plan struct kr_vars_plan plan = {0};
    struct kr_buf out = KR_BUF_INIT(10000);

    WORKS(kr_vars_plan(a, b, c, d, *record, &plan, err));
    for (size_t i = 0; i < plan.n; i++)
        kr_buf_addf(&out, "%s%s %s%s%s ", plan.v[i].remove ? "-" : "+",
                    plan.v[i].kind == KR_SECRET ? "s" : "v", plan.v[i].key,
                    plan.v[i].remove ? "" : "=", plan.v[i].remove ? "" : plan.v[i].value);
    json_decref(*record);
    *record = kr_steal(&plan.record);
    return kr_buf_steal(&out);
}

static void plans(const char *want, const char *ws, const char *wv, const char *rs, const char *rv,
                  json_t **record)
{
    kr_auto_free char *got = planned(ws, wv, rs, rv, record);

    assert_string_equal(got, want);
}

static void test_life_of_a_deployment(void **state)
{
    kr_auto_json json_t *record = NULL;
    kr_auto_free char *text = NULL;

    (void)state;
    /* created with everything */
    plans("", "{\"S\":\"one-secret\"}", "{\"V\":\"1\"}", NULL, NULL, &record);
    text = kr_json_canonical(record);
    assert_null(strstr(text, "one-secret"));
    /* unchanged: nothing is sent, whatever others have set */
    plans("", "{\"S\":\"one-secret\"}", "{\"V\":\"1\"}",
          "{\"S\":{\"updatedAt\":\"t1\"},\"FOREIGN\":{}}",
          "{\"V\":{\"value\":\"1\"},\"OTHER\":{\"value\":\"x\"}}", &record);
    /* somebody changed the secret on the web page */
    plans("+s S=one-secret ", "{\"S\":\"one-secret\"}", "{\"V\":\"1\"}",
          "{\"S\":{\"updatedAt\":\"t2\"}}", "{\"V\":{\"value\":\"1\"}}", &record);
    /* our own setting moves updatedAt too: adopted once */
    plans("", "{\"S\":\"one-secret\"}", "{\"V\":\"1\"}", "{\"S\":{\"updatedAt\":\"t3\"}}",
          "{\"V\":{\"value\":\"1\"}}", &record);
    /* values change, one is added, one goes */
    plans("-v V +s S=two-secret +v W=2 ", "{\"S\":\"two-secret\"}", "{\"W\":\"2\"}",
          "{\"S\":{\"updatedAt\":\"t3\"}}", "{\"V\":{\"value\":\"1\"}}", &record);
    /* lost on the Hub: set again */
    plans("+s S=two-secret +v W=2 ", "{\"S\":\"two-secret\"}", "{\"W\":\"2\"}", "{}",
          "{\"W\":{\"value\":\"3\"}}", &record);
    /* a variable becomes a secret: removed before it is set */
    plans("-v W +s W=hidden-1 ", "{\"S\":\"two-secret\",\"W\":\"hidden-1\"}", "{}", "{\"S\":{}}",
          "{\"W\":{\"value\":\"2\"}}", &record);
    /* nothing wanted: only ours goes */
    plans("-s S -s W ", NULL, NULL, "{\"S\":{},\"W\":{},\"FOREIGN\":{}}", "{\"OTHER\":{}}",
          &record);
}

static void test_unknown_record_sets_all_secrets(void **state)
{
    kr_auto_json json_t *record = json("{\"salt\":5,\"secrets\":[],\"variables\":\"x\"}");

    (void)state;
    plans("+s S=abcdefgh ", "{\"S\":\"abcdefgh\"}", "{\"V\":\"1\"}",
          "{\"S\":{\"updatedAt\":\"t\"}}", "{\"V\":{\"value\":\"1\"}}", &record);
}

static void refuses(const char *ws, const char *wv, const char *rs, const char *rv,
                    const char *needle)
{
    kr_auto_json json_t *a = json(ws), *b = json(wv), *c = json(rs), *d = json(rv);
    kr_auto_vars_plan struct kr_vars_plan plan = {0};

    FAILS(kr_vars_plan(a, b, c, d, NULL, &plan, err), KR_E_INVALID, needle);
}

static void test_refusals(void **state)
{
    (void)state;
    refuses("{\"_A\":\"x\"}", NULL, NULL, NULL, "'_A' is not a name");
    refuses(NULL, "{\"A-B\":\"x\"}", NULL, NULL, "'A-B' is not a name");
    refuses(NULL, "{\"\":\"x\"}", NULL, NULL, "'' is not a name");
    refuses("{\"A\":5}", NULL, NULL, NULL, "the value of A is an integer");
    refuses("{\"A\":\"x\"}", "{\"A\":\"x\"}", NULL, NULL, "A is both a secret and an environment");
    refuses("{\"A\":\"x\"}", NULL, "{}", "{\"A\":{\"value\":\"y\"}}",
            "the Space has a variable A that was not set from here, and A is wanted as a secret");
    refuses(NULL, "{\"A\":\"x\"}", "{\"A\":{}}", "{}", "the Space has a secret A");
}

static void test_calls(void **state)
{
    static const struct fake_answer script[] = {
        {"GET http://hub/api/spaces/a/b/variables", 200, NULL,
         "{\"V\":{\"value\":\"1\",\"updatedAt\":\"t\"},\"OLD\":\"plain\",\"N\":null}"},
        {"DELETE http://hub/api/spaces/a/b/variables", 200, NULL, "{}"},
        {"POST http://hub/api/spaces/a/b/secrets", 503, NULL, ""},
        {"POST http://hub/api/spaces/a/b/secrets", 200, NULL, "{}"},
        {"POST http://hub/api/spaces/a/b/secrets", 0, NULL, "", KR_HTTP_LOST},
        {"POST http://hub/api/spaces/a/b/secrets", 400, NULL, "{\"error\":\"bad key\"}"}};
    struct fake_hub fake;
    struct kr_hub *hub = FAKE_HUB(&fake, script);
    kr_auto_json json_t *list = NULL;
    struct kr_var_change changes[] = {{KR_VARIABLE, true, kr_strdup("V"), NULL},
                                      {KR_SECRET, false, kr_strdup("S"), kr_strdup("v\"1")}};
    struct kr_vars_plan plan = {changes, 2, NULL};

    (void)state;
    WORKS(kr_vars_list(hub, "a/b", KR_VARIABLE, &list, err));
    assert_string_equal(kr_json_str(kr_json_at(list, "OLD", NULL), "value", ""), "plain");
    assert_true(json_is_object(json_object_get(list, "N")));
    WORKS(kr_vars_apply(hub, "a/b", &plan, err));
    assert_string_equal(fake.http.seen[1].body, "{\"key\":\"V\"}");
    assert_string_equal(fake.http.seen[3].body, "{\"key\":\"S\",\"value\":\"v\\\"1\"}");
    FAILS(kr_vars_set(hub, "a/b", KR_SECRET, "S", "x", err), KR_E_INVALID,
          "set secret S of Space a/b: bad key");
    fake_hub_close(&fake);
    for (size_t i = 0; i < 2; i++) {
        free(changes[i].key);
        free(changes[i].value);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_life_of_a_deployment),
        cmocka_unit_test(test_unknown_record_sets_all_secrets),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_calls),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
