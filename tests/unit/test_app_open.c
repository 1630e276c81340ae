/* SPDX-License-Identifier: Apache-2.0 */
#include "app/stack.h"
#include "app_help.h"

#include <sys/stat.h>
#include <sys/wait.h>

static void test_first_call_makes_places_and_the_default_stack(void **state)
{
    struct place *p = *state;
    struct kr_err err = KR_ERR_INIT;
    kr_auto_json json_t *stack = NULL, *status = NULL;
    struct stat st;

    assert_int_equal(stat(p->home, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0700);
    OK(kr_stack_get(p->app, NULL, &stack, &err));
    assert_string_equal(kr_json_str(stack, "name", ""), "default");
    assert_int_equal(json_object_size(json_object_get(stack, "components")), 4);
    assert_string_equal(kr_json_str(stack, "deployer", ""), "default");
    assert_string_equal(kr_json_str(stack, "image_builder", ""), "default");
    OK(kr_app_status(p->app, &status, &err));
    assert_string_equal(kr_json_str(status, "active_stack", ""), "default");
    assert_string_equal(kr_json_str(status, "source_root", ""), p->dir);
    assert_false(kr_json_bool(status, "initialised", true));
}

static void test_many_first_calls_make_one_default_stack(void **state)
{
    struct place *p = *state;
    struct kr_err err = KR_ERR_INIT;
    kr_auto_json json_t *stacks = NULL, *components = NULL;
    pid_t children[30];

    kr_app_close(p->app);
    p->app = NULL;
    OK(kr_remove_tree(p->home, &err));
    for (size_t i = 0; i < KR_ARRAY_LEN(children); i++) {
        children[i] = fork();
        if (children[i] == 0) {
            struct kr_app *app = NULL;

            if (kr_app_open("kourou", NULL, &app, &err) < 0) {
                print_error("%s\n", err.msg);
                _exit(1);
            }
            kr_app_close(app);
            _exit(0);
        }
    }
    for (size_t i = 0; i < KR_ARRAY_LEN(children); i++) {
        int status = -1;

        assert_int_equal(waitpid(children[i], &status, 0), children[i]);
        assert_int_equal(status, 0);
    }
    open_app(p);
    OK(kr_app_list(p->app, KR_STACK, NULL, NULL, &stacks, &err));
    OK(kr_app_list(p->app, KR_COMPONENT, NULL, NULL, &components, &err));
    assert_int_equal(json_array_size(json_object_get(stacks, "items")), 1);
    assert_int_equal(json_array_size(json_object_get(components, "items")), 4);
}

static void test_init_marks_a_source_root_once(void **state)
{
    struct place *p = *state;
    struct kr_err err = KR_ERR_INIT;
    kr_auto_free char *deep = kr_path_join(p->dir, "a/b"), *want = NULL;

    OK(kr_app_init(p->app, ".", &err));
    assert_true(p->app->initialised);
    want = kr_asprintf("%s is a source root already", p->dir);
    FAILS(kr_app_init(p->app, p->dir, &err), KR_E_EXISTS, want);
    OK(kr_mkdir_p(deep, 0755, &err));
    assert_int_equal(chdir(deep), 0);
    kr_app_close(p->app);
    open_app(p);
    assert_true(p->app->initialised);
    assert_string_equal(p->app->source_root, p->dir);
    /* a nearer mark wins, also that of the other system */
    OK(kr_mkdir_p(".zen", 0755, &err));
    kr_app_close(p->app);
    open_app(p);
    assert_true(p->app->initialised);
    assert_string_equal(p->app->source_root, deep);
    assert_int_equal(kr_app_init(p->app, deep, &err), -KR_E_EXISTS);
}

static void test_the_active_stack_is_listed_first(void **state)
{
    struct place *p = *state;
    struct kr_err err = KR_ERR_INIT;
    kr_auto_json json_t *components =
        json_pack("{s:s,s:s}", "orchestrator", "default", "artifact_store", "default");
    struct kr_stack_change what = {.components = components};
    kr_auto_json json_t *page = NULL;

    OK(kr_stack_register(p->app, "newer", &what, false, NULL, &err));
    OK(kr_app_list(p->app, KR_STACK, NULL, NULL, &page, &err));
    assert_string_equal(kr_json_str(json_array_get(json_object_get(page, "items"), 0), "name", ""),
                        "default");
}

static void test_places_that_cannot_be_made_are_said(void **state)
{
    struct kr_err err = KR_ERR_INIT;
    struct kr_app *app = NULL;

    (void)state;
    (void)setenv("KOUROU_HOME", "/proc/nowhere", 1);
    assert_int_equal(kr_app_open("kourou", NULL, &app, &err), -KR_E_SYSTEM);
    assert_string_equal(err.msg, "folder /proc/nowhere: No such file or directory");
    assert_string_equal(err.hint, "set KOUROU_HOME to a folder that can be written");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        PLACE(test_first_call_makes_places_and_the_default_stack),
        PLACE(test_many_first_calls_make_one_default_stack),
        PLACE(test_init_marks_a_source_root_once),
        PLACE(test_the_active_stack_is_listed_first),
        PLACE(test_places_that_cannot_be_made_are_said),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
