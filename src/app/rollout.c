/* SPDX-License-Identifier: Apache-2.0 */
#include "app/rollout.h"

#include "app/build.h"
#include "app/change.h"
#include "app/code.h"
#include "app/deployment.h"
#include "app/needs.h"
#include "app/target.h"
#include "base/alloc.h"
#include "base/path.h"
#include "base/id.h"

#include <string.h>

int kr_deployment_lock(struct kr_app *app, const char *name, int *fd, struct kr_err *err)
{
    kr_auto_free char *what = kr_asprintf("deploy:%s", name);

    if (kr_store_lock(app->store, what, fd, err) == 0)
        return 0;
    if (err->code != KR_E_CONFLICT)
        return -(int)err->code;
    (void)kr_wrap(err, "deployment '%s' is being worked on", name);
    return kr_hint(err, "wait until that is done, or stop it");
}

/* The record as it will be, before anything is stored: for checks and for the plan. */
static json_t *wanted_row(const struct kr_rollout *what)
{
    json_t *row =
        what->existing != NULL ? json_copy((json_t *)(uintptr_t)what->existing) : json_object();
    char id[KR_UUID_SIZE];

    (void)json_object_update(row, (json_t *)(uintptr_t)what->fields);
    if (what->existing == NULL)
        kr_json_set_str(row, "id", kr_uuid4(id));
    if (what->made != NULL) {
        json_t *snapshot = json_object();

        kr_json_set(snapshot, "document", json_incref(what->made->document));
        kr_json_set_str(snapshot, "source_root", what->made->source_root);
        kr_json_set_str(snapshot, "python", what->made->python);
        kr_json_set(row, "snapshot_row", snapshot);
    } else {
        kr_json_set(row, "snapshot_row", json_incref((json_t *)(uintptr_t)what->snapshot));
    }
    return row;
}

/* With auto_reload the folder itself is served, whatever has changed in it since. */
static bool follows_the_code(const struct kr_rollout *what, const struct kr_target *target)
{
    return !what->keep_root && kr_json_bool(target->what.settings, "auto_reload", false) &&
           kr_path_is_dir(target->source_root);
}

static int prepare(struct kr_app *app, const struct kr_rollout *what, const json_t *row,
                   const char *machine, struct kr_target *target, struct kr_err *err)
{
    if (kr_target_init(app, row, KR_TARGET_FULL, target, err) < 0)
        return -(int)err->code;
    target->what.adopt = what->adopt;
    target->what.dry_run = what->dry_run;
    target->what.rehearse = what->rehearse;
    target->what.prevent_build_reuse = what->prevent_build_reuse;
    target->what.image = what->image;
    target->what.machine = machine;
    if (what->allow_secrets != NULL)
        target->what.allow_secrets = what->allow_secrets;
    if (what->made != NULL || follows_the_code(what, target))
        return 0;
    if (kr_code_root(app, target->snapshot, what->keep_root, &target->source_root, err) < 0)
        return -(int)err->code;
    target->what.source_root = target->source_root;
    return 0;
}

/* Snapshots to come back to: the one that was deployed before, and the one that is now. */
static void set_history(const struct kr_rollout *what, const char *snapshot_id, json_t *change)
{
    const char *good = kr_json_str(json_object_get(what->existing, "settings"), "good", NULL);

    if (good != NULL && strcmp(good, snapshot_id) != 0)
        kr_json_set_str(change, "previous_snapshot_id", good);
}

/* It runs, and what it runs is what is wanted. */
static bool is_settled(const json_t *existing, const char *snapshot_id)
{
    const char *good = kr_json_str(json_object_get(existing, "settings"), "good", "");

    return strcmp(good, snapshot_id) == 0 &&
           strcmp(kr_json_str(existing, "status", ""), "running") == 0 &&
           strcmp(kr_json_str(existing, "snapshot_id", ""), snapshot_id) == 0;
}

static int store_record(struct kr_app *app, const struct kr_rollout *what, json_t *row,
                        struct kr_err *err)
{
    kr_auto_json json_t *snapshot = NULL, *change = json_copy((json_t *)(uintptr_t)what->fields);
    bool runs = strcmp(kr_json_str(what->existing, "status", ""), "running") == 0;
    const char *id = kr_json_str(row, "id", "");

    if (what->made == NULL)
        snapshot = json_incref((json_t *)(uintptr_t)what->snapshot);
    else if (kr_made_store(app, what->made, what->stack, NULL, &snapshot, err) < 0)
        return -(int)err->code;
    kr_json_set_str(change, "snapshot_id", kr_json_str(snapshot, "id", ""));
    if (!runs)
        kr_json_set_str(change, "status", kr_state_name(KR_STATE_PENDING));
    set_history(what, kr_json_str(snapshot, "id", ""), change);
    if (what->existing == NULL) {
        kr_json_set_str(change, "id", id);
        if (kr_store_insert(app->store, KR_DEPLOYMENT, change, NULL, err) < 0)
            return -(int)err->code;
    } else if (kr_store_update(app->store, KR_DEPLOYMENT, id, change, err) < 0) {
        return -(int)err->code;
    }
    kr_json_set(row, "snapshot_row", json_incref(snapshot));
    kr_json_set_str(row, "snapshot_id", kr_json_str(snapshot, "id", ""));
    if (is_settled(what->existing, kr_json_str(snapshot, "id", "")))
        return 0; /* most likely nothing is to be done, and then nothing happened */
    return kr_event_add(app, id, what->verb, kr_json_str(snapshot, "id", ""), err);
}

/* Snapshot, record and history are written together or not at all. */
static int store_all(struct kr_app *app, const struct kr_rollout *what, json_t *row,
                     struct kr_err *err)
{
    if (kr_store_begin(app->store, err) < 0)
        return -(int)err->code;
    return kr_change_end(app, store_record(app, what, row, err), NULL, NULL, err);
}

static int store_success(struct kr_app *app, const struct kr_target *target,
                         const struct kr_deployment_status *status, bool changed,
                         struct kr_err *err)
{
    kr_auto_json json_t *change = json_object();
    json_t *settings = json_object();
    json_t *asked = json_object_get(json_object_get(target->row, "settings"), "request");

    if (asked != NULL)
        kr_json_set(settings, "request", json_incref(asked));
    kr_json_set_str(settings, "good", target->what.snapshot_id);
    kr_json_set(change, "settings", settings);
    kr_json_set_str(change, "status", kr_state_name(status->state));
    kr_json_set_str(change, "url", status->url);
    kr_json_set_str(change, "page_url", status->page_url);
    kr_json_set_str(change, "error", NULL);
    if (status->metadata != NULL)
        kr_json_set(change, "metadata", json_deep_copy(status->metadata));
    if (kr_store_update(app->store, KR_DEPLOYMENT, target->what.id, change, err) < 0)
        return -(int)err->code;
    return changed ? kr_event_add(app, target->what.id, "deployed", target->what.snapshot_id, err)
                   : 0;
}

/* How it is after a failed or cut-off attempt: an update that failed leaves the old one
 * answering. */
static enum kr_state state_after(struct kr_app *app, const char *id, const struct kr_err *cause)
{
    kr_auto_json json_t *row = NULL;
    kr_auto_status struct kr_deployment_status status = {.state = KR_STATE_UNKNOWN};
    kr_auto_target struct kr_target target = {0};
    struct kr_err ignored = KR_ERR_INIT;
    enum kr_state unfinished = cause->code == KR_E_CANCELLED || cause->code == KR_E_TIMEOUT
                                   ? KR_STATE_PENDING
                                   : KR_STATE_ERROR;

    if (cause->code == KR_E_NETWORK || kr_deployment_row(app, id, &row, &ignored) < 0 ||
        kr_target_init(app, row, KR_TARGET_LOOK, &target, &ignored) < 0)
        return unfinished;
    target.quiet = true;
    if (kr_deployer_status(target.deployer, &target.env, &target.what, &status, &ignored) < 0)
        return unfinished;
    return status.state == KR_STATE_RUNNING ? KR_STATE_RUNNING : unfinished;
}

/* The record goes on to be about what runs, in all that the attempt had changed; `provision` brings
 * that back. What was tried is noted beside it. */
static void keep_former(const struct kr_rollout *what, const struct kr_target *target,
                        json_t *change)
{
    const json_t *had = json_object_get(what->existing, "settings");
    const char *good = kr_json_str(had, "good", NULL), *name, *tried = target->what.snapshot_id;
    json_t *value, *settings;

    if (good == NULL || strcmp(good, kr_json_str(what->existing, "snapshot_id", "")) != 0)
        return;
    json_object_foreach((json_t *)(uintptr_t)what->fields, name, value)
    {
        json_t *before = json_object_get(what->existing, name);

        kr_json_set(change, name, before != NULL ? json_incref(before) : json_null());
    }
    settings = json_copy((json_t *)(uintptr_t)had);
    kr_json_set_str(settings, "tried", tried);
    kr_json_set(change, "settings", settings);
    kr_json_set_str(change, "snapshot_id", good);
    kr_json_set_str(change, "previous_snapshot_id",
                    kr_json_str(what->existing, "previous_snapshot_id", NULL));
}

static int store_failure(struct kr_app *app, const struct kr_rollout *what,
                         const struct kr_target *target, struct kr_err *err)
{
    kr_auto_json json_t *change = json_object();
    enum kr_state state = state_after(app, target->what.id, err);
    struct kr_err ignored = KR_ERR_INIT;
    bool cancelled = err->code == KR_E_CANCELLED;
    enum kr_code code = err->code;

    (void)kr_wrap(err, "%s '%s'", what->verb, target->what.name);
    if (state == KR_STATE_RUNNING)
        (void)kr_hint(err, "what ran before goes on answering; `%s deployment logs %s` shows more",
                      app->prog, target->what.name);
    else
        (void)kr_hint(err,
                      cancelled
                          ? "the same command goes on; `%s deployment delete %s` gives it up"
                          : "`%s deployment logs %s` shows more; the same command tries again",
                      app->prog, target->what.name);
    if (kr_deployer_keeps_former(target->deployer, code))
        keep_former(what, target, change);
    kr_json_set_str(change, "status", kr_state_name(state));
    kr_json_set_str(change, "error", err->msg);
    if (kr_store_update(app->store, KR_DEPLOYMENT, target->what.id, change, &ignored) < 0 ||
        kr_event_add(app, target->what.id, cancelled ? "stopped" : "failed", err->msg, &ignored) <
            0)
        kr_note(app, KR_NOTE_WARN, "the failure could not be recorded in the store");
    return -(int)err->code;
}

static int64_t timeout_of(const struct kr_rollout *what, const struct kr_target *target)
{
    int64_t seconds =
        what->timeout_s > 0 ? what->timeout_s : kr_json_int(target->settings, "lcm_timeout", 600);

    return seconds * 1000;
}

static int work(struct kr_app *app, const struct kr_rollout *what, json_t *row, const char *machine,
                bool *changed, struct kr_err *err)
{
    kr_auto_status struct kr_deployment_status status = {.state = KR_STATE_UNKNOWN};
    kr_auto_target struct kr_target target = {0};

    if (prepare(app, what, row, machine, &target, err) < 0)
        return -(int)err->code;
    if (kr_build_image(app, &target, err) < 0 ||
        kr_deployer_provision(target.deployer, &target.env, &target.what, timeout_of(what, &target),
                              &status, changed, err) < 0)
        return store_failure(app, what, &target, err);
    if (store_success(app, &target, &status, *changed, err) < 0)
        return -(int)err->code;
    kr_code_keep(app, target.source_root, target.what.snapshot);
    return 0;
}

/* machine gets the processor that it will run on. */
static int check(struct kr_app *app, const struct kr_rollout *what, const json_t *row,
                 char machine[16], json_t **plan, struct kr_err *err)
{
    kr_auto_target struct kr_target target = {0};

    if (prepare(app, what, row, machine, &target, err) < 0 ||
        kr_needs_check(&target, machine, err) < 0 || kr_build_plan(app, &target, err) < 0 ||
        kr_deployer_validate(target.deployer, &target.env, &target.what, err) < 0)
        return -(int)err->code;
    if (!what->dry_run)
        return 0;
    if (kr_deployer_plan(target.deployer, &target.env, &target.what, plan, err) < 0)
        return -(int)err->code;
    kr_json_set_str(*plan, "name", target.what.name);
    kr_json_set_str(*plan, "pipeline", target.what.pipeline);
    kr_json_set_str(*plan, "deployer", kr_json_str(row, "flavor", NULL));
    kr_json_set_bool(*plan, "new", what->existing == NULL);
    return 0;
}

int kr_rollout(struct kr_app *app, const struct kr_rollout *what, json_t **row, struct kr_err *err)
{
    kr_auto_json json_t *wanted = wanted_row(what);
    const char *id = kr_json_str(wanted, "id", "");
    bool changed = false;
    char machine[16];

    *row = NULL;
    if (check(app, what, wanted, machine, row, err) < 0)
        return -(int)err->code;
    if (what->dry_run)
        return 0;
    if (kr_cancelled(app))
        return kr_fail(err, KR_E_CANCELLED, "stopped before anything was changed");
    if (store_all(app, what, wanted, err) < 0 ||
        work(app, what, wanted, machine, &changed, err) < 0)
        return -(int)err->code;
    if (kr_deployment_recorded(app, id, row, err) < 0)
        return -(int)err->code;
    if (!changed)
        kr_json_set_bool(*row, "unchanged", true);
    return 0;
}
