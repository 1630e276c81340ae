/* SPDX-License-Identifier: Apache-2.0 */
#include "pack_help.h"

#include "pack/dockerfile.h"

static void check_env(const char *value, const char *line)
{
    kr_auto_buf struct kr_buf out = KR_BUF_INIT(4096);

    assert_true(kr_dockerfile_env(&out, "K", value));
    assert_string_equal(kr_buf_str(&out), line);
}

static void test_environment_is_escaped(void **state)
{
    kr_auto_buf struct kr_buf out = KR_BUF_INIT(4096);

    (void)state;
    check_env("plain", "ENV K=\"plain\"\n");
    check_env("", "ENV K=\"\"\n");
    check_env("say \"hi\" $HOME `x` \\n 'q'", "ENV K=\"say \\\"hi\\\" \\$HOME `x` \\\\n 'q'\"\n");
    assert_false(kr_dockerfile_env(&out, "K", "two\nlines"));
    assert_int_equal(out.n, 0);
}

static void check_own(const char *text, const char *want, const char *stage)
{
    kr_auto_buf struct kr_buf out = KR_BUF_INIT(65536);
    struct kr_err err = KR_ERR_INIT;
    kr_auto_free char *name = NULL;

    if (kr_dockerfile_own(text, "Dockerfile", &out, &name, &err) < 0)
        fail_msg("%s", err.msg);
    assert_string_equal(kr_buf_str(&out), want);
    assert_string_equal(name, stage);
}

static void test_own_dockerfile(void **state)
{
    kr_auto_buf struct kr_buf out = KR_BUF_INIT(65536);
    struct kr_err err = KR_ERR_INIT;
    kr_auto_free char *name = NULL;

    (void)state;
    check_own("FROM a", "FROM a AS kourou-parent\n", "kourou-parent");
    check_own("FROM a as b\nRUN x\n", "FROM a as b\nRUN x\n", "b");
    check_own("FROM a AS b\nFROM --platform=linux/amd64 c  \nRUN x \\\n# FROM no\n FROM nope\n",
              "FROM a AS b\nFROM --platform=linux/amd64 c AS kourou-parent  \nRUN x \\\n# FROM "
              "no\n FROM nope\n",
              "kourou-parent");
    check_own("from a\nRUN <<EOF\nFROM b\nEOF\nCOPY <<-'X' <<Y /\n\tFROM c\n\tX\nFROM d\nY\n",
              "from a AS kourou-parent\nRUN <<EOF\nFROM b\nEOF\nCOPY <<-'X' <<Y /\n\tFROM "
              "c\n\tX\nFROM d\nY\n",
              "kourou-parent");
    assert_int_equal(kr_dockerfile_own("RUN x\n", "D", &out, &name, &err), -KR_E_INVALID);
    assert_string_equal(err.msg, "D has no FROM instruction");
    kr_err_clear(&err);
    assert_int_equal(kr_dockerfile_own("FROM a\nRUN <<E\nx\n", "D", &out, &name, &err),
                     -KR_E_INVALID);
    assert_string_equal(err.msg, "D: a here-document has no end 'E'");
    kr_err_clear(&err);
    assert_int_equal(kr_dockerfile_own("FROM \\\n a\n", "D", &out, &name, &err), -KR_E_INVALID);
    assert_string_equal(err.msg, "D: the last FROM has to stand on one line");
}

static struct kr_requirements some_requirements(void)
{
    return (struct kr_requirements){
        .text = kr_strdup("numpy\n"),
        .constraints = kr_strdup(""),
        .variables = json_pack("[s,s]", "INDEX_KEY", "PLAIN"),
        .apt = json_pack("[s]", "libgomp1"),
        .installer_args = json_pack("[s]", "--index-url=https://h/'x y'")};
}

static size_t at(const struct kr_buf *text, const char *part)
{
    const char *found = strstr(kr_buf_str(text), part);

    if (found == NULL)
        fail_msg("no '%s' in:\n%s", part, kr_buf_str(text));
    return (size_t)(found - text->p);
}

static void test_order_of_layers(void **state)
{
    kr_auto_requirements struct kr_requirements reqs = some_requirements();
    kr_auto_json json_t *env = json_pack("{s:s,s:s}", "A", "1$", "PEM", "a\nb");
    kr_auto_json json_t *late = json_pack("{s:s,s:s}", "LATE", "2", "HOME", "/mine");
    kr_auto_json json_t *vars = json_pack("{s:s}", "PLAIN", "x");
    kr_auto_json json_t *entry = json_pack("[s,s]", "/opt/kourou/bin/kourou-serve", "--x");
    kr_auto_json json_t *exec = json_pack("[s]", "run me.sh");
    kr_auto_buf struct kr_buf out = KR_BUF_INIT(KR_DOCKERFILE_MAX);
    struct kr_err err = KR_ERR_INIT;
    struct kr_dockerfile in = {.base = "python:3.11-slim",
                               .reqs = &reqs,
                               .environment = env,
                               .runtime_environment = late,
                               .variables = vars,
                               .executables = exec,
                               .entrypoint = entry};

    (void)state;
    assert_int_equal(kr_dockerfile_source(&in, &out, &err), 0);
    assert_true(at(&out, "ENV A=\"1\\$\"") < at(&out, "apt-get install"));
    assert_true(at(&out, "apt-get install") < at(&out, "COPY .kourou/requirements.txt"));
    assert_true(at(&out, "\"--index-url=https://h/'x y'\"") < at(&out, "COPY .kourou/bin/"));
    assert_true(at(&out, "COPY .kourou/bin/") < at(&out, "COPY . /kourou-code/"));
    assert_true(at(&out, "COPY --from=kourou-runtime") < at(&out, "COPY --from=kourou-code"));
    assert_true(at(&out, "COPY --from=kourou-code") < at(&out, ".kourou/snapshot.json"));
    assert_true(at(&out, "ENV LATE=\"2\"") > at(&out, "COPY --from=kourou-runtime"));
    assert_true(at(&out, "ENV HOME=\"/mine\"") > 0);
    assert_null(strstr(kr_buf_str(&out), "ENV HOME=\"/home"));
    (void)at(&out, "[\"chmod\",\"a+x\",\"--\",\"run me.sh\"]");
    (void)at(
        &out,
        "ARG PLAIN\nRUN --mount=type=secret,id=INDEX_KEY,mode=0444,required=true [\"sh\",\"-c\","
        "\"INDEX_KEY=$(cat /run/secrets/INDEX_KEY) && export INDEX_KEY && exec "
        "\\\"$@\\\"\",\"sh\",\"env\"");
    (void)at(&out, "USER 1000\nENTRYPOINT "
                   "[\"env\",\"PEM=a\\nb\",\"/opt/kourou/bin/kourou-serve\",\"--x\"]\nCMD []\n");
    assert_null(strstr(kr_buf_str(&out), "ENV PEM"));
}

static void test_native_has_no_python(void **state)
{
    kr_auto_json json_t *entry = json_pack("[s]", "/opt/kourou/bin/kourou-serve");
    kr_auto_buf struct kr_buf out = KR_BUF_INIT(KR_DOCKERFILE_MAX);
    struct kr_err err = KR_ERR_INIT;
    struct kr_dockerfile in = {.base = "debian:bookworm-slim", .native = true, .entrypoint = entry};

    (void)state;
    assert_int_equal(kr_dockerfile_source(&in, &out, &err), 0);
    assert_null(strstr(kr_buf_str(&out), "python"));
    assert_null(strstr(kr_buf_str(&out), "PYTHON"));
}

static void test_skip_build_installs_nothing(void **state)
{
    kr_auto_json json_t *entry = json_pack("[s]", "/opt/kourou/bin/kourou-serve");
    kr_auto_buf struct kr_buf out = KR_BUF_INIT(KR_DOCKERFILE_MAX);
    struct kr_err err = KR_ERR_INIT;
    struct kr_dockerfile in = {.base = "me/img:1", .as_is = true, .entrypoint = entry};
    const char *last;

    (void)state;
    assert_int_equal(kr_dockerfile_source(&in, &out, &err), 0);
    last = strstr(kr_buf_str(&out), "\nFROM me/img:1\n");
    assert_non_null(last);
    assert_null(strstr(last, "\nRUN "));
    assert_null(strstr(kr_buf_str(&out), "pip"));
}

static void test_wrong_values_are_refused(void **state)
{
    static const struct {
        const char *env, *base, *user, *part;
    } rows[] = {
        {"{\"A-B\":\"x\"}", "x", NULL, "'A-B' is not a variable name"},
        {"{\"A\":1}", "x", NULL, "A is an integer, not a string"},
        {"{\"A\":\"{{s.k}}\"}", "x", NULL, "refers to a secret"},
        {"{}", "a b", NULL, "'a b' is not an image reference"},
        {"{}", "", NULL, "is empty"},
        {"{}", "x", "me\nRUN x", "is not a user name"},
    };

    (void)state;
    for (size_t i = 0; i < KR_ARRAY_LEN(rows); i++) {
        kr_auto_json json_t *env = json_loads(rows[i].env, 0, NULL);
        kr_auto_json json_t *entry = json_array();
        kr_auto_buf struct kr_buf out = KR_BUF_INIT(KR_DOCKERFILE_MAX);
        struct kr_err err = KR_ERR_INIT;
        struct kr_dockerfile in = {
            .base = rows[i].base, .environment = env, .user = rows[i].user, .entrypoint = entry};

        assert_int_equal(kr_dockerfile_source(&in, &out, &err), -KR_E_INVALID);
        if (strstr(err.msg, rows[i].part) == NULL)
            fail_msg("'%s' lacks '%s'", err.msg, rows[i].part);
    }
}

static void test_image_mode(void **state)
{
    kr_auto_json json_t *entry = json_pack("[s]", "/opt/kourou/bin/kourou-serve");
    kr_auto_buf struct kr_buf out = KR_BUF_INIT(KR_DOCKERFILE_MAX);
    struct kr_err err = KR_ERR_INIT;

    kr_auto_json json_t *env = json_pack("{s:s}", "A", "in the image already");
    kr_auto_json json_t *late = json_pack("{s:s,s:s}", "B", "1", "C", "x\ny");
    struct kr_dockerfile in = {.base = "h/r@sha256:aa",
                               .environment = env,
                               .runtime_environment = late,
                               .entrypoint = entry};

    (void)state;
    assert_int_equal(kr_dockerfile_image(&in, &out, &err), 0);
    assert_string_equal(
        kr_buf_str(&out),
        "# Made by Kourou; a redeploy overwrites this file.\nFROM h/r@sha256:aa\n"
        "ENV B=\"1\"\n"
        "COPY --chown=1000:1000 .kourou/snapshot.json /opt/kourou/snapshot.json\n"
        "USER 1000\nENTRYPOINT [\"env\",\"C=x\\ny\",\"/opt/kourou/bin/kourou-serve\"]\nCMD []\n");
}

static void test_images_that_a_dockerfile_builds_on(void **state)
{
    static const char text[] = "ARG V=3.11\nFROM --platform=linux/amd64 python:3.11-slim AS one\n"
                               "RUN <<EOF\nFROM nothing\nEOF\nFROM one AS two\nfrom\tdebian:12\n"
                               "FROM python:${V}\nFROM scratch\nCOPY --from=one / /\n";
    kr_auto_json json_t *bases = kr_dockerfile_bases(text);
    kr_auto_free char *got = kr_json_canonical(bases);

    (void)state;
    assert_string_equal(got, "[\"python:3.11-slim\",\"debian:12\"]");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_environment_is_escaped),
        cmocka_unit_test(test_own_dockerfile),
        cmocka_unit_test(test_order_of_layers),
        cmocka_unit_test(test_native_has_no_python),
        cmocka_unit_test(test_skip_build_installs_nothing),
        cmocka_unit_test(test_wrong_values_are_refused),
        cmocka_unit_test(test_image_mode),
        cmocka_unit_test(test_images_that_a_dockerfile_builds_on),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
