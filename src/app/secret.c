/* SPDX-License-Identifier: Apache-2.0 */
#include "app/secret.h"

#include "app/change.h"
#include "base/alloc.h"
#include "base/redact.h"
#include "core/name.h"
#include "core/secret_ref.h"

#include <string.h>

static int check_name(const char *name, struct kr_err *err)
{
    if (kr_name_check("name of the secret", name, err) < 0)
        return -(int)err->code;
    if (strcmp(name, "name") == 0)
        return kr_fail(err, KR_E_INVALID, "a secret cannot be called 'name'");
    if (strchr(name, '.') != NULL || strpbrk(name, "{} ") != NULL) {
        (void)kr_fail(err, KR_E_INVALID,
                      "the name of the secret '%s' has a '.', a brace or a space", name);
        return kr_hint(err, "references are written {{name.key}}; use letters, digits, '-', '_'");
    }
    return 0;
}

static int check_values(const json_t *values, struct kr_err *err)
{
    const char *key;
    json_t *value;

    json_object_foreach((json_t *)(uintptr_t)values, key, value)
    {
        if (strcmp(key, "name") == 0)
            return kr_fail(err, KR_E_INVALID, "a key of a secret cannot be called 'name'");
        if (kr_identifier_check("key", key, err) < 0)
            return -(int)err->code;
        if (!json_is_string(value))
            return kr_fail(err, KR_E_INVALID, "the value of '%s' is %s, expected text", key,
                           kr_json_type_name(value));
    }
    return 0;
}

static int insert(struct kr_app *app, const char *name, const json_t *values, bool private,
                  json_t **row, struct kr_err *err)
{
    kr_auto_json json_t *fields = json_pack("{s:s,s:b}", "name", name, "private", private);
    kr_auto_json json_t *made = NULL;
    const char *id;

    if (kr_store_insert(app->store, KR_SECRET, fields, &made, err) < 0)
        return -(int)err->code;
    id = kr_json_str(made, "id", "");
    if (kr_store_secret_set(app->store, id, values, err) < 0)
        return -(int)err->code;
    return kr_change_reload(app, KR_SECRET, id, row, err);
}

int kr_secret_create(struct kr_app *app, const char *name, const json_t *values, bool private,
                     json_t **row, struct kr_err *err)
{
    kr_auto_json json_t *made = NULL;

    if (check_name(name, err) < 0 || check_values(values, err) < 0 ||
        kr_store_begin(app->store, err) < 0)
        return -(int)err->code;
    if (insert(app, name, values, private, row != NULL ? &made : NULL, err) < 0) {
        kr_store_rollback(app->store);
        if (err->code == KR_E_EXISTS) {
            err->hint[0] = '\0';
            return kr_hint(err, "change it: %s secret update %s --<key>=<value>", app->prog, name);
        }
        return -(int)err->code;
    }
    if (kr_store_commit(app->store, err) < 0)
        return -(int)err->code;
    if (json_object_size(values) == 0)
        kr_note(app, KR_NOTE_WARN, "The secret '%s' is empty", name);
    if (row != NULL)
        *row = kr_steal(&made);
    return 0;
}

int kr_secret_get(struct kr_app *app, const char *ref, json_t **row, struct kr_err *err)
{
    kr_auto_json json_t *found = NULL;
    json_t *values = NULL;

    if (kr_store_find(app->store, KR_SECRET, ref, NULL, &found, err) < 0 ||
        kr_store_secret_values(app->store, kr_json_str(found, "id", ""), &values, err) < 0)
        return -(int)err->code;
    kr_json_set(found, "values", values);
    *row = kr_steal(&found);
    return 0;
}

static int change(struct kr_app *app, const char *ref, const json_t *values, const json_t *remove,
                  int private, json_t **row, struct kr_err *err)
{
    kr_auto_json json_t *found = NULL, *merged = NULL, *fields = json_object();
    const json_t *key;
    const char *id;
    size_t i;

    if (kr_secret_get(app, ref, &found, err) < 0)
        return -(int)err->code;
    id = kr_json_str(found, "id", "");
    merged = json_deep_copy(json_object_get(found, "values"));
    json_array_foreach(remove, i, key)
    {
        if (json_object_del(merged, json_string_value(key)) != 0)
            return kr_fail(err, KR_E_NOT_FOUND, "the secret '%s' has no key '%s'",
                           kr_json_str(found, "name", ""), json_string_value(key));
    }
    if (values != NULL)
        kr_json_merge(merged, values);
    if (private >= 0)
        kr_json_set_bool(fields, "private", private != 0);
    if (!json_equal(merged, json_object_get(found, "values")) &&
        kr_store_secret_set(app->store, id, merged, err) < 0)
        return -(int)err->code;
    if (kr_store_update(app->store, KR_SECRET, id, fields, err) < 0)
        return -(int)err->code;
    return kr_change_reload(app, KR_SECRET, id, row, err);
}

int kr_secret_update(struct kr_app *app, const char *ref, const json_t *values,
                     const json_t *remove, int private, json_t **row, struct kr_err *err)
{
    kr_auto_json json_t *made = NULL;
    int rc;

    if (check_values(values, err) < 0 || kr_store_begin(app->store, err) < 0)
        return -(int)err->code;
    rc = change(app, ref, values, remove, private, row != NULL ? &made : NULL, err);
    return kr_change_end(app, rc, &made, row, err);
}

int kr_secret_rename(struct kr_app *app, const char *ref, const char *name, bool force,
                     struct kr_err *err)
{
    kr_auto_json json_t *found = NULL, *fields = NULL;

    if (check_name(name, err) < 0 ||
        kr_store_find(app->store, KR_SECRET, ref, NULL, &found, err) < 0 ||
        kr_secret_check_unused(app, found, force, err) < 0)
        return -(int)err->code;
    fields = json_pack("{s:s}", "name", name);
    return kr_store_update(app->store, KR_SECRET, kr_json_str(found, "id", ""), fields, err);
}

int kr_secret_delete(struct kr_app *app, const char *ref, bool force, struct kr_err *err)
{
    kr_auto_json json_t *found = NULL;

    if (kr_store_find(app->store, KR_SECRET, ref, NULL, &found, err) < 0 ||
        kr_secret_check_unused(app, found, force, err) < 0)
        return -(int)err->code;
    return kr_store_delete(app->store, KR_SECRET, kr_json_str(found, "id", ""), err);
}

/* A reference means the whole name; beginnings of names are for people. */
static int find_exact(struct kr_app *app, const char *name, json_t **row, struct kr_err *err)
{
    kr_auto_json json_t *scope = json_pack("{s:s}", "name", name), *page = NULL;
    struct kr_query query = {.page = 1, .size = 1};
    json_t *found;

    if (kr_store_list(app->store, KR_SECRET, &query, scope, &page, err) < 0)
        return -(int)err->code;
    found = json_array_get(json_object_get(page, "items"), 0);
    if (found == NULL)
        return kr_fail(err, KR_E_NOT_FOUND, "no secret '%s'", name);
    *row = json_incref(found);
    return 0;
}

int kr_secret_resolve(void *data, const char *name, const char *key, char **value,
                      struct kr_err *err)
{
    struct kr_app *app = data;
    kr_auto_json json_t *row = NULL, *values = NULL;
    const char *text;

    if (find_exact(app, name, &row, err) < 0) {
        if (err->code == KR_E_NOT_FOUND)
            return kr_hint(err, "create it: %s secret create %s --%s=<value>", app->prog, name,
                           key);
        return -(int)err->code;
    }
    if (kr_store_secret_values(app->store, kr_json_str(row, "id", ""), &values, err) < 0)
        return -(int)err->code;
    text = kr_json_str(values, key, NULL);
    if (text == NULL) {
        (void)kr_fail(err, KR_E_NOT_FOUND, "the secret '%s' has no key '%s'", name, key);
        return kr_hint(err, "add it: %s secret update %s --%s=<value>", app->prog, name, key);
    }
    kr_redact_add(text);
    *value = kr_strdup(text);
    return 0;
}
