/* SPDX-License-Identifier: Apache-2.0 */
/* Calls for secrets and variables; what is to be called is decided in vars_plan.c. */
#include "hub/vars.h"

#include "base/alloc.h"
#include "hub/hub_impl.h"

#include <string.h>

static const char *noun(enum kr_var_kind kind)
{
    return kind == KR_SECRET ? "secret" : "variable";
}

static char *path_of(const char *space, enum kr_var_kind kind)
{
    return kr_asprintf("/api/spaces/%s/%ss", space, noun(kind));
}

int kr_vars_check_key(const char *key, struct kr_err *err)
{
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    static const char more[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_";

    if (key[0] != '\0' && strchr(letters, key[0]) != NULL && key[strspn(key, more)] == '\0')
        return 0;
    (void)kr_fail(err, KR_E_INVALID, "'%.100s' is not a name for a variable or secret of a Space",
                  key);
    return kr_hint(err, "it begins with a letter, then come letters, digits and '_'");
}

/* Answers are maps; old ones may hold plain values. */
static json_t *normalised(const json_t *body)
{
    json_t *out = json_object(), *value, *entry;
    const char *key;

    json_object_foreach((json_t *)(uintptr_t)body, key, value)
    {
        entry = json_object();
        if (json_is_string(value))
            kr_json_set(entry, "value", json_incref(value));
        if (json_is_object(value))
            (void)json_object_update(entry, value);
        kr_json_set(out, key, entry);
    }
    return out;
}

int kr_vars_list(struct kr_hub *hub, const char *space, enum kr_var_kind kind, json_t **out,
                 struct kr_err *err)
{
    kr_auto_free char *doing = kr_asprintf("list the %ss of Space %s", noun(kind), space);
    kr_auto_free char *path = path_of(space, kind);
    kr_auto_json json_t *body = NULL;
    struct kr_hub_call call = {.doing = doing, .method = "GET", .path = path, .space = space};

    if (kr_hub_json(hub, &call, &body, err) < 0)
        return -(int)err->code;
    *out = normalised(body);
    return 0;
}

static int send_change(struct kr_hub *hub, const char *space, enum kr_var_kind kind,
                       const char *method, const char *key, const char *value, struct kr_err *err)
{
    kr_auto_free char *doing = kr_asprintf("%s %s %s of Space %s", value != NULL ? "set" : "delete",
                                           noun(kind), key, space);
    kr_auto_free char *path = path_of(space, kind);
    kr_auto_json json_t *body = json_object();
    struct kr_hub_call call = {.doing = doing,
                               .method = method,
                               .path = path,
                               .json = body,
                               .space = space,
                               .repeat = KR_REPEAT_SAFE};

    if (kr_vars_check_key(key, err) < 0)
        return -(int)err->code;
    kr_json_set_str(body, "key", key);
    if (value != NULL)
        kr_json_set_str(body, "value", value);
    return kr_hub_json(hub, &call, NULL, err);
}

int kr_vars_set(struct kr_hub *hub, const char *space, enum kr_var_kind kind, const char *key,
                const char *value, struct kr_err *err)
{
    return send_change(hub, space, kind, "POST", key, value, err);
}

int kr_vars_delete(struct kr_hub *hub, const char *space, enum kr_var_kind kind, const char *key,
                   struct kr_err *err)
{
    return send_change(hub, space, kind, "DELETE", key, NULL, err);
}

int kr_vars_apply(struct kr_hub *hub, const char *space, const struct kr_vars_plan *plan,
                  struct kr_err *err)
{
    for (size_t i = 0; i < plan->n; i++) {
        const struct kr_var_change *c = &plan->v[i];
        int rc = c->remove ? kr_vars_delete(hub, space, c->kind, c->key, err)
                           : kr_vars_set(hub, space, c->kind, c->key, c->value, err);

        if (rc < 0)
            return rc;
        kr_hub_progress(hub, "settings", "Setting secrets and variables", i + 1, plan->n, false,
                        i + 1 == plan->n);
    }
    return 0;
}
