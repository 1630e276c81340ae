/* SPDX-License-Identifier: Apache-2.0 */
#include "app/stack.h"

#include "app/change.h"
#include "app/secret.h"
#include "base/alloc.h"
#include "base/redact.h"
#include "core/flavor.h"
#include "core/name.h"
#include "core/secret_ref.h"

#include <string.h>

static struct kr_runtime_change runtime_of(const struct kr_stack_change *what)
{
    return (struct kr_runtime_change){what->labels, what->env, what->secrets, what->remove_secrets};
}

/* Name or id of a component as its id, put under its type into ids. */
static int add_component(struct kr_app *app, const char *key, const char *ref, json_t *ids,
                         struct kr_err *err)
{
    const struct kr_component_kind *kind = kr_component_kind_find(key);
    kr_auto_json json_t *scope = NULL, *found = NULL;

    if (kind == NULL)
        return kr_fail(err, KR_E_INVALID, "'%s' is not a kind of component", key);
    scope = json_pack("{s:s}", "type", kind->key);
    if (kr_store_find(app->store, KR_COMPONENT, ref, scope, &found, err) < 0) {
        if (err->code == KR_E_NOT_FOUND)
            return kr_hint(err, "register it: %s %s register %s --flavor=...", app->prog,
                           kind->group, ref);
        return -(int)err->code;
    }
    kr_json_set_str(ids, kind->key, kr_json_str(found, "id", ""));
    return 0;
}

static int remove_component(const char *stack, const char *key, json_t *ids, struct kr_err *err)
{
    const struct kr_component_kind *kind = kr_component_kind_find(key);

    if (kind == NULL)
        return kr_fail(err, KR_E_INVALID, "'%s' is not a kind of component", key);
    if (kind->required)
        return kr_fail(err, KR_E_INVALID, "a stack cannot be without %s; give it another one",
                       kind->title);
    if (json_object_del(ids, kind->key) != 0)
        return kr_fail(err, KR_E_NOT_FOUND, "the stack '%s' has no %s", stack, kind->title);
    return 0;
}

/* ids of the components of a stack (NULL: none) after the change. */
static int components_after(struct kr_app *app, const json_t *stack, const char *name,
                            const struct kr_stack_change *what, json_t **out, struct kr_err *err)
{
    kr_auto_json json_t *ids = json_object();
    const char *key;
    const json_t *item;
    json_t *value;
    size_t i;

    json_object_foreach(json_object_get(stack, "components"), key, value)
        kr_json_set_str(ids, key, kr_json_str(value, "id", ""));
    json_array_foreach(what->remove, i, item)
    {
        if (remove_component(name, json_string_value(item), ids, err) < 0)
            return -(int)err->code;
    }
    json_object_foreach((json_t *)(uintptr_t)what->components, key, value)
    {
        if (json_is_string(value) &&
            add_component(app, key, json_string_value(value), ids, err) < 0)
            return -(int)err->code;
    }
    for (i = 0; i < KR_COMPONENT_TYPE_COUNT; i++) {
        const struct kr_component_kind *kind = &kr_component_kinds[i];

        if (kind->required && json_object_get(ids, kind->key) == NULL) {
            (void)kr_fail(err, KR_E_INVALID, "the stack '%s' needs an %s", name, kind->title);
            return kr_hint(err, "add --%s=default, or another one", kind->key);
        }
    }
    *out = kr_steal(&ids);
    return 0;
}

static int insert(struct kr_app *app, const char *name, const struct kr_stack_change *what,
                  bool set_active, json_t **row, struct kr_err *err)
{
    struct kr_runtime_change runtime = runtime_of(what);
    kr_auto_json json_t *fields = json_pack("{s:s}", "name", name), *made = NULL;
    const char *id;
    json_t *ids;

    if (components_after(app, NULL, name, what, &ids, err) < 0)
        return -(int)err->code;
    kr_json_set(fields, "components", ids);
    if (kr_change_runtime(app, NULL, &runtime, fields, err) < 0 ||
        kr_store_insert(app->store, KR_STACK, fields, &made, err) < 0)
        return -(int)err->code;
    id = kr_json_str(made, "id", "");
    if (set_active && kr_store_fact_set(app->store, "active_stack", id, err) < 0)
        return -(int)err->code;
    return kr_change_reload(app, KR_STACK, id, row, err);
}

int kr_stack_register(struct kr_app *app, const char *name, const struct kr_stack_change *what,
                      bool set_active, json_t **row, struct kr_err *err)
{
    kr_auto_json json_t *made = NULL;
    int rc;

    if (kr_name_check("name of the stack", name, err) < 0 || kr_store_begin(app->store, err) < 0)
        return -(int)err->code;
    rc = insert(app, name, what, set_active, row != NULL ? &made : NULL, err);
    return kr_change_end(app, rc, &made, row, err);
}

int kr_stack_get(struct kr_app *app, const char *ref, json_t **row, struct kr_err *err)
{
    kr_auto_free char *active = NULL;

    if (ref != NULL)
        return kr_store_find(app->store, KR_STACK, ref, NULL, row, err);
    if (kr_store_fact_get(app->store, "active_stack", &active, err) < 0)
        return -(int)err->code;
    if (active == NULL) {
        (void)kr_fail(err, KR_E_NOT_FOUND, "no stack is active");
        return kr_hint(err, "activate one: %s stack set default", app->prog);
    }
    return kr_store_find(app->store, KR_STACK, active, NULL, row, err);
}

static int update_found(struct kr_app *app, const json_t *found, const struct kr_stack_change *what,
                        struct kr_err *err)
{
    struct kr_runtime_change runtime = runtime_of(what);
    kr_auto_json json_t *fields = json_object();
    json_t *ids;

    if (components_after(app, found, kr_json_str(found, "name", ""), what, &ids, err) < 0)
        return -(int)err->code;
    kr_json_set(fields, "components", ids);
    if (kr_change_runtime(app, found, &runtime, fields, err) < 0)
        return -(int)err->code;
    return kr_store_update(app->store, KR_STACK, kr_json_str(found, "id", ""), fields, err);
}

int kr_stack_update(struct kr_app *app, const char *ref, const struct kr_stack_change *what,
                    json_t **row, struct kr_err *err)
{
    kr_auto_json json_t *found = NULL, *made = NULL;
    int rc;

    if (kr_store_begin(app->store, err) < 0)
        return -(int)err->code;
    rc = (kr_stack_get(app, ref, &found, err) < 0 || update_found(app, found, what, err) < 0 ||
          kr_change_reload(app, KR_STACK, kr_json_str(found, "id", ""), row != NULL ? &made : NULL,
                           err) < 0)
             ? -(int)err->code
             : 0;
    return kr_change_end(app, rc, &made, row, err);
}

static int refuse_default(const json_t *row, struct kr_err *err)
{
    if (strcmp(kr_json_str(row, "name", ""), "default") != 0)
        return 0;
    return kr_fail(err, KR_E_CONFLICT, "the default stack cannot be renamed or deleted");
}

int kr_stack_rename(struct kr_app *app, const char *ref, const char *name, struct kr_err *err)
{
    kr_auto_json json_t *found = NULL, *fields = NULL;

    if (kr_name_check("name of the stack", name, err) < 0 ||
        kr_stack_get(app, ref, &found, err) < 0 || refuse_default(found, err) < 0)
        return -(int)err->code;
    fields = json_pack("{s:s}", "name", name);
    return kr_store_update(app->store, KR_STACK, kr_json_str(found, "id", ""), fields, err);
}

int kr_stack_copy(struct kr_app *app, const char *ref, const char *name, json_t **row,
                  struct kr_err *err)
{
    static const char *const own[] = {"id", "created", "updated", "user"};
    kr_auto_json json_t *found = NULL;

    if (kr_name_check("name of the stack", name, err) < 0 ||
        kr_stack_get(app, ref, &found, err) < 0)
        return -(int)err->code;
    for (size_t i = 0; i < KR_ARRAY_LEN(own); i++)
        (void)json_object_del(found, own[i]);
    kr_json_set_str(found, "name", name);
    return kr_store_insert(app->store, KR_STACK, found, row, err);
}

/* Deletes a component of a deleted stack unless somebody else needs it. */
static int delete_unshared(struct kr_app *app, const char *type, const json_t *component,
                           struct kr_err *err)
{
    const char *id = kr_json_str(component, "id", ""), *name = kr_json_str(component, "name", "");
    kr_auto_json json_t *scope = json_pack("{s:s}", type, name), *page = NULL;

    if (strcmp(name, "default") == 0)
        return 0;
    if (kr_store_list(app->store, KR_STACK, NULL, scope, &page, err) < 0)
        return -(int)err->code;
    if (json_array_size(json_object_get(page, "items")) > 0)
        return 0;
    return kr_store_delete(app->store, KR_COMPONENT, id, err);
}

static int delete_found(struct kr_app *app, const json_t *found, bool recursive, struct kr_err *err)
{
    const char *name = kr_json_str(found, "name", ""), *id = kr_json_str(found, "id", ""), *type;
    kr_auto_free char *what = kr_asprintf("the stack '%s'", name);
    json_t *component;

    if (refuse_default(found, err) < 0)
        return -(int)err->code;
    if (kr_json_bool(found, "active", false)) {
        (void)kr_fail(err, KR_E_CONFLICT, "the stack '%s' is the active one", name);
        return kr_hint(err, "activate another one first: %s stack set default", app->prog);
    }
    if (kr_change_refuse_in_use(app, "stack_id", id, what, err) < 0 ||
        kr_store_delete(app->store, KR_STACK, id, err) < 0)
        return -(int)err->code;
    json_object_foreach(json_object_get(found, "components"), type, component)
    {
        const char *component_id = kr_json_str(component, "id", "");
        kr_auto_free char *part = kr_asprintf("'%s'", kr_json_str(component, "name", ""));

        if (!recursive)
            break;
        if (kr_change_refuse_in_use(app, "deployer_id", component_id, part, err) < 0 ||
            delete_unshared(app, type, component, err) < 0)
            return -(int)err->code;
    }
    return 0;
}

int kr_stack_delete(struct kr_app *app, const char *ref, bool recursive, struct kr_err *err)
{
    kr_auto_json json_t *found = NULL;
    int rc;

    if (kr_store_begin(app->store, err) < 0)
        return -(int)err->code;
    rc = kr_stack_get(app, ref, &found, err);
    rc = rc < 0 ? rc : delete_found(app, found, recursive, err);
    return kr_change_end(app, rc, NULL, NULL, err);
}

int kr_stack_set_active(struct kr_app *app, const char *ref, json_t **row, struct kr_err *err)
{
    kr_auto_json json_t *found = NULL;
    const char *id;

    if (kr_stack_get(app, ref, &found, err) < 0)
        return -(int)err->code;
    id = kr_json_str(found, "id", "");
    if (kr_store_fact_set(app->store, "active_stack", id, err) < 0)
        return -(int)err->code;
    return kr_change_reload(app, KR_STACK, id, row, err);
}

/* The configuration with its secret references replaced, typed again by the flavor's table. Values
 * of sensitive attributes are kept out of messages from here on. */
static int resolve_config(struct kr_app *app, enum kr_component_type type, json_t *row,
                          struct kr_err *err)
{
    const struct kr_flavor *flavor = kr_flavor_find(type, kr_json_str(row, "flavor", ""));
    kr_auto_free char *where =
        kr_asprintf("%s '%s'", kr_component_kinds[type].title, kr_json_str(row, "name", ""));
    kr_auto_json json_t *resolved = NULL;
    json_t *typed;

    if (flavor == NULL)
        return kr_fail(err, KR_E_STATE, "%s: the flavor '%s' does not exist", where,
                       kr_json_str(row, "flavor", ""));
    if (kr_secret_refs_resolve(json_object_get(row, "config"), kr_secret_resolve, app, &resolved,
                               err) < 0)
        return kr_wrap(err, "%s", where);
    if (kr_settings_check(flavor->table, resolved, where, &typed, err) < 0)
        return -(int)err->code;
    for (size_t i = 0; i < flavor->table->count; i++) {
        if (flavor->table->rows[i].sensitive)
            kr_redact_add(kr_json_str(typed, flavor->table->rows[i].name, NULL));
    }
    kr_json_set(row, "config", typed);
    return 0;
}

int kr_stack_component(struct kr_app *app, const json_t *stack, enum kr_component_type type,
                       json_t **row, struct kr_err *err)
{
    const struct kr_component_kind *kind = &kr_component_kinds[type];
    const char *name = kr_json_str(stack, "name", "");
    const char *id = kr_json_str(kr_json_at(stack, "components", kind->key, NULL), "id", NULL);
    kr_auto_json json_t *found = NULL;

    if (id == NULL) {
        (void)kr_fail(err, KR_E_NOT_FOUND, "the stack '%s' has no %s", name, kind->title);
        return kr_hint(err, "add one: %s stack update %s --%s=<name>", app->prog, name, kind->key);
    }
    if (kr_store_find(app->store, KR_COMPONENT, id, NULL, &found, err) < 0 ||
        resolve_config(app, type, found, err) < 0)
        return -(int)err->code;
    *row = kr_steal(&found);
    return 0;
}
