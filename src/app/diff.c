/* SPDX-License-Identifier: Apache-2.0 */
/* What a redeploy of the recorded source would change. */
#include "app/code.h"
#include "app/deployment.h"
#include "app/rollout.h"
#include "app/target.h"
#include "base/alloc.h"
#include "base/path.h"
#include "pack/bundle.h"

#include <string.h>

enum { MAX_DEPTH = 32 };

static json_t *shared(const json_t *value)
{
    return value != NULL ? json_incref((json_t *)(uintptr_t)value) : json_null();
}

static void add_change(json_t *changes, const char *path, const json_t *from, const json_t *to)
{
    json_t *change = json_object();

    kr_json_set_str(change, "path", path);
    kr_json_set(change, "from", shared(from));
    kr_json_set(change, "to", shared(to));
    (void)json_array_append_new(changes, change);
}

/* Objects are compared key by key, everything else as a whole. */
static void compare(const char *path, const json_t *from, const json_t *to, int depth,
                    json_t *changes)
{
    kr_auto_json json_t *keys = NULL;
    const char *key;
    json_t *value;

    if (from == to || (from != NULL && to != NULL && json_equal(from, to)))
        return;
    if (!json_is_object(from) || !json_is_object(to) || depth > MAX_DEPTH) {
        add_change(changes, path, from, to);
        return;
    }
    keys = json_copy((json_t *)(uintptr_t)from);
    (void)json_object_update(keys, (json_t *)(uintptr_t)to);
    json_object_foreach(keys, key, value)
    {
        kr_auto_free char *below =
            path[0] != '\0' ? kr_asprintf("%s.%s", path, key) : kr_strdup(key);

        compare(below, json_object_get(from, key), json_object_get(to, key), depth + 1, changes);
    }
}

static void add_file(json_t *list, const char *path, const char *what)
{
    json_t *file = json_object();

    kr_json_set_str(file, "path", path);
    kr_json_set_str(file, "change", what);
    (void)json_array_append_new(list, file);
}

static int collect(struct kr_app *app, const char *root, struct kr_files *files, struct kr_err *err)
{
    kr_auto_free char *cache = kr_path_join(app->data_dir, "cache");
    kr_auto_json json_t *warnings = json_array();
    struct kr_bundle bundle = {.root = root, .cache_dir = cache};

    return kr_bundle_collect(&bundle, files, warnings, err);
}

/* Files of the kept copy against those of the source root; nothing when no copy was kept. */
static int compare_files(struct kr_app *app, const json_t *document, const char *root, json_t *list,
                         struct kr_err *err)
{
    kr_auto_free char *kept = kr_code_kept(app, document);
    kr_auto_files struct kr_files before = {0}, now = {0};

    if (kept == NULL)
        return 0;
    if (collect(app, kept, &before, err) < 0 || collect(app, root, &now, err) < 0)
        return -(int)err->code;
    for (size_t i = 0; i < now.n; i++) {
        const struct kr_file *old = kr_files_find(&before, now.v[i].path);

        if (old == NULL)
            add_file(list, now.v[i].path, "added");
        else if (strcmp(old->sha256, now.v[i].sha256) != 0)
            add_file(list, now.v[i].path, "changed");
    }
    for (size_t i = 0; i < before.n; i++) {
        if (kr_files_find(&now, before.v[i].path) == NULL)
            add_file(list, before.v[i].path, "removed");
    }
    return 0;
}

static int remake(struct kr_app *app, const json_t *row, const json_t *snapshot,
                  struct kr_made *made, struct kr_err *err)
{
    const json_t *asked = kr_json_at(row, "settings", "request", NULL);
    kr_auto_json json_t *deployer = NULL;
    struct kr_deploy_request request = {
        .source = kr_json_str(kr_json_at(snapshot, "document", "pipeline", NULL), "source", NULL),
        .python = kr_json_str(snapshot, "python", NULL),
        .config_file = kr_json_str(asked, "config_file", NULL),
        .build_mode = kr_json_str(asked, "build_mode", NULL),
        .prevent_build_reuse = kr_json_bool(asked, "prevent_build_reuse", false),
    };

    if (kr_deployment_deployer(app, row, &deployer, err) < 0)
        return -(int)err->code;
    return kr_make(app, &request, kr_json_str(snapshot, "source_root", ""), NULL, deployer, made,
                   err);
}

static int add_plan(struct kr_app *app, const json_t *row, const struct kr_made *made, json_t *out,
                    struct kr_err *err)
{
    kr_auto_json json_t *fields = json_object();
    struct kr_rollout rollout = {
        .existing = row, .fields = fields, .made = made, .verb = "diff", .dry_run = true};
    json_t *plan = NULL;

    if (kr_rollout(app, &rollout, &plan, err) < 0)
        return -(int)err->code;
    kr_json_set(out, "plan", plan);
    return 0;
}

/* What the deployer's plan says of itself: a number of changes, or that there is none. */
static bool does_nothing(const json_t *out)
{
    const json_t *plan = json_object_get(out, "plan");

    return kr_json_int(plan, "changes", 0) == 0 && kr_json_bool(plan, "unchanged", true);
}

int kr_deployment_diff(struct kr_app *app, const char *ref, json_t **changes, struct kr_err *err)
{
    kr_auto_json json_t *row = NULL, *snapshot = NULL, *out = json_object();
    kr_auto_made struct kr_made made = {0};
    json_t *list = json_array(), *files = json_array();
    const json_t *document;

    *changes = NULL;
    kr_json_set(out, "changes", list);
    kr_json_set(out, "files", files);
    if (kr_deployment_row(app, ref, &row, err) < 0)
        return -(int)err->code;
    if (kr_json_str(row, "snapshot_id", NULL) == NULL)
        return kr_fail(err, KR_E_INVALID, "deployment '%s' has no snapshot",
                       kr_json_str(row, "name", "?"));
    if (kr_store_find(app->store, KR_SNAPSHOT, kr_json_str(row, "snapshot_id", ""), NULL, &snapshot,
                      err) < 0 ||
        remake(app, row, snapshot, &made, err) < 0)
        return -(int)err->code;
    document = json_object_get(snapshot, "document");
    compare("", document, made.document, 0, list);
    if (compare_files(app, document, made.source_root, files, err) < 0 ||
        add_plan(app, row, &made, out, err) < 0)
        return -(int)err->code;
    kr_json_set_str(out, "name", kr_json_str(row, "name", NULL));
    kr_json_set_bool(out, "unchanged", json_array_size(list) == 0 && does_nothing(out));
    *changes = kr_steal(&out);
    return 0;
}
