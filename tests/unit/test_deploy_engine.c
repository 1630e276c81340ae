/* SPDX-License-Identifier: Apache-2.0 */
/* Where published ports of an engine are reached. */
#include "deployers/engine.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static void gives(const char *host, const char *wanted)
{
    char address[64];
    struct kr_err err = KR_ERR_INIT;

    assert_int_equal(setenv("DOCKER_HOST", host, 1), 0);
    if (kr_engine_address(address, &err) < 0)
        fail_msg("%s: %s", host, err.msg);
    assert_string_equal(address, wanted);
}

static void test_addresses(void **state)
{
    (void)state;
    gives("unix:///var/run/docker.sock", "127.0.0.1");
    gives("tcp://127.0.0.1:2375", "127.0.0.1");
    gives("tcp://127.0.0.7", "127.0.0.7");
    gives("tcp://[::1]:2375", "::1");
    gives("127.0.0.9:2375", "127.0.0.9"); /* docker reads it as tcp:// */
    gives("tcp://me:word@127.0.0.8:2375/a@b", "127.0.0.8");
    gives(":2375", "127.0.0.1");
    gives("tcp://", "127.0.0.1");
    gives("ssh://somebody@127.0.0.9:22", "127.0.0.9");
    gives("fd://", "127.0.0.1");
}

static void test_near_and_far(void **state)
{
    static const char *const near[] = {"127.0.0.1", "127.255.3.4", "::1",
                                       "0.0.0.0",   "::",          "::ffff:127.0.0.1"};
    static const char *const far[] = {"10.0.0.1",    "192.168.127.1",   "128.0.0.1", "fe80::1",
                                      "2001:db8::1", "::ffff:10.0.0.1", "1.127.0.0"};

    (void)state;
    for (size_t i = 0; i < KR_ARRAY_LEN(near); i++) {
        if (!kr_engine_is_near(near[i]))
            fail_msg("%s is this machine", near[i]);
    }
    for (size_t i = 0; i < KR_ARRAY_LEN(far); i++) {
        if (kr_engine_is_near(far[i]))
            fail_msg("%s is another machine", far[i]);
    }
}

static void test_causes(void **state)
{
    static const struct {
        const char *said, *cause;
    } cases[] = {
        {"#9 1.2 ERROR: Could not find a version that satisfies the requirement nosuch (from "
         "versions: none)\n#9 1.3 ERROR: No matching distribution found for nosuch\n#9 ERROR: "
         "process \"/bin/sh -c pip\" did not complete successfully: exit code: 1\n------\nERROR: "
         "failed to solve: process \"/bin/sh -c pip\" did not complete successfully: exit code: "
         "1\n",
         "ERROR: Could not find a version that satisfies the requirement nosuch (from versions: "
         "none)"},
        {"  error: subprocess-exited-with-error\n  exit code: 1\n      ModuleNotFoundError: No "
         "module "
         "named 'numpy'\n      [end of output]\nerror: metadata-generation-failed\nThe command "
         "'/bin/sh -c pip' returned a non-zero code: 1\n",
         "ModuleNotFoundError: No module named 'numpy'"},
        {"#7 0.5 foo.c:1:10: fatal error: foo.h: No such file or directory\n#7 0.6 error: command "
         "'gcc' failed with exit status 1\nERROR: failed to solve: executor failed running [x]\n",
         "foo.c:1:10: fatal error: foo.h: No such file or directory"},
        {"#5 0.3 E: Unable to locate package nosuch\n#5 ERROR: executor failed running [/bin/sh -c "
         "apt-get]: exit code: 100\n",
         "E: Unable to locate package nosuch"},
        {"Sending build context\npull access denied\n", "pull access denied"},
        {"ERROR: failed to solve: python:nosuch: not found\n",
         "ERROR: failed to solve: python:nosuch: not found"},
        {"", ""},
    };

    (void)state;
    for (size_t i = 0; i < KR_ARRAY_LEN(cases); i++) {
        struct kr_view line = kr_engine_cause(cases[i].said);

        if (!kr_view_eq(line, cases[i].cause))
            fail_msg("case %zu: '%.*s'", i, (int)line.n, line.p);
    }
}

static void run_args(const char *text, const char *wanted)
{
    kr_auto_words struct kr_words words = {0};
    kr_auto_json json_t *args = NULL;
    struct kr_err err = KR_ERR_INIT;
    char all[1024] = "";

    assert_int_equal(kr_json_parse(text, strlen(text), "test", &args, &err), 0);
    if (kr_engine_options(args, "run_args", &words, &err) < 0) {
        (void)snprintf(all, sizeof(all), "%.900s", err.msg);
    } else {
        for (size_t i = 0; i < words.n; i++)
            (void)snprintf(all + strlen(all), sizeof(all) - strlen(all), "%s%s", i > 0 ? " " : "",
                           words.v[i]);
    }
    if (strstr(all, wanted) == NULL || (wanted[0] == '-' && strcmp(all, wanted) != 0))
        fail_msg("%s: %s", text, all);
}

static void test_run_args(void **state)
{
    (void)state;
    run_args("{\"mem_limit\":\"1g\",\"ulimits\":[{\"Name\":\"nofile\",\"Soft\":1,\"Hard\":2},"
             "\"core=0\"]}",
             "--memory=1g --ulimit=nofile=1:2 --ulimit=core=0");
    run_args("{\"ports\":{\"1/tcp\":2,\"3/tcp\":null,\"4/tcp\":[\"127.0.0.1\",5]}}",
             "--publish=2:1/tcp --publish=3/tcp --publish=127.0.0.1:5:4/tcp");
    run_args(
        "{\"volumes\":{\"/a\":{\"bind\":\"/b\",\"mode\":\"ro\"}},\"links\":{\"db\":\"store\"}}",
        "--volume=/a:/b:ro --link=db:store");
    run_args("{\"restart_policy\":{\"Name\":\"always\"},\"privileged\":null}", "");
    run_args("{\"healthcheck\":{\"test\":[\"CMD\"]}}", "'healthcheck' is none of the options");
    run_args("{\"device_requests\":[{}]}", "'device_requests' is none of the options");
    run_args("{\"networking_config\":{}}", "'networking_config' is none of the options");
    run_args("{\"nano_cpus\":1}", "'nano_cpus' is none of the options");
    run_args("{\"hostname\":[\"a\"]}", "'hostname' is a list");
    run_args("{\"ulimits\":[{\"Soft\":1}]}", "'ulimits'");
    run_args("{\"labels\":{\"kourou.deployment.id\":\"x\"}}", "the label 'kourou.deployment.id'");
    run_args("{\"name\":\"mine\"}", "Kourou decides about 'name' itself");
}

static void test_build_options_by_either_spelling(void **state)
{
    const char *text = "{\"build_options\":{\"a\":1},\"build_config\":{\"build_options\":{\"b\":2}}"
                       ",\"parent\":{}}";
    kr_auto_json json_t *docker = NULL;
    struct kr_err err = KR_ERR_INIT;

    (void)state;
    assert_int_equal(kr_json_parse(text, strlen(text), "test", &docker, &err), 0);
    assert_non_null(json_object_get(kr_engine_build_options(docker, "build_config"), "b"));
    assert_non_null(json_object_get(kr_engine_build_options(docker, "parent"), "a"));
    assert_null(kr_engine_build_options(NULL, "build_config"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_addresses),
        cmocka_unit_test(test_near_and_far),
        cmocka_unit_test(test_causes),
        cmocka_unit_test(test_run_args),
        cmocka_unit_test(test_build_options_by_either_spelling),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
