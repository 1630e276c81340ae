/* SPDX-License-Identifier: Apache-2.0 */
#include "fake_hub.h"

#include "hub/space.h"

#define SPACE                                                                                      \
    "{\"_id\":\"1\",\"id\":\"alice/"                                                               \
    "demo\",\"sha\":\"aaaa\",\"sdk\":\"docker\",\"private\":true,\"gated\":\"auto\","              \
    "\"host\":\"https://alice-demo.hf.space\",\"subdomain\":\"alice-demo\",\"usedStorage\":12,"    \
    "\"cardData\":{\"app_port\":8000},\"runtime\":{\"stage\":\"SLEEPING\",\"hardware\":{"          \
    "\"current\":null,"                                                                            \
    "\"requested\":\"cpu-basic\"},\"replicas\":{\"requested\":\"auto\"}}}"
#define ABSENT "X-Error-Code: RepoNotFound", "{\"error\":\"Repository not found\"}"

static void test_get(void **state)
{
    static const struct fake_answer script[] = {
        {"GET http://hub/api/spaces/alice/demo", 200, NULL, SPACE},
        {"GET /api/spaces/Alice/Demo", 307, "Location: /api/spaces/alice/demo", ""},
        {"GET /api/spaces/alice/demo", 200, NULL, SPACE},
        {"GET /api/spaces/alice/old", 307, "Location: /api/spaces/alice/demo", ""},
        {"GET /api/spaces/alice/demo", 200, NULL, SPACE},
        {"GET /api/spaces/alice/gone", 404, ABSENT},
        {"GET /api/spaces/alice/odd", 200, NULL,
         "{\"id\":\"alice/odd\",\"sha\":5,\"cardData\":null,"
         "\"runtime\":\"x\",\"disabled\":true,\"host\":\"\"}"},
        {"GET /api/spaces/alice/list", 200, NULL, "[1]"}};
    struct fake_hub fake;
    struct kr_hub *hub = FAKE_HUB(&fake, script);
    struct kr_space s = {0};

    (void)state;
    WORKS(kr_space_get(hub, "alice/demo", &s, err));
    assert_string_equal(s.id, "alice/demo");
    assert_string_equal(s.sha, "aaaa");
    assert_string_equal(s.sdk, "docker");
    assert_true(s.is_private && !s.moved && !s.disabled);
    assert_int_equal(s.used_storage, 12);
    assert_int_equal(s.app_port, 8000);
    assert_int_equal(s.runtime.stage, KR_STAGE_SLEEPING);
    assert_null(s.runtime.hardware);
    assert_int_equal(s.runtime.replicas_requested, -2);
    kr_space_finish(&s);
    WORKS(kr_space_get(hub, "Alice/Demo", &s, err));
    assert_false(s.moved);
    kr_space_finish(&s);
    WORKS(kr_space_get(hub, "alice/old", &s, err));
    assert_true(s.moved);
    kr_space_finish(&s);
    FAILS(kr_space_get(hub, "alice/gone", &s, err), KR_E_NOT_FOUND, "look at Space alice/gone");
    WORKS(kr_space_get(hub, "alice/odd", &s, err));
    assert_null(s.sha);
    assert_null(s.host);
    assert_true(s.disabled);
    assert_string_equal(s.runtime.stage_name, "");
    kr_space_finish(&s);
    FAILS(kr_space_get(hub, "alice/list", &s, err), KR_E_REMOTE, "has no \"id\"");
    FAILS(kr_space_get(hub, "alice", &s, err), KR_E_INVALID, "OWNER/NAME");
    fake_hub_close(&fake);
}

static struct kr_space_new wanted(json_t *secrets, json_t *variables, json_t *volumes)
{
    return (struct kr_space_new){.id = "alice/demo",
                                 .visibility = "private",
                                 .hardware = "t4-small",
                                 .sleep_s = 300,
                                 .secrets = secrets,
                                 .variables = variables,
                                 .volumes = volumes};
}

static void test_create(void **state)
{
    static const struct fake_answer script[] = {
        {"POST http://hub/api/repos/create", 200, NULL, "{\"name\":\"alice/demo\"}"},
        {"POST /api/repos/create", 409, NULL,
         "{\"error\":\"You already created this space repo\"}"},
        {"POST /api/repos/create", 409, NULL,
         "{\"error\":\"Cannot create repo: another conflicting operation is in progress\"}"},
        {"POST /api/repos/create", 200, NULL, "OK"},
        {"GET /api/spaces/alice/demo", 200, NULL, SPACE},
        {"POST /api/repos/create", 200, NULL, "<html>sign in to this network"},
        {"GET /api/spaces/alice/demo", 404, ABSENT},
        {"POST /api/repos/create", 402, NULL,
         "{\"error\":\"cpu-basic requires a PRO subscription\"}"}};
    struct fake_hub fake;
    struct kr_hub *hub = FAKE_HUB(&fake, script);
    kr_auto_json json_t *secrets = json_pack("{s:s}", "KEY", "secret-value-1");
    kr_auto_json json_t *variables = json_pack("{s:s}", "A", "b");
    kr_auto_json json_t *volumes = json_pack("[{s:s}]", "mountPath", "/data");
    struct kr_space_new what = wanted(secrets, variables, volumes);
    kr_auto_json json_t *hidden = kr_space_new_json(&what, true);
    kr_auto_free char *text = kr_json_canonical(hidden);
    bool existed;

    (void)state;
    WORKS(kr_space_create(hub, &what, &existed, err));
    assert_false(existed);
    assert_string_equal(
        fake.http.seen[0].body,
        "{\"hardware\":\"t4-small\",\"name\":\"demo\",\"organization\":\"alice\",\"sdk\":"
        "\"docker\","
        "\"secrets\":[{\"key\":\"KEY\",\"value\":\"secret-value-1\"}],\"sleepTimeSeconds\":300,"
        "\"type\":\"space\",\"variables\":[{\"key\":\"A\",\"value\":\"b\"}],\"visibility\":"
        "\"private\","
        "\"volumes\":[{\"mountPath\":\"/data\"}]}");
    assert_null(strstr(text, "secret-value-1"));
    WORKS(kr_space_create(hub, &what, &existed, err));
    assert_true(existed);
    WORKS(kr_space_create(hub, &what, &existed, err));
    assert_false(existed);
    assert_int_equal(fake.http.slept, 1000);
    FAILS(kr_space_create(hub, &what, &existed, err), KR_E_REMOTE, "it begins: <html>sign in");
    FAILS(kr_space_create(hub, &what, &existed, err), KR_E_PLAN,
          "create Space alice/demo: cpu-basic");
    fake_hub_close(&fake);
}

static void test_create_with_lost_answers(void **state)
{
    static const struct fake_answer script[] = {
        /* never connected: sent again at once */
        {"POST /api/repos/create", 0, NULL, "", KR_HTTP_UNSENT},
        /* lost, and it had worked */
        {"POST /api/repos/create", 0, NULL, "", KR_HTTP_LOST},
        {"GET /api/spaces/alice/demo", 200, NULL, SPACE},
        /* lost, and it had not; then 5xx, and it had not; then it works */
        {"POST /api/repos/create", 0, NULL, "", KR_HTTP_LOST},
        {"GET /api/spaces/alice/demo", 404, ABSENT},
        {"POST /api/repos/create", 502, NULL, "<html>"},
        {"GET /api/spaces/alice/demo", 404, ABSENT},
        {"POST /api/repos/create", 200, NULL, "{}"}};
    static const struct fake_answer dead[] = {
        {"POST /api/repos/create", 500, NULL, ""},
        {"GET /api/spaces/alice/demo", 404, ABSENT},
        {"POST /api/repos/create", 500, NULL, ""},
        {"GET /api/spaces/alice/demo", 404, ABSENT},
        {"POST /api/repos/create", 500, NULL, ""},
        {"GET /api/spaces/alice/demo", 404, ABSENT},
        {"POST /api/repos/create", 500, NULL, ""},
        {"GET /api/spaces/alice/demo", 404, ABSENT},
        {"POST /api/repos/create", 0, NULL, "", KR_HTTP_LOST},
        {"GET /api/spaces/alice/demo", 403, NULL, "{\"error\":\"no\"}"}};
    struct fake_hub fake;
    struct kr_hub *hub = FAKE_HUB(&fake, script);
    struct kr_space_new what = wanted(NULL, NULL, NULL);
    bool existed;

    (void)state;
    WORKS(kr_space_create(hub, &what, &existed, err));
    assert_false(existed);
    WORKS(kr_space_create(hub, &what, &existed, err));
    assert_false(existed);
    fake_hub_close(&fake);

    hub = FAKE_HUB(&fake, dead);
    FAILS(kr_space_create(hub, &what, &existed, err), KR_E_REMOTE, "status 500");
    FAILS(kr_space_create(hub, &what, &existed, err), KR_E_AUTH,
          "create Space alice/demo: no answer came, and looking whether it worked failed: look at");
    fake_hub_close(&fake);
}

static void test_delete(void **state)
{
    static const struct fake_answer script[] = {
        {"DELETE http://hub/api/repos/delete", 200, "Content-Type: text/plain", "OK"},
        {"DELETE /api/repos/delete", 404, ABSENT},
        {"DELETE /api/repos/delete", 0, NULL, "", KR_HTTP_LOST},
        {"DELETE /api/repos/delete", 404, ABSENT},
        {"DELETE /api/repos/delete", 403, NULL, "{\"error\":\"Forbidden\"}"}};
    struct fake_hub fake;
    struct kr_hub *hub = FAKE_HUB(&fake, script);
    bool existed;

    (void)state;
    WORKS(kr_space_delete(hub, "alice/demo", &existed, err));
    assert_true(existed);
    assert_string_equal(fake.http.seen[0].body,
                        "{\"name\":\"demo\",\"organization\":\"alice\",\"type\":\"space\"}");
    WORKS(kr_space_delete(hub, "alice/demo", &existed, err));
    assert_false(existed);
    WORKS(kr_space_delete(hub, "alice/demo", &existed, err));
    assert_true(existed);
    FAILS(kr_space_delete(hub, "alice/demo", NULL, err), KR_E_AUTH,
          "delete Space alice/demo: Forbid");
    fake_hub_close(&fake);
}

static void test_settings_and_files(void **state)
{
    static const struct fake_answer script[] = {
        {"PUT /api/spaces/alice/demo/settings", 200, NULL, "{\"private\":true}"},
        {"GET /api/spaces/alice/demo/auth-check/write", 200, NULL, "OK"},
        {"GET http://hub/spaces/alice/demo/raw/refs%2Fpr%2F1/a%20b/c.txt", 200, NULL, "text"},
        {"GET http://hub/spaces/alice/demo/raw/main/x", 302, "Location: https://cdn/x", ""},
        {"GET https://cdn/x", 200, NULL, "elsewhere"},
        {"POST /api/validate-yaml", 200, NULL,
         "{\"errors\":[],\"warnings\":[{\"message\":\"no emoji\"}]}"},
        {"POST /api/validate-yaml", 400, NULL,
         "{\"errors\":[{\"message\":\"bad colour\"}],\"warnings\":7}"}};
    struct fake_hub fake;
    struct kr_hub *hub = FAKE_HUB(&fake, script);
    kr_auto_buf struct kr_buf text = KR_BUF_INIT(100);
    kr_auto_free char *page = kr_space_page(hub, "alice/demo");

    (void)state;
    assert_string_equal(page, "http://hub/spaces/alice/demo");
    WORKS(kr_space_set_visibility(hub, "alice/demo", "private", err));
    WORKS(kr_space_check_write(hub, "alice/demo", err));
    WORKS(kr_space_read_file(hub, "alice/demo", "refs/pr/1", "a b/c.txt", &text, err));
    WORKS(kr_space_read_file(hub, "alice/demo", NULL, "x", &text, err));
    assert_string_equal(kr_buf_str(&text), "textelsewhere");
    WORKS(kr_space_validate_readme(hub, "---\n", 4, err));
    assert_string_equal(kr_buf_str(&fake.notes), "! README.md: no emoji\n");
    FAILS(kr_space_validate_readme(hub, "---\n", 4, err), KR_E_INVALID, "README.md: bad colour");
    FAILS(kr_space_validate_readme(hub, "\xff", 1, err), KR_E_INVALID, "not UTF-8");
    fake_hub_close(&fake);
}

static void test_tree(void **state)
{
    static const struct fake_answer script[] = {
        {"GET /api/spaces/alice/demo/tree/main?recursive=true", 200,
         "Link: <https://huggingface.co/api/spaces/alice/demo/tree/main?cursor=x>; rel=\"next\"",
         "[{\"type\":\"directory\",\"oid\":\"d\",\"path\":\"app\"},"
         "{\"type\":\"file\",\"oid\":\"b1\",\"size\":22,\"path\":\"b\"},3,{\"type\":\"file\"}]"},
        {"GET http://hub/api/spaces/alice/demo/tree/main?cursor=x", 200,
         "Link: <https://elsewhere/p3>; rel=\"next\"",
         "[{\"type\":\"file\",\"oid\":\"p\",\"size\":130,\"path\":\"a/m.bin\","
         "\"lfs\":{\"oid\":\"5256\",\"size\":77}}]"},
        {"GET https://elsewhere/p3", 200, NULL, "[]"},
        {"GET /tree/main?recursive=true", 404, "X-Error-Code: RevisionNotFound", ""},
        {"GET /tree/abcd?recursive=true", 404, "X-Error-Code: RevisionNotFound", "no such rev"},
        {"GET /tree/main?recursive=true", 200, NULL, "{\"a\":1}"}};
    struct fake_hub fake;
    struct kr_hub *hub = FAKE_HUB(&fake, script);
    struct kr_tree tree = {0};

    (void)state;
    WORKS(kr_tree_get(hub, "alice/demo", NULL, &tree, err));
    assert_int_equal(tree.n, 2);
    assert_string_equal(tree.v[0].path, "a/m.bin");
    assert_true(tree.v[0].lfs && tree.v[0].size == 77);
    assert_string_equal(tree.v[0].oid, "5256");
    assert_string_equal(kr_tree_find(&tree, "b")->oid, "b1");
    assert_null(kr_tree_find(&tree, "app"));
    kr_tree_finish(&tree);
    WORKS(kr_tree_get(hub, "alice/demo", NULL, &tree, err));
    assert_int_equal(tree.n, 0);
    assert_null(kr_tree_find(&tree, "b"));
    FAILS(kr_tree_get(hub, "alice/demo", "abcd", &tree, err), KR_E_NOT_FOUND, "no such rev");
    FAILS(kr_tree_get(hub, "alice/demo", NULL, &tree, err), KR_E_REMOTE, "the answer is an object");
    fake_hub_close(&fake);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_get),
        cmocka_unit_test(test_create),
        cmocka_unit_test(test_create_with_lost_answers),
        cmocka_unit_test(test_delete),
        cmocka_unit_test(test_settings_and_files),
        cmocka_unit_test(test_tree),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
