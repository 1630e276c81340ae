/* SPDX-License-Identifier: Apache-2.0 */
#include "core/setting.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "base/env.h"
#include "core/flavor.h"
#include "core/name.h"

#include <string.h>

enum { MAX_EXPANDED = 1 << 20, SHOWN_VALUE = 40 };

static const struct kr_settings_table *const general[] = {
    &kr_docker_settings,
    &kr_deployment_settings,
    &kr_resource_settings,
};

/* Kinds of components, and steps, that other systems configure in code; their settings mean nothing
 * here. */
static const char *const foreign_kinds[] = {
    "orchestrator",       "artifact_store", "container_registry", "image_builder",
    "step_operator",      "model_deployer", "model_registry",     "alerter",
    "annotator",          "data_validator", "feature_store",      "log_store",
    "experiment_tracker", "step",
};

/* ${NAME} at p: its name (caller frees) and where it ends, or NULL. */
static char *placeholder(const char *p, const char **end)
{
    const char *close;

    if (p[0] != '$' || p[1] != '{')
        return NULL;
    close = strchr(p + 2, '}');
    if (close == NULL || close == p + 2)
        return NULL;
    for (const char *c = p + 2; c < close; c++) {
        if (strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_0123456789", *c) == NULL)
            return NULL;
    }
    *end = close + 1;
    return kr_strndup(p + 2, (size_t)(close - p - 2));
}

static int expand_text(const char *text, const char *where, json_t **out, struct kr_err *err)
{
    kr_auto_buf struct kr_buf made = KR_BUF_INIT(MAX_EXPANDED);

    for (const char *p = text; *p != '\0';) {
        const char *end = NULL, *value;
        kr_auto_free char *name = NULL;

        if (strncmp(p, "$${", 3) == 0) {
            kr_buf_adds(&made, "${");
            p += 3;
            continue;
        }
        name = placeholder(p, &end);
        if (name == NULL) {
            kr_buf_addc(&made, *p++);
            continue;
        }
        value = kr_env_get(name);
        if (value == NULL) {
            (void)kr_fail(err, KR_E_INVALID, "%s: ${%s}: the environment variable is not set",
                          where, name);
            return kr_hint(err, "set it: export %s=...", name);
        }
        kr_buf_adds(&made, value);
        p = end;
    }
    if (kr_buf_check(&made, err) < 0)
        return kr_wrap(err, "%s", where);
    *out = json_string(kr_buf_str(&made));
    if (*out == NULL)
        return kr_fail(err, KR_E_INVALID, "%s: an environment variable in '%s' is not UTF-8", where,
                       text);
    return 0;
}

/* An app gets the variables that are set here: `environment: {KEY: ${KEY}}` with KEY unset passes
 * nothing on instead of failing. */
static bool passes_unset(const json_t *value)
{
    const char *text = json_string_value(value), *end = NULL;
    kr_auto_free char *name = text != NULL ? placeholder(text, &end) : NULL;

    return name != NULL && *end == '\0' && kr_env_get(name) == NULL;
}

static int expand_map(const json_t *map, const char *where, bool environment, json_t **out,
                      struct kr_err *err)
{
    kr_auto_json json_t *made = json_object();
    const char *key;
    json_t *value, *child = NULL;

    json_object_foreach((json_t *)(uintptr_t)map, key, value)
    {
        bool env_map = strcmp(key, "environment") == 0 || strcmp(key, "runtime_environment") == 0;

        if (environment && passes_unset(value))
            continue;
        if (json_is_object(value) ? expand_map(value, where, env_map, &child, err) < 0
                                  : kr_settings_expand_env(value, where, &child, err) < 0)
            return -(int)err->code;
        kr_json_set(made, key, child);
    }
    *out = kr_steal(&made);
    return 0;
}

int kr_settings_expand_env(const json_t *value, const char *where, json_t **out, struct kr_err *err)
{
    kr_auto_json json_t *list = NULL;
    json_t *item, *child = NULL;
    size_t i;

    if (json_is_object(value))
        return expand_map(value, where, false, out, err);
    if (json_is_string(value) && strchr(json_string_value(value), '$') != NULL)
        return expand_text(json_string_value(value), where, out, err);
    if (!json_is_array(value)) {
        *out = json_incref((json_t *)(uintptr_t)value);
        return 0;
    }
    list = json_array();
    json_array_foreach(value, i, item)
    {
        if (kr_settings_expand_env(item, where, &child, err) < 0)
            return -(int)err->code;
        (void)json_array_append_new(list, child);
    }
    *out = kr_steal(&list);
    return 0;
}

/* Lays checked values over merged ones; null goes back to the default. */
static void lay_over(const struct kr_settings_table *table, json_t *merged, const json_t *values)
{
    kr_auto_json json_t *defaults = NULL, *over = json_object();
    const char *key;
    json_t *value;

    json_object_foreach((json_t *)(uintptr_t)values, key, value)
    {
        if (!json_is_null(value)) {
            kr_json_set(over, key, json_incref(value));
            continue;
        }
        if (defaults == NULL)
            defaults = kr_settings_defaults(table);
        kr_json_set(merged, key, json_incref(json_object_get(defaults, key)));
    }
    kr_json_merge(merged, over);
}

/* values without the keys that only another deployer flavor knows. */
static json_t *for_this_flavor(const struct kr_settings_table *table, const json_t *values)
{
    json_t *kept = json_object(), *value;
    const char *key;

    json_object_foreach((json_t *)(uintptr_t)values, key, value)
    {
        bool elsewhere = false;

        for (size_t i = 0; i < kr_flavor_count && !elsewhere; i++)
            elsewhere = kr_flavors[i].type == KR_DEPLOYER &&
                        kr_setting_find(kr_flavors[i].table, key) != NULL;
        if (kr_setting_find(table, key) != NULL || !elsewhere)
            kr_json_set(kept, key, json_incref(value));
    }
    return kept;
}

static int refuse_component_only(const struct kr_settings_table *table, const json_t *values,
                                 const char *where, struct kr_err *err)
{
    const char *key;
    json_t *value;

    json_object_foreach((json_t *)(uintptr_t)values, key, value)
    {
        const struct kr_setting *row = kr_setting_find(table, key);

        if (row != NULL && row->component_only) {
            (void)kr_fail(err, KR_E_INVALID, "%s: '%s' in %s belongs to the registered deployer",
                          where, key, table->title);
            return kr_hint(err, "deployer update <name> --%s=...", key);
        }
    }
    return 0;
}

static void note_ignored(const struct kr_settings_table *table, const struct kr_setting *row,
                         const char *where, json_t *notes)
{
    kr_auto_free char *text =
        row->ignored != NULL
            ? kr_asprintf("%s: '%s' in %s has no effect: %s", where, row->name, table->title,
                          row->ignored)
            : kr_asprintf("%s: '%s' in %s has no effect: only the %s deployer takes it", where,
                          row->name, table->title, row->only);

    if (notes != NULL)
        (void)json_array_append_new(notes, json_string(text));
}

/* The maps inside of a value, one or a list of them. */
static void ignored_inside(const struct kr_setting *row, const json_t *value, const char *where,
                           const char *deployer_flavor, json_t *notes)
{
    kr_auto_free char *inside = kr_asprintf("%s: '%s'", where, row->name);
    const json_t *item;
    size_t i;

    if (json_is_object(value))
        kr_settings_ignored(row->inner, value, inside, deployer_flavor, notes);
    json_array_foreach(value, i, item)
        kr_settings_ignored(row->inner, item, inside, deployer_flavor, notes);
}

void kr_settings_ignored(const struct kr_settings_table *table, const json_t *values,
                         const char *where, const char *deployer_flavor, json_t *notes)
{
    kr_auto_json json_t *defaults = kr_settings_defaults(table);
    const char *key;
    json_t *value;

    json_object_foreach((json_t *)(uintptr_t)values, key, value)
    {
        const struct kr_setting *row = kr_setting_find(table, key);
        bool elsewhere = row != NULL && row->only != NULL && deployer_flavor != NULL &&
                         strcmp(row->only, deployer_flavor) != 0;

        if (row == NULL || json_is_null(value) || json_equal(value, json_object_get(defaults, key)))
            continue;
        if (row->ignored != NULL || elsewhere)
            note_ignored(table, row, where, notes);
        else if (row->inner != NULL)
            ignored_inside(row, value, where, deployer_flavor, notes);
    }
}

/* What a merge works with. */
struct merge {
    const char *flavor;
    const struct kr_settings_table *deployer;
    json_t *merged, *notes;
    json_t *said;     /* what the layers before say, by table */
    json_t *says;     /* what this one says */
    const char *last; /* where the layer before stands */
};

/* A value in few letters. */
static char *shown(const struct kr_setting *row, const json_t *value)
{
    kr_auto_free char *text = NULL;

    if (row == NULL || row->sensitive)
        return kr_strdup("...");
    text = kr_json_canonical(value);
    return kr_asprintf("%.*s%s", SHOWN_VALUE, text, strlen(text) > SHOWN_VALUE ? "..." : "");
}

/* Whether the later of two values takes something of the earlier one away: maps are laid over each
 * other key by key. */
static bool changes(const json_t *before, const json_t *value)
{
    const char *key;
    json_t *old;

    if (!json_is_object(before) || !json_is_object(value))
        return !json_equal(before, value);
    json_object_foreach((json_t *)(uintptr_t)before, key, old)
    {
        const json_t *now = json_object_get(value, key);

        if (now != NULL && changes(old, now))
            return true;
    }
    return false;
}

/* "deployment.uvicorn_workers is 2 (not 3), ...": what a layer changes of what those before say. */
static void list_changes(const struct merge *m, const struct kr_settings_table *table,
                         struct kr_buf *out)
{
    const char *name = table == m->deployer ? "deployer" : table->key, *key;
    const json_t *said = json_object_get(m->said, name);
    json_t *value;

    json_object_foreach(json_object_get(m->says, name), key, value)
    {
        const json_t *old = json_object_get(said, key);
        const struct kr_setting *row = kr_setting_find(table, key);
        kr_auto_free char *now = NULL, *before = NULL;

        if (old == NULL || !changes(old, value))
            continue;
        now = shown(row, value);
        before = shown(row, old);
        kr_buf_addf(out, "%s%s.%s is %s (not %s)", out->n > 0 ? ", " : "", name, key, now, before);
    }
}

/* A layer ends: it tells what it has changed, and stands before the next. */
static void end_layer(struct merge *m, const struct kr_settings_layer *layer)
{
    kr_auto_buf struct kr_buf changed = KR_BUF_INIT(MAX_EXPANDED);

    if (layer->tells != NULL && m->last != NULL) {
        for (size_t i = 0; i < KR_ARRAY_LEN(general); i++)
            list_changes(m, general[i], &changed);
        list_changes(m, m->deployer, &changed);
    }
    if (changed.n > 0) {
        kr_auto_free char *line =
            kr_asprintf("%s wins over %s: %s", layer->where, m->last, kr_buf_str(&changed));

        (void)json_array_append_new(layer->tells, json_string(line));
    }
    if (json_object_size(m->says) > 0)
        m->last = layer->where;
    kr_json_merge(m->said, m->says);
    (void)json_object_clear(m->says);
}

static void remember(json_t *says, const char *table, const json_t *values)
{
    kr_auto_json json_t *copy = json_deep_copy(values);
    json_t *there = json_object_get(says, table);

    if (there == NULL)
        kr_json_set(says, table, json_incref(copy));
    else
        kr_json_merge(there, copy);
}

static int add_values(const struct merge *m, const struct kr_settings_table *table,
                      const json_t *raw, const char *where, bool in_code, struct kr_err *err)
{
    json_t *merged = json_object_get(m->merged, table == m->deployer ? "deployer" : table->key);
    kr_auto_json json_t *expanded = NULL, *checked = NULL;

    if (json_is_null(raw))
        return 0;
    if (in_code && refuse_component_only(table, raw, where, err) < 0)
        return -(int)err->code;
    if (in_code && kr_settings_expand_env(raw, where, &expanded, err) < 0)
        return -(int)err->code;
    if (kr_settings_check(table, in_code ? expanded : raw, where, &checked, err) < 0)
        return -(int)err->code;
    kr_settings_ignored(table, checked, where, m->flavor, m->notes);
    if (in_code)
        remember(m->says, table == m->deployer ? "deployer" : table->key, checked);
    lay_over(table, merged, checked);
    return 0;
}

static bool is_foreign(const char *key)
{
    size_t n = strcspn(key, ".");

    for (size_t i = 0; i < KR_ARRAY_LEN(foreign_kinds); i++) {
        if (strlen(foreign_kinds[i]) == n && strncmp(foreign_kinds[i], key, n) == 0)
            return true;
    }
    return false;
}

/* A key of a layer that is none of ours: fine when it configures something that is not used here,
 * an error with a suggestion when it looks like a slip. */
static int check_layer_key(const char *key, const char *where, struct kr_err *err)
{
    static const char *const known[] = {"docker", "deployment", "resources", "deployer"};
    const char *const prefix = "deployer.", *flavors[16], *near;
    size_t n = 0;

    for (size_t i = 0; i < KR_ARRAY_LEN(known); i++) {
        if (strcmp(known[i], key) == 0)
            return 0;
    }
    if (strncmp(key, prefix, strlen(prefix)) == 0) {
        const char *flavor = key + strlen(prefix);

        for (size_t i = 0; i < kr_flavor_count && n < KR_ARRAY_LEN(flavors); i++) {
            if (kr_flavors[i].type == KR_DEPLOYER)
                flavors[n++] = kr_flavors[i].name;
        }
        near = kr_name_nearest(flavor, flavors, n);
        if (near == NULL || strcmp(near, flavor) == 0)
            return 0;
        return kr_fail(err, KR_E_INVALID,
                       "%s: unknown settings key '%s'; did you mean 'deployer.%s'?", where, key,
                       near);
    }
    if (is_foreign(key))
        return 0;
    near = kr_name_nearest(key, known, KR_ARRAY_LEN(known));
    (void)kr_fail(err, KR_E_INVALID, "%s: unknown settings key '%s'%s%s%s", where, key,
                  near != NULL ? "; did you mean '" : "", near != NULL ? near : "",
                  near != NULL ? "'?" : "");
    return kr_hint(err, "known keys: docker, deployment, resources, deployer, deployer.<flavor>");
}

static void note_foreign(const struct merge *m, const char *key, const char *where)
{
    kr_auto_free char *text = NULL;

    if (!is_foreign(key) || m->notes == NULL)
        return;
    text = kr_asprintf("%s: settings of '%s' have no effect: %s", where, key,
                       strncmp(key, "step.", 5) == 0
                           ? "all steps share the processes of the server; set them on the pipeline"
                           : "nothing of that kind takes part in a deployment");
    (void)json_array_append_new(m->notes, json_string(text));
}

static int add_layer(struct merge *m, const struct kr_settings_layer *layer, struct kr_err *err)
{
    kr_auto_json json_t *kept = NULL;
    const json_t *raw;
    const char *key;
    json_t *value;

    if (layer->settings == NULL || json_is_null(layer->settings))
        return 0;
    if (!json_is_object(layer->settings))
        return kr_fail(err, KR_E_INVALID, "%s: settings are %s, expected a map", layer->where,
                       kr_json_type_name(layer->settings));
    json_object_foreach((json_t *)(uintptr_t)layer->settings, key, value)
    {
        if (check_layer_key(key, layer->where, err) < 0)
            return -(int)err->code;
        note_foreign(m, key, layer->where);
    }
    for (size_t i = 0; i < KR_ARRAY_LEN(general); i++) {
        raw = json_object_get(layer->settings, general[i]->key);
        if (raw != NULL && add_values(m, general[i], raw, layer->where, true, err) < 0)
            return -(int)err->code;
    }
    raw = json_object_get(layer->settings, "deployer");
    if (json_is_object(raw))
        raw = kept = for_this_flavor(m->deployer, raw);
    if (raw != NULL && add_values(m, m->deployer, raw, layer->where, true, err) < 0)
        return -(int)err->code;
    raw = json_object_get(layer->settings, m->deployer->key);
    if (raw != NULL && add_values(m, m->deployer, raw, layer->where, true, err) < 0)
        return -(int)err->code;
    end_layer(m, layer);
    return 0;
}

int kr_settings_merge(const char *deployer_flavor, const json_t *component_config,
                      const struct kr_settings_layer *layers, size_t count, json_t *notes,
                      json_t **out, struct kr_err *err)
{
    const struct kr_flavor *flavor = kr_flavor_find(KR_DEPLOYER, deployer_flavor);
    kr_auto_json json_t *merged = NULL, *said = json_object(), *says = json_object();
    const json_t *docker;
    struct merge m;

    if (flavor == NULL)
        return kr_fail(err, KR_E_NOT_FOUND, "no deployer flavor '%s'", deployer_flavor);
    merged = json_object();
    for (size_t i = 0; i < KR_ARRAY_LEN(general); i++)
        kr_json_set(merged, general[i]->key, kr_settings_defaults(general[i]));
    kr_json_set(merged, "deployer", kr_settings_defaults(flavor->table));
    m = (struct merge){deployer_flavor, flavor->table, merged, notes, said, says, NULL};
    if (component_config != NULL && add_values(&m, flavor->table, component_config,
                                               "configuration of the deployer", false, err) < 0)
        return -(int)err->code;
    for (size_t i = 0; i < count; i++) {
        if (add_layer(&m, &layers[i], err) < 0)
            return -(int)err->code;
    }
    docker = json_object_get(merged, "docker");
    if (kr_json_bool(docker, "skip_build", false) &&
        kr_json_str(docker, "parent_image", NULL) == NULL) {
        (void)kr_fail(err, KR_E_INVALID, "'skip_build' in docker settings needs 'parent_image'");
        return kr_hint(err, "name the image to run: DockerSettings(skip_build=True, "
                            "parent_image=\"registry/name:tag\")");
    }
    *out = kr_steal(&merged);
    return 0;
}

int kr_settings_decide(const struct kr_settings_sources *sources, json_t *notes, json_t **out,
                       struct kr_err *err)
{
    const struct kr_settings_layer layers[] = {sources->code, sources->file, sources->command_line};

    return kr_settings_merge(sources->deployer_flavor, sources->component, layers,
                             KR_ARRAY_LEN(layers), notes, out, err);
}
