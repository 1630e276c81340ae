/* SPDX-License-Identifier: Apache-2.0 */
#include "pack_help.h"

#include "base/redact.h"
#include "pack/launch.h"
#include "pack/space_readme.h"

enum { AMD64 = 62, ARM64 = 183, SPARC = 43 };

struct ctx {
    char *root, *runtime, *cache;
    json_t *snapshot, *settings, *warnings;
    struct kr_files files;
    struct kr_err err;
};

/* A file that says it is a program for this processor (a number of elf.h). */
static void put_program(const char *folder, const char *name, unsigned char machine)
{
    char head[64] = "\177ELF\2\1\1";
    kr_auto_free char *path = kr_path_join(folder, name), *parent = kr_strdup(path);
    struct kr_err err = KR_ERR_INIT;

    head[18] = (char)machine;
    *strrchr(parent, '/') = '\0';
    assert_int_equal(kr_mkdir_p(parent, 0755, &err), 0);
    assert_int_equal(kr_file_write_atomic(path, head, sizeof(head), 0755, &err), 0);
}

static int setup(void **state)
{
    struct ctx *c = kr_calloc(1, sizeof(*c));

    c->root = make_folder();
    c->runtime = make_folder();
    c->cache = make_folder();
    c->warnings = json_array();
    c->settings = json_object();
    c->snapshot = json_loads(
        "{\"pipeline\":{\"name\":\"p\",\"kind\":\"python\",\"source\":\"app.p\",\"description\":"
        "\"Adds\"},"
        "\"python\":{\"version\":\"3.11\"},\"settings\":{\"docker\":{\"requirements\":[\"numpy\"]},"
        "\"deployment\":{\"uvicorn_workers\":2},\"deployer\":{\"auth_key\":\"very-secret-key\"}},"
        "\"input_schema\":{\"properties\":{\"name\":{\"type\":\"string\"},\"n\":{\"default\":3}}}}",
        0, NULL);
    put(c->root, "app.py", "x = 1\n");
    put_program(c->runtime, "kourou-serve", AMD64);
    put_program(c->runtime, "kourou-native", AMD64);
    put(c->runtime, "python/kourou/__init__.py", "");
    *state = c;
    return 0;
}

static int teardown(void **state)
{
    struct ctx *c = *state;

    drop_folder(c->root);
    drop_folder(c->runtime);
    drop_folder(c->cache);
    json_decref(c->warnings);
    json_decref(c->settings);
    json_decref(c->snapshot);
    kr_files_finish(&c->files);
    free(c);
    return 0;
}

static int launch(struct ctx *c, enum kr_launch_mode mode, bool space)
{
    struct kr_launch in = {.root = c->root,
                           .cache_dir = c->cache,
                           .runtime_dir = c->runtime,
                           .python = "/usr/bin/python3",
                           .snapshot = c->snapshot,
                           .id = "id-1",
                           .name = "my deployment",
                           .mode = mode,
                           .image = "h/r@sha256:aa",
                           .app_port = 7860,
                           .space = space,
                           .settings = c->settings};

    kr_files_finish(&c->files);
    kr_err_clear(&c->err);
    return kr_launch_files(&in, &c->files, c->warnings, &c->err);
}

static const char *text_of(const struct ctx *c, const char *path)
{
    const struct kr_file *file = kr_files_find(&c->files, path);

    assert_non_null(file);
    assert_non_null(file->bytes);
    return file->bytes;
}

static char *names(const struct ctx *c)
{
    struct kr_buf text = KR_BUF_INIT(65536);

    for (size_t i = 0; i < c->files.n; i++)
        kr_buf_addf(&text, "%s%s", i > 0 ? " " : "", c->files.v[i].path);
    return kr_buf_steal(&text);
}

static void test_whole_tree(void **state)
{
    struct ctx *c = *state;
    char first[7 + KR_SHA256_HEX], second[7 + KR_SHA256_HEX];
    kr_auto_free char *list = NULL;

    assert_int_equal(launch(c, KR_LAUNCH_SOURCE, true), 0);
    list = names(c);
    assert_string_equal(list, ".dockerignore .kourou/bin/kourou-serve "
                              ".kourou/python/kourou/__init__.py .kourou/requirements.txt "
                              ".kourou/snapshot.json Dockerfile README.md app.py");
    assert_string_equal(
        text_of(c, ".kourou/snapshot.json"),
        "{\"input_schema\":{\"properties\":{\"name\":{\"type\":\"string\"},\"n\":{\"default\":"
        "3}}},\"pipeline\":{\"description\":\"Adds\",\"kind\":\"python\","
        "\"name\":\"p\",\"source\":\"app.p\"},\"python\":{\"version\":\"3.11\"},"
        "\"settings\":{\"deployment\":{\"uvicorn_workers\":2}}}");
    assert_non_null(strstr(text_of(c, "Dockerfile"), "FROM python:3.11-slim AS kourou-base"));
    assert_non_null(strstr(text_of(c, "Dockerfile"), "\"--port\",\"7860\""));
    assert_non_null(strstr(text_of(c, "Dockerfile"), "\"--deployment-name\",\"my deployment\""));
    assert_non_null(strstr(text_of(c, ".dockerignore"), KR_MARKER_PATH));
    kr_files_digest(&c->files, first);
    assert_int_equal(launch(c, KR_LAUNCH_SOURCE, true), 0);
    kr_files_digest(&c->files, second);
    assert_string_equal(first, second);
}

static void test_other_modes(void **state)
{
    struct ctx *c = *state;
    kr_auto_free char *list = NULL;

    assert_int_equal(launch(c, KR_LAUNCH_IMAGE, true), 0);
    list = names(c);
    assert_string_equal(list, ".kourou/snapshot.json Dockerfile README.md");
    assert_non_null(strstr(text_of(c, "Dockerfile"), "FROM h/r@sha256:aa\n"));
    assert_int_equal(launch(c, KR_LAUNCH_SKIP_BUILD, true), -KR_E_INVALID);
    assert_string_equal(c->err.msg, "skip_build needs the docker setting parent_image");
    assert_int_equal(launch(c, KR_LAUNCH_SOURCE, false), 0);
    assert_null(kr_files_find(&c->files, "README.md"));
}

static void test_native(void **state)
{
    struct ctx *c = *state;

    json_object_set_new(
        c->snapshot, "pipeline",
        json_pack("{s:s,s:s,s:s}", "name", "p", "kind", "native", "source", "build/libp.so:entry"));
    put(c->root, ".gitignore", "build/\n");
    assert_int_equal(launch(c, KR_LAUNCH_SOURCE, true), -KR_E_SYSTEM);
    assert_non_null(strstr(c->err.msg, "build/libp.so"));
    put_program(c->root, "build/libp.so", ARM64);
    assert_true(launch(c, KR_LAUNCH_SOURCE, true) < 0);
    assert_non_null(strstr(c->err.msg, "build/libp.so is made for arm64"));
    assert_non_null(strstr(c->err.hint, "build the library for linux/amd64"));
    put_program(c->root, "build/libp.so", AMD64);
    assert_int_equal(launch(c, KR_LAUNCH_SOURCE, true), 0);
    assert_non_null(kr_files_find(&c->files, "build/libp.so"));
    assert_non_null(kr_files_find(&c->files, ".kourou/bin/kourou-native"));
    assert_null(kr_files_find(&c->files, ".kourou/requirements.txt"));
    assert_null(strstr(text_of(c, "Dockerfile"), "python"));
}

static void test_no_secret_gets_in(void **state)
{
    struct ctx *c = *state;

    kr_redact_add("very-secret-key");
    assert_int_equal(launch(c, KR_LAUNCH_SOURCE, true), 0);
    json_object_set_new(json_object_get(json_object_get(c->snapshot, "settings"), "docker"),
                        "environment", json_pack("{s:s}", "KEY", "very-secret-key"));
    assert_int_equal(launch(c, KR_LAUNCH_SOURCE, true), -KR_E_INVALID);
    assert_string_equal(c->err.msg, "Dockerfile would hold a secret value");
    kr_redact_clear();
}

static void test_readme(void **state)
{
    struct ctx *c = *state;

    assert_int_equal(launch(c, KR_LAUNCH_SOURCE, true), 0);
    assert_ptr_equal(strstr(text_of(c, "README.md"),
                            "---\ntitle: my deployment\nemoji: \xf0\x9f\x9a\x80\ncolorFrom: blue\n"
                            "colorTo: indigo\nsdk: docker\napp_port: 7860\npinned: false\n---\n"),
                     text_of(c, "README.md"));
    assert_non_null(strstr(text_of(c, "README.md"), "{\"parameters\":{\"n\":3,\"name\":\"...\"}}"));
    put(c->root, "README.md",
        "\xef\xbb\xbf---\r\ntitle: Mine\nsdk: gradio\nsdk_version: 4.0\nhf_oauth: true\n"
        "---\nHello\n");
    json_object_set_new(c->settings, "space_emoji", json_string("\xf0\x9f\x90\x8d"));
    json_object_set_new(c->settings, "space_tags", json_pack("[s]", "a: b"));
    json_object_set_new(c->settings, "startup_timeout", json_integer(5400));
    assert_int_equal(launch(c, KR_LAUNCH_SOURCE, true), 0);
    assert_string_equal(
        text_of(c, "README.md"),
        "---\ntitle: Mine\nemoji: \xf0\x9f\x90\x8d\ncolorFrom: blue\ncolorTo: indigo\n"
        "sdk: docker\napp_port: 7860\nstartup_duration_timeout: 90m\ntags:\n  - \"a: b\"\n"
        "pinned: false\nhf_oauth: true\n---\nHello\n");
}

static void test_readme_errors(void **state)
{
    struct ctx *c = *state;
    static const struct {
        const char *setting, *value, *part;
    } rows[] = {
        {"space_color_from", "\"mauve\"", "space_color_from is 'mauve'; allowed are red"},
        {"space_emoji", "\"rocket\"", "space_emoji is 'rocket', not an emoji"},
        {"space_description", "\"01234567890123456789012345678901234567890123456789012345678901\"",
         "space_description has 62 characters; the Hub takes 60"},
        {"space_title", "\"a\\nb\"", "space_title has to be one line"},
        {"space_tags", "[1]", "space_tags has to be a list"},
    };

    for (size_t i = 0; i < KR_ARRAY_LEN(rows); i++) {
        json_object_clear(c->settings);
        json_object_set_new(c->settings, rows[i].setting,
                            json_loads(rows[i].value, JSON_DECODE_ANY, NULL));
        assert_int_equal(launch(c, KR_LAUNCH_SOURCE, true), -KR_E_INVALID);
        if (strstr(c->err.msg, rows[i].part) == NULL)
            fail_msg("'%s' lacks '%s'", c->err.msg, rows[i].part);
    }
    json_object_clear(c->settings);
    put(c->root, "README.md", "---\ncolorTo: mauve\n---\n");
    assert_int_equal(launch(c, KR_LAUNCH_SOURCE, true), -KR_E_INVALID);
    assert_non_null(strstr(c->err.msg, "README.md: colorTo is 'mauve'"));
}

static void test_own_dockerfile_and_dockerignore(void **state)
{
    struct ctx *c = *state;
    json_t *docker = json_object_get(json_object_get(c->snapshot, "settings"), "docker");

    put(c->root, "Dockerfile", "FROM mine\nRUN make\n");
    put(c->root, ".dockerignore", "*\n!app.py");
    assert_int_equal(launch(c, KR_LAUNCH_SOURCE, true), 0);
    assert_null(strstr(text_of(c, "Dockerfile"), "FROM mine"));
    assert_int_equal(json_array_size(c->warnings), 1);
    assert_string_equal(
        text_of(c, ".dockerignore"),
        "*\n!app.py\n# Added by Kourou\n.git\n.gitattributes\n.dockerignore\nDockerfile\n"
        "!.kourou\n!.kourou/**\n.kourou/deployment.json\n");
    json_object_set_new(docker, "dockerfile", json_string("Dockerfile"));
    assert_int_equal(launch(c, KR_LAUNCH_SOURCE, true), 0);
    assert_non_null(strstr(text_of(c, "Dockerfile"), "FROM mine AS kourou-parent\nRUN make\n"));
    assert_non_null(strstr(text_of(c, "Dockerfile"), "FROM kourou-parent AS kourou-base\n"));
    json_object_set_new(docker, "build_context_root", json_string("/"));
    assert_int_equal(launch(c, KR_LAUNCH_SOURCE, true), -KR_E_INVALID);
    assert_non_null(strstr(c->err.msg, "build_context_root '/' is not the source folder"));
}

/* The programs of this machine are sent only where they run. */
static void test_programs_of_another_processor(void **state)
{
    struct ctx *c = *state;
    kr_auto_free char *other = kr_path_join(c->runtime, "linux-amd64/kourou-serve");
    const struct kr_file *sent;

    put_program(c->runtime, "kourou-serve", ARM64);
    assert_true(launch(c, KR_LAUNCH_SOURCE, true) < 0);
    assert_non_null(strstr(c->err.msg, "kourou-serve is made for arm64"));
    assert_non_null(strstr(c->err.msg, "linux/amd64"));
    assert_non_null(strstr(c->err.hint, other));
    put_program(c->runtime, "linux-amd64/kourou-serve", SPARC);
    assert_true(launch(c, KR_LAUNCH_SOURCE, true) < 0);
    assert_non_null(strstr(c->err.hint, other));
    put_program(c->runtime, "linux-amd64/kourou-serve", AMD64);
    assert_int_equal(launch(c, KR_LAUNCH_SOURCE, true), 0);
    sent = kr_files_find(&c->files, ".kourou/bin/kourou-serve");
    assert_string_equal(sent->disk, other);
    put(c->runtime, "kourou-serve", "\xcf\xfa\xed\xfe of a Mac, longer than a head");
    assert_int_equal(launch(c, KR_LAUNCH_SOURCE, true), 0);
    put(c->runtime, "linux-amd64/kourou-serve", "short");
    assert_true(launch(c, KR_LAUNCH_SOURCE, true) < 0);
    assert_non_null(strstr(c->err.msg, "is not a program or library of Linux"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_programs_of_another_processor, setup, teardown),
        cmocka_unit_test_setup_teardown(test_whole_tree, setup, teardown),
        cmocka_unit_test_setup_teardown(test_other_modes, setup, teardown),
        cmocka_unit_test_setup_teardown(test_native, setup, teardown),
        cmocka_unit_test_setup_teardown(test_no_secret_gets_in, setup, teardown),
        cmocka_unit_test_setup_teardown(test_readme, setup, teardown),
        cmocka_unit_test_setup_teardown(test_readme_errors, setup, teardown),
        cmocka_unit_test_setup_teardown(test_own_dockerfile_and_dockerignore, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
