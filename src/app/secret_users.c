/* SPDX-License-Identifier: Apache-2.0 */
/* Who would miss a secret that goes or gets another name. */
#include "app/secret.h"

#include "base/alloc.h"
#include "base/buf.h"
#include "core/component.h"
#include "core/secret_ref.h"

#include <string.h>

enum { SHOWN = 5, TEXT_MAX = 1 << 16 };

struct users {
    const char *name, *id; /* of the secret */
    struct kr_buf text;    /* "the deployer 'hf', the stack 'prod'" */
    size_t n;
};

static void add(struct users *users, const char *kind, const char *name)
{
    if (users->n++ < SHOWN)
        kr_buf_addf(&users->text, "%sthe %s '%s'", users->text.n > 0 ? ", " : "", kind, name);
}

/* Whether a component's configuration refers to the secret: {{name.key}}, or its name alone. */
static bool refers(const json_t *config, const char *secret)
{
    const char *key;
    json_t *value;

    json_object_foreach((json_t *)(uintptr_t)config, key, value)
    {
        kr_auto_free char *name = NULL;
        bool by_name = strcmp(key, "secret_name") == 0 || strcmp(key, "authentication_secret") == 0;

        if (!json_is_string(value))
            continue;
        if (kr_secret_ref_parse(json_string_value(value), &name, NULL)
                ? strcmp(name, secret) == 0
                : by_name && strcmp(json_string_value(value), secret) == 0)
            return true;
    }
    return false;
}

/* Whether a list of secrets of a component, a stack or a pipeline names it. */
static bool lists(const json_t *names, const struct users *users)
{
    const json_t *item;
    size_t i;

    json_array_foreach(names, i, item)
    {
        const char *text = json_string_value(item);

        if (text != NULL && (strcmp(text, users->name) == 0 || strcmp(text, users->id) == 0))
            return true;
    }
    return false;
}

static int of_components_and_stacks(struct kr_app *app, struct users *users, struct kr_err *err)
{
    const struct kr_query by_name = {.sort_by = "asc:name", .page = 1};
    kr_auto_json json_t *components = NULL, *stacks = NULL;
    const json_t *row;
    size_t i;

    if (kr_store_list(app->store, KR_COMPONENT, &by_name, NULL, &components, err) < 0 ||
        kr_store_list(app->store, KR_STACK, &by_name, NULL, &stacks, err) < 0)
        return -(int)err->code;
    json_array_foreach(json_object_get(components, "items"), i, row)
    {
        const struct kr_component_kind *kind = kr_component_kind_find(kr_json_str(row, "type", ""));

        if (kind != NULL && (refers(json_object_get(row, "config"), users->name) ||
                             lists(json_object_get(row, "secrets"), users)))
            add(users, kind->title, kr_json_str(row, "name", ""));
    }
    json_array_foreach(json_object_get(stacks, "items"), i, row)
    {
        if (lists(json_object_get(row, "secrets"), users))
            add(users, "stack", kr_json_str(row, "name", ""));
    }
    return 0;
}

/* The pipeline's own list stands in its snapshot; the auth key may be a reference. */
static int of_deployments(struct kr_app *app, struct users *users, struct kr_err *err)
{
    const struct kr_query by_name = {.sort_by = "asc:name", .page = 1};
    kr_auto_json json_t *page = NULL;
    const json_t *row;
    size_t i;

    if (kr_store_list(app->store, KR_DEPLOYMENT, &by_name, NULL, &page, err) < 0)
        return -(int)err->code;
    json_array_foreach(json_object_get(page, "items"), i, row)
    {
        const char *id = kr_json_str(row, "snapshot_id", NULL);
        kr_auto_json json_t *snapshot = NULL, *own = json_object();
        struct kr_err gone = KR_ERR_INIT;

        kr_json_set_str(own, "auth_key", kr_json_str(row, "auth_key", ""));
        if (id != NULL && kr_store_find(app->store, KR_SNAPSHOT, id, NULL, &snapshot, &gone) < 0)
            kr_err_clear(&gone); /* it can be deployed no more, whatever it needs */
        if (refers(own, users->name) ||
            lists(kr_json_at(snapshot, "document", "secrets", NULL), users))
            add(users, "deployment", kr_json_str(row, "name", ""));
    }
    return 0;
}

int kr_secret_check_unused(struct kr_app *app, const json_t *secret, bool force, struct kr_err *err)
{
    kr_auto_buf struct kr_buf more = KR_BUF_INIT(64);
    struct users users = {.name = kr_json_str(secret, "name", ""),
                          .id = kr_json_str(secret, "id", ""),
                          .text = KR_BUF_INIT(TEXT_MAX)};
    int rc = of_components_and_stacks(app, &users, err);

    if (rc == 0)
        rc = of_deployments(app, &users, err);
    if (users.n > SHOWN)
        kr_buf_addf(&more, " and %zu more", users.n - SHOWN);
    if (rc == 0 && users.n > 0 && force) {
        kr_note(app, KR_NOTE_WARN, "The secret '%s' is in use: %s%s", users.name,
                kr_buf_str(&users.text), kr_buf_str(&more));
    } else if (rc == 0 && users.n > 0) {
        (void)kr_fail(err, KR_E_CONFLICT, "the secret '%s' is in use: %s%s", users.name,
                      kr_buf_str(&users.text), kr_buf_str(&more));
        rc = kr_hint(err, "change them first, or pass --force");
    }
    kr_buf_finish(&users.text);
    return rc;
}
