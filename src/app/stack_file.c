/* SPDX-License-Identifier: Apache-2.0 */
/* Stacks as documents: export and import. */
#include "app/stack.h"

#include "app/change.h"
#include "app/component.h"
#include "base/alloc.h"
#include "core/flavor.h"
#include "core/name.h"
#include "core/secret_ref.h"

#include <string.h>

/* The configuration without secrets in clear: only references travel. */
static json_t *safe_config(struct kr_app *app, const struct kr_component_kind *kind,
                           const json_t *row)
{
    const struct kr_flavor *flavor = kr_flavor_find(kind->type, kr_json_str(row, "flavor", ""));
    json_t *config = json_deep_copy(json_object_get(row, "config"));

    for (size_t i = 0; flavor != NULL && i < flavor->table->count; i++) {
        const struct kr_setting *setting = &flavor->table->rows[i];
        const char *text = kr_json_str(config, setting->name, NULL);

        if (!setting->sensitive || text == NULL || kr_secret_ref_parse(text, NULL, NULL))
            continue;
        (void)json_object_del(config, setting->name);
        kr_note(app, KR_NOTE_WARN, "'%s' of the %s '%s' is left out: it is a secret in clear text",
                setting->name, kind->title, kr_json_str(row, "name", ""));
    }
    return config;
}

int kr_stack_export(struct kr_app *app, const char *ref, json_t **doc, struct kr_err *err)
{
    kr_auto_json json_t *stack = NULL, *components = json_object();

    if (kr_stack_get(app, ref, &stack, err) < 0)
        return -(int)err->code;
    for (size_t i = 0; i < KR_COMPONENT_TYPE_COUNT; i++) {
        const struct kr_component_kind *kind = &kr_component_kinds[i];
        const char *id = kr_json_str(kr_json_at(stack, "components", kind->key, NULL), "id", NULL);
        kr_auto_json json_t *row = NULL;
        json_t *one;

        if (id == NULL)
            continue;
        if (kr_store_find(app->store, KR_COMPONENT, id, NULL, &row, err) < 0)
            return -(int)err->code;
        one = json_object();
        kr_json_set_str(one, "name", kr_json_str(row, "name", ""));
        kr_json_set_str(one, "flavor", kr_json_str(row, "flavor", ""));
        kr_json_set(one, "configuration", safe_config(app, kind, row));
        kr_json_set(components, kind->key, one);
    }
    *doc = json_pack("{s:s,s:O,s:s}", "stack_name", kr_json_str(stack, "name", ""), "components",
                     components, "kourou_version", KR_VERSION);
    return 0;
}

static int check_version(const json_t *doc, bool ignore, struct kr_err *err)
{
    const char *ours = kr_json_str(doc, "kourou_version", NULL);
    const char *other = kr_json_str(doc, "zenml_version", NULL);

    if (ignore || (ours != NULL && strcmp(ours, KR_VERSION) == 0))
        return 0;
    if (ours != NULL)
        (void)kr_fail(err, KR_E_CONFLICT, "the stack was exported by version %s, this is %s", ours,
                      KR_VERSION);
    else if (other != NULL)
        (void)kr_fail(err, KR_E_CONFLICT, "the stack was exported by zenml %s", other);
    else
        (void)kr_fail(err, KR_E_INVALID, "the document has no 'kourou_version'");
    return kr_hint(err, "import it all the same with --ignore-version-mismatch");
}

/* Uses the existing component when it is the same, else registers it. */
static int import_component(struct kr_app *app, const char *key, const json_t *one, json_t *ids,
                            struct kr_err *err)
{
    const struct kr_component_kind *kind = kr_component_kind_find(key);
    kr_auto_json json_t *page = NULL, *scope = NULL, *config = NULL, *made = NULL;
    struct kr_component_change what = {.attributes = json_object_get(one, "configuration")};
    const struct kr_flavor *flavor;
    const char *name, *flavor_name;
    const json_t *found;

    if (kind == NULL)
        return kr_fail(err, KR_E_INVALID, "'%s' is not a kind of component", key);
    if (kr_json_need_str(one, "name", kind->title, &name, err) < 0 ||
        kr_json_need_str(one, "flavor", kind->title, &flavor_name, err) < 0)
        return -(int)err->code;
    scope = json_pack("{s:s,s:s}", "type", kind->key, "name", name);
    if (kr_store_list(app->store, KR_COMPONENT, NULL, scope, &page, err) < 0)
        return -(int)err->code;
    found = json_array_get(json_object_get(page, "items"), 0);
    if (found == NULL) {
        if (kr_component_register(app, kind->type, name, flavor_name, &what, &made, err) < 0)
            return -(int)err->code;
        kr_json_set_str(ids, kind->key, kr_json_str(made, "id", ""));
        return 0;
    }
    flavor = kr_flavor_find(kind->type, flavor_name);
    if (flavor != NULL && what.attributes != NULL &&
        kr_settings_check(flavor->table, what.attributes, name, &config, err) < 0)
        return -(int)err->code;
    if (strcmp(kr_json_str(found, "flavor", ""), flavor_name) != 0 ||
        (config != NULL && !json_equal(config, json_object_get(found, "config")))) {
        (void)kr_fail(err, KR_E_EXISTS, "another %s '%s' exists already", kind->title, name);
        return kr_hint(err,
                       "give it another name in the document, or rename the existing one: "
                       "%s %s rename %s <new name>",
                       app->prog, kind->group, name);
    }
    kr_json_set_str(ids, kind->key, kr_json_str(found, "id", ""));
    return 0;
}

static int import_all(struct kr_app *app, const json_t *components, const char *name, json_t **row,
                      struct kr_err *err)
{
    kr_auto_json json_t *ids = json_object();
    struct kr_stack_change what = {.components = ids};
    const char *key;
    json_t *one;

    json_object_foreach((json_t *)(uintptr_t)components, key, one)
    {
        if (import_component(app, key, one, ids, err) < 0)
            return kr_wrap(err, "components");
    }
    return kr_stack_register(app, name, &what, false, row, err);
}

int kr_stack_import(struct kr_app *app, const json_t *doc, const char *name, bool ignore_version,
                    json_t **row, struct kr_err *err)
{
    const json_t *components = json_object_get(doc, "components");
    kr_auto_json json_t *made = NULL;
    int rc;

    if (!json_is_object(doc) || !json_is_object(components))
        return kr_fail(err, KR_E_INVALID,
                       "the document is not an exported stack: it has no 'components'");
    if (name == NULL && kr_json_need_str(doc, "stack_name", "the document", &name, err) < 0)
        return -(int)err->code;
    if (check_version(doc, ignore_version, err) < 0 || kr_store_begin(app->store, err) < 0)
        return -(int)err->code;
    rc = import_all(app, components, name, row != NULL ? &made : NULL, err);
    return kr_change_end(app, rc, &made, row, err);
}
