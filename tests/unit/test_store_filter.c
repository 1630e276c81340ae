/* SPDX-License-Identifier: Apache-2.0 */
#include "store_help.h"

static int fill(void **state)
{
    struct scratch *s;

    if (scratch_up(state) < 0)
        return -1;
    s = *state;
    json_decref(
        insert_text(s->store, KR_RUN,
                    "{\"name\":\"alpha\",\"pipeline\":\"churn_50%\",\"status\":\"completed\","
                    "\"started\":\"2026-01-01T10:00:00.500Z\",\"duration\":1.5}"));
    json_decref(insert_text(
        s->store, KR_RUN,
        "{\"name\":\"beta\",\"pipeline\":\"churn_500\",\"status\":\"failed\","
        "\"started\":\"2026-01-02T10:00:00.000Z\",\"duration\":20,\"error\":\"http://x\"}"));
    json_decref(insert_text(s->store, KR_RUN,
                            "{\"name\":\"gamma\",\"status\":\"completed\","
                            "\"started\":\"2026-02-01T00:00:00.000Z\"}"));
    return 0;
}

/* Names of the runs that a query finds, joined by blanks. Caller frees. */
static char *names(struct scratch *s, const struct kr_query *query)
{
    struct kr_err err = KR_ERR_INIT;
    kr_auto_json json_t *page = NULL;
    struct kr_buf out = KR_BUF_INIT(1000);
    const json_t *row;
    size_t i;

    OK(kr_store_list(s->store, KR_RUN, query, NULL, &page, &err));
    json_array_foreach(json_object_get(page, "items"), i, row)
        kr_buf_addf(&out, "%s%s", i == 0 ? "" : " ", kr_json_str(row, "name", "?"));
    return kr_buf_steal(&out);
}

static void test_operators(void **state)
{
    static const char *const rows[][3] = {
        {"name", "alpha", "alpha"},
        {"name", "equals:alpha", "alpha"},
        {"name", "ALPHA", ""},
        {"name", "notequals:alpha", "beta gamma"},
        {"name", "contains:ET", "beta"},
        {"name", "startswith:ga", "gamma"},
        {"name", "endswith:a", "alpha beta gamma"},
        {"name", "oneof:[\"alpha\",\"gamma\"]", "alpha gamma"},
        {"name", "oneof:alpha, beta", "alpha beta"},
        {"name", "oneof:[]", ""},
        {"pipeline", "contains:50%", "alpha"},
        {"pipeline", "contains:n_5", "alpha beta"},
        {"pipeline", "contains:n.5", ""},
        {"pipeline", "notequals:churn_500", "alpha gamma"},
        {"error", "http://x", "beta"},
        {"name", "'; DROP TABLE runs; --", ""},
        {"duration", "1.5", "alpha"},
        {"duration", "gt:1.5", "beta"},
        {"duration", "gte:1.5", "alpha beta"},
        {"duration", "lt:20", "alpha"},
        {"duration", "lte:20", "alpha beta"},
        {"duration", "notequals:20", "alpha gamma"},
        {"started", "2026-01-01 10:00:00", "alpha"},
        {"started", "2026-01-01", "alpha"},
        {"started", "gte:2026-01-02 10:00:00", "beta gamma"},
        {"started", "gt:2026-01-02 10:00:00", "gamma"},
        {"started", "lt:2026-02-01", "alpha beta"},
    };

    for (size_t i = 0; i < KR_ARRAY_LEN(rows); i++) {
        kr_auto_json json_t *filters = json_pack("{s:[s]}", rows[i][0], rows[i][1]);
        struct kr_query query = {.filters = filters, .sort_by = "asc:name", .page = 1, .size = 20};
        kr_auto_free char *got = names(*state, &query);

        if (strcmp(got, rows[i][2]) != 0)
            fail_msg("--%s %s gave '%s', wanted '%s'", rows[i][0], rows[i][1], got, rows[i][2]);
    }
}

static void test_and_or(void **state)
{
    kr_auto_json json_t *filters =
        json_pack("{s:[s],s:[s,s]}", "status", "completed", "name", "startswith:a", "contains:et");
    struct kr_query query = {.filters = filters, .sort_by = "name", .page = 1};
    kr_auto_free char *all = names(*state, &query), *any = NULL;

    query.any = true;
    any = names(*state, &query);
    assert_string_equal(all, "");
    assert_string_equal(any, "alpha beta gamma");
}

static void test_sorting_and_pages(void **state)
{
    struct scratch *s = *state;
    struct kr_err err = KR_ERR_INIT;
    struct kr_query query = {.page = 1};
    kr_auto_free char *newest = names(s, &query), *first = NULL, *second = NULL;
    kr_auto_json json_t *page = NULL;

    assert_string_equal(newest, "gamma beta alpha");
    query = (struct kr_query){.sort_by = "desc:name", .page = 1, .size = 2};
    first = names(s, &query);
    query.page = 2;
    second = names(s, &query);
    assert_string_equal(first, "gamma beta");
    assert_string_equal(second, "alpha");
    OK(kr_store_list(s->store, KR_RUN, &query, NULL, &page, &err));
    assert_int_equal(kr_json_int(json_object_get(page, "pagination"), "total", 0), 3);
    assert_int_equal(kr_json_int(json_object_get(page, "pagination"), "total_pages", 0), 2);
    assert_int_equal(kr_json_int(json_object_get(page, "pagination"), "index", 0), 2);
    assert_int_equal(kr_json_int(json_object_get(page, "pagination"), "max_size", 0), 2);
}

static void test_wrong_filters_say_why(void **state)
{
    static const char *const rows[][3] = {
        {"name", "gt:5", "--name: the filter 'gt' does not apply to 'name'"},
        {"duration", "contains:5",
         "--duration: the filter 'contains' does not apply to 'duration'"},
        {"duration", "gt:many", "--duration: 'many' is not a number; 'duration' is one"},
        {"started", "gt:soon", "--started: 'soon' is not a time; 'started' is one"},
        {"nmae", "x", "runs cannot be filtered by 'nmae'"},
    };
    struct scratch *s = *state;
    struct kr_err err = KR_ERR_INIT;
    struct kr_query query = {.page = 1};
    json_t *page = NULL;

    for (size_t i = 0; i < KR_ARRAY_LEN(rows); i++) {
        kr_auto_json json_t *filters = json_pack("{s:[s]}", rows[i][0], rows[i][1]);

        query.filters = filters;
        FAILS(kr_store_list(s->store, KR_RUN, &query, NULL, &page, &err), KR_E_INVALID, rows[i][2]);
    }
    query = (struct kr_query){.page = 1, .sort_by = "asc:colour"};
    FAILS(kr_store_list(s->store, KR_RUN, &query, NULL, &page, &err), KR_E_INVALID,
          "cannot sort runs by 'colour'");
    query = (struct kr_query){.page = 0};
    assert_int_equal(kr_store_list(s->store, KR_RUN, &query, NULL, &page, &err), -KR_E_INVALID);
}

static void test_bool_and_list_fields(void **state)
{
    struct scratch *s = *state;
    struct kr_err err = KR_ERR_INIT;
    kr_auto_json json_t *on = json_pack("{s:s}", "private", "true"),
                        *no = json_pack("{s:s}", "private", "maybe");
    kr_auto_json json_t *has = json_pack("{s:s}", "labels", "blue"), *page = NULL, *page2 = NULL;
    struct kr_query query = {.filters = on, .page = 1};
    json_t *none = NULL;

    json_decref(insert_text(s->store, KR_SECRET, "{\"name\":\"a\",\"private\":true}"));
    json_decref(insert_text(s->store, KR_SECRET, "{\"name\":\"b\",\"private\":false}"));
    json_decref(insert_text(s->store, KR_STACK, "{\"name\":\"x\",\"labels\":{\"c\":\"blue\"}}"));
    json_decref(insert_text(s->store, KR_STACK, "{\"name\":\"y\"}"));
    OK(kr_store_list(s->store, KR_SECRET, &query, NULL, &page, &err));
    assert_int_equal(json_array_size(json_object_get(page, "items")), 1);
    assert_string_equal(kr_json_str(json_array_get(json_object_get(page, "items"), 0), "scope", ""),
                        "private");
    query.filters = has;
    OK(kr_store_list(s->store, KR_STACK, &query, NULL, &page2, &err));
    assert_int_equal(json_array_size(json_object_get(page2, "items")), 1);
    query.filters = no;
    FAILS(kr_store_list(s->store, KR_SECRET, &query, NULL, &none, &err), KR_E_INVALID,
          "--private: 'maybe' is neither true nor false, as 'private' is");
}

#define FILLED(test) cmocka_unit_test_setup_teardown(test, fill, scratch_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        FILLED(test_operators),
        FILLED(test_and_or),
        FILLED(test_sorting_and_pages),
        FILLED(test_wrong_filters_say_why),
        FILLED(test_bool_and_list_fields),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
