/* SPDX-License-Identifier: Apache-2.0 */
#include "pack_help.h"

#include "base/view.h"
#include "pack/integration.h"
#include "pack/reqfile.h"
#include "pack/requirements.h"

struct ctx {
    char *root;
    json_t *warnings;
    struct kr_requirements out;
    struct kr_err err;
};

static int setup(void **state)
{
    struct ctx *c = kr_calloc(1, sizeof(*c));

    c->root = make_folder();
    c->warnings = json_array();
    *state = c;
    return 0;
}

static int teardown(void **state)
{
    struct ctx *c = *state;

    drop_folder(c->root);
    json_decref(c->warnings);
    kr_requirements_finish(&c->out);
    free(c);
    return 0;
}

static int collect(struct ctx *c, const char *docker, const char *snapshot)
{
    kr_auto_json json_t *settings = json_loads(docker, 0, NULL);
    kr_auto_json json_t *doc = json_loads(snapshot, 0, NULL);
    struct kr_requirements_in in = {c->root, settings, doc, "/usr/bin/python3"};

    assert_non_null(settings);
    assert_non_null(doc);
    kr_requirements_finish(&c->out);
    kr_err_clear(&c->err);
    return kr_requirements_collect(&in, &c->out, c->warnings, &c->err);
}

static void expect(struct ctx *c, const char *docker, const char *text)
{
    if (collect(c, docker, "{}") < 0)
        fail_msg("%s: %s", docker, c->err.msg);
    assert_string_equal(c->out.text, text);
}

static void expect_error(struct ctx *c, const char *docker, const char *part)
{
    assert_true(collect(c, docker, "{}") < 0);
    if (strstr(c->err.msg, part) == NULL)
        fail_msg("%s: '%s' lacks '%s'", docker, c->err.msg, part);
}

static void test_lists_and_detection(void **state)
{
    struct ctx *c = *state;

    expect(c, "{}", "pydantic>=2\n");
    expect(c, "{\"install_deployment_requirements\":false}", "");
    expect(c, "{\"requirements\":[\"numpy==1.26\",\"Pydantic[email]>=2.5\"]}",
           "numpy==1.26\nPydantic[email]>=2.5\n");
    put(c->root, "requirements.txt", "torch # the model\n\n# nothing\n");
    expect(c, "{}", "torch\npydantic>=2\n");
    expect(c, "{\"disable_automatic_requirements_detection\":true}", "pydantic>=2\n");
    expect(c, "{\"requirements\":[]}", "torch\npydantic>=2\n");
    expect(c, "{\"required_integrations\":[\"sklearn\"],\"requirements\":[\"x\"]}",
           "scikit-learn\nx\npydantic>=2\n");
    expect_error(c, "{\"required_integrations\":[\"nope\"]}", "no integration 'nope'");
    assert_int_equal(collect(c, "{}", "{\"requirements\":[\"from-code\"]}"), 0);
    assert_string_equal(c->out.text, "from-code\npydantic>=2\n");
    assert_int_equal(collect(c, "{}", "{\"pipeline\":{\"kind\":\"native\"}}"), 0);
    assert_string_equal(c->out.text, "");
}

static void test_requirements_files(void **state)
{
    struct ctx *c = *state;

    put(c->root, "reqs/base.txt",
        "-r more.txt\nfirst==1 \\\n  --hash=sha256:00\n-c limits.txt\r\n");
    put(c->root, "reqs/more.txt",
        "--extra-index-url https://${INDEX_USER}:${INDEX_KEY}@pip.example\nmore");
    put(c->root, "reqs/limits.txt", "first<2\n");
    expect(c, "{\"requirements\":\"reqs/base.txt\"}",
           "--extra-index-url https://${INDEX_USER}:${INDEX_KEY}@pip.example\nmore\n"
           "first==1    --hash=sha256:00\n");
    assert_string_equal(c->out.constraints, "first<2\n");
    assert_int_equal(json_array_size(c->out.variables), 2);
    assert_string_equal(json_string_value(json_array_get(c->out.variables, 0)), "INDEX_KEY");
    assert_int_equal(json_array_size(c->warnings), 1); /* nothing can be added to hashed lines */
    expect_error(c, "{\"requirements\":\"missing.txt\"}", "missing.txt: No such file");
    put(c->root, "loop.txt", "-r loop.txt\n");
    expect_error(c, "{\"requirements\":\"loop.txt\"}", "files include each other");
    put(c->root, "reqs/bad.txt", "ok\n\n./local\n");
    expect_error(c, "{\"requirements\":\"reqs/bad.txt\"}",
                 "bad.txt:3: './local' is a path on this machine");
}

static void test_what_is_refused(void **state)
{
    struct ctx *c = *state;
    static const char *const local[] = {
        ".",     "-e .",          "--editable=./x",         "pkg @ file:///x",
        "../up", "/abs/x.tar.gz", "x-1.0-py3-none-any.whl", "lib/x"};

    for (size_t i = 0; i < KR_ARRAY_LEN(local); i++) {
        kr_auto_free char *docker = kr_asprintf("{\"requirements\":[\"%s\"]}", local[i]);

        expect_error(c, docker, "is a path on this machine");
    }
    expect_error(c, "{\"requirements\":[\"x @ git+https://ghp_token@github.com/a/b\"]}",
                 "has a user name or password");
    assert_null(strstr(c->err.msg, "ghp_token"));
    expect_error(c, "{\"requirements\":[\"--index-url https://u:p@h/simple\"]}", "has a user name");
    expect(c,
           "{\"requirements\":[\"x @ git+ssh://git@github.com/a/b\",\"-e git+https://h/x#egg=y\"]}",
           "x @ git+ssh://git@github.com/a/b\n-e git+https://h/x#egg=y\npydantic>=2\n");
    expect_error(c, "{\"requirements\":[\"a\\nb\"]}", "line break");
    expect_error(c, "{\"apt_packages\":[\"curl; rm -rf /\"]}", "is not a package name");
    expect_error(c, "{\"apt_packages\":[\"-o\"]}", "is not a package name");
    expect_error(c, "{\"python_package_installer_args\":{\"index-url\":\"https://u:p@h/\"}}",
                 "'index-url' has a user name or password");
}

static void test_pyproject(void **state)
{
    struct ctx *c = *state;

    put(c->root, "pyproject.toml",
        "[project]\nname='x'\ndependencies = [\"scipy>=1; python_version<'4'\"]\n");
    expect(c, "{}", "scipy>=1; python_version<'4'\npydantic>=2\n");
    expect(c, "{\"pyproject_path\":\"pyproject.toml\",\"requirements\":[\"x\"]}",
           "scipy>=1; python_version<'4'\nx\npydantic>=2\n");
    put(c->root, "pyproject.toml", "[tool.ruff]\nx=1\n");
    expect(c, "{}", "pydantic>=2\n");
    expect_error(c, "{\"pyproject_path\":\"pyproject.toml\"}", "has no [project] table");
    put(c->root, "pyproject.toml", "[project]\nname='x'\ndynamic=['dependencies']\n");
    expect_error(c, "{}", "does not list its dependencies");
    put(c->root, "pyproject.toml", "[project\n");
    expect_error(c, "{}", "ended with status 1: ");
    expect(c, "{\"pyproject_export_command\":[\"printf\",\"a==1\\\\nb==2\\\\n\"]}",
           "a==1\nb==2\npydantic>=2\n");
    expect(c, "{\"pyproject_export_command\":\"echo c==3\"}", "c==3\npydantic>=2\n");
    expect_error(c, "{\"pyproject_export_command\":[\"false\"]}", "ended with status 1");
    expect(c, "{\"replicate_local_python_environment\":[\"echo\",\"d==4\"]}",
           "d==4\npydantic>=2\n");
}

static void test_installer(void **state)
{
    struct ctx *c = *state;

    assert_int_equal(collect(c,
                             "{\"python_package_installer\":\"uv\",\"apt_packages\":[\"libgomp1\"],"
                             "\"local_project_install_command\":\"pip install .\","
                             "\"python_package_installer_args\":{\"pre\":null,\"--timeout\":30}}",
                             "{}"),
                     0);
    assert_true(c->out.uv);
    assert_string_equal(c->out.install_command, "pip install .");
    assert_string_equal(json_string_value(json_array_get(c->out.apt, 0)), "libgomp1");
    assert_string_equal(json_string_value(json_array_get(c->out.installer_args, 0)), "--pre");
    assert_string_equal(json_string_value(json_array_get(c->out.installer_args, 1)),
                        "--timeout=30");
}

static void test_integrations_are_sorted(void **state)
{
    (void)state;
    for (size_t i = 1; i < kr_integration_count; i++)
        assert_true(strcmp(kr_integrations[i - 1].name, kr_integrations[i].name) < 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_lists_and_detection, setup, teardown),
        cmocka_unit_test_setup_teardown(test_requirements_files, setup, teardown),
        cmocka_unit_test_setup_teardown(test_what_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(test_pyproject, setup, teardown),
        cmocka_unit_test_setup_teardown(test_installer, setup, teardown),
        cmocka_unit_test(test_integrations_are_sorted),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
