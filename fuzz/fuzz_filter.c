/* SPDX-License-Identifier: Apache-2.0 */
/* Filters, sort orders and references of list commands against a real store: whatever is asked,
 * SQLite never sees a statement that it does not understand. The first byte chooses the entity;
 * lines are sort order, reference, then "field=filter". */
#include "fuzz_folder.h"

#include "store/store.h"

static struct kr_store *store;

static void close_store(void)
{
    kr_store_close(store);
}

static void open_store(void)
{
    static const char row[] = "{\"name\":\"churn\",\"type\":\"deployer\",\"flavor\":\"local\","
                              "\"config\":{},\"labels\":{\"a\":\"b\"}}";
    struct kr_err err = KR_ERR_INIT;
    kr_auto_json json_t *value = NULL;

    (void)setenv("KOUROU_ENCRYPTION_KEY", "a key for fuzzing only", 1);
    FUZZ_CHECK(kr_json_parse(row, sizeof(row) - 1, "row", &value, &err) == 0);
    if (kr_store_open(NULL, fuzz_folder(), fuzz_folder(), &store, &err) < 0)
        (void)fprintf(stderr, "%s\n", err.msg);
    FUZZ_CHECK(store != NULL && kr_store_insert(store, KR_COMPONENT, value, NULL, &err) == 0);
    (void)atexit(close_store);
}

static json_t *filters_of(struct fuzz_input *in)
{
    json_t *filters = json_object();

    while (in->n != 0) {
        kr_auto_free char *line = fuzz_line(in);
        char *eq = strchr(line, '=');
        json_t *value = eq != NULL ? json_string(eq + 1) : NULL, *list;

        if (value == NULL)
            continue;
        *eq = '\0';
        list = json_object_get(filters, line);
        if (list == NULL) {
            list = json_array();
            (void)json_object_set_new(filters, line, list);
        }
        (void)json_array_append_new(list, value);
    }
    return filters;
}

static void is_users_fault(int rc, const struct kr_err *err)
{
    if (rc < 0 && (err->code == KR_E_STATE || err->code == KR_E_SYSTEM))
        (void)fprintf(stderr, "%s\n", err->msg);
    FUZZ_CHECK(rc == 0 || (err->code != KR_E_STATE && err->code != KR_E_SYSTEM));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_input in = {.p = data, .n = size};
    uint8_t which = fuzz_byte(&in);
    enum kr_entity entity = (enum kr_entity)(which % KR_ENTITY_COUNT);
    kr_auto_free char *sort = fuzz_line(&in), *ref = fuzz_line(&in);
    kr_auto_json json_t *filters = filters_of(&in), *page = NULL, *row = NULL;
    struct kr_query query = {.filters = filters,
                             .any = which >= 128,
                             .page = 1,
                             .size = 20,
                             .sort_by = sort[0] != '\0' ? sort : NULL};
    struct kr_err err = KR_ERR_INIT;

    if (store == NULL)
        open_store();
    is_users_fault(kr_store_list(store, entity, &query, NULL, &page, &err), &err);
    kr_err_clear(&err);
    is_users_fault(kr_store_find(store, entity, ref, NULL, &row, &err), &err);
    return 0;
}
