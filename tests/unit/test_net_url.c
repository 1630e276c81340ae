/* SPDX-License-Identifier: Apache-2.0 */
#include "net/url.h"

#include "base/base64.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <cmocka.h>

static void test_parse(void **state)
{
    static const char *const bad[] = {"",
                                      "ftp://a",
                                      "http://",
                                      "https:///x",
                                      "http://a:0",
                                      "http://a:x",
                                      "http://a:70000",
                                      "http://u@a/",
                                      "http://a b",
                                      "http://a\n/x",
                                      "http://[::1",
                                      "http://a\\@b/",
                                      "http://u:p@a/",
                                      "//a/b",
                                      "http://[]/",
                                      "http://:80/"};
    struct kr_url u;

    (void)state;
    for (size_t i = 0; i < KR_ARRAY_LEN(bad); i++) {
        if (kr_url_parse(bad[i], &u))
            fail_msg("taken: %s", bad[i]);
    }
    assert_false(kr_url_parse(NULL, &u));
    assert_true(kr_url_parse("HTTPS://Hub.example?x=1", &u));
    assert_true(u.https && u.port == 443 && kr_view_eq(u.path, "?x=1"));
    assert_true(kr_url_parse("http://[::1]:81/a", &u));
    assert_true(u.ipv6 && u.port == 81 && kr_view_eq(u.host, "::1") && kr_view_eq(u.path, "/a"));
}

static void test_origin(void **state)
{
    (void)state;
    assert_true(kr_url_same_origin("https://a.b/x", "https://A.B:443/y?z"));
    assert_true(kr_url_same_origin("http://a", "http://a:80/"));
    assert_false(kr_url_same_origin("https://a.b", "http://a.b"));
    assert_false(kr_url_same_origin("https://a.b", "https://a.b.c"));
    assert_false(kr_url_same_origin("https://a.b", "https://a.b:444"));
    assert_false(kr_url_same_origin("https://a.b", "https://a.b@evil/"));
    assert_false(kr_url_same_origin("nonsense", "nonsense"));
    assert_true(kr_url_is_loopback("http://127.0.0.1:80/"));
    assert_true(kr_url_is_loopback("http://localhost"));
    assert_true(kr_url_is_loopback("http://[::1]:1"));
    assert_false(kr_url_is_loopback("http://127.0.0.1.evil.org/"));
    assert_false(kr_url_is_loopback("http://example.org"));
}

static void resolves(const char *base, const char *location, const char *want)
{
    kr_auto_free char *got = kr_url_resolve(base, location);

    if (want == NULL)
        assert_null(got);
    else
        assert_string_equal(got, want);
}

static void test_resolve(void **state)
{
    (void)state;
    resolves("https://a/b/c?d", "/x?y=1", "https://a/x?y=1");
    resolves("https://a/b/c?d/e", "f", "https://a/b/f");
    resolves("https://a", "f", "https://a/f");
    resolves("http://a:8/b", "https://c/d", "https://c/d");
    resolves("http://a:8/b", "//c/d", "http://c/d");
    resolves("https://a/b", "http://a/b", NULL);
    resolves("https://a/b", "file:///etc/passwd", NULL);
    resolves("https://a/b", "", NULL);
    resolves("https://a/b", NULL, NULL);
    resolves("https://a/b", "/x y", NULL);
}

static void test_encode(void **state)
{
    kr_auto_buf struct kr_buf out = KR_BUF_INIT(200);
    kr_auto_free char *plain = NULL;

    (void)state;
    kr_url_encode(&out, "refs/pr/1", "");
    assert_string_equal(kr_buf_str(&out), "refs%2Fpr%2F1");
    kr_buf_reset(&out);
    kr_url_encode(&out, "a/\xc3\xa9 ?.txt", "/");
    assert_string_equal(kr_buf_str(&out), "a/%C3%A9%20%3F.txt");
    plain = kr_url_decode((struct kr_view){out.p, out.n});
    assert_string_equal(plain, "a/\xc3\xa9 ?.txt");
    assert_null(kr_url_decode(kr_view_of("a%00b")));
}

static void test_links(void **state)
{
    kr_auto_free char *a = kr_url_next_link("<https://h/p?cursor=a%2Cb>; rel=\"next\"");
    kr_auto_free char *b =
        kr_url_next_link("<https://h/1>; rel=\"prev\", <https://h/3>; x=1; REL=next");
    kr_auto_free char *host = kr_url_host("http://127.0.0.1:81/x");

    (void)state;
    assert_string_equal(a, "https://h/p?cursor=a%2Cb");
    assert_string_equal(b, "https://h/3");
    assert_null(kr_url_next_link(NULL));
    assert_null(kr_url_next_link("<https://h/1>; rel=\"last\""));
    assert_null(kr_url_next_link("<https://h/1"));
    assert_string_equal(host, "127.0.0.1:81");
}

static void test_base64(void **state)
{
    static const char *const pairs[][2] = {
        {"", ""}, {"f", "Zg=="}, {"fo", "Zm8="}, {"foo", "Zm9v"}, {"\xff\xfe", "//4="}};
    kr_auto_buf struct kr_buf out = KR_BUF_INIT(100);

    (void)state;
    for (size_t i = 0; i < KR_ARRAY_LEN(pairs); i++) {
        kr_buf_reset(&out);
        kr_base64_add(&out, pairs[i][0], strlen(pairs[i][0]));
        assert_string_equal(kr_buf_str(&out), pairs[i][1]);
        kr_buf_reset(&out);
        assert_true(kr_base64_decode(&out, pairs[i][1], strlen(pairs[i][1])));
        assert_string_equal(kr_buf_str(&out), pairs[i][0]);
    }
    kr_buf_reset(&out);
    assert_true(kr_base64_decode(&out, "__4", 3));
    assert_string_equal(kr_buf_str(&out), "\xff\xfe");
    assert_false(kr_base64_decode(&out, "A", 1));
    assert_false(kr_base64_decode(&out, "A*==", 4));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parse),   cmocka_unit_test(test_origin),
        cmocka_unit_test(test_resolve), cmocka_unit_test(test_encode),
        cmocka_unit_test(test_links),   cmocka_unit_test(test_base64),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
