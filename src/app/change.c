/* SPDX-License-Identifier: Apache-2.0 */
#include "app/change.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "core/name.h"

#include <string.h>

static json_t *copy_of(const json_t *row, const char *key, json_t *otherwise)
{
    const json_t *value = json_object_get(row, key);

    if (value == NULL || json_is_null(value))
        return otherwise;
    json_decref(otherwise);
    return json_deep_copy(value);
}

static int change_env(const json_t *row, const json_t *env, json_t *changes, struct kr_err *err)
{
    kr_auto_json json_t *merged = copy_of(row, "env", json_object());
    const char *name;
    json_t *value;

    json_object_foreach((json_t *)(uintptr_t)env, name, value)
    {
        if (kr_identifier_check("name of an environment variable", name, err) < 0)
            return -(int)err->code;
        if (!json_is_string(value))
            return kr_fail(err, KR_E_INVALID, "the environment variable '%s' is %s, not text", name,
                           kr_json_type_name(value));
        if (json_string_length(value) == 0)
            (void)json_object_del(merged, name);
        else
            kr_json_set(merged, name, json_incref(value));
    }
    kr_json_set(changes, "env", kr_steal(&merged));
    return 0;
}

static size_t index_of(const json_t *list, const char *text)
{
    const json_t *item;
    size_t i;

    json_array_foreach(list, i, item)
    {
        if (json_is_string(item) && strcmp(json_string_value(item), text) == 0)
            return i;
    }
    return json_array_size(list);
}

static int change_secrets(struct kr_app *app, const json_t *row, const json_t *add,
                          const json_t *drop, json_t *changes, struct kr_err *err)
{
    kr_auto_json json_t *merged = copy_of(row, "secrets", json_array());
    const json_t *item;
    size_t i;

    json_array_foreach(drop, i, item)
    {
        size_t at = index_of(merged, json_string_value(item));

        if (at == json_array_size(merged))
            return kr_fail(err, KR_E_NOT_FOUND, "the secret '%s' is not attached",
                           json_string_value(item));
        (void)json_array_remove(merged, at);
    }
    json_array_foreach(add, i, item)
    {
        kr_auto_json json_t *secret = NULL;
        const char *name;

        if (kr_store_find(app->store, KR_SECRET, json_string_value(item), NULL, &secret, err) < 0)
            return -(int)err->code;
        name = kr_json_str(secret, "name", "");
        if (index_of(merged, name) == json_array_size(merged))
            (void)json_array_append_new(merged, json_string(name));
    }
    kr_json_set(changes, "secrets", kr_steal(&merged));
    return 0;
}

int kr_change_runtime(struct kr_app *app, const json_t *row, const struct kr_runtime_change *what,
                      json_t *changes, struct kr_err *err)
{
    if (what->labels != NULL) {
        json_t *labels = copy_of(row, "labels", json_object());

        kr_json_merge(labels, what->labels);
        kr_json_set(changes, "labels", labels);
    }
    if (what->env != NULL && change_env(row, what->env, changes, err) < 0)
        return -(int)err->code;
    if (json_array_size(what->secrets) + json_array_size(what->remove_secrets) > 0)
        return change_secrets(app, row, what->secrets, what->remove_secrets, changes, err);
    return 0;
}

int kr_change_reload(struct kr_app *app, enum kr_entity entity, const char *id, json_t **row,
                     struct kr_err *err)
{
    return row != NULL ? kr_store_find(app->store, entity, id, NULL, row, err) : 0;
}

int kr_change_end(struct kr_app *app, int rc, json_t **made, json_t **row, struct kr_err *err)
{
    if (rc < 0)
        kr_store_rollback(app->store);
    else
        rc = kr_store_commit(app->store, err);
    if (rc == 0 && row != NULL)
        *row = kr_steal(made);
    return rc;
}

char *kr_change_names(const json_t *page)
{
    struct kr_buf names = KR_BUF_INIT(400);
    const json_t *row;
    size_t i;

    json_array_foreach(json_object_get(page, "items"), i, row)
    {
        if (i == 5) {
            kr_buf_adds(&names, ", ...");
            break;
        }
        kr_buf_addf(&names, "%s%.60s", i == 0 ? "" : ", ", kr_json_str(row, "name", "?"));
    }
    return kr_buf_steal(&names);
}

int kr_change_refuse_in_use(struct kr_app *app, const char *field, const char *id, const char *what,
                            struct kr_err *err)
{
    kr_auto_json json_t *filters = json_pack("{s:s}", "status", "notequals:absent");
    kr_auto_json json_t *scope = json_pack("{s:s}", field, id), *page = NULL;
    struct kr_query query = {.filters = filters, .page = 1, .size = 6};
    kr_auto_free char *names = NULL;

    if (kr_store_list(app->store, KR_DEPLOYMENT, &query, scope, &page, err) < 0)
        return -(int)err->code;
    if (json_array_size(json_object_get(page, "items")) == 0)
        return 0;
    names = kr_change_names(page);
    (void)kr_fail(err, KR_E_CONFLICT, "%s is in use by deployments: %s", what, names);
    return kr_hint(err, "delete them first: %s deployment delete <name>", app->prog);
}
