/* SPDX-License-Identifier: Apache-2.0 */
/* Stored snapshots and pipelines. */
#include "app/code.h"
#include "app/deploy.h"
#include "app/make.h"
#include "app/stack.h"
#include "core/name.h"

#include <string.h>

static int deployer_of(struct kr_app *app, const json_t *stack, json_t **deployer,
                       struct kr_err *err)
{
    const char *id = kr_json_str(kr_json_at(stack, "components", "deployer", NULL), "id", NULL);

    if (id == NULL) {
        (void)kr_fail(err, KR_E_INVALID, "stack '%s' has no deployer, so settings have no meaning",
                      kr_json_str(stack, "name", "?"));
        return kr_hint(err, "%s stack update %s -D <deployer>", app->prog,
                       kr_json_str(stack, "name", "?"));
    }
    return kr_store_find(app->store, KR_COMPONENT, id, NULL, deployer, err);
}

int kr_snapshot_create(struct kr_app *app, const struct kr_deploy_request *request,
                       const char *name, const char *description, bool replace, const json_t *tags,
                       json_t **row, struct kr_err *err)
{
    struct kr_snapshot_label label = {
        .name = name, .description = description, .tags = tags, .replace = replace};
    kr_auto_json json_t *stack = NULL, *deployer = NULL;
    kr_auto_made struct kr_made made = {0};

    *row = NULL;
    if ((name != NULL && kr_name_check("snapshot name", name, err) < 0) ||
        kr_stack_get(app, request->stack, &stack, err) < 0 ||
        deployer_of(app, stack, &deployer, err) < 0 ||
        kr_make(app, request, app->source_root, stack, deployer, &made, err) < 0)
        return -(int)err->code;
    return kr_made_store(app, &made, stack,
                         name != NULL || description != NULL || tags != NULL ? &label : NULL, row,
                         err);
}

/* Fails when deployments refer to one of the snapshots. */
static int refuse_deployed(struct kr_app *app, const json_t *ids, const char *what,
                           struct kr_err *err)
{
    kr_auto_json json_t *scope = json_object(), *page = NULL;
    const json_t *first;

    kr_json_set(scope, "snapshot_id", json_incref((json_t *)(uintptr_t)ids));
    if (kr_store_list(app->store, KR_DEPLOYMENT, NULL, scope, &page, err) < 0)
        return -(int)err->code;
    first = json_array_get(json_object_get(page, "items"), 0);
    if (first == NULL)
        return 0;
    (void)kr_fail(err, KR_E_CONFLICT, "%s is used by the deployment '%s'", what,
                  kr_json_str(first, "name", "?"));
    return kr_hint(err, "delete it first: %s deployment delete %s", app->prog,
                   kr_json_str(first, "name", "?"));
}

int kr_snapshot_delete(struct kr_app *app, const char *ref, struct kr_err *err)
{
    kr_auto_json json_t *row = NULL, *ids = json_array();
    const char *id;

    if (kr_store_find(app->store, KR_SNAPSHOT, ref, NULL, &row, err) < 0)
        return -(int)err->code;
    id = kr_json_str(row, "id", "");
    (void)json_array_append_new(ids, json_string(id));
    if (refuse_deployed(app, ids, "the snapshot", err) < 0 ||
        kr_store_delete(app->store, KR_SNAPSHOT, id, err) < 0)
        return -(int)err->code;
    kr_code_prune(app);
    return 0;
}

int kr_pipeline_delete(struct kr_app *app, const char *ref, struct kr_err *err)
{
    kr_auto_json json_t *row = NULL, *scope = json_object(), *page = NULL, *ids = json_array();
    const json_t *item;
    size_t i;

    if (kr_store_find(app->store, KR_PIPELINE, ref, NULL, &row, err) < 0)
        return -(int)err->code;
    kr_json_set_str(scope, "pipeline_id", kr_json_str(row, "id", ""));
    if (kr_store_list(app->store, KR_SNAPSHOT, NULL, scope, &page, err) < 0)
        return -(int)err->code;
    json_array_foreach(json_object_get(page, "items"), i, item)(void)
        json_array_append(ids, json_object_get(item, "id"));
    if (refuse_deployed(app, ids, "the pipeline", err) < 0 ||
        kr_store_delete(app->store, KR_PIPELINE, kr_json_str(row, "id", ""), err) < 0)
        return -(int)err->code;
    kr_code_prune(app);
    return 0;
}
