/* SPDX-License-Identifier: Apache-2.0 */
/* Tables, cells and values of the command line tool. */
#include "cli/out.h"
#include "cli/screen.h"
#include "cli/table.h"
#include "cli/value.h"

#include "base/alloc.h"

#include <locale.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>

static void row(struct kr_table *table, const char *a, const char *b, const char *c)
{
    kr_table_row(table);
    kr_table_cell(table, 0, a, KR_PLAIN);
    kr_table_cell(table, 1, b, KR_GREEN);
    kr_table_cell(table, 2, c, KR_PLAIN);
}

static void expect_table(struct kr_table *table, const char *text, int width)
{
    kr_auto_buf struct kr_buf out = KR_BUF_INIT(65536);

    assert_int_equal(kr_table_draw(table, &out), width);
    assert_string_equal(kr_buf_str(&out), text);
}

static void test_columns_are_aligned_without_trailing_spaces(void **state)
{
    struct kr_term term = {0};
    kr_auto_table struct kr_table *table = kr_table_create(&term);

    (void)state;
    kr_table_column(table, "name", KR_KEEP);
    kr_table_column(table, "artifact_store", KR_CUT);
    kr_table_column(table, "help", KR_WRAP);
    row(table, "\u65e5\u672c", "x", "");
    row(table, "", "", "");
    row(table, "a\nb\x1b[1m", "", "end");
    expect_table(table,
                 "NAME  ARTIFACT STORE  HELP\n"
                 "\u65e5\u672c  x\n"
                 "\n"
                 "a b                   end\n",
                 26);
}

static void test_narrow_terminals(void **state)
{
    struct kr_term term = {.tty = true, .width = 80};
    kr_auto_table struct kr_table *table = kr_table_create(&term);
    kr_auto_buf struct kr_buf out = KR_BUF_INIT(65536);

    (void)state;
    kr_table_column(table, "id", KR_KEEP);
    kr_table_column(table, "cut", KR_CUT);
    kr_table_column(table, "wrap", KR_WRAP);
    row(table, "3f053698-7be4-4e9a-84e8-e38fbf3ec3ad", "a rather long text that does not fit",
        "words that are wrapped and notabrokenonewhichisverylongindeed here");
    assert_true(kr_table_draw(table, &out) <= 80);
    assert_non_null(strstr(kr_buf_str(&out), "3f053698-7be4-4e9a-84e8-e38fbf3ec3ad"));
    assert_non_null(strstr(kr_buf_str(&out), "\u2026"));
    assert_non_null(strstr(kr_buf_str(&out), "wrapped"));
    assert_null(strstr(kr_buf_str(&out), " \n"));
}

static void test_colours_do_not_count_as_width(void **state)
{
    struct kr_term term = {.tty = true, .colour = true, .width = 80};
    kr_auto_table struct kr_table *table = kr_table_create(&term);

    (void)state;
    kr_table_column(table, "a", KR_KEEP);
    kr_table_column(table, "b", KR_KEEP);
    kr_table_column(table, "c", KR_KEEP);
    row(table, "1", "22", "3");
    expect_table(table, "\033[1mA  B   C\033[0m\n1  \033[32m22\033[0m  3\n", 8);
}

static void test_cells(void **state)
{
    kr_auto_json json_t *value =
        json_pack("{s:[s,i], s:n, s:{s:s, s:[i]}, s:b, s:s}", "list", "a", 1, "none", "object", "k",
                  "v", "n", 2, "flag", 1, "text", "t");
    static const char *const wanted[][2] = {
        {"list", "a, 1"}, {"none", ""}, {"object", "k=v, n=[2]"}, {"flag", "true"}, {"text", "t"}};

    (void)state;
    for (size_t i = 0; i < KR_ARRAY_LEN(wanted); i++) {
        kr_auto_free char *text = kr_cell(json_object_get(value, wanted[i][0]));

        assert_string_equal(text, wanted[i][1]);
    }
}

static void check_printable(const char *given, const char *wanted)
{
    kr_auto_free char *text = kr_strdup(given);

    kr_printable(text);
    assert_string_equal(text, wanted);
}

static void test_lines_lose_their_codes(void **state)
{
    (void)state;
    check_printable("\033[31mred\033[0m\ttab \xc2\x9b end\033[2", "red tab nd2");
    check_printable("a\033]0;title\007b\033]8;;http://x\033\\link\033]8;;\033\\c", "ablinkc");
    check_printable("a\033Pq#\033\\b\033_apc\xc2\x9c"
                    "c\033^pm\007d\033Xsos\033\\e",
                    "abcde");
    check_printable("a\xc2\x9d"
                    "0;t\007b\xc2\x9b"
                    "31mc\xc2\x85"
                    "d",
                    "abcd");
    check_printable("never \033]0;closed", "never 0;closed");
    check_printable("cut \033[", "cut ");
    check_printable("cut \033", "cut ");
    check_printable("\033(Bcharset\033cfull\033#8dec", "charsetfulldec");
    check_printable("50%\r100%\b\b\x07\x7f\n", "50% 100%     ");
    check_printable("\xe2\x80\xae"
                    "evil\xe2\x80\xac \xe2\x81\xa6iso\xe2\x81\xa9 \xe2\x80\x8f\xd8\x9c",
                    "evil iso ");
    check_printable("line\xe2\x80\xa8sep", "line sep");
    check_printable("raw \x9b"
                    "31m \xff \xe2\x82",
                    "raw ?31m ? ??");
    check_printable("gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x9a\x80 \xef\xbf\xbd",
                    "gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x9a\x80 \xef\xbf\xbd");
}

static void test_outputs_keep_lines_and_own_styles(void **state)
{
    struct kr_term colours = {.colour = true}, plain = {.colour = false};
    char first[] = "\033[1mHEAD\033[0m\r\na\tb\033[5mc\033[2J\n", second[] = "\033[1mHEAD\033[0m\n";

    (void)state;
    first[kr_screen(&colours, first, strlen(first))] = '\0';
    assert_string_equal(first, "\033[1mHEAD\033[0m\na\tbc\n");
    second[kr_screen(&plain, second, strlen(second))] = '\0';
    assert_string_equal(second, "HEAD\n");
}

static void test_json_on_a_terminal_is_the_same_value(void **state)
{
    struct kr_err err = KR_ERR_INIT;
    kr_auto_json json_t *value = json_pack("{s:s}", "k\xe2\x80\xae",
                                           "\033[31m\x7f\xc2\x9b\xe2\x81\xa6\xc3\xbc"),
                        *back = NULL;
    kr_auto_free char *text = kr_json_pretty(value);
    kr_auto_buf struct kr_buf out = KR_BUF_INIT(4096);

    (void)state;
    kr_screen_json(text, &out);
    assert_non_null(strstr(kr_buf_str(&out), "k\\u202e"));
    assert_non_null(strstr(kr_buf_str(&out), "\\u007f\\u009b\\u2066\xc3\xbc"));
    assert_int_equal(kr_json_parse(kr_buf_str(&out), out.n, "it", &back, &err), 0);
    assert_true(json_equal(value, back));
}

static void test_values(void **state)
{
    struct kr_err err = KR_ERR_INIT;
    kr_auto_json json_t *text = NULL, *object = NULL;

    (void)state;
    assert_int_equal(kr_value_text("--a", "@@home", &text, &err), 0);
    assert_string_equal(json_string_value(text), "@home");
    assert_int_equal(
        kr_value_object("-v", "{\"a\": 1, \"b\": \"x\", \"c\": null, \"d\": [1]}", &object, &err),
        0);
    assert_string_equal(kr_json_str(object, "a", ""), "1");
    assert_string_equal(kr_json_str(object, "c", "?"), "");
    assert_string_equal(kr_json_str(object, "d", ""), "[1]");
    assert_int_equal(kr_value_bool("Yes"), 1);
    assert_int_equal(kr_value_bool("OFF"), 0);
    assert_int_equal(kr_value_bool("2"), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_columns_are_aligned_without_trailing_spaces),
        cmocka_unit_test(test_narrow_terminals),
        cmocka_unit_test(test_colours_do_not_count_as_width),
        cmocka_unit_test(test_cells),
        cmocka_unit_test(test_lines_lose_their_codes),
        cmocka_unit_test(test_outputs_keep_lines_and_own_styles),
        cmocka_unit_test(test_json_on_a_terminal_is_the_same_value),
        cmocka_unit_test(test_values),
    };

    (void)setlocale(LC_CTYPE, "C.UTF-8");
    return cmocka_run_group_tests(tests, NULL, NULL);
}
