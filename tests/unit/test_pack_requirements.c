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
    expect_error(c, "{\"python_package_installer_args\":{\"index-url\":\"https://${T}@h/\"}}",
                 "'index-url' has a ${NAME}");
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

static void put_bytes(struct ctx *c, const char *name, const char *bytes, size_t n)
{
    kr_auto_free char *path = kr_path_join(c->root, name);

    assert_int_equal(kr_file_write_atomic(path, bytes, n, 0644, &c->err), 0);
}

/* The text in UTF-16 or UTF-32 with a byte order mark. */
static void put_wide(struct ctx *c, const char *text, size_t width, bool big)
{
    struct kr_buf out = KR_BUF_INIT(4096);
    uint32_t unit = 0xfeff;

    for (const char *p = text; unit != 0; unit = (unsigned char)*p++) {
        for (size_t i = 0; i < width; i++)
            kr_buf_addc(&out, (char)(unit >> (8 * (big ? width - 1 - i : i))));
    }
    put_bytes(c, "requirements.txt", out.p, out.n);
    kr_buf_finish(&out);
}

static void test_encodings(void **state)
{
    static const char text[] = "numpy==1.26.4 # PowerShell\r\nscipy\r\n";
    static const char wanted[] = "numpy==1.26.4\nscipy\npydantic>=2\n";
    struct ctx *c = *state;

    for (size_t width = 2; width <= 4; width += 2) {
        put_wide(c, text, width, false);
        expect(c, "{}", wanted);
        put_wide(c, text, width, true);
        expect(c, "{}", wanted);
    }
    put(c->root, "requirements.txt", "\xef\xbb\xbfnumpy==1.26.4\nscipy\n");
    expect(c, "{}", wanted);
    put(c->root, "requirements.txt", "# -*- coding: latin-1 -*-\nnumpy==1.26.4 # f\xfcr\nscipy");
    expect(c, "{}", wanted);
    put_bytes(c, "requirements.txt", "\xff\xfe\x3d\xd8\x00\xde\n\0a\0", 10); /* a pair */
    expect(c, "{\"install_deployment_requirements\":false}", "\xf0\x9f\x98\x80\na\n");
}

static void test_what_is_no_text(void **state)
{
    static const struct {
        const char *bytes;
        size_t n;
    } bad[] = {
        {"numpy # f\xfcr\n", 12}, /* latin-1 that does not say so */
        {"n\0u\0m\0", 6},         /* UTF-16 without a mark */
        {"\xff\xfe\x00\xdc\x61\x00", 6},
        {"\xff\xfe\x3d\xd8\x61\x00", 6},
        {"\xff\xfe\x61", 3},
        {"\xff\xfe\0\0\xff\xff\xff\0", 8},
        {"ok\n\0\n", 5},
    };
    struct ctx *c = *state;

    for (size_t i = 0; i < KR_ARRAY_LEN(bad); i++) {
        put_bytes(c, "requirements.txt", bad[i].bytes, bad[i].n);
        expect_error(c, "{}", "requirements.txt is not UTF-8 text");
        assert_non_null(strstr(c->err.hint, "save it as UTF-8"));
    }
}

/* What would stand before the runtime's own modules goes, in any spelling and place. */
static void test_own_names_are_left_out(void **state)
{
    static const char *const own[] = {
        "zenml==0.98.0",
        "ZenML[server]>=0.90 ; python_version > '3.8'",
        "kourou",
        "Kourou @ https://pip.example/kourou-1-py3-none-any.whl",
        "-e git+https://git.example/x/zenml.git@main#egg=zenml",
        "--editable=git+https://git.example/z#subdirectory=a&egg=ZenML",
        "git+https://git.example/zenml-io/zenml@release/0.98",
        "git+ssh://git@git.example/x/kourou.git",
        "https://pip.example/zenml-0.98.0-py3-none-any.whl",
        "https://pip.example/a/zenml-0.98.0.tar.gz#sha256=00",
        "zenml==0.98.0 --hash=sha256:00 --hash=sha256:11",
    };
    static const char *const other[] = {"zenml-plugin", "my.zenml", "kourous", "zen-ml",
                                        "git+https://git.example/zenml/tools"};
    struct ctx *c = *state;

    for (size_t i = 0; i < KR_ARRAY_LEN(own); i++) {
        kr_auto_free char *text = kr_asprintf("-r nested.txt\nsix\n");
        kr_auto_free char *nested = kr_asprintf("\n%s\n", own[i]);

        json_array_clear(c->warnings);
        put(c->root, "requirements.txt", text);
        put(c->root, "nested.txt", nested);
        expect(c, "{}", "six\npydantic>=2\n"); /* a hash that goes leaves no hash mode */
        assert_int_equal(json_array_size(c->warnings), 1);
        assert_non_null(
            strstr(json_string_value(json_array_get(c->warnings, 0)), "nested.txt:2: "));
        assert_null(strstr(json_string_value(json_array_get(c->warnings, 0)), "--hash"));
    }
    for (size_t i = 0; i < KR_ARRAY_LEN(other); i++) {
        kr_auto_free char *text = kr_asprintf("%s\npydantic>=2\n", other[i]);

        put(c->root, "requirements.txt", other[i]);
        expect(c, "{}", text);
    }
    put(c->root, "requirements.txt", "six==1 \\\n  --hash=sha256:00\nzenml==1 --hash=sha256:11\n");
    expect(c, "{}", "six==1    --hash=sha256:00\n");
}

static void expect_tools(struct ctx *c, const char *text, const char *tools)
{
    kr_auto_free char *found = NULL;

    put(c->root, "nested.txt", text);
    put(c->root, "requirements.txt", "-r nested.txt\n");
    assert_int_equal(collect(c, "{}", "{}"), 0);
    found = kr_json_canonical(c->out.tools);
    assert_string_equal(found, tools);
}

static void test_tools_that_fetch(void **state)
{
    struct ctx *c = *state;

    expect_tools(c, "x @ git+https://git.example/x\n", "[\"git\"]");
    expect_tools(c, "x[a] @ git+https://git.example/x ; python_version > '3'", "[\"git\"]");
    expect_tools(c, "-e git+https://git.example/x#egg=x\ngit+https://git.example/y", "[\"git\"]");
    expect_tools(c, "--editable=git+ssh://git@git.example/x#egg=x", "[\"git\"]");
    put(c->root, "limits.txt", "x @ git+https://git.example/x\n");
    expect_tools(c, "-c limits.txt", "[\"git\"]");
    expect_tools(c, "x @ hg+https://h.example/x\ny@git+https://h.example/y",
                 "[\"git\",\"mercurial\"]");
    expect_tools(c, "gitpython\nx @ https://h.example/git+x.whl # git+https://", "[]");
}

static void test_lists_that_are_not_read(void **state)
{
    static const char *const files[][2] = {{"environment.yml", "dependencies: [numpy]"},
                                           {"environment.yaml", "dependencies: [numpy]"},
                                           {"Pipfile", "[packages]\nnumpy='*'\n"},
                                           {"setup.cfg", "[options]\ninstall_requires = numpy\n"},
                                           {"setup.py", "setup(install_requires=['numpy'])"}};
    struct ctx *c = *state;

    for (size_t i = 0; i < KR_ARRAY_LEN(files); i++) {
        kr_auto_free char *path = kr_path_join(c->root, files[i][0]);
        kr_auto_free char *project = kr_path_join(c->root, "pyproject.toml");

        put(c->root, files[i][0], files[i][1]);
        expect_error(c, "{}", files[i][0]);
        assert_non_null(strstr(c->err.hint, "requirements.txt"));
        expect(c, "{\"requirements\":[\"numpy\"]}", "numpy\npydantic>=2\n");
        expect(c, "{\"disable_automatic_requirements_detection\":true}", "pydantic>=2\n");
        put(c->root, "pyproject.toml", "[tool.ruff]\n");
        expect_error(c, "{}", files[i][0]);
        put(c->root, "pyproject.toml", "[project]\nname='x'\ndependencies=['six']\n");
        expect(c, "{}", "six\npydantic>=2\n");
        assert_int_equal(kr_remove_tree(path, &c->err), 0);
        assert_int_equal(kr_remove_tree(project, &c->err), 0);
    }
    put(c->root, "pyproject.toml", "[tool.ruff]\n");
    put(c->root, "setup.cfg", "[flake8]\nmax-line-length = 120\n");
    put(c->root, "setup.py", "setup(name='x')");
    expect(c, "{}", "pydantic>=2\n");
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
        cmocka_unit_test_setup_teardown(test_encodings, setup, teardown),
        cmocka_unit_test_setup_teardown(test_what_is_no_text, setup, teardown),
        cmocka_unit_test_setup_teardown(test_own_names_are_left_out, setup, teardown),
        cmocka_unit_test_setup_teardown(test_tools_that_fetch, setup, teardown),
        cmocka_unit_test_setup_teardown(test_lists_that_are_not_read, setup, teardown),
        cmocka_unit_test_setup_teardown(test_installer, setup, teardown),
        cmocka_unit_test(test_integrations_are_sorted),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
