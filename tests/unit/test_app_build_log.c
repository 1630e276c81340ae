/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "app/build_log.h"
#include "base/redact.h"

#include <stdio.h>
#include <string.h>

static void test_the_end_of_a_long_log_stays(void **state)
{
    kr_auto_build_log struct kr_build_log log;
    char line[200];

    (void)state;
    kr_build_log_init(&log);
    for (int i = 0; i < 40000; i++) {
        (void)snprintf(line, sizeof(line), "line %d %0100d", i, 0);
        kr_build_log_line(&log, line);
    }
    assert_true(log.cut && log.text.n <= 1 << 20 && log.text.n > 1 << 19);
    assert_null(strstr(kr_buf_str(&log.text), "line 0 "));
    assert_non_null(strstr(kr_buf_str(&log.text), "line 39999 "));
    assert_memory_equal(kr_buf_str(&log.text), "line ", 5);
}

static void test_secrets_and_repeated_steps(void **state)
{
    kr_auto_build_log struct kr_build_log log;

    (void)state;
    kr_redact_add("a-secret-of-the-log");
    kr_build_log_init(&log);
    kr_build_log_step(&log, "Pushing");
    kr_build_log_step(&log, "Pushing");
    kr_build_log_line(&log, "with a-secret-of-the-log inside");
    kr_build_log_step(&log, "Pushed");
    kr_build_log_line(NULL, "nothing");
    assert_null(strstr(kr_buf_str(&log.text), "a-secret-of-the-log"));
    assert_non_null(strstr(kr_buf_str(&log.text), "Pushing\nwith "));
    assert_non_null(strstr(kr_buf_str(&log.text), " inside\nPushed\n"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_end_of_a_long_log_stays),
        cmocka_unit_test(test_secrets_and_repeated_steps),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
