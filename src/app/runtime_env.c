/* SPDX-License-Identifier: Apache-2.0 */
#include "app/runtime_env.h"

#include "app/secret.h"
#include "app/stack.h"
#include "base/redact.h"

#include <string.h>

struct maps {
    json_t *environment, *secrets, *stack;
};

static void maps_finish(struct maps *maps)
{
    json_decref(maps->environment);
    json_decref(maps->secrets);
    json_decref(maps->stack);
}

static void add_values(json_t *to, json_t *other, const json_t *values)
{
    const char *key;
    json_t *value;

    json_object_foreach((json_t *)(uintptr_t)values, key, value)
    {
        if (!json_is_string(value))
            continue;
        kr_json_set(to, key, json_incref(value));
        (void)json_object_del(other, key);
    }
}

static int add_secret(struct kr_app *app, const char *name, const char *whose, struct maps *maps,
                      struct kr_err *err)
{
    kr_auto_json json_t *row = NULL;
    const char *key;
    json_t *value;

    if (kr_secret_get(app, name, &row, err) < 0)
        return kr_wrap(err, "%s", whose);
    json_object_foreach(json_object_get(row, "values"), key, value)
        kr_redact_add(json_string_value(value));
    add_values(maps->secrets, maps->environment, json_object_get(row, "values"));
    return 0;
}

static int add_level(struct kr_app *app, const json_t *environment, const json_t *names,
                     const char *whose, struct maps *maps, struct kr_err *err)
{
    const json_t *item;
    size_t i;

    add_values(maps->environment, maps->secrets, environment);
    json_array_foreach(names, i, item)
    {
        if (json_is_string(item) && add_secret(app, json_string_value(item), whose, maps, err) < 0)
            return -(int)err->code;
    }
    return 0;
}

static int add_components(struct kr_app *app, const json_t *stack, struct maps *maps,
                          struct kr_err *err)
{
    for (int type = 0; type < KR_COMPONENT_TYPE_COUNT; type++) {
        const struct kr_component_kind *kind = &kr_component_kinds[type];
        kr_auto_json json_t *row = NULL;

        if (kr_stack_component(app, stack, kind->type, &row, err) < 0) {
            if (err->code != KR_E_NOT_FOUND ||
                kr_json_at(stack, "components", kind->key, NULL) != NULL)
                return -(int)err->code;
            kr_err_clear(err);
            continue;
        }
        if (add_level(app, json_object_get(row, "env"), json_object_get(row, "secrets"),
                      kind->title, maps, err) < 0)
            return -(int)err->code;
        kr_json_set(maps->stack, kind->key, json_incref(row));
    }
    return 0;
}

int kr_runtime_env(struct kr_app *app, const json_t *deployment, const json_t *document,
                   json_t **environment, json_t **secrets, json_t **stack, struct kr_err *err)
{
    kr_auto(maps_finish) struct maps maps = {json_object(), json_object(), json_object()};
    const char *id = kr_json_str(deployment, "stack_id", NULL);
    kr_auto_json json_t *row = NULL;

    if (id != NULL) {
        if (kr_stack_get(app, id, &row, err) < 0 || add_components(app, row, &maps, err) < 0 ||
            add_level(app, json_object_get(row, "env"), json_object_get(row, "secrets"), "stack",
                      &maps, err) < 0)
            return -(int)err->code;
    }
    if (add_level(app, json_object_get(document, "environment"),
                  json_object_get(document, "secrets"), "pipeline", &maps, err) < 0)
        return -(int)err->code;
    *environment = kr_steal(&maps.environment);
    *secrets = kr_steal(&maps.secrets);
    *stack = kr_steal(&maps.stack);
    return 0;
}
