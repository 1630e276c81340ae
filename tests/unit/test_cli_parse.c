/* SPDX-License-Identifier: Apache-2.0 */
/* The parser of command lines, and the command tables that it reads. */
#include "cli/cmd.h"
#include "cli/complete.h"
#include "cli/help.h"
#include "cli/listing.h"
#include "cli/man.h"
#include "cli/opt.h"

#include "base/alloc.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>

struct args {
    const char *name, *extra, *choice, *text;
    json_t *rest, *list, *pairs, *free;
    int64_t number;
    bool flag, other;
    int truth;
};
#define AT(field) offsetof(struct args, field)

static const char *const choices[] = {"red", "green", NULL};
static const struct kr_opt opts[] = {
    {.name = "flag", .brief = "f", .type = KR_OPT_FLAG, .help = "h", .offset = AT(flag)},
    {.name = "other", .brief = "x", .type = KR_OPT_FLAG, .help = "h", .offset = AT(other)},
    {.name = "some_text",
     .alias = "words",
     .brief = "t",
     .type = KR_OPT_STR,
     .help = "h",
     .offset = AT(text)},
    {.name = "number",
     .brief = "n",
     .type = KR_OPT_INT,
     .min = -1,
     .dflt = "7",
     .help = "h",
     .offset = AT(number)},
    {.name = "truth", .type = KR_OPT_BOOL, .help = "h", .offset = AT(truth)},
    {.name = "choice",
     .brief = "ch",
     .type = KR_OPT_ENUM,
     .choices = choices,
     .help = "h",
     .offset = AT(choice)},
    {.name = "list", .brief = "l", .type = KR_OPT_LIST, .help = "h", .offset = AT(list)},
    {.name = "pair", .type = KR_OPT_PAIRS, .help = "h", .offset = AT(pairs)},
    {0},
};
static const struct kr_arg args_rows[] = {
    {.name = "NAME", .help = "h", .offset = AT(name)},
    {.name = "EXTRA", .help = "h", .optional = true, .offset = AT(extra)},
    {.name = "REST", .help = "h", .optional = true, .many = true, .offset = AT(rest)},
    {0},
};
static const struct kr_cmd cmd = {.path = "test it",
                                  .help = "h",
                                  .opts = opts,
                                  .args = args_rows,
                                  .free_rule = KR_FREE_ATTRIBUTES,
                                  .free_help = "h",
                                  .free_offset = AT(free),
                                  .size = sizeof(struct args)};

enum { WORDS = 24 };

/* Parses words separated by '|'; the copy that argv points into outlives the result. */
struct parsed {
    char *words[WORDS];
    int count;
    struct args *args;
    unsigned wish;
    struct kr_err err;
    int rc;
};

static void parse(struct parsed *p, const char *line)
{
    memset(p, 0, sizeof(*p));
    while (line != NULL) {
        const char *bar = strchr(line, '|');

        p->words[p->count++] =
            bar != NULL ? kr_strndup(line, (size_t)(bar - line)) : kr_strdup(line);
        line = bar != NULL ? bar + 1 : NULL;
    }
    p->rc = kr_args_parse("kourou", &cmd, p->words, p->count, (void **)&p->args, &p->wish, &p->err);
}

static void done(struct parsed *p)
{
    kr_args_destroy(&cmd, p->args);
    for (int i = 0; i < p->count; i++)
        free(p->words[i]);
}

static void test_all_kinds_of_options(void **state)
{
    struct parsed p;

    (void)state;
    parse(&p, "one|--flag|--some-text=a=b|-n|-1|--truth|no|-ch|green|-l|a|--list=b|--pair|k=v=w|--"
              "port=5|--my-key=@@x|two|"
              "three|four");
    assert_int_equal(p.rc, 0);
    assert_string_equal(p.args->name, "one");
    assert_string_equal(p.args->extra, "two");
    assert_int_equal(json_array_size(p.args->rest), 2);
    assert_true(p.args->flag);
    assert_false(p.args->other);
    assert_string_equal(p.args->text, "a=b");
    assert_int_equal(p.args->number, -1);
    assert_int_equal(p.args->truth, 0);
    assert_ptr_equal(p.args->choice, choices[1]);
    assert_string_equal(json_string_value(json_array_get(p.args->list, 1)), "b");
    assert_string_equal(kr_json_str(p.args->pairs, "k", ""), "v=w");
    assert_string_equal(kr_json_str(p.args->free, "port", ""), "5");
    assert_string_equal(kr_json_str(p.args->free, "my_key", ""), "@x");
    assert_string_equal(p.words[14], "--port=*");
    done(&p);
}

static void test_defaults(void **state)
{
    struct parsed p;

    (void)state;
    parse(&p, "one");
    assert_int_equal(p.rc, 0);
    assert_int_equal(p.args->number, 7);
    assert_int_equal(p.args->truth, -1);
    assert_null(p.args->list);
    assert_null(p.args->free);
    done(&p);
}

static void test_spellings_of_short_options(void **state)
{
    static const char *const lines[] = {"one|-fx|-n5|-chgreen", "one|-xfn5|-ch=green",
                                        "-f|-x|-n|5|-ch|green|one",
                                        "--words=w|one|-fxn|5|--choice=green"};
    struct parsed p;

    (void)state;
    for (size_t i = 0; i < KR_ARRAY_LEN(lines); i++) {
        parse(&p, lines[i]);
        if (i == 0) { /* a short name of several letters takes no attached value */
            assert_int_equal(p.rc, -KR_E_USAGE);
        } else {
            assert_int_equal(p.rc, 0);
            assert_true(p.args->flag && p.args->other);
            assert_int_equal(p.args->number, 5);
            assert_string_equal(p.args->choice, "green");
        }
        done(&p);
    }
}

static void test_two_hyphens(void **state)
{
    struct parsed p;

    (void)state;
    parse(&p, "--flag|--|--flag=1|-n|--number");
    assert_int_equal(p.rc, 0);
    assert_true(p.args->flag);
    assert_string_equal(kr_json_str(p.args->free, "flag", ""), "1");
    assert_string_equal(p.args->name, "-n");
    assert_string_equal(p.args->extra, "--number");
    done(&p);
}

static void test_errors(void **state)
{
    static const char *const cases[][2] = {
        {"", NULL},
        {"-f", "'kourou test it' needs the argument NAME"},
        {"one|--number", "--number needs a value"},
        {"one|--number=-2", "--number is a whole number from -1, not '-2'"},
        {"one|--number=99999999999999999999",
         "--number is a whole number from -1, not '99999999999999999999'"},
        {"one|--truth=2", "--truth is true or false, not '2'"},
        {"one|--choice=blue", "--choice is one of red|green, not 'blue'"},
        {"one|--flag=1", "--flag takes no value"},
        {"one|--pair==x", "--pair needs KEY=VALUE, not '=x'"},
        {"one|--flg", "'kourou test it' has no option '--flg'; did you mean '--flag'?"},
        {"one|-w",
         "'kourou test it' has no option '-w'; 'kourou test it --help' lists what it takes"},
        {"one|--zzzzzz", "'--zzzzzz' needs its value behind '=': --zzzzzz=VALUE"},
        {"one|--1a=2",
         "the key '1a' must consist of letters, digits and '_' and not begin with a digit"},
        {"one|--=2",
         "'kourou test it' has no option '--'; 'kourou test it --help' lists what it takes"},
        {"one|--pair|\xff=1", "--pair: a key is not UTF-8 text"},
        {"one|--some-text=\xff", "the value of --some-text is not UTF-8 text"},
        {"one|--list=\xff", "the value of --list is not UTF-8 text"},
    };
    struct parsed p;

    (void)state;
    for (size_t i = 1; i < KR_ARRAY_LEN(cases); i++) {
        parse(&p, cases[i][0]);
        assert_int_equal(p.rc, -KR_E_USAGE);
        assert_string_equal(p.err.msg, cases[i][1]);
        assert_null(p.args);
        done(&p);
    }
}

static void test_help_and_version_win_over_what_is_missing(void **state)
{
    struct parsed p;

    (void)state;
    parse(&p, "--flag|--help|--number=x");
    assert_int_equal(p.wish, KR_WISH_HELP);
    done(&p);
    parse(&p, "-fh");
    assert_int_equal(p.wish, KR_WISH_HELP);
    done(&p);
    parse(&p, "--version");
    assert_int_equal(p.wish, KR_WISH_VERSION);
    done(&p);
}

/* Every command of the program: its rows fit its struct, and parsing the least it needs works. */
static void test_tables_are_sound(void **state)
{
    const struct kr_cmd *c;

    (void)state;
    for (size_t i = 0; (c = kr_cmd_at(i)) != NULL; i++) {
        kr_auto_opts struct kr_opts all = {0};
        bool optional = false;

        assert_ptr_equal(kr_cmd_find(c->path), c);
        assert_non_null(c->help);
        assert_non_null(c->run);
        kr_opts_of(c, &all);
        assert_true(all.count < 256);
        for (size_t k = 0; k < all.count; k++) {
            assert_non_null(all.rows[k].help);
            assert_true(all.rows[k].type == KR_OPT_REFUSED || all.rows[k].offset < c->size);
            assert_ptr_equal(kr_opt_find(&all, all.rows[k].name, strlen(all.rows[k].name)),
                             &all.rows[k]);
        }
        for (const struct kr_arg *arg = c->args; arg != NULL && arg->name != NULL; arg++) {
            assert_true(arg->offset < c->size);
            assert_true(!optional || arg->optional); /* what may be left out comes last */
            optional = arg->optional;
            assert_true(!arg->many || arg[1].name == NULL);
        }
        assert_true(c->free_rule == KR_FREE_NONE ||
                    (c->free_help != NULL && c->free_offset < c->size));
    }
}

static void test_pages_of_all_commands(void **state)
{
    struct kr_term plain = {.width = 80};
    const struct kr_group *group;
    const struct kr_cmd *c;

    (void)state;
    for (size_t i = 0; (c = kr_cmd_at(i)) != NULL; i++) {
        kr_auto_buf struct kr_buf page = KR_BUF_INIT(1 << 20);

        kr_help("kourou", c, NULL, &plain, &page);
        assert_non_null(strstr(kr_buf_str(&page), "Usage: kourou "));
        assert_null(strstr(kr_buf_str(&page), " \n"));
    }
    for (size_t i = 0; (group = kr_group_at(i)) != NULL; i++) {
        kr_auto_buf struct kr_buf page = KR_BUF_INIT(1 << 20);

        kr_man(group, &page);
        assert_non_null(strstr(kr_buf_str(&page), ".SH COMMANDS"));
    }
}

static void test_resolving_paths(void **state)
{
    char deployer[] = "deployer", flavor[] = "flavor", list[] = "list", option[] = "-o",
         wrong[] = "lits";
    char *const words[] = {deployer, flavor, list, option};
    char *const mistaken[] = {deployer, flavor, wrong};
    const struct kr_cmd *found;
    const struct kr_group *group;
    struct kr_err err = KR_ERR_INIT;
    int used;

    (void)state;
    assert_int_equal(kr_cmd_resolve("kourou", words, 4, &found, &group, &used, &err), 0);
    assert_string_equal(found->path, "deployer flavor list");
    assert_int_equal(used, 3);
    assert_int_equal(kr_cmd_resolve("kourou", words, 2, &found, &group, &used, &err), 0);
    assert_null(found);
    assert_string_equal(group->path, "deployer flavor");
    assert_int_equal(kr_cmd_resolve("kourou", mistaken, 3, &found, &group, &used, &err),
                     -KR_E_USAGE);
    assert_string_equal(err.msg,
                        "'kourou deployer flavor' has no command 'lits'; did you mean 'list'?");
}

static void test_scripts(void **state)
{
    static const char *const shells[] = {"bash", "zsh", "fish"};

    (void)state;
    for (size_t i = 0; i < KR_ARRAY_LEN(shells); i++) {
        kr_auto_free char *script = kr_complete_script(shells[i], "zenml");

        assert_non_null(strstr(script, "zenml"));
    }
    assert_null(kr_complete_script("tcsh", "kourou"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_kinds_of_options),
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_spellings_of_short_options),
        cmocka_unit_test(test_two_hyphens),
        cmocka_unit_test(test_errors),
        cmocka_unit_test(test_help_and_version_win_over_what_is_missing),
        cmocka_unit_test(test_tables_are_sound),
        cmocka_unit_test(test_pages_of_all_commands),
        cmocka_unit_test(test_resolving_paths),
        cmocka_unit_test(test_scripts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
