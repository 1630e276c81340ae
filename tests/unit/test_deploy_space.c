/* SPDX-License-Identifier: Apache-2.0 */
#include "deployers/space.h"

#include "base/alloc.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>

static struct kr_deployment deployment(json_t *settings, json_t *env, json_t *secrets)
{
    return (struct kr_deployment){.id = "1",
                                  .name = "My Deployment",
                                  .settings = settings,
                                  .environment = env,
                                  .secrets = secrets,
                                  .auth_key = "k3y-value"};
}

static void test_documented_name_and_defaults(void **state)
{
    kr_auto_json json_t *none = json_object();
    struct kr_deployment what = deployment(none, none, none);
    kr_auto_space_want struct kr_space_want want = {0};
    struct kr_err err = KR_ERR_INIT;

    (void)state;
    assert_int_equal(kr_space_want_init(&want, &what, "alice", &err), 0);
    assert_string_equal(want.id, "alice/zenml-my-deployment");
    assert_int_equal(want.app_port, 7860);
    assert_null(want.visibility);
    assert_string_equal(kr_json_str(want.secrets, KR_SPACE_AUTH_SECRET, ""), "k3y-value");
}

static void test_organization_and_prefix(void **state)
{
    kr_auto_json json_t *settings =
        json_pack("{s:s,s:s,s:b}", "organization", "acme", "space_prefix", "ml", "private", 1);
    struct kr_deployment what = deployment(settings, NULL, NULL);
    kr_auto_space_want struct kr_space_want want = {0};
    struct kr_err err = KR_ERR_INIT;

    (void)state;
    assert_int_equal(kr_space_want_init(&want, &what, "alice", &err), 0);
    assert_string_equal(want.id, "acme/ml-my-deployment");
    assert_string_equal(want.visibility, "private");
}

static void test_bad_names_and_keys_are_refused(void **state)
{
    kr_auto_json json_t *none = json_object(), *both = json_pack("{s:s}", "A_KEY", "v"),
                        *bad = json_pack("{s:s}", "_FOO", "v");
    struct kr_deployment what = deployment(none, both, both);
    kr_auto_space_want struct kr_space_want a = {0}, b = {0}, c = {0};
    char longname[120];
    struct kr_err err = KR_ERR_INIT;

    (void)state;
    assert_int_equal(kr_space_want_init(&a, &what, "alice", &err), -KR_E_INVALID);
    assert_non_null(strstr(err.msg, "A_KEY"));
    kr_err_clear(&err);
    what = deployment(none, bad, none);
    assert_int_equal(kr_space_want_init(&b, &what, "alice", &err), -KR_E_INVALID);
    assert_non_null(strstr(err.msg, "_FOO"));
    kr_err_clear(&err);
    memset(longname, 'a', sizeof(longname) - 1);
    longname[sizeof(longname) - 1] = '\0';
    what = deployment(none, none, none);
    what.name = longname;
    assert_int_equal(kr_space_want_init(&c, &what, "alice", &err), -KR_E_INVALID);
    assert_non_null(strstr(err.msg, "96"));
}

static void test_stage_verdicts(void **state)
{
    static const struct {
        struct kr_space_look look;
        enum kr_space_verdict verdict;
    } rows[] = {
        {{KR_STAGE_RUNNING, "aaa", "aaa", false, false, false, 0}, KR_SPACE_UP},
        {{KR_STAGE_RUNNING, "aaa", "aaa", false, true, false, 1000},
         KR_SPACE_WAIT}, /* restart not seen yet */
        {{KR_STAGE_RUNNING, "aaa", "aaa", false, true, false, 16000}, KR_SPACE_UP},
        {{KR_STAGE_RUNNING, "aaa", "aaa", true, true, false, 0},
         KR_SPACE_UP}, /* a commit of just now */
        {{KR_STAGE_RUNNING, "bbb", "aaa", false, true, true, 999999},
         KR_SPACE_WAIT}, /* old container */
        {{KR_STAGE_RUNNING, NULL, "aaa", false, true, false, 1000},
         KR_SPACE_WAIT}, /* not said yet */
        {{KR_STAGE_RUNNING, NULL, "aaa", false, true, true, 1000}, KR_SPACE_UP},
        {{KR_STAGE_RUNNING_BUILDING, "bbb", "aaa", false, true, true, 1}, KR_SPACE_WAIT},
        {{KR_STAGE_BUILD_ERROR, NULL, "aaa", false, true, false, 1000},
         KR_SPACE_WAIT}, /* of before */
        {{KR_STAGE_BUILD_ERROR, NULL, "aaa", false, true, true, 1000}, KR_SPACE_FAILED},
        {{KR_STAGE_RUNTIME_ERROR, NULL, "aaa", false, true, false, 130000}, KR_SPACE_FAILED},
        {{KR_STAGE_CONFIG_ERROR, NULL, "aaa", false, false, false, 0}, KR_SPACE_FAILED},
        {{KR_STAGE_PAUSED, NULL, "aaa", false, true, false, 0}, KR_SPACE_PAUSED},
        {{KR_STAGE_SLEEPING, NULL, "aaa", false, true, false, 0}, KR_SPACE_ASLEEP},
        {{KR_STAGE_UNKNOWN, NULL, "aaa", false, true, false, 0}, KR_SPACE_WAIT},
        /* a Space that was just created, or whose end is another one than before: at once */
        {{KR_STAGE_CONFIG_ERROR, NULL, "aaa", true, true, false, 0, true}, KR_SPACE_FAILED},
        {{KR_STAGE_BUILD_ERROR, NULL, "aaa", true, true, false, 0, true}, KR_SPACE_FAILED},
        {{KR_STAGE_RUNTIME_ERROR, NULL, "aaa", true, true, false, 0, true}, KR_SPACE_FAILED},
        {{KR_STAGE_NO_APP_FILE, NULL, "aaa", true, true, false, 0, true},
         KR_SPACE_WAIT}, /* the stage of before the commit */
        {{KR_STAGE_DELETING, NULL, "aaa", true, true, false, 0}, KR_SPACE_FAILED},
        {{KR_STAGE_UNKNOWN, NULL, "aaa", true, true, true, 0, false, true}, KR_SPACE_FAILED},
    };

    (void)state;
    for (size_t i = 0; i < KR_ARRAY_LEN(rows); i++)
        assert_int_equal(kr_space_judge(&rows[i].look), rows[i].verdict);
}

static void test_states_for_people(void **state)
{
    (void)state;
    assert_int_equal(kr_space_state(KR_STAGE_RUNNING), KR_STATE_RUNNING);
    assert_int_equal(kr_space_state(KR_STAGE_SLEEPING), KR_STATE_RUNNING);
    assert_int_equal(kr_space_state(KR_STAGE_BUILDING), KR_STATE_PENDING);
    assert_int_equal(kr_space_state(KR_STAGE_BUILD_ERROR), KR_STATE_ERROR);
    assert_int_equal(kr_space_state(KR_STAGE_PAUSED), KR_STATE_ABSENT);
    assert_int_equal(kr_space_state(KR_STAGE_UNKNOWN), KR_STATE_UNKNOWN);
}

static void test_cause_of_a_failed_build(void **state)
{
    static const char *const log[] = {
        "===== Build Queued at 2026-04-04 11:56:33 / Commit SHA: 151a283 =====",
        "--> RUN pip install -r requirements.txt",
        "cache miss: [stage-0 5/9] COPY requirements.txt failed",
        "ERROR: Could not find a version that satisfies the requirement nonsense==9",
        "--> ERROR: process \"/bin/sh -c pip install\" did not complete successfully: exit code: 1",
    };

    (void)state;
    assert_ptr_equal(kr_space_error_line(log, KR_ARRAY_LEN(log)), log[3]);
    assert_null(kr_space_error_line(log, 2));
}

static void test_port_seen_in_the_log(void **state)
{
    bool loopback = false;

    (void)state;
    assert_int_equal(
        kr_space_port_in_line("Uvicorn running on http://0.0.0.0:8000 (CTRL+C)", &loopback), 8000);
    assert_false(loopback);
    assert_int_equal(kr_space_port_in_line("listening on http://127.0.0.1:7860", &loopback), 7860);
    assert_true(loopback);
    assert_int_equal(kr_space_port_in_line("server on port 5000", &loopback), 5000);
    assert_int_equal(kr_space_port_in_line("nothing here", &loopback), 0);
}

static void test_storage_tier_names_its_replacement(void **state)
{
    kr_auto_free char *hint = kr_space_storage_hint("small", "alice/zenml-x");

    (void)state;
    assert_non_null(strstr(hint, "20 GB"));
    assert_non_null(strstr(hint, "\"source\":\"alice/zenml-x-data\""));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_documented_name_and_defaults),
        cmocka_unit_test(test_organization_and_prefix),
        cmocka_unit_test(test_bad_names_and_keys_are_refused),
        cmocka_unit_test(test_stage_verdicts),
        cmocka_unit_test(test_states_for_people),
        cmocka_unit_test(test_cause_of_a_failed_build),
        cmocka_unit_test(test_port_seen_in_the_log),
        cmocka_unit_test(test_storage_tier_names_its_replacement),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
