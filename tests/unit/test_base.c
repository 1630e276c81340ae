/* SPDX-License-Identifier: Apache-2.0 */
#include "base/alloc.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/digest.h"
#include "base/env.h"
#include "base/id.h"
#include "base/json.h"
#include "base/path.h"
#include "base/proc.h"
#include "base/view.h"
#include "base/yaml.h"

#include <setjmp.h>
#include <stdarg.h>
#include <signal.h>
#include <pwd.h>
#include <stdlib.h>
#include <unistd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <cmocka.h>

static void test_error_wraps_and_keeps_one_line(void **state)
{
    struct kr_err err = KR_ERR_INIT;

    (void)state;
    assert_int_equal(kr_fail(&err, KR_E_REMOTE, "registry said\n%d", 413), -KR_E_REMOTE);
    assert_int_equal(kr_wrap(&err, "push layer %s", "ab12"), -KR_E_REMOTE);
    assert_string_equal(err.msg, "push layer ab12: registry said 413");
    (void)kr_hint(&err, "first");
    (void)kr_hint(&err, "second");
    assert_string_equal(err.hint, "first");
}

static void test_error_survives_long_context(void **state)
{
    struct kr_err err = KR_ERR_INIT;
    char longtext[3000];

    (void)state;
    memset(longtext, 'x', sizeof(longtext) - 1);
    longtext[sizeof(longtext) - 1] = '\0';
    (void)kr_fail(&err, KR_E_INVALID, "%s", longtext);
    for (int i = 0; i < 10; i++)
        (void)kr_wrap(&err, "%s", longtext);
    assert_true(strlen(err.msg) < sizeof(err.msg));
}

static void test_buffer_maximum_sticks(void **state)
{
    kr_auto_buf struct kr_buf buf = KR_BUF_INIT(10);
    struct kr_err err = KR_ERR_INIT;

    (void)state;
    kr_buf_adds(&buf, "1234567890");
    assert_int_equal(kr_buf_check(&buf, &err), 0);
    kr_buf_adds(&buf, "x");
    kr_buf_adds(&buf, "");
    assert_int_equal(kr_buf_check(&buf, &err), -KR_E_LIMIT);
    assert_string_equal(err.msg, "more than 10 bytes");
    assert_string_equal(kr_buf_str(&buf), "1234567890");
}

static void test_numbers_are_strict(void **state)
{
    uint64_t u;
    int64_t i;

    (void)state;
    assert_true(kr_view_u64(kr_view_of("18446744073709551615"), &u));
    assert_false(kr_view_u64(kr_view_of("18446744073709551616"), &u));
    assert_false(kr_view_u64(kr_view_of("+1"), &u));
    assert_false(kr_view_u64(kr_view_of(" 1"), &u));
    assert_false(kr_view_u64(kr_view_of(""), &u));
    assert_true(kr_view_i64(kr_view_of("-9223372036854775808"), &i));
    assert_true(i == INT64_MIN);
    assert_false(kr_view_i64(kr_view_of("9223372036854775808"), &i));
}

static void test_paths_from_outside(void **state)
{
    static const char *const bad[] = {"", "/etc", "a/../b", "..", ".", "a//b", "a/", "a/\x01"};
    struct kr_err err = KR_ERR_INIT;

    (void)state;
    for (size_t i = 0; i < KR_ARRAY_LEN(bad); i++) {
        assert_int_equal(kr_path_check_relative(bad[i], &err), -KR_E_INVALID);
        kr_err_clear(&err);
    }
    assert_int_equal(kr_path_check_relative("a/b.c/..d", &err), 0);
}

static void test_file_round_trip(void **state)
{
    char dir[] = "/tmp/kr-base-XXXXXX";
    struct kr_err err = KR_ERR_INIT;
    kr_auto_buf struct kr_buf buf = KR_BUF_INIT(100);
    kr_auto_free char *deep = NULL, *file = NULL;
    struct stat st;

    (void)state;
    assert_non_null(mkdtemp(dir));
    deep = kr_path_join(dir, "a/b/c");
    assert_int_equal(kr_mkdir_p(deep, 0700, &err), 0);
    file = kr_path_join(deep, "f");
    assert_int_equal(kr_file_write_atomic(file, "hello", 5, 0600, &err), 0);
    assert_int_equal(stat(file, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_int_equal(kr_file_read(file, &buf, &err), 0);
    assert_string_equal(kr_buf_str(&buf), "hello");
    assert_int_equal(kr_remove_tree(dir, &err), 0);
    assert_false(kr_path_exists(dir));
}

static void test_git_and_sha_vectors(void **state)
{
    char sha1[KR_SHA1_HEX], sha256[KR_SHA256_HEX];

    (void)state;
    kr_git_blob_hex("", 0, sha1);
    assert_string_equal(sha1, "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391");
    kr_git_blob_hex("FROM python:3.12-slim\n", 22, sha1);
    assert_string_equal(sha1, "bee3c167cd5c9b10ae5e38a35b8a1e67a65334b0");
    kr_sha256_hex("abc", 3, sha256);
    assert_string_equal(sha256, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

static void test_json_is_canonical_and_strict(void **state)
{
    struct kr_err err = KR_ERR_INIT;
    kr_auto_json json_t *v = NULL;
    kr_auto_free char *text = NULL;
    json_t *bad = NULL;

    (void)state;
    assert_int_equal(kr_json_parse("{\"b\":1,\"a\":[true]}", 18, "doc", &v, &err), 0);
    text = kr_json_canonical(v);
    assert_string_equal(text, "{\"a\":[true],\"b\":1}");
    assert_int_equal(kr_json_parse("{\"a\":1,\"a\":2}", 13, "doc", &bad, &err), -KR_E_INVALID);
    assert_non_null(strstr(err.msg, "doc is not valid JSON"));
}

static void test_yaml_core_schema(void **state)
{
    static const char text[] = "a: 1\nb: no\nc: \"5\"\nd: [1.5, null, true]\ne:\n  f: x y\n";
    struct kr_err err = KR_ERR_INIT;
    kr_auto_json json_t *v = NULL;
    kr_auto_free char *json = NULL;

    (void)state;
    assert_int_equal(kr_yaml_parse(text, strlen(text), "conf.yaml", &v, &err), 0);
    json = kr_json_canonical(v);
    assert_string_equal(
        json, "{\"a\":1,\"b\":\"no\",\"c\":\"5\",\"d\":[1.5,null,true],\"e\":{\"f\":\"x y\"}}");
}

static void test_errors_name_no_logins(void **state)
{
    static const char *const table[][2] = {
        {"'https://me:pass@host:8/x' is", "'https://***@host:8/x' is"},
        {"http://ghp_token@host and http://a:b@c", "http://***@host and http://***@c"},
        {"postgres://u:p@ss@db/x", "postgres://***@db/x"},
        {"ssh://git@host/x docker://image@sha256:ab", "ssh://git@host/x docker://image@sha256:ab"},
        {"https://host/a@b:c https://host?q=a:b@c", "https://host/a@b:c https://host?q=a:b@c"},
        {"http://", "http://"},
    };

    (void)state;
    for (size_t i = 0; i < KR_ARRAY_LEN(table); i++) {
        struct kr_err err = KR_ERR_INIT;

        (void)kr_fail(&err, KR_E_INVALID, "%s", table[i][0]);
        assert_string_equal(err.msg, table[i][1]);
    }
}

static void test_json_numbers(void **state)
{
    /* what is read, and what is written */
    static const char *const table[][2] = {
        {"[0.7,0.1,1e300,5e-324,1.0,-0.0,0.30000000000000004,123456789.125]",
         "[0.7,0.1,1e+300,5e-324,1.0,-0.0,0.30000000000000004,123456789.125]"},
        {"{\"b\":9223372036854775807,\"a\":9223372036854775808}",
         "{\"a\":9223372036854775808,\"b\":9223372036854775807}"},
        {"[-9223372036854775808,-9223372036854775809]",
         "[-9223372036854775808,-9223372036854775809]"},
        {"{\"n\":[{\"x\":100000000000000000000000000000000000001}]}",
         "{\"n\":[{\"x\":100000000000000000000000000000000000001}]}"},
        {"\"9223372036854775808 is \\\"9223372036854775808\\\"\"",
         "\"9223372036854775808 is \\\"9223372036854775808\\\"\""},
        {"[9223372036854775808,\"\\\\\",\"0.10000000000000001\"]",
         "[9223372036854775808,\"\\\\\",\"0.10000000000000001\"]"},
        {"{\"properties\":{\"b\":{\"z\":1,\"a\":2},\"a\":{}},\"x\":{\"b\":1,\"a\":2}}",
         "{\"properties\":{\"b\":{\"a\":2,\"z\":1},\"a\":{}},\"x\":{\"a\":2,\"b\":1}}"},
    };
    static const char *const refused[] = {"[9223372036854775808,\"\\u0001int 5\"]",
                                          "[1e999]",
                                          "[9223372036854775808",
                                          "09223372036854775808",
                                          "[-]",
                                          "[--9223372036854775808]"};
    struct kr_err err = KR_ERR_INIT;
    json_t *none = NULL;

    (void)state;
    for (size_t i = 0; i < KR_ARRAY_LEN(table); i++) {
        kr_auto_json json_t *v = NULL, *again = NULL;
        kr_auto_free char *text = NULL;

        assert_int_equal(kr_json_parse(table[i][0], strlen(table[i][0]), "doc", &v, &err), 0);
        text = kr_json_canonical(v);
        assert_string_equal(text, table[i][1]);
        assert_int_equal(kr_json_parse(text, strlen(text), "doc", &again, &err), 0);
        assert_true(json_equal(v, again));
    }
    for (size_t i = 0; i < KR_ARRAY_LEN(refused); i++) {
        assert_int_equal(kr_json_parse(refused[i], strlen(refused[i]), "doc", &none, &err),
                         -KR_E_INVALID);
        kr_err_clear(&err);
    }
}

static void test_wide_numbers_are_numbers(void **state)
{
    static const char text[] = "{\"n\":170141183460469231731687303715884105728}";
    struct kr_err err = KR_ERR_INIT;
    kr_auto_json json_t *v = NULL;
    kr_auto_free char *pretty = NULL;
    kr_auto_buf struct kr_buf yaml = KR_BUF_INIT(1000);
    const json_t *n;

    (void)state;
    assert_int_equal(kr_json_parse(text, strlen(text), "doc", &v, &err), 0);
    n = json_object_get(v, "n");
    assert_string_equal(kr_json_wide(n), "170141183460469231731687303715884105728");
    assert_string_equal(kr_json_type_name(n), "an integer");
    pretty = kr_json_pretty(v);
    assert_string_equal(pretty, "{\n  \"n\": 170141183460469231731687303715884105728\n}");
    kr_yaml_write(v, &yaml);
    assert_string_equal(kr_buf_str(&yaml), "n: 170141183460469231731687303715884105728\n");
}

/* What a text means, as JSON; or what is wrong with it. */
static char *yaml_means(const char *text)
{
    struct kr_err err = KR_ERR_INIT;
    kr_auto_json json_t *v = NULL;

    if (kr_yaml_parse(text, strlen(text), "c", &v, &err) < 0)
        return kr_strdup(err.msg);
    return kr_json_canonical(v);
}

static void test_yaml_means(void **state)
{
    static const char *const table[][2] = {
        {"[0x1F, 0o17, 017, +5, -0, 1_000, 0b11, 1:30]",
         "[31,15,17,5,0,\"1_000\",\"0b11\",\"1:30\"]"},
        {"[.5, 5., -1.5e3, 1e3, 1., 0.98.0, 1e, .]",
         "[0.5,5.0,-1500.0,1000.0,1.0,\"0.98.0\",\"1e\",\".\"]"},
        {"[yes, on, True, TRUE, tRUE, ~, Null, '', '~']",
         "[\"yes\",\"on\",true,true,\"tRUE\",null,null,\"\",\"~\"]"},
        {"base: &b {x: 1, y: 2}\nc: {<<: *b, y: 3}",
         "{\"base\":{\"x\":1,\"y\":2},\"c\":{\"x\":1,\"y\":3}}"},
        {"c: {y: 3, <<: [{y: 1, z: 2}, {z: 9, w: 4}]}", "{\"c\":{\"w\":4,\"y\":3,\"z\":2}}"},
        {"{'<<': 1}", "{\"<<\":1}"},
        {"[!!str 5, !!int '5', !!float 5, ! 5, !!str true]", "[\"5\",5,5.0,\"5\",\"true\"]"},
        {"!!map {a: !!seq [1]}", "{\"a\":[1]}"},
        {"a: &x 1\nb: *x\nc: &y [*x]\nd: *y", "{\"a\":1,\"b\":1,\"c\":[1],\"d\":[1]}"},
        {"&k key: *k", "{\"key\":\"key\"}"},
        {"\n {\"a\": \"\\ud83d\\ude80\", \"b\": [1]}\n",
         "{\"a\":\"\xf0\x9f\x9a\x80\",\"b\":[1]}"}, /* JSON */
        {"{\"a\": 1, b: 2}", "{\"a\":1,\"b\":2}"},
        {"", "{}"},
        {"# nothing\n", "{}"},
        {"--- {a: 1}\n...\n", "{\"a\":1}"},
        {".inf", "c: line 1, column 1: a number that is infinite or none at all has no place here; "
                 "in quotes it is a text"},
        {"a: -.INF", "c: line 1, column 4: a number that is infinite or none at all has no place "
                     "here; in quotes it is a text"},
        {"a: .nan", "c: line 1, column 4: a number that is infinite or none at all has no place "
                    "here; in quotes it is a text"},
        {"a: 1e999", "c: line 1, column 4: a number that is infinite or none at all has no place "
                     "here; in quotes it is a text"},
        {"[+0123456789012345678901, -9223372036854775809, !!int 99999999999999999999]",
         "[123456789012345678901,-9223372036854775809,99999999999999999999]"},
        {"a: 0xFFFFFFFFFFFFFFFFF",
         "c: line 1, column 4: a whole number beyond 64 bits; in quotes it is a text"},
        {"a: 1\n---\nb: 2\n",
         "c: line 2, column 1: a second document begins, where one is expected"},
        {"a: !env HOME", "c: line 1, column 4: the tag !env is not understood here, or does not "
                         "fit its value"},
        {"a: !!binary aGk=", "c: line 1, column 4: the tag !!binary is not understood here, or "
                             "does not fit its value"},
        {"a: !!int x", "c: line 1, column 4: the tag !!int is not understood here, or does not fit "
                       "its value"},
        {"!!set {a: }", "c: line 1, column 1: the tag !!set is not understood here, or does not "
                        "fit its value"},
        {"<<: 5", "c: line 1, column 5: only maps can be merged with <<"},
        {"<<: {a: 1}\n<<: {b: 1}", "c: line 2, column 1: the key stands twice"},
        {"a: &x [*x]", "c: line 1, column 8: an alias of nothing that stands before it"},
        {"a: *x", "c: line 1, column 4: an alias of nothing that stands before it"},
        {"? [a]\n: 1", "c: line 1, column 3: a key must be a plain word"},
        {"a: &x b\n*x : 1", "c: line 2, column 1: a key must be a plain word"},
    };

    (void)state;
    for (size_t i = 0; i < KR_ARRAY_LEN(table); i++) {
        kr_auto_free char *means = yaml_means(table[i][0]);

        assert_string_equal(means, table[i][1]);
    }
}

/* Each of these took seconds, or an end for lack of stack, before the depth was looked at. */
static void test_yaml_that_is_deep_ends_at_once(void **state)
{
    static const char *const openings[] = {"[", "{a: ", "- ", "[{", "? "};

    (void)state;
    for (size_t i = 0; i < KR_ARRAY_LEN(openings); i++) {
        kr_auto_buf struct kr_buf text = KR_BUF_INIT(1 << 20);
        kr_auto_free char *means = NULL;

        for (int n = 0; n < 16000; n++)
            kr_buf_adds(&text, openings[i]);
        means = yaml_means(kr_buf_str(&text));
        assert_non_null(strstr(means, i >= 3 ? "a key must be a plain word" : "nested too deeply"));
    }
}

static void test_yaml_refuses_bombs_and_doubles(void **state)
{
    static const char twice[] = "a: 1\na: 2\n";
    struct kr_err err = KR_ERR_INIT;
    kr_auto_buf struct kr_buf bomb = KR_BUF_INIT(10000);
    json_t *v = NULL;

    (void)state;
    assert_int_equal(kr_yaml_parse(twice, strlen(twice), "c", &v, &err), -KR_E_INVALID);
    assert_string_equal(err.msg, "c: line 2, column 1: the key stands twice");
    kr_err_clear(&err);
    kr_buf_adds(&bomb, "a0: &a0 [x,x,x,x,x,x,x,x,x]\n");
    for (int i = 1; i < 10; i++) {
        kr_buf_addf(&bomb, "a%d: &a%d [*a%d,*a%d,*a%d,*a%d,*a%d,*a%d,*a%d,*a%d]\n", i, i, i - 1,
                    i - 1, i - 1, i - 1, i - 1, i - 1, i - 1, i - 1);
    }
    assert_int_equal(kr_yaml_parse(bomb.p, bomb.n, "c", &v, &err), -KR_E_INVALID);
    assert_non_null(strstr(err.msg, "too many values"));
}

static void test_yaml_written_reads_back(void **state)
{
    struct kr_err err = KR_ERR_INIT;
    kr_auto_json json_t *v = NULL, *again = NULL;
    kr_auto_buf struct kr_buf out = KR_BUF_INIT(10000);

    (void)state;
    v = json_pack("{s:s,s:[{s:i,s:s},[i,i],{}],s:{s:s,s:b},s:s,s:s,s:[s,s,s,s,s]}", "plain", "x y",
                  "list", "k", 1, "l", "true", 1, 2, "map", "a", "-x: #", "b", 1, "empty", "", "nl",
                  "a\nb", "old", "yes", "0x1F", ".inf", "1_0", "2026-11-30");
    kr_yaml_write(v, &out);
    assert_non_null(strstr(kr_buf_str(&out), "- \"yes\"\n  - \"0x1F\"\n  - \".inf\"\n  - \"1_0\"\n"
                                             "  - \"2026-11-30\"\n"));
    assert_int_equal(kr_yaml_parse(out.p, out.n, "out", &again, &err), 0);
    assert_true(json_equal(v, again));
}

/* Without HOME it is the home of the user that we run as. */
static void test_home(void **state)
{
    kr_auto_free char *before = kr_strdup(getenv("HOME") != NULL ? getenv("HOME") : "/"),
                      *expanded = NULL;
    const struct passwd *user = getpwuid(geteuid());

    (void)state;
    assert_int_equal(setenv("HOME", "/somewhere", 1), 0);
    expanded = kr_path_expand_home("~/x");
    assert_string_equal(expanded, "/somewhere/x");
    assert_int_equal(unsetenv("HOME"), 0);
    if (user != NULL)
        assert_string_equal(kr_env_home(), user->pw_dir);
    assert_int_equal(setenv("HOME", before, 1), 0);
}

static int pipe_of_child[2];

static void tell_child(void)
{
    assert_int_equal(write(pipe_of_child[1], "go\n", 3), 3);
}

/* The child waits for what is done meanwhile, so it runs by then. */
static void test_work_while_a_process_runs(void **state)
{
    char *argv[] = {(char *)(uintptr_t) "sh", (char *)(uintptr_t) "-c",
                    (char *)(uintptr_t) "read word <&$FD; echo $word", NULL};
    struct kr_buf out = KR_BUF_INIT(100);
    struct kr_err err = KR_ERR_INIT;
    char **env = kr_env_copy(), number[16];
    struct kr_proc_opts opts = {.out = &out, .timeout_ms = 20000, .meanwhile = tell_child};
    int status = -1;

    (void)state;
    assert_int_equal(pipe(pipe_of_child), 0);
    (void)snprintf(number, sizeof(number), "%d", pipe_of_child[0]);
    kr_env_set(&env, "FD", number);
    opts.env = env;
    assert_int_equal(kr_proc_run(argv, &opts, &status, &err), 0);
    assert_int_equal(status, 0);
    assert_string_equal(kr_buf_str(&out), "go\n");
    kr_env_free(env);
    kr_buf_finish(&out);
    (void)close(pipe_of_child[0]);
    (void)close(pipe_of_child[1]);
}

static void test_process_output_status_and_timeout(void **state)
{
    char *echo[] = {(char[]){"sh"}, (char[]){"-c"}, (char[]){"cat; echo err >&2; exit 3"}, NULL};
    char *forever[] = {(char[]){"sleep"}, (char[]){"60"}, NULL};
    char *missing[] = {(char[]){"no-such-program-here"}, NULL};
    kr_auto_buf struct kr_buf out = KR_BUF_INIT(100), errs = KR_BUF_INIT(100);
    struct kr_proc_opts opts = {.input = "hi\n", .input_len = 3, .out = &out, .err_out = &errs};
    struct kr_proc_opts late = {.timeout_ms = 50, .out = &out};
    struct kr_err err = KR_ERR_INIT;
    int status = 0;

    (void)state;
    assert_int_equal(kr_proc_run(echo, &opts, &status, &err), 0);
    assert_int_equal(status, 3);
    assert_string_equal(kr_buf_str(&out), "hi\n");
    assert_string_equal(kr_buf_str(&errs), "err\n");
    assert_int_equal(kr_proc_run(forever, &late, &status, &err), -KR_E_TIMEOUT);
    kr_err_clear(&err);
    assert_int_equal(kr_proc_run(missing, &opts, &status, &err), -KR_E_NOT_FOUND);
    assert_string_equal(err.msg, "program 'no-such-program-here' not found");
}

static void test_environment_is_built(void **state)
{
    char **env = kr_env_copy();

    (void)state;
    kr_env_set(&env, "KR_TEST_X", "1");
    kr_env_set(&env, "KR_TEST_Y", "2");
    kr_env_set(&env, "KR_TEST_X", NULL);
    kr_env_set(&env, "KR_TEST_Y", "3");
    for (size_t i = 0; env[i] != NULL; i++)
        assert_false(kr_starts_with(env[i], "KR_TEST_X="));
    kr_env_set(&env, "KR_TEST_Y", NULL);
    kr_env_free(env);
}

static void test_keys_from_outside_are_checked(void **state)
{
    kr_auto_json json_t *object = json_object();
    struct kr_err err = KR_ERR_INIT;

    (void)state;
    assert_int_equal(kr_json_put(object, "gr\xc3\xbc\xc3\x9f", json_integer(1), "--label", &err),
                     0);
    assert_int_equal(kr_json_put(object, "gr\xfc\xdf", json_integer(2), "--label", &err),
                     -KR_E_INVALID);
    assert_string_equal(err.msg, "--label: a key is not UTF-8 text");
    assert_int_equal(kr_json_put(object, "\xed\xa0\x80", json_integer(3), "--label", NULL),
                     -KR_E_INVALID);
    assert_int_equal(json_object_size(object), 1);
    assert_true(kr_json_is_text("") && kr_json_is_text("\xf0\x9f\x8c\xba") &&
                !kr_json_is_text("a\x80"));
}

static void test_pretty_numbers_are_short_and_exact(void **state)
{
    static const char in[] =
        "{\"a\": [0.1, 5.2e-05, 0.30000000000000004, 1e300, 2.0, -0.0, 3, -12, 1e22], "
        "\"1.50 \\\" 2.50\": [true, false, null, \"0.10000000000000001\", {}]}";
    static const char *const want[] = {"0.1,",
                                       "5.2e-05,",
                                       "0.30000000000000004,",
                                       "1e+300,",
                                       "2.0,",
                                       "-0.0,",
                                       " 3,",
                                       "-12,",
                                       "1e+22",
                                       "\"1.50 \\\" 2.50\": [",
                                       "true,",
                                       "false,",
                                       "null,",
                                       "\"0.10000000000000001\"",
                                       "{}"};
    kr_auto_json json_t *value = NULL, *again = NULL;
    kr_auto_free char *text = NULL;
    struct kr_err err = KR_ERR_INIT;

    (void)state;
    assert_int_equal(kr_json_parse(in, sizeof(in) - 1, "test", &value, &err), 0);
    text = kr_json_pretty(value);
    for (size_t i = 0; i < KR_ARRAY_LEN(want); i++) {
        if (strstr(text, want[i]) == NULL)
            fail_msg("no %s in %s", want[i], text);
    }
    assert_int_equal(kr_json_parse(text, strlen(text), "test", &again, &err), 0);
    assert_true(json_equal(value, again));
}

static void test_pretty_arrays_of_numbers_fill_their_lines(void **state)
{
    static const char in[] =
        "{\"image\": [[0.0, 16.0], [1, 2.5], []], \"none\": [null], \"names\": [\"a\", 1], "
        "\"long\": [100000001, 100000002, 100000003, 100000004, 100000005, 100000006, 100000007, "
        "100000008, 100000009, 0.1], \"after\": [{\"n\": [true]}]}";
    static const char want[] = "{\n"
                               "  \"image\": [\n    [0.0, 16.0],\n    [1, 2.5],\n    []\n  ],\n"
                               "  \"none\": [null],\n"
                               "  \"names\": [\n    \"a\",\n    1\n  ],\n"
                               "  \"long\": [\n"
                               "    100000001, 100000002, 100000003, 100000004, 100000005, "
                               "100000006, 100000007, 100000008,\n"
                               "    100000009, 0.1\n"
                               "  ],\n"
                               "  \"after\": [\n    {\n      \"n\": [true]\n    }\n  ]\n"
                               "}";
    kr_auto_json json_t *value = NULL;
    kr_auto_free char *text = NULL, *top = NULL;
    struct kr_err err = KR_ERR_INIT;

    (void)state;
    assert_int_equal(kr_json_parse(in, sizeof(in) - 1, "test", &value, &err), 0);
    text = kr_json_pretty(value);
    assert_string_equal(text, want);
    top = kr_json_pretty(json_object_get(value, "none"));
    assert_string_equal(top, "[null]");
}

static void test_time_and_ids(void **state)
{
    char text[KR_ISO_SIZE], id[KR_UUID_SIZE], key[33];

    (void)state;
    assert_string_equal(kr_iso8601(1755684000123, text), "2025-08-20T10:00:00.123Z");
    assert_true(kr_iso8601_parse("2025-08-20T10:00:00.123Z") == 1755684000123);
    assert_true(kr_iso8601_parse("2025-08-20 10:00:00") == 1755684000000);
    assert_true(kr_iso8601_parse("yesterday") == -1);
    assert_true(kr_uuid_is(kr_uuid4(id)));
    kr_random_alnum(key, 32);
    assert_int_equal(strlen(key), 32);
    assert_true(kr_proc_start_time(getpid()) > 0);
}

static void test_last_line(void **state)
{
    static const char *const cases[][2] = {
        {"", ""},
        {" \n\n", ""},
        {"one", "one"},
        {"one\ntwo\n\n", "two"},
        {"one\n\n  two \r\n", "  two"},
    };

    (void)state;
    for (size_t i = 0; i < KR_ARRAY_LEN(cases); i++)
        assert_true(kr_view_eq(kr_view_last_line(kr_view_of(cases[i][0])), cases[i][1]));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_error_wraps_and_keeps_one_line),
        cmocka_unit_test(test_error_survives_long_context),
        cmocka_unit_test(test_buffer_maximum_sticks),
        cmocka_unit_test(test_numbers_are_strict),
        cmocka_unit_test(test_paths_from_outside),
        cmocka_unit_test(test_file_round_trip),
        cmocka_unit_test(test_git_and_sha_vectors),
        cmocka_unit_test(test_json_is_canonical_and_strict),
        cmocka_unit_test(test_home),
        cmocka_unit_test(test_errors_name_no_logins),
        cmocka_unit_test(test_json_numbers),
        cmocka_unit_test(test_wide_numbers_are_numbers),
        cmocka_unit_test(test_yaml_core_schema),
        cmocka_unit_test(test_yaml_means),
        cmocka_unit_test(test_yaml_that_is_deep_ends_at_once),
        cmocka_unit_test(test_yaml_refuses_bombs_and_doubles),
        cmocka_unit_test(test_yaml_written_reads_back),
        cmocka_unit_test(test_process_output_status_and_timeout),
        cmocka_unit_test(test_work_while_a_process_runs),
        cmocka_unit_test(test_environment_is_built),
        cmocka_unit_test(test_keys_from_outside_are_checked),
        cmocka_unit_test(test_pretty_numbers_are_short_and_exact),
        cmocka_unit_test(test_pretty_arrays_of_numbers_fill_their_lines),
        cmocka_unit_test(test_time_and_ids),
        cmocka_unit_test(test_last_line),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
