/* SPDX-License-Identifier: Apache-2.0 */
#include "base/alloc.h"
#include "base/err.h"
#include "base/proc.h"
#include "base/redact.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static const char pem[] = "-----BEGIN PRIVATE KEY-----\n"
                          "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7\n"
                          "VJTUt9Us8cKjMzEfYyjiWA4R4/M2bS1GB4t7NXp98C3SC6dVMvDu\n"
                          "ab==\n"
                          "-----END PRIVATE KEY-----\n";

static int forget(void **state)
{
    (void)state;
    kr_redact_clear();
    return 0;
}

/* What is shown of a text; caller frees. */
static char *shown(const char *text)
{
    char *copy = kr_strdup(text);

    kr_redact(copy, strlen(copy));
    return copy;
}

#define SHOWS(text, want)                                                                          \
    do {                                                                                           \
        kr_auto_free char *is = shown(text);                                                       \
        assert_string_equal(is, want);                                                             \
    } while (0)

static void test_values_and_what_is_too_short(void **state)
{
    (void)state;
    SHOWS("nothing is known: hf_secretvalue", "nothing is known: hf_secretvalue");
    kr_redact_add("hf_secretvalue");
    kr_redact_add("abc");
    kr_redact_add(NULL);
    SHOWS("token hf_secretvalue and hf_secretvalue again, abc",
          "token ************** and ************** again, abc");
    SHOWS("hf_secretvaluehf_secretvalue hf_secretvalu",
          "**************************** hf_secretvalu");
}

/* Whatever the order in which they came. */
static void test_values_that_begin_with_or_overlap_one_another(void **state)
{
    static const char *const values[] = {"tok3ns", "tok3ns-of-mine", "of-mine-t00", "k3ns-of"};

    (void)state;
    for (size_t first = 0; first < 4; first++) {
        for (size_t i = 0; i < 4; i++)
            kr_redact_add(values[(first + i) % 4]);
        SHOWS("a tok3ns-of-mine b", "a ************** b");
        SHOWS("a tok3ns-of-mine-t00 b", "a ****************** b");
        SHOWS("a tok3ns-of-m b", "a *********-m b");
        SHOWS("a of-mine-t00, tok3n", "a ***********, tok3n");
        kr_redact_clear();
    }
}

static void test_values_of_several_lines(void **state)
{
    kr_auto_free char *whole = shown(pem);

    (void)state;
    assert_string_equal(whole, pem);
    kr_redact_add(pem);
    free(whole);
    whole = shown(pem);
    assert_int_equal(strspn(whole, "*"), strlen(pem));
    SHOWS("1: MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7\r\n2: ab==",
          "1: ****************************************************\r\n2: ab==");
    SHOWS("-----END PRIVATE KEY-----", "*************************");
    SHOWS("MIIEvQIBADANBgkqhkiG9w0BAQEFAASC",
          "MIIEvQIBADANBgkqhkiG9w0BAQEFAASC"); /* part of a line */
    kr_redact_add("f1rst-line\r\n  s3cond-line  \r\n\r\nx");
    SHOWS("f1rst-line, s3cond-line", "**********, ***********");
}

/* The form is covered whole, what stands around it is not. */
static void hides(const char *before, const char *form, const char *after)
{
    kr_auto_free char *text = kr_asprintf("%s%s%s", before, form, after), *is = shown(text);
    size_t n = strlen(before);

    assert_memory_equal(is, before, n);
    assert_int_equal(strspn(is + n, "*"), strlen(form));
    assert_string_equal(is + n + strlen(form), after);
}

static void test_values_as_other_programs_write_them(void **state)
{
    (void)state;
    kr_redact_add("pa\"ss\\wo\trd\n1'\xc3\xa9\xf0\x9f\x98\x80/#?");
    hides("json.dumps: \"", "pa\\\"ss\\\\wo\\trd\\n1'\\u00e9\\ud83d\\ude00/#?", "\"");
    hides("JSON.stringify: \"", "pa\\\"ss\\\\wo\\trd\\n1'\xc3\xa9\xf0\x9f\x98\x80/#?", "\"");
    hides("repr: '", "pa\"ss\\\\wo\\trd\\n1\\'\xc3\xa9\xf0\x9f\x98\x80/#?", "'");
    hides("repr: b'", "pa\"ss\\\\wo\\trd\\n1\\'\\xc3\\xa9\\xf0\\x9f\\x98\\x80/#?", "'");
    hides("http://u:", "pa%22ss%5Cwo%09rd%0A1%27%C3%A9%F0%9F%98%80%2F%23%3F", "@host");
    hides("http://u:", "pa%22ss%5Cwo%09rd%0A1%27%C3%A9%F0%9F%98%80/%23%3F", "@host");
    kr_redact_add(pem);
    hides("{\"k\": \"",
          "-----BEGIN PRIVATE KEY-----\\nMIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7"
          "\\nVJTUt9Us8cKjMzEfYyjiWA4R4/M2bS1GB4t7NXp98C3SC6dVMvDu\\nab==\\n-----END PRIVATE "
          "KEY-----\\n",
          "\"}");
}

static void test_a_text_that_was_cut(void **state)
{
    struct {
        const char *text, *want;
    } const cases[] = {
        {"x hf_se", "x hf_se"},
        {"x hf_secr", "x *******"},
        {"x hf_secretvalue", "x **************"},
        {"x hf_secr ", "x hf_secr "},
        {"x long-value-of-mor", "x *****************"}, /* 16 bytes of a longer one */
        {"x long-value-of-m", "x long-value-of-m"},
    };

    (void)state;
    kr_redact_add("hf_secretvalue");
    kr_redact_add("long-value-of-more-than-forty-characters-it-is");
    for (size_t i = 0; i < KR_ARRAY_LEN(cases); i++) {
        kr_auto_free char *copy = kr_strdup(cases[i].text);

        kr_redact_cut(copy, strlen(copy));
        assert_string_equal(copy, cases[i].want);
        SHOWS(cases[i].text, i == 2 ? cases[i].want : cases[i].text);
    }
}

static void test_errors_are_redacted_before_they_are_cut(void **state)
{
    struct kr_err err = KR_ERR_INIT;
    char filler[sizeof(err.msg)];

    (void)state;
    kr_redact_add("hf_secretvalue");
    kr_redact_add("two\nlines of one");
    memset(filler, 'x', sizeof(filler));
    filler[sizeof(filler) - 10] = '\0';
    (void)kr_fail(&err, KR_E_REMOTE, "%shf_secretvalue", filler);
    assert_null(strstr(err.msg, "hf_"));
    assert_string_equal(err.msg + strlen(err.msg) - 10, "x*********");
    kr_err_clear(&err);
    (void)kr_fail(&err, KR_E_REMOTE, "said two\nlines of one");
    assert_string_equal(err.msg, "said ****************");
    filler[500] = '\0';
    (void)kr_wrap(&err, "%shf_secretvalue", filler);
    assert_null(strstr(err.msg, "hf_"));
}

/* -- streams ----------------------------------------------------------------------------------- */

static void feed_pieces(const char *text, size_t n, const size_t cuts[], size_t count,
                        struct kr_buf *out)
{
    struct kr_redactor r;
    size_t at = 0;

    kr_redactor_init(&r);
    for (size_t i = 0; i < count; i++) {
        kr_redactor_feed(&r, text + at, cuts[i] - at, out);
        at = cuts[i];
        assert_true(r.held.n < KR_REDACT_BLOCK && out->n + r.held.n == at);
    }
    kr_redactor_feed(&r, text + at, n - at, out);
    kr_redactor_end(&r, out);
    kr_redactor_finish(&r);
    assert_int_equal(out->n, n);
}

static void pieces_give_the_same(const char *text)
{
    kr_auto_buf struct kr_buf out = KR_BUF_INIT(1 << 20);
    kr_auto_free char *want = kr_strdup(text);
    size_t n = strlen(text), *each = kr_calloc(n + 1, sizeof(*each));

    kr_redact_cut(want, n);
    for (size_t a = 0; a <= n; a++) { /* every text in three pieces, and in bytes */
        for (size_t b = a; b <= n; b += b - a < 40 ? 1 : 17) {
            const size_t cuts[] = {a, b};

            kr_buf_reset(&out);
            feed_pieces(text, n, cuts, 2, &out);
            assert_memory_equal(out.p, want, n);
        }
    }
    for (size_t i = 0; i < n; i++)
        each[i] = i + 1;
    kr_buf_reset(&out);
    feed_pieces(text, n, each, n, &out);
    assert_memory_equal(out.p, want, n);
    free(each);
}

static void test_pieces_give_what_the_whole_gives(void **state)
{
    kr_auto_free char *with_key = kr_asprintf("before %s after %.70s", pem, pem);

    (void)state;
    kr_redact_add("tok3ns");
    kr_redact_add("tok3ns-of-mine");
    kr_redact_add("of-mine-t00");
    kr_redact_add("abc1abc1");
    kr_redact_add("abc1abc2");
    kr_redact_add(pem);
    pieces_give_the_same(
        "x tok3ns-of-mine-t00 tok3ns-of-min, tok3ns-oftok3ns abc1abc1abc1abc2 abc1abc2 "
        "tok3nstok3ns-of-mine of-mine-");
    pieces_give_the_same(with_key);
}

static void test_long_values_are_found_in_blocks(void **state)
{
    kr_auto_free char *value = kr_malloc(5001), *text = NULL;
    kr_auto_buf struct kr_buf out = KR_BUF_INIT(1 << 20);
    const size_t cuts[] = {700, 4096, 4097};

    (void)state;
    for (uint32_t i = 0, x = 1; i < 5000; i++, x = x * 1664525u + 1013904223u)
        value[i] = (char)('a' + (x >> 16) % 26);
    value[5000] = '\0';
    kr_redact_add(value);
    text = kr_asprintf("<%s> <%.1100s>", value, value);
    feed_pieces(text, strlen(text), cuts, 3, &out);
    assert_int_equal(strspn(out.p + 1, "*"), 5000);
    assert_memory_equal(out.p + 5001, "> <", 3);
    assert_int_equal(strspn(out.p + 5004, "*"), 1024); /* two blocks of a part of it */
}

static void test_values_that_come_meanwhile(void **state)
{
    kr_auto_buf struct kr_buf out = KR_BUF_INIT(1000);
    struct kr_redactor r;

    (void)state;
    kr_redactor_init(&r);
    kr_redactor_feed(&r, "first-one ", 10, &out);
    kr_redact_add("first-one");
    kr_redactor_feed(&r, "first-one sec", 13, &out);
    kr_redact_add("second-one");
    kr_redactor_feed(&r, "ond-one first", 13, &out);
    kr_redact_clear();
    kr_redactor_feed(&r, "-one", 4, &out);
    kr_redactor_end(&r, &out);
    kr_redactor_finish(&r);
    assert_string_equal(out.p, "first-one ********* second-one first-one");
}

/* Asks no more of a text that is nearly a value all along. */
static void test_the_time_is_linear(void **state)
{
    enum { SIZE = 1 << 22 };
    kr_auto_free char *text = kr_malloc(SIZE), *value = kr_malloc(501);

    (void)state;
    for (size_t i = 0; i < 500; i++)
        value[i] = "abc1"[i % 4];
    value[500] = '\0';
    kr_redact_add(value);
    value[499] = 'x';
    kr_redact_add(value);
    for (size_t i = 0; i < SIZE; i++)
        text[i] = "abc1"[i % 4];
    (void)alarm(20); /* 4 million times 500 steps would take longer */
    for (size_t i = 400; i < SIZE; i += 400)
        text[i] = 'x';
    kr_redact(text, SIZE);
    (void)alarm(0);
    assert_null(memchr(text, '*', SIZE));
}

static void collect(const char *text, bool is_stderr, void *data)
{
    kr_buf_addf(data, "%s%s|", is_stderr ? "!" : "", text);
}

static void test_lines_of_programs(void **state)
{
    char *argv[] = {
        (char *)(uintptr_t) "sh", (char *)(uintptr_t) "-c",
        (char *)(uintptr_t) "printf 'one\\ntw'; printf 'o two'; printf 'abc\\nd\\n' >&2; "
                            "printf '\\nx abc\\nd'",
        NULL};
    kr_auto_buf struct kr_buf out = KR_BUF_INIT(1000);
    struct kr_proc_opts opts = {.line = collect, .data = &out};
    struct kr_err err = KR_ERR_INIT;
    int status = 1;

    (void)state;
    kr_redact_add("e\ntwo t"); /* no line of which is long enough */
    kr_redact_add("x abc\nd");
    assert_int_equal(kr_proc_run(argv, &opts, &status, &err), 0);
    assert_non_null(strstr(kr_buf_str(&out), "on*******wo|"));
    assert_non_null(strstr(kr_buf_str(&out), "*******|"));
    assert_non_null(strstr(kr_buf_str(&out), "!abc|!d|"));
    assert_null(strstr(kr_buf_str(&out), "x abc"));
}

#define TEST(name) cmocka_unit_test_teardown(name, forget)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_values_and_what_is_too_short),
        TEST(test_values_that_begin_with_or_overlap_one_another),
        TEST(test_values_of_several_lines),
        TEST(test_values_as_other_programs_write_them),
        TEST(test_a_text_that_was_cut),
        TEST(test_errors_are_redacted_before_they_are_cut),
        TEST(test_pieces_give_what_the_whole_gives),
        TEST(test_long_values_are_found_in_blocks),
        TEST(test_values_that_come_meanwhile),
        TEST(test_the_time_is_linear),
        TEST(test_lines_of_programs),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
