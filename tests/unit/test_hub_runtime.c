/* SPDX-License-Identifier: Apache-2.0 */
#include "fake_hub.h"

#include "hub/runtime.h"

#include <stdio.h>

/* As recorded from the live service. */
#define BUILDING                                                                                   \
    "{\"stage\":\"BUILDING\",\"hardware\":{\"current\":null,\"requested\":\"cpu-basic\"},"         \
    "\"storage\":null,"                                                                            \
    "\"gcTimeout\":172800,\"replicas\":{\"requested\":1},\"devMode\":false,\"domains\":[{"         \
    "\"domain\":"                                                                                  \
    "\"user-tmp-test-space.hf.space\",\"stage\":\"READY\"}]}"
#define STATIC                                                                                     \
    "{\"stage\":\"RUNNING\",\"hardware\":{\"current\":null,\"requested\":null},\"storage\":null,"  \
    "\"replicas\":{\"requested\":1,\"current\":1}}"

static void read_text(const char *text, struct kr_runtime *rt)
{
    kr_auto_json json_t *body = NULL;

    WORKS(kr_json_parse(text, strlen(text), "test", &body, err));
    kr_runtime_read(body, rt);
}

static void test_shapes(void **state)
{
    static const char *const odd[] = {
        "[]", "{}", "{\"stage\":7,\"hardware\":\"x\",\"replicas\":[],\"domains\":{},\"sha\":[]}",
        "{\"stage\":null,\"domains\":[1,{\"domain\":\"\"},null],\"volumes\":\"x\",\"gcTimeout\":"
        "\"1\"}",
        "{\"replicas\":{\"requested\":99999999999,\"current\":-5},\"errorMessage\":{}}"};
    struct kr_runtime rt;

    (void)state;
    read_text(BUILDING, &rt);
    assert_int_equal(rt.stage, KR_STAGE_BUILDING);
    assert_null(rt.hardware);
    assert_string_equal(rt.hardware_requested, "cpu-basic");
    assert_string_equal(rt.domain, "user-tmp-test-space.hf.space");
    assert_int_equal(rt.sleep_s, 172800);
    assert_int_equal(rt.replicas, -1);
    assert_int_equal(rt.replicas_requested, 1);
    kr_runtime_finish(&rt);
    read_text(STATIC, &rt);
    assert_int_equal(rt.sleep_s, -1);
    assert_null(rt.domain);
    kr_runtime_finish(&rt);
    read_text(
        "{\"stage\":\"RUNNING_CONTAINER_STARTING\",\"domains\":[{\"domain\":\"my.org\",\"isCustom\""
        ":true},{\"domain\":\"127.0.0.1:5000\"}],\"errorMessage\":\"a\\nb\",\"volumes\":[{}]}",
        &rt);
    assert_int_equal(rt.stage, KR_STAGE_UNKNOWN);
    assert_string_equal(rt.stage_name, "RUNNING_CONTAINER_STARTING");
    assert_string_equal(rt.domain, "127.0.0.1:5000");
    assert_string_equal(rt.error, "a\nb");
    assert_int_equal(json_array_size(rt.volumes), 1);
    kr_runtime_finish(&rt);
    for (size_t i = 0; i < KR_ARRAY_LEN(odd); i++) {
        read_text(odd[i], &rt);
        assert_int_equal(rt.stage, KR_STAGE_UNKNOWN);
        assert_null(rt.domain);
        assert_null(rt.volumes);
        assert_int_equal(rt.replicas, -1);
        kr_runtime_finish(&rt);
    }
    kr_runtime_read(NULL, &rt);
    assert_string_equal(rt.stage_name, "");
    kr_runtime_finish(&rt);
}

static void test_stages(void **state)
{
    (void)state;
    assert_true(kr_stage_is_moving(kr_stage_parse("RUNNING_APP_STARTING")));
    assert_true(kr_stage_serves(kr_stage_parse("RUNNING_APP_STARTING")));
    assert_true(kr_stage_is_error(kr_stage_parse("CONFIG_ERROR")));
    assert_true(kr_stage_sleeps(kr_stage_parse("STOPPED")));
    assert_false(kr_stage_sleeps(kr_stage_parse("PAUSED")));
    assert_int_equal(kr_stage_parse(""), KR_STAGE_UNKNOWN);
    assert_false(kr_stage_is_moving(KR_STAGE_UNKNOWN) || kr_stage_is_error(KR_STAGE_UNKNOWN));
}

static void test_calls(void **state)
{
    static const struct fake_answer script[] = {
        {"GET http://hub/api/spaces/a/b/runtime", 200, NULL, BUILDING},
        {"POST http://hub/api/spaces/a/b/pause", 200, NULL, "{\"stage\":\"PAUSED\"}"},
        {"POST /api/spaces/a/b/restart?factory=true", 200, NULL, "{\"stage\":\"BUILDING\"}"},
        {"POST /api/spaces/a/b/hardware", 200, NULL, STATIC},
        {"POST /api/spaces/a/b/sleeptime", 200, NULL, STATIC},
        {"PUT /api/spaces/a/b/volumes", 200, NULL, ""},
        {"DELETE /api/spaces/a/b/volumes", 200, NULL, ""},
        {"POST /api/spaces/a/b/storage", 410, NULL, "{\"error\":\"gone\"}"},
        {"GET /api/spaces/hardware", 200, NULL, "[{\"name\":\"cpu-basic\"}]"}};
    struct fake_hub fake;
    struct kr_hub *hub = FAKE_HUB(&fake, script);
    struct kr_runtime rt = {0};
    kr_auto_json json_t *volumes = json_pack("[{s:s}]", "mountPath", "/data");
    kr_auto_json json_t *list = NULL;
    kr_auto_free char *url = NULL;
    struct kr_err e = KR_ERR_INIT;

    (void)state;
    WORKS(kr_runtime_get(hub, "a/b", &rt, err));
    url = kr_runtime_url(hub, &rt);
    assert_string_equal(url, "http://user-tmp-test-space.hf.space");
    kr_runtime_finish(&rt);
    WORKS(kr_space_pause(hub, "a/b", &rt, err));
    assert_int_equal(rt.stage, KR_STAGE_PAUSED);
    assert_null(kr_runtime_url(hub, &rt));
    kr_runtime_finish(&rt);
    WORKS(kr_space_restart(hub, "a/b", true, &rt, err));
    assert_int_equal(rt.stage, KR_STAGE_BUILDING);
    kr_runtime_finish(&rt);
    WORKS(kr_space_set_hardware(hub, "a/b", "t4-small", -1, NULL, err));
    assert_string_equal(fake.http.seen[3].body,
                        "{\"flavor\":\"t4-small\",\"sleepTimeSeconds\":-1}");
    WORKS(kr_space_set_sleep(hub, "a/b", 60, NULL, err));
    WORKS(kr_space_set_volumes(hub, "a/b", volumes, err));
    WORKS(kr_space_set_volumes(hub, "a/b", NULL, err));
    assert_int_equal(kr_space_set_storage(hub, "a/b", "small", &e), -KR_E_REMOTE);
    assert_non_null(strstr(e.hint, "space_volumes"));
    WORKS(kr_hardware_list(hub, &list, err));
    fake_hub_close(&fake);
}

static void test_restart_is_not_sent_twice(void **state)
{
    static const struct fake_answer script[] = {
        {"POST /restart", 0, NULL, "", KR_HTTP_LOST},
        {"GET /runtime", 200, NULL, "{\"stage\":\"RUNNING_BUILDING\"}"},
        {"GET /runtime", 200, NULL, "{\"stage\":\"RUNNING_BUILDING\"}"},
        {"POST /restart", 504, NULL, ""},
        {"GET /runtime", 200, NULL, "{\"stage\":\"PAUSED\"}"},
        {"POST /restart", 200, NULL, "{\"stage\":\"BUILDING\"}"},
        {"POST /hardware", 0, NULL, "", KR_HTTP_LOST},
        {"GET /runtime", 200, NULL, "{\"hardware\":{\"requested\":\"t4-small\"}}"},
        {"POST /pause", 0, NULL, "", KR_HTTP_LOST},
        {"POST /pause", 200, NULL, "{\"stage\":\"PAUSED\"}"}};
    struct fake_hub fake;
    struct kr_hub *hub = FAKE_HUB(&fake, script);
    struct kr_runtime rt = {0};

    (void)state;
    WORKS(kr_space_restart(hub, "a/b", false, &rt, err));
    assert_int_equal(rt.stage, KR_STAGE_RUNNING_BUILDING);
    kr_runtime_finish(&rt);
    WORKS(kr_space_restart(hub, "a/b", false, NULL, err));
    WORKS(kr_space_set_hardware(hub, "a/b", "t4-small", 0, NULL, err));
    WORKS(kr_space_pause(hub, "a/b", NULL, err));
    fake_hub_close(&fake);
}

static void test_many(void **state)
{
    static const struct fake_answer script[] = {
        {"GET /api/spaces/a/0/runtime", 200, NULL, BUILDING},
        {"GET /api/spaces/a/1/runtime", 404, NULL, "{\"error\":\"Repository not found\"}"},
        {"GET /api/spaces/a/2/runtime", 200, NULL, "", KR_HTTP_ANSWERED, 0, true},
        {"GET /api/spaces/a/3/runtime", 200, NULL, "nonsense"}};
    struct fake_hub fake;
    struct kr_hub *hub = FAKE_HUB(&fake, script);
    struct kr_runtime_job jobs[4] = {
        {.space = "a/0"}, {.space = "a/1"}, {.space = "a/2"}, {.space = "a/3"}};

    (void)state;
    kr_runtime_get_many(hub, jobs, 4, 2000);
    assert_int_equal(jobs[0].rc, 0);
    assert_int_equal(jobs[0].rt.stage, KR_STAGE_BUILDING);
    assert_int_equal(jobs[1].rc, -KR_E_NOT_FOUND);
    assert_int_equal(jobs[2].rc, -KR_E_TIMEOUT);
    assert_string_equal(jobs[2].err.msg,
                        "read the state of Space a/2: hub has not answered within 2000 ms");
    assert_int_equal(jobs[3].rc, -KR_E_REMOTE);
    for (size_t i = 0; i < 4; i++)
        kr_runtime_finish(&jobs[i].rt);
    fake_hub_close(&fake);
}

static void test_volumes(void **state)
{
    kr_auto_json json_t *a =
        json_pack("[{s:s,s:s,s:s},{s:s,s:s,s:s}]", "type", "bucket", "source", "a/d", "mountPath",
                  "/data", "type", "model", "source", "a/m", "mountPath", "/m");
    kr_auto_json json_t *b =
        json_pack("[{s:s,s:s,s:s,s:s,s:b},{s:s,s:s,s:s,s:b}]", "type", "model", "source", "a/m",
                  "mountPath", "/m", "revision", "main", "readOnly", 1, "type", "bucket", "source",
                  "a/d", "mountPath", "/data", "readOnly", 0);
    kr_auto_json json_t *c =
        json_pack("[{s:s,s:s,s:s},{s:s,s:s,s:s}]", "type", "bucket", "source", "a/d", "mountPath",
                  "/data", "type", "model", "source", "a/m", "mountPath", "/other");

    (void)state;
    assert_true(kr_volumes_equal(a, b));
    assert_false(kr_volumes_equal(a, c));
    assert_false(kr_volumes_equal(a, NULL));
    assert_true(kr_volumes_equal(NULL, NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_shapes), cmocka_unit_test(test_stages),
        cmocka_unit_test(test_calls),  cmocka_unit_test(test_restart_is_not_sent_twice),
        cmocka_unit_test(test_many),   cmocka_unit_test(test_volumes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
