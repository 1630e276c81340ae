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
        cmocka_unit_test(test_build_options_by_either_spelling),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
