/* SPDX-License-Identifier: Apache-2.0 */
/* Components and stacks. */
#include "app/component.h"
#include "app/secret.h"
#include "app/stack.h"
#include "app_help.h"
#include "base/redact.h"

static int reg(struct place *p, enum kr_component_type type, const char *name, const char *flavor,
               const char *attributes, struct kr_err *err)
{
    kr_auto_json json_t *values = parse_text(attributes);
    struct kr_component_change what = {.attributes = values};

    return kr_component_register(p->app, type, name, flavor, &what, NULL, err);
}

static int reg_stack(struct place *p, const char *name, const char *components, bool active,
                     struct kr_err *err)
{
    kr_auto_json json_t *values = parse_text(components);
    struct kr_stack_change what = {.components = values};

    return kr_stack_register(p->app, name, &what, active, NULL, err);
}

static void test_seed_sequence(void **state)
{
    struct place *p = *state;
    struct kr_err err = KR_ERR_INIT;
    kr_auto_json json_t *secret = json_pack("{s:s}", "token", "hf_0123456789"), *stack = NULL;
    kr_auto_json json_t *row = NULL, *registry = NULL;

    OK(kr_secret_create(p->app, "hf_token", secret, false, NULL, &err));
    OK(reg(p, KR_DEPLOYER, "D", "huggingface", "{\"secret_name\":\"hf_token\"}", &err));
    OK(reg_stack(p, "S",
                 "{\"deployer\":\"D\",\"artifact_store\":\"default\",\"orchestrator\":\"default\"}",
                 true, &err));
    OK(reg(p, KR_CONTAINER_REGISTRY, "public_registry", "default",
           "{\"uri\":\"docker.io/someone/\"}", &err));
    OK(kr_stack_get(p->app, NULL, &stack, &err));
    assert_string_equal(kr_json_str(stack, "name", ""), "S");
    OK(kr_stack_component(p->app, stack, KR_DEPLOYER, &row, &err));
    assert_string_equal(canonical(json_object_get(row, "config")),
                        "{\"secret_name\":\"hf_token\"}");
    OK(kr_component_get(p->app, KR_CONTAINER_REGISTRY, "public", &registry, &err));
    assert_string_equal(canonical(json_object_get(registry, "config")),
                        "{\"uri\":\"docker.io/someone\"}");
    assert_string_equal(kr_buf_str(&p->notes), "");
}

static void test_register_refuses_with_a_way_out(void **state)
{
    struct place *p = *state;
    struct kr_err err = KR_ERR_INIT;

    FAILS(reg(p, KR_DEPLOYER, "d", "hugingface", "{}", &err), KR_E_NOT_FOUND,
          "no flavor 'hugingface' of deployers; there are: local, docker, huggingface");
    assert_int_equal(reg(p, KR_CONTAINER_REGISTRY, "r", "default", "{}", &err), -KR_E_INVALID);
    assert_string_equal(err.msg, "container registry 'r': the flavor 'default' needs 'uri'");
    kr_err_clear(&err);
    FAILS(
        reg(p, KR_DEPLOYER, "d", "local", "{\"prot\":\"1\"}", &err), KR_E_INVALID,
        "deployer 'd': unknown key 'prot' in settings of the local deployer; did you mean 'port'?");
    FAILS(reg(p, KR_DEPLOYER, "a/b", "local", "{}", &err), KR_E_INVALID,
          "the name 'a/b' must not contain '/'");
    FAILS(reg(p, KR_DEPLOYER, "default", "local", "{}", &err), KR_E_EXISTS,
          "the deployer 'default' exists already");
}

static void test_secrets_in_clear_are_warned_about_and_masked(void **state)
{
    struct place *p = *state;
    struct kr_err err = KR_ERR_INIT;
    kr_auto_json json_t *row = NULL, *page = NULL, *scope = json_pack("{s:s}", "name", "d");

    OK(reg(p, KR_DEPLOYER, "d", "huggingface", "{\"token\":\"hf_clear\"}", &err));
    assert_non_null(strstr(kr_buf_str(&p->notes), "w 'token' is kept as given; better"));
    assert_null(strstr(kr_buf_str(&p->notes), "hf_clear"));
    OK(kr_component_get(p->app, KR_DEPLOYER, "d", &row, &err));
    kr_component_mask(row);
    assert_string_equal(canonical(json_object_get(row, "config")), "{\"token\":\"********\"}");
    OK(kr_app_list(p->app, KR_COMPONENT, NULL, scope, &page, &err));
    assert_null(strstr(canonical(page), "hf_clear"));
    kr_buf_reset(&p->notes);
    OK(reg(p, KR_DEPLOYER, "e", "huggingface", "{\"token\":\"{{nosuch.token}}\"}", &err));
    assert_string_equal(kr_buf_str(&p->notes), "w 'token': no secret 'nosuch'; create it: kourou "
                                               "secret create nosuch --token=<value>\n");
}

static void test_update_remove_rename_copy(void **state)
{
    struct place *p = *state;
    struct kr_err err = KR_ERR_INIT;
    kr_auto_json json_t *more = json_pack("{s:s,s:s}", "port", "9000", "auto_reload", "true");
    kr_auto_json json_t *labels = json_pack("{s:s}", "team", "ml"),
                        *env = json_pack("{s:s}", "A", "1");
    kr_auto_json json_t *no_env = json_pack("{s:s}", "A", ""), *names = json_pack("[s]", "port");
    kr_auto_json json_t *label = json_pack("[s]", "team"), *row = NULL, *gone = NULL, *copy = NULL;
    struct kr_component_change what = {.attributes = more, .labels = labels, .env = env};

    OK(reg(p, KR_DEPLOYER, "d", "local", "{\"port\":\"8000\"}", &err));
    OK(kr_component_update(p->app, KR_DEPLOYER, "d", &what, &row, &err));
    assert_string_equal(canonical(json_object_get(row, "config")),
                        "{\"auto_reload\":true,\"port\":9000}");
    assert_string_equal(canonical(json_object_get(row, "labels")), "{\"team\":\"ml\"}");
    what = (struct kr_component_change){.env = no_env};
    OK(kr_component_update(p->app, KR_DEPLOYER, "d", &what, NULL, &err));
    OK(kr_component_remove_attributes(p->app, KR_DEPLOYER, "d", names, label, &gone, &err));
    assert_string_equal(canonical(json_object_get(gone, "config")), "{\"auto_reload\":true}");
    assert_string_equal(canonical(json_object_get(gone, "env")), "{}");
    FAILS(kr_component_remove_attributes(p->app, KR_DEPLOYER, "d", names, NULL, NULL, &err),
          KR_E_NOT_FOUND, "'d' has no attribute 'port'");
    OK(kr_component_rename(p->app, KR_DEPLOYER, "d", "e", &err));
    OK(kr_component_copy(p->app, KR_DEPLOYER, "e", "f", &copy, &err));
    assert_string_equal(canonical(json_object_get(copy, "config")), "{\"auto_reload\":true}");
    FAILS(kr_component_rename(p->app, KR_DEPLOYER, "e", "f", &err), KR_E_EXISTS,
          "the deployer 'f' exists already");
    FAILS(kr_component_rename(p->app, KR_DEPLOYER, "default", "x", &err), KR_E_CONFLICT,
          "the default deployer cannot be renamed or deleted");
    OK(kr_component_delete(p->app, KR_DEPLOYER, "f", &err));
}

static void test_what_is_in_use_stays(void **state)
{
    struct place *p = *state;
    struct kr_err err = KR_ERR_INIT;
    kr_auto_json json_t *d = NULL, *row = NULL, *absent = json_pack("{s:s}", "status", "absent");
    kr_auto_json json_t *remove = json_pack("[s]", "deployer"), *made = NULL;
    struct kr_stack_change what = {.remove = remove};

    OK(reg(p, KR_DEPLOYER, "d", "local", "{}", &err));
    OK(reg_stack(p, "s",
                 "{\"deployer\":\"d\",\"artifact_store\":\"default\",\"orchestrator\":\"default\"}",
                 true, &err));
    FAILS(kr_component_delete(p->app, KR_DEPLOYER, "d", &err), KR_E_CONFLICT,
          "the deployer 'd' is part of stacks: s");
    OK(kr_component_get(p->app, KR_DEPLOYER, NULL, &d, &err));
    row = json_pack("{s:s,s:s,s:s}", "name", "live", "deployer_id", kr_json_str(d, "id", ""),
                    "status", "running");
    OK(kr_store_insert(p->app->store, KR_DEPLOYMENT, row, &made, &err));
    OK(kr_stack_update(p->app, "s", &what, NULL, &err));
    FAILS(kr_component_get(p->app, KR_DEPLOYER, NULL, &d, &err), KR_E_NOT_FOUND,
          "the active stack 's' has no deployer");
    FAILS(kr_component_delete(p->app, KR_DEPLOYER, "d", &err), KR_E_CONFLICT,
          "the deployer 'd' is in use by deployments: live");
    OK(kr_store_update(p->app->store, KR_DEPLOYMENT, kr_json_str(made, "id", ""), absent, &err));
    OK(kr_component_delete(p->app, KR_DEPLOYER, "d", &err));
}

static void test_stack_life(void **state)
{
    struct place *p = *state;
    struct kr_err err = KR_ERR_INIT;
    kr_auto_json json_t *row = NULL, *remove = json_pack("[s]", "orchestrator"), *active = NULL;
    kr_auto_json json_t *add = json_pack("{s:s}", "image_builder", "default"), *updated = NULL;
    struct kr_stack_change what = {.remove = remove};

    FAILS(reg_stack(p, "s", "{\"orchestrator\":\"default\"}", false, &err), KR_E_INVALID,
          "the stack 's' needs an artifact store");
    assert_int_equal(
        reg_stack(p, "s", "{\"orchestrator\":\"default\",\"artifact_store\":\"nosuch\"}", false,
                  &err),
        -KR_E_NOT_FOUND);
    assert_string_equal(err.msg, "no artifact store 'nosuch'");
    kr_err_clear(&err);
    OK(reg(p, KR_DEPLOYER, "own", "local", "{}", &err));
    OK(reg_stack(
        p, "s",
        "{\"deployer\":\"own\",\"orchestrator\":\"default\",\"artifact_store\":\"default\"}", false,
        &err));
    FAILS(reg_stack(p, "s", "{\"orchestrator\":\"default\",\"artifact_store\":\"default\"}", false,
                    &err),
          KR_E_EXISTS, "the stack 's' exists already");
    FAILS(kr_stack_update(p->app, "s", &what, NULL, &err), KR_E_INVALID,
          "a stack cannot be without orchestrator; give it another one");
    what = (struct kr_stack_change){.components = add};
    OK(kr_stack_update(p->app, "s", &what, &updated, &err));
    assert_string_equal(kr_json_str(updated, "image_builder", ""), "default");
    OK(kr_stack_copy(p->app, "s", "t", &row, &err));
    assert_string_equal(kr_json_str(row, "deployer", ""), "own");
    OK(kr_stack_set_active(p->app, "t", &active, &err));
    assert_true(kr_json_bool(active, "active", false));
    FAILS(kr_stack_delete(p->app, "t", false, &err), KR_E_CONFLICT,
          "the stack 't' is the active one");
    FAILS(kr_stack_delete(p->app, "default", false, &err), KR_E_CONFLICT,
          "the default stack cannot be renamed or deleted");
    OK(kr_stack_set_active(p->app, "default", NULL, &err));
    OK(kr_stack_rename(p->app, "t", "u", &err));
    OK(kr_stack_delete(p->app, "u", true, &err)); /* `own` is still shared with s */
    json_decref(row);
    OK(kr_component_get(p->app, KR_DEPLOYER, "own", &row, &err));
    OK(kr_stack_delete(p->app, "s", true, &err));
    assert_int_equal(kr_component_get(p->app, KR_DEPLOYER, "own", &active, &err), -KR_E_NOT_FOUND);
}

static void test_export_and_import(void **state)
{
    struct place *p = *state;
    struct kr_err err = KR_ERR_INIT;
    kr_auto_json json_t *doc = NULL, *again = NULL, *other = NULL;
    json_t *row = NULL;

    OK(reg(p, KR_DEPLOYER, "d", "huggingface",
           "{\"token\":\"hf_clear\",\"auth_key\":\"{{a.b}}\",\"private\":\"true\"}", &err));
    OK(reg_stack(p, "s",
                 "{\"deployer\":\"d\",\"artifact_store\":\"default\",\"orchestrator\":\"default\"}",
                 false, &err));
    OK(kr_stack_export(p->app, "s", &doc, &err));
    assert_string_equal(canonical(kr_json_at(doc, "components", "deployer", NULL)),
                        "{\"configuration\":{\"auth_key\":\"{{a.b}}\",\"private\":true},"
                        "\"flavor\":\"huggingface\",\"name\":\"d\"}");
    assert_int_equal(kr_stack_import(p->app, doc, "copy", false, NULL, &err), -KR_E_EXISTS);
    assert_string_equal(err.msg, "components: another deployer 'd' exists already");
    kr_err_clear(&err);
    OK(kr_stack_delete(p->app, "s", true, &err));
    OK(kr_stack_import(p->app, doc, NULL, false, &again, &err));
    assert_string_equal(kr_json_str(again, "name", ""), "s");
    assert_string_equal(kr_json_str(again, "deployer", ""), "d");
    OK(kr_stack_import(p->app, doc, "copy", false, NULL, &err)); /* equal components are shared */
    other = json_deep_copy(doc);
    kr_json_set_str(other, "kourou_version", "99.0");
    assert_int_equal(kr_stack_import(p->app, other, "v", false, &row, &err), -KR_E_CONFLICT);
    kr_err_clear(&err);
    OK(kr_stack_import(p->app, other, "v", true, NULL, &err));
    /* nothing stays of an import that fails half way */
    kr_json_set_str(json_object_get(json_object_get(other, "components"), "deployer"), "name",
                    "new");
    kr_json_set(json_object_get(other, "components"), "alerter", json_object());
    assert_int_equal(kr_stack_import(p->app, other, "w", true, &row, &err), -KR_E_INVALID);
    assert_string_equal(err.msg, "components: 'alerter' is not a kind of component");
    kr_err_clear(&err);
    assert_int_equal(kr_component_get(p->app, KR_DEPLOYER, "new", &row, &err), -KR_E_NOT_FOUND);
}

static void test_resolved_configuration_is_typed_again(void **state)
{
    struct place *p = *state;
    struct kr_err err = KR_ERR_INIT;
    kr_auto_json json_t *values = json_pack("{s:s,s:s}", "port", "9000", "token", "hf_tok");
    kr_auto_json json_t *stack = NULL, *row = NULL;
    json_t *none = NULL;

    OK(kr_secret_create(p->app, "s", values, false, NULL, &err));
    OK(reg(p, KR_DEPLOYER, "d", "huggingface",
           "{\"token\":\"{{s.token}}\",\"app_port\":\"{{s.port}}\"}", &err));
    OK(reg_stack(p, "st",
                 "{\"deployer\":\"d\",\"artifact_store\":\"default\",\"orchestrator\":\"default\"}",
                 true, &err));
    OK(kr_stack_get(p->app, NULL, &stack, &err));
    OK(kr_stack_component(p->app, stack, KR_DEPLOYER, &row, &err));
    assert_string_equal(canonical(json_object_get(row, "config")),
                        "{\"app_port\":9000,\"token\":\"hf_tok\"}");
    OK(kr_secret_delete(p->app, "s", true, &err));
    FAILS(kr_stack_component(p->app, stack, KR_DEPLOYER, &none, &err), KR_E_NOT_FOUND,
          "deployer 'd': no secret 's'");
    FAILS(kr_stack_component(p->app, stack, KR_IMAGE_BUILDER, &none, &err), KR_E_NOT_FOUND,
          "the stack 'st' has no image builder");
    kr_redact_clear();
}

static void test_attached_secrets_must_exist(void **state)
{
    struct place *p = *state;
    struct kr_err err = KR_ERR_INIT;
    kr_auto_json json_t *values = json_pack("{s:s}", "k", "v"), *names = json_pack("[s]", "sec");
    kr_auto_json json_t *row = NULL, *after = NULL;
    struct kr_component_change what = {.secrets = names};

    FAILS(kr_component_register(p->app, KR_DEPLOYER, "d", "local", &what, NULL, &err),
          KR_E_NOT_FOUND, "no secret 'sec'");
    err.hint[0] = '\0';
    OK(kr_secret_create(p->app, "secret_one", values, false, NULL, &err));
    OK(kr_component_register(p->app, KR_DEPLOYER, "d", "local", &what, &row, &err));
    assert_string_equal(canonical(json_object_get(row, "secrets")), "[\"secret_one\"]");
    what = (struct kr_component_change){.remove_secrets = names};
    assert_int_equal(kr_component_update(p->app, KR_DEPLOYER, "d", &what, NULL, &err),
                     -KR_E_NOT_FOUND);
    kr_err_clear(&err);
    (void)json_array_set_new(names, 0, json_string("secret_one"));
    OK(kr_component_update(p->app, KR_DEPLOYER, "d", &what, &after, &err));
    assert_string_equal(canonical(json_object_get(after, "secrets")), "[]");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        PLACE(test_seed_sequence),
        PLACE(test_register_refuses_with_a_way_out),
        PLACE(test_secrets_in_clear_are_warned_about_and_masked),
        PLACE(test_update_remove_rename_copy),
        PLACE(test_what_is_in_use_stays),
        PLACE(test_stack_life),
        PLACE(test_export_and_import),
        PLACE(test_resolved_configuration_is_typed_again),
        PLACE(test_attached_secrets_must_exist),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
