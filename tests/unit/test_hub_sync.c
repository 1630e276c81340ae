/* SPDX-License-Identifier: Apache-2.0 */
#include "fake_hub.h"

#include "hub/sync.h"

#include <stdio.h>

#define HEAD1             "1111111111111111111111111111111111111111"
#define HEAD2             "2222222222222222222222222222222222222222"
#define HEAD3             "3333333333333333333333333333333333333333"
#define FROM_BLOB         "bee3c167cd5c9b10ae5e38a35b8a1e67a65334b0" /* "FROM python:3.12-slim\n" */
#define TREE1             "GET http://hub/api/spaces/a/b/tree/" HEAD1 "?recursive=true"
#define TREE2             "GET http://hub/api/spaces/a/b/tree/" HEAD2 "?recursive=true"
#define ENTRY(path, oid)  "{\"type\":\"file\",\"path\":\"" path "\",\"oid\":\"" oid "\",\"size\":1}"
#define MARKER(id, files) "{\"kourou\":1,\"deployment\":\"" id "\",\"files\":[" files "]}"
#define PREUPLOAD         "POST http://hub/api/spaces/a/b/preupload/main"
#define COMMIT            "POST http://hub/api/spaces/a/b/commit/main"
#define VALIDATE          "POST http://hub/api/validate-yaml"
#define SPACE_AT(sha)     "{\"id\":\"a/b\",\"sha\":\"" sha "\"}"

static void add(struct kr_files *files, const char *path, const char *text)
{
    WORKS(kr_files_add_bytes(files, path, text, strlen(text), false, err));
}

static struct kr_sync_request request(const struct kr_files *files)
{
    return (struct kr_sync_request){
        .space = "a/b", .files = files, .id = "id-1", .parent = HEAD1, .message = "Deploy \"it\""};
}

/* "+path ~path -path " */
static char *changes(const struct kr_sync_plan *plan)
{
    struct kr_buf out = KR_BUF_INIT(10000);

    for (size_t i = 0; i < plan->n; i++)
        kr_buf_addf(&out, "%c%s ", "+~-"[plan->v[i].kind], plan -> v[i].path);
    return kr_buf_steal(&out);
}

static void plans(const struct fake_answer *script, size_t n, const char *want, enum kr_owner owner)
{
    kr_auto_files struct kr_files files = {0};
    kr_auto_sync_plan struct kr_sync_plan plan = {0};
    kr_auto_free char *text = NULL;
    struct kr_sync_request req = request(&files);
    struct fake_hub fake;
    struct kr_hub *hub = fake_hub_open(&fake, script, n, "hf_secret_token_1");

    add(&files, "Dockerfile", "FROM python:3.12-slim\n");
    add(&files, "app.py", "x");
    WORKS(kr_sync_plan(hub, &req, &plan, err));
    text = changes(&plan);
    assert_string_equal(text, want);
    assert_int_equal(plan.owner, owner);
    fake_hub_close(&fake);
}

static void test_plan(void **state)
{
    static const struct fake_answer fresh[] = {
        {TREE1, 200, NULL, "[" ENTRY(".gitattributes", "x") "," ENTRY("README.md", "y") "]"}};
    static const struct fake_answer foreign[] = {
        {TREE1, 200, NULL, "[" ENTRY("Dockerfile", FROM_BLOB) "," ENTRY("other.py", "y") "]"}};
    static const struct fake_answer ours[] = {
        {TREE1, 200, NULL,
         "[" ENTRY("Dockerfile", "old") "," ENTRY(
             "app.py",
             "c1b0730e0133447badc49eaa21c1dc9e98f6d9"
             "d7") "," ENTRY("gone.py", "y") "," ENTRY("theirs.py",
                                                       "z") "," ENTRY(".gitattributes",
                                                                      "g") "," ENTRY(KR_MARKER_PATH,
                                                                                     "m") "]"},
        {"GET http://hub/spaces/a/b/raw/" HEAD1 "/" KR_MARKER_PATH, 200, NULL,
         MARKER("id-1", "\"app.py\",\"gone.py\",\"gone.py\",\".gitattributes\",\"never.py\",7,"
                        "\"" KR_MARKER_PATH "\"")}};
    static const struct fake_answer other[] = {
        {TREE1, 200, NULL, "[" ENTRY(KR_MARKER_PATH, "m") "," ENTRY("old.py", "m") "]"},
        {"GET /" KR_MARKER_PATH, 200, NULL, MARKER("id-2", "\"old.py\"")}};
    static const struct fake_answer broken[] = {
        {TREE1, 200, NULL, "[" ENTRY(KR_MARKER_PATH, "m") "," ENTRY("old.py", "m") "]"},
        {"GET /" KR_MARKER_PATH, 200, NULL, "{\"deployment\":5}"}};

    (void)state;
    plans(fresh, 1, "+" KR_MARKER_PATH " +Dockerfile +app.py ", KR_OWNER_FRESH);
    plans(foreign, 1, "+" KR_MARKER_PATH " +app.py ", KR_OWNER_FOREIGN);
    plans(ours, 2, "~" KR_MARKER_PATH " ~Dockerfile ~app.py -gone.py ", KR_OWNER_OURS);
    plans(other, 2, "~" KR_MARKER_PATH " +Dockerfile +app.py -old.py ", KR_OWNER_OTHER);
    plans(broken, 2, "~" KR_MARKER_PATH " +Dockerfile +app.py ", KR_OWNER_FOREIGN);
}

/* A tree that holds exactly what we would send. */
static char *tree_of(const struct kr_files *files, const char *marker_oid)
{
    struct kr_buf out = KR_BUF_INIT(10000);

    kr_buf_addf(&out, "[{\"type\":\"file\",\"path\":\"" KR_MARKER_PATH "\",\"oid\":\"%s\"}",
                marker_oid);
    for (size_t i = 0; i < files->n; i++)
        kr_buf_addf(&out, ",{\"type\":\"file\",\"path\":\"%s\",\"oid\":\"%s\"}", files->v[i].path,
                    files->v[i].blob);
    kr_buf_addc(&out, ']');
    return kr_buf_steal(&out);
}

static char *marker_oid(const struct kr_sync_request *req)
{
    kr_auto_sync_plan struct kr_sync_plan plan = {0};

    WORKS(kr_sync_compare(req, &plan, NULL, err));
    return kr_strdup(plan.marker.v[0].blob);
}

static void test_unchanged_is_one_call_and_no_commit(void **state)
{
    kr_auto_files struct kr_files files = {0};
    kr_auto_sync_plan struct kr_sync_plan plan = {0};
    struct kr_sync_request req = request(&files);
    kr_auto_free char *oid = NULL, *tree = NULL;
    struct fake_answer script[] = {{TREE1, 200, NULL, NULL}};
    struct kr_sync_result result;
    struct fake_hub fake;
    struct kr_hub *hub;

    (void)state;
    add(&files, "Dockerfile", "FROM python:3.12-slim\n");
    oid = marker_oid(&req);
    tree = tree_of(&files, oid);
    script[0].body = tree;
    hub = FAKE_HUB(&fake, script);
    WORKS(kr_sync_plan(hub, &req, &plan, err));
    assert_int_equal(plan.owner, KR_OWNER_OURS);
    assert_int_equal(plan.n, 0);
    assert_int_equal(plan.unchanged, 2);
    WORKS(kr_sync_run(hub, &req, &plan, &result, err));
    assert_false(result.committed);
    assert_string_equal(result.commit, HEAD1);
    fake_hub_close(&fake);
}

static void test_first_deploy(void **state)
{
    static const struct fake_answer script[] = {
        {"GET http://hub/api/spaces/a/b/tree/main?recursive=true", 200, NULL,
         "[" ENTRY(".gitattributes", "x") "]"},
        {VALIDATE, 200, NULL, "{\"errors\":[]}"},
        {PREUPLOAD, 200, NULL,
         "{\"files\":[{\"path\":\"empty\",\"uploadMode\":\"lfs\"},{\"path\":\"x\"},4,"
         "{\"path\":\"skip.log\",\"uploadMode\":\"regular\",\"shouldIgnore\":true}],"
         "\"commitOid\":\"" HEAD1 "\"}"},
        {COMMIT, 200, NULL, "{\"success\":true,\"commitOid\":\"" HEAD2 "\"}"}};
    kr_auto_files struct kr_files files = {0};
    kr_auto_sync_plan struct kr_sync_plan plan = {0};
    struct kr_sync_request req = request(&files);
    struct kr_sync_result result;
    struct fake_hub fake;
    struct kr_hub *hub = FAKE_HUB(&fake, script);

    (void)state;
    add(&files, "README.md", "---\nsdk: docker\n---\n");
    add(&files, "empty", "");
    add(&files, "skip.log", "log");
    req.parent = NULL;
    WORKS(kr_sync_plan(hub, &req, &plan, err));
    WORKS(kr_sync_run(hub, &req, &plan, &result, err));
    assert_true(result.committed);
    assert_string_equal(result.commit, HEAD2);
    assert_int_equal(result.sent, 3);
    assert_string_equal(fake.http.seen[1].body, "{\"content\":\"---\\nsdk: docker\\n---\\n\","
                                                "\"repoType\":\"space\"}");
    assert_non_null(
        strstr(fake.http.seen[2].body,
               "{\"path\":\"README.md\",\"sample\":\"LS0tCnNkazogZG9ja2VyCi0tLQo=\",\"size\":20}"));
    assert_non_null(strstr(fake.http.seen[2].body, "\"gitIgnore\":\"#"));
    assert_non_null(strstr(fake.http.seen[3].headers, "Content-Type: application/x-ndjson\n"));
    assert_string_equal(strchr(fake.http.seen[3].body, '\n') + 1,
                        strstr(fake.http.seen[3].body,
                               "{\"key\":\"file\",\"value\":{\"path\":\"" KR_MARKER_PATH "\""));
    assert_true(
        strstr(fake.http.seen[3].body,
               "{\"key\":\"header\",\"value\":{\"description\":\"\",\"parentCommit\":\"" HEAD1
               "\",\"summary\":\"Deploy \\\"it\\\"\"}}\n") == fake.http.seen[3].body);
    assert_non_null(
        strstr(fake.http.seen[3].body,
               "{\"key\":\"file\",\"value\":{\"path\":\"empty\",\"encoding\":\"base64\","
               "\"content\":\"\"}}\n"));
    assert_null(strstr(fake.http.seen[3].body, "skip.log\",\"encoding"));
    assert_string_equal(kr_buf_str(&fake.notes),
                        "! skip.log is left out: a .gitignore in the Space names it\n");
    fake_hub_close(&fake);
}

static void test_foreign_space_is_not_touched(void **state)
{
    static const struct fake_answer script[] = {{TREE1, 200, NULL, "[" ENTRY("other.py", "y") "]"}};
    kr_auto_files struct kr_files files = {0};
    kr_auto_sync_plan struct kr_sync_plan plan = {0};
    struct kr_sync_request req = request(&files);
    struct kr_sync_result result;
    struct fake_hub fake;
    struct kr_hub *hub = FAKE_HUB(&fake, script);

    (void)state;
    add(&files, "Dockerfile", "FROM x\n");
    WORKS(kr_sync_plan(hub, &req, &plan, err));
    FAILS(kr_sync_run(hub, &req, &plan, &result, err), KR_E_CONFLICT,
          "were not deployed from here");
    fake_hub_close(&fake);
}

#define PLAIN_TREE "[" ENTRY(".gitattributes", "x") "]"
#define MODES      "{\"files\":[],\"commitOid\":\"" HEAD1 "\"}"

/* A commit whose answer gets lost in every way. */
static void run_lost(const struct fake_answer *script, size_t n, bool works, const char *commit)
{
    kr_auto_files struct kr_files files = {0};
    kr_auto_sync_plan struct kr_sync_plan plan = {0};
    struct kr_sync_request req = request(&files);
    struct kr_sync_result result;
    struct fake_hub fake;
    struct kr_hub *hub = fake_hub_open(&fake, script, n, "hf_secret_token_1");

    add(&files, "Dockerfile", "FROM python:3.12-slim\n");
    WORKS(kr_sync_plan(hub, &req, &plan, err));
    if (works) {
        WORKS(kr_sync_run(hub, &req, &plan, &result, err));
        assert_string_equal(result.commit, commit);
    } else {
        FAILS(kr_sync_run(hub, &req, &plan, &result, err), KR_E_CONFLICT, commit);
    }
    fake_hub_close(&fake);
}

static void test_lost_commits(void **state)
{
    kr_auto_files struct kr_files files = {0};
    struct kr_sync_request req = request(&files);
    kr_auto_free char *oid = NULL, *tree = NULL;

    (void)state;
    add(&files, "Dockerfile", "FROM python:3.12-slim\n");
    oid = marker_oid(&req);
    tree = tree_of(&files, oid);
    const struct fake_answer landed[] = {{TREE1, 200, NULL, PLAIN_TREE},
                                         {PREUPLOAD, 200, NULL, MODES},
                                         {COMMIT, 0, NULL, "", KR_HTTP_LOST},
                                         {"GET /api/spaces/a/b", 200, NULL, SPACE_AT(HEAD2)},
                                         {TREE2, 200, NULL, tree}};
    const struct fake_answer not_landed[] = {{TREE1, 200, NULL, PLAIN_TREE},
                                             {PREUPLOAD, 200, NULL, MODES},
                                             {COMMIT, 504, NULL, "<html>"},
                                             {"GET /api/spaces/a/b", 200, NULL, SPACE_AT(HEAD1)},
                                             {COMMIT, 200, NULL, "{\"commitOid\":\"" HEAD3 "\"}"}};
    /* the first one lands while the second is on its way */
    const struct fake_answer late[] = {{TREE1, 200, NULL, PLAIN_TREE},
                                       {PREUPLOAD, 200, NULL, MODES},
                                       {COMMIT, 0, NULL, "", KR_HTTP_LOST},
                                       {"GET /api/spaces/a/b", 200, NULL, SPACE_AT(HEAD1)},
                                       {COMMIT, 412, NULL, "{\"error\":\"refresh\"}"},
                                       {"GET /api/spaces/a/b", 200, NULL, SPACE_AT(HEAD2)},
                                       {TREE2, 200, NULL, tree}};
    /* an answer without the id */
    const struct fake_answer silent[] = {{TREE1, 200, NULL, PLAIN_TREE},
                                         {PREUPLOAD, 200, NULL, MODES},
                                         {COMMIT, 200, NULL, "{}"},
                                         {"GET /api/spaces/a/b", 200, NULL, SPACE_AT(HEAD2)},
                                         {TREE2, 200, NULL, tree}};

    run_lost(landed, KR_ARRAY_LEN(landed), true, HEAD2);
    run_lost(not_landed, KR_ARRAY_LEN(not_landed), true, HEAD3);
    run_lost(late, KR_ARRAY_LEN(late), true, HEAD2);
    run_lost(silent, KR_ARRAY_LEN(silent), true, HEAD2);
}

static void test_branch_that_moved(void **state)
{
    static const struct fake_answer again[] = {
        {TREE1, 200, NULL, PLAIN_TREE},
        {PREUPLOAD, 200, NULL, MODES},
        {COMMIT, 412, NULL, "{\"error\":\"A commit has happened since.\"}"},
        {"GET /api/spaces/a/b", 200, NULL, SPACE_AT(HEAD2)},
        {TREE2, 200, NULL, PLAIN_TREE},
        {"GET /api/spaces/a/b", 200, NULL, SPACE_AT(HEAD2)},
        {TREE2, 200, NULL, PLAIN_TREE},
        {PREUPLOAD, 200, NULL, MODES},
        {COMMIT, 200, NULL, "{\"commitOid\":\"" HEAD3 "\"}"}};
    static const struct fake_answer taken[] = {
        {TREE1, 200, NULL, PLAIN_TREE},
        {PREUPLOAD, 200, NULL, MODES},
        {COMMIT, 412, NULL, "{\"error\":\"A commit has happened since.\"}"},
        {"GET /api/spaces/a/b", 200, NULL, SPACE_AT(HEAD2)},
        {TREE2, 200, NULL, "[" ENTRY("theirs.py", "x") "]"},
        {"GET /api/spaces/a/b", 200, NULL, SPACE_AT(HEAD2)},
        {TREE2, 200, NULL, "[" ENTRY("theirs.py", "x") "]"}};

    (void)state;
    run_lost(again, KR_ARRAY_LEN(again), true, HEAD3);
    run_lost(taken, KR_ARRAY_LEN(taken), false, "holds files that were not deployed from here");
}

static void test_many_files_go_in_batches(void **state)
{
    static const struct fake_answer script[] = {
        {TREE1, 200, NULL, PLAIN_TREE},
        {PREUPLOAD, 200, NULL, MODES},
        {PREUPLOAD, 200, NULL, MODES},
        {PREUPLOAD, 200, NULL, MODES},
        {COMMIT, 200, NULL, "{\"commitOid\":\"" HEAD2 "\"}"}};
    kr_auto_files struct kr_files files = {0};
    kr_auto_sync_plan struct kr_sync_plan plan = {0};
    struct kr_sync_request req = request(&files);
    struct kr_sync_result result;
    struct fake_hub fake;
    struct kr_hub *hub = FAKE_HUB(&fake, script);
    char name[32];

    (void)state;
    for (int i = 0; i < 512; i++) {
        (void)snprintf(name, sizeof(name), "f%03d", i);
        add(&files, name, "x");
    }
    WORKS(kr_sync_plan(hub, &req, &plan, err));
    WORKS(kr_sync_run(hub, &req, &plan, &result, err));
    assert_int_equal(result.sent, 513);
    fake_hub_close(&fake);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_plan),
        cmocka_unit_test(test_unchanged_is_one_call_and_no_commit),
        cmocka_unit_test(test_first_deploy),
        cmocka_unit_test(test_foreign_space_is_not_touched),
        cmocka_unit_test(test_lost_commits),
        cmocka_unit_test(test_branch_that_moved),
        cmocka_unit_test(test_many_files_go_in_batches),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
