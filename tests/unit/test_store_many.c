/* SPDX-License-Identifier: Apache-2.0 */
/* Many processes at once, and processes that are killed in the middle. */
#include "base/clock.h"
#include "store_help.h"

#include <signal.h>
#include <sys/wait.h>

enum { PROCESSES = 100, KILLS = 60 };

/* What `secret create` does; the exit status names the step that failed. */
static int create_secret(const char *dir, const char *name)
{
    struct kr_err err = KR_ERR_INIT;
    struct kr_store *store = NULL;
    kr_auto_json json_t *row = json_pack("{s:s}", "name", name), *out = NULL, *values = NULL;

    if (kr_store_open(NULL, dir, dir, &store, &err) < 0 || kr_store_begin(store, &err) < 0 ||
        kr_store_insert(store, KR_SECRET, row, &out, &err) < 0) {
        print_error("%s: %s\n", name, err.msg);
        return 1;
    }
    values = json_pack("{s:s}", "token", name);
    if (kr_store_secret_set(store, kr_json_str(out, "id", ""), values, &err) < 0 ||
        kr_store_commit(store, &err) < 0) {
        print_error("%s: %s\n", name, err.msg);
        return 2;
    }
    kr_store_close(store);
    return 0;
}

static int empty_up(void **state)
{
    struct scratch *s;

    if (scratch_up(state) < 0)
        return -1;
    s = *state;
    kr_store_close(s->store);
    s->store = NULL;
    {
        struct kr_err err = KR_ERR_INIT;

        return kr_remove_tree(s->dir, &err); /* not even the folder is there */
    }
}

static void test_a_hundred_first_runs_at_once(void **state)
{
    struct scratch *s = *state;
    struct kr_err err = KR_ERR_INIT;
    struct kr_query query = {.page = 1, .size = 0};
    kr_auto_json json_t *page = NULL;
    pid_t children[PROCESSES];
    const json_t *row;
    size_t i;
    int gate[2], status, bad = 0;

    assert_int_equal(pipe(gate), 0);
    for (i = 0; i < PROCESSES; i++) {
        children[i] = fork();
        if (children[i] == 0) {
            char name[20], c;

            (void)close(gate[1]);
            (void)snprintf(name, sizeof(name), "s%zu", i);
            (void)!read(gate[0], &c, 1); /* all start when the gate is closed */
            _exit(create_secret(s->dir, name));
        }
        assert_true(children[i] > 0);
    }
    (void)close(gate[0]);
    (void)close(gate[1]);
    for (i = 0; i < PROCESSES; i++) {
        assert_int_equal(waitpid(children[i], &status, 0), children[i]);
        bad += status != 0;
    }
    assert_int_equal(bad, 0);
    s->store = open_store(s->dir);
    OK(kr_store_list(s->store, KR_SECRET, &query, NULL, &page, &err));
    assert_int_equal(json_array_size(json_object_get(page, "items")), PROCESSES);
    json_array_foreach(json_object_get(page, "items"), i, row)
    {
        kr_auto_json json_t *values = NULL;

        OK(kr_store_secret_values(s->store, kr_json_str(row, "id", ""), &values, &err));
        assert_string_equal(kr_json_str(values, "token", ""), kr_json_str(row, "name", "x"));
    }
}

/* Children make secrets until they are killed, from the first step of an empty folder on.
 * Afterwards every secret is whole and the next command works. */
static void test_killed_at_any_moment(void **state)
{
    struct scratch *s = *state;
    struct kr_err err = KR_ERR_INIT;
    unsigned seed = 12345;

    for (int round = 0; round < KILLS; round++) {
        kr_auto_json json_t *page = NULL;
        struct kr_store *store = NULL;
        const json_t *row;
        pid_t child = fork();
        size_t i;

        if (child == 0) {
            for (int n = 0;; n++) {
                char name[30];

                (void)snprintf(name, sizeof(name), "r%d-%d", round, n);
                if (create_secret(s->dir, name) != 0)
                    _exit(1);
            }
        }
        seed = seed * 1103515245U + 12345U;
        kr_sleep_ms((int64_t)((seed >> 16) % (round < 20 ? 12 : 40)));
        assert_int_equal(kill(child, SIGKILL), 0);
        {
            int status;

            assert_int_equal(waitpid(child, &status, 0), child);
            assert_true(WIFSIGNALED(status));
        }
        OK(kr_store_open(NULL, s->dir, s->dir, &store, &err));
        OK(kr_store_check(store, &err));
        OK(kr_store_list(store, KR_SECRET, NULL, NULL, &page, &err));
        json_array_foreach(json_object_get(page, "items"), i, row)
            assert_int_equal(json_array_size(json_object_get(row, "keys")), 1);
        kr_store_close(store);
        if (round % 7 == 0) /* early steps again and again */
            OK(kr_remove_tree(s->dir, &err));
    }
    assert_int_equal(create_secret(s->dir, "last"), 0);
}

static void test_readers_do_not_wait_for_a_writer(void **state)
{
    struct scratch *s = *state;
    struct kr_err err = KR_ERR_INIT;
    struct kr_store *writer = open_store(s->dir), *reader = open_store(s->dir);
    kr_auto_json json_t *before = NULL, *after = NULL;
    int64_t start;

    OK(kr_store_begin(writer, &err));
    json_decref(insert_text(writer, KR_PIPELINE, "{\"name\":\"p\"}"));
    start = kr_mono_ms();
    OK(kr_store_list(reader, KR_PIPELINE, NULL, NULL, &before, &err));
    assert_true(kr_mono_ms() - start < 5000);
    assert_int_equal(json_array_size(json_object_get(before, "items")), 0);
    OK(kr_store_commit(writer, &err));
    OK(kr_store_list(reader, KR_PIPELINE, NULL, NULL, &after, &err));
    assert_int_equal(json_array_size(json_object_get(after, "items")), 1);
    kr_store_close(reader);
    kr_store_close(writer);
}

#define EMPTY(test) cmocka_unit_test_setup_teardown(test, empty_up, scratch_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        EMPTY(test_a_hundred_first_runs_at_once),
        EMPTY(test_killed_at_any_moment),
        EMPTY(test_readers_do_not_wait_for_a_writer),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
