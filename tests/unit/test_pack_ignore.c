/* SPDX-License-Identifier: Apache-2.0 */
#include "pack_help.h"

#include "base/proc.h"
#include "base/view.h"
#include "pack/dockerignore.h"
#include "pack/ignore.h"

static void check(const char *rules, const char *path, bool dir, bool want)
{
    struct kr_ignore *ignore = kr_ignore_create(NULL, "");

    kr_ignore_add(ignore, rules, strlen(rules));
    if (kr_ignore_match(ignore, path, dir) != want)
        fail_msg("'%s' on '%s' (%s)", rules, path, dir ? "folder" : "file");
    kr_ignore_destroy(ignore);
}

static void test_single_patterns(void **state)
{
    static const struct {
        const char *rules, *path;
        bool dir, want;
    } rows[] = {
        {"*.o", "a/b/c.o", false, true},
        {"/*.o", "a/c.o", false, false},
        {"/*.o", "c.o", false, true},
        {"a/b", "x/a/b", false, false},
        {"a/b", "a/b", false, true},
        {"build/", "build", false, false},
        {"build/", "x/build", true, true},
        {"**/x", "x", false, true},
        {"**/x", "a/b/x", false, true},
        {"a/**", "a", true, false},
        {"a/**", "a/b/c", false, true},
        {"a/**/b", "a/b", false, true},
        {"a/**/b", "a/x/y/b", false, true},
        {"a/**/b", "a/xb", false, false},
        {"a**b", "a/b", false, false},
        {"a**b", "axxb", false, true},
        {"a/*", "a/b/c", false, false},
        {"*", "a", false, true},
        {"?.c", "a.c", false, true},
        {"?.c", "ab.c", false, false},
        {"[a-c]x", "bx", false, true},
        {"[!a-c]x", "bx", false, false},
        {"[]-]x", "]x", false, true},
        {"[[:digit:]]x", "7x", false, true},
        {"[a", "[a", false, false},
        {"\\#x", "#x", false, true},
        {"# x", "# x", false, false},
        {"\\!x", "!x", false, true},
        {"x \r\n", "x", false, true},
        {"x\\ ", "x ", false, true},
        {"x\\", "x\\", false, false},
        {"*.log\n!keep.log", "keep.log", false, false},
        {"!keep.log\n*.log", "keep.log", false, true},
        {"\xef\xbb\xbf"
         "x",
         "x", false, true},
        {"/", "x", true, false},
        {"a/**/b*c/d*e", "a/q/r/bxc/dxxe", false, true},
        {"a*b*c*d", "aXbXbXcXd", false, true},
    };

    (void)state;
    for (size_t i = 0; i < KR_ARRAY_LEN(rows); i++)
        check(rows[i].rules, rows[i].path, rows[i].dir, rows[i].want);
}

static void test_folders_chain(void **state)
{
    struct kr_ignore *top = kr_ignore_create(NULL, "");
    struct kr_ignore *sub = kr_ignore_create(top, "sub");

    (void)state;
    kr_ignore_add(top, "*.txt\n/only\n", 12);
    kr_ignore_add(sub, "!keep.txt\n/only\n", 16);
    assert_true(kr_ignore_match(sub, "sub/a.txt", false));
    assert_false(kr_ignore_match(sub, "sub/keep.txt", false));
    assert_true(kr_ignore_match(sub, "sub/only", false));
    assert_false(kr_ignore_match(sub, "sub/x/only", false));
    assert_false(kr_ignore_match(NULL, "x", false));
    kr_ignore_destroy(sub);
    kr_ignore_destroy(top);
}

/* A pattern that would take ages with plain recursion. */
static void test_bounded_time(void **state)
{
    (void)state;
    check("a*a*a*a*a*a*a*a*a*a*a*a*b", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
          false, false);
    check("**/a/**/a/**/a/**/a/**/a/**/b", "a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a/a",
          false, false);
}

/* What git itself says about the same rules and paths. */
static void test_agrees_with_git(void **state)
{
    static const char *const rules[] = {
        "*.o", "/*.o", "a/b",  "b/",  "**/x",    "a/**",  "a/**/b", "*",     "!x",
        "?b",  "[ab]", "a*b",  "/a/", "x/**/y*", "[!a]b", "a/*/b",  "**",    "/**/b",
        "a**", "*/b",  "[a-]", "\\a", "**/a/b",  "a/**/", "/*/x",   "x.[oy]"};
    static const char *const paths[] = {
        "a",  "b",   "x",   "x.o", "a/b",   "a/x.o", "a/x/b",   "a/x/y/b", "x/y",  "x/a/y1",
        "ab", "axb", "x/b", "-",   "q/a/b", "x/x",   "a/b/x.o", "x/a/b/y", "aab/b"};
    char *root = make_folder();
    char *init[] = {kr_strdup("git"), kr_strdup("init"), kr_strdup("-q"), kr_strdup("."), NULL};
    struct kr_err err = KR_ERR_INIT;
    struct kr_proc_opts opts = {.cwd = root};
    int status, compared = 0;

    (void)state;
    assert_int_equal(kr_proc_run(init, &opts, &status, &err), 0);
    for (size_t r = 0; r < KR_ARRAY_LEN(rules) * 2; r++) {
        kr_auto_free char *text = r < KR_ARRAY_LEN(rules)
                                      ? kr_asprintf("%s\n", rules[r])
                                      : kr_asprintf("%s\n!%s\n", rules[r - KR_ARRAY_LEN(rules)],
                                                    rules[(r * 7 + 3) % KR_ARRAY_LEN(rules)]);
        kr_auto_buf struct kr_buf input = KR_BUF_INIT(65536), output = KR_BUF_INIT(65536);
        char *argv[] = {init[0],
                        kr_strdup("check-ignore"),
                        kr_strdup("--stdin"),
                        kr_strdup("--no-index"),
                        kr_strdup("-v"),
                        kr_strdup("-n"),
                        NULL};
        struct kr_view rest, line;

        put(root, ".gitignore", text);
        for (size_t p = 0; p < KR_ARRAY_LEN(paths); p++)
            kr_buf_addf(&input, "%s\n", paths[p]);
        opts.input = input.p;
        opts.input_len = input.n;
        opts.out = &output;
        assert_int_equal(kr_proc_run(argv, &opts, &status, &err), 0);
        rest = kr_view_of(kr_buf_str(&output));
        for (size_t p = 0; p < KR_ARRAY_LEN(paths); p++) {
            struct kr_ignore *ignore = kr_ignore_create(NULL, "");
            bool ours = false, theirs;

            kr_ignore_add(ignore, text, strlen(text));
            for (const char *s = strchr(paths[p], '/'); s != NULL && !ours;
                 s = strchr(s + 1, '/')) {
                kr_auto_free char *above = kr_strndup(paths[p], (size_t)(s - paths[p]));

                ours = kr_ignore_match(ignore, above, true);
            }
            ours = ours || kr_ignore_match(ignore, paths[p], false);
            assert_true(kr_view_cut(&rest, '\n', &line));
            theirs = !(line.n > 2 && memcmp(line.p, "::", 2) == 0) &&
                     memmem(line.p, line.n, ":!", 2) == NULL;
            if (ours != theirs)
                fail_msg("rules '%s' path '%s': git says %d", text, paths[p], theirs);
            compared++;
            kr_ignore_destroy(ignore);
        }
        for (size_t i = 1; i < 6; i++)
            free(argv[i]);
    }
    assert_int_equal(compared, (int)(KR_ARRAY_LEN(rules) * 2 * KR_ARRAY_LEN(paths)));
    for (size_t i = 0; i < 4; i++)
        free(init[i]);
    drop_folder(root);
}

static void test_docker_reads_them_otherwise(void **state)
{
    static const struct {
        const char *rules, *path;
        bool want;
    } rows[] = {
        {"*.o", "a/c.o", false},
        {"*.o", "c.o", true},
        {"**/*.o", "a/b/c.o", true},
        {"**/*.o", "c.o", true},
        {"/build/", "build/a/b", true},
        {"./build//x", "build/x", true},
        {"build", "x/build", false},
        {"data\n!data/small/*.csv", "data/small/a.csv", false},
        {"data\n!data/small/*.csv", "data/large/a.csv", true},
        {"!data/a\ndata", "data/a", true},
        {"*\n!app.py", "app.py", false},
        {"*\n!app.py", "pkg/other.py", true},
        {"*\n!pkg", "pkg/other.py", false},
        {"# comment\n\n  a  \r\n", "a", true},
        {"a/**/b", "a/b", true},
        {"\xef\xbb\xbf"
         "a",
         "a", true},
        {"", "a", false},
        {"/\n.\n!", "a", false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        kr_auto_dockerignore struct kr_dockerignore *rules =
            kr_dockerignore_parse(rows[i].rules, strlen(rows[i].rules));

        if (kr_dockerignore_match(rules, rows[i].path) != rows[i].want)
            fail_msg("'%s' on '%s'", rows[i].rules, rows[i].path);
    }
    assert_false(kr_dockerignore_match(NULL, "a"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_single_patterns),
        cmocka_unit_test(test_folders_chain),
        cmocka_unit_test(test_bounded_time),
        cmocka_unit_test(test_agrees_with_git),
        cmocka_unit_test(test_docker_reads_them_otherwise),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
