/* SPDX-License-Identifier: Apache-2.0 */
#include "pack_help.h"

#include "oci/challenge.h"
#include "oci/ref.h"

#define HEX "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static void test_references_as_docker_reads_them(void **state)
{
    static const struct {
        const char *text, *whole;
    } rows[] = {
        {"python", "docker.io/library/python"},
        {"python:3.11-slim", "docker.io/library/python:3.11-slim"},
        {"me/app", "docker.io/me/app"},
        {"docker.io/python", "docker.io/library/python"},
        {"index.docker.io/me/app", "docker.io/me/app"},
        {"localhost/app", "localhost/app"},
        {"localhost:5000/app:1", "localhost:5000/app:1"},
        {"ghcr.io/a/b/c@sha256:" HEX, "ghcr.io/a/b/c@sha256:" HEX},
        {"r.example:443/a:T_1.2-x@sha256:" HEX, "r.example:443/a:T_1.2-x@sha256:" HEX},
        {"[::1]:5000/a", "[::1]:5000/a"},
        {"UPPER/x", "UPPER/x"},
        {"a__b/c.d-e--f", "docker.io/a__b/c.d-e--f"},
    };

    (void)state;
    for (size_t i = 0; i < KR_ARRAY_LEN(rows); i++) {
        kr_auto_ref struct kr_ref ref = KR_REF_INIT;
        struct kr_err err = KR_ERR_INIT;
        kr_auto_free char *whole = NULL;

        if (kr_ref_parse(rows[i].text, &ref, &err) < 0)
            fail_msg("%s: %s", rows[i].text, err.msg);
        whole = kr_ref_text(&ref);
        assert_string_equal(whole, rows[i].whole);
    }
}

static void test_references_that_are_none(void **state)
{
    static const struct {
        const char *text, *part;
    } rows[] = {
        {"", "is not a repository name"},
        {"Python", "has to be lower case"},
        {"a/B", "has to be lower case"},
        {"a//b", "is not a repository name"},
        {"a/b/", "is not a repository name"},
        {"a..b", "is not a repository name"},
        {"-a", "is not a repository name"},
        {"a___b", "is not a repository name"},
        {"a b", "is not a repository name"},
        {"a:", "is not a tag"},
        {"a:-x", "is not a tag"},
        {"a:x y", "is not a tag"},
        {"a@sha256:12", "is not a sha256 digest"},
        {"a@md5:" HEX, "is not a sha256 digest"},
        {"https://x.example/a", "has a scheme"},
        {"x.example:99999999/a", "is not a registry host"},
        {"x..example/a", "is not a registry host"},
        {"[::1/a", "is not a registry host"},
        {"x.example:/a", "is not a registry host"},
    };

    (void)state;
    for (size_t i = 0; i < KR_ARRAY_LEN(rows); i++) {
        kr_auto_ref struct kr_ref ref = KR_REF_INIT;
        struct kr_err err = KR_ERR_INIT;

        if (kr_ref_parse(rows[i].text, &ref, &err) == 0)
            fail_msg("'%s' was accepted", rows[i].text);
        assert_int_equal(err.code, KR_E_INVALID);
        if (strstr(err.msg, rows[i].part) == NULL)
            fail_msg("'%s': '%s' lacks '%s'", rows[i].text, err.msg, rows[i].part);
        assert_null(ref.registry);
    }
}

static void test_tags_from_any_text(void **state)
{
    static const char *const rows[][2] = {{"my_pipeline", "my_pipeline"},
                                          {"a b/c", "a-b-c"},
                                          {".x", "_x"},
                                          {"", "latest"},
                                          {"\xc3\xa9", "_-"}};

    (void)state;
    for (size_t i = 0; i < KR_ARRAY_LEN(rows); i++) {
        kr_auto_free char *tag = kr_ref_tag_of(rows[i][0]);

        assert_string_equal(tag, rows[i][1]);
    }
}

static void check(const char *header, enum kr_challenge_kind kind, const char *realm,
                  const char *service, const char *scope)
{
    kr_auto_challenge struct kr_challenge c = {0};

    kr_challenge_parse(header, &c);
    assert_int_equal(c.kind, kind);
    if (realm != NULL)
        assert_string_equal(c.realm, realm);
    if (service != NULL)
        assert_string_equal(c.service, service);
    if (scope != NULL)
        assert_string_equal(c.scope, scope);
}

static void test_challenges(void **state)
{
    (void)state;
    check("Bearer "
          "realm=\"https://auth.docker.io/"
          "token\",service=\"registry.docker.io\",scope=\"repository:a/b:pull,push\"",
          KR_CHALLENGE_BEARER, "https://auth.docker.io/token", "registry.docker.io",
          "repository:a/b:pull,push");
    check("bearer realm = \"x\\\"y\" , service=plain", KR_CHALLENGE_BEARER, "x\"y", "plain", NULL);
    check("Basic realm=\"r\"", KR_CHALLENGE_BASIC, "r", NULL, NULL);
    check("Basic", KR_CHALLENGE_BASIC, NULL, NULL, NULL);
    check("Basic realm=\"r\", Bearer realm=\"t\",service=\"s\"", KR_CHALLENGE_BEARER, "t", "s",
          NULL);
    check("Bearer realm=\"t\", Basic realm=\"r\"", KR_CHALLENGE_BEARER, "t", NULL, NULL);
    check("Negotiate", KR_CHALLENGE_NONE, NULL, NULL, NULL);
    check("Bearer service=\"s\"", KR_CHALLENGE_NONE, NULL, NULL, NULL);
    check("Bearer realm=\"unfinished", KR_CHALLENGE_NONE, NULL, NULL, NULL);
    check("", KR_CHALLENGE_NONE, NULL, NULL, NULL);
    check(",,= =", KR_CHALLENGE_NONE, NULL, NULL, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_references_as_docker_reads_them),
        cmocka_unit_test(test_references_that_are_none),
        cmocka_unit_test(test_tags_from_any_text),
        cmocka_unit_test(test_challenges),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
