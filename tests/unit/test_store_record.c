/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"
#include "base/id.h"
#include "store_help.h"

#include <fcntl.h>
#include <sys/stat.h>

static void test_files_are_private(void **state)
{
    struct scratch *s = *state;
    static const char *const names[] = {"store.db", "store.db-wal", "store.db-shm",
                                        "store.db.lock"};
    struct stat st;

    for (size_t i = 0; i < KR_ARRAY_LEN(names); i++) {
        kr_auto_free char *path = kr_path_join(s->dir, names[i]);

        assert_int_equal(stat(path, &st), 0);
        assert_int_equal(st.st_mode & 0777, 0600);
    }
}

static void test_insert_fills_in_and_reads_back(void **state)
{
    struct scratch *s = *state;
    kr_auto_json json_t *row =
        insert_text(s->store, KR_COMPONENT,
                    "{\"name\":\"d\",\"type\":\"deployer\",\"flavor\":\"local\","
                    "\"config\":{\"port\":8000},\"labels\":{\"a\":\"b\"}}");

    assert_true(kr_uuid_is(kr_json_str(row, "id", "")));
    assert_true(kr_iso8601_parse(kr_json_str(row, "created", "")) > 0);
    assert_string_equal(kr_json_str(row, "created", ""), kr_json_str(row, "updated", "x"));
    assert_true(strlen(kr_json_str(row, "user", "")) > 0);
    assert_int_equal(kr_json_int(json_object_get(row, "config"), "port", 0), 8000);
    assert_int_equal(json_array_size(json_object_get(row, "secrets")), 0);
}

static void test_taken_name_and_unknown_field(void **state)
{
    struct scratch *s = *state;
    struct kr_err err = KR_ERR_INIT;
    kr_auto_json json_t *row = insert_text(
        s->store, KR_COMPONENT, "{\"name\":\"d\",\"type\":\"deployer\",\"flavor\":\"local\"}");
    kr_auto_json json_t *same =
        parse_text("{\"name\":\"d\",\"type\":\"deployer\",\"flavor\":\"docker\"}");
    kr_auto_json json_t *odd = parse_text("{\"name\":\"e\",\"size\":3}");
    kr_auto_json json_t *other = insert_text(
        s->store, KR_COMPONENT, "{\"name\":\"d\",\"type\":\"orchestrator\",\"flavor\":\"local\"}");

    FAILS(kr_store_insert(s->store, KR_COMPONENT, same, NULL, &err), KR_E_EXISTS,
          "the deployer 'd' exists already");
    FAILS(kr_store_insert(s->store, KR_COMPONENT, odd, NULL, &err), KR_E_INVALID,
          "a component has no field 'size'");
    assert_string_not_equal(kr_json_str(row, "id", ""), kr_json_str(other, "id", ""));
}

static void test_find_by_name_id_and_prefix(void **state)
{
    struct scratch *s = *state;
    struct kr_err err = KR_ERR_INIT;
    kr_auto_json json_t *a =
        insert_text(s->store, KR_SECRET,
                    "{\"name\":\"hf_token\",\"id\":\"11111111-1111-4111-8111-111111111111\"}");
    kr_auto_json json_t *b =
        insert_text(s->store, KR_SECRET,
                    "{\"name\":\"hf_token_old\",\"id\":\"11111111-2222-4222-8222-222222222222\"}");
    kr_auto_json json_t *c = insert_text(s->store, KR_SECRET, "{\"name\":\"100%_x\"}");
    static const char *const good[][2] = {
        {"hf_token", "hf_token"},
        {"hf_token_", "hf_token_old"},
        {"11111111-1111-4111-8111-111111111111", "hf_token"},
        {"11111111-2", "hf_token_old"},
        {"100%", "100%_x"},
    };

    (void)a, (void)b, (void)c;
    for (size_t i = 0; i < KR_ARRAY_LEN(good); i++) {
        kr_auto_json json_t *found = NULL;

        OK(kr_store_find(s->store, KR_SECRET, good[i][0], NULL, &found, &err));
        assert_string_equal(kr_json_str(found, "name", ""), good[i][1]);
    }
    FAILS(kr_store_find(s->store, KR_SECRET, "hf", NULL, NULL, &err), KR_E_CONFLICT,
          "'hf' fits more than one secret: hf_token (11111111), hf_token_old (11111111)");
    assert_int_equal(kr_store_find(s->store, KR_SECRET, "hf_tokne", NULL, NULL, &err),
                     -KR_E_NOT_FOUND);
    assert_string_equal(err.msg, "no secret 'hf_tokne'");
    assert_string_equal(err.hint, "did you mean 'hf_token'?");
    kr_err_clear(&err);
    err.hint[0] = '\0';
    FAILS(kr_store_find(s->store, KR_SECRET, "", NULL, NULL, &err), KR_E_NOT_FOUND, "no secret ''");
    FAILS(kr_store_find(s->store, KR_SECRET, "%", NULL, NULL, &err), KR_E_NOT_FOUND,
          "no secret '%'");
}

static void test_scope_narrows(void **state)
{
    struct scratch *s = *state;
    struct kr_err err = KR_ERR_INIT;
    kr_auto_json json_t *d =
        insert_text(s->store, KR_COMPONENT,
                    "{\"name\":\"default\",\"type\":\"deployer\",\"flavor\":\"local\"}");
    kr_auto_json json_t *o =
        insert_text(s->store, KR_COMPONENT,
                    "{\"name\":\"default\",\"type\":\"orchestrator\",\"flavor\":\"local\"}");
    kr_auto_json json_t *scope = json_pack("{s:s}", "type", "deployer"), *found = NULL;
    kr_auto_json json_t *registries = json_pack("{s:s}", "type", "container_registry");

    (void)o;
    OK(kr_store_find(s->store, KR_COMPONENT, "default", scope, &found, &err));
    assert_string_equal(kr_json_str(found, "id", ""), kr_json_str(d, "id", "x"));
    assert_int_equal(kr_store_find(s->store, KR_COMPONENT, "default", registries, NULL, &err),
                     -KR_E_NOT_FOUND);
    assert_string_equal(err.msg, "no container registry 'default'");
    assert_string_equal(err.hint, "there is no container registry yet");
}

static void test_update_and_delete(void **state)
{
    struct scratch *s = *state;
    struct kr_err err = KR_ERR_INIT;
    kr_auto_json json_t *a = insert_text(s->store, KR_PIPELINE,
                                         "{\"name\":\"a\",\"created\":\"2020-01-01T00:00:00.000Z\","
                                         "\"updated\":\"2020-01-01T00:00:00.000Z\"}");
    kr_auto_json json_t *b = insert_text(s->store, KR_PIPELINE, "{\"name\":\"b\"}"), *found = NULL;
    kr_auto_json json_t *change = json_pack("{s:s,s:s}", "name", "c", "source", "m.c");
    kr_auto_json json_t *clash = json_pack("{s:s}", "name", "b");
    const char *id = kr_json_str(a, "id", "");

    (void)b;
    OK(kr_store_update(s->store, KR_PIPELINE, id, change, &err));
    OK(kr_store_find(s->store, KR_PIPELINE, id, NULL, &found, &err));
    assert_string_equal(kr_json_str(found, "name", ""), "c");
    assert_string_equal(kr_json_str(found, "source", ""), "m.c");
    assert_string_equal(kr_json_str(found, "created", ""), "2020-01-01T00:00:00.000Z");
    assert_string_not_equal(kr_json_str(found, "updated", ""), "2020-01-01T00:00:00.000Z");
    FAILS(kr_store_update(s->store, KR_PIPELINE, id, clash, &err), KR_E_EXISTS,
          "the pipeline 'b' exists already");
    OK(kr_store_delete(s->store, KR_PIPELINE, id, &err));
    FAILS(kr_store_delete(s->store, KR_PIPELINE, "gone", &err), KR_E_NOT_FOUND,
          "no pipeline with the id gone");
}

static void test_stack_shows_and_holds_its_components(void **state)
{
    struct scratch *s = *state;
    struct kr_err err = KR_ERR_INIT;
    kr_auto_json json_t *d = insert_text(
        s->store, KR_COMPONENT, "{\"name\":\"d\",\"type\":\"deployer\",\"flavor\":\"local\"}");
    kr_auto_json json_t *row =
        json_pack("{s:s,s:{s:s}}", "name", "s", "components", "deployer", kr_json_str(d, "id", ""));
    kr_auto_json json_t *none = json_pack("{s:{}}", "components"), *out = NULL, *found = NULL;
    kr_auto_json json_t *bad =
        json_pack("{s:s,s:{s:s}}", "name", "t", "components", "deployer", "nobody");
    const char *id = kr_json_str(d, "id", "");

    OK(kr_store_insert(s->store, KR_STACK, row, &out, &err));
    assert_string_equal(kr_json_str(kr_json_at(out, "components", "deployer", NULL), "flavor", ""),
                        "local");
    assert_string_equal(kr_json_str(out, "deployer", ""), "d");
    assert_false(kr_json_bool(out, "active", true));
    assert_int_equal(kr_store_insert(s->store, KR_STACK, bad, NULL, &err), -KR_E_CONFLICT);
    kr_err_clear(&err);
    assert_int_equal(kr_store_delete(s->store, KR_COMPONENT, id, &err), -KR_E_CONFLICT);
    kr_err_clear(&err);
    OK(kr_store_fact_set(s->store, "active_stack", kr_json_str(out, "id", ""), &err));
    OK(kr_store_update(s->store, KR_STACK, kr_json_str(out, "id", ""), none, &err));
    OK(kr_store_find(s->store, KR_STACK, "s", NULL, &found, &err));
    assert_int_equal(json_object_size(json_object_get(found, "components")), 0);
    assert_true(kr_json_bool(found, "active", false));
    OK(kr_store_delete(s->store, KR_COMPONENT, id, &err));
}

static void test_transactions_nest(void **state)
{
    struct scratch *s = *state;
    struct kr_err err = KR_ERR_INIT;
    struct kr_query query = {.page = 1, .size = 20};
    kr_auto_json json_t *page = NULL;
    const char *text = "{\"name\":\"inner\"}";

    OK(kr_store_begin(s->store, &err));
    json_decref(insert_text(s->store, KR_PIPELINE, "{\"name\":\"outer\"}"));
    OK(kr_store_begin(s->store, &err));
    json_decref(insert_text(s->store, KR_PIPELINE, text));
    kr_store_rollback(s->store);
    OK(kr_store_commit(s->store, &err));
    OK(kr_store_list(s->store, KR_PIPELINE, &query, NULL, &page, &err));
    assert_int_equal(json_array_size(json_object_get(page, "items")), 1);
    OK(kr_store_begin(s->store, &err));
    json_decref(insert_text(s->store, KR_PIPELINE, text));
    kr_store_rollback(s->store);
    assert_int_equal(kr_store_find(s->store, KR_PIPELINE, "inner", NULL, NULL, &err),
                     -KR_E_NOT_FOUND);
}

static void test_deployments_and_what_hangs_on_them(void **state)
{
    struct scratch *s = *state;
    struct kr_err err = KR_ERR_INIT;
    kr_auto_json json_t *p = insert_text(s->store, KR_PIPELINE, "{\"name\":\"p\"}");
    kr_auto_json json_t *snap =
        json_pack("{s:s,s:s,s:s,s:{s:i}}", "name", "v1", "pipeline_id", kr_json_str(p, "id", ""),
                  "digest", "sha256:0", "document", "format", 1);
    kr_auto_json json_t *snapshot = NULL, *deployment = NULL, *row = NULL, *event = NULL,
                        *page = NULL;

    OK(kr_store_insert(s->store, KR_SNAPSHOT, snap, &snapshot, &err));
    assert_string_equal(kr_json_str(snapshot, "pipeline", ""), "p");
    row = json_pack("{s:s,s:s,s:s,s:s}", "name", "dep", "pipeline", "p", "snapshot_id",
                    kr_json_str(snapshot, "id", ""), "auth_key", "k3y-in-clear");
    OK(kr_store_insert(s->store, KR_DEPLOYMENT, row, &deployment, &err));
    assert_string_equal(kr_json_str(deployment, "snapshot", ""), "v1");
    assert_string_equal(kr_json_str(deployment, "status", ""), "absent");
    assert_string_equal(kr_json_str(deployment, "auth_key", ""), "k3y-in-clear");
    event = json_pack("{s:s,s:s}", "deployment_id", kr_json_str(deployment, "id", ""), "what",
                      "created");
    OK(kr_store_insert(s->store, KR_EVENT, event, NULL, &err));
    OK(kr_store_list(s->store, KR_DEPLOYMENT, NULL, NULL, &page, &err));
    assert_null(json_object_get(json_array_get(json_object_get(page, "items"), 0), "auth_key"));
    assert_null(json_object_get(json_array_get(json_object_get(page, "items"), 0), "metadata"));
    assert_int_equal(kr_store_delete(s->store, KR_SNAPSHOT, kr_json_str(snapshot, "id", ""), &err),
                     -KR_E_CONFLICT);
    kr_err_clear(&err);
    OK(kr_store_delete(s->store, KR_DEPLOYMENT, kr_json_str(deployment, "id", ""), &err));
    json_decref(page);
    OK(kr_store_list(s->store, KR_EVENT, NULL, NULL, &page, &err));
    assert_int_equal(json_array_size(json_object_get(page, "items")), 0);
    OK(kr_store_delete(s->store, KR_PIPELINE, kr_json_str(p, "id", ""), &err));
    assert_int_equal(kr_store_find(s->store, KR_SNAPSHOT, "v1", NULL, NULL, &err), -KR_E_NOT_FOUND);
}

static void test_locks_name_their_holder(void **state)
{
    struct scratch *s = *state;
    struct kr_err err = KR_ERR_INIT;
    int first = -1, second = -1, other = -1;
    char want[60];

    OK(kr_store_lock(s->store, "deploy:a/../b", &first, &err));
    OK(kr_store_lock(s->store, "deploy:c", &other, &err));
    assert_int_equal(kr_store_lock(s->store, "deploy:a/../b", &second, &err), -KR_E_CONFLICT);
    (void)snprintf(want, sizeof(want), "process %ld has been working on 'a/../b' since 20",
                   (long)getpid());
    assert_memory_equal(err.msg, want, strlen(want));
    kr_err_clear(&err);
    (void)close(first);
    OK(kr_store_lock(s->store, "deploy:a/../b", &second, &err));
    (void)close(second);
    (void)close(other);
}

static void test_the_check_finds_a_sound_file(void **state)
{
    struct scratch *s = *state;
    struct kr_err err = KR_ERR_INIT;

    OK(kr_store_check(s->store, &err));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SCRATCH(test_files_are_private),
        SCRATCH(test_insert_fills_in_and_reads_back),
        SCRATCH(test_taken_name_and_unknown_field),
        SCRATCH(test_find_by_name_id_and_prefix),
        SCRATCH(test_scope_narrows),
        SCRATCH(test_update_and_delete),
        SCRATCH(test_stack_shows_and_holds_its_components),
        SCRATCH(test_transactions_nest),
        SCRATCH(test_deployments_and_what_hangs_on_them),
        SCRATCH(test_locks_name_their_holder),
        SCRATCH(test_the_check_finds_a_sound_file),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
