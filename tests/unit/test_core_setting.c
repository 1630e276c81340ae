/* SPDX-License-Identifier: Apache-2.0 */
#include "base/alloc.h"
#include "core/flavor.h"
#include "core/setting.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static json_t *parse(const char *text)
{
    struct kr_err err = KR_ERR_INIT;
    json_t *value = NULL;

    if (kr_json_parse(text, strlen(text), "test", &value, &err) < 0)
        fail_msg("%s", err.msg);
    return value;
}

/* Checks text against a table; gives canonical text, or the error message. Caller frees. */
static char *checked(const struct kr_settings_table *table, const char *text)
{
    struct kr_err err = KR_ERR_INIT;
    kr_auto_json json_t *in = parse(text), *out = NULL;

    if (kr_settings_check(table, in, "test.yaml", &out, &err) < 0) {
        assert_int_equal(err.code, KR_E_INVALID);
        return kr_strdup(err.msg);
    }
    return kr_json_canonical(out);
}

struct row {
    const struct kr_settings_table *table;
    const char *in, *want;
};

static void try_rows(const struct row *rows, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        kr_auto_free char *got = checked(rows[i].table, rows[i].in);

        if (strcmp(got, rows[i].want) != 0)
            fail_msg("%s gave\n  %s\nwanted\n  %s", rows[i].in, got, rows[i].want);
    }
}

static const struct kr_settings_table *deployer(const char *flavor)
{
    return kr_flavor_find(KR_DEPLOYER, flavor)->table;
}

static void test_every_default_passes_its_own_check(void **state)
{
    struct kr_err err = KR_ERR_INIT;

    (void)state;
    for (size_t i = 0; i < kr_flavor_count + 3; i++) {
        const struct kr_settings_table *const general[] = {
            &kr_docker_settings, &kr_deployment_settings, &kr_resource_settings};
        const struct kr_settings_table *table =
            i < kr_flavor_count ? kr_flavors[i].table : general[i - kr_flavor_count];
        kr_auto_json json_t *defaults = kr_settings_defaults(table), *out = NULL;

        assert_non_null(table->title);
        if (kr_settings_check(table, defaults, "defaults", &out, &err) < 0)
            fail_msg("%s", err.msg);
        assert_true(json_equal(defaults, out));
        for (size_t r = 0; r < table->count; r++) {
            assert_non_null(table->rows[r].help);
            assert_ptr_equal(kr_setting_find(table, table->rows[r].name), &table->rows[r]);
            assert_int_not_equal(table->rows[r].help[strlen(table->rows[r].help) - 1], '.');
        }
    }
}

static void test_seed_defaults_of_huggingface(void **state)
{
    kr_auto_json json_t *d = kr_settings_defaults(deployer("huggingface"));

    (void)state;
    assert_string_equal(kr_json_str(d, "space_prefix", ""), "zenml");
    assert_int_equal(kr_json_int(d, "app_port", 0), 7860);
    assert_int_equal(kr_json_int(d, "lcm_timeout", 0), 600);
    assert_true(json_is_null(json_object_get(d, "private")));
    assert_true(json_is_null(json_object_get(d, "space_hardware")));
}

static void test_words_of_the_command_line_become_typed(void **state)
{
    const struct kr_settings_table *hf = deployer("huggingface"), *local = deployer("local");
    const struct row rows[] = {
        {hf, "{\"app_port\":\"8080\",\"private\":\"True\"}",
         "{\"app_port\":8080,\"private\":true}"},
        {hf, "{\"private\":\"no\"}", "{\"private\":false}"},
        {hf, "{\"space_hardware\":\"T4_SMALL\"}", "{\"space_hardware\":\"t4-small\"}"},
        {hf, "{\"space_storage\":\"SMALL\"}", "{\"space_storage\":\"small\"}"},
        {hf, "{\"space_tags\":\"a, b\"}", "{\"space_tags\":[\"a\",\"b\"]}"},
        {hf, "{\"space_tags\":\"[\\\"a,b\\\"]\"}", "{\"space_tags\":[\"a,b\"]}"},
        {hf, "{\"token\":\"{{hf.token}}\",\"app_port\":\"{{hf.port}}\"}",
         "{\"app_port\":\"{{hf.port}}\",\"token\":\"{{hf.token}}\"}"},
        {local, "{\"port_range\":\"[9000,9010]\",\"port\":null}",
         "{\"port\":null,\"port_range\":[9000,9010]}"},
        {&kr_docker_settings, "{\"environment\":\"{\\\"A\\\": 1}\"}",
         "{\"environment\":{\"A\":\"1\"}}"},
        {&kr_docker_settings, "{\"environment\":{\"A\":true,\"B\":1.5,\"C\":null}}",
         "{\"environment\":{\"A\":\"true\",\"B\":\"1.5\"}}"},
        {&kr_docker_settings, "{\"requirements\":[\"numpy\"]}", "{\"requirements\":[\"numpy\"]}"},
        {&kr_docker_settings, "{\"requirements\":\"req.txt\"}", "{\"requirements\":\"req.txt\"}"},
        {&kr_deployment_settings, "{\"include_default_endpoints\":5}",
         "{\"include_default_endpoints\":[\"docs\",\"invoke\"]}"},
        {&kr_deployment_settings, "{\"include_default_endpoints\":\"DOC|INVOKE\"}",
         "{\"include_default_endpoints\":[\"docs\",\"redoc\",\"invoke\"]}"},
        {&kr_deployment_settings, "{\"log_level\":\"debug\"}", "{\"log_level\":\"DEBUG\"}"},
        {&kr_resource_settings, "{\"memory\":\"1.5GiB\",\"cpu_count\":0.5}",
         "{\"cpu_count\":0.5,\"memory\":\"1.5GiB\"}"},
        {hf,
         "{\"space_volumes\":[{\"type\":\"bucket\",\"source\":\"a/b\",\"mount_path\":\"/data\","
         "\"read_only\":true}]}",
         "{\"space_volumes\":[{\"mountPath\":\"/data\",\"readOnly\":true,\"source\":\"a/b\","
         "\"type\":\"bucket\"}]}"},
    };

    (void)state;
    try_rows(rows, KR_ARRAY_LEN(rows));
}

static void test_errors_name_key_value_and_what_is_allowed(void **state)
{
    const struct kr_settings_table *hf = deployer("huggingface"), *local = deployer("local");
    const struct row rows[] = {
        {hf, "{\"app_port\":\"http\"}",
         "test.yaml: 'app_port' in settings of the huggingface deployer is \"http\", expected an "
         "integer from 1024 to 65535"},
        {hf, "{\"app_port\":80}",
         "test.yaml: 'app_port' in settings of the huggingface deployer is 80, expected an integer "
         "from 1024 to 65535"},
        {hf, "{\"space_storge\":\"small\"}",
         "test.yaml: unknown key 'space_storge' in settings of the huggingface deployer; did you "
         "mean "
         "'space_storage'?"},
        {hf, "{\"space_storage\":\"huge\"}",
         "test.yaml: 'space_storage' in settings of the huggingface deployer is \"huge\", expected "
         "one "
         "of small, medium, large"},
        {hf, "{\"token\":5}",
         "test.yaml: 'token' in settings of the huggingface deployer is an integer, expected a "
         "string"},
        {hf, "{\"secret_name\":\"\"}",
         "test.yaml: 'secret_name' in settings of the huggingface deployer: an empty value"},
        {hf, "{\"space_volumes\":[{\"type\":\"bucket\",\"source\":\"a/b\"}]}",
         "test.yaml: 'space_volumes' in settings of the huggingface deployer: volume 1: "
         "'mount_path' "
         "must stand once"},
        {local, "{\"address\":\"localhost\"}",
         "test.yaml: 'address' in settings of the local deployer: 'localhost' is not an IP "
         "address"},
        {local, "{\"port_range\":[9000,80]}",
         "test.yaml: 'port_range' in settings of the local deployer: [9000, 80] is not a range of "
         "ports from 1 to 65535"},
        {&kr_docker_settings, "{\"apt_packages\":[\"git; rm -rf /\"]}",
         "test.yaml: 'apt_packages' in docker settings: 'git; rm -rf /' is not a name of a "
         "package"},
        {&kr_docker_settings, "{\"environment\":{\"A B\":\"x\"}}",
         "test.yaml: 'environment' in docker settings: 'A B' is not a name of an environment "
         "variable"},
        {&kr_docker_settings, "{\"dockerfile\":\"../Dockerfile\"}",
         "test.yaml: 'dockerfile' in docker settings: path '../Dockerfile' has an empty, '.' or "
         "'..' "
         "component"},
        {&kr_deployment_settings, "{\"cors\":{\"allow_origin\":[\"*\"]}}",
         "test.yaml: 'cors' in deployment settings: cors: unknown key 'allow_origin' in the map; "
         "did "
         "you mean 'allow_origins'?"},
        {&kr_deployment_settings, "{\"custom_endpoints\":[{\"path\":\"/x\",\"method\":\"GET\"}]}",
         "test.yaml: 'custom_endpoints' in deployment settings: item 1: 'handler' is missing"},
        {&kr_deployment_settings, "{\"invoke_url_path\":\"invoke\"}",
         "test.yaml: 'invoke_url_path' in deployment settings: 'invoke' does not begin with '/'"},
        {&kr_deployment_settings, "{\"secure_headers\":{\"xfo\":3}}",
         "test.yaml: 'secure_headers' in deployment settings: secure_headers: 'xfo' in the map: an "
         "integer, expected true, false or the value of the header"},
        {&kr_resource_settings, "{\"memory\":\"lots\"}",
         "test.yaml: 'memory' in resource settings: 'lots' is not a size like 512MB or 2GiB"},
        {&kr_resource_settings, "[1]", "test.yaml: resource settings are a list, expected a map"},
    };

    (void)state;
    try_rows(rows, KR_ARRAY_LEN(rows));
}

static void test_registry_addresses_belong_to_their_flavor(void **state)
{
    static const struct {
        const char *flavor, *uri;
        bool good;
    } rows[] = {
        {"default", "docker.io/someone", true},
        {"default", "localhost:5000", true},
        {"default", "https://x.y", false},
        {"dockerhub", "docker.io/a", true},
        {"dockerhub", "ghcr.io/a", false},
        {"github", "ghcr.io/a", true},
        {"gcp", "eu.gcr.io/p", true},
        {"gcp", "europe-docker.pkg.dev/p/r", true},
        {"gcp", "docker.io/gcr.io", false},
        {"azure", "x.azurecr.io", true},
        {"azure", "azure.io/x", false},
        {"aws", "1.dkr.ecr.eu-west-1.amazonaws.com", true},
        {"aws", "aws.com", false},
        {"default", "", false},
    };

    (void)state;
    for (size_t i = 0; i < KR_ARRAY_LEN(rows); i++) {
        struct kr_err err = KR_ERR_INIT;
        kr_auto_json json_t *in = json_pack("{s:s}", "uri", rows[i].uri), *out = NULL;
        const struct kr_flavor *f = kr_flavor_find(KR_CONTAINER_REGISTRY, rows[i].flavor);
        int rc = kr_settings_check(f->table, in, "registry", &out, &err);

        if ((rc == 0) != rows[i].good)
            fail_msg("%s %s: %s", rows[i].flavor, rows[i].uri, err.msg);
    }
}

static void test_trailing_slash_of_a_registry_goes(void **state)
{
    kr_auto_free char *got = checked(kr_flavor_find(KR_CONTAINER_REGISTRY, "default")->table,
                                     "{\"uri\":\"docker.io/someone//\"}");

    (void)state;
    assert_string_equal(got, "{\"uri\":\"docker.io/someone\"}");
}

static json_t *merged(const char *flavor, const char *config, const char *yaml, const char *code)
{
    struct kr_err err = KR_ERR_INIT;
    kr_auto_json json_t *c = parse(config), *y = parse(yaml), *d = parse(code);
    const struct kr_settings_layer layers[] = {{y, "config.yaml"}, {d, "@pipeline of m.p"}};
    json_t *out = NULL;

    if (kr_settings_merge(flavor, c, layers, 2, NULL, &out, &err) < 0)
        fail_msg("%s", err.msg);
    return out;
}

/* Another value than the default. */
static json_t *other_value(const struct kr_setting *row)
{
    switch (row->type) {
    case KR_SET_INT:
    case KR_SET_NUMBER:
        return json_integer(row->min > 3 ? row->min : 3);
    case KR_SET_BOOL:
        return json_boolean(row->dflt == NULL || strcmp(row->dflt, "true") != 0);
    case KR_SET_CHOICE:
        return json_string(row->choices[1]);
    case KR_SET_LIST:
        return json_pack("[s]", "x");
    case KR_SET_MAP:
    case KR_SET_OBJECT:
        return json_pack("{s:s}", "key", "x");
    case KR_SET_STRING:
    case KR_SET_ANY:
    default:
        return json_string("my.value");
    }
}

static bool notes_name(const json_t *notes, const char *name, const char *why)
{
    kr_auto_free char *quoted = kr_asprintf("'%s'", name);
    const json_t *note;
    size_t i;

    json_array_foreach(notes, i, note)
    {
        const char *text = json_string_value(note);

        if (strstr(text, quoted) != NULL && strstr(text, "has no effect: ") != NULL &&
            strstr(text, why) != NULL)
            return true;
    }
    return false;
}

/* Each row is read by somebody, or whoever sets it is told why not. */
static void check_rows(const struct kr_settings_table *table)
{
    for (size_t i = 0; i < table->count; i++) {
        const struct kr_setting *row = &table->rows[i];
        kr_auto_json json_t *set = json_object(), *notes = json_array(), *dflt = json_object();

        if ((row->reader != NULL) == (row->ignored != NULL))
            fail_msg("%s: '%s' needs a reader, or a reason why there is none", table->title,
                     row->name);
        kr_json_set(set, row->name, other_value(row));
        kr_settings_ignored(table, set, "here", "docker", notes);
        if (row->ignored == NULL)
            assert_int_equal(json_array_size(notes), 0);
        else if (!notes_name(notes, row->name, row->ignored))
            fail_msg("%s: '%s' is ignored in silence", table->title, row->name);
        (void)json_array_clear(notes);
        kr_json_set(dflt, row->name, row->dflt != NULL ? parse(row->dflt) : json_null());
        kr_settings_ignored(table, dflt, "here", "docker", notes);
        assert_int_equal(json_array_size(notes), 0);
        kr_settings_ignored(table, set, "here", "local", notes);
        if (row->only != NULL && !notes_name(notes, row->name, row->only))
            fail_msg("%s: '%s' is ignored in silence elsewhere", table->title, row->name);
    }
}

static void test_each_row_is_read_or_named(void **state)
{
    (void)state;
    check_rows(&kr_docker_settings);
    check_rows(&kr_deployment_settings);
    check_rows(&kr_resource_settings);
    for (size_t i = 0; i < kr_flavor_count; i++)
        check_rows(kr_flavors[i].table);
}

static void test_a_merge_names_what_has_no_effect(void **state)
{
    kr_auto_json json_t *in =
        parse("{\"resources\":{\"cpu_count\":2,\"min_replicas\":2,\"memory\":\"1GB\"},"
              "\"docker\":{\"copy_files\":false,\"install_stack_requirements\":true},"
              "\"deployment\":{\"uvicorn_kwargs\":{\"a\":1},\"custom_endpoints\":[{\"path\":\"/a\","
              "\"method\":\"GET\",\"handler\":\"m.f\",\"native\":true}]},"
              "\"step_operator.vertex\":{\"x\":1}}");
    const struct kr_settings_layer layer = {in, "m.p"};
    kr_auto_json json_t *notes = json_array(), *out = NULL;
    struct kr_err err = KR_ERR_INIT;

    (void)state;
    assert_int_equal(kr_settings_merge("huggingface", NULL, &layer, 1, notes, &out, &err), 0);
    assert_int_equal(json_array_size(notes), 6);
    assert_true(notes_name(notes, "native", "m.p: 'custom_endpoints': 'native' in the endpoint"));
    assert_true(notes_name(notes, "cpu_count",
                           "m.p: 'cpu_count' in resource settings has no "
                           "effect: only the docker deployer takes it"));
    assert_true(notes_name(notes, "min_replicas", "one server"));
    assert_true(notes_name(notes, "copy_files", "always part"));
    assert_true(notes_name(notes, "uvicorn_kwargs", "not uvicorn"));
    assert_string_equal(json_string_value(json_array_get(notes, 0)),
                        "m.p: settings of 'step_operator.vertex' have no effect: nothing of that "
                        "kind takes part in a deployment");
}

static void test_later_layers_win(void **state)
{
    kr_auto_json json_t *m =
        merged("huggingface", "{\"private\":true,\"app_port\":9000,\"secret_name\":\"hf\"}",
               "{\"deployer\":{\"app_port\":9001,\"sleep_time\":60},"
               "\"docker\":{\"environment\":{\"A\":\"1\",\"B\":\"1\"},\"apt_packages\":[\"git\"]}}",
               "{\"deployer\":{\"app_port\":9002,\"address\":\"0.0.0.0\"},"
               "\"deployer.huggingface\":{\"app_port\":9003},\"deployer.gcp\":{\"anything\":1},"
               "\"orchestrator.vertex\":{\"x\":1},"
               "\"docker\":{\"environment\":{\"B\":\"2\"},\"apt_packages\":[\"curl\"]},"
               "\"deployment\":{\"cors\":{\"allow_origins\":[\"https://x\"]}}}");
    const json_t *d = json_object_get(m, "deployer"), *k = json_object_get(m, "docker");

    (void)state;
    assert_int_equal(kr_json_int(d, "app_port", 0), 9003);
    assert_true(kr_json_bool(d, "private", false));
    assert_int_equal(kr_json_int(d, "sleep_time", 0), 60);
    assert_string_equal(kr_json_str(d, "secret_name", ""), "hf");
    assert_null(json_object_get(d, "address"));
    assert_string_equal(kr_json_str(json_object_get(k, "environment"), "A", ""), "1");
    assert_string_equal(kr_json_str(json_object_get(k, "environment"), "B", ""), "2");
    assert_int_equal(json_array_size(json_object_get(k, "apt_packages")), 1);
    assert_string_equal(json_string_value(json_array_get(
                            kr_json_at(m, "deployment", "cors", "allow_origins", NULL), 0)),
                        "https://x");
    assert_int_equal(json_array_size(kr_json_at(m, "deployment", "cors", "allow_methods", NULL)),
                     3);
}

static void test_null_goes_back_to_the_default(void **state)
{
    kr_auto_json json_t *m =
        merged("huggingface", "{\"app_port\":9000}", "{}", "{\"deployer\":{\"app_port\":null}}");

    (void)state;
    assert_int_equal(kr_json_int(json_object_get(m, "deployer"), "app_port", 0), 7860);
}

static void test_merge_refuses_with_a_reason(void **state)
{
    static const char *const rows[][3] = {
        {"{\"dockr\":{}}", "m.p: unknown settings key 'dockr'; did you mean 'docker'?", ""},
        {"{\"deployer.hugingface\":{}}",
         "m.p: unknown settings key 'deployer.hugingface'; did you mean 'deployer.huggingface'?",
         ""},
        {"{\"deployer\":{\"token\":\"x\"}}",
         "m.p: 'token' in settings of the huggingface deployer belongs to the registered deployer",
         "deployer update <name> --token=..."},
        {"{\"docker\":{\"skip_build\":true}}",
         "'skip_build' in docker settings needs 'parent_image'",
         "name the image to run: DockerSettings(skip_build=True, "
         "parent_image=\"registry/name:tag\")"},
        {"{\"deployer\":{\"nonsense\":1}}",
         "m.p: unknown key 'nonsense' in settings of the huggingface deployer", NULL},
        {"{\"docker\":{\"image_tag\":\"v${KR_TEST_UNSET}\"}}",
         "m.p: ${KR_TEST_UNSET}: the environment variable is not set",
         "set it: export KR_TEST_UNSET=..."},
    };

    (void)state;
    for (size_t i = 0; i < KR_ARRAY_LEN(rows); i++) {
        struct kr_err err = KR_ERR_INIT;
        kr_auto_json json_t *in = parse(rows[i][0]);
        const struct kr_settings_layer layer = {in, "m.p"};
        json_t *out = NULL;

        assert_int_equal(kr_settings_merge("huggingface", NULL, &layer, 1, NULL, &out, &err),
                         -KR_E_INVALID);
        assert_string_equal(err.msg, rows[i][1]);
        if (rows[i][2] != NULL && rows[i][2][0] != '\0')
            assert_string_equal(err.hint, rows[i][2]);
    }
}

static void test_environment_variables_are_expanded(void **state)
{
    kr_auto_json json_t *m = NULL;

    (void)state;
    (void)setenv("KR_TEST_TAG", "7", 1);
    m = merged("local", "{\"auth_key\":\"${KR_TEST_TAG}\"}",
               "{\"deployer\":{\"port\":\"809${KR_TEST_TAG}\"}}",
               "{\"docker\":{\"image_tag\":\"v${KR_TEST_TAG}-$${x}\",\"environment\":"
               "{\"KEY\":\"${KR_TEST_UNSET}\",\"TAG\":\"${KR_TEST_TAG}\"}}}");
    assert_string_equal(kr_json_str(json_object_get(m, "docker"), "image_tag", ""), "v7-${x}");
    assert_string_equal(kr_json_str(kr_json_at(m, "docker", "environment", NULL), "TAG", ""), "7");
    assert_null(kr_json_at(m, "docker", "environment", "KEY", NULL));
    assert_int_equal(kr_json_int(json_object_get(m, "deployer"), "port", 0), 8097);
    /* what was registered is taken as it is */
    assert_string_equal(kr_json_str(json_object_get(m, "deployer"), "auth_key", ""),
                        "${KR_TEST_TAG}");
    (void)unsetenv("KR_TEST_TAG");
}

static void test_public_copy_has_no_secrets(void **state)
{
    kr_auto_json json_t *in = parse("{\"auth_key\":\"k\",\"token\":\"t\",\"app_port\":1}");
    kr_auto_json json_t *out = kr_settings_public(deployer("huggingface"), in);
    kr_auto_free char *text = kr_json_canonical(out);

    (void)state;
    assert_string_equal(text, "{\"app_port\":1}");
}

/* Every set of sources, on one key that all of them may say: the nearest one decides. */
static void test_the_order_of_sources(void **state)
{
    static const char *const order[] = {"zenml", "component", "code", "file", "command-line"};
    const char *const layer = "{\"deployer\":{\"space_prefix\":\"%s\"}}";

    (void)state;
    for (unsigned set = 0; set < 16; set++) {
        json_t *said[5] = {NULL};
        kr_auto_json json_t *out = NULL, *wins = json_array();
        struct kr_settings_sources sources = {.deployer_flavor = "huggingface"};
        struct kr_err err = KR_ERR_INIT;
        const char *want = order[0];

        for (unsigned i = 1; i < 5; i++) {
            kr_auto_free char *text = kr_asprintf(layer, order[i]);

            if ((set & 1u << (i - 1)) == 0)
                continue;
            said[i] = parse(text);
            want = order[i];
        }
        sources.component = json_object_get(said[1], "deployer");
        sources.code = (struct kr_settings_layer){said[2], "@pipeline of m.p", NULL};
        sources.file = (struct kr_settings_layer){said[3], "c.yaml", wins};
        sources.command_line = (struct kr_settings_layer){said[4], "command line", NULL};
        if (kr_settings_decide(&sources, NULL, &out, &err) < 0)
            fail_msg("%s", err.msg);
        assert_string_equal(kr_json_str(json_object_get(out, "deployer"), "space_prefix", ""),
                            want);
        assert_int_equal(json_array_size(wins), said[2] != NULL && said[3] != NULL);
        for (unsigned i = 0; i < 5; i++)
            json_decref(said[i]);
    }
}

static void test_what_a_file_changes_of_the_code_is_told(void **state)
{
    static const struct {
        const char *code, *file, *want; /* NULL: nothing is told */
    } rows[] = {
        {"{}", "{\"docker\":{\"user\":\"a\"}}", NULL},
        {"{\"docker\":{\"user\":\"a\"}}", "{\"docker\":{\"user\":\"a\"}}", NULL},
        {"{\"docker\":{\"user\":\"a\"}}", "{\"docker\":{\"image_tag\":\"a\"}}", NULL},
        {"{\"docker\":{\"user\":\"a\"}}", "{\"docker\":{\"user\":\"b\"}}",
         "c.yaml wins over m.p: docker.user is \"b\" (not \"a\")"},
        {"{\"docker\":{\"user\":\"a\"},\"deployment\":{\"uvicorn_workers\":\"3\"}}",
         "{\"docker\":{\"user\":null},\"deployment\":{\"uvicorn_workers\":2}}",
         "c.yaml wins over m.p: docker.user is null (not \"a\"), deployment.uvicorn_workers is 2 "
         "(not "
         "3)"},
        {"{\"deployment\":{\"uvicorn_workers\":\"3\"}}", "{\"deployment\":{\"uvicorn_workers\":3}}",
         NULL},
        /* maps are laid over each other */
        {"{\"deployment\":{\"cors\":{\"allow_origins\":[\"a\"]}}}",
         "{\"deployment\":{\"cors\":{\"allow_methods\":[\"GET\"]}}}", NULL},
        {"{\"deployment\":{\"cors\":{\"allow_origins\":[\"a\"]}}}",
         "{\"deployment\":{\"cors\":{\"allow_origins\":[\"b\"]}}}",
         "c.yaml wins over m.p: deployment.cors is {\"allow_origins\":[\"b\"]} (not "
         "{\"allow_origins\":[\"a\"]})"},
        /* both keys of the deployer are one */
        {"{\"deployer\":{\"private\":true}}",
         "{\"deployer\":{\"private\":false},\"deployer.huggingface\":{\"private\":true}}", NULL},
        {"{\"deployer.huggingface\":{\"private\":true}}", "{\"deployer\":{\"private\":false}}",
         "c.yaml wins over m.p: deployer.private is false (not true)"},
        {"{\"deployer\":{\"auth_key\":\"s3cr3t\"}}", "{\"deployer\":{\"auth_key\":\"0th3r\"}}",
         "c.yaml wins over m.p: deployer.auth_key is ... (not ...)"},
    };

    (void)state;
    for (size_t i = 0; i < KR_ARRAY_LEN(rows); i++) {
        kr_auto_json json_t *code = parse(rows[i].code), *file = parse(rows[i].file);
        kr_auto_json json_t *wins = json_array(), *out = NULL;
        struct kr_settings_sources sources = {.deployer_flavor = "huggingface",
                                              .code = {code, "m.p", NULL},
                                              .file = {file, "c.yaml", wins}};
        struct kr_err err = KR_ERR_INIT;

        if (kr_settings_decide(&sources, NULL, &out, &err) < 0)
            fail_msg("%s", err.msg);
        assert_int_equal(json_array_size(wins), rows[i].want != NULL);
        if (rows[i].want != NULL)
            assert_string_equal(json_string_value(json_array_get(wins, 0)), rows[i].want);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_default_passes_its_own_check),
        cmocka_unit_test(test_seed_defaults_of_huggingface),
        cmocka_unit_test(test_words_of_the_command_line_become_typed),
        cmocka_unit_test(test_errors_name_key_value_and_what_is_allowed),
        cmocka_unit_test(test_registry_addresses_belong_to_their_flavor),
        cmocka_unit_test(test_trailing_slash_of_a_registry_goes),
        cmocka_unit_test(test_each_row_is_read_or_named),
        cmocka_unit_test(test_a_merge_names_what_has_no_effect),
        cmocka_unit_test(test_later_layers_win),
        cmocka_unit_test(test_null_goes_back_to_the_default),
        cmocka_unit_test(test_merge_refuses_with_a_reason),
        cmocka_unit_test(test_environment_variables_are_expanded),
        cmocka_unit_test(test_public_copy_has_no_secrets),
        cmocka_unit_test(test_the_order_of_sources),
        cmocka_unit_test(test_what_a_file_changes_of_the_code_is_told),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
