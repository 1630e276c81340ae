/* SPDX-License-Identifier: Apache-2.0 */
#include "base/alloc.h"
#include "base/base64.h"
#include "pack/search.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#define SECRET "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"

/* Looks through text in reads of `step` bytes. */
static struct kr_hits look(const struct kr_search *search, const char *text, size_t n, size_t step)
{
    struct kr_scan *scan = kr_scan_create(search);
    struct kr_hits hits;

    kr_scan_begin(scan);
    for (size_t at = 0; at < n; at += step)
        kr_scan_feed(scan, text + at, n - at < step ? n - at : step);
    kr_scan_end(scan, &hits);
    kr_scan_destroy(scan);
    return hits;
}

static struct kr_search *search_for(const char *value)
{
    struct kr_search *search = kr_search_create();

    if (value != NULL)
        kr_search_add(search, value, strlen(value));
    return search;
}

static void expect_known(const char *value, const char *text, uint64_t line)
{
    struct kr_search *search = search_for(value);
    struct kr_hits hits = look(search, text, strlen(text), 4096);
    bool known = false;

    for (size_t i = 0; i < hits.n; i++)
        known |= hits.v[i].what == NULL && hits.v[i].line == line;
    kr_search_destroy(search);
    if (known != (line != 0))
        fail_msg("%s in line %llu of: %s", known ? "found" : "not found", (unsigned long long)line,
                 text);
}

static void test_forms_of_a_value(void **state)
{
    (void)state;
    expect_known("pass/word&12\"", "a = 1\nb = 'pass/word&12\"'\n", 2);
    expect_known("pass/word&12\"", "{\"b\": \"pass\\/word&12\\\"\"}", 1);
    expect_known("pass/word&12\"", "\n\nu=pass%2Fword%2612%22", 3);
    expect_known("pass/word&12\"", "u=pass%2fword%2612%22", 1);
    expect_known("pass/word&12\"", "%70%61%73%73%2f%77%6f%72%64%26%31%32%22", 1);
    expect_known("pass/word&12\"", "x pass/word&amp;12&quot; y", 1);
    expect_known("pass/word&12\"", "\\u0070ass/\\x77ord&12\\\"", 1);
    expect_known("pass/word&12\"", "70617373 706173732f776f726426313222", 1);
    expect_known("gr\xc3\xbc\xc3\x9f"
                 "e-an-alle1",
                 "{\"a\":\"gr\\u00fc\\u00dfe-an-alle1\"}", 1);
    expect_known("two\nlines of it 1", "k: \"two\\nlines of it 1\"", 1);
    expect_known("two\nlines of it 1", "two\nlines of it 1", 1);
    expect_known("swordfish", "password = \"swordfish\"", 1);
    expect_known("swordfish", "x\nPASSWORD=swordfish\n", 2);
    expect_known("swordfish", "the swordfish is a fish; swordfishes; a.swordfish()", 0);
    expect_known("python", "image = \"python\"", 0);
}

static void test_base64_at_every_place(void **state)
{
    (void)state;
    for (size_t before = 0; before < 9; before++) {
        for (int wrapped = 0; wrapped < 3; wrapped++) {
            kr_auto_buf struct kr_buf plain = KR_BUF_INIT(4096), coded = KR_BUF_INIT(8192),
                                      text = KR_BUF_INIT(16384);
            size_t place;

            kr_buf_adds(&plain, "0123456789abcdefghijklmnopqrstuvwxyz~~>>!!");
            for (size_t i = 0; i < before; i++)
                kr_buf_addc(&plain, ':');
            kr_buf_adds(&plain, SECRET);
            kr_buf_adds(&plain, ">>~~ and more behind it");
            kr_base64_add(&coded, plain.p, plain.n);
            for (size_t i = 0; i < coded.n; i++) {
                char c = coded.p[i];

                kr_buf_addc(&text, wrapped != 2 ? c : c == '+' ? '-' : c == '/' ? '_' : c);
                if (wrapped == 1 && i % 64 == 63)
                    kr_buf_adds(&text, i % 128 == 127 ? "\r\n" : "\n    ");
            }
            place = (42 + before) * 8 / 6 + ((42 + before) * 8 % 6 != 0);
            expect_known(SECRET, kr_buf_str(&text), wrapped == 1 ? 1 + place / 64 : 1);
        }
    }
}

/* Whatever the cuts between reads, and wherever the value lies, it is found once. */
static void test_reads_do_not_matter(void **state)
{
    static const size_t sizes[] = {1, 7, 512, 4096, 65536, 70000, 1 << 20};
    struct kr_search *search = search_for(SECRET);
    const size_t all = 200000;
    char *text = kr_malloc(all);

    (void)state;
    for (size_t place = 65000; place < 67000; place += 97) {
        memset(text, '.', all);
        for (size_t i = 99; i < all; i += 100)
            text[i] = '\n';
        memcpy(text + place, SECRET, strlen(SECRET));
        for (size_t i = 0; i < KR_ARRAY_LEN(sizes); i++) {
            struct kr_hits hits;
            size_t known = 0;

            if (sizes[i] == 1 && place > 65300)
                continue;
            hits = look(search, text, all, sizes[i]);
            for (size_t k = 0; k < hits.n; k++)
                known += hits.v[k].what == NULL;
            assert_int_equal(known, 1);
            assert_int_equal(hits.v[0].line, (place / 100) + 1);
        }
    }
    free(text);
    kr_search_destroy(search);
}

static void test_a_key_of_many_lines(void **state)
{
    static const char pem[] = "-----BEGIN PRIVATE KEY-----\n"
                              "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7VJTUt9Us8cKj\n"
                              "MzEfYyjiWA4R4/M2bS1GB4t7NXp98C3SC6dVMvDuictGeurT8jNbvJZHtCSuYEvu\n"
                              "-----END PRIVATE KEY-----\n";

    (void)state;
    expect_known(pem, pem, 1);
    expect_known(
        pem, "one line of it:\nMzEfYyjiWA4R4/M2bS1GB4t7NXp98C3SC6dVMvDuictGeurT8jNbvJZHtCSuYEvu",
        2);
    expect_known(pem,
                 "k = \"-----BEGIN PRIVATE KEY-----\\nMIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAg"
                 "EAAoIBAQC7VJTUt9Us8cKj\\n\"",
                 1);
    expect_known(pem, "-----BEGIN PRIVATE KEY-----\n...\n-----END PRIVATE KEY-----\n", 0);
}

static const char *first_kind(const char *text)
{
    struct kr_search *search = search_for(NULL);
    struct kr_hits hits = look(search, text, strlen(text), 4096);

    kr_search_destroy(search);
    return hits.n > 0 ? hits.v[0].what : "nothing";
}

static void test_live_credentials(void **state)
{
    static const char *const rows[][2] = {
        {"a Hugging Face token", "t = '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'"},
        {"an AWS access key", "AKIAJ7QXWN3KD5TLPZ2M"},
        {"an AWS secret key", "aws_secret_access_key = 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"},
        {"an AWS secret key", "\"SecretAccessKey\": \"wJq8rXtUnFYMi/K7MDpNG+bPxRfiCYv3HjKLmZoQ\""},
        {"a GitHub token", "ghp_q8Zr3TnVx6KbWm1YcJ5hPd0LsFgA7uEiNoRt"},
        {"a GitLab token", "glpat-x9Kq2mVtRz7LpW4nYb3J"},
        {"a Google API key", "AIzaSyB7kQ2mXvN9tRz4LpW1nYc3JdHfGgA8uEs"},
        {"a Slack token", "xoxb-283746519283-918273645546-kQ2mXvN9tRz4LpW1nYc3JdHf"},
        {"a Slack webhook",
         "https://hooks.slack.com/services/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"},
        {"a Stripe key", "sk_live_kQ2mXvN9tRz4LpW1nYc3JdHf"},
        {"an Anthropic key", "sk-ant-api03-kQ2mXvN9tRz4LpW1nYc3JdHfGgA8uEskQ2mXvN9tRz4LpW1nY"},
        {"an API key", "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"},
        {"an npm token", "npm_q8Zr3TnVx6KbWm1YcJ5hPd0LsFgA7uEiNoRt"},
        {"an Azure key",
         "AccountKey=kQ2mXvN9tRz4LpW1nYc3JdHfGgA8uEskQ2mXvN9tRz4LpW1nYc3JdHfGgA8uEs=="},
        {"a password in an address", "postgresql://app:kQ2mXvN9tRz4Lp@db.internal/app"},
        {"a Telegram token", "8472615093:AAkQ2mXvN9tRz4LpW1nYc3JdHfGgA8uEsxY"},
    };

    (void)state;
    for (size_t i = 0; i < KR_ARRAY_LEN(rows); i++) {
        if (strcmp(first_kind(rows[i][1]), rows[i][0]) != 0)
            fail_msg("'%s' is taken for %s", rows[i][1], first_kind(rows[i][1]));
    }
}

static void test_what_stands_in_documentation(void **state)
{
    static const char *const texts[] = {
        "hf_94wBhPGp6KrrTH3KDchhKpRxZwd6dmHWLL",
        "hf_xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
        "hf_YOUR_TOKEN_HERE",
        "AKIAIOSFODNN7EXAMPLE",
        "aws_secret_access_key = wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
        "hf_ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefgh",
        "ghp_000000000000000000000000000000000000",
        "hf_hub_download_with_some_function_name",
        "sk-estimator-container-with-a-class-name-that-is-long",
        "postgresql://user:password@localhost/db",
        "https://user:${PASSWORD_OF_IT_1}@host/x",
        "-----BEGIN RSA PRIVATE KEY-----\n...\n-----END RSA PRIVATE KEY-----",
        "self_hf_QkZtVnLpXwRjYsDcGbHmTaUeOiKqNzWxVy",
        "https://www.example.org/a:b@c",
    };

    (void)state;
    for (size_t i = 0; i < KR_ARRAY_LEN(texts); i++) {
        if (strcmp(first_kind(texts[i]), "nothing") != 0)
            fail_msg("'%s' is taken for %s", texts[i], first_kind(texts[i]));
    }
}

static void test_keys_of_sets(void **state)
{
    struct kr_search *one = search_for("s3cr3t-value"), *two = search_for("s3cr3t-value");
    char a[KR_SEARCH_KEY], b[KR_SEARCH_KEY];

    (void)state;
    kr_search_add(one, "0ther-thing-1q", 14);
    kr_search_key(one, "n", a);
    kr_search_key(two, "n", b);
    assert_string_not_equal(a, b);
    kr_search_add(two, "0ther-thing-1q", 14);
    kr_search_key(two, "n", b);
    assert_string_equal(a, b);
    kr_search_key(two, "m", b);
    assert_string_not_equal(a, b);
    kr_search_destroy(one);
    one = search_for("0ther-thing-1q");
    kr_search_add(one, "s3cr3t-value", 12);
    kr_search_key(one, "n", b);
    assert_string_equal(a, b);
    kr_search_destroy(one);
    kr_search_destroy(two);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_forms_of_a_value),
        cmocka_unit_test(test_base64_at_every_place),
        cmocka_unit_test(test_reads_do_not_matter),
        cmocka_unit_test(test_a_key_of_many_lines),
        cmocka_unit_test(test_live_credentials),
        cmocka_unit_test(test_what_stands_in_documentation),
        cmocka_unit_test(test_keys_of_sets),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
