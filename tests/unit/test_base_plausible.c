/* SPDX-License-Identifier: Apache-2.0 */
#include "base/attrs.h"
#include "base/plausible.h"
#include "base/redact.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

static void expect(enum kr_plausible verdict, const char *const *values, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (kr_plausible(values[i], strlen(values[i])) != verdict)
            fail_msg("'%s' is taken for %d, not for %d", values[i],
                     (int)kr_plausible(values[i], strlen(values[i])), (int)verdict);
    }
}

static void test_what_says_nothing(void **state)
{
    static const char *const values[] = {
        "",
        "short",
        "python",
        "Python",
        "PYTHON",
        "docker",
        "0.0.0.0",
        "127.0.0.1:8080",
        "8080",
        "192.168.100.200:17860",
        "true",
        "false",
        "production",
        "us-east-1",
        "linux/amd64",
        "t4-small",
        "cpu-basic",
        "python3.11",
        "3.11.4",
        "1.2.3.4.5",
        "2026-11-30",
        "1234567",
        "********",
        "--------",
        "xxxxxxxxxxxxxxxxxxxx",
        "/opt/kourou/bin",
        "/etc/ssl/cert.pem",
        "http://localhost:8080",
        "localhost",
        "huggingface",
        "requirements",
        "ENTRYPOINT",
        "container",
        "deployment",
        "apache-2.0",
        "PipelineInput",
        "python:3.11-slim",
        "--chown",
        "utf-8",
        "public",
        "secret",
        "orange",
    };

    (void)state;
    expect(KR_PLAUSIBLE_NO, values, KR_ARRAY_LEN(values));
}

static void test_what_may_be_a_password(void **state)
{
    static const char *const values[] = {
        "swordfish", "Swordfish", "first-value", "abc123", "pa$$wd", "12345678", "trust-no-one",
    };

    (void)state;
    expect(KR_PLAUSIBLE_WEAK, values, KR_ARRAY_LEN(values));
}

static void test_what_is_nothing_but_a_secret(void **state)
{
    static const char *const values[] = {
        "hunter2!x",
        "s3cr3t-value",
        "correcthorsebatterystaple",
        "4929173850162734",
        "hf_AbCdEfGhIjKlMnOpQrStUvWxYz01234567",
        "Tr0ub4dor&3",
        "https://user:pw@example.org/x",
        "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        "AKIAIOSFODNN7EXAMPLE",
        "p@ssword",
        "a-secret-of-the-log",
        "/9j4AAQSkZJRgABAQ",
        "line one\nline two",
        "gr\xc3\xbc\xc3\x9f"
        "e-an-alle",
    };

    (void)state;
    expect(KR_PLAUSIBLE_STRONG, values, KR_ARRAY_LEN(values));
}

/* The verdict decides what texts look like. */
static void test_only_what_may_be_secret_is_masked(void **state)
{
    char text[] = "docker pulls python for swordfish";

    (void)state;
    kr_redact_add("docker");
    kr_redact_add("python");
    kr_redact_add("swordfish");
    kr_redact(text, strlen(text));
    kr_redact_clear();
    assert_string_equal(text, "docker pulls python for *********");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_says_nothing),
        cmocka_unit_test(test_what_may_be_a_password),
        cmocka_unit_test(test_what_is_nothing_but_a_secret),
        cmocka_unit_test(test_only_what_may_be_secret_is_masked),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
