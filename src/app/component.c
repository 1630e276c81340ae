/* SPDX-License-Identifier: Apache-2.0 */
#include "app/component.h"

#include "app/change.h"
#include "app/secret.h"
#include "app/stack.h"
#include "base/alloc.h"
#include "core/flavor.h"
#include "core/name.h"
#include "core/secret_ref.h"

#include <string.h>

#define MASKED "********"

static const struct kr_component_kind *kind_of(enum kr_component_type type)
{
    return &kr_component_kinds[type];
}

static int need_flavor(struct kr_app *app, enum kr_component_type type, const char *name,
                       const struct kr_flavor **flavor, struct kr_err *err)
{
    const char *names[16], *near;
    kr_auto_free char *all = kr_flavor_names(type);
    size_t n = 0;

    *flavor = kr_flavor_find(type, name);
    if (*flavor != NULL)
        return 0;
    for (size_t i = 0; i < kr_flavor_count && n < KR_ARRAY_LEN(names); i++) {
        if (kr_flavors[i].type == type)
            names[n++] = kr_flavors[i].name;
    }
    near = kr_name_nearest(name, names, n);
    (void)kr_fail(err, KR_E_NOT_FOUND, "no flavor '%s' of %s; there are: %s", name,
                  kind_of(type)->plural, all);
    return near != NULL ? kr_hint(err, "did you mean --flavor=%s?", near)
                        : kr_hint(err, "see: %s %s flavor list", app->prog, kind_of(type)->group);
}

/* Says what will only show when the component is used: secrets that are missing, secrets in
 * clear. */
static void warn_about(struct kr_app *app, const struct kr_flavor *flavor, const json_t *config)
{
    const char *key;
    json_t *value;

    json_object_foreach((json_t *)(uintptr_t)config, key, value)
    {
        const struct kr_setting *row = kr_setting_find(flavor->table, key);
        kr_auto_free char *name = NULL, *part = NULL, *found = NULL;
        struct kr_err err = KR_ERR_INIT;
        bool whole = strcmp(key, "secret_name") == 0 || strcmp(key, "authentication_secret") == 0;

        if (!json_is_string(value) || row == NULL)
            continue;
        if (kr_secret_ref_parse(json_string_value(value), &name, &part)) {
            if (kr_secret_resolve(app, name, part, &found, &err) < 0)
                kr_note(app, KR_NOTE_WARN, "'%s': %s; %s", key, err.msg, err.hint);
        } else if (whole) {
            kr_auto_json json_t *secret = NULL;

            if (kr_store_find(app->store, KR_SECRET, json_string_value(value), NULL, &secret,
                              &err) < 0)
                kr_note(app, KR_NOTE_WARN, "'%s': %s; create it before it is used", key, err.msg);
        } else if (row->sensitive) {
            kr_note(app, KR_NOTE_WARN,
                    "'%s' is kept as given; better keep it in a secret: %s secret create NAME "
                    "--%s=... and then --%s={{NAME.%s}}",
                    key, app->prog, key, key, key);
        }
    }
}

static int need_required(const struct kr_flavor *flavor, const json_t *config, const char *where,
                         struct kr_err *err)
{
    for (size_t i = 0; i < flavor->table->count; i++) {
        const struct kr_setting *row = &flavor->table->rows[i];
        const json_t *value = json_object_get(config, row->name);

        if (row->required && (value == NULL || json_is_null(value))) {
            (void)kr_fail(err, KR_E_INVALID, "%s: the flavor '%s' needs '%s'", where, flavor->name,
                          row->name);
            return kr_hint(err, "add --%s=<value>: %s", row->name, row->help);
        }
    }
    return 0;
}

/* old (may be NULL) with the attributes over it, checked; null attributes go. */
static int new_config(struct kr_app *app, const struct kr_flavor *flavor, const json_t *old,
                      const json_t *attributes, const char *where, json_t **out, struct kr_err *err)
{
    kr_auto_json json_t *config = old != NULL ? json_deep_copy(old) : json_object();
    kr_auto_json json_t *checked = NULL, *notes = json_array();
    const json_t *note;
    const char *key;
    json_t *value;
    void *next;
    size_t i;

    if (attributes != NULL) {
        if (kr_settings_check(flavor->table, attributes, where, &checked, err) < 0)
            return -(int)err->code;
        kr_settings_ignored(flavor->table, checked, where, NULL, notes);
        json_array_foreach(notes, i, note)
            kr_note(app, KR_NOTE_WARN, "%s", json_string_value(note));
        (void)json_object_update(config, checked);
    }
    json_object_foreach_safe(config, next, key, value)
    {
        if (json_is_null(value))
            (void)json_object_del(config, key);
    }
    if (need_required(flavor, config, where, err) < 0)
        return -(int)err->code;
    *out = kr_steal(&config);
    return 0;
}

static struct kr_runtime_change runtime_of(const struct kr_component_change *what)
{
    return (struct kr_runtime_change){what->labels, what->env, what->secrets, what->remove_secrets};
}

int kr_component_register(struct kr_app *app, enum kr_component_type type, const char *name,
                          const char *flavor_name, const struct kr_component_change *what,
                          json_t **row, struct kr_err *err)
{
    struct kr_runtime_change runtime = runtime_of(what);
    const struct kr_component_kind *kind = kind_of(type);
    kr_auto_free char *where = kr_asprintf("%s '%s'", kind->title, name);
    kr_auto_json json_t *fields = NULL;
    const struct kr_flavor *flavor;
    json_t *config = NULL;

    if (kr_name_check("name", name, err) < 0 ||
        need_flavor(app, type, flavor_name, &flavor, err) < 0 ||
        new_config(app, flavor, NULL, what->attributes, where, &config, err) < 0)
        return -(int)err->code;
    fields = json_pack("{s:s,s:s,s:s,s:o}", "name", name, "type", kind->key, "flavor", flavor->name,
                       "config", config);
    if (kr_change_runtime(app, NULL, &runtime, fields, err) < 0 ||
        kr_store_insert(app->store, KR_COMPONENT, fields, row, err) < 0)
        return -(int)err->code;
    warn_about(app, flavor, config);
    return 0;
}

static int active_component(struct kr_app *app, enum kr_component_type type, json_t **row,
                            struct kr_err *err)
{
    kr_auto_json json_t *stack = NULL;
    const char *id, *name;

    if (kr_stack_get(app, NULL, &stack, err) < 0)
        return -(int)err->code;
    name = kr_json_str(stack, "name", "");
    id = kr_json_str(kr_json_at(stack, "components", kind_of(type)->key, NULL), "id", NULL);
    if (id == NULL) {
        (void)kr_fail(err, KR_E_NOT_FOUND, "the active stack '%s' has no %s", name,
                      kind_of(type)->title);
        return kr_hint(err, "add one: %s stack update %s --%s=<name>", app->prog, name,
                       kind_of(type)->key);
    }
    return kr_store_find(app->store, KR_COMPONENT, id, NULL, row, err);
}

int kr_component_get(struct kr_app *app, enum kr_component_type type, const char *ref, json_t **row,
                     struct kr_err *err)
{
    kr_auto_json json_t *scope = json_pack("{s:s}", "type", kind_of(type)->key);

    if (ref == NULL)
        return active_component(app, type, row, err);
    return kr_store_find(app->store, KR_COMPONENT, ref, scope, row, err);
}

static int update_found(struct kr_app *app, enum kr_component_type type, const json_t *found,
                        const struct kr_component_change *what, struct kr_err *err)
{
    struct kr_runtime_change runtime = runtime_of(what);
    kr_auto_free char *where =
        kr_asprintf("%s '%s'", kind_of(type)->title, kr_json_str(found, "name", ""));
    kr_auto_json json_t *fields = json_object();
    const struct kr_flavor *flavor;
    json_t *config = NULL;

    if (need_flavor(app, type, kr_json_str(found, "flavor", ""), &flavor, err) < 0)
        return -(int)err->code;
    if (json_object_size(what->attributes) > 0) {
        if (new_config(app, flavor, json_object_get(found, "config"), what->attributes, where,
                       &config, err) < 0)
            return -(int)err->code;
        kr_json_set(fields, "config", config);
    }
    if (kr_change_runtime(app, found, &runtime, fields, err) < 0 ||
        kr_store_update(app->store, KR_COMPONENT, kr_json_str(found, "id", ""), fields, err) < 0)
        return -(int)err->code;
    if (what->attributes != NULL)
        warn_about(app, flavor, what->attributes);
    return 0;
}

int kr_component_update(struct kr_app *app, enum kr_component_type type, const char *ref,
                        const struct kr_component_change *what, json_t **row, struct kr_err *err)
{
    kr_auto_json json_t *found = NULL, *made = NULL;
    int rc;

    /* Read and written in one transaction: two updates at once keep both changes. */
    if (kr_store_begin(app->store, err) < 0)
        return -(int)err->code;
    rc = (kr_component_get(app, type, ref, &found, err) < 0 ||
          update_found(app, type, found, what, err) < 0 ||
          kr_change_reload(app, KR_COMPONENT, kr_json_str(found, "id", ""),
                           row != NULL ? &made : NULL, err) < 0)
             ? -(int)err->code
             : 0;
    return kr_change_end(app, rc, &made, row, err);
}

static int remove_keys(json_t *from, const json_t *names, const char *what, const char *owner,
                       struct kr_err *err)
{
    const json_t *name;
    size_t i;

    json_array_foreach(names, i, name)
    {
        if (json_object_del(from, json_string_value(name)) != 0)
            return kr_fail(err, KR_E_NOT_FOUND, "'%s' has no %s '%s'", owner, what,
                           json_string_value(name));
    }
    return 0;
}

static int remove_from(struct kr_app *app, enum kr_component_type type, const json_t *found,
                       const json_t *names, const json_t *labels, struct kr_err *err)
{
    const char *owner = kr_json_str(found, "name", "");
    kr_auto_json json_t *config = json_deep_copy(json_object_get(found, "config"));
    kr_auto_json json_t *left = json_deep_copy(json_object_get(found, "labels")), *fields = NULL;
    kr_auto_free char *where = kr_asprintf("%s '%s'", kind_of(type)->title, owner);
    const struct kr_flavor *flavor;

    if (need_flavor(app, type, kr_json_str(found, "flavor", ""), &flavor, err) < 0 ||
        remove_keys(config, names, "attribute", owner, err) < 0 ||
        remove_keys(left, labels, "label", owner, err) < 0 ||
        need_required(flavor, config, where, err) < 0)
        return -(int)err->code;
    fields = json_pack("{s:O,s:O}", "config", config, "labels", left);
    return kr_store_update(app->store, KR_COMPONENT, kr_json_str(found, "id", ""), fields, err);
}

int kr_component_remove_attributes(struct kr_app *app, enum kr_component_type type, const char *ref,
                                   const json_t *names, const json_t *labels, json_t **row,
                                   struct kr_err *err)
{
    kr_auto_json json_t *found = NULL, *made = NULL;
    int rc;

    if (kr_store_begin(app->store, err) < 0)
        return -(int)err->code;
    rc = (kr_component_get(app, type, ref, &found, err) < 0 ||
          remove_from(app, type, found, names, labels, err) < 0 ||
          kr_change_reload(app, KR_COMPONENT, kr_json_str(found, "id", ""),
                           row != NULL ? &made : NULL, err) < 0)
             ? -(int)err->code
             : 0;
    return kr_change_end(app, rc, &made, row, err);
}

static int refuse_default(const char *what, const json_t *row, struct kr_err *err)
{
    if (strcmp(kr_json_str(row, "name", ""), "default") != 0)
        return 0;
    return kr_fail(err, KR_E_CONFLICT, "the default %s cannot be renamed or deleted", what);
}

int kr_component_rename(struct kr_app *app, enum kr_component_type type, const char *ref,
                        const char *name, struct kr_err *err)
{
    kr_auto_json json_t *found = NULL, *fields = NULL;

    if (kr_name_check("name", name, err) < 0 || kr_component_get(app, type, ref, &found, err) < 0 ||
        refuse_default(kind_of(type)->title, found, err) < 0)
        return -(int)err->code;
    fields = json_pack("{s:s,s:s}", "name", name, "type", kind_of(type)->key);
    return kr_store_update(app->store, KR_COMPONENT, kr_json_str(found, "id", ""), fields, err);
}

int kr_component_copy(struct kr_app *app, enum kr_component_type type, const char *ref,
                      const char *name, json_t **row, struct kr_err *err)
{
    static const char *const own[] = {"id", "created", "updated", "user"};
    kr_auto_json json_t *found = NULL;

    if (kr_name_check("name", name, err) < 0 || kr_component_get(app, type, ref, &found, err) < 0)
        return -(int)err->code;
    for (size_t i = 0; i < KR_ARRAY_LEN(own); i++)
        (void)json_object_del(found, own[i]);
    kr_json_set_str(found, "name", name);
    return kr_store_insert(app->store, KR_COMPONENT, found, row, err);
}

static int refuse_in_stacks(struct kr_app *app, const struct kr_component_kind *kind,
                            const json_t *found, struct kr_err *err)
{
    const char *name = kr_json_str(found, "name", "");
    kr_auto_json json_t *scope = json_pack("{s:s}", kind->key, name), *page = NULL;
    struct kr_query query = {.page = 1, .size = 6};
    kr_auto_free char *names = NULL;

    if (kr_store_list(app->store, KR_STACK, &query, scope, &page, err) < 0)
        return -(int)err->code;
    if (json_array_size(json_object_get(page, "items")) == 0)
        return 0;
    names = kr_change_names(page);
    (void)kr_fail(err, KR_E_CONFLICT, "the %s '%s' is part of stacks: %s", kind->title, name,
                  names);
    if (kind->required)
        return kr_hint(err, "give the stack another one: %s stack update <stack> --%s=<name>",
                       app->prog, kind->key);
    return kr_hint(err, "take it out first: %s stack remove-component <stack> --%s", app->prog,
                   kind->key);
}

static int delete_found(struct kr_app *app, const struct kr_component_kind *kind,
                        const json_t *found, struct kr_err *err)
{
    const char *id = kr_json_str(found, "id", "");
    kr_auto_free char *what =
        kr_asprintf("the %s '%s'", kind->title, kr_json_str(found, "name", ""));

    if (refuse_default(kind->title, found, err) < 0 ||
        refuse_in_stacks(app, kind, found, err) < 0 ||
        kr_change_refuse_in_use(app, "deployer_id", id, what, err) < 0)
        return -(int)err->code;
    return kr_store_delete(app->store, KR_COMPONENT, id, err);
}

int kr_component_delete(struct kr_app *app, enum kr_component_type type, const char *ref,
                        struct kr_err *err)
{
    kr_auto_json json_t *found = NULL;
    int rc;

    if (kr_store_begin(app->store, err) < 0)
        return -(int)err->code;
    rc = kr_component_get(app, type, ref, &found, err);
    rc = rc < 0 ? rc : delete_found(app, kind_of(type), found, err);
    return kr_change_end(app, rc, NULL, NULL, err);
}

void kr_component_mask(json_t *row)
{
    const struct kr_component_kind *kind = kr_component_kind_find(kr_json_str(row, "type", ""));
    const struct kr_flavor *flavor =
        kind != NULL ? kr_flavor_find(kind->type, kr_json_str(row, "flavor", "")) : NULL;
    json_t *config = json_object_get(row, "config");

    for (size_t i = 0; flavor != NULL && i < flavor->table->count; i++) {
        const struct kr_setting *setting = &flavor->table->rows[i];
        const char *text = kr_json_str(config, setting->name, NULL);

        if (setting->sensitive && text != NULL && !kr_secret_ref_parse(text, NULL, NULL))
            kr_json_set_str(config, setting->name, MASKED);
    }
}
